// Package daemon runs the control plane in real time: it is the loop that calls Step, makes changes durable, carries out
// effects with the driver and the balancer, measures, and feeds back what was seen.
//
// It decides nothing. Everything that is a matter of AWS's behaviour is in cloud/; everything that is a matter of this
// host is in driver/ and balancer/; here one is translated into the other.
//
// Invariants: an answer is sent, and an effect started, only when the changes it rests on are on the disk; effects about
// one instance are carried out one after the other, in the order of the wishes; whatever is lost on the way is found by
// the next inventory. Stopping leaves instances running, and the next start adopts them.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/store"
	"github.com/billow-cloud/billow/wire"
)

// Auth says whether requests must be signed.
type Auth string

const (
	AuthSigV4 Auth = "sigv4"
	AuthNone  Auth = "none"
)

// Config is what a daemon is made with.
type Config struct {
	Listen    string // host:port of the API
	Data      string // directory
	Driver    driver.Driver
	Modelled  bool // instances are records: no network, and no type is too large for the host
	Instant   bool // launches, stops and terminations are complete before the call that caused them is answered
	Host      Host
	Auth      Auth
	TimeScale float64
	DNSSuffix string
	Version   string
	Log       *slog.Logger
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// Daemon is a running server.
type Daemon struct {
	config     Config
	log        *slog.Logger
	store      *store.Store
	loop       *loop
	instances  *instances
	routes     *routes
	deliveries *deliveries
	access     Access
	api        http.Handler
	listener   net.Listener
	admin      net.Listener
	began      time.Time
	resetting  sync.RWMutex // held for reading by calls, for writing by reset
}

// The daemon's own rows stand beside the control plane's.
const (
	ownTable = "daemon"
	clockKey = "clock"
)

// Open binds the addresses, opens the store, loads the control plane and adopts what runs. Nothing is served before Run.
// Every error is one sentence for the person who started the server.
func Open(c Config) (d *Daemon, err error) {
	if c.Auth == AuthNone && !loopback(c.Listen) {
		return nil, fmt.Errorf("--auth none accepts anybody, so it may listen on a loopback address only, not on %s", c.Listen)
	}
	d = &Daemon{config: c, log: c.Log, began: time.Now()}
	defer func() {
		if err != nil {
			d.release()
		}
	}()
	if d.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", c.Listen, plainCause(err))
	}
	if d.store, err = store.Open(c.Data); err != nil {
		return nil, err
	}
	if d.access, err = openAccess(c.Data, "http://"+d.listener.Addr().String(), wire.DefaultAccount, wire.DefaultRegion); err != nil {
		return nil, err
	}
	if d.admin, err = listenSocket(c.Data); err != nil {
		return nil, err
	}
	if err = d.load(); err != nil {
		return nil, err
	}
	d.api = d.handler()
	return d, nil
}

// load reads the rows into a new control plane and joins the parts.
func (d *Daemon) load() error {
	control := d.newCloud()
	clock := Clock{Wall: d.began, Cloud: d.began, Scale: d.config.TimeScale}
	err := d.store.Load(func(table, key string, data []byte) error {
		if table == ownTable && key == clockKey {
			var before Clock
			if err := json.Unmarshal(data, &before); err != nil {
				return err
			}
			clock = before.rebase(d.began, d.config.TimeScale)
			return nil
		}
		return control.Load(table, key, data)
	})
	if err != nil {
		return err
	}
	d.store.Write([]store.Row{{Table: ownTable, Key: clockKey, Value: clock}})
	d.loop = &loop{clock: clock, store: d.store, log: d.log, cloud: control, rearm: make(chan struct{}, 1)}
	d.instances = newInstances(clock, d.log, d.config.Driver, d.config.Host, d.loop.observe)
	d.instances.modelled = d.config.Modelled
	d.routes = newRoutes(clock, d.log, d.config.Driver.Network().Dial, d.loop.observe)
	d.deliveries = newDeliveries(d.log)
	d.loop.effects = newEffects(d.store, d.log, effectKey, d.do)
	if d.config.Instant {
		d.loop.instant = func(e cloud.Effect) ([]cloud.Fact, bool) {
			if instanceOf(e) == "" {
				return nil, false
			}
			return d.instances.do(context.Background(), e), true
		}
	}
	return nil
}

func (d *Daemon) newCloud() *cloud.Cloud {
	return region.New(region.Options{Endpoint: d.access.Endpoint, DNSSuffix: d.config.DNSSuffix, AnyImage: d.config.Auth == AuthNone, Seed: seed()})
}

// effectKey puts effects about one thing in order; see effects.key.
func effectKey(e cloud.Effect) string {
	if e, ok := e.(sns.DeliverHTTP); ok {
		return e.SubscriptionARN
	}
	return instanceOf(e)
}

// do carries out one effect and observes what came of it.
func (d *Daemon) do(ctx context.Context, e cloud.Effect) {
	switch e := e.(type) {
	case elbv2.Route:
		d.routes.wish(e)
	case sns.DeliverHTTP:
		d.loop.observe(d.deliveries.do(ctx, e))
	default:
		d.loop.observe(d.instances.do(ctx, e)...)
	}
}

// Addr is the address that the API listens on.
func (d *Daemon) Addr() net.Addr { return d.listener.Addr() }

// Run serves until ctx ends, then stops in order and leaves instances running.
func (d *Daemon) Run(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	if err := d.instances.inventory(ctx); err != nil {
		d.release()
		return err
	}
	parts.Go(func() { d.instances.events(work) })
	parts.Go(func() { d.loop.effects.run(work) })
	parts.Go(func() { d.loop.ticks(work) })
	parts.Go(func() { d.routes.run(work) })
	parts.Go(func() { d.collect(work) })
	parts.Go(func() { d.look(work) })
	d.serveInside(work, &parts)

	servers := []*http.Server{{Handler: d.api}, {Handler: http.HandlerFunc(d.serveExec)}}
	failed := make(chan error, len(servers))
	for i, l := range []net.Listener{d.listener, d.admin} {
		servers[i].ReadHeaderTimeout = 10 * time.Second
		servers[i].IdleTimeout = 3 * time.Minute
		servers[i].ErrorLog = slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)
		go func() { failed <- servers[i].Serve(l) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, s := range servers {
		s.Shutdown(end)
	}
	stop()
	parts.Wait()
	d.routes.balancer.Close(end)
	return errors.Join(err, d.release())
}

// release closes what Open opened.
func (d *Daemon) release() error {
	for _, l := range []net.Listener{d.listener, d.admin} {
		if l != nil {
			l.Close()
		}
	}
	if d.store == nil {
		return nil
	}
	return d.store.Close()
}

// reset drops all state, instances included, and starts anew with an empty cloud.
func (d *Daemon) reset(ctx context.Context) error {
	d.resetting.Lock()
	defer d.resetting.Unlock()
	d.loop.effects.forget() // before the lock: what is under way ends with a fact, which is a step
	d.loop.mu.Lock()
	defer d.loop.mu.Unlock()
	if err := d.config.Driver.Reset(ctx); err != nil {
		return err
	}
	var gone []store.Row
	d.loop.cloud.Dump(func(table, key string, _ any) bool {
		gone = append(gone, store.Row{Table: table, Key: key})
		return true
	})
	ticket := d.store.Write(gone)
	d.loop.cloud = d.newCloud()
	d.routes.clear()
	return d.store.Wait(ctx, ticket)
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// plainCause drops the repetition of the address from a listen error.
func plainCause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
