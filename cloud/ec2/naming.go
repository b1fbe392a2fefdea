package ec2

import (
	"strings"

	"github.com/billow-cloud/billow/cloud"
)

// Named is a resource as policies see it.
type Named struct {
	ARN          string // exact; empty if nothing better is known
	Tags         []Tag
	InstanceType string // of an instance
}

// Named finds what the last part of an ARN names, as it follows from a call: "instance/i-0123", "elastic-ip/" with an
// address or association, "launch-template/" with a name, "instance/" with the association of its profile.
func (s *Service) Named(tx *cloud.Tx, resource string) (n Named, ok bool) {
	kind, id, _ := strings.Cut(resource, "/")
	switch kind {
	case "instance":
		if i, err := s.profiled(tx, id); err == nil {
			id = i.ID
			n.ARN = tx.Scope.ARN(Name, kind+"/"+id)
		}
		i, _ := s.instances.Get(tx, id)
		n.InstanceType = i.InstanceType
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
	case "key-pair":
		if k, ok := s.keyPair(tx, id); ok {
			id = k.ID
		}
	}
	n.Tags = s.Tags(tx, id)
	return n, true
}
