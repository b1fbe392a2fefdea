package autoscaling

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// crew makes members from words like "a1 a2* b3?": a zone and a name; * is protected, ? is pending, ! is on standby.
// Each was launched an hour and a half after the one before it.
func crew(words string) []Member {
	var team []Member
	for i, w := range strings.Fields(words) {
		m := Member{ID: strings.TrimRight(w, "*?!"), Group: "g", AvailabilityZone: w[:1], LifecycleState: stateInService,
			HealthStatus: healthy, Launched: start.Add(time.Duration(i) * 90 * time.Minute)}
		switch {
		case strings.HasSuffix(w, "*"):
			m.Protected = true
		case strings.HasSuffix(w, "?"):
			m.LifecycleState = statePending
		case strings.HasSuffix(w, "!"):
			m.LifecycleState = stateStandby
		}
		team = append(team, m)
	}
	slices.SortFunc(team, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return team
}

// with runs f with a roster of the group and members, in a step.
func with(t *testing.T, g Group, team []Member, f func(r *roster)) {
	t.Helper()
	w := newWorld(t, 1)
	w.now = start.Add(24 * time.Hour)
	w.do(func(tx *cloud.Tx) {
		for _, m := range team {
			w.s.members.Put(tx, m.ID, m)
		}
		f(&roster{s: w.s, tx: tx, Group: g})
	})
}

func ids(members []*Member) string {
	var list []string
	for _, m := range members {
		list = append(list, m.ID)
	}
	return strings.Join(list, " ")
}

func TestTheZoneComesFirst(t *testing.T) {
	for _, c := range []struct {
		rule, crew, zones string
		n                 int
		want              string
	}{
		{"AS-TP-01 the fullest zone", "a1 a2 b3", "ab", 1, "a1"},
		{"AS-TP-01 one after the other, so that the rest is balanced", "a1 a2 a3 b4 b5", "ab", 3, "a1 a2 b4"},
		{"AS-TP-01 several zones are equal: candidates from all", "b1 a2", "ab", 1, "b1"},
		{"AS-TP-01 the fullest zone that holds an unprotected one", "a1* a2* a3* b4", "ab", 1, "b4"},
		{"AS-TP-01 protected and standby are never chosen", "a1* a2! b3*", "ab", 2, ""},
		{"AS-TP-01 pending only when nothing else is left", "a1? a2? b3", "ab", 1, "b3"},
		{"AS-TP-01 pending when nothing else is left", "a1? a2? b3", "ab", 2, "b3 a1"},
		{"AS-AZ-05 zones that are not the group's any more first", "a1 a2 a3 b4", "a", 1, "b4"},
	} {
		g := Group{Name: "g", AvailabilityZones: strings.Split(c.zones, ""), TerminationPolicies: []string{"OldestInstance"}}
		with(t, g, crew(c.crew), func(r *roster) {
			if got := ids(r.victims(c.n)); got != c.want {
				t.Errorf("%s: %q, want %q", c.rule, got, c.want)
			}
		})
	}
}

func TestTerminationPolicies(t *testing.T) {
	configured := func(m *Member, name string) { m.LaunchConfigurationName = name }
	version := func(m *Member, id, n string) { m.Template = TemplateRef{ID: id, Version: n} }
	for _, c := range []struct {
		rule     string
		policies string
		prepare  func(m []Member)
		want     string
	}{
		{"AS-TP-05", "OldestInstance", nil, "a1"},
		{"AS-TP-05", "NewestInstance", nil, "a4"},
		// At 24 h the members are 24 h, 22:30, 21:00 and 19:30 old: 60, 30, 60 and 30 minutes are left of their hours.
		{"AS-TP-05", "ClosestToNextInstanceHour OldestInstance", nil, "a2"},
		{"AS-TP-05 a template that is not the group's", "OldestLaunchTemplate", func(m []Member) {
			version(&m[0], "lt-1", "1")
			version(&m[1], "lt-1", "2")
			version(&m[2], "lt-2", "9")
			version(&m[3], "lt-1", "3")
		}, "a3"},
		{"AS-TP-05 the oldest version, by number", "OldestLaunchTemplate", func(m []Member) {
			version(&m[0], "lt-1", "10")
			version(&m[1], "lt-1", "11")
			version(&m[2], "lt-1", "9")
			version(&m[3], "lt-1", "12")
		}, "a3"},
		{"AS-TP-05", "OldestLaunchConfiguration", func(m []Member) {
			configured(&m[0], "new")
			configured(&m[1], "new")
			configured(&m[2], "old")
			configured(&m[3], "new")
		}, "a3"},
		{"AS-TP-02 configurations before templates", "Default", func(m []Member) {
			version(&m[0], "lt-1", "1")
			configured(&m[1], "new")
			version(&m[2], "lt-1", "1")
			version(&m[3], "lt-1", "1")
		}, "a2"},
		{"AS-TP-02 then the hour", "Default", func(m []Member) {
			for i := range m {
				version(&m[i], "lt-1", "1")
			}
			m[3].Launched = m[3].Launched.Add(-20 * time.Minute)
		}, "a4"},
		{"AS-TP-06 the first that leaves one decides", "OldestLaunchConfiguration NewestInstance", func(m []Member) {
			configured(&m[0], "old")
			configured(&m[1], "old")
			configured(&m[2], "new")
			configured(&m[3], "new")
		}, "a2"},
	} {
		g := Group{Name: "g", AvailabilityZones: []string{"a"}, TerminationPolicies: strings.Fields(c.policies), Template: TemplateRef{ID: "lt-1"}}
		team := crew("a1 a2 a3 a4")
		if c.prepare != nil {
			c.prepare(team)
		}
		with(t, g, team, func(r *roster) {
			r.s.configurations.Put(r.tx, "old", LaunchConfiguration{Name: "old", Created: start})
			r.s.configurations.Put(r.tx, "new", LaunchConfiguration{Name: "new", Created: start.Add(time.Hour)})
			if got := ids(r.victims(1)); got != c.want {
				t.Errorf("%s %s: %q, want %q", c.rule, c.policies, got, c.want)
			}
		})
	}
}

func TestTerminationPolicyChains(t *testing.T) { // AS-TP-06
	for _, c := range []struct {
		policies string
		ok       bool
	}{
		{"Default", true}, {"OldestInstance Default", true}, {"OldestInstance", true}, {"Default OldestInstance", false},
		{"Oldest", false}, {"NewestInstance NewestInstance", false},
		{"arn:aws:lambda:us-east-1:123456789012:function:f Default", false},
	} {
		if err := checkTerminationPolicies(strings.Fields(c.policies)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.policies, err)
		}
	}
}

