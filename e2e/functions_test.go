package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// functions are a server's, with a role that they have.
type functions struct {
	*server
	api  *lambda.Client
	role string
}

func startFunctions(t testing.TB, args ...string) *functions {
	t.Helper()
	return functionsOf(start(t, args...))
}

func functionsOf(s *server) *functions {
	s.t.Helper()
	f := &functions{server: s, api: lambda.NewFromConfig(s.sdk())}
	f.role = s.text("iam", "create-role", "--role-name", "runner", "--query", "Role.Arn", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	s.aws(nil, "iam", "put-role-policy", "--role-name", "runner", "--policy-name", "all", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	return f
}

// zipOf makes a zip with one file that can be run.
func zipOf(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: name, Method: zip.Deflate}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// provided is the zip of testdata/function, built once.
func provided(t testing.TB) []byte {
	t.Helper()
	built.once.Do(func() {
		path := filepath.Join(t.TempDir(), "bootstrap")
		build := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "./testdata/function")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("the function does not build: %v\n%s", err, out)
			return
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		built.zip = zipOf(t, "bootstrap", content)
	})
	if built.zip == nil {
		t.FailNow()
	}
	return built.zip
}

var built struct {
	once sync.Once
	zip  []byte
}

// create makes a function and waits until it is active.
func (f *functions) create(name string, runtime types.Runtime, handler string, code []byte, change func(*lambda.CreateFunctionInput)) {
	f.t.Helper()
	in := &lambda.CreateFunctionInput{FunctionName: &name, Runtime: runtime, Handler: &handler, Role: &f.role, Code: &types.FunctionCode{ZipFile: code}}
	if change != nil {
		change(in)
	}
	if _, err := f.api.CreateFunction(context.Background(), in); err != nil {
		f.t.Fatal(err)
	}
	eventually(f.t, 10*time.Second, name+" is active", func() bool {
		out, err := f.api.GetFunctionConfiguration(context.Background(), &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		return err == nil && out.State == types.StateActive
	})
}

// invoke runs a function with an event, and gives its answer, its error and its log's end.
func (f *functions) invoke(name, event string) (answer, failed, log string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := f.api.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name, Payload: []byte(event), LogType: types.LogTypeTail})
	if err != nil {
		f.t.Fatalf("invoking %s with %s: %v", name, event, err)
	}
	text, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(out.Payload), aws.ToString(out.FunctionError), string(text)
}

func needFunctions(t *testing.T) {
	t.Helper()
	need(t, "aws", "go")
	if os.Geteuid() != 0 {
		t.Skipf("%s needs root: memory and processes are limited by control groups", t.Name())
	}
	t.Parallel()
}

func expectIn(t *testing.T, what, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in %.1500q", what, want, got)
		}
	}
}

