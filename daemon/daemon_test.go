package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/api"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	snsapi "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/sim"
	"github.com/billow-cloud/billow/store"
	"github.com/billow-cloud/billow/wire"
)

// world is a daemon with the real region and modelled instances, on which a test can lay its hands.
type world struct {
	*Daemon
	t    *testing.T
	stop func()
}

// begin opens and runs a daemon until the test ends or stop is called.
func begin(t *testing.T, c Config, wrap func(driver.Driver) driver.Driver) *world {
	t.Helper()
	c.Listen, c.Modelled, c.DNSSuffix, c.Log = "127.0.0.1:0", true, "localhost", slog.New(slog.DiscardHandler)
	if c.Data == "" {
		c.Data = t.TempDir()
	}
	if c.TimeScale == 0 {
		c.TimeScale = 1
	}
	c.Driver = func() (driver.Driver, error) {
		d, err := sim.New(sim.Config{Dir: filepath.Join(c.Data, "sim")})
		if err != nil || wrap == nil {
			return d, err
		}
		return wrap(d), nil
	}
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	w := &world{Daemon: d, t: t, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
	})}
	t.Cleanup(w.stop)
	return w
}

// do makes a call as the wire does, once it has decoded a request.
func do[Out any](w *world, service, operation string, in any) (*Out, error) {
	out, err := w.Call(context.Background(), wire.Call{
		Account: wire.DefaultAccount, Region: wire.DefaultRegion, Service: service, Operation: operation, In: in,
	})
	typed, _ := out.(*Out)
	return typed, err
}

func must[Out any](w *world, service, operation string, in any) *Out {
	w.t.Helper()
	out, err := do[Out](w, service, operation, in)
	if err != nil {
		w.t.Fatalf("%s: %v", operation, err)
	}
	return out
}

func (w *world) launch() string {
	w.t.Helper()
	out := must[ec2api.RunInstancesOutput](w, ec2.Name, "RunInstances", &ec2api.RunInstancesInput{
		ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1)),
	})
	return *out.Instances[0].InstanceId
}

// instanceStates are those of all instances that are not terminated, by ID.
func (w *world) instanceStates() map[string]string {
	w.t.Helper()
	states := map[string]string{}
	for _, r := range must[ec2api.DescribeInstancesOutput](w, ec2.Name, "DescribeInstances", &ec2api.DescribeInstancesInput{}).Reservations {
		for _, i := range r.Instances {
			if s := *i.State.Name; s != ec2.Terminated {
				states[*i.InstanceId] = s
			}
		}
	}
	return states
}

func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	w.t.Fatalf("it did not happen that %s", what)
}

