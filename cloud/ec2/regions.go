package ec2

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// regions are those that AWS opens to every account, and those that have to be opted into.
var (
	regions = []string{
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
		"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}
	optInRegions = []string{
		"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
		"ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "me-south-1", "mx-central-1",
	}
)

// zoneLetters are the zones that every region has.
const zoneLetters = "abc"

// Zones lists the availability zones of the scope's region.
func (s *Service) Zones(tx *cloud.Tx) []string {
	zones := make([]string, 0, len(zoneLetters))
	for _, letter := range zoneLetters {
		zones = append(zones, tx.Scope.Region+string(letter))
	}
	return zones
}

// ZoneID gives the ID of a zone: "use1-az1" for "us-east-1a".
func ZoneID(zone string) string {
	region, letter := zone[:len(zone)-1], zone[len(zone)-1]
	words := strings.Split(region, "-")
	id := words[0]
	for _, w := range words[1:] {
		switch {
		case w == "northeast", w == "northwest", w == "southeast", w == "southwest":
			id += w[:1] + w[5:6]
		case w != "":
			id += w[:1]
		}
	}
	return id + "-az" + string('1'+letter-'a')
}

// zoneOfID finds the zone of the scope's region that has an ID.
func (s *Service) zoneOfID(tx *cloud.Tx, id string) (string, bool) {
	for _, z := range s.Zones(tx) {
		if ZoneID(z) == id {
			return z, true
		}
	}
	return "", false
}

// DescribeRegions lists the regions. Any other region name works too; it is listed when it is asked for by a client of it.
func (s *Service) DescribeRegions(tx *cloud.Tx, in *shape.DescribeRegionsInput) (*shape.DescribeRegionsOutput, error) {
	type region struct{ name, optIn string }
	var all []region
	for _, r := range regions {
		all = append(all, region{r, "opt-in-not-required"})
	}
	if api.Value(in.AllRegions) {
		for _, r := range optInRegions {
			all = append(all, region{r, "not-opted-in"})
		}
	}
	if !slices.ContainsFunc(all, func(r region) bool { return r.name == tx.Scope.Region }) {
		all = append(all, region{tx.Scope.Region, "opted-in"})
	}
	slices.SortFunc(all, func(a, b region) int { return strings.Compare(a.name, b.name) })
	match, err := matcher(s, fields[region]{
		"region-name":   func(_ *cloud.Tx, r region) []string { return one(r.name) },
		"endpoint":      func(_ *cloud.Tx, r region) []string { return one(endpoint(r.name)) },
		"opt-in-status": func(_ *cloud.Tx, r region) []string { return one(r.optIn) },
	}, func(r region) string { return r.name }, in.Filters)
	if err != nil {
		return nil, err
	}
	for _, name := range in.RegionNames {
		if !slices.ContainsFunc(all, func(r region) bool { return r.name == name }) {
			return nil, api.Errorf("InvalidParameterValue", "Invalid region name: '%s'", name)
		}
	}
	out := &shape.DescribeRegionsOutput{}
	for _, r := range all {
		if (len(in.RegionNames) == 0 || slices.Contains(in.RegionNames, r.name)) && match(tx, r) {
			out.Regions = append(out.Regions, shape.Region{
				RegionName: new(r.name), Endpoint: new(endpoint(r.name)), OptInStatus: new(r.optIn),
			})
		}
	}
	return out, nil
}

func endpoint(region string) string { return "ec2." + region + ".amazonaws.com" }

// DescribeAvailabilityZones lists the zones of the region.
func (s *Service) DescribeAvailabilityZones(tx *cloud.Tx, in *shape.DescribeAvailabilityZonesInput) (*shape.DescribeAvailabilityZonesOutput, error) {
	constant := func(v string) func(*cloud.Tx, string) []string {
		return func(*cloud.Tx, string) []string { return one(v) }
	}
	match, err := matcher(s, fields[string]{
		"zone-name": func(_ *cloud.Tx, z string) []string { return one(z) },
		"zone-id":   func(_ *cloud.Tx, z string) []string { return one(ZoneID(z)) },
		"state":     constant("available"), "zone-type": constant("availability-zone"), "opt-in-status": constant("opt-in-not-required"),
		"region-name": constant(tx.Scope.Region), "group-name": constant(tx.Scope.Region + "-zg-1"), "message": constant(""),
	}, func(z string) string { return z }, in.Filters)
	if err != nil {
		return nil, err
	}
	zones := s.Zones(tx)
	for _, z := range in.ZoneNames {
		if !slices.Contains(zones, z) {
			return nil, api.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", z)
		}
	}
	for _, id := range in.ZoneIds {
		if _, ok := s.zoneOfID(tx, id); !ok {
			return nil, api.Errorf("InvalidParameterValue", "Invalid availability zone-id: [%s]", id)
		}
	}
	out := &shape.DescribeAvailabilityZonesOutput{}
	for _, z := range zones {
		asked := len(in.ZoneNames)+len(in.ZoneIds) == 0 || slices.Contains(in.ZoneNames, z) || slices.Contains(in.ZoneIds, ZoneID(z))
		if asked && match(tx, z) {
			out.AvailabilityZones = append(out.AvailabilityZones, shape.AvailabilityZone{
				ZoneName: new(z), ZoneId: new(ZoneID(z)), RegionName: new(tx.Scope.Region), State: new("available"),
				OptInStatus: new("opt-in-not-required"), GroupName: new(tx.Scope.Region + "-zg-1"),
				NetworkBorderGroup: new(tx.Scope.Region), ZoneType: new("availability-zone"),
			})
		}
	}
	return out, nil
}
