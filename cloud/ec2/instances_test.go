package ec2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// EC-IN-01, EC-IN-03, EC-IP-07: the whole life of an instance, with what services above hear of it.
func TestLifeOfAnInstance(t *testing.T) {
	w := newWorld(t, Options{})
	w.hold = true
	id := w.run(1)[0]
	w.wantState(id, Pending)
	if spec := w.wishes[0].(LaunchInstance).Spec; spec.ID != id || spec.VCPUs != 2 || spec.Memory != 1024 || spec.ImageID != "" ||
		spec.Hostname != "ip-"+strings.ReplaceAll(spec.PrivateIP, ".", "-")+".ec2.internal" || spec.Subnet != "172.31.0.0/20" {
		t.Errorf("%+v", spec)
	}
	w.observe(InstanceRunning{ID: id})
	w.wantState(id, Running)
	first := w.see(id)
	if !strings.HasPrefix(*first.PublicIpAddress, "127.64.") || !strings.HasPrefix(*first.PublicDnsName, "ec2-127-64-") {
		t.Errorf("public address %s, %s", *first.PublicIpAddress, *first.PublicDnsName)
	}
	w.now = w.now.Add(time.Minute)
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	w.wantState(id, Stopping)
	w.observe(InstanceStopped{ID: id})
	stopped := w.see(id)
	if stopped.PublicIpAddress != nil || *stopped.PrivateIpAddress != *first.PrivateIpAddress {
		t.Error("a stopped instance keeps its private address only")
	}
	if got := *stopped.StateTransitionReason; got != "User initiated (2026-11-20 12:01:00 GMT)" {
		t.Errorf("reason %q", got)
	}
	if *stopped.StateReason.Code != "Client.UserInitiatedShutdown" {
		t.Error(*stopped.StateReason.Code)
	}
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: []string{id}})
	w.observe(InstanceRunning{ID: id})
	if again := w.see(id); again.PublicIpAddress == nil || *again.PublicIpAddress == *first.PublicIpAddress || *again.LaunchTime == *first.LaunchTime {
		t.Error("a start gives a new public address and a new launch time")
	}
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: []string{id}})
	w.wantState(id, ShuttingDown)
	w.observe(InstanceTerminated{ID: id})
	if gone := w.see(id); *gone.State.Name != Terminated || gone.PrivateIpAddress != nil || len(gone.NetworkInterfaces) != 0 || gone.SubnetId != nil {
		t.Errorf("%+v", gone)
	}
	w.pass(59 * time.Minute)
	w.wantState(id, Terminated)
	w.pass(2 * time.Minute)
	w.refused(&shape.DescribeInstancesInput{InstanceIds: []string{id}}, "InvalidInstanceID.NotFound")
	user := "Client.UserInitiatedShutdown"
	want := []string{
		">pending ", "pending>running ", "status initializing", "running>stopping " + user, "stopping>stopped " + user, "stopped>pending ",
		"pending>running ", "status initializing", "running>shutting-down " + user, "shutting-down>terminated " + user,
	}
	if diff := cmp.Diff(want, w.events.heard); diff != "" {
		t.Error(diff)
	}
	if n := w.s.instances.Len() + w.s.tags.Len() + w.s.usage.Len(); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestReactionsToTheWorld(t *testing.T) {
	for _, c := range []struct {
		rule     string
		shutdown string
		facts    func(id string) []cloud.Fact
		state    string
		code     string
		wish     string // type of the last wish
	}{
		{"EC-IN-04 poweroff stops", "stop", func(id string) []cloud.Fact { return []cloud.Fact{InstanceExited{id, ExitPoweroff}} }, Stopped, "Client.InstanceInitiatedShutdown", "LaunchInstance"},
		{"EC-IN-04 poweroff terminates", "terminate", func(id string) []cloud.Fact { return []cloud.Fact{InstanceExited{id, ExitPoweroff}} }, ShuttingDown, "Client.InstanceInitiatedShutdown", "TerminateInstance"},
		{"a killed instance has failed", "stop", func(id string) []cloud.Fact { return []cloud.Fact{InstanceExited{id, ExitKilled}} }, ShuttingDown, "Server.InternalError", "TerminateInstance"},
		{"EC-IN-06 the host went down", "stop", func(id string) []cloud.Fact { return []cloud.Fact{InstanceExited{id, ExitHost}} }, Running, "", "StartInstance"},
		{"an inventory without it", "stop", func(string) []cloud.Fact { return []cloud.Fact{Inventory{Began: t0.Add(time.Second)}} }, ShuttingDown, "Server.InternalError", "TerminateInstance"},
		{"an old inventory without it", "stop", func(string) []cloud.Fact { return []cloud.Fact{Inventory{Began: t0}} }, Running, "", "LaunchInstance"},
		{"an inventory where it was killed", "stop", func(id string) []cloud.Fact {
			return []cloud.Fact{Inventory{Began: t0.Add(time.Second), Instances: []Seen{{id, Stopped, ExitKilled}}}}
		}, ShuttingDown, "Server.InternalError", "TerminateInstance"},
		{"an inventory where it stands still", "stop", func(id string) []cloud.Fact {
			return []cloud.Fact{Inventory{Began: t0.Add(time.Second), Instances: []Seen{{id, Stopped, ExitHost}}}}
		}, Running, "", "StartInstance"},
		{"a stop nobody asked for is no news", "stop", func(id string) []cloud.Fact { return []cloud.Fact{InstanceStopped{id}, InstanceTerminated{id}} }, Running, "", "LaunchInstance"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.hold = true
			id := w.run(1, func(in *shape.RunInstancesInput) { in.InstanceInitiatedShutdownBehavior = new(c.shutdown) })[0]
			w.observe(InstanceRunning{ID: id})
			w.now = w.now.Add(2 * time.Second)
			w.observe(c.facts(id)...)
			got := w.see(id)
			code := ""
			if got.StateReason != nil {
				code = *got.StateReason.Code
			}
			if *got.State.Name != c.state || code != c.code {
				t.Errorf("%s %q, want %s %q", *got.State.Name, code, c.state, c.code)
			}
			if last := fmt.Sprintf("%T", w.wishes[len(w.wishes)-1]); last != "ec2."+c.wish {
				t.Errorf("wishes %s, want %s", last, c.wish)
			}
		})
	}
}

