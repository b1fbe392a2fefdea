package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is the private server of one demo: a process, its data directory and its keys.
type server struct {
	program string
	data    string
	record  string
	process *exec.Cmd
	log     bytes.Buffer
	ended   chan struct{}

	Endpoint        string
	Region          string
	AccessKeyID     string
	SecretAccessKey string
	Notes           []string
}

// startServer runs this program as a server and waits until it answers.
func startServer(ctx context.Context, o Options) (*server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "billow-demo-")
	if err != nil {
		return nil, err
	}
	s := &server{program: program, data: data, record: o.Record, ended: make(chan struct{})}
	s.process = exec.Command(program, "serve", "--listen", "127.0.0.1:0", "--data", data, "--driver", o.Driver,
		"--time-scale", fmt.Sprint(o.TimeScale), "--vcpu", fmt.Sprint(o.CoresPerVCPU), "--log-level", "warn")
	s.process.Stderr = &s.log
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which then ends the server in order
	if err := s.process.Start(); err != nil {
		os.RemoveAll(data)
		return nil, err
	}
	go func() { s.process.Wait(); close(s.ended) }()
	if err := s.ready(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) ready(ctx context.Context) error {
	return until(ctx, 20*time.Second, "the server answers", func() (bool, error) {
		select {
		case <-s.ended:
			return false, fmt.Errorf("the server did not start: %s", strings.TrimSpace(s.log.String()))
		default:
		}
		text, err := os.ReadFile(filepath.Join(s.data, "access.json"))
		if err != nil || json.Unmarshal(text, s) != nil {
			return false, nil
		}
		answer, err := http.Get(s.Endpoint + "/_billow/health")
		if err != nil {
			return false, nil
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK, json.NewDecoder(answer.Body).Decode(s)
	})
}

// stop ends the server and everything that it started, and removes its data.
func (s *server) stop() error {
	s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(15 * time.Second):
		s.process.Process.Kill()
		<-s.ended
	}
	if err := s.keepRecording(); err != nil {
		return fmt.Errorf("the flight recording could not be kept: %w", err)
	}
	if out, err := exec.Command(s.program, "destroy", "--data", s.data).CombinedOutput(); err != nil {
		return fmt.Errorf("the demo's instances could not be ended: %s", strings.TrimSpace(string(out)))
	}
	return nil
}

// cloudTime is the cloud's clock.
func (s *server) cloudTime(ctx context.Context) (time.Time, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/_billow/clock", nil)
	if err != nil {
		return time.Time{}, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return time.Time{}, err
	}
	defer answer.Body.Close()
	var clock struct{ Cloud time.Time }
	return clock.Cloud, json.NewDecoder(answer.Body).Decode(&clock)
}

// until polls until a condition holds, and says what did not come about if it never does.
func until(ctx context.Context, within time.Duration, what string, holds func() (bool, error)) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	poll := time.NewTicker(150 * time.Millisecond)
	defer poll.Stop()
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("within %v it did not happen that %s", within, what)
		case <-poll.C:
		}
	}
}
