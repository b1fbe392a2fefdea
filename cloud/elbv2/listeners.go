package elbv2

import (
	"iter"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// Listener is the row of a listener. Its key is its ARN.
type Listener struct {
	ARN          string
	LoadBalancer string // ARN
	Protocol     string
	Port         int32
	Forward      []Forward   // the default action
	Stickiness   int32       `json:",omitempty"` // TargetGroupStickinessConfig.DurationSeconds; 0 is not enabled
	Attributes   []Attribute `json:",omitempty"`
	Tags         []Tag       `json:",omitempty"`
}

// Forward is one branch of a forward action.
type Forward struct {
	TargetGroup string // ARN
	Weight      int32
}

// Quotas (LB-RU-01).
const (
	maxListeners = 50
	maxForward   = 5
	maxWeight    = 999
	maxGroups    = 100
)

// targetGroups are the ARNs that the listener forwards to.
func (l Listener) targetGroups() []string {
	var arns []string
	for _, f := range l.Forward {
		arns = append(arns, f.TargetGroup)
	}
	return arns
}

// listenersOf yields a load balancer's listeners in order of ARN.
func (s *Service) listenersOf(tx *cloud.Tx, loadBalancer string) iter.Seq2[string, Listener] {
	return s.listeners.Prefix(tx, strings.Replace(loadBalancer, ":loadbalancer/", ":listener/", 1)+"/")
}

// groupsOf lists the target groups that a load balancer uses, in order.
func (s *Service) groupsOf(tx *cloud.Tx, loadBalancer string) []string {
	var arns []string
	for _, l := range s.listenersOf(tx, loadBalancer) {
		arns = append(arns, l.targetGroups()...)
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

// listener finds a listener by its ARN.
func (s *Service) listener(tx *cloud.Tx, arn string) (Listener, error) {
	if err := checkARN(arn, "listener", "listener"); err != nil {
		return Listener{}, err
	}
	l, ok := s.listeners.Get(tx, arn)
	if !ok {
		return l, api.Errorf("ListenerNotFound", "One or more listeners not found")
	}
	return l, nil
}

// CreateListener makes a listener with its default action.
func (s *Service) CreateListener(tx *cloud.Tx, in *shape.CreateListenerInput) (*shape.CreateListenerOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerArn))
	if err != nil {
		return nil, err
	}
	l := Listener{LoadBalancer: b.ARN, Protocol: api.Value(in.Protocol), Port: api.Value(in.Port)}
	n := 0
	for range s.listenersOf(tx, b.ARN) {
		n++
	}
	if n >= maxListeners {
		return nil, api.Errorf("TooManyListeners", "The maximum number of listeners, %d, has been reached on load balancer '%s'", maxListeners, b.ARN)
	}
	if err := s.checkListener(tx, l, in.Certificates); err != nil {
		return nil, err
	}
	if err := s.act(tx, &l, in.DefaultActions); err != nil {
		return nil, err
	}
	if l.Tags, err = withTags(nil, in.Tags); err != nil {
		return nil, err
	}
	l.ARN = strings.Replace(b.ARN, ":loadbalancer/", ":listener/", 1) + "/" + tx.Hex(16)
	s.putListener(tx, Listener{}, l)
	return &shape.CreateListenerOutput{Listeners: []shape.Listener{l.describe()}}, nil
}

// checkListener checks protocol and port, beside those of the load balancer's other listeners.
func (s *Service) checkListener(tx *cloud.Tx, l Listener, certificates []shape.Certificate) error {
	switch {
	case l.Protocol == "":
		return invalid("A listener protocol must be specified")
	case l.Port == 0:
		return invalid("A listener port must be specified")
	case l.Protocol == "HTTPS":
		return api.Errorf("UnsupportedProtocol", "HTTPS listeners are not implemented; HTTP is")
	case l.Protocol != "HTTP":
		return invalid("Listener protocol '%s' must be one of 'HTTPS, HTTP'", l.Protocol)
	case len(certificates) > 0:
		return invalid("You cannot specify a certificate for a listener of protocol HTTP")
	}
	for _, other := range s.listenersOf(tx, l.LoadBalancer) {
		if other.Port == l.Port && other.ARN != l.ARN {
			return api.Errorf("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", l.LoadBalancer)
		}
	}
	return nil
}

// act takes a listener's default actions: one forward action, the only kind that there is (LB-RU-03).
func (s *Service) act(tx *cloud.Tx, l *Listener, actions []shape.Action) error {
	if len(actions) != 1 {
		return invalid("A default action must be specified, and only one: a 'forward' action")
	}
	a := actions[0]
	if t := api.Value(a.Type); t != shape.ActionTypeEnumForward {
		return api.Errorf("InvalidLoadBalancerAction", "Actions of type '%s' are not implemented; 'forward' is", t)
	}
	l.Forward, l.Stickiness = nil, 0
	if c := a.ForwardConfig; c != nil {
		for _, t := range c.TargetGroups {
			l.Forward = append(l.Forward, Forward{api.Value(t.TargetGroupArn), api.Or(t.Weight, 1)})
		}
		if k := c.TargetGroupStickinessConfig; k != nil && api.Value(k.Enabled) {
			l.Stickiness = api.Value(k.DurationSeconds)
			if l.Stickiness < 1 || l.Stickiness > 604800 { // LB-SK-03
				return invalid("Target group stickiness duration must be between 1 and 604800 seconds")
			}
		}
	}
	if only := api.Value(a.TargetGroupArn); only != "" {
		if len(l.Forward) > 1 || len(l.Forward) == 1 && l.Forward[0].TargetGroup != only {
			return invalid("You cannot specify both a target group ARN and a forward configuration with other target groups")
		}
		if len(l.Forward) == 0 {
			l.Forward = []Forward{{only, 1}}
		}
	}
	return s.checkForward(tx, *l)
}

func (s *Service) checkForward(tx *cloud.Tx, l Listener) error {
	switch {
	case len(l.Forward) == 0:
		return invalid("A target group ARN must be specified")
	case len(l.Forward) > maxForward:
		return api.Errorf("TooManyTargetGroups", "An action can forward to at most %d target groups", maxForward)
	}
	for i, f := range l.Forward {
		if _, err := s.targetGroup(tx, f.TargetGroup); err != nil {
			return err
		}
		g, _ := s.targetGroups.Get(tx, f.TargetGroup)
		u := s.usage(tx, f.TargetGroup)
		b, _ := s.loadBalancers.Get(tx, l.LoadBalancer)
		switch {
		case f.Weight < 0 || f.Weight > maxWeight:
			return invalid("The weight '%d' must be between 0 and %d", f.Weight, maxWeight)
		case slices.Contains(l.targetGroups()[:i], f.TargetGroup):
			return invalid("A target group can be specified only once in a forward action")
		case u.used && u.loadBalancer.ARN != l.LoadBalancer: // LB-DN-05
			return api.Errorf("TargetGroupAssociationLimit", "The following target groups cannot be associated with more than one load balancer: %s", f.TargetGroup)
		case g.VPC != b.VPC:
			return api.Errorf("InvalidConfigurationRequest", "The target group '%s' is not in the VPC '%s' of the load balancer", f.TargetGroup, b.VPC)
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(append(s.groupsOf(tx, l.LoadBalancer), l.targetGroups()...))))); n > maxGroups {
		return api.Errorf("TooManyTargetGroups", "A load balancer can use at most %d target groups", maxGroups)
	}
	return nil
}