// A wish that nobody answers is made again, later and later; an inventory brings lost ones back sooner.
func TestLostWishes(t *testing.T) {
	w := newWorld(t, Options{})
	w.hold = true
	id := w.run(1)[0]
	count := func() int {
		return len(slices.DeleteFunc(slices.Clone(w.wishes), func(e cloud.Effect) bool { _, ok := e.(LaunchInstance); return !ok }))
	}
	w.pass(59 * time.Second)
	if count() != 1 {
		t.Errorf("%d wishes before a minute", count())
	}
	w.pass(2*time.Minute + 2*time.Second) // at 1 and 3 minutes
	if count() != 3 {
		t.Errorf("%d wishes after three minutes", count())
	}
	w.now = w.now.Add(5 * time.Second)
	w.inventory()
	if count() != 3 {
		t.Error("an inventory right after a wish says nothing")
	}
	w.observe(Inventory{Began: w.now, First: true})
	if count() != 4 {
		t.Error("the first inventory of a new daemon, which has nothing under way, makes the wish again at once")
	}
	w.now = w.now.Add(10 * time.Second)
	w.inventory()
	if count() != 5 {
		t.Error("an inventory without the instance makes the wish again")
	}
	w.host[id] = Running // it was made, and the answer was lost
	w.now = w.now.Add(time.Second)
	w.inventory()
	w.wantState(id, Running)
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: []string{id}})
	w.now = w.now.Add(11 * time.Second)
	before := len(w.wishes)
	w.inventory()
	if len(w.wishes) != before+1 {
		t.Error("an instance that will not go is wished away again")
	}
	delete(w.host, id)
	w.now = w.now.Add(time.Second)
	w.inventory()
	w.wantState(id, Terminated)
	w.host["i-0zombie"] = Running
	w.inventory()
	if last := w.wishes[len(w.wishes)-1]; last != (TerminateInstance{ID: "i-0zombie"}) {
		t.Errorf("a zombie lives: %v", last)
	}
}

