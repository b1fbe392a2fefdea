package ec2

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// MetadataInput asks for what the metadata service tells one instance: that with the ID or, if there is none, that with
// the private address. The call's scope does not matter.
type MetadataInput struct{ InstanceID, PrivateIP string }

// MetadataOutput is everything that a metadata server needs to answer one instance.
type MetadataOutput struct {
	InstanceID string
	Scope      cloud.Scope
	Options    MetadataOptions // EC-MD-01..03: tokens, hop limit, whether it answers at all
	// Items are the leaves, in order of path, below /latest/: "meta-data/instance-id", "dynamic/instance-identity/document".
	// A path that has others below it is a directory, listed by the next words, directories with a slash, or by its value.
	Items    []MetadataItem
	UserData []byte // /latest/user-data; nil is 404
}

// credentialsPath is where the credentials of an instance's role are.
const credentialsPath = "meta-data/iam/security-credentials/"

// MetadataItem is one leaf.
type MetadataItem struct{ Path, Value string }

var metadataTagKey = regexp.MustCompile(`^[0-9a-zA-Z\-_+=,.@:]{1,255}$`)

// checkMetadataTags refuses tags of an instance that its metadata service could not tell as paths (EC-IN-09).
func (m MetadataOptions) checkMetadataTags(tags []Tag) error {
	for _, t := range tags {
		reserved := t.Key == "." || t.Key == ".." || t.Key == "_index"
		if m.InstanceTags == "enabled" && (reserved || !metadataTagKey.MatchString(t.Key)) {
			return api.Errorf("InvalidParameterValue", `'%s' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{1,255}), and must not be a reserved name ('.', '..', '_index')`, t.Key)
		}
	}
	return nil
}

// checkHopLimit refuses what is not from 1 to 64 (EC-MD-03).
func (m MetadataOptions) checkHopLimit() error {
	if m.HopLimit < 1 || m.HopLimit > 64 {
		return api.Errorf("InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid. It must be between 1 and 64.", m.HopLimit)
	}
	return nil
}

// metadata answers MetadataInput.
func (s *Service) metadata(tx *cloud.Tx, in *MetadataInput) (*MetadataOutput, error) {
	scope, i, ok := s.parts.Find(cmp.Or(in.InstanceID, in.PrivateIP))
	if !ok || in.InstanceID != "" && i.ID != in.InstanceID || in.InstanceID == "" && i.PrivateIP != in.PrivateIP {
		return nil, api.Errorf("InvalidInstanceID.NotFound", "No instance has the ID or address '%s'", cmp.Or(in.InstanceID, in.PrivateIP))
	}
	out := &MetadataOutput{InstanceID: i.ID, Scope: scope, Options: i.Metadata, UserData: i.UserData}
	tx.In(scope, func() { out.Items = s.metadataItems(tx, i) })
	return out, nil
}

