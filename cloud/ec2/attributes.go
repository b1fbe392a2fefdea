package ec2

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// DescribeInstanceAttribute gives one attribute of an instance.
func (s *Service) DescribeInstanceAttribute(tx *cloud.Tx, in *shape.DescribeInstanceAttributeInput) (*shape.DescribeInstanceAttributeOutput, error) {
	i, err := s.instance(tx, api.Value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	text := func(v string) *shape.AttributeValue { return &shape.AttributeValue{Value: optional(v)} }
	boolean := func(v bool) *shape.AttributeBooleanValue { return &shape.AttributeBooleanValue{Value: new(v)} }
	out := &shape.DescribeInstanceAttributeOutput{InstanceId: new(i.ID)}
	switch attribute := api.Value(in.Attribute); attribute {
	case "instanceType":
		out.InstanceType = text(i.InstanceType)
	case "userData":
		out.UserData = text(base64.StdEncoding.EncodeToString(i.UserData))
	case "disableApiTermination":
		out.DisableApiTermination = boolean(i.DisableAPITermination)
	case "disableApiStop":
		out.DisableApiStop = boolean(i.DisableAPIStop)
	case "instanceInitiatedShutdownBehavior":
		out.InstanceInitiatedShutdownBehavior = text(i.ShutdownBehaviour)
	case "rootDeviceName":
		out.RootDeviceName = text(i.rootDevice())
	case "blockDeviceMapping":
		out.BlockDeviceMappings = []shape.InstanceBlockDeviceMapping{}
		for _, v := range i.Volumes {
			out.BlockDeviceMappings = append(out.BlockDeviceMappings, v.mapping())
		}
	case "groupSet":
		out.Groups = s.describer(tx).groupsOf(i)
	case "sourceDestCheck":
		out.SourceDestCheck = boolean(i.SourceDestCheck)
	case "ebsOptimized":
		out.EbsOptimized = boolean(i.EbsOptimized)
	case "enaSupport":
		out.EnaSupport = boolean(true)
	case "enclaveOptions":
		out.EnclaveOptions = &shape.EnclaveOptions{Enabled: new(false)}
	case "sriovNetSupport":
		out.SriovNetSupport = text("simple")
	case "kernel":
		out.KernelId = text("")
	case "ramdisk":
		out.RamdiskId = text("")
	case "productCodes":
		out.ProductCodes = []shape.ProductCode{}
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	return out, nil
}

// ModifyInstanceAttribute changes attributes of an instance; type and user data only while it is stopped (EC-IN-07).
func (s *Service) ModifyInstanceAttribute(tx *cloud.Tx, in *shape.ModifyInstanceAttributeInput) (*shape.ModifyInstanceAttributeOutput, error) {
	i, err := s.instance(tx, api.Value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	if i.State == Terminated || i.State == ShuttingDown {
		return nil, api.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state in which it can be modified.", i.ID)
	}
	if in, err = named(*in); err != nil {
		return nil, err
	}
	set := func(to *bool, v *shape.AttributeBooleanValue) {
		if v != nil {
			*to = api.Value(v.Value)
		}
	}
	set(&i.DisableAPITermination, in.DisableApiTermination)
	set(&i.DisableAPIStop, in.DisableApiStop)
	set(&i.SourceDestCheck, in.SourceDestCheck)
	set(&i.EbsOptimized, in.EbsOptimized)
	if v := in.InstanceInitiatedShutdownBehavior; v != nil {
		if i.ShutdownBehaviour = api.Value(v.Value); i.ShutdownBehaviour != "stop" && i.ShutdownBehaviour != "terminate" {
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid. Expected stop or terminate.", i.ShutdownBehaviour)
		}
	}
	if (in.InstanceType != nil || in.UserData != nil) && i.State != Stopped {
		return nil, api.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
	}
	if in.InstanceType != nil {
		kind, ok := Type(api.Value(in.InstanceType.Value))
		if !ok || kind.Architecture != i.Architecture {
			return nil, api.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", api.Value(in.InstanceType.Value))
		}
		i.InstanceType = kind.Name
	}
	if in.UserData != nil {
		if i.UserData = in.UserData.Value; len(i.UserData) > UserDataLimit {
			return nil, api.Errorf("InvalidParameterValue", "User data is limited to %d bytes", UserDataLimit)
		}
	}
	if len(in.Groups) > 0 {
		p := plan{LaunchRequest: LaunchRequest{SecurityGroupIDs: in.Groups}, subnet: Subnet{ID: i.SubnetID, VPCID: i.VPCID}}
		if err := p.findGroups(s, tx); err != nil {
			return nil, err
		}
		i.SecurityGroupIDs = p.groups
	}
	if i.Volumes, err = keptVolumes(i.Volumes, in.BlockDeviceMappings); err != nil {
		return nil, err
	}
	s.instances.Put(tx, i.ID, i)
	for _, d := range i.Volumes {
		if v, ok := s.volumes.Get(tx, d.ID); ok {
			v.Attachment.DeleteOnTermination = d.DeleteOnTermination
			s.putVolume(tx, v)
		}
	}
	return &shape.ModifyInstanceAttributeOutput{}, nil
}

// named turns the old form of a change, Attribute and Value, into the members.
func named(in shape.ModifyInstanceAttributeInput) (*shape.ModifyInstanceAttributeInput, error) {
	if in.Attribute == nil || in.Value == nil {
		return &in, nil
	}
	truth := &shape.AttributeBooleanValue{Value: new(*in.Value == "true")}
	text := &shape.AttributeValue{Value: in.Value}
	switch *in.Attribute {
	case "disableApiTermination":
		in.DisableApiTermination = truth
	case "disableApiStop":
		in.DisableApiStop = truth
	case "sourceDestCheck":
		in.SourceDestCheck = truth
	case "ebsOptimized":
		in.EbsOptimized = truth
	case "instanceType":
		in.InstanceType = text
	case "instanceInitiatedShutdownBehavior":
		in.InstanceInitiatedShutdownBehavior = text
	case "userData":
		data, err := decodeUserData(*in.Value)
		if err != nil {
			return nil, err
		}
		in.UserData = &shape.BlobAttributeValue{Value: data}
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", *in.Attribute)
	}
	return &in, nil
}

// keptVolumes changes which volumes end with the instance.
func keptVolumes(all []Device, changes []shape.InstanceBlockDeviceMappingSpecification) ([]Device, error) {
	after := slices.Clone(all)
	for _, m := range changes {
		at := slices.IndexFunc(after, func(v Device) bool { return sameDevice(v.Device, api.Value(m.DeviceName)) })
		if at < 0 {
			return nil, api.Errorf("InvalidInstanceAttributeValue", "No device is currently mapped at %s", api.Value(m.DeviceName))
		}
		if m.Ebs != nil && m.Ebs.DeleteOnTermination != nil {
			after[at].DeleteOnTermination = *m.Ebs.DeleteOnTermination
		}
	}
	return after, nil
}

// ModifyInstanceMetadataOptions changes how the metadata service answers an instance.
func (s *Service) ModifyInstanceMetadataOptions(tx *cloud.Tx, in *shape.ModifyInstanceMetadataOptionsInput) (*shape.ModifyInstanceMetadataOptionsOutput, error) {
	i, err := s.instance(tx, api.Value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	if i.State == Terminated || i.State == ShuttingDown {
		return nil, api.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state in which it can be modified.", i.ID)
	}
	m := &i.Metadata
	m.HTTPTokens, m.HTTPEndpoint = cmp.Or(api.Value(in.HttpTokens), m.HTTPTokens), cmp.Or(api.Value(in.HttpEndpoint), m.HTTPEndpoint)
	m.HTTPIPv6, m.InstanceTags = cmp.Or(api.Value(in.HttpProtocolIpv6), m.HTTPIPv6), cmp.Or(api.Value(in.InstanceMetadataTags), m.InstanceTags)
	if in.HttpPutResponseHopLimit != nil {
		m.HopLimit = int(*in.HttpPutResponseHopLimit)
	}
	if err := m.checkHopLimit(); err != nil {
		return nil, err
	}
	if err := m.checkMetadataTags(s.Tags(tx, i.ID)); err != nil {
		return nil, err
	}
	s.instances.Put(tx, i.ID, i)
	return &shape.ModifyInstanceMetadataOptionsOutput{InstanceId: new(i.ID), InstanceMetadataOptions: m.shape(i.State)}, nil
}

// DescribeInstanceCreditSpecifications lists the credit options of burstable instances.
func (s *Service) DescribeInstanceCreditSpecifications(tx *cloud.Tx, in *shape.DescribeInstanceCreditSpecificationsInput) (*shape.DescribeInstanceCreditSpecificationsOutput, error) {
	visible := func(i Instance) bool {
		kind, _ := Type(i.InstanceType)
		return kind.Burstable && i.State != Terminated
	}
	known := fields[Instance]{"instance-id": s.instanceFilters["instance-id"]}
	found, next, err := s.selectInstances(tx, in.InstanceIds, in.Filters, known, visible, in.MaxResults, in.NextToken)
	out := &shape.DescribeInstanceCreditSpecificationsOutput{NextToken: next}
	for _, i := range found {
		out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications, shape.InstanceCreditSpecification{
			InstanceId: new(i.ID), CpuCredits: new(i.CPUCredits),
		})
	}
	return out, err
}

// DescribePlacementGroups lists placement groups: there are none.
func (s *Service) DescribePlacementGroups(_ *cloud.Tx, in *shape.DescribePlacementGroupsInput) (*shape.DescribePlacementGroupsOutput, error) {
	for _, name := range slices.Concat(in.GroupNames, in.GroupIds) {
		return nil, api.Errorf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", name)
	}
	return &shape.DescribePlacementGroupsOutput{}, nil
}

// DescribeSpotPriceHistory lists Spot prices: there is no market.
func (s *Service) DescribeSpotPriceHistory(*cloud.Tx, *shape.DescribeSpotPriceHistoryInput) (*shape.DescribeSpotPriceHistoryOutput, error) {
	return &shape.DescribeSpotPriceHistoryOutput{NextToken: new("")}, nil
}

// DescribeAccountAttributes says what the account may have.
func (s *Service) DescribeAccountAttributes(tx *cloud.Tx, in *shape.DescribeAccountAttributesInput) (*shape.DescribeAccountAttributesOutput, error) {
	v, ok := s.DefaultVPC(tx)
	if !ok {
		v.ID = "none"
	}
	limit := "10000"
	if s.options.InstanceLimit > 0 {
		limit = strconv.Itoa(s.options.InstanceLimit)
	}
	out := &shape.DescribeAccountAttributesOutput{}
	for _, a := range []struct{ name, value string }{
		{"supported-platforms", "VPC"}, {"default-vpc", v.ID}, {"max-instances", limit}, {"vpc-max-security-groups-per-interface", "5"},
		{"max-elastic-ips", "5"}, {"vpc-max-elastic-ips", "5"},
	} {
		if len(in.AttributeNames) == 0 || slices.Contains(in.AttributeNames, a.name) {
			out.AccountAttributes = append(out.AccountAttributes, shape.AccountAttribute{
				AttributeName: new(a.name), AttributeValues: []shape.AccountAttributeValue{{AttributeValue: new(a.value)}},
			})
		}
	}
	return out, nil
}
