package drivertest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
)

func (s suite) lifecycle(t *testing.T) {
	d, ctx := s.open(t)
	spec := plain("i-1", "172.31.5.10")
	ok(t, d.Launch(ctx, spec))
	event(t, d, "i-1", driver.Booted)
	first := expectState(t, ctx, d, "i-1", driver.Running)
	if !first.Booted || first.PrivateIP != spec.PrivateIP || time.Since(first.Started) > time.Minute {
		t.Errorf("unexpected %+v", first)
	}
	ok(t, d.Launch(ctx, spec)) // again: nothing happens
	ok(t, d.Start(ctx, spec))
	if again := expectState(t, ctx, d, "i-1", driver.Running); !again.Started.Equal(first.Started) {
		t.Error("a second Launch started it again")
	}
	ok(t, d.Stop(ctx, "i-1", false))
	stopped := expectState(t, ctx, d, "i-1", driver.Stopped)
	if stopped.Reason != driver.ReasonStopped {
		t.Errorf("the reason is %q", stopped.Reason)
	}
	ok(t, d.Stop(ctx, "i-1", false))
	ok(t, d.Launch(ctx, spec)) // it exists, so it is left alone
	expectState(t, ctx, d, "i-1", driver.Stopped)
	if err := d.Reboot(ctx, "i-1"); !errors.Is(err, driver.ErrNotRunning) {
		t.Errorf("rebooting a stopped instance: %v", err)
	}
	ok(t, d.Start(ctx, spec))
	event(t, d, "i-1", driver.Booted)
	second := expectState(t, ctx, d, "i-1", driver.Running)
	ok(t, d.Reboot(ctx, "i-1"))
	event(t, d, "i-1", driver.Booted)
	if third := expectState(t, ctx, d, "i-1", driver.Running); !third.Started.After(second.Started) {
		t.Error("the reboot did not start it again")
	}
	ok(t, d.Stop(ctx, "i-1", true))
	expectState(t, ctx, d, "i-1", driver.Stopped)
	ok(t, d.Terminate(ctx, "i-1"))
	if _, exists := find(t, ctx, d, "i-1"); exists {
		t.Error("it exists after Terminate")
	}
	ok(t, d.Terminate(ctx, "i-1"))
	ok(t, d.Launch(ctx, spec)) // its address is free again
	ok(t, d.Terminate(ctx, "i-1"))
}

func (s suite) mistakes(t *testing.T) {
	d, ctx := s.open(t)
	for name, err := range map[string]error{
		"start":   d.Start(ctx, plain("i-0", "172.31.5.10")),
		"stop":    d.Stop(ctx, "i-0", false),
		"reboot":  d.Reboot(ctx, "i-0"),
		"image":   d.CreateImage(ctx, "ami-1", "i-0"),
		"console": second(d.Console(ctx, "i-0")),
		"exec":    second(d.Exec(ctx, "i-0", driver.ExecRequest{Args: []string{"true"}})),
	} {
		if !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%s of an unknown instance: %v", name, err)
		}
	}
	ok(t, d.Terminate(ctx, "i-0"))
	ok(t, d.DeleteImage(ctx, "ami-0"))
	bad := plain("i-1", "172.31.5.10")
	bad.ImageID = "ami-0"
	expectCode(t, "an unknown image", d.Launch(ctx, bad), driver.CodeImage)
	bad = plain("../i-1", "172.31.5.10")
	expectCode(t, "a bad ID", d.Launch(ctx, bad), driver.CodeInvalid)
	bad = plain("i-1", "172.31.5.10")
	bad.PrivateIP = netip.MustParseAddr("10.0.0.1")
	expectCode(t, "an address outside of the subnet", d.Launch(ctx, bad), driver.CodeInvalid)
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
	expectCode(t, "an address in use", d.Launch(ctx, plain("i-2", "172.31.5.10")), driver.CodeInvalid)
	if _, exists := find(t, ctx, d, "i-2"); exists {
		t.Error("a failed Launch left an instance behind")
	}
}

func second[T any](_ T, err error) error { return err }

func expectCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var coded *driver.Error
	if !errors.As(err, &coded) || coded.Code != code {
		t.Errorf("%s: got %v, want code %s", what, err, code)
	}
}

func (s suite) reset(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
	ok(t, d.Launch(ctx, plain("i-2", "172.31.5.11")))
	ok(t, d.Stop(ctx, "i-2", true))
	ok(t, d.CreateImage(ctx, "ami-1", "i-2"))
	ok(t, d.Reset(ctx))
	all, err := d.Inventory(ctx)
	ok(t, err)
	if len(all.Instances)+len(all.Images) > 0 {
		t.Errorf("left after Reset: %+v", all)
	}
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
}

func (s suite) userData(t *testing.T) {
	d, ctx := s.open(t)
	spec := plain("i-1", "172.31.5.10")
	spec.UserData = []byte("#!/bin/sh\necho \"hello from $(hostname), $(id -u)\"\necho x >> /root/runs\nexit 3\n")
	ok(t, d.Launch(ctx, spec))
	if e := event(t, d, "i-1", driver.Booted); e.ExitStatus != 3 {
		t.Errorf("exit status %d, want 3", e.ExitStatus)
	}
	const want = "hello from ip-172-31-5-10.ec2.internal, 0"
	expectConsole(t, ctx, d, want)
	if log := sh(t, ctx, d, "i-1", "cat /var/log/cloud-init-output.log"); !strings.Contains(log, want) {
		t.Errorf("the log inside is %q", log)
	}
	ok(t, d.Stop(ctx, "i-1", false))
	expectConsole(t, ctx, d, want) // it stays
	ok(t, d.Start(ctx, spec))
	event(t, d, "i-1", driver.Booted)
	if runs := sh(t, ctx, d, "i-1", "cat /root/runs"); runs != "x" {
		t.Errorf("user data ran again (EC-IN-07): %q", runs)
	}
	for id, text := range map[string]string{
		"i-2": "#!/nonexistent/shell\n",
		"i-3": "echo no interpreter",
	} {
		spec := plain(id, "172.31.5.1"+id[2:])
		spec.UserData = []byte(text)
		ok(t, d.Launch(ctx, spec))
		event(t, d, id, driver.Booted)
		console, err := d.Console(ctx, id)
		ok(t, err)
		if !strings.Contains(strings.ToLower(string(console)), "user data") {
			t.Errorf("the console of %s does not say why nothing ran: %s", id, console)
		}
	}
}

func expectConsole(t *testing.T, ctx context.Context, d driver.Driver, want string) {
	t.Helper()
	eventually(t, "the console shows "+want, func() bool {
		console, err := d.Console(ctx, "i-1")
		ok(t, err)
		return strings.Contains(string(console), want)
	})
}

func (s suite) diskStays(t *testing.T) {
	d, ctx := s.open(t)
	spec := plain("i-1", "172.31.5.10")
	ok(t, d.Launch(ctx, spec))
	event(t, d, "i-1", driver.Booted)
	const make = `echo kept > /home/ec2-user/file; rm /usr/bin/env; mkdir -p /usr/local/new && echo deep > /usr/local/new/file
printf '#!/bin/sh\necho y >> /root/boots\n' > /etc/rc.local; chmod +x /etc/rc.local`
	sh(t, ctx, d, "i-1", make)
	const check = "cat /home/ec2-user/file /usr/local/new/file; test -e /usr/bin/env || echo gone"
	for name, again := range map[string]func() error{
		"stop":   func() error { return errors.Join(d.Stop(ctx, "i-1", false), d.Start(ctx, spec)) },
		"reboot": func() error { return d.Reboot(ctx, "i-1") },
	} {
		ok(t, again())
		event(t, d, "i-1", driver.Booted)
		if got := sh(t, ctx, d, "i-1", check); got != "kept\ndeep\ngone" {
			t.Errorf("after %s the disk has %q", name, got)
		}
	}
	eventually(t, "rc.local ran at both boots", func() bool { return sh(t, ctx, d, "i-1", "cat /root/boots") == "y\ny" })
	spec.Hostname = "renamed"
	ok(t, d.Stop(ctx, "i-1", false))
	ok(t, d.Start(ctx, spec))
	if got := sh(t, ctx, d, "i-1", "hostname; cat /etc/hostname"); got != "renamed\nrenamed" {
		t.Errorf("the new name is %q", got)
	}
}

