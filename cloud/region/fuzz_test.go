package region

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/api/catalog"
	elbapi "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/sns"
)

// fuzzer calls a cloud with inputs of which many are wrong, in a world where much goes wrong, and holds it to what a step
// promises: a failed call changed nothing, the changes are the cloud, and a restart goes on as if there had been none.
type fuzzer struct {
	*author
	t     *testing.T
	cloud *cloud.Cloud
	clock time.Time
	facts []cloud.Fact
	hosts map[string]string // instances on the host: running or stopped
	image map[string]bool   // images on the host
	route map[string]elbv2.Route
	calm  bool              // nothing fails any more
	rows  map[string]string // what the changes so far add up to: table and key -> encoded row
	ops   []operation
	looks bool           // only reading: there is no need to compare before and after
	last  string         // what was done last, for messages
	good  map[string]int // successes by operation
}

type operation struct {
	svc *api.Service
	op  *api.Operation
}

func newFuzzer(t *testing.T, seed uint64) *fuzzer {
	f := &fuzzer{t: t, clock: noon, rows: map[string]string{}, hosts: map[string]string{}, image: map[string]bool{},
		route: map[string]elbv2.Route{}, good: map[string]int{}}
	f.author = newAuthor(rand.New(rand.NewPCG(seed, 99)), func() time.Time { return f.clock })
	f.cloud = New(Options{Seed: seed, AnyImage: seed%2 == 0})
	for _, svc := range catalog.Services {
		for i := range svc.Operations {
			op := &svc.Operations[i]
			if _, ok := f.cloud.Operation(svc.Name, op.Name); ok {
				f.ops = append(f.ops, operation{svc, op})
			}
		}
	}
	return f
}

func envInt(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

// FuzzOperations runs a few hundred calls per seed. BILLOW_FUZZ_CALLS makes each run longer, BILLOW_FUZZ_SEEDS makes more
// of them, and BILLOW_FUZZ_TALK lists what is refused; `go test -fuzz FuzzOperations ./cloud/region` looks for ever.
func FuzzOperations(f *testing.F) {
	calls := max(300, envInt("BILLOW_FUZZ_CALLS"))
	for seed := range uint64(max(2, envInt("BILLOW_FUZZ_SEEDS"))) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		fz := newFuzzer(t, seed)
		fz.prime()
		for i := range calls {
			fz.call()
			fz.pass()
			if i%50 == 49 {
				fz.compare()
				fz.restart()
				fz.look()
				if len(fz.words["autoscalinggroupname"]) < 3 {
					fz.grow()
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d, call %d: %s", seed, i, fz.last)
			}
		}
		fz.finish()
		fz.report()
	})
}

// look forgets all words and learns those of what there is.
func (f *fuzzer) look() {
	f.words = map[string][]string{}
	f.looks = true
	defer func() { f.looks = false }()
	f.enrolled = nil
	groups := f.groups()
	for _, name := range sortedKeys(groups) {
		for _, i := range groups[name].Instances {
			f.enrolled = append(f.enrolled, member{name, *i.InstanceId})
		}
	}
	for _, o := range f.ops {
		in := f.op("Describe", o)
		if in == nil {
			in = f.op("List", o)
		}
		if in != nil && !static[o.op.Name] && f.valid(o.svc, o.op.Input, reflect.ValueOf(in)) {
			f.do(o, in)
		}
		for _, arn := range f.words["loadbalancerarn"] { // listeners are listed by load balancer only
			if o.op.Name == "DescribeListeners" {
				f.do(o, &elbapi.DescribeListenersInput{LoadBalancerArn: &arn})
			}
		}
	}
}

// static operations answer with words that name nothing.
var static = map[string]bool{
	"DescribeAccountLimits": true, "DescribeRegions": true, "DescribeInstanceTypes": true, "DescribeInstanceTypeOfferings": true,
	"DescribeMetricCollectionTypes": true, "DescribeScalingProcessTypes": true, "DescribeAdjustmentTypes": true,
	"DescribeTerminationPolicyTypes": true, "DescribeLifecycleHookTypes": true, "DescribeAutoScalingNotificationTypes": true,
	"DescribeAccountAttributes": true, "DescribeScalingActivities": true, "DescribeAlarmHistory": true, "DescribeParameters": true,
}

