package cloudwatch

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// comparison is how a StateReason words an operator.
func comparison(operator string) string {
	switch operator {
	case "GreaterThanOrEqualToThreshold":
		return "greater than or equal to"
	case "GreaterThanThreshold":
		return "greater than"
	case "LessThanThreshold":
		return "less than"
	}
	return "less than or equal to"
}

// reason gives the StateReason and StateReasonData of a new state (CW-AL-15, CW-AL-16).
func (a *Alarm) reason(tx *cloud.Tx, state string, points []datapoint) (text, data string) {
	n := int(a.EvaluationPeriods)
	real := lastKnown(points, n)
	data = a.reasonData(tx, points, real)
	if state == StateInsufficientData {
		return "Insufficient Data: " + counted(n, "datapoint", "was", "were") + " unknown.", data
	}
	minimum, transition := a.needed(), "OK -> ALARM"
	if state == StateOK {
		minimum, transition = n-minimum+1, "ALARM -> OK"
	}
	missing := n - len(real)
	treated := ""
	if t := a.treatment(); missing > 0 && (t == "breaching" || t == "notBreaching") {
		name := map[string]string{"breaching": "Breaching", "notBreaching": "NonBreaching"}[t]
		treated = counted(missing, "missing datapoint", "was", "were") + " treated as [" + name + "]"
	}
	if len(real) == 0 {
		periods := "periods"
		if n == 1 {
			periods = "period"
		}
		return fmt.Sprintf("Threshold Crossed: no datapoints were received for %d %s and %s.", n, periods, treated), data
	}
	var values []string
	for _, p := range slices.Backward(real) {
		if p.Breaching == (state == StateAlarm) {
			values = append(values, javaDouble(p.Value)+time.Unix(p.At, 0).UTC().Format(" (02/01/06 15:04:05)"))
		}
	}
	verb := "were"
	if len(values) == 1 {
		verb = "was"
	}
	if state == StateOK {
		verb += " not"
	}
	if treated != "" {
		treated = " and " + treated
	}
	plural := "s"
	if minimum == 1 {
		plural = ""
	}
	return fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s %s the threshold (%s)%s (minimum %d datapoint%s for %s transition).",
		len(values), n, strings.Join(values, ", "), verb, comparison(a.ComparisonOperator), javaDouble(a.Threshold), treated, minimum, plural,
		transition), data
}

// reasonData is the JSON of an evaluation, in AWS's order of members.
func (a *Alarm) reasonData(tx *cloud.Tx, points, real []datapoint) string {
	var b strings.Builder
	b.WriteString(`{"version":"1.0","queryDate":"` + longTime(tx.Now()) + `"`)
	if len(real) > 0 {
		b.WriteString(`,"startDate":"` + longTime(time.Unix(real[0].At, 0)) + `"`)
	}
	if len(a.Metrics) == 0 {
		if a.Unit != "" {
			b.WriteString(`,"unit":` + strconv.Quote(a.Unit))
		}
		b.WriteString(`,"statistic":` + strconv.Quote(a.statistic()))
	}
	b.WriteString(`,"period":` + strconv.Itoa(int(a.period())) + `,"recentDatapoints":[`)
	for i, p := range real {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(javaDouble(p.Value))
	}
	b.WriteString(`],"threshold":` + javaDouble(a.Threshold) + `,"evaluatedDatapoints":[`)
	newest := points[max(0, len(points)-int(a.EvaluationPeriods)):]
	for i, p := range slices.Backward(newest) {
		if i < len(newest)-1 {
			b.WriteByte(',')
		}
		b.WriteString(`{"timestamp":"` + longTime(time.Unix(p.At, 0)) + `"`)
		if p.Known {
			if p.Samples > 0 {
				b.WriteString(`,"sampleCount":` + javaDouble(p.Samples))
			}
			b.WriteString(`,"value":` + javaDouble(p.Value))
		}
		b.WriteByte('}')
	}
	b.WriteString(`]}`)
	return b.String()
}

func counted(n int, noun, one, many string) string {
	if n == 1 {
		return "1 " + noun + " " + one
	}
	return strconv.Itoa(n) + " " + noun + "s " + many
}

// longTime is how times look in alarm data: milliseconds, and an offset without colon.
func longTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

// javaDouble writes a number as AWS's texts have it: always with a fraction, with an exponent below 0.001 and from 10
// million on.
func javaDouble(v float64) string {
	if size := math.Abs(v); v != 0 && (size < 1e-3 || size >= 1e7) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'E', -1, 64), "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		sign := ""
		if exponent[0] == '-' {
			sign = "-"
		}
		return mantissa + "E" + sign + strings.TrimLeft(exponent[1:], "0")
	}
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
