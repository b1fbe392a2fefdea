package fuzz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// clock is what the daemon's clock shows.
func (r *run) clock() time.Time { return r.now.Add(r.offset) }

// do gives the cloud an input, takes what comes of it in the order in which a daemon does, and checks the invariants.
// False means that the daemon was killed before the changes were durable: the input had no effect and no answer.
func (r *run) do(in cloud.Input) (cloud.Output, bool) {
	at := r.clock()
	if at.After(r.latest) {
		r.latest = at
	}
	if len(r.recent) == recentKept {
		r.recent = append(r.recent[:0], r.recent[1:]...)
	}
	r.recent = append(r.recent, recent{at, in})
	r.result.Inputs++
	var timers []cloud.Timer
	if _, call := in.(cloud.Call); call && !r.looking {
		timers = r.cloud.Moment().Timers
	}
	r.record(in)
	out := r.cloud.Step(at, in)
	r.replay(at, out)
	if out.Err != nil {
		r.refused(in, out, timers)
		return out, true
	}
	if !r.down && r.strikes(Kill, 1) { // the changes are lost, and with them everything
		r.restart()
		return out, false
	}
	deltas, err := r.rows.apply(out.Changes, r.trace)
	if err != nil {
		r.fail("every row has a durable form", "%v", err)
	}
	r.check(in, out, deltas)
	if !r.down && r.strikes(Kill, 2) { // durable, but no effect was started
		r.restart()
		return out, true
	}
	for _, e := range out.Effects {
		r.wish(e)
	}
	return out, true
}

// refused checks an input that failed: only calls do, with an error for a client, and nothing was changed.
func (r *run) refused(in cloud.Input, out cloud.Output, timers []cloud.Timer) {
	var defect *cloud.Defect
	if errors.As(out.Err, &defect) {
		r.fail("a step has no defect", "%v\n%s", defect, defect.Stack)
	}
	c, isCall := in.(cloud.Call)
	var e *api.Error
	switch {
	case !isCall:
		r.fail("facts and ticks do not fail", "%v", out.Err)
	case !errors.As(out.Err, &e):
		r.fail("a failed call has an error for the client", "%s %s: %v", c.Service, c.Operation, out.Err)
	case e.Code == "" || e.Message == "" && e.Code != "ParameterNotFound" || e.Status >= 500 && e.Status != 501:
		r.fail("a failed call has an error for the client", "%s %s: %d %v", c.Service, c.Operation, e.Status, e)
	case out.Changes != nil || out.Effects != nil || out.Reply != nil:
		r.fail("a failed call changed nothing", "%s %s: %v, with changes, effects or a reply", c.Service, c.Operation, e)
	case !r.looking && !slices.Equal(r.cloud.Moment().Timers, timers):
		r.fail("a failed call changed nothing", "%s %s: %v, and timers are not what they were", c.Service, c.Operation, e)
	}
	if !r.looking && r.refusals%refusalsPerCheck == 0 {
		if key, is, not := r.differing(); key != "" {
			r.fail("a failed call changed nothing", "%s %s: %v, and %s is\n%s\nnot\n%s", c.Service, c.Operation, e, key, is, not)
		}
	}
	r.refusals++
}

// refusalsPerCheck is of how many failed calls one is held against every row.
const refusalsPerCheck = 8

// differing compares pointers first: rows are replaced, never changed in place. It costs no encoding.
func (r *run) differing() (key, is, not string) {
	same := true
	r.cloud.Dump(func(name, k string, row any) bool {
		if !textless(name) && name != "cloud" && name != "cloudwatch.values" {
			same = r.rows.tables[name][k].value == row
		}
		return same
	})
	if same {
		return "", "", ""
	}
	return r.rows.differ(r.cloud, true)
}

// must makes a call that has to succeed, however often the daemon is killed in it.
func (r *run) must(scope cloud.Scope, service, operation string, in any) any {
	for range 100 {
		out, done := r.do(cloud.Call{Scope: scope, RequestID: "r", Service: service, Operation: operation, In: in})
		if out.Err != nil {
			r.fail("a call that must succeed does", "%s %s: %v", operation, encoded(in), out.Err)
		}
		if done {
			return out.Reply
		}
	}
	panic("a daemon that is always killed")
}

// ticks counts how often the cloud wakes in a minute of its time.
type ticks struct {
	minute time.Time
	count  int
}

// tick lets the cloud do what is due. It must not want another tick for the same instant, nor very many in a minute.
func (r *run) tick() {
	wake := r.cloud.Wake()
	r.do(cloud.Tick{})
	if next := r.cloud.Wake(); !next.IsZero() && !next.After(r.latest) && !r.down {
		r.fail("the cloud does not wake in vain", "after a tick at %v, due at %v, it wakes at %v", r.latest, wake, next)
	}
	if minute := r.latest.Truncate(time.Minute); minute != r.ticks.minute {
		r.ticks = ticks{minute: minute}
	}
	r.ticks.count++
	if most := 100 + 4*(len(r.rows.instances)+len(r.rows.members)+len(r.rows.alarms)+len(r.rows.groups)+len(r.rows.targets)); r.ticks.count > most {
		r.fail("the cloud does not wake in vain", "%d ticks in the minute of %v", r.ticks.count, r.ticks.minute)
	}
}