// prime calls each of the seeds as it is, so that there is something to work on.
func (f *fuzzer) prime() {
	f.look()
	for range 2 {
		f.grow()
	}
}

// grow calls each of the seeds.
func (f *fuzzer) grow() {
	for _, s := range seeds {
		o := f.find(s.service, s.operation)
		f.do(o, f.from(o.op, s.form))
		f.world()
	}
}

// op is an empty input of an operation whose name starts so, or nil.
func (f *fuzzer) op(prefix string, o operation) any {
	if len(o.op.Name) < len(prefix) || o.op.Name[:len(prefix)] != prefix {
		return nil
	}
	return o.op.In()
}

func (f *fuzzer) find(service, name string) operation {
	for _, o := range f.ops {
		if o.svc.Name == service && o.op.Name == name {
			return o
		}
	}
	f.t.Fatalf("%s %s is not implemented", service, name)
	return operation{}
}

// call makes one call: a seed with some members changed, or an input from nothing.
func (f *fuzzer) call() {
	for range 50 {
		var o operation
		var in any
		if f.chance(50) {
			s := pick(f.author, seeds)
			o = f.find(s.service, s.operation)
			in = f.from(o.op, s.form)
			f.mutate(o.svc, o.op, in)
		} else {
			o = pick(f.author, f.ops)
			if destroys(o.op.Name) && f.chance(75) {
				continue
			}
			in = f.input(o.svc, o.op)
		}
		if f.valid(o.svc, o.op.Input, reflect.ValueOf(in)) {
			f.do(o, in)
			return
		}
	}
}

// destroys says that an operation takes away what others need; it is called less often.
func destroys(name string) bool {
	return strings.HasPrefix(name, "Delete") || strings.HasPrefix(name, "Terminate") || strings.HasPrefix(name, "Deregister")
}

func (f *fuzzer) do(o operation, in any) any {
	text, _ := json.Marshal(in)
	f.last = o.svc.Name + " " + o.op.Name + " " + string(text)
	out := f.step(cloud.Call{Scope: here, RequestID: "r", Service: o.svc.Name, Operation: o.op.Name, In: in})
	name := o.svc.Name + "." + o.op.Name
	if after, _ := json.Marshal(in); string(after) != string(text) {
		f.t.Errorf("%s changed its input to %s", f.last, after)
	}
	if out.Err == nil {
		f.good[name]++
		if strings.HasPrefix(o.op.Name, "Create") || strings.HasPrefix(o.op.Name, "Put") {
			f.read("", reflect.ValueOf(in))
		}
		f.read("", reflect.ValueOf(out.Reply))
		if _, err := json.Marshal(out.Reply); err != nil {
			f.t.Errorf("%s: the reply has something that is no number: %v", f.last, err)
		}
		return out.Reply
	}
	var e *api.Error
	if !errors.As(out.Err, &e) {
		f.t.Errorf("%s: %v", f.last, out.Err)
		return nil
	}
	if os.Getenv("BILLOW_FUZZ_TALK") != "" {
		f.t.Logf("%s: %v", f.last, e)
	}
	if e.Code == "" || e.Message == "" && e.Code != "ParameterNotFound" || e.Status >= 500 && e.Status != 501 {
		f.t.Errorf("%s: %d %v", f.last, e.Status, e)
	}
	return nil
}

