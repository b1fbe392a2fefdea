package ec2

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// bound is who answers on which public address, as the wishes so far have it.
func (w *world) bound() map[string]string {
	all := map[string]string{}
	for _, b := range w.binds {
		if delete(all, b.PublicIP); b.PrivateIP != "" {
			all[b.PublicIP] = b.InstanceID
		}
	}
	return all
}

// wantBound compares that with what the rows say, and what clients are told.
func (w *world) wantBound() {
	w.t.Helper()
	want := map[string]string{}
	for _, i := range w.s.instances.Everywhere() {
		if i.answers() {
			want[i.PublicIP] = i.ID
		}
	}
	if diff := cmp.Diff(want, w.bound()); diff != "" {
		w.t.Errorf("who answers where: %s", diff)
	}
}

func (w *world) allocate() shape.AllocateAddressOutput {
	w.t.Helper()
	return *call[shape.AllocateAddressOutput](w, &shape.AllocateAddressInput{Domain: new("vpc")})
}

func (w *world) associate(allocation, instance string) string {
	w.t.Helper()
	in := &shape.AssociateAddressInput{AllocationId: &allocation, InstanceId: &instance}
	return *call[shape.AssociateAddressOutput](w, in).AssociationId
}

func (w *world) stop(id string) {
	w.t.Helper()
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
}

func (w *world) start(id string) {
	w.t.Helper()
	call[shape.StartInstancesOutput](w, &shape.StartInstancesInput{InstanceIds: []string{id}})
}

func (w *world) address(allocation string) shape.Address {
	w.t.Helper()
	in := &shape.DescribeAddressesInput{AllocationIds: []string{allocation}}
	return call[shape.DescribeAddressesOutput](w, in).Addresses[0]
}

func (w *world) public(id string) string {
	w.t.Helper()
	if ip := w.see(id).PublicIpAddress; ip != nil {
		return *ip
	}
	return ""
}

// EC-IP-01, EC-IP-02, EC-IP-04, EC-IP-05: an Elastic IP goes from instance to instance.
func TestElasticIPMoves(t *testing.T) {
	w := newWorld(t, Options{})
	ids := w.run(2)
	a, b := ids[0], ids[1]
	before := w.public(a)
	eip := w.allocate()
	association := w.associate(*eip.AllocationId, a)
	w.wantBound()
	if got := w.public(a); got != *eip.PublicIp {
		t.Errorf("the instance shows %s", got)
	}
	if w.s.taken(before) {
		t.Error("EC-IP-04: the automatic address is still taken")
	}
	n := w.see(a).NetworkInterfaces[0]
	if *n.Association.IpOwnerId != here.Account || *n.Association.PublicIp != *eip.PublicIp || *w.see(a).PublicDnsName == "" {
		t.Errorf("%+v", n.Association)
	}
	eni := call[shape.DescribeNetworkInterfacesOutput](w, &shape.DescribeNetworkInterfacesInput{
		Filters: []shape.Filter{{Name: new("association.allocation-id"), Values: []string{*eip.AllocationId}}},
	}).NetworkInterfaces
	if len(eni) != 1 || *eni[0].Association.AssociationId != association || *eni[0].Attachment.InstanceId != a {
		t.Errorf("%+v", eni)
	}
	if again := w.associate(*eip.AllocationId, a); again != association {
		t.Errorf("EC-IP-02: another association, %s after %s", again, association)
	}
	in := &shape.AssociateAddressInput{AllocationId: eip.AllocationId, NetworkInterfaceId: w.see(b).NetworkInterfaces[0].NetworkInterfaceId, AllowReassociation: new(false)}
	w.refused(in, "Resource.AlreadyAssociated")
	in.AllowReassociation = nil
	w.binds = nil
	moved := *call[shape.AssociateAddressOutput](w, in).AssociationId
	if moved == association || w.public(b) != *eip.PublicIp {
		t.Error("the address did not move")
	}
	if bound := w.bound(); bound[*eip.PublicIp] != b || w.public(a) == "" || w.public(a) == before || bound[w.public(a)] != a {
		t.Errorf("EC-IP-05: %v", bound)
	}
	other := w.allocate()
	w.associate(*other.AllocationId, b)
	if first := w.address(*eip.AllocationId); first.AssociationId != nil || first.InstanceId != nil {
		t.Error("EC-IP-04: the other Elastic IP is still associated")
	}
	call[shape.DisassociateAddressOutput](w, &shape.DisassociateAddressInput{AssociationId: w.address(*other.AllocationId).AssociationId})
	if ip := w.public(b); ip == "" || ip == *other.PublicIp || ip == *eip.PublicIp {
		t.Errorf("EC-IP-05: after disassociation the address is %q", ip)
	}
}

