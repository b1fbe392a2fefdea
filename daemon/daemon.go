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
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
	"github.com/billow-cloud/billow/daemon/functions"
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
	Listen    string                        // host:port of the API
	Data      string                        // directory
	Driver    func() (driver.Driver, error) // called when everything else has been found in order
	Modelled  bool                          // instances are records: no network, and no type is too large for the host
	Instant   bool                          // launches, stops and terminations are complete before the call that caused them is answered
	Host      Host
	Auth      Auth
	TimeScale float64
	DNSSuffix string
	// PublicPool is where public addresses come from; zero is DefaultPublicPool. A server takes a part of it.
	PublicPool netip.Prefix
	Flight     int64 // bytes of flight recording to keep; 0 is none
	Version    string
	Log        *slog.Logger
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// Daemon is a running server.
type Daemon struct {
	config     Config
	log        *slog.Logger
	store      *store.Store
	driver     driver.Driver
	loop       *loop
	instances  *instances
	routes     *routes
	publics    *publics // nil where instances are modelled
	deliveries *deliveries
	polls      *polls
	functions  *functions.Functions
	access     Access
	api        http.Handler
	listener   net.Listener
	admin      net.Listener
	began      time.Time
	resetting  sync.RWMutex // held for reading by calls, for writing by reset
}

// The daemon's own rows stand beside the control plane's.
const (
	ownTable  = "daemon"
	clockKey  = "clock"
	driverKey = "driver"
)

// Open binds the addresses, opens the store and the driver, loads the control plane and adopts what runs. Nothing is
// served before Run. Every error is one sentence for the person who started the server.
func Open(c Config) (*Daemon, error) {
	d := &Daemon{config: c, log: c.Log, began: time.Now()}
	if err := d.open(); err != nil {
		d.release()
		return nil, err
	}
	d.api = d.handler()
	return d, nil
}

func (d *Daemon) open() (err error) {
	c := d.config
	if c.Auth == AuthNone && !loopback(c.Listen) {
		return fmt.Errorf("--auth none accepts anybody, so it may listen on a loopback address only, not on %s", c.Listen)
	}
	if d.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("cannot listen on %s: %w", c.Listen, plainCause(err))
	}
	if d.store, err = store.Open(c.Data); err != nil {
		return err
	}
	d.store.Report = func(defect error) { d.log.Error("a change will not survive a restart", "defect", defect) }
	if d.access, err = openAccess(c.Data, endpoint(d.listener.Addr()), wire.DefaultAccount, wire.DefaultRegion); err != nil {
		return err
	}
	if d.admin, err = listenSocket(c.Data); err != nil {
		return err
	}
	if d.driver, err = c.Driver(); err != nil {
		return err
	}
	if !c.PublicPool.IsValid() {
		d.config.PublicPool = DefaultPublicPool
	}
	if !c.Modelled {
		if d.publics, err = newPublics(d.log, d.config.PublicPool, c.Data, d.driver.Network()); err != nil {
			return err
		}
	}
	return d.load()
}