// metadataItems are the leaves of EC-MD-04 that an instance has.
func (s *Service) metadataItems(tx *cloud.Tx, i Instance) []MetadataItem {
	var items []MetadataItem
	put := func(path, value string) {
		if value != "" {
			items = append(items, MetadataItem{"meta-data/" + path, value})
		}
	}
	region := tx.Scope.Region
	host, public := privateDNS(region, i.PrivateIP), s.publicDNS(tx, i.PublicIP)
	var names []string
	for _, g := range (s.describer(tx)).groupsOf(i) {
		names = append(names, *g.GroupName)
	}
	put("ami-id", i.ImageID)
	put("ami-launch-index", strconv.Itoa(i.LaunchIndex))
	put("ami-manifest-path", "(unknown)")
	put("autoscaling/target-lifecycle-state", i.TargetLifecycleState)
	put("block-device-mapping/ami", strings.TrimPrefix(i.rootDevice(), "/dev/"))
	put("block-device-mapping/root", i.rootDevice())
	for n, d := range i.Volumes {
		if n > 0 && !d.Attached.After(i.LaunchTime) { // those that it has had since its start
			put("block-device-mapping/ebs"+strconv.Itoa(n), strings.TrimPrefix(d.Device, "/dev/"))
		}
	}
	put("events/maintenance/history", i.maintenance(true))
	put("events/maintenance/scheduled", i.maintenance(false))
	i.Spot.items(put)
	put("hostname", host)
	put("instance-action", "none")
	put("instance-id", i.ID)
	put("instance-life-cycle", cmp.Or(i.Lifecycle, "on-demand"))
	put("instance-type", i.InstanceType)
	put("local-hostname", host)
	put("local-ipv4", i.PrivateIP)
	put("mac", i.MAC)
	for _, x := range s.interfaceItems(tx, i, names) {
		put("network/interfaces/macs/"+i.MAC+"/"+x.Path, x.Value)
	}
	put("placement/availability-zone", i.Zone)
	put("placement/availability-zone-id", ZoneID(i.Zone))
	put("placement/region", region)
	put("profile", "default-hvm")
	put("public-hostname", public)
	put("public-ipv4", i.PublicIP)
	if k, ok := s.keys.Get(tx, i.KeyName); ok {
		put("public-keys", "0="+k.Name)
		put("public-keys/0/openssh-key", k.PublicKey)
	}
	put("reservation-id", i.ReservationID)
	put("security-groups", strings.Join(names, "\n"))
	put("services/domain", "amazonaws.com")
	put("services/partition", "aws")
	if i.IamProfile != "" {
		put("iam/info", jsonText(struct{ Code, LastUpdated, InstanceProfileArn, InstanceProfileId string }{
			"Success", i.LaunchTime.Format(time.RFC3339), i.IamProfile, i.IamProfileID,
		}))
	}
	if r, ok := s.profileRole(tx, i); ok { // the leaf is made when it is asked for: see CredentialsInput
		items = append(items, MetadataItem{Path: credentialsPath + r.Name})
	}
	if i.Metadata.InstanceTags == "enabled" { // EC-IN-09
		for _, t := range s.Tags(tx, i.ID) {
			items = append(items, MetadataItem{"meta-data/tags/instance/" + t.Key, t.Value})
		}
	}
	items = append(items, MetadataItem{"dynamic/instance-identity/document", identity(tx.Scope, i)},
		MetadataItem{"dynamic/fws/instance-monitoring", monitoring(i)})
	slices.SortFunc(items, func(a, b MetadataItem) int { return strings.Compare(a.Path, b.Path) })
	return items
}

// interfaceItems are those of its network interface.
func (s *Service) interfaceItems(tx *cloud.Tx, i Instance, groups []string) []MetadataItem {
	v, _ := s.vpcs.Get(tx, i.VPCID)
	n, _ := s.subnets.Get(tx, i.SubnetID)
	items := []MetadataItem{
		{"device-number", "0"}, {"network-card", "0"}, {"interface-id", i.InterfaceID}, {"local-hostname", privateDNS(tx.Scope.Region, i.PrivateIP)},
		{"local-ipv4s", i.PrivateIP}, {"mac", i.MAC}, {"owner-id", tx.Scope.Account}, {"public-hostname", s.publicDNS(tx, i.PublicIP)},
		{"public-ipv4s", i.PublicIP}, {"security-group-ids", strings.Join(i.SecurityGroupIDs, "\n")}, {"security-groups", strings.Join(groups, "\n")},
		{"subnet-id", i.SubnetID}, {"subnet-ipv4-cidr-block", n.CIDR}, {"vpc-id", i.VPCID}, {"vpc-ipv4-cidr-block", v.CIDR}, {"vpc-ipv4-cidr-blocks", v.CIDR},
	}
	if i.PublicIP != "" {
		items = append(items, MetadataItem{"ipv4-associations/" + i.PublicIP, i.PrivateIP})
	}
	return items
}

// identity is the instance identity document.
func identity(scope cloud.Scope, i Instance) string {
	return jsonText(struct {
		AccountID               string    `json:"accountId"`
		Architecture            string    `json:"architecture"`
		AvailabilityZone        string    `json:"availabilityZone"`
		BillingProducts         []string  `json:"billingProducts"`
		DevpayProductCodes      []string  `json:"devpayProductCodes"`
		MarketplaceProductCodes []string  `json:"marketplaceProductCodes"`
		ImageID                 string    `json:"imageId"`
		InstanceID              string    `json:"instanceId"`
		InstanceType            string    `json:"instanceType"`
		KernelID                *string   `json:"kernelId"`
		PendingTime             time.Time `json:"pendingTime"`
		PrivateIP               string    `json:"privateIp"`
		RamdiskID               *string   `json:"ramdiskId"`
		Region                  string    `json:"region"`
		Version                 string    `json:"version"`
	}{
		AccountID: scope.Account, Architecture: i.Architecture, AvailabilityZone: i.Zone, ImageID: i.ImageID, InstanceID: i.ID,
		InstanceType: i.InstanceType, PendingTime: i.LaunchTime, PrivateIP: i.PrivateIP, Region: scope.Region, Version: "2017-09-30",
	})
}

// jsonLine is jsonText without line breaks.
func jsonLine(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// jsonText writes a value that cannot fail to be written, as the metadata service does.
func jsonText(v any) string {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(text)
}
