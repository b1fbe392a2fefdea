package e2e

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// writer is a client of the database who adds rows, one after the other, and keeps those that were acknowledged.
type writer struct {
	mu    sync.Mutex
	acked []string
	done  chan struct{}
	ended sync.WaitGroup
}

// write begins to add rows.
func write(address string) *writer {
	w := &writer{done: make(chan struct{})}
	w.ended.Go(func() {
		client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for n := 0; ; n++ {
			select {
			case <-w.done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			row := time.Now().Format(time.RFC3339Nano)
			answer, err := client.Post("http://"+address+"/", "text/plain", strings.NewReader(row))
			if err != nil {
				continue
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err == nil && string(text) == "written\n" {
				w.mu.Lock()
				w.acked = append(w.acked, row)
				w.mu.Unlock()
			}
		}
	})
	return w
}

// rows are those that were acknowledged by now.
func (w *writer) rows() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked[:len(w.acked):len(w.acked)]
}

func (w *writer) stop() []string {
	close(w.done)
	w.ended.Wait()
	return w.acked
}

// TestW4Volume is the walkthrough with a database on a volume, which lives in one zone: hooks have functions save it to a
// snapshot and make a volume in the other zone of it. Every row that was acknowledged is there after, also when the instance
// was killed.
func TestW4Volume(t *testing.T) {
	needFailover(t)
	needVolumes(t)
	t.Parallel()
	s := start(t, "--time-scale", "30")
	s.profile("database", s.w4("volume/policy.json"))
	_, ip := s.address("database")
	s.rule("launching", s.w4("volume/pattern.json"), s.function("restore", "volume/restore.py", s.w4("volume/restore-policy.json"), map[string]string{}))
	save := s.function("save", "volume/save.py", s.w4("volume/save-policy.json"), map[string]string{})
	topic := s.text("sns", "create-topic", "--name", "terminating", "--query", "TopicArn")
	s.mayCall(save, "sns.amazonaws.com", topic)
	s.aws(nil, "sns", "subscribe", "--topic-arn", topic, "--protocol", "lambda", "--notification-endpoint", save)
	tells := s.role("hooks", "autoscaling.amazonaws.com", s.w4("volume/hook-policy.json"))
	s.groupOfOne("database", s.w4("volume/user-data.sh"), "--lifecycle-hook-specification-list", mustJSON(t, []any{
		map[string]any{"LifecycleHookName": "restore", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "HeartbeatTimeout": 3600},
		map[string]any{"LifecycleHookName": "save", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "HeartbeatTimeout": 3600,
			"DefaultResult": "CONTINUE", "NotificationTargetARN": topic, "RoleARN": tells},
	}))
	holder := s.awaitInService("database", 1, 60*time.Second)[0]
	s.awaitAnswer(ip, "")

	holder = s.testRowsSurvive(ip, holder, func() {
		s.aws(nil, "autoscaling", "terminate-instance-in-auto-scaling-group", "--instance-id", holder, "--no-should-decrement-desired-capacity")
	})
	s.testRowsSurvive(ip, holder, func() { s.kill(holder) })
}

// testRowsSurvive ends the database's instance while rows are written, and returns the one that has taken over.
func (s *server) testRowsSurvive(ip, from string, end func()) (to string) {
	s.t.Helper()
	w := write(ip)
	eventually(s.t, 20*time.Second, "rows are written", func() bool { return len(w.rows()) >= 20 })
	end()
	began := time.Now()
	eventually(s.t, 90*time.Second, "another instance has the address", func() bool {
		to = s.text("ec2", "describe-addresses", "--query", "Addresses[0].InstanceId")
		return to != "" && to != from
	})
	before := len(w.rows())
	eventually(s.t, 20*time.Second, "rows are written again", func() bool { return len(w.rows()) > before })
	s.t.Logf("%s took over from %s with %d rows after %v", to, from, before, time.Since(began))
	acked := w.stop()
	s.testOnlyHolder(ip, to)
	if got := s.awaitInService("database", 1, 60*time.Second); got[0] != to {
		s.t.Errorf("%s answers, in service is %v", to, got)
	}
	if zone := s.zoneOf(from); s.zoneOf(to) == zone {
		s.t.Errorf("%s and %s are in %s", from, to, zone)
	}
	stored, err := asked(ip)
	if err != nil {
		s.t.Fatal(err)
	}
	there := map[string]bool{}
	for row := range strings.SplitSeq(stored, "\n") {
		there[row] = true
	}
	for _, row := range acked {
		if !there[row] {
			s.t.Errorf("row %s of %d is lost", row, len(acked))
		}
	}
	return to
}
