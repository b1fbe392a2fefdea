package ec2

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// What a new account finds is there at the first read, the same at the next one, and different in other scopes.
func TestDefaultNetwork(t *testing.T) {
	w := newWorld(t, Options{})
	see := func() (string, []shape.Subnet) {
		vpcs := call[shape.DescribeVpcsOutput](w, &shape.DescribeVpcsInput{Filters: filter("is-default", "true")}).Vpcs
		if len(vpcs) != 1 || *vpcs[0].CidrBlock != "172.31.0.0/16" {
			t.Fatalf("%+v", vpcs)
		}
		return *vpcs[0].VpcId, call[shape.DescribeSubnetsOutput](w, &shape.DescribeSubnetsInput{Filters: filter("vpc-id", *vpcs[0].VpcId)}).Subnets
	}
	vpc, subnets := see()
	again, _ := see()
	if vpc != again {
		t.Error("IDs are not stable")
	}
	blocks := map[string]string{"172.31.0.0/20": "us-east-1a", "172.31.16.0/20": "us-east-1b", "172.31.32.0/20": "us-east-1c"}
	for _, n := range subnets {
		if blocks[*n.CidrBlock] != *n.AvailabilityZone || !*n.DefaultForAz || !*n.MapPublicIpOnLaunch || *n.AvailableIpAddressCount != 4091 {
			t.Errorf("%s in %s", *n.CidrBlock, *n.AvailabilityZone)
		}
		delete(blocks, *n.CidrBlock)
	}
	if len(blocks) != 0 {
		t.Errorf("missing %v", blocks)
	}
	groups := call[shape.DescribeSecurityGroupsOutput](w, &shape.DescribeSecurityGroupsInput{GroupNames: []string{"default"}}).SecurityGroups
	if len(groups) != 1 || len(groups[0].IpPermissions) != 1 || *groups[0].IpPermissions[0].UserIdGroupPairs[0].GroupId != *groups[0].GroupId {
		t.Errorf("%+v", groups)
	}
	tables := call[shape.DescribeRouteTablesOutput](w, &shape.DescribeRouteTablesInput{Filters: filter("association.main", "true")}).RouteTables
	gateways := call[shape.DescribeInternetGatewaysOutput](w, &shape.DescribeInternetGatewaysInput{Filters: filter("attachment.vpc-id", vpc)}).InternetGateways
	if *tables[0].Routes[1].GatewayId != *gateways[0].InternetGatewayId {
		t.Error("the main table leads to the gateway")
	}
	if acls := call[shape.DescribeNetworkAclsOutput](w, &shape.DescribeNetworkAclsInput{}).NetworkAcls; len(acls) != 1 || len(acls[0].Associations) != 3 {
		t.Errorf("%+v", acls)
	}
	if len(call[shape.DescribeDhcpOptionsOutput](w, &shape.DescribeDhcpOptionsInput{}).DhcpOptions) != 1 {
		t.Error("no DHCP options")
	}
	w.scope = cloud.Scope{Account: here.Account, Region: "eu-west-1"}
	if other, n := see(); other == vpc || *n[0].AvailabilityZoneId != "euw1-az"+string('1'+(*n[0].AvailabilityZone)[9]-'a') {
		t.Errorf("%s %s", other, *n[0].AvailabilityZoneId)
	}
	w.scope = here
	for _, n := range subnets {
		call[shape.DeleteSubnetOutput](w, &shape.DeleteSubnetInput{SubnetId: n.SubnetId})
	}
	call[shape.DeleteVpcOutput](w, &shape.DeleteVpcInput{VpcId: &vpc})
	w.refused(&shape.RunInstancesInput{ImageId: &builtins[0].ID, MinCount: new(int32(1)), MaxCount: new(int32(1))}, "VPCIdNotSpecified")
	call[shape.CreateDefaultVpcOutput](w, &shape.CreateDefaultVpcInput{})
	w.refused(&shape.CreateDefaultVpcInput{}, "DefaultVpcAlreadyExists")
	w.run(1)
}

func TestSubnetsMustFit(t *testing.T) {
	w := newWorld(t, Options{})
	vpc := call[shape.CreateVpcOutput](w, &shape.CreateVpcInput{CidrBlock: new("10.1.0.7/16")}).Vpc
	if *vpc.CidrBlock != "10.1.0.0/16" {
		t.Error(*vpc.CidrBlock)
	}
	call[shape.CreateSubnetOutput](w, &shape.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: new("10.1.0.0/24")})
	for block, code := range map[string]string{ // any order: each is refused
		"10.1.0.128/25": "InvalidSubnet.Conflict", "10.2.0.0/24": "InvalidSubnet.Range", "10.1.1.0/29": "InvalidSubnet.Range", "10.1": "InvalidParameterValue",
	} {
		w.refused(&shape.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: &block}, code)
	}
	w.refused(&shape.DeleteVpcInput{VpcId: vpc.VpcId}, "DependencyViolation")
	w.refused(&shape.DeleteVpcInput{VpcId: new("vpc-00000000000000000")}, "InvalidVpcID.NotFound")
}

