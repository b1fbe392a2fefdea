package autoscaling

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	autoscalingapi "github.com/billow-cloud/billow/api/autoscaling"
	cloudwatchapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	elbapi "github.com/billow-cloud/billow/api/elb"
	elbv2api "github.com/billow-cloud/billow/api/elbv2"
	snsapi "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

var update = flag.Bool("update", false, "rewrite the golden lines of testdata/*.txt")

// TestScenarios runs the scripts in testdata. A script is a list of commands, each followed by the lines, after "> ",
// that it made: what became of members and groups, every activity with its cause, errors and replies.
//
//	SERVICE OPERATION {JSON}        an API call; only an error shows
//	? SERVICE OPERATION {JSON}      the same; the reply shows too
//	NAME = SERVICE OPERATION {JSON} PATH   the same; $NAME is then the reply's member at PATH, "Listeners.0.ListenerArn"
//	wait 5m                         time passes
//	boot 20s                        how long launches take from now on
//	fail ZONE|all|none CODE TEXT    launches in the zone fail from now on
//	kill|poweroff i1                the instance ends without anybody's wish
//	sick|well|busy|idle i1          it fails or passes health checks; its requests go on while it drains, or not
//	cpu 80                          every instance uses as much of what it was promised from now on
//	restart                         the cloud goes on from its durable rows
//
// Instances are named i1, i2 ... in the order in which they appear. Lines may go on in the next one if that is indented.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := (&player{world: newWorld(t, 1), names: map[string]string{}, vars: map[string]string{}}).play(string(script))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(script) {
				t.Errorf("%s: not as written (go test -run Scenarios -update rewrites it):\n%s", file, firstDifference(string(script), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n want %s\n got  %s", i+1, a, b)
		}
	}
	return ""
}

// player plays one script.
type player struct {
	*world
	lines     []string
	names     map[string]string // real ID -> name in the script
	vars      map[string]string
	seen      map[string]any // rows as they were shown last
	instances map[string]*ec2.Instance
	cpu       float64
}

// play runs a script and returns it with the lines that it makes now.
func (p *player) play(script string) string {
	p.seen, p.instances = map[string]any{}, map[string]*ec2.Instance{}
	p.trace = p.show
	var out []string
	command := ""
	run := func() {
		if command == "" {
			return
		}
		p.lines = nil
		p.do(command)
		for _, l := range p.lines {
			out = append(out, "> "+l)
		}
		command = ""
	}
	for line := range strings.SplitSeq(strings.TrimRight(script, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, ">"):
			continue
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
			run()
		case strings.HasPrefix(line, " "):
			command += " " + strings.TrimSpace(line)
		default:
			run()
			command = line
		}
		out = append(out, line)
	}
	run()
	return strings.Join(out, "\n") + "\n"
}

func (p *player) say(format string, args ...any) {
	p.lines = append(p.lines, p.renamed(fmt.Sprintf(format, args...)))
}

var (
	realID = regexp.MustCompile(`\bi-[0-9a-f]{17}\b`)
	uuid   = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	named  = regexp.MustCompile(`\bi[0-9]+\b`)
	others = regexp.MustCompile(`\b(subnet|sg|lt|vpc)-[0-9a-f]{17}\b`)
	digits = regexp.MustCompile(`/[0-9a-f]{16}\b`) // the end of a load balancer's or target group's ARN
	token  = regexp.MustCompile(`"NextToken":"[^"]*"`)
)

// renamed puts the script's names in the place of IDs.
func (p *player) renamed(s string) string {
	s = realID.ReplaceAllStringFunc(s, func(id string) string {
		if p.names[id] == "" {
			p.names[id] = fmt.Sprintf("i%d", len(p.names)+1)
			p.vars[p.names[id]] = id
		}
		return p.names[id]
	})
	s = others.ReplaceAllString(s, "$1")
	s = digits.ReplaceAllString(s, "/id")
	s = token.ReplaceAllString(s, `"NextToken":"token"`)
	return uuid.ReplaceAllString(s, "uuid")
}

