package logs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/logs"
	"github.com/billow-cloud/billow/cloud"
)

var (
	here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

type world struct {
	t      *testing.T
	cloud  *cloud.Cloud
	logs   *Service
	now    time.Time
	stored map[[2]string][]byte
}

func newWorld(t *testing.T) *world {
	s := New()
	return &world{t: t, cloud: cloud.New(1, s), logs: s, now: noon, stored: map[[2]string][]byte{}}
}

func (w *world) step(in cloud.Input) (any, error) {
	out := w.cloud.Step(w.now, in)
	var defect *cloud.Defect
	if errors.As(out.Err, &defect) {
		w.t.Fatalf("%v\n%s", defect.Value, defect.Stack)
	}
	for _, ch := range out.Changes {
		b, err := json.Marshal(ch.Row)
		if err != nil {
			w.t.Fatal(err)
		}
		w.stored[[2]string{ch.Table, ch.Key}] = b
		if ch.Row == nil {
			delete(w.stored, [2]string{ch.Table, ch.Key})
		}
	}
	return out.Reply, out.Err
}

func do[Out any](w *world, operation string, in any) *Out {
	w.t.Helper()
	out, err := w.step(cloud.Call{Scope: here, RequestID: "r", Service: Name, Operation: operation, In: in})
	if err != nil {
		w.t.Fatalf("%s: %v", operation, err)
	}
	return out.(*Out)
}

func (w *world) refused(operation string, in any, code, part string) {
	w.t.Helper()
	out, err := w.step(cloud.Call{Scope: here, RequestID: "r", Service: Name, Operation: operation, In: in})
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, part) {
		w.t.Errorf("%s: %v %v, want %s with %q", operation, out, err, code, part)
	}
}

// write has the host write lines at the present time and after.
func (w *world) write(group, stream string, texts ...string) {
	var events []Event
	for i, text := range texts {
		events = append(events, Event{w.now.Add(time.Duration(i) * time.Millisecond), text})
	}
	w.step(cloud.Observed{Facts: []cloud.Fact{Written{here, group, stream, events}}})
}

func (w *world) filter(in *shape.FilterLogEventsInput) (texts []string) {
	w.t.Helper()
	for range 1000 {
		out := do[shape.FilterLogEventsOutput](w, "FilterLogEvents", in)
		for _, e := range out.Events {
			texts = append(texts, *e.Message)
		}
		if out.NextToken == nil {
			return texts
		}
		again := *in
		again.NextToken, in = out.NextToken, &again
	}
	w.t.Fatal("pages without end")
	return nil
}

func TestWrittenLinesAreThere(t *testing.T) {
	w := newWorld(t)
	w.write("/aws/lambda/f", "2026/11/20/[$LATEST]a", "START", "hello", "END")
	w.now = w.now.Add(time.Second)
	w.write("/aws/lambda/f", "2026/11/20/[$LATEST]b", "other")
	groups := do[shape.DescribeLogGroupsOutput](w, "DescribeLogGroups", &shape.DescribeLogGroupsInput{LogGroupNamePrefix: new("/aws/")}).LogGroups
	if len(groups) != 1 || *groups[0].LogGroupName != "/aws/lambda/f" || *groups[0].Arn != "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/f:*" ||
		*groups[0].StoredBytes != 18+4*26 {
		t.Fatalf("%+v", groups)
	}
	streams := do[shape.DescribeLogStreamsOutput](w, "DescribeLogStreams", &shape.DescribeLogStreamsInput{LogGroupIdentifier: groups[0].LogGroupArn, OrderBy: new("LastEventTime"), Descending: new(true)}).LogStreams
	if len(streams) != 2 || *streams[0].LogStreamName != "2026/11/20/[$LATEST]b" || *streams[1].FirstEventTimestamp != noon.UnixMilli() || *streams[1].LastEventTimestamp != noon.UnixMilli()+2 {
		t.Errorf("%+v", streams)
	}
	if got := w.filter(&shape.FilterLogEventsInput{LogGroupName: new("/aws/lambda/f")}); !slices.Equal(got, []string{"START", "hello", "END", "other"}) {
		t.Errorf("%q", got)
	}
}

