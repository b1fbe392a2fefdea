package ec2

import (
	"cmp"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// There is no Spot market: a Spot Instance is launched like any other, and is interrupted when somebody says so, as by
// AWS's Fault Injection Service. First it gets a rebalance recommendation, two minutes before its end the interruption
// notice, and then it is terminated or stopped (EC-MD-06).

// spotNotice is how long before the end of a Spot Instance it is told.
const spotNotice = 2 * time.Minute

// maxSpotDelay bounds how long ahead of it an interruption can be said, as AWS's Fault Injection Service does.
const maxSpotDelay = 15 * time.Minute

// Spot is what a Spot Instance was launched with, and what it has been told since it was started.
type Spot struct {
	Persistent    bool      // its request is, not one-time: it may be stopped
	Behaviour     string    // when it is interrupted: "terminate", also if empty, or "stop"
	Recommended   time.Time // when it got a rebalance recommendation; zero: it has none
	InterruptedAt time.Time // when it ends; zero: nobody said so
	Warned        bool      // it got its interruption notice
}

// Action is what an interruption does to the instance.
func (s Spot) Action() string { return cmp.Or(s.Behaviour, "terminate") }

// forgotten is what is left when the instance ends or starts anew.
func (s Spot) forgotten() Spot { return Spot{Persistent: s.Persistent, Behaviour: s.Behaviour} }

// Reasons of an interruption's end (EC-IN-03).
var (
	spotTermination = Reason{"Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination"}
	spotShutdown    = Reason{"Server.SpotInstanceShutdown", "Server.SpotInstanceShutdown: Spot instance shutdown"}
)

// The events for services above and for EventBridge.
type (
	// RebalanceRecommended says that a Spot Instance is at risk of being interrupted.
	RebalanceRecommended struct{ ID string }
	// SpotInterruptionWarned says that a Spot Instance will be ended in two minutes: Action is "terminate" or "stop".
	SpotInterruptionWarned struct{ ID, Action string }
)

// Told names the source and the detail-type.
func (RebalanceRecommended) Told() (source, detailType string) {
	return "aws.ec2", "EC2 Instance Rebalance Recommendation"
}

// Detail gives the ARN of the instance and the event's detail.
func (e RebalanceRecommended) Detail(scope cloud.Scope) (resources []string, detail any) {
	return []string{scope.ARN(Name, "instance/"+e.ID)}, struct {
		ID string `json:"instance-id"`
	}{e.ID}
}

// Told names the source and the detail-type.
func (SpotInterruptionWarned) Told() (source, detailType string) {
	return "aws.ec2", "EC2 Spot Instance Interruption Warning"
}

// Detail gives the ARN of the instance and the event's detail.
func (e SpotInterruptionWarned) Detail(scope cloud.Scope) (resources []string, detail any) {
	return []string{scope.ARN(Name, "instance/"+e.ID)}, struct {
		ID     string `json:"instance-id"`
		Action string `json:"instance-action"`
	}{e.ID, e.Action}
}

// market reads the market options of a launch.
func (r *LaunchRequest) market(kind, request, behaviour *string) error {
	switch api.Value(kind) {
	case "":
		if request != nil || behaviour != nil {
			return api.Errorf("InvalidParameterCombination", "SpotOptions can be specified for the market type spot only.")
		}
		return nil
	case "spot":
	default:
		return api.Errorf("UnsupportedOperation", "The market type %s is not supported here: there are On-Demand and Spot Instances.", *kind)
	}
	r.Spot, r.SpotOptions = true, Spot{Persistent: api.Value(request) == "persistent", Behaviour: api.Value(behaviour)}
	switch r.SpotOptions.Behaviour {
	case "hibernate":
		return api.Errorf("UnsupportedHibernationConfiguration", "Instances cannot be hibernated here: choose the interruption behaviour terminate or stop.")
	case "stop":
		if !r.SpotOptions.Persistent {
			return api.Errorf("InvalidParameterCombination", "The interruption behavior stop is not supported for a one-time Spot request: it takes the SpotInstanceType persistent.")
		}
	}
	return nil
}

// oneTime tells whether an instance is that of a one-time Spot request, which cannot be stopped.
func (i Instance) oneTime() bool { return i.Lifecycle == "spot" && !i.Spot.Persistent }

func noStop(i Instance) error {
	return api.Errorf("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", i.ID)
}

// NoticeInput says what an instance is told of its future: exactly one of Interruption, Rebalance and Event. It is the
// internal operation behind `billow fail`.
type NoticeInput struct {
	InstanceID              string
	Interruption, Rebalance bool
	Event                   string        // the code of a scheduled event
	After                   time.Duration // until it comes; zero is as long as AWS tells ahead at least
}

// NoticeOutput is what will be done to it, and when: "terminate", "stop", "reboot"; empty: nothing.
type NoticeOutput struct {
	Action string
	At     time.Time
}

// notify has an instance told.
func (s *Service) notify(tx *cloud.Tx, in *NoticeInput) (*NoticeOutput, error) {
	i, err := s.instance(tx, in.InstanceID)
	if err != nil {
		return nil, err
	}
	switch {
	case i.State != Running:
		return nil, api.Errorf("IncorrectInstanceState", "Instance %s is %s; only a running one can be told.", i.ID, i.State)
	case in.After < 0:
		return nil, api.Errorf("InvalidParameterValue", "What has passed cannot be announced: %v.", in.After)
	case in.Event != "":
		if err := s.schedule(tx, &i, in.Event, in.After); err != nil {
			return nil, err
		}
		_, does, _ := descriptionOf(in.Event)
		return &NoticeOutput{Action: does, At: i.Events[len(i.Events)-1].NotBefore}, nil
	case i.Lifecycle != "spot":
		return nil, api.Errorf("UnsupportedOperation", "Instance %s is no Spot Instance, and only those are interrupted: launch it with --instance-market-options MarketType=spot.", i.ID)
	case in.Interruption:
		if err := s.interrupt(tx, &i, in.After); err != nil {
			return nil, err
		}
		return &NoticeOutput{Action: i.Spot.Action(), At: i.Spot.InterruptedAt}, nil
	}
	s.recommend(tx, &i)
	return &NoticeOutput{At: i.Spot.Recommended}, nil
}

// interrupt says that a Spot Instance is interrupted after a while: it is recommended to be replaced now.
func (s *Service) interrupt(tx *cloud.Tx, i *Instance, after time.Duration) error {
	after = cmp.Or(after, spotNotice)
	switch {
	case after < spotNotice || after > maxSpotDelay:
		return api.Errorf("InvalidParameterValue", "An interruption is %v to %v ahead, not %v.", spotNotice, maxSpotDelay, after)
	case !i.Spot.InterruptedAt.IsZero():
		return api.Errorf("IncorrectInstanceState", "Instance %s is being interrupted already, at %s.", i.ID, i.Spot.InterruptedAt.Format(time.RFC3339))
	}
	i.Spot.InterruptedAt = tx.Now().Add(after)
	s.recommend(tx, i)
	return nil
}

// recommend gives a Spot Instance a rebalance recommendation, if it has none, and puts it.
func (s *Service) recommend(tx *cloud.Tx, i *Instance) {
	if i.Spot.Recommended.IsZero() {
		i.Spot.Recommended = tx.Now()
		tx.Emit(Name, RebalanceRecommended{ID: i.ID})
	}
	s.instances.Put(tx, i.ID, *i)
	tx.Touch(Name, kindInstance, i.ID)
}

// reconcileSpot does what is due of an interruption, and gives the instant of what is next.
func (s *Service) reconcileSpot(tx *cloud.Tx, i *Instance, next time.Time) time.Time {
	end := i.Spot.InterruptedAt
	if end.IsZero() || i.State != Running {
		return next
	}
	if warning := end.Add(-spotNotice); !i.Spot.Warned {
		if tx.Now().Before(warning) {
			return sooner(next, warning)
		}
		i.Spot.Warned = true
		s.instances.Put(tx, i.ID, *i)
		tx.Emit(Name, SpotInterruptionWarned{ID: i.ID, Action: i.Spot.Action()})
	}
	switch {
	case tx.Now().Before(end):
		return sooner(next, end)
	case i.Spot.Action() == "stop":
		i.Transition = spotShutdown.Code
		s.wish(tx, i, wishStop)
		s.to(tx, i, Stopping, spotShutdown)
	default:
		s.shutDown(tx, *i, spotTermination, spotTermination.Code)
		*i, _ = s.instances.Get(tx, i.ID)
	}
	return next
}

// sooner is the earlier of two instants, of which the first may be none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// spotItems are what the metadata service tells of it below meta-data/.
func (s Spot) items(put func(path, value string)) {
	if !s.Recommended.IsZero() {
		put("events/recommendations/rebalance", jsonLine(struct {
			NoticeTime time.Time `json:"noticeTime"`
		}{s.Recommended.UTC().Truncate(time.Second)}))
	}
	if !s.Warned {
		return
	}
	end := s.InterruptedAt.UTC().Truncate(time.Second)
	put("spot/instance-action", jsonLine(struct {
		Action string    `json:"action"`
		Time   time.Time `json:"time"`
	}{s.Action(), end}))
	if s.Action() == "terminate" {
		put("spot/termination-time", end.Format(time.RFC3339))
	}
}