func TestSecurityGroups(t *testing.T) {
	w := newWorld(t, Options{})
	id := call[shape.CreateSecurityGroupOutput](w, &shape.CreateSecurityGroupInput{GroupName: new("web"), Description: new("web")}).GroupId
	w.refused(&shape.CreateSecurityGroupInput{GroupName: new("web"), Description: new("web")}, "InvalidGroup.Duplicate")
	w.refused(&shape.CreateSecurityGroupInput{GroupName: new("wäb"), Description: new("web")}, "InvalidParameterValue")
	w.refused(&shape.CreateSecurityGroupInput{GroupName: new("two"), Description: new("wéb")}, "InvalidParameterValue")
	tcp := func(from, to int32, cidr string) []shape.IpPermission {
		return []shape.IpPermission{{IpProtocol: new("tcp"), FromPort: &from, ToPort: &to, IpRanges: []shape.IpRange{{CidrIp: &cidr}}}}
	}
	rules := call[shape.AuthorizeSecurityGroupIngressOutput](w, &shape.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(80, 80, "0.0.0.0/0")}).SecurityGroupRules
	call[shape.AuthorizeSecurityGroupIngressOutput](w, &shape.AuthorizeSecurityGroupIngressInput{
		GroupName: new("web"), IpProtocol: new("tcp"), FromPort: new(int32(22)), ToPort: new(int32(22)), CidrIp: new("10.0.0.0/8"),
	})
	duplicate := w.refused(&shape.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(80, 80, "0.0.0.0/0")}, "InvalidPermission.Duplicate")
	if duplicate.Message != `the specified rule "peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW" already exists` {
		t.Error(duplicate.Message)
	}
	w.refused(&shape.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(90, 80, "0.0.0.0/0")}, "InvalidParameterValue")
	w.refused(&shape.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(80, 80, "0.0.0/0")}, "InvalidParameterValue")
	w.refused(&shape.RevokeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(81, 81, "0.0.0.0/0")}, "InvalidPermission.NotFound")
	call[shape.RevokeSecurityGroupIngressOutput](w, &shape.RevokeSecurityGroupIngressInput{GroupId: id, SecurityGroupRuleIds: []string{*rules[0].SecurityGroupRuleId}})
	g := call[shape.DescribeSecurityGroupsOutput](w, &shape.DescribeSecurityGroupsInput{Filters: filter("ip-permission.from-port", "22")}).SecurityGroups
	if len(g) != 1 || len(g[0].IpPermissions) != 1 || *g[0].IpPermissions[0].IpRanges[0].CidrIp != "10.0.0.0/8" || len(g[0].IpPermissionsEgress) != 1 {
		t.Errorf("%+v", g)
	}
	instance := w.run(1, func(in *shape.RunInstancesInput) { in.SecurityGroups = []string{"web"} })
	w.refused(&shape.DeleteSecurityGroupInput{GroupId: id}, "DependencyViolation")
	w.refused(&shape.DeleteSecurityGroupInput{GroupName: new("default")}, "CannotDelete")
	call[shape.TerminateInstancesOutput](w, &shape.TerminateInstancesInput{InstanceIds: instance})
	call[shape.DeleteSecurityGroupOutput](w, &shape.DeleteSecurityGroupInput{GroupId: id})
	w.refused(&shape.DescribeSecurityGroupsInput{GroupIds: []string{*id}}, "InvalidGroup.NotFound")
}

