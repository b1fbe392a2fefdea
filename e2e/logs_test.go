package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLogs is CloudWatch Logs as the AWS CLI reads and follows it.
func TestLogs(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim")
	s.aws(nil, "logs", "create-log-group", "--log-group-name", "/app/web", "--tags", "team=a")
	s.aws(nil, "logs", "create-log-stream", "--log-group-name", "/app/web", "--log-stream-name", "one")
	put := func(texts ...string) {
		args := []string{"logs", "put-log-events", "--log-group-name", "/app/web", "--log-stream-name", "one", "--log-events"}
		for _, text := range texts {
			args = append(args, fmt.Sprintf("timestamp=%d,message=%s", time.Now().UnixMilli(), text))
		}
		s.aws(nil, args...)
	}
	put("start", "ERROR-1", "ERROR-2", "end")
	filter := func(args ...string) string {
		return strings.Join(s.texts(append([]string{"logs", "filter-log-events", "--log-group-name", "/app/web", "--query", "events[].message"}, args...)...), " ")
	}
	if got := filter("--filter-pattern", "ERROR -2"); got != "ERROR-1" {
		t.Errorf("filtered: %q", got)
	}
	if got := filter("--page-size", "1"); got != "start ERROR-1 ERROR-2 end" {
		t.Errorf("page by page: %q", got)
	}
	if got := strings.Join(s.texts("logs", "get-log-events", "--log-group-name", "/app/web", "--log-stream-name", "one", "--limit", "2", "--query", "events[].message"), " "); got != "ERROR-2 end" {
		t.Errorf("the last two: %q", got)
	}
	if out, err := s.awsCLI("logs", "filter-log-events", "--log-group-name", "/app/web", "--filter-pattern", "{ $.a = 1 }"); err == nil || !strings.Contains(err.Error(), "InvalidParameterException") {
		t.Errorf("%s %v", out, err)
	}
	s.stop(syscall.SIGKILL)
	s.run()
	if got := filter(); got != "start ERROR-1 ERROR-2 end" {
		t.Errorf("after a restart: %q", got)
	}
	s.follow(t, put)
}

// follow has version 2 of the CLI, which alone can, follow the group while something is put.
func (s *server) follow(t *testing.T, put func(...string)) {
	cli := ""
	for _, path := range []string{"aws", "/usr/bin/aws", "/usr/local/bin/aws"} {
		if out, err := exec.Command(path, "--version").CombinedOutput(); err == nil && strings.HasPrefix(string(out), "aws-cli/2") {
			cli = path
			break
		}
	}
	if cli == "" {
		t.Log("no version 2 of the AWS CLI: aws logs tail was not tried")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	tail := exec.CommandContext(ctx, cli, "--endpoint-url", s.endpoint, "logs", "tail", "/app/web", "--follow", "--format", "short")
	tail.Env = append(os.Environ(), append(s.env, "HOME="+s.data, "AWS_PAGER=", "PYTHONUNBUFFERED=1")...)
	out := &buffer{}
	tail.Stdout, tail.Stderr = out, out
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		tail.Process.Kill()
		tail.Wait()
	}()
	eventually(t, 20*time.Second, "what is there is shown", func() bool { return strings.Contains(out.String(), "end") })
	put("later")
	eventually(t, 20*time.Second, "what comes is shown", func() bool { return strings.Contains(out.String(), "later") })
	for _, line := range []string{"start", "ERROR-1", "end", "later"} {
		if n := strings.Count(out.String(), line); n != 1 {
			t.Errorf("%s is shown %d times", line, n)
		}
	}
}

// TestUploads: functions of zips that are large or no good; the server goes on.
func TestUploads(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim")
	role := s.text("iam", "create-role", "--role-name", "r", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, "--query", "Role.Arn")
	upload := func(name string, content []byte) ([]byte, error) {
		file := filepath.Join(t.TempDir(), "code.zip")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return s.awsCLI("lambda", "create-function", "--function-name", name, "--runtime", "provided.al2023", "--handler", "h", "--role", role,
			"--zip-file", "fileb://"+file, "--query", "CodeSize")
	}
	zipped := func(name string, bytesOf ...[]byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		f, err := z.Create(name)
		for _, content := range bytesOf {
			if err == nil {
				_, err = f.Write(content)
			}
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	noise := make([]byte, 12<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	zeros := make([]byte, 64<<20)
	broken := zipped("bootstrap", noise[:1000])
	broken[200] ^= 1 // the CLI looks at no more than the end
	for _, c := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"large", zipped("bootstrap", noise), ""},
		{"outside", zipped("../../etc/passwd", []byte("x")), "InvalidParameterValueException) when calling the CreateFunction operation: The zip has an entry that points outside its folder"},
		{"bomb", zipped("bootstrap", zeros, zeros, zeros, zeros), "Unzipped size must be smaller than 262144000 bytes"},
		{"broken", broken, "Could not unzip uploaded file"},
	} {
		out, err := upload(c.name, c.content)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s %v", c.name, out, err)
		}
	}
	if got := strings.Join(s.texts("lambda", "list-functions", "--query", "Functions[].FunctionName"), " "); got != "large" {
		t.Errorf("functions: %q", got)
	}
	s.stop(syscall.SIGKILL)
	s.run()
	s.aws(nil, "lambda", "delete-function", "--function-name", "large")
}
