package fuzz

import (
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	elbapi "github.com/billow-cloud/billow/api/elb"
	elbv2api "github.com/billow-cloud/billow/api/elbv2"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

var zones = []string{"us-east-1a", "us-east-1b", "us-east-1c", "eu-west-1a", "eu-west-1b"}

// mischief is what the world does by itself, once a step, and what keeps a workload going.
func (r *run) mischief() {
	if r.strikes(Death, 60) {
		r.die()
	}
	if r.strikes(Death, 25) {
		r.announce()
	}
	if r.strikes(Hang, 30) {
		r.hang()
	}
	if r.strikes(Zone, 12) {
		r.vanish(zones[r.upTo(Zone, len(zones))])
	}
	if r.strikes(Launch, 14) {
		r.crowd()
	}
	if r.strikes(Clock, 10) {
		r.jump()
	}
	if r.chance(25) { // an application that publishes
		in := &cwapi.PutMetricDataInput{Namespace: new("my"), MetricData: []cwapi.MetricDatum{{
			MetricName: new("m1"), Value: new(float64(r.rng.IntN(24)) / 4), Dimensions: []cwapi.Dimension{{Name: new("d"), Value: new("v")}},
		}}}
		r.call(here, find(r.ops, cloudwatch.Name, "PutMetricData"), in)
	}
	if r.chance(1) {
		r.move()
	}
	r.habits()
	if extra := r.loners(); len(extra) > 8 {
		r.call(here, find(r.ops, ec2.Name, "TerminateInstances"), &ec2api.TerminateInstancesInput{InstanceIds: []string{pick(r.author, extra)}})
	}
}

// habits are what clients do that no random call would often come to.
func (r *run) habits() {
	extra := r.loners()
	arns := r.words["targetgrouparn"]
	switch n := r.rng.IntN(100); {
	case n < 3 && len(extra) > 0 && len(arns) > 0:
		id := pick(r.author, extra)
		r.ask(here, elbv2.Name, "RegisterTargets", &elbv2api.RegisterTargetsInput{TargetGroupArn: new(pick(r.author, arns)), Targets: []elbv2api.TargetDescription{{Id: &id}}})
		r.ask(here, elb.Name, "RegisterInstancesWithLoadBalancer", &elbapi.RegisterInstancesWithLoadBalancerInput{LoadBalancerName: new("clb"), Instances: []elbapi.Instance{{InstanceId: &id}}})
	case n < 6 && len(extra) > 0:
		r.ask(here, ec2.Name, "StopInstances", &ec2api.StopInstancesInput{InstanceIds: []string{pick(r.author, extra)}})
	case n < 9 && len(extra) > 0:
		r.ask(here, ec2.Name, "StartInstances", &ec2api.StartInstancesInput{InstanceIds: []string{pick(r.author, extra)}})
	case n < 10: // launches are refused for a while
		r.ask(here, ec2.Name, "DeleteKeyPair", &ec2api.DeleteKeyPairInput{KeyName: new("key")})
	case n < 13:
		r.ask(here, ec2.Name, "CreateKeyPair", &ec2api.CreateKeyPairInput{KeyName: new("key"), KeyType: new("ed25519")})
	case n < 14:
		r.ask(here, autoscaling.Name, "UpdateAutoScalingGroup", &asapi.UpdateAutoScalingGroupInput{AutoScalingGroupName: new("both"), NewInstancesProtectedFromScaleIn: new(r.chance(50))})
	case n < 15 && r.step > 60:
		r.ask(here, autoscaling.Name, "DeleteAutoScalingGroup", &asapi.DeleteAutoScalingGroupInput{AutoScalingGroupName: new([]string{"web", "batch"}[r.rng.IntN(2)]), ForceDelete: new(true)})
	case n < 16 && len(r.words["imageid"]) > 0:
		options := &ec2api.SpotMarketOptions{}
		if r.chance(50) {
			options.SpotInstanceType, options.InstanceInterruptionBehavior = new("persistent"), new("stop")
		}
		r.ask(here, ec2.Name, "RunInstances", &ec2api.RunInstancesInput{ImageId: new(pick(r.author, r.words["imageid"])), InstanceType: new("t3.micro"), MinCount: new(int32(1)), MaxCount: new(int32(2)),
			InstanceMarketOptions: &ec2api.InstanceMarketOptionsRequest{MarketType: new("spot"), SpotOptions: options}})
	}
}

// move takes the default VPC of the other scope away, if nothing is in it, and makes it again.
func (r *run) move() {
	for _, table := range []string{ec2.Name + ".instances", autoscaling.Name + ".groups", elb.Name + ".loadbalancers", elbv2.Name + ".loadbalancers", elbv2.Name + ".targetgroups"} {
		for key := range r.rows.tables[table] { // any order
			if scopeOf(key) == there {
				return
			}
		}
	}
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".subnets"]) {
		if n := r.rows.tables[ec2.Name+".subnets"][key].value.(*ec2.Subnet); scopeOf(key) == there {
			r.ask(there, ec2.Name, "DeleteSubnet", &ec2api.DeleteSubnetInput{SubnetId: &n.ID})
		}
	}
	for _, key := range sortedKeys(r.rows.tables[ec2.Name+".vpcs"]) {
		if v := r.rows.tables[ec2.Name+".vpcs"][key].value.(*ec2.VPC); scopeOf(key) == there {
			r.ask(there, ec2.Name, "DeleteVpc", &ec2api.DeleteVpcInput{VpcId: &v.ID})
		}
	}
	r.ask(there, ec2.Name, "CreateDefaultVpc", &ec2api.CreateDefaultVpcInput{})
}