// A function that is a program of its own: environment, credentials, versions, aliases, logs, and the end of its server.
func TestFunctionProvided(t *testing.T) {
	needFunctions(t)
	f := startFunctions(t)
	f.create("hello", types.RuntimeProvidedal2023, "some.handler", provided(t), func(in *lambda.CreateFunctionInput) {
		in.Environment = &types.Environment{Variables: map[string]string{"OWN": "one"}}
		in.Publish = true
	})
	answer, failed, log := f.invoke("hello", `{"Do":"greet"}`)
	if want := `{"did":"greet","handler":"some.handler","own":"one","version":"$LATEST"}`; answer != want || failed != "" {
		t.Errorf("it answers %s (%s)", answer, failed)
	}
	expectIn(t, "its log", log, "START RequestId: ", " Version: $LATEST\n", "did greet\nEND RequestId: ", "Init Duration: ", "Memory Size: 128 MB")
	answer, _, _ = f.invoke("hello", `{"Do":"who"}`)
	expectIn(t, "its identity", answer, ":assumed-role/runner/hello")
	answer, failed, log = f.invoke("hello", `{"Do":"fail"}`)
	if answer != `{"errorType":"Bad","errorMessage":"as asked"}` || failed != "Unhandled" {
		t.Errorf("its failure is %s (%s): %s", answer, failed, log)
	}

	ctx := context.Background()
	if _, err := f.api.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: aws.String("hello"),
		Environment: &types.Environment{Variables: map[string]string{"OWN": "two"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.api.CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: aws.String("hello"), Name: aws.String("live"), FunctionVersion: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	newest, _, _ := f.invoke("hello", `{}`)
	expectIn(t, "the newest", newest, `"own":"two","version":"$LATEST"`)
	live, _, _ := f.invoke("hello:live", `{}`)
	expectIn(t, "the alias", live, `"own":"one","version":"1"`)

	eventually(t, 10*time.Second, "the log group shows what was printed", func() bool {
		out, err := f.awsCLI("logs", "filter-log-events", "--log-group-name", "/aws/lambda/hello", "--query", "events[].message")
		return err == nil && strings.Contains(string(out), "did greet") && strings.Contains(string(out), "REPORT RequestId")
	})
	if list := f.texts("ec2", "describe-instances", "--query", "Reservations[].Instances[].InstanceId"); len(list) > 0 {
		t.Errorf("EC2 knows of sandboxes: %s", list)
	}
	f.stop(os.Kill)
	f.run()
	f.api = lambda.NewFromConfig(f.sdk())
	again, failed, _ := f.invoke("hello", `{}`)
	if !strings.Contains(again, `"own":"two"`) || failed != "" {
		t.Errorf("after a crash of the server it answers %s (%s)", again, failed)
	}
}

// What is bad ends with AWS's errors, and the server keeps serving.
func TestFunctionBadOnes(t *testing.T) {
	needFunctions(t)
	f := startFunctions(t)
	f.create("bad", types.RuntimeProvidedal2023, "none", provided(t), func(in *lambda.CreateFunctionInput) {
		in.Timeout, in.MemorySize = aws.Int32(2), aws.Int32(256)
	})
	const timeout = "Task timed out after 2.00 seconds"
	for event, ends := range map[string][]string{
		`{"Do":"spin"}`: {timeout},
		// What a bomb's first process meets first is the kernel's choice: its time, no more threads, or no more memory.
		`{"Do":"bomb"}`: {timeout, "Runtime.ExitError"},
	} {
		answer, failed, log := f.invoke("bad", event)
		if !slices.ContainsFunc(ends, func(end string) bool { return strings.Contains(answer, end) && strings.Contains(log, end) }) {
			t.Errorf("%s answers %s and logs %s, not one of %q", event, answer, log, ends)
		}
		if failed != "Unhandled" {
			t.Errorf("%s fails with %q", event, failed)
		}
		if answer, _, _ := f.invoke("bad", `{"Do":"live"}`); !strings.Contains(answer, `"did":"live"`) {
			t.Errorf("after %s it answers %s", event, answer)
		}
	}
	f.aws(nil, "lambda", "update-function-configuration", "--function-name", "bad", "--timeout", "60")
	answer, _, log := f.invoke("bad", `{"Do":"flood","Count":1000}`) // a gigabyte
	expectIn(t, "a gigabyte of output", answer, `"did":"flood"`)
	expectIn(t, "a gigabyte of output", log, "bytes of output were left out", "REPORT")
	_, _, log = f.invoke("bad", `{"Do":"long","Count":10000000}`)
	expectIn(t, "a line of 10 MB", log, "the rest of this line was left out", "REPORT")

	name := "bad"
	out, err := f.api.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{"Do":`)})
	if err == nil {
		t.Errorf("what is no JSON was taken: %s", out.Payload)
	}
	if _, err := f.api.UpdateFunctionCode(context.Background(), &lambda.UpdateFunctionCodeInput{FunctionName: &name, ZipFile: zipOf(t, "../../escaped", []byte("x"))}); err == nil {
		t.Error("a zip that points outside was taken")
	}
	f.create("empty", types.RuntimeProvidedal2023, "none", zipOf(t, "readme", []byte("x")), nil)
	answer, _, _ = f.invoke("empty", `{}`)
	expectIn(t, "a zip without bootstrap", answer, "Runtime.InvalidEntrypoint")
}

const pythonSource = `import os, sys
def handler(event, context):
    print("event", event)
    if "exit" in event: os._exit(event["exit"])
    if "fill" in event: b = bytearray(event["fill"] << 20); b[::4096] = b"x" * len(b[::4096])
    if "raise" in event: raise ValueError(event["raise"])
    return {"id": context.aws_request_id, "name": context.function_name, "left": context.get_remaining_time_in_millis(), "memory": context.memory_limit_in_mb, "home": os.environ["HOME"]}
`

func TestFunctionPython(t *testing.T) {
	needFunctions(t)
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("this host has no /usr/bin/python3")
	}
	f := startFunctions(t)
	f.create("py", types.RuntimePython312, "mod.handler", zipOf(t, "mod.py", []byte(pythonSource)), nil)
	answer, failed, log := f.invoke("py", `{"a":1}`)
	var got struct {
		ID, Name, Memory, Home string
		Left                   int
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || failed != "" || got.Name != "py" || got.Memory != "128" || got.Home != "/tmp" || got.Left < 1000 || got.Left > 3000 || !strings.Contains(log, got.ID) {
		t.Errorf("it answers %s (%s), %v, log %s", answer, failed, err, log)
	}
	for event, want := range map[string]string{
		`{"exit":3}`:       "Runtime.ExitError",
		`{"fill":400}`:     "Runtime.OutOfMemory",
		`{"raise":"boom"}`: `"errorMessage": "boom", "errorType": "ValueError"`,
	} {
		answer, failed, _ := f.invoke("py", event)
		if expectIn(t, event, answer, want); failed != "Unhandled" {
			t.Errorf("%s fails with %q", event, failed)
		}
	}
	f.create("lost", types.RuntimePython312, "none.handler", zipOf(t, "mod.py", []byte(pythonSource)), nil)
	answer, _, _ = f.invoke("lost", `{}`)
	expectIn(t, "a module that there is not", answer, "Runtime.ImportModuleError", "No module named 'none'")
}

func TestFunctionNode(t *testing.T) {
	needFunctions(t)
	if _, err := os.Stat("/usr/bin/node"); err != nil {
		t.Skip("this host has no /usr/bin/node")
	}
	f := startFunctions(t)
	f.create("common", types.RuntimeNodejs20x, "index.handler", zipOf(t, "index.js", []byte(
		`exports.handler = (event, context, callback) => { console.log('called'); callback(event.bad ? new TypeError('bad') : null, {by: 'callback'}) }`)), nil)
	f.create("module", types.RuntimeNodejs20x, "index.handler", zipOf(t, "index.mjs", []byte(
		`export const handler = async (event, context) => ({by: context.functionName})`)), nil)
	answer, _, log := f.invoke("common", `{}`)
	expectIn(t, "a callback", answer, `{"by":"callback"}`)
	expectIn(t, "its log", log, "\tINFO\tcalled\n")
	answer, failed, _ := f.invoke("common", `{"bad":1}`)
	if expectIn(t, "a callback's error", answer, `"errorType":"TypeError","errorMessage":"bad"`); failed != "Unhandled" {
		t.Errorf("it fails with %q", failed)
	}
	answer, _, _ = f.invoke("module", `{}`)
	expectIn(t, "a module", answer, `{"by":"module"}`)
}

// Asynchronous invocations are tried three times, and then told to the dead-letter topic (EC-EV-04).
func TestFunctionDeadLetter(t *testing.T) {
	needFunctions(t)
	f := startFunctions(t, "--time-scale", "60")
	letters := make(chan string, 10)
	subscriber := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m struct{ Type, SubscribeURL, Message string }
		json.Unmarshal(body, &m)
		if m.Type == "SubscriptionConfirmation" {
			if said, err := http.Get(m.SubscribeURL); err == nil {
				said.Body.Close()
			}
			return
		}
		letters <- m.Message
	}))
	defer subscriber.Close()
	topic := f.text("sns", "create-topic", "--name", "dead", "--query", "TopicArn")
	f.aws(nil, "sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", subscriber.URL)
	f.create("fails", types.RuntimeProvidedal2023, "none", provided(t), func(in *lambda.CreateFunctionInput) {
		in.DeadLetterConfig = &types.DeadLetterConfig{TargetArn: &topic}
	})
	name := "fails"
	out, err := f.api.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{"Do":"fail"}`), InvocationType: types.InvocationTypeEvent})
	if err != nil || out.StatusCode != 202 {
		t.Fatalf("it answers %v, %v", out, err)
	}
	select {
	case letter := <-letters:
		expectIn(t, "the dead letter", letter, `{"Do":"fail"}`)
	case <-time.After(20 * time.Second):
		t.Fatal("no dead letter came")
	}
	eventually(t, 10*time.Second, "the log shows three attempts", func() bool {
		out, err := f.awsCLI("logs", "filter-log-events", "--log-group-name", "/aws/lambda/fails", "--query", "events[].message")
		return err == nil && strings.Count(string(out), "about to fail") == 3
	})
}

