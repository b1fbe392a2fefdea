package daemon

import (
	"testing"

	"github.com/billow-cloud/billow/cloud/sqs"
)

// TestPolls: who waits for a queue is woken by an arrival there and by nothing else, but when all are.
func TestPolls(t *testing.T) {
	p := newPolls()
	a, leave := p.next(sqs.Arrived{Queue: "a"})
	b, _ := p.next(sqs.Arrived{Queue: "b"})
	woken := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	p.arrived(sqs.Arrived{Queue: "a"})
	p.arrived(sqs.Arrived{Queue: "a"})
	again, leaveAgain := p.next(sqs.Arrived{Queue: "a"})
	if !woken(a) || woken(b) || woken(again) {
		t.Error("an arrival wakes those who waited for it, once")
	}
	if leave(); len(p.waiting) != 2 {
		t.Error("who waited before is taken for who waits now")
	}
	if leaveAgain(); len(p.waiting) != 1 {
		t.Error("a queue that nobody waits for is kept in mind")
	}
	p.clear()
	if !woken(b) {
		t.Error("clear wakes all")
	}
	p.end()
	p.end()
	if !woken(p.ended) {
		t.Error("the end is told")
	}
}
