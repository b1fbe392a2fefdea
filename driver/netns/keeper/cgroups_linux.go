package keeper

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups knows where this host has which controller: in the one v2 tree, in
// v1 hierarchies, or spread over both.
type cgroups struct {
	unified     string            // our directory in the v2 tree; empty without one
	v2          map[string]bool   // controllers that work there
	hierarchies []string          // our directories in v1 hierarchies
	v1          map[string]string // controller to directory
	notes       []string
}

// v1Controllers is what is used of v1. The freezer comes from v2 where that is mounted.
var v1Controllers = []string{"cpu", "cpuacct", "memory", "blkio", "freezer", "pids"}

// findCgroups looks for a place for a tree of our own, called name. What is
// not allowed is left out, with a note.
func findCgroups(name string) *cgroups {
	c := &cgroups{v1: map[string]string{}, v2: map[string]bool{}}
	v1, unified := cgroupMounts()
	own := ownCgroups()
	if unified != "" {
		c.findUnified(unified, own[""], name)
	}
	seen := map[string]bool{}
	for _, controller := range v1Controllers {
		mount := v1[controller]
		if mount == "" || c.v2[controller] || controller == "freezer" && c.unified != "" {
			continue
		}
		dir := filepath.Join(mount, own[controller], name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			continue
		}
		c.v1[controller] = dir
		if !seen[dir] {
			seen[dir] = true
			c.hierarchies = append(c.hierarchies, dir)
		}
	}
	if !c.has("cpu") {
		c.notes = append(c.notes, "Instances are not held to their type's CPU: that takes root, and a cgroup with the cpu controller.")
	}
	if !c.has("memory") {
		c.notes = append(c.notes, "Instances are not held to their type's memory: that takes root, and a cgroup with the memory controller.")
	}
	if !c.has("pids") {
		c.notes = append(c.notes, "Functions are not held to a number of processes: that takes root, and a cgroup with the pids controller.")
	}
	return c
}

func (c *cgroups) has(controller string) bool { return c.v2[controller] || c.v1[controller] != "" }

// countsCPU tells whether placement.cpu works: v2 groups count even without a controller.
func (c *cgroups) countsCPU() bool { return c.unified != "" || c.v1["cpuacct"] != "" }

// findUnified tries the v2 tree: below our own group, or else beside the top
// level ones (a group with processes of its own cannot hand out controllers).
func (c *cgroups) findUnified(mount, own, name string) {
	for _, parent := range []string{filepath.Join(mount, own), mount} {
		wanted := strings.Fields(readString(filepath.Join(parent, "cgroup.controllers")))
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			continue
		}
		for _, controller := range wanted {
			switch controller {
			case "cpu", "memory", "io", "pids":
				if os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0) == nil &&
					os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0) == nil {
					c.v2[controller] = true
				}
			}
		}
		// To put a process there takes rights over the common ancestor too.
		if unix.Access(filepath.Join(parent, "cgroup.procs"), unix.W_OK) == nil && (len(c.v2) > 0 || len(wanted) == 0 || parent == mount) {
			c.unified = dir
			return
		}
		clear(c.v2)
		os.Remove(dir)
	}
}

// cgroupMounts reads where the hierarchies are mounted.
func cgroupMounts() (v1 map[string]string, unified string) {
	v1 = map[string]string{}
	for line := range strings.Lines(readString("/proc/self/mountinfo")) {
		before, after, found := strings.Cut(strings.TrimSpace(line), " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		switch kind[0] {
		case "cgroup2":
			if unified == "" {
				unified = fields[4]
			}
		case "cgroup":
			for _, option := range strings.Split(kind[2], ",") {
				if v1[option] == "" {
					v1[option] = fields[4]
				}
			}
		}
	}
	return v1, unified
}

// ownCgroups gives our path per v1 controller, and in v2 under "".
func ownCgroups() map[string]string {
	own := map[string]string{}
	for line := range strings.Lines(readString("/proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, controller := range strings.Split(parts[1], ",") {
			own[controller] = parts[2]
		}
	}
	return own
}

// placement is an instance's groups.
type placement struct {
	c  *cgroups
	id string

	freezing sync.Mutex
	holds    int // who have it frozen: images and snapshots
}

// create makes the groups with the memory limit in place. CPU is limited later,
// by limitCPU.
func (c *cgroups) create(id string, memory int64) (*placement, error) {
	p := &placement{c: c, id: id}
	for _, dir := range p.dirs() {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			p.remove()
			return nil, fmt.Errorf("making the control group: %w", err)
		}
	}
	p.limitCPU(0)
	if err := p.limitMemory(memory); err != nil {
		p.remove()
		return nil, fmt.Errorf("limiting memory: %w", err)
	}
	return p, nil
}

