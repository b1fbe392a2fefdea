package ec2

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// LaunchRequest says what to launch. Members left empty are taken from the template, then from EC2's defaults.
type LaunchRequest struct {
	TemplateID      string // ID or name of a launch template; empty: none
	TemplateVersion string // "", "$Default", "$Latest" or a number

	Count    int // how many at most; zero is one
	MinCount int // how many at least; zero is Count

	ImageID          string // also "resolve:ssm:PARAMETER"
	InstanceType     string
	KeyName          string
	UserData         []byte // as the instance sees it, not encoded
	SecurityGroupIDs []string
	SecurityGroups   []string // names, in the subnet's VPC
	SubnetID         string
	Zone             string // of the default subnet, or what the subnet must be in

	PrivateIP         string
	AssociatePublicIP *bool // nil: as the subnet says
	Monitoring        *bool // detailed; nil: as the template says, or basic
	IamProfile        string
	EbsOptimized      *bool
	CPUCredits        string
	Tenancy           string
	PlacementGroup    string
	Spot              bool
	SpotOptions       Spot // what it says on launch
	Metadata          MetadataOptions
	BlockDevices      []BlockDevice

	DisableAPITermination *bool
	DisableAPIStop        *bool
	ShutdownBehaviour     string

	Tags          []Tag // of the instances; over the template's of the same key
	VolumeTags    []Tag
	InterfaceTags []Tag
	ClientToken   string
	RequesterID   string // an AWS service's, in the reservation
}

// plan is a request that was found good, with everything looked up.
type plan struct {
	LaunchRequest
	image   Image
	kind    InstanceType
	subnet  Subnet
	groups  []string
	devices []Device   // the root first
	sources []Snapshot // of each of them

	profileID string
}

// UserDataLimit is how long user data may be before encoding (EC-IN-07).
const UserDataLimit = 16 * 1024

