// Package functions runs Lambda's functions: it carries out lambda.Run in sandboxes of the driver, speaks the Lambda
// runtime API with what runs there, and tells how it ended as facts.
//
// It decides nothing about functions: retries, destinations and concurrency are cloud/lambda's. The one idea is the
// environment: a sandbox that was started for one revision of one version of a function takes one invocation at a time,
// stays warm for a while, and is thrown away, never repaired, as soon as anything is wrong with it.
//
// Invariants: every Run that was begun ends in one Ran, unless this server ends before; an environment serves one
// revision only; what a function prints, answers or starts is bounded; no environment outlives the server, and those of
// one that crashed are ended before the next takes its first Run. Time-outs are of the wall clock, as programs are.
package functions

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/driver"
)

// prefix begins the IDs of all environments: how they are told from EC2's instances.
const prefix = "fn-"

// Is tells whether something in a driver's inventory is an environment.
func Is(id string) bool { return strings.HasPrefix(id, prefix) }

// Folder is the name of the folder for code in a data directory.
const Folder = "functions"

// Config is what a runner is made with.
type Config struct {
	Log      *slog.Logger
	Driver   driver.Driver
	Data     string              // the server's data directory
	Endpoint string              // of the API, as seen from inside a sandbox
	Memory   int64               // bytes of the host that environments may promise; 0 is no bound
	Cores    float64             // of the host
	Modelled bool                // the driver runs nothing
	Now      func() time.Time    // the cloud's clock, for logs
	Observe  func(...cloud.Fact) // tells the control plane
}

// Bounds, in wall time.
const (
	warmFor  = 5 * time.Minute  // how long an idle environment is kept
	patience = 30 * time.Second // how long an invocation waits for room on this host
	initMost = 10 * time.Second // of a runtime's start that does not count as the function's own time
	keptFor  = time.Minute      // an answer that nobody has asked for yet

	maxEnvironments = 200
)

// Functions is the runner.
type Functions struct {
	Config
	code  *codeStore
	tools interpreters
	ready chan struct{} // closed when what an earlier server left is gone

	mu           sync.Mutex
	era          context.Context // ends with the server, and with a reset
	endEra       context.CancelFunc
	runs         map[string]*pending // by request ID and attempt
	environments map[netip.Addr]*environment
	lastAddress  netip.Addr
	freed        chan struct{} // closed, and made anew, when there may be room
	promised     int64         // bytes of all environments
	dropped      map[string]bool
	ending       sync.WaitGroup // environments on their way out

	metering sync.Mutex
	metered  time.Time
	usage    map[string]driver.Usage
}

// New makes a runner; it works once Run is called.
func New(c Config) *Functions {
	f := &Functions{
		Config: c, ready: make(chan struct{}), runs: map[string]*pending{}, environments: map[netip.Addr]*environment{},
		lastAddress: firstAddress, freed: make(chan struct{}), dropped: map[string]bool{}, usage: map[string]driver.Usage{},
	}
	f.code = newStore(filepath.Join(c.Data, Folder), c.Log)
	f.era, f.endEra = context.WithCancel(context.Background())
	return f
}

// Run serves until ctx ends, then ends all environments.
func (f *Functions) Run(ctx context.Context) {
	if f.Modelled {
		close(f.ready)
		<-ctx.Done()
		f.clear(false)
		return
	}
	var parts sync.WaitGroup
	parts.Go(f.Tell)
	f.endLeftovers(ctx)
	if listener, err := f.Driver.Network().Listen("tcp", runtimeAddress); err != nil {
		f.Log.Warn("functions cannot run", "reason", err)
	} else {
		server := &http.Server{Handler: f.runtimeAPI(), ReadHeaderTimeout: 10 * time.Second}
		parts.Go(func() { server.Serve(listener) })
		defer server.Close()
		context.AfterFunc(ctx, func() { server.Close() })
	}
	close(f.ready)
	f.attend(ctx)
	f.clear(false)
	f.ending.Wait()
	parts.Wait()
}

// attend ends what has been idle for long, and sweeps the code once.
func (f *Functions) attend(ctx context.Context) {
	look := time.NewTicker(10 * time.Second)
	defer look.Stop()
	sweep := time.After(time.Minute)
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep:
			f.code.sweep()
		case now := <-look.C:
			f.mu.Lock()
			for _, e := range f.environments {
				if !e.busy && now.Sub(e.used) > warmFor {
					f.end(e)
				}
			}
			f.mu.Unlock()
		}
	}
}

