package keeper

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/netns/pid1"
)

// steps tells an init how to build the inside: root file system, /proc, /sys,
// /dev, /run; then hand over the files that we keep an eye on, leave the
// host's tree, and give up what could reach out of the instance.
//
// Mounting below mnt before leaving is safe although the tree is the
// instance's own: /proc, /sys, /dev, /run and the top directories are mount
// points whenever it runs, so it cannot replace them by links.
func (k *keeper) steps(i *instance, nodes []node) []string {
	const mnt = "mnt" // the same for all: each has a mount namespace of its own
	in := func(path string) string { return filepath.Join(mnt, path) }
	num := func(n int) string { return strconv.Itoa(n) }
	var steps []string
	add := func(op string, args ...string) { steps = append(steps, pid1.Step(op, args...)) }
	const plain = unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV

	add("mount", "overlay", mnt, "overlay", num(unix.MS_NODEV), k.overlay(i, "root", "base/root"))
	for _, top := range k.tops(i) {
		flags := unix.MS_NODEV
		if i.record.Spec.Sandbox != nil {
			flags |= unix.MS_RDONLY
		}
		lower := "/" + top
		for _, own := range []string{"tools/" + top, "base/" + top} {
			if _, err := os.Stat(own); err == nil {
				lower = own + ":" + lower
			}
		}
		add("mount", "overlay", in(top), "overlay", num(flags), k.overlay(i, top, lower))
	}

	add("mount", "proc", in("proc"), "proc", num(plain), "")
	add("write?", in("proc/sys/net/ipv4/ping_group_range"), k.pingGroups())
	add("write?", in("proc/sys/net/ipv4/conf/all/route_localnet"), "1") // answers come from public addresses on loopback
	add("mount?", in("proc/sys/net"), in("proc/sys/net"), "", num(unix.MS_BIND), "")
	for _, path := range []string{"proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus", "proc/fs", "proc/acpi", "proc/scsi"} {
		add("mount?", in(path), in(path), "", num(unix.MS_BIND|unix.MS_REC), "")
		add("mount?", "", in(path), "", num(unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|plain), "")
	}
	for _, path := range []string{"proc/kcore", "proc/keys", "proc/timer_list", "proc/kmsg", "proc/kallsyms"} {
		add("mount?", "/dev/null", in(path), "", num(unix.MS_BIND), "")
	}
	add("mount?", "sysfs", in("sys"), "sysfs", num(plain|unix.MS_RDONLY), "")

	shared, volatile := "mode=1777", "mode=755"
	if i.record.Spec.Sandbox != nil {
		shared, volatile = shared+",size=64m", volatile+",size=4m"
	}
	steps = append(steps, deviceSteps(in("dev"), shared, nodes)...)

	add("mount", "tmpfs", in("run"), "tmpfs", num(unix.MS_NOSUID|unix.MS_NODEV), volatile)
	add("mkdir", in("run/lock"), num(0o777))
	add("chmod", in("run/lock"), num(0o1777))
	add("mkdir", in("run/billow"), num(0o700))
	add("mkfifo", in("run/billow/power"), num(0o600))
	add("open", "console", in("dev/console"), num(unix.O_RDWR|unix.O_NONBLOCK))
	add("open", "power", in("run/billow/power"), num(unix.O_RDWR|unix.O_NONBLOCK))

	if box := i.record.Spec.Sandbox; box != nil {
		for _, step := range sandboxSteps(box, in) {
			add(step[0], step[1:]...)
		}
	}
	add("pivot", mnt)
	add("console", "/dev/console")
	if i.record.Spec.Sandbox == nil {
		add("open?", "log", "/var/log/cloud-init-output.log", num(unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY))
	} else {
		add("mount", "", "/", "", num(unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NODEV), "")
	}
	add("hostname", i.hostname())
	if len(k.filter) > 0 {
		add("seccomp", string(k.filter), num(unix.SYS_SECCOMP))
	}
	add("caps", strconv.FormatUint(keptCapabilities(), 10))
	return steps
}

