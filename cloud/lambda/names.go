package lambda

import (
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// latest is the version that can be changed.
const latest = "$LATEST"

// functionARN is the ARN of a function, or of one of its versions or aliases.
func functionARN(scope cloud.Scope, name, qualifier string) string {
	arn := scope.ARN(Name, "function:"+name)
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}

// split takes a function's name apart in all the forms that it may be given in: "f", "f:live",
// "123456789012:function:f", "arn:aws:lambda:us-east-1:123456789012:function:f:live".
func split(tx *cloud.Tx, given string, qualifier *string) (name, q string, err error) {
	parts := strings.Split(given, ":")
	if parts[0] == "arn" && len(parts) > 5 {
		if region := parts[3]; region != tx.Scope.Region {
			return "", "", notFound("Functions from '%s' are not reachable in this region ('%s')", region, tx.Scope.Region)
		}
		if parts[4] != tx.Scope.Account {
			return "", "", notFound("Function not found: %s", given)
		}
		parts = parts[5:]
	} else if len(parts) > 2 && len(parts[0]) == 12 {
		if parts[0] != tx.Scope.Account {
			return "", "", notFound("Function not found: %s", given)
		}
		parts = parts[1:]
	}
	if parts[0] == "function" && len(parts) > 1 {
		parts = parts[1:]
	}
	name = parts[0]
	if len(parts) > 1 {
		q = parts[1]
	}
	if qualifier != nil {
		if q != "" && q != *qualifier {
			return "", "", invalid("The derived qualifier from the function name does not match the specified qualifier.")
		}
		q = *qualifier
	}
	return name, q, nil
}

func notFound(format string, args ...any) error {
	e := api.Errorf("ResourceNotFoundException", format, args...)
	e.Status = 404
	return e
}

func conflict(format string, args ...any) error {
	e := api.Errorf("ResourceConflictException", format, args...)
	e.Status = 409
	return e
}

func errNoFunction(tx *cloud.Tx, name, qualifier string) error {
	return notFound("Function not found: %s", functionARN(tx.Scope, name, qualifier))
}

// function gives the function that a name stands for, and the qualifier in it.
func (s *Service) function(tx *cloud.Tx, given, qualifier *string) (Function, string, error) {
	name, q, err := split(tx, api.Value(given), qualifier)
	if err != nil {
		return Function{}, "", err
	}
	f, ok := s.functions.Get(tx, name)
	if !ok {
		return f, q, errNoFunction(tx, name, q)
	}
	return f, q, nil
}

// unqualified is function for operations on the function itself.
func (s *Service) unqualified(tx *cloud.Tx, given *string) (Function, error) {
	f, q, err := s.function(tx, given, nil)
	if err == nil && q != "" && q != latest {
		err = invalid("This operation does not support a function ARN with a version or alias. Remove the qualifier '%s'.", q)
	}
	return f, err
}

// number tells whether a qualifier is that of a version rather than of an alias.
func number(qualifier string) bool {
	return qualifier == latest || qualifier != "" && strings.Trim(qualifier, "0123456789") == ""
}

// version gives the version that a qualifier of a function stands for; of an alias with weights, the main one.
func (s *Service) version(tx *cloud.Tx, name, qualifier string) (Version, error) {
	n := qualifier
	switch {
	case n == "":
		n = latest
	case !number(n):
		a, ok := s.aliases.Get(tx, name+":"+n)
		if !ok {
			return Version{}, errNoFunction(tx, name, qualifier)
		}
		n = a.Version
	}
	v, ok := s.versions.Get(tx, versionKey(name, n))
	if !ok {
		return v, errNoFunction(tx, name, qualifier)
	}
	return v, nil
}
