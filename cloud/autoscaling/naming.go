package autoscaling

import (
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// Named finds the group that the last part of an ARN names, as it follows from a call, and its tags: its name stands in
// "autoScalingGroup:*:autoScalingGroupName/NAME", or one of its instances in "autoScalingGroup:*:instance/ID".
func (s *Service) Named(tx *cloud.Tx, resource string) (arn string, tags []ec2.Tag, ok bool) {
	name, byName := strings.CutPrefix(resource, "autoScalingGroup:*:autoScalingGroupName/")
	if id, byInstance := strings.CutPrefix(resource, "autoScalingGroup:*:instance/"); byInstance {
		m, _ := s.members.Get(tx, id)
		name, byName = m.Group, true
	}
	g, ok := s.groups.Get(tx, name)
	if !byName || !ok {
		return "", nil, false
	}
	for _, t := range g.Tags {
		tags = append(tags, ec2.Tag{Key: t.Key, Value: t.Value})
	}
	return g.ARN, tags, true
}