// limitMemory holds the instance to that many bytes; 0 is no limit.
func (p *placement) limitMemory(bytes int64) error {
	limit := strconv.FormatInt(bytes, 10)
	switch {
	case p.c.v2["memory"]:
		if bytes <= 0 {
			limit = "max"
		}
		return p.write(p.unified(), "memory.max", limit)
	case p.c.v1["memory"] != "":
		if bytes <= 0 {
			limit = "-1"
		}
		return p.write(p.dir("memory"), "memory.limit_in_bytes", limit)
	}
	return nil
}

// kill ends all processes in one step, where the kernel can, and lifts the
// limits: a thousand processes that have used up their memory and their share
// of the processors take half a minute to die within those.
func (p *placement) kill() {
	if p.c.unified == "" || p.write(p.unified(), "cgroup.kill", "1") != nil {
		return
	}
	p.limitMemory(0)
	p.limitCPU(0)
}

func (p *placement) unified() string              { return filepath.Join(p.c.unified, p.id) }
func (p *placement) dir(controller string) string { return filepath.Join(p.c.v1[controller], p.id) }

func (p *placement) dirs() (dirs []string) {
	for _, h := range p.c.hierarchies {
		dirs = append(dirs, filepath.Join(h, p.id))
	}
	if p.c.unified != "" {
		dirs = append(dirs, p.unified())
	}
	return dirs
}

func (p *placement) write(dir, file, value string) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(value), 0)
}