// real puts IDs in the place of the script's names.
func (p *player) real(s string) string {
	s = named.ReplaceAllStringFunc(s, func(name string) string {
		if id, ok := p.vars[name]; ok {
			return id
		}
		return name
	})
	for _, name := range p.variables() {
		s = strings.ReplaceAll(s, "$"+name, p.vars[name])
	}
	return s
}

func (p *player) variables() []string {
	var names []string
	for name := range p.vars {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return len(names[i]) > len(names[j]) })
	return names
}

func (p *player) do(command string) {
	p.t.Helper()
	verb, rest, _ := strings.Cut(command, " ")
	switch verb {
	case "wait":
		p.pass(p.duration(rest))
	case "boot":
		p.boot = p.duration(rest)
	case "fail":
		p.fail(rest)
	case "kill":
		p.fact(ec2.InstanceExited{ID: p.real(rest), Reason: ec2.ExitKilled})
	case "poweroff":
		p.fact(ec2.InstanceExited{ID: p.real(rest), Reason: ec2.ExitPoweroff})
	case "sick", "well":
		p.sick[p.real(rest)] = verb == "sick"
	case "busy", "idle":
		p.busy[p.real(rest)] = verb == "busy"
	case "cpu":
		p.cpu, _ = strconv.ParseFloat(rest, 64)
	case "restart":
		p.restart()
	case "?":
		if reply := p.call(rest); reply != nil {
			p.say("%s", compact(reply))
		}
	default:
		if name, call, ok := strings.Cut(command, " = "); ok {
			i := strings.LastIndex(call, " ")
			reply := p.call(call[:i])
			if reply == nil {
				p.t.Fatalf("%s: %s", command, strings.Join(p.lines, "; "))
			}
			p.vars[name] = dig(p.t, reply, call[i+1:])
			return
		}
		p.call(command)
	}
}

func (p *player) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// pass lets time pass, with the use of every whole minute reported at its end.
func (p *player) pass(d time.Duration) {
	until := p.now.Add(d)
	for p.now.Before(until) {
		minute := p.now.Truncate(time.Minute).Add(time.Minute)
		if minute.After(until) {
			p.advance(until.Sub(p.now))
			return
		}
		p.advance(minute.Sub(p.now))
		u := ec2.Usage{From: minute.Add(-time.Minute), To: minute}
		for _, m := range p.s.members.Everywhere() {
			if i := p.instances[m.ID]; i != nil && i.State == ec2.Running && !i.LaunchTime.After(u.From) {
				u.Samples = append(u.Samples, ec2.UsageSample{ID: m.ID, CPUPercent: p.cpu})
			}
		}
		if p.cpu > 0 && len(u.Samples) > 0 {
			p.fact(u)
		}
	}
}

func (p *player) fact(f cloud.Fact) { p.step(cloud.Observed{Facts: []cloud.Fact{f}}) }

func (p *player) fail(rest string) {
	part := strings.SplitN(rest, " ", 3)
	p.failing = nil
	if part[0] == "none" {
		return
	}
	p.failing = func(x ec2.Spec) (string, string) {
		if i := p.instances[x.ID]; i != nil && (part[0] == "all" || i.Zone == part[0]) {
			return part[1], part[2]
		}
		return "", ""
	}
}

var inputs = map[string]*api.Service{
	"autoscaling": autoscalingapi.Service, "ec2": ec2api.Service, "elbv2": elbv2api.Service, "elb": elbapi.Service,
	"cloudwatch": cloudwatchapi.Service, "sns": snsapi.Service,
}

// call makes an API call and returns its reply, nil if it failed.
func (p *player) call(text string) any {
	p.t.Helper()
	part := strings.SplitN(text, " ", 3)
	if len(part) < 2 || inputs[part[0]] == nil || inputs[part[0]].Find(part[1]) == nil {
		p.t.Fatalf("no such command: %s", text)
	}
	in := inputs[part[0]].Find(part[1]).In()
	if len(part) == 3 {
		d := json.NewDecoder(strings.NewReader(p.real(part[2])))
		d.DisallowUnknownFields()
		if err := d.Decode(in); err != nil {
			p.t.Fatalf("%s: %v", text, err)
		}
	}
	out := p.step(cloud.Call{Scope: here, Service: part[0], Operation: part[1], In: in})
	if out.Err != nil {
		p.say("error %v", out.Err)
		return nil
	}
	return out.Reply
}

