package autoscaling

import (
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// maxSchedules is how many scheduled actions a group may have (AS-QL-04); maxBatch how many one call takes (AS-AD-09).
const (
	maxSchedules = 125
	maxBatch     = 50
)

// ScheduledAction changes a group's sizes at a time or by a recurrence. Its key is the group's name and its own.
type ScheduledAction struct {
	Group, Name, ARN     string
	Start, End           time.Time // as given; zero if not
	Recurrence, TimeZone string
	Min, Max, Desired    *int      // nil: stays as it is
	Next                 time.Time // when it is due
}

func (a ScheduledAction) key() string { return policyKey(a.Group, a.Name) }

func (s *Service) scheduleOperations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("PutScheduledUpdateGroupAction", s.PutScheduledUpdateGroupAction),
		cloud.Handle("BatchPutScheduledUpdateGroupAction", s.BatchPutScheduledUpdateGroupAction),
		cloud.Handle("DescribeScheduledActions", s.DescribeScheduledActions),
		cloud.Handle("DeleteScheduledAction", s.DeleteScheduledAction),
		cloud.Handle("BatchDeleteScheduledAction", s.BatchDeleteScheduledAction),
	}
}

// PutScheduledUpdateGroupAction makes a scheduled action or replaces it.
func (s *Service) PutScheduledUpdateGroupAction(tx *cloud.Tx, in *shape.PutScheduledUpdateGroupActionInput) (*shape.PutScheduledUpdateGroupActionOutput, error) {
	start := in.StartTime
	if in.Time != nil { // the old name of StartTime
		if start != nil && !start.Equal(*in.Time) {
			return nil, invalid("Time and StartTime must be the same if both are specified")
		}
		start = in.Time
	}
	err := s.putSchedule(tx, api.Value(in.AutoScalingGroupName), shape.ScheduledUpdateGroupActionRequest{
		ScheduledActionName: in.ScheduledActionName, StartTime: start, EndTime: in.EndTime, Recurrence: in.Recurrence,
		MinSize: in.MinSize, MaxSize: in.MaxSize, DesiredCapacity: in.DesiredCapacity, TimeZone: in.TimeZone,
	})
	if err != nil {
		return nil, err
	}
	return &shape.PutScheduledUpdateGroupActionOutput{}, nil
}

// BatchPutScheduledUpdateGroupAction makes or replaces several; those that are not good are listed and left out.
func (s *Service) BatchPutScheduledUpdateGroupAction(tx *cloud.Tx, in *shape.BatchPutScheduledUpdateGroupActionInput) (*shape.BatchPutScheduledUpdateGroupActionOutput, error) {
	if _, err := s.scaledGroup(tx, api.Value(in.AutoScalingGroupName)); err != nil {
		return nil, err
	}
	if len(in.ScheduledUpdateGroupActions) > maxBatch {
		return nil, invalid("You can specify at most %d scheduled actions", maxBatch)
	}
	out := &shape.BatchPutScheduledUpdateGroupActionOutput{FailedScheduledUpdateGroupActions: []shape.FailedScheduledUpdateGroupActionRequest{}}
	for _, a := range in.ScheduledUpdateGroupActions {
		if err := s.putSchedule(tx, api.Value(in.AutoScalingGroupName), a); err != nil {
			out.FailedScheduledUpdateGroupActions = append(out.FailedScheduledUpdateGroupActions, failedSchedule(a.ScheduledActionName, err))
		}
	}
	return out, nil
}

func failedSchedule(name *string, err error) shape.FailedScheduledUpdateGroupActionRequest {
	out := shape.FailedScheduledUpdateGroupActionRequest{ScheduledActionName: name, ErrorCode: new("ValidationError"), ErrorMessage: new(err.Error())}
	if e, ok := err.(*api.Error); ok {
		out.ErrorCode, out.ErrorMessage = &e.Code, &e.Message
	}
	return out
}

func (s *Service) putSchedule(tx *cloud.Tx, group string, in shape.ScheduledUpdateGroupActionRequest) error {
	g, err := s.scaledGroup(tx, group)
	if err != nil {
		return err
	}
	a := ScheduledAction{
		Group: g.Name, Name: api.Value(in.ScheduledActionName), Recurrence: api.Value(in.Recurrence), TimeZone: api.Value(in.TimeZone),
		Start: utc(in.StartTime), End: utc(in.EndTime), Min: number32(in.MinSize), Max: number32(in.MaxSize), Desired: number32(in.DesiredCapacity),
	}
	if err := a.check(tx.Now()); err != nil {
		return err
	}
	count := 0
	for key, other := range s.scaling.schedules.Prefix(tx, policyKey(g.Name, "")) {
		if key == a.key() {
			a.ARN = other.ARN
			continue
		}
		count++
		if other.Next.Equal(a.Next) { // AS-SC-04
			return api.Errorf("AlreadyExists", "Scheduled action with this start time already exists: %s", other.Name)
		}
	}
	if a.ARN == "" {
		if count >= maxSchedules {
			return api.Errorf("LimitExceeded", "You have reached the limit of %d scheduled actions for the AutoScalingGroup %s", maxSchedules, g.Name)
		}
		a.ARN = tx.Scope.ARN(Name, "scheduledUpdateGroupAction:"+tx.UUID()+":autoScalingGroupName/"+g.Name+":scheduledActionName/"+a.Name) // AS-SC-08
	}
	s.scaling.schedules.Put(tx, a.key(), a)
	tx.At(Name, keySchedule, a.key(), a.Next)
	return nil
}

