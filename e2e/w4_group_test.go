package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestW4Group is the walkthrough with a group that keeps one instance in one of two zones: the replacement takes the address
// over by itself, if its role allows it.
func TestW4Group(t *testing.T) {
	needFailover(t)
	t.Parallel()
	s := start(t, "--time-scale", "30")
	ip, holder := s.webGroup()
	var outages []outage
	for len(outages) < 2 || !short(outages) && len(outages) < 4 { // to the other zone, and back
		next, o := s.failover(ip, holder)
		if zone := s.zoneOf(holder); s.zoneOf(next) == zone {
			t.Errorf("%s and %s are in %s", holder, next, zone)
		}
		if got := s.awaitInService("web", 1, 60*time.Second); got[0] != next {
			t.Errorf("%s answers, in service is %v", next, got)
		}
		holder, outages = next, append(outages, o)
	}
	s.testShort(outages)

	// A role that may not: the replacement is refused, and nobody answers.
	s.allow("web", strings.ReplaceAll(s.w4("group/policy.json"), `, "ec2:AssociateAddress"`, ""))
	s.kill(holder)
	var third string
	eventually(t, 60*time.Second, "another one is in service", func() bool {
		ids := s.inService("web")
		if len(ids) == 1 && ids[0] != holder {
			third = ids[0]
		}
		return third != ""
	})
	console := ""
	eventually(t, 60*time.Second, "it says what it was refused", func() bool {
		console = s.text("ec2", "get-console-output", "--instance-id", third, "--latest", "--query", "Output")
		return console != ""
	})
	if !strings.Contains(console, "(UnauthorizedOperation) when calling the AssociateAddress operation") {
		t.Errorf("the console of %s says %q", third, console)
	}
	if got, err := asked(ip); err == nil {
		t.Errorf("the address answers %q", got)
	}
}

// webGroup makes the group, and returns the address and who answers there.
func (s *server) webGroup() (ip, holder string) {
	s.t.Helper()
	s.profile("web", s.w4("group/policy.json"))
	_, ip = s.address("web")
	s.groupOfOne("web", s.w4("group/user-data.sh"))
	holder = s.awaitInService("web", 1, 60*time.Second)[0]
	s.awaitAnswer(ip, holder)
	return ip, holder
}
