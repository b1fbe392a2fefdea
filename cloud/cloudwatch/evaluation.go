package cloudwatch

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// An alarm is evaluated when its timer is due and at no other time:
//
//	                 enough breaching points
//	OK  ------------------------------------------>  ALARM
//	 ^  <------------------------------------------    |
//	 |               enough others                     |
//	 +------------- INSUFFICIENT_DATA <----------------+
//	                 no data, treated as missing

// datapoint is one window of an evaluation. Without Known there was no data.
type datapoint struct {
	At        int64 // start, seconds since 1970
	Value     float64
	Samples   float64
	Known     bool
	Breaching bool
}

// minuteAfter is the next whole minute after the present.
func minuteAfter(tx *cloud.Tx) time.Time { return tx.Now().Truncate(time.Minute).Add(time.Minute) }

// rhythm says when an alarm is evaluated, in seconds: at the instants that are offset after a multiple of interval, on
// windows that end lag before (CW-AL-03, 03c, 03f).
func (a *Alarm) rhythm() (interval, offset, lag int64) {
	period := int64(a.period())
	switch {
	case period < 60:
		return 10, 0, 10
	case period*int64(a.EvaluationPeriods) > day:
		return hour, 60, 60
	}
	return 60, 0, 60
}

// period is that of the alarm's data points, in seconds.
func (a *Alarm) period() int32 {
	if len(a.Metrics) == 0 {
		return a.Period
	}
	longest := int32(0)
	for i := range a.Metrics {
		longest = max(longest, a.Metrics[i].Period)
	}
	return max(longest, 1)
}

// schedule sets the timer of an alarm's next evaluation.
func (s *Service) schedule(tx *cloud.Tx, name string) {
	a, ok := s.alarms.Get(tx, name)
	if !ok {
		tx.At(Name, kindEvaluation, name, time.Time{})
		return
	}
	s.scheduleNext(tx, &a)
}

func (s *Service) scheduleNext(tx *cloud.Tx, a *Alarm) {
	interval, offset, _ := a.rhythm()
	now := tx.Now().Unix()
	tx.At(Name, kindEvaluation, a.AlarmName, time.Unix(now+interval-mod(now-offset, interval), 0).UTC())
}

// evaluate brings an alarm's state in line with its data, and repeats what is to be repeated while it stays.
func (s *Service) evaluate(tx *cloud.Tx, name string) {
	a := s.alarms.Look(tx, name)
	if a == nil {
		return
	}
	s.scheduleNext(tx, a)
	interval, offset, lag := a.rhythm()
	due := tx.Now().Unix()
	due -= mod(due-offset, interval)
	points, err := s.evaluated(tx, a, due-lag, s.looked)
	if err != nil {
		return
	}
	s.looked = points
	state := a.decide(points)
	value, known := newestOf(points)
	if state == "" || state == a.StateValue {
		since := a.StateTransitionedTimestamp.Unix()
		since -= mod(since-offset, interval)
		if due > since && (interval >= 60 || (due-since)%60 == 0) {
			s.repeat(tx, a, value, known)
		}
		return
	}
	reason, data := a.reason(tx, state, points)
	s.transition(tx, *a, state, reason, data, value, known)
}

// evaluated gives the alarm's data points, oldest first: those of the N newest windows and of two before them
// (CW-AL-06), the newest ending at end. They are written over those in room, which may be nil.
func (s *Service) evaluated(tx *cloud.Tx, a *Alarm, end int64, room []datapoint) ([]datapoint, error) {
	period, n := int64(a.period()), int(a.EvaluationPeriods)+2
	from := end - int64(n)*period
	points := append(room[:0], make([]datapoint, n)...)
	for i := range points {
		points[i].At = from + int64(i)*period
	}
	if len(a.Metrics) > 0 {
		if err := s.evaluatedMath(tx, a, points, from, period); err != nil {
			return nil, err
		}
	} else {
		stat, _ := parseStatistic(a.statistic())
		key := metricKey(a.Namespace, a.MetricName, a.Dimensions)
		s.scratch = append(s.scratch[:0], make([]Stat, n)...)
		s.window(tx, s.scratch, key, a.Unit, from, period, stat.raw())
		for i, w := range s.scratch {
			points[i].Value, points[i].Known = stat.of(w)
			points[i].Samples = w.Count
		}
	}
	for i := range points {
		points[i].Breaching = points[i].Known && a.breaching(points[i].Value)
	}
	return points, nil
}

// statistic is the name of the statistic the alarm uses.
func (a *Alarm) statistic() string {
	if a.ExtendedStatistic != "" {
		return a.ExtendedStatistic
	}
	return a.Statistic
}

// breaching compares a value with the threshold (CW-AL-04).
func (a *Alarm) breaching(v float64) bool {
	switch a.ComparisonOperator {
	case "GreaterThanOrEqualToThreshold":
		return v >= a.Threshold
	case "GreaterThanThreshold":
		return v > a.Threshold
	case "LessThanThreshold":
		return v < a.Threshold
	case "LessThanOrEqualToThreshold":
		return v <= a.Threshold
	}
	return false
}

// needed is M: how many breaching points make ALARM.
func (a *Alarm) needed() int {
	if a.DatapointsToAlarm > 0 {
		return int(a.DatapointsToAlarm)
	}
	return int(a.EvaluationPeriods)
}