// check refuses an action that can never run as it is meant (AS-SC-01, AS-SC-03), and says when it runs first.
func (a *ScheduledAction) check(now time.Time) error {
	switch {
	case a.Min == nil && a.Max == nil && a.Desired == nil:
		return invalid("At least one of MinSize, MaxSize and DesiredCapacity must be specified")
	case orElse(a.Min, 0) < 0 || orElse(a.Max, 0) < 0 || orElse(a.Desired, 0) < 0:
		return invalid("MinSize, MaxSize and DesiredCapacity must not be negative")
	case a.Min != nil && a.Max != nil && *a.Min > *a.Max:
		return invalid("Max bound, %d, must be greater than or equal to min bound, %d", *a.Max, *a.Min)
	case a.Start.IsZero() && a.Recurrence == "":
		return invalid("StartTime or Recurrence must be specified")
	case !a.Start.IsZero() && !a.Start.After(now):
		return invalid("Given start time is in the past")
	case !a.End.IsZero() && !a.End.After(now):
		return invalid("Given end time is in the past")
	case !a.End.IsZero() && a.End.Before(a.Start):
		return invalid("Given end time is earlier than the start time")
	}
	if _, ok := zone(a.TimeZone); !ok {
		return invalid("The time zone %s is not valid", a.TimeZone)
	}
	if a.Recurrence != "" {
		if _, err := ParseCron(a.Recurrence); err != nil {
			return invalid("Given recurrence string: %s is invalid: %s", a.Recurrence, err)
		}
	}
	a.Next = a.Start
	if a.Start.IsZero() {
		a.Next = a.after(now)
	}
	if a.Next.IsZero() {
		return invalid("The scheduled action %s never runs", a.Name)
	}
	return nil
}

// after is when the action is due next after a time; zero if never.
func (a ScheduledAction) after(t time.Time) time.Time {
	if a.Recurrence == "" {
		return time.Time{}
	}
	c, err := ParseCron(a.Recurrence)
	z, ok := zone(a.TimeZone)
	if err != nil || !ok {
		return time.Time{}
	}
	next := c.Next(t, z)
	if !a.End.IsZero() && next.After(a.End) { // AS-SC-03
		return time.Time{}
	}
	return next
}

// runSchedule runs an action that is due and sets it to its next time; an action without one is removed.
func (s *Service) runSchedule(tx *cloud.Tx, key string) {
	a, ok := s.scaling.schedules.Get(tx, key)
	if !ok {
		return
	}
	if a.Next.After(tx.Now()) {
		tx.At(Name, keySchedule, key, a.Next)
		return
	}
	if g, ok := s.groups.Get(tx, a.Group); ok && !g.Deleting && !g.suspended("ScheduledActions") { // AS-SP-11
		s.apply(tx, g, a)
	}
	a.Next = a.after(tx.Now())
	if a.Next.IsZero() {
		s.dropSchedule(tx, key)
		return
	}
	s.scaling.schedules.Put(tx, key, a)
	tx.At(Name, keySchedule, key, a.Next)
}

// apply gives a group the sizes of an action; what it does not name stays (AS-SC-06). A desired capacity outside the
// bounds makes a failed activity; one that is not desiredGiven follows the bounds.
func (s *Service) apply(tx *cloud.Tx, g Group, a ScheduledAction) {
	lo, hi, desired := orElse(a.Min, g.MinSize), orElse(a.Max, g.MaxSize), orElse(a.Desired, g.DesiredCapacity)
	var desiredGiven *int32
	if a.Desired != nil {
		desiredGiven = new(int32(desired))
	}
	if err := checkBounds(lo, hi, desiredGiven); err != nil {
		s.failSchedule(tx, g, a, failedSchedule(nil, err))
		return
	}
	g.MinSize, g.MaxSize = lo, hi
	if now := max(lo, min(g.DesiredCapacity, hi)); desired > now && g.suspended("Launch") || desired < now && g.suspended("Terminate") {
		desired = now // AS-SP-03, AS-SP-04: no more than the bounds ask for
	}
	s.groups.Put(tx, g.Name, g) // also when the desired capacity stays
	tx.Touch(Name, keyGroup, g.Name)
	s.resize(tx, g, lo, hi, desired, "scheduled action update") // AS-AC-09
}