// step gives the cloud an input, checks what came of it and notes the wishes.
func (f *fuzzer) step(in cloud.Input) cloud.Output {
	_, isCall := in.(cloud.Call)
	var before []any
	wake := f.cloud.Wake()
	if isCall && !f.looks {
		before = f.pointers()
	}
	out := f.cloud.Step(f.clock, in)
	var defect *cloud.Defect
	if errors.As(out.Err, &defect) {
		f.t.Fatalf("%s: %v\n%s", f.last, defect, defect.Stack)
	}
	if out.Err != nil {
		if !isCall {
			f.t.Fatalf("%T after %s: %v", in, f.last, out.Err)
		}
		if !f.looks && !slices.Equal(before, f.pointers()) || !f.cloud.Wake().Equal(wake) {
			f.t.Errorf("%s failed (%v) and changed something", f.last, out.Err)
		}
		if out.Changes != nil || out.Effects != nil {
			f.t.Errorf("%s failed (%v) and gives changes or effects", f.last, out.Err)
		}
	}
	for _, c := range out.Changes {
		if c.Row == nil {
			delete(f.rows, c.Table+"|"+c.Key)
			continue
		}
		row, err := json.Marshal(c.Row)
		if err != nil {
			f.t.Fatalf("%s: %s %s cannot be stored: %v", f.last, c.Table, c.Key, err)
		}
		f.rows[c.Table+"|"+c.Key] = string(row)
	}
	for _, e := range out.Effects {
		f.wish(e)
	}
	return out
}

// pointers is where every row is: rows are replaced, never changed in place. The points of metrics are left out, which are
// very many; compare sees to them.
func (f *fuzzer) pointers() []any {
	var all []any
	f.cloud.Dump(func(t, key string, row any) bool {
		if t != cloudwatch.Name+".points" {
			all = append(all, t, key, row)
		}
		return true
	})
	return all
}

// mostAlive is how many instances the world has room for.
const mostAlive = 40

// trouble is chance, until everything works.
func (f *fuzzer) trouble(percent int) bool { return !f.calm && f.chance(percent) }

func (f *fuzzer) tell(fact cloud.Fact) { f.facts = append(f.facts, fact) }

// wish has the world answer, mostly as wished.
func (f *fuzzer) wish(e cloud.Effect) {
	lost := f.trouble(3)
	switch e := e.(type) {
	case ec2.LaunchInstance:
		f.boot(e.Spec.ID, lost)
	case ec2.StartInstance:
		f.boot(e.Spec.ID, lost)
	case ec2.StopInstance:
		if f.hosts[e.ID] != "" && !lost {
			f.hosts[e.ID] = "stopped"
			f.tell(ec2.InstanceStopped{ID: e.ID})
		}
	case ec2.TerminateInstance:
		if !lost {
			delete(f.hosts, e.ID)
			f.tell(ec2.InstanceTerminated{ID: e.ID})
		}
	case ec2.CaptureImage:
		switch {
		case f.trouble(20):
			f.tell(ec2.ImageFailed{ImageID: e.ImageID, Message: "No room."})
		case !lost:
			f.image[e.ImageID] = true
			f.tell(ec2.ImageCaptured{ImageID: e.ImageID, Bytes: 1 << 20})
		}
	case ec2.DeleteImage:
		delete(f.image, e.ImageID)
	case elbv2.Route:
		f.route[e.ARN] = e
		f.checks(e)
	case sns.DeliverHTTP:
		f.tell(sns.Delivered{MessageID: e.MessageID, SubscriptionARN: e.SubscriptionARN, Attempt: e.Attempt, Status: pick(f.author, []int{200, 200, 404, 500, 0})})
	}
}

func (f *fuzzer) boot(id string, lost bool) {
	switch {
	case f.trouble(8), f.hosts[id] == "" && len(f.hosts) >= mostAlive && !f.calm:
		f.tell(ec2.LaunchFailed{ID: id, Code: "Server.InsufficientInstanceCapacity", Message: "No room."})
	case !lost:
		f.hosts[id] = "running"
		f.tell(ec2.InstanceRunning{ID: id})
	}
}