// EC-IN-05b, AS-AC-13: a launch that fails ends the instance; a start that fails does not.
func TestFailedLaunches(t *testing.T) {
	w := newWorld(t, Options{})
	w.hold = true
	ids := w.run(2)
	w.observe(LaunchFailed{ids[0], "Server.InsufficientInstanceCapacity", "The host has 2 GiB."}, InstanceRunning{ids[1]})
	failed := w.see(ids[0])
	want := "We currently do not have sufficient t3.micro capacity in the Availability Zone you requested (us-east-1a). Our system will be working on provisioning additional capacity. You can currently get t3.micro capacity by not specifying an Availability Zone in your request or choosing us-east-1b, us-east-1c. (The host has 2 GiB.)"
	if *failed.State.Name != Terminated || *failed.StateReason.Message != want || !strings.Contains(*failed.StateTransitionReason, "2 GiB") {
		t.Errorf("%s %s", *failed.State.Name, *failed.StateReason.Message)
	}
	w.step(cloud.Call{Scope: here, Service: Name, Operation: "StopInstances", In: &shape.StopInstancesInput{InstanceIds: ids[1:]}})
	w.observe(InstanceStopped{ids[1]})
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: ids[1:]})
	w.observe(LaunchFailed{ids[1], "Server.InternalError", "no"})
	w.wantState(ids[1], Stopped)
}

// TestWhatIsStoppedAndGoneHasEnded: a stopped instance that the host has no more is not kept for ever (found by sim/fuzz).
func TestWhatIsStoppedAndGoneHasEnded(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	w.wantState(id, Stopped)
	w.now = w.now.Add(time.Second)
	w.inventory()
	w.wantState(id, Stopped)
	delete(w.host, id)
	w.inventory()
	w.wantState(id, Terminated)
}

// TestNewsOfThePast: answers that come late or twice change nothing.
func TestNewsOfThePast(t *testing.T) {
	w := newWorld(t, Options{})
	w.hold = true
	ids := w.run(2)
	w.observe(InstanceRunning{ids[0]}, InstanceRunning{ids[1]})
	w.observe(LaunchFailed{ids[0], "Server.InternalError", "a copy of another answer"})
	w.wantState(ids[0], Running)
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: ids[1:]})
	w.observe(InstanceTerminated{ids[1]})
	w.wishes = nil
	w.observe(InstanceRunning{ids[1]})
	w.wantState(ids[1], Terminated)
	w.now = w.now.Add(time.Minute)
	w.observe(Inventory{Began: w.now, Instances: []Seen{{ids[0], Running, ""}, {ids[1], Running, ""}}})
	if len(w.wishes) != 1 || w.wishes[0] != (TerminateInstance{ID: ids[1]}) {
		t.Errorf("wishes %v; what came back after its end is ended again", w.wishes)
	}
}

// TestWhatIsBackIsNotWaitedFor: an instance that the host has lost and brought back needs nothing more (found by sim/fuzz).
func TestWhatIsBackIsNotWaitedFor(t *testing.T) {
	w := newWorld(t, Options{})
	w.hold = true
	id := w.run(1)[0]
	w.observe(InstanceRunning{id})
	w.pass(2 * time.Minute)
	w.observe(InstanceExited{id, ExitHost})
	if w.c.Wake().IsZero() {
		t.Error("a lost wish would not be made again")
	}
	w.observe(InstanceRunning{id})
	if wake := w.c.Wake(); !wake.IsZero() {
		t.Errorf("wakes at %v for nothing", wake)
	}
}

func TestStatusChecks(t *testing.T) { // EC-IN-05
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	status := func() string {
		out := call[shape.DescribeInstanceStatusOutput](w, &shape.DescribeInstanceStatusInput{InstanceIds: []string{id}})
		return *out.InstanceStatuses[0].InstanceStatus.Status + " " + *out.InstanceStatuses[0].SystemStatus.Details[0].Status
	}
	if got := status(); got != "initializing initializing" {
		t.Error(got)
	}
	w.pass(time.Minute)
	if got := status(); got != "ok passed" || w.events.heard[len(w.events.heard)-1] != "status ok" {
		t.Error(got, w.events.heard)
	}
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	if out := call[shape.DescribeInstanceStatusOutput](w, &shape.DescribeInstanceStatusInput{InstanceIds: []string{id}}); len(out.InstanceStatuses) != 0 {
		t.Error("only running instances are shown")
	}
	all := call[shape.DescribeInstanceStatusOutput](w, &shape.DescribeInstanceStatusInput{IncludeAllInstances: new(true)})
	if *all.InstanceStatuses[0].InstanceStatus.Status != "not-applicable" {
		t.Error("a stopped one has no checks")
	}
}

