package wire

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/billow-cloud/billow/api"
)

// fault turns any error into the one that the client sees. It is the one place where an error that is no *api.Error
// becomes InternalFailure.
func (h *Handler) fault(x *exchange, err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	if h.config.Report != nil {
		h.config.Report(x.call, err)
	}
	return &api.Error{Code: "InternalFailure", Status: http.StatusInternalServerError,
		Message: "The request processing has failed because of an unknown error, exception or failure."}
}

// fail answers with an error in the protocol of the request.
func (h *Handler) fail(w http.ResponseWriter, x *exchange, err error) {
	e := h.fault(x, err)
	name, status := e.Code, e.Status
	if x.svc != nil {
		if shape := x.svc.errors[e.Code]; shape != nil {
			name, status = shape.Name, shape.Status
		}
	}
	if status < 400 || status > 599 {
		status = http.StatusBadRequest
	}
	b := x.out[:0]
	switch x.protocol {
	case api.EC2:
		b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Response><Errors><Error><Code>"...)
		b = appendXMLText(b, e.Code)
		b = append(b, "</Code><Message>"...)
		b = appendXMLText(b, e.Message)
		b = append(b, "</Message></Error></Errors><RequestID>"...)
		b = append(append(b, x.call.RequestID...), "</RequestID></Response>"...)
	case api.Query:
		b = append(b, "<ErrorResponse"...)
		if x.svc != nil && x.svc.Namespace != "" {
			b = append(append(append(b, ` xmlns="`...), x.svc.Namespace...), '"')
		}
		b = append(b, "><Error><Type>"...)
		b = append(append(b, side(status)...), "</Type><Code>"...)
		b = appendXMLText(b, e.Code)
		b = append(b, "</Code><Message>"...)
		b = appendXMLText(b, e.Message)
		b = append(b, "</Message></Error><RequestId>"...)
		b = append(append(b, x.call.RequestID...), "</RequestId></ErrorResponse>"...)
	default:
		b = h.failDocument(w, x, e, name, status)
	}
	x.out = b
	send(w, x, status)
}

// failDocument writes a JSON or CBOR error. A service that once spoke query tells its old code in a header.
func (h *Handler) failDocument(w http.ResponseWriter, x *exchange, e *api.Error, name string, status int) []byte {
	header := w.Header()
	if x.svc != nil && x.svc.QueryCompatible {
		header.Set("X-Amzn-Query-Error", header1(e.Code)+";"+side(status))
	}
	if x.protocol == api.CBOR {
		c := cborWriter{b: x.out[:0]}
		c.open()
		c.key("__type")
		c.str(name)
		c.key("message")
		c.str(e.Message)
		c.close()
		return c.b
	}
	j := jsonWriter{b: x.out[:0]}
	j.open()
	if x.protocol == api.RestJSON {
		header["X-Amzn-Errortype"] = []string{header1(name)}
		j.key("Type")
		j.str(map[bool]string{true: "Service", false: "User"}[status >= http.StatusInternalServerError])
	} else {
		j.key("__type")
		j.str(name)
	}
	j.key("message")
	j.str(e.Message)
	j.close()
	return j.b
}

// header1 keeps a code from breaking out of its header line.
func header1(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < 0x20 || c >= 0x7f || c == ';' {
			b[i] = '_'
		}
	}
	return string(b)
}

// side says whose fault a status is.
func side(status int) string {
	if status >= 500 {
		return "Receiver"
	}
	return "Sender"
}

// send writes x.out with the protocol's headers.
func send(w http.ResponseWriter, x *exchange, status int) {
	header := w.Header()
	header["X-Amzn-Requestid"] = []string{x.call.RequestID}
	header["Content-Length"] = []string{strconv.Itoa(len(x.out))}
	switch x.protocol {
	case api.CBOR:
		header["Content-Type"] = contentCBOR
		header["Smithy-Protocol"] = protocolCBOR
	case api.RestJSON:
		if status == http.StatusNoContent {
			delete(header, "Content-Length")
		} else {
			header["Content-Type"] = contentJSON
		}
	case api.JSON:
		if x.json10 {
			header["Content-Type"] = contentJSON10
		} else {
			header["Content-Type"] = contentJSON11
		}
	default:
		header["Content-Type"] = contentXML
	}
	w.WriteHeader(status)
	w.Write(x.out)
}

// The values are shared by all answers and never changed.
var (
	contentXML    = []string{"text/xml;charset=UTF-8"}
	contentCBOR   = []string{"application/cbor"}
	protocolCBOR  = []string{"rpc-v2-cbor"}
	contentJSON   = []string{"application/json"}
	contentJSON10 = []string{"application/x-amz-json-1.0"}
	contentJSON11 = []string{"application/x-amz-json-1.1"}
)

// The errors that are the wire's own.

func errInvalidAction(x *exchange) error {
	switch x.protocol {
	case api.RestJSON:
		return &api.Error{Code: "UnknownOperationException", Status: http.StatusNotFound,
			Message: "No operation of this web service has this method and path."}
	case api.JSON, api.CBOR:
		return &api.Error{Code: "UnknownOperationException", Status: http.StatusNotFound,
			Message: "The operation " + x.call.Operation + " is not valid for this web service."}
	}
	if x.call.Operation == "" {
		return api.Errorf("MissingAction", "The request must contain the parameter Action.")
	}
	return api.Errorf("InvalidAction", "The action %s is not valid for this web service.", x.call.Operation)
}

func errNoService(name, operation string) error {
	if operation != "" {
		return api.NotImplemented(name, operation)
	}
	return &api.Error{Code: "NotImplemented", Status: http.StatusNotImplemented, Message: "The service " + name + " is not implemented."}
}

var errTooLarge = &api.Error{Code: "RequestEntityTooLarge", Status: http.StatusRequestEntityTooLarge,
	Message: "Request body is larger than the maximum of " + strconv.Itoa(maxBody) + " bytes."}

// tooLarge is errTooLarge in the words of the request's protocol.
func tooLarge(x *exchange) error {
	if x.protocol != api.RestJSON {
		return errTooLarge
	}
	return &api.Error{Code: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
		Message: "Request must be smaller than " + strconv.FormatInt(x.limit, 10) + " bytes for the " + x.call.Operation + " operation"}
}
