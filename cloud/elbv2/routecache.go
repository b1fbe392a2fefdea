package elbv2

import (
	"iter"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/cloud"
)

// RouteCache remembers what the data plane was told of target groups, so that one target's change does not cost a look at
// all others' rows. It is derived from rows: empty after a load, and taken back with the step that changed it. The
// zero value is ready to use. It is shared with classic load balancers.
type RouteCache struct{ groups map[string]routed }

// routed is a target group's targets in order of ID, as they were before those named in changed did change.
type routed struct {
	targets []RouteTarget // never written again once it is here: effects hold it too
	changed []string      // IDs
}

// Changed notes that a target has come, changed or gone.
func (c *RouteCache) Changed(tx *cloud.Tx, group, id string) {
	old, had := c.groups[group]
	switch {
	case !had:
	case len(old.changed) > len(old.targets): // nobody asks for it
		c.put(tx, group, nil)
	default:
		c.put(tx, group, &routed{old.targets, append(old.changed, id)})
	}
}

// Forget drops a target group.
func (c *RouteCache) Forget(tx *cloud.Tx, group string) { c.put(tx, group, nil) }

// Targets gives a group's targets; all yields them from their rows in order of ID, one finds one of them.
func (c *RouteCache) Targets(tx *cloud.Tx, group string, all iter.Seq[RouteTarget], one func(id string) (RouteTarget, bool)) []RouteTarget {
	r, had := c.groups[group]
	switch {
	case had && len(r.changed) == 0:
		return r.targets
	case !had || len(r.changed) > len(r.targets)/4:
		r.targets = slices.Collect(all)
	default:
		r.targets = slices.Clone(r.targets)
		for _, id := range r.changed {
			i, there := slices.BinarySearchFunc(r.targets, id, func(t RouteTarget, id string) int { return strings.Compare(t.ID, id) })
			t, found := one(id)
			switch {
			case there && found:
				r.targets[i] = t
			case there:
				r.targets = slices.Delete(r.targets, i, i+1)
			case found:
				r.targets = slices.Insert(r.targets, i, t)
			}
		}
	}
	c.put(tx, group, &routed{targets: r.targets})
	return r.targets
}

func (c *RouteCache) put(tx *cloud.Tx, group string, r *routed) {
	old, had := c.groups[group]
	if c.groups == nil {
		c.groups = map[string]routed{}
	}
	tx.Journal().OnUndo(func() {
		if delete(c.groups, group); had {
			c.groups[group] = old
		}
	})
	if delete(c.groups, group); r != nil {
		c.groups[group] = *r
	}
}
