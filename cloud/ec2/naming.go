package ec2

import (
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// Named finds what the last part of an ARN names, as it follows from a call: "instance/i-0123", "elastic-ip/" with an
// address or association, "launch-template/" with a name, "instance/" with the association of its profile.
func (s *Service) Named(tx *cloud.Tx, resource string) iam.Thing {
	var n iam.Thing
	kind, id, _ := strings.Cut(resource, "/")
	switch kind {
	case "instance":
		if i, err := s.profiled(tx, id); err == nil {
			id = i.ID
			n.ARN = tx.Scope.ARN(Name, kind+"/"+id)
		}
		i, _ := s.instances.Get(tx, id)
		if i.ID != "" {
			n.Keys = map[string]string{
				"ec2:instancetype": i.InstanceType, "ec2:instanceid": i.ID, "ec2:availabilityzone": i.Zone,
				"ec2:instanceprofile": i.IamProfile, "ec2:rootdevicetype": "ebs", "ec2:tenancy": i.Tenancy,
			}
		}
	case "elastic-ip":
		for _, e := range s.elasticParts.Each(tx, id) {
			id = e.AllocationID
			n.ARN = tx.Scope.ARN(Name, kind+"/"+id)
		}
	case "launch-template":
		for _, t := range s.templateNames.Each(tx, id) {
			id = t.ID
			n.ARN = tx.Scope.ARN(Name, kind+"/"+id)
		}
	case "volume":
		if v, ok := s.volumes.Get(tx, id); ok {
			n.Keys = map[string]string{
				"ec2:availabilityzone": v.Zone, "ec2:volumetype": v.Type, "ec2:volumesize": strconv.Itoa(int(v.Size)), "ec2:encrypted": strconv.FormatBool(v.Encrypted),
			}
		}
	case "subnet":
		if v, ok := s.subnets.Get(tx, id); ok {
			n.Keys = map[string]string{"ec2:availabilityzone": v.Zone, "ec2:vpc": tx.Scope.ARN(Name, "vpc/"+v.VPCID), "ec2:subnetid": id}
		}
	case "security-group":
		if g, ok := s.groups.Get(tx, id); ok {
			n.Keys = map[string]string{"ec2:vpc": tx.Scope.ARN(Name, "vpc/"+g.VPCID), "ec2:securitygroupid": id}
		}
	case "key-pair":
		if k, ok := s.keyPair(tx, id); ok {
			id = k.ID
		}
	}
	n.Tags = policyTags(s.Tags(tx, id))
	return n
}

func policyTags(tags []Tag) []iam.Tag {
	var all []iam.Tag
	for _, t := range tags {
		all = append(all, iam.Tag(t))
	}
	return all
}
