// Package elbv2 is Elastic Load Balancing v2: application load balancers, target groups, listeners and targets with
// their health. It moves no byte itself: it wishes for Routes, which a data plane serves, and takes what that data
// plane saw as facts. The thresholds of health checks, the delays of deregistration and the metrics are here.
//
// The one idea: a target's row holds all that decides its state, so that DescribeTargetHealth only reads; whatever may
// change the state from outside (an instance that stops, a listener that comes or goes, other zones) has it judged
// anew, in one function.
//
// Invariants: a target group is used by one load balancer at most; a target is shown in exactly one state, and each
// change of it is told once as TargetHealthChanged; a target that leaves is told once as TargetGone; no two load
// balancers of the whole cloud have the same address.
package elbv2

import (
	"iter"
	"net/netip"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "elbv2"

// Options are what the cloud's owner decides.
type Options struct {
	DNSSuffix string       // end of the load balancers' names; empty is localhost
	Addresses netip.Prefix // where each load balancer gets an address of its own; zero is 127.65.0.0/16
	NoRoutes  bool         // nobody serves Routes, so none is wished for: in simulations
}

// Service is Elastic Load Balancing v2.
type Service struct {
	cloud.Base
	ec2        *ec2.Service
	cloudwatch *cloudwatch.Service
	options    Options

	loadBalancers cloud.Rows[LoadBalancer] // by ARN
	targetGroups  cloud.Rows[TargetGroup]  // by ARN
	listeners     cloud.Rows[Listener]     // by ARN
	targets       cloud.Rows[Target]       // by targetKey
	addresses     *table.Table[address]    // of all scopes; see addresses.go
	routes        RouteCache
	hosts         hostsOf

	loadBalancerNames cloud.Index[LoadBalancer]
	targetGroupNames  cloud.Index[TargetGroup]
	users             cloud.Index[Listener] // by ARN of a target group that the listener forwards to
	instances         cloud.Index[Target]   // by instance ID
}

// New makes the service above ec2 and cloudwatch.
func New(e *ec2.Service, cw *cloudwatch.Service, options Options) *Service {
	if options.DNSSuffix == "" {
		options.DNSSuffix = "localhost"
	}
	if !options.Addresses.IsValid() {
		options.Addresses = netip.MustParsePrefix("127.65.0.0/16")
	}
	s := &Service{
		ec2: e, cloudwatch: cw, options: options,
		loadBalancers: cloud.NewRows[LoadBalancer](Name + ".loadbalancers"),
		targetGroups:  cloud.NewRows[TargetGroup](Name + ".targetgroups"),
		listeners:     cloud.NewRows[Listener](Name + ".listeners"),
		targets:       cloud.NewRows[Target](Name + ".targets"),
		addresses:     table.New[address](Name + ".addresses"),
	}
	s.hosts = hostsOf{}
	s.targets.Watch(s.hosts.watch)
	s.loadBalancerNames = s.loadBalancers.Index(func(_ string, r LoadBalancer) []string { return []string{r.Name} })
	s.targetGroupNames = s.targetGroups.Index(func(_ string, r TargetGroup) []string { return []string{r.Name} })
	s.users = s.listeners.Index(func(_ string, r Listener) []string { return r.targetGroups() })
	s.instances = s.targets.Index(func(_ string, r Target) []string { return []string{r.ID} })
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return []table.Store{s.loadBalancers, s.targetGroups, s.listeners, s.targets, s.addresses}
}

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("CreateLoadBalancer", s.CreateLoadBalancer).But("SecurityGroups are kept but do not filter traffic; Scheme decides the name only; IpAddressType is kept"),
		cloud.Handle("DescribeLoadBalancers", s.DescribeLoadBalancers),
		cloud.Handle("DeleteLoadBalancer", s.DeleteLoadBalancer),
		cloud.Handle("SetSecurityGroups", s.SetSecurityGroups).StoredOnly("security groups are kept but do not filter traffic"),
		cloud.Handle("SetSubnets", s.SetSubnets),
		cloud.Handle("SetIpAddressType", s.SetIpAddressType).But("ipv4 only"),
		cloud.Handle("DescribeLoadBalancerAttributes", s.DescribeLoadBalancerAttributes),
		cloud.Handle("ModifyLoadBalancerAttributes", s.ModifyLoadBalancerAttributes).But("idle time-out, client keep-alive, deletion protection, X-Forwarded-For and dropping of invalid headers take effect, the other attributes are kept"),
		cloud.Handle("CreateTargetGroup", s.CreateTargetGroup),
		cloud.Handle("DescribeTargetGroups", s.DescribeTargetGroups),
		cloud.Handle("ModifyTargetGroup", s.ModifyTargetGroup),
		cloud.Handle("DeleteTargetGroup", s.DeleteTargetGroup),
		cloud.Handle("DescribeTargetGroupAttributes", s.DescribeTargetGroupAttributes),
		cloud.Handle("ModifyTargetGroupAttributes", s.ModifyTargetGroupAttributes).But("deregistration delay, algorithm and unhealthy state routing take effect; stickiness, slow start, anomaly mitigation, cross-zone and DNS failover are kept"),
		cloud.Handle("RegisterTargets", s.RegisterTargets),
		cloud.Handle("DeregisterTargets", s.DeregisterTargets),
		cloud.Handle("DescribeTargetHealth", s.DescribeTargetHealth),
		cloud.Handle("CreateListener", s.CreateListener).But("TargetGroupStickinessConfig is kept"),
		cloud.Handle("DescribeListeners", s.DescribeListeners),
		cloud.Handle("ModifyListener", s.ModifyListener).But("TargetGroupStickinessConfig is kept"),
		cloud.Handle("DeleteListener", s.DeleteListener),
		cloud.Handle("DescribeListenerAttributes", s.DescribeListenerAttributes),
		cloud.Handle("ModifyListenerAttributes", s.ModifyListenerAttributes).StoredOnly("all attributes are kept only"),
		cloud.Handle("DescribeListenerCertificates", s.DescribeListenerCertificates),
		cloud.Handle("DescribeRules", s.DescribeRules),
		cloud.Handle("AddTags", s.AddTags),
		cloud.Handle("RemoveTags", s.RemoveTags),
		cloud.Handle("DescribeTags", s.DescribeTags),
		cloud.Handle("DescribeAccountLimits", s.DescribeAccountLimits),
	}
}