func TestRunInstancesRefuses(t *testing.T) {
	w := newWorld(t, Options{InstanceLimit: 20})
	w.run(1)
	good := func() *shape.RunInstancesInput {
		return &shape.RunInstancesInput{ImageId: new(builtins[0].ID), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(1))}
	}
	for code, change := range map[string]func(*shape.RunInstancesInput){ // any order: each is its own call
		"InvalidAMIID.NotFound":     func(in *shape.RunInstancesInput) { in.ImageId = new("ami-00000000000000000") },
		"InvalidAMIID.Malformed":    func(in *shape.RunInstancesInput) { in.ImageId = new("debian") },
		"MissingParameter":          func(in *shape.RunInstancesInput) { in.ImageId = nil },
		"InvalidParameterValue":     func(in *shape.RunInstancesInput) { in.InstanceType = new("t9.micro") },
		"InvalidKeyPair.NotFound":   func(in *shape.RunInstancesInput) { in.KeyName = new("k") },
		"InvalidSubnetID.NotFound":  func(in *shape.RunInstancesInput) { in.SubnetId = new("subnet-00000000000000000") },
		"InvalidGroup.NotFound":     func(in *shape.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-00000000000000000"} },
		"InvalidUserData.Malformed": func(in *shape.RunInstancesInput) { in.UserData = new("%%%") },
		"InstanceLimitExceeded":     func(in *shape.RunInstancesInput) { in.MinCount, in.MaxCount = new(int32(20)), new(int32(20)) },
		"DryRunOperation":           func(in *shape.RunInstancesInput) { in.DryRun = new(true) },
		"InvalidLaunchTemplateName.NotFoundException": func(in *shape.RunInstancesInput) {
			in.LaunchTemplate = &shape.LaunchTemplateSpecification{LaunchTemplateName: new("no")}
		},
		"InvalidLaunchTemplateId.Malformed": func(in *shape.RunInstancesInput) {
			in.LaunchTemplate = &shape.LaunchTemplateSpecification{LaunchTemplateId: new("lt-no")}
		},
		"InvalidBlockDeviceMapping": func(in *shape.RunInstancesInput) {
			in.BlockDeviceMappings = []shape.BlockDeviceMapping{{DeviceName: new("floppy")}}
		},
		"InvalidParameterCombination": func(in *shape.RunInstancesInput) {
			in.SubnetId, in.NetworkInterfaces = new("subnet-1"), []shape.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0))}}
		},
	} {
		in := good()
		change(in)
		w.refused(in, code)
	}
	arm := good()
	arm.InstanceType = new("m7g.large")
	if e := w.refused(arm, "InvalidParameterValue"); !strings.Contains(e.Message, "does not match the architecture 'x86_64'") {
		t.Error(e.Message)
	}
	if out := call[shape.RunInstancesOutput](w, &shape.RunInstancesInput{
		ImageId: new(builtins[0].ID), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(30)),
	}); len(out.Instances) != 19 {
		t.Errorf("%d instances, want as many as the limit leaves", len(out.Instances))
	}
}

func TestClientTokenMakesACallIdempotent(t *testing.T) {
	w := newWorld(t, Options{})
	token := func(in *shape.RunInstancesInput) { in.ClientToken = new("once") }
	first := w.run(2, token)
	second := w.run(2, token)
	slices.Sort(first)
	slices.Sort(second)
	if !slices.Equal(first, second) || w.s.instances.Len() != 2 {
		t.Errorf("%v %v", first, second)
	}
	w.refused(&shape.RunInstancesInput{
		ImageId: new(builtins[0].ID), MinCount: new(int32(1)), MaxCount: new(int32(1)), ClientToken: new("once"),
	}, "IdempotentParameterMismatch")
}

func TestStatesThatForbid(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1, func(in *shape.RunInstancesInput) { in.DisableApiTermination, in.DisableApiStop = new(true), new(true) })
	w.refused(&shape.TerminateInstancesInput{InstanceIds: id}, "OperationNotPermitted")
	w.refused(&shape.StopInstancesInput{InstanceIds: id}, "OperationNotPermitted")
	w.refused(&shape.ModifyInstanceAttributeInput{InstanceId: &id[0], InstanceType: &shape.AttributeValue{Value: new("t3.small")}}, "IncorrectInstanceState")
	w.refused(&shape.ModifyInstanceAttributeInput{InstanceId: &id[0], UserData: &shape.BlobAttributeValue{Value: []byte("x")}}, "IncorrectInstanceState")
	for _, attribute := range []string{"disableApiTermination", "disableApiStop"} {
		call[shape.ModifyInstanceAttributeOutput](w, &shape.ModifyInstanceAttributeInput{InstanceId: &id[0], Attribute: &attribute, Value: new("false")})
	}
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: id})
	call[shape.ModifyInstanceAttributeOutput](w, &shape.ModifyInstanceAttributeInput{InstanceId: &id[0], InstanceType: &shape.AttributeValue{Value: new("t3.small")}})
	w.refused(&shape.RebootInstancesInput{InstanceIds: id}, "IncorrectInstanceState")
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: id})
	if spec := w.wishes[len(w.wishes)-1].(StartInstance).Spec; spec.Memory != 2048 {
		t.Errorf("started with %d MiB", spec.Memory)
	}
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: id})
	w.refused(&shape.StartInstancesInput{InstanceIds: id}, "IncorrectInstanceState")
	w.refused(&shape.StopInstancesInput{InstanceIds: []string{"i-00000000000000000"}}, "InvalidInstanceID.NotFound")
	w.refused(&shape.StopInstancesInput{InstanceIds: []string{"web"}}, "InvalidInstanceID.Malformed")
}

