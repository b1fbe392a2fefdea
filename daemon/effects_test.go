package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
	"github.com/billow-cloud/billow/store"
)

func testStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(func(string, string, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestEffectsKeepTheirOrderPerKey: "a1" is an effect about a; those about a happen one after the other and in order, those
// about b meanwhile.
func TestEffectsKeepTheirOrderPerKey(t *testing.T) {
	var mu sync.Mutex
	var order []string
	release := make(chan struct{})
	e := newEffects(testStore(t), slog.New(slog.DiscardHandler),
		func(w cloud.Effect) string { return fmt.Sprint(w)[:1] },
		func(_ context.Context, w cloud.Effect) {
			if fmt.Sprint(w) == "a1" {
				<-release
			}
			mu.Lock()
			order = append(order, fmt.Sprint(w))
			if fmt.Sprint(w) == "b1" {
				close(release) // a1 can only end once b1 has run beside it
			}
			mu.Unlock()
		})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.run(ctx); close(done) }()
	e.add(e.store.Write(nil), []cloud.Effect{"a1", stringer("a2"), "b1"})
	<-release
	e.drain()
	cancel()
	<-done
	if slices.Index(order, "a1") > slices.Index(order, "a2") || len(order) != 3 {
		t.Errorf("order %v", order)
	}
}

type stringer string

// TestARepeatedWishReplacesTheOneThatWaits: while one is under way, ten repetitions of the next are one.
func TestARepeatedWishReplacesTheOneThatWaits(t *testing.T) {
	var mu sync.Mutex
	var order []string
	hold := make(chan struct{})
	e := newEffects(testStore(t), slog.New(slog.DiscardHandler), func(cloud.Effect) string { return "k" },
		func(_ context.Context, w cloud.Effect) {
			if w == "first" {
				<-hold
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, fmt.Sprint(w))
		})
	ctx := t.Context()
	e.start(ctx, "first")
	for i := range 10 {
		e.start(ctx, stringer(fmt.Sprint("again ", i)))
	}
	close(hold)
	e.drain()
	if got := strings.Join(order, ","); !strings.HasSuffix(got, "again 9") || len(order) > 3 {
		t.Errorf("carried out %v", got)
	}
}

// TestOnlyTheSameWishIsARepetition: of two effects that wait behind one key, the second takes the first's place only if
// nothing is lost by that. Those with other keys never meet.
func TestOnlyTheSameWishIsARepetition(t *testing.T) {
	message := func(id string, attempt int) cloud.Effect {
		return sns.DeliverHTTP{SubscriptionARN: "s", MessageID: id, Attempt: attempt}
	}
	for _, x := range []struct {
		name   string
		of, is cloud.Effect
		meet   bool // have one key
		same   bool
	}{
		{"another message", message("a", 1), message("b", 1), true, false},
		{"a message sent again", message("a", 1), message("a", 2), true, true},
		{"two images of one instance", ec2.CaptureImage{ImageID: "ami-1", InstanceID: "i-1"}, ec2.CaptureImage{ImageID: "ami-2", InstanceID: "i-1"}, true, false},
		{"an image again", ec2.CaptureImage{ImageID: "ami-1", InstanceID: "i-1"}, ec2.CaptureImage{ImageID: "ami-1", InstanceID: "i-1"}, true, true},
		{"two volumes to one instance", ec2.AttachVolumeData{ID: "vol-1", InstanceID: "i-1", Device: "/dev/sdf"}, ec2.AttachVolumeData{ID: "vol-2", InstanceID: "i-1", Device: "/dev/sdg"}, false, true},
		{"a volume that is to be elsewhere now", ec2.AttachVolumeData{ID: "vol-1", InstanceID: "i-1"}, ec2.AttachVolumeData{ID: "vol-1", InstanceID: "i-2"}, true, true},
		{"a volume leaves two instances", ec2.DetachVolumeData{ID: "vol-1", InstanceID: "i-1"}, ec2.DetachVolumeData{ID: "vol-1", InstanceID: "i-2"}, true, false},
		{"a detachment by force", ec2.DetachVolumeData{ID: "vol-1", InstanceID: "i-1"}, ec2.DetachVolumeData{ID: "vol-1", InstanceID: "i-1", Force: true}, true, true},
		{"a volume that leaves and returns", ec2.DetachVolumeData{ID: "vol-1", InstanceID: "i-1"}, ec2.AttachVolumeData{ID: "vol-1", InstanceID: "i-1"}, true, false},
		{"a larger volume", ec2.ResizeVolumeData{ID: "vol-1", Bytes: 1}, ec2.ResizeVolumeData{ID: "vol-1", Bytes: 2}, true, true},
		{"a volume made and deleted", ec2.CreateVolumeData{ID: "vol-1"}, ec2.DeleteVolumeData{ID: "vol-1"}, true, false},
		{"two snapshots of one volume", ec2.TakeSnapshot{ID: "snap-1", VolumeID: "vol-1"}, ec2.TakeSnapshot{ID: "snap-2", VolumeID: "vol-1"}, false, true},
		{"a snapshot and its end", ec2.TakeSnapshot{ID: "snap-1"}, ec2.DeleteSnapshotData{ID: "snap-1"}, true, false},
		{"a stop by force", ec2.StopInstance{ID: "i-1"}, ec2.StopInstance{ID: "i-1", Force: true}, true, true},
		{"a stop and a start", ec2.StopInstance{ID: "i-1"}, ec2.StartInstance{Spec: ec2.Spec{ID: "i-1"}}, true, false},
		{"a launch with newer settings", ec2.LaunchInstance{Spec: ec2.Spec{ID: "i-1"}}, ec2.LaunchInstance{Spec: ec2.Spec{ID: "i-1", Memory: 1}}, true, true},
		{"two reboots", ec2.RebootInstance{ID: "i-1"}, ec2.RebootInstance{ID: "i-1"}, true, true},
		{"a reboot and the end", ec2.RebootInstance{ID: "i-1"}, ec2.TerminateInstance{ID: "i-1"}, true, false},
		{"two images deleted", ec2.DeleteImage{ImageID: "ami-1"}, ec2.DeleteImage{ImageID: "ami-2"}, false, true},
	} {
		if a, b := effectKey(x.of), effectKey(x.is); a == "" || b == "" || (a == b) != x.meet {
			t.Errorf("%s: the keys are %q and %q", x.name, a, b)
		}
		if repeats(x.of, x.is) != x.same {
			t.Errorf("%s: taken for a repetition is %v", x.name, !x.same)
		}
	}
	// These go at once and in order, each: what carries them out keeps the newest by what they are about.
	for _, e := range []cloud.Effect{
		ec2.BindAddress{PublicIP: "127.64.0.1"}, elbv2.Route{ARN: "a"}, sqs.Arrived{Queue: "q"}, lambda.Run{RequestID: "r"},
		lambda.HaveCode{CodeHash: "h"}, lambda.DropCode{CodeHash: "h"},
	} {
		if key := effectKey(e); key != "" {
			t.Errorf("%T waits behind %q", e, key)
		}
	}
}

func TestClockRunsAtItsScaleAndDoesNotJumpOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := Clock{Wall: start, Cloud: start, Scale: 60}
		time.Sleep(time.Second)
		if got := c.Now().Sub(start); got != time.Minute {
			t.Errorf("a second at scale 60 is %v", got)
		}
		if got := c.Until(start.Add(2 * time.Minute)); got != time.Second {
			t.Errorf("the next minute comes in %v", got)
		}
		before := c.Now()
		again := c.rebase(time.Now(), 1)
		if !again.Now().Equal(before) {
			t.Errorf("jumped from %v to %v", before, again.Now())
		}
		time.Sleep(time.Second)
		if got := again.Now().Sub(before); got != time.Second {
			t.Errorf("a second at scale 1 is %v", got)
		}
	})
}
