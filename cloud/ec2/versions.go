package ec2

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// TemplateVersion is the row of one version of a launch template. Data is never written again.
type TemplateVersion struct {
	TemplateID  string
	Version     int64
	Description string
	Created     time.Time
	CreatedBy   string
	Data        shape.ResponseLaunchTemplateData
}

func versionKey(template string, n int64) string { return fmt.Sprintf("%s/%012d", template, n) }

func (s *Service) putVersion(tx *cloud.Tx, v TemplateVersion) {
	s.versions.Put(tx, versionKey(v.TemplateID, v.Version), v)
}

// Template gives a launch template and one of its versions: "", "$Default", "$Latest" or a number.
func (s *Service) Template(tx *cloud.Tx, idOrName, version string) (Template, TemplateVersion, error) {
	t, err := s.template(tx, idOrName)
	if err != nil {
		return t, TemplateVersion{}, err
	}
	v, err := s.version(tx, t, version)
	return t, v, err
}

func (s *Service) version(tx *cloud.Tx, t Template, version string) (TemplateVersion, error) {
	n := t.DefaultVersion
	switch version {
	case "", "$Default":
	case "$Latest":
		n = t.Latest
	default:
		var err error
		if n, err = strconv.ParseInt(version, 10, 64); err != nil || n < 1 {
			return TemplateVersion{}, api.Errorf("InvalidLaunchTemplateId.VersionNotFound", "The specified launch template version '%s' is not valid: it must be a number, $Latest or $Default.", version)
		}
	}
	v, ok := s.versions.Get(tx, versionKey(t.ID, n))
	if !ok {
		return v, api.Errorf("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", version, t.ID)
	}
	return v, nil
}

