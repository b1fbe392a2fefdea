package ec2

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// RunInstances launches instances.
func (s *Service) RunInstances(tx *cloud.Tx, in *shape.RunInstancesInput) (*shape.RunInstancesOutput, error) {
	digest := ""
	if token := api.Value(in.ClientToken); token != "" {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		digest = hex.EncodeToString(sum[:16])
		var before []Instance
		for _, i := range s.parts.Each(tx, tokenPart(token)) {
			before = append(before, i)
		}
		if len(before) > 0 {
			if before[0].TokenDigest != digest {
				return nil, api.Errorf("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
			}
			return s.runOutput(tx, before), nil
		}
	}
	r, err := runRequest(in)
	if err != nil {
		return nil, err
	}
	ids, err := s.Launch(tx, r)
	if err != nil {
		return nil, err
	}
	var made []Instance
	for _, id := range ids {
		i, _ := s.instances.Get(tx, id)
		if digest != "" {
			i.TokenDigest = digest
			s.instances.Put(tx, id, i)
		}
		made = append(made, i)
	}
	return s.runOutput(tx, made), nil
}

func (s *Service) runOutput(tx *cloud.Tx, all []Instance) *shape.RunInstancesOutput {
	out := &shape.RunInstancesOutput{
		ReservationId: new(all[0].ReservationID), OwnerId: new(tx.Scope.Account), RequesterId: optional(all[0].RequesterID), Groups: []shape.GroupIdentifier{},
	}
	d := s.describer(tx)
	for _, i := range all {
		out.Instances = append(out.Instances, d.shape(i))
	}
	return out
}

// runRequest reads a RunInstances call.
func runRequest(in *shape.RunInstancesInput) (LaunchRequest, error) {
	r := LaunchRequest{
		Count: int(api.Value(in.MaxCount)), MinCount: int(api.Value(in.MinCount)), ImageID: api.Value(in.ImageId), InstanceType: api.Value(in.InstanceType),
		KeyName: api.Value(in.KeyName), SecurityGroupIDs: in.SecurityGroupIds, SecurityGroups: in.SecurityGroups, SubnetID: api.Value(in.SubnetId),
		PrivateIP: api.Value(in.PrivateIpAddress), EbsOptimized: in.EbsOptimized, BlockDevices: devices(in.BlockDeviceMappings),
		DisableAPITermination: in.DisableApiTermination, DisableAPIStop: in.DisableApiStop, ClientToken: api.Value(in.ClientToken),
		ShutdownBehaviour: api.Value(in.InstanceInitiatedShutdownBehavior),
	}
	switch {
	case in.MaxCount == nil || in.MinCount == nil:
		return r, api.Errorf("MissingParameter", "The request must contain the parameters MinCount and MaxCount")
	case r.Count < 1:
		return r, api.Errorf("InvalidParameterValue", "Value (%d) for parameter maxCount is invalid. Expected a value of at least 1.", r.Count)
	case r.MinCount < 1:
		return r, api.Errorf("InvalidParameterValue", "Value (%d) for parameter minCount is invalid. Expected a value of at least 1.", r.MinCount)
	case r.MinCount > r.Count:
		return r, api.Errorf("InvalidParameterValue", "The value for 'minCount' must be equal or less than the value for 'maxCount'.")
	}
	var err error
	if r.UserData, err = decodeUserData(api.Value(in.UserData)); err != nil {
		return r, err
	}
	if t := in.LaunchTemplate; t != nil {
		if (t.LaunchTemplateId == nil) == (t.LaunchTemplateName == nil) {
			return r, api.Errorf("InvalidParameterCombination", "Either a launch template ID or a launch template name must be specified, not both.")
		}
		r.TemplateID, r.TemplateVersion = api.Value(t.LaunchTemplateId)+api.Value(t.LaunchTemplateName), api.Value(t.Version)
	}
	if p := in.Placement; p != nil {
		r.Zone, r.Tenancy, r.PlacementGroup = api.Value(p.AvailabilityZone), api.Value(p.Tenancy), api.Value(p.GroupName)
	}
	if in.Monitoring != nil {
		r.Monitoring = in.Monitoring.Enabled
	}
	if p := in.IamInstanceProfile; p != nil {
		r.IamProfile = cmp.Or(api.Value(p.Arn), api.Value(p.Name))
	}
	if in.CreditSpecification != nil {
		r.CPUCredits = api.Value(in.CreditSpecification.CpuCredits)
	}
	if m := in.InstanceMarketOptions; m != nil {
		o := cmp.Or(m.SpotOptions, &shape.SpotMarketOptions{})
		if err := r.market(m.MarketType, o.SpotInstanceType, o.InstanceInterruptionBehavior); err != nil {
			return r, err
		}
	}
	if m := in.MetadataOptions; m != nil {
		r.Metadata = MetadataOptions{
			HTTPTokens: api.Value(m.HttpTokens), HopLimit: int(api.Value(m.HttpPutResponseHopLimit)), HTTPEndpoint: api.Value(m.HttpEndpoint),
			HTTPIPv6: api.Value(m.HttpProtocolIpv6), InstanceTags: api.Value(m.InstanceMetadataTags),
		}
	}
	if err := r.interfaces(in.NetworkInterfaces); err != nil {
		return r, err
	}
	return r, r.tags(in.TagSpecifications)
}

// interfaces reads the network interfaces of a request: there can be one.
func (r *LaunchRequest) interfaces(all []shape.InstanceNetworkInterfaceSpecification) error {
	if len(all) == 0 {
		return nil
	}
	n := all[0]
	switch {
	case len(all) > 1:
		return api.Errorf("Unsupported", "The requested configuration is currently not supported: instances have one network interface here.")
	case n.NetworkInterfaceId != nil:
		return api.Errorf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", *n.NetworkInterfaceId)
	case api.Value(n.DeviceIndex) != 0:
		return api.Errorf("InvalidParameterValue", "The primary network interface must have device index 0.")
	case r.SubnetID != "":
		return api.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
	case len(r.SecurityGroupIDs)+len(r.SecurityGroups) > 0:
		return api.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	case r.PrivateIP != "":
		return api.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level private address may not be specified on the same request")
	}
	r.SubnetID, r.SecurityGroupIDs, r.PrivateIP = api.Value(n.SubnetId), n.Groups, api.Value(n.PrivateIpAddress)
	r.AssociatePublicIP = n.AssociatePublicIpAddress
	for _, a := range n.PrivateIpAddresses {
		if api.Value(a.Primary) {
			r.PrivateIP = api.Value(a.PrivateIpAddress)
		}
	}
	return nil
}

// tags reads the tag specifications of a request.
func (r *LaunchRequest) tags(specs []shape.TagSpecification) (err error) {
	others := []string{"instance", "volume", "network-interface", "spot-instances-request"}
	if r.Tags, err = specTags(specs, "instance", others...); err != nil {
		return err
	}
	if r.VolumeTags, err = specTags(specs, "volume", others...); err != nil {
		return err
	}
	r.InterfaceTags, err = specTags(specs, "network-interface", others...)
	return err
}

func decodeUserData(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, api.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	}
	return data, nil
}

