package elb

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	shape "github.com/billow-cloud/billow/api/elb"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/ssm"
)

// world is a cloud in virtual time whose instances do at once what they are wished to do.
type world struct {
	t      testing.TB
	c      *cloud.Cloud
	spy    *spy
	now    time.Time
	routes map[string]*elbv2.RouteLoadBalancer
}

type spy struct {
	cloud.Base
	heard []string
}

func (*spy) Name() string { return "spy" }

func (s *spy) Notice(_ *cloud.Tx, e cloud.Event) {
	switch e := e.(type) {
	case InstanceHealthChanged:
		s.heard = append(s.heard, e.From+">"+e.To)
	case InstanceDrained:
		s.heard = append(s.heard, "drained")
	case InstanceGone:
		s.heard = append(s.heard, "gone")
	}
}

const classicARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/classic"

func newWorld(t testing.TB) *world {
	cw, parameters := cloudwatch.New(), ssm.New()
	machines := ec2.New(cw, parameters, ec2.Options{AnyImage: true})
	v2 := elbv2.New(machines, cw, elbv2.Options{DNSSuffix: "amazonaws.com"})
	w := &world{t: t, spy: &spy{}, now: time.Date(2026, 11, 20, 12, 0, 30, 0, time.UTC), routes: map[string]*elbv2.RouteLoadBalancer{}}
	w.c = cloud.New(1, cw, parameters, machines, v2, New(v2, machines, cw), w.spy)
	return w
}

func (w *world) step(in cloud.Input) (any, error) {
	w.t.Helper()
	out := w.c.Step(w.now, in)
	var facts []cloud.Fact
	for _, e := range out.Effects {
		switch e := e.(type) {
		case elbv2.Route:
			w.routes[e.ARN] = e.LoadBalancer
		case ec2.LaunchInstance:
			facts = append(facts, ec2.InstanceRunning{ID: e.Spec.ID})
		case ec2.StopInstance:
			facts = append(facts, ec2.InstanceStopped{ID: e.ID})
		case ec2.TerminateInstance:
			facts = append(facts, ec2.InstanceTerminated{ID: e.ID})
		}
	}
	if len(facts) > 0 {
		w.now = w.now.Add(time.Millisecond)
		w.step(cloud.Observed{Facts: facts})
	}
	return out.Reply, out.Err
}

func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for range 100_000 {
		wake := w.c.Wake()
		if wake.IsZero() || wake.After(end) {
			w.now = end
			return
		}
		if wake.After(w.now) {
			w.now = wake
		}
		w.step(cloud.Tick{})
	}
	w.t.Fatal("time does not pass")
}

// try makes a call, and tells the error's code.
func (w *world) try(service, operation string, in any) (any, string) {
	w.t.Helper()
	reply, err := w.step(cloud.Call{
		Scope: cloud.Scope{Account: "123456789012", Region: "us-east-1"}, RequestID: "r", Service: service, Operation: operation, In: in,
	})
	var e *api.Error
	switch {
	case err == nil:
		return reply, ""
	case errors.As(err, &e):
		return nil, e.Code
	}
	w.t.Fatalf("%s: %v", operation, err)
	return nil, ""
}

// do makes a call of elb that must succeed.
func do[Out any](w *world, operation string, in any) *Out {
	w.t.Helper()
	reply, code := w.try(Name, operation, in)
	if code != "" {
		w.t.Fatalf("%s: %s", operation, code)
	}
	return reply.(*Out)
}

func (w *world) create(name string) string {
	w.t.Helper()
	return *do[shape.CreateLoadBalancerOutput](w, "CreateLoadBalancer", &shape.CreateLoadBalancerInput{
		LoadBalancerName: &name, AvailabilityZones: []string{"us-east-1a", "us-east-1b"},
		Listeners: []shape.Listener{{Protocol: new("http"), LoadBalancerPort: new(int32(80)), InstancePort: new(int32(8080))}},
	}).DNSName
}

