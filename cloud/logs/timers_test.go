package logs

import (
	"testing"

	shape "github.com/billow-cloud/billow/api/logs"
)

// TestNothingIsAwaitedOfAStreamThatIsGone: with a group's last stream goes the time at which its events would have expired
// (found by sim/fuzz).
func TestNothingIsAwaitedOfAStreamThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.write("g", "s", "text")
	do[shape.PutRetentionPolicyOutput](w, "PutRetentionPolicy", &shape.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(int32(1))})
	if w.cloud.Wake().IsZero() {
		t.Fatal("nobody will look for what expires")
	}
	do[shape.DeleteLogStreamOutput](w, "DeleteLogStream", &shape.DeleteLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")})
	if wake := w.cloud.Wake(); !wake.IsZero() {
		t.Errorf("without a stream it wakes at %v", wake)
	}
}
