package api

import "fmt"

// Error is the one kind of failure that a client sees: AWS's code and message, made beside the rule that raises it.
// Anything else that reaches the wire becomes InternalFailure there.
type Error struct {
	Code    string // as the API reference spells it: "ValidationError", "InvalidInstanceID.NotFound"
	Message string
	Status  int // HTTP status; where the model gives the code a status of its own, the wire uses that one instead
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes an Error with status 400, what AWS answers for nearly every failure that is the caller's.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: 400}
}

// Value is what p points to, or T's zero value if the member was not given.
func Value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Or is what p points to, or otherwise if it points to nothing.
func Or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// NotImplemented is the answer to an operation that the model names and this cloud does not have.
func NotImplemented(service, operation string) *Error {
	return &Error{Code: "NotImplemented", Message: "The " + service + " operation " + operation + " is not implemented.", Status: 501}
}
