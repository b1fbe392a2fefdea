// Command billow is the whole of Billow in one binary: the server, its command line, and the programs that the
// namespace driver runs inside instances (the binary starts itself again for those).
//
// It holds no logic of the cloud: every subcommand reads flags, wires packages together, or talks to a running server
// as any client does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line. Every flag has an environment twin: BILLOW_ and the flag's name.
type commands struct {
	Serve   serve           `cmd:"" help:"Run the cloud."`
	Env     env             `cmd:"" help:"Print shell exports that point AWS clients at a server: eval \"$(billow env)\"."`
	Exec    execute         `cmd:"" help:"Run a command in an instance."`
	Image   imageCommands   `cmd:"" help:"Bring in images."`
	Explain explain         `cmd:"" help:"Tell why a group scaled, or did not, and what would have changed that."`
	Shadow  shadowCommands  `cmd:"" help:"Watch policies on a live group without acting, and compare."`
	Mailbox mailboxCommands `cmd:"" help:"Read the mails that topics have sent."`
	Fail    fail            `cmd:"" help:"Have status checks of an instance fail."`
	Ops     ops             `cmd:"" help:"List every AWS operation and whether it is real, stored only, or absent."`
	Demo    demo            `cmd:"" help:"Show a group that scales, live: load, alarm, policy, new instances, a replacement, and back."`
	DemoApp demoApp         `cmd:"" name:"demo-app" hidden:"" help:"The web application of the demo."`
	Sim     simCommands     `cmd:"" help:"Virtual time: replay a load against a group, compare and tune policies, break the control plane."`
	Destroy destroy         `cmd:"" help:"End the instances of a stopped server and remove its data directory."`
	Version version         `cmd:"" help:"Print the version."`
}

// data is the flag of all commands that belong to one server.
type data struct {
	Data string `help:"The server's data directory." placeholder:"DIR" default:"${data}" type:"path"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parser := kong.Must(&commands{},
		kong.Name("billow"),
		kong.Description("An auto-scaling cloud in one binary, for unmodified AWS clients."),
		kong.DefaultEnvars("BILLOW"),
		kong.Vars{"data": stateDir()},
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"--help"}
	}
	line, err := parser.Parse(args)
	if err != nil {
		err = fmt.Errorf("%s (%s --help tells what there is)", needed.ReplaceAllString(err.Error(), "a value is needed"), commandOf(err))
	} else {
		err = line.Run()
	}
	var status exitStatus
	switch {
	case err == nil:
	case errors.As(err, &status):
		stop()
		os.Exit(int(status))
	default:
		fmt.Fprintln(os.Stderr, "billow:", err)
		stop()
		os.Exit(1)
	}
}

// needed is what the parser says where a flag has no value: 'expected value value but got "EOL" (<EOL>)'.
var needed = regexp.MustCompile(`expected \w+ value but got .*\(.*\)(; perhaps try .*)?|missing value, expecting .*`)

// commandOf is the command whose flags or arguments are wrong.
func commandOf(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil && wrong.Context.Command() != "" {
		command, _, _ := strings.Cut(wrong.Context.Command(), " <")
		return "billow " + command
	}
	return "billow"
}

// exitStatus is an error that has been told already, or needs no telling.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprint("exit status ", int(s)) }

// stateDir is where a user's server keeps its data unless told otherwise.
func stateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return dir + "/billow"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "billow-data"
	}
	return home + "/.local/state/billow"
}

type version struct{}

func (version) Run() error {
	fmt.Println("billow", buildVersion())
	return nil
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
