package cloudwatch

import (
	"math"
	"strings"

	"github.com/billow-cloud/billow/api"
)

// bound limits values and thresholds on both sides (CW-PD-03).
var bound = math.Ldexp(1, 360)

func invalid(format string, args ...any) error { return api.Errorf("ValidationError", format, args...) }

// validate checks an alarm's configuration.
func (a *Alarm) validate() error {
	switch {
	case a.AlarmName == "":
		return api.Errorf("MissingParameter", "The parameter AlarmName is required.")
	case !printable(a.AlarmName):
		return invalid("AlarmName must not contain ASCII control characters")
	case a.EvaluationPeriods < 1:
		return invalid("EvaluationPeriods must be specified and at least 1")
	case a.DatapointsToAlarm > a.EvaluationPeriods:
		return invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
	case !(math.Abs(a.Threshold) <= bound):
		return invalid("The value %v for parameter Threshold is invalid.", a.Threshold)
	}
	if err := a.validateWords(); err != nil {
		return err
	}
	for _, arns := range [][]string{a.OKActions, a.AlarmActions, a.InsufficientDataActions} {
		if len(arns) > 5 { // CW-AL-11
			return invalid("Too many actions: an alarm may have 5 of them for each state")
		}
		for _, arn := range arns {
			if err := a.validateAction(arn); err != nil {
				return err
			}
		}
	}
	var err error
	if len(a.Metrics) > 0 {
		err = a.validateMetrics()
	} else {
		err = a.validateMetric()
	}
	if err != nil {
		return err
	}
	switch period, span := int64(a.period()), int64(a.period())*int64(a.EvaluationPeriods); { // CW-AL-02
	case period < hour && span > day:
		return invalid("Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).")
	case span > 7*day:
		return invalid("Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800).")
	}
	return nil
}

func (a *Alarm) validateWords() error {
	switch a.ComparisonOperator {
	case "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold":
	case "":
		return api.Errorf("MissingParameter", "The parameter ComparisonOperator is required.")
	default:
		return &api.Error{Code: "NotImplemented", Status: 501,
			Message: "Anomaly detection is not implemented: the ComparisonOperator " + a.ComparisonOperator + " needs a band."}
	}
	switch a.TreatMissingData {
	case "", "missing", "ignore", "breaching", "notBreaching":
	default:
		return invalid("Invalid value for TreatMissingData: %s. Valid values are breaching, notBreaching, ignore and missing.", a.TreatMissingData)
	}
	switch a.EvaluateLowSampleCountPercentile {
	case "", "evaluate", "ignore":
	default:
		return invalid("Option %s is not supported. Supported options for parameter EvaluateLowSampleCountPercentile are evaluate and ignore.",
			a.EvaluateLowSampleCountPercentile)
	}
	if a.EvaluateLowSampleCountPercentile != "" && !strings.HasPrefix(strings.ToLower(a.ExtendedStatistic), "p") {
		return invalid("Option %s for parameter EvaluateLowSampleCountPercentile is not supported for statistics that are not percentiles.",
			a.EvaluateLowSampleCountPercentile)
	}
	return nil
}

// validateAction takes ARNs of what an alarm may do (CW-AL-18); EC2 actions need an instance's metric.
func (a *Alarm) validateAction(arn string) error {
	part := strings.SplitN(arn, ":", 6)
	if len(part) != 6 || part[0] != "arn" || part[2] == "" || part[5] == "" {
		return invalid("Invalid arn syntax: %s", arn)
	}
	switch part[2] {
	case "automate", "swf":
		if len(a.Metrics) > 0 {
			return invalid("EC2 actions are not supported for alarms on metric math: %s", arn)
		}
		return a.validateEC2Action(arn)
	case "autoscaling", "sns", "lambda":
		return nil
	case "ssm", "ssm-incidents", "aiops":
		return &api.Error{Code: "NotImplemented", Status: 501, Message: "Actions of Systems Manager and of investigations are not implemented: " + arn}
	}
	return invalid("Unsupported action: %s", arn)
}