// onDisk tells whether another process would find an instance's row in the store now.
func onDisk(t *testing.T, dir, instance string) bool {
	t.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(dir, "billow.db"), sqlite.OpenReadOnly)
	if err != nil {
		t.Error(err)
		return false
	}
	defer conn.Close()
	found := false
	err = sqlitex.ExecuteTransient(conn, "select 1 from rows where tbl = 'ec2.instances' and key like ?", &sqlitex.ExecOptions{
		Args: []any{"%" + instance + "%"}, ResultFunc: func(*sqlite.Stmt) error { found = true; return nil },
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

// spy is a driver whose launches a test can watch, delay or lose.
type spy struct {
	driver.Driver
	launch func(ctx context.Context, s driver.Spec, really func() error) error
}

func (s spy) Launch(ctx context.Context, spec driver.Spec) error {
	return s.launch(ctx, spec, func() error { return s.Driver.Launch(ctx, spec) })
}

func TestEffectsAndAnswersComeAfterTheDisk(t *testing.T) {
	dir := t.TempDir()
	launched := make(chan bool, 1)
	w := begin(t, Config{Auth: AuthNone, Data: dir}, func(d driver.Driver) driver.Driver {
		return spy{d, func(_ context.Context, s driver.Spec, really func() error) error {
			launched <- onDisk(t, dir, s.ID)
			return really()
		}}
	})
	id := w.launch()
	if !onDisk(t, dir, id) {
		t.Error("the call was answered before its rows were on the disk")
	}
	if !<-launched {
		t.Error("the launch began before its rows were on the disk")
	}
	w.await("it runs", func() bool { return w.instanceStates()[id] == ec2.Running })
}

func TestInstantEffectsAreDoneWithTheAnswer(t *testing.T) {
	w := begin(t, Config{Auth: AuthNone, Instant: true}, nil)
	id := w.launch()
	if s := w.instanceStates(); s[id] != ec2.Running {
		t.Errorf("after the answer: %v", s)
	}
	must[ec2api.StopInstancesOutput](w, ec2.Name, "StopInstances", &ec2api.StopInstancesInput{InstanceIds: []string{id}})
	if s := w.instanceStates(); s[id] != ec2.Stopped {
		t.Errorf("after stop: %v", s)
	}
	must[ec2api.TerminateInstancesOutput](w, ec2.Name, "TerminateInstances", &ec2api.TerminateInstancesInput{InstanceIds: []string{id}})
	if s := w.instanceStates(); len(s) != 0 {
		t.Errorf("after terminate: %v", s)
	}
}

// TestALostWishIsMadeAgain: the daemon ends while a launch is under way, and nobody hears of it.
func TestALostWishIsMadeAgain(t *testing.T) {
	dir, begun := t.TempDir(), make(chan struct{})
	w := begin(t, Config{Auth: AuthNone, Data: dir}, func(d driver.Driver) driver.Driver {
		return spy{d, func(ctx context.Context, _ driver.Spec, _ func() error) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		}}
	})
	id := w.launch()
	<-begun
	w.stop()
	w = begin(t, Config{Auth: AuthNone, Data: dir}, nil)
	w.await("it runs", func() bool { s := w.instanceStates(); return len(s) == 1 && s[id] == ec2.Running })
	if seen, err := w.driver.Inventory(t.Context()); err != nil || len(seen.Instances) != 1 {
		t.Errorf("on the host: %+v (%v)", seen, err)
	}
}

func TestWhatNobodyAskedForGoesAway(t *testing.T) {
	w := begin(t, Config{Auth: AuthNone, Instant: true}, nil)
	id := w.launch()
	stray := driver.Spec{ID: "i-stray", PrivateIP: netip.MustParseAddr("172.31.15.200"), Subnet: netip.MustParsePrefix("172.31.0.0/20")}
	if err := w.driver.Launch(t.Context(), stray); err != nil {
		t.Fatal(err)
	}
	w.await("the host has what the rows say", func() bool {
		if err := w.instances.inventory(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen, err := w.driver.Inventory(t.Context())
		return err == nil && len(seen.Instances) == 1 && seen.Instances[0].ID == id
	})
}

func TestRunningInstancesAreAdopted(t *testing.T) {
	dir := t.TempDir()
	w := begin(t, Config{Auth: AuthNone, Data: dir}, nil)
	ids := []string{w.launch(), w.launch()}
	w.await("both run", func() bool { s := w.instanceStates(); return s[ids[0]] == ec2.Running && s[ids[1]] == ec2.Running })
	w.stop()
	// While the daemon is down one of them goes; the other is left alone.
	d, err := sim.New(sim.Config{Dir: filepath.Join(dir, "sim")})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Terminate(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	before, err := d.Inventory(t.Context())
	d.Close()
	if err != nil {
		t.Fatal(err)
	}
	var inner driver.Driver
	w = begin(t, Config{Auth: AuthNone, Data: dir}, func(d driver.Driver) driver.Driver { inner = d; return d })
	w.await("the one that is gone is terminated", func() bool {
		s := w.instanceStates()
		return len(s) == 1 && s[ids[1]] == ec2.Running
	})
	after, err := inner.Inventory(t.Context())
	if err != nil || len(after.Instances) != 1 || !after.Instances[0].Started.Equal(before.Instances[0].Started) {
		t.Errorf("adopted %+v, was %+v (%v)", after, before, err)
	}
}

func TestTheCloudsClockGoesOnOverRestarts(t *testing.T) {
	dir := t.TempDir()
	last := time.Time{}
	for _, scale := range []float64{5000, 1, 60} {
		w := begin(t, Config{Auth: AuthNone, Data: dir, TimeScale: scale}, nil)
		now := w.loop.clock.Now()
		if now.Before(last) || !last.IsZero() && now.Sub(last) > 24*time.Hour {
			t.Errorf("at scale %g the clock went from %v to %v", scale, last, now)
		}
		w.launch()
		w.stop()
		last = w.loop.clock.Now()
	}
}

func TestAnotherDriverIsRefused(t *testing.T) {
	dir := t.TempDir()
	w := begin(t, Config{Auth: AuthNone, Data: dir}, nil)
	w.launch()
	w.stop()
	_, err := Open(Config{
		Listen: "127.0.0.1:0", Data: dir, TimeScale: 1, Log: slog.New(slog.DiscardHandler),
		Driver: func() (driver.Driver, error) { d, err := sim.New(sim.Config{}); return renamed{d}, err },
	})
	if err == nil || !strings.Contains(err.Error(), "--driver sim") {
		t.Errorf("opened with another driver: %v", err)
	}
}

type renamed struct{ driver.Driver }

func (renamed) Name() string { return "netns" }

func TestResetUnderLoad(t *testing.T) {
	for _, instant := range []bool{true, false} {
		t.Run(fmt.Sprint("instant ", instant), func(t *testing.T) {
			var inner driver.Driver
			w := begin(t, Config{Auth: AuthNone, Instant: instant}, func(d driver.Driver) driver.Driver { inner = d; return d })
			for range 3 {
				ctx, cancel := context.WithCancel(context.Background())
				var load sync.WaitGroup
				for range 4 {
					load.Go(func() {
						for ctx.Err() == nil {
							w.launch()
						}
					})
				}
				w.await("there is something to drop", func() bool { return len(w.instanceStates()) > 20 })
				gone, known := w.instanceStates(), 0
				w.post("/_billow/reset", http.StatusOK)
				for id := range w.instanceStates() {
					if gone[id] != "" {
						known++
					}
				}
				if known > 0 {
					t.Errorf("%d instances outlived the reset", known)
				}
				cancel()
				load.Wait()
			}
			w.post("/_billow/reset", http.StatusOK)
			seen, err := inner.Inventory(t.Context())
			if err != nil || len(seen.Instances) != 0 || len(w.instanceStates()) != 0 {
				t.Errorf("after the reset: %+v, %v, %v", seen, w.instanceStates(), err)
			}
			w.stop()
			again := begin(t, Config{Auth: AuthNone, Data: w.config.Data}, nil)
			if s := again.instanceStates(); len(s) != 0 {
				t.Errorf("after a restart there is %v", s)
			}
		})
	}
}

// TestResetWaitsForWhatIsUnderWay: a launch that has begun ends before the answer, and its instance is gone with it.
func TestResetWaitsForWhatIsUnderWay(t *testing.T) {
	var inner driver.Driver
	begun, release := make(chan struct{}), make(chan struct{})
	w := begin(t, Config{Auth: AuthNone}, func(d driver.Driver) driver.Driver {
		inner = d
		return spy{d, func(_ context.Context, _ driver.Spec, really func() error) error {
			close(begun)
			<-release
			return really()
		}}
	})
	w.launch()
	<-begun
	answered := make(chan struct{})
	go func() { w.post("/_billow/reset", http.StatusOK); close(answered) }()
	w.await("the reset has begun", func() bool { w.loop.mu.Lock(); defer w.loop.mu.Unlock(); return w.loop.halted })
	close(release)
	<-answered
	if seen, err := inner.Inventory(t.Context()); err != nil || len(seen.Instances) != 0 {
		t.Errorf("left: %+v (%v)", seen, err)
	}
}

func TestResetNeedsAuthNone(t *testing.T) {
	w := begin(t, Config{Auth: AuthSigV4}, nil)
	w.post("/_billow/reset", http.StatusForbidden)
}

func (w *world) post(path string, want int) {
	w.t.Helper()
	r, err := http.Post("http://"+w.Addr().String()+path, "", nil)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer r.Body.Close()
	if body, _ := io.ReadAll(r.Body); r.StatusCode != want {
		w.t.Errorf("POST %s: %d %s", path, r.StatusCode, body)
	}
}

// TestSubscribersFollowLinks: what SNS sends is delivered, and its links work without a signature.
func TestSubscribersFollowLinks(t *testing.T) {
	type message struct{ Type, Message, SubscribeURL, UnsubscribeURL string }
	got := make(chan message, 10)
	subscriber := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		got <- m
	}))
	defer subscriber.Close()
	w := begin(t, Config{Auth: AuthSigV4}, nil)
	topic := must[snsapi.CreateTopicOutput](w, sns.Name, "CreateTopic", &snsapi.CreateTopicInput{Name: new("news")}).TopicArn
	must[snsapi.SubscribeOutput](w, sns.Name, "Subscribe", &snsapi.SubscribeInput{TopicArn: topic, Protocol: new("http"), Endpoint: &subscriber.URL})
	next := func() message {
		select {
		case m := <-got:
			return m
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was delivered")
			return message{}
		}
	}
	w.follow(next().SubscribeURL, "ConfirmSubscriptionResult")
	must[snsapi.PublishOutput](w, sns.Name, "Publish", &snsapi.PublishInput{TopicArn: topic, Message: new("hello")})
	m := next()
	if m.Type != "Notification" || m.Message != "hello" {
		t.Errorf("delivered %+v", m)
	}
	w.follow(m.UnsubscribeURL, "UnsubscribeResponse")
	if l := must[snsapi.ListSubscriptionsOutput](w, sns.Name, "ListSubscriptions", &snsapi.ListSubscriptionsInput{}); len(l.Subscriptions) != 0 {
		t.Errorf("left after the link to unsubscribe: %+v", l.Subscriptions)
	}
}

