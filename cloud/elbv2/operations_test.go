package elbv2

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// TestNames: LB-DN-01, LB-DN-02, LB-DN-03.
func TestNames(t *testing.T) {
	w := newWorld(t)
	b := w.loadBalancer("front")
	group := w.targetGroup("web")
	listener := w.listener(*b.LoadBalancerArn, 80, group)
	for text, pattern := range map[string]string{
		*b.DNSName:         `front-\d{9,10}\.us-east-1\.elb\.localhost`,
		*b.LoadBalancerArn: `arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/front/[0-9a-f]{16}`,
		group:              `arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/[0-9a-f]{16}`,
		listener:           `arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/front/[0-9a-f]{16}/[0-9a-f]{16}`,
		*b.State.Code:      `provisioning`,
	} {
		if !regexp.MustCompile("^" + pattern + "$").MatchString(text) {
			t.Errorf("%s does not match %s", text, pattern)
		}
	}
	d := do[shape.DescribeLoadBalancersOutput](w, "DescribeLoadBalancers", &shape.DescribeLoadBalancersInput{Names: []string{"front"}}).LoadBalancers[0]
	if *d.State.Code != "active" || len(d.AvailabilityZones) != 2 || *d.AvailabilityZones[1].ZoneName != "us-east-1b" || len(d.SecurityGroups) != 1 {
		t.Errorf("%+v", d)
	}
	rule := do[shape.DescribeRulesOutput](w, "DescribeRules", &shape.DescribeRulesInput{ListenerArn: &listener}).Rules[0]
	same := do[shape.DescribeRulesOutput](w, "DescribeRules", &shape.DescribeRulesInput{RuleArns: []string{*rule.RuleArn}}).Rules
	if !*rule.IsDefault || *rule.Priority != "default" || len(same) != 1 || *rule.Actions[0].TargetGroupArn != group {
		t.Errorf("%+v", rule)
	}
	subnets, _ := w.subnets()
	inner := do[shape.CreateLoadBalancerOutput](w, "CreateLoadBalancer", &shape.CreateLoadBalancerInput{
		Name: new("back"), Subnets: subnets, Scheme: new("internal"),
	}).LoadBalancers[0]
	if !regexp.MustCompile(`^internal-back-\d+\.`).MatchString(*inner.DNSName) {
		t.Error(*inner.DNSName)
	}
}

