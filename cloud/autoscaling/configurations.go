package autoscaling

import "time"

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
}
