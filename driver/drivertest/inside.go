package drivertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
)

func (s suite) dial(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, server("i-1", "172.31.5.10")))
	if got := ask(t, ctx, d, "172.31.5.10:80"); !strings.HasPrefix(got, "ip-172-31-5-10.ec2.internal ") {
		t.Errorf("it answers %q", got)
	}
	start := time.Now()
	if conn, err := d.Network().Dial(ctx, "tcp", "172.31.5.10:81"); err == nil {
		conn.Close()
		t.Error("a port where nobody listens answers")
	}
	if conn, err := d.Network().Dial(ctx, "tcp", "172.31.5.99:80"); err == nil {
		conn.Close()
		t.Error("an address without an instance answers")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("refusals took %v", took)
	}
	if _, err := d.Network().Dial(ctx, "tcp", "localhost:80"); err == nil {
		t.Error("a name was dialled")
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.Network().Dial(short, "tcp", "172.31.5.10:80"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled dial: %v", err)
	}
	ok(t, d.Stop(ctx, "i-1", true))
	if conn, err := d.Network().Dial(ctx, "tcp", "172.31.5.10:80"); err == nil {
		conn.Close()
		t.Error("a stopped instance answers")
	}
}

func (s suite) exec(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
	var out, errs strings.Builder
	code, err := d.Exec(ctx, "i-1", driver.ExecRequest{
		Args: []string{"sh", "-c", "cat; echo $NAME $HOME; pwd; echo bad >&2; exit 42"}, Env: []string{"NAME=value"}, Dir: "/var/tmp",
		Stdin: strings.NewReader("from outside\n"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || code != 42 || out.String() != "from outside\nvalue /root\n/var/tmp\n" || errs.String() != "bad\n" {
		t.Errorf("code %d, error %v, output %q, errors %q", code, err, out.String(), errs.String())
	}
	out.Reset()
	if _, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"env"}, Env: []string{"HOME=/srv"}, Stdout: &out}); err != nil ||
		strings.Count(out.String(), "HOME=") != 1 || !strings.Contains(out.String(), "HOME=/srv\n") {
		t.Errorf("error %v, environment %q", err, out.String())
	}
	if code, _ := run(t, ctx, d, "i-1", "sh", "-c", "kill -9 $$"); code != 137 {
		t.Errorf("a killed program gives %d, want 137", code)
	}
	for signal, want := range map[string]int{"HUP": 129, "INT": 130, "QUIT": 131, "PIPE": 141, "TERM": 143} {
		if code, _ := run(t, ctx, d, "i-1", "sh", "-c", "kill -"+signal+" $$; exit 9"); code != want {
			t.Errorf("a program ended by SIG%s gives %d, want %d", signal, code, want)
		}
	}
	if code, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"no-such-program"}}); err == nil || code != 127 {
		t.Errorf("an unknown program gives %d, %v", code, err)
	}
	if code, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"/etc/passwd"}}); err == nil || code != 126 {
		t.Errorf("a file that is no program gives %d, %v", code, err)
	}
	start := time.Now()
	if code, _ := run(t, ctx, d, "i-1", "sh", "-c", "sleep 60 & echo $!"); code != 0 || time.Since(start) > 5*time.Second {
		t.Errorf("a program that leaves something behind gives %d after %v", code, time.Since(start))
	}
	short, cancel := context.WithCancel(ctx)
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := d.Exec(short, "i-1", driver.ExecRequest{Args: []string{"sleep", "61"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled program: %v", err)
	}
	eventually(t, "the cancelled program is gone", func() bool {
		return !strings.Contains(sh(t, ctx, d, "i-1", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "sleep 61")
	})
	ok(t, d.Stop(ctx, "i-1", false))
	if _, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"true"}}); !errors.Is(err, driver.ErrNotRunning) {
		t.Errorf("a program in a stopped instance: %v", err)
	}
}

func (s suite) terminal(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
	var out strings.Builder
	size := make(chan driver.WindowSize, 1)
	size <- driver.WindowSize{Rows: 33, Columns: 77}
	code, err := d.Exec(ctx, "i-1", driver.ExecRequest{
		Args: []string{"sh", "-c", "test -t 0 || exit 1; tty; read x; for i in $(seq 1000); do stty size; test \"$(stty size)\" = '33 77' && break; done; exit 5"},
		TTY:  true, Resize: size, Stdin: strings.NewReader("go\n"), Stdout: &out,
	})
	if err != nil || code != 5 || !strings.Contains(out.String(), "/dev/pts/") || !strings.Contains(out.String(), "33 77") {
		t.Errorf("code %d, error %v, output %q", code, err, out.String())
	}
}

