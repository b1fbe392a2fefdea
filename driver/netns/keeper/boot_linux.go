package keeper

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/driver"
)

// environment is what programs of an instance find set.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LANG=C.UTF-8",
}

// prepare makes the instance's directories and the files in it that change
// from boot to boot. It does not follow links out of the writable layer: what
// is in there is the instance's own work.
func (k *keeper) prepare(i *instance) error {
	first := !i.record.Ran
	if err := os.MkdirAll(i.path(), 0o700); err != nil {
		return err
	}
	if err := k.save(i); err != nil {
		return err
	}
	for _, top := range append([]string{"root"}, k.tops(i)...) {
		if err := os.MkdirAll(i.path(top, "upper"), 0o755); err != nil {
			return err
		}
		work := i.path(top, "work")
		if err := os.RemoveAll(work); err != nil {
			return err
		}
		if err := os.Mkdir(work, 0o755); err != nil {
			return err
		}
	}
	root, err := os.OpenRoot(i.path("root", "upper"))
	if err != nil {
		return err
	}
	defer root.Close()
	name := i.hostname()
	short, _, _ := strings.Cut(name, ".")
	resolver := resolverAddress
	if i.record.Spec.DNS.IsValid() {
		resolver = i.record.Spec.DNS.String()
	}
	_, domain, _ := strings.Cut(name, ".")
	search := ""
	if domain != "" {
		search = "search " + domain + "\n"
	}
	id := sha256.Sum256([]byte(i.id))
	err = errors.Join(
		place(root, "etc/hostname", name+"\n", 0o644),
		// Its own name must not need a resolver: many servers look it up at start.
		place(root, "etc/hosts", fmt.Sprintf("127.0.0.1 localhost\n%s %s %s\n", i.record.Spec.PrivateIP, name, short), 0o644),
		place(root, "etc/resolv.conf", search+"nameserver "+resolver+"\noptions timeout:2 attempts:2\n", 0o644),
		place(root, "etc/machine-id", hex.EncodeToString(id[:16])+"\n", 0o444),
	)
	if first {
		if script, _ := script(i.record.Spec.UserData); script != nil {
			err = errors.Join(err, place(root, scriptPath, string(script), 0o700))
		}
	} else if !errors.Is(err, unix.ENOSPC) {
		err = nil // the instance made these names something else: its own affair
	}
	return err
}

// scriptPath is where an instance finds its user data.
const scriptPath = "var/lib/cloud/user-data"

// place writes a file anew, in place of whatever has its name.
func place(root *os.Root, path, content string, mode fs.FileMode) error {
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := root.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.WriteFile(path, []byte(content), mode)
}

// script gives the user data to run, or says why there is none (EC-IN-07).
func script(data []byte) (script []byte, complaint string) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(r, 1<<20))
		}
		if err != nil {
			return nil, "user data looks compressed but is not: " + err.Error()
		}
	}
	switch text := bytes.TrimLeft(data, " \t\r\n"); {
	case len(text) == 0:
		return nil, ""
	case bytes.HasPrefix(data, []byte("#!")):
		return data, ""
	case bytes.HasPrefix(data, []byte("#cloud-config")):
		return nil, "user data is a #cloud-config, which this driver does not carry out; use a script that starts with #!"
	}
	return nil, "user data does not start with #! and was not run"
}

// bootScript runs what an instance starts at every boot.
const bootScript = `for f in /var/lib/cloud/scripts/per-boot/*; do if [ -x "$f" ]; then "$f"; fi; done
if [ -x /etc/rc.local ]; then /etc/rc.local; fi`

