package daemon

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/billow-cloud/billow/api/catalog"
	queueapi "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/wire"
)

// handler is everything that the API's port answers: load balancers by their Host header, the server's own pages under
// /_billow/, and the AWS APIs.
func (d *Daemon) handler() http.Handler {
	config := wire.Config{
		Services: catalog.Services,
		Backend:  d,
		Key:      d.key,
		Trusting: d.config.Auth == AuthNone,
		Unsigned: map[string]string{"ConfirmSubscription": sns.Name, "Unsubscribe": sns.Name}, // links in messages to subscribers
		Report: func(c wire.Call, cause error) {
			d.log.Error("a call failed inside", "service", c.Service, "operation", c.Operation, "request", c.RequestID, "error", cause)
		},
	}
	aws := wire.New(config)
	own := d.ownPages()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lb, ok := d.routes.match(r.Host); ok {
			lb.ServeHTTP(w, r)
		} else if strings.HasPrefix(r.URL.Path, "/_billow/") {
			own.ServeHTTP(w, r)
		} else {
			aws.ServeHTTP(w, r)
		}
	})
}

// Call implements wire.Backend. What a function answers, or a message, is waited for when the call itself is over.
func (d *Daemon) Call(ctx context.Context, c wire.Call) (any, error) {
	if in, ok := c.In.(*queueapi.ReceiveMessageInput); ok {
		return d.receive(ctx, c, in)
	}
	out, err := d.take(ctx, c)
	if run, ok := out.(*lambda.Pending); ok && err == nil {
		return d.functions.Await(ctx, run)
	}
	return out, err
}

func (d *Daemon) take(ctx context.Context, c wire.Call) (any, error) {
	d.resetting.RLock()
	defer d.resetting.RUnlock()
	kept, err := d.functions.Keep(c.In)
	if err != nil {
		return nil, err
	}
	defer kept()
	caller, known := c.Identity.(cloud.Caller)
	if !known {
		caller = cloud.Root(c.Account)
	}
	if !caller.Above() {
		caller.Address = c.Address
	}
	out, err := d.loop.call(ctx, cloud.Call{
		Scope: cloud.Scope{Account: c.Account, Region: c.Region}, RequestID: c.RequestID,
		Service: c.Service, Operation: c.Operation, In: c.In, Caller: caller,
	})
	if err == nil {
		d.instances.moments.await(ctx, out)
	}
	return d.byWallClock(out), err
}

// key finds out whose an access key is: the server's own, which is an account's root, or one that IAM gave out.
func (d *Daemon) key(ctx context.Context, id string) (wire.Key, bool) {
	if id == d.access.AccessKeyID {
		root := cloud.Root(d.access.Account)
		root.Key = id
		return wire.Key{Secret: d.access.SecretAccessKey, Account: d.access.Account, Identity: root}, true
	}
	if !strings.HasPrefix(id, "AKIA") && !strings.HasPrefix(id, "ASIA") {
		return wire.Key{}, false
	}
	d.resetting.RLock()
	defer d.resetting.RUnlock()
	out, err := d.loop.call(ctx, cloud.Call{Service: iam.Name, Operation: "access-key", In: &iam.KeyInput{AccessKey: id}})
	if err != nil {
		return wire.Key{}, false
	}
	k := out.(*iam.KeyOutput)
	return wire.Key{Secret: k.Secret, Account: k.Caller.Account, Token: k.Token, Expired: k.Expired, Identity: k.Caller}, true
}

func (d *Daemon) ownPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_billow/health", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, map[string]any{
			"status": "ok", "version": d.config.Version, "driver": d.driver.Name(),
			"notes": append([]string{}, d.driver.Notes()...), "timeScale": d.config.TimeScale,
		})
	})
	mux.HandleFunc("GET /_billow/clock", func(w http.ResponseWriter, r *http.Request) {
		wall := time.Now()
		answerJSON(w, map[string]any{"wall": wall.UTC(), "cloud": d.loop.clock.At(wall), "timeScale": d.config.TimeScale})
	})
	mux.Handle("GET /_billow/metrics", promhttp.HandlerFor(d.metrics(), promhttp.HandlerOpts{}))
	mux.HandleFunc("POST /_billow/reset", func(w http.ResponseWriter, r *http.Request) {
		if d.config.Auth != AuthNone {
			http.Error(w, "reset works only on servers started with --auth none", http.StatusForbidden)
			return
		}
		if err := d.reset(r.Context()); err != nil {
			d.log.Error("reset failed", "error", err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answerJSON(w, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("/_billow/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprintf("there is no %s %s", r.Method, r.URL.Path), http.StatusNotFound)
	})
	return mux
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// seed is for the first start of a store; later ones go on with the generator's row.
func seed() uint64 { return binary.BigEndian.Uint64(random(8)) }
