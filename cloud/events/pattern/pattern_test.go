package pattern

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const stateChange = `{"version":"0","id":"1","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2",
 "account":"123456789012","time":"2017-12-22T18:43:48Z","region":"us-west-1",
 "resources":["arn:aws:ec2:us-west-1:123456789012:instance/i-1","arn:aws:ec2:us-west-1:123456789012:instance/i-2"],
 "detail":{"instance-id":"i-1","state":"terminated","c-count":5,"x-limit":301.8,"source-ip":"10.0.0.33","six":"2001:db8::7","empty":"","nil":null,
  "yes":true,"none":[],"deep":{"er":{"est":[1,[2,3]]}},"file":"dir/a*b\\c.png","big":9007199254740993,
  "staff":[{"name":"Anna","job":"cook"},{"name":"Bob","job":"boss","tags":["x","y"]}]}}`

// TestOperators: EC-EV-03, every operator that AWS documents.
func TestOperators(t *testing.T) {
	event, err := Decode([]byte(stateChange))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		{`{"source":["aws.ec2"],"detail":{"state":["terminated"]}}`, true},
		{`{"source":["aws.ec2"],"detail":{"state":["running","stopped"]}}`, false},
		{`{"source":["AWS.EC2"]}`, false},
		{`{"resources":["arn:aws:ec2:us-west-1:123456789012:instance/i-2"]}`, true},
		{`{"resources":[{"suffix":"i-3"}]}`, false},
		{`{"time":[{"prefix":"2017-12-22"}]}`, true},
		{`{"detail":{"state":[{"prefix":{"equals-ignore-case":"TERM"}}]}}`, true},
		{`{"detail":{"state":[{"suffix":{"equals-ignore-case":"NATED"}}]}}`, true},
		{`{"detail":{"file":[{"suffix":".png"}]}}`, true},
		{`{"detail":{"state":[{"anything-but":"initializing"}]}}`, true},
		{`{"detail":{"state":[{"anything-but":["terminated","x"]}]}}`, false},
		{`{"detail":{"c-count":[{"anything-but":[5.0]}]}}`, false},
		{`{"detail":{"c-count":[{"anything-but":"5"}]}}`, true},
		{`{"detail":{"gone":[{"anything-but":"5"}]}}`, false},
		{`{"detail":{"state":[{"anything-but":{"prefix":"term"}}]}}`, false},
		{`{"detail":{"state":[{"anything-but":{"prefix":["x","term"]}}]}}`, false},
		{`{"detail":{"state":[{"anything-but":{"suffix":"ing"}}]}}`, true},
		{`{"detail":{"state":[{"anything-but":{"equals-ignore-case":"TERMINATED"}}]}}`, false},
		{`{"detail":{"state":[{"anything-but":{"equals-ignore-case":["a","b"]}}]}}`, true},
		{`{"detail":{"state":[{"anything-but":{"wildcard":"*min*"}}]}}`, false},
		{`{"detail":{"state":[{"equals-ignore-case":"TerMinated"}]}}`, true},
		{`{"detail":{"c-count":[{"numeric":[">",0,"<=",5]}]}}`, true},
		{`{"detail":{"c-count":[{"numeric":["<",5]}]}}`, false},
		{`{"detail":{"x-limit":[{"numeric":["=",3.018e2]}]}}`, true},
		{`{"detail":{"instance-id":[{"numeric":["=",1]}]}}`, false},
		{`{"detail":{"c-count":[5.0]}}`, true},
		{`{"detail":{"big":[9007199254740992]}}`, false},
		{`{"detail":{"big":[9007199254740993]}}`, true},
		{`{"detail":{"source-ip":[{"cidr":"10.0.0.0/24"}]}}`, true},
		{`{"detail":{"source-ip":[{"cidr":"10.0.1.0/24"}]}}`, false},
		{`{"detail":{"six":[{"cidr":"2001:db8::/64"}]}}`, true},
		{`{"detail":{"state":[{"cidr":"0.0.0.0/0"}]}}`, false},
		{`{"detail":{"c-count":[{"exists":true}]}}`, true},
		{`{"detail":{"c-count":[{"exists":false}]}}`, false},
		{`{"detail":{"gone":[{"exists":false}]}}`, true},
		{`{"detail":{"deep":[{"exists":true}]}}`, false}, // leaves only
		{`{"detail":{"none":[{"exists":true}]}}`, false},
		{`{"detail":{"nil":[{"exists":true}]}}`, true},
		{`{"missing":{"gone":[{"exists":false}]}}`, true},
		{`{"detail":{"staff":{"tags":[{"exists":false}]}}}`, false}, // it exists in one element
		{`{"detail":{"nil":[null]}}`, true},
		{`{"detail":{"gone":[null]}}`, false},
		{`{"detail":{"empty":[""]}}`, true},
		{`{"detail":{"yes":[true]}}`, true},
		{`{"detail":{"yes":["true"]}}`, false},
		{`{"detail":{"deep":{"er":{"est":[3]}}}}`, true},
		{`{"detail":{"file":[{"wildcard":"dir/*.png"}]}}`, true},
		{`{"detail":{"file":[{"wildcard":"dir/a\\*b\\\\c*"}]}}`, true},
		{`{"detail":{"file":[{"wildcard":"*c.pn"}]}}`, false},
		{`{"detail":{"state":[{"wildcard":"*t*t*"}]}}`, true},
		{`{"detail":{"state":[{"wildcard":"termi*inated"}]}}`, false}, // the parts must not overlap
		{`{"detail":{"staff":{"name":["Bob"],"job":["boss"]}}}`, true},
		{`{"detail":{"staff":{"name":["Anna"],"job":["boss"]}}}`, false}, // not of one element
		{`{"$or":[{"region":["x"]},{"account":["123456789012"]}]}`, true},
		{`{"source":["aws.ec2"],"detail":{"$or":[{"state":["x"]},{"c-count":[{"numeric":[">",5]}]}]}}`, false},
		{`{"$or":[{"region":["x"]},{"$or":[{"region":["y"]},{"source":["aws.ec2"],"version":["0"]}]}]}`, true},
		{`{"detail":{"state":[{"exists":false},"terminated"]}}`, true},
	} {
		p, err := Parse(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := p.Match(event); got != c.want {
			t.Errorf("%s: %v", c.pattern, got)
		}
		if got := twinMatch(c.pattern, event); got != c.want {
			t.Errorf("the twin on %s: %v", c.pattern, got)
		}
	}
}