// TestErrors: LB-DN-04. Whatever fails changes nothing.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	subnets, vpc := w.subnets()
	front, back := *w.loadBalancer("front").LoadBalancerArn, *w.loadBalancer("back").LoadBalancerArn
	web, idle := w.targetGroup("web"), w.targetGroup("idle")
	listener := w.listener(front, 80, web)
	create := func(name string, change func(*shape.CreateLoadBalancerInput)) *shape.CreateLoadBalancerInput {
		in := &shape.CreateLoadBalancerInput{Name: new(name), Subnets: subnets[:2]}
		change(in)
		return in
	}
	group := func(change func(*shape.CreateTargetGroupInput)) *shape.CreateTargetGroupInput {
		in := &shape.CreateTargetGroupInput{Name: new("web"), Protocol: new("HTTP"), Port: new(int32(80)), VpcId: &vpc}
		change(in)
		return in
	}
	listen := func(lb string, port int32, protocol string, actions []shape.Action) *shape.CreateListenerInput {
		return &shape.CreateListenerInput{LoadBalancerArn: &lb, Protocol: &protocol, Port: &port, DefaultActions: actions}
	}
	attribute := func(key, value string) *shape.ModifyTargetGroupAttributesInput {
		return &shape.ModifyTargetGroupAttributesInput{TargetGroupArn: &web, Attributes: []shape.TargetGroupAttribute{{Key: &key, Value: &value}}}
	}
	gone := front[:len(front)-4] + "ffff"
	for i, c := range []struct {
		operation string
		in        any
		code      string
	}{
		{"CreateLoadBalancer", create("front", func(in *shape.CreateLoadBalancerInput) {}), ""}, // the same again
		{"CreateLoadBalancer", create("front", func(in *shape.CreateLoadBalancerInput) { in.Scheme = new("internal") }), "DuplicateLoadBalancerName"},
		{"CreateLoadBalancer", create("x", func(in *shape.CreateLoadBalancerInput) { in.Subnets = subnets[:1] }), "ValidationError"},
		{"CreateLoadBalancer", create("x", func(in *shape.CreateLoadBalancerInput) { in.Subnets = []string{subnets[0], "subnet-none"} }), "SubnetNotFound"},
		{"CreateLoadBalancer", create("x", func(in *shape.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-none"} }), "InvalidSecurityGroup"},
		{"CreateLoadBalancer", create("x", func(in *shape.CreateLoadBalancerInput) { in.Type = new("network") }), "InvalidConfigurationRequest"},
		{"CreateLoadBalancer", create("-x", func(in *shape.CreateLoadBalancerInput) {}), "ValidationError"},
		{"CreateLoadBalancer", create("a_b", func(in *shape.CreateLoadBalancerInput) {}), "ValidationError"},
		{"CreateLoadBalancer", create("internal-x", func(in *shape.CreateLoadBalancerInput) {}), "ValidationError"},
		{"DescribeLoadBalancers", &shape.DescribeLoadBalancersInput{Names: []string{"none"}}, "LoadBalancerNotFound"},
		{"DescribeLoadBalancers", &shape.DescribeLoadBalancersInput{LoadBalancerArns: []string{gone}}, "LoadBalancerNotFound"},
		{"DescribeLoadBalancers", &shape.DescribeLoadBalancersInput{LoadBalancerArns: []string{"front"}}, "ValidationError"},
		{"DeleteLoadBalancer", &shape.DeleteLoadBalancerInput{LoadBalancerArn: &gone}, ""},
		{"CreateTargetGroup", group(func(in *shape.CreateTargetGroupInput) {}), ""},
		{"CreateTargetGroup", group(func(in *shape.CreateTargetGroupInput) { in.Port = new(int32(81)) }), "DuplicateTargetGroupName"},
		{"CreateTargetGroup", group(func(in *shape.CreateTargetGroupInput) { in.VpcId = new("vpc-none") }), "ValidationError"},
		{"CreateTargetGroup", group(func(in *shape.CreateTargetGroupInput) { in.Protocol = new("TCP") }), "InvalidConfigurationRequest"},
		{"CreateTargetGroup", group(func(in *shape.CreateTargetGroupInput) { in.HealthCheckPath = new("ping") }), "ValidationError"},
		{"CreateTargetGroup", group(func(in *shape.CreateTargetGroupInput) { in.HealthCheckTimeoutSeconds = new(int32(30)) }), "ValidationError"},
		{"CreateTargetGroup", group(func(in *shape.CreateTargetGroupInput) { in.Matcher = &shape.Matcher{HttpCode: new("200-600")} }), "ValidationError"},
		{"DescribeTargetGroups", &shape.DescribeTargetGroupsInput{Names: []string{"none"}}, "TargetGroupNotFound"},
		{"DeleteTargetGroup", &shape.DeleteTargetGroupInput{TargetGroupArn: &web}, "ResourceInUse"},
		{"CreateListener", listen(front, 80, "HTTP", forward(idle)), "DuplicateListener"},
		{"CreateListener", listen(back, 80, "HTTP", forward(web)), "TargetGroupAssociationLimit"},
		{"CreateListener", listen(back, 443, "HTTPS", forward(idle)), "UnsupportedProtocol"},
		{"CreateListener", listen(back, 80, "HTTP", []shape.Action{{Type: new("redirect")}}), "InvalidLoadBalancerAction"},
		{"CreateListener", listen(back, 80, "HTTP", forward(idle, idle)), "ValidationError"},
		{"CreateListener", listen(back, 80, "HTTP", forward(idle[:len(idle)-1]+"g")), "TargetGroupNotFound"},
		{"DescribeListeners", &shape.DescribeListenersInput{ListenerArns: []string{listener[:len(listener)-1] + "g"}}, "ListenerNotFound"},
		{"RegisterTargets", &shape.RegisterTargetsInput{TargetGroupArn: &web, Targets: targets("i-0123456789abcdef0")}, "InvalidTarget"},
		{"ModifyTargetGroupAttributes", attribute("none", "1"), "ValidationError"},
		{"ModifyTargetGroupAttributes", attribute(keyDelay, "3601"), "ValidationError"},
		{"ModifyTargetGroupAttributes", attribute(keyAnomaly, "on"), "InvalidConfigurationRequest"},
		{"ModifyTargetGroup", &shape.ModifyTargetGroupInput{TargetGroupArn: &web, HealthCheckEnabled: new(false)}, "InvalidConfigurationRequest"},
		{"AddTags", &shape.AddTagsInput{ResourceArns: []string{web, gone}, Tags: []shape.Tag{{Key: new("k")}}}, "LoadBalancerNotFound"},
		{"AddTags", &shape.AddTagsInput{ResourceArns: []string{web}, Tags: []shape.Tag{{Key: new("k")}, {Key: new("k")}}}, "DuplicateTagKeys"},
		{"CreateRule", &shape.CreateRuleInput{ListenerArn: &listener}, "NotImplemented"},
	} {
		before := fmt.Sprint(dump(w.c))
		if _, code := w.try(Name, c.operation, c.in); code != c.code {
			t.Errorf("%d %s: %q, want %q", i, c.operation, code, c.code)
		}
		if after := fmt.Sprint(dump(w.c)); after != before {
			t.Errorf("%d %s changed something", i, c.operation)
		}
	}
}

// TestAddresses: each load balancer has one of its own and gives it back.
func TestAddresses(t *testing.T) {
	w := newWorld(t)
	a, b := *w.loadBalancer("a").LoadBalancerArn, *w.loadBalancer("b").LoadBalancerArn
	if w.routes[a].Address != "127.65.0.1" || w.routes[b].Address != "127.65.0.2" {
		t.Errorf("%s and %s", w.routes[a].Address, w.routes[b].Address)
	}
	do[shape.DeleteLoadBalancerOutput](w, "DeleteLoadBalancer", &shape.DeleteLoadBalancerInput{LoadBalancerArn: &a})
	if r, told := w.routes[a]; !told || r != nil {
		t.Error("the data plane was not told that it is gone")
	}
	c := *w.loadBalancer("c").LoadBalancerArn
	if w.routes[c].Address != "127.65.0.1" {
		t.Error(w.routes[c].Address)
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.targetGroup(fmt.Sprint("g", i))
	}
	var names []string
	in := &shape.DescribeTargetGroupsInput{PageSize: new(int32(3))}
	for range 4 {
		out := do[shape.DescribeTargetGroupsOutput](w, "DescribeTargetGroups", in)
		for _, g := range out.TargetGroups {
			names = append(names, *g.TargetGroupName)
		}
		if in.Marker = out.NextMarker; in.Marker == nil {
			break
		}
	}
	if fmt.Sprint(names) != "[g0 g1 g2 g3 g4 g5 g6]" {
		t.Error(names)
	}
}

func TestAttributes(t *testing.T) {
	w, lb, group, _ := serving(t, 1)
	set := func(key, value string) {
		do[shape.ModifyLoadBalancerAttributesOutput](w, "ModifyLoadBalancerAttributes", &shape.ModifyLoadBalancerAttributesInput{
			LoadBalancerArn: &lb, Attributes: []shape.LoadBalancerAttribute{{Key: &key, Value: &value}},
		})
	}
	if r := w.routes[lb]; r.IdleTimeout != time.Minute || r.ClientKeepAlive != time.Hour || r.XForwardedFor != "append" { // LB-HD-01, LB-HD-03
		t.Errorf("%+v", r)
	}
	set(keyIdleTimeout, "120")
	set(keyXFFMode, "remove")
	set(keyDeletionProtection, "true")
	if r := w.routes[lb]; r.IdleTimeout != 2*time.Minute || r.XForwardedFor != "remove" {
		t.Errorf("%+v", r)
	}
	if _, code := w.try(Name, "DeleteLoadBalancer", &shape.DeleteLoadBalancerInput{LoadBalancerArn: &lb}); code != "OperationNotPermitted" {
		t.Error(code)
	}
	set(keyDeletionProtection, "false")
	list := do[shape.DescribeTargetGroupAttributesOutput](w, "DescribeTargetGroupAttributes", &shape.DescribeTargetGroupAttributesInput{TargetGroupArn: &group}).Attributes
	if len(list) != len(targetGroupAttributes) || *list[0].Key != keyDelay || *list[0].Value != "300" {
		t.Errorf("%+v", list)
	}
	g := do[shape.ModifyTargetGroupOutput](w, "ModifyTargetGroup", &shape.ModifyTargetGroupInput{
		TargetGroupArn: &group, HealthCheckPath: new("/ping"), HealthCheckPort: new("8081"), HealthCheckIntervalSeconds: new(int32(10)),
		Matcher: &shape.Matcher{HttpCode: new("200,301-302")},
	}).TargetGroups[0]
	if h := w.routes[lb].TargetGroups[0].HealthCheck; h != (RouteHealthCheck{true, "HTTP", 8081, "/ping", 10 * time.Second, 5 * time.Second, "200,301-302"}) {
		t.Errorf("%+v", h)
	}
	if *g.UnhealthyThresholdCount != 2 || *g.HealthyThresholdCount != 5 || *g.HealthCheckTimeoutSeconds != 5 { // LB-HC-01
		t.Errorf("%+v", g)
	}
	do[shape.AddTagsOutput](w, "AddTags", &shape.AddTagsInput{ResourceArns: []string{lb, group}, Tags: []shape.Tag{{Key: new("k"), Value: new("v")}}})
	do[shape.RemoveTagsOutput](w, "RemoveTags", &shape.RemoveTagsInput{ResourceArns: []string{lb}, TagKeys: []string{"k"}})
	tags := do[shape.DescribeTagsOutput](w, "DescribeTags", &shape.DescribeTagsInput{ResourceArns: []string{lb, group}}).TagDescriptions
	if len(tags[0].Tags) != 0 || len(tags[1].Tags) != 1 {
		t.Errorf("%+v", tags)
	}
}

// TestWeightedForward: LB-RU-03; a listener that is changed takes target groups in and out of use.
func TestWeightedForward(t *testing.T) {
	w, lb, group, ids := serving(t, 1)
	other := w.targetGroup("other")
	w.register(other, ids...)
	listener := *do[shape.DescribeListenersOutput](w, "DescribeListeners", &shape.DescribeListenersInput{LoadBalancerArn: &lb}).Listeners[0].ListenerArn
	both := forward(group, other)
	both[0].ForwardConfig.TargetGroups[1].Weight = new(int32(9))
	do[shape.ModifyListenerOutput](w, "ModifyListener", &shape.ModifyListenerInput{ListenerArn: &listener, DefaultActions: both})
	if got := w.routes[lb].Listeners[0].Forward; !slices.Equal(got, []RouteForward{{group, 1}, {other, 9}}) {
		t.Errorf("%+v", got)
	}
	if w.health(group, ids[0]) != "healthy" || w.health(other, ids[0])[:7] != "initial" {
		t.Error(w.health(group, ids[0]), w.health(other, ids[0]))
	}
	do[shape.ModifyListenerOutput](w, "ModifyListener", &shape.ModifyListenerInput{ListenerArn: &listener, DefaultActions: forward(other)})
	if w.health(group, ids[0])[:6] != "unused" || len(w.routes[lb].TargetGroups) != 1 {
		t.Error(w.health(group, ids[0]))
	}
}

// sum is a statistic over one minute: the sum, and how many samples.
func (w *world) sum(metric string, minute time.Time, pairs ...string) (sum, count float64) {
	w.t.Helper()
	in := &cwapi.GetMetricStatisticsInput{
		Namespace: new(namespace), MetricName: &metric, StartTime: new(minute), EndTime: new(minute.Add(time.Minute)),
		Period: new(int32(60)), Statistics: []string{"Sum", "SampleCount"},
	}
	for i := 0; i < len(pairs); i += 2 {
		in.Dimensions = append(in.Dimensions, cwapi.Dimension{Name: &pairs[i], Value: &pairs[i+1]})
	}
	reply, code := w.try("cloudwatch", "GetMetricStatistics", in)
	if code != "" {
		w.t.Fatal(code)
	}
	for _, p := range reply.(*cwapi.GetMetricStatisticsOutput).Datapoints {
		sum, count = sum+*p.Sum, count+*p.SampleCount
	}
	return sum, count
}

// TestMetrics: CW-NM-03, CW-NM-04.
func TestMetrics(t *testing.T) {
	w, lb, group, ids := serving(t, 4)
	w.check(group, ids[3], 503)
	w.check(group, ids[3], 503)
	minute := w.now.Truncate(time.Minute).Add(time.Minute)
	w.pass(minute.Sub(w.now) + 30*time.Second)
	lbName, groupName := dimensionOf(lb), dimensionOf(group)
	if got, n := w.sum("HealthyHostCount", minute, "TargetGroup", groupName, "LoadBalancer", lbName); got != 3 || n != 1 {
		t.Errorf("%v healthy hosts in %v samples", got, n)
	}
	if got, _ := w.sum("UnHealthyHostCount", minute, "TargetGroup", groupName, "AvailabilityZone", "us-east-1a", "LoadBalancer", lbName); got != 1 {
		t.Errorf("%v unhealthy hosts", got)
	}
	if got, n := w.sum("RequestCountPerTarget", minute, "TargetGroup", groupName, "LoadBalancer", lbName); got != 0 || n == 0 {
		t.Errorf("without traffic: %v requests per target in %v samples", got, n)
	}
	counters := []Counters{
		{LoadBalancer: lb, TargetGroup: group, Zone: "us-east-1a", RequestCount: 90, TargetStatus: [6]int64{2: 80, 5: 10},
			TargetResponseTime: Distribution{Count: 90, Sum: 9, Min: 0.1, Max: 0.1, Values: []float64{0.1}, Counts: []float64{90}}},
		{LoadBalancer: lb, TargetGroup: group, Zone: "us-east-1b", RequestCount: 30, TargetStatus: [6]int64{2: 30}},
		{LoadBalancer: lb, NewConnectionCount: 7, ActiveConnectionCount: 3, ProcessedBytes: 1000, ELB5XX: 2, ELB503: 2},
		{LoadBalancer: lb + "x", TargetGroup: group, RequestCount: 1000}, // of a load balancer that has gone
	}
	if _, err := w.step(cloud.Observed{Facts: []cloud.Fact{Traffic{From: minute, To: minute.Add(time.Minute), Counters: counters}}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		metric     string
		sum        float64
		dimensions []string
	}{
		{"RequestCount", 120, []string{"LoadBalancer", lbName}},
		{"RequestCount", 90, []string{"LoadBalancer", lbName, "AvailabilityZone", "us-east-1a"}},
		{"RequestCount", 120, []string{"LoadBalancer", lbName, "TargetGroup", groupName}},
		{"RequestCountPerTarget", 40, []string{"LoadBalancer", lbName, "TargetGroup", groupName}}, // among the three healthy ones
		{"RequestCountPerTarget", 40, []string{"TargetGroup", groupName}},
		{"HTTPCode_Target_2XX_Count", 110, []string{"LoadBalancer", lbName}},
		{"HTTPCode_Target_5XX_Count", 10, []string{"LoadBalancer", lbName, "TargetGroup", groupName}},
		{"TargetResponseTime", 9, []string{"LoadBalancer", lbName}},
		{"HTTPCode_ELB_503_Count", 2, []string{"LoadBalancer", lbName}},
		{"NewConnectionCount", 7, []string{"LoadBalancer", lbName}},
		{"ProcessedBytes", 1000, []string{"LoadBalancer", lbName}},
	} {
		if got, _ := w.sum(c.metric, minute, c.dimensions...); got != c.sum {
			t.Errorf("%s %v: %v, want %v", c.metric, c.dimensions, got, c.sum)
		}
	}
}

// TestForAutoScaling is what Auto Scaling calls.
func TestForAutoScaling(t *testing.T) {
	w, lb, group, ids := serving(t, 2)
	in := func(f func(tx *cloud.Tx)) {
		c := cloud.New(2, &caller{f: f})
		c.Step(w.now, cloud.Call{Scope: here, Service: "caller", Operation: "Call", In: new(0)})
	}
	in(func(tx *cloud.Tx) {
		if h, ok := w.elb.InstanceHealth(tx, group, ids[0]); !ok || h.State != StateHealthy {
			t.Errorf("%+v %v", h, ok)
		}
		if _, ok := w.elb.InstanceHealth(tx, group, "i-none"); ok || !w.elb.InstanceDrained(tx, group, "i-none") || w.elb.InstanceDrained(tx, group, ids[0]) {
			t.Error("an unknown instance")
		}
		if !w.elb.HasTargetGroup(tx, group) || w.elb.HasTargetGroup(tx, group+"x") || !slices.Equal(w.elb.LoadBalancersOf(tx, group), []string{lb}) {
			t.Error("the target group")
		}
	})
}

// caller runs a function in a step; it only reads.
type caller struct {
	cloud.Base
	f func(*cloud.Tx)
}

func (*caller) Name() string { return "caller" }

func (c *caller) Operations() []cloud.Operation {
	return []cloud.Operation{cloud.Handle("Call", func(tx *cloud.Tx, _ *int) (*int, error) { c.f(tx); return new(0), nil })}
}