// EC2Verb is what an EC2 action's ARN asks for, in small letters: "arn:aws:automate:REGION:ec2:stop", or the older
// "arn:aws:swf:REGION:ACCOUNT:action/actions/AWS_EC2.InstanceId.Stop/1.0".
func EC2Verb(arn string) string {
	verb := arn[strings.LastIndexByte(arn, ':')+1:]
	if _, after, old := strings.Cut(verb, "AWS_EC2.InstanceId."); old {
		verb, _, _ = strings.Cut(after, "/")
	}
	return strings.ToLower(verb)
}

// validateEC2Action takes the actions that EC2 knows, of the metrics of an instance; what recovers must watch the system it
// runs on (CW-AL-19).
func (a *Alarm) validateEC2Action(arn string) error {
	verb := EC2Verb(arn)
	switch verb {
	case "stop", "terminate", "reboot":
	case "recover":
		if a.MetricName == "StatusCheckFailed_System" {
			break
		}
		fallthrough
	default:
		return invalid("Invalid use of EC2 '%s' action", export(verb))
	}
	for _, d := range a.Dimensions {
		if d.Name == "InstanceId" {
			return nil
		}
	}
	return invalid("Missing dimension InstanceId for action: %s", arn)
}

// export gives a word a capital.
func export(word string) string {
	return strings.ToUpper(word[:min(1, len(word))]) + word[min(1, len(word)):]
}

// validateMetric checks an alarm on one metric.
func (a *Alarm) validateMetric() error {
	switch {
	case a.MetricName == "" || a.Namespace == "":
		return invalid("Either MetricName and Namespace or Metrics must be specified")
	case a.Statistic == "" && a.ExtendedStatistic == "":
		return invalid("Either Statistic or ExtendedStatistic must be specified")
	case a.Statistic != "" && a.ExtendedStatistic != "":
		return api.Errorf("InvalidParameterCombination", "Statistic and ExtendedStatistic are mutually exclusive")
	case !alarmPeriod(a.Period):
		return invalid("Invalid period: %d. Period must be 10, 20, 30 or a multiple of 60", a.Period)
	}
	if stat, ok := parseStatistic(a.statistic()); !ok || stat.raw() == (a.Statistic != "") {
		return invalid("The value %s for parameter ExtendedStatistic is not supported.", a.statistic())
	}
	return nil
}

func alarmPeriod(seconds int32) bool {
	return seconds == 10 || seconds == 20 || seconds == 30 || seconds > 0 && seconds%60 == 0
}

// validateMetrics checks an alarm on an expression (CW-MM-08).
func (a *Alarm) validateMetrics() error {
	for _, m := range []struct {
		name  string
		given bool
	}{
		{"MetricName", a.MetricName != ""}, {"Namespace", a.Namespace != ""}, {"Dimensions", len(a.Dimensions) > 0},
		{"Period", a.Period != 0}, {"Unit", a.Unit != ""}, {"Statistic", a.Statistic != ""},
		{"ExtendedStatistic", a.ExtendedStatistic != ""},
	} {
		if m.given {
			return invalid("%s should not be set if list of Metrics is set.", m.name)
		}
	}
	returned, metrics, period := 0, 0, int32(0)
	for _, q := range a.Metrics {
		if q.ReturnData {
			returned++
		}
		if q.Expression != "" {
			continue
		}
		metrics++
		if !alarmPeriod(q.Period) {
			return invalid("Invalid period: %d. Period must be 10, 20, 30 or a multiple of 60", q.Period)
		}
		if period != 0 && q.Period != period {
			return invalid("Metrics list must contain metrics of one period only.")
		}
		period = q.Period
	}
	switch {
	case returned != 1:
		return invalid("Exactly one element of the metrics list should return data.")
	case metrics == 0:
		return invalid("Metrics list must contain at least one metric.")
	case metrics > 10:
		return invalid("Metrics list must contain 10 metrics or less.")
	}
	p, err := compile(a.Metrics)
	if err != nil {
		return err
	}
	return p.seriesOnly()
}
