package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/billow-cloud/billow/api"
)

// maxBody bounds a request's body, before and after it is unpacked. The tables give a few operations more, of which
// only so many are taken in at once as there is memory for; the others wait.
const (
	maxBody  = 10 << 20
	maxLarge = 2
)

// Handler answers the requests of all services.
type Handler struct {
	config   Config
	services []*service
	verifier verifier
	scratch  sync.Pool     // of *exchange
	large    chan struct{} // has one for every large request under way
}

// New makes a Handler. The services are fixed from then on.
func New(c Config) *Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Trusting = c.Trusting || c.Key == nil
	h := &Handler{config: c, verifier: verifier{now: c.Now}, large: make(chan struct{}, maxLarge)}
	for _, s := range c.Services {
		h.services = append(h.services, newService(s))
	}
	return h
}

// exchange is one request on its way, and the buffers that the next one uses again.
type exchange struct {
	svc      *service // nil until routed
	protocol api.Protocol
	json10   bool
	call     Call
	raw      []byte // the body as sent
	body     []byte // unpacked
	limit    int64  // of the body
	large    bool   // it may be larger than maxBody
	labels   []pair // rest-json: what is in the path
	query    []byte // the URL's, if it carries parameters
	pairs    []pair
	out      []byte
}

// keepBuffer is the largest buffer that is kept for the next request.
const keepBuffer = 1 << 20

func (h *Handler) take() *exchange {
	x, _ := h.scratch.Get().(*exchange)
	if x == nil {
		x = &exchange{}
	}
	*x = exchange{limit: maxBody, raw: x.raw[:0], query: x.query[:0], pairs: x.pairs[:0], out: x.out[:0]}
	return x
}