func TestKeyPairs(t *testing.T) {
	w := newWorld(t, Options{})
	rsa := call[shape.CreateKeyPairOutput](w, &shape.CreateKeyPairInput{KeyName: new("r")})
	block, _ := pem.Decode([]byte(*rsa.KeyMaterial))
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil || private.Validate() != nil || len(*rsa.KeyFingerprint) != 59 {
		t.Errorf("%v %s", err, *rsa.KeyFingerprint)
	}
	ed := call[shape.CreateKeyPairOutput](w, &shape.CreateKeyPairInput{KeyName: new("e"), KeyType: new("ed25519")})
	w.refused(&shape.CreateKeyPairInput{KeyName: new("e")}, "InvalidKeyPair.Duplicate")
	w.refused(&shape.ImportKeyPairInput{KeyName: new("i"), PublicKeyMaterial: []byte("ssh-rsa AAAA")}, "InvalidKey.Format")
	w.refused(&shape.DescribeKeyPairsInput{KeyNames: []string{"x"}}, "InvalidKeyPair.NotFound")
	all := call[shape.DescribeKeyPairsOutput](w, &shape.DescribeKeyPairsInput{IncludePublicKey: new(true)}).KeyPairs
	if len(all) != 2 {
		t.Fatal(len(all))
	}
	for n, k := range all { // a public key is read back to the same key
		in := call[shape.ImportKeyPairOutput](w, &shape.ImportKeyPairInput{KeyName: new(*k.KeyName + "-again"), PublicKeyMaterial: []byte(*k.PublicKey)})
		if n == 0 && *in.KeyFingerprint != *ed.KeyFingerprint {
			t.Error("ed25519 fingerprints are those of the public key")
		}
		if n == 1 && len(*in.KeyFingerprint) != 47 {
			t.Errorf("an imported RSA key has an MD5 fingerprint: %s", *in.KeyFingerprint)
		}
	}
	call[shape.DeleteKeyPairOutput](w, &shape.DeleteKeyPairInput{KeyName: new("r")})
	call[shape.DeleteKeyPairOutput](w, &shape.DeleteKeyPairInput{KeyName: new("r")})
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed: private keys were not read by OpenSSH")
	}
	for name, k := range map[string]*shape.CreateKeyPairOutput{"r": rsa, "e": ed} { // any order: each on its own
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(*k.KeyMaterial+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		public, err := exec.Command(keygen, "-y", "-f", file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v %s", name, err, public)
		}
		for _, info := range all {
			if *info.KeyName == name && !strings.HasPrefix(*info.PublicKey, strings.Join(strings.Fields(string(public))[:2], " ")) {
				t.Errorf("%s: OpenSSH reads another public key", name)
			}
		}
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	tag := func(key, value string) []shape.Tag { return []shape.Tag{{Key: &key, Value: &value}} }
	call[shape.CreateTagsOutput](w, &shape.CreateTagsInput{Resources: []string{id}, Tags: append(tag("Name", "web"), tag("stage", "test")...)})
	w.refused(&shape.CreateTagsInput{Resources: []string{id}, Tags: tag("aws:x", "y")}, "InvalidParameterValue")
	w.refused(&shape.CreateTagsInput{Resources: []string{"i-00000000000000000"}, Tags: tag("x", "y")}, "InvalidInstanceID.NotFound")
	w.refused(&shape.CreateTagsInput{Resources: []string{"what"}, Tags: tag("x", "y")}, "InvalidID")
	for name, values := range map[string][]string{"tag:Name": {"w*"}, "tag-key": {"stage"}, "tag:stage": {"prod", "test"}} { // any order
		out := call[shape.DescribeInstancesOutput](w, &shape.DescribeInstancesInput{Filters: filter(name, values...)})
		if len(out.Reservations) != 1 {
			t.Errorf("%s %v finds %d", name, values, len(out.Reservations))
		}
	}
	if out := call[shape.DescribeInstancesOutput](w, &shape.DescribeInstancesInput{Filters: filter("tag:Name", "other")}); len(out.Reservations) != 0 {
		t.Error("found by another name")
	}
	call[shape.DeleteTagsOutput](w, &shape.DeleteTagsInput{Resources: []string{id}, Tags: tag("Name", "not web")})
	first := call[shape.DescribeTagsOutput](w, &shape.DescribeTagsInput{Filters: filter("resource-type", "instance"), MaxResults: new(int32(1))})
	second := call[shape.DescribeTagsOutput](w, &shape.DescribeTagsInput{Filters: filter("resource-type", "instance"), MaxResults: new(int32(1)), NextToken: first.NextToken})
	if *first.Tags[0].Key != "Name" || *second.Tags[0].Key != "stage" || second.NextToken != nil {
		t.Errorf("%+v %+v", first, second)
	}
	call[shape.DeleteTagsOutput](w, &shape.DeleteTagsInput{Resources: []string{id}, Tags: []shape.Tag{{Key: new("Name")}}})
	if got := w.see(id).Tags; len(got) != 1 {
		t.Errorf("%d tags", len(got))
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"a*c", "abbc", true}, {"a*c", "abbd", false}, {"a?c", "abc", true}, {"?", "", false}, {"*b*b*", "abab", true},
		{`a\*c`, "a*c", true}, {`a\*c`, "abc", false}, {"ubuntu/*-22.04-*", "ubuntu/x-22.04-y", true}, {"abc", "abcd", false}, {"*d", "abcd", true},
	} {
		if got := like(c.pattern, c.s); got != c.want {
			t.Errorf("%q %q: %v", c.pattern, c.s, got)
		}
	}
}

func TestPagesOfInstances(t *testing.T) {
	w := newWorld(t, Options{})
	w.run(12)
	var token *string
	seen := map[string]bool{}
	for page := range 4 {
		out := call[shape.DescribeInstancesOutput](w, &shape.DescribeInstancesInput{MaxResults: new(int32(5)), NextToken: token, Filters: filter("instance-state-name", "running")})
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				seen[*i.InstanceId] = true
			}
		}
		if token = out.NextToken; token == nil {
			if page != 2 {
				t.Errorf("ended at page %d", page)
			}
			break
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d instances in all pages", len(seen))
	}
	w.refused(&shape.DescribeInstancesInput{MaxResults: new(int32(5)), InstanceIds: []string{"i-00000000000000000"}}, "InvalidParameterCombination")
	w.refused(&shape.DescribeImagesInput{MaxResults: new(int32(-1))}, "InvalidParameterValue")
	w.refused(&shape.DescribeTagsInput{MaxResults: new(int32(0))}, "InvalidParameterValue")
}
