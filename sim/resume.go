package sim

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/region"
	"github.com/billow-cloud/billow/cloud/table"
	"github.com/billow-cloud/billow/sim/load"
)

// adopt takes over what a cloud has at From.
func (e *engine) adopt() {
	e.now = e.From
	var rows []*ec2.Instance
	e.cloud.Dump(func(name, key string, row any) bool {
		if i, ok := row.(*ec2.Instance); ok {
			rows = append(rows, i)
		}
		e.follow([]table.Change{{Table: name, Key: key, Row: row}})
		return true
	})
	for _, row := range rows {
		i := e.instances[row.ID]
		switch row.State {
		case ec2.Pending:
			e.launch(row.ID)
		case ec2.Running, ec2.Stopped:
			i.wished, i.up = true, row.State == ec2.Running
			i.fate = e.fate(i)
			i.fate.Fails = ""
			if i.fate.DiesAt > 0 && i.up {
				e.at(e.now.Add(i.fate.DiesAt), func() cloud.Fact { return e.kill(i) })
			}
		case ec2.Stopping:
			i.wished = true
			e.fact(stopTakes, ec2.InstanceStopped{ID: row.ID})
		case ec2.ShuttingDown:
			i.gone = true
			e.fact(terminateTakes, ec2.InstanceTerminated{ID: row.ID})
		default:
			i.gone = true
		}
		e.touch(i)
	}
	e.settle()
}

// reload replaces the cloud by one that is loaded with its rows, as a restart does.
func (e *engine) reload() {
	again := region.New(region.Options{Seed: e.Seed + 1, AnyImage: true, NoRoutes: true})
	e.cloud.Dump(func(name, key string, row any) bool {
		data, err := json.Marshal(row)
		if err == nil {
			err = again.Load(name, key, data)
		}
		if err != nil {
			e.failed = fmt.Errorf("sim: %w", err)
		}
		return err == nil
	})
	e.cloud = again
}

// aligned is a trace that begins at from and ends at to at the latest: there is no load where there was no trace.
func aligned(t load.Trace, from, to time.Time) load.Trace {
	if len(t.Rates) == 0 {
		return load.Trace{Name: t.Name, Start: from, Step: time.Minute}
	}
	step := t.Step
	for rest := from.Sub(t.Start).Abs() % t.Step; rest != 0; {
		step, rest = rest, step%rest
	}
	out := load.Trace{Name: t.Name, Start: from, Step: step, Notes: t.Notes}
	if t.End().Before(to) {
		to = t.End()
	}
	if from.Equal(t.Start) && step == t.Step {
		out.Rates = t.Rates[:min(len(t.Rates), int((to.Sub(from)+step-1)/step))]
		return out
	}
	for at := from; at.Before(to); at = at.Add(step) {
		out.Rates = append(out.Rates, t.At(at))
	}
	return out
}
