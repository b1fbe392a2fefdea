package cloud

import "strings"

// Scope is the account and region in which names mean something. Regions and accounts exist as soon as they are used.
type Scope struct{ Account, Region string }

// String is the head of the keys of a scope's rows.
func (s Scope) String() string { return s.Account + "/" + s.Region }

func (s Scope) prefix() string { return s.Account + "/" + s.Region + "/" }

// ARN is the Amazon Resource Name of something in the scope: "arn:aws:service:region:account:resource".
func (s Scope) ARN(service, resource string) string {
	return "arn:aws:" + service + ":" + s.Region + ":" + s.Account + ":" + resource
}

// split takes a row key apart into scope and ID.
func split(key string) (Scope, string) {
	account, rest, _ := strings.Cut(key, "/")
	region, id, _ := strings.Cut(rest, "/")
	return Scope{account, region}, id
}
