package ec2

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// What the status checks say (EC-IN-05).
const (
	statusInitializing  = "initializing"
	statusOK            = "ok"
	statusImpaired      = "impaired"
	statusNotApplicable = "not-applicable"
)

// Console is the row of an instance's console.
type Console struct {
	Text []byte
	At   time.Time
}

// status is what the checks of the instance and of its system say together (AS-HC-04).
func (i Instance) status(now time.Time) string {
	if system := i.checked(i.SystemCheck, now); system != statusOK {
		return system
	}
	return i.checked(i.ownCheck(), now)
}

// Status gives what an instance's status checks say: "ok", "impaired", "initializing", "not-applicable".
func (s *Service) Status(tx *cloud.Tx, id string) string {
	i, _ := s.instances.Get(tx, id)
	return i.status(tx.Now())
}

// VolumesStatus gives what the check of an instance's volumes says, likewise.
func (s *Service) VolumesStatus(tx *cloud.Tx, id string) string {
	i, _ := s.instances.Get(tx, id)
	return i.checked(i.VolumeCheck, tx.Now())
}

// DescribeInstanceStatus lists the status checks of running instances or, if told so, of all.
func (s *Service) DescribeInstanceStatus(tx *cloud.Tx, in *shape.DescribeInstanceStatusInput) (*shape.DescribeInstanceStatusOutput, error) {
	instance := func(tx *cloud.Tx, i Instance) string { return i.checked(i.ownCheck(), tx.Now()) }
	system := func(tx *cloud.Tx, i Instance) string { return i.checked(i.SystemCheck, tx.Now()) }
	status := func(of func(*cloud.Tx, Instance) string) func(*cloud.Tx, Instance) []string {
		return func(tx *cloud.Tx, i Instance) []string { return one(of(tx, i)) }
	}
	reachability := func(of func(*cloud.Tx, Instance) string) func(*cloud.Tx, Instance) []string {
		return func(tx *cloud.Tx, i Instance) []string { return one(reachable(of(tx, i))) }
	}
	volumes := func(tx *cloud.Tx, i Instance) string { return i.checked(i.VolumeCheck, tx.Now()) }
	known := fields[Instance]{
		"instance-state-name": s.instanceFilters["instance-state-name"], "instance-state-code": s.instanceFilters["instance-state-code"],
		"availability-zone": s.instanceFilters["availability-zone"], "availability-zone-id": s.instanceFilters["availability-zone-id"],
		"instance-status.status": status(instance), "system-status.status": status(system), "attached-ebs-status.status": status(volumes),
		"instance-status.reachability": reachability(instance), "system-status.reachability": reachability(system),
	}
	maps.Copy(known, eventFields())
	visible := func(i Instance) bool { return i.State == Running || api.Value(in.IncludeAllInstances) }
	if len(in.InstanceIds) > 0 { // an instance that is not running is left out, not missing
		if _, err := s.instancesNamed(tx, in.InstanceIds); err != nil {
			return nil, err
		}
	}
	ids := slices.DeleteFunc(slices.Clone(in.InstanceIds), func(id string) bool {
		i, _ := s.instances.Get(tx, id)
		return !visible(i)
	})
	if len(in.InstanceIds) > 0 && len(ids) == 0 {
		return &shape.DescribeInstanceStatusOutput{}, nil
	}
	found, next, err := s.selectInstances(tx, ids, in.Filters, known, visible, in.MaxResults, in.NextToken)
	out := &shape.DescribeInstanceStatusOutput{NextToken: next}
	for _, i := range found {
		attached := i.checked(i.VolumeCheck, tx.Now())
		out.InstanceStatuses = append(out.InstanceStatuses, shape.InstanceStatus{
			InstanceId: new(i.ID), AvailabilityZone: new(i.Zone), AvailabilityZoneId: new(ZoneID(i.Zone)), InstanceState: stateShape(i.State),
			Events:         i.eventShapes(tx.Now()),
			InstanceStatus: i.summary(i.ownCheck(), tx.Now()), SystemStatus: i.summary(i.SystemCheck, tx.Now()),
			AttachedEbsStatus: &shape.EbsStatusSummary{
				Status: &attached, Details: []shape.EbsStatusDetails{{Name: new("reachability"), Status: new(reachable(attached)), ImpairedSince: i.VolumeCheck.since(attached)}},
			},
		})
	}
	return out, err
}

