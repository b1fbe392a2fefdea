package elbv2

import (
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// namespace is where the metrics of application load balancers are (CW-NM-03).
const namespace = "AWS/ApplicationELB"

// Units.
const (
	unitCount   = "Count"
	unitSeconds = "Seconds"
	unitBytes   = "Bytes"
)

// Counted is the statistic of n things that were counted one by one: each is a sample of 1.
func Counted(n int64) cloudwatch.Stat {
	return cloudwatch.Stat{Count: float64(n), Sum: float64(n), Min: 1, Max: 1}
}

// Publication collects data for CloudWatch. It is shared with classic load balancers.
type Publication struct {
	Namespace string
	At        time.Time
	data      []cloudwatch.Datum
}

// Add adds a value under each of several sets of dimensions; nothing was counted: nothing is added.
func (p *Publication) Add(metric, unit string, stat cloudwatch.Stat, under ...[]cloudwatch.Dimension) {
	if stat.Count == 0 {
		return
	}
	if p.data == nil {
		p.data = make([]cloudwatch.Datum, 0, 24)
	}
	for _, dimensions := range under {
		p.data = append(p.data, cloudwatch.Datum{
			Namespace: p.Namespace, Metric: metric, Dimensions: dimensions, Unit: unit, At: p.At, Stat: stat,
		})
	}
}

// Put hands over what was collected.
func (p *Publication) Put(tx *cloud.Tx, cw *cloudwatch.Service) { cw.Put(tx, p.data) }

// LastMoment is the instant to which what happened in a span is booked: its last, so that it falls into the period
// that has just ended or still runs, and an alarm that looks at the end of it sees it.
func (f Traffic) LastMoment() time.Time {
	if f.To.After(f.From) {
		return f.To.Add(-1)
	}
	return f.From
}

func dim(pairs ...string) []cloudwatch.Dimension {
	var d []cloudwatch.Dimension
	for i := 0; i+1 < len(pairs); i += 2 {
		d = append(d, cloudwatch.Dimension{Name: pairs[i], Value: pairs[i+1]})
	}
	return d
}

// dimensionOf is a load balancer or target group as dimensions name it: "app/web/0123456789abcdef",
// "targetgroup/web/0123456789abcdef". Both joined by a slash are a policy's ResourceLabel.
func dimensionOf(arn string) string { return strings.TrimPrefix(resource(arn), "loadbalancer/") }

// count publishes traffic.
func (s *Service) count(tx *cloud.Tx, f Traffic) {
	at := f.LastMoment()
	p := &Publication{Namespace: namespace, At: at}
	group, among := "", 1.0 // a group's rows, one per zone, come together
	for _, c := range f.Counters {
		tx.Scope = ScopeOf(c.LoadBalancer)
		if !s.loadBalancers.Has(tx, c.LoadBalancer) {
			continue
		}
		p.data = p.data[:0]
		if c.TargetGroup != "" {
			if c.TargetGroup != group {
				group, among = c.TargetGroup, s.hosts.of(c.TargetGroup).takers()
			}
			addTargetGroup(p, c, among)
		} else {
			addLoadBalancer(p, c)
		}
		p.Put(tx, s.cloudwatch)
	}
}

// addLoadBalancer adds what is known without a target.
func addLoadBalancer(p *Publication, c Counters) {
	lb := dim("LoadBalancer", dimensionOf(c.LoadBalancer))
	p.Add("NewConnectionCount", unitCount, Counted(c.NewConnectionCount), lb)
	if c.ActiveConnectionCount > 0 {
		p.Add("ActiveConnectionCount", unitCount, cloudwatch.Single(float64(c.ActiveConnectionCount)), lb)
	}
	p.Add("RejectedConnectionCount", unitCount, Counted(c.RejectedConnectionCount), lb)
	if c.ProcessedBytes > 0 {
		p.Add("ProcessedBytes", unitBytes, cloudwatch.Single(float64(c.ProcessedBytes)), lb)
	}
	p.Add("HTTPCode_ELB_4XX_Count", unitCount, Counted(c.ELB4XX), lb)
	p.Add("HTTPCode_ELB_5XX_Count", unitCount, Counted(c.ELB5XX), lb)
	p.Add("HTTPCode_ELB_500_Count", unitCount, Counted(c.ELB500), lb)
	p.Add("HTTPCode_ELB_502_Count", unitCount, Counted(c.ELB502), lb)
	p.Add("HTTPCode_ELB_503_Count", unitCount, Counted(c.ELB503), lb)
	p.Add("HTTPCode_ELB_504_Count", unitCount, Counted(c.ELB504), lb)
}

// addTargetGroup adds what went to targets of one group in one zone; among is how many targets share it.
func addTargetGroup(p *Publication, c Counters, among float64) {
	lb, group := dimensionOf(c.LoadBalancer), dimensionOf(c.TargetGroup)
	under := [][]cloudwatch.Dimension{dim("LoadBalancer", lb), dim("TargetGroup", group, "LoadBalancer", lb)}
	if c.Zone != "" {
		under = append(under,
			dim("AvailabilityZone", c.Zone, "LoadBalancer", lb),
			dim("TargetGroup", group, "AvailabilityZone", c.Zone, "LoadBalancer", lb))
	}
	p.Add("RequestCount", unitCount, Counted(c.RequestCount), under...)
	for digit := 2; digit <= 5; digit++ {
		p.Add("HTTPCode_Target_"+string(rune('0'+digit))+"XX_Count", unitCount, Counted(c.TargetStatus[digit]), under...)
	}
	p.Add("TargetConnectionErrorCount", unitCount, Counted(c.TargetConnectionErrorCount), under...)
	p.Add("TargetResponseTime", unitSeconds, cloudwatch.Stat(c.TargetResponseTime), under...)
	if c.RequestCount > 0 {
		p.Add("RequestCountPerTarget", unitCount, cloudwatch.Single(float64(c.RequestCount)/among), perTarget(lb, group)...)
	}
}

// perTarget are the dimensions of RequestCountPerTarget (CW-NM-04).
func perTarget(lb, group string) [][]cloudwatch.Dimension {
	return [][]cloudwatch.Dimension{dim("TargetGroup", group), dim("TargetGroup", group, "LoadBalancer", lb)}
}

// nextMinute has the minute's metrics published when it begins.
func (s *Service) nextMinute(tx *cloud.Tx, arn string) {
	tx.At(Name, kindMinute, arn, tx.Now().Truncate(time.Minute).Add(time.Minute))
}

// publishMinute publishes, at the start of every minute, what there is without traffic too: the hosts, and that there
// were no requests per target yet (CW-NM-04: always reported). Only its own timer brings it about: a load does not, since
// the minute may have been published already.
func (s *Service) publishMinute(tx *cloud.Tx, arn string) {
	if !s.loadBalancers.Has(tx, arn) {
		return
	}
	s.nextMinute(tx, arn)
	minute := tx.Now().Truncate(time.Minute)
	lb := dimensionOf(arn)
	p := &Publication{Namespace: namespace, At: minute}
	for _, g := range s.groupsOf(tx, arn) {
		h, group := s.hosts.of(g), dimensionOf(g)
		under := dim("TargetGroup", group, "LoadBalancer", lb)
		p.Add("RequestCountPerTarget", unitCount, cloudwatch.Single(0), perTarget(lb, group)...)
		if h.registered == 0 {
			continue
		}
		p.Add("HealthyHostCount", unitCount, cloudwatch.Single(float64(h.healthy)), under)
		p.Add("UnHealthyHostCount", unitCount, cloudwatch.Single(float64(h.unhealthy)), under)
		for _, z := range h.zones {
			if z.zone == "" || z.served == 0 {
				continue
			}
			under := dim("TargetGroup", group, "AvailabilityZone", z.zone, "LoadBalancer", lb)
			p.Add("HealthyHostCount", unitCount, cloudwatch.Single(float64(z.healthy)), under)
			p.Add("UnHealthyHostCount", unitCount, cloudwatch.Single(float64(z.unhealthy)), under)
		}
	}
	p.Put(tx, s.cloudwatch)
}
