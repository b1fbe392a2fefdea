package elb

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elb"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// LoadBalancer is the row of a classic load balancer. Its key is its name.
type LoadBalancer struct {
	Name           string
	ARN            string
	DNSName        string
	Address        string // the loopback address of its own
	Scheme         string
	VPC            string
	Zones          []Zone // in order of name
	SecurityGroups []string
	Listeners      []Listener // in order of port
	Check          HealthCheck
	CreatedTime    time.Time

	Draining        bool
	DrainingTimeout int32 // seconds
	IdleTimeout     int32 // seconds
	CrossZone       bool
	AccessLog       AccessLog
	DesyncMode      string
	Tags            []Tag `json:",omitempty"`
}

// Zone is an Availability Zone that is enabled for a load balancer, through a subnet.
type Zone struct{ Name, Subnet string }

// AccessLog is kept and shown only.
type AccessLog struct {
	Enabled        bool
	Bucket, Prefix string
	EmitInterval   int32
}

// Tag is a key and a value.
type Tag struct{ Key, Value string }

// Quotas (LB-CL-05).
const (
	maxLoadBalancers = 20
	maxListeners     = 100
	maxTags          = 50
)

const hostedZone = "Z35SXDOTRQ7X7K" // shown for every load balancer

// loadBalancer finds a load balancer by its name.
func (s *Service) loadBalancer(tx *cloud.Tx, name string) (LoadBalancer, error) {
	b, ok := s.loadBalancers.Get(tx, name)
	if !ok {
		return b, api.Errorf("LoadBalancerNotFound", "There is no ACTIVE Load Balancer named '%s'", name)
	}
	return b, nil
}

// put writes a load balancer that has changed.
func (s *Service) put(tx *cloud.Tx, b LoadBalancer) {
	s.loadBalancers.Put(tx, b.Name, b)
	tx.Touch(Name, kindRoute, b.Name)
}

// CreateLoadBalancer makes a load balancer, or answers with the one of this name if it has the same settings.
func (s *Service) CreateLoadBalancer(tx *cloud.Tx, in *shape.CreateLoadBalancerInput) (*shape.CreateLoadBalancerOutput, error) {
	b := LoadBalancer{
		Name: api.Value(in.LoadBalancerName), Scheme: api.Or(in.Scheme, "internet-facing"), CreatedTime: tx.Now().Truncate(time.Millisecond),
		DrainingTimeout: 300, IdleTimeout: 60, DesyncMode: "defensive", AccessLog: AccessLog{EmitInterval: 60}, // LB-CL-02
	}
	if err := elbv2.CheckName("Load balancer", b.Name); err != nil {
		return nil, err
	}
	if b.Scheme != "internet-facing" && b.Scheme != "internal" {
		return nil, api.Errorf("InvalidScheme", "Only 'internet-facing' and 'internal' are valid schemes; '%s' is not", b.Scheme)
	}
	var err error
	if len(in.Listeners) == 0 {
		return nil, api.Errorf("ValidationError", "Listeners cannot be empty")
	}
	if b.Listeners, err = withListeners(nil, in.Listeners); err != nil {
		return nil, err
	}
	if err := s.place(tx, &b, in.AvailabilityZones, in.Subnets); err != nil {
		return nil, err
	}
	if b.SecurityGroups, err = s.securityGroups(tx, b.VPC, in.SecurityGroups); err != nil {
		return nil, err
	}
	if b.Tags, err = withTags(nil, in.Tags); err != nil {
		return nil, err
	}
	b.Check = HealthCheck{ // LB-CL-01
		Target: "TCP:" + strconv.Itoa(int(api.Value(in.Listeners[0].InstancePort))), Interval: 30, Timeout: 5,
		UnhealthyThreshold: 2, HealthyThreshold: 10,
	}
	if old, ok := s.loadBalancers.Get(tx, b.Name); ok {
		if old.Scheme != b.Scheme || !slices.Equal(old.Listeners, b.Listeners) || !slices.Equal(old.Zones, b.Zones) ||
			!slices.Equal(old.SecurityGroups, b.SecurityGroups) {
			return nil, api.Errorf("DuplicateLoadBalancerName", "Load Balancer named '%s' already exists and it is configured with different parameters.", b.Name)
		}
		return &shape.CreateLoadBalancerOutput{DNSName: new(old.DNSName)}, nil
	}
	n := 0
	for range s.loadBalancers.All(tx) {
		n++
	}
	if n >= maxLoadBalancers {
		return nil, api.Errorf("TooManyLoadBalancers", "The maximum number of load balancers, %d, has been reached", maxLoadBalancers)
	}
	b.ARN = arn(tx.Scope, b.Name)
	b.DNSName = s.v2.DNSName(tx, b.Name, b.Scheme == "internal")
	if b.Address, err = s.v2.AllocateAddress(tx, b.ARN); err != nil {
		return nil, err
	}
	s.put(tx, b)
	s.nextMinute(tx, b.Name)
	return &shape.CreateLoadBalancerOutput{DNSName: new(b.DNSName)}, nil
}

