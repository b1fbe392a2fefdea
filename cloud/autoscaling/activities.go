package autoscaling

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
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

// activityValues are what activityIDs finds an activity by.
func activityValues(_ string, a Activity) []string {
	values := []string{"id " + a.ID, "group " + a.Group, activityNumber(a.GroupARN, a.Number)}
	if a.End.IsZero() {
		values = append(values, "open "+a.Group)
	}
	return values
}

func activityNumber(arn string, n int) string { return "number " + arn + " " + strconv.Itoa(n) }

// openActivities yields the activities of a group that have not ended, newest first.
func (s *Service) openActivities(tx *cloud.Tx, group string) iter.Seq2[string, Activity] {
	return s.activityIDs.Each(tx, "open "+group)
}

// History is kept for six weeks (AS-AC-04) and, so that a group that fails for weeks cannot fill the store, for the
// newest historyLength activities of a group.
const (
	historyAge    = 6 * 7 * 24 * time.Hour
	historyLength = 10_000
)

// begin writes a new activity of the group and returns its key. Activities too old to be kept go at the same time.
func (r *roster) begin(a Activity) string {
	a.ID, a.Group, a.GroupARN, a.Start = r.tx.UUID(), r.Name, r.ARN, r.tx.Now()
	a.Number = r.ActivityNext
	r.ActivityNext++
	r.changed = true
	key := activityKey(a.Start, a.Number, a.ID)
	r.s.activities.Put(r.tx, key, a)
	for old := range r.s.activityIDs.Each(r.tx, activityNumber(a.GroupARN, a.Number-historyLength)) {
		r.s.activities.Delete(r.tx, old)
	}
	for old := range r.s.activities.After(r.tx, activityKey(r.tx.Now().Add(-historyAge), 0, "")) {
		r.s.activities.Delete(r.tx, old)
	}
	return key
}

// update changes an open activity.
func (r *roster) update(key string, f func(*Activity)) {
	before, ok := r.s.activities.Get(r.tx, key)
	if !ok || !before.End.IsZero() {
		return
	}
	after := before
	if f(&after); after != before {
		r.s.activities.Put(r.tx, key, after)
	}
}

// end closes an open activity. What follows from its end, the cooldown and the notices, follows here.
func (r *roster) end(key, status, message string) {
	a, ok := r.s.activities.Get(r.tx, key)
	if !ok || !a.End.IsZero() {
		return
	}
	a.End = r.tx.Now().Truncate(time.Second) // AS-AC-06
	if a.End.Before(a.Start) {
		a.End = a.End.Add(time.Second) // nothing on AWS is over within the second in which it began
	}
	a.StatusCode, a.StatusMessage, a.Progress = status, message, 100
	a.Description = strings.TrimSuffix(a.Description, drainingEnd)
	if message != "" {
		a.Description += statusReason + message // AS-AC-08
	}
	r.s.activities.Put(r.tx, key, a)
	if a.Scaling && status == statusSuccessful {
		r.CooldownStart, r.CooldownActivity, r.changed = r.tx.Now(), a.ID, true
	}
	r.s.activityEnded(r.tx, &r.Group, &a)
}

// shape is the activity as the API shows it; state is the group's, InService or Deleted.
func (a Activity) shape(state string) shape.Activity {
	x := shape.Activity{
		ActivityId: &a.ID, AutoScalingGroupName: &a.Group, AutoScalingGroupARN: &a.GroupARN, Description: &a.Description,
		Cause: &a.Cause, StartTime: &a.Start, StatusCode: &a.StatusCode, StatusMessage: some(a.StatusMessage),
		Progress: new(int32(a.Progress)), Details: new(a.details()), AutoScalingGroupState: &state,
	}
	if !a.End.IsZero() {
		x.EndTime = &a.End
	}
	return x
}