func (s suite) image(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
	sh(t, ctx, d, "i-1", "echo one > /root/file; ln /root/file /root/link; ln -s file /root/soft; rm /usr/bin/env; chmod 600 /root/file; rm -r /etc/skel; mkdir /etc/skel; echo new > /etc/skel/only")
	ok(t, d.CreateImage(ctx, "ami-1", "i-1"))
	ok(t, d.CreateImage(ctx, "ami-1", "i-1"))
	sh(t, ctx, d, "i-1", "echo changed > /root/file") // after the image was made
	child := plain("i-2", "172.31.5.11")
	child.ImageID = "ami-1"
	ok(t, d.Launch(ctx, child))
	const check = "cat /root/file /root/soft; stat -c '%a %h' /root/file; test -e /usr/bin/env || echo gone; ls -A /etc/skel; hostname"
	const want = "one\none\n600 2\ngone\nonly\nip-172-31-5-11.ec2.internal"
	if got := sh(t, ctx, d, "i-2", check); got != want {
		t.Errorf("the image holds %q, want %q", got, want)
	}
	sh(t, ctx, d, "i-2", "echo two >> /root/file")
	ok(t, d.Stop(ctx, "i-2", false))
	ok(t, d.CreateImage(ctx, "ami-2", "i-2"))
	ok(t, d.DeleteImage(ctx, "ami-1")) // others are built on it
	all, err := d.Inventory(ctx)
	ok(t, err)
	if !slices.Equal(all.Images, []string{"ami-2"}) {
		t.Errorf("images are %v", all.Images)
	}
	grandchild := plain("i-3", "172.31.5.12")
	grandchild.ImageID = "ami-2"
	ok(t, d.Launch(ctx, grandchild))
	if got := sh(t, ctx, d, "i-3", "cat /root/file; test -e /usr/bin/env || echo gone"); got != "one\ntwo\ngone" {
		t.Errorf("the second image holds %q", got)
	}
	grandchild.ID, grandchild.ImageID, grandchild.PrivateIP = "i-4", "ami-1", netip.MustParseAddr("172.31.5.13")
	expectCode(t, "a deleted image", d.Launch(ctx, grandchild), driver.CodeImage)
}

func (s suite) power(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, server("i-1", "172.31.5.10")))
	event(t, d, "i-1", driver.Booted)
	before := expectState(t, ctx, d, "i-1", driver.Running)
	run(t, ctx, d, "i-1", "sh", "-c", "reboot")
	event(t, d, "i-1", driver.Booted)
	if after := expectState(t, ctx, d, "i-1", driver.Running); !after.Started.After(before.Started) {
		t.Error("reboot from inside did not boot it again")
	}
	ask(t, ctx, d, "172.31.5.10:80")
	if _, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"sh", "-c", "shutdown -h now; sleep 60"}}); err != nil && !errors.Is(err, driver.ErrNotRunning) {
		t.Error(err)
	}
	if e := event(t, d, "i-1", driver.Exited); e.Reason != driver.ReasonPoweroff {
		t.Errorf("the reason is %q", e.Reason)
	}
	expectState(t, ctx, d, "i-1", driver.Stopped)
}

// silent is what Check says once it says something else than an instance that has only just been asked.
func silent(t *testing.T, ctx context.Context, d driver.Driver, want ...string) {
	t.Helper()
	var got []string
	eventually(t, fmt.Sprintf("the silent instances are %q", want), func() bool {
		var err error
		got, err = d.Check(ctx)
		ok(t, err)
		return slices.Equal(got, want)
	})
}

