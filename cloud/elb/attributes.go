package elb

import (
	api "github.com/billow-cloud/billow/api/elb"
	"github.com/billow-cloud/billow/cloud"
)

// desyncMode is the one additional attribute that there is.
const desyncMode = "elb.http.desyncmitigationmode"

// DescribeLoadBalancerAttributes tells all attributes.
func (s *Service) DescribeLoadBalancerAttributes(tx *cloud.Tx, in *api.DescribeLoadBalancerAttributesInput) (*api.DescribeLoadBalancerAttributesOutput, error) {
	b, err := s.loadBalancer(tx, val(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	return &api.DescribeLoadBalancerAttributesOutput{LoadBalancerAttributes: b.attributes()}, nil
}

func (b LoadBalancer) attributes() *api.LoadBalancerAttributes {
	a := &api.LoadBalancerAttributes{
		CrossZoneLoadBalancing: &api.CrossZoneLoadBalancing{Enabled: new(b.CrossZone)},
		AccessLog:              &api.AccessLog{Enabled: new(b.AccessLog.Enabled)},
		ConnectionDraining:     &api.ConnectionDraining{Enabled: new(b.Draining), Timeout: new(b.DrainingTimeout)},
		ConnectionSettings:     &api.ConnectionSettings{IdleTimeout: new(b.IdleTimeout)},
		AdditionalAttributes:   []api.AdditionalAttribute{{Key: new(desyncMode), Value: new(b.DesyncMode)}},
	}
	if b.AccessLog.Enabled {
		a.AccessLog.S3BucketName, a.AccessLog.S3BucketPrefix = new(b.AccessLog.Bucket), new(b.AccessLog.Prefix)
		a.AccessLog.EmitInterval = new(b.AccessLog.EmitInterval)
	}
	return a
}

// ModifyLoadBalancerAttributes sets the attributes that are given (LB-CL-02).
func (s *Service) ModifyLoadBalancerAttributes(tx *cloud.Tx, in *api.ModifyLoadBalancerAttributesInput) (*api.ModifyLoadBalancerAttributesOutput, error) {
	b, err := s.loadBalancer(tx, val(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	if err := b.setAttributes(in.LoadBalancerAttributes); err != nil {
		return nil, err
	}
	s.put(tx, b)
	return &api.ModifyLoadBalancerAttributesOutput{LoadBalancerName: new(b.Name), LoadBalancerAttributes: b.attributes()}, nil
}

func (b *LoadBalancer) setAttributes(a *api.LoadBalancerAttributes) error {
	if c := a.CrossZoneLoadBalancing; c != nil {
		b.CrossZone = val(c.Enabled)
	}
	if d := a.ConnectionDraining; d != nil {
		b.Draining, b.DrainingTimeout = val(d.Enabled), or(d.Timeout, 300)
		if b.DrainingTimeout < 1 || b.DrainingTimeout > 3600 {
			return fail("ValidationError", "Connection draining timeout must be between 1 and 3600 seconds")
		}
	}
	if c := a.ConnectionSettings; c != nil {
		b.IdleTimeout = val(c.IdleTimeout)
	}
	if l := a.AccessLog; l != nil {
		b.AccessLog = AccessLog{val(l.Enabled), val(l.S3BucketName), val(l.S3BucketPrefix), or(l.EmitInterval, 60)}
		if b.AccessLog.Enabled && b.AccessLog.Bucket == "" {
			return fail("InvalidConfigurationRequest", "An S3 bucket must be specified for the access log")
		}
		if e := b.AccessLog.EmitInterval; e != 5 && e != 60 {
			return fail("InvalidConfigurationRequest", "The access log's emit interval must be 5 or 60 minutes")
		}
	}
	for _, x := range a.AdditionalAttributes {
		if val(x.Key) != desyncMode {
			return fail("LoadBalancerAttributeNotFound", "The load balancer attribute '%s' does not exist", val(x.Key))
		}
		switch v := val(x.Value); v {
		case "monitor", "defensive", "strictest":
			b.DesyncMode = v
		default:
			return fail("InvalidConfigurationRequest", "The value '%s' is not valid for '%s'", v, desyncMode)
		}
	}
	return nil
}