func TestWhatIsNoPattern(t *testing.T) {
	for text, reason := range map[string]string{
		``: "Filter is not valid JSON", `{`: "Filter is not valid JSON", `[]`: "Filter is not an object", `"a"`: "Filter is not an object",
		`{}`: "Empty objects", `{"a":{}}`: "Empty objects", `{"a":[]}`: "Empty arrays", `{"a":"b"}`: `"a" must be an object or an array`,
		`{"a":[["b"]]}`: "Match value must be", `{"a":[{"foo":1}]}`: "Unrecognized match type foo", `{"a":[{"prefix":"a","suffix":"b"}]}`: "Only one key",
		`{"a":[{}]}`: "Only one key", `{"a":[{"prefix":1}]}`: "prefix match pattern must be a string", `{"a":[{"exists":"true"}]}`: "exists match pattern",
		`{"a":[{"prefix":{"wildcard":"x"}}]}`: "Unsupported prefix", `{"a":[{"cidr":"10.0.0.0"}]}`: "Malformed CIDR", `{"a":[{"cidr":7}]}`: "cidr match pattern",
		`{"a":[{"wildcard":"a**"}]}`: "Consecutive wildcard", `{"a":[{"wildcard":"a\\b"}]}`: "Invalid escape", `{"a":[{"wildcard":"a\\"}]}`: "Invalid escape",
		`{"a":[{"numeric":5}]}`: "Value of numeric", `{"a":[{"numeric":[]}]}`: "Invalid member", `{"a":[{"numeric":[">"]}]}`: "Value of > must be",
		`{"a":[{"numeric":["!=",5]}]}`: "Unrecognized numeric", `{"a":[{"numeric":[">",5,"<",5]}]}`: "Bottom", `{"a":[{"numeric":["=",6e9]}]}`: "between",
		`{"a":[{"numeric":["=",1,"=",2]}]}`: "Too many", `{"a":[{"numeric":["<",1,"<",2]}]}`: "Too many", `{"a":[{"numeric":[">",1,">",2]}]}`: "Unrecognized",
		`{"a":[{"anything-but":["a",1]}]}`: "mixed type", `{"a":[{"anything-but":[null]}]}`: "only strings and numbers", `{"a":[{"anything-but":[]}]}`: "Empty arrays",
		`{"a":[{"anything-but":{"prefix":[1]}}]}`: "only strings", `{"a":[{"anything-but":{"numeric":[">",1]}}]}`: "Unsupported anything-but",
		`{"a":[{"anything-but":{"suffix":[]}}]}`: "Empty arrays", `{"a":[1]} x`: "Filter is not valid JSON",
		`{` + strings.Repeat(`"$or":[{"a":[1]},{"b":[1]}],"x":{`, 11) + `"y":[1]` + strings.Repeat(`}`, 12): "combinations",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestStrings(t *testing.T) {
	p, err := Parse(`{"source":["a","b"],"detail-type":[{"prefix":"x"},"y"],"$or":[{"region":["r"]},{"region":["s"]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := p.Strings("source"); !ok || fmt.Sprint(got) != "[a b]" {
		t.Errorf("%v %v", got, ok)
	}
	for _, name := range []string{"detail-type", "region", "id"} {
		if _, ok := p.Strings(name); ok {
			t.Errorf("%s cannot be known", name)
		}
	}
}

// TestAgainstTheTwin compares with the obvious implementation over many small patterns and events.
func TestAgainstTheTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for i := range 30_000 {
		pattern, text := randomPattern(r, 3), randomValue(r, 4, true)
		event, err := Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(pattern)
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		got := p.Match(event)
		if want := twinMatch(pattern, event); got != want {
			t.Fatalf("%d: pattern %s event %s: %v, the twin says %v", i, pattern, text, got, want)
		}
		if got {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matched", matched)
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`{"detail":{"$or":[{"state":["x"]},{"c-count":[{"numeric":[">",5]}]}]}}`, stateChange)
	f.Add(`{"a":[{"anything-but":{"wildcard":["*b*","\\*"]}}]}`, `{"a":["abc","*"]}`)
	f.Add(`{"a":[{"exists":false},null,1e400]}`, `{"a":[[]]}`)
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := Parse(pattern)
		if err != nil {
			return
		}
		event, err := Decode([]byte(text))
		if err != nil {
			return
		}
		if leaves := len(flatten(event)); leaves > 12 || len(pattern) > 300 {
			return // the twin tries every combination
		}
		if got, want := p.Match(event), twinMatch(pattern, event); got != want {
			t.Errorf("pattern %s event %s: %v, the twin says %v", pattern, text, got, want)
		}
	})
}

func randomPattern(r *rand.Rand, depth int) string {
	var fields []string
	for _, name := range []string{"a", "b", "c"} {
		switch n := r.IntN(6); {
		case n < 2:
		case n == 2 && depth > 1:
			fields = append(fields, fmt.Sprintf("%q:%s", name, randomPattern(r, depth-1)))
		default:
			values := []string{`"x"`, `"xy"`, `1`, `null`, `true`, `{"prefix":"x"}`, `{"suffix":"y"}`, `{"exists":true}`, `{"exists":false}`, `{"anything-but":["x",""]}`,
				`{"anything-but":{"prefix":"x"}}`, `{"numeric":[">=",1,"<",2]}`, `{"wildcard":"*x*"}`, `{"equals-ignore-case":"X"}`}
			list := []string{values[r.IntN(len(values))]}
			if r.IntN(3) == 0 {
				list = append(list, values[r.IntN(len(values))])
			}
			fields = append(fields, fmt.Sprintf("%q:[%s]", name, strings.Join(list, ",")))
		}
	}
	if r.IntN(5) == 0 && depth > 1 {
		fields = append(fields, fmt.Sprintf(`"$or":[%s,%s]`, randomPattern(r, depth-1), randomPattern(r, depth-1)))
	}
	if len(fields) == 0 {
		return `{"a":["x"]}`
	}
	return "{" + strings.Join(fields, ",") + "}"
}

func randomValue(r *rand.Rand, depth int, object bool) string {
	n := r.IntN(8)
	switch {
	case object, n == 0 && depth > 0:
		var fields []string
		for _, name := range []string{"a", "b", "c"} {
			if r.IntN(3) > 0 {
				fields = append(fields, fmt.Sprintf("%q:%s", name, randomValue(r, depth-1, false)))
			}
		}
		return "{" + strings.Join(fields, ",") + "}"
	case n < 3 && depth > 0:
		var list []string
		for range r.IntN(3) {
			list = append(list, randomValue(r, depth-1, r.IntN(2) == 0))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	values := []string{`"x"`, `"xy"`, `"X"`, `1`, `1.0`, `2`, `null`, `true`, `""`}
	return values[r.IntN(len(values))]
}