// decide gives the state that the points, oldest first, call for; empty means to keep the present one (CW-AL-07).
func (a *Alarm) decide(points []datapoint) string {
	if a.tooFewSamples(points) {
		return ""
	}
	n, m := int(a.EvaluationPeriods), a.needed()
	real := lastKnown(points, n)
	x := 0
	for _, p := range real {
		if p.Breaching {
			x++
		}
	}
	treatment := a.treatment()
	switch {
	case len(real) == n:
		return alarmIf(x >= m)
	case treatment == "breaching":
		return alarmIf(x+n-len(real) >= m)
	case treatment == "notBreaching":
		return alarmIf(x >= m)
	case len(real) == 0 && treatment == "missing":
		return StateInsufficientData
	case len(real) == 0:
		return ""
	case x >= m:
		return StateAlarm
	case x < len(real):
		return StateOK
	}
	// Only breaching points and too few of them: an old one is taken for the beginning of a breach whose rest is
	// missing, a young one may be premature (CW-AL-08).
	if age := len(points) - slices.Index(points, real[0]); age >= m && treatment == "missing" {
		return StateAlarm
	}
	return ""
}

func alarmIf(yes bool) string {
	if yes {
		return StateAlarm
	}
	return StateOK
}

// lastKnown gives the newest n points that have data, oldest first.
func lastKnown(points []datapoint, n int) []datapoint {
	newest := points[max(0, len(points)-n):]
	if !slices.ContainsFunc(newest, func(p datapoint) bool { return !p.Known }) { // the usual case
		return newest
	}
	real := make([]datapoint, 0, len(points))
	for _, p := range points {
		if p.Known {
			real = append(real, p)
		}
	}
	return real[max(0, len(real)-n):]
}

func newestOf(points []datapoint) (float64, bool) {
	for _, p := range slices.Backward(points) {
		if p.Known {
			return p.Value, true
		}
	}
	return 0, false
}

// treatment is what TreatMissingData says, by default (CW-AL-05).
func (a *Alarm) treatment() string {
	switch {
	case a.TreatMissingData != "":
		return a.TreatMissingData
	case a.Namespace == "AWS/DynamoDB":
		return "ignore"
	}
	return "missing"
}

// tooFewSamples tells whether a percentile alarm has to keep its state because the points say too little (CW-AL-10).
func (a *Alarm) tooFewSamples(points []datapoint) bool {
	if a.EvaluateLowSampleCountPercentile != "ignore" {
		return false
	}
	stat, _ := parseStatistic(a.statistic())
	p, ok := stat.percentile()
	if !ok {
		return false
	}
	few := 10 / max(1-p, 1e-12)
	if p < 0.5 {
		few = 10 / max(p, 1e-12)
	}
	for _, p := range lastKnown(points, int(a.EvaluationPeriods)) {
		if p.Samples < few {
			return true
		}
	}
	return false
}

// actions gives what to do in a state.
func (a *Alarm) actions(state string) []string {
	switch {
	case !a.ActionsEnabled:
		return nil
	case state == StateOK:
		return a.OKActions
	case state == StateAlarm:
		return a.AlarmActions
	}
	return a.InsufficientDataActions
}

// transition puts an alarm into another state, tells those above and has the state's actions run.
func (s *Service) transition(tx *cloud.Tx, old Alarm, state, reason, data string, value float64, known bool) {
	a := old
	a.StateValue, a.StateReason, a.StateReasonData = state, reason, data
	a.StateUpdatedTimestamp = now(tx)
	if state != old.StateValue {
		a.StateTransitionedTimestamp = now(tx)
	}
	s.alarms.Put(tx, a.AlarmName, a)
	if state == old.StateValue {
		return
	}
	s.recordState(tx, &old, &a)
	tx.Emit(Name, AlarmStateChanged{Alarm: a, Old: old, At: tx.Now()})
	for _, arn := range a.actions(state) {
		tx.Emit(Name, AlarmAction{ActionARN: arn, Alarm: a, Old: old.StateValue, New: state, Value: value, HasValue: known,
			At: tx.Now()})
	}
}

// repeat runs the state's Auto Scaling actions again (CW-AL-14).
func (s *Service) repeat(tx *cloud.Tx, a *Alarm, value float64, known bool) {
	for _, arn := range a.actions(a.StateValue) {
		if isScalingPolicy(arn) {
			tx.Emit(Name, AlarmAction{ActionARN: arn, Alarm: *a, Old: a.StateValue, New: a.StateValue, Value: value,
				HasValue: known, At: tx.Now(), Repeat: true})
		}
	}
}

// ByEC2 tells whether EC2 does what the action says, with the instance whose metric the alarm watches (CW-AL-18).
func (x AlarmAction) ByEC2() bool {
	part := strings.SplitN(x.ActionARN, ":", 6)
	return len(part) == 6 && part[0] == "arn" && (part[2] == "automate" && part[4] == "ec2" || part[2] == "swf" && strings.Contains(part[5], "AWS_EC2.InstanceId."))
}

// ByLambda tells whether the action is a function.
func (x AlarmAction) ByLambda() bool { return strings.HasPrefix(x.ActionARN, "arn:aws:lambda:") }

// Acted notes in the alarm's history what came of an action: whoever carries it out says so.
func (s *Service) Acted(tx *cloud.Tx, x AlarmAction, err error) {
	if !x.Repeat {
		s.recordAction(tx, &x.Alarm, x.ActionARN, err)
	}
}

func isScalingPolicy(arn string) bool {
	return strings.HasPrefix(arn, "arn:aws:autoscaling:") && strings.Contains(arn, ":scalingPolicy:")
}