// runBoot runs boot scripts and, once in an instance's life, its user data.
// Until that is over, or for a bounded time, CPU is not limited.
func (k *keeper) runBoot(i *instance, b *boot) {
	spec := i.record.Spec
	limited := time.AfterFunc(bootWindow, func() { b.place.limitCPU(spec.CPUs) })
	defer limited.Stop()
	b.console.printf("Booting %s (%s, %s)", i.id, i.hostname(), spec.PrivateIP)
	if k.hasBootScripts(i) {
		if status, err := k.runInside(b, []string{"/bin/sh", "-c", bootScript}); err != nil || status != 0 {
			b.console.printf("Boot scripts failed: %s", outcome(status, err))
		}
	}
	status := 0
	if !i.record.Ran {
		var lost bool
		if status, lost = k.runUserData(i, b, spec); lost {
			return // the instance is gone
		}
	}
	select {
	case <-b.guest.ended:
		return
	default:
	}
	k.runEntry(i, b)
	limited.Stop()
	if err := b.place.limitCPU(spec.CPUs); err != nil {
		k.log("limiting CPU of %s: %v", i.id, err)
	}
	b.console.printf("Boot of %s finished after %.2f s", i.id, time.Since(b.started).Seconds())
	k.mu.Lock()
	b.booted = true
	k.mu.Unlock()
	k.publish(driver.Event{ID: i.id, Kind: driver.Booted, At: time.Now(), ExitStatus: status})
}

func (k *keeper) runUserData(i *instance, b *boot, spec driver.Spec) (status int, lost bool) {
	// From here on it counts as done, even if the instance stops half way.
	k.mu.Lock()
	i.record.Ran = true
	k.mu.Unlock()
	if err := k.save(i); err != nil {
		k.log("saving %s: %v", i.id, err)
	}
	text, complaint := script(spec.UserData)
	if complaint != "" {
		b.console.printf("%s", complaint)
	}
	if text == nil {
		return 0, false
	}
	status, err := k.runInside(b, []string{"/" + scriptPath})
	if errors.Is(err, errGone) {
		return 0, true
	}
	if err != nil || status != 0 {
		b.console.printf("User data failed: %s", outcome(status, err))
	}
	return status, false
}

func outcome(status int, err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "its interpreter (first line) does not exist in this image"
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("exit status %d", status)
}

// runInside runs a program with the console as its output and waits for it.
func (k *keeper) runInside(b *boot, args []string) (status int, err error) {
	s := b.guest.spawn(program{args: args, env: b.environment, dir: "/"})
	if s.err != nil {
		return 127, s.err
	}
	exit := <-s.exit
	if exit.lost {
		return 0, errGone
	}
	return exitCode(exit.status), nil
}

// exitCode is a wait status as a shell gives it.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// hasBootScripts looks into the layers, so that an instance that has none does
// not have to start a shell to find out.
func (k *keeper) hasBootScripts(i *instance) bool {
	dirs := []string{i.path("root/upper")}
	for _, layer := range i.record.Layers {
		dirs = append(dirs, filepath.Join("layers", layer, "root"))
	}
	for _, dir := range dirs {
		root, err := os.OpenRoot(dir)
		if err != nil {
			continue
		}
		_, err = root.Lstat("etc/rc.local")
		found := err == nil
		if d, err := root.Open("var/lib/cloud/scripts/per-boot"); err == nil {
			names, _ := d.Readdirnames(1)
			found = found || len(names) > 0
			d.Close()
		}
		root.Close()
		if found {
			return true
		}
	}
	return false
}

// watchPower carries out poweroff and reboot from inside.
func (k *keeper) watchPower(b *boot) {
	if b.power == nil {
		return
	}
	buffer := make([]byte, 64)
	n, err := b.power.Read(buffer)
	if err != nil || n == 0 {
		return
	}
	reason := driver.ReasonPoweroff
	if strings.HasPrefix(string(buffer[:n]), "reboot") {
		reason = rebooting
	}
	k.mu.Lock()
	if b.reason == "" {
		b.reason = reason
	}
	k.mu.Unlock()
	b.guest.term()
	select {
	case <-b.guest.ended:
	case <-time.After(stopGrace):
		b.guest.destroy()
	}
}