// Launch makes instances and wishes for them. On failure, an *api.Error with EC2's message, nothing has changed.
func (s *Service) Launch(tx *cloud.Tx, r LaunchRequest) (ids []string, err error) {
	s.home(tx)
	p, err := s.plan(tx, r)
	if err != nil {
		return nil, err
	}
	err = tx.Try(func() error {
		reservation, template := tx.ID("r-"), p.templateTags()
		for n := range p.Count {
			id, err := s.launchOne(tx, p, reservation, n, template)
			if err != nil && n >= p.MinCount && n > 0 {
				return nil // as many as there is room for
			}
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !p.image.BuiltIn {
		s.launchedFrom(tx, p.image)
	}
	return ids, nil
}

// launchedFrom notes on an image when it was last used.
func (s *Service) launchedFrom(tx *cloud.Tx, i Image) {
	if now := tx.Now().Truncate(time.Hour); i.Owner == tx.Scope.Account && i.LastLaunched.Before(now) {
		i.LastLaunched = now
		s.images.Put(tx, i.ID, i)
	}
}

// templateTags are tags that AWS puts on instances of a launch template.
func (p plan) templateTags() []Tag {
	if p.TemplateID == "" {
		return nil
	}
	return []Tag{{"aws:ec2launchtemplate:id", p.TemplateID}, {"aws:ec2launchtemplate:version", p.TemplateVersion}}
}

// ValidateLaunch makes the same checks as Launch and nothing else, and sees that the caller may use the launch template.
func (s *Service) ValidateLaunch(tx *cloud.Tx, r LaunchRequest) error {
	s.home(tx)
	if err := s.mayLaunch(tx, r); err != nil {
		return err
	}
	_, err := s.plan(tx, r)
	return err
}

func (s *Service) launchOne(tx *cloud.Tx, p plan, reservation string, index int, template []Tag) (string, error) {
	ip, err := s.privateAddress(tx, p.subnet, p.PrivateIP)
	if err != nil {
		return "", err
	}
	now := tx.Now()
	i := Instance{
		ID: tx.ID("i-"), State: Pending, Changed: now, ReservationID: reservation, LaunchIndex: index, ClientToken: p.ClientToken,
		RequesterID: p.RequesterID, Created: now.Truncate(time.Second), LaunchTime: now.Truncate(time.Second),
		ImageID: p.image.ID, ImageContent: p.image.Content, Architecture: p.image.Architecture, InstanceType: p.kind.Name, KeyName: p.KeyName,
		UserData: p.UserData, IamProfile: p.IamProfile, IamProfileID: p.profileID, Monitoring: api.Value(p.Monitoring), EbsOptimized: api.Value(p.EbsOptimized),
		CPUCredits: p.CPUCredits, Tenancy: p.Tenancy, PlacementGroup: p.PlacementGroup, TemplateID: p.TemplateID, TemplateVersion: p.TemplateVersion,
		Metadata: p.Metadata, DisableAPITermination: api.Value(p.DisableAPITermination), DisableAPIStop: api.Value(p.DisableAPIStop),
		ShutdownBehaviour: p.ShutdownBehaviour, SourceDestCheck: true, VPCID: p.subnet.VPCID, SubnetID: p.subnet.ID, Zone: p.subnet.Zone,
		PrivateIP: ip, MAC: mac(ip), InterfaceID: tx.ID("eni-"), AttachmentID: tx.ID("eni-attach-"), SecurityGroupIDs: p.groups,
		AutoPublicIP: p.subnet.MapPublicIP,
	}
	i.Volumes = s.makeDevices(tx, p, i.ID, i.Zone)
	if p.AssociatePublicIP != nil {
		i.AutoPublicIP = *p.AssociatePublicIP
	}
	if i.IamProfile != "" {
		i.ProfileAssociation = tx.ID("iip-assoc-")
	}
	if p.Spot {
		i.Lifecycle, i.Spot = "spot", p.SpotOptions
	}
	if i.AutoPublicIP {
		s.setPublic(tx, &i, s.publicAddress(tx), "")
	}
	s.Tag(tx, i.ID, mergedTags(p.Tags, template))
	s.Tag(tx, i.InterfaceID, p.InterfaceTags)
	for _, v := range i.Volumes {
		s.Tag(tx, v.ID, p.VolumeTags)
	}
	s.wish(tx, &i, wishLaunch)
	s.instances.Put(tx, i.ID, i)
	tx.Emit(Name, InstanceStateChanged{ID: i.ID, To: Pending})
	return i.ID, nil
}

// plan looks up and checks everything that a request names.
func (s *Service) plan(tx *cloud.Tx, r LaunchRequest) (plan, error) {
	p := plan{LaunchRequest: r}
	if err := s.mergeTemplate(tx, &p.LaunchRequest); err != nil {
		return p, err
	}
	p.defaults()
	if p.MinCount < 1 || p.MinCount > p.Count {
		return p, api.Errorf("InvalidParameterValue", "Invalid value '%d' for MinCount: it must be at least 1 and at most MaxCount (%d).", p.MinCount, p.Count)
	}
	for _, check := range []func(*Service, *cloud.Tx) error{p.findType, p.findImage, p.findSubnet, p.findGroups, p.findRest} {
		if err := check(s, tx); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *plan) defaults() {
	if p.Count == 0 {
		p.Count = max(1, p.MinCount)
	}
	if p.MinCount == 0 {
		p.MinCount = p.Count
	}
	p.InstanceType = cmp.Or(p.InstanceType, "m1.small")
	p.Tenancy = cmp.Or(p.Tenancy, "default")
	p.ShutdownBehaviour = cmp.Or(p.ShutdownBehaviour, "stop")
	m := &p.Metadata
	m.HTTPEndpoint, m.HTTPIPv6, m.InstanceTags = cmp.Or(m.HTTPEndpoint, "enabled"), cmp.Or(m.HTTPIPv6, "disabled"), cmp.Or(m.InstanceTags, "disabled")
}

func (p *plan) findType(*Service, *cloud.Tx) error {
	kind, ok := Type(p.InstanceType)
	if !ok {
		return api.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", p.InstanceType)
	}
	if p.kind = kind; p.CPUCredits == "" && kind.Burstable {
		p.CPUCredits = "unlimited" // EC-TY-01
		if strings.HasPrefix(kind.Name, "t2.") {
			p.CPUCredits = "standard"
		}
	}
	return nil
}

func (p *plan) findImage(s *Service, tx *cloud.Tx) error {
	if p.ImageID == "" {
		return api.Errorf("MissingParameter", "The request must contain the parameter ImageId")
	}
	id, err := s.resolve(tx, p.ImageID)
	if err != nil {
		return err
	}
	i, ok := s.Image(tx, id)
	switch {
	case !ok && s.options.AnyImage && wellFormed("ami-", id):
		i = standardImage()
		i.ID, i.Architecture = id, p.kind.Architecture
	case !ok:
		return noImage([]string{id})
	case i.State != imageAvailable:
		return api.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", id)
	case i.Architecture != p.kind.Architecture:
		return api.Errorf("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", p.kind.Architecture, i.Architecture)
	}
	p.image = i
	tokens, hops := "optional", 1
	if i.ImdsSupport == "v2.0" {
		tokens, hops = "required", 2
	}
	p.Metadata.HTTPTokens, p.Metadata.HopLimit = cmp.Or(p.Metadata.HTTPTokens, tokens), cmp.Or(p.Metadata.HopLimit, hops)
	return nil
}

// resolve gives the image ID that an SSM parameter stands for, if one is named.
func (s *Service) resolve(tx *cloud.Tx, image string) (string, error) {
	name, ok := strings.CutPrefix(image, "resolve:ssm:")
	if !ok {
		return image, nil
	}
	id, ok := s.parameters.Value(tx, name)
	if !ok {
		return "", api.Errorf("InvalidParameterValue", "Could not resolve SSM parameter '%s' to an image ID.", name)
	}
	return id, nil
}

func (p *plan) findSubnet(s *Service, tx *cloud.Tx) error {
	if p.Zone != "" && !slices.Contains(s.Zones(tx), p.Zone) {
		return api.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", p.Zone)
	}
	if p.SubnetID != "" {
		n, ok := s.subnets.Get(tx, p.SubnetID)
		if !ok {
			return noSubnet([]string{p.SubnetID})
		}
		if p.Zone != "" && p.Zone != n.Zone {
			return api.Errorf("InvalidParameterValue", "The availability zone '%s' does not match the availability zone '%s' of subnet '%s'.", p.Zone, n.Zone, n.ID)
		}
		p.subnet = n
		return nil
	}
	for _, zone := range s.Zones(tx) {
		if n, ok := s.defaultSubnet(tx, zone); ok && (p.Zone == "" || p.Zone == zone) {
			p.subnet = n
			return nil
		}
	}
	if v, ok := s.DefaultVPC(tx); ok {
		return api.Errorf("MissingInput", "No subnets found for the default VPC '%s'. Please specify a subnet.", v.ID)
	}
	return api.Errorf("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")
}

func (p *plan) findGroups(s *Service, tx *cloud.Tx) error {
	for _, id := range p.SecurityGroupIDs {
		g, ok := s.groups.Get(tx, id)
		if !ok {
			return noGroup([]string{id})
		}
		if g.VPCID != p.subnet.VPCID {
			return api.Errorf("InvalidParameter", "Security group %s and subnet %s belong to different networks.", g.ID, p.subnet.ID)
		}
		p.groups = append(p.groups, id)
	}
	for _, name := range p.SecurityGroups {
		g, ok := s.groupNamed(tx, p.subnet.VPCID, name)
		if !ok {
			return api.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", name, p.subnet.VPCID)
		}
		p.groups = append(p.groups, g.ID)
	}
	if len(p.groups) == 0 {
		v, _ := s.vpcs.Get(tx, p.subnet.VPCID)
		p.groups = []string{v.GroupID}
	}
	slices.Sort(p.groups)
	p.groups = slices.Compact(p.groups)
	return nil
}

func (p *plan) findRest(s *Service, tx *cloud.Tx) error {
	switch {
	case p.KeyName != "" && !s.keys.Has(tx, p.KeyName):
		return noKeyPair(p.KeyName)
	case len(p.UserData) > UserDataLimit:
		return api.Errorf("InvalidParameterValue", "User data is limited to %d bytes", UserDataLimit)
	case p.PrivateIP != "" && p.Count > 1:
		return api.Errorf("InvalidParameterCombination", "The parameter privateIpAddress cannot be used when launching more than one instance.")
	case p.Tenancy != "default":
		return api.Errorf("Unsupported", "The requested configuration is currently not supported. Tenancy '%s' is not available here.", p.Tenancy)
	case p.PlacementGroup != "":
		return api.Errorf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", p.PlacementGroup)
	}
	if err := p.Metadata.checkHopLimit(); err != nil {
		return err
	}
	if err := p.Metadata.checkMetadataTags(p.Tags); err != nil {
		return err
	}
	if err := p.findProfile(s, tx); err != nil {
		return err
	}
	if err := p.findDevices(s, tx); err != nil {
		return err
	}
	if limit := s.options.InstanceLimit; limit > 0 {
		living := 0
		for _, i := range s.instances.All(tx) {
			if i.State != Terminated && i.State != ShuttingDown {
				living++
			}
		}
		if living+p.MinCount > limit {
			return api.Errorf("InstanceLimitExceeded", "You have requested more instances (%d) than your current instance limit of %d allows for the specified instance type. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", living+p.MinCount, limit)
		}
		p.Count = min(p.Count, limit-living)
	}
	if p.PrivateIP != "" {
		_, err := s.privateAddress(tx, p.subnet, p.PrivateIP)
		return err
	}
	return nil
}
