package autoscaling

import (
	"encoding/base64"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// LaunchConfiguration says how to launch instances; it never changes. Its key is its name.
type LaunchConfiguration struct {
	Name                     string
	ARN                      string
	Created                  time.Time
	ImageID                  string
	InstanceType             string
	KeyName                  string
	SecurityGroups           []string
	UserData                 string // base64, as given
	DetailedMonitoring       bool
	IamInstanceProfile       string
	AssociatePublicIPAddress string // "true", "false" or empty
	EbsOptimized             bool
	SpotPrice                string
	PlacementTenancy         string
	BlockDevices             []ec2.BlockDevice
	Metadata                 ec2.MetadataOptions
}

// CreateLaunchConfiguration makes a launch configuration from its members, or from an instance and what is given over
// it.
func (s *Service) CreateLaunchConfiguration(tx *cloud.Tx, in *shape.CreateLaunchConfigurationInput) (*shape.CreateLaunchConfigurationOutput, error) {
	name := *in.LaunchConfigurationName
	if s.configurations.Has(tx, name) {
		return nil, api.Errorf("AlreadyExists", "Launch Configuration by this name already exists - A launch configuration already exists with the name %s", name)
	}
	if counted(s.configurations.All(tx), configurationLimit) >= configurationLimit {
		return nil, api.Errorf("LimitExceeded", "You have reached your limit of %d launch configurations.", configurationLimit)
	}
	var c LaunchConfiguration
	switch {
	case in.InstanceId != nil:
		var err error
		if c, err = s.likeInstance(tx, *in.InstanceId); err != nil {
			return nil, err
		}
	case in.ImageId == nil || in.InstanceType == nil:
		return nil, invalid("Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters.")
	}
	c.Name, c.ARN, c.Created = name, tx.Scope.ARN("autoscaling", "launchConfiguration:"+tx.UUID()+":launchConfigurationName/"+name), tx.Now()
	if err := c.set(in); err != nil {
		return nil, err
	}
	request := c.request()
	request.Count = 1
	if zones := s.ec2.Zones(tx); len(zones) > 0 {
		request.Zone = zones[0]
	}
	for _, id := range request.SecurityGroupIDs {
		if _, ok := s.ec2.SecurityGroup(tx, id); !ok {
			return nil, invalid("The security group %s does not exist.", id)
		}
	}
	request.SecurityGroupIDs, request.SecurityGroups = nil, nil // may be of another VPC than the default one: launches will tell
	if err := s.ec2.ValidateLaunch(tx, request); err != nil {
		return nil, wrapped("", err)
	}
	s.configurations.Put(tx, name, c)
	return &shape.CreateLaunchConfigurationOutput{}, nil
}

// set takes what the call gives.
func (c *LaunchConfiguration) set(in *shape.CreateLaunchConfigurationInput) error {
	for _, p := range []struct {
		in *string
		to *string
	}{{in.ImageId, &c.ImageID}, {in.InstanceType, &c.InstanceType}, {in.KeyName, &c.KeyName}, {in.UserData, &c.UserData},
		{in.IamInstanceProfile, &c.IamInstanceProfile}, {in.SpotPrice, &c.SpotPrice}, {in.PlacementTenancy, &c.PlacementTenancy}} {
		if p.in != nil {
			*p.to = *p.in
		}
	}
	if in.SecurityGroups != nil {
		c.SecurityGroups = in.SecurityGroups
	}
	if in.InstanceMonitoring != nil {
		c.DetailedMonitoring = in.InstanceMonitoring.Enabled == nil || *in.InstanceMonitoring.Enabled
	} else if in.InstanceId == nil {
		c.DetailedMonitoring = true // the API's default
	}
	if in.EbsOptimized != nil {
		c.EbsOptimized = *in.EbsOptimized
	}
	if p := in.AssociatePublicIpAddress; p != nil {
		c.AssociatePublicIPAddress = map[bool]string{true: "true", false: "false"}[*p]
	}
	for _, b := range in.BlockDeviceMappings {
		d := ec2.BlockDevice{Device: api.Value(b.DeviceName), VirtualName: api.Value(b.VirtualName), NoDevice: api.Value(b.NoDevice)}
		if e := b.Ebs; e != nil {
			d.SnapshotID, d.Type, d.Encrypted, d.DeleteOnTermination = api.Value(e.SnapshotId), api.Value(e.VolumeType), api.Value(e.Encrypted), e.DeleteOnTermination
			d.Size, d.Iops, d.Throughput = int(api.Value(e.VolumeSize)), int(api.Value(e.Iops)), int(api.Value(e.Throughput))
		}
		c.BlockDevices = append(c.BlockDevices, d)
	}
	if m := in.MetadataOptions; m != nil {
		c.Metadata = ec2.MetadataOptions{HTTPTokens: api.Value(m.HttpTokens), HTTPEndpoint: api.Value(m.HttpEndpoint), HopLimit: int(api.Value(m.HttpPutResponseHopLimit))}
	}
	if _, err := base64.StdEncoding.DecodeString(c.UserData); err != nil {
		return invalid("Invalid BASE64 encoding of user data.")
	}
	return nil
}

// likeInstance is a configuration that launches instances like one that is there.
func (s *Service) likeInstance(tx *cloud.Tx, id string) (LaunchConfiguration, error) {
	q, ok := s.ec2.RequestOf(tx, id)
	if !ok {
		return LaunchConfiguration{}, invalid("The instance ID '%s' does not exist", id)
	}
	return LaunchConfiguration{
		ImageID: q.ImageID, InstanceType: q.InstanceType, KeyName: q.KeyName, SecurityGroups: q.SecurityGroupIDs,
		UserData: base64.StdEncoding.EncodeToString(q.UserData), DetailedMonitoring: api.Value(q.Monitoring),
		IamInstanceProfile: q.IamProfile, EbsOptimized: api.Value(q.EbsOptimized), PlacementTenancy: q.Tenancy, Metadata: q.Metadata,
	}, nil
}

// configurationFrom makes the launch configuration of a group that is created from an instance: it has the group's
// name.
func (r *roster) configurationFrom(instance string) error {
	_, err := r.s.CreateLaunchConfiguration(r.tx, &shape.CreateLaunchConfigurationInput{LaunchConfigurationName: &r.Name, InstanceId: &instance})
	return err
}

// DeleteLaunchConfiguration deletes a launch configuration that no group uses.
func (s *Service) DeleteLaunchConfiguration(tx *cloud.Tx, in *shape.DeleteLaunchConfigurationInput) (*shape.DeleteLaunchConfigurationOutput, error) {
	name := *in.LaunchConfigurationName
	if !s.configurations.Has(tx, name) {
		return nil, invalid("Launch configuration name not found - Launch configuration %s not found", name)
	}
	for group := range s.groupsUsing.Each(tx, name) {
		return nil, api.Errorf("ResourceInUse", "Cannot delete launch configuration %s because it is attached to AutoScalingGroup %s", name, group)
	}
	s.configurations.Delete(tx, name)
	return &shape.DeleteLaunchConfigurationOutput{}, nil
}

// DescribeLaunchConfigurations lists launch configurations by name.
func (s *Service) DescribeLaunchConfigurations(tx *cloud.Tx, in *shape.DescribeLaunchConfigurationsInput) (*shape.DescribeLaunchConfigurationsOutput, error) {
	rows, next, err := page(pick(tx, s.configurations, in.LaunchConfigurationNames, in.NextToken), in.NextToken, in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeLaunchConfigurationsOutput{LaunchConfigurations: []shape.LaunchConfiguration{}, NextToken: next}
	for _, c := range rows {
		out.LaunchConfigurations = append(out.LaunchConfigurations, c.shape())
	}
	return out, nil
}

func (c LaunchConfiguration) shape() shape.LaunchConfiguration {
	x := shape.LaunchConfiguration{
		LaunchConfigurationName: &c.Name, LaunchConfigurationARN: &c.ARN, CreatedTime: &c.Created, ImageId: &c.ImageID,
		InstanceType: &c.InstanceType, KeyName: &c.KeyName, SecurityGroups: c.SecurityGroups, UserData: &c.UserData,
		InstanceMonitoring: &shape.InstanceMonitoring{Enabled: &c.DetailedMonitoring}, EbsOptimized: &c.EbsOptimized,
		KernelId: new(""), RamdiskId: new(""), IamInstanceProfile: some(c.IamInstanceProfile), SpotPrice: some(c.SpotPrice),
		PlacementTenancy: some(c.PlacementTenancy), BlockDeviceMappings: []shape.BlockDeviceMapping{},
		ClassicLinkVPCSecurityGroups: []string{},
	}
	switch c.AssociatePublicIPAddress {
	case "true":
		x.AssociatePublicIpAddress = new(true)
	case "false":
		x.AssociatePublicIpAddress = new(false)
	}
	for _, d := range c.BlockDevices {
		b := shape.BlockDeviceMapping{DeviceName: &d.Device, VirtualName: some(d.VirtualName)}
		switch {
		case d.NoDevice:
			b.NoDevice = new(true)
		case d.VirtualName == "":
			b.Ebs = &shape.Ebs{SnapshotId: some(d.SnapshotID), VolumeType: some(d.Type), DeleteOnTermination: d.DeleteOnTermination,
				VolumeSize: positive(d.Size), Iops: positive(d.Iops), Throughput: positive(d.Throughput)}
			if d.Encrypted {
				b.Ebs.Encrypted = new(true)
			}
		}
		x.BlockDeviceMappings = append(x.BlockDeviceMappings, b)
	}
	if m := c.Metadata; m != (ec2.MetadataOptions{}) {
		x.MetadataOptions = &shape.InstanceMetadataOptions{HttpTokens: some(m.HTTPTokens), HttpEndpoint: some(m.HTTPEndpoint), HttpPutResponseHopLimit: positive(m.HopLimit)}
	}
	return x
}