func reachable(status string) string {
	switch status {
	case statusOK:
		return "passed"
	case statusImpaired:
		return "failed"
	}
	return statusInitializing
}

// since is when a check began to fail that says so.
func (c Check) since(status string) *time.Time {
	if status != statusImpaired {
		return nil
	}
	return new(c.Since.Truncate(time.Second))
}

func (i Instance) summary(c Check, now time.Time) *shape.InstanceStatusSummary {
	status := i.checked(c, now)
	out := &shape.InstanceStatusSummary{Status: new(status)}
	if status != statusNotApplicable {
		out.Details = []shape.InstanceStatusDetails{{Name: new("reachability"), Status: new(reachable(status)), ImpairedSince: c.since(status)}}
	}
	return out
}

// MonitorInstances turns detailed monitoring on.
func (s *Service) MonitorInstances(tx *cloud.Tx, in *shape.MonitorInstancesInput) (*shape.MonitorInstancesOutput, error) {
	all, err := s.monitor(tx, in.InstanceIds, true)
	return &shape.MonitorInstancesOutput{InstanceMonitorings: all}, err
}

// UnmonitorInstances turns detailed monitoring off.
func (s *Service) UnmonitorInstances(tx *cloud.Tx, in *shape.UnmonitorInstancesInput) (*shape.UnmonitorInstancesOutput, error) {
	all, err := s.monitor(tx, in.InstanceIds, false)
	return &shape.UnmonitorInstancesOutput{InstanceMonitorings: all}, err
}

func (s *Service) monitor(tx *cloud.Tx, ids []string, detailed bool) ([]shape.InstanceMonitoring, error) {
	all, err := s.instancesNamed(tx, ids)
	var out []shape.InstanceMonitoring
	for _, i := range all {
		i.Monitoring = detailed
		s.instances.Put(tx, i.ID, i)
		out = append(out, shape.InstanceMonitoring{InstanceId: new(i.ID), Monitoring: &shape.Monitoring{State: new(monitoring(i))}})
	}
	return out, err
}

