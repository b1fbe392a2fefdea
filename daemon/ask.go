package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/sns"
)

// internalOperations are those of services, by name, that are no API of AWS, are asked for over the administration socket.
var internalOperations = map[string]string{
	"explain": autoscaling.Name, "shadow-put": autoscaling.Name, "shadow-list": autoscaling.Name, "shadow-report": autoscaling.Name, "shadow-delete": autoscaling.Name,
	"mailbox": sns.Name, "impair": ec2.Name, "notify": ec2.Name,
}

// maxQuestion bounds what is sent: policies and alarms are small.
const maxQuestion = 4 << 20

// question is the body of a request for an internal operation.
type question struct {
	Region string // empty: where the root user's calls go
	In     json.RawMessage
}

// serveAdmin is everything that the administration socket answers.
func (d *Daemon) serveAdmin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /exec", d.serveExec)
	mux.HandleFunc("POST /ask/{operation}", d.serveAsk)
	mux.HandleFunc("POST /image", d.serveImport)
	return mux
}

// serveAsk carries out an internal operation and answers with its output as JSON, or with a sentence.
func (d *Daemon) serveAsk(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("operation")
	service := internalOperations[name]
	d.loop.mu.Lock()
	op, known := d.loop.cloud.Operation(service, name)
	d.loop.mu.Unlock()
	if !known {
		http.Error(w, "this server does not know "+name, http.StatusNotFound)
		return
	}
	var q question
	in := op.Input()
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&q)
	if err == nil {
		err = json.Unmarshal(q.In, in)
	}
	if err != nil {
		http.Error(w, "the question is not readable: "+err.Error(), http.StatusBadRequest)
		return
	}
	scope := cloud.Scope{Account: d.access.Account, Region: d.access.Region}
	if q.Region != "" {
		scope.Region = q.Region
	}
	d.resetting.RLock()
	defer d.resetting.RUnlock()
	out, err := d.loop.call(r.Context(), cloud.Call{Scope: scope, Service: service, Operation: name, In: in})
	if err != nil {
		var said *api.Error
		if errors.As(err, &said) {
			err = errors.New(said.Message)
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answerJSON(w, out)
}

// Ask has the server that uses a data directory carry out an internal operation; in and out are its shapes. An empty region
// is where the root user's calls go.
func Ask(ctx context.Context, dir, region, operation string, in, out any) error {
	conn, err := dialSocket(ctx, dir)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	body, err := json.Marshal(question{Region: region, In: text})
	if err != nil {
		return err
	}
	fmt.Fprintf(conn, "POST /ask/%s HTTP/1.1\r\nHost: billow\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", operation, len(body), body)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return fmt.Errorf("the server did not answer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, maxFrame))
		return errors.New(strings.TrimSpace(string(said)))
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return fmt.Errorf("the server's answer is not readable: %w", err)
	}
	return nil
}