// Parallel invocations have an environment each; a server that is killed runs what was accepted again.
func TestFunctionMany(t *testing.T) {
	needFunctions(t)
	f := startFunctions(t)
	f.create("naps", types.RuntimeProvidedal2023, "none", provided(t), nil)
	const count, nap = 6, 500
	begun := time.Now()
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			if answer, _, _ := f.invoke("naps", fmt.Sprintf(`{"Do":"nap","Count":%d}`, nap)); !strings.Contains(answer, `"did":"nap"`) {
				t.Errorf("one answers %s", answer)
			}
		})
	}
	all.Wait()
	if took := time.Since(begun); took > count*nap*time.Millisecond*3/4 {
		t.Errorf("%d naps of %d ms side by side took %v", count, nap, took)
	}
	name := "naps"
	out, err := f.api.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{"Do":"later"}`), InvocationType: types.InvocationTypeEvent})
	if err != nil || out.StatusCode != 202 {
		t.Fatalf("it answers %v, %v", out, err)
	}
	f.stop(os.Kill)
	f.run()
	eventually(t, time.Minute, "what was accepted is run", func() bool {
		out, err := f.awsCLI("logs", "filter-log-events", "--log-group-name", "/aws/lambda/naps", "--query", "events[].message")
		return err == nil && strings.Contains(string(out), "did later")
	})
}

// Where nothing runs, an invocation says so.
func TestFunctionModelled(t *testing.T) {
	need(t, "aws", "go")
	t.Parallel()
	f := startFunctions(t, "--driver", "sim")
	f.create("none", types.RuntimePython312, "mod.handler", zipOf(t, "mod.py", []byte("")), nil)
	name := "none"
	_, err := f.api.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name})
	if err == nil || !strings.Contains(err.Error(), "Functions do not run with --driver sim") {
		t.Errorf("an invocation: %v", err)
	}
}

// Without root functions run too, without limits of memory and processes.
func TestFunctionWithoutRoot(t *testing.T) {
	need(t, "aws", "go")
	t.Parallel()
	home := rootlessHome(t)
	s := &server{t: t, data: filepath.Join(home, "data"), command: func(args ...string) *exec.Cmd { return asUser(t, home, args...) }}
	t.Cleanup(s.destroy)
	s.run()
	f := functionsOf(s)
	f.create("hello", types.RuntimeProvidedal2023, "none", provided(t), nil)
	answer, failed, log := f.invoke("hello", `{"Do":"greet"}`)
	if !strings.Contains(answer, `"did":"greet"`) || failed != "" {
		t.Errorf("it answers %s (%s): %s", answer, failed, log)
	}
	answer, _, _ = f.invoke("hello", `{"Do":"spin"}`)
	expectIn(t, "one that never ends", answer, "Task timed out after 3.00 seconds")
	if answer, _, _ = f.invoke("hello", `{}`); !strings.Contains(answer, `"did":""`) {
		t.Errorf("then it answers %s", answer)
	}
}

// BenchmarkFunctions: the first invocation of a function, and those after it.
func BenchmarkFunctions(b *testing.B) {
	asRoot(b)
	need(b, "aws", "go")
	f := startFunctions(b)
	for _, kind := range []struct {
		name    string
		runtime types.Runtime
		code    []byte
		first   float64
	}{
		{"provided", types.RuntimeProvidedal2023, provided(b), 150},
		{"python", types.RuntimePython312, zipOf(b, "mod.py", []byte("def handler(event, context): return 'hello'\n")), 400},
	} {
		var first, warm []time.Duration
		for n := range 5 {
			name := fmt.Sprint(kind.name, n)
			f.create(name, kind.runtime, "mod.handler", kind.code, nil)
			for i := range 40 {
				begun := time.Now()
				if _, err := f.api.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{}`)}); err != nil {
					b.Fatal(err)
				}
				if took := time.Since(begun); i == 0 {
					first = append(first, took)
				} else {
					warm = append(warm, took)
				}
			}
		}
		figure(b, kind.name+"-first", "ms", milliseconds(median(first)), kind.first)
		figure(b, kind.name+"-warm", "ms", milliseconds(median(warm)), 5)
		beside(b, kind.name+"-warm-p90", "ms", milliseconds(quantile(warm, 0.9)))
	}
	beside(b, "fork-and-exec", "ms", milliseconds(forkExec(b)))
}
