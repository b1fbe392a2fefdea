package elbv2

import (
	"strconv"

	shape "github.com/billow-cloud/billow/api/elbv2"
	"github.com/billow-cloud/billow/cloud"
)

// DescribeAccountLimits lists the quotas that are kept (LB-DN-05, LB-RU-01).
func (s *Service) DescribeAccountLimits(_ *cloud.Tx, in *shape.DescribeAccountLimitsInput) (*shape.DescribeAccountLimitsOutput, error) {
	type limit struct {
		name string
		max  int
	}
	limits := []limit{
		{"application-load-balancers", maxLoadBalancers},
		{"listeners-per-application-load-balancer", maxListeners},
		{"rules-per-application-load-balancer", 0},
		{"target-groups", maxTargetGroups},
		{"target-groups-per-action-on-application-load-balancer", maxForward},
		{"target-groups-per-application-load-balancer", maxGroups},
		{"targets-per-target-group", maxTargets},
	}
	out := &shape.DescribeAccountLimitsOutput{}
	limits, out.NextMarker = page(limits, func(l limit) string { return l.name }, in.Marker, in.PageSize)
	for _, l := range limits {
		out.Limits = append(out.Limits, shape.Limit{Name: new(l.name), Max: new(strconv.Itoa(l.max))})
	}
	return out, nil
}