func (h *Handler) give(x *exchange) {
	if cap(x.raw) <= keepBuffer && cap(x.out) <= keepBuffer && cap(x.pairs) <= keepBuffer/48 {
		h.scratch.Put(x)
	}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := h.take()
	x.call.RequestID = uuid.NewString()
	defer func() {
		if cause := recover(); cause != nil {
			h.fail(w, x, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
			return // x may be in any state: it is not used again
		}
		h.give(x)
	}()
	defer func() {
		if x.large {
			<-h.large
		}
	}()
	out, op, err := h.carryOut(x, r)
	if err != nil {
		if err == errTooLarge {
			w.Header().Set("Connection", "close")
			err = tooLarge(x)
		}
		h.fail(w, x, err)
		return
	}
	x.answer(w, op, out)
}

// answer writes an operation's output; out is invalid for an empty one.
func (x *exchange) answer(w http.ResponseWriter, op *operation, out reflect.Value) {
	switch x.protocol {
	case api.JSON:
		j := jsonWriter{b: x.out}
		encodeDocument(&j, op.out, out)
		x.out = j.b
	case api.RestJSON:
		x.answerREST(w, op, out)
		return
	case api.CBOR:
		c := cborWriter{b: x.out}
		encodeDocument(&c, op.out, out)
		x.out = c.b
	default:
		x.out = appendXMLAnswer(x.out, op, out, x.call.RequestID)
	}
	send(w, x, http.StatusOK)
}

// carryOut does everything up to the answer: out is the output struct, invalid for an empty answer.
func (h *Handler) carryOut(x *exchange, r *http.Request) (out reflect.Value, op *operation, err error) {
	sig, wrong := readSignature(r)
	rest := h.routeREST(x, r, sig)
	bodyErr := h.read(x, r)
	var hash [sha256.Size]byte
	if bodyErr == nil && !h.config.Trusting {
		hash = sha256.Sum256(x.raw)
	}
	if bodyErr == nil {
		bodyErr = x.unpack(r)
	}
	var routeErr error
	if !rest {
		routeErr = h.route(x, r, sig)
	}
	if bodyErr != nil {
		return out, nil, bodyErr
	}
	if err := h.authenticate(x, r, sig, wrong, hash); err != nil {
		return out, nil, err
	}
	if routeErr != nil {
		return out, nil, routeErr
	}
	op = x.svc.ops[x.call.Operation]
	if op == nil {
		if x.svc.Find(x.call.Operation) != nil {
			return out, nil, api.NotImplemented(x.svc.ID, x.call.Operation)
		}
		return out, nil, errInvalidAction(x)
	}
	op.ready()
	in := op.In()
	if err := x.decode(op, r, in); err != nil {
		return out, nil, err
	}
	if x.large {
		x.raw, x.body = nil, nil // what is needed of it has been decoded
	}
	if err := validate(op, in); err != nil {
		return out, nil, err
	}
	x.call.Service, x.call.In = x.svc.Name, in
	return h.do(r.Context(), x.call, op)
}

// do makes the call and checks that what comes back is the operation's output.
func (h *Handler) do(ctx context.Context, c Call, op *operation) (reflect.Value, *operation, error) {
	result, err := h.config.Backend.Call(ctx, c)
	if err != nil {
		return reflect.Value{}, op, err
	}
	out := reflect.ValueOf(result)
	if !out.IsValid() || out.Kind() == reflect.Pointer && out.IsNil() {
		return reflect.Value{}, op, nil
	}
	if out.Kind() != reflect.Pointer || out.Type().Elem() != op.out.typ {
		return reflect.Value{}, op, fmt.Errorf("%s %s answered with %T", c.Service, c.Operation, result)
	}
	return out.Elem(), op, nil
}

// authenticate settles who calls, from where.
func (h *Handler) authenticate(x *exchange, r *http.Request, s *signature, wrong string, hash [sha256.Size]byte) error {
	x.call.Account, x.call.Region = DefaultAccount, DefaultRegion
	if s != nil {
		if !plainName(s.region) {
			return authError(x, mismatch, "Credential should be scoped to a valid region.")
		}
		x.call.AccessKey, x.call.SessionToken, x.call.Region = s.accessKey, s.token, s.region
	}
	x.call.Address, _, _ = net.SplitHostPort(r.RemoteAddr)
	var key Key
	known := false
	if s != nil && h.config.Key != nil && !(h.config.Trusting && isAccount(s.accessKey)) {
		key, known = h.config.Key(r.Context(), s.accessKey)
	}
	if h.config.Trusting {
		switch {
		case known && key.Expired:
			return authError(x, expiredToken, "")
		case known:
			x.call.Account, x.call.Identity = key.Account, key.Identity
		case isAccount(x.call.AccessKey):
			x.call.Account = x.call.AccessKey
		}
		return nil
	}
	if s == nil {
		if wrong != "" {
			return authError(x, incomplete, wrong)
		}
		if x.svc != nil && h.config.Unsigned[x.call.Operation] == x.svc.Name {
			return nil
		}
		return authError(x, missing, "")
	}
	if !known {
		return authError(x, unknownKey, "")
	}
	x.call.Account, x.call.Identity = key.Account, key.Identity
	return h.verifier.verify(x, r, s, key, hash)
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// plainName says whether a region can be one: it becomes part of names.
func plainName(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// read takes the body in. A large one waits until there is memory for it.
func (h *Handler) read(x *exchange, r *http.Request) error {
	if r.ContentLength > x.limit {
		return errTooLarge
	}
	if x.limit > maxBody && (r.ContentLength < 0 || r.ContentLength > maxBody) {
		select {
		case h.large <- struct{}{}:
			x.large = true
		case <-r.Context().Done():
			return r.Context().Err()
		}
		x.raw = make([]byte, 0, max(r.ContentLength+1, keepBuffer))
	}
	var err error
	x.raw, err = readAll(x.raw, r.Body, x.limit)
	if err != nil && err != errTooLarge {
		return api.Errorf("IncompleteBody", "The request body could not be read.")
	}
	return err
}

// readAll appends what r gives to b, up to a limit.
func readAll(b []byte, r io.Reader, limit int64) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, make([]byte, 512)...)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(int64(cap(b)), limit+1)])
		b = b[:len(b)+n]
		if int64(len(b)) > limit {
			return b, errTooLarge
		}
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// unpack takes the body's compression off: SDKs compress large PutMetricData requests.
func (x *exchange) unpack(r *http.Request) error {
	x.body = x.raw
	switch r.Header.Get("Content-Encoding") {
	case "", "identity", "amz-1.0":
		return nil
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(x.raw))
		if err == nil {
			x.body, err = readAll(nil, z, x.limit)
		}
		if err == errTooLarge {
			return err
		}
		if err != nil {
			return api.Errorf("MalformedInput", "The request body is not valid gzip.")
		}
		return nil
	}
	return &api.Error{Code: "UnsupportedMediaType", Status: http.StatusUnsupportedMediaType,
		Message: "Only gzip is supported as Content-Encoding."}
}

// decode fills in from the request.
func (x *exchange) decode(op *operation, r *http.Request, in any) error {
	switch x.protocol {
	case api.RestJSON:
		return x.decodeREST(op, r, in)
	case api.JSON:
		if len(bytes.TrimSpace(x.body)) == 0 {
			return nil
		}
		j := &jsonReader{b: x.body}
		if err := decodeDocument(op, j, in); err != nil {
			return err
		}
		if j.finish() != nil {
			return api.Errorf("SerializationException", "%s", errJSON)
		}
		return nil
	case api.CBOR:
		if len(x.body) == 0 {
			return nil
		}
		c := &cborReader{b: x.body}
		if err := decodeDocument(op, c, in); err != nil {
			return err
		}
		if c.finish() != nil {
			return api.Errorf("SerializationException", "%s", errCBOR)
		}
		return nil
	}
	return decodeQuery(op, x.pairs, in)
}
