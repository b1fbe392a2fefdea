package fuzz

import (
	"container/heap"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/sns"
)

// world is the host, the data plane and what is on its way between them and the daemon.
type world struct {
	now    time.Time // never goes back, whatever the daemon's clock shows
	queue  events
	serial int
	nature *rand.Rand

	hosts  map[string]*host
	images map[string]bool
	disks  disks

	executing map[string]bool // Runs that the runner has under way, by request and attempt
	lives     int             // of the runner: it ends with the daemon

	routes map[string]elbv2.Route // that the data plane has
	dark   map[string]bool        // zones that have vanished
	full   map[string]bool        // zones without room
	broken bool                   // nothing can be launched anywhere
	first  bool                   // the next inventory is a daemon's first
	well   bool                   // the daemon has told of the last status checks, and all passed
	load   float64                // CPU percents, shared by all instances
	looks  time.Duration          // between inventories; health checks come six times as often
	meters time.Duration          // between measurements
}

// host is an instance as it is on the host. One that is booting does not show.
type host struct {
	state, reason string
	sick          bool
	boots         int // counts wishes to boot, so that an old boot does not end a new one
}

const (
	booting = "booting"
	running = "running"
	stopped = "stopped"
)

// room is how many instances the world has room for.
const room = 36

func newWorld(nature *rand.Rand) *world {
	return &world{now: start, nature: nature, hosts: map[string]*host{}, images: map[string]bool{}, disks: newDisks(), executing: map[string]bool{}, routes: map[string]elbv2.Route{},
		dark: map[string]bool{}, full: map[string]bool{}, load: 200, looks: time.Minute,
		meters: []time.Duration{time.Minute, 5 * time.Minute, 5 * time.Minute}[nature.IntN(3)]}
}

// event is what happens at an instant: a fact reaches the daemon, a wish of the daemon's is carried out, or neither.
type event struct {
	at     time.Time
	number int
	fact   cloud.Fact
	wish   cloud.Effect
	what   func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].number < e[j].number
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (w *world) later(after time.Duration, e event) {
	w.serial++
	e.at, e.number = w.now.Add(after), w.serial
	heap.Push(&w.queue, e)
}

// forget loses what the daemon had in hand.
func (w *world) forget() {
	w.queue = slices.DeleteFunc(w.queue, func(e event) bool { return e.fact != nil || e.wish != nil })
	heap.Init(&w.queue)
	clear(w.executing)
	w.lives++
}

// between draws a span.
func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.nature.Int64N(int64(high-low)))
}

// happen takes the next event; facts of the same instant come together.
func (r *run) happen() {
	e := heap.Pop(&r.queue).(event)
	switch {
	case e.what != nil:
		e.what()
	case e.wish != nil:
		r.carryOut(e.wish)
	default:
		facts := []cloud.Fact{e.fact}
		for len(r.queue) > 0 && r.queue[0].fact != nil && r.queue[0].at.Equal(e.at) && len(facts) < 100 {
			facts = append(facts, heap.Pop(&r.queue).(event).fact)
		}
		r.do(cloud.Observed{Facts: facts})
	}
}

// tell has the daemon hear of something.
func (r *run) tell(f cloud.Fact) {
	delay := time.Millisecond
	if r.strikes(Facts, 80) {
		delay = time.Duration(1+r.upTo(Facts, 300)) * time.Second
	}
	r.later(delay, event{fact: f})
	if r.strikes(Facts, 80) {
		r.later(delay+time.Duration(r.upTo(Facts, 300))*time.Second, event{fact: f})
	}
}

// wish takes an effect from the daemon.
func (r *run) wish(e cloud.Effect) {
	if route, ok := e.(elbv2.Route); ok {
		r.reroute(route)
		return
	}
	if r.strikes(Lost, 50) {
		return
	}
	delay := time.Millisecond
	if r.on.Has(Reordered) && !r.calm && r.strikes(Reordered, 300) {
		delay = time.Duration(r.upTo(Reordered, 8000)) * time.Millisecond
	}
	if r.strikes(Late, 50) {
		delay = time.Duration(1+r.upTo(Late, 1200)) * time.Second
	}
	r.later(delay, event{wish: e})
	if r.strikes(Doubled, 50) {
		r.later(delay+time.Duration(r.upTo(Doubled, 120))*time.Second, event{wish: e})
	}
}

// carryOut has the world answer a wish.
func (r *run) carryOut(e cloud.Effect) {
	switch e := e.(type) {
	case ec2.LaunchInstance:
		r.boot(e.Spec, true)
	case ec2.StartInstance:
		r.boot(e.Spec, false)
	case ec2.StopInstance:
		if h := r.hosts[e.ID]; h != nil {
			h.state, h.reason = stopped, ec2.ExitStopped
			h.boots++
			r.later(r.between(time.Millisecond, 5*time.Second), event{fact: ec2.InstanceStopped{ID: e.ID}})
		}
	case ec2.TerminateInstance:
		delete(r.hosts, e.ID)
		r.disks.free(e.ID)
		r.tell(ec2.InstanceTerminated{ID: e.ID})
	case ec2.CaptureImage:
		r.capture(e)
	case ec2.DeleteImage:
		delete(r.images, e.ImageID)
	case sns.DeliverHTTP:
		var message struct{ Token string }
		if json.Unmarshal([]byte(e.Body), &message) == nil {
			r.learn("token", message.Token)
		}
		status := 200
		if !r.calm {
			status = []int{200, 200, 404, 500, 0}[r.nature.IntN(5)]
		}
		r.tell(sns.Delivered{MessageID: e.MessageID, SubscriptionARN: e.SubscriptionARN, Attempt: e.Attempt, Status: status})
	case lambda.Run:
		r.execute(e)
	default:
		r.store(e)
	}
}

