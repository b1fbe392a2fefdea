// Command function is a function for the runtime provided.al2023 that does what its event says, good or bad. It speaks the
// runtime API by itself.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// event is what a test wants.
type event struct {
	Do    string
	Count int
}

func main() {
	if len(os.Args) > 1 { // a child of the bomb
		bomb()
	}
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			os.Exit(1)
		}
		body, _ := io.ReadAll(next.Body)
		next.Body.Close()
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		var e event
		json.Unmarshal(body, &e)
		answer, failed := do(e)
		where := "/response"
		if failed {
			where = "/error"
		}
		said, err := http.Post(api+id+where, "application/json", bytes.NewReader(answer))
		if err == nil {
			io.Copy(io.Discard, said.Body)
			said.Body.Close()
		}
	}
}

func do(e event) (answer []byte, failed bool) {
	switch e.Do {
	case "spin":
		for {
		}
	case "nap":
		time.Sleep(time.Duration(e.Count) * time.Millisecond)
	case "bomb":
		bomb()
	case "flood":
		line := []byte(strings.Repeat("x", 99) + "\n")
		block := bytes.Repeat(line, 10_000)
		for range e.Count {
			os.Stdout.Write(block)
		}
	case "long":
		os.Stdout.Write(bytes.Repeat([]byte("y"), e.Count))
	case "fail":
		fmt.Println("about to fail")
		return []byte(`{"errorType":"Bad","errorMessage":"as asked"}`), true
	case "who":
		return who(), false
	}
	fmt.Println("did", e.Do)
	answer, _ = json.Marshal(map[string]string{"did": e.Do, "handler": os.Getenv("_HANDLER"), "version": os.Getenv("AWS_LAMBDA_FUNCTION_VERSION"), "own": os.Getenv("OWN")})
	return answer, false
}

// bomb starts itself again and again, without end.
func bomb() {
	for {
		exec.Command("/proc/self/exe", "bomb").Start()
	}
}

// who asks the cloud, with the credentials in the environment, whose they are.
func who() []byte {
	const form = "Action=GetCallerIdentity&Version=2011-06-15"
	r, err := http.NewRequest("POST", os.Getenv("AWS_ENDPOINT_URL"), strings.NewReader(form))
	if err != nil {
		return nil
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	hash := sha256.Sum256([]byte(form))
	credentials := aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")}
	v4.NewSigner().SignHTTP(context.Background(), credentials, r, hex.EncodeToString(hash[:]), "sts", os.Getenv("AWS_REGION"), time.Now())
	said, err := http.DefaultClient.Do(r)
	if err != nil {
		text, _ := json.Marshal(err.Error())
		return text
	}
	defer said.Body.Close()
	body, _ := io.ReadAll(said.Body)
	text, _ := json.Marshal(string(body))
	return text
}