// hung: a check finds out who gives no sign of life, and not who is busy; a restart helps.
func (s suite) hung(t *testing.T) {
	dir := directory(t)
	d, ctx := s.openAt(t, dir)
	spec := plain("i-1", "172.31.5.10")
	spec.CPUs = 0.1
	ok(t, d.Launch(ctx, spec))
	event(t, d, "i-1", driver.Booted)
	sh(t, ctx, d, "i-1", "for n in 1 2 3 4 5 6 7 8 9 10; do "+programPath+" helper burn 1h > /dev/null 2>&1 & done")
	for range 5 {
		if got, err := d.Check(ctx); err != nil || len(got) > 0 {
			t.Errorf("a busy instance: %q, %v", got, err)
		}
	}
	if code, _ := run(t, ctx, d, "i-1", "sh", "-c", "ip link set eth0 down"); code != 127 { // a host without ip
		silent(t, ctx, d, "i-1")
		sh(t, ctx, d, "i-1", "ip link set eth0 up")
		silent(t, ctx, d)
	}
	s.kind.HangInstance(t, dir, "i-1")
	silent(t, ctx, d, "i-1")
	ok(t, d.Reboot(ctx, "i-1"))
	silent(t, ctx, d)
	s.kind.HangInstance(t, dir, "i-1")
	silent(t, ctx, d, "i-1")
	ok(t, d.Launch(ctx, server("i-2", "172.31.5.11")))
	ok(t, d.Stop(ctx, "i-1", true))
	silent(t, ctx, d)
}

func (s suite) killed(t *testing.T) {
	dir := directory(t)
	d, ctx := s.openAt(t, dir)
	spec := server("i-1", "172.31.5.10")
	ok(t, d.Launch(ctx, spec))
	ask(t, ctx, d, "172.31.5.10:80")
	s.kind.KillInstance(t, dir, "i-1")
	if e := event(t, d, "i-1", driver.Exited); e.Reason != driver.ReasonKilled {
		t.Errorf("the reason is %q", e.Reason)
	}
	if i := expectState(t, ctx, d, "i-1", driver.Stopped); i.Reason != driver.ReasonKilled {
		t.Errorf("the inventory's reason is %q", i.Reason)
	}
	ok(t, d.Start(ctx, spec))
	ask(t, ctx, d, "172.31.5.10:80")
}

// adoption kills a daemon with kill -9 and goes on with another one.
func (s suite) adoption(t *testing.T) {
	dir := directory(t)
	program, err := os.Executable()
	ok(t, err)
	daemon := exec.Command(program, "helper", "hold", s.kind.Name+"="+dir)
	daemon.Stderr = os.Stderr
	out, err := daemon.StdoutPipe()
	ok(t, err)
	ok(t, daemon.Start())
	line := make([]byte, 100)
	n, _ := out.Read(line)
	daemon.Process.Kill()
	daemon.Wait()
	if strings.TrimSpace(string(line[:n])) != "holding" {
		t.Fatalf("the daemon said %q", line[:n])
	}
	d, ctx := s.openAt(t, dir)
	expectState(t, ctx, d, "i-held", driver.Running)
	if got := ask(t, ctx, d, "172.31.9.9:80"); !strings.HasPrefix(got, "ip-172-31-9-9.ec2.internal ") {
		t.Errorf("the adopted instance answers %q", got)
	}
	if code, _ := run(t, ctx, d, "i-held", "sh", "-c", "exit 4"); code != 4 {
		t.Errorf("exit code %d", code)
	}
	d.Close()
	d, ctx = s.openAt(t, dir) // and once more, after a clean end
	expectState(t, ctx, d, "i-held", driver.Running)
	ok(t, d.Terminate(ctx, "i-held"))
}

func (s suite) leaks(t *testing.T) {
	dir := directory(t)
	d, ctx := s.openAt(t, dir)
	for _, id := range []string{"1", "2", "3"} {
		ok(t, d.Launch(ctx, server("i-"+id, "172.31.5.1"+id)))
	}
	ask(t, ctx, d, "172.31.5.11:80")
	ok(t, d.CreateImage(ctx, "ami-1", "i-1"))
	ok(t, d.Stop(ctx, "i-1", false))
	for _, id := range []string{"1", "2", "3"} {
		ok(t, d.Terminate(ctx, "i-"+id))
	}
	ok(t, d.DeleteImage(ctx, "ami-1"))
	d.Close()
	eventually(t, "nothing is left", func() bool { return len(s.kind.Leaks(dir)) == 0 })
}