// launch starts one instance in a zone.
func (w *world) launch(zone string) string {
	w.t.Helper()
	reply, code := w.try("ec2", "DescribeSubnets", &ec2api.DescribeSubnetsInput{})
	if code != "" {
		w.t.Fatal(code)
	}
	for _, n := range reply.(*ec2api.DescribeSubnetsOutput).Subnets {
		if *n.AvailabilityZone == zone {
			run, code := w.try("ec2", "RunInstances", &ec2api.RunInstancesInput{
				ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.nano"),
				MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: n.SubnetId,
			})
			if code != "" {
				w.t.Fatal(code)
			}
			return *run.(*ec2api.RunInstancesOutput).Instances[0].InstanceId
		}
	}
	w.t.Fatal("no subnet in", zone)
	return ""
}

func (w *world) register(ids ...string) {
	w.t.Helper()
	do[shape.RegisterInstancesWithLoadBalancerOutput](w, "RegisterInstancesWithLoadBalancer",
		&shape.RegisterInstancesWithLoadBalancerInput{LoadBalancerName: new("classic"), Instances: instances(ids...)})
}

func (w *world) deregister(ids ...string) {
	w.t.Helper()
	do[shape.DeregisterInstancesFromLoadBalancerOutput](w, "DeregisterInstancesFromLoadBalancer",
		&shape.DeregisterInstancesFromLoadBalancerInput{LoadBalancerName: new("classic"), Instances: instances(ids...)})
}

func instances(ids ...string) (list []shape.Instance) {
	for _, id := range ids {
		list = append(list, shape.Instance{InstanceId: new(id)})
	}
	return list
}

func (w *world) health(id string) string {
	w.t.Helper()
	s := do[shape.DescribeInstanceHealthOutput](w, "DescribeInstanceHealth",
		&shape.DescribeInstanceHealthInput{LoadBalancerName: new("classic"), Instances: instances(id)}).InstanceStates[0]
	return *s.State + " " + *s.ReasonCode + ": " + *s.Description
}

