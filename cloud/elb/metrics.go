package elb

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/elbv2"
)

// namespace is where the metrics of classic load balancers are (CW-NM-06).
const namespace = "AWS/ELB"

func dimensions(name, zone string) []cloudwatch.Dimension {
	d := []cloudwatch.Dimension{{Name: "LoadBalancerName", Value: name}}
	if zone != "" {
		d = append(d, cloudwatch.Dimension{Name: "AvailabilityZone", Value: zone})
	}
	return d
}

// count publishes traffic.
func (s *Service) count(tx *cloud.Tx, f elbv2.Traffic) {
	for _, c := range f.Counters {
		name := nameOf(tx, c.LoadBalancer)
		if name == "" || !s.loadBalancers.Has(tx, name) {
			continue
		}
		under := [][]cloudwatch.Dimension{dimensions(name, "")}
		if c.Zone != "" {
			under = append(under, dimensions(name, c.Zone))
		}
		p := &elbv2.Publication{Namespace: namespace, At: f.LastMoment()}
		p.Add("RequestCount", "Count", elbv2.Counted(c.RequestCount), under...)
		p.Add("Latency", "Seconds", cloudwatch.Stat(c.TargetResponseTime), under...)
		for digit := 2; digit <= 5; digit++ {
			p.Add("HTTPCode_Backend_"+string(rune('0'+digit))+"XX", "Count", elbv2.Counted(c.TargetStatus[digit]), under...)
		}
		p.Add("BackendConnectionErrors", "Count", elbv2.Counted(c.TargetConnectionErrorCount), under...)
		p.Add("HTTPCode_ELB_4XX", "Count", elbv2.Counted(c.ELB4XX), under...)
		p.Add("HTTPCode_ELB_5XX", "Count", elbv2.Counted(c.ELB5XX), under...)
		p.Put(tx, s.cloudwatch)
	}
}

// nextMinute has the minute's metrics published when it begins.
func (s *Service) nextMinute(tx *cloud.Tx, name string) {
	tx.At(Name, kindMinute, name, tx.Now().Truncate(time.Minute).Add(time.Minute))
}

// publishMinute publishes the hosts, in all and per zone, at the start of every minute. Only its own timer brings it
// about: a load does not, since the minute may have been published already.
func (s *Service) publishMinute(tx *cloud.Tx, name string) {
	b, ok := s.loadBalancers.Get(tx, name)
	if !ok {
		return
	}
	s.nextMinute(tx, name)
	minute := tx.Now().Truncate(time.Minute)
	zones := append([]string{""}, b.zoneNames()...)
	healthy, unhealthy := make([]float64, len(zones)), make([]float64, len(zones))
	for _, r := range s.registrations.Prefix(tx, name+"|") {
		count := unhealthy
		if !r.DrainUntil.IsZero() {
			continue
		} else if r.counts() && r.Count.State == elbv2.StateHealthy {
			count = healthy
		}
		count[0]++
		for i, z := range zones[1:] {
			if z == r.Zone {
				count[i+1]++
			}
		}
	}
	p := &elbv2.Publication{Namespace: namespace, At: minute}
	for i, z := range zones {
		p.Add("HealthyHostCount", "Count", cloudwatch.Single(healthy[i]), dimensions(name, z))
		p.Add("UnHealthyHostCount", "Count", cloudwatch.Single(unhealthy[i]), dimensions(name, z))
	}
	p.Put(tx, s.cloudwatch)
}
