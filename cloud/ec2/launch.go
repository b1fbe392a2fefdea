package ec2

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
	SecurityGroups   []string // names, in the default VPC only
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

// BlockDevice is a block device mapping of an image, a template or a request.
type BlockDevice struct {
	Device              string
	NoDevice            bool
	VirtualName         string
	SnapshotID          string
	Type                string
	Size                int
	Iops, Throughput    int
	Encrypted           bool
	DeleteOnTermination *bool
}