func (w *world) check(id string, times int, passed bool) {
	w.t.Helper()
	for range times {
		w.now = w.now.Add(time.Second)
		f := elbv2.TargetChecked{TargetGroup: classicARN, Target: id, At: w.now, Passed: passed}
		if _, err := w.step(cloud.Observed{Facts: []cloud.Fact{f}}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestTheLifeOfAnInstance: LB-CL-01, LB-CL-03.
func TestTheLifeOfAnInstance(t *testing.T) {
	w := newWorld(t)
	if dns := w.create("classic"); !regexp.MustCompile(`^classic-\d+\.us-east-1\.elb\.amazonaws\.com$`).MatchString(dns) { // LB-DN-01
		t.Error(dns)
	}
	id, far := w.launch("us-east-1a"), w.launch("us-east-1c")
	is := func(id, want string) {
		t.Helper()
		if got := w.health(id); got != want {
			t.Errorf("is %q, want %q", got, want)
		}
	}
	is(id, "OutOfService Instance: Instance is not currently registered with the LoadBalancer.")
	w.register(id, far)
	is(far, "OutOfService ELB: Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.")
	is(id, "OutOfService ELB: Instance registration is still in progress.")
	w.check(id, 9, true)
	is(id, "OutOfService Instance: Instance has not passed the configured HealthyThreshold number of health checks consecutively.")
	w.check(id, 1, true)
	is(id, "InService N/A: N/A")
	w.check(id, 1, false)
	is(id, "InService N/A: N/A")
	w.check(id, 1, false)
	is(id, "OutOfService Instance: Instance has failed at least the UnhealthyThreshold number of health checks consecutively.")
	w.check(id, 10, true)
	is(id, "InService N/A: N/A")
	w.try("ec2", "StopInstances", &ec2api.StopInstancesInput{InstanceIds: []string{id}})
	is(id, "OutOfService Instance: Instance is in stopped state.")
	do[shape.EnableAvailabilityZonesForLoadBalancerOutput](w, "EnableAvailabilityZonesForLoadBalancer",
		&shape.EnableAvailabilityZonesForLoadBalancerInput{LoadBalancerName: new("classic"), AvailabilityZones: []string{"us-east-1c"}})
	is(far, "OutOfService ELB: Instance registration is still in progress.")
	w.try("ec2", "TerminateInstances", &ec2api.TerminateInstancesInput{InstanceIds: []string{far}})
	is(far, "OutOfService Instance: Instance is in terminated state.")
	w.pass(elbv2.ForgetAfter + time.Second)
	list := do[shape.DescribeLoadBalancersOutput](w, "DescribeLoadBalancers", &shape.DescribeLoadBalancersInput{}).LoadBalancerDescriptions[0]
	if len(list.Instances) != 1 || *list.Instances[0].InstanceId != id || len(list.AvailabilityZones) != 3 || len(list.Subnets) != 3 {
		t.Errorf("%+v", list)
	}
	if h := list.HealthCheck; *h.Target != "TCP:8080" || *h.Interval != 30 || *h.Timeout != 5 || *h.UnhealthyThreshold != 2 || *h.HealthyThreshold != 10 {
		t.Errorf("%+v", h)
	}
}

// TestRoute: what the data plane is told; the health check, listeners and attributes show in it.
func TestRoute(t *testing.T) {
	w := newWorld(t)
	w.create("classic")
	id := w.launch("us-east-1a")
	w.register(id)
	do[shape.CreateLoadBalancerListenersOutput](w, "CreateLoadBalancerListeners", &shape.CreateLoadBalancerListenersInput{
		LoadBalancerName: new("classic"),
		Listeners:        []shape.Listener{{Protocol: new("TCP"), LoadBalancerPort: new(int32(5432)), InstancePort: new(int32(5433))}},
	})
	do[shape.ConfigureHealthCheckOutput](w, "ConfigureHealthCheck", &shape.ConfigureHealthCheckInput{LoadBalancerName: new("classic"), HealthCheck: &shape.HealthCheck{
		Target: new("HTTP:8080/ping"), Interval: new(int32(10)), Timeout: new(int32(3)), UnhealthyThreshold: new(int32(3)), HealthyThreshold: new(int32(2)),
	}})
	r := w.routes[classicARN]
	if r.Kind != elbv2.KindClassic || r.Address != "127.65.0.1" || r.IdleTimeout != time.Minute || len(r.TargetGroups) != 1 {
		t.Fatalf("%+v", r)
	}
	if got := fmt.Sprint(r.Listeners); got != fmt.Sprintf("[{80 HTTP 80 [{%s 1}] 8080} {5432 TCP 5432 [{%s 1}] 5433}]", classicARN, classicARN) {
		t.Error(got)
	}
	g := r.TargetGroups[0]
	if g.HealthCheck != (elbv2.RouteHealthCheck{Enabled: true, Protocol: "HTTP", Port: 8080, Path: "/ping", Interval: 10 * time.Second, Timeout: 3 * time.Second, Matcher: "200"}) {
		t.Errorf("%+v", g.HealthCheck)
	}
	if len(g.Targets) != 1 || g.Targets[0].ID != id || g.Targets[0].State != elbv2.StateInitial {
		t.Errorf("%+v", g.Targets)
	}
	w.check(id, 2, true)
	if s := w.routes[classicARN].TargetGroups[0].Targets[0]; s.State != elbv2.StateHealthy || s.Streak {
		t.Errorf("%+v", s)
	}
	do[shape.DeleteLoadBalancerOutput](w, "DeleteLoadBalancer", &shape.DeleteLoadBalancerInput{LoadBalancerName: new("classic")})
	do[shape.DeleteLoadBalancerOutput](w, "DeleteLoadBalancer", &shape.DeleteLoadBalancerInput{LoadBalancerName: new("classic")})
	if r, told := w.routes[classicARN]; !told || r != nil {
		t.Error("the data plane was not told that it is gone")
	}
	w.create("other")
	if a := w.routes["arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/other"].Address; a != "127.65.0.1" {
		t.Error("the address was not given back:", a)
	}
}

// TestDraining: LB-CL-02.
func TestDraining(t *testing.T) {
	w := newWorld(t)
	w.create("classic")
	a, b := w.launch("us-east-1a"), w.launch("us-east-1b")
	w.register(a, b)
	w.check(a, 10, true)
	w.check(b, 10, true)
	w.spy.heard = nil
	w.deregister(a) // off by default: gone at once
	do[shape.ModifyLoadBalancerAttributesOutput](w, "ModifyLoadBalancerAttributes", &shape.ModifyLoadBalancerAttributesInput{
		LoadBalancerName: new("classic"), LoadBalancerAttributes: &shape.LoadBalancerAttributes{ConnectionDraining: &shape.ConnectionDraining{Enabled: new(true)}},
	})
	w.deregister(b)
	if got := w.health(b); got != "InService N/A: Instance deregistration currently in progress." {
		t.Error(got)
	}
	if s := w.routes[classicARN].TargetGroups[0].Targets; len(s) != 1 || s[0].State != elbv2.StateDraining {
		t.Errorf("%+v", s)
	}
	w.step(cloud.Observed{Facts: []cloud.Fact{elbv2.TargetDrained{TargetGroup: classicARN, Target: b}}})
	w.pass(299 * time.Second)
	if want := []string{"gone", "healthy>draining", "drained"}; !slices.Equal(w.spy.heard, want) {
		t.Errorf("heard %q", w.spy.heard)
	}
	w.pass(2 * time.Second)
	if len(w.spy.heard) != 4 || w.spy.heard[3] != "gone" || len(w.routes[classicARN].TargetGroups[0].Targets) != 0 {
		t.Errorf("heard %q", w.spy.heard)
	}
}

func TestErrors(t *testing.T) {
	w := newWorld(t)
	w.create("classic")
	listener := func(protocol string, port, instancePort int32) []shape.Listener {
		return []shape.Listener{{Protocol: &protocol, LoadBalancerPort: &port, InstancePort: &instancePort}}
	}
	zones := []string{"us-east-1a", "us-east-1b"}
	check := func(target string, timeout int32) *shape.ConfigureHealthCheckInput {
		return &shape.ConfigureHealthCheckInput{LoadBalancerName: new("classic"), HealthCheck: &shape.HealthCheck{
			Target: &target, Interval: new(int32(10)), Timeout: &timeout, UnhealthyThreshold: new(int32(2)), HealthyThreshold: new(int32(2)),
		}}
	}
	for i, c := range []struct {
		operation string
		in        any
		code      string
	}{
		{"CreateLoadBalancer", &shape.CreateLoadBalancerInput{LoadBalancerName: new("classic"), AvailabilityZones: zones, Listeners: listener("HTTP", 80, 8080)}, ""},
		{"CreateLoadBalancer", &shape.CreateLoadBalancerInput{LoadBalancerName: new("classic"), AvailabilityZones: zones, Listeners: listener("HTTP", 81, 8080)}, "DuplicateLoadBalancerName"},
		{"CreateLoadBalancer", &shape.CreateLoadBalancerInput{LoadBalancerName: new("x"), AvailabilityZones: zones}, "ValidationError"},
		{"CreateLoadBalancer", &shape.CreateLoadBalancerInput{LoadBalancerName: new("x"), AvailabilityZones: zones, Listeners: listener("HTTPS", 443, 80)}, "UnsupportedProtocol"},
		{"CreateLoadBalancer", &shape.CreateLoadBalancerInput{LoadBalancerName: new("x"), AvailabilityZones: []string{"us-east-1z"}, Listeners: listener("HTTP", 80, 80)}, "ValidationError"},
		{"CreateLoadBalancer", &shape.CreateLoadBalancerInput{LoadBalancerName: new("x"), Subnets: []string{"subnet-none"}, Listeners: listener("HTTP", 80, 80)}, "SubnetNotFound"},
		{"CreateLoadBalancer", &shape.CreateLoadBalancerInput{LoadBalancerName: new("x"), Listeners: listener("HTTP", 80, 80)}, "ValidationError"},
		{"DescribeLoadBalancers", &shape.DescribeLoadBalancersInput{LoadBalancerNames: []string{"none"}}, "LoadBalancerNotFound"},
		{"CreateLoadBalancerListeners", &shape.CreateLoadBalancerListenersInput{LoadBalancerName: new("classic"), Listeners: listener("TCP", 80, 8080)}, "DuplicateListener"},
		{"ConfigureHealthCheck", check("HTTP:80", 5), "ValidationError"},
		{"ConfigureHealthCheck", check("TCP:80", 10), "ValidationError"},
		{"ConfigureHealthCheck", check("UDP:80", 5), "ValidationError"},
		{"ConfigureHealthCheck", check("TCP:0", 5), "ValidationError"},
		{"RegisterInstancesWithLoadBalancer", &shape.RegisterInstancesWithLoadBalancerInput{LoadBalancerName: new("classic"), Instances: instances("i-0123456789abcdef0")}, "InvalidInstance"},
		{"DisableAvailabilityZonesForLoadBalancer", &shape.DisableAvailabilityZonesForLoadBalancerInput{LoadBalancerName: new("classic"), AvailabilityZones: zones}, "InvalidConfigurationRequest"},
		{"ModifyLoadBalancerAttributes", &shape.ModifyLoadBalancerAttributesInput{LoadBalancerName: new("classic"), LoadBalancerAttributes: &shape.LoadBalancerAttributes{
			ConnectionDraining: &shape.ConnectionDraining{Enabled: new(true), Timeout: new(int32(3601))}}}, "ValidationError"},
	} {
		out := w.c.Step(w.now, cloud.Call{
			Scope: cloud.Scope{Account: "123456789012", Region: "us-east-1"}, Service: Name, Operation: c.operation, In: c.in,
		})
		var e *api.Error
		if errors.As(out.Err, &e); e == nil && c.code != "" || e != nil && e.Code != c.code || len(out.Changes) > 0 {
			t.Errorf("%d %s: %v, want %q; %d changes", i, c.operation, out.Err, c.code, len(out.Changes))
		}
	}
}

// TestMetrics: CW-NM-06.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.create("classic")
	a, b := w.launch("us-east-1a"), w.launch("us-east-1b")
	w.register(a, b)
	w.check(a, 10, true)
	minute := w.now.Truncate(time.Minute).Add(time.Minute)
	w.pass(minute.Sub(w.now) + time.Second)
	w.step(cloud.Observed{Facts: []cloud.Fact{elbv2.Traffic{From: minute, To: minute.Add(time.Minute), Counters: []elbv2.Counters{
		{LoadBalancer: classicARN, TargetGroup: classicARN, Zone: "us-east-1a", RequestCount: 5, TargetStatus: [6]int64{2: 5},
			TargetResponseTime: elbv2.Distribution{Count: 5, Sum: 1, Min: 0.2, Max: 0.2}},
		{LoadBalancer: classicARN, ELB5XX: 3},
	}}}})
	for _, c := range []struct {
		metric, zone string
		sum          float64
	}{
		{"HealthyHostCount", "", 1}, {"UnHealthyHostCount", "", 1}, {"HealthyHostCount", "us-east-1b", 0},
		{"RequestCount", "", 5}, {"RequestCount", "us-east-1a", 5}, {"Latency", "", 1}, {"HTTPCode_Backend_2XX", "", 5}, {"HTTPCode_ELB_5XX", "", 3},
	} {
		in := &cwapi.GetMetricStatisticsInput{
			Namespace: new(namespace), MetricName: &c.metric, StartTime: new(minute), EndTime: new(minute.Add(time.Minute)),
			Period: new(int32(60)), Statistics: []string{"Sum"},
		}
		for _, d := range dimensions("classic", c.zone) {
			in.Dimensions = append(in.Dimensions, cwapi.Dimension{Name: new(d.Name), Value: new(d.Value)})
		}
		reply, code := w.try("cloudwatch", "GetMetricStatistics", in)
		if points := reply.(*cwapi.GetMetricStatisticsOutput).Datapoints; code != "" || len(points) != 1 || *points[0].Sum != c.sum {
			t.Errorf("%s %s: %+v, want %v", c.metric, c.zone, points, c.sum)
		}
	}
}
