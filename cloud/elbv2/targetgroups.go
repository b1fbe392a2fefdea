package elbv2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// TargetGroup is the row of a target group. Its key is its ARN.
type TargetGroup struct {
	ARN             string
	Name            string
	Protocol        string
	ProtocolVersion string
	Port            int32
	VPC             string
	TargetType      string
	Check           HealthCheck
	Attributes      []Attribute `json:",omitempty"`
	Tags            []Tag       `json:",omitempty"`
}

// HealthCheck is how a target group's targets are checked (LB-HC-01).
type HealthCheck struct {
	Protocol           string
	Port               string // a number or trafficPort
	Path               string
	Interval           int32 // seconds
	Timeout            int32 // seconds
	HealthyThreshold   int32
	UnhealthyThreshold int32
	Matcher            string
}

const (
	typeInstance = shape.TargetTypeEnumInstance
	typeIP       = shape.TargetTypeEnumIp

	trafficPort = "traffic-port"

	maxTargetGroups = 3000 // per region (LB-DN-05)
)

func (g TargetGroup) attribute(key string) string {
	return getAttribute(g.Attributes, targetGroupAttributes, key)
}

// delay is how long a target drains (LB-DR-01).
func (g TargetGroup) delay() time.Duration { return seconds(g.attribute(keyDelay)) }

// targetGroup finds a target group by its ARN.
func (s *Service) targetGroup(tx *cloud.Tx, arn string) (TargetGroup, error) {
	if err := checkARN(arn, "targetgroup", "target group"); err != nil {
		return TargetGroup{}, err
	}
	g, ok := s.targetGroups.Get(tx, arn)
	if !ok {
		return g, api.Errorf("TargetGroupNotFound", "Target groups '%s' not found", arn)
	}
	return g, nil
}

// CreateTargetGroup makes a target group, or answers with the one of this name if it has the same settings.
func (s *Service) CreateTargetGroup(tx *cloud.Tx, in *shape.CreateTargetGroupInput) (*shape.CreateTargetGroupOutput, error) {
	g := TargetGroup{
		Name: api.Value(in.Name), Protocol: api.Value(in.Protocol), ProtocolVersion: api.Or(in.ProtocolVersion, "HTTP1"),
		Port: api.Value(in.Port), VPC: api.Value(in.VpcId), TargetType: api.Or(in.TargetType, typeInstance),
		Check: HealthCheck{ // LB-HC-01
			Protocol: "HTTP", Port: trafficPort, Path: "/", Interval: 30, Timeout: 5,
			HealthyThreshold: 5, UnhealthyThreshold: 2, Matcher: "200",
		},
	}
	if err := s.checkTargetGroup(tx, in, g); err != nil {
		return nil, err
	}
	err := g.setCheck(&shape.ModifyTargetGroupInput{
		HealthCheckEnabled: in.HealthCheckEnabled, HealthCheckProtocol: in.HealthCheckProtocol, HealthCheckPort: in.HealthCheckPort,
		HealthCheckPath: in.HealthCheckPath, HealthCheckIntervalSeconds: in.HealthCheckIntervalSeconds,
		HealthCheckTimeoutSeconds: in.HealthCheckTimeoutSeconds, HealthyThresholdCount: in.HealthyThresholdCount,
		UnhealthyThresholdCount: in.UnhealthyThresholdCount, Matcher: in.Matcher,
	})
	if err != nil {
		return nil, err
	}
	if g.Tags, err = withTags(nil, in.Tags); err != nil {
		return nil, err
	}
	for _, old := range s.targetGroupNames.Each(tx, g.Name) {
		if old.Protocol != g.Protocol || old.ProtocolVersion != g.ProtocolVersion || old.Port != g.Port || old.VPC != g.VPC ||
			old.TargetType != g.TargetType || old.Check != g.Check {
			return nil, api.Errorf("DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", g.Name)
		}
		return &shape.CreateTargetGroupOutput{TargetGroups: []shape.TargetGroup{s.describeTargetGroup(tx, old)}}, nil
	}
	n := 0
	for range s.targetGroups.All(tx) {
		n++
	}
	if n >= maxTargetGroups {
		return nil, api.Errorf("TooManyTargetGroups", "The maximum number of target groups, %d, has been reached", maxTargetGroups)
	}
	g.ARN = arn(tx.Scope, "targetgroup/"+g.Name+"/"+tx.Hex(16))
	s.targetGroups.Put(tx, g.ARN, g)
	return &shape.CreateTargetGroupOutput{TargetGroups: []shape.TargetGroup{s.describeTargetGroup(tx, g)}}, nil
}

