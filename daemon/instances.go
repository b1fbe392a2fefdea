package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/daemon/functions"
	"github.com/billow-cloud/billow/driver"
)

// instances turns EC2's wishes into calls of the driver, and what the driver says into facts.
type instances struct {
	clock   Clock
	log     *slog.Logger
	driver  driver.Driver
	host    Host
	observe func(...cloud.Fact)
	// modelled instances may be larger than the host.
	modelled bool
	moments  moments
	well     bool // no instance failed the last status check

	// metering keeps the inventory and the collection from running twice at a time.
	metering sync.Mutex
	looked   bool      // an inventory has been taken
	since    time.Time // cloud time of the last collection
	before   map[string]driver.Usage
}

// Host is what this machine has to give to instances.
type Host struct {
	Cores  float64
	Memory int64 // bytes; 0 is unknown
	// CoresPerVCPU is the share of a host core that one vCPU is worth.
	CoresPerVCPU float64
}

func newInstances(clock Clock, log *slog.Logger, d driver.Driver, host Host, observe func(...cloud.Fact)) *instances {
	return &instances{
		clock: clock, log: log, driver: d, host: host, observe: observe, since: clock.Now(), before: map[string]driver.Usage{},
	}
}

// instanceOf is the ID that effects about one instance are put in order by; "" for other effects.
func instanceOf(e cloud.Effect) string {
	switch e := e.(type) {
	case ec2.LaunchInstance:
		return e.Spec.ID
	case ec2.StartInstance:
		return e.Spec.ID
	case ec2.StopInstance:
		return e.ID
	case ec2.RebootInstance:
		return e.ID
	case ec2.TerminateInstance:
		return e.ID
	case ec2.CaptureImage:
		return e.InstanceID
	case ec2.DeleteImage:
		return e.ImageID
	}
	return volumeOf(e)
}

// do carries out a wish and returns what came of it.
func (i *instances) do(ctx context.Context, e cloud.Effect) []cloud.Fact {
	switch e := e.(type) {
	case ec2.LaunchInstance:
		return i.boot(ctx, e.Spec, i.driver.Launch)
	case ec2.StartInstance:
		return i.boot(ctx, e.Spec, i.driver.Start)
	case ec2.StopInstance:
		return i.result(i.driver.Stop(ctx, e.ID, e.Force), "stop", e.ID, ec2.InstanceStopped{ID: e.ID})
	case ec2.TerminateInstance:
		return i.result(i.driver.Terminate(ctx, e.ID), "terminate", e.ID, ec2.InstanceTerminated{ID: e.ID})
	case ec2.RebootInstance:
		return i.result(i.driver.Reboot(ctx, e.ID), "reboot", e.ID)
	case ec2.CaptureImage:
		return i.capture(ctx, e)
	case ec2.DeleteImage:
		return i.result(i.driver.DeleteImage(ctx, e.ImageID), "delete", e.ImageID)
	}
	return i.storage(ctx, e)
}

func (i *instances) boot(ctx context.Context, s ec2.Spec, how func(context.Context, driver.Spec) error) []cloud.Fact {
	spec, err := i.spec(s)
	if err == nil {
		spec.Volumes, err = i.bring(ctx, s)
	}
	if err == nil {
		err = how(ctx, spec)
	}
	if err == nil {
		return []cloud.Fact{ec2.InstanceRunning{ID: s.ID}}
	}
	if ctx.Err() != nil {
		return nil // the daemon is going down; the wish will be made again
	}
	failed := ec2.LaunchFailed{ID: s.ID, Code: driver.CodeInternal, Message: err.Error()}
	var known *driver.Error
	if errors.As(err, &known) {
		failed.Code, failed.Message = known.Code, known.Message
	}
	i.log.Warn("an instance could not be started", "instance", s.ID, "error", err)
	return []cloud.Fact{failed}
}

