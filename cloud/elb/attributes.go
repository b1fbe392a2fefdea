package elb

import (
	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elb"
	"github.com/billow-cloud/billow/cloud"
)

// desyncMode is the one additional attribute that there is.
const desyncMode = "elb.http.desyncmitigationmode"

// DescribeLoadBalancerAttributes tells all attributes.
func (s *Service) DescribeLoadBalancerAttributes(tx *cloud.Tx, in *shape.DescribeLoadBalancerAttributesInput) (*shape.DescribeLoadBalancerAttributesOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	return &shape.DescribeLoadBalancerAttributesOutput{LoadBalancerAttributes: b.attributes()}, nil
}

func (b LoadBalancer) attributes() *shape.LoadBalancerAttributes {
	a := &shape.LoadBalancerAttributes{
		CrossZoneLoadBalancing: &shape.CrossZoneLoadBalancing{Enabled: new(b.CrossZone)},
		AccessLog:              &shape.AccessLog{Enabled: new(b.AccessLog.Enabled)},
		ConnectionDraining:     &shape.ConnectionDraining{Enabled: new(b.Draining), Timeout: new(b.DrainingTimeout)},
		ConnectionSettings:     &shape.ConnectionSettings{IdleTimeout: new(b.IdleTimeout)},
		AdditionalAttributes:   []shape.AdditionalAttribute{{Key: new(desyncMode), Value: new(b.DesyncMode)}},
	}
	if b.AccessLog.Enabled {
		a.AccessLog.S3BucketName, a.AccessLog.S3BucketPrefix = new(b.AccessLog.Bucket), new(b.AccessLog.Prefix)
		a.AccessLog.EmitInterval = new(b.AccessLog.EmitInterval)
	}
	return a
}

// ModifyLoadBalancerAttributes sets the attributes that are given (LB-CL-02).
func (s *Service) ModifyLoadBalancerAttributes(tx *cloud.Tx, in *shape.ModifyLoadBalancerAttributesInput) (*shape.ModifyLoadBalancerAttributesOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	if err := b.setAttributes(in.LoadBalancerAttributes); err != nil {
		return nil, err
	}
	s.put(tx, b)
	return &shape.ModifyLoadBalancerAttributesOutput{LoadBalancerName: new(b.Name), LoadBalancerAttributes: b.attributes()}, nil
}

func (b *LoadBalancer) setAttributes(a *shape.LoadBalancerAttributes) error {
	if c := a.CrossZoneLoadBalancing; c != nil {
		b.CrossZone = api.Value(c.Enabled)
	}
	if d := a.ConnectionDraining; d != nil {
		b.Draining, b.DrainingTimeout = api.Value(d.Enabled), api.Or(d.Timeout, 300)
		if b.DrainingTimeout < 1 || b.DrainingTimeout > 3600 {
			return api.Errorf("ValidationError", "Connection draining timeout must be between 1 and 3600 seconds")
		}
	}
	if c := a.ConnectionSettings; c != nil {
		b.IdleTimeout = api.Value(c.IdleTimeout)
	}
	if l := a.AccessLog; l != nil {
		b.AccessLog = AccessLog{api.Value(l.Enabled), api.Value(l.S3BucketName), api.Value(l.S3BucketPrefix), api.Or(l.EmitInterval, 60)}
		if b.AccessLog.Enabled && b.AccessLog.Bucket == "" {
			return api.Errorf("InvalidConfigurationRequest", "An S3 bucket must be specified for the access log")
		}
		if e := b.AccessLog.EmitInterval; e != 5 && e != 60 {
			return api.Errorf("InvalidConfigurationRequest", "The access log's emit interval must be 5 or 60 minutes")
		}
	}
	for _, x := range a.AdditionalAttributes {
		if api.Value(x.Key) != desyncMode {
			return api.Errorf("LoadBalancerAttributeNotFound", "The load balancer attribute '%s' does not exist", api.Value(x.Key))
		}
		switch v := api.Value(x.Value); v {
		case "monitor", "defensive", "strictest":
			b.DesyncMode = v
		default:
			return api.Errorf("InvalidConfigurationRequest", "The value '%s' is not valid for '%s'", v, desyncMode)
		}
	}
	return nil
}