// checks has the data plane report on a load balancer.
func (f *fuzzer) checks(r elbv2.Route) {
	if r.LoadBalancer == nil {
		return
	}
	for _, g := range r.LoadBalancer.TargetGroups {
		for _, target := range g.Targets {
			switch {
			case target.State == "draining":
				f.tell(elbv2.TargetDrained{TargetGroup: g.ID, Target: target.ID})
			case target.State != "unused" && (f.calm || f.chance(70)):
				c := elbv2.TargetChecked{TargetGroup: g.ID, Target: target.ID, At: f.clock, Passed: !f.trouble(20), Code: 200}
				if !c.Passed {
					c.Reason, c.Code = "Target.ResponseCodeMismatch", 503
				}
				f.tell(c)
			}
		}
		if f.calm {
			continue
		}
		f.tell(elbv2.Traffic{From: f.clock.Add(-time.Minute), To: f.clock, Counters: []elbv2.Counters{
			{LoadBalancer: r.ARN, TargetGroup: g.ID, Zone: "us-east-1a", RequestCount: int64(f.rng.IntN(10000))}, {LoadBalancer: r.ARN, Zone: "us-east-1a", NewConnectionCount: 3},
		}})
	}
}

// inventory tells what there is on the host.
func (f *fuzzer) inventory() {
	inv := ec2.Inventory{Began: f.clock}
	for _, id := range sortedKeys(f.hosts) {
		inv.Instances = append(inv.Instances, ec2.Seen{ID: id, State: f.hosts[id]})
	}
	inv.Images = sortedKeys(f.image)
	f.clock = f.clock.Add(time.Millisecond)
	f.step(cloud.Observed{Facts: []cloud.Fact{inv}})
	f.world()
}

// world tells the cloud what has come of its wishes, for a bounded number of rounds.
func (f *fuzzer) world() {
	for range 20 {
		if len(f.facts) == 0 {
			return
		}
		facts := f.facts
		f.facts = nil
		f.clock = f.clock.Add(time.Millisecond)
		f.step(cloud.Observed{Facts: facts})
	}
}

// pass lets some time pass, sometimes none, with all that happens in it.
func (f *fuzzer) pass() {
	f.world()
	span := pick(f.author, []time.Duration{0, 0, 0, time.Millisecond, time.Second, 20 * time.Second, time.Minute, 5 * time.Minute})
	until := f.clock.Add(span)
	for n := 0; ; n++ {
		wake := f.cloud.Wake()
		if wake.IsZero() || wake.After(until) {
			break
		}
		if n > 5000 {
			f.t.Fatalf("the cloud wakes for ever at %v after %s", wake, f.last)
		}
		if wake.After(f.clock) {
			f.clock = wake
		}
		f.step(cloud.Tick{})
		f.world()
	}
	if until.After(f.clock) {
		f.clock = until
	}
	if span >= time.Minute {
		f.measure()
	}
	if running := f.running(); len(running) > 0 && f.chance(2) {
		id := pick(f.author, running)
		f.hosts[id] = "stopped"
		f.step(cloud.Observed{Facts: []cloud.Fact{ec2.InstanceExited{ID: id, Reason: pick(f.author, []string{ec2.ExitKilled, ec2.ExitPoweroff})}}})
	}
	if f.chance(5) {
		f.inventory()
	}
}

func (f *fuzzer) running() []string {
	return slices.DeleteFunc(sortedKeys(f.hosts), func(id string) bool { return f.hosts[id] != "running" })
}

func (f *fuzzer) measure() {
	u := ec2.Usage{From: f.clock.Add(-time.Minute), To: f.clock}
	cpu := float64(f.rng.IntN(100))
	for _, id := range f.running() {
		u.Samples = append(u.Samples, ec2.UsageSample{ID: id, CPUPercent: cpu, NetworkIn: 1e6 * cpu, NetworkOut: 5})
	}
	f.step(cloud.Observed{Facts: []cloud.Fact{u}})
	f.world()
}

func dumped(t *testing.T, c *cloud.Cloud) map[string]string {
	rows := map[string]string{}
	c.Dump(func(name, key string, row any) bool {
		b, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		rows[name+"|"+key] = string(b)
		return true
	})
	return rows
}

