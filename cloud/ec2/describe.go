package ec2

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// field makes a filter of one value of an instance.
func field(get func(i Instance) string) func(*cloud.Tx, Instance) []string {
	return func(_ *cloud.Tx, i Instance) []string {
		if v := get(i); v != "" {
			return one(v)
		}
		return nil
	}
}

func (s *Service) instanceFields() fields[Instance] {
	groupNames := func(tx *cloud.Tx, i Instance) []string {
		var names []string
		for _, id := range i.SecurityGroupIDs {
			g, _ := s.groups.Get(tx, id)
			names = append(names, g.Name)
		}
		return names
	}
	groupIDs := func(_ *cloud.Tx, i Instance) []string { return i.SecurityGroupIDs }
	volumes := func(get func(v Device) string) func(*cloud.Tx, Instance) []string {
		return func(_ *cloud.Tx, i Instance) []string {
			var all []string
			for _, v := range i.Volumes {
				all = append(all, get(v))
			}
			return all
		}
	}
	constant := func(v string) func(*cloud.Tx, Instance) []string {
		return func(*cloud.Tx, Instance) []string { return one(v) }
	}
	private := field(func(i Instance) string { return i.PrivateIP })
	public := field(func(i Instance) string { return i.PublicIP })
	subnet := field(func(i Instance) string { return i.SubnetID })
	vpc := field(func(i Instance) string { return i.VPCID })
	eni := field(func(i Instance) string { return i.InterfaceID })
	all := fields[Instance]{
		"instance-id":               field(func(i Instance) string { return i.ID }),
		"instance-state-name":       field(func(i Instance) string { return i.State }),
		"instance-state-code":       field(func(i Instance) string { return strconv.Itoa(int(*stateShape(i.State).Code)) }),
		"instance-type":             field(func(i Instance) string { return i.InstanceType }),
		"instance-lifecycle":        field(func(i Instance) string { return i.Lifecycle }),
		"image-id":                  field(func(i Instance) string { return i.ImageID }),
		"key-name":                  field(func(i Instance) string { return i.KeyName }),
		"availability-zone":         field(func(i Instance) string { return i.Zone }),
		"availability-zone-id":      field(func(i Instance) string { return ZoneID(i.Zone) }),
		"architecture":              field(func(i Instance) string { return i.Architecture }),
		"client-token":              field(func(i Instance) string { return i.ClientToken }),
		"reservation-id":            field(func(i Instance) string { return i.ReservationID }),
		"requester-id":              field(func(i Instance) string { return i.RequesterID }),
		"launch-index":              field(func(i Instance) string { return strconv.Itoa(i.LaunchIndex) }),
		"launch-time":               field(func(i Instance) string { return stamp(i.LaunchTime)[0] }),
		"tenancy":                   field(func(i Instance) string { return i.Tenancy }),
		"placement-group-name":      field(func(i Instance) string { return i.PlacementGroup }),
		"reason":                    field(func(i Instance) string { return i.Transition }),
		"state-reason-code":         field(func(i Instance) string { return i.StateReason.Code }),
		"state-reason-message":      field(func(i Instance) string { return i.StateReason.Message }),
		"iam-instance-profile.arn":  field(func(i Instance) string { return i.IamProfile }),
		"iam-instance-profile.name": field(func(i Instance) string { return i.IamProfile[strings.LastIndexByte(i.IamProfile, '/')+1:] }),
		"monitoring-state":          field(func(i Instance) string { return monitoring(i) }),
		"source-dest-check":         field(func(i Instance) string { return strconv.FormatBool(i.SourceDestCheck) }),
		"private-dns-name":          func(tx *cloud.Tx, i Instance) []string { return one(privateDNS(tx.Scope.Region, i.PrivateIP)) },
		"dns-name":                  func(tx *cloud.Tx, i Instance) []string { return one(s.publicDNS(tx, i.PublicIP)) },
		"private-ip-address":        private, "ip-address": public, "subnet-id": subnet, "vpc-id": vpc,
		"network-interface.network-interface-id": eni, "network-interface.subnet-id": subnet, "network-interface.vpc-id": vpc,
		"network-interface.addresses.private-ip-address": private, "network-interface.private-ip-address": private,
		"network-interface.addresses.association.public-ip": public, "network-interface.association.public-ip": public,
		"instance.group-id": groupIDs, "group-id": groupIDs, "network-interface.group-id": groupIDs,
		"instance.group-name": groupNames, "group-name": groupNames, "network-interface.group-name": groupNames,
		"block-device-mapping.volume-id":             volumes(func(v Device) string { return v.ID }),
		"block-device-mapping.device-name":           volumes(func(v Device) string { return v.Device }),
		"block-device-mapping.delete-on-termination": volumes(func(v Device) string { return strconv.FormatBool(v.DeleteOnTermination) }),
		"root-device-name":                           func(_ *cloud.Tx, i Instance) []string { return one(i.rootDevice()) },
		"owner-id":                                   func(tx *cloud.Tx, _ Instance) []string { return one(tx.Scope.Account) },
		"hypervisor":                                 constant("xen"), "virtualization-type": constant("hvm"), "root-device-type": constant("ebs"),
		"platform-details": constant("Linux/UNIX"), "usage-operation": constant("RunInstances"), "affinity": constant("default"),
		"metadata-options.http-tokens":                 field(func(i Instance) string { return i.Metadata.HTTPTokens }),
		"metadata-options.http-endpoint":               field(func(i Instance) string { return i.Metadata.HTTPEndpoint }),
		"metadata-options.http-put-response-hop-limit": field(func(i Instance) string { return strconv.Itoa(i.Metadata.HopLimit) }),
	}
	maps.Copy(all, s.associationFields())
	return all
}

