package functions

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/driver"
)

// Environments have addresses that no VPC can have.
var (
	addresses    = netip.MustParsePrefix("169.254.64.0/18")
	firstAddress = addresses.Addr().Next() // the router's
)

// processes is what Lambda gives a function: processes and threads.
const processes = 1024

// environment is a sandbox with a runtime in it, for one revision of one version of a function.
//
//	       launched                next                 response, error
//	(none) --------> starting ------------> invocation <----------------> idle
//	                     \                      |                           |
//	                      \ exit, time-out      | exit, time-out            | 5 minutes, new revision
//	                       +-----------------> (none) <---------------------+
type environment struct {
	id       string
	address  netip.Addr
	key      string // of scope, function and version
	function lambda.Runnable
	region   string
	promise  int64 // bytes of memory
	log      *journal

	next    chan *invocation // holds at most one
	current atomic.Pointer[invocation]
	ended   chan struct{}      // closed when the runtime is gone
	stop    context.CancelFunc // ends the runtime

	// Written by the one that has it busy:
	warm bool // its runtime has asked for work

	// Written before ended is closed:
	started time.Time // of the runtime
	exit    int
	refused *api.Error            // it could not be started
	failed  atomic.Pointer[fault] // what the runtime said of its own start

	// Guarded by Functions.mu:
	busy    bool
	retired bool // to be ended when it is idle
	gone    bool
	used    time.Time
}

func environmentKey(r lambda.Run) string {
	return r.Scope.String() + "/" + r.Function.Name + ":" + r.Function.Version
}

// acquire gives an idle environment, or a new one, or waits for room.
func (f *Functions) acquire(era context.Context, r lambda.Run) (*environment, *api.Error) {
	key := environmentKey(r)
	promise := min(int64(r.Function.Memory)<<20, f.most())
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		f.mu.Lock()
		var best *environment
		for _, e := range f.environments {
			switch {
			case e.key != key || e.gone:
			case e.function.Revision != r.Function.Revision:
				f.retire(e)
			case !e.busy && !e.retired && (best == nil || e.used.After(best.used)):
				best = e
			}
		}
		if best != nil {
			best.busy = true
			f.mu.Unlock()
			return best, nil
		}
		if f.makeRoom(promise) {
			e := f.add(era, key, promise, r)
			f.mu.Unlock()
			return e, nil
		}
		freed := f.freed
		f.mu.Unlock()
		select {
		case <-freed:
		case <-era.Done():
			return nil, errEnding
		case <-timer.C:
			return nil, &api.Error{Code: "TooManyRequestsException", Status: 429, Message: "This host has no room for one more function at once."}
		}
	}
}

// most is the memory that one environment may have here.
func (f *Functions) most() int64 {
	if f.Memory > 0 {
		return f.Memory
	}
	return 1 << 62
}

// makeRoom ends idle environments, those first that were idle for longest, until one more fits. The caller holds mu.
func (f *Functions) makeRoom(promise int64) bool {
	fits := func() bool {
		return len(f.environments) < maxEnvironments && (f.Memory == 0 || f.promised+promise <= f.Memory)
	}
	if fits() {
		return true
	}
	var oldest *environment
	for _, e := range f.environments {
		if !e.busy && !e.gone && (oldest == nil || e.used.Before(oldest.used)) {
			oldest = e
		}
	}
	if oldest != nil {
		f.end(oldest) // there is room when it is gone
	}
	return false
}

// add makes an environment, busy, and has it start. The caller holds mu.
func (f *Functions) add(era context.Context, key string, promise int64, r lambda.Run) *environment {
	for f.lastAddress = f.lastAddress.Next(); ; f.lastAddress = f.lastAddress.Next() {
		if !addresses.Contains(f.lastAddress.Next()) {
			f.lastAddress = firstAddress.Next()
		}
		if f.environments[f.lastAddress] == nil {
			break
		}
	}
	ctx, stop := context.WithCancel(era)
	e := &environment{
		id: prefix + random(8), address: f.lastAddress, key: key, function: r.Function, region: r.Scope.Region, promise: promise, busy: true,
		next: make(chan *invocation, 1), ended: make(chan struct{}), stop: stop, used: time.Now(),
	}
	stream := fmt.Sprintf("%s[%s]%s", f.Now().UTC().Format("2006/01/02/"), r.Function.Version, random(16))
	e.log = newJournal(f.Now, f.Observe, r.Scope, r.Function.LogGroup, stream)
	f.environments[e.address] = e
	f.promised += promise
	go f.boot(ctx, e)
	return e
}

// boot launches the sandbox, runs the runtime in it to its end, and clears up.
func (f *Functions) boot(ctx context.Context, e *environment) {
	defer close(e.ended)
	order, err := f.order(e)
	if err != nil {
		e.refused = err
		return
	}
	spec, err := f.spec(e)
	if err != nil {
		e.refused = err
		return
	}
	if err := f.Driver.Launch(ctx, spec); err != nil {
		f.Log.Warn("a function's sandbox could not be started", "function", e.function.ARN, "error", err)
		e.refused = unavailable("The function's sandbox could not be started: %v", err)
		return
	}
	e.started = time.Now()
	e.log.note("INIT_START Runtime Version: " + f.tools.version(e.function.Runtime) + "\n")
	code, failed := f.Driver.Exec(ctx, e.id, order)
	e.exit = code
	if failed != nil && (code == 126 || code == 127) {
		e.failed.CompareAndSwap(nil, &fault{Type: "Runtime.InvalidEntrypoint", Message: f.notStarted(e, code, failed)})
	}
}

