package elb

import (
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/elb"
	"github.com/billow-cloud/billow/cloud"
)

// Listener is a port of a load balancer and the instances' port to which its requests go.
type Listener struct {
	Protocol         string // HTTP or TCP
	Port             int32
	InstanceProtocol string
	InstancePort     int32
}

func (l Listener) describe() *shape.Listener {
	return &shape.Listener{
		Protocol: new(l.Protocol), LoadBalancerPort: new(l.Port), InstanceProtocol: new(l.InstanceProtocol), InstancePort: new(l.InstancePort),
	}
}

// withListeners returns the listeners with more of them, checked. One that is there already is no error.
func withListeners(list []Listener, more []shape.Listener) ([]Listener, error) {
	list = slices.Clone(list)
	for _, m := range more {
		l := Listener{Protocol: strings.ToUpper(api.Value(m.Protocol)), Port: api.Value(m.LoadBalancerPort), InstancePort: api.Value(m.InstancePort)}
		l.InstanceProtocol = strings.ToUpper(api.Or(m.InstanceProtocol, l.Protocol))
		switch {
		case l.Protocol == "HTTPS" || l.Protocol == "SSL" || l.InstanceProtocol == "HTTPS" || l.InstanceProtocol == "SSL":
			return nil, api.Errorf("UnsupportedProtocol", "HTTPS and SSL listeners are not implemented; HTTP and TCP are")
		case l.Protocol != "HTTP" && l.Protocol != "TCP":
			return nil, api.Errorf("ValidationError", "Protocol '%s' is not one of HTTP, HTTPS, TCP, SSL", api.Value(m.Protocol))
		case l.InstanceProtocol != l.Protocol:
			return nil, api.Errorf("InvalidConfigurationRequest", "The instance protocol must be of the same layer as the front-end protocol: %s and %s are not", l.Protocol, l.InstanceProtocol)
		case m.SSLCertificateId != nil && *m.SSLCertificateId != "":
			return nil, api.Errorf("InvalidConfigurationRequest", "A certificate can be specified for HTTPS and SSL listeners only")
		case l.Port < 1 || l.Port > 65535 || l.InstancePort < 1 || l.InstancePort > 65535:
			return nil, api.Errorf("ValidationError", "Ports must be between 1 and 65535")
		}
		i := slices.IndexFunc(list, func(o Listener) bool { return o.Port == l.Port })
		switch {
		case i < 0:
			list = append(list, l)
		case list[i] != l:
			return nil, api.Errorf("DuplicateListener", "A listener already exists with LoadBalancerPort %d, but with a different InstancePort, Protocol, or SSLCertificateId", l.Port)
		}
	}
	if len(list) > maxListeners {
		return nil, api.Errorf("InvalidConfigurationRequest", "A load balancer can have at most %d listeners", maxListeners)
	}
	slices.SortFunc(list, func(a, b Listener) int { return int(a.Port - b.Port) })
	return list, nil
}

// CreateLoadBalancerListeners adds listeners.
func (s *Service) CreateLoadBalancerListeners(tx *cloud.Tx, in *shape.CreateLoadBalancerListenersInput) (*shape.CreateLoadBalancerListenersOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	if b.Listeners, err = withListeners(b.Listeners, in.Listeners); err != nil {
		return nil, err
	}
	s.put(tx, b)
	return &shape.CreateLoadBalancerListenersOutput{}, nil
}

// DeleteLoadBalancerListeners removes the listeners of ports; those that are not there are no error.
func (s *Service) DeleteLoadBalancerListeners(tx *cloud.Tx, in *shape.DeleteLoadBalancerListenersInput) (*shape.DeleteLoadBalancerListenersOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	b.Listeners = slices.DeleteFunc(slices.Clone(b.Listeners), func(l Listener) bool {
		return slices.Contains(in.LoadBalancerPorts, l.Port)
	})
	s.put(tx, b)
	return &shape.DeleteLoadBalancerListenersOutput{}, nil
}

// HealthCheck is how the instances are checked (LB-CL-01).
type HealthCheck struct {
	Target             string // "TCP:80", "HTTP:80/path"
	Interval           int32  // seconds
	Timeout            int32  // seconds
	UnhealthyThreshold int32
	HealthyThreshold   int32
}

func (c HealthCheck) describe() *shape.HealthCheck {
	return &shape.HealthCheck{
		Target: new(c.Target), Interval: new(c.Interval), Timeout: new(c.Timeout),
		UnhealthyThreshold: new(c.UnhealthyThreshold), HealthyThreshold: new(c.HealthyThreshold),
	}
}

// split takes the target apart: "HTTP:80/path" into HTTP, 80 and "/path".
func (c HealthCheck) split() (protocol string, port int, path string, err error) {
	protocol, rest, _ := strings.Cut(c.Target, ":")
	digits := rest
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		digits, path = rest[:at], rest[at:]
	}
	port, bad := strconv.Atoi(digits)
	protocol = strings.ToUpper(protocol)
	switch {
	case bad != nil || port < 1 || port > 65535:
		err = api.Errorf("ValidationError", "HealthCheck Target must specify a port between 1 and 65535: '%s'", c.Target)
	case protocol == "HTTPS" || protocol == "SSL":
		err = api.Errorf("UnsupportedProtocol", "HTTPS and SSL health checks are not implemented; HTTP and TCP are")
	case protocol == "HTTP" && path == "":
		err = api.Errorf("ValidationError", "HealthCheck HTTP Target must specify a port followed by a path that begins with a slash. e.g. HTTP:80/ping/this/path")
	case protocol != "HTTP" && protocol != "TCP" || protocol == "TCP" && path != "":
		err = api.Errorf("ValidationError", "HealthCheck Target must begin with one of HTTP, TCP, HTTPS, SSL: '%s'", c.Target)
	}
	return protocol, port, path, err
}

// ConfigureHealthCheck replaces the health check. The instances keep the state that they have.
func (s *Service) ConfigureHealthCheck(tx *cloud.Tx, in *shape.ConfigureHealthCheckInput) (*shape.ConfigureHealthCheckOutput, error) {
	b, err := s.loadBalancer(tx, api.Value(in.LoadBalancerName))
	if err != nil {
		return nil, err
	}
	h := in.HealthCheck
	c := HealthCheck{api.Value(h.Target), api.Value(h.Interval), api.Value(h.Timeout), api.Value(h.UnhealthyThreshold), api.Value(h.HealthyThreshold)}
	if _, _, _, err := c.split(); err != nil {
		return nil, err
	}
	if c.Timeout >= c.Interval {
		return nil, api.Errorf("ValidationError", "HealthCheck timeout must be less than interval")
	}
	b.Check = c
	s.put(tx, b)
	return &shape.ConfigureHealthCheckOutput{HealthCheck: c.describe()}, nil
}