// checkTargetGroup refuses what is wrong and what cannot be built.
func (s *Service) checkTargetGroup(tx *cloud.Tx, in *shape.CreateTargetGroupInput, g TargetGroup) error {
	if err := CheckName("Target group", g.Name); err != nil {
		return err
	}
	switch {
	case g.TargetType != typeInstance && g.TargetType != typeIP:
		return api.Errorf("InvalidConfigurationRequest", "Target groups of type '%s' are not implemented; 'instance' and 'ip' are", g.TargetType)
	case g.Protocol == "":
		return invalid("A protocol must be specified")
	case g.Protocol != "HTTP":
		return api.Errorf("InvalidConfigurationRequest", "The target group protocol '%s' is not implemented; 'HTTP' is", g.Protocol)
	case g.ProtocolVersion != "HTTP1":
		return api.Errorf("InvalidConfigurationRequest", "The protocol version '%s' is not implemented; 'HTTP1' is", g.ProtocolVersion)
	case g.Port == 0:
		return invalid("A port must be specified")
	case api.Or(in.IpAddressType, "ipv4") != "ipv4":
		return api.Errorf("InvalidConfigurationRequest", "The IP address type '%s' is not implemented; 'ipv4' is", *in.IpAddressType)
	case g.VPC == "":
		return invalid("A VPC ID must be specified")
	}
	if _, ok := s.ec2.VPC(tx, g.VPC); !ok {
		return invalid("The VPC ID '%s' is not found", g.VPC)
	}
	return nil
}

// setCheck changes the health check as far as it is given, checked as a whole.
func (g *TargetGroup) setCheck(in *shape.ModifyTargetGroupInput) error {
	c := &g.Check
	if in.HealthCheckEnabled != nil && !*in.HealthCheckEnabled {
		return api.Errorf("InvalidConfigurationRequest", "Health check enabled must be true for target groups with target type '%s'", g.TargetType)
	}
	c.Protocol = api.Or(in.HealthCheckProtocol, c.Protocol)
	c.Port = api.Or(in.HealthCheckPort, c.Port)
	c.Path = api.Or(in.HealthCheckPath, c.Path)
	c.Interval = api.Or(in.HealthCheckIntervalSeconds, c.Interval)
	c.Timeout = api.Or(in.HealthCheckTimeoutSeconds, c.Timeout)
	c.HealthyThreshold = api.Or(in.HealthyThresholdCount, c.HealthyThreshold)
	c.UnhealthyThreshold = api.Or(in.UnhealthyThresholdCount, c.UnhealthyThreshold)
	if m := in.Matcher; m != nil {
		if m.GrpcCode != nil {
			return api.Errorf("InvalidConfigurationRequest", "A gRPC matcher needs a target group with protocol version GRPC")
		}
		c.Matcher = api.Or(m.HttpCode, c.Matcher)
	}
	port, err := strconv.Atoi(c.Port)
	switch {
	case c.Protocol != "HTTP":
		return api.Errorf("InvalidConfigurationRequest", "The health check protocol '%s' is not implemented for HTTP target groups; 'HTTP' is", c.Protocol)
	case c.Port != trafficPort && (err != nil || port < 1 || port > 65535):
		return invalid("Health check port '%s' must be 'traffic-port' or a number between 1 and 65535", c.Port)
	case !strings.HasPrefix(c.Path, "/"):
		return invalid("Health check path '%s' must begin with a '/' character", c.Path)
	case c.Timeout >= c.Interval:
		return invalid("Health check timeout '%d' must be smaller than the interval '%d'", c.Timeout, c.Interval)
	case !matcherOK(c.Matcher):
		return invalid("Health check matcher HTTP code '%s' must be within '200-499' inclusive", c.Matcher)
	}
	return nil
}