// spec translates what EC2 promises into what the host gives.
func (i *instances) spec(s ec2.Spec) (driver.Spec, error) {
	address, err := netip.ParseAddr(s.PrivateIP)
	if err != nil {
		return driver.Spec{}, driver.Errorf(driver.CodeInvalid, "the private address %q is none", s.PrivateIP)
	}
	subnet, err := netip.ParsePrefix(s.Subnet)
	if err != nil {
		return driver.Spec{}, driver.Errorf(driver.CodeInvalid, "the subnet %q is none", s.Subnet)
	}
	spec := driver.Spec{
		ID: s.ID, ImageID: s.ImageID, Hostname: s.Hostname, PrivateIP: address, Subnet: subnet, MAC: s.MAC,
		CPUs: i.host.CoresPerVCPU * float64(s.VCPUs), Memory: int64(s.Memory) << 20, UserData: s.UserData,
	}
	if s.Region != "" { // so that AWS's clients inside find this cloud, as the metadata service gives them their credentials
		spec.Environment = []string{"AWS_ENDPOINT_URL=http://" + insideName, "AWS_REGION=" + s.Region, "AWS_DEFAULT_REGION=" + s.Region}
	}
	if !i.modelled && (spec.CPUs > i.host.Cores || i.host.Memory > 0 && spec.Memory > i.host.Memory) {
		return spec, driver.Errorf(driver.CodeCapacity,
			"An instance of the type needs %.2g cores and %d MiB of memory, this host has %.2g and %d MiB.",
			spec.CPUs, s.Memory, i.host.Cores, i.host.Memory>>20)
	}
	return spec, nil
}

func (i *instances) result(err error, what, id string, facts ...cloud.Fact) []cloud.Fact {
	if err != nil {
		i.log.Warn("a wish about an instance or image failed; it is made again when the inventory disagrees", "wish", what, "id", id, "error", err)
		return nil
	}
	return facts
}

// capture makes an image; with Reboot the instance is stopped for the copy, so that its files are at rest (EC-VO-05). EC2
// wishes for its start when it hears how the copy ended.
func (i *instances) capture(ctx context.Context, e ec2.CaptureImage) []cloud.Fact {
	if e.Reboot {
		if err := i.driver.Stop(ctx, e.InstanceID, false); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return []cloud.Fact{ec2.ImageFailed{ImageID: e.ImageID, Message: err.Error()}}
		}
	}
	if err := i.driver.CreateImage(ctx, e.ImageID, e.InstanceID); err != nil {
		return []cloud.Fact{ec2.ImageFailed{ImageID: e.ImageID, Message: err.Error()}}
	}
	for _, n := range e.Snapshots {
		if err := i.driver.CreateSnapshot(ctx, n.ID, n.VolumeID, func() {}); err != nil {
			return []cloud.Fact{ec2.ImageFailed{ImageID: e.ImageID, Message: err.Error()}}
		}
	}
	return []cloud.Fact{ec2.ImageCaptured{ImageID: e.ImageID}}
}

// events passes on what the driver notices, until its channel closes or ctx ends.
func (i *instances) events(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-i.driver.Events():
			if !open {
				return
			}
			i.observe(i.noticed(ctx, e)...)
		}
	}
}

// news is what the driver has noticed by now and nobody was told yet.
func (i *instances) news(ctx context.Context) (facts []cloud.Fact) {
	for {
		select {
		case e, open := <-i.driver.Events():
			if !open {
				return facts
			}
			facts = append(facts, i.noticed(ctx, e)...)
		default:
			return facts
		}
	}
}

// noticed turns an event into facts.
func (i *instances) noticed(ctx context.Context, e driver.Event) []cloud.Fact {
	if functions.Is(e.ID) {
		return nil
	}
	switch e.Kind {
	case driver.Booted:
		return append(i.console(ctx, e.ID), ec2.InstanceBooted{ID: e.ID, ExitStatus: e.ExitStatus})
	case driver.Exited:
		return append(i.console(ctx, e.ID), ec2.InstanceExited{ID: e.ID, Reason: string(e.Reason)})
	}
	return nil
}

