package ec2

import (
	"slices"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Check is a status check that fails from an instant on, and until another if that is known. The zero value passes.
type Check struct{ Since, Until time.Time }

// failing tells whether the check fails at some time from one instant to another.
func (c Check) failing(from, to time.Time) bool {
	return !c.Since.IsZero() && c.Since.Before(to) && (c.Until.IsZero() || c.Until.After(from))
}

// Silence is how often in a row an instance gave no sign of life when it was asked for one, and since when.
type Silence struct {
	Checks int
	Since  time.Time
}

// silentChecks is how many checks in a row an instance may leave unanswered until its status is impaired [I].
const silentChecks = 2

// ownCheck is the check of the instance itself: it fails when told so, and while the instance gives no sign of life.
func (i Instance) ownCheck() Check {
	told := i.InstanceCheck.Since
	switch {
	case i.Silence.Checks < silentChecks:
		return i.InstanceCheck
	case !told.IsZero() && told.Before(i.Silence.Since):
		return Check{Since: told}
	}
	return Check{Since: i.Silence.Since}
}

func (i *Instance) clearChecks() {
	i.InstanceCheck, i.SystemCheck, i.VolumeCheck, i.Silence = Check{}, Check{}, Check{}, Silence{}
}

// statusChecked counts who gave no sign of life; all others did. An instance that has been started or restarted since is
// not meant.
func (s *Service) statusChecked(tx *cloud.Tx, f StatusChecks) {
	failed := map[string]bool{}
	ids := slices.Clone(f.Failed)
	for _, id := range ids {
		failed[id] = true
	}
	for _, i := range s.silent.Index.Each("", "") {
		if !failed[i.ID] {
			ids = append(ids, i.ID)
		}
	}
	for _, id := range ids {
		s.on(tx, id, func(tx *cloud.Tx, i Instance) {
			if i.State != Running || failed[id] && (i.Silence.Checks == silentChecks || !i.Changed.Before(f.Began)) {
				return
			}
			before := i.status(tx.Now())
			switch {
			case !failed[id]:
				i.Silence = Silence{}
			case i.Silence.Checks == 0:
				i.Silence = Silence{Checks: 1, Since: tx.Now()}
			default:
				i.Silence.Checks++
			}
			s.instances.Put(tx, id, i)
			if after := i.status(tx.Now()); after != before {
				tx.Emit(Name, InstanceStatusChanged{ID: id, Status: after})
				tx.Touch(Name, kindInstance, id)
			}
		})
	}
}

// recoveredAfter is how long a system check fails before the instance is recovered by itself (EC-IN-06) [I].
const recoveredAfter = 2 * time.Minute

// GroupTag is on the instances of Auto Scaling groups, which replace them instead of recovering them.
const GroupTag = "aws:autoscaling:groupName"

// checked is what one status check says.
func (i Instance) checked(c Check, now time.Time) string {
	switch {
	case i.State != Running:
		return statusNotApplicable
	case c.failing(now, now.Add(1)):
		return statusImpaired
	case now.Before(i.StatusOK):
		return statusInitializing
	}
	return statusOK
}

// failed are the values of statusMetrics for the minute that begins at an instant.
func (i Instance) failed(at time.Time) [4]float64 {
	one := func(c Check) float64 {
		if i.State == Running && c.failing(at, at.Add(minute)) {
			return 1
		}
		return 0
	}
	instance, system, volumes := one(i.ownCheck()), one(i.SystemCheck), one(i.VolumeCheck)
	return [4]float64{max(instance, system, volumes), instance, system, volumes}
}

// reconcileChecks lets checks pass again whose time has come, and recovers an instance whose system check fails. It gives
// the instant of what is next.
func (s *Service) reconcileChecks(tx *cloud.Tx, i *Instance, next time.Time) time.Time {
	if i.State != Running {
		return next
	}
	now, changed := tx.Now(), false
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, c := range []*Check{&i.InstanceCheck, &i.SystemCheck, &i.VolumeCheck} {
		switch {
		case c.Since.IsZero() || c.Until.IsZero():
		case now.Before(c.Until):
			sooner(c.Until)
		default:
			*c, changed = Check{}, true
		}
	}
	if changed {
		s.instances.Put(tx, i.ID, *i)
		tx.Emit(Name, InstanceStatusChanged{ID: i.ID, Status: i.status(now)})
	}
	if i.SystemCheck.Since.IsZero() || i.NoRecovery || s.inGroup(tx, i.ID) {
		return next
	}
	if due := i.SystemCheck.Since.Add(recoveredAfter); now.Before(due) {
		sooner(due)
	} else {
		s.recover(tx, i)
	}
	return next
}

func (s *Service) inGroup(tx *cloud.Tx, id string) bool {
	for _, t := range s.Tags(tx, id) {
		if t.Key == GroupTag {
			return true
		}
	}
	return false
}

// recover boots an instance anew on other hardware: it keeps its ID, addresses and volumes, and loses its memory.
func (s *Service) recover(tx *cloud.Tx, i *Instance) {
	i.clearChecks()
	i.StatusOK, i.ChecksPassed, i.Changed = tx.Now().Add(checksTake), false, tx.Now()
	s.instances.Put(tx, i.ID, *i)
	tx.Wish(RebootInstance{ID: i.ID})
	tx.Emit(Name, InstanceStatusChanged{ID: i.ID, Status: statusInitializing})
	tx.Touch(Name, kindInstance, i.ID)
}

// rebooted lets the check of the instance itself pass: a restart helps it.
func (s *Service) rebooted(tx *cloud.Tx, i *Instance) {
	if !i.InstanceCheck.Since.IsZero() || i.Silence.Checks > 0 {
		i.InstanceCheck, i.Silence = Check{}, Silence{}
		tx.Emit(Name, InstanceStatusChanged{ID: i.ID, Status: i.status(tx.Now())})
		tx.Touch(Name, kindInstance, i.ID)
	}
}

// ImpairInput says which status checks of an instance fail from now on; those that are not named pass again.
type ImpairInput struct {
	InstanceID                string
	Instance, System, Volumes bool
	For                       time.Duration // zero: until something helps
}

// ImpairOutput is what the checks say now.
type ImpairOutput struct{ Instance, System, Volumes string }

// impair is the internal operation behind `billow fail`.
func (s *Service) impair(tx *cloud.Tx, in *ImpairInput) (*ImpairOutput, error) {
	i, err := s.instance(tx, in.InstanceID)
	if err != nil {
		return nil, err
	}
	if i.State != Running {
		return nil, api.Errorf("IncorrectInstanceState", "Instance %s is %s; only the status checks of a running instance can fail.", i.ID, i.State)
	}
	now := tx.Now()
	for _, x := range []struct {
		fails bool
		check *Check
	}{{in.Instance, &i.InstanceCheck}, {in.System, &i.SystemCheck}, {in.Volumes, &i.VolumeCheck}} {
		since := x.check.Since
		*x.check = Check{}
		if !x.fails {
			continue
		}
		if since.IsZero() {
			since = now
		}
		x.check.Since = since
		if in.For > 0 {
			x.check.Until = now.Add(in.For)
		}
	}
	s.instances.Put(tx, i.ID, i)
	tx.Emit(Name, InstanceStatusChanged{ID: i.ID, Status: i.status(now)})
	tx.Touch(Name, kindInstance, i.ID)
	return &ImpairOutput{i.checked(i.ownCheck(), now), i.checked(i.SystemCheck, now), i.checked(i.VolumeCheck, now)}, nil
}

// ModifyInstanceMaintenanceOptions turns an instance's recovery by itself on or off (EC-IN-06).
func (s *Service) ModifyInstanceMaintenanceOptions(tx *cloud.Tx, in *shape.ModifyInstanceMaintenanceOptionsInput) (*shape.ModifyInstanceMaintenanceOptionsOutput, error) {
	i, err := s.instance(tx, api.Value(in.InstanceId))
	if err != nil {
		return nil, err
	}
	if in.AutoRecovery != nil {
		i.NoRecovery = *in.AutoRecovery == "disabled"
		s.instances.Put(tx, i.ID, i)
		tx.Touch(Name, kindInstance, i.ID)
	}
	out := &shape.ModifyInstanceMaintenanceOptionsOutput{InstanceId: &i.ID, AutoRecovery: new("default")}
	if i.NoRecovery {
		out.AutoRecovery = new("disabled")
	}
	return out, nil
}
