package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/billow-cloud/billow/daemon"
	"github.com/billow-cloud/billow/driver"
)

type execute struct {
	data
	TTY      bool     `name:"tty" short:"t" help:"Give the command a terminal (the default when this command has one and CMD is a shell)."`
	Env      []string `short:"e" help:"Set a variable: NAME=VALUE." placeholder:"NAME=VALUE"`
	Dir      string   `short:"w" help:"Working directory."`
	Instance string   `arg:"" help:"Instance ID."`
	Command  []string `arg:"" help:"The command and its arguments, after --."`
}

// shells get a terminal without being asked for it.
var shells = []string{"sh", "bash", "dash", "ash", "zsh"}

func (e *execute) Run(ctx context.Context) error {
	request := driver.ExecRequest{
		Args: e.Command, Env: e.Env, Dir: e.Dir, TTY: e.TTY, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if request.Args[0] == "--" {
		request.Args = request.Args[1:]
	}
	if len(request.Args) == 0 {
		return fmt.Errorf("there is no command to run: billow exec %s -- CMD", e.Instance)
	}
	stdin := int(os.Stdin.Fd())
	terminal := term.IsTerminal(stdin)
	if terminal && term.IsTerminal(int(os.Stdout.Fd())) && slices.Contains(shells, filepath.Base(request.Args[0])) {
		request.TTY = true
	}
	if request.TTY && terminal {
		before, err := term.MakeRaw(stdin)
		if err != nil {
			return err
		}
		defer term.Restore(stdin, before)
		request.Resize = windowSizes(ctx, stdin)
	}
	code, err := daemon.Exec(ctx, e.Data, e.Instance, request)
	if ctx.Err() != nil {
		return exitStatus(128 + int(syscall.SIGINT)) // as a shell tells of a program that Ctrl-C has ended
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "billow:", err)
		code = max(code, 1)
	}
	if code != 0 {
		return exitStatus(code)
	}
	return nil
}

// windowSizes sends the terminal's size now and after each change.
func windowSizes(ctx context.Context, fd int) <-chan driver.WindowSize {
	sizes, changed := make(chan driver.WindowSize), make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		defer close(sizes)
		for {
			if w, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
				sizes <- driver.WindowSize{Rows: w.Row, Columns: w.Col}
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}()
	return sizes
}