// TestVictimsKeepTheBalance compares with what AS-TP-01 says, on random groups: each victim is unprotected and in a
// zone that no other zone with a candidate is fuller than.
func TestVictimsKeepTheBalance(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 200 {
		var words []string
		for i := range 1 + rng.IntN(12) {
			words = append(words, string("abc"[rng.IntN(3)])+fmt.Sprintf("%02d", i)+[]string{"", "", "", "*", "!"}[rng.IntN(5)])
		}
		text, n := strings.Join(words, " "), 1+rng.IntN(12)
		team := crew(text)
		with(t, Group{Name: "g", AvailabilityZones: []string{"a", "b", "c"}, TerminationPolicies: []string{"Default"}}, team, func(r *roster) {
			left := slices.Clone(team)
			for _, v := range r.victims(n) {
				count, free := map[string]int{}, map[string]bool{}
				for _, m := range left {
					if m.phase() == phaseInService {
						count[m.AvailabilityZone]++
						free[m.AvailabilityZone] = free[m.AvailabilityZone] || !m.Protected
					}
				}
				for zone := range free {
					if free[zone] && count[zone] > count[v.AvailabilityZone] {
						t.Errorf("round %d, %s: %s before one of zone %s", round, text, v.ID, zone)
					}
				}
				if v.Protected || v.phase() != phaseInService {
					t.Errorf("round %d, %s: %s", round, text, v.ID)
				}
				left = slices.DeleteFunc(left, func(m Member) bool { return m.ID == v.ID })
			}
			for _, m := range left {
				if len(team)-len(left) < n && m.phase() == phaseInService && !m.Protected {
					t.Errorf("round %d, %s: %s was left out", round, text, m.ID)
				}
			}
		})
	}
}

