package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/driver"
)

// programs is a driver whose instances run Go functions.
type programs struct {
	driver.Driver
	run func(ctx context.Context, r driver.ExecRequest) (int, error)
}

func (p programs) Exec(ctx context.Context, _ string, r driver.ExecRequest) (int, error) {
	return p.run(ctx, r)
}

// serveProgram serves the administration socket of a data directory, for one program.
func serveProgram(t *testing.T, run func(ctx context.Context, r driver.ExecRequest) (int, error)) (dir string) {
	t.Helper()
	dir = t.TempDir() + strings.Repeat("/a-long-name", 10) // longer than a socket's address may be
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := listenSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{instances: &instances{driver: programs{run: run}}}
	server := &http.Server{Handler: http.HandlerFunc(d.serveExec)}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return dir
}

func TestExecCarriesStreamsAndTheExitCode(t *testing.T) {
	dir := serveProgram(t, func(_ context.Context, r driver.ExecRequest) (int, error) {
		text, err := io.ReadAll(r.Stdin)
		if err != nil {
			t.Error(err)
		}
		r.Stderr.Write([]byte(strings.Join(r.Args, " ") + r.Env[0] + r.Dir))
		r.Stdout.Write(text)
		return 300, nil
	})
	big := strings.Repeat("0123456789", 300_000)
	var out, diagnostics bytes.Buffer
	code, err := Exec(t.Context(), dir, "i-1", driver.ExecRequest{
		Args: []string{"cat", "-"}, Env: []string{"A=b"}, Dir: "/tmp", Stdin: strings.NewReader(big), Stdout: &out, Stderr: &diagnostics,
	})
	if code != 300 || err != nil || out.String() != big || diagnostics.String() != "cat -A=b/tmp" {
		t.Errorf("%d, %v, %d bytes, %q", code, err, out.Len(), diagnostics.String())
	}
}

func TestExecTellsWhyItFailed(t *testing.T) {
	dir := serveProgram(t, func(context.Context, driver.ExecRequest) (int, error) { return 127, errors.New("no such program") })
	if code, err := Exec(t.Context(), dir, "i-1", driver.ExecRequest{Args: []string{"x"}}); code != 127 || err == nil || err.Error() != "no such program" {
		t.Errorf("%d, %v", code, err)
	}
	if _, err := Exec(t.Context(), t.TempDir(), "i-1", driver.ExecRequest{Args: []string{"x"}}); err == nil || !strings.Contains(err.Error(), "no server is running") {
		t.Errorf("without a server: %v", err)
	}
}

// TestAProgramEndsWithItsClient also when it has not read what it was sent.
func TestAProgramEndsWithItsClient(t *testing.T) {
	for name, input := range map[string]io.Reader{"no input": nil, "unread input": strings.NewReader(strings.Repeat("x", 4<<20))} {
		t.Run(name, func(t *testing.T) {
			begun, ended := make(chan struct{}), make(chan struct{})
			dir := serveProgram(t, func(ctx context.Context, _ driver.ExecRequest) (int, error) {
				close(begun)
				<-ctx.Done()
				close(ended)
				return 137, ctx.Err()
			})
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan error, 1)
			go func() {
				_, err := Exec(ctx, dir, "i-1", driver.ExecRequest{Args: []string{"sleep"}, Stdin: input})
				left <- err
			}()
			<-begun
			cancel()
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("the client gave %v", err)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the program lives on")
			}
		})
	}
}

// TestAProgramThatEndsIsNotKeptByItsInput: it has an end although its client would send for ever.
func TestAProgramThatEndsIsNotKeptByItsInput(t *testing.T) {
	dir := serveProgram(t, func(context.Context, driver.ExecRequest) (int, error) { return 3, nil })
	code, err := Exec(t.Context(), dir, "i-1", driver.ExecRequest{Args: []string{"true"}, Stdin: endless{}})
	if code != 3 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