// DeleteLoadBalancer removes a load balancer and what it has registered. One that is not there is no error.
func (s *Service) DeleteLoadBalancer(tx *cloud.Tx, in *shape.DeleteLoadBalancerInput) (*shape.DeleteLoadBalancerOutput, error) {
	b, ok := s.loadBalancers.Get(tx, api.Value(in.LoadBalancerName))
	if !ok {
		return &shape.DeleteLoadBalancerOutput{}, nil
	}
	for key, r := range s.registrations.Prefix(tx, b.Name+"|") {
		s.remove(tx, key, r)
	}
	s.loadBalancers.Delete(tx, b.Name)
	s.v2.ReleaseAddress(tx, b.Address)
	s.routes.Forget(tx, b.ARN)
	tx.Touch(Name, kindRoute, b.Name)
	tx.At(Name, kindMinute, b.Name, time.Time{})
	return &shape.DeleteLoadBalancerOutput{}, nil
}

// DescribeLoadBalancers lists load balancers: all, or those of the given names.
func (s *Service) DescribeLoadBalancers(tx *cloud.Tx, in *shape.DescribeLoadBalancersInput) (*shape.DescribeLoadBalancersOutput, error) {
	out := &shape.DescribeLoadBalancersOutput{LoadBalancerDescriptions: []shape.LoadBalancerDescription{}}
	for _, name := range in.LoadBalancerNames {
		b, err := s.loadBalancer(tx, name)
		if err != nil {
			return nil, err
		}
		out.LoadBalancerDescriptions = append(out.LoadBalancerDescriptions, s.describe(tx, b))
	}
	if len(in.LoadBalancerNames) > 0 {
		return out, nil
	}
	for _, b := range s.loadBalancers.After(tx, api.Value(in.Marker)) {
		if n := len(out.LoadBalancerDescriptions); n > 0 && n == int(api.Or(in.PageSize, 400)) {
			out.NextMarker = out.LoadBalancerDescriptions[n-1].LoadBalancerName
			break
		}
		out.LoadBalancerDescriptions = append(out.LoadBalancerDescriptions, s.describe(tx, b))
	}
	return out, nil
}

func (s *Service) describe(tx *cloud.Tx, b LoadBalancer) shape.LoadBalancerDescription {
	d := shape.LoadBalancerDescription{
		LoadBalancerName: new(b.Name), DNSName: new(b.DNSName), CanonicalHostedZoneName: new(b.DNSName),
		CanonicalHostedZoneNameID: new(hostedZone), ListenerDescriptions: []shape.ListenerDescription{},
		Policies: &shape.Policies{}, BackendServerDescriptions: []shape.BackendServerDescription{},
		AvailabilityZones: b.zoneNames(), Subnets: b.subnets(), VPCId: new(b.VPC), Instances: s.listed(tx, b.Name),
		HealthCheck: b.Check.describe(), SecurityGroups: b.SecurityGroups, CreatedTime: new(b.CreatedTime), Scheme: new(b.Scheme),
	}
	for _, l := range b.Listeners {
		d.ListenerDescriptions = append(d.ListenerDescriptions, shape.ListenerDescription{Listener: l.describe(), PolicyNames: []string{}})
	}
	if len(b.SecurityGroups) > 0 {
		if g, ok := s.ec2.SecurityGroup(tx, b.SecurityGroups[0]); ok {
			d.SourceSecurityGroup = &shape.SourceSecurityGroup{OwnerAlias: new(tx.Scope.Account), GroupName: new(g.Name)}
		}
	}
	return d
}