// The kinds of keys that are reconciled.
const (
	kindRoute  = "route"  // a load balancer's ARN: wish for its Route
	kindMinute = "minute" // a load balancer's ARN: publish what is published every minute
	kindTimer  = "timer"  // a load balancer's ARN: have that done at the next minute
	kindTarget = "target" // a targetKey: end its draining, forget it
)

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case kindRoute:
		if !s.options.NoRoutes {
			s.wish(tx, id)
		}
	case kindTimer:
		s.nextMinute(tx, id)
	case kindMinute:
		s.publishMinute(tx, id)
	case kindTarget:
		s.settleTarget(tx, id)
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
		for k, t := range s.targets.Everywhere() {
			if k.Kind = kindTarget; t.leaves() && !yield(k) {
				return
			}
		}
	}
}

// Observe implements cloud.Service.
func (s *Service) Observe(tx *cloud.Tx, f cloud.Fact) {
	switch f := f.(type) {
	case TargetChecked:
		s.checked(tx, f)
	case TargetDrained:
		s.drained(tx, f)
	case Traffic:
		s.count(tx, f)
	}
}

// Notice implements cloud.Service.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	if e, ok := e.(ec2.InstanceStateChanged); ok {
		for key, t := range s.instances.Each(tx, e.ID) {
			s.judge(tx, s.usage(tx, t.TargetGroup), key, t)
		}
	}
}