// matcherOK tells whether a matcher is a list of codes and ranges from 200 to 499 (LB-HC-01).
func matcherOK(m string) bool {
	code := func(text string) (int, bool) {
		n, err := strconv.Atoi(text)
		return n, err == nil && n >= 200 && n <= 499
	}
	for _, part := range strings.Split(m, ",") {
		low, high, ranged := strings.Cut(part, "-")
		from, ok := code(low)
		if !ok {
			return false
		}
		if to, ok := code(high); ranged && (!ok || to < from) {
			return false
		}
	}
	return true
}

func (s *Service) describeTargetGroup(tx *cloud.Tx, g TargetGroup) shape.TargetGroup {
	return shape.TargetGroup{
		TargetGroupArn: new(g.ARN), TargetGroupName: new(g.Name), Protocol: new(g.Protocol), ProtocolVersion: new(g.ProtocolVersion),
		Port: new(g.Port), VpcId: new(g.VPC), TargetType: new(g.TargetType), IpAddressType: new("ipv4"),
		HealthCheckEnabled: new(true), HealthCheckProtocol: new(g.Check.Protocol), HealthCheckPort: new(g.Check.Port),
		HealthCheckPath: new(g.Check.Path), HealthCheckIntervalSeconds: new(g.Check.Interval),
		HealthCheckTimeoutSeconds: new(g.Check.Timeout), HealthyThresholdCount: new(g.Check.HealthyThreshold),
		UnhealthyThresholdCount: new(g.Check.UnhealthyThreshold), Matcher: &shape.Matcher{HttpCode: new(g.Check.Matcher)},
		LoadBalancerArns: slices.Concat([]string{}, s.LoadBalancersOf(tx, g.ARN)),
	}
}

// DescribeTargetGroups lists target groups: all, or those of ARNs, names or a load balancer.
func (s *Service) DescribeTargetGroups(tx *cloud.Tx, in *shape.DescribeTargetGroupsInput) (*shape.DescribeTargetGroupsOutput, error) {
	var rows []TargetGroup
	ways := 0
	for _, given := range []bool{len(in.TargetGroupArns) > 0, len(in.Names) > 0, in.LoadBalancerArn != nil} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return nil, invalid("Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time")
	}
	arns := in.TargetGroupArns
	if in.LoadBalancerArn != nil {
		if _, err := s.loadBalancer(tx, *in.LoadBalancerArn); err != nil {
			return nil, err
		}
		arns = s.groupsOf(tx, *in.LoadBalancerArn)
	}
	for _, arn := range arns {
		g, err := s.targetGroup(tx, arn)
		if err != nil {
			return nil, err
		}
		rows = append(rows, g)
	}
	for _, name := range in.Names {
		n := len(rows)
		for _, g := range s.targetGroupNames.Each(tx, name) {
			rows = append(rows, g)
		}
		if len(rows) == n {
			return nil, api.Errorf("TargetGroupNotFound", "One or more target groups not found")
		}
	}
	if ways == 0 {
		for _, g := range s.targetGroups.All(tx) {
			rows = append(rows, g)
		}
	}
	out := &shape.DescribeTargetGroupsOutput{TargetGroups: []shape.TargetGroup{}}
	rows, out.NextMarker = page(rows, func(g TargetGroup) string { return g.ARN }, in.Marker, in.PageSize)
	for _, g := range rows {
		out.TargetGroups = append(out.TargetGroups, s.describeTargetGroup(tx, g))
	}
	return out, nil
}

