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
	"github.com/billow-cloud/billow/cloud/sns"
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

// TestMessagesToOneSubscriberAllGo: of those that wait none replaces another, but a message that is sent again.
func TestMessagesToOneSubscriberAllGo(t *testing.T) {
	message := func(id string, attempt int) sns.DeliverHTTP {
		return sns.DeliverHTTP{SubscriptionARN: "s", MessageID: id, Attempt: attempt}
	}
	if repeats(message("a", 1), message("b", 1)) || !repeats(message("a", 1), message("a", 2)) {
		t.Error("messages take each other's place")
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
