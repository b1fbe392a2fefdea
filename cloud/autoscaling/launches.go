package autoscaling

import (
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// inFlightLimit bounds the launches of one group that are under way at the same time.
const inFlightLimit = 100

// Instances that die within earlyDeath of InService, more than deathsForgiven in a row, hold up further launches: an
// image whose first process ends at once must not be started many times a second. A death longer than deathMemory
// after the one before begins a new row. AWS publishes nothing of the kind [I].
const (
	earlyDeath     = time.Minute
	deathsForgiven = 3
	deathMemory    = 10 * time.Minute
)

// grow launches up to n instances, in the zones that balance the group (AS-AZ-01).
func (r *roster) grow(n int) {
	if r.suspended("Launch") || r.Deleting || r.LaunchAfter.After(r.tx.Now()) {
		return
	}
	n = min(n, inFlightLimit-r.count(phasePending))
	if r.probing() {
		n = min(n, 1-r.count(phasePending))
	}
	have := r.have()
	replaced := min(n, r.Replacing)
	told := false
	for range n {
		zone, ok := r.launchZone()
		if !ok {
			break
		}
		start := launchStart{zone: zone, scaling: r.Replacing == 0}
		if start.scaling {
			start.cause = sentences(r.triggers(), at(r.tx.Now(), increasing(have+replaced, have+n)))
			start.alarms = r.invokingAlarms()
		} else {
			start.cause = at(r.tx.Now(), replacementSentence)
		}
		told = told || start.scaling
		if r.launch(start) && !start.scaling {
			r.Replacing--
			r.changed = true
		}
		if r.probing() {
			break
		}
	}
	if told && len(r.Triggers) > 0 {
		r.Triggers, r.changed = nil, true
	}
}

// launchStart is what is known of a launch before it is tried.
type launchStart struct {
	zone, cause, alarms string
	scaling, rebalance  bool
}

// launch starts one instance and its activity. A launch that EC2 refuses leaves a failed activity and holds the zone
// back; it counts as done all the same, so that the caller's loop ends.
func (r *roster) launch(l launchStart) bool {
	subnet := r.subnetIn(l.zone)
	a := Activity{Kind: kindLaunch, Description: launching, Cause: l.cause, StatusCode: statusPreInService, Progress: 30,
		Zone: l.zone, Subnet: subnet, InvokingAlarms: l.alarms, Scaling: l.scaling}
	m := Member{Group: r.Name, AvailabilityZone: l.zone, HealthStatus: healthy, Rebalance: l.rebalance,
		Protected: r.NewInstancesProtectedFromScaleIn, Launched: r.tx.Now()}
	err := r.tx.Try(func() error {
		if err := r.attachmentsExist(); err != nil {
			return err
		}
		request, err := r.request(&m)
		if err != nil {
			return err
		}
		request.SubnetID, request.Zone, request.Count = subnet, l.zone, 1
		request.RequesterID, request.Tags = "autoscaling.amazonaws.com", r.launchTags()
		ids, err := r.s.ec2.Launch(r.tx, request)
		if err == nil {
			m.ID = ids[0]
		}
		return err
	})
	if err != nil {
		r.refused(a, l.zone, err)
		return false
	}
	if i, ok := r.s.ec2.Instance(r.tx, m.ID); ok {
		m.InstanceType, m.ImageID, m.Detailed = i.InstanceType, i.ImageID, i.Monitoring
	}
	a.InstanceID, a.Description = m.ID, launching+": "+m.ID
	m.Activity = r.begin(a)
	r.move(&m, statePending)
	r.put(m)
	r.s.ec2.SetTargetLifecycleState(r.tx, m.ID, stateInService)
	r.tx.Touch(Name, keyMember, m.ID)
	return true
}

// refused writes the activity of a launch that never began (AS-AC-13).
func (r *roster) refused(a Activity, zone string, err error) {
	code, text := "", err.Error()
	var e *api.Error
	if errors.As(err, &e) {
		code, text = e.Code, e.Message
	}
	if code != codeLoadBalancer {
		text = failureText(text)
	}
	key := r.begin(a)
	r.end(key, statusFailed, text)
	r.holdBack(zone, code)
}

// request says what an instance of the group is launched with, and notes in the member what it comes from.
func (r *roster) request(m *Member) (ec2.LaunchRequest, error) {
	if r.LaunchConfigurationName != "" {
		m.LaunchConfigurationName = r.LaunchConfigurationName
		lc, ok := r.s.configurations.Get(r.tx, r.LaunchConfigurationName)
		if !ok {
			return ec2.LaunchRequest{}, api.Errorf("ValidationError", "Launch configuration name not found - Launch configuration %s not found", r.LaunchConfigurationName)
		}
		return lc.request(), nil
	}
	t, v, err := r.s.ec2.Template(r.tx, r.Template.ID, r.Template.Version)
	if err != nil {
		return ec2.LaunchRequest{}, err
	}
	number := strconv.FormatInt(v.Version, 10) // AS-LC-11
	m.Template = TemplateRef{t.ID, t.Name, number}
	return ec2.LaunchRequest{TemplateID: t.ID, TemplateVersion: number}, nil
}

// request is what an instance of the configuration is launched with.
func (c LaunchConfiguration) request() ec2.LaunchRequest {
	q := ec2.LaunchRequest{ImageID: c.ImageID, InstanceType: c.InstanceType, KeyName: c.KeyName,
		Monitoring: new(c.DetailedMonitoring), IamProfile: c.IamInstanceProfile, EbsOptimized: new(c.EbsOptimized),
		Spot: c.SpotPrice != "", Tenancy: c.PlacementTenancy, BlockDevices: c.BlockDevices, Metadata: c.Metadata}
	q.UserData, _ = base64.StdEncoding.DecodeString(c.UserData) // checked when the configuration was made
	for _, g := range c.SecurityGroups {
		if len(g) > 3 && g[:3] == "sg-" {
			q.SecurityGroupIDs = append(q.SecurityGroupIDs, g)
		} else {
			q.SecurityGroups = append(q.SecurityGroups, g)
		}
	}
	switch c.AssociatePublicIPAddress {
	case "true":
		q.AssociatePublicIP = new(true)
	case "false":
		q.AssociatePublicIP = new(false)
	}
	return q
}

// launchTags are the tags of every new member (AS-LC-14).
func (r *roster) launchTags() []ec2.Tag {
	tags := []ec2.Tag{{Key: ec2.GroupTag, Value: r.Name}}
	for _, t := range r.Tags {
		if t.PropagateAtLaunch {
			tags = append(tags, ec2.Tag{Key: t.Key, Value: t.Value})
		}
	}
	return tags
}

// subnetIn draws one of the group's subnets in a zone (AS-AZ-01).
func (r *roster) subnetIn(zone string) string {
	var ids []string
	for _, x := range r.Subnets {
		if x.Zone == zone {
			ids = append(ids, x.ID)
		}
	}
	switch len(ids) {
	case 0:
		return ""
	case 1:
		return ids[0]
	}
	return ids[r.tx.IntN(len(ids))]
}

// zoneCounts counts the members that count toward the desired capacity, per zone of the group and per zone outside it.
func (r *roster) zoneCounts() []zoneCount {
	counts := make([]zoneCount, 0, len(r.AvailabilityZones)+1)
	for _, z := range r.AvailabilityZones {
		counts = append(counts, zoneCount{zone: z, enabled: true})
	}
	for _, z := range r.tally().zones {
		i := slices.IndexFunc(counts, func(c zoneCount) bool { return c.zone == z.zone })
		if i < 0 {
			if z.n == 0 {
				continue
			}
			i = len(counts)
			counts = append(counts, zoneCount{zone: z.zone})
		}
		counts[i].n, counts[i].free, counts[i].leaving = z.n, z.free, z.leaving
	}
	return counts
}

// zoneCount is a zone's part of a group.
type zoneCount struct {
	zone    string
	enabled bool // one of the group's zones
	n, free int  // instances; those in service that scale-in may take
	leaving int  // instances on their way out
}

// launchZone is where the next instance goes: the enabled zone with the fewest. Of several, which AS-AZ-01 leaves open, it is
// the one that fewest are leaving, so that a group's only instance is replaced in another zone than the one it was lost in;
// of these the lexically first. A zone that failed lately is left out (AS-AZ-02), unless the group insists on balance
// (AS-AZ-03).
func (r *roster) launchZone() (string, bool) {
	best := zoneCount{n: -1}
	for _, c := range r.zoneCounts() {
		if !c.enabled || (r.heldBack(c.zone) && r.Options.Distribution != balancedOnly) {
			continue
		}
		if best.n < 0 || c.n < best.n || c.n == best.n && c.leaving < best.leaving {
			best = c
		}
	}
	if best.n < 0 || r.heldBack(best.zone) {
		return "", false
	}
	return best.zone, true
}

// balancedOnly is the strategy that keeps trying in the zone that failed (AS-AZ-03).
const balancedOnly = "balanced-only"

// heldBack tells whether launches in a zone failed so lately that it is not tried yet.
func (r *roster) heldBack(zone string) bool {
	for _, f := range r.Failures {
		if f.Zone == zone {
			return f.Until.After(r.tx.Now())
		}
	}
	return false
}

// probing tells that launches failed for a reason that no zone is free of, and none has succeeded since: one instance
// at a time is then tried.
func (r *roster) probing() bool {
	for _, f := range r.Failures {
		if f.General {
			return true
		}
	}
	return false
}

// holdBack notes a failed launch: its zone, or every zone if the reason is not the zone's, is tried again after 1, 2,
// 4 ... 60 minutes. Launches that fail while the zone is held back already count as one.
func (r *roster) holdBack(zone, code string) {
	general := !zoneTrouble(code)
	failures := []ZoneFailure{}
	for _, z := range r.AvailabilityZones {
		f := ZoneFailure{Zone: z}
		if i := slices.IndexFunc(r.Failures, func(f ZoneFailure) bool { return f.Zone == z }); i >= 0 {
			f = r.Failures[i]
		}
		if (general || z == zone) && !f.Until.After(r.tx.Now()) {
			f.Count++
			f.Until = r.tx.Now().Add(backOff(f.Count))
			f.General = general
		}
		if f.Count > 0 {
			failures = append(failures, f)
		}
	}
	r.Failures, r.changed = failures, true
	r.touch()
}

// backOff is how long the n-th failure in a row holds launches back (AS-HK-18).
func backOff(n int) time.Duration {
	if n > 6 {
		return time.Hour
	}
	return time.Minute << (n - 1)
}

// zoneTrouble tells whether a launch error is about its zone, so that another one may do (AS-AZ-02).
func zoneTrouble(code string) bool {
	switch code {
	case "InsufficientInstanceCapacity", "Server.InsufficientInstanceCapacity", "Unsupported",
		"InsufficientFreeAddressesInSubnet", "InsufficientHostCapacity", "InsufficientCapacity":
		return true
	}
	return false
}

// succeeded forgets the failures that a launch in a zone has disproved.
func (r *roster) succeeded(zone string) {
	kept := slices.DeleteFunc(slices.Clone(r.Failures), func(f ZoneFailure) bool { return f.General || f.Zone == zone })
	if len(kept) != len(r.Failures) {
		r.Failures, r.changed = kept, true
	}
}

// died notes the end of an instance that nobody asked for, and holds launches up when that happens too soon after
// InService too often.
func (r *roster) died(m Member) {
	now := r.tx.Now()
	if m.phase() == phaseInService && now.Sub(m.InServiceAt) >= earlyDeath {
		if r.EarlyDeaths > 0 {
			r.EarlyDeaths, r.changed = 0, true
		}
		return
	}
	last := r.LastDeath
	if r.LaunchAfter.After(last) {
		last = r.LaunchAfter
	}
	if now.Sub(last) > deathMemory {
		r.EarlyDeaths = 0
	}
	r.EarlyDeaths, r.LastDeath, r.changed = r.EarlyDeaths+1, now, true
	if n := r.EarlyDeaths - deathsForgiven; n > 0 {
		r.LaunchAfter = now.Add(backOff(n))
	}
}

// invokingAlarms are those of the newest trigger that has some.
func (r *roster) invokingAlarms() string {
	for _, t := range slices.Backward(r.Triggers) {
		if t.InvokingAlarms != "" {
			return t.InvokingAlarms
		}
	}
	return ""
}

// triggers are the sentences that are owed to the next activities: of too many the newest, so that the whole cause,
// with what it says after them, stays within what the API allows.
func (r *roster) triggers() string {
	const room = causeLimit - 300
	text := ""
	for _, t := range slices.Backward(r.Triggers) {
		if text != "" && len(t.Text)+2+len(text) > room {
			break
		}
		text = sentences(t.Text, text)
	}
	return text
}
