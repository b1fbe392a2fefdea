package keeper

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// usage is what is summed over the processes of an instance.
type usage struct {
	cpu         time.Duration
	memory      int64
	read, write uint64
}

// tick is the unit of times in /proc; it is the same on all of Linux's machines.
const tick = time.Second / 100

// measure reads the counters of everything that runs. Where there is no
// control group to ask, /proc is: a process that ends hands its sums to its
// parent, so the sum over a PID namespace keeps growing.
func (k *keeper) measure() []driver.Usage {
	type running struct {
		i    *instance
		b    *boot
		spec driver.Spec
	}
	var all []running
	byNamespace := map[string]*usage{}
	k.mu.Lock()
	for _, i := range k.instances {
		if i.boot != nil {
			all = append(all, running{i, i.boot, i.record.Spec})
		}
	}
	k.mu.Unlock()
	slices.SortFunc(all, func(a, b running) int { return cmp.Compare(a.i.id, b.i.id) })
	sums := make([]*usage, len(all))
	for n, r := range all {
		sums[n] = &usage{}
		if ns, err := os.Readlink("/proc/" + strconv.Itoa(r.b.guest.pid) + "/ns/pid"); err == nil {
			byNamespace[ns] = sums[n]
		}
	}
	k.addProcesses(byNamespace)
	traffic := k.vpc.traffic()
	now := time.Now()
	usages := make([]driver.Usage, len(all))
	for n, r := range all {
		sum := sums[n]
		if cpu, ok := r.b.place.cpu(); ok {
			sum.cpu = cpu
		}
		if memory, ok := r.b.place.memory(); ok {
			sum.memory = memory
		}
		k.mu.Lock() // counters only grow, even when a sum missed a process on its way out
		last := &r.b.used
		last.cpu, last.memory = max(last.cpu, sum.cpu), sum.memory
		last.read, last.write = max(last.read, sum.read), max(last.write, sum.write)
		used := *last
		k.mu.Unlock()
		net := traffic[linkName(r.spec.PrivateIP)]
		u := driver.Usage{
			ID: r.i.id, Started: r.b.started, At: now,
			CPU: used.cpu, CPUs: r.spec.CPUs, Memory: used.memory, DiskRead: used.read, DiskWrite: used.write,
			NetworkIn: net.bytesIn, NetworkPacketsIn: net.packetsIn, NetworkOut: net.bytesOut, NetworkPacketsOut: net.packetsOut,
		}
		if k.cgroups.has("memory") {
			u.MemoryLimit = r.spec.Memory
		}
		if r.spec.Sandbox != nil {
			u.OutOfMemory = r.b.place.outOfMemory()
		}
		u.DiskReadOps, u.DiskWriteOps = r.b.place.operations()
		usages[n] = u
	}
	return usages
}

// addProcesses goes through /proc, which shows our PID namespace: this process
// and everything in the instances.
func (k *keeper) addProcesses(byNamespace map[string]*usage) {
	dir, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	page := int64(os.Getpagesize())
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		process := filepath.Join("/proc", name)
		ns, err := os.Readlink(process + "/ns/pid")
		sum := byNamespace[ns]
		if err != nil || sum == nil {
			continue
		}
		if !k.cgroups.countsCPU() {
			// The name in parentheses may hold anything; what counts comes after it.
			stat := readString(process + "/stat")
			if f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]); len(f) > 14 {
				sum.cpu += time.Duration(parse(f[11])+parse(f[12])+parse(f[13])+parse(f[14])) * tick
			}
		}
		if !k.cgroups.has("memory") {
			if f := strings.Fields(readString(process + "/statm")); len(f) > 2 {
				sum.memory += int64(parse(f[1])-parse(f[2])) * page
			}
		}
		for line := range strings.Lines(readString(process + "/io")) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "read_bytes":
				sum.read += parse(value)
			case "write_bytes":
				sum.write += parse(value)
			}
		}
	}
}

func parse(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}
