package ec2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// InstanceType is one entry of the catalogue.
type InstanceType struct {
	Name         string
	VCPUs        int
	Memory       int // MiB
	Architecture string
	Burstable    bool
	// Credits per hour and Baseline in percent of a vCPU, of burstable types.
	Credits, Baseline float64
	Current           bool

	cpu *shape.CpuOptions // as instances show them
}

// Type finds an instance type by its name.
func Type(name string) (InstanceType, bool) {
	i, found := slices.BinarySearchFunc(catalogue, name, func(t InstanceType, name string) int { return strings.Compare(t.Name, name) })
	if !found {
		return InstanceType{}, false
	}
	return catalogue[i], true
}

// options are the cores of a type, as its instances show them.
func (t InstanceType) options() *shape.CpuOptions {
	return &shape.CpuOptions{CoreCount: new(int32(t.cores())), ThreadsPerCore: new(int32(t.VCPUs / t.cores()))}
}

// catalogue holds all types in order of name: the table of section 5.5 of the rules, and their next sizes.
var catalogue = makeCatalogue()

// burst says what a burstable size earns (EC-TY-01).
type burst struct {
	size              string
	vcpus, memory     int
	credits, baseline float64
}

func makeCatalogue() []InstanceType {
	types := []InstanceType{{Name: "m1.small", VCPUs: 1, Memory: 1740, Architecture: "x86_64"}}
	t2 := []burst{
		{"nano", 1, 512, 3, 5}, {"micro", 1, 1024, 6, 10}, {"small", 1, 2048, 12, 20}, {"medium", 2, 4096, 24, 20},
		{"large", 2, 8192, 36, 30}, {"xlarge", 4, 16384, 54, 22.5}, {"2xlarge", 8, 32768, 81, 17},
	}
	t3 := []burst{
		{"nano", 2, 512, 6, 5}, {"micro", 2, 1024, 12, 10}, {"small", 2, 2048, 24, 20}, {"medium", 2, 4096, 24, 20},
		{"large", 2, 8192, 36, 30}, {"xlarge", 4, 16384, 96, 40}, {"2xlarge", 8, 32768, 192, 40},
	}
	for _, f := range []struct {
		family, architecture string
		sizes                []burst
	}{{"t2", "x86_64", t2}, {"t3", "x86_64", t3}, {"t3a", "x86_64", t3}, {"t4g", "arm64", t3}} {
		for _, b := range f.sizes {
			types = append(types, InstanceType{
				Name: f.family + "." + b.size, VCPUs: b.vcpus, Memory: b.memory, Architecture: f.architecture, Burstable: true,
				Credits: b.credits, Baseline: b.baseline, Current: true,
			})
		}
	}
	for _, f := range []struct {
		family, architecture string
		perVCPU              int // MiB
		vcpus                []int
	}{
		{"m5", "x86_64", 4096, []int{2, 4, 8, 16, 32, 48, 64, 96}}, {"m6i", "x86_64", 4096, []int{2, 4, 8, 16, 32, 48, 64, 96}},
		{"m7g", "arm64", 4096, []int{1, 2, 4, 8, 16, 32, 48, 64}}, {"c5", "x86_64", 2048, []int{2, 4, 8, 16, 36, 48, 72, 96}},
		{"c6i", "x86_64", 2048, []int{2, 4, 8, 16, 32, 48, 64, 96}}, {"c7g", "arm64", 2048, []int{1, 2, 4, 8, 16, 32, 48, 64}},
		{"r5", "x86_64", 8192, []int{2, 4, 8, 16, 32, 48, 64, 96}},
	} {
		for _, n := range f.vcpus {
			types = append(types, InstanceType{
				Name: f.family + "." + sizeOf(n), VCPUs: n, Memory: n * f.perVCPU, Architecture: f.architecture, Current: true,
			})
		}
	}
	for i := range types {
		types[i].cpu = types[i].options()
	}
	slices.SortFunc(types, func(a, b InstanceType) int { return strings.Compare(a.Name, b.Name) })
	return types
}

