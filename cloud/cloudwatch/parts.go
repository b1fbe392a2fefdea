package cloudwatch

// Datapoint is one window of an alarm's evaluation, for those who evaluate without a whole cloud.
type Datapoint = datapoint

// Decide gives the state that the data points, oldest first, call for; empty means to keep the present one (CW-AL-07).
// They are those of the EvaluationPeriods newest windows and of two before them (CW-AL-06).
func (a *Alarm) Decide(points []Datapoint) string { return a.decide(points) }