// details is the activity's Details, a JSON object with AWS's keys in AWS's order (AS-AC-07).
func (a Activity) details() string {
	var members []string
	if a.Subnet != "" {
		members = append(members, `"Subnet ID":`+strconv.Quote(a.Subnet))
	}
	if a.Zone != "" {
		members = append(members, `"Availability Zone":`+strconv.Quote(a.Zone), `"Availability Zone ID":`+strconv.Quote(ec2.ZoneID(a.Zone)))
	}
	if a.InvokingAlarms != "" {
		members = append(members, `"InvokingAlarms":`+a.InvokingAlarms)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// DescribeScalingActivities lists activities: those in progress first, then the newest (AS-AC-04).
func (s *Service) DescribeScalingActivities(tx *cloud.Tx, in *shape.DescribeScalingActivitiesInput) (*shape.DescribeScalingActivitiesOutput, error) {
	if len(in.ActivityIds) > 50 {
		return nil, invalid("At most 50 activity IDs may be given.")
	}
	pass, err := activityFilter(in.Filters)
	if err != nil {
		return nil, err
	}
	deleted := api.Value(in.IncludeDeletedGroups)
	oldest := tx.Now().Add(-historyAge)
	rows, next, err := page(func(yield func(string, Activity) bool) {
		for key, a := range s.listed(tx, in) {
			if a.Start.Before(oldest) || !pass(a) || (!deleted && s.stateOf(tx, a) == groupDeleted) {
				continue
			}
			// Open ones come first, and among both the newest: the paging key says the same.
			head := "1"
			if a.End.IsZero() {
				head = "0"
			}
			if !yield(head+key, a) {
				return
			}
		}
	}, in.NextToken, in.MaxRecords, 100, 100)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeScalingActivitiesOutput{Activities: make([]shape.Activity, 0, len(rows)), NextToken: next}
	for _, a := range rows {
		out.Activities = append(out.Activities, a.shape(s.stateOf(tx, a)))
	}
	return out, nil
}

// States of a group, as its activities tell them.
const (
	groupInService = "InService"
	groupDeleted   = "Deleted"
)

// stateOf is Deleted if the activity's group is gone, also if another has its name now.
func (s *Service) stateOf(tx *cloud.Tx, a Activity) string {
	if g, ok := s.groups.Get(tx, a.Group); !ok || g.ARN != a.GroupARN {
		return groupDeleted
	}
	return groupInService
}

// listed yields the activities that a call asks for, open ones first.
func (s *Service) listed(tx *cloud.Tx, in *shape.DescribeScalingActivitiesInput) iter.Seq2[string, Activity] {
	group := api.Value(in.AutoScalingGroupName)
	return func(yield func(string, Activity) bool) {
		for _, open := range []bool{true, false} {
			from := s.activities.All(tx)
			switch {
			case len(in.ActivityIds) > 0:
				from = s.byActivityID(tx, in.ActivityIds)
			case group != "" && open:
				from = s.openActivities(tx, group)
			case group != "":
				from = s.activityIDs.Each(tx, "group "+group)
			}
			for key, a := range from {
				if a.End.IsZero() == open && (group == "" || a.Group == group) && !yield(key, a) {
					return
				}
			}
		}
	}
}

func (s *Service) byActivityID(tx *cloud.Tx, ids []string) iter.Seq2[string, Activity] {
	return func(yield func(string, Activity) bool) {
		for _, id := range ids {
			for key, a := range s.activityIDs.Each(tx, "id "+id) {
				if !yield(key, a) {
					return
				}
			}
		}
	}
}

// activityFilter is the test of AS-AC-05.
func activityFilter(filters []shape.Filter) (func(Activity) bool, error) {
	var lower, upper time.Time
	var codes []string
	for _, f := range filters {
		name := api.Value(f.Name)
		switch name {
		case "Status":
			codes = append(codes, f.Values...)
			continue
		case "StartTimeLowerBound", "StartTimeUpperBound":
		default:
			return nil, invalid("The filter configuration isn't valid. The specified filter name isn't valid.")
		}
		if len(f.Values) != 1 {
			return nil, invalid("The filter configuration isn't valid. Exactly one value must be given for %s.", name)
		}
		t, err := timestamp(f.Values[0])
		if err != nil {
			return nil, err
		}
		if name == "StartTimeLowerBound" {
			lower = t
		} else {
			upper = t
		}
	}
	return func(a Activity) bool {
		return (lower.IsZero() || !a.Start.Before(lower)) && (upper.IsZero() || !a.Start.After(upper)) &&
			(codes == nil || slices.Contains(codes, a.StatusCode))
	}, nil
}

// timestamp reads a time with a zone; days beyond the month's end run over into the next, as AWS takes them.
func timestamp(s string) (time.Time, error) {
	wrong := invalid("The filter configuration isn't valid. The specified timestamp isn't valid.")
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if len(s) < 10 {
		return time.Time{}, wrong
	}
	day, err := strconv.Atoi(s[8:10])
	if err != nil || day < 1 || day > 31 {
		return time.Time{}, wrong
	}
	t, err := time.Parse(time.RFC3339, s[:8]+"01"+s[10:])
	if err != nil {
		return time.Time{}, wrong
	}
	return t.AddDate(0, 0, day-1), nil
}