// boot starts an instance that was never there, or one that is stopped. One that runs is left alone.
func (r *run) boot(s ec2.Spec, launch bool) {
	h, zone := r.hosts[s.ID], r.rows.zone[s.ID]
	if h != nil && (h.state == running || launch && h.state == stopped) {
		r.tell(ec2.InstanceRunning{ID: s.ID})
		return
	}
	if h == nil && !launch { // its disk is gone
		r.tell(ec2.LaunchFailed{ID: s.ID, Code: "Server.InternalError", Message: "It is not there."})
		return
	}
	if !r.calm {
		code := ""
		switch {
		case r.dark[zone], r.full[zone], h == nil && len(r.hosts) >= room:
			code = "Server.InsufficientInstanceCapacity"
		case r.broken:
			code = "Server.InternalError"
		case r.strikes(Launch, 60):
			code = []string{"Server.InsufficientInstanceCapacity", "Server.InternalError", "Client.InvalidParameterValue"}[r.upTo(Launch, 3)]
		case r.strikes(Hang, 30):
			return // it will never be heard of
		}
		if code != "" {
			r.tell(ec2.LaunchFailed{ID: s.ID, Code: code, Message: "It does not start."})
			return
		}
	}
	if h == nil {
		h = &host{}
		r.hosts[s.ID] = h
	}
	h.state = booting
	h.boots++
	boots := h.boots
	r.later(r.between(time.Second, time.Minute), event{what: func() {
		if h.boots != boots || r.hosts[s.ID] != h {
			return
		}
		if r.dark[zone] {
			delete(r.hosts, s.ID)
			r.disks.free(s.ID)
			return
		}
		r.disks.bring(s)
		h.state, h.reason, h.sick = running, "", r.strikes(Hang, 60)
		r.tell(ec2.InstanceRunning{ID: s.ID})
	}})
}

// capture makes an image, of an instance that is stopped for it if that is asked for.
func (r *run) capture(e ec2.CaptureImage) {
	h := r.hosts[e.InstanceID]
	if h == nil || r.strikes(Launch, 100) {
		r.tell(ec2.ImageFailed{ImageID: e.ImageID, Message: "It cannot be made."})
		return
	}
	if e.Reboot && h.state == running {
		h.state, h.reason = stopped, ec2.ExitStopped
	}
	r.later(r.between(time.Second, time.Minute), event{what: func() {
		r.images[e.ImageID] = true
		for _, n := range e.Snapshots {
			r.disks.snapshots[n.ID] = ec2.SeenSnapshot{ID: n.ID}
		}
		r.tell(ec2.ImageCaptured{ImageID: e.ImageID, Bytes: 1 << 20})
	}})
}

// inventory looks at everything there is, and tells it some time later.
func (r *run) inventory() {
	inv := ec2.Inventory{Began: r.clock(), First: r.first, Images: sortedKeys(r.images)}
	for _, id := range sortedKeys(r.hosts) {
		if h := r.hosts[id]; h.state != booting {
			inv.Instances = append(inv.Instances, ec2.Seen{ID: id, State: h.state, Reason: h.reason})
		}
	}
	for _, id := range sortedKeys(r.disks.volumes) {
		inv.Volumes = append(inv.Volumes, r.disks.volumes[id])
	}
	for _, id := range sortedKeys(r.disks.snapshots) {
		inv.Snapshots = append(inv.Snapshots, r.disks.snapshots[id])
	}
	r.first = false
	delay := time.Millisecond
	if r.strikes(Inventory, 200) {
		delay = time.Duration(1+r.upTo(Inventory, 300)) * time.Second
	}
	r.later(delay, event{fact: inv})
}

// examine has status checks made of all that runs, and tells of those that fail; of none only if it was different before.
func (r *run) examine() {
	f := ec2.StatusChecks{Began: r.clock()}
	for _, id := range r.alive(running) {
		if r.hosts[id].sick {
			f.Failed = append(f.Failed, id)
		}
	}
	if len(f.Failed) > 0 || !r.well {
		r.later(time.Second, event{fact: f})
	}
	r.well = len(f.Failed) == 0
}

// measure tells what all instances used since the last time.
func (r *run) measure(span time.Duration) {
	u := ec2.Usage{From: r.clock().Add(-span), To: r.clock()}
	ids := r.alive(running)
	for _, id := range ids {
		u.Samples = append(u.Samples, ec2.UsageSample{ID: id, CPUPercent: min(100, r.load/float64(len(ids))), NetworkIn: 1e6, NetworkOut: 5})
	}
	r.later(time.Millisecond, event{fact: u})
}

// alive lists the instances that are in a state on the host.
func (w *world) alive(state string) []string {
	return slices.DeleteFunc(sortedKeys(w.hosts), func(id string) bool { return w.hosts[id].state != state })
}

// rounds start what happens again and again: inventories, measurements, health checks.
func (r *run) rounds() {
	var look, check, meter func()
	look = func() {
		r.inventory()
		r.examine()
		r.later(r.looks, event{what: look})
	}
	meter = func() {
		r.measure(r.meters)
		r.traffic(r.meters)
		if !r.calm {
			r.load = max(0, min(2000, r.load+float64(r.nature.IntN(401)-200)))
		}
		r.later(r.meters, event{what: meter})
	}
	check = func() {
		r.checks()
		r.later(r.looks/6, event{what: check})
	}
	r.later(time.Second, event{what: look})
	r.later(2*time.Second, event{what: check})
	r.later(3*time.Second, event{what: meter})
}
