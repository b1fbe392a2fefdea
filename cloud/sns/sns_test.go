package sns

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sns"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sqs"
)

var (
	here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

const topicARN = "arn:aws:sns:us-east-1:123456789012:news"

// world is a cloud with an HTTP subscriber who answers with a status.
type world struct {
	t      *testing.T
	cloud  *cloud.Cloud
	sns    *Service
	now    time.Time
	wishes []DeliverHTTP
	stored map[string]string
	above  *listener
}

// listener is a service above that hears what functions are told.
type listener struct {
	cloud.Base
	heard []Notify
}

func (*listener) Name() string { return "listener" }
func (l *listener) Notice(_ *cloud.Tx, e cloud.Event) {
	if n, ok := e.(Notify); ok {
		l.heard = append(l.heard, n)
	}
}

// trigger is a service above CloudWatch that lets facts run inside a step.
type trigger struct{ cloud.Base }

func (trigger) Name() string { return "trigger" }
func (trigger) Observe(tx *cloud.Tx, f cloud.Fact) {
	if f, ok := f.(func(*cloud.Tx)); ok {
		tx.In(here, func() { f(tx) })
	}
}

func newWorld(t *testing.T) *world {
	s, queues, above := New(), sqs.New(), &listener{}
	identities := iam.New()
	s.Queues, s.Identities, queues.Identities = queues, identities, identities
	return &world{t: t, cloud: cloud.New(1, identities, cloudwatch.New(), queues, s, trigger{}, above), sns: s, now: noon, stored: map[string]string{}, above: above}
}

func (w *world) step(in cloud.Input) (any, error) {
	out := w.cloud.Step(w.now, in)
	for _, e := range out.Effects {
		if d, ok := e.(DeliverHTTP); ok {
			w.wishes = append(w.wishes, d)
		}
	}
	for _, ch := range out.Changes {
		b, err := json.Marshal(ch.Row)
		if err != nil {
			w.t.Fatal(err)
		}
		w.stored[ch.Table+"|"+ch.Key] = string(b)
		if ch.Row == nil {
			delete(w.stored, ch.Table+"|"+ch.Key)
		}
	}
	return out.Reply, out.Err
}

func (w *world) try(op string, in any) (any, error) {
	return w.step(cloud.Call{Scope: here, Service: Name, Operation: op, In: in})
}

func call[Out any](w *world, op string, in any) *Out {
	w.t.Helper()
	reply, err := w.try(op, in)
	if err != nil {
		w.t.Fatalf("%s: %v", op, err)
	}
	return reply.(*Out)
}

// answer gives the outcome of the last wish.
func (w *world) answer(status int) {
	w.t.Helper()
	last := w.wishes[len(w.wishes)-1]
	if _, err := w.step(cloud.Observed{Facts: []cloud.Fact{Delivered{MessageID: last.MessageID, SubscriptionARN: last.SubscriptionARN,
		Attempt: last.Attempt, Status: status}}}); err != nil {
		w.t.Fatal(err)
	}
}

// tick goes to the next timer.
func (w *world) tick() {
	w.t.Helper()
	if w.now = w.cloud.Wake(); w.now.IsZero() {
		w.t.Fatal("nothing will happen")
	}
	if _, err := w.step(cloud.Tick{}); err != nil {
		w.t.Fatal(err)
	}
}

// subscriber makes the topic and a confirmed subscription of an endpoint.
func (w *world) subscriber(attributes map[string]string) string {
	w.t.Helper()
	call[shape.CreateTopicOutput](w, "CreateTopic", &shape.CreateTopicInput{Name: new("news")})
	call[shape.SubscribeOutput](w, "Subscribe", &shape.SubscribeInput{TopicArn: new(topicARN), Protocol: new("http"),
		Endpoint: new("http://127.0.0.1:9/hook"), Attributes: attributes})
	var body struct{ Token string }
	if err := json.Unmarshal([]byte(w.wishes[len(w.wishes)-1].Body), &body); err != nil {
		w.t.Fatal(err)
	}
	w.answer(200)
	return *call[shape.ConfirmSubscriptionOutput](w, "ConfirmSubscription", &shape.ConfirmSubscriptionInput{TopicArn: new(topicARN),
		Token: &body.Token}).SubscriptionArn
}

func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	e, ok := err.(*api.Error)
	if !ok || e.Code != code || message != "" && e.Message != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
}