func TestRebalancingMoves(t *testing.T) { // AS-AZ-05
	for _, c := range []struct {
		crew, zones, held string
		want              string // zone that gets one
	}{
		{"a1 a2 b3", "ab", "", ""},
		{"a1 a2 a3 b4", "ab", "", "b"},
		{"a1 a2", "abc", "", "b"},
		{"a1 b2", "abc", "", ""},
		{"a1 a2 a3", "abc", "", "b"},
		{"a1 a2 a3", "abc", "b", "c"},
		{"a1 a2 a3", "ab", "b", ""},
		{"a1 a2 b3 b4", "ac", "", "c"}, // b is not the group's any more
		{"a1* a2* a3* b4", "ab", "", ""},
	} {
		g := Group{Name: "g", AvailabilityZones: strings.Split(c.zones, "")}
		with(t, g, crew(c.crew), func(r *roster) {
			if c.held != "" {
				r.Failures = []ZoneFailure{{Zone: c.held, Count: 1, Until: r.tx.Now().Add(time.Minute)}}
			}
			got, counts := "", r.zoneCounts()
			if to, ok := r.needsOne(counts); ok {
				got = counts[to].zone
			}
			if got != c.want {
				t.Errorf("%s in %s: %q, want %q", c.crew, c.zones, got, c.want)
			}
		})
	}
}

func TestBackOff(t *testing.T) { // AS-HK-18
	for n, want := range []time.Duration{1: time.Minute, 2: 2 * time.Minute, 3: 4 * time.Minute, 6: 32 * time.Minute, 7: time.Hour, 100: time.Hour} {
		if want > 0 && backOff(n) != want {
			t.Errorf("%d: %v", n, backOff(n))
		}
	}
}

func TestPace(t *testing.T) { // AS-HC-10
	for _, c := range []struct {
		desired, up, sick, pending int
		want                       int
	}{
		{4, 4, 1, 0, 1},    // a tenth is less than one: one
		{4, 4, 3, 0, 1},    // the others wait
		{4, 3, 2, 1, 0},    // one is being replaced: 25 % under desired
		{40, 40, 10, 0, 4}, // a tenth
		{40, 38, 10, 2, 2}, // less what is missing
		{40, 36, 10, 4, 0}, // 10 % under
		{40, 36, 10, 0, 4}, // 10 % under, but nothing is on the way: do not wait for ever
		{40, 40, 40, 0, 1}, // all fail: one at a time
		{1, 1, 1, 0, 1},
	} {
		var words []string
		for i := range c.up {
			words = append(words, fmt.Sprintf("a%02d", i))
		}
		for i := range c.pending {
			words = append(words, fmt.Sprintf("b%02d?", i))
		}
		team := crew(strings.Join(words, " "))
		for i := range team {
			if team[i].InServiceAt = start; i < c.sick {
				team[i].HealthStatus, team[i].Sickness = unhealthy, sickELB
			}
		}
		with(t, Group{Name: "g", DesiredCapacity: c.desired, DefaultInstanceWarmup: -1}, team, func(r *roster) {
			if got, _ := r.pace(c.sick); got != c.want {
				t.Errorf("%+v: %d", c, got)
			}
		})
	}
}
