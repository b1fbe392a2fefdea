package logs

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Event is one line of a log.
type Event struct {
	At      time.Time // to the millisecond
	Message string
}

// Written is a fact: something that runs on the host has written to a log. Group and stream are made if need be. A batch
// a second, or one at the end of an invocation, is cheap; one per line is not.
type Written struct {
	Scope         cloud.Scope
	Group, Stream string
	Events        []Event // in order of time
}