// sandboxSteps brings the folders into the tree and gives it a /tmp. They are
// for the first boot only: nobody can have replaced what is named here by links.
func sandboxSteps(box *driver.Sandbox, in func(string) string) (steps [][]string) {
	const plain = unix.MS_NOSUID | unix.MS_NODEV
	for _, f := range box.Folders {
		at := in(f.Target)
		steps = append(steps, []string{"mkdir", at, strconv.Itoa(0o755)},
			[]string{"mount", f.Source, at, "", strconv.Itoa(unix.MS_BIND), ""},
			[]string{"mount", "", at, "", strconv.Itoa(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | plain), ""})
	}
	options := "mode=1777"
	if box.Scratch > 0 {
		options += ",size=" + strconv.FormatInt(box.Scratch, 10)
	}
	return append(steps, []string{"mount", "tmpfs", in("tmp"), "tmpfs", strconv.Itoa(plain), options})
}

// deviceSteps make a small /dev, with the volumes in it.
func deviceSteps(dev, shared string, nodes []node) []string {
	num := func(n int) string { return strconv.Itoa(n) }
	var steps []string
	add := func(op string, args ...string) { steps = append(steps, pid1.Step(op, args...)) }
	add("mount", "tmpfs", dev, "tmpfs", num(unix.MS_NOSUID|unix.MS_NOEXEC), "mode=755,size=1m")
	for _, device := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		add("touch", filepath.Join(dev, device))
		add("mount", "/dev/"+device, filepath.Join(dev, device), "", num(unix.MS_BIND), "")
	}
	for _, link := range [][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"}} {
		add("symlink", link[0], filepath.Join(dev, link[1]))
	}
	add("mkdir", filepath.Join(dev, "pts"), num(0o755))
	add("mount", "devpts", filepath.Join(dev, "pts"), "devpts", num(unix.MS_NOSUID|unix.MS_NOEXEC), "newinstance,ptmxmode=0666,mode=0620")
	add("mkdir", filepath.Join(dev, "shm"), num(0o1777))
	add("mount", "tmpfs", filepath.Join(dev, "shm"), "tmpfs", num(unix.MS_NOSUID|unix.MS_NODEV), shared)
	add("mkfifo", filepath.Join(dev, "console"), num(0o622))
	for _, n := range nodes {
		add("mknod", filepath.Join(dev, n.name), num(nodeMode), strconv.FormatUint(n.dev, 10))
	}
	return steps
}

// overlay gives the mount options for one top directory: the instance's own
// writable layer over those of its image over the host's.
//
// It is mounted volatile. Otherwise every unmount would write back the host's
// whole file system, seconds on a busy one. What it costs: fsync inside an
// instance gives no protection against a crash of the host, as on an instance
// store volume.
func (k *keeper) overlay(i *instance, top, lower string) string {
	lowers := make([]string, 0, len(i.record.Layers)+1)
	for _, layer := range i.record.Layers {
		lowers = append(lowers, filepath.Join("layers", layer, top))
	}
	if !i.record.Whole {
		lowers = append(lowers, lower)
	}
	options := "lowerdir=" + strings.Join(lowers, ":") +
		",upperdir=" + i.path(top, "upper") +
		",workdir=" + i.path(top, "work") + ",volatile"
	if k.rootless {
		return options + ",userxattr"
	}
	return options + ",redirect_dir=off,metacopy=off,index=off"
}

// pingGroups lets everybody ping: without root there is one group only.
func (k *keeper) pingGroups() string {
	if k.rootless {
		return "0 0"
	}
	return "0 2147483647"
}

// keptCapabilities is what root inside an instance may do: everything with its
// own files, processes and network, nothing with the host. Mounting, modules,
// clocks, raw devices and tracing across users are missing.
func keptCapabilities() (mask uint64) {
	for _, c := range []int{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL,
		unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_SETFCAP, unix.CAP_SYS_CHROOT,
		unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW, unix.CAP_NET_ADMIN, unix.CAP_AUDIT_WRITE,
	} {
		mask |= 1 << c
	}
	return mask
}