// putListener writes a listener and judges the targets of every group that it forwards to now or did before.
func (s *Service) putListener(tx *cloud.Tx, was, l Listener) {
	if l.ARN == "" {
		s.listeners.Delete(tx, was.ARN)
	} else {
		s.listeners.Put(tx, l.ARN, l)
	}
	before, after := was.targetGroups(), l.targetGroups()
	for _, g := range before {
		if !slices.Contains(after, g) {
			s.judgeGroup(tx, g)
		}
	}
	for _, g := range after {
		if !slices.Contains(before, g) {
			s.judgeGroup(tx, g)
		}
	}
	for _, b := range []string{was.LoadBalancer, l.LoadBalancer} {
		if b != "" {
			tx.Touch(Name, kindRoute, b)
		}
	}
}

func (l Listener) describe() shape.Listener {
	return shape.Listener{
		ListenerArn: new(l.ARN), LoadBalancerArn: new(l.LoadBalancer), Protocol: new(l.Protocol), Port: new(l.Port),
		DefaultActions: l.describeActions(),
	}
}

func (l Listener) describeActions() []shape.Action {
	c := &shape.ForwardActionConfig{TargetGroupStickinessConfig: &shape.TargetGroupStickinessConfig{Enabled: new(l.Stickiness > 0)}}
	if l.Stickiness > 0 {
		c.TargetGroupStickinessConfig.DurationSeconds = new(l.Stickiness)
	}
	for _, f := range l.Forward {
		c.TargetGroups = append(c.TargetGroups, shape.TargetGroupTuple{TargetGroupArn: new(f.TargetGroup), Weight: new(f.Weight)})
	}
	a := shape.Action{Type: new(shape.ActionTypeEnumForward), Order: new(int32(1)), ForwardConfig: c}
	if len(l.Forward) == 1 {
		a.TargetGroupArn = new(l.Forward[0].TargetGroup)
	}
	return []shape.Action{a}
}

