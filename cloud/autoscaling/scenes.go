package autoscaling

import (
	"slices"
	"time"

	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// scene is an evaluation of a group's policies as a value: the group, and each policy with its alarms and their data.
// decide says what comes of it, with the functions that decide for real. A question of the kind "what if" is a copy in
// which something is different.
type scene struct {
	view   View
	barred string // why no policy is asked
	young  []YoungMember
	posts  []post
}

// post is one policy in a scene.
type post struct {
	signal Signal // with the whole policy
	warmup time.Duration
	alarms []sight // in order of name
}

// sight is one alarm of a policy and what it looked at.
type sight struct {
	alarm  cloudwatch.Alarm // in the state before the evaluation
	role   string           // high or low, of target tracking's own
	due    time.Time
	points []cloudwatch.DataPoint
	state  string // after the evaluation
	since  time.Time
	wrong  string // why the data is not known
}

const (
	roleHigh = "high"
	roleLow  = "low"
)

// clone is a copy whose posts and alarms may be changed; points are replaced, not edited.
func (s scene) clone() scene {
	s.posts = slices.Clone(s.posts)
	for i := range s.posts {
		s.posts[i].alarms = slices.Clone(s.posts[i].alarms)
	}
	return s
}

func (s *scene) decide() Decision {
	if s.barred != "" {
		return Decision{Desired: s.view.Desired, Winner: -1, Reason: s.barred, Verdicts: make([]Verdict, len(s.posts))}
	}
	signals := make([]Signal, len(s.posts))
	for i := range s.posts {
		signals[i] = s.posts[i].signal
	}
	return Decide(s.view, signals)
}

// newest is the newest data point that there is.
func (a *sight) newest() (cloudwatch.DataPoint, bool) {
	for _, p := range slices.Backward(a.points) {
		if p.Known {
			return p, true
		}
	}
	return cloudwatch.DataPoint{}, false
}

// breaching counts the points that breach among those that count.
func (a *sight) breaching() int {
	n := 0
	for _, p := range a.alarm.Counted(a.points) {
		if a.alarm.Breaches(p.Value) {
			n++
		}
	}
	return n
}

// missing counts the newest N windows without data.
func (a *sight) missing() int {
	n := 0
	for _, p := range a.points[max(0, len(a.points)-int(a.alarm.EvaluationPeriods)):] {
		if !p.Known {
			n++
		}
	}
	return n
}

// below tells that the alarm watches for values under its threshold.
func (a *sight) below() bool { return watchesBelow(a.alarm) }

// again evaluates an alarm anew that is not what it was.
func (a *sight) again() {
	if a.state = a.alarm.Judge(a.points); a.state == "" {
		a.state = a.alarm.StateValue
	}
}

// ring lets the alarms call the policy, or not, after one of them was evaluated anew.
func (p *post) ring() {
	x := &p.signal
	if x.ByHand {
		return
	}
	x.Due, x.High, x.Low = false, false, false
	for i := range p.alarms {
		a := &p.alarms[i]
		x.High = x.High || a.role == roleHigh && a.state == cloudwatch.StateAlarm
		x.Low = x.Low || a.role == roleLow && a.state == cloudwatch.StateAlarm
		if !a.alarm.Calls(a.state, x.Policy.ARN) {
			continue
		}
		newest, known := a.newest()
		x.Due, x.Alarm, x.Value, x.HasValue = true, a.alarm.AlarmName, newest.Value, known
		x.Threshold, x.Below = a.alarm.Threshold, a.below()
	}
}

// change is the scene with every alarm that looks at a measure changed in some way.
func (s scene) change(measure string, how func(*sight)) scene {
	s = s.clone()
	for i := range s.posts {
		p, touched := &s.posts[i], false
		for k := range p.alarms {
			if a := &p.alarms[k]; a.wrong == "" && a.alarm.Measure() == measure {
				how(a)
				a.again()
				touched = true
			}
		}
		if touched {
			p.ring()
		}
	}
	return s
}

// newestIs is the scene with another newest data point.
func (s scene) newestIs(measure string, v float64) scene {
	return s.change(measure, func(a *sight) {
		a.points = slices.Clone(a.points)
		for i := range slices.Backward(a.points) {
			if a.points[i].Known {
				a.points[i].Value = v
				return
			}
		}
	})
}

// more is the scene n periods later, after data points of one value.
func (s scene) more(measure string, n int, v float64) scene {
	period := time.Duration(0)
	s = s.change(measure, func(a *sight) {
		step := int64(a.alarm.Seconds())
		period = max(period, time.Duration(step)*time.Second)
		last := a.points[len(a.points)-1].At
		points := slices.Clone(a.points[min(n, len(a.points)):])
		for i := range min(n, len(a.points)) {
			points = append(points, cloudwatch.DataPoint{At: last + int64(i+1)*step, Value: v, Samples: 1, Known: true})
		}
		a.points = points
	})
	return s.later(time.Duration(n)*period, true)
}

// filled is the scene with data where there was none: what the newest data point says.
func (s scene) filled(measure string) scene {
	return s.change(measure, func(a *sight) {
		newest, known := a.newest()
		if !known {
			return
		}
		a.points = slices.Clone(a.points)
		for i := range a.points {
			if !a.points[i].Known {
				a.points[i] = cloudwatch.DataPoint{At: a.points[i].At, Value: newest.Value, Samples: 1, Known: true}
			}
		}
	})
}

// later is the scene after some time in which nothing happened but that time passed. With measured, the newest data point
// is as much younger, and of the instances that were warm by then.
func (s scene) later(d time.Duration, measured bool) scene {
	s = s.clone()
	before := s.view.Now
	s.view.Now = before.Add(d)
	for i := range s.posts {
		p := &s.posts[i]
		if p.signal.Policy.Type == typeSimple {
			continue
		}
		p.signal.Warming = warming(s.young, p.warmup, s.view.Now)
		if measured && p.signal.Policy.Type == typeTargetTracking {
			period := p.signal.Policy.period()
			p.signal.Measured += warming(s.young, p.warmup, newestPoint(before, period)) - warming(s.young, p.warmup, newestPoint(s.view.Now, period))
		}
	}
	return s
}

// arrived is the scene when everything that is on its way in is in service, and warm.
func (s scene) arrived() scene {
	s = s.clone()
	s.view.InService, s.view.Pending, s.view.Activity = s.view.InService+s.view.Pending, 0, ""
	s.young = nil
	for i := range s.posts {
		s.posts[i].signal.Warming = 0
	}
	return s
}

// warming counts the members in service whose warm-up is not over at an instant.
func warming(young []YoungMember, warmup time.Duration, at time.Time) int {
	n := 0
	for _, m := range young {
		if !m.InServiceAt.IsZero() && m.InServiceAt.Add(warmup).After(at) {
			n++
		}
	}
	return n
}