// pass lets time pass, with all that happens in it at its instant.
func (r *run) pass(span time.Duration) {
	until := r.now.Add(span)
	for n := 0; ; n++ {
		if n > 2_000_000 {
			r.fail("time passes", "it is %v for ever", r.clock())
		}
		next := until
		if len(r.queue) > 0 && r.queue[0].at.Before(next) {
			next = r.queue[0].at
		}
		wake := r.cloud.Wake()
		due := wake.Add(-r.offset)
		if !wake.IsZero() && due.Before(next) {
			next = due
		}
		if next.After(r.now) {
			r.now = next
		}
		switch {
		case len(r.queue) > 0 && !r.queue[0].at.After(r.now):
			r.happen()
		case !wake.IsZero() && !due.After(r.now):
			r.tick()
		default:
			return
		}
	}
}

// verify compares everything: the live rows with the sum of all changes, and what a load of them comes to. The points of
// metrics, which nothing hangs on, are loaded at the end only, and whenever the daemon is killed.
func (r *run) verify(points bool) {
	if key, is, not := r.rows.differ(r.cloud, points); key != "" {
		r.fail("the changes are the cloud", "%s is\n%s\nnot\n%s", key, is, not)
	}
	r.checkMany()
	r.tick() // what is due now would be due for a loaded cloud too
	next := r.fresh()
	if err := r.rows.load(next, points); err != nil {
		r.fail("what was stored can be loaded", "%v", err)
	}
	if key, is, not := r.rows.differ(next, points); key != "" {
		r.fail("what was loaded is what was stored", "%s is\n%s\nnot\n%s", key, is, not)
	}
	out := next.Step(r.latest, cloud.Tick{})
	if out.Err != nil {
		r.fail("a loaded cloud goes on", "%v", out.Err)
	}
	for _, c := range out.Changes {
		if s := r.rows.tables[c.Table][c.Key]; c.Row == nil && s.value != nil || c.Row != nil && encoded(c.Row) != encoded(s.value) {
			is, not := parting(encoded(c.Row), encoded(s.value))
			r.fail("a full reconcile needs nothing more", "%s %s is\n%s\nnot\n%s", c.Table, c.Key, is, not)
		}
	}
	r.sameRoutes(out.Effects)
	r.sameTimers(next)
	r.sameAnswers(next, points)
}

// sameTimers: what a loaded cloud waits for is what the live one waits for, and nothing else. Nobody waits for a synchronous
// invocation over a restart.
func (r *run) sameTimers(next *cloud.Cloud) {
	live, loaded := r.cloud.Moment().Timers, next.Moment().Timers
	live = slices.DeleteFunc(live, func(t cloud.Timer) bool { return strings.Contains(t.Key, "\x00flight\x00") })
	if slices.Equal(live, loaded) {
		return
	}
	r.fail("a full reconcile needs nothing more", "at %v only a loaded cloud waits for %s\nand only the live one for %s", r.latest, apart(loaded, live), apart(live, loaded))
}

// apart writes the timers of a that b does not have.
func apart(a, b []cloud.Timer) string {
	text := ""
	for _, t := range a {
		if !slices.Contains(b, t) {
			text += fmt.Sprintf("\n%v %q", time.Unix(0, t.At).UTC(), t.Key)
		}
	}
	return text
}

// restart kills the daemon and starts it again some time later: what it had in hand is lost, the world goes on.
func (r *run) restart() {
	r.down = true
	r.forget()
	if r.chanceOf(Kill, 30) {
		r.now = r.now.Add(time.Duration(r.upTo(Kill, 1200)) * time.Second)
	}
	r.cloud = r.fresh()
	if err := r.rows.load(r.cloud, true); err != nil {
		r.fail("what was stored can be loaded", "%v", err)
	}
	if back := r.latest.Sub(r.clock()); back > 0 { // the daemon's clock does not go back over a restart
		r.offset += back
	}
	r.alarms.loaded()
	r.first, r.well = true, false
	r.do(cloud.Tick{})
	r.down = false
}

func (r *run) chanceOf(k Fault, percent int) bool { return r.upTo(k, 100) < percent }

// sameAnswers compares what two clouds answer to every question that needs no words.
func (r *run) sameAnswers(next *cloud.Cloud, points bool) {
	for _, o := range r.ops {
		in := o.question(r.author)
		if in == nil || !points && o.op.Name == "ListMetrics" { // it lists what has had points lately
			continue
		}
		c := cloud.Call{Scope: here, RequestID: "r", Service: o.svc.Name, Operation: o.op.Name, In: in}
		a, b := r.cloud.Step(r.latest, c), next.Step(r.latest, c)
		if len(a.Changes) > 0 {
			r.fail("questions change nothing", "%s changed %s %s", o.op.Name, a.Changes[0].Table, a.Changes[0].Key)
		}
		if x, y := fmt.Sprintf("%s %v", encoded(a.Reply), a.Err), fmt.Sprintf("%s %v", encoded(b.Reply), b.Err); x != y {
			y, x = parting(y, x)
			r.fail("a loaded cloud answers as before", "%s answers\n%s\nnot\n%s", o.op.Name, y, x)
		}
	}
}
