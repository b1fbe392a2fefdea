package events

import (
	"encoding/json"
	"strings"

	"github.com/billow-cloud/billow/api"
	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// principal is who calls targets.
const principal = "events.amazonaws.com"

// Kinds of targets.
const (
	toFunction = "function"
	toTopic    = "topic"
	toQueue    = "queue"
	toLog      = "log"
	toBus      = "bus"
	toAction   = "action"
)

// The actions of EC2 that can be targets by themselves: arn:aws:events:REGION:ACCOUNT:target/stop-instance.
const (
	stopInstance      = "target/stop-instance"
	rebootInstance    = "target/reboot-instance"
	terminateInstance = "target/terminate-instance"
)

// calls are the actions of policies that they need.
var calls = map[string]string{stopInstance: "ec2:StopInstances", rebootInstance: "ec2:RebootInstances", terminateInstance: "ec2:TerminateInstances"}

// receiverOf tells what kind of target an ARN is; "" is one that cannot be a target.
func receiverOf(arn string) string {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 || part[0] != "arn" || part[5] == "" {
		return ""
	}
	resource := part[5]
	switch part[2] {
	case "lambda":
		if strings.HasPrefix(resource, "function:") {
			return toFunction
		}
	case "sns":
		return toTopic
	case "sqs":
		if !strings.HasSuffix(resource, ".fifo") {
			return toQueue
		}
	case "logs":
		if strings.HasPrefix(resource, "log-group:") {
			return toLog
		}
	case Name:
		switch {
		case strings.HasPrefix(resource, "event-bus/"):
			return toBus
		case resource == stopInstance, resource == rebootInstance, resource == terminateInstance:
			return toAction
		}
	}
	return ""
}

// call gives an event to a target.
func (s *Service) call(tx *cloud.Tx, t Target, e *Event) error {
	arn := ruleARN(tx.Scope, t.Bus, t.Rule)
	receiver, text := receiverOf(t.ARN), t.payload(e, arn)
	by := iam.Act{Service: principal, Role: t.RoleARN, Source: arn}
	switch {
	case receiver == toFunction && s.lower.Invoke != nil:
		return s.lower.Invoke(tx, t.ARN, []byte(text), principal, arn)
	case receiver == toTopic && s.lower.Topics != nil:
		return s.lower.Topics.PublishFor(tx, by, t.ARN, "", text)
	case receiver == toQueue && s.lower.Send != nil:
		return s.lower.Send(tx, t.ARN, text, nil, by)
	case receiver == toLog && s.lower.Write != nil:
		_, group, _ := parseARN(t.ARN, "logs")
		group = strings.TrimSuffix(strings.TrimPrefix(group, "log-group:"), ":*")
		s.lower.Write(tx, group, e.ID, text)
		return nil
	case receiver == toBus:
		return s.forward(tx, t, e, by)
	case receiver == toAction && s.lower.Instances != nil:
		return s.act(tx, t.ARN, text, by)
	}
	return notFound("There is no %s.", t.ARN)
}

// forward puts an event on another bus, unless it came from one: that is AWS's rule, and it bounds every loop. A target's
// role must allow it, if it has one; another account's bus must, too.
func (s *Service) forward(tx *cloud.Tx, t Target, e *Event, by iam.Act) error {
	if e.Forwarded {
		return nil
	}
	scope, name := busName(tx, &t.ARN)
	from := tx.Scope.Account
	var err error
	tx.In(scope, func() {
		b, known := s.buses.Get(tx, name)
		if !known && name != defaultBus {
			err = notFound("Event bus %s does not exist.", name)
			return
		}
		b.Name = name
		if by.Role != "" && s.lower.May != nil {
			by.Action, by.Resource, by.Policy = "events:PutEvents", t.ARN, b.policy()
			tx.In(cloud.Scope{Account: from, Region: scope.Region}, func() { err = s.lower.May(tx, by) })
			if err != nil {
				return
			}
		} else if from != scope.Account && !s.allowed(tx, b, from, e.Source, e.DetailType) {
			err = api.Errorf("NotAuthorizedForDestination", "Account %s may not put events on %s.", from, t.ARN)
			return
		}
		further := *e
		further.Forwarded = true
		s.route(tx, name, further)
	})
	return err
}

// act carries out an action of EC2 on the instances that the input names, in the target's role.
func (s *Service) act(tx *cloud.Tx, arn, input string, by iam.Act) error {
	_, action, _ := parseARN(arn, Name)
	ids := instancesIn(input)
	if len(ids) == 0 {
		return invalid("The input of %s names no instance.", arn)
	}
	by.Action = calls[action]
	for _, id := range ids {
		by.Resource = tx.Scope.ARN("ec2", "instance/"+id)
		if s.lower.May == nil {
			break
		}
		if err := s.lower.May(tx, by); err != nil {
			return err
		}
	}
	var err error
	switch action {
	case stopInstance:
		_, err = s.lower.Instances.StopInstances(tx, &ec2api.StopInstancesInput{InstanceIds: ids})
	case rebootInstance:
		_, err = s.lower.Instances.RebootInstances(tx, &ec2api.RebootInstancesInput{InstanceIds: ids})
	case terminateInstance:
		_, err = s.lower.Instances.TerminateInstances(tx, &ec2api.TerminateInstancesInput{InstanceIds: ids})
	}
	return err
}

// instancesIn takes the instances from an action's input: an ID or ARN, a list of them, {"InstanceIds": [...]}, or an
// event whose detail has one.
func instancesIn(input string) []string {
	var v any
	if json.Unmarshal([]byte(input), &v) != nil {
		return nil
	}
	if event, ok := v.(map[string]any); ok {
		detail, _ := event["detail"].(map[string]any)
		for _, x := range []any{event["InstanceIds"], event["InstanceId"], event["instance-id"], detail["instance-id"], detail["EC2InstanceId"]} {
			if x != nil {
				v = x
				break
			}
		}
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var ids []string
	for _, x := range list {
		id, isText := x.(string)
		if id = id[strings.LastIndexByte(id, '/')+1:]; !isText || id == "" {
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}
