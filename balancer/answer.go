package balancer

import (
	"net/http"
	"strconv"
	"strings"
)

// Limits of requests (LB-HD-03).
const (
	lineSize    = 16 << 10
	headerSize  = 16 << 10
	headersSize = 64 << 10
	maxForwards = 30 // addresses in X-Forwarded-For (LB-HD-02)
)

const serverName = "awselb/2.0"

// reasons are AWS's words where they are not net/http's.
var reasons = map[int]string{
	405: "Not Allowed", 408: "Request Time-out", 414: "Request-URI Too Large",
	460: "Client Closed Connection", 463: "Too Many Addresses",
	503: "Service Temporarily Unavailable", 504: "Gateway Time-out",
}

func statusLine(status int) string {
	reason, ok := reasons[status]
	if !ok {
		reason = http.StatusText(status)
	}
	return strconv.Itoa(status) + " " + reason
}

func errorPage(status int) string {
	line := statusLine(status)
	return "<html>\r\n<head><title>" + line + "</title></head>\r\n<body>\r\n<center><h1>" + line +
		"</h1></center>\r\n</body>\r\n</html>\r\n"
}

// refuse is the status for a request that is not forwarded at all, 0 if it is fine.
func refuse(r *http.Request) int {
	if len(r.RequestURI) > lineSize {
		return http.StatusRequestURITooLong // LB-ER-05
	}
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		return http.StatusMethodNotAllowed // LB-ER-03
	}
	total := 0
	for k, vs := range r.Header {
		for _, v := range vs {
			n := len(k) + len(v) + 4
			if total += n; n > headerSize {
				return http.StatusBadRequest // LB-ER-01
			}
		}
	}
	if total > headersSize {
		return http.StatusBadRequest
	}
	if vs, ok := r.Header["X-Forwarded-For"]; ok {
		addresses := len(vs)
		for _, v := range vs {
			addresses += strings.Count(v, ",")
		}
		if addresses > maxForwards {
			return 463 // LB-ER-07
		}
	}
	return 0
}

// answer makes the load balancer's own answer and counts it.
func (x *exchange) answer(status int) {
	x.view.stats.answered(status)
	page := errorPage(status)
	h := x.w.Header()
	h["Server"] = []string{serverName}
	h["Content-Type"] = []string{"text/html"}
	h["Content-Length"] = []string{strconv.Itoa(len(page))}
	if status == http.StatusBadRequest || status == http.StatusRequestTimeout {
		h["Connection"] = []string{"close"}
	}
	x.w.WriteHeader(status)
	_, _ = x.w.Write([]byte(page)) // a client that is gone misses it
}