// same reports the rows in which two clouds differ.
func (f *fuzzer) same(what string, want, got map[string]string) {
	f.t.Helper()
	var keys []string
	for k := range want {
		keys = append(keys, k)
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if want[k] != got[k] {
			is, not := parting(got[k], want[k])
			f.t.Errorf("%s: %s\n is %s\nnot %s", what, k, is, not)
		}
	}
}

// parting cuts away most of what two texts begin with alike, and of what comes long after that.
func parting(a, b string) (string, string) {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	n = max(0, n-150)
	return a[n:min(len(a), n+500)], b[n:min(len(b), n+500)]
}

// compare holds the live rows against the sum of all changes.
func (f *fuzzer) compare() {
	live := dumped(f.t, f.cloud)
	delete(live, "cloud|random") // not stored before it is first drawn from
	rows := map[string]string{}
	for k, v := range f.rows {
		if k != "cloud|random" {
			rows[k] = v
		}
	}
	f.same("the live rows, against the changes", rows, live)
}

// restart goes on with a cloud made of the stored rows, which must be the same as the one before, in what it has and in
// what it answers.
func (f *fuzzer) restart() {
	f.step(cloud.Tick{})
	f.world()
	next := New(Options{Seed: 77, AnyImage: true})
	for _, k := range sortedKeys(f.rows) {
		name, key, _ := cut(k)
		if err := next.Load(name, key, []byte(f.rows[k])); err != nil {
			f.t.Fatal(err)
		}
	}
	f.same("after a load", dumped(f.t, f.cloud), dumped(f.t, next))
	out := next.Step(f.clock, cloud.Tick{})
	if out.Err != nil {
		f.t.Fatalf("first step after a load: %v", out.Err)
	}
	f.same("after the first step of a loaded cloud", dumped(f.t, f.cloud), dumped(f.t, next))
	if a, b := f.cloud.Wake(), next.Wake(); !a.Equal(b) {
		f.t.Errorf("loaded, the cloud wakes at %v, not %v", b, a)
	}
	for _, o := range f.ops {
		in := f.op("Describe", o)
		if in == nil {
			in = f.op("List", o)
		}
		if in == nil || !f.valid(o.svc, o.op.Input, reflect.ValueOf(in)) {
			continue
		}
		c := cloud.Call{Scope: here, RequestID: "r", Service: o.svc.Name, Operation: o.op.Name, In: in}
		a, b := f.cloud.Step(f.clock, c), next.Step(f.clock, c)
		if x, y := fmt.Sprintf("%s %v", encoded(a.Reply), a.Err), fmt.Sprintf("%s %v", encoded(b.Reply), b.Err); x != y {
			y, x = parting(y, x)
			f.t.Errorf("%s answers\n%s\nafter a load, not\n%s", o.op.Name, y, x)
		}
	}
	f.cloud = next
	for _, c := range out.Changes {
		row, _ := json.Marshal(c.Row)
		f.rows[c.Table+"|"+c.Key] = string(row)
	}
	for _, e := range out.Effects {
		f.wish(e)
	}
	f.world()
}

func encoded(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

func cut(k string) (string, string, bool) {
	for i := range k {
		if k[i] == '|' {
			return k[:i], k[i+1:], true
		}
	}
	return k, "", false
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// report says what the inputs reached: without successes nothing was tried.
func (f *fuzzer) report() {
	reached, total := 0, 0
	for _, o := range f.ops {
		if n := f.good[o.svc.Name+"."+o.op.Name]; n > 0 {
			reached++
			total += n
		} else if os.Getenv("BILLOW_FUZZ_TALK") != "" {
			f.t.Logf("never succeeded: %s.%s", o.svc.Name, o.op.Name)
		}
	}
	f.t.Logf("%d of %d operations succeeded, %d calls; %d rows", reached, len(f.ops), total, len(f.rows))
	if reached < len(f.ops)/2 {
		f.t.Errorf("only %d of %d operations ever succeeded: the inputs are not worth much", reached, len(f.ops))
	}
}
