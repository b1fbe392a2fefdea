package autoscaling

import (
	"slices"
	"strconv"
	"time"
)

// shrink ends up to n members: first those that rebalancing made too many, then by the termination policies.
func (r *roster) shrink(n int) {
	if r.suspended("Terminate") && !r.Deleting {
		return
	}
	extra := 0 // launched to balance zones and in service: each has one to go for it
	if r.tally().rebalance > 0 {
		for _, m := range r.team() {
			switch {
			case m.Rebalance && m.phase() == phasePending:
				n-- // its turn comes when it is in service (AS-AZ-06)
			case m.Rebalance && m.phase() == phaseInService:
				extra++
			}
		}
	}
	if n <= 0 {
		return
	}
	have := r.have()
	victims := r.victims(n)
	short := len(victims) < n
	balanced := min(extra, len(victims))
	r.endSurplus(victims[:balanced])
	if victims = victims[balanced:]; len(victims) > 0 {
		r.endScaleIn(victims, have-balanced)
	}
	if short && len(r.Triggers) > 0 {
		r.refuseScaleIn()
	}
	if len(r.Triggers) > 0 {
		r.Triggers, r.changed = nil, true
	}
}

// endSurplus ends members in place of those that were launched to balance the zones.
func (r *roster) endSurplus(victims []*Member) {
	if len(victims) == 0 {
		return
	}
	var zones []string
	for _, m := range r.team() {
		m := *m
		if m.Rebalance && m.phase() == phaseInService && len(zones) < len(victims) {
			zones = append(zones, m.AvailabilityZone)
			m.Rebalance = false
			r.put(m)
		}
	}
	slices.Sort(zones)
	now := r.tx.Now()
	for _, m := range victims {
		m, _ := r.s.members.Get(r.tx, m.ID) // the loop above may have written it
		r.terminate(m, ending{cause: sentences(at(now, rebalanceEnd(slices.Compact(zones))), at(now, selected(m.ID)))})
	}
}

// endScaleIn ends members because the group has more than it wants.
func (r *roster) endScaleIn(victims []*Member, have int) {
	now := r.tx.Now()
	head := sentences(r.triggers(), at(now, shrinking(have, have-len(victims))))
	all := head
	for _, m := range victims {
		if all = sentences(all, at(now, selected(m.ID))); len(all) > causeLimit {
			break
		}
	}
	for _, m := range victims {
		cause := all // AWS names all of them in each activity [G]
		if len(all) > causeLimit {
			cause = sentences(head, at(now, selected(m.ID)))
		}
		r.terminate(*m, ending{cause: cause, alarms: r.invokingAlarms(), scaling: true})
	}
}

// refuseScaleIn writes that nothing may be ended (AS-PR-03).
func (r *roster) refuseScaleIn() {
	key := r.begin(Activity{Kind: kindTerminate, Description: terminating, Cause: r.triggers(), StatusCode: statusInProgress,
		InvokingAlarms: r.invokingAlarms()})
	r.end(key, statusCancelled, allProtected)
}

// ending says why a member ends.
type ending struct {
	cause, alarms string
	scaling       bool
}

// terminate puts a member on its way out: it leaves the load balancers, and advance does the rest (AS-LC-03). It
// returns the activity's key.
func (r *roster) terminate(m Member, e ending) string {
	if m.Activity != "" {
		r.end(m.Activity, statusCancelled, "")
	}
	a := Activity{Kind: kindTerminate, InstanceID: m.ID, Description: terminating + ": " + m.ID, Cause: e.cause,
		StatusCode: statusInProgress, Progress: 50, Zone: m.AvailabilityZone, InvokingAlarms: e.alarms, Scaling: e.scaling}
	if i, gone := r.instance(m.ID); !gone {
		a.Subnet = i.SubnetID
	}
	m.Activity = r.begin(a)
	m.Rebalance, m.Waits = false, nil // hooks of a launch hold it no more
	r.leave(&m, stateTerminating, "Terminated")
	return m.Activity
}

