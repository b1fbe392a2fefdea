package fuzz

import (
	"encoding/json"
	"hash"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/table"
)

// rows is what all changes so far add up to: what a store would hold. It is the fuzzer's only view of the control plane,
// beside replies and effects. Keys are the tables' own.
type rows struct {
	tables map[string]map[string]stored

	groups        map[string]*autoscaling.Group
	members       map[string]*autoscaling.Member
	activities    map[string]*autoscaling.Activity
	instances     map[string]*ec2.Instance
	alarms        map[string]*cloudwatch.Alarm
	targets       map[string]*elbv2.Target
	targetGroups  map[string]*elbv2.TargetGroup
	registrations map[string]*elb.Registration
	classics      map[string]*elb.LoadBalancer
	zone          map[string]string // of instances, by ID, also of those that are no more
	where         map[string]string // keys of instances, by ID
}

// stored is a row: what was handed out, and the text it had then. Points of metrics, which are very many and hold nothing
// that could be changed in place, have no text.
type stored struct {
	value any
	text  []byte
}

// delta is one changed row, before and after; nil is none.
type delta struct {
	table, key string
	old, new   any
}

func newRows() *rows {
	return &rows{
		tables: map[string]map[string]stored{}, groups: map[string]*autoscaling.Group{}, members: map[string]*autoscaling.Member{},
		activities: map[string]*autoscaling.Activity{}, instances: map[string]*ec2.Instance{}, alarms: map[string]*cloudwatch.Alarm{},
		targets: map[string]*elbv2.Target{}, targetGroups: map[string]*elbv2.TargetGroup{}, registrations: map[string]*elb.Registration{},
		classics: map[string]*elb.LoadBalancer{}, zone: map[string]string{}, where: map[string]string{},
	}
}

// textless tells whether rows of a table are kept without their text.
func textless(table string) bool { return table == cloudwatch.Name+".points" }

// apply takes the changes of a step and tells what they changed. The texts go into the trace.
func (r *rows) apply(changes []table.Change, trace hash.Hash) ([]delta, error) {
	deltas := make([]delta, 0, len(changes))
	for _, c := range changes {
		t := r.tables[c.Table]
		if t == nil {
			t = map[string]stored{}
			r.tables[c.Table] = t
		}
		deltas = append(deltas, delta{c.Table, c.Key, t[c.Key].value, c.Row})
		r.see(c)
		if c.Row == nil {
			delete(t, c.Key)
			continue
		}
		s := stored{value: c.Row}
		if !textless(c.Table) {
			var err error
			if s.text, err = json.Marshal(c.Row); err != nil {
				return nil, err
			}
			trace.Write([]byte(c.Key))
			trace.Write(s.text)
		}
		t[c.Key] = s
	}
	return deltas, nil
}

// see keeps the rows that are looked at under their types.
func (r *rows) see(c table.Change) {
	switch c.Table {
	case autoscaling.Name + ".groups":
		keep(r.groups, c)
	case autoscaling.Name + ".members":
		keep(r.members, c)
	case autoscaling.Name + ".activities":
		keep(r.activities, c)
	case ec2.Name + ".instances":
		keep(r.instances, c)
		if i, ok := c.Row.(*ec2.Instance); ok {
			r.zone[i.ID], r.where[i.ID] = i.Zone, c.Key
		}
	case cloudwatch.Name + ".alarms":
		keep(r.alarms, c)
	case elbv2.Name + ".targets":
		keep(r.targets, c)
	case elbv2.Name + ".targetgroups":
		keep(r.targetGroups, c)
	case elb.Name + ".registrations":
		keep(r.registrations, c)
	case elb.Name + ".loadbalancers":
		keep(r.classics, c)
	}
}

func keep[R any](m map[string]*R, c table.Change) {
	if c.Row == nil {
		delete(m, c.Key)
		return
	}
	m[c.Key] = c.Row.(*R)
}

// load makes a cloud of the rows, with or without the points of metrics, which are most of them.
func (r *rows) load(into *cloud.Cloud, points bool) error {
	for _, name := range sortedKeys(r.tables) {
		if !points && (name == cloudwatch.Name+".points" || name == cloudwatch.Name+".values") {
			continue
		}
		for _, key := range sortedKeys(r.tables[name]) {
			s := r.tables[name][key]
			if s.text == nil {
				var err error
				if s.text, err = json.Marshal(s.value); err != nil {
					return err
				}
			}
			if err := into.Load(name, key, s.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// differ finds a row that a cloud and the rows have not in common: its key, and what both have.
func (r *rows) differ(c *cloud.Cloud, points bool) (key, is, not string) {
	seen := 0
	c.Dump(func(name, k string, row any) bool {
		if !points && (name == cloudwatch.Name+".points" || name == cloudwatch.Name+".values") {
			return true
		}
		s, ok := r.tables[name][k]
		if name == "cloud" && !ok {
			return true // not stored before it is first drawn from
		}
		seen++
		text := ""
		if p, point := row.(*cloudwatch.Point); point {
			if was, _ := s.value.(*cloudwatch.Point); was != nil && *was == *p {
				return true
			}
			text = encoded(p)
		} else {
			text = encoded(row)
			if ok && text == string(s.text) {
				return true
			}
		}
		if not = string(s.text); ok && s.text == nil {
			not = encoded(s.value)
		}
		key, is = name+" "+k, text
		return false
	})
	if key != "" {
		is, not = parting(is, not)
		return key, is, not
	}
	total := 0
	for name, t := range r.tables { // any order
		if points || name != cloudwatch.Name+".points" && name != cloudwatch.Name+".values" {
			total += len(t)
		}
	}
	if total == seen {
		return "", "", ""
	}
	return r.missing(c)
}

// missing finds a row that a cloud does not have.
func (r *rows) missing(c *cloud.Cloud) (key, is, not string) {
	there := map[string]bool{}
	c.Dump(func(name, k string, _ any) bool {
		there[name+" "+k] = true
		return true
	})
	for _, name := range sortedKeys(r.tables) {
		for _, k := range sortedKeys(r.tables[name]) {
			if !there[name+" "+k] {
				return name + " " + k, "", encoded(r.tables[name][k].value)
			}
		}
	}
	return "", "", ""
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// parting cuts away most of what two texts begin with alike, and of what comes long after that.
func parting(a, b string) (string, string) {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	n = max(0, n-150)
	return a[n:min(len(a), n+500)], b[n:min(len(b), n+500)]
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m { // any order
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// scopeOf is the head of a row's key: account and region.
func scopeOf(key string) cloud.Scope {
	account, rest, _ := strings.Cut(key, "/")
	region, _, _ := strings.Cut(rest, "/")
	return cloud.Scope{Account: account, Region: region}
}