// associationFields are what filters see of an instance's public address.
func (s *Service) associationFields() fields[Instance] {
	association := func(tx *cloud.Tx, i Instance) []string {
		if e, ok := s.elastic.Get(tx, i.ElasticIP); ok {
			return one(e.AssociationID)
		}
		return nil
	}
	ipOwner := func(tx *cloud.Tx, i Instance) []string {
		switch {
		case i.PublicIP == "":
			return nil
		case i.ElasticIP == "":
			return one("amazon")
		}
		return one(tx.Scope.Account)
	}
	return fields[Instance]{
		"network-interface.association.allocation-id":         field(func(i Instance) string { return i.ElasticIP }),
		"network-interface.addresses.association.ip-owner-id": ipOwner, "network-interface.association.ip-owner-id": ipOwner,
		"network-interface.association.association-id": association,
	}
}

func (i Instance) rootDevice() string {
	if len(i.Volumes) == 0 {
		return "/dev/xvda"
	}
	return i.Volumes[0].Device
}

// candidates narrows a scan: the instances that a filter with an index leaves, or all.
func (s *Service) candidates(tx *cloud.Tx, filters []shape.Filter) (ids []string, narrowed bool) {
	for _, f := range filters {
		name := api.Value(f.Name)
		key, tagged := strings.CutPrefix(name, "tag:")
		known := slices.Contains([]string{"instance-id", "private-ip-address", "ip-address", "network-interface.network-interface-id", "client-token"}, name)
		if !tagged && !known || slices.ContainsFunc(f.Values, func(v string) bool { return !literal(v) }) {
			continue
		}
		for _, v := range f.Values {
			if tagged {
				for id := range s.tagValues.Each(tx, tagPart(Tag{key, v})) {
					if strings.HasPrefix(id, "i-") {
						ids = append(ids, id)
					}
				}
				continue
			}
			if name == "client-token" {
				v = tokenPart(v)
			}
			for id := range s.parts.Each(tx, v) {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return slices.Compact(ids), true
	}
	return nil, false
}

// selectInstances gives a page of the instances that fit a describe call.
func (s *Service) selectInstances(tx *cloud.Tx, ids []string, filters []shape.Filter, known fields[Instance], visible func(Instance) bool,
	limit *int32, token *string) ([]Instance, *string, error) {
	l := listing[Instance]{
		rows: s.instances, fields: known, id: func(i Instance) string { return i.ID }, visible: visible, ids: ids, missing: noInstance,
		filters: filters, max: limit, token: token,
	}
	if len(ids) > 0 {
		if limit != nil {
			return nil, nil, api.Errorf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
		}
		return l.find(s, tx)
	}
	some, narrowed := s.candidates(tx, filters)
	if !narrowed {
		return l.find(s, tx)
	}
	if l.ids = some; len(some) == 0 {
		return nil, nil, nil
	}
	l.missing = func([]string) error { return nil } // hidden ones are left out
	found, _, err := l.find(s, tx)
	found, next := pageOf(found, l.id, limit, token)
	return found, next, err
}

// DescribeInstances lists instances, by reservation.
func (s *Service) DescribeInstances(tx *cloud.Tx, in *shape.DescribeInstancesInput) (*shape.DescribeInstancesOutput, error) {
	known := s.instanceFilters
	found, next, err := s.selectInstances(tx, in.InstanceIds, in.Filters, known, nil, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeInstancesOutput{NextToken: next}
	d := s.describer(tx)
	at := map[string]int{}
	for _, i := range found {
		n, ok := at[i.ReservationID]
		if !ok {
			n = len(out.Reservations)
			at[i.ReservationID] = n
			out.Reservations = append(out.Reservations, shape.Reservation{
				ReservationId: new(i.ReservationID), OwnerId: d.owner, RequesterId: optional(i.RequesterID), Groups: []shape.GroupIdentifier{},
			})
		}
		out.Reservations[n].Instances = append(out.Reservations[n].Instances, d.shape(i))
	}
	return out, nil
}
