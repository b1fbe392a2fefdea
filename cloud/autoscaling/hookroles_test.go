package autoscaling

import (
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/autoscaling"
	peopleapi "github.com/billow-cloud/billow/api/iam"
	topicapi "github.com/billow-cloud/billow/api/sns"
	queueapi "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// role makes a role that a service may assume, with statements of an inline policy if there are any.
func (w *world) role(name, service, statements string) (arn string) {
	w.t.Helper()
	arn = *must[peopleapi.CreateRoleOutput](w, iam.Name, "CreateRole", &peopleapi.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`)}).Role.Arn
	if statements != "" {
		w.let(name, statements)
	}
	return arn
}

// let gives a role its one inline policy.
func (w *world) let(role, statements string) {
	w.t.Helper()
	must[peopleapi.PutRolePolicyOutput](w, iam.Name, "PutRolePolicy", &peopleapi.PutRolePolicyInput{RoleName: &role, PolicyName: new("p"),
		PolicyDocument: new(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)})
}

// notifier makes a role with the policy that AWS has for hooks.
func (w *world) notifier(name string) (arn string) {
	w.t.Helper()
	arn = w.role(name, servicePrincipal, "")
	must[peopleapi.AttachRolePolicyOutput](w, iam.Name, "AttachRolePolicy", &peopleapi.AttachRolePolicyInput{RoleName: &name,
		PolicyArn: new("arn:aws:iam::aws:policy/service-role/AutoScalingNotificationAccessRole")})
	return arn
}

// TestHookRoles: a hook is put if its role trusts Auto Scaling and may tell the target, which is tried with a message (AS-HK-13,
// AS-HK-14). Without a role it is the service-linked one, which may publish to topics only.
func TestHookRoles(t *testing.T) {
	const (
		refused = "Unable to publish test message to notification target"
		all     = `{"Effect":"Allow","Action":["sqs:SendMessage","sqs:GetQueueUrl","sns:Publish"],"Resource":"*"}`
	)
	w := scaledWorld(t, 0, 3, 0, nil)
	must[queueapi.CreateQueueOutput](w, sqs.Name, "CreateQueue", &queueapi.CreateQueueInput{QueueName: new("q")})
	must[topicapi.CreateTopicOutput](w, sns.Name, "CreateTopic", &topicapi.CreateTopicInput{Name: new("t")})
	queue, topic := here.ARN(sqs.Name, "q"), here.ARN(sns.Name, "t")
	statement := func(effect string) string {
		return `{"Effect":"` + effect + `","Principal":{"AWS":"*"},"Action":["sqs:SendMessage","sqs:GetQueueUrl"],"Resource":"*"}`
	}
	for name, effect := range map[string]string{"open": "Allow", "shut": "Deny"} {
		must[queueapi.CreateQueueOutput](w, sqs.Name, "CreateQueue", &queueapi.CreateQueueInput{QueueName: &name,
			Attributes: map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[` + statement(effect) + `]}`}})
	}
	for i, c := range []struct{ what, target, role, want string }{
		{"AWS's policy for it", queue, w.notifier("notifier"), ""},
		{"AWS's policy for it, topic", topic, "arn:aws:iam::" + here.Account + ":role/notifier", ""},
		{"both actions on the queue", queue, w.role("both", servicePrincipal, `{"Effect":"Allow","Action":["sqs:SendMessage","sqs:GetQueueUrl"],"Resource":"`+queue+`"}`), ""},
		{"one action is not enough", queue, w.role("one", servicePrincipal, `{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"*"}`), refused},
		{"of another queue", queue, w.role("other", servicePrincipal, `{"Effect":"Allow","Action":"sqs:*","Resource":"`+queue+`2"}`), refused},
		{"the queue's actions do not publish", topic, "arn:aws:iam::" + here.Account + ":role/both", refused},
		{"publishing", topic, w.role("publisher", servicePrincipal, `{"Effect":"Allow","Action":"sns:Publish","Resource":"`+topic+`"}`), ""},
		{"no policy", topic, w.role("none", servicePrincipal, ""), refused},
		{"a deny wins", topic, w.role("denied", servicePrincipal, all+`,{"Effect":"Deny","Action":"sns:*","Resource":"*"}`), refused},
		{"a condition that holds", topic, w.role("here", servicePrincipal, `{"Effect":"Allow","Action":"sns:Publish","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}`), ""},
		{"a condition that does not", topic, w.role("there", servicePrincipal, `{"Effect":"Allow","Action":"sns:Publish","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}`), refused},
		{"a role of somebody else", topic, w.role("web", "ec2.amazonaws.com", all), refused},
		{"a role that is not there", topic, "arn:aws:iam::" + here.Account + ":role/nobody", refused},
		{"a queue that lets everybody in", here.ARN(sqs.Name, "open"), "arn:aws:iam::" + here.Account + ":role/none", ""},
		{"a queue that lets everybody in has no need of another role", here.ARN(sqs.Name, "open"), "", ""},
		{"a queue that lets nobody in", here.ARN(sqs.Name, "shut"), "arn:aws:iam::" + here.Account + ":role/notifier", refused},
		{"the service-linked role publishes", topic, "", ""},
		{"the service-linked role sends to no queue", queue, "", refused},
	} {
		in := &shape.PutLifecycleHookInput{AutoScalingGroupName: new("g"), LifecycleHookName: new("h" + string(rune('a'+i))), LifecycleTransition: new(launchingTransition), NotificationTargetARN: &c.target}
		if c.role != "" {
			in.RoleARN = &c.role
		}
		_, err := w.ask(Name, "PutLifecycleHook", in)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "ValidationError: "+c.want) || c.role != "" && !strings.Contains(err.Error(), "using IAM role "+c.role+".")):
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// TestHookWhoseRoleMayNoMore: what a role may is looked at again when the hook fires; if it is too little, or there is no role
// any more, the default result counts at once (AS-HK-16).
func TestHookWhoseRoleMayNoMore(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"the policy changes": func(w *world) {
			w.let("teller", `{"Effect":"Allow","Action":"sqs:ReceiveMessage","Resource":"*"}`)
		},
		"the trust changes": func(w *world) {
			must[peopleapi.UpdateAssumeRolePolicyOutput](w, iam.Name, "UpdateAssumeRolePolicy", &peopleapi.UpdateAssumeRolePolicyInput{RoleName: new("teller"),
				PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
		},
		"the role goes": func(w *world) {
			must[peopleapi.DeleteRolePolicyOutput](w, iam.Name, "DeleteRolePolicy", &peopleapi.DeleteRolePolicyInput{RoleName: new("teller"), PolicyName: new("p")})
			must[peopleapi.DeleteRoleOutput](w, iam.Name, "DeleteRole", &peopleapi.DeleteRoleInput{RoleName: new("teller")})
		},
		"the queue goes": func(w *world) {
			must[queueapi.DeleteQueueOutput](w, sqs.Name, "DeleteQueue", &queueapi.DeleteQueueInput{QueueUrl: must[queueapi.GetQueueUrlOutput](w, sqs.Name, "GetQueueUrl", &queueapi.GetQueueUrlInput{QueueName: new("q")}).QueueUrl})
		},
	} {
		for _, result := range []string{resultContinue, resultAbandon} {
			w := scaledWorld(t, 0, 1, 0, nil)
			w.check = 0
			must[queueapi.CreateQueueOutput](w, sqs.Name, "CreateQueue", &queueapi.CreateQueueInput{QueueName: new("q")})
			role := w.role("teller", servicePrincipal, `{"Effect":"Allow","Action":["sqs:SendMessage","sqs:GetQueueUrl"],"Resource":"*"}`)
			must[shape.PutLifecycleHookOutput](w, Name, "PutLifecycleHook", &shape.PutLifecycleHookInput{AutoScalingGroupName: new("g"), LifecycleHookName: new("h"),
				LifecycleTransition: new(launchingTransition), DefaultResult: &result, NotificationTargetARN: new(here.ARN(sqs.Name, "q")), RoleARN: &role})
			spoil(w)
			must[shape.SetDesiredCapacityOutput](w, Name, "SetDesiredCapacity", &shape.SetDesiredCapacityInput{AutoScalingGroupName: new("g"), DesiredCapacity: new(int32(1))})
			w.advance(30 * time.Second)
			want := []string{stateInService}
			if result == resultAbandon {
				want = nil
			}
			if got := w.states(); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%s, default %s: %q, want %q", name, result, got, want)
			}
		}
	}
}