// GetConsoleOutput gives what boot and user data have printed.
func (s *Service) GetConsoleOutput(tx *cloud.Tx, in *shape.GetConsoleOutputInput) (*shape.GetConsoleOutputOutput, error) {
	i, err := s.instance(tx, api.Value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	out := &shape.GetConsoleOutputOutput{InstanceId: new(i.ID), Timestamp: new(i.LaunchTime)}
	if c, ok := s.consoles.Get(tx, i.ID); ok {
		out.Timestamp, out.Output = new(c.At), new(base64.StdEncoding.EncodeToString(c.Text))
	}
	return out, nil
}

// DescribeNetworkInterfaces lists the interfaces of instances.
func (s *Service) DescribeNetworkInterfaces(tx *cloud.Tx, in *shape.DescribeNetworkInterfacesInput) (*shape.DescribeNetworkInterfacesOutput, error) {
	id := func(i Instance) string { return i.InterfaceID }
	match, err := matcher(s, s.interfaceFields(), id, in.Filters)
	if err != nil {
		return nil, err
	}
	var found []Instance
	for n, want := range in.NetworkInterfaceIds {
		there := false
		for _, i := range s.parts.Each(tx, want) {
			if there = i.InterfaceID == want; there && !slices.Contains(in.NetworkInterfaceIds[:n], want) && match(tx, i) {
				found = append(found, i)
			}
		}
		if !there {
			return nil, noInterface([]string{want})
		}
	}
	if len(in.NetworkInterfaceIds) == 0 {
		for _, i := range s.instances.All(tx) {
			if i.InterfaceID != "" && match(tx, i) {
				found = append(found, i)
			}
		}
	}
	slices.SortFunc(found, func(a, b Instance) int { return strings.Compare(a.InterfaceID, b.InterfaceID) })
	found, next := pageOf(found, id, in.MaxResults, in.NextToken)
	out := &shape.DescribeNetworkInterfacesOutput{NextToken: next}
	d := s.describer(tx)
	for _, i := range found {
		out.NetworkInterfaces = append(out.NetworkInterfaces, d.standalone(i))
	}
	return out, nil
}

// interfaceFields are an instance's filters under the names that they have for its interface.
func (s *Service) interfaceFields() fields[Instance] {
	known := fields[Instance]{
		"attachment.status":        func(*cloud.Tx, Instance) []string { return one("attached") },
		"status":                   func(*cloud.Tx, Instance) []string { return one("in-use") },
		"interface-type":           func(*cloud.Tx, Instance) []string { return one("interface") },
		"description":              func(*cloud.Tx, Instance) []string { return one("") },
		"requester-managed":        func(*cloud.Tx, Instance) []string { return yes(false) },
		"mac-address":              field(func(i Instance) string { return i.MAC }),
		"attachment.attachment-id": field(func(i Instance) string { return i.AttachmentID }),
	}
	for _, name := range [][2]string{
		{"network-interface-id", "network-interface.network-interface-id"}, {"attachment.instance-id", "instance-id"},
		{"subnet-id", "subnet-id"}, {"vpc-id", "vpc-id"}, {"group-id", "group-id"}, {"group-name", "group-name"}, {"owner-id", "owner-id"},
		{"availability-zone", "availability-zone"}, {"private-ip-address", "private-ip-address"},
		{"addresses.private-ip-address", "private-ip-address"}, {"association.public-ip", "ip-address"},
		{"addresses.association.public-ip", "ip-address"}, {"private-dns-name", "private-dns-name"}, {"source-dest-check", "source-dest-check"},
		{"association.allocation-id", "network-interface.association.allocation-id"}, {"association.public-dns-name", "dns-name"},
		{"association.association-id", "network-interface.association.association-id"},
		{"association.ip-owner-id", "network-interface.association.ip-owner-id"},
	} {
		known[name[0]] = s.instanceFilters[name[1]]
	}
	return known
}

func (d describer) standalone(i Instance) shape.NetworkInterface {
	n := d.shape(i).NetworkInterfaces[0]
	out := shape.NetworkInterface{
		NetworkInterfaceId: n.NetworkInterfaceId, OwnerId: n.OwnerId, Status: n.Status, MacAddress: n.MacAddress, Description: n.Description,
		SubnetId: n.SubnetId, VpcId: n.VpcId, AvailabilityZone: new(i.Zone), AvailabilityZoneId: new(ZoneID(i.Zone)), PrivateDnsName: n.PrivateDnsName,
		PrivateIpAddress: n.PrivateIpAddress, InterfaceType: n.InterfaceType, SourceDestCheck: n.SourceDestCheck, Groups: n.Groups,
		RequesterManaged: new(false), TagSet: tagShapes(d.s.Tags(d.tx, i.InterfaceID)),
		Attachment: &shape.NetworkInterfaceAttachment{
			AttachmentId: n.Attachment.AttachmentId, AttachTime: n.Attachment.AttachTime, DeleteOnTermination: n.Attachment.DeleteOnTermination,
			DeviceIndex: n.Attachment.DeviceIndex, NetworkCardIndex: n.Attachment.NetworkCardIndex, InstanceId: new(i.ID),
			InstanceOwnerId: n.OwnerId, Status: n.Attachment.Status,
		},
	}
	if n.Association != nil {
		out.Association = &shape.NetworkInterfaceAssociation{IpOwnerId: n.Association.IpOwnerId, PublicDnsName: n.Association.PublicDnsName, PublicIp: n.Association.PublicIp}
		if e, ok := d.s.elastic.Get(d.tx, i.ElasticIP); ok {
			out.Association.AllocationId, out.Association.AssociationId = &e.AllocationID, &e.AssociationID
		}
	}
	out.PrivateIpAddresses = []shape.NetworkInterfacePrivateIpAddress{{
		Association: out.Association, Primary: new(true), PrivateDnsName: n.PrivateDnsName, PrivateIpAddress: n.PrivateIpAddress,
	}}
	return out
}