// TestPages: tokens both ways, and at either end the same token again, which is how clients know it.
func TestPages(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprint("line ", i))
	}
	w.write("g", "s", want...)
	get := func(token *string, head bool) (texts []string, f, b *string) {
		in := &shape.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), Limit: new(int32(10)), NextToken: token}
		if head {
			in.StartFromHead = new(true)
		}
		out := do[shape.GetLogEventsOutput](w, "GetLogEvents", in)
		for _, e := range out.Events {
			texts = append(texts, *e.Message)
		}
		return texts, out.NextForwardToken, out.NextBackwardToken
	}
	texts, f, b := get(nil, false)
	if !slices.Equal(texts, want[15:]) {
		t.Errorf("the last page: %q", texts)
	}
	if more, again, _ := get(f, false); len(more) != 0 || *again != *f {
		t.Errorf("%q, %s then %s", more, *f, *again)
	}
	if texts, _, b = get(b, false); !slices.Equal(texts, want[5:15]) {
		t.Errorf("the page before: %q", texts)
	}
	if texts, f, b = get(b, false); !slices.Equal(texts, want[:5]) {
		t.Errorf("the first page: %q", texts)
	}
	if more, _, again := get(b, false); len(more) != 0 || *again != *b {
		t.Errorf("%q, %s then %s", more, *b, *again)
	}
	if texts, _, _ = get(f, false); !slices.Equal(texts, want[5:15]) {
		t.Errorf("and forward: %q", texts)
	}
	if texts, f, _ = get(nil, true); !slices.Equal(texts, want[:10]) {
		t.Errorf("from the head: %q", texts)
	}
	w.now = w.now.Add(time.Minute)
	_, f, _ = get(nil, false)
	w.write("g", "s", "new")
	if texts, _, _ = get(f, false); !slices.Equal(texts, []string{"new"}) {
		t.Errorf("what came since: %q", texts)
	}
	w.refused("GetLogEvents", &shape.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), NextToken: new("x/1")}, "InvalidParameterException", "nextToken is invalid")
	w.refused("GetLogEvents", &shape.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("none")}, "ResourceNotFoundException", "The specified log stream does not exist.")
	w.refused("GetLogEvents", &shape.GetLogEventsInput{LogGroupName: new("h"), LogStreamName: new("s")}, "ResourceNotFoundException", "The specified log group does not exist.")
}

