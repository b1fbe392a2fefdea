package driver

import (
	"regexp"
	"strings"
)

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
	if s.Sandbox != nil {
		return s.Sandbox.validate(s)
	}
	return nil
}

var devicePattern = regexp.MustCompile(`^(/dev/)?(sd|xvd)([a-z]{1,2})([0-9]{0,2})$`)

// DeviceNames gives the names below /dev that a guest finds a volume under when
// a device name was asked for; none if the name is not good.
func DeviceNames(device string) []string {
	m := devicePattern.FindStringSubmatch(device)
	if m == nil {
		return nil
	}
	names := []string{"sd" + m[3] + m[4], "xvd" + m[3] + m[4]}
	if strings.HasPrefix(m[2], "xvd") {
		names[0], names[1] = names[1], names[0]
	}
	return names
}
