package functions

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/billow-cloud/billow/cloud/lambda"
)

// interpreters are the host's: what the built-in image has of them.
type interpreters struct {
	once         sync.Once
	python, node tool
}

type tool struct{ path, version string }

// imageTops are the folders of the host that the built-in image shows.
var imageTops = []string{"/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/nix/"}

// find looks once.
func (t *interpreters) find() *interpreters {
	t.once.Do(func() {
		var both sync.WaitGroup
		both.Go(func() { t.python = look("python3", "Python ") })
		both.Go(func() { t.node = look("node", "v") })
		both.Wait()
	})
	return t
}

// look finds a program where sandboxes see it too, and asks for its version.
func look(name, before string) tool {
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		path := filepath.Join(dir, name)
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		visible := false
		for _, top := range imageTops {
			visible = visible || strings.HasPrefix(real, top)
		}
		if info, err := os.Stat(real); err != nil || !visible || info.Mode()&0o111 == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		said, err := exec.CommandContext(ctx, path, "--version").Output()
		cancel()
		if version, ok := strings.CutPrefix(strings.TrimSpace(string(said)), before); err == nil && ok {
			return tool{path, version}
		}
	}
	return tool{}
}

func (t *interpreters) host() lambda.Host {
	h := lambda.Host{Python: t.python.version, Node: t.node.version}
	switch runtime.GOARCH {
	case "amd64":
		h.Architecture = "x86_64"
	case "arm64":
		h.Architecture = "arm64"
	}
	return h
}

// bootstrap is the program that a runtime starts with, or what is missing for it.
func (t *interpreters) bootstrap(runtime string) (args []string, missing string) {
	switch {
	case strings.HasPrefix(runtime, "python"):
		if t.python.path == "" {
			return nil, "python3"
		}
		return []string{t.python.path, "-B", "-u", "/var/runtime/bootstrap.py"}, ""
	case strings.HasPrefix(runtime, "nodejs"):
		if t.node.path == "" {
			return nil, "node"
		}
		return []string{t.node.path, "--no-warnings", "/var/runtime/bootstrap.mjs"}, ""
	}
	return []string{"/var/task/bootstrap"}, ""
}

// version is what INIT_START says.
func (t *interpreters) version(runtime string) string {
	switch {
	case strings.HasPrefix(runtime, "python"):
		return "python:" + t.python.version
	case strings.HasPrefix(runtime, "nodejs"):
		return "nodejs:" + t.node.version
	}
	return runtime
}
