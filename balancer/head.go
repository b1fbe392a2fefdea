package balancer

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// hopByHop headers belong to one connection and are not passed on.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// connectionNames are the headers that a Connection header declares hop-by-hop besides the
// well-known ones. Nearly always there are none.
func connectionNames(h http.Header) map[string]bool {
	var names map[string]bool
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			switch name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name {
			case "", "Keep-Alive", "Close", "Upgrade":
			default:
				if names == nil {
					names = map[string]bool{}
				}
				names[name] = true
			}
		}
	}
	return names
}

// upgradeType is the protocol that a message wants to switch to, empty if none.
func upgradeType(h http.Header) string {
	if _, ok := h["Upgrade"]; !ok {
		return ""
	}
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(name), "upgrade") {
				return h.Get("Upgrade")
			}
		}
	}
	return ""
}

// writeHead writes the request line and headers for the target.
func (x *exchange) writeHead(w *bufio.Writer, address string) {
	r := x.r
	line := func(name, value string) {
		w.WriteString(name)
		w.WriteString(": ")
		w.WriteString(value)
		w.WriteString("\r\n")
	}
	w.WriteString(r.Method)
	w.WriteByte(' ')
	if strings.HasPrefix(r.RequestURI, "/") || r.RequestURI == "*" {
		w.WriteString(r.RequestURI)
	} else {
		w.WriteString(r.URL.RequestURI()) // was in absolute form
	}
	w.WriteString(" HTTP/1.1\r\n")
	if r.Host != "" {
		line("Host", r.Host)
	} else {
		line("Host", address)
	}
	named := connectionNames(r.Header)
	for name, values := range r.Header {
		switch name {
		case "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Amzn-Trace-Id", "Content-Length", "Expect":
			continue
		}
		if hopByHop(name) || named[name] || x.view.lb.DropInvalidHeaderFields && !validName(name) {
			continue
		}
		for _, v := range values {
			line(name, v)
		}
	}
	x.writeForwarded(line)
	if x.upgrade != "" {
		line("Connection", "Upgrade")
		line("Upgrade", x.upgrade)
	}
	switch {
	case r.ContentLength > 0:
		line("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	case r.ContentLength < 0:
		line("Transfer-Encoding", "chunked")
		for name := range r.Trailer {
			line("Trailer", name)
		}
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		line("Content-Length", "0")
	}
	if x.expect {
		line("Expect", "100-continue")
	}
	w.WriteString("\r\n")
}

// writeForwarded writes what the load balancer tells about the client (LB-HD-01, LB-HD-02).
func (x *exchange) writeForwarded(line func(name, value string)) {
	had := x.r.Header["X-Forwarded-For"]
	switch x.view.lb.XForwardedFor {
	case "remove":
	case "preserve":
		for _, v := range had {
			line("X-Forwarded-For", v)
		}
	default:
		client, port, err := net.SplitHostPort(x.r.RemoteAddr)
		if err != nil {
			client = x.r.RemoteAddr
		}
		if x.view.lb.XFFClientPort && port != "" {
			client = net.JoinHostPort(client, port)
		}
		if len(had) > 0 {
			client = strings.Join(had, ", ") + ", " + client
		}
		line("X-Forwarded-For", client)
	}
	line("X-Forwarded-Proto", "http")
	line("X-Forwarded-Port", x.port())
	if x.view.lb.Kind != KindClassic {
		line("X-Amzn-Trace-Id", traceID(x.r.Header.Get("X-Amzn-Trace-Id")))
	}
}

// port is the port that the client used: the listener's, or, by way of Match, the Host header's.
func (x *exchange) port() string {
	if x.client == nil {
		if _, port, err := net.SplitHostPort(x.r.Host); err == nil && port != "" {
			return port
		}
	}
	return x.view.port
}

// traceID makes a new Root, or puts a Self before the Root that is there.
func traceID(had string) string {
	now := uint32(time.Now().Unix())
	id := fmt.Sprintf("1-%08x-%016x%08x", now, rand.Uint64(), rand.Uint32())
	switch {
	case strings.Contains(had, "Root="):
		return "Self=" + id + ";" + had
	case had != "":
		return "Root=" + id + ";" + had
	}
	return "Root=" + id
}

// validName is what drop_invalid_header_fields lets pass: [-A-Za-z0-9]+.
func validName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return name != ""
}

// copyHead takes over a target's response headers.
func copyHead(to, from http.Header) {
	named := connectionNames(from)
	for name, values := range from {
		if !hopByHop(name) && !named[name] {
			to[name] = values
		}
	}
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // else net/http guesses one
	}
}