// load reads the rows into a new control plane and joins the parts.
func (d *Daemon) load() error {
	control, options := d.newCloud()
	clock := Clock{Wall: d.began, Cloud: d.began, Scale: d.config.TimeScale}
	kind := d.driver.Name()
	err := d.store.Load(func(table, key string, data []byte) error {
		switch {
		case table != ownTable:
			return control.Load(table, key, data)
		case key == driverKey:
			return json.Unmarshal(data, &kind)
		case key == clockKey:
			var before Clock
			if err := json.Unmarshal(data, &before); err != nil {
				return err
			}
			clock = before.rebase(d.began, d.config.TimeScale)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the data directory %s cannot be used: %w", d.config.Data, err)
	}
	if kind != d.driver.Name() { // instances of the other kind would run on, unseen
		return fmt.Errorf("the data directory %s is that of a server with --driver %s; --driver %s needs another one", d.config.Data, kind, d.driver.Name())
	}
	d.store.Write([]store.Row{{Table: ownTable, Key: clockKey, Value: clock}, {Table: ownTable, Key: driverKey, Value: kind}})
	d.loop = &loop{clock: clock, store: d.store, log: d.log, cloud: control, rearm: make(chan struct{}, 1)}
	if d.config.Flight > 0 {
		d.loop.flight = newRecorder(d.config.Data, d.config.Flight, options, d.config.TimeScale, d.log)
	}
	d.instances = newInstances(clock, d.log, d.driver, d.config.Host, d.loop.observe)
	d.instances.modelled = d.config.Modelled
	d.routes = newRoutes(clock, d.log, d.driver.Network().Dial, d.loop.observe)
	d.deliveries, d.polls = newDeliveries(), newPolls()
	d.functions = functions.New(functions.Config{
		Log: d.log, Driver: d.driver, Data: d.config.Data, Endpoint: "http://" + gatewayAddress, Memory: d.config.Host.Memory, Cores: d.config.Host.Cores,
		Modelled: d.config.Modelled, Now: clock.Now, Observe: d.loop.observe,
	})
	d.loop.effects = newEffects(d.store, d.log, effectKey, d.do)
	if d.config.Instant {
		d.loop.instant = func(e cloud.Effect) ([]cloud.Fact, bool) {
			if instanceOf(e) == "" {
				return nil, false
			}
			ctx := context.Background()
			return append(d.instances.do(ctx, e), d.instances.news(ctx)...), true
		}
	}
	return nil
}

func (d *Daemon) newCloud() (*cloud.Cloud, region.Options) {
	o := region.Options{Endpoint: d.access.Endpoint, DNSSuffix: d.config.DNSSuffix, AnyImage: d.config.Auth == AuthNone, Seed: seed(), Explain: true,
		NoVolumes: d.driver.NoVolumes()}
	if o.PublicPool = d.config.PublicPool; d.publics != nil {
		o.PublicPool = d.publics.home
	}
	return region.New(o), o
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
	case ec2.BindAddress:
		if d.publics != nil {
			d.publics.wish(e)
		}
	case sqs.Arrived:
		d.polls.arrived(e)
	case sns.DeliverHTTP:
		d.loop.observe(d.deliveries.do(ctx, e))
	default:
		if !d.functions.Wish(e) {
			d.loop.observe(d.instances.do(ctx, e)...)
		}
	}
}

// Notes says in plain sentences what this host takes away of public addresses.
func (d *Daemon) Notes() []string {
	if d.publics == nil {
		return nil
	}
	return d.publics.notes()
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
	if !d.config.Instant { // there, what an effect makes happen belongs to its step
		parts.Go(func() { d.instances.events(work) })
	}
	parts.Go(func() { d.loop.effects.run(work) })
	parts.Go(func() { d.loop.ticks(work) })
	parts.Go(func() { d.routes.run(work) })
	if d.publics != nil {
		parts.Go(func() { d.publics.run(work) })
	}
	// Calls that are under way while the servers shut down may be waiting for functions.
	running, endRunning := context.WithCancel(context.WithoutCancel(ctx))
	defer endRunning()
	parts.Go(func() { d.functions.Run(running) })
	parts.Go(func() { d.collect(work) })
	parts.Go(func() { d.look(work) })
	parts.Go(func() { d.check(work) })
	d.serveInside(work, &parts)

	servers := []*http.Server{{Handler: d.api}, {Handler: d.serveAdmin()}}
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
	d.polls.end()
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, s := range servers {
		s.Shutdown(end)
	}
	stop()
	endRunning()
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
	if d.publics != nil {
		d.publics.close()
	}
	var err error
	if d.loop != nil {
		d.loop.flight.close()
	}
	if d.driver != nil {
		err = d.driver.Close()
	}
	if d.store != nil {
		err = errors.Join(err, d.store.Close())
	}
	return err
}

// reset drops all state, instances included, and starts anew with an empty cloud. Once begun it is not given up: half a
// cloud would be left.
func (d *Daemon) reset(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	d.resetting.Lock()
	defer d.resetting.Unlock()
	d.loop.halt(true)
	defer d.functions.Tell()
	defer d.loop.halt(false)
	d.loop.effects.forget() // what is under way ends; that nobody hears of it does not matter any more
	d.functions.Forget()
	if err := d.driver.Reset(ctx); err != nil {
		return err
	}
	d.loop.mu.Lock()
	var gone []store.Row
	d.loop.cloud.Dump(func(table, key string, _ any) bool {
		gone = append(gone, store.Row{Table: table, Key: key})
		return true
	})
	ticket := d.store.Write(gone)
	control, options := d.newCloud()
	d.loop.cloud = control
	d.loop.flight.reset(options)
	d.loop.mu.Unlock()
	d.routes.clear()
	d.polls.clear()
	if d.publics != nil {
		d.publics.clear()
	}
	return d.store.Wait(ctx, ticket)
}

// endpoint is the URL for clients on this machine.
func endpoint(a net.Addr) string {
	address := a.(*net.TCPAddr).AddrPort()
	if ip := address.Addr(); ip.IsUnspecified() {
		address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	}
	return "http://" + address.String()
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// plainCause says why an address cannot be listened on, and what to do about it.
func plainCause(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return errors.New("another program uses that address; choose another one with --listen")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return errors.New("this machine does not have that address")
	case errors.Is(err, syscall.EACCES):
		return errors.New("this user may not; ports below 1024 need root or CAP_NET_BIND_SERVICE")
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