func orElse(asked *int, usual int) int {
	if asked == nil {
		return usual
	}
	return *asked
}

// failSchedule writes the activity of an action that could not be done.
func (s *Service) failSchedule(tx *cloud.Tx, g Group, a ScheduledAction, why shape.FailedScheduledUpdateGroupActionRequest) {
	r, ok := s.open(tx, g.Name)
	if !ok {
		return
	}
	key := r.begin(Activity{
		Kind: kindSchedule, Description: "Executing scheduled action " + a.Name, StatusCode: statusInProgress,
		Cause: at(tx.Now(), "the scheduled action "+a.Name+" was executed."),
	})
	r.end(key, statusFailed, api.Value(why.ErrorMessage))
	r.save()
}

// kindSchedule is the kind of the activity of a scheduled action that failed.
const kindSchedule = "schedule"

func (s *Service) dropSchedule(tx *cloud.Tx, key string) {
	s.scaling.schedules.Delete(tx, key)
	tx.At(Name, keySchedule, key, time.Time{})
}

// DescribeScheduledActions lists actions that have not run for the last time, in order of group and name.
func (s *Service) DescribeScheduledActions(tx *cloud.Tx, in *shape.DescribeScheduledActionsInput) (*shape.DescribeScheduledActionsOutput, error) {
	prefix := ""
	if group := api.Value(in.AutoScalingGroupName); group != "" {
		prefix = policyKey(group, "")
	}
	page, next, err := page(where(s.scaling.schedules.Prefix(tx, prefix), func(a ScheduledAction) bool {
		if len(in.ScheduledActionNames) > 0 {
			return anyOf(in.ScheduledActionNames, a.Name) // StartTime and EndTime are ignored then
		}
		return (in.StartTime == nil || !a.Next.Before(*in.StartTime)) && (in.EndTime == nil || !a.Next.After(*in.EndTime))
	}), in.NextToken, in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeScheduledActionsOutput{ScheduledUpdateGroupActions: []shape.ScheduledUpdateGroupAction{}, NextToken: next}
	for _, a := range page {
		out.ScheduledUpdateGroupActions = append(out.ScheduledUpdateGroupActions, a.shape())
	}
	return out, nil
}

func (a ScheduledAction) shape() shape.ScheduledUpdateGroupAction {
	out := shape.ScheduledUpdateGroupAction{
		AutoScalingGroupName: &a.Group, ScheduledActionName: &a.Name, ScheduledActionARN: &a.ARN, Time: &a.Next, StartTime: &a.Next,
		MinSize: whole(a.Min), MaxSize: whole(a.Max), DesiredCapacity: whole(a.Desired),
	}
	if !a.End.IsZero() {
		out.EndTime = &a.End
	}
	if a.Recurrence != "" {
		out.Recurrence = &a.Recurrence
	}
	if a.TimeZone != "" {
		out.TimeZone = &a.TimeZone
	}
	return out
}

// DeleteScheduledAction removes an action.
func (s *Service) DeleteScheduledAction(tx *cloud.Tx, in *shape.DeleteScheduledActionInput) (*shape.DeleteScheduledActionOutput, error) {
	g, err := s.scaledGroup(tx, api.Value(in.AutoScalingGroupName))
	if err != nil {
		return nil, err
	}
	if err := s.deleteSchedule(tx, g.Name, api.Value(in.ScheduledActionName)); err != nil {
		return nil, err
	}
	return &shape.DeleteScheduledActionOutput{}, nil
}

func (s *Service) deleteSchedule(tx *cloud.Tx, group, name string) error {
	key := policyKey(group, name)
	if !s.scaling.schedules.Has(tx, key) {
		return invalid("Scheduled action name not found")
	}
	s.dropSchedule(tx, key)
	return nil
}

// BatchDeleteScheduledAction removes several; those that are not there are listed.
func (s *Service) BatchDeleteScheduledAction(tx *cloud.Tx, in *shape.BatchDeleteScheduledActionInput) (*shape.BatchDeleteScheduledActionOutput, error) {
	g, err := s.scaledGroup(tx, api.Value(in.AutoScalingGroupName))
	if err != nil {
		return nil, err
	}
	if len(in.ScheduledActionNames) > maxBatch {
		return nil, invalid("You can specify at most %d scheduled actions", maxBatch)
	}
	out := &shape.BatchDeleteScheduledActionOutput{FailedScheduledActions: []shape.FailedScheduledUpdateGroupActionRequest{}}
	for _, name := range in.ScheduledActionNames {
		if err := s.deleteSchedule(tx, g.Name, name); err != nil {
			out.FailedScheduledActions = append(out.FailedScheduledActions, failedSchedule(&name, err))
		}
	}
	return out, nil
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}