func (f *Functions) notStarted(e *environment, code int, err error) string {
	if code == 127 && !f.code.holds(e.function.CodeHash, "bootstrap") {
		return "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
	}
	var cause interface{ Unwrap() error }
	if errors.As(err, &cause) {
		err = cause.(error)
	}
	return "fork/exec /var/task/bootstrap: " + err.Error()
}

// spec is the sandbox.
func (f *Functions) spec(e *environment) (driver.Spec, *api.Error) {
	code, err := f.code.folder(e.function.CodeHash)
	if err != nil {
		return driver.Spec{}, unavailable("The code of the function cannot be had: %v", err)
	}
	runtime, err := f.code.runtime()
	if err != nil {
		return driver.Spec{}, unavailable("The runtime of the function cannot be had: %v", err)
	}
	return driver.Spec{
		ID: e.id, Hostname: e.address.String(), PrivateIP: e.address, Subnet: addresses, Memory: e.promise,
		CPUs: min(max(1, float64(e.function.Memory)/1769), max(1, f.Cores)),
		Sandbox: &driver.Sandbox{
			Folders:   []driver.Folder{{Source: code, Target: "/var/task"}, {Source: runtime, Target: "/var/runtime"}},
			Scratch:   int64(e.function.Storage) << 20,
			Processes: processes,
		},
	}, nil
}

// lastWords says why a runtime has ended without an answer.
func (f *Functions) lastWords(e *environment) *fault {
	if said := e.failed.Load(); said != nil {
		return said
	}
	switch {
	case e.exit == 128+9 && f.ranOut(e):
		return &fault{Type: outOfMemory, Message: "Runtime exited with error: signal: killed"}
	case e.exit == 128+9:
		return &fault{Type: "Runtime.ExitError", Message: "Runtime exited with error: signal: killed"}
	case e.exit > 128 && signals[e.exit-128] != "":
		return &fault{Type: "Runtime.ExitError", Message: "Runtime exited with error: signal: " + signals[e.exit-128]}
	case e.exit != 0:
		return &fault{Type: "Runtime.ExitError", Message: fmt.Sprintf("Runtime exited with error: exit status %d", e.exit)}
	}
	return &fault{Type: "Runtime.ExitError", Message: "Runtime exited without providing a reason"}
}

var signals = map[int]string{4: "illegal instruction", 6: "aborted", 7: "bus error", 8: "floating point exception", 11: "segmentation fault", 15: "terminated"}

// release gives an environment back, or ends it.
func (f *Functions) release(e *environment, broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.busy, e.used = false, time.Now()
	select {
	case <-e.ended:
		broken = true
	default:
	}
	if broken || e.retired {
		f.end(e)
		return
	}
	f.announce()
}

// retire ends an environment as soon as it is idle. The caller holds mu.
func (f *Functions) retire(e *environment) {
	if e.retired = true; !e.busy {
		f.end(e)
	}
}

// announce wakes those who wait for room. The caller holds mu.
func (f *Functions) announce() {
	close(f.freed)
	f.freed = make(chan struct{})
}

// end throws an environment away. Its address and memory are free when nothing of it is left. The caller holds mu.
func (f *Functions) end(e *environment) {
	if e.gone {
		return
	}
	e.gone, e.busy = true, true
	f.ending.Go(func() {
		e.stop()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		<-e.ended
		for ctx.Err() == nil {
			err := f.Driver.Terminate(ctx, e.id)
			if err == nil {
				break
			}
			f.Log.Warn("a function's sandbox could not be ended", "id", e.id, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		e.log.finish()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.environments, e.address)
		f.promised -= e.promise
		f.dropUnused(e.function.CodeHash)
		f.announce()
	})
}

// memoryOf is what an environment uses; all are read at once, once a second at most.
func (f *Functions) memoryOf(e *environment) int64 {
	f.metering.Lock()
	defer f.metering.Unlock()
	if _, known := f.usage[e.id]; !known || time.Since(f.metered) > time.Second {
		f.meter()
	}
	return f.usage[e.id].Memory
}

// ranOut tells whether something in the environment was killed for want of memory.
func (f *Functions) ranOut(e *environment) bool {
	f.metering.Lock()
	defer f.metering.Unlock()
	f.meter()
	return f.usage[e.id].OutOfMemory > 0
}

func (f *Functions) meter() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := f.Driver.Measure(ctx)
	if err != nil {
		return
	}
	f.metered = time.Now()
	clear(f.usage)
	for _, u := range all {
		if Is(u.ID) {
			f.usage[u.ID] = u
		}
	}
}

func random(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}