// AddTags adds tags or gives them other values.
func (s *Service) AddTags(tx *cloud.Tx, in *shape.AddTagsInput) (*shape.AddTagsOutput, error) {
	for _, name := range in.LoadBalancerNames {
		b, err := s.loadBalancer(tx, name)
		if err != nil {
			return nil, err
		}
		if b.Tags, err = withTags(b.Tags, in.Tags); err != nil {
			return nil, err
		}
		s.loadBalancers.Put(tx, b.Name, b)
	}
	return &shape.AddTagsOutput{}, nil
}

// RemoveTags removes tags; those that are not there are no error.
func (s *Service) RemoveTags(tx *cloud.Tx, in *shape.RemoveTagsInput) (*shape.RemoveTagsOutput, error) {
	for _, name := range in.LoadBalancerNames {
		b, err := s.loadBalancer(tx, name)
		if err != nil {
			return nil, err
		}
		b.Tags = slices.DeleteFunc(slices.Clone(b.Tags), func(t Tag) bool {
			return slices.ContainsFunc(in.Tags, func(k shape.TagKeyOnly) bool { return api.Value(k.Key) == t.Key })
		})
		s.loadBalancers.Put(tx, b.Name, b)
	}
	return &shape.RemoveTagsOutput{}, nil
}

// DescribeTags lists tags.
func (s *Service) DescribeTags(tx *cloud.Tx, in *shape.DescribeTagsInput) (*shape.DescribeTagsOutput, error) {
	out := &shape.DescribeTagsOutput{TagDescriptions: []shape.TagDescription{}}
	for _, name := range in.LoadBalancerNames {
		b, err := s.loadBalancer(tx, name)
		if err != nil {
			return nil, err
		}
		d := shape.TagDescription{LoadBalancerName: new(name), Tags: []shape.Tag{}}
		for _, t := range b.Tags {
			d.Tags = append(d.Tags, shape.Tag{Key: new(t.Key), Value: new(t.Value)})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

// withTags returns the tags with more of them, checked.
func withTags(tags []Tag, more []shape.Tag) ([]Tag, error) {
	tags = slices.Clone(tags)
	for i, m := range more {
		key := api.Value(m.Key)
		if slices.ContainsFunc(more[:i], func(o shape.Tag) bool { return api.Value(o.Key) == key }) {
			return nil, api.Errorf("DuplicateTagKeys", "Tag keys must be unique; '%s' was given twice", key)
		}
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, api.Errorf("ValidationError", "Tag keys cannot begin with 'aws:'")
		}
		tags = append(slices.DeleteFunc(tags, func(t Tag) bool { return t.Key == key }), Tag{key, api.Value(m.Value)})
	}
	if len(tags) > maxTags {
		return nil, api.Errorf("TooManyTags", "A load balancer can have at most %d tags", maxTags)
	}
	return tags, nil
}

// DescribeAccountLimits lists the quotas that are kept.
func (s *Service) DescribeAccountLimits(_ *cloud.Tx, _ *shape.DescribeAccountLimitsInput) (*shape.DescribeAccountLimitsOutput, error) {
	limit := func(name string, n int) shape.Limit { return shape.Limit{Name: new(name), Max: new(strconv.Itoa(n))} }
	return &shape.DescribeAccountLimitsOutput{Limits: []shape.Limit{
		limit("classic-load-balancers", maxLoadBalancers),
		limit("classic-listeners", maxListeners),
		limit("classic-registered-instances", maxInstances),
	}}, nil
}

// Named gives the tags of a load balancer, for decisions on calls.
func (s *Service) Named(tx *cloud.Tx, name string) ([]Tag, bool) {
	b, ok := s.loadBalancers.Get(tx, name)
	return b.Tags, ok
}
