package elb

import (
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elb"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// InstanceHealthChanged is the event that a registered instance's state is another one, in the words of target groups:
// elbv2.StateHealthy and so on. From is empty when it is new.
type InstanceHealthChanged struct{ LoadBalancerName, InstanceID, From, To string }

// InstanceDrained is the event that a deregistered instance has no request left, although its draining is not over.
type InstanceDrained struct{ LoadBalancerName, InstanceID string }

// InstanceGone is the event that an instance is not registered any more.
type InstanceGone struct{ LoadBalancerName, InstanceID string }

// Registration is the row of an instance that is registered with a load balancer.
type Registration struct {
	LoadBalancer string // name
	ID           string
	Host, Zone   string    // the last ones known, for an instance that has no address any more
	Unused       string    `json:",omitempty"` // why it is not in service: unusedZone or the instance's state
	Since        time.Time // checks before do not count
	Count        elbv2.Count
	DrainUntil   time.Time // zero when it is not draining
	Drained      bool      `json:",omitempty"` // draining, and no request is left
	ForgetAt     time.Time // when a terminated instance is taken out; zero otherwise
}

const unusedZone = "zone" // its zone is not enabled for the load balancer

// maxInstances is the quota of instances per load balancer (LB-CL-05).
const maxInstances = 1000

func registrationKey(name, id string) string { return name + "|" + id }

// leaves tells whether the registration has a timer.
func (r Registration) leaves() bool { return !r.DrainUntil.IsZero() || !r.ForgetAt.IsZero() }

// counts tells whether results of health checks count.
func (r Registration) counts() bool { return r.Unused == "" && r.DrainUntil.IsZero() }

// state is the instance's state in the words of target groups.
func (r Registration) state() string {
	switch {
	case !r.DrainUntil.IsZero():
		return elbv2.StateDraining
	case r.Unused != "":
		return elbv2.StateUnused
	}
	return r.Count.Name()
}

// describe tells the state as DescribeInstanceHealth does (LB-CL-03).
func (r Registration) describe() shape.InstanceState {
	state, reason, text := "OutOfService", "Instance", ""
	switch {
	case !r.DrainUntil.IsZero():
		state, reason, text = "InService", "N/A", "Instance deregistration currently in progress."
	case r.Unused == unusedZone:
		reason, text = "ELB", "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to."
	case r.Unused != "":
		text = "Instance is in " + r.Unused + " state."
	case r.Count.State == elbv2.StateHealthy:
		state, reason, text = "InService", "N/A", "N/A"
	case r.Count.State == elbv2.StateUnhealthy:
		text = "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
	case r.Count == elbv2.Count{}:
		reason, text = "ELB", "Instance registration is still in progress."
	default:
		text = "Instance has not passed the configured HealthyThreshold number of health checks consecutively."
	}
	return shape.InstanceState{InstanceId: new(r.ID), State: new(state), ReasonCode: new(reason), Description: new(text)}
}

// placed fills in where an instance is and why it is not in service, if it is not.
func (s *Service) placed(tx *cloud.Tx, b LoadBalancer, r Registration) Registration {
	i, found := s.ec2.Instance(tx, r.ID)
	if i.PrivateIP != "" {
		r.Host, r.Zone = i.PrivateIP, i.Zone
	}
	r.Unused = ""
	switch {
	case !found || i.State == ec2.Terminated || i.State == ec2.ShuttingDown:
		r.Unused = ec2.Terminated
		if r.ForgetAt.IsZero() {
			r.ForgetAt = tx.Now().Add(elbv2.ForgetAfter)
		}
	case i.State == ec2.Pending:
		r.Unused = ec2.Pending
	case i.State != ec2.Running:
		r.Unused = ec2.Stopped
	case !b.serves(r.Zone):
		r.Unused = unusedZone
	}
	return r
}

// judge decides anew whether an instance is in service, after something outside it has changed, and writes its row.
func (s *Service) judge(tx *cloud.Tx, b LoadBalancer, key string, was Registration) {
	r := s.placed(tx, b, was)
	if r.Unused != "" && !r.DrainUntil.IsZero() { // nothing is left that could drain
		s.remove(tx, key, was)
		return
	}
	if r.Unused != was.Unused {
		r.Count, r.Since = elbv2.Count{}, tx.Now()
	}
	s.write(tx, key, was, r)
}

func (s *Service) judgeAll(tx *cloud.Tx, b LoadBalancer) {
	for key, r := range s.registrations.Prefix(tx, b.Name+"|") {
		s.judge(tx, b, key, r)
	}
}

// write puts a row, tells of a new state, has the timer set and the Route made again. A new registration was zero.
func (s *Service) write(tx *cloud.Tx, key string, was, r Registration) {
	if was == r {
		return
	}
	s.registrations.Put(tx, key, r)
	from := ""
	if was.ID != "" {
		from = was.state()
	}
	if to := r.state(); from != to {
		tx.Emit(Name, InstanceHealthChanged{r.LoadBalancer, r.ID, from, to})
	}
	if r.leaves() || was.leaves() {
		tx.Touch(Name, kindRegistration, key)
	}
	if was.ID == "" || was.route() != r.route() {
		s.reroute(tx, r)
	}
}

// remove takes an instance out at once.
func (s *Service) remove(tx *cloud.Tx, key string, r Registration) {
	s.registrations.Delete(tx, key)
	tx.At(Name, kindRegistration, key, time.Time{})
	tx.Emit(Name, InstanceGone{r.LoadBalancer, r.ID})
	s.reroute(tx, r)
}

// settle ends what is over and sets the timer for what is not.
func (s *Service) settle(tx *cloud.Tx, key string) {
	r, ok := s.registrations.Get(tx, key)
	if !ok {
		return
	}
	at := r.ForgetAt
	if !r.DrainUntil.IsZero() {
		at = r.DrainUntil
	}
	if !at.IsZero() && !tx.Now().Before(at) {
		s.remove(tx, key, r)
		return
	}
	tx.At(Name, kindRegistration, key, at)
}

// checked takes the result of a health check. All passes that a new instance needs are HealthyThreshold (LB-CL-01).
func (s *Service) checked(tx *cloud.Tx, f elbv2.TargetChecked) {
	name := nameOf(tx, f.TargetGroup)
	key := registrationKey(name, f.Target)
	r, ok := s.registrations.Get(tx, key)
	if !ok || !r.counts() || f.At.Before(r.Since) {
		return
	}
	b, _ := s.loadBalancers.Get(tx, name)
	was := r
	r.Count = r.Count.Checked(f.Passed, f.Reason, f.Code, elbv2.Thresholds{
		Initial: b.Check.HealthyThreshold, Healthy: b.Check.HealthyThreshold, Unhealthy: b.Check.UnhealthyThreshold,
	})
	s.write(tx, key, was, r)
}

// drained takes the news that a draining instance has no request left.
func (s *Service) drained(tx *cloud.Tx, f elbv2.TargetDrained) {
	key := registrationKey(nameOf(tx, f.TargetGroup), f.Target)
	r, ok := s.registrations.Get(tx, key)
	if !ok || r.DrainUntil.IsZero() || r.Drained {
		return
	}
	r.Drained = true
	s.registrations.Put(tx, key, r)
	tx.Emit(Name, InstanceDrained{r.LoadBalancer, r.ID})
}

// RegisterInstances registers instances. Those that do not run are taken too and are out of service until they do.
func (s *Service) RegisterInstances(tx *cloud.Tx, name string, ids []string) error {
	b, err := s.loadBalancer(tx, name)
	if err != nil {
		return err
	}
	n := 0
	for range s.registrations.Prefix(tx, name+"|") {
		n++
	}
	for _, id := range ids {
		i, found := s.ec2.Instance(tx, id)
		if !found {
			return api.Errorf("InvalidInstance", "Could not find EC2 instance %s.", id)
		}
		if i.VPCID != "" && i.VPCID != b.VPC {
			return api.Errorf("InvalidInstance", "EC2 instance %s is not in the same VPC as ELB.", id)
		}
		key := registrationKey(name, id)
		was, there := s.registrations.Get(tx, key)
		if there && was.DrainUntil.IsZero() {
			continue
		}
		if n++; n > maxInstances {
			return api.Errorf("TooManyInstances", "The load balancer '%s' can have at most %d instances.", name, maxInstances)
		}
		s.write(tx, key, was, s.placed(tx, b, Registration{LoadBalancer: name, ID: id, Since: tx.Now()}))
	}
	return nil
}

// DeregisterInstances takes instances out, after draining where that is on (LB-CL-02). Each ends in InstanceGone, some
// in this very step; InstanceDrained comes before it if no request is left sooner. Others tell nothing.
func (s *Service) DeregisterInstances(tx *cloud.Tx, name string, ids []string) error {
	b, err := s.loadBalancer(tx, name)
	if err != nil {
		return err
	}
	for _, id := range ids {
		key := registrationKey(name, id)
		r, ok := s.registrations.Get(tx, key)
		switch {
		case !ok || !r.DrainUntil.IsZero():
		case r.Unused != "" || !b.Draining:
			s.remove(tx, key, r)
		default:
			was := r
			r.DrainUntil, r.Drained, r.Count = tx.Now().Add(time.Duration(b.DrainingTimeout)*time.Second), false, elbv2.Count{}
			s.write(tx, key, was, r)
		}
	}
	return nil
}

// InstanceHealth is an instance's health at a load balancer, and whether it is registered there. The state is in the
// words of target groups, elbv2.StateHealthy and so on; reason and description are those of DescribeInstanceHealth.
func (s *Service) InstanceHealth(tx *cloud.Tx, name, id string) (elbv2.Health, bool) {
	r, ok := s.registrations.Get(tx, registrationKey(name, id))
	if !ok {
		return elbv2.Health{State: elbv2.StateUnused, Reason: "Instance", Description: notRegistered}, false
	}
	d := r.describe()
	return elbv2.Health{State: r.state(), Reason: *d.ReasonCode, Description: *d.Description}, true
}

// InstanceDrained tells that nothing has to be waited for any more: the instance is not registered, or has no request
// left while it drains.
func (s *Service) InstanceDrained(tx *cloud.Tx, name, id string) bool {
	r, ok := s.registrations.Get(tx, registrationKey(name, id))
	return !ok || r.Drained
}

// HasLoadBalancer tells whether there is such a load balancer.
func (s *Service) HasLoadBalancer(tx *cloud.Tx, name string) bool {
	return s.loadBalancers.Has(tx, name)
}

const notRegistered = "Instance is not currently registered with the LoadBalancer."

// RegisterInstancesWithLoadBalancer registers instances.
func (s *Service) RegisterInstancesWithLoadBalancer(tx *cloud.Tx, in *shape.RegisterInstancesWithLoadBalancerInput) (*shape.RegisterInstancesWithLoadBalancerOutput, error) {
	if err := s.RegisterInstances(tx, api.Value(in.LoadBalancerName), idsOf(in.Instances)); err != nil {
		return nil, err
	}
	return &shape.RegisterInstancesWithLoadBalancerOutput{Instances: s.listed(tx, *in.LoadBalancerName)}, nil
}

// DeregisterInstancesFromLoadBalancer takes instances out.
func (s *Service) DeregisterInstancesFromLoadBalancer(tx *cloud.Tx, in *shape.DeregisterInstancesFromLoadBalancerInput) (*shape.DeregisterInstancesFromLoadBalancerOutput, error) {
	name, ids := api.Value(in.LoadBalancerName), idsOf(in.Instances)
	for _, id := range ids {
		if _, found := s.ec2.Instance(tx, id); !found && !s.registrations.Has(tx, registrationKey(name, id)) {
			return nil, api.Errorf("InvalidInstance", "Could not find EC2 instance %s.", id)
		}
	}
	if err := s.DeregisterInstances(tx, name, ids); err != nil {
		return nil, err
	}
	return &shape.DeregisterInstancesFromLoadBalancerOutput{Instances: s.listed(tx, name)}, nil
}

// DescribeInstanceHealth tells the states of the instances, of all that are registered or of those asked for.
func (s *Service) DescribeInstanceHealth(tx *cloud.Tx, in *shape.DescribeInstanceHealthInput) (*shape.DescribeInstanceHealthOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeInstanceHealthOutput{InstanceStates: []shape.InstanceState{}}
	if len(in.Instances) == 0 {
		for _, r := range s.registrations.Prefix(tx, b.Name+"|") {
			out.InstanceStates = append(out.InstanceStates, r.describe())
		}
		return out, nil
	}
	for _, id := range idsOf(in.Instances) {
		r, ok := s.registrations.Get(tx, registrationKey(b.Name, id))
		if ok {
			out.InstanceStates = append(out.InstanceStates, r.describe())
			continue
		}
		if _, found := s.ec2.Instance(tx, id); !found {
			return nil, api.Errorf("InvalidInstance", "Could not find EC2 instance %s.", id)
		}
		out.InstanceStates = append(out.InstanceStates, shape.InstanceState{
			InstanceId: new(id), State: new("OutOfService"), ReasonCode: new("Instance"), Description: new(notRegistered),
		})
	}
	return out, nil
}

// listed are the instances that the load balancer has, those that drain left out.
func (s *Service) listed(tx *cloud.Tx, name string) []shape.Instance {
	list := []shape.Instance{}
	for _, r := range s.registrations.Prefix(tx, name+"|") {
		if r.DrainUntil.IsZero() {
			list = append(list, shape.Instance{InstanceId: new(r.ID)})
		}
	}
	return list
}

func idsOf(instances []shape.Instance) []string {
	var ids []string
	for _, i := range instances {
		ids = append(ids, api.Value(i.InstanceId))
	}
	return ids
}