// endLeftovers ends the environments of a server that crashed.
func (f *Functions) endLeftovers(ctx context.Context) {
	seen, err := f.Driver.Inventory(ctx)
	if err != nil {
		f.Log.Warn("what an earlier server left of functions could not be listed", "error", err)
	}
	var all sync.WaitGroup
	for _, i := range seen.Instances {
		if Is(i.ID) {
			all.Go(func() {
				if err := f.Driver.Terminate(ctx, i.ID); err != nil {
					f.Log.Warn("what an earlier server left of a function could not be ended", "id", i.ID, "error", err)
				}
			})
		}
	}
	all.Wait()
}

// Tell tells the control plane what this host can run. It is to be called again after a reset.
func (f *Functions) Tell() {
	if f.Modelled {
		return
	}
	f.Observe(f.tools.find().host())
}

// Wish takes an effect and returns at once; false is for effects that are none of functions.
func (f *Functions) Wish(e cloud.Effect) bool {
	switch e := e.(type) {
	case lambda.Run:
		f.begin(e)
	case lambda.HaveCode:
		f.code.have(e.CodeHash)
	case lambda.DropCode:
		f.drop(e.CodeHash)
	default:
		return false
	}
	return true
}

// drop forgets code as soon as no environment has it any more.
func (f *Functions) drop(hash string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped[hash] = true
	for _, e := range f.environments {
		if e.function.CodeHash == hash {
			f.retire(e)
		}
	}
	f.dropUnused(hash)
}

// dropUnused removes dropped code that nobody has. The caller holds mu.
func (f *Functions) dropUnused(hash string) {
	if !f.dropped[hash] {
		return
	}
	for _, e := range f.environments {
		if e.function.CodeHash == hash {
			return
		}
	}
	delete(f.dropped, hash)
	go f.code.drop(hash)
}

// Keep takes an uploaded zip out of a call before the control plane gets it, and puts a receipt in its place. The call
// is over when done is called. Inputs of other operations are left alone.
func (f *Functions) Keep(in any) (done func(), err error) {
	var zip *[]byte
	switch in := in.(type) {
	case *shape.CreateFunctionInput:
		if in.Code != nil {
			zip = &in.Code.ZipFile
		}
	case *shape.UpdateFunctionCodeInput:
		zip = &in.ZipFile
	}
	if zip == nil || len(*zip) == 0 {
		return func() {}, nil
	}
	content := *zip
	receipt, c, bad := lambda.Stow(content)
	*zip = receipt
	if bad != nil || f.Modelled { // the control plane says what is wrong
		return func() {}, nil
	}
	done = f.code.upload(c.Hash)
	f.mu.Lock()
	delete(f.dropped, c.Hash)
	f.mu.Unlock()
	if err := f.code.keep(c.Hash, content); err != nil {
		done()
		f.Log.Error("the code of a function could not be kept", "error", err)
		return func() {}, &api.Error{Code: "ServiceException", Status: http.StatusInternalServerError, Message: "The code could not be kept: " + err.Error()}
	}
	go f.code.folder(c.Hash) // so that the first invocation finds it unpacked
	return done, nil
}

// Forget ends everything and removes all code: for a reset, after which there are no functions.
func (f *Functions) Forget() {
	f.clear(true)
	f.ending.Wait()
	f.code.clear()
}

// clear ends everything: environments, and invocations without an answer. Unless others may follow, later ones end at
// once.
func (f *Functions) clear(others bool) {
	f.mu.Lock()
	f.endEra()
	if others {
		f.era, f.endEra = context.WithCancel(context.Background())
	}
	for _, e := range f.environments {
		f.end(e)
	}
	runs := f.runs
	f.runs = map[string]*pending{}
	f.mu.Unlock()
	for _, p := range runs {
		p.finish(outcome{err: errEnding})
	}
}

var errEnding = &api.Error{Code: "ServiceException", Status: http.StatusServiceUnavailable, Message: "The server is going down or being reset; the function was ended."}

func unavailable(format string, args ...any) *api.Error {
	return &api.Error{Code: "ServiceException", Status: http.StatusInternalServerError, Message: fmt.Sprintf(format, args...)}
}
