// Package wire turns HTTP requests into calls and their results into HTTP answers, in the protocols that AWS clients
// speak: query, ec2, JSON 1.0 and 1.1, rest-json, and CBOR. It routes, checks signatures (SigV4), decodes, validates against the
// model, and encodes; what an operation does is the Backend's.
//
// It is not a place for anything about one service: all it knows of services are the tables of package api, and an
// operation that is added there needs no code here.
//
// The one idea: a plan. The first use of a shape in a protocol compiles its table entry to a plan, which reads or writes
// a value in one walk over the Go struct's fields by index.
//
// Invariants: no request ends the process or allocates more than a small multiple of its own (bounded) size; an error
// that is no *api.Error becomes InternalFailure here and nowhere else; the Backend sees only requests that fit the model.
package wire

import (
	"context"
	"time"

	"github.com/billow-cloud/billow/api"
)

// Call is one request, decoded and checked.
type Call struct {
	Account      string // 12 digits
	Region       string
	AccessKey    string // empty if the request was not signed
	SessionToken string // as sent
	Identity     any    // of the Key that signed; nil without one
	Address      string // that the request came from, without the port
	Service      string // name of the api.Service, "autoscaling"
	Operation    string // "SetDesiredCapacity"
	RequestID    string
	In           any // pointer to the operation's input struct; the Backend owns it
}

// Backend carries calls out. Out is a pointer to the operation's output struct, or nil for an empty answer; it is read
// after Call returned and must not change any more. Call is made from many goroutines at once.
type Backend interface {
	Call(ctx context.Context, c Call) (out any, err error)
}

// Config is what New needs.
type Config struct {
	Services []*api.Service // catalog.Services
	Backend  Backend

	// Key finds out what is known of an access key; without it the handler is Trusting.
	Key func(ctx context.Context, accessKey string) (Key, bool)
	// Trusting (--auth none) takes requests whose signature is wrong or missing: an access key of 12 digits selects that
	// account. Keys that are known keep their account and identity.
	Trusting bool

	// Unsigned names operations that are carried out without a signature, too, since what they are given is secret enough
	// (a token that went out in a message), and their services. Such a request is a link: nothing in it but the operation
	// tells the service.
	Unsigned map[string]string

	// Now is the wall clock, against which signatures are checked. The default is time.Now.
	Now func() time.Time
	// Report gets what a client must not see: the cause behind an InternalFailure. The default drops it.
	Report func(c Call, cause error)
}

// Key is what is known of an access key.
type Key struct {
	Secret   string
	Account  string
	Token    string // of a session: the request must carry it
	Expired  bool
	Identity any // whose it is; comes back in Call
}

// What a request gets when it says nothing else.
const (
	DefaultAccount = "123456789012"
	DefaultRegion  = "us-east-1"
)
