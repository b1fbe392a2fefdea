package iam

import (
	"testing"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
)

// TestWhatServicesMayDo: without a role the resource's policy decides, in a role that trusts the service the role's or the
// resource's, and a deny of either (EC-IA-02, EC-IA-03).
func TestWhatServicesMayDo(t *testing.T) {
	w := newWorld(t)
	role := func(name, service, statements string) {
		trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole",
			"Condition":{"StringEquals":{"aws:SourceAccount":"` + account + `"}}}}`
		good[shape.CreateRoleOutput](w, "CreateRole", &shape.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
		if statements != "" {
			good[shape.PutRolePolicyOutput](w, "PutRolePolicy", &shape.PutRolePolicyInput{RoleName: &name, PolicyName: new("p"), PolicyDocument: new(`{"Statement":[` + statements + `]}`)})
		}
	}
	role("sends", "events.amazonaws.com", `{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:*:*:q"}`)
	role("idle", "events.amazonaws.com", "")
	role("foreign", "autoscaling.amazonaws.com", `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	const queue = "arn:aws:sqs:eu-west-1:" + account + ":q"
	const rule = "arn:aws:events:eu-west-1:" + account + ":rule/r"
	const who = " is not authorized to perform: sqs:sendmessage on resource: " + queue
	admits := func(principal, source string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"sqs:SendMessage","Resource":"` + queue + `",
			"Condition":{"ArnEquals":{"aws:SourceArn":"` + source + `"},"StringEquals":{"aws:SourceAccount":"` + account + `"}}}]}`
	}
	for _, c := range []struct {
		what, role, policy, refused string
	}{
		{"no policy", "", "", "User: events.amazonaws.com" + who + " because no resource-based policy allows the sqs:sendmessage action"},
		{"its policy", "", admits(`{"Service":"events.amazonaws.com"}`, rule), ""},
		{"for everybody", "", admits(`{"AWS":"*"}`, rule), ""},
		{"another rule's policy", "", admits(`{"Service":"events.amazonaws.com"}`, rule+"2"), "User: events.amazonaws.com" + who + " because no resource-based policy allows the sqs:sendmessage action"},
		{"another service's policy", "", admits(`{"Service":"sns.amazonaws.com"}`, rule), "User: events.amazonaws.com" + who + " because no resource-based policy allows the sqs:sendmessage action"},
		{"its role", "sends", "", ""},
		{"its role by ARN", "arn:aws:iam::" + account + ":role/sends", "", ""},
		{"a role and a deny of the queue", "sends", `{"Statement":{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"}}`,
			"User: arn:aws:sts::" + account + ":assumed-role/sends/events" + who + " with an explicit deny in a resource-based policy"},
		{"a role with nothing", "idle", "", "User: arn:aws:sts::" + account + ":assumed-role/idle/events" + who + " because no identity-based policy allows the sqs:sendmessage action"},
		{"a role that the queue names", "idle", `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:role/idle"},"Action":"sqs:*","Resource":"*"}}`, ""},
		{"a role of another service", "foreign", "", "User: events.amazonaws.com is not authorized to perform: sts:AssumeRole on resource: foreign because no resource-based policy allows the sts:AssumeRole action"},
		{"a role that is not there", "gone", "", "User: events.amazonaws.com is not authorized to perform: sts:AssumeRole on resource: gone because no resource-based policy allows the sts:AssumeRole action"},
	} {
		err := w.do(func(tx *cloud.Tx) error {
			return w.s.MayAct(tx, Act{Service: "events.amazonaws.com", Role: c.role, Source: rule, Action: "sqs:SendMessage", Resource: queue, Policy: c.policy})
		})
		if got := messageOf(err); got != c.refused {
			t.Errorf("%s:\n got %q\nwant %q", c.what, got, c.refused)
		}
	}
}

func messageOf(err error) string {
	if e, ok := err.(*api.Error); ok {
		return e.Message
	}
	return ""
}