// DescribeListeners lists listeners: of one load balancer, or of ARNs.
func (s *Service) DescribeListeners(tx *cloud.Tx, in *shape.DescribeListenersInput) (*shape.DescribeListenersOutput, error) {
	var rows []Listener
	switch {
	case in.LoadBalancerArn != nil && len(in.ListenerArns) > 0:
		return nil, invalid("You cannot specify both a load balancer ARN and listener ARNs")
	case in.LoadBalancerArn == nil && len(in.ListenerArns) == 0:
		return nil, invalid("You must specify either a load balancer ARN or listener ARNs")
	case in.LoadBalancerArn != nil:
		b, err := s.loadBalancer(tx, *in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		for _, l := range s.listenersOf(tx, b.ARN) {
			rows = append(rows, l)
		}
	}
	for _, arn := range in.ListenerArns {
		l, err := s.listener(tx, arn)
		if err != nil {
			return nil, err
		}
		rows = append(rows, l)
	}
	out := &shape.DescribeListenersOutput{Listeners: []shape.Listener{}}
	rows, out.NextMarker = page(rows, func(l Listener) string { return l.ARN }, in.Marker, in.PageSize)
	for _, l := range rows {
		out.Listeners = append(out.Listeners, l.describe())
	}
	return out, nil
}

// ModifyListener changes what is given.
func (s *Service) ModifyListener(tx *cloud.Tx, in *shape.ModifyListenerInput) (*shape.ModifyListenerOutput, error) {
	was, err := s.listener(tx, api.Value(in.ListenerArn))
	if err != nil {
		return nil, err
	}
	l := was
	l.Protocol, l.Port = api.Or(in.Protocol, l.Protocol), api.Or(in.Port, l.Port)
	if err := s.checkListener(tx, l, in.Certificates); err != nil {
		return nil, err
	}
	if len(in.DefaultActions) > 0 {
		if err := s.act(tx, &l, in.DefaultActions); err != nil {
			return nil, err
		}
	}
	s.putListener(tx, was, l)
	return &shape.ModifyListenerOutput{Listeners: []shape.Listener{l.describe()}}, nil
}

// DeleteListener removes a listener.
func (s *Service) DeleteListener(tx *cloud.Tx, in *shape.DeleteListenerInput) (*shape.DeleteListenerOutput, error) {
	l, err := s.listener(tx, api.Value(in.ListenerArn))
	if err != nil {
		return nil, err
	}
	s.putListener(tx, l, Listener{})
	return &shape.DeleteListenerOutput{}, nil
}

// DescribeListenerCertificates lists nothing: an HTTP listener has no certificate.
func (s *Service) DescribeListenerCertificates(tx *cloud.Tx, in *shape.DescribeListenerCertificatesInput) (*shape.DescribeListenerCertificatesOutput, error) {
	if _, err := s.listener(tx, api.Value(in.ListenerArn)); err != nil {
		return nil, err
	}
	return &shape.DescribeListenerCertificatesOutput{Certificates: []shape.Certificate{}}, nil
}

// DescribeListenerAttributes lists all attributes.
func (s *Service) DescribeListenerAttributes(tx *cloud.Tx, in *shape.DescribeListenerAttributesInput) (*shape.DescribeListenerAttributesOutput, error) {
	l, err := s.listener(tx, api.Value(in.ListenerArn))
	if err != nil {
		return nil, err
	}
	return &shape.DescribeListenerAttributesOutput{Attributes: l.describeAttributes()}, nil
}

func (l Listener) describeAttributes() (list []shape.ListenerAttribute) {
	allAttributes(l.Attributes, listenerAttributes, func(k, v string) {
		list = append(list, shape.ListenerAttribute{Key: new(k), Value: new(v)})
	})
	return list
}

// ModifyListenerAttributes sets attributes, all or none.
func (s *Service) ModifyListenerAttributes(tx *cloud.Tx, in *shape.ModifyListenerAttributesInput) (*shape.ModifyListenerAttributesOutput, error) {
	l, err := s.listener(tx, api.Value(in.ListenerArn))
	if err != nil {
		return nil, err
	}
	for _, a := range in.Attributes {
		if l.Attributes, err = setAttribute(l.Attributes, listenerAttributes, "Listener", api.Value(a.Key), api.Value(a.Value)); err != nil {
			return nil, err
		}
	}
	s.listeners.Put(tx, l.ARN, l)
	return &shape.ModifyListenerAttributesOutput{Attributes: l.describeAttributes()}, nil
}
