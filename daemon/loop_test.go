package daemon

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// defective panics at every tick.
type defective struct{ cloud.Base }

func (defective) Name() string { return "defective" }
func (defective) Operations() []cloud.Operation {
	return []cloud.Operation{cloud.Handle("Arm", func(tx *cloud.Tx, _ *struct{}) (*struct{}, error) {
		tx.At("defective", "k", "1", tx.Now().Add(time.Second))
		return &struct{}{}, nil
	})}
}
func (defective) Reconcile(*cloud.Tx, string, string) { panic("a defect") }

// TestAFailingTickDoesNotSpin: its timer stays due, and the rest of the cloud needs the processor.
func TestAFailingTickDoesNotSpin(t *testing.T) {
	s := testStore(t)
	synctest.Test(t, func(t *testing.T) {
		l := &loop{
			clock: Clock{Wall: time.Now(), Cloud: time.Now(), Scale: 1}, store: s, log: slog.New(slog.DiscardHandler),
			cloud: cloud.New(1, defective{}), rearm: make(chan struct{}, 1),
		}
		l.effects = newEffects(s, l.log, effectKey, nil)
		go l.ticks(t.Context())
		if out, _ := l.step(cloud.Call{Service: "defective", Operation: "Arm", In: &struct{}{}}); out.Err != nil {
			t.Fatal(out.Err)
		}
		time.Sleep(10500 * time.Millisecond)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.steps < 5 || l.steps > 30 {
			t.Errorf("%d steps in ten seconds", l.steps)
		}
	})
}
