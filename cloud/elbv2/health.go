package elbv2

// States of a target (LB-HC-04). Unavailable does not occur: health checks can be switched off for Lambda targets only.
const (
	StateInitial   = "initial"
	StateHealthy   = "healthy"
	StateUnhealthy = "unhealthy"
	StateDraining  = "draining"
	StateUnused    = "unused"
)

// Health is what DescribeTargetHealth says of a target (LB-HC-05, LB-HC-06).
type Health struct{ State, Reason, Description string }

// Thresholds are how many results in a row change a target's state.
type Thresholds struct {
	Initial   int32 // passes from initial to healthy: 1 for a target group (LB-HC-03)
	Healthy   int32 // passes from unhealthy to healthy
	Unhealthy int32 // failures from initial or healthy to unhealthy
}

// Count is a target's health as its checks have decided it. The zero value is a target that was never checked. It is
// shared with classic load balancers.
//
//	initial --Initial passes--> healthy --Unhealthy failures--> unhealthy --Healthy passes--> healthy
//	   +------------------------Unhealthy failures-----------------^
type Count struct {
	State  string `json:",omitempty"` // empty (initial), healthy or unhealthy
	Passes int32  `json:",omitempty"` // in a row, while that counts towards healthy
	Fails  int32  `json:",omitempty"` // in a row, while that counts towards unhealthy
	Reason string `json:",omitempty"` // of the last failure; kept until a pass
	Code   int    `json:",omitempty"` // of the last failure
}

// Checked is the count after one more result.
func (c Count) Checked(passed bool, reason string, code int, t Thresholds) Count {
	if !passed {
		c.Passes, c.Reason, c.Code = 0, reason, code
		if c.State == StateUnhealthy {
			return c
		}
		if c.Fails++; c.Fails >= t.Unhealthy {
			c.State, c.Fails = StateUnhealthy, 0
		}
		return c
	}
	c.Fails = 0
	if c.State == StateHealthy {
		c.Reason, c.Code = "", 0
		return c
	}
	need := t.Healthy
	if c.State == "" {
		need = t.Initial
	}
	if c.Passes++; c.Passes >= need {
		return Count{State: StateHealthy}
	}
	return c
}

// Streak tells whether results are being counted towards another state, so that every one of them matters.
func (c Count) Streak() bool { return c.Passes > 0 || c.Fails > 0 }

// Name is the state's name, initial included.
func (c Count) Name() string {
	if c.State == "" {
		return StateInitial
	}
	return c.State
}
