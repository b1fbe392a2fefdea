package keeper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// tops are the top directories that an instance has from the host: none if its
// image is a whole root file system.
func (k *keeper) tops(i *instance) []string {
	if i.record.Whole {
		return nil
	}
	return k.base.tops
}

// environment is what programs of the instance find set: what its image says
// comes over what all have and what its spec says.
func (i *instance) environment() []string {
	return overlaid(append(append([]string{}, environment...), i.record.Spec.Environment...), i.record.Config.Env)
}

// overlaid puts variables in place of those that have the same names, and
// behind the others: where a name is there twice, programs take either.
func overlaid(variables, over []string) []string {
	all := append([]string{}, variables...)
	for _, entry := range over {
		name, _, _ := strings.Cut(entry, "=")
		replaced := false
		for n, old := range all {
			if strings.HasPrefix(old, name+"=") {
				all[n], replaced = entry, true
			}
		}
		if !replaced && name != "" {
			all = append(all, entry)
		}
	}
	return all
}

// runEntry starts the program that the image is made for. The instance lives
// on when it ends, as a machine does whose service has ended; the console tells.
func (k *keeper) runEntry(i *instance, b *boot) {
	config := i.record.Config
	command := config.Command()
	if len(command) == 0 {
		return
	}
	p := program{args: command, env: b.environment, dir: "/"}
	err := b.guest.within(func() (err error) {
		if config.WorkingDir != "" {
			p.dir = config.WorkingDir
			if err := os.MkdirAll(p.dir, 0o755); err != nil {
				return err
			}
		}
		p.user, err = userOf(config)
		return err
	})
	if k.rootless && p.user != "" {
		b.console.printf("Without root there is one user only: %s runs as root of the instance, not as %s", command[0], config.User)
		p.user = ""
	}
	var s spawned
	if err == nil {
		s = b.guest.spawn(p)
		err = s.err
	}
	if err != nil {
		b.console.printf("The image's program %s could not be started: %s", command[0], outcome(0, err))
		return
	}
	b.console.printf("Started %s", strings.Join(command, " "))
	go func() {
		if exit := <-s.exit; !exit.lost {
			b.console.printf("%s ended: exit status %d", command[0], exitCode(exit.status))
		}
	}()
}

// userOf looks up who runs the entry point, as "UID GID"; empty is root. It is
// run inside the guest.
func userOf(config driver.ImageConfig) (string, error) {
	name, group, _ := strings.Cut(config.User, ":")
	if name == "" && group == "" {
		return "", nil
	}
	uid, gid := name, "0"
	for line := range strings.Lines(readInside("/etc/passwd")) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) >= 4 && (f[0] == name || f[2] == name) {
			uid, gid = f[2], f[3]
			break
		}
	}
	if group != "" {
		gid = group
		for line := range strings.Lines(readInside("/etc/group")) {
			if f := strings.Split(strings.TrimSpace(line), ":"); len(f) >= 3 && f[0] == group {
				gid = f[2]
				break
			}
		}
	}
	for _, id := range []string{uid, gid} {
		if _, err := strconv.ParseUint(id, 10, 31); err != nil {
			return "", fmt.Errorf("its user %q does not exist in the image", config.User)
		}
	}
	return uid + " " + gid, nil
}

// readInside reads a small file that is the guest's work: never waiting, never
// more than a megabyte.
func readInside(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(file, 1<<20))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return string(b)
}
