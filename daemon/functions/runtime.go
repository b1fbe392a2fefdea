package functions

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/driver"
)

// runtimeAddress is where the runtime API is found, in all sandboxes; who asks is told by the source address.
const runtimeAddress = "169.254.169.251:9001"

// runtimeAPI is the Lambda runtime API, as its documentation has it.
func (f *Functions) runtimeAPI() http.Handler {
	const root = "/2018-06-01/runtime"
	mux := http.NewServeMux()
	with := func(do func(*environment, http.ResponseWriter, *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if e := f.environmentOf(r); e != nil {
				do(e, w, r)
			} else {
				say(w, http.StatusForbidden, "Forbidden", "This is no function's sandbox.")
			}
		}
	}
	mux.HandleFunc("GET "+root+"/invocation/next", with(serveNext))
	mux.HandleFunc("POST "+root+"/invocation/{id}/response", with(serveResponse))
	mux.HandleFunc("POST "+root+"/invocation/{id}/error", with(serveError))
	mux.HandleFunc("POST "+root+"/init/error", with(serveInitError))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		say(w, http.StatusNotFound, "NotFound", "The runtime API has no "+r.Method+" "+r.URL.Path+" here.")
	})
	return mux
}

func (f *Functions) environmentOf(r *http.Request) *environment {
	source, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.environments[source.Addr().Unmap()]
}

func say(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": message})
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, `{"status":"OK"}`+"\n")
}

// serveNext waits for work, as long as it takes.
func serveNext(e *environment, w http.ResponseWriter, r *http.Request) {
	select {
	case inv := <-e.next:
		now := time.Now()
		deadline := now.Add(time.Duration(inv.run.Function.Timeout) * time.Second)
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.run.RequestID)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", inv.run.Function.ARN)
		h.Set("Lambda-Runtime-Trace-Id", trace(now, inv.run.RequestID))
		if inv.run.Context != "" {
			h.Set("Lambda-Runtime-Client-Context", clientContext(inv.run.Context))
		}
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(inv.run.Payload)))
		e.log.begin()
		inv.begun <- now
		w.Write(inv.run.Payload)
	case <-e.ended:
	case <-r.Context().Done():
	}
}

// trace is an X-Ray header that samples nothing: there is no X-Ray here.
func trace(now time.Time, id string) string {
	digits := make([]byte, 0, 32)
	for _, c := range []byte(id) {
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'f' {
			digits = append(digits, c)
		}
	}
	for len(digits) < 24 {
		digits = append(digits, '0')
	}
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", uint32(now.Unix()), digits[:24], digits[:16])
}

// clientContext is what a client sent in base64, on one line.
func clientContext(encoded string) string {
	text, err := base64.StdEncoding.DecodeString(encoded)
	var line bytes.Buffer
	if err != nil || json.Compact(&line, text) != nil {
		return "{}"
	}
	return line.String()
}

// invocationOf gives the invocation that an answer is for; nil, and an error is said, if it is none of this environment.
func invocationOf(e *environment, w http.ResponseWriter, r *http.Request) *invocation {
	inv := e.current.Load()
	if inv == nil || inv.run.RequestID != r.PathValue("id") {
		say(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil
	}
	return inv
}

func (i *invocation) reply(a answer) {
	select {
	case i.answer <- a:
	default: // it has answered already
	}
}

func serveResponse(e *environment, w http.ResponseWriter, r *http.Request) {
	inv := invocationOf(e, w, r)
	if inv == nil {
		return
	}
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		message := fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxAnswer)
		say(w, http.StatusRequestEntityTooLarge, "Function.ResponseSizeTooLarge", message)
		inv.reply(answer{fault: &fault{Type: "Function.ResponseSizeTooLarge", Message: message}})
	case err != nil:
		say(w, http.StatusBadRequest, "Truncated", "The response was not sent to its end.")
	default:
		accepted(w)
		inv.reply(answer{payload: payload})
	}
}

// maxFault bounds what a runtime may say of an error.
const maxFault = 256 << 10

// readFault reads an error's document. What is none is taken as it is.
func readFault(r *http.Request) (*fault, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxFault))
	if err != nil {
		return nil, err
	}
	said := &fault{Type: r.Header.Get("Lambda-Runtime-Function-Error-Type")}
	var doc fault
	if json.Unmarshal(body, &doc) == nil {
		if said.Message = doc.Message; doc.Type != "" {
			said.Type = doc.Type
		}
	}
	if said.raw = body; !json.Valid(body) {
		said.raw, _ = json.Marshal(fault{Type: said.Type, Message: string(body)})
	}
	return said, nil
}

func serveError(e *environment, w http.ResponseWriter, r *http.Request) {
	inv := invocationOf(e, w, r)
	if inv == nil {
		return
	}
	said, err := readFault(r)
	if err != nil {
		say(w, http.StatusBadRequest, "Truncated", "The error was not sent to its end.")
		return
	}
	accepted(w)
	inv.reply(answer{fault: said, payload: said.raw})
}

// serveInitError takes why a runtime cannot start. It is about to leave, and has a moment for that.
func serveInitError(e *environment, w http.ResponseWriter, r *http.Request) {
	if said, err := readFault(r); err == nil {
		e.failed.CompareAndSwap(nil, said)
	}
	accepted(w)
	time.AfterFunc(250*time.Millisecond, e.stop)
}

// order is the program to run in an environment.
func (f *Functions) order(e *environment) (driver.ExecRequest, *api.Error) {
	args, missing := f.tools.find().bootstrap(e.function.Runtime)
	if missing != "" {
		return driver.ExecRequest{}, &api.Error{Code: "InvalidRuntimeException", Status: http.StatusBadGateway,
			Message: "The runtime " + e.function.Runtime + " needs " + missing + ", which this host does not have."}
	}
	return driver.ExecRequest{Args: args, Env: f.environ(e), Dir: "/var/task", Stdout: e.log, Stderr: e.log}, nil
}

// environ is what the runtime finds set: what Lambda gives every function, then its own.
func (f *Functions) environ(e *environment) (env []string) {
	fn := e.function
	for _, v := range [][2]string{
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin"},
		{"HOME", "/tmp"}, // the only place that can be written
		{"LANG", "C.UTF-8"}, {"TZ", ":UTC"},
		{"LD_LIBRARY_PATH", "/var/task:/var/task/lib"},
		{"AWS_LAMBDA_RUNTIME_API", runtimeAddress},
		{"LAMBDA_TASK_ROOT", "/var/task"}, {"LAMBDA_RUNTIME_DIR", "/var/runtime"},
		{"_HANDLER", fn.Handler},
		{"AWS_REGION", e.region}, {"AWS_DEFAULT_REGION", e.region},
		{"AWS_ENDPOINT_URL", f.Endpoint},
		{"AWS_EXECUTION_ENV", "AWS_Lambda_" + fn.Runtime},
		{"AWS_LAMBDA_FUNCTION_NAME", fn.Name}, {"AWS_LAMBDA_FUNCTION_VERSION", fn.Version},
		{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", strconv.Itoa(int(fn.Memory))},
		{"AWS_LAMBDA_LOG_GROUP_NAME", fn.LogGroup}, {"AWS_LAMBDA_LOG_STREAM_NAME", e.log.stream},
		{"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"},
	} {
		env = append(env, v[0]+"="+v[1])
	}
	for _, v := range fn.Environment {
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}