func TestTopics(t *testing.T) {
	w := newWorld(t)
	in := &shape.CreateTopicInput{Name: new("news"), Attributes: map[string]string{"DisplayName": "News"}, Tags: []shape.Tag{{Key: new("a"), Value: new("1")}}}
	if arn := *call[shape.CreateTopicOutput](w, "CreateTopic", in).TopicArn; arn != topicARN {
		t.Error(arn)
	}
	call[shape.CreateTopicOutput](w, "CreateTopic", in) // again is no error
	call[shape.CreateTopicOutput](w, "CreateTopic", &shape.CreateTopicInput{Name: new("news")})
	_, err := w.try("CreateTopic", &shape.CreateTopicInput{Name: new("news"), Attributes: map[string]string{"DisplayName": "Other"}})
	wantError(t, err, "InvalidParameter", "Invalid parameter: Attributes Reason: Topic already exists with different attributes")
	_, err = w.try("CreateTopic", &shape.CreateTopicInput{Name: new("news"), Tags: []shape.Tag{{Key: new("a"), Value: new("2")}}})
	wantError(t, err, "InvalidParameter", "Invalid parameter: Tags Reason: Topic already exists with different tags")
	_, err = w.try("CreateTopic", &shape.CreateTopicInput{Name: new("not good")})
	wantError(t, err, "InvalidParameter", "Invalid parameter: Topic Name")
	_, err = w.try("CreateTopic", &shape.CreateTopicInput{Name: new("x.fifo")})
	wantError(t, err, "NotImplemented", "")
	call[shape.SetTopicAttributesOutput](w, "SetTopicAttributes", &shape.SetTopicAttributesInput{TopicArn: new(topicARN), AttributeName: new("DisplayName"), AttributeValue: new("N")})
	got := call[shape.GetTopicAttributesOutput](w, "GetTopicAttributes", &shape.GetTopicAttributesInput{TopicArn: new(topicARN)}).Attributes
	if got["DisplayName"] != "N" || got["TopicArn"] != topicARN || got["SubscriptionsConfirmed"] != "0" || !json.Valid([]byte(got["Policy"])) ||
		!json.Valid([]byte(got["EffectiveDeliveryPolicy"])) {
		t.Error(got)
	}
	call[shape.TagResourceOutput](w, "TagResource", &shape.TagResourceInput{ResourceArn: new(topicARN), Tags: []shape.Tag{{Key: new("b"), Value: new("2")}}})
	call[shape.UntagResourceOutput](w, "UntagResource", &shape.UntagResourceInput{ResourceArn: new(topicARN), TagKeys: []string{"a"}})
	if tags := call[shape.ListTagsForResourceOutput](w, "ListTagsForResource", &shape.ListTagsForResourceInput{ResourceArn: new(topicARN)}).Tags; len(tags) != 1 || *tags[0].Key != "b" {
		t.Errorf("%+v", tags)
	}
	_, err = w.try("GetTopicAttributes", &shape.GetTopicAttributesInput{TopicArn: new(topicARN + "2")})
	wantError(t, err, "NotFound", "Topic does not exist")
	_, err = w.try("GetTopicAttributes", &shape.GetTopicAttributesInput{TopicArn: new("news")})
	wantError(t, err, "InvalidParameter", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1")
}

func TestListsHavePages(t *testing.T) {
	w := newWorld(t)
	for i := range 250 {
		call[shape.CreateTopicOutput](w, "CreateTopic", &shape.CreateTopicInput{Name: new(fmt.Sprintf("t%03d", i))})
		call[shape.SubscribeOutput](w, "Subscribe", &shape.SubscribeInput{TopicArn: new("arn:aws:sns:us-east-1:123456789012:t000"),
			Protocol: new("email"), Endpoint: new(fmt.Sprintf("u%d@example.com", i))})
	}
	sizes := []int{}
	topics, subs, of := &shape.ListTopicsInput{}, &shape.ListSubscriptionsInput{}, &shape.ListSubscriptionsByTopicInput{TopicArn: new("arn:aws:sns:us-east-1:123456789012:t000")}
	for range 3 {
		a := call[shape.ListTopicsOutput](w, "ListTopics", topics)
		b := call[shape.ListSubscriptionsOutput](w, "ListSubscriptions", subs)
		c := call[shape.ListSubscriptionsByTopicOutput](w, "ListSubscriptionsByTopic", of)
		sizes = append(sizes, len(a.Topics), len(b.Subscriptions), len(c.Subscriptions))
		topics.NextToken, subs.NextToken, of.NextToken = a.NextToken, b.NextToken, c.NextToken
	}
	if !slices.Equal(sizes, []int{100, 100, 100, 100, 100, 100, 50, 50, 50}) || topics.NextToken != nil || subs.NextToken != nil || of.NextToken != nil {
		t.Error(sizes)
	}
}

func TestSubscribeAndPublish(t *testing.T) {
	w := newWorld(t)
	call[shape.CreateTopicOutput](w, "CreateTopic", &shape.CreateTopicInput{Name: new("news")})
	in := &shape.SubscribeInput{TopicArn: new(topicARN), Protocol: new("http"), Endpoint: new("http://127.0.0.1:9/hook")}
	if got := *call[shape.SubscribeOutput](w, "Subscribe", in).SubscriptionArn; got != "pending confirmation" {
		t.Error(got)
	}
	ask := w.wishes[0]
	var body map[string]string
	if err := json.Unmarshal([]byte(ask.Body), &body); err != nil {
		t.Fatal(err)
	}
	if body["Type"] != "SubscriptionConfirmation" || body["TopicArn"] != topicARN || len(body["Token"]) != 64 || body["SubscribeURL"] !=
		"http://127.0.0.1:4566/?Action=ConfirmSubscription&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3Anews&Token="+body["Token"] {
		t.Error(ask.Body)
	}
	if !slices.Contains(ask.Headers, Header{"x-amz-sns-message-type", "SubscriptionConfirmation"}) || ask.URL != "http://127.0.0.1:9/hook" {
		t.Errorf("%+v", ask)
	}
	w.answer(200)
	// Nothing is sent before the confirmation.
	call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TopicArn: new(topicARN), Message: new("early")})
	_, err := w.try("ConfirmSubscription", &shape.ConfirmSubscriptionInput{TopicArn: new(topicARN), Token: new("wrong")})
	wantError(t, err, "InvalidParameter", "Invalid parameter: Token")
	if len(w.wishes) != 1 {
		t.Fatalf("%+v", w.wishes)
	}
	// Who visits the SubscribeURL may be taken for another region.
	reply, err := w.step(cloud.Call{Scope: cloud.Scope{Account: here.Account, Region: "eu-west-1"}, Service: Name, Operation: "ConfirmSubscription",
		In: &shape.ConfirmSubscriptionInput{TopicArn: new(topicARN), Token: new(body["Token"])}})
	if err != nil {
		t.Fatal(err)
	}
	arn := *reply.(*shape.ConfirmSubscriptionOutput).SubscriptionArn
	if got := *call[shape.SubscribeOutput](w, "Subscribe", in).SubscriptionArn; got != arn || len(w.wishes) != 1 {
		t.Errorf("subscribed again: %s, %d wishes", got, len(w.wishes))
	}
	id := *call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TopicArn: new(topicARN), Message: new("hello <you>"), Subject: new("greeting"),
		MessageAttributes: map[string]shape.MessageAttributeValue{"n": {DataType: new("Number"), StringValue: new("3")}, "b": {DataType: new("Binary"), BinaryValue: []byte("x")}}}).MessageId
	var sent struct {
		Type, MessageId, TopicArn, Subject, Message, Timestamp, UnsubscribeURL string
		MessageAttributes                                                      map[string]struct{ Type, Value string }
	}
	if err := json.Unmarshal([]byte(w.wishes[1].Body), &sent); err != nil {
		t.Fatal(err)
	}
	if sent.Type != "Notification" || sent.MessageId != id || sent.Subject != "greeting" || sent.Message != "hello <you>" || sent.Timestamp != "2026-11-20T12:00:00.000Z" ||
		sent.MessageAttributes["n"].Value != "3" || sent.MessageAttributes["b"].Value != "eA==" || !strings.Contains(sent.UnsubscribeURL, "Action=Unsubscribe&SubscriptionArn=") {
		t.Error(w.wishes[1].Body)
	}
	w.answer(204)
	if !w.cloud.Wake().IsZero() {
		t.Errorf("wakes at %v", w.cloud.Wake())
	}
	call[shape.UnsubscribeOutput](w, "Unsubscribe", &shape.UnsubscribeInput{SubscriptionArn: &arn})
	call[shape.UnsubscribeOutput](w, "Unsubscribe", &shape.UnsubscribeInput{SubscriptionArn: &arn})
	call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TargetArn: new(topicARN), Message: new("late")})
	if len(w.wishes) != 2 {
		t.Errorf("%d wishes", len(w.wishes))
	}
}