func (w *world) follow(link, want string) {
	w.t.Helper()
	r, err := http.Get(link)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	if body, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
		w.t.Errorf("%s: %d %s", link, r.StatusCode, body)
	}
}

// TestAFailingStore: while the disk refuses, what would change something is refused before it does, and questions are
// answered; then all goes on.
func TestAFailingStore(t *testing.T) {
	w := begin(t, Config{Auth: AuthNone, Instant: true}, nil)
	before := w.launch()
	w.store.Patience = 0
	w.store.Write(nil)
	broken := w.breakStore()
	if _, err := do[ec2api.RunInstancesOutput](w, ec2.Name, "RunInstances", &ec2api.RunInstancesInput{
		ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1)),
	}); api.Value(errorCode(err)) != "ServiceUnavailable" {
		t.Errorf("a launch on a disk that refuses: %v", err)
	}
	if s := w.instanceStates(); len(s) != 1 || s[before] != ec2.Running {
		t.Errorf("meanwhile: %v", s)
	}
	broken()
	w.await("launches are taken again", func() bool { return w.store.Failing() == nil })
	after := w.launch()
	if s := w.instanceStates(); len(s) != 2 || s[after] != ec2.Running {
		t.Errorf("afterwards: %v", s)
	}
}

func errorCode(err error) *string {
	if e, ok := err.(*api.Error); ok {
		return &e.Code
	}
	return nil
}

