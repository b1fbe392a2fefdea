package wire

import (
	"net/http"
	"strings"

	"github.com/billow-cloud/billow/api"
)

// route finds the request's service, protocol and operation. What tells the service, in this order: the path of an RPC
// request, the target header, the signature's scope, the host's first label, the API version. The protocol is settled
// also when the service is not, so that an error can be written.
func (h *Handler) route(x *exchange, r *http.Request, s *signature) error {
	scope := ""
	if s != nil {
		scope = s.service
	}
	if target, operation, ok := rpcPath(r.URL.Path); ok {
		x.protocol = api.CBOR
		return h.routeTarget(x, target, operation)
	}
	if header := r.Header.Get("X-Amz-Target"); header != "" {
		x.protocol, x.json10 = api.JSON, strings.HasSuffix(mediaType(r), "-1.0")
		dot := strings.LastIndexByte(header, '.')
		return h.routeTarget(x, header[:max(dot, 0)], header[dot+1:])
	}
	x.protocol = api.Query
	if isQuery(r) {
		if err := x.parse(r); err != nil {
			x.svc = h.find(x, scope, r.Host)
			x.settle()
			return err
		}
	}
	x.call.Operation = param(x.pairs, "Action")
	x.svc = h.find(x, scope, r.Host)
	if x.svc == nil {
		if scope == "" {
			if x.call.Operation == "" {
				return api.Errorf("MissingAction", "The request must contain the parameter Action.")
			}
			return api.Errorf("InvalidAction", "The action %s is not valid for this web service.", x.call.Operation)
		}
		return errNoService(scope, x.call.Operation)
	}
	x.settle()
	if path := strings.TrimSuffix(r.URL.Path, "/"); path != "" && x.svc.Name == "sqs" && param(x.pairs, "QueueUrl") == "" {
		x.pairs = append(x.pairs, pair{[]byte("QueueUrl"), []byte(path)}) // the queue's URL was called, and says which it is
	}
	if !x.svc.speaks(x.protocol) || x.call.Operation == "" {
		return errInvalidAction(x)
	}
	return nil
}

// settle picks the dialect of query.
func (x *exchange) settle() {
	if x.svc != nil && x.svc.speaks(api.EC2) {
		x.protocol = api.EC2
	}
}

// rpcPath takes /service/TARGET/operation/NAME apart.
func rpcPath(path string) (target, operation string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/service/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/operation/")
}

func (h *Handler) routeTarget(x *exchange, target, operation string) error {
	x.call.Operation = operation
	for _, svc := range h.services {
		if svc.TargetPrefix != "" && svc.TargetPrefix == target {
			x.svc = svc
			if !svc.speaks(x.protocol) {
				return errInvalidAction(x)
			}
			return nil
		}
	}
	return errNoService(target, operation)
}

// find gives the service of a query request: by the scope, else by the host, and among several by the version.
func (h *Handler) find(x *exchange, scope, host string) *service {
	version := param(x.pairs, "Version")
	label, _, _ := strings.Cut(host, ".")
	var found *service
	for _, svc := range h.services {
		switch {
		case scope != "" && svc.Signing != scope:
			continue
		case scope == "" && svc.Endpoint != label && svc.Version != version && h.config.Unsigned[x.call.Operation] != svc.Name:
			continue
		case svc.Version == version:
			return svc
		case found == nil || found.Find(x.call.Operation) == nil && svc.Find(x.call.Operation) != nil:
			found = svc
		}
	}
	return found
}

func mediaType(r *http.Request) string {
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

func isQuery(r *http.Request) bool {
	switch mediaType(r) {
	case "", "application/x-www-form-urlencoded":
		return true
	}
	return r.Method == http.MethodGet
}

// parse takes the parameters of the URL and of the body.
func (x *exchange) parse(r *http.Request) error {
	var err error
	x.query = append(x.query, r.URL.RawQuery...)
	if x.pairs, err = parseForm(x.pairs, x.query); err != nil {
		return err
	}
	if r.Method != http.MethodGet {
		x.pairs, err = parseForm(x.pairs, x.body)
	}
	return err
}