// enter moves the calling thread into the v1 groups and arranges for the child
// to be born in the v2 one. The thread must be thrown away afterwards.
func (p *placement) enter(attr *syscall.SysProcAttr) (release func(), err error) {
	for _, h := range p.c.hierarchies {
		if err := p.write(filepath.Join(h, p.id), "tasks", "0"); err != nil {
			return nil, err
		}
	}
	if p.c.unified == "" {
		return func() {}, nil
	}
	fd, err := unix.Open(p.unified(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	attr.UseCgroupFD, attr.CgroupFD = true, fd
	return func() { unix.Close(fd) }, nil
}

// limitCPU holds the instance to that many cores; 0 is no limit. The period is
// short, so that a throttled server stutters by milliseconds: its quota must
// not go under the kernel's minimum of 1 ms.
func (p *placement) limitCPU(cpus float64) error {
	const minimum, usual, longest = 1000, 20_000, 1_000_000 // microseconds
	period, quota := usual, -1
	if cpus > 0 {
		if cpus*usual < minimum {
			period = min(int(math.Ceil(minimum/cpus)), longest)
		}
		quota = max(int(cpus*float64(period)), minimum)
	}
	switch {
	case p.c.v2["cpu"]:
		limit := "max"
		if quota > 0 {
			limit = strconv.Itoa(quota)
		}
		return p.write(p.unified(), "cpu.max", fmt.Sprintf("%s %d", limit, period))
	case p.c.v1["cpu"] != "":
		if quota > 0 {
			if err := p.write(p.dir("cpu"), "cpu.cfs_period_us", strconv.Itoa(period)); err != nil {
				return err
			}
		}
		return p.write(p.dir("cpu"), "cpu.cfs_quota_us", strconv.Itoa(quota))
	}
	return nil
}

// limitProcesses bounds what may run at once, beside the init; 0 is no limit.
func (p *placement) limitProcesses(count int) error {
	const own = 16 // threads of init
	dir := p.unified()
	switch {
	case count <= 0:
		return nil
	case p.c.v2["pids"]:
	case p.c.v1["pids"] != "":
		dir = p.dir("pids")
	default:
		return nil
	}
	return p.write(dir, "pids.max", strconv.Itoa(count+own))
}

// outOfMemory counts what the kernel has killed here for want of memory.
func (p *placement) outOfMemory() uint64 {
	switch {
	case p.c.v2["memory"]:
		return uint64(keyed(filepath.Join(p.unified(), "memory.events"))["oom_kill"])
	case p.c.v1["memory"] != "":
		return uint64(keyed(filepath.Join(p.dir("memory"), "memory.oom_control"))["oom_kill"])
	}
	return 0
}

// freeze stops all processes where they are, until as many have called thaw. It
// reports whether the host can do that.
func (p *placement) freeze() bool {
	p.freezing.Lock()
	defer p.freezing.Unlock()
	if p.holds == 0 && !p.stop() {
		return false
	}
	p.holds++
	return true
}

// held tells whether somebody here has the processes frozen.
func (p *placement) held() bool {
	p.freezing.Lock()
	defer p.freezing.Unlock()
	return p.holds > 0
}

func (p *placement) stop() bool {
	switch {
	case p.c.unified != "":
		if p.write(p.unified(), "cgroup.freeze", "1") != nil {
			return false
		}
		return p.settled(filepath.Join(p.unified(), "cgroup.events"), "frozen 1")
	case p.c.v1["freezer"] != "":
		if p.write(p.dir("freezer"), "freezer.state", "FROZEN") != nil {
			return false
		}
		return p.settled(filepath.Join(p.dir("freezer"), "freezer.state"), "FROZEN")
	}
	return false
}

// frozen tells whether the processes are frozen, by whomever.
func (p *placement) frozen() bool {
	return p.c.unified != "" && strings.Contains(readString(filepath.Join(p.unified(), "cgroup.events")), "frozen 1") ||
		p.c.v1["freezer"] != "" && strings.Contains(readString(filepath.Join(p.dir("freezer"), "freezer.state")), "FROZEN")
}

// settled polls, for a moment, until the file says so.
func (p *placement) settled(file, want string) bool {
	for range 100 {
		if strings.Contains(readString(file), want) {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// thaw undoes one freeze.
func (p *placement) thaw() {
	p.freezing.Lock()
	defer p.freezing.Unlock()
	if p.holds--; p.holds <= 0 {
		p.holds = 0
		p.wake()
	}
}

// wake lets the processes run, whoever stopped them.
func (p *placement) wake() {
	if p.c.unified != "" {
		p.write(p.unified(), "cgroup.freeze", "0")
	} else if p.c.v1["freezer"] != "" {
		p.write(p.dir("freezer"), "freezer.state", "THAWED")
	}
}

// remove takes the groups away; their processes are gone.
func (p *placement) remove() {
	for _, dir := range p.dirs() {
		for range 50 { // a thread that forked here may still be on its way out
			if err := unix.Rmdir(dir); err != unix.EBUSY {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// SweepGroups removes the control groups that a directory's keeper has left
// which was killed and had no instance.
func SweepGroups(dir string) { findCgroups(GroupName(dir)).removeAll() }

// removeAll takes our whole tree away.
func (c *cgroups) removeAll() {
	roots := c.hierarchies
	if c.unified != "" {
		roots = append(roots, c.unified)
	}
	for _, root := range roots {
		c.sweep(root)
		unix.Rmdir(root)
	}
}

// sweep removes groups of instances that no longer run: a killed keeper leaves
// them behind.
func (c *cgroups) sweep(root string) {
	entries, _ := os.ReadDir(root)
	for _, entry := range entries {
		if entry.IsDir() {
			unix.Rmdir(filepath.Join(root, entry.Name()))
		}
	}
}

// cpu reads the processor time used so far.
func (p *placement) cpu() (time.Duration, bool) {
	if p.c.v1["cpuacct"] != "" {
		n, err := strconv.ParseInt(strings.TrimSpace(readString(filepath.Join(p.dir("cpuacct"), "cpuacct.usage"))), 10, 64)
		return time.Duration(n), err == nil
	}
	if p.c.unified != "" {
		n, ok := keyed(filepath.Join(p.unified(), "cpu.stat"))["usage_usec"]
		return time.Duration(n) * time.Microsecond, ok
	}
	return 0, false
}

// memory reads what is in use, without the page cache.
func (p *placement) memory() (int64, bool) {
	dir, current, prefix := "", "", ""
	switch {
	case p.c.v2["memory"]:
		dir, current = p.unified(), "memory.current"
	case p.c.v1["memory"] != "":
		dir, current, prefix = p.dir("memory"), "memory.usage_in_bytes", "total_"
	default:
		return 0, false
	}
	used, err := strconv.ParseInt(strings.TrimSpace(readString(filepath.Join(dir, current))), 10, 64)
	stat := keyed(filepath.Join(dir, "memory.stat"))
	return max(used-stat[prefix+"inactive_file"]-stat[prefix+"active_file"], 0), err == nil
}

// operations reads finished disk reads and writes.
func (p *placement) operations() (reads, writes uint64) {
	if p.c.v2["io"] {
		for _, field := range strings.Fields(readString(filepath.Join(p.unified(), "io.stat"))) {
			name, value, _ := strings.Cut(field, "=")
			n, _ := strconv.ParseUint(value, 10, 64)
			switch name {
			case "rios":
				reads += n
			case "wios":
				writes += n
			}
		}
	} else if p.c.v1["blkio"] != "" {
		for line := range strings.Lines(readString(filepath.Join(p.dir("blkio"), "blkio.throttle.io_serviced"))) {
			fields := strings.Fields(line)
			if len(fields) != 3 {
				continue
			}
			n, _ := strconv.ParseUint(fields[2], 10, 64)
			switch fields[1] {
			case "Read":
				reads += n
			case "Write":
				writes += n
			}
		}
	}
	return reads, writes
}

// keyed reads a file of "name number" lines.
func keyed(path string) map[string]int64 {
	values := map[string]int64{}
	scanner := bufio.NewScanner(strings.NewReader(readString(path)))
	for scanner.Scan() {
		name, value, _ := strings.Cut(scanner.Text(), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			values[name] = n
		}
	}
	return values
}

// readString reads a small file; what cannot be read is empty.
func readString(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}
