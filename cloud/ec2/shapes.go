package ec2

import (
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// What instances have in common is shared between answers: nobody writes to an answer.
var (
	isTrue, isFalse    = new(true), new(false)
	zero               = new(int32(0))
	empty              = new("")
	xen, hvm, ebs      = new("xen"), new("hvm"), new("ebs")
	uefi, preferUEFI   = new("uefi"), new("uefi-preferred")
	linux, runs        = new("Linux/UNIX"), new("RunInstances")
	inUse, isAttached  = new("in-use"), new("attached")
	plainInterface     = new("interface")
	amazonOwns         = new("amazon")
	monitored          = &shape.Monitoring{State: new("enabled")}
	notMonitored       = &shape.Monitoring{State: new("disabled")}
	openCapacity       = &shape.CapacityReservationSpecificationResponse{CapacityReservationPreference: new("open")}
	noHibernation      = &shape.HibernationOptions{Configured: isFalse}
	noEnclave          = &shape.EnclaveOptions{Enabled: isFalse}
	defaultMaintenance = &shape.InstanceMaintenanceOptions{AutoRecovery: new("default")}
	ipNames            = &shape.PrivateDnsNameOptionsResponse{
		HostnameType: new("ip-name"), EnableResourceNameDnsARecord: isFalse, EnableResourceNameDnsAAAARecord: isFalse,
	}
)

var (
	pendingShape      = &shape.InstanceState{Name: new(Pending), Code: new(int32(0))}
	runningShape      = &shape.InstanceState{Name: new(Running), Code: new(int32(16))}
	shuttingDownShape = &shape.InstanceState{Name: new(ShuttingDown), Code: new(int32(32))}
	terminatedShape   = &shape.InstanceState{Name: new(Terminated), Code: new(int32(48))}
	stoppingShape     = &shape.InstanceState{Name: new(Stopping), Code: new(int32(64))}
	stoppedShape      = &shape.InstanceState{Name: new(Stopped), Code: new(int32(80))}
)

// stateShape is a state with its code (EC-IN-01).
func stateShape(state string) *shape.InstanceState {
	switch state {
	case Pending:
		return pendingShape
	case Running:
		return runningShape
	case ShuttingDown:
		return shuttingDownShape
	case Stopping:
		return stoppingShape
	case Stopped:
		return stoppedShape
	}
	return terminatedShape
}

func truth(b bool) *bool {
	if b {
		return isTrue
	}
	return isFalse
}

// unlessEmpty points to a text, or nowhere if it is empty.
func unlessEmpty(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

// describer writes instances as DescribeInstances shows them. It remembers what they share.
type describer struct {
	s      *Service
	tx     *cloud.Tx
	owner  *string
	groups map[string]shape.GroupIdentifier
	zones  map[string]*string // zone -> ID
}

func (s *Service) describer(tx *cloud.Tx) describer {
	return describer{s, tx, new(tx.Scope.Account), map[string]shape.GroupIdentifier{}, map[string]*string{}}
}

func (d describer) groupsOf(i Instance) []shape.GroupIdentifier {
	all := make([]shape.GroupIdentifier, 0, len(i.SecurityGroupIDs))
	for _, id := range i.SecurityGroupIDs {
		known, ok := d.groups[id]
		if !ok {
			g, _ := d.s.groups.Get(d.tx, id)
			known = shape.GroupIdentifier{GroupId: new(id), GroupName: new(g.Name)}
			d.groups[id] = known
		}
		all = append(all, known)
	}
	return all
}

func (d describer) zoneID(zone string) *string {
	id, ok := d.zones[zone]
	if !ok {
		id = new(ZoneID(zone))
		d.zones[zone] = id
	}
	return id
}

// shape points into its own copy of the row, so that an answer takes few allocations.
func (d describer) shape(row Instance) shape.Instance {
	i := &row
	out := shape.Instance{
		InstanceId: &i.ID, ImageId: &i.ImageID, State: stateShape(i.State), StateTransitionReason: &i.Transition,
		PrivateDnsName: empty, PublicDnsName: empty, PrivateIpAddress: unlessEmpty(&i.PrivateIP), PublicIpAddress: unlessEmpty(&i.PublicIP),
		KeyName: unlessEmpty(&i.KeyName), AmiLaunchIndex: zero, InstanceType: &i.InstanceType, LaunchTime: &i.LaunchTime, ClientToken: &i.ClientToken,
		Placement:  &shape.Placement{AvailabilityZone: &i.Zone, AvailabilityZoneId: d.zoneID(i.Zone), GroupName: &i.PlacementGroup, Tenancy: &i.Tenancy},
		Monitoring: notMonitored, Architecture: &i.Architecture, EbsOptimized: &i.EbsOptimized, EnaSupport: isTrue, Hypervisor: xen,
		VirtualizationType: hvm, InstanceLifecycle: unlessEmpty(&i.Lifecycle), RootDeviceName: new(i.rootDevice()), RootDeviceType: ebs,
		Tags: tagShapes(d.s.Tags(d.tx, i.ID)), BootMode: preferUEFI, CurrentInstanceBootMode: uefi, PlatformDetails: linux, UsageOperation: runs,
		UsageOperationUpdateTime: &i.Created, MetadataOptions: i.Metadata.shape(i.State), CapacityReservationSpecification: openCapacity,
		HibernationOptions: noHibernation, EnclaveOptions: noEnclave, MaintenanceOptions: defaultMaintenance,
	}
	if i.LaunchIndex > 0 {
		out.AmiLaunchIndex = new(int32(i.LaunchIndex))
	}
	if i.Monitoring {
		out.Monitoring = monitored
	}
	if kind, ok := Type(i.InstanceType); ok {
		out.CpuOptions = kind.cpu
	}
	if i.StateReason != (Reason{}) {
		out.StateReason = &shape.StateReason{Code: &i.StateReason.Code, Message: &i.StateReason.Message}
	}
	if i.IamProfile != "" {
		out.IamInstanceProfile = &shape.IamInstanceProfile{Arn: &i.IamProfile, Id: &i.IamProfileID}
	}
	if i.PrivateIP != "" {
		out.PrivateDnsName = new(privateDNS(d.tx.Scope.Region, i.PrivateIP))
	}
	if i.PublicIP != "" {
		out.PublicDnsName = new(d.s.publicDNS(d.tx, i.PublicIP))
	}
	if i.State == Terminated {
		return out
	}
	out.SubnetId, out.VpcId, out.SourceDestCheck = &i.SubnetID, &i.VPCID, truth(i.SourceDestCheck)
	out.SecurityGroups, out.PrivateDnsNameOptions = d.groupsOf(row), ipNames
	for _, v := range i.Volumes {
		out.BlockDeviceMappings = append(out.BlockDeviceMappings, v.mapping())
	}
	out.NetworkInterfaces = []shape.InstanceNetworkInterface{d.networkInterface(i, out)}
	return out
}

func (v Device) mapping() shape.InstanceBlockDeviceMapping {
	status := isAttached
	if v.Status != "" {
		status = &v.Status
	}
	return shape.InstanceBlockDeviceMapping{DeviceName: &v.Device, Ebs: &shape.EbsInstanceBlockDevice{
		VolumeId: &v.ID, Status: status, AttachTime: &v.Attached, DeleteOnTermination: truth(v.DeleteOnTermination),
	}}
}

func (d describer) networkInterface(i *Instance, of shape.Instance) shape.InstanceNetworkInterface {
	var association *shape.InstanceNetworkInterfaceAssociation
	if i.PublicIP != "" {
		association = &shape.InstanceNetworkInterfaceAssociation{IpOwnerId: amazonOwns, PublicDnsName: of.PublicDnsName, PublicIp: of.PublicIpAddress}
		if i.ElasticIP != "" {
			association.IpOwnerId = d.owner
		}
	}
	return shape.InstanceNetworkInterface{
		NetworkInterfaceId: &i.InterfaceID, OwnerId: d.owner, Status: inUse, MacAddress: &i.MAC, Description: empty,
		SubnetId: of.SubnetId, VpcId: of.VpcId, PrivateDnsName: of.PrivateDnsName, PrivateIpAddress: of.PrivateIpAddress, InterfaceType: plainInterface,
		SourceDestCheck: of.SourceDestCheck, Groups: of.SecurityGroups, Association: association,
		Attachment: &shape.InstanceNetworkInterfaceAttachment{
			AttachmentId: &i.AttachmentID, AttachTime: &i.Created, DeleteOnTermination: isTrue, DeviceIndex: zero, NetworkCardIndex: zero,
			Status: isAttached,
		},
		PrivateIpAddresses: []shape.InstancePrivateIpAddress{{
			Association: association, Primary: isTrue, PrivateDnsName: of.PrivateDnsName, PrivateIpAddress: of.PrivateIpAddress,
		}},
	}
}

var applied, applying = new("applied"), new("pending")

func (m MetadataOptions) shape(state string) *shape.InstanceMetadataOptionsResponse {
	out := &shape.InstanceMetadataOptionsResponse{
		State: applied, HttpTokens: &m.HTTPTokens, HttpPutResponseHopLimit: new(int32(m.HopLimit)), HttpEndpoint: &m.HTTPEndpoint,
		HttpProtocolIpv6: &m.HTTPIPv6, InstanceMetadataTags: &m.InstanceTags,
	}
	if state == Pending {
		out.State = applying
	}
	return out
}

func monitoring(i Instance) string {
	if i.Monitoring {
		return "enabled"
	}
	return "disabled"
}
