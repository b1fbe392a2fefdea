package lambda

import (
	"time"

	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
)

// Run is a wish: run a function once. It is idempotent by RequestID: a runner that has it under way does nothing. Every
// Run that was begun ends in one Ran, whatever became of the function.
type Run struct {
	Scope     cloud.Scope
	RequestID string
	Function  Runnable
	Payload   []byte // what the function is given; JSON
	Sync      bool   // somebody waits for the answer (see Pending)
	Attempt   int32  // from 1; more of an asynchronous invocation that failed
	Context   string `json:",omitempty"` // of the client, in base64, as sent with a synchronous call
	Deadline  time.Time
}

// Runnable is all of a version's configuration that a runner needs.
type Runnable struct {
	Name     string
	ARN      string // as it was invoked: with the alias or version if one was named
	Version  string // "$LATEST" or a number
	Revision string // a sandbox that was started for another revision is not used for this one
	Runtime  string // "provided.al2023", "python3.12"
	Handler  string
	Memory   int32  // MiB
	Timeout  int32  // seconds
	Storage  int32  // MiB of /tmp
	CodeHash string // SHA-256 of the zip, in hexadecimal digits
	CodeSize int64  // bytes of the zip
	// Environment is in order of name: the user's variables and the role's credentials. What is the same for every
	// function (AWS_REGION, AWS_LAMBDA_FUNCTION_NAME, the endpoint) is the runner's to add.
	Environment []Variable
	LogGroup    string
	Reserved    int32 // how many may run at once; -1 if nothing is reserved
}

// Variable is one variable of a function's environment.
type Variable struct{ Name, Value string }

// The values of FunctionError.
const (
	Handled   = "Handled"
	Unhandled = "Unhandled"
)

// Ran is a fact: how a Run ended. It names its function itself, since of a synchronous Run the control plane keeps
// nothing; what such a function answered goes to the one who waits and not into the fact.
type Ran struct {
	Scope         cloud.Scope
	RequestID     string
	Function      string // the Runnable's Name
	ARN, Version  string // the Runnable's
	Sync          bool
	Attempt       int32
	Payload       []byte        `json:",omitempty"` // nil if Sync
	FunctionError string        `json:",omitempty"` // empty: it returned
	Message       string        `json:",omitempty"` // why not: "Task timed out after 3.00 seconds"
	Duration      time.Duration // of the function
	Billed        time.Duration
	Init          time.Duration `json:",omitempty"` // of the runtime's start; zero if the sandbox was warm
	MaxMemory     int64         // bytes
}

// Pending is the reply to every Invoke. If RequestID is not empty, a Run of that ID was wished for, and whoever carries
// out the Run fills in what the function answered (Payload, FunctionError, and LogResult if Tail) before Output is the
// answer. Otherwise Output is the whole answer.
type Pending struct {
	RequestID string
	Tail      bool
	Output    shape.InvokeOutput
}

// Host is a fact: what the host can run, told once at every start. Interpreters are versions ("3.12.3"), empty is none;
// Architecture is "x86_64" or "arm64". As long as it was never told, every runtime is taken.
type Host struct{ Python, Node, Architecture string }

// DropCode is a wish: no version of any function has this code any more. It is to be carried out in the order of steps,
// and not while an upload of the same code is under way.
type DropCode struct{ CodeHash string }

// HaveCode is a wish, made once after every start for all code that some version has: what is kept beside it is of no
// use to anybody.
type HaveCode struct{ CodeHash string }

// Told is an event: an asynchronous invocation has ended whose destination is an event bus.
type Told struct {
	Bus        string // ARN
	Source     string // "lambda"
	DetailType string // "Lambda Function Invocation Result - Success" or "... - Failure"
	Resources  []string
	Detail     string // JSON
}
