package sqs

import (
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/sqs"
)

// TestAQueueWaitsForWhatIsInIt: with the last message goes the time at which it would have come back, or have been too
// old (found by sim/fuzz).
func TestAQueueWaitsForWhatIsInIt(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	w.send(q, "a")
	got := w.receive(q)
	if want := w.now.Add(30 * time.Second); !w.cloud.Wake().Equal(want) {
		t.Errorf("with a hidden message it wakes at %v, not %v", w.cloud.Wake(), want)
	}
	call[shape.DeleteMessageOutput](w, &shape.DeleteMessageInput{QueueUrl: q, ReceiptHandle: got[0].ReceiptHandle})
	if wake := w.cloud.Wake(); !wake.IsZero() {
		t.Errorf("after the deletion it wakes at %v", wake)
	}
	w.send(q, "b")
	w.receive(q)
	call[shape.PurgeQueueOutput](w, &shape.PurgeQueueInput{QueueUrl: q})
	if wake := w.cloud.Wake(); !wake.IsZero() {
		t.Errorf("after the purge it wakes at %v", wake)
	}
}
