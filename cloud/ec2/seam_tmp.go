package ec2

import "github.com/billow-cloud/billow/cloud"

// Service is EC2.
type Service struct{ cloud.Base }

func (s *Service) Launch(tx *cloud.Tx, r LaunchRequest) ([]string, error)      { panic("not yet") }
func (s *Service) ValidateLaunch(tx *cloud.Tx, r LaunchRequest) error          { panic("not yet") }
func (s *Service) Terminate(tx *cloud.Tx, ids []string, reason string) error   { panic("not yet") }
func (s *Service) Stop(tx *cloud.Tx, ids []string, force bool) error           { panic("not yet") }
func (s *Service) Start(tx *cloud.Tx, ids []string) error                      { panic("not yet") }
func (s *Service) Reboot(tx *cloud.Tx, ids []string) error                     { panic("not yet") }
func (s *Service) Instance(tx *cloud.Tx, id string) (Instance, bool)           { panic("not yet") }
func (s *Service) Subnet(tx *cloud.Tx, id string) (Subnet, bool)               { panic("not yet") }
func (s *Service) VPC(tx *cloud.Tx, id string) (VPC, bool)                     { panic("not yet") }
func (s *Service) DefaultVPC(tx *cloud.Tx) (VPC, bool)                         { panic("not yet") }
func (s *Service) DefaultSubnets(tx *cloud.Tx) []Subnet                        { panic("not yet") }
func (s *Service) Zones(tx *cloud.Tx) []string                                 { panic("not yet") }
func (s *Service) SecurityGroup(tx *cloud.Tx, id string) (SecurityGroup, bool) { panic("not yet") }
func (s *Service) Status(tx *cloud.Tx, id string) string                       { panic("not yet") }
func (s *Service) Tag(tx *cloud.Tx, resourceID string, tags []Tag)             { panic("not yet") }
func (s *Service) Tags(tx *cloud.Tx, resourceID string) []Tag                  { panic("not yet") }
func (s *Service) SetTargetLifecycleState(tx *cloud.Tx, id, state string)      { panic("not yet") }
func (s *Service) Template(tx *cloud.Tx, idOrName, version string) (Template, TemplateVersion, error) {
	panic("not yet")
}

// Request gives what instances of this template version would be launched with.
func (v TemplateVersion) Request() LaunchRequest { panic("not yet") }

// RequestOf gives what would launch another instance like this one (AS-LC: a launch configuration from an instance).
func (s *Service) RequestOf(tx *cloud.Tx, id string) (LaunchRequest, bool) { panic("not yet") }