// TestRetries: three retries, 20 s apart, and then it is given up; what will not change is not tried again.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	w.subscriber(nil)
	w.wishes = nil
	call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TopicArn: new(topicARN), Message: new("m")})
	for range 3 {
		w.answer(500)
		w.answer(500) // a late copy of the answer changes nothing
		w.tick()
		older := w.wishes[len(w.wishes)-2] // and one of the attempt before even less
		if _, err := w.step(cloud.Observed{Facts: []cloud.Fact{Delivered{MessageID: older.MessageID, SubscriptionARN: older.SubscriptionARN,
			Attempt: older.Attempt, Status: 200}}}); err != nil {
			t.Fatal(err)
		}
	}
	w.answer(0)
	var got []string
	for _, x := range w.wishes {
		got = append(got, fmt.Sprint(x.Attempt))
	}
	if strings.Join(got, " ") != "1 2 3 4" || !w.now.Equal(noon.Add(time.Minute)) || !w.cloud.Wake().IsZero() {
		t.Errorf("attempts %v until %v, wakes %v", got, w.now, w.cloud.Wake())
	}
	for status, retried := range map[int]bool{200: false, 301: false, 404: false, 429: true, 503: true} {
		w.wishes = nil
		call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TopicArn: new(topicARN), Message: new("m")})
		w.answer(status)
		if wakes := !w.cloud.Wake().IsZero(); wakes != retried {
			t.Errorf("%d: retried %v", status, wakes)
		}
		if retried {
			w.tick()
			w.answer(200)
		}
	}
}