// compact is a reply's JSON without what is not set.
func compact(reply any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(reply); err != nil {
		return err.Error()
	}
	var v any
	if err := json.Unmarshal(b.Bytes(), &v); err != nil {
		return err.Error()
	}
	b.Reset()
	if err := e.Encode(pruned(v)); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

func pruned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if x = pruned(x); x == nil {
				delete(v, k)
			} else {
				v[k] = x
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = pruned(v[i])
		}
	}
	return v
}

// dig finds a member of a reply.
func dig(t testing.TB, reply any, path string) string {
	v := reflect.Indirect(reflect.ValueOf(reply))
	for name := range strings.SplitSeq(path, ".") {
		if n, err := strconv.Atoi(name); err == nil {
			v = v.Index(n)
		} else {
			v = v.FieldByName(name)
		}
		v = reflect.Indirect(v)
	}
	if v.Kind() != reflect.String {
		t.Fatalf("nothing at %s", path)
	}
	return v.String()
}

// show says what a step did to groups, members and activities.
func (p *player) show(out cloud.Output) {
	for _, c := range out.Changes {
		key := c.Table + " " + c.Key
		old := p.seen[key]
		p.seen[key] = c.Row
		switch row := c.Row.(type) {
		case *Group:
			was, _ := old.(*Group)
			p.showGroup(was, row)
		case *Member:
			was, _ := old.(*Member)
			if was == nil || was.LifecycleState != row.LifecycleState || was.HealthStatus != row.HealthStatus {
				text := row.ID + " " + row.LifecycleState
				if was == nil {
					text += " " + row.AvailabilityZone
				}
				if row.HealthStatus != healthy {
					text += " " + row.HealthStatus
				}
				p.event(text)
			}
		case *ec2.Instance:
			p.instances[row.ID] = row
		case *Activity:
			was, _ := old.(*Activity)
			p.showActivity(was, row)
		case nil:
			switch was := old.(type) {
			case *Member:
				p.event(was.ID + " gone")
			case *Group:
				p.event("group " + was.Name + " gone")
			}
			delete(p.seen, key)
		}
	}
}

func (p *player) event(text string) { p.say("%s %s", p.now.Format("15:04:05"), text) }

func (p *player) showGroup(was, now *Group) {
	if was == nil {
		was = &Group{}
	}
	if was.MinSize != now.MinSize || was.MaxSize != now.MaxSize || was.DesiredCapacity != now.DesiredCapacity || was.Deleting != now.Deleting {
		text := fmt.Sprintf("group %s min %d max %d desired %d", now.Name, now.MinSize, now.MaxSize, now.DesiredCapacity)
		if now.Deleting {
			text += " Delete in progress"
		}
		p.event(text)
	}
	if !reflect.DeepEqual(was.Attachments, now.Attachments) {
		text := "group " + now.Name + " attachments"
		for _, a := range now.Attachments {
			text += " " + a.Type + " " + a.State
		}
		p.event(text)
	}
	if !reflect.DeepEqual(was.Failures, now.Failures) {
		text := "group " + now.Name + " holds back"
		for _, f := range now.Failures {
			text += " " + f.Zone + " until " + f.Until.Format("15:04:05")
		}
		p.event(text)
	}
	if !was.LaunchAfter.Equal(now.LaunchAfter) {
		p.event("group " + now.Name + " launches nothing until " + now.LaunchAfter.Format("15:04:05"))
	}
}

func (p *player) showActivity(was, now *Activity) {
	if was != nil && was.StatusCode == now.StatusCode {
		return
	}
	text := fmt.Sprintf("%s %d %s", now.StatusCode, now.Progress, now.Description)
	if !strings.HasSuffix(now.Description, now.StatusMessage) {
		text += " (" + now.StatusMessage + ")"
	}
	p.event(text)
	if was == nil {
		p.say("         %s", now.Cause)
	}
}
