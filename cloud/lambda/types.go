package lambda

import "time"

// Function is the row of a function, found by its name. What can be different in every version is in Version.
type Function struct {
	Name     string
	Created  time.Time
	Next     int64 // number of the next version
	Reserved int32 // concurrent executions; -1 is no reservation
	Tags     []Tag `json:",omitempty"` // in order of key

	Policies []Policy      `json:",omitempty"` // in order of qualifier
	Configs  []EventConfig `json:",omitempty"` // in order of qualifier
}

// Tag is a tag.
type Tag struct{ Key, Value string }

// Version is the row of one version of a function: "NAME:$LATEST" or, for a published one, "NAME:" and its number in ten
// digits. A published version never changes.
type Version struct {
	Function string
	Number   string // "$LATEST", "1"
	Settings
	CodeHash string // hexadecimal
	CodeSize int64
	Modified time.Time
	Revision string
	Ready    time.Time // from when on it is Active
	Updated  time.Time // from when on its last update is Successful; zero if it never was updated
}

// Settings is what UpdateFunctionConfiguration can change.
type Settings struct {
	Runtime, Role, Handler string
	Description            string `json:",omitempty"`
	Timeout, Memory        int32
	Storage                int32
	Environment            []Variable `json:",omitempty"` // in order of name
	DeadLetter             string     `json:",omitempty"` // ARN of a queue or topic
	Architecture           string
	Tracing                string
	KMSKey                 string   `json:",omitempty"`
	Subnets                []string `json:",omitempty"`
	SecurityGroups         []string `json:",omitempty"`
	LogGroup               string   `json:",omitempty"` // empty is /aws/lambda/NAME
	LogFormat              string
	AppLogLevel            string `json:",omitempty"`
	SystemLogLevel         string `json:",omitempty"`
}

// Alias is the row of an alias: "NAME:ALIAS".
type Alias struct {
	Function, Name string
	Version        string
	Description    string
	Weights        []Weight `json:",omitempty"` // at most one: the version that gets a part of the invocations
	Revision       string
}

// Weight is the part of an alias's invocations that goes to another version.
type Weight struct {
	Version string
	Part    float64
}

// Policy is who may invoke a function, or one version or alias of it.
type Policy struct {
	Qualifier  string // empty is the function
	Revision   string
	Statements []Statement
}

// Statement is one permission.
type Statement struct {
	ID            string
	Action        string
	Service       string `json:",omitempty"` // the principal: a service, or else an account's ARN or "*"
	AWS           string `json:",omitempty"`
	SourceARN     string `json:",omitempty"`
	SourceAccount string `json:",omitempty"`
}

// EventConfig is how asynchronous invocations of a function, a version or an alias are treated.
type EventConfig struct {
	Qualifier string // empty is the function
	Modified  time.Time
	Retries   int32 // -1 is the default
	MaxAge    int32 // seconds; 0 is the default
	OnSuccess string
	OnFailure string
}

// Invocation is the row of an asynchronous invocation, found by its request ID:
//
//	waiting --Next has come, and there is room--> running --Ran without error--> gone, destination told
//	   ^----------- after 1 and 2 minutes ----------/ \---- too often or too old --> gone, dead letter sent
type Invocation struct {
	ID                  string
	Function, Qualifier string
	Payload             []byte
	At                  time.Time
	Attempt             int32  // the last one begun
	Version             string `json:",omitempty"` // that the last attempt went to
	Running             bool
	Next                time.Time // of the next attempt; while Running, of the next look
	Throttled           int32     // how often there was no room since the last attempt

	Error, Message string `json:",omitempty"` // of the last attempt
	Answer         []byte `json:",omitempty"` // of the last attempt, if it failed
}

// What AWS gives functions and accounts; those of the account are the defaults.
const (
	defaultTimeout, maxTimeout = 3, 900 // seconds
	defaultMemory, maxMemory   = 128, 10240
	defaultStorage             = 512
	maxEnvironment             = 4 << 10
	maxZip                     = 50 << 20
	maxUnzipped                = 250 << 20
	maxSync                    = 6 << 20
	maxAsync                   = 256 << 10
	maxPolicy                  = 20 << 10
	accountConcurrency         = 1000
	unreservable               = 100 // executions that cannot be reserved
	accountStorage             = 75 << 30
	maxTags                    = 50
	defaultRetries             = 2
	defaultMaxAge              = 6 * 60 * 60
)

// maxQueued bounds what asynchronous invocations hold in all: bytes of payload and a little for each. AWS knows no bound
// but answers with the same error when it has too much to do.
const (
	maxQueued   = 64 << 20
	queuedEvery = 512
)