// leave takes a member out of the load balancers on its way to a steady state (AS-LC-07).
func (r *roster) leave(m *Member, state, target string) {
	r.deregister(m.ID)
	r.move(m, state)
	r.put(*m)
	r.s.ec2.SetTargetLifecycleState(r.tx, m.ID, target)
	r.tx.Touch(Name, keyMember, m.ID)
	r.touch()
}

// placed is a member with the place of its zone in the tally.
type placed struct {
	*Member
	zone int
}

// victims chooses up to n members to end, one after the other (AS-TP-01). Protected members and those on standby are
// never among them; members that are still pending are only when no other is left [I].
func (r *roster) victims(n int) []*Member {
	zones := slices.Clone(r.tally().zones)
	free := r.those(zones, func(m *Member) bool { return m.phase() == phaseInService && !m.Protected })
	pending := false
	var chosen, candidates []*Member
	for len(chosen) < n {
		if len(free) == 0 && !pending {
			pending = true
			free = r.those(zones, func(m *Member) bool { return m.phase() == phasePending })
		}
		if len(free) == 0 {
			break
		}
		candidates = r.inFullestZones(candidates[:0], free, zones)
		m := r.choose(candidates)
		chosen = append(chosen, m)
		i, _ := slices.BinarySearchFunc(free, m.ID, func(p placed, id string) int { return byID(p.Member, id) })
		zones[free[i].zone].n--
		free = slices.Delete(free, i, i+1)
	}
	return chosen
}

// those are the members that a test lets through, in order of ID.
func (r *roster) those(zones []zoneTally, pass func(*Member) bool) []placed {
	crew := r.tally().crew
	kept := make([]placed, 0, len(crew))
	for _, m := range crew {
		if pass(m) {
			kept = append(kept, placed{m, zoneIndex(zones, m.AvailabilityZone)})
		}
	}
	return kept
}

// inFullestZones appends the members that are in the zone with the most instances of the group, among the zones that
// hold one of them; of several such zones all count. Zones that are no longer the group's come before all others.
func (r *roster) inFullestZones(kept []*Member, free []placed, zones []zoneTally) []*Member {
	sizes := make([]int, len(zones))
	for i, z := range zones {
		if sizes[i] = z.n; !slices.Contains(r.AvailabilityZones, z.zone) {
			sizes[i] += len(r.tally().crew)
		}
	}
	most := 0
	for _, m := range free {
		most = max(most, sizes[m.zone])
	}
	for _, m := range free {
		if sizes[m.zone] == most {
			kept = append(kept, m.Member)
		}
	}
	return kept
}

func zoneIndex(zones []zoneTally, zone string) int {
	return slices.IndexFunc(zones, func(z zoneTally) bool { return z.zone == zone })
}

// choose applies the group's termination policies in order; the first that leaves one candidate decides (AS-TP-06).
// What is left after all of them is equal: chance decides (AS-TP-02).
func (r *roster) choose(candidates []*Member) *Member {
	for _, policy := range r.TerminationPolicies {
		if len(candidates) == 1 {
			break
		}
		candidates = r.narrow(candidates, policy)
	}
	if len(candidates) == 1 {
		return candidates[0]
	}
	return candidates[r.tx.IntN(len(candidates))]
}

