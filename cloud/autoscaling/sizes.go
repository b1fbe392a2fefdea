package autoscaling

import (
	"fmt"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// known opens a group that a call names.
func (s *Service) known(tx *cloud.Tx, name string) (*roster, error) {
	r, ok := s.open(tx, name)
	if !ok {
		return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
	}
	return r, nil
}

// checkBounds refuses sizes that do not fit together (AS-AD-02); desired nil is not given.
func checkBounds(lowest, highest int, desired *int32) error {
	switch {
	case lowest < 0 || highest < 0:
		return invalid("Min and max bounds must be non-negative.")
	case lowest > highest:
		return invalid("Max bound, %d, must be greater than or equal to min bound, %d", highest, lowest)
	case desired != nil && (int(*desired) < lowest || int(*desired) > highest):
		return invalid("Desired capacity:%d must be between the specified min size:%d and max size:%d", *desired, lowest, highest)
	}
	return nil
}

// resize gives the group new bounds and a new desired capacity in one go (AS-AC-09, update).
func (s *Service) resize(tx *cloud.Tx, g Group, lowest, highest, desired int, who string) Group {
	g.MinSize, g.MaxSize = lowest, highest
	desired = max(lowest, min(desired, highest))
	return s.setDesired(tx, g, desired, Cause{Text: fmt.Sprintf("a %s of AutoScalingGroup constraints to min: %d, max: %d, desired: %d", who, lowest, highest, desired)})
}

// SetDesiredCapacity sets the size of a group by hand (AS-AD-01).
func (s *Service) SetDesiredCapacity(tx *cloud.Tx, in *shape.SetDesiredCapacityInput) (*shape.SetDesiredCapacityOutput, error) {
	r, err := s.known(tx, *in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if err := r.notDeleting(); err != nil {
		return nil, err
	}
	desired := int(*in.DesiredCapacity)
	switch {
	case desired > r.MaxSize:
		return nil, invalid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", desired, r.MaxSize)
	case desired < r.MinSize:
		return nil, invalid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", desired, r.MinSize)
	}
	if api.Value(in.HonorCooldown) { // AS-CD-04
		if id, blocked := r.cooling(); blocked {
			return nil, api.Errorf("ScalingActivityInProgress", "Scaling activity %s is in progress and blocks this action", id)
		}
	}
	s.setDesired(tx, r.Group, desired, Cause{Text: "a user request explicitly set group desired capacity"})
	return &shape.SetDesiredCapacityOutput{}, nil
}

// cooling tells which scaling activity holds back what honours the cooldown: one that is open, or the one whose
// cooldown is not over (AS-CD-02).
func (r *roster) cooling() (activity string, blocked bool) {
	for _, a := range r.s.openActivities(r.tx, r.Name) {
		if a.Scaling {
			return a.ID, true
		}
	}
	return r.CooldownActivity, r.cooldownEnds().After(r.tx.Now())
}

func (r *roster) notDeleting() error {
	if r.Deleting {
		return api.Errorf("ScalingActivityInProgress", "AutoScalingGroup %s is pending delete", r.Name)
	}
	return nil
}
