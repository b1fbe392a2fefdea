package autoscaling

import (
	"testing"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// puppet is a service that does what it is told.
type puppet struct {
	cloud.Base
	do func(*cloud.Tx)
}

func (*puppet) Name() string { return "puppet" }

func (p *puppet) Operations() []cloud.Operation {
	return []cloud.Operation{cloud.Handle("Do", func(tx *cloud.Tx, do *func(*cloud.Tx)) (*int, error) {
		(*do)(tx)
		return nil, nil
	})}
}

func (p *puppet) pull(t testing.TB, c *cloud.Cloud, now time.Time) cloud.Output {
	t.Helper()
	out := c.Step(now, cloud.Call{Scope: here, Service: p.Name(), Operation: "Do", In: &p.do})
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	return out
}

// with is a cloud over the same rows, with a puppet above them.
func (w *world) with(p *puppet) *cloud.Cloud {
	return cloud.New(2, w.s.cloudwatch, w.s.sns, w.ec2, w.s, p)
}

// pull has the puppet do what it does, once.
func (w *world) pull(p *puppet) { p.pull(w.t, w.with(p), w.now) }
