package drivertest

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// archive packs entries; content comes with regular files.
func archive(t *testing.T, content []byte, entries ...tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		body := content
		if h.Typeflag != tar.TypeReg {
			body = nil
		}
		h.Size, h.ModTime = int64(len(body)), time.Unix(1e9, 0)
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		ok(t, w.WriteHeader(&h))
		_, err := w.Write(body)
		ok(t, err)
	}
	ok(t, w.Close())
	return &b
}

// zeros is an archive of one file that unpacks to size bytes.
func zeros(t *testing.T, size int64) io.Reader {
	t.Helper()
	var b bytes.Buffer
	ok(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "bomb", Typeflag: tar.TypeReg, Mode: 0o644, Size: size, Format: tar.FormatPAX}))
	return io.MultiReader(&b, strings.NewReader(strings.Repeat("\x00", 1<<20)))
}

// importBad wants archives to be refused, and nothing left of them.
func (s suite) importBad(t *testing.T) {
	d, ctx := s.open(t)
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
	outside := t.TempDir()
	for name, in := range map[string]io.Reader{
		"a name that goes up":        archive(t, []byte("x"), file("../escaped")),
		"a name that goes up later":  archive(t, []byte("x"), file("a/../../escaped")),
		"a link that leads out":      archive(t, []byte("x"), tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: outside}, file("out/escaped")),
		"a link that climbs":         archive(t, []byte("x"), tar.Header{Name: "up", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("../", 30) + outside[1:]}, file("up/escaped")),
		"a hard link that leads out": archive(t, nil, tar.Header{Name: "shadow", Typeflag: tar.TypeLink, Linkname: "../../../../../../../etc/passwd"}),
		"a device":                   archive(t, nil, tar.Header{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8}),
		"a pipe":                     archive(t, nil, tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}),
		"a bomb":                     zeros(t, 100<<30),
		"a torn archive":             zeros(t, 8<<20),
		"no archive":                 strings.NewReader("this is no archive at all, and long enough to be a header\n" + strings.Repeat("x", 600)),
		"nothing":                    strings.NewReader(""),
	} {
		if err := d.ImportImage(ctx, "ami-bad", driver.ImageConfig{}, in); err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "hung up") {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := d.Inventory(ctx)
	ok(t, err)
	if left, _ := os.ReadDir(outside); len(all.Images) > 0 || len(left) > 0 {
		t.Errorf("images %v, outside %v", all.Images, left)
	}
}

// importImage is an image with nothing in it but a program.
func (s suite) importImage(t *testing.T) {
	d, ctx := s.open(t)
	path, err := os.Executable()
	ok(t, err)
	if binary, err := elf.Open(path); err == nil {
		needs, _ := binary.ImportedLibraries()
		if binary.Close(); len(needs) > 0 {
			t.Skip("this test's program needs libraries: CGO_ENABLED=0 makes one that does not")
		}
	}
	program, err := os.ReadFile(path)
	ok(t, err)
	in := archive(t, program,
		tar.Header{Name: "./", Typeflag: tar.TypeDir}, tar.Header{Name: "./bin/server", Typeflag: tar.TypeReg},
		tar.Header{Name: "./dev", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, tar.Header{Name: "./bin/again", Typeflag: tar.TypeLink, Linkname: "./bin/server"})
	config := driver.ImageConfig{
		Entrypoint: []string{"server", "helper"}, Cmd: []string{"serve", ":8080"}, Env: []string{"PATH=/bin", "COLOUR=blue"}, WorkingDir: "/srv/data", User: "1234:5678",
	}
	ok(t, d.ImportImage(ctx, "ami-1", config, in))
	spec := plain("i-1", "172.31.5.10")
	spec.ImageID = "ami-1"
	ok(t, d.Launch(ctx, spec))
	event(t, d, "i-1", driver.Booted)
	ask(t, ctx, d, "172.31.5.10:8080")
	var out strings.Builder
	code, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"again", "helper", "burn", "1ms"}, Stdout: &out, Stderr: &out})
	if err != nil || code != 0 {
		t.Errorf("its PATH is not taken: %d, %v, %s", code, err, out.String())
	}
	if code, err := d.Exec(ctx, "i-1", driver.ExecRequest{Args: []string{"/usr/bin/env"}}); err == nil {
		t.Errorf("the host's programs are in it: %d", code)
	}
	ok(t, d.Reboot(ctx, "i-1"))
	ask(t, ctx, d, "172.31.5.10:8080")
	ok(t, d.CreateImage(ctx, "ami-2", "i-1"))
	spec = plain("i-2", "172.31.5.11")
	spec.ImageID, spec.UserData = "ami-2", []byte("#!/bin/sh\necho never\n")
	ok(t, d.Launch(ctx, spec))
	ask(t, ctx, d, "172.31.5.11:8080")
	if text, _ := d.Console(ctx, "i-2"); !strings.Contains(string(text), "interpreter") {
		t.Errorf("of user data without a shell the console says %s", fmt.Sprintf("%q", text))
	}
}
