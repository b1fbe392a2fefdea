package autoscaling

import (
	"fmt"
	"iter"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Activity is one scaling activity. Its key is activityKey: the newest comes first in key order.
type Activity struct {
	ID             string
	Group          string
	GroupARN       string
	Number         int // counts the group's activities
	Kind           string
	InstanceID     string
	Description    string
	Cause          string
	Start          time.Time
	End            time.Time // zero while it is open
	StatusCode     string
	StatusMessage  string
	Progress       int
	Subnet         string
	Zone           string
	InvokingAlarms string // JSON array or empty
	// Scaling tells that a change of desired capacity brought it about: its end starts the cooldown (AS-CD-02).
	Scaling bool
}

// Kinds of activity.
const (
	kindLaunch       = "launch"
	kindTerminate    = "terminate"
	kindAttach       = "attach"
	kindDetach       = "detach"
	kindEnterStandby = "enter standby"
	kindExitStandby  = "exit standby"
)

// Values of an activity's StatusCode (AS-AC-02), those that occur here.
const (
	statusPreInService = "PreInService"
	statusInProgress   = "InProgress"
	statusDraining     = "WaitingForELBConnectionDraining"
	statusMidLifecycle = "MidLifecycleAction"
	statusSuccessful   = "Successful"
	statusFailed       = "Failed"
	statusCancelled    = "Cancelled"
)

// activityKey puts newer activities first.
func activityKey(start time.Time, number int, id string) string {
	return fmt.Sprintf("%016x-%08x-%s", uint64(1<<63)-uint64(start.UnixNano()), uint32(1<<31-number), id)
}

// activityValues are what activityIDs finds an activity by: its ID, its group, and its group while it is open.
func activityValues(_ string, a Activity) []string {
	values := []string{"id " + a.ID, "group " + a.Group, fmt.Sprintf("number %s %d", a.GroupARN, a.Number)}
	if a.End.IsZero() {
		values = append(values, "open "+a.Group)
	}
	return values
}

// openActivities yields the activities of a group that have not ended, newest first.
func (s *Service) openActivities(tx *cloud.Tx, group string) iter.Seq2[string, Activity] {
	return s.activityIDs.Each(tx, "open "+group)
}