// mergeTemplate fills what a request leaves open with what its launch template says.
func (s *Service) mergeTemplate(tx *cloud.Tx, r *LaunchRequest) error {
	if r.TemplateID == "" {
		return nil
	}
	t, v, err := s.Template(tx, r.TemplateID, r.TemplateVersion)
	if err != nil {
		return err
	}
	under, err := v.Request()
	if err != nil {
		return err
	}
	r.TemplateID, r.TemplateVersion = t.ID, versionText(v.Version)
	r.over(under)
	return nil
}

// over lays a request over another one.
func (r *LaunchRequest) over(u LaunchRequest) {
	for _, f := range []struct {
		own   *string
		under string
	}{
		{&r.ImageID, u.ImageID}, {&r.InstanceType, u.InstanceType}, {&r.KeyName, u.KeyName}, {&r.PrivateIP, u.PrivateIP}, {&r.IamProfile, u.IamProfile},
		{&r.CPUCredits, u.CPUCredits}, {&r.Tenancy, u.Tenancy}, {&r.PlacementGroup, u.PlacementGroup}, {&r.ShutdownBehaviour, u.ShutdownBehaviour},
		{&r.Metadata.HTTPTokens, u.Metadata.HTTPTokens}, {&r.Metadata.HTTPEndpoint, u.Metadata.HTTPEndpoint},
		{&r.Metadata.HTTPIPv6, u.Metadata.HTTPIPv6}, {&r.Metadata.InstanceTags, u.Metadata.InstanceTags},
	} {
		*f.own = cmp.Or(*f.own, f.under)
	}
	for _, f := range []struct {
		own   **bool
		under *bool
	}{
		{&r.AssociatePublicIP, u.AssociatePublicIP}, {&r.Monitoring, u.Monitoring}, {&r.EbsOptimized, u.EbsOptimized},
		{&r.DisableAPITermination, u.DisableAPITermination}, {&r.DisableAPIStop, u.DisableAPIStop},
	} {
		if *f.own == nil {
			*f.own = f.under
		}
	}
	if r.SubnetID == "" && r.Zone == "" { // a zone that the request names is not overruled by the template's subnet
		r.SubnetID, r.Zone = u.SubnetID, u.Zone
	}
	if r.UserData == nil {
		r.UserData = u.UserData
	}
	if len(r.SecurityGroupIDs)+len(r.SecurityGroups) == 0 {
		r.SecurityGroupIDs, r.SecurityGroups = u.SecurityGroupIDs, u.SecurityGroups
	}
	if r.Metadata.HopLimit == 0 {
		r.Metadata.HopLimit = u.Metadata.HopLimit
	}
	if !r.Spot {
		r.Spot, r.SpotOptions = u.Spot, u.SpotOptions
	}
	merged := u.BlockDevices[:len(u.BlockDevices):len(u.BlockDevices)]
	for _, d := range r.BlockDevices {
		merged = replaceDevice(merged, d)
	}
	r.BlockDevices = merged
	r.Tags, r.VolumeTags = mergedTags(sortedTags(u.Tags), r.Tags), mergedTags(sortedTags(u.VolumeTags), r.VolumeTags)
	r.InterfaceTags = mergedTags(sortedTags(u.InterfaceTags), r.InterfaceTags)
}

// replaceDevice puts a device in the place of one of the same name, or at the end.
func replaceDevice(all []BlockDevice, d BlockDevice) []BlockDevice {
	out := make([]BlockDevice, 0, len(all)+1)
	for _, old := range all {
		if old.Device != d.Device {
			out = append(out, old)
		}
	}
	return append(out, d)
}

func sortedTags(tags []Tag) []Tag { return mergedTags(nil, tags) }