// templateData checks what a template shall hold and gives it as answers show it: the two shapes differ in name only.
func templateData(in *shape.RequestLaunchTemplateData) (shape.ResponseLaunchTemplateData, error) {
	var data shape.ResponseLaunchTemplateData
	if in == nil {
		return data, api.Errorf("MissingParameter", "The request must contain the parameter LaunchTemplateData")
	}
	text, err := json.Marshal(in)
	if err != nil { // NaN or an infinity, which the wire can carry and a row cannot
		return data, api.Errorf("InvalidParameterValue", "The launch template data has a number that is not finite")
	}
	if err := json.Unmarshal(text, &data); err != nil {
		return data, err
	}
	r, err := TemplateVersion{Data: data}.Request()
	if err != nil {
		return data, err
	}
	switch {
	case len(r.UserData) > UserDataLimit:
		return data, api.Errorf("InvalidUserData.Malformed", "User data is limited to %d bytes", UserDataLimit)
	case in.InstanceRequirements != nil && in.InstanceType != nil:
		return data, api.Errorf("InvalidParameterCombination", "InstanceType and InstanceRequirements cannot be specified together.")
	case len(in.NetworkInterfaces) > 0 && len(in.SecurityGroupIds)+len(in.SecurityGroups) > 0:
		return data, api.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	for _, spec := range in.TagSpecifications {
		if _, err := checkTags(spec.Tags); err != nil {
			return data, err
		}
	}
	return data, checkDevices(r.BlockDevices)
}

// Request gives what the template version says of a launch. Its user data is checked when the version is made.
func (v TemplateVersion) Request() (LaunchRequest, error) {
	d := v.Data
	r := LaunchRequest{
		ImageID: api.Value(d.ImageId), InstanceType: api.Value(d.InstanceType), KeyName: api.Value(d.KeyName), EbsOptimized: d.EbsOptimized,
		SecurityGroupIDs: d.SecurityGroupIds, SecurityGroups: d.SecurityGroups, DisableAPITermination: d.DisableApiTermination,
		DisableAPIStop: d.DisableApiStop, ShutdownBehaviour: api.Value(d.InstanceInitiatedShutdownBehavior),
	}
	var err error
	if r.UserData, err = decodeUserData(api.Value(d.UserData)); err != nil {
		return r, err
	}
	if d.Monitoring != nil {
		r.Monitoring = d.Monitoring.Enabled
	}
	if p := d.IamInstanceProfile; p != nil {
		r.IamProfile = cmp.Or(api.Value(p.Arn), api.Value(p.Name))
	}
	if p := d.Placement; p != nil {
		r.Zone, r.Tenancy, r.PlacementGroup = api.Value(p.AvailabilityZone), api.Value(p.Tenancy), api.Value(p.GroupName)
	}
	if d.CreditSpecification != nil {
		r.CPUCredits = api.Value(d.CreditSpecification.CpuCredits)
	}
	if m := d.InstanceMarketOptions; m != nil {
		o := cmp.Or(m.SpotOptions, &shape.LaunchTemplateSpotMarketOptions{})
		if err := r.market(m.MarketType, o.SpotInstanceType, o.InstanceInterruptionBehavior); err != nil {
			return r, err
		}
	}
	if m := d.MetadataOptions; m != nil {
		r.Metadata = MetadataOptions{
			HTTPTokens: api.Value(m.HttpTokens), HopLimit: int(api.Value(m.HttpPutResponseHopLimit)), HTTPEndpoint: api.Value(m.HttpEndpoint),
			HTTPIPv6: api.Value(m.HttpProtocolIpv6), InstanceTags: api.Value(m.InstanceMetadataTags),
		}
	}
	if len(d.NetworkInterfaces) > 0 {
		n := d.NetworkInterfaces[0]
		r.SubnetID, r.SecurityGroupIDs, r.AssociatePublicIP = api.Value(n.SubnetId), n.Groups, n.AssociatePublicIpAddress
		r.PrivateIP = api.Value(n.PrivateIpAddress)
	}
	for _, m := range d.BlockDeviceMappings {
		b := BlockDevice{Device: api.Value(m.DeviceName), NoDevice: m.NoDevice != nil, VirtualName: api.Value(m.VirtualName)}
		if e := m.Ebs; e != nil {
			b.SnapshotID, b.Type, b.Size, b.Iops = api.Value(e.SnapshotId), api.Value(e.VolumeType), int(api.Value(e.VolumeSize)), int(api.Value(e.Iops))
			b.Throughput, b.Encrypted, b.DeleteOnTermination = int(api.Value(e.Throughput)), api.Value(e.Encrypted), e.DeleteOnTermination
			b.KmsKeyID = api.Value(e.KmsKeyId)
		}
		r.BlockDevices = append(r.BlockDevices, b)
	}
	for _, spec := range d.TagSpecifications {
		var tags []Tag
		for _, t := range spec.Tags {
			tags = append(tags, Tag{api.Value(t.Key), api.Value(t.Value)})
		}
		switch api.Value(spec.ResourceType) {
		case "instance":
			r.Tags = tags
		case "volume":
			r.VolumeTags = tags
		case "network-interface":
			r.InterfaceTags = tags
		}
	}
	return r, nil
}

// CreateLaunchTemplateVersion makes the next version: of SourceVersion's data, where there is one, with the new over it.
func (s *Service) CreateLaunchTemplateVersion(tx *cloud.Tx, in *shape.CreateLaunchTemplateVersionInput) (*shape.CreateLaunchTemplateVersionOutput, error) {
	t, err := s.templateGiven(tx, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	request := in.LaunchTemplateData
	if in.SourceVersion != nil {
		source, err := s.version(tx, t, *in.SourceVersion)
		if err != nil {
			return nil, err
		}
		if request, err = laidOver(source.Data, request); err != nil {
			return nil, err
		}
	}
	data, err := templateData(request)
	if err != nil {
		return nil, err
	}
	v := TemplateVersion{
		TemplateID: t.ID, Version: t.Next, Description: api.Value(in.VersionDescription), Created: tx.Now().Truncate(time.Second),
		CreatedBy: creator(tx), Data: data,
	}
	t.Latest, t.Next = v.Version, v.Version+1
	s.templates.Put(tx, t.ID, t)
	s.putVersion(tx, v)
	return &shape.CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: new(s.versionShape(tx, t, v, false))}, nil
}

// laidOver gives a version's data with each member that the request has in the place of the old one.
func laidOver(under shape.ResponseLaunchTemplateData, over *shape.RequestLaunchTemplateData) (*shape.RequestLaunchTemplateData, error) {
	all, err := members(under)
	if err != nil {
		return nil, err
	}
	changed, err := members(over)
	if err != nil {
		return nil, err
	}
	for name, value := range changed { // any order: each member is its own
		if string(value) != "null" {
			all[name] = value
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	merged := &shape.RequestLaunchTemplateData{}
	return merged, json.Unmarshal(text, merged)
}

func members(data any) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(data)
	if err != nil { // as in templateData
		return nil, api.Errorf("InvalidParameterValue", "The launch template data has a number that is not finite")
	}
	all := map[string]json.RawMessage{}
	return all, json.Unmarshal(text, &all)
}

func (s *Service) versionShape(tx *cloud.Tx, t Template, v TemplateVersion, resolved bool) shape.LaunchTemplateVersion {
	data := v.Data
	if image := api.Value(data.ImageId); resolved && image != "" {
		if id, err := s.resolve(tx, image); err == nil {
			data.ImageId = new(id)
		}
	}
	return shape.LaunchTemplateVersion{
		LaunchTemplateId: new(t.ID), LaunchTemplateName: new(t.Name), VersionNumber: new(v.Version), VersionDescription: optional(v.Description),
		CreateTime: new(v.Created), CreatedBy: new(v.CreatedBy), DefaultVersion: new(v.Version == t.DefaultVersion), LaunchTemplateData: &data,
	}
}

// DescribeLaunchTemplateVersions lists versions of one template or, with $Latest and $Default, of all.
func (s *Service) DescribeLaunchTemplateVersions(tx *cloud.Tx, in *shape.DescribeLaunchTemplateVersionsInput) (*shape.DescribeLaunchTemplateVersionsOutput, error) {
	var templates []Template
	if in.LaunchTemplateId != nil || in.LaunchTemplateName != nil {
		t, err := s.templateGiven(tx, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		templates = []Template{t}
	} else {
		if len(in.Versions) == 0 || slices.ContainsFunc(in.Versions, func(v string) bool { return v != "$Latest" && v != "$Default" }) {
			return nil, api.Errorf("MissingParameter", "Either a launch template ID or a launch template name must be specified.")
		}
		templates = rowsOf(s.templates.All(tx))
	}
	type entry struct {
		Template
		TemplateVersion
	}
	id := func(e entry) string { return versionKey(e.Template.ID, e.TemplateVersion.Version) }
	match, err := matcher(s, fields[entry]{
		"image-id":           func(_ *cloud.Tx, e entry) []string { return one(api.Value(e.Data.ImageId)) },
		"instance-type":      func(_ *cloud.Tx, e entry) []string { return one(api.Value(e.Data.InstanceType)) },
		"is-default-version": func(_ *cloud.Tx, e entry) []string { return yes(e.TemplateVersion.Version == e.DefaultVersion) },
		"create-time":        func(_ *cloud.Tx, e entry) []string { return stamp(e.TemplateVersion.Created) },
		"ebs-optimized":      func(_ *cloud.Tx, e entry) []string { return yes(api.Value(e.Data.EbsOptimized)) },
	}, func(e entry) string { return e.Template.ID }, in.Filters)
	if err != nil {
		return nil, err
	}
	var found []entry
	for _, t := range templates {
		versions, err := s.versionsAsked(tx, t, in)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if e := (entry{t, v}); match(tx, e) {
				found = append(found, e)
			}
		}
	}
	found, next := pageOf(found, id, in.MaxResults, in.NextToken)
	out := &shape.DescribeLaunchTemplateVersionsOutput{NextToken: next}
	for _, e := range found {
		out.LaunchTemplateVersions = append(out.LaunchTemplateVersions, s.versionShape(tx, e.Template, e.TemplateVersion, api.Value(in.ResolveAlias)))
	}
	return out, nil
}

// versionsAsked gives the versions of one template that a describe call is about.
func (s *Service) versionsAsked(tx *cloud.Tx, t Template, in *shape.DescribeLaunchTemplateVersionsInput) ([]TemplateVersion, error) {
	var all []TemplateVersion
	if len(in.Versions) > 0 {
		for _, name := range in.Versions {
			v, err := s.version(tx, t, name)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(all, func(o TemplateVersion) bool { return o.Version == v.Version }) {
				all = append(all, v)
			}
		}
		slices.SortFunc(all, func(a, b TemplateVersion) int { return int(a.Version - b.Version) })
		return all, nil
	}
	low, err := strconv.ParseInt(cmp.Or(api.Value(in.MinVersion), "1"), 10, 64)
	if err != nil {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter MinVersion is invalid.", *in.MinVersion)
	}
	high, err := strconv.ParseInt(cmp.Or(api.Value(in.MaxVersion), versionText(t.Latest)), 10, 64)
	if err != nil {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter MaxVersion is invalid.", *in.MaxVersion)
	}
	for _, v := range s.versions.Prefix(tx, t.ID+"/") {
		if v.Version >= low && v.Version <= high {
			all = append(all, v)
		}
	}
	return all, nil
}

// DeleteLaunchTemplateVersions removes versions; the default one stays.
func (s *Service) DeleteLaunchTemplateVersions(tx *cloud.Tx, in *shape.DeleteLaunchTemplateVersionsInput) (*shape.DeleteLaunchTemplateVersionsOutput, error) {
	t, err := s.templateGiven(tx, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	out := &shape.DeleteLaunchTemplateVersionsOutput{}
	for _, name := range in.Versions {
		n, _ := strconv.ParseInt(name, 10, 64)
		v, err := s.version(tx, t, name)
		code, message := "", ""
		switch {
		case err != nil:
			code, message = "launchTemplateVersionDoesNotExist", "Could not find launch template version "+name
		case v.Version == t.DefaultVersion:
			code, message = "unexpectedError", "Cannot delete the default version of a launch template"
		}
		if code != "" {
			out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions, shape.DeleteLaunchTemplateVersionsResponseErrorItem{
				LaunchTemplateId: new(t.ID), LaunchTemplateName: new(t.Name), VersionNumber: new(n), ResponseError: &shape.ResponseError{Code: new(code), Message: new(message)},
			})
			continue
		}
		s.versions.Delete(tx, versionKey(t.ID, v.Version))
		out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions, shape.DeleteLaunchTemplateVersionsResponseSuccessItem{
			LaunchTemplateId: new(t.ID), LaunchTemplateName: new(t.Name), VersionNumber: new(v.Version),
		})
	}
	for _, v := range s.versions.Prefix(tx, t.ID+"/") {
		t.Latest = v.Version
	}
	s.templates.Put(tx, t.ID, t)
	return out, nil
}

// RequestOf gives what would launch another instance like this one: image, type and settings, not its addresses.
func (s *Service) RequestOf(tx *cloud.Tx, id string) (LaunchRequest, bool) {
	i, ok := s.instances.Get(tx, id)
	if !ok {
		return LaunchRequest{}, false
	}
	r := LaunchRequest{
		ImageID: i.ImageID, InstanceType: i.InstanceType, KeyName: i.KeyName, UserData: i.UserData, SecurityGroupIDs: i.SecurityGroupIDs,
		Monitoring: new(i.Monitoring), IamProfile: i.IamProfile, EbsOptimized: new(i.EbsOptimized), CPUCredits: i.CPUCredits, Tenancy: i.Tenancy,
		Metadata: i.Metadata, DisableAPITermination: new(i.DisableAPITermination), DisableAPIStop: new(i.DisableAPIStop),
		ShutdownBehaviour: i.ShutdownBehaviour, AssociatePublicIP: new(i.AutoPublicIP), SubnetID: i.SubnetID, Zone: i.Zone, Tags: s.Tags(tx, id),
	}
	for _, v := range i.Volumes {
		r.BlockDevices = append(r.BlockDevices, v.blockDevice())
	}
	return r, true
}

// GetLaunchTemplateData gives an instance's settings as the data of a template.
func (s *Service) GetLaunchTemplateData(tx *cloud.Tx, in *shape.GetLaunchTemplateDataInput) (*shape.GetLaunchTemplateDataOutput, error) {
	i, err := s.instance(tx, api.Value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	d := &shape.ResponseLaunchTemplateData{
		ImageId: new(i.ImageID), InstanceType: new(i.InstanceType), KeyName: optional(i.KeyName), EbsOptimized: new(i.EbsOptimized),
		Monitoring: &shape.LaunchTemplatesMonitoring{Enabled: new(i.Monitoring)}, DisableApiTermination: new(i.DisableAPITermination),
		DisableApiStop: new(i.DisableAPIStop), InstanceInitiatedShutdownBehavior: new(i.ShutdownBehaviour),
		Placement: &shape.LaunchTemplatePlacement{AvailabilityZone: new(i.Zone), GroupName: new(i.PlacementGroup), Tenancy: new(i.Tenancy)},
		MetadataOptions: &shape.LaunchTemplateInstanceMetadataOptions{
			State: new("applied"), HttpTokens: new(i.Metadata.HTTPTokens), HttpPutResponseHopLimit: new(int32(i.Metadata.HopLimit)),
			HttpEndpoint: new(i.Metadata.HTTPEndpoint), HttpProtocolIpv6: new(i.Metadata.HTTPIPv6), InstanceMetadataTags: new(i.Metadata.InstanceTags),
		},
		NetworkInterfaces: []shape.LaunchTemplateInstanceNetworkInterfaceSpecification{{
			DeviceIndex: new(int32(0)), DeleteOnTermination: new(true), SubnetId: new(i.SubnetID), Groups: i.SecurityGroupIDs,
			AssociatePublicIpAddress: new(i.AutoPublicIP), Description: new(""), InterfaceType: new("interface"), NetworkCardIndex: new(int32(0)),
		}},
	}
	if len(i.UserData) > 0 {
		d.UserData = new(base64.StdEncoding.EncodeToString(i.UserData))
	}
	if i.CPUCredits != "" {
		d.CreditSpecification = &shape.CreditSpecification{CpuCredits: new(i.CPUCredits)}
	}
	if i.IamProfile != "" {
		d.IamInstanceProfile = &shape.LaunchTemplateIamInstanceProfileSpecification{Arn: new(i.IamProfile)}
	}
	for _, v := range i.Volumes {
		e := v.blockDevice().shape().Ebs
		d.BlockDeviceMappings = append(d.BlockDeviceMappings, shape.LaunchTemplateBlockDeviceMapping{DeviceName: new(v.Device), Ebs: &shape.LaunchTemplateEbsBlockDevice{
			DeleteOnTermination: e.DeleteOnTermination, Encrypted: e.Encrypted, KmsKeyId: e.KmsKeyId, SnapshotId: e.SnapshotId, VolumeSize: e.VolumeSize,
			VolumeType: e.VolumeType, Iops: e.Iops, Throughput: e.Throughput,
		}})
	}
	if tags := s.Tags(tx, i.ID); len(tags) > 0 {
		d.TagSpecifications = []shape.LaunchTemplateTagSpecification{{ResourceType: new("instance"), Tags: tagShapes(userTags(tags))}}
	}
	return &shape.GetLaunchTemplateDataOutput{LaunchTemplateData: d}, nil
}