func TestPatterns(t *testing.T) {
	w := newWorld(t)
	w.write("g", "s", "ERROR disk full", "WARN disk slow", "INFO started", `he said "stop"`, "ERROR net")
	for p, want := range map[string]string{
		"":                       "ERROR disk full|WARN disk slow|INFO started|he said \"stop\"|ERROR net",
		"ERROR":                  "ERROR disk full|ERROR net",
		"error":                  "",
		"ERROR disk":             "ERROR disk full",
		"disk ERROR":             "ERROR disk full",
		`"disk slow"`:            "WARN disk slow",
		"ERROR -disk":            "ERROR net",
		`-"disk full" -WARN -he`: "INFO started|ERROR net",
		"?WARN ?INFO":            "WARN disk slow|INFO started",
		"?WARN ?ERROR -full":     "WARN disk slow|ERROR net",
		`"said \"stop\""`:        `he said "stop"`,
		`?"no such thing" ?net`:  "ERROR net",
	} {
		if got := strings.Join(w.filter(&shape.FilterLogEventsInput{LogGroupName: new("g"), FilterPattern: &p}), "|"); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
	for p, part := range map[string]string{`{ $.a = 1 }`: "JSON", "[a, b]": "space-delimited", "%x%": "regular expressions", `"open`: "not closed", "a:b": "Invalid character(s) in term 'a:b'", `""`: "empty", "-": "empty"} {
		w.refused("FilterLogEvents", &shape.FilterLogEventsInput{LogGroupName: new("g"), FilterPattern: &p}, "InvalidParameterException", part)
	}
}

func TestPutLogEvents(t *testing.T) {
	w := newWorld(t)
	do[shape.CreateLogGroupOutput](w, "CreateLogGroup", &shape.CreateLogGroupInput{LogGroupName: new("g"), Tags: map[string]string{"a": "b"}})
	w.refused("CreateLogGroup", &shape.CreateLogGroupInput{LogGroupName: new("g")}, "ResourceAlreadyExistsException", "The specified log group already exists")
	do[shape.CreateLogStreamOutput](w, "CreateLogStream", &shape.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")})
	w.refused("CreateLogStream", &shape.CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")}, "ResourceAlreadyExistsException", "stream already exists")
	in := func(ages ...time.Duration) *shape.PutLogEventsInput {
		in := &shape.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s")}
		for _, age := range ages {
			in.LogEvents = append(in.LogEvents, shape.InputLogEvent{Timestamp: new(w.now.Add(-age).UnixMilli()), Message: new(age.String())})
		}
		return in
	}
	w.refused("PutLogEvents", in(time.Minute, time.Hour), "InvalidParameterException", "must be in chronological order")
	w.refused("PutLogEvents", in(25*time.Hour, 0), "InvalidParameterException", "cannot span more than 24 hours")
	big := in(0)
	big.LogEvents[0].Message = new(strings.Repeat("x", 1<<20))
	w.refused("PutLogEvents", big, "InvalidParameterException", "Upload too large: 1048602 bytes exceeds limit of 1048576")
	out := do[shape.PutLogEventsOutput](w, "PutLogEvents", in(time.Hour, 0, -3*time.Hour))
	if r := out.RejectedLogEventsInfo; r == nil || *r.TooNewLogEventStartIndex != 2 || r.TooOldLogEventEndIndex != nil {
		t.Errorf("%+v", r)
	}
	if out = do[shape.PutLogEventsOutput](w, "PutLogEvents", in(14*24*time.Hour+time.Minute, 14*24*time.Hour)); *out.RejectedLogEventsInfo.TooOldLogEventEndIndex != 1 {
		t.Errorf("%+v", out.RejectedLogEventsInfo)
	}
	do[shape.PutRetentionPolicyOutput](w, "PutRetentionPolicy", &shape.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(int32(1))})
	if out = do[shape.PutLogEventsOutput](w, "PutLogEvents", in(25*time.Hour, 2*time.Hour)); *out.RejectedLogEventsInfo.ExpiredLogEventEndIndex != 1 {
		t.Errorf("%+v", out.RejectedLogEventsInfo)
	}
	if got := w.filter(&shape.FilterLogEventsInput{LogGroupName: new("g")}); !slices.Equal(got, []string{"2h0m0s", "1h0m0s", "0s"}) {
		t.Errorf("late events stand where they belong: %q", got)
	}
	w.refused("PutRetentionPolicy", &shape.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(int32(2))}, "InvalidParameterException", "enum value set: [1, 3, 5,")
	do[shape.TagResourceOutput](w, "TagResource", &shape.TagResourceInput{ResourceArn: new(here.ARN("logs", "log-group:g:*")), Tags: map[string]string{"c": "d"}})
	do[shape.UntagLogGroupOutput](w, "UntagLogGroup", &shape.UntagLogGroupInput{LogGroupName: new("g"), Tags: []string{"a"}})
	if tags := do[shape.ListTagsForResourceOutput](w, "ListTagsForResource", &shape.ListTagsForResourceInput{ResourceArn: new(here.ARN("logs", "log-group:g"))}).Tags; len(tags) != 1 || tags["c"] != "d" {
		t.Error(tags)
	}
	do[shape.DeleteLogStreamOutput](w, "DeleteLogStream", &shape.DeleteLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")})
	if g, _ := w.logs.groups.Table.Get(here.String() + "/g"); g.Bytes != 0 || g.Blocks != 0 {
		t.Errorf("%+v", g)
	}
	do[shape.DeleteLogGroupOutput](w, "DeleteLogGroup", &shape.DeleteLogGroupInput{LogGroupName: new("g")})
	if len(w.stored) != 0 || !w.cloud.Wake().IsZero() {
		t.Errorf("left over: %v", w.stored)
	}
}

// TestRetention: events are not seen from the instant on at which they expire, and go a little later; empty streams stay.
func TestRetention(t *testing.T) {
	w := newWorld(t)
	w.write("g", "s", "old")
	do[shape.PutRetentionPolicyOutput](w, "PutRetentionPolicy", &shape.PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(int32(3))})
	w.now = noon.Add(71 * time.Hour)
	w.step(cloud.Tick{})
	w.write("g", "s", "new")
	if got := w.filter(&shape.FilterLogEventsInput{LogGroupName: new("g")}); len(got) != 2 {
		t.Errorf("%q", got)
	}
	w.now = noon.Add(72*time.Hour + time.Millisecond)
	if got := w.filter(&shape.FilterLogEventsInput{LogGroupName: new("g")}); !slices.Equal(got, []string{"new"}) {
		t.Errorf("%q", got)
	}
	for range 100 {
		if w.cloud.Wake().IsZero() {
			break
		}
		w.now = w.cloud.Wake()
		w.step(cloud.Tick{})
	}
	if w.logs.blocks.Len() != 0 || w.logs.streams.Len() != 1 || w.now.After(noon.Add(8*24*time.Hour)) {
		t.Errorf("%d blocks, %d streams, %v", w.logs.blocks.Len(), w.logs.streams.Len(), w.now)
	}
	w.write("g", "s", "newer")
	if w.cloud.Wake().IsZero() {
		t.Error("nobody will look for it")
	}
}

// TestAGroupIsBounded: the oldest make room, and what is counted is what is there.
func TestAGroupIsBounded(t *testing.T) {
	w := newWorld(t)
	line := strings.Repeat("x", 10_000)
	for i := range 2500 {
		w.now = w.now.Add(time.Second)
		w.write("g", fmt.Sprint("s", i/100), fmt.Sprint(i, " ", line))
	}
	w.write("h", "s", "mine")
	var bytes, blocks int64
	for _, b := range w.logs.blocks.Everywhere() {
		if b.Group == "g" {
			bytes, blocks = bytes+b.Bytes, blocks+1
		}
	}
	g, _ := w.logs.groups.Table.Get(here.String() + "/g")
	if g.held() > maxGroup || g.held() < maxGroup-maxBlock*2 || bytes != g.Bytes || blocks != g.Blocks {
		t.Errorf("%d bytes in %d blocks, counted %d in %d", bytes, blocks, g.Bytes, g.Blocks)
	}
	got := w.filter(&shape.FilterLogEventsInput{LogGroupName: new("g")})
	if first, _, _ := strings.Cut(got[0], " "); !strings.HasPrefix(got[len(got)-1], "2499 ") || first == "0" || len(got) != 2500-int(mustInt(t, first)) {
		t.Errorf("%d lines from %s", len(got), first)
	}
	if n := w.logs.streams.Len(); n < 10 || n > 20 {
		t.Errorf("%d streams: those that are empty should be gone", n)
	}
	if got := w.filter(&shape.FilterLogEventsInput{LogGroupName: new("h")}); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func mustInt(t *testing.T, s string) (n int64) {
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAgainstTwin: events in any order and size, read in every way, against a list that is sorted.
func TestAgainstTwin(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	type event struct {
		at     int64
		stream string
		n      int
		text   string
	}
	var twin []event
	numbers := map[string]int{}
	for i := range 300 {
		w.now = w.now.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
		stream := fmt.Sprint("s", r.IntN(4))
		base := w.now.Add(-time.Duration(r.IntN(600)*r.IntN(2)) * time.Second)
		var events []Event
		for range 1 + r.IntN(5) {
			events = append(events, Event{base.Add(time.Duration(r.IntN(5)) * time.Millisecond), fmt.Sprint(i, strings.Repeat("y", r.IntN(3000)))})
		}
		slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
		for _, e := range events {
			twin = append(twin, event{e.At.UnixMilli(), stream, numbers[stream], e.Message})
			numbers[stream]++
		}
		w.step(cloud.Observed{Facts: []cloud.Fact{Written{here, "g", stream, events}}})
	}
	slices.SortFunc(twin, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.stream, b.stream), cmp.Compare(a.n, b.n))
	})
	want := func(fits func(event) bool) (texts []string) {
		for _, e := range twin {
			if fits(e) {
				texts = append(texts, e.text)
			}
		}
		return texts
	}
	from, to := noon.Add(100*time.Second).UnixMilli(), noon.Add(200*time.Second).UnixMilli()
	for _, limit := range []int32{7, 100, 10000} {
		if got := w.filter(&shape.FilterLogEventsInput{LogGroupName: new("g"), Limit: &limit}); !slices.Equal(got, want(func(event) bool { return true })) {
			t.Errorf("all, by %d: %d lines", limit, len(got))
		}
		if got := w.filter(&shape.FilterLogEventsInput{LogGroupName: new("g"), Limit: &limit, StartTime: &from, EndTime: &to, LogStreamNames: []string{"s1", "s3"}}); !slices.Equal(got, want(func(e event) bool { return e.at >= from && e.at < to && (e.stream == "s1" || e.stream == "s3") })) {
			t.Errorf("a window, by %d: %d lines", limit, len(got))
		}
		var got []string
		var token *string
		for range 1000 {
			out := do[shape.GetLogEventsOutput](w, "GetLogEvents", &shape.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s2"), Limit: &limit, StartFromHead: new(true), NextToken: token})
			for _, e := range out.Events {
				got = append(got, *e.Message)
			}
			if token != nil && *token == *out.NextForwardToken {
				break
			}
			token = out.NextForwardToken
		}
		if !slices.Equal(got, want(func(e event) bool { return e.stream == "s2" })) {
			t.Errorf("a stream, by %d: %d lines", limit, len(got))
		}
	}
	ids := map[string]bool{}
	for _, e := range do[shape.FilterLogEventsOutput](w, "FilterLogEvents", &shape.FilterLogEventsInput{LogGroupName: new("g")}).Events {
		if ids[*e.EventId] || len(*e.EventId) != 56 {
			t.Errorf("event ID %s", *e.EventId)
		}
		ids[*e.EventId] = true
	}
	again := newWorld(t)
	for k, b := range w.stored {
		if err := again.cloud.Load(k[0], k[1], b); err != nil {
			t.Fatal(err)
		}
	}
	if again.now = w.now; !slices.Equal(again.filter(&shape.FilterLogEventsInput{LogGroupName: new("g")}), want(func(event) bool { return true })) {
		t.Error("not the same after a restart")
	}
}
