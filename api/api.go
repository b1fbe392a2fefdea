// Package api is the runtime of the generated shapes: the types in which a service's model is written down (Service,
// Operation, Shape, Member) and the one error type. The folders below it, one per AWS service, are generated from the
// API models by api/gen; each holds the Go structs of the operations that its list in api/model names, the enum values,
// and the tables from which the wire decodes, validates and encodes.
//
// It is not a client and knows no protocol. The one idea: a struct's fields stand in the order of its shape's Members,
// so a codec walks both by index and never looks a name up.
//
// The package and everything generated is pure and immutable after initialisation.
package api

import (
	"cmp"
	"slices"
)

// A Kind says what a shape is; the Go type of a member follows from it.
type Kind uint8

// The kinds, each with the Go type of a member of that kind.
const (
	Structure Kind = iota // *Foo
	List                  // []T, scalars and structures by value
	Map                   // map[string]T
	String                // *string, enums too
	Integer               // *int32
	Long                  // *int64
	Double                // *float64, the model's float too
	Boolean               // *bool
	Timestamp             // *time.Time
	Blob                  // []byte
)

// A Protocol is a way in which requests and answers are written.
type Protocol uint8

// The protocols, named as in the models' metadata.
const (
	Query    Protocol = iota // form in, XML out
	EC2                      // EC2's dialect of query
	JSON                     // awsJson1_0 and awsJson1_1
	CBOR                     // smithy-rpc-v2-cbor
	RestJSON                 // rest-json
)

// Service is one AWS API: what its model says, reduced to what a server needs.
type Service struct {
	Name            string // the folder, "elbv2"
	ID              string // the model's serviceId, "Elastic Load Balancing v2"
	Version         string // "2015-12-01"
	Signing         string // service in a signature's credential scope, "elasticloadbalancing"
	Endpoint        string // first label of the host name
	Protocols       []Protocol
	JSONVersion     string // "1.0", "1.1", or empty
	TargetPrefix    string // of X-Amz-Target, and the service in an RPC path
	QueryCompatible bool   // JSON and CBOR errors carry the query protocol's code in a header
	Namespace       string // of the XML answers
	Faults          Faults
	Errors          []ErrorShape // sorted by Code
	Operations      []Operation  // every operation of the model, sorted by Name
	Shapes          []Shape      // those that the listed operations reach
}

// Faults says how this service words a request that does not fit the model: the code and, for a required member that is
// not there, the text with %s for the member. An empty text is AWS's common one ("1 validation error detected: ...").
type Faults struct {
	Invalid     string // code for length, range, pattern, enum
	Missing     string // code for a required member
	MissingText string
	Malformed   string // code for a value of the wrong type
}

// ErrorShape is one exception of the model.
type ErrorShape struct {
	Code   string // as query and ec2 answers and handlers name it
	Name   string // as JSON and CBOR answers name it
	Status int
}

// Operation is one operation of a model. Those that api/model does not list have no shapes.
type Operation struct {
	Name    string
	In      func() any // a new *<Op>Input; nil if the operation is not listed
	Out     func() any // a new *<Op>Output
	Input   int        // index into Service.Shapes
	Output  int
	Result  string // name of the element around a query answer, or empty if there is none
	Method  string // rest-json, also of operations that are not listed
	Path    string // rest-json, likewise: "/2015-03-31/functions/{FunctionName}"
	Status  int    // rest-json: of the answer; 0 is 200
	MaxBody int64  // bytes of a request's body, if more than of any other operation
}

// Shape is one type of the model.
type Shape struct {
	Name      string
	Kind      Kind
	Flattened bool     // List, Map: elements stand directly in the structure
	Sparse    bool     // Structure: as an operation's output, lists that are nil are left out instead of shown empty
	HasMin    bool     // Min counts
	HasMax    bool     // Max counts
	Elem      int      // List, Map: index of the element's shape
	Key       int      // Map: index of the key's shape
	ElemName  string   // List: wire name of an element, Map: of a value; empty is the protocol's own
	KeyName   string   // Map: wire name of a key
	Min, Max  float64  // value of a number, characters of a string, elements of a list or map, bytes of a blob
	Pattern   string   // String: regular expression (Go syntax) that the whole value must match
	Source    string   // String: the pattern as the model writes it, for the error's text
	Enum      []string // String: the values allowed, as the model orders them
	Members   []Member // Structure: in the order of the Go struct's fields
}

// Member is one member of a structure. Its Go field is the one with the same index.
type Member struct {
	Name     string // in JSON and CBOR, and in error texts
	Query    string // name in a query or ec2 request, if different
	XML      string // name in a query or ec2 answer, if different
	Shape    int    // index into Service.Shapes
	Required bool
	Location string // rest-json: uri, querystring, header, headers, statusCode, payload
}

// Find gives the operation called name, or nil.
func (s *Service) Find(name string) *Operation {
	i, found := slices.BinarySearchFunc(s.Operations, name, func(o Operation, name string) int { return cmp.Compare(o.Name, name) })
	if !found {
		return nil
	}
	return &s.Operations[i]
}

// Listed says whether the operation has shapes: whether api/model lists it.
func (o *Operation) Listed() bool { return o.In != nil }