// narrow keeps the candidates that one termination policy would end first (AS-TP-02, AS-TP-05).
func (r *roster) narrow(in []*Member, policy string) []*Member {
	switch policy {
	case "OldestInstance":
		return least(in, func(m *Member) int64 { return m.Launched.UnixNano() })
	case "NewestInstance":
		return least(in, func(m *Member) int64 { return -m.Launched.UnixNano() })
	case "ClosestToNextInstanceHour":
		return least(in, func(m *Member) int64 { return int64(time.Hour - r.tx.Now().Sub(m.Launched)%time.Hour) })
	case "OldestLaunchConfiguration":
		return r.oldestConfiguration(in)
	case "OldestLaunchTemplate":
		return r.oldestTemplate(in)
	case "Default":
		if with := r.oldestConfiguration(in); len(with) < len(in) || with[0].LaunchConfigurationName != "" {
			in = with
		} else {
			in = r.oldestTemplate(in)
		}
		return r.narrow(in, "ClosestToNextInstanceHour")
	}
	return in // AllocationStrategy: all instances of a group are of one type
}

// oldestConfiguration keeps the members of the oldest launch configuration, or all if none comes from one. One that
// was deleted is older than any other.
func (r *roster) oldestConfiguration(in []*Member) []*Member {
	name, created := "", int64(1<<63-1) // of the member before: most come from the same
	return least(in, func(m *Member) int64 {
		if m.LaunchConfigurationName == name {
			return created
		}
		name, created = m.LaunchConfigurationName, 0
		if name == "" {
			created = 1<<63 - 1
		} else if lc, ok := r.s.configurations.Get(r.tx, name); ok {
			created = lc.Created.UnixNano()
		}
		return created
	})
}

// oldestTemplate keeps the members of another template than the group's, or else those of its oldest version.
func (r *roster) oldestTemplate(in []*Member) []*Member {
	return least(in, func(m *Member) int64 {
		switch {
		case m.Template.ID == "":
			return 1<<63 - 1
		case m.Template.ID != r.Template.ID:
			return -1
		}
		return versionNumber(m.Template.Version)
	})
}

// least keeps the members with the smallest value, in the slice that it is given.
func least(in []*Member, value func(*Member) int64) []*Member {
	kept := in[:0] // what is kept is never ahead of what is looked at
	best := int64(0)
	for _, m := range in {
		v := value(m)
		if len(kept) == 0 || v < best {
			kept, best = kept[:0], v
		}
		if v == best {
			kept = append(kept, m)
		}
	}
	return kept
}

// rebalance launches instances in zones that have too few; shrink ends others for them once they are in service
// (AS-AZ-05, AS-AZ-06). It waits until nothing else is going on.
func (r *roster) rebalance() {
	if r.suspended("AZRebalance") || r.suspended("Launch") || r.Deleting || r.probing() || r.LaunchAfter.After(r.tx.Now()) {
		return
	}
	for range r.s.openActivities(r.tx, r.Name) {
		return
	}
	counts := r.zoneCounts()
	text := ""
	for range max(1, r.MaxSize/10) {
		before := slices.Clone(counts)
		to, ok := r.needsOne(counts)
		if !ok {
			return
		}
		if text == "" {
			text = at(r.tx.Now(), rebalanceLaunch(before))
		}
		r.launch(launchStart{zone: counts[to].zone, cause: text, rebalance: true})
		counts[to].n++
	}
}

// needsOne finds the emptiest zone that launches work in, and takes one from the zone that it should come from: one
// that is no longer the group's, or one that has at least two more.
func (r *roster) needsOne(counts []zoneCount) (to int, ok bool) {
	to, from := -1, -1
	for i, c := range counts {
		if c.enabled && !r.heldBack(c.zone) && (to < 0 || c.n < counts[to].n) {
			to = i
		}
		if c.free > 0 && (from < 0 || fuller(c, counts[from])) {
			from = i
		}
	}
	if to < 0 || from < 0 || from == to || (counts[from].enabled && counts[from].n-counts[to].n < 2) {
		return 0, false
	}
	counts[from].n--
	counts[from].free--
	return to, true
}

func fuller(a, b zoneCount) bool {
	if a.enabled != b.enabled {
		return !a.enabled
	}
	return a.n > b.n
}

func versionNumber(v string) int64 {
	n, _ := strconv.ParseInt(v, 10, 64)
	return n
}