// loners are the running instances that belong to no group.
func (r *run) loners() []string {
	grouped := map[string]bool{}
	for _, m := range r.rows.members { // any order
		grouped[m.ID] = true
	}
	var all []string
	for _, key := range sortedKeys(r.rows.instances) {
		i := r.rows.instances[key]
		if scopeOf(key) == here && !grouped[i.ID] && (i.State == ec2.Running || i.State == ec2.Stopped) {
			all = append(all, i.ID)
		}
	}
	return all
}

// die ends an instance: killed, shut down from inside, or gone with no word of it.
func (r *run) die() {
	ids := r.alive(running)
	if len(ids) == 0 {
		return
	}
	id := ids[r.upTo(Death, len(ids))]
	h := r.hosts[id]
	reason := []string{ec2.ExitKilled, ec2.ExitPoweroff, ec2.ExitHost, ""}[r.upTo(Death, 4)]
	if reason == "" {
		delete(r.hosts, id)
		if r.chanceOf(Death, 60) { // it is found again when nobody may know it any more
			r.later(time.Duration(1+r.upTo(Death, 120))*time.Minute, event{what: func() {
				if r.hosts[id] == nil {
					h.state, h.reason = running, ""
					r.hosts[id] = h
				}
			}})
		}
		return
	}
	h.state, h.reason = stopped, reason
	h.boots++
	if r.chanceOf(Death, 80) {
		r.tell(ec2.InstanceExited{ID: id, Reason: reason})
	}
	if r.chanceOf(Death, 40) { // it comes back
		boots := h.boots
		r.later(time.Duration(r.upTo(Death, 600))*time.Second, event{what: func() {
			if r.hosts[id] == h && h.boots == boots {
				h.state, h.reason = running, ""
			}
		}})
	}
}

// announce has an instance told that it will be interrupted, stopped or restarted.
func (r *run) announce() {
	ids := r.alive(running)
	if len(ids) == 0 {
		return
	}
	in := &ec2.NoticeInput{InstanceID: ids[r.upTo(Death, len(ids))], After: time.Duration(r.upTo(Death, 12)) * time.Minute}
	i := r.rows.instances[r.rows.where[in.InstanceID]]
	switch {
	case i == nil:
		return
	case i.Lifecycle == "spot" && r.chanceOf(Death, 80):
		in.Interruption = r.chanceOf(Death, 70)
		in.Rebalance = !in.Interruption
	default:
		in.Event = []string{"instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop"}[r.upTo(Death, 5)]
	}
	r.do(cloud.Call{Scope: scopeOf(r.rows.where[in.InstanceID]), RequestID: "r", Service: ec2.Name, Operation: "notify", In: in})
}

// hang has an instance fail its health checks, for a while or for good.
func (r *run) hang() {
	ids := r.alive(running)
	if len(ids) == 0 {
		return
	}
	h := r.hosts[ids[r.upTo(Hang, len(ids))]]
	h.sick = true
	if r.chanceOf(Hang, 50) {
		r.later(time.Duration(r.upTo(Hang, 600))*time.Second, event{what: func() { h.sick = false }})
	}
}

// vanish takes a zone away for a while. Of its instances some are never heard of again; some are there when it returns.
func (r *run) vanish(zone string) {
	if r.dark[zone] {
		return
	}
	r.dark[zone] = true
	told := r.chanceOf(Zone, 50)
	for _, id := range sortedKeys(r.hosts) {
		if r.rows.zone[id] != zone {
			continue
		}
		h := r.hosts[id]
		if h.boots++; r.chanceOf(Zone, 30) && h.state != stopped {
			delete(r.hosts, id)
			continue
		}
		h.state, h.reason = stopped, []string{ec2.ExitHost, ec2.ExitKilled}[r.upTo(Zone, 2)]
		if told {
			r.tell(ec2.InstanceExited{ID: id, Reason: h.reason})
		}
	}
	r.later(time.Duration(1+r.upTo(Zone, 30))*time.Minute, event{what: func() { delete(r.dark, zone) }})
}

// crowd takes the room of a zone, or breaks launches everywhere, for a while.
func (r *run) crowd() {
	zone, span := zones[r.upTo(Launch, len(zones))], time.Duration(1+r.upTo(Launch, 12))*time.Minute
	if r.chanceOf(Launch, 30) {
		r.broken = true
		r.later(span, event{what: func() { r.broken = false }})
		return
	}
	r.full[zone] = true
	r.later(span, event{what: func() { delete(r.full, zone) }})
}

// jump moves the daemon's clock, seconds or hours ahead or minutes back.
func (r *run) jump() {
	switch r.upTo(Clock, 3) {
	case 0:
		r.offset += time.Duration(r.upTo(Clock, 7200)) * time.Second
	case 1:
		r.offset += time.Duration(r.upTo(Clock, 90)) * time.Second
	default:
		r.offset -= time.Duration(r.upTo(Clock, 300)) * time.Second
	}
}

// peace ends all faults, of the past ones too.
func (r *run) peace() {
	r.calm = true
	clear(r.dark)
	clear(r.full)
	r.broken = false
	for _, h := range r.hosts { // any order
		h.sick = false
	}
}
