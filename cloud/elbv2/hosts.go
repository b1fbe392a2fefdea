package elbv2

import (
	"slices"
	"strings"
)

// hosts counts a target group's targets, those that drain or are unused left out, in all and per zone. It is derived from
// the targets' rows and always in line with them.
type hosts struct {
	healthy, unhealthy int
	served             int // those, and those that are new
	registered         int // in whatever state
	zones              []zoneHosts
}

type zoneHosts struct {
	zone               string
	healthy, unhealthy int
	served             int
}

// takers is among how many targets requests are shared: the healthy ones, and without any, all (CW-NM-04).
func (h *hosts) takers() float64 {
	if h.healthy > 0 {
		return float64(h.healthy)
	}
	return float64(max(h.served, 1))
}

// hostsOf are by target group.
type hostsOf map[string]*hosts

var noHosts = &hosts{}

func (all hostsOf) of(group string) *hosts {
	if h := all[group]; h != nil {
		return h
	}
	return noHosts
}

// watch takes over that a target's row was written.
func (all hostsOf) watch(_ string, old, row *Target) {
	if old != nil {
		all.add(old, -1)
	}
	if row != nil {
		all.add(row, 1)
	}
}

func (all hostsOf) add(t *Target, n int) {
	h := all[t.TargetGroup]
	if h == nil {
		h = &hosts{}
		all[t.TargetGroup] = h
	}
	if h.registered += n; h.registered == 0 {
		delete(all, t.TargetGroup)
		return
	}
	if !t.counts() {
		return
	}
	i, found := slices.BinarySearchFunc(h.zones, t.Zone, func(z zoneHosts, zone string) int { return strings.Compare(z.zone, zone) })
	if !found {
		h.zones = slices.Insert(h.zones, i, zoneHosts{zone: t.Zone})
	}
	z := &h.zones[i]
	h.served += n
	z.served += n
	switch t.Count.State {
	case StateHealthy:
		h.healthy += n
		z.healthy += n
	case StateUnhealthy:
		h.unhealthy += n
		z.unhealthy += n
	}
}