// EC-IP-05 [I]: an instance without automatic assignment gets none back.
func TestNoAutomaticAddress(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.NetworkInterfaces = []shape.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(int32(0)), AssociatePublicIpAddress: new(false)}}
	})[0]
	eip := w.allocate()
	association := w.associate(*eip.AllocationId, id)
	call[shape.DisassociateAddressOutput](w, &shape.DisassociateAddressInput{AssociationId: &association})
	if ip := w.public(id); ip != "" {
		t.Errorf("it has %s", ip)
	}
	if len(w.bound()) != 0 {
		t.Errorf("%v", w.bound())
	}
}

// EC-IP-07: stop, start, reboot and terminate; a standby that is stopped does not answer, and does when it is started.
func TestElasticIPOverStopAndStart(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	eip := w.allocate()
	association := w.associate(*eip.AllocationId, id)
	w.stop(id)
	if w.public(id) != *eip.PublicIp || len(w.bound()) != 0 {
		t.Errorf("stopped: %q, %v", w.public(id), w.bound())
	}
	w.start(id)
	w.wantBound()
	if a := w.address(*eip.AllocationId); *a.AssociationId != association || w.public(id) != *eip.PublicIp || w.bound()[*eip.PublicIp] != id {
		t.Errorf("started: %q, %v", w.public(id), w.bound())
	}
	call[shape.RebootInstancesOutput](w, &shape.RebootInstancesInput{InstanceIds: []string{id}})
	if w.public(id) != *eip.PublicIp {
		t.Error("a reboot changed the address")
	}
	w.stop(id)
	call[shape.DisassociateAddressOutput](w, &shape.DisassociateAddressInput{PublicIp: eip.PublicIp})
	if w.public(id) != "" {
		t.Error("a stopped instance got an automatic address")
	}
	w.start(id)
	if ip := w.public(id); ip == "" || ip == *eip.PublicIp || w.bound()[ip] != id {
		t.Errorf("EC-IP-07: %q, %v", ip, w.bound())
	}
	w.associate(*eip.AllocationId, id)
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: []string{id}})
	if a := w.address(*eip.AllocationId); a.AssociationId != nil || len(w.bound()) != 0 {
		t.Errorf("terminated: %+v, %v", a, w.bound())
	}
	call[shape.ReleaseAddressOutput](w, &shape.ReleaseAddressInput{AllocationId: eip.AllocationId})
	w.refused(&shape.ReleaseAddressInput{AllocationId: eip.AllocationId}, "InvalidAllocationID.NotFound")
}