func (i *instances) console(ctx context.Context, id string) []cloud.Fact {
	text, err := i.driver.Console(ctx, id)
	if err != nil {
		return nil
	}
	return []cloud.Fact{ec2.ConsoleOutput{ID: id, Text: text}}
}

// inventory tells the control plane everything that exists, stamped with the instant at which looking began.
func (i *instances) inventory(ctx context.Context) error {
	i.metering.Lock()
	defer i.metering.Unlock()
	fact := ec2.Inventory{Began: i.clock.Now(), First: !i.looked}
	seen, err := i.driver.Inventory(ctx)
	if err != nil {
		return fmt.Errorf("the driver could not list its instances: %w", err)
	}
	for _, s := range seen.Instances {
		if functions.Is(s.ID) {
			continue
		}
		fact.Instances = append(fact.Instances, ec2.Seen{ID: s.ID, State: string(s.State), Reason: string(s.Reason)})
	}
	fact.Images = seen.Images
	for _, v := range seen.Volumes {
		fact.Volumes = append(fact.Volumes, ec2.SeenVolume{ID: v.ID, Bytes: v.Bytes, InstanceID: v.InstanceID})
	}
	for _, n := range seen.Snapshots {
		fact.Snapshots = append(fact.Snapshots, ec2.SeenSnapshot{ID: n.ID, Pending: n.Pending})
	}
	i.looked = true
	i.observe(fact)
	return nil
}

// check tells the control plane which instances give no sign of life; nothing, as long as all do.
func (i *instances) check(ctx context.Context) error {
	fact := ec2.StatusChecks{Began: i.clock.Now()}
	silent, err := i.driver.Check(ctx)
	if err != nil {
		return fmt.Errorf("the driver could not check its instances: %w", err)
	}
	fact.Failed = silent
	if len(silent) > 0 || !i.well {
		i.observe(fact)
	}
	i.well = len(silent) == 0
	return nil
}

// usage measures all instances and gives what they used since the last call, as a fact.
func (i *instances) usage(ctx context.Context, to time.Time) (ec2.Usage, error) {
	i.metering.Lock()
	defer i.metering.Unlock()
	now, err := i.driver.Measure(ctx)
	if err != nil {
		return ec2.Usage{}, fmt.Errorf("the driver could not measure its instances: %w", err)
	}
	fact := ec2.Usage{From: i.since, To: to}
	i.since = to
	seen := make(map[string]driver.Usage, len(now))
	for _, u := range now {
		if functions.Is(u.ID) {
			continue
		}
		seen[u.ID] = u
		if s, ok := sample(i.before[u.ID], u); ok {
			fact.Samples = append(fact.Samples, s)
		}
	}
	i.before = seen
	return fact, nil
}

// sample is what an instance used between two readings; counters start at zero with each boot.
func sample(before, now driver.Usage) (ec2.UsageSample, bool) {
	if !before.Started.Equal(now.Started) {
		before = driver.Usage{Started: now.Started, At: now.Started}
	}
	span := now.At.Sub(before.At)
	if span <= 0 {
		return ec2.UsageSample{}, false
	}
	cores := now.CPUs
	if cores <= 0 {
		cores = 1
	}
	diff := func(now, before uint64) float64 { return float64(now - min(before, now)) }
	return ec2.UsageSample{
		ID:         now.ID,
		CPUPercent: min(100, 100*float64(now.CPU-before.CPU)/(float64(span)*cores)),
		NetworkIn:  diff(now.NetworkIn, before.NetworkIn), NetworkOut: diff(now.NetworkOut, before.NetworkOut),
		PacketsIn: diff(now.NetworkPacketsIn, before.NetworkPacketsIn), PacketsOut: diff(now.NetworkPacketsOut, before.NetworkPacketsOut),
		DiskReadBytes: diff(now.DiskRead, before.DiskRead), DiskWriteBytes: diff(now.DiskWrite, before.DiskWrite),
		DiskReadOps: diff(now.DiskReadOps, before.DiskReadOps), DiskWriteOps: diff(now.DiskWriteOps, before.DiskWriteOps),
		MemoryBytes: float64(now.Memory),
	}, true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