// An address is drawn, never given twice in any scope, never a reserved one, and free again after the end.
func TestAddresses(t *testing.T) {
	w := newWorld(t, Options{PublicPool: netip.MustParsePrefix("127.80.0.0/29")})
	small := call[shape.CreateSubnetOutput](w, &shape.CreateSubnetInput{
		VpcId: call[shape.CreateVpcOutput](w, &shape.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}).Vpc.VpcId, CidrBlock: new("10.0.1.0/28"),
	}).Subnet
	in := func(in *shape.RunInstancesInput) {
		in.NetworkInterfaces = []shape.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: new(int32(0)), SubnetId: small.SubnetId, AssociatePublicIpAddress: new(true),
		}}
	}
	ids := w.run(11, in)
	seen, public := map[string]bool{}, map[string]bool{}
	for _, id := range ids {
		i := w.see(id)
		ip := netip.MustParseAddr(*i.PrivateIpAddress).As4()
		if seen[*i.PrivateIpAddress] || ip[3] < 4 || ip[3] == 15 {
			t.Errorf("address %s", *i.PrivateIpAddress)
		}
		seen[*i.PrivateIpAddress] = true
		if i.PublicIpAddress != nil {
			public[*i.PublicIpAddress] = true
		}
	}
	if len(public) != 6 {
		t.Errorf("%d public addresses of a pool of 6", len(public))
	}
	more := &shape.RunInstancesInput{ImageId: new(builtins[0].ID), MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: small.SubnetId}
	w.refused(more, "InsufficientFreeAddressesInSubnet")
	w.refused(&shape.DeleteSubnetInput{SubnetId: small.SubnetId}, "DependencyViolation")
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: ids[:3]})
	more.MaxCount = new(int32(9))
	if got := call[shape.RunInstancesOutput](w, more); len(got.Instances) != 3 {
		t.Errorf("%d instances fit, want 3", len(got.Instances))
	}
	taken := w.see(ids[5])
	w.refused(&shape.RunInstancesInput{
		ImageId: new(builtins[0].ID), MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: small.SubnetId, PrivateIpAddress: taken.PrivateIpAddress,
	}, "InvalidIPAddress.InUse")
	w.refused(&shape.RunInstancesInput{
		ImageId: new(builtins[0].ID), MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: small.SubnetId, PrivateIpAddress: new("10.0.1.2"),
	}, "InvalidParameterValue")
	subnets := call[shape.DescribeSubnetsOutput](w, &shape.DescribeSubnetsInput{SubnetIds: []string{*small.SubnetId}})
	if n := *subnets.Subnets[0].AvailableIpAddressCount; n != 0 {
		t.Errorf("%d addresses are free", n)
	}
}

// The rows alone make the same cloud again, and the same calls give the same answers from it.
func TestReloadGoesOn(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(3)[0]
	call[shape.CreateImageOutput](w, &shape.CreateImageInput{InstanceId: &id, Name: new("image")})
	w.observe(Usage{From: w.now, To: w.now.Add(20 * time.Second), Samples: []UsageSample{{ID: id, CPUPercent: 50}}})
	w.hold = true
	w.run(1)
	n := w.reload()
	n.hold = true
	for _, x := range []*world{w, n} {
		x.wishes = nil
		x.pass(3 * time.Minute)
		x.run(1)
	}
	if diff := cmp.Diff(w.wishes, n.wishes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(dump(t, w.c), dump(t, n.c)); diff != "" {
		t.Error(diff)
	}
}