func (s suite) isolation(t *testing.T) {
	ok(t, os.WriteFile(s.kind.Secret, []byte("secret of the host"), 0o644))
	defer os.Remove(s.kind.Secret)
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
	ok(t, d.Launch(ctx, plain("i-2", "172.31.5.11")))
	if code, output := run(t, ctx, d, "i-1", "cat", s.kind.Secret); code == 0 {
		t.Errorf("a file of the host is visible: %q", output)
	}
	script := "ls /root /home; ls /etc/ssh /etc/sudoers 2>/dev/null; grep -l '[$]y[$]\\|[$]6[$]' /etc/shadow; true"
	if got := sh(t, ctx, d, "i-1", script); got != "/home:\nec2-user\n\n/root:" {
		t.Errorf("it sees %q", got)
	}
	if got := sh(t, ctx, d, "i-1", "ls -d /proc/[0-9]* | wc -l"); len(got) > 1 {
		t.Errorf("it sees %s processes", got)
	}
	host, _ := os.Hostname()
	if got := sh(t, ctx, d, "i-1", "hostname"); got != "ip-172-31-5-10.ec2.internal" || got == host {
		t.Errorf("its name is %q", got)
	}
	for _, forbidden := range []string{
		"mount -t tmpfs none /mnt", "unshare -n true", "unshare -U true", "echo 1 > /proc/sys/kernel/panic",
		"echo b > /proc/sysrq-trigger", "mknod /tmp/disk b 8 0", "cat /proc/1/environ", "ls /proc/1/root/", "echo x > /sys/kernel/profiling",
		"umount /proc/sys", "cat /proc/kcore | head -c 1 | grep .",
	} {
		if code, output := run(t, ctx, d, "i-1", "sh", "-c", forbidden); code == 0 {
			t.Errorf("%s succeeds: %q", forbidden, output)
		}
	}
	// It may do as it likes with what is its own.
	sh(t, ctx, d, "i-1", "echo x > /usr/local/file; ip addr add 10.1.1.1/32 dev lo; echo 100 > /proc/sys/net/core/somaxconn; kill -TERM 1; kill -9 1; chown 0:0 /root; echo >/dev/null")
	if got := sh(t, ctx, d, "i-2", "test -e /usr/local/file || echo own"); got != "own" {
		t.Error("another instance's file is visible")
	}
	expectState(t, ctx, d, "i-1", driver.Running)
}

// cloudAddress is how metadata and name service reach instances: the daemon
// listens on addresses of its own and tells callers by their address.
func (s suite) cloudAddress(t *testing.T) {
	d, ctx := s.open(t)
	listener, err := d.Network().Listen("tcp", "169.254.169.254:80")
	ok(t, err)
	defer listener.Close()
	go answer(listener)
	other, err := d.Network().Listen("tcp", "172.31.7.7:443") // such as a load balancer's
	ok(t, err)
	defer other.Close()
	go answer(other)
	names, err := d.Network().ListenPacket("udp", "169.254.169.253:53")
	ok(t, err)
	defer names.Close()
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := names.ReadFrom(b)
			if err != nil {
				return
			}
			names.WriteTo(b[:n], from)
		}
	}()
	ok(t, d.Launch(ctx, plain("i-1", "172.31.5.10")))
	ok(t, d.Launch(ctx, plain("i-2", "172.31.5.11")))
	for id, address := range map[string]string{"i-1": "172.31.5.10", "i-2": "172.31.5.11"} {
		for _, at := range []string{"169.254.169.254:80", "172.31.7.7:443"} {
			code, got := run(t, ctx, d, id, s.kind.Program, "helper", "fetch", at)
			if want := "you are " + address; code != 0 || got != want {
				t.Errorf("%s at %s: code %d, %q, want %q", id, at, code, got, want)
			}
		}
	}
	conn, err := d.Network().Dial(ctx, "udp", "169.254.169.253:53")
	ok(t, err)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	_, err = conn.Write([]byte("question"))
	ok(t, err)
	b := make([]byte, 100)
	if n, err := conn.Read(b); err != nil || string(b[:n]) != "question" {
		t.Errorf("the resolver answers %q, %v", b[:n], err)
	}
}

func answer(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		fmt.Fprintf(conn, "you are %s\n", host)
		conn.Close()
	}
}

func (s suite) neighbours(t *testing.T) {
	d, ctx := s.open(t)
	ok(t, d.Launch(ctx, server("i-1", "172.31.5.10")))
	other := plain("i-2", "172.31.5.11")
	ok(t, d.Launch(ctx, other))
	ask(t, ctx, d, "172.31.5.10:80")
	code, got := run(t, ctx, d, "i-2", s.kind.Program, "helper", "fetch", "172.31.5.10:80")
	if code != 0 || !strings.HasPrefix(got, "ip-172-31-5-10.ec2.internal 172.31.5.11:") {
		t.Errorf("code %d, %q", code, got)
	}
}

// sideBySide runs two clouds with the same addresses on one host.
func (s suite) sideBySide(t *testing.T) {
	one, ctx := s.open(t)
	two, _ := s.open(t)
	a, b := server("i-1", "172.31.5.10"), server("i-1", "172.31.5.10")
	a.Hostname, b.Hostname = "one", "two"
	ok(t, one.Launch(ctx, a))
	ok(t, two.Launch(ctx, b))
	if got := ask(t, ctx, one, "172.31.5.10:80"); !strings.HasPrefix(got, "one ") {
		t.Errorf("the first cloud answers %q", got)
	}
	if got := ask(t, ctx, two, "172.31.5.10:80"); !strings.HasPrefix(got, "two ") {
		t.Errorf("the second cloud answers %q", got)
	}
	ok(t, one.Reset(ctx))
	if got := ask(t, ctx, two, "172.31.5.10:80"); !strings.HasPrefix(got, "two ") {
		t.Errorf("after the end of the first, the second cloud answers %q", got)
	}
}
