package ec2

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// ScheduledEvent is something that is going to be done to an instance, or was: what DescribeInstanceStatus and the metadata
// service show of maintenance.
type ScheduledEvent struct {
	ID, Code            string
	NotBefore, NotAfter time.Time
	Done                time.Time // zero: it is still to come
}

// ScheduledEventDue says that the time of an instance's scheduled event has come: its health is in question from now on
// (AS-HC-04).
type ScheduledEventDue struct{ ID, Code string }

// scheduledEvents are the codes, with what AWS says of them.
var scheduledEvents = []struct{ code, description, done string }{
	{"instance-reboot", "The instance is scheduled for a reboot", wishReboot},
	{"system-reboot", "The instance is scheduled for a reboot", wishReboot},
	{"system-maintenance", "The instance is scheduled for system maintenance", ""},
	{"instance-retirement", "The instance is running on degraded hardware", wishStop},
	{"instance-stop", "The instance is scheduled to be stopped", wishStop},
}

// wishReboot names what some scheduled events do; unlike a stop, it is nothing that a row waits for.
const wishReboot = "reboot"

// How long ahead an event is scheduled if nobody says, how long it may take, and how long one that is over is shown.
const (
	scheduledAhead  = 10 * time.Minute
	scheduledTakes  = 2 * time.Hour
	scheduledShown  = 7 * 24 * time.Hour
	maxScheduled    = 20
	maintenanceTime = "2 Jan 2006 15:04:05 GMT" // as the metadata service writes it
)

var scheduledStop = Reason{"Server.ScheduledStop", "Server.ScheduledStop: Stopped due to scheduled retirement"}

func descriptionOf(code string) (description, does string, known bool) {
	for _, e := range scheduledEvents {
		if e.code == code {
			return e.description, e.done, true
		}
	}
	return "", "", false
}

// schedule notes an event in the instance's row, which is put.
func (s *Service) schedule(tx *cloud.Tx, i *Instance, code string, after time.Duration) error {
	if _, _, known := descriptionOf(code); !known {
		var codes []string
		for _, e := range scheduledEvents {
			codes = append(codes, e.code)
		}
		return api.Errorf("InvalidParameterValue", "There is no scheduled event %s; there are %s.", code, strings.Join(codes, ", "))
	}
	begin := tx.Now().Add(cmp.Or(after, scheduledAhead)).Truncate(time.Second)
	events := slices.DeleteFunc(slices.Clone(i.Events), func(e ScheduledEvent) bool {
		return !e.Done.IsZero() && tx.Now().Sub(e.Done) > scheduledShown
	})
	if len(events) >= maxScheduled {
		return api.Errorf("InvalidParameterValue", "Instance %s has %d scheduled events already.", i.ID, len(events))
	}
	i.Events = append(events, ScheduledEvent{ID: tx.ID("instance-event-"), Code: code, NotBefore: begin, NotAfter: begin.Add(scheduledTakes)})
	s.instances.Put(tx, i.ID, *i)
	tx.Touch(Name, kindInstance, i.ID)
	return nil
}

// overBy marks events as done that a restart of the instance makes needless, in the row given: a reboot those that would
// reboot it, a stop all.
func (i *Instance) overBy(done string, now time.Time) {
	if len(i.Events) == 0 {
		return
	}
	i.Events = slices.Clone(i.Events)
	for n := range i.Events {
		e := &i.Events[n]
		if e.Done.IsZero() && (done == wishStop || e.Code == "instance-reboot") {
			e.Done = now
		}
	}
}

// reconcileEvents does what is due of the scheduled events, and gives the instant of what is next.
func (s *Service) reconcileEvents(tx *cloud.Tx, i *Instance, next time.Time) time.Time {
	for n := range i.Events {
		e := i.Events[n] // as it is by now: one event can spare another
		if !e.Done.IsZero() || i.State != Running || tx.Now().Before(e.NotBefore) {
			continue
		}
		i.Events = slices.Clone(i.Events)
		i.Events[n].Done = tx.Now()
		s.instances.Put(tx, i.ID, *i)
		tx.Emit(Name, ScheduledEventDue{ID: i.ID, Code: e.Code})
		switch _, does, _ := descriptionOf(e.Code); does {
		case wishReboot:
			s.reboot(tx, i)
		case wishStop:
			i.Transition = scheduledStop.Code
			s.wish(tx, i, wishStop)
			s.to(tx, i, Stopping, scheduledStop)
		}
	}
	for _, e := range i.Events { // what was done may have spared some of them
		if e.Done.IsZero() && i.State == Running {
			next = sooner(next, e.NotBefore)
		}
	}
	return next
}

// eventShapes are an instance's scheduled events as DescribeInstanceStatus gives them.
func (i Instance) eventShapes(now time.Time) (all []shape.InstanceStatusEvent) {
	for _, e := range i.Events {
		text, _, _ := descriptionOf(e.Code)
		if !e.Done.IsZero() {
			if now.Sub(e.Done) > scheduledShown {
				continue
			}
			text = "[Completed] " + text
		}
		all = append(all, shape.InstanceStatusEvent{InstanceEventId: &e.ID, Code: &e.Code, Description: &text, NotBefore: &e.NotBefore, NotAfter: &e.NotAfter})
	}
	return all
}

// eventFields are DescribeInstanceStatus's filters by scheduled event.
func eventFields() fields[Instance] {
	of := func(part func(shape.InstanceStatusEvent) *string) func(*cloud.Tx, Instance) []string {
		return func(tx *cloud.Tx, i Instance) (all []string) {
			for _, e := range i.eventShapes(tx.Now()) {
				all = append(all, *part(e))
			}
			return all
		}
	}
	return fields[Instance]{
		"event.code":              of(func(e shape.InstanceStatusEvent) *string { return e.Code }),
		"event.description":       of(func(e shape.InstanceStatusEvent) *string { return e.Description }),
		"event.instance-event-id": of(func(e shape.InstanceStatusEvent) *string { return e.InstanceEventId }),
	}
}

// maintenance is what the metadata service tells of the events that are to come, or of those that are over.
func (i Instance) maintenance(over bool) string {
	type event struct {
		NotBefore, Code, Description, EventId, NotAfter, State string
	}
	all := []event{}
	for _, e := range i.Events {
		if e.Done.IsZero() == over {
			continue
		}
		_, does, _ := descriptionOf(e.Code)
		one := event{
			NotBefore: e.NotBefore.UTC().Format(maintenanceTime), Code: e.Code, Description: "scheduled " + cmp.Or(does, "maintenance"), EventId: e.ID,
			NotAfter: e.NotAfter.UTC().Format(maintenanceTime), State: "active",
		}
		if over {
			one.Description, one.State = "[Completed] "+one.Description, "completed"
		}
		all = append(all, one)
	}
	return jsonText(all)
}
