package tune

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// File is one of those that make a group scale as a candidate says, with the AWS CLI.
type File struct {
	Name string
	Body []byte
}

// Files are the inputs of the calls as `aws ... --cli-input-json` takes them, and a script that makes the calls: the group's
// own settings, its policies, their alarms, its scheduled actions.
func (r *Result) Files(c *Candidate, group string) ([]File, error) {
	var files []File
	var script strings.Builder
	script.WriteString("#!/bin/sh\n# Makes the group " + group + " scale as billow sim tune recommends.\nset -e\ncd \"$(dirname \"$0\")\"\n")
	add := func(name string, in any) error {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(given(reflect.ValueOf(in))); err != nil {
			return err
		}
		files = append(files, File{name, b.Bytes()})
		return nil
	}
	if err := add("group.json", c.update(group, r.Max)); err != nil {
		return nil, err
	}
	script.WriteString("aws autoscaling update-auto-scaling-group --cli-input-json file://group.json\n")
	alarms := c.alarms(group)
	var names []string
	for _, p := range c.policies(group) {
		names = append(names, "`"+*p.PolicyName+"`")
		name := "policy-" + *p.PolicyName + ".json"
		if err := add(name, p); err != nil {
			return nil, err
		}
		fmt.Fprintf(&script, "POLICY=$(aws autoscaling put-scaling-policy --cli-input-json file://%s --query PolicyARN --output text)\n", name)
		a, called := alarms[*p.PolicyName]
		if !called {
			continue
		}
		name = "alarm-" + *p.PolicyName + ".json"
		if err := add(name, a); err != nil {
			return nil, err
		}
		fmt.Fprintf(&script, "aws cloudwatch put-metric-alarm --cli-input-json file://%s --alarm-actions \"$POLICY\"\n", name)
	}
	for _, s := range c.schedules(group, r.Needs, r.Max) {
		name := "schedule-" + *s.ScheduledActionName + ".json"
		if err := add(name, s); err != nil {
			return nil, err
		}
		fmt.Fprintf(&script, "aws autoscaling put-scheduled-update-group-action --cli-input-json file://%s\n", name)
	}
	fmt.Fprintf(&script, "echo \"Other policies of the group, which go on acting beside these until they are deleted:\"\n"+
		"aws autoscaling describe-policies --auto-scaling-group-name '%s' --output text \\\n"+
		"  --query 'ScalingPolicies[?!contains([%s], PolicyName)].PolicyName'\n", group, strings.Join(quoted(names), ", "))
	return append(files, File{"apply.sh", []byte(script.String())}), nil
}

// quoted makes literals of JMESPath: `"name"`.
func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "`" + strconv.Quote(strings.Trim(n, "`")) + "`"
	}
	return out
}

// given is a shape as JSON has it: its members by name, without those that are not there.
func given(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return given(v.Elem())
	case reflect.Struct:
		members := map[string]any{}
		for i := range v.NumField() {
			f := v.Field(i)
			if (f.Kind() == reflect.Pointer || f.Kind() == reflect.Slice || f.Kind() == reflect.Map) && f.IsNil() {
				continue
			}
			members[v.Type().Field(i).Name] = given(f)
		}
		return members
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = given(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

// String is the candidate in words.
func (c Candidate) String() string {
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if c.Target > 0 {
		say("track %g %%", c.Target)
	}
	if c.Target > 0 && c.NoIn {
		say("never in by that")
	}
	if c.Out.Threshold > 0 {
		ahead := ""
		if c.Out.Trend > 0 {
			ahead = fmt.Sprintf(" as of %d min ahead", c.Out.Trend)
		}
		say("out at %g %%%s (%d of %d) towards %.0f %%", round(c.Out.Threshold), ahead, c.Out.Points, c.Out.Periods, c.Out.Aim)
	}
	if c.In.Threshold > 0 {
		say("in at %g %% (%d of %d) towards %.0f %%, at most %d %% at a time", round(c.In.Threshold), c.In.Points, c.In.Periods, c.In.Aim, c.In.Most)
	}
	if c.Warmup >= 0 {
		say("warm-up %d s", c.Warmup)
	}
	if c.Min > 1 {
		say("at least %d", c.Min)
	}
	if c.Calendar.Kind != "" {
		say("minimum by the hour of each %s for %.0f %%, %d min early", c.Calendar.Kind, c.Calendar.Use, c.Calendar.Lead)
	}
	return strings.Join(parts, "; ")
}