// EC-IP-06, EC-IP-08: what is refused, and with which code.
func TestElasticIPRefuses(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	first := w.allocate()
	for range addressLimit - 1 {
		w.allocate()
	}
	w.refused(&shape.AllocateAddressInput{}, "AddressLimitExceeded")
	association := w.associate(*first.AllocationId, id)
	w.refused(&shape.ReleaseAddressInput{AllocationId: first.AllocationId}, "InvalidIPAddress.InUse")
	for code, in := range map[string]any{
		"InvalidAllocationID.NotFound":       &shape.AssociateAddressInput{AllocationId: new("eipalloc-0123456789abcdef0"), InstanceId: &id},
		"InvalidAddress.NotFound":            &shape.ReleaseAddressInput{PublicIp: new("127.64.255.254")},
		"InvalidAssociationID.NotFound":      &shape.DisassociateAddressInput{AssociationId: new("eipassoc-0123456789abcdef0")},
		"InvalidInstanceID.NotFound":         &shape.AssociateAddressInput{AllocationId: first.AllocationId, InstanceId: new("i-0123456789abcdef0")},
		"InvalidNetworkInterfaceID.NotFound": &shape.AssociateAddressInput{AllocationId: first.AllocationId, NetworkInterfaceId: new("eni-0123456789abcdef0")},
		"MissingParameter":                   &shape.AssociateAddressInput{AllocationId: first.AllocationId},
		"InvalidParameterCombination":        &shape.AssociateAddressInput{AllocationId: first.AllocationId, PublicIp: first.PublicIp, InstanceId: &id},
		"InvalidParameterValue":              &shape.AssociateAddressInput{AllocationId: first.AllocationId, InstanceId: &id, PrivateIpAddress: new("172.31.0.77")},
		"InvalidPublicIpv4PoolID.NotFound":   &shape.AllocateAddressInput{PublicIpv4Pool: new("ipv4pool-ec2-0123456789abcdef0")},
		"DryRunOperation":                    &shape.DisassociateAddressInput{AssociationId: &association, DryRun: new(true)},
	} {
		w.refused(in, code)
	}
	w.refused(&shape.DescribeAddressesInput{AllocationIds: []string{"eipalloc-0123456789abcdef0"}}, "InvalidAllocationID.NotFound")
	w.refused(&shape.DescribeAddressesInput{PublicIps: []string{"1.2.3.4"}}, "InvalidAddress.NotFound")
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: []string{id}})
	w.refused(&shape.AssociateAddressInput{AllocationId: first.AllocationId, InstanceId: &id}, "InvalidInstanceID")
	w.scope = cloud.Scope{Account: "210987654321", Region: "us-east-1"}
	w.refused(&shape.ReleaseAddressInput{PublicIp: first.PublicIp}, "AuthFailure")
	w.refused(&shape.AllocateAddressInput{Address: first.PublicIp}, "InvalidAddress.NotFound")
	w.scope = here
	call[shape.ReleaseAddressOutput](w, &shape.ReleaseAddressInput{AllocationId: first.AllocationId})
	again := call[shape.AllocateAddressOutput](w, &shape.AllocateAddressInput{Address: first.PublicIp})
	if *again.PublicIp != *first.PublicIp || *again.AllocationId == *first.AllocationId {
		t.Errorf("recovered %s", *again.PublicIp)
	}
}

// Every filter of DescribeAddresses finds the one address and not the other.
func TestDescribeAddressesFilters(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	tags := []shape.TagSpecification{{ResourceType: new("elastic-ip"), Tags: []shape.Tag{{Key: new("Name"), Value: new("web")}}}}
	eip := call[shape.AllocateAddressOutput](w, &shape.AllocateAddressInput{TagSpecifications: tags})
	w.allocate()
	association := w.associate(*eip.AllocationId, id)
	i := w.see(id)
	for name, value := range map[string]string{
		"allocation-id": *eip.AllocationId, "association-id": association, "instance-id": id, "public-ip": *eip.PublicIp,
		"network-interface-id": *i.NetworkInterfaces[0].NetworkInterfaceId, "network-interface-owner-id": here.Account,
		"private-ip-address": *i.PrivateIpAddress, "tag:Name": "w*", "tag-key": "Name",
	} {
		in := &shape.DescribeAddressesInput{Filters: []shape.Filter{{Name: new(name), Values: []string{value}}}}
		found := call[shape.DescribeAddressesOutput](w, in).Addresses
		if len(found) != 1 || *found[0].AllocationId != *eip.AllocationId || *found[0].InstanceId != id {
			t.Errorf("%s=%s finds %+v", name, value, found)
		}
	}
	for name, value := range map[string]string{"domain": "vpc", "network-border-group": "us-east-1"} {
		in := &shape.DescribeAddressesInput{Filters: []shape.Filter{{Name: new(name), Values: []string{value}}}}
		if found := call[shape.DescribeAddressesOutput](w, in).Addresses; len(found) != 2 {
			t.Errorf("%s=%s finds %d", name, value, len(found))
		}
	}
	w.refused(&shape.DescribeAddressesInput{Filters: []shape.Filter{{Name: new("color"), Values: []string{"red"}}}}, "InvalidParameterValue")
}