// ModifyTargetGroup changes the health check. The targets keep the state that they have.
func (s *Service) ModifyTargetGroup(tx *cloud.Tx, in *shape.ModifyTargetGroupInput) (*shape.ModifyTargetGroupOutput, error) {
	g, err := s.targetGroup(tx, api.Value(in.TargetGroupArn))
	if err != nil {
		return nil, err
	}
	if err := g.setCheck(in); err != nil {
		return nil, err
	}
	s.targetGroups.Put(tx, g.ARN, g)
	s.rerouteGroup(tx, g.ARN)
	return &shape.ModifyTargetGroupOutput{TargetGroups: []shape.TargetGroup{s.describeTargetGroup(tx, g)}}, nil
}

// DeleteTargetGroup removes a target group that no listener uses. One that is not there is no error.
func (s *Service) DeleteTargetGroup(tx *cloud.Tx, in *shape.DeleteTargetGroupInput) (*shape.DeleteTargetGroupOutput, error) {
	arn := api.Value(in.TargetGroupArn)
	if err := checkARN(arn, "targetgroup", "target group"); err != nil {
		return nil, err
	}
	if s.users.Count(tx, arn) > 0 {
		return nil, api.Errorf("ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", arn)
	}
	for key, t := range s.targets.Prefix(tx, arn+"|") {
		s.remove(tx, key, t)
	}
	s.targetGroups.Delete(tx, arn)
	s.routes.Forget(tx, arn)
	return &shape.DeleteTargetGroupOutput{}, nil
}

// DescribeTargetGroupAttributes lists all attributes.
func (s *Service) DescribeTargetGroupAttributes(tx *cloud.Tx, in *shape.DescribeTargetGroupAttributesInput) (*shape.DescribeTargetGroupAttributesOutput, error) {
	g, err := s.targetGroup(tx, api.Value(in.TargetGroupArn))
	if err != nil {
		return nil, err
	}
	return &shape.DescribeTargetGroupAttributesOutput{Attributes: g.describeAttributes()}, nil
}

func (g TargetGroup) describeAttributes() (list []shape.TargetGroupAttribute) {
	allAttributes(g.Attributes, targetGroupAttributes, func(k, v string) {
		list = append(list, shape.TargetGroupAttribute{Key: new(k), Value: new(v)})
	})
	return list
}

// ModifyTargetGroupAttributes sets attributes, all or none.
func (s *Service) ModifyTargetGroupAttributes(tx *cloud.Tx, in *shape.ModifyTargetGroupAttributesInput) (*shape.ModifyTargetGroupAttributesOutput, error) {
	g, err := s.targetGroup(tx, api.Value(in.TargetGroupArn))
	if err != nil {
		return nil, err
	}
	for _, a := range in.Attributes {
		if g.Attributes, err = setAttribute(g.Attributes, targetGroupAttributes, "Target group", api.Value(a.Key), api.Value(a.Value)); err != nil {
			return nil, err
		}
	}
	algorithm := g.attribute(keyAlgorithm)
	switch {
	case g.attribute(keySlowStart) != "0" && algorithm != "round_robin": // LB-RT-04
		return nil, api.Errorf("InvalidConfigurationRequest", "Slow start cannot be used with the algorithm '%s'", algorithm)
	case g.attribute(keyAnomaly) == "on" && algorithm != "weighted_random": // LB-RT-01
		return nil, api.Errorf("InvalidConfigurationRequest", "Anomaly mitigation can be used with the algorithm 'weighted_random' only")
	}
	s.targetGroups.Put(tx, g.ARN, g)
	s.rerouteGroup(tx, g.ARN)
	return &shape.ModifyTargetGroupAttributesOutput{Attributes: g.describeAttributes()}, nil
}