// breakStore makes commits fail, by a trigger, until the function that it returns is called.
func (w *world) breakStore() (mend func()) {
	w.t.Helper()
	run := func(statement string) {
		w.t.Helper()
		conn, err := sqlite.OpenConn(filepath.Join(w.config.Data, "billow.db"), sqlite.OpenReadWrite)
		if err != nil {
			w.t.Fatal(err)
		}
		defer conn.Close()
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			w.t.Fatal(err)
		}
	}
	run("create trigger refuse before update on rows begin select raise(fail, 'no room'); end")
	w.store.Write([]store.Row{{Table: ownTable, Key: clockKey, Value: w.loop.clock}})
	w.await("commits fail", func() bool { return w.store.Failing() != nil })
	return func() { run("drop trigger refuse") }
}

func TestMetadataTokens(t *testing.T) {
	options := ec2.MetadataOptions{HTTPEndpoint: "enabled", HTTPTokens: "required"}
	m := &metadataServer{key: random(32), ask: func(r *http.Request, in *ec2.MetadataInput) (*ec2.MetadataOutput, error) {
		if in.PrivateIP == "192.0.2.9" {
			return nil, api.Errorf("InvalidInstanceID.NotFound", "none")
		}
		return &ec2.MetadataOutput{InstanceID: "i-" + in.PrivateIP, Options: options, Items: []ec2.MetadataItem{
			{Path: "meta-data/instance-id", Value: "i-1"}, {Path: "meta-data/placement/region", Value: "us-east-1"},
			{Path: "meta-data/public-keys", Value: "0=mine"}, {Path: "meta-data/public-keys/0/openssh-key", Value: "ssh-ed25519 AAAA mine"},
			{Path: "dynamic/instance-identity/document", Value: "{}"},
		}}, nil
	}}
	ask := func(from, method, path string, header ...string) (int, string) {
		r := httptest.NewRequest(method, "http://169.254.169.254"+path, nil)
		r.RemoteAddr = from + ":1"
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	const a, b = "192.0.2.1", "192.0.2.2"
	_, token := ask(a, "PUT", "/latest/api/token", ttlHeader, "60")
	_, expired := ask(a, "PUT", "/latest/api/token", ttlHeader, "0") // EC-MD-02
	for _, c := range []struct {
		from, method, path string
		header             []string
		status             int
		body               string
	}{
		{a, "GET", "/latest/meta-data/instance-id", []string{tokenHeader, token}, 200, "i-1"},
		{a, "GET", "/2021-07-15/meta-data/instance-id", []string{tokenHeader, token}, 200, "i-1"},
		{a, "GET", "/latest/meta-data/", []string{tokenHeader, token}, 200, "instance-id\nplacement/\npublic-keys/"},
		{a, "GET", "/latest/meta-data/public-keys/", []string{tokenHeader, token}, 200, "0=mine"},
		{a, "GET", "/latest/meta-data/public-keys/0/", []string{tokenHeader, token}, 200, "openssh-key"},
		{a, "GET", "/latest/meta-data/public-keys/0/openssh-key", []string{tokenHeader, token}, 200, "ssh-ed25519 AAAA mine"},
		{a, "GET", "/", []string{tokenHeader, token}, 200, "latest"},
		{a, "POST", "/latest/api/token", []string{ttlHeader, "60"}, 403, "Forbidden"},
		{a, "GET", "/latest/api/token", nil, 405, "Method Not Allowed"},
		{a, "GET", "/latest/", []string{tokenHeader, token}, 200, "dynamic\nmeta-data"},
		{a, "GET", "/latest/meta-data/none", []string{tokenHeader, token}, 404, "Not Found"},
		{a, "GET", "/latest/user-data", []string{tokenHeader, token}, 404, "Not Found"},
		{a, "GET", "/latest/meta-data/instance-id", nil, 401, "Unauthorized"},
		{a, "GET", "/latest/meta-data/instance-id", []string{tokenHeader, expired}, 401, "Unauthorized"},
		{a, "GET", "/latest/meta-data/instance-id", []string{tokenHeader, "nonsense"}, 401, "Unauthorized"},
		{b, "GET", "/latest/meta-data/instance-id", []string{tokenHeader, token}, 401, "Unauthorized"}, // another instance's
		{"192.0.2.9", "GET", "/latest/meta-data/instance-id", nil, 404, "Not Found"},
		{a, "PUT", "/latest/api/token", nil, 400, "Bad Request"},
		{a, "PUT", "/latest/api/token", []string{ttlHeader, "21601"}, 400, "Bad Request"},
		{a, "PUT", "/latest/api/token", []string{ttlHeader, "60", "X-Forwarded-For", "1.2.3.4"}, 403, "Forbidden"},
		{a, "POST", "/latest/meta-data/instance-id", []string{tokenHeader, token}, 403, "Forbidden"},
	} {
		if status, body := ask(c.from, c.method, c.path, c.header...); status != c.status || body != c.body {
			t.Errorf("%s %s %v: %d %q, want %d %q", c.method, c.path, c.header, status, body, c.status, c.body)
		}
	}
	options.HTTPTokens = "optional"
	if status, body := ask(a, "GET", "/latest/meta-data/instance-id"); status != 200 || body != "i-1" {
		t.Errorf("version 1: %d %q", status, body)
	}
	options.HTTPEndpoint = "disabled"
	if status, _ := ask(a, "GET", "/latest/meta-data/instance-id"); status != 403 {
		t.Errorf("switched off: %d", status)
	}
}

// EC-MD-03: a token goes no further than the instance's hop limit.
func TestMetadataHopLimit(t *testing.T) {
	m := &metadataServer{key: random(32), ask: func(*http.Request, *ec2.MetadataInput) (*ec2.MetadataOutput, error) {
		return &ec2.MetadataOutput{Options: ec2.MetadataOptions{HTTPEndpoint: "enabled", HopLimit: 3}}, nil
	}}
	conns := make(chan net.Conn, 1)
	server := httptest.NewUnstartedServer(m)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		conns <- c
		return keepConn(ctx, c)
	}
	server.Start()
	defer server.Close()
	r, err := http.NewRequest("PUT", server.URL+"/latest/api/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(ttlHeader, "60")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	raw, err := (<-conns).(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if hops, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL); hops != 3 || err != nil {
			t.Errorf("the answer may go %d hops: %v", hops, err)
		}
	})
}

// TestKeysOf12DigitsAreAccounts: with --auth none they select whose cloud it is; all others are the default account's.
func TestKeysOf12DigitsAreAccounts(t *testing.T) {
	w := begin(t, Config{Auth: AuthNone, Instant: true}, nil)
	ask := func(key, form string) string {
		r, err := http.NewRequest("POST", "http://"+w.Addr().String(), strings.NewReader(form+"&Version=2016-11-15"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	const run = "Action=RunInstances&ImageId=ami-0123456789abcdef0&InstanceType=t3.micro&MinCount=1&MaxCount=1"
	var addresses []string
	for _, key := range []string{"111111111111", "222222222222", "anything"} {
		_, after, _ := strings.Cut(ask(key, run), "<privateIpAddress>")
		address, _, _ := strings.Cut(after, "<")
		addresses = append(addresses, address)
		all := ask(key, "Action=DescribeInstances")
		if n := strings.Count(all, "<instanceId>"); n != 1 {
			t.Errorf("%s sees %d instances", key, n)
		}
	}
	if slices.Sort(addresses); addresses[0] == "" || len(slices.Compact(addresses)) != 3 {
		t.Errorf("instances of three accounts share one network, and have the addresses %v", addresses)
	}
}
