// Package elb is classic Elastic Load Balancing: load balancers with listeners of their own and instances registered
// directly with them. Like elbv2, whose counting of health checks, Routes and facts it shares, it moves no byte: it
// wishes for a Route, with one target group that has the load balancer's ARN as its ID, and takes what was seen.
//
// The one idea: a registration's row holds all that decides the instance's state, so that DescribeInstanceHealth only
// reads; whatever may change the state from outside (an instance that stops, other zones) has it judged anew, in one
// function.
//
// Invariants: a load balancer's name is unique in its scope, and its ARN in the whole cloud; each change of an
// instance's state is told once as InstanceHealthChanged, its leaving once as InstanceGone.
package elb

import (
	"iter"
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "elb"

// Service is classic Elastic Load Balancing.
type Service struct {
	cloud.Base
	v2         *elbv2.Service
	ec2        *ec2.Service
	cloudwatch *cloudwatch.Service

	loadBalancers cloud.Rows[LoadBalancer] // by name
	registrations cloud.Rows[Registration] // by registrationKey
	instances     cloud.Index[Registration]
	routes        elbv2.RouteCache
}

// New makes the service above elbv2 (for addresses and names), ec2 and cloudwatch.
func New(v2 *elbv2.Service, e *ec2.Service, cw *cloudwatch.Service) *Service {
	s := &Service{
		v2: v2, ec2: e, cloudwatch: cw,
		loadBalancers: cloud.NewRows[LoadBalancer](Name + ".loadbalancers"),
		registrations: cloud.NewRows[Registration](Name + ".registrations"),
	}
	s.instances = s.registrations.Index(func(_ string, r Registration) []string { return []string{r.ID} })
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store { return []table.Store{s.loadBalancers, s.registrations} }

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	const groups = "security groups are kept but do not filter traffic"
	return []cloud.Operation{
		cloud.Handle("CreateLoadBalancer", s.CreateLoadBalancer).But(groups + "; Scheme decides the name only"),
		cloud.Handle("DescribeLoadBalancers", s.DescribeLoadBalancers),
		cloud.Handle("DeleteLoadBalancer", s.DeleteLoadBalancer),
		cloud.Handle("CreateLoadBalancerListeners", s.CreateLoadBalancerListeners),
		cloud.Handle("DeleteLoadBalancerListeners", s.DeleteLoadBalancerListeners),
		cloud.Handle("ConfigureHealthCheck", s.ConfigureHealthCheck),
		cloud.Handle("RegisterInstancesWithLoadBalancer", s.RegisterInstancesWithLoadBalancer),
		cloud.Handle("DeregisterInstancesFromLoadBalancer", s.DeregisterInstancesFromLoadBalancer),
		cloud.Handle("DescribeInstanceHealth", s.DescribeInstanceHealth),
		cloud.Handle("EnableAvailabilityZonesForLoadBalancer", s.EnableAvailabilityZonesForLoadBalancer),
		cloud.Handle("DisableAvailabilityZonesForLoadBalancer", s.DisableAvailabilityZonesForLoadBalancer),
		cloud.Handle("AttachLoadBalancerToSubnets", s.AttachLoadBalancerToSubnets),
		cloud.Handle("DetachLoadBalancerFromSubnets", s.DetachLoadBalancerFromSubnets),
		cloud.Handle("ApplySecurityGroupsToLoadBalancer", s.ApplySecurityGroupsToLoadBalancer).StoredOnly(groups),
		cloud.Handle("DescribeLoadBalancerAttributes", s.DescribeLoadBalancerAttributes),
		cloud.Handle("ModifyLoadBalancerAttributes", s.ModifyLoadBalancerAttributes).But("connection draining and the idle time-out take effect; cross-zone load balancing, the access log and additional attributes are kept"),
		cloud.Handle("AddTags", s.AddTags),
		cloud.Handle("RemoveTags", s.RemoveTags),
		cloud.Handle("DescribeTags", s.DescribeTags),
		cloud.Handle("DescribeAccountLimits", s.DescribeAccountLimits),
	}
}

// The kinds of keys that are reconciled.
const (
	kindRoute        = "route"        // a load balancer's name: wish for its Route
	kindMinute       = "minute"       // a load balancer's name: publish what is published every minute
	kindTimer        = "timer"        // a load balancer's name: have that done at the next minute
	kindRegistration = "registration" // a registrationKey: end its draining, forget it
)

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case kindRoute:
		s.wish(tx, id)
	case kindTimer:
		s.nextMinute(tx, id)
	case kindMinute:
		s.publishMinute(tx, id)
	case kindRegistration:
		s.settle(tx, id)
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k := range s.loadBalancers.Everywhere() {
			if k.Kind = kindRoute; !yield(k) {
				return
			}
			if k.Kind = kindTimer; !yield(k) {
				return
			}
		}
		for k, r := range s.registrations.Everywhere() {
			if k.Kind = kindRegistration; r.leaves() && !yield(k) {
				return
			}
		}
	}
}

// Observe implements cloud.Service.
func (s *Service) Observe(tx *cloud.Tx, f cloud.Fact) {
	switch f := f.(type) {
	case elbv2.TargetChecked:
		s.checked(tx, f)
	case elbv2.TargetDrained:
		s.drained(tx, f)
	case elbv2.Traffic:
		s.count(tx, f)
	}
}

// Notice implements cloud.Service.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	if e, ok := e.(ec2.InstanceStateChanged); ok {
		for key, r := range s.instances.Each(tx, e.ID) {
			b, _ := s.loadBalancers.Get(tx, r.LoadBalancer)
			s.judge(tx, b, key, r)
		}
	}
}

// arn names a load balancer in the whole cloud.
func arn(scope cloud.Scope, name string) string {
	return scope.ARN("elasticloadbalancing", "loadbalancer/"+name)
}

// nameOf is the load balancer that an ARN names, and sets the scope; empty if it is not one of this service.
func nameOf(tx *cloud.Tx, arn string) string {
	at := strings.LastIndex(arn, ":loadbalancer/")
	if at < 0 || strings.Contains(arn[at+len(":loadbalancer/"):], "/") {
		return ""
	}
	tx.Scope = elbv2.ScopeOf(arn)
	return arn[at+len(":loadbalancer/"):]
}
