package events

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Event is one event on a bus (EC-EV-03).
type Event struct {
	ID         string
	DetailType string
	Source     string
	Account    string
	Region     string
	Time       time.Time
	Resources  []string `json:",omitempty"`
	Detail     string   // a JSON object
	Ingested   time.Time
	Forwarded  bool `json:",omitempty"` // it came from another bus

	decoded any
	encoded string
}

// newEvent is an event that happens now in the present scope.
func newEvent(tx *cloud.Tx, source, detailType string, resources []string, detail []byte) Event {
	return Event{ID: tx.UUID(), DetailType: detailType, Source: source, Account: tx.Scope.Account, Region: tx.Scope.Region,
		Time: tx.Now(), Resources: resources, Detail: string(detail), Ingested: tx.Now()}
}

// envelope is an event's JSON, in AWS's order of members.
type envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail,omitempty"`
}

// JSON is the event as targets get it.
func (e *Event) JSON() string {
	if e.encoded == "" {
		e.encoded = e.text(true)
	}
	return e.encoded
}

func (e *Event) text(detail bool) string {
	x := envelope{Version: "0", ID: e.ID, DetailType: e.DetailType, Source: e.Source, Account: e.Account, Region: e.Region,
		Time: stamp(e.Time), Resources: e.Resources}
	if x.Resources == nil {
		x.Resources = []string{}
	}
	if detail {
		x.Detail = json.RawMessage(e.Detail)
	}
	return string(encode(x))
}

// encode is the JSON of a value, with <, > and & as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // all that comes here can be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// stamp is how the time of an event is written: to the second.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// interestsIn are what rules for an event can be found by, each rule by one of them.
func interestsIn(bus, source, detailType string) [4]string {
	return [4]string{interest(bus, source, detailType), interest(bus, source, ""), interest(bus, "", detailType), interest(bus, "", "")}
}

// anyRule tells whether a rule of a bus might match events of a source and type.
func (s *Service) anyRule(tx *cloud.Tx, bus, source, detailType string) bool {
	for _, x := range interestsIn(bus, source, detailType) {
		for range s.interested.Each(tx, x) {
			return true
		}
	}
	return false
}

// route hands an event on a bus of the present scope to the targets of all rules that match it.
func (s *Service) route(tx *cloud.Tx, bus string, e Event) {
	var matched []Rule
	for i, x := range interestsIn(bus, e.Source, e.DetailType) {
		if i > 0 && (e.Source == "" || e.DetailType == "") {
			break // the four are not different
		}
		for key, r := range s.interested.Each(tx, x) {
			if p := s.patterns[tx.Scope.String()+"/"+key]; p != nil && p.Match(e.value()) {
				matched = append(matched, r)
			}
		}
	}
	slices.SortFunc(matched, func(a, b Rule) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range matched {
		s.hand(tx, r, &e)
	}
}

// hand gives an event to all targets of a rule.
func (s *Service) hand(tx *cloud.Tx, r Rule, e *Event) {
	var all []Target
	for _, t := range s.targets.Prefix(tx, r.key()+":") {
		all = append(all, t)
	}
	s.measure(tx, Target{Bus: r.Bus, Rule: r.Name}, "TriggeredRules")
	for _, t := range all {
		s.deliver(tx, t, e)
	}
}