// Over random histories, with restarts, one instance at most answers on an address, and it is the one that the rows say.
func TestWhoAnswersFollowsTheRows(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, Options{})
		random := rand.New(rand.NewPCG(seed, 1))
		ids := w.run(4)
		var eips []string
		for range 3 {
			eips = append(eips, *w.allocate().AllocationId)
		}
		for range 60 {
			id, eip := ids[random.IntN(len(ids))], eips[random.IntN(len(eips))]
			var in any
			switch random.IntN(9) {
			case 0:
				in = &shape.StopInstancesInput{InstanceIds: []string{id}}
			case 1:
				in = &shape.StartInstancesInput{InstanceIds: []string{id}}
			case 2:
				in = &shape.DisassociateAddressInput{PublicIp: w.address(eip).PublicIp}
			case 3:
				if random.IntN(4) == 0 {
					in = &shape.TerminateInstancesInput{InstanceIds: []string{id}}
					ids = append(ids, w.run(1)...)
				}
			case 4:
				w.observe(InstanceExited{ID: id, Reason: ExitPoweroff})
			case 5:
				w.hold = random.IntN(2) == 0
			default:
				in = &shape.AssociateAddressInput{AllocationId: &eip, InstanceId: &id}
			}
			if in != nil {
				w.any(in)
			}
			w.wantBound()
			w.pass(time.Duration(random.IntN(30)) * time.Second)
		}
		after := w.reload()
		after.pass(time.Second)
		after.step(cloud.Tick{})
		for ip, id := range w.bound() {
			if after.bound()[ip] != id {
				t.Errorf("seed %d: after a load %s is not bound to %s again", seed, ip, id)
			}
		}
		if !maps.Equal(w.bound(), after.bound()) {
			t.Errorf("seed %d: after a load %v, before %v", seed, after.bound(), w.bound())
		}
	}
}

// any calls an operation that may be refused.
func (w *world) any(in any) {
	switch in := in.(type) {
	case *shape.StopInstancesInput:
		try[shape.StopInstancesOutput](w, in)
	case *shape.StartInstancesInput:
		try[shape.StartInstancesOutput](w, in)
	case *shape.TerminateInstancesInput:
		try[shape.TerminateInstancesOutput](w, in)
	case *shape.DisassociateAddressInput:
		try[shape.DisassociateAddressOutput](w, in)
	case *shape.AssociateAddressInput:
		try[shape.AssociateAddressOutput](w, in)
	}
}

// The attributes of an interface are its instance's.
func TestNetworkInterfaceAttributes(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	eni := w.see(id).NetworkInterfaces[0].NetworkInterfaceId
	group := call[shape.CreateSecurityGroupOutput](w, &shape.CreateSecurityGroupInput{GroupName: new("web"), Description: new("web")})
	call[shape.ModifyNetworkInterfaceAttributeOutput](w, &shape.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: eni, Groups: []string{*group.GroupId}})
	call[shape.ModifyNetworkInterfaceAttributeOutput](w, &shape.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: eni, SourceDestCheck: &shape.AttributeBooleanValue{Value: new(false)},
	})
	if i := w.see(id); *i.SecurityGroups[0].GroupName != "web" || *i.SourceDestCheck {
		t.Errorf("%+v", i.SecurityGroups)
	}
	for _, attribute := range []string{"description", "groupSet", "sourceDestCheck", "attachment", "associatePublicIpAddress"} {
		call[shape.DescribeNetworkInterfaceAttributeOutput](w, &shape.DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: eni, Attribute: &attribute})
	}
	w.refused(&shape.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: new("eni-0123456789abcdef0"), Groups: []string{"sg-1"}}, "InvalidNetworkInterfaceID.NotFound")
}
