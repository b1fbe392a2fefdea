package ec2

import (
	"reflect"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// handle makes an operation: it sees to what the scope must have and that a page is of some size, and a call with DryRun
// does everything and then fails, which takes it all back.
func handle[In, Out any](s *Service, name string, h func(*cloud.Tx, *In) (*Out, error)) cloud.Operation {
	field, can := reflect.TypeFor[In]().FieldByName("DryRun")
	limit, pages := reflect.TypeFor[In]().FieldByName("MaxResults")
	return cloud.Handle(name, func(tx *cloud.Tx, in *In) (*Out, error) {
		s.home(tx)
		if pages { // the model does not bound it everywhere
			if n, _ := reflect.ValueOf(in).Elem().FieldByIndex(limit.Index).Interface().(*int32); n != nil && *n < 1 {
				return nil, api.Errorf("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than 0.", *n)
			}
		}
		out, err := h(tx, in)
		if err != nil || !can {
			return out, err
		}
		if dry, _ := reflect.ValueOf(in).Elem().FieldByIndex(field.Index).Interface().(*bool); api.Value(dry) {
			return nil, &api.Error{Code: "DryRunOperation", Status: 412, Message: "Request would have succeeded, but DryRun flag is set."}
		}
		return out, nil
	})
}

func (s *Service) makeOperations() []cloud.Operation {
	return append(append(append(s.addressOperations(), s.storageOperations()...), s.profileOperations()...), []cloud.Operation{
		handle(s, "AuthorizeSecurityGroupEgress", s.AuthorizeSecurityGroupEgress).StoredOnly(notEnforced),
		handle(s, "AuthorizeSecurityGroupIngress", s.AuthorizeSecurityGroupIngress).StoredOnly(notEnforced),
		handle(s, "CreateDefaultVpc", s.CreateDefaultVpc),
		handle(s, "CreateKeyPair", s.CreateKeyPair).But("the key comes from the cloud's seeded generator; KeyFormat ppk is refused"),
		handle(s, "CreateLaunchTemplate", s.CreateLaunchTemplate).But(templateStored),
		handle(s, "CreateLaunchTemplateVersion", s.CreateLaunchTemplateVersion).But(templateStored),
		handle(s, "CreateSecurityGroup", s.CreateSecurityGroup).But(notEnforced),
		handle(s, "CreateSubnet", s.CreateSubnet).But("IPv6 members are ignored"),
		handle(s, "CreateTags", s.CreateTags),
		handle(s, "CreateVpc", s.CreateVpc).But("IPv6 members are ignored; VPCs are not kept apart from each other on the host"),
		handle(s, "DeleteKeyPair", s.DeleteKeyPair),
		handle(s, "DeleteLaunchTemplate", s.DeleteLaunchTemplate),
		handle(s, "DeleteLaunchTemplateVersions", s.DeleteLaunchTemplateVersions),
		handle(s, "DeleteSecurityGroup", s.DeleteSecurityGroup),
		handle(s, "DeleteSubnet", s.DeleteSubnet),
		handle(s, "DeleteTags", s.DeleteTags),
		handle(s, "DeleteVpc", s.DeleteVpc),
		handle(s, "DeregisterImage", s.DeregisterImage),
		handle(s, "DescribeAccountAttributes", s.DescribeAccountAttributes),
		handle(s, "DescribeAvailabilityZones", s.DescribeAvailabilityZones),
		handle(s, "DescribeDhcpOptions", s.DescribeDhcpOptions),
		handle(s, "DescribeImageAttribute", s.DescribeImageAttribute),
		handle(s, "DescribeImages", s.DescribeImages),
		handle(s, "DescribeInstanceAttribute", s.DescribeInstanceAttribute),
		handle(s, "DescribeInstanceCreditSpecifications", s.DescribeInstanceCreditSpecifications).But("CPU credits are stored: they are neither earned nor spent"),
		handle(s, "DescribeInstanceStatus", s.DescribeInstanceStatus),
		handle(s, "DescribeInstanceTypeOfferings", s.DescribeInstanceTypeOfferings),
		handle(s, "DescribeInstanceTypes", s.DescribeInstanceTypes),
		handle(s, "DescribeInstances", s.DescribeInstances),
		handle(s, "DescribeInternetGateways", s.DescribeInternetGateways),
		handle(s, "DescribeKeyPairs", s.DescribeKeyPairs),
		handle(s, "DescribeLaunchTemplateVersions", s.DescribeLaunchTemplateVersions),
		handle(s, "DescribeLaunchTemplates", s.DescribeLaunchTemplates),
		handle(s, "DescribeNetworkAcls", s.DescribeNetworkAcls),
		handle(s, "DescribePlacementGroups", s.DescribePlacementGroups).But("there are no placement groups: the list is empty"),
		handle(s, "DescribeRegions", s.DescribeRegions),
		handle(s, "DescribeRouteTables", s.DescribeRouteTables),
		handle(s, "DescribeSecurityGroupRules", s.DescribeSecurityGroupRules),
		handle(s, "DescribeSecurityGroups", s.DescribeSecurityGroups),
		handle(s, "DescribeSpotPriceHistory", s.DescribeSpotPriceHistory).But("there is no Spot market: the list is empty"),
		handle(s, "DescribeSubnets", s.DescribeSubnets),
		handle(s, "DescribeTags", s.DescribeTags),
		handle(s, "DescribeVpcAttribute", s.DescribeVpcAttribute),
		handle(s, "DescribeVpcs", s.DescribeVpcs),
		handle(s, "GetConsoleOutput", s.GetConsoleOutput),
		handle(s, "GetLaunchTemplateData", s.GetLaunchTemplateData),
		handle(s, "ImportKeyPair", s.ImportKeyPair),
		handle(s, "ModifyImageAttribute", s.ModifyImageAttribute),
		handle(s, "ModifyInstanceAttribute", s.ModifyInstanceAttribute).But("SourceDestCheck, EbsOptimized and DeleteOnTermination are stored"),
		handle(s, "ModifyInstanceMetadataOptions", s.ModifyInstanceMetadataOptions).But("HttpProtocolIpv6 is stored"),
		handle(s, "ModifyInstanceMaintenanceOptions", s.ModifyInstanceMaintenanceOptions).But("RebootMigration is not kept"),
		handle(s, "ModifyLaunchTemplate", s.ModifyLaunchTemplate),
		handle(s, "ModifySubnetAttribute", s.ModifySubnetAttribute),
		handle(s, "ModifyVpcAttribute", s.ModifyVpcAttribute).StoredOnly("the attributes are stored"),
		handle(s, "MonitorInstances", s.MonitorInstances),
		handle(s, "RebootInstances", s.RebootInstances),
		handle(s, "RevokeSecurityGroupEgress", s.RevokeSecurityGroupEgress).StoredOnly(notEnforced),
		handle(s, "RevokeSecurityGroupIngress", s.RevokeSecurityGroupIngress).StoredOnly(notEnforced),
		handle(s, "RunInstances", s.RunInstances).But(runStored),
		handle(s, "StartInstances", s.StartInstances),
		handle(s, "StopInstances", s.StopInstances).But("Hibernate is refused"),
		handle(s, "TerminateInstances", s.TerminateInstances),
		handle(s, "UnmonitorInstances", s.UnmonitorInstances),
		// Billow's own, for the daemon; no client can reach them.
		cloud.Handle("instance-metadata", s.metadata),
		cloud.Handle("import-image", s.importImage),
		cloud.Handle("impair", s.impair),
		cloud.Handle("notify", s.notify),
	}...)
}

// storageOperations are those on volumes, snapshots and the images that stand on them.
func (s *Service) storageOperations() []cloud.Operation {
	return []cloud.Operation{
		handle(s, "AttachVolume", s.AttachVolume),
		handle(s, "CopyImage", s.CopyImage).But("encryption is stored"),
		handle(s, "CopySnapshot", s.CopySnapshot).But("encryption is stored; CompletionDurationMinutes is not kept"),
		handle(s, "CreateImage", s.CreateImage),
		handle(s, "CreateSnapshot", s.CreateSnapshot).But("no volume can be made of a root volume's snapshot: RegisterImage makes an image of it"),
		handle(s, "CreateSnapshots", s.CreateSnapshots).But("the volumes are taken one after the other, not at one instant"),
		handle(s, "CreateVolume", s.CreateVolume).But("types, speeds and encryption are stored; VolumeInitializationRate is not kept; MultiAttachEnabled is refused"),
		handle(s, "DeleteSnapshot", s.DeleteSnapshot),
		handle(s, "DeleteVolume", s.DeleteVolume),
		handle(s, "DescribeSnapshotAttribute", s.DescribeSnapshotAttribute),
		handle(s, "DescribeSnapshots", s.DescribeSnapshots),
		handle(s, "DescribeVolumeAttribute", s.DescribeVolumeAttribute),
		handle(s, "DescribeVolumeStatus", s.DescribeVolumeStatus),
		handle(s, "DescribeVolumes", s.DescribeVolumes),
		handle(s, "DescribeVolumesModifications", s.DescribeVolumesModifications),
		handle(s, "DetachVolume", s.DetachVolume).But("a root volume is refused, also of a stopped instance"),
		handle(s, "ModifySnapshotAttribute", s.ModifySnapshotAttribute),
		handle(s, "ModifyVolume", s.ModifyVolume).But("Size is real, but for root volumes, which have no bounds; type and speeds are stored; there is no limit of changes per day and no state optimizing"),
		handle(s, "ModifyVolumeAttribute", s.ModifyVolumeAttribute).StoredOnly("AutoEnableIO is stored: there are no faults that would disable it"),
		handle(s, "RegisterImage", s.RegisterImage).But("the root's snapshot must be that of a root volume; ImageLocation is refused; Architecture is x86_64 if it is not said; boot modes, TpmSupport and UefiData are not kept"),
		handle(s, "ResetSnapshotAttribute", s.ResetSnapshotAttribute),
	}
}

// addressOperations are those on Elastic IPs and network interfaces.
func (s *Service) addressOperations() []cloud.Operation {
	return []cloud.Operation{
		handle(s, "AllocateAddress", s.AllocateAddress).But("there are no pools but Amazon's: CustomerOwnedIpv4Pool and IpamPoolId are refused"),
		handle(s, "AssociateAddress", s.AssociateAddress),
		handle(s, "DescribeAddresses", s.DescribeAddresses),
		handle(s, "DescribeAddressesAttribute", s.DescribeAddressesAttribute).But("there are no reverse names: PtrRecord is never there"),
		handle(s, "DescribeNetworkInterfaceAttribute", s.DescribeNetworkInterfaceAttribute),
		handle(s, "DescribeNetworkInterfaces", s.DescribeNetworkInterfaces),
		handle(s, "DisassociateAddress", s.DisassociateAddress),
		handle(s, "ModifyNetworkInterfaceAttribute", s.ModifyNetworkInterfaceAttribute).But("SourceDestCheck is stored; other attributes are refused"),
		handle(s, "ReleaseAddress", s.ReleaseAddress),
	}
}

// What is kept without effect.
const (
	notEnforced    = "rules are stored: the host does not enforce them"
	templateStored = "members that RunInstances only stores, and InstanceRequirements, are stored"
	runStored      = "volume types, speeds and encryption, CreditSpecification, EbsOptimized, " +
		"and the Spot market's prices are stored (a Spot Instance is interrupted by billow fail only); KernelId, RamdiskId, CpuOptions, CapacityReservationSpecification, " +
		"HibernationOptions, EnclaveOptions, LicenseSpecifications, MaintenanceOptions, PrivateDnsNameOptions, IPv6 members and ElasticGpus " +
		"are not kept"
)