func sizeOf(vcpus int) string {
	switch vcpus {
	case 1:
		return "medium"
	case 2:
		return "large"
	case 4:
		return "xlarge"
	}
	return strconv.Itoa(vcpus/4) + "xlarge"
}

var typeFields = fields[InstanceType]{
	"instance-type":                         func(_ *cloud.Tx, t InstanceType) []string { return one(t.Name) },
	"current-generation":                    func(_ *cloud.Tx, t InstanceType) []string { return yes(t.Current) },
	"free-tier-eligible":                    func(_ *cloud.Tx, t InstanceType) []string { return yes(freeTier(t)) },
	"burstable-performance-supported":       func(_ *cloud.Tx, t InstanceType) []string { return yes(t.Burstable) },
	"vcpu-info.default-vcpus":               func(_ *cloud.Tx, t InstanceType) []string { return one(strconv.Itoa(t.VCPUs)) },
	"vcpu-info.default-cores":               func(_ *cloud.Tx, t InstanceType) []string { return one(strconv.Itoa(t.cores())) },
	"memory-info.size-in-mib":               func(_ *cloud.Tx, t InstanceType) []string { return one(strconv.Itoa(t.Memory)) },
	"processor-info.supported-architecture": func(_ *cloud.Tx, t InstanceType) []string { return one(t.Architecture) },
	"hypervisor":                            func(_ *cloud.Tx, t InstanceType) []string { return one(t.hypervisor()) },
	"bare-metal":                            func(*cloud.Tx, InstanceType) []string { return yes(false) },
	"hibernation-supported":                 func(*cloud.Tx, InstanceType) []string { return yes(false) },
	"instance-storage-supported":            func(*cloud.Tx, InstanceType) []string { return yes(false) },
	"auto-recovery-supported":               func(*cloud.Tx, InstanceType) []string { return yes(true) },
	"supported-root-device-type":            func(*cloud.Tx, InstanceType) []string { return one("ebs") },
	"supported-usage-class":                 func(*cloud.Tx, InstanceType) []string { return one("on-demand") },
	"supported-virtualization-type":         func(*cloud.Tx, InstanceType) []string { return one("hvm") },
	"ebs-info.encryption-support":           func(*cloud.Tx, InstanceType) []string { return one("supported") },
	"network-info.ena-support":              func(_ *cloud.Tx, t InstanceType) []string { return one(t.ena()) },
}

func freeTier(t InstanceType) bool { return t.Name == "t2.micro" || t.Name == "t3.micro" }

func (t InstanceType) cores() int {
	if t.Architecture == "x86_64" && t.VCPUs > 1 && !strings.HasPrefix(t.Name, "t2.") {
		return t.VCPUs / 2
	}
	return t.VCPUs
}

func (t InstanceType) hypervisor() string {
	if strings.HasPrefix(t.Name, "t2.") || !t.Current {
		return "xen"
	}
	return "nitro"
}

func (t InstanceType) ena() string {
	if t.hypervisor() == "xen" {
		return "unsupported"
	}
	return "required"
}

