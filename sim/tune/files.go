package tune

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// File is something to write: an input of the AWS CLI, or the script that uses them.
type File struct {
	Name       string
	Data       []byte
	Executable bool
}

// Files are what makes a group scale as a candidate says, for `aws ... --cli-input-json file://...`, and apply.sh, which
// makes the calls in order. Only the ARN of a policy is not known before it is made: the script puts it into its alarm.
func (r *Result) Files(group string) ([]File, error) {
	c := r.Recommended.Candidate
	var files []File
	var script strings.Builder
	fmt.Fprintf(&script, `#!/bin/sh
# Makes the Auto Scaling group %s scale as billow sim tune recommends. Its instances need detailed monitoring.
# Scaling policies of other names that the group has stay and have their say: delete those that are to be replaced
# (aws autoscaling describe-policies, delete-policy).
set -eu
cd "$(dirname "$0")"
`, group)
	add := func(name string, in any) error {
		data, err := json.MarshalIndent(given(reflect.ValueOf(in)), "", "  ")
		files = append(files, File{Name: name, Data: append(data, '\n')})
		return err
	}
	if err := add("update-auto-scaling-group.json", c.update(group, r.Max)); err != nil {
		return nil, err
	}
	script.WriteString("aws autoscaling update-auto-scaling-group --cli-input-json file://update-auto-scaling-group.json\n")
	alarms := c.alarms(group)
	for _, p := range c.policies(group) {
		name := "put-scaling-policy-" + *p.PolicyName + ".json"
		if err := add(name, p); err != nil {
			return nil, err
		}
		call := "aws autoscaling put-scaling-policy --cli-input-json file://" + name
		a, ok := alarms[*p.PolicyName]
		if !ok {
			script.WriteString(call + "\n")
			continue
		}
		alarm := "put-metric-alarm-" + *p.PolicyName + ".json"
		if err := add(alarm, a); err != nil {
			return nil, err
		}
		fmt.Fprintf(&script, "arn=$(%s --query PolicyARN --output text)\naws cloudwatch put-metric-alarm --cli-input-json file://%s --alarm-actions \"$arn\"\n", call, alarm)
	}
	for _, a := range c.schedules(group, r.Needs, r.Max) {
		name := "put-scheduled-update-group-action-" + *a.ScheduledActionName + ".json"
		if err := add(name, a); err != nil {
			return nil, err
		}
		script.WriteString("aws autoscaling put-scheduled-update-group-action --cli-input-json file://" + name + "\n")
	}
	return append(files, File{Name: "apply.sh", Data: []byte(script.String()), Executable: true}), nil
}

// given is a shape as JSON with what is given only: the AWS CLI refuses null.
func given(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return given(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			if x := given(v.Field(i)); x != nil {
				out[v.Type().Field(i).Name] = x
			}
		}
		return out
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		out := []any{}
		for i := range v.Len() {
			out = append(out, given(v.Index(i)))
		}
		return out
	}
	return v.Interface()
}

// String says in a few words what a candidate is.
func (c *Candidate) String() string {
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if c.Target > 0 {
		only := ""
		if c.NoIn {
			only = " (out only)"
		}
		say("target %g%s", c.Target, only)
	}
	of := func(points, periods int) string {
		if points == periods {
			return fmt.Sprintf("%d min", periods)
		}
		return fmt.Sprintf("%d of %d min", points, periods)
	}
	if o := c.Out; o.Threshold > 0 {
		ahead := ""
		if o.Trend > 0 {
			ahead = fmt.Sprintf(" %d min ahead", o.Trend)
		}
		say("out at %g%s for %s", round(o.Threshold), ahead, of(o.Points, o.Periods))
	}
	if i := c.In; i.Threshold > 0 {
		say("in at %g for %s", round(i.Threshold), of(i.Points, i.Periods))
	}
	if c.Warmup >= 0 {
		say("warm-up %d s", c.Warmup)
	}
	if c.Min > 1 {
		say("min %d", c.Min)
	}
	if c.Calendar.Kind != "" {
		say("minimum by %s", map[string]string{Daily: "hour of day", Weekend: "hour of working day and weekend", Weekly: "hour of week"}[c.Calendar.Kind])
	}
	return strings.Join(parts, ", ")
}
