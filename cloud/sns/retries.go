package sns

import (
	"cmp"
	"encoding/json"
	"math"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Retries is how often, and after what pauses, a message is sent again to an HTTP endpoint: at first without a pause, then
// after the shortest one, then after pauses that grow from the shortest to the longest, at last after the longest.
type Retries struct {
	MinDelay       int    `json:"minDelayTarget"` // seconds
	MaxDelay       int    `json:"maxDelayTarget"`
	Retries        int    `json:"numRetries"`
	MaxDelays      int    `json:"numMaxDelayRetries"`
	NoDelays       int    `json:"numNoDelayRetries"`
	MinDelays      int    `json:"numMinDelayRetries"`
	BackoffPattern string `json:"backoffFunction"`
}

// usualRetries is what SNS does when it was told nothing.
var usualRetries = Retries{MinDelay: 20, MaxDelay: 20, Retries: 3, BackoffPattern: "linear"}

// requestPolicy is the part of a policy that says what the body is called.
type requestPolicy struct {
	ContentType string `json:"headerContentType"`
}

const usualContentType = "text/plain; charset=UTF-8"

// topicPolicy is a topic's DeliveryPolicy, subscriptionPolicy one of a subscription's, which goes before it.
type (
	topicPolicy struct {
		HTTP struct {
			Retries  *Retries       `json:"defaultHealthyRetryPolicy,omitempty"`
			Fixed    bool           `json:"disableSubscriptionOverrides"`
			Throttle any            `json:"defaultThrottlePolicy,omitempty"`
			Request  *requestPolicy `json:"defaultRequestPolicy,omitempty"`
		} `json:"http"`
	}
	subscriptionPolicy struct {
		Retries    *Retries       `json:"healthyRetryPolicy,omitempty"`
		Sickly     any            `json:"sicklyRetryPolicy"`
		Throttle   any            `json:"throttlePolicy"`
		Request    *requestPolicy `json:"requestPolicy,omitempty"`
		Guaranteed bool           `json:"guaranteed"`
	}
)

// UnmarshalJSON begins with what is usual: a policy need not say all.
func (r *Retries) UnmarshalJSON(text []byte) error {
	type plain Retries
	p := plain(usualRetries)
	err := json.Unmarshal(text, &p)
	*r = Retries(p)
	return err
}

// check is the error of a policy that asks for what SNS does not do; member is what the policy is called.
func (r *Retries) check(member string) error {
	switch {
	case r == nil:
		return nil
	case r.MinDelay < 1 || r.MaxDelay > 3600 || r.MinDelay > r.MaxDelay:
		return badParameter("DeliveryPolicy: %s.minDelayTarget must be at least 1 and at most maxDelayTarget, which must be at most 3600", member)
	case r.Retries < 0 || r.Retries > 100:
		return badParameter("DeliveryPolicy: %s.numRetries must be between 0 and 100", member)
	case r.NoDelays < 0 || r.MinDelays < 0 || r.MaxDelays < 0 || r.NoDelays+r.MinDelays+r.MaxDelays > r.Retries:
		return badParameter("DeliveryPolicy: %s.numRetries must be greater than or equal to total of numMinDelayRetries, numNoDelayRetries and numMaxDelayRetries", member)
	}
	switch r.BackoffPattern {
	case "linear", "arithmetic", "geometric", "exponential":
		return nil
	}
	return badParameter("DeliveryPolicy: %s.backoffFunction must be one of: arithmetic, exponential, geometric or linear", member)
}

// checkDeliveryPolicy checks the DeliveryPolicy of a topic or, if not, of a subscription.
func checkDeliveryPolicy(text string, ofTopic bool) error {
	if text == "" {
		return nil
	}
	var (
		of  topicPolicy
		sub subscriptionPolicy
		err error
	)
	if ofTopic {
		err = json.Unmarshal([]byte(text), &of)
	} else {
		err = json.Unmarshal([]byte(text), &sub)
	}
	if err != nil {
		return badParameter("DeliveryPolicy: failed to parse JSON.")
	}
	if err := of.HTTP.Retries.check("http.defaultHealthyRetryPolicy"); err != nil {
		return err
	}
	return sub.Retries.check("healthyRetryPolicy")
}

// topicPolicyOf is what holds for the subscriptions of a topic that say nothing themselves.
func topicPolicyOf(t *Topic) (p topicPolicy) {
	_ = json.Unmarshal([]byte(cmp.Or(get(t.Attributes, "DeliveryPolicy"), "{}")), &p) // it was checked when it was set
	if p.HTTP.Retries == nil {
		p.HTTP.Retries = new(usualRetries)
	}
	if p.HTTP.Request == nil {
		p.HTTP.Request = &requestPolicy{usualContentType}
	}
	return p
}

// policyOf is what holds for a subscription.
func (s *Service) policyOf(tx *cloud.Tx, sub *Subscription) (p subscriptionPolicy) {
	t, _ := s.topic(tx, sub.TopicARN)
	of := topicPolicyOf(&t)
	if text := get(sub.Attributes, "DeliveryPolicy"); text != "" && !of.HTTP.Fixed {
		_ = json.Unmarshal([]byte(text), &p) // likewise
	}
	if p.Retries == nil {
		p.Retries = of.HTTP.Retries
	}
	if p.Request == nil {
		p.Request = of.HTTP.Request
	}
	return p
}

// pause is the time before a retry, from 1 on.
func (r *Retries) pause(retry int) time.Duration {
	low, high := float64(r.MinDelay), float64(r.MaxDelay)
	growing := r.Retries - r.NoDelays - r.MinDelays - r.MaxDelays
	n := retry - r.NoDelays - r.MinDelays // among the growing ones
	seconds := low
	switch {
	case retry <= r.NoDelays:
		seconds = 0
	case n > growing:
		seconds = high
	case n > 0 && growing > 1:
		x := float64(n-1) / float64(growing-1) // from 0 to 1; AWS shows curves and gives no formulas
		switch r.BackoffPattern {
		case "arithmetic":
			x *= x
		case "geometric":
			x = (math.Pow(high/low, x) - 1) / max(high/low-1, 1e-9)
		case "exponential":
			x = (math.Exp2(10*x) - 1) / 1023
		}
		seconds = low + (high-low)*x
	}
	return time.Duration(seconds * float64(time.Second)).Truncate(time.Millisecond)
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // what was read from JSON
	}
	return string(b)
}