// DescribeInstanceTypes lists the catalogue.
func (s *Service) DescribeInstanceTypes(tx *cloud.Tx, in *shape.DescribeInstanceTypesInput) (*shape.DescribeInstanceTypesOutput, error) {
	var unknown []string
	for _, name := range in.InstanceTypes {
		if _, ok := Type(name); !ok {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, api.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
	}
	match, err := matcher(s, typeFields, func(t InstanceType) string { return t.Name }, in.Filters)
	if err != nil {
		return nil, err
	}
	var found []InstanceType
	for _, t := range catalogue {
		if (len(in.InstanceTypes) == 0 || slices.Contains(in.InstanceTypes, t.Name)) && match(tx, t) {
			found = append(found, t)
		}
	}
	found, next := pageOf(found, func(t InstanceType) string { return t.Name }, in.MaxResults, in.NextToken)
	out := &shape.DescribeInstanceTypesOutput{NextToken: next}
	for _, t := range found {
		out.InstanceTypes = append(out.InstanceTypes, t.shape())
	}
	return out, nil
}

func (t InstanceType) shape() shape.InstanceTypeInfo {
	manufacturer := "Intel"
	switch {
	case t.Architecture == "arm64":
		manufacturer = "AWS"
	case strings.HasPrefix(t.Name, "t3a."):
		manufacturer = "AMD"
	}
	return shape.InstanceTypeInfo{
		InstanceType: new(t.Name), CurrentGeneration: new(t.Current), FreeTierEligible: new(freeTier(t)),
		SupportedUsageClasses: []string{"on-demand"}, SupportedRootDeviceTypes: []string{"ebs"}, SupportedVirtualizationTypes: []string{"hvm"},
		BareMetal: new(false), Hypervisor: new(t.hypervisor()),
		ProcessorInfo: &shape.ProcessorInfo{SupportedArchitectures: one(t.Architecture), Manufacturer: new(manufacturer)},
		VCpuInfo: &shape.VCpuInfo{
			DefaultVCpus: new(int32(t.VCPUs)), DefaultCores: new(int32(t.cores())), DefaultThreadsPerCore: new(int32(t.VCPUs / t.cores())),
		},
		MemoryInfo:               &shape.MemoryInfo{SizeInMiB: new(int64(t.Memory))},
		InstanceStorageSupported: new(false),
		EbsInfo:                  &shape.EbsInfo{EbsOptimizedSupport: new("default"), EncryptionSupport: new("supported"), NvmeSupport: new("required")},
		NetworkInfo: &shape.NetworkInfo{
			NetworkPerformance: new("Up to 5 Gigabit"), MaximumNetworkInterfaces: new(int32(1)), MaximumNetworkCards: new(int32(1)),
			DefaultNetworkCardIndex: new(int32(0)), Ipv4AddressesPerInterface: new(int32(1)), Ipv6AddressesPerInterface: new(int32(0)),
			Ipv6Supported: new(false), EnaSupport: new(t.ena()), EfaSupported: new(false), EncryptionInTransitSupported: new(false),
			NetworkCards: []shape.NetworkCardInfo{{
				NetworkCardIndex: new(int32(0)), NetworkPerformance: new("Up to 5 Gigabit"), MaximumNetworkInterfaces: new(int32(1)),
			}},
		},
		PlacementGroupInfo: &shape.PlacementGroupInfo{}, HibernationSupported: new(false), BurstablePerformanceSupported: new(t.Burstable),
		DedicatedHostsSupported: new(false), AutoRecoverySupported: new(true), SupportedBootModes: []string{"legacy-bios", "uefi"},
		NitroEnclavesSupport: new("unsupported"), NitroTpmSupport: new("unsupported"),
	}
}

// DescribeInstanceTypeOfferings says where types are offered: all of them everywhere.
func (s *Service) DescribeInstanceTypeOfferings(tx *cloud.Tx, in *shape.DescribeInstanceTypeOfferingsInput) (*shape.DescribeInstanceTypeOfferingsOutput, error) {
	type offering struct{ kind, location, name string }
	kind := api.Value(in.LocationType)
	var places []string
	switch kind {
	case "", "region":
		kind, places = "region", one(tx.Scope.Region)
	case "availability-zone":
		places = s.Zones(tx)
	case "availability-zone-id":
		for _, z := range s.Zones(tx) {
			places = append(places, ZoneID(z))
		}
	}
	id := func(o offering) string { return o.name + " " + o.location }
	match, err := matcher(s, fields[offering]{
		"instance-type": func(_ *cloud.Tx, o offering) []string { return one(o.name) },
		"location":      func(_ *cloud.Tx, o offering) []string { return one(o.location) },
	}, id, in.Filters)
	if err != nil {
		return nil, err
	}
	var found []offering
	for _, t := range catalogue {
		for _, place := range places {
			if o := (offering{kind, place, t.Name}); match(tx, o) {
				found = append(found, o)
			}
		}
	}
	found, next := pageOf(found, id, in.MaxResults, in.NextToken)
	out := &shape.DescribeInstanceTypeOfferingsOutput{NextToken: next}
	for _, o := range found {
		out.InstanceTypeOfferings = append(out.InstanceTypeOfferings, shape.InstanceTypeOffering{
			InstanceType: new(o.name), LocationType: new(o.kind), Location: new(o.location),
		})
	}
	return out, nil
}
