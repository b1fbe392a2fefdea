package driver

import "regexp"

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)

// ValidID tells whether an instance or an image can have the ID: it becomes
// part of file names.
func ValidID(id string) bool { return idPattern.MatchString(id) }

// Validate is what every driver asks of a spec before it does anything.
func (s Spec) Validate() error {
	switch {
	case !ValidID(s.ID):
		return Errorf(CodeInvalid, "%q is not a valid instance ID.", s.ID)
	case !s.PrivateIP.Is4():
		return Errorf(CodeInvalid, "Instance %s has no IPv4 address.", s.ID)
	case !s.Subnet.Contains(s.PrivateIP):
		return Errorf(CodeInvalid, "The address %s of instance %s is not in its subnet %s.", s.PrivateIP, s.ID, s.Subnet)
	case len(s.Hostname) > 64:
		return Errorf(CodeInvalid, "The host name of instance %s is longer than 64 characters.", s.ID)
	}
	return nil
}