// TestLostWishes are made again, also after a restart, and not for ever.
func TestLostWishes(t *testing.T) {
	w := newWorld(t)
	w.subscriber(nil)
	w.wishes = nil
	call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TopicArn: new(topicARN), Message: new("m")})
	again := newWorld(t)
	for key, row := range w.stored {
		name, key, _ := strings.Cut(key, "|")
		if err := again.cloud.Load(name, key, []byte(row)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(dump(t, w.cloud), dump(t, again.cloud)); diff != "" {
		t.Error(diff)
	}
	again.step(cloud.Tick{})
	if len(again.wishes) != 0 {
		t.Error("wished again although it may be under way")
	}
	for range 4 {
		again.tick()
	}
	if len(again.wishes) != 3 || !again.cloud.Wake().IsZero() {
		t.Errorf("%d wishes, wakes %v", len(again.wishes), again.cloud.Wake())
	}
	if took := again.now.Sub(noon); took != 4*lostAfter { // soon enough to be of use, late enough not to double a slow answer
		t.Errorf("given up after %v", took)
	}
}

func dump(t *testing.T, c *cloud.Cloud) map[string]string {
	rows := map[string]string{}
	c.Dump(func(name, key string, row any) bool {
		b, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		rows[name+"|"+key] = string(b)
		return true
	})
	return rows
}

func TestUnconfirmedSubscriptionsGo(t *testing.T) {
	w := newWorld(t)
	call[shape.CreateTopicOutput](w, "CreateTopic", &shape.CreateTopicInput{Name: new("news")})
	call[shape.SubscribeOutput](w, "Subscribe", &shape.SubscribeInput{TopicArn: new(topicARN), Protocol: new("email"), Endpoint: new("me@example.com")})
	list := func() []shape.Subscription {
		return call[shape.ListSubscriptionsOutput](w, "ListSubscriptions", &shape.ListSubscriptionsInput{}).Subscriptions
	}
	if l := list(); len(l) != 1 || *l[0].SubscriptionArn != "PendingConfirmation" || len(w.wishes) != 0 {
		t.Errorf("%+v, %d wishes", l, len(w.wishes))
	}
	w.tick()
	if l := list(); len(l) != 0 || !w.now.Equal(noon.Add(48*time.Hour)) {
		t.Errorf("%d left at %v", len(l), w.now)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	arn := w.subscriber(nil)
	for want, in := range map[string]*shape.SubscribeInput{
		"Invalid parameter: Endpoint must match the specified protocol":                                                                   {Protocol: new("https"), Endpoint: new("http://a")},
		"Invalid parameter: Amazon SNS does not support this protocol string: pigeon":                                                     {Protocol: new("pigeon"), Endpoint: new("x")},
		"Subscriptions with the protocol firehose are not implemented.":                                                                   {Protocol: new("firehose"), Endpoint: new("arn:aws:firehose:us-east-1:1:q")},
		"Invalid parameter: SQS endpoint ARN":                                                                                             {Protocol: new("sqs"), Endpoint: new("http://127.0.0.1/q")},
		"Invalid parameter: Lambda endpoint ARN":                                                                                          {Protocol: new("lambda"), Endpoint: new("arn:aws:lambda:us-east-1:1:f")},
		"Invalid parameter: Attributes Reason: FilterPolicy: Filter policy scope MessageAttributes does not support nested filter policy": {Protocol: new("sms"), Endpoint: new("+12"), Attributes: map[string]string{"FilterPolicy": `{"a":{"b":["c"]}}`}},
		"Invalid parameter: Attributes Reason: FilterPolicy: Filter policy can not have more than 5 keys":                                 {Protocol: new("sms"), Endpoint: new("+12"), Attributes: map[string]string{"FilterPolicy": `{"a":["1"],"b":["1"],"c":["1"],"d":["1"],"e":["1"],"f":["1"]}`}},
		"Invalid parameter: Attributes Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn":                                      {Protocol: new("sms"), Endpoint: new("+12"), Attributes: map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"q"}`}},
		"Invalid parameter: AttributeName":                                                                                                {Protocol: new("sms"), Endpoint: new("+12"), Attributes: map[string]string{"Nope": "1"}},
		"Invalid parameter: Attributes Reason: RawMessageDelivery: Invalid value [maybe]. Must be true or false.":                         {Protocol: new("sms"), Endpoint: new("+12"), Attributes: map[string]string{"RawMessageDelivery": "maybe"}},
	} {
		in.TopicArn = new(topicARN)
		if _, err := w.try("Subscribe", in); err == nil || err.(*api.Error).Message != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	long := strings.Repeat("x", 101)
	for want, in := range map[string]*shape.PublishInput{
		"Invalid parameter: Subject":                                                       {Message: new("m"), Subject: &long},
		"Invalid parameter: Empty message":                                                 {Message: new("")},
		"Invalid parameter: Message too long":                                              {Message: new(strings.Repeat("x", maxMessage+1))},
		"Invalid parameter: Message Structure - No default entry in JSON message body":     {Message: new(`{"http":"x"}`), MessageStructure: new("json")},
		"Invalid parameter: Message Structure - JSON message body failed to parse":         {Message: new(`{`), MessageStructure: new("json")},
		"Could not cast message attribute 'n' value to number.":                            {Message: new("m"), MessageAttributes: map[string]shape.MessageAttributeValue{"n": {DataType: new("Number"), StringValue: new("three")}}},
		"Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter": {Message: new("m"), TargetArn: new("x")},
	} {
		in.TopicArn = new(topicARN)
		if _, err := w.try("Publish", in); err == nil || err.(*api.Error).Message != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	_, err := w.try("GetSubscriptionAttributes", &shape.GetSubscriptionAttributesInput{SubscriptionArn: new(arn + "x")})
	wantError(t, err, "NotFound", "Subscription does not exist")
	_, err = w.try("Publish", &shape.PublishInput{TopicArn: new(topicARN + "x"), Message: new("m")})
	wantError(t, err, "NotFound", "Topic does not exist")
}

func TestRawDeliveryAndFilters(t *testing.T) {
	w := newWorld(t)
	arn := w.subscriber(map[string]string{"RawMessageDelivery": "true", "FilterPolicy": `{"kind":["a",{"prefix":"x-"}],"size":[{"numeric":[">",1,"<=",5]}]}`})
	got := call[shape.GetSubscriptionAttributesOutput](w, "GetSubscriptionAttributes", &shape.GetSubscriptionAttributesInput{SubscriptionArn: &arn}).Attributes
	if got["RawMessageDelivery"] != "true" || got["FilterPolicyScope"] != "MessageAttributes" || got["PendingConfirmation"] != "false" {
		t.Error(got)
	}
	publish := func(attributes map[string]string) bool {
		w.wishes = nil
		in := &shape.PublishInput{TopicArn: new(topicARN), Message: new(`{"default":"d","http":"raw"}`), MessageStructure: new("json"),
			MessageAttributes: map[string]shape.MessageAttributeValue{}}
		for name, v := range attributes {
			kind := "String"
			if name == "size" {
				kind = "Number"
			} else if strings.HasPrefix(v, "[") {
				kind = "String.Array"
			}
			in.MessageAttributes[name] = shape.MessageAttributeValue{DataType: &kind, StringValue: &v}
		}
		call[shape.PublishOutput](w, "Publish", in)
		if len(w.wishes) == 1 && w.wishes[0].Body != "raw" {
			t.Errorf("body %q", w.wishes[0].Body)
		}
		return len(w.wishes) == 1
	}
	for _, c := range []struct {
		policy     string
		attributes map[string]string
		want       bool
	}{
		{"", map[string]string{"kind": "a", "size": "5"}, true},
		{"", map[string]string{"kind": "x-1", "size": "1.5"}, true},
		{"", map[string]string{"kind": "b", "size": "5"}, false},
		{"", map[string]string{"kind": "a", "size": "6"}, false},
		{"", map[string]string{"kind": "a"}, false},
		{"", nil, false},
		{`{"kind":[{"anything-but":["a"]}]}`, map[string]string{"kind": "b"}, true},
		{`{"kind":[{"anything-but":["a", "c"]}]}`, map[string]string{"kind": `["a",[]]`}, false},
		{`{"kind":[{"suffix":"-x"}],"$or":[{"size":[1]},{"ip":[{"cidr":"10.0.0.0/8"}]}]}`, map[string]string{"kind": "a-x", "ip": "10.1.2.3"}, true},
		{`{"kind":[{"equals-ignore-case":"A"}]}`, map[string]string{"kind": "a"}, true},
		{`{"kind":[{"exists":false}]}`, nil, true},
		{`{"kind":["a"]}`, map[string]string{"kind": `["b","a"]`}, true},
		{"{}", nil, true},
	} {
		if c.policy != "" {
			call[shape.SetSubscriptionAttributesOutput](w, "SetSubscriptionAttributes", &shape.SetSubscriptionAttributesInput{SubscriptionArn: &arn,
				AttributeName: new("FilterPolicy"), AttributeValue: &c.policy})
		}
		if got := publish(c.attributes); got != c.want {
			t.Errorf("%s %v: %v", c.policy, c.attributes, got)
		}
	}
}

// TestAlarmAction: an alarm that names a topic is published there (CW-AL-21).
func TestAlarmAction(t *testing.T) {
	w := newWorld(t)
	w.subscriber(nil)
	w.wishes = nil
	alarm := cloudwatch.Alarm{AlarmName: "high", AlarmArn: "arn:aws:cloudwatch:us-east-1:123456789012:alarm:high", StateValue: "ALARM", StateReason: "because"}
	event := cloudwatch.AlarmAction{ActionARN: topicARN, Alarm: alarm, Old: "OK", New: "ALARM", At: noon}
	other := event
	other.ActionARN = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:x"
	w.step(cloud.Observed{Facts: []cloud.Fact{func(tx *cloud.Tx) {
		tx.Emit(cloudwatch.Name, event)
		tx.Emit(cloudwatch.Name, other)
	}}})
	if len(w.wishes) != 1 {
		t.Fatalf("%d wishes", len(w.wishes))
	}
	var outer struct{ Subject, Message string }
	var inner struct{ AlarmName, NewStateReason string }
	if err := json.Unmarshal([]byte(w.wishes[0].Body), &outer); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(outer.Message), &inner); err != nil {
		t.Fatal(err)
	}
	if outer.Subject != `ALARM: "high" in US East (N. Virginia)` || inner.AlarmName != "high" || inner.NewStateReason != "because" {
		t.Error(w.wishes[0].Body)
	}
}

// TestDeleteTopic takes subscriptions and deliveries along.
func TestDeleteTopic(t *testing.T) {
	w := newWorld(t)
	w.subscriber(nil)
	call[shape.PublishOutput](w, "Publish", &shape.PublishInput{TopicArn: new(topicARN), Message: new("m")})
	call[shape.DeleteTopicOutput](w, "DeleteTopic", &shape.DeleteTopicInput{TopicArn: new(topicARN)})
	call[shape.DeleteTopicOutput](w, "DeleteTopic", &shape.DeleteTopicInput{TopicArn: new(topicARN)})
	for key := range w.stored {
		if strings.HasPrefix(key, "sns.") {
			t.Errorf("left: %s", key)
		}
	}
	if !w.cloud.Wake().IsZero() {
		t.Errorf("wakes at %v", w.cloud.Wake())
	}
}
