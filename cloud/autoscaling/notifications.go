package autoscaling

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/cloud"
)

// Notification types (AS-NT-01).
const (
	notifyLaunch         = "autoscaling:EC2_INSTANCE_LAUNCH"
	notifyLaunchError    = "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"
	notifyTerminate      = "autoscaling:EC2_INSTANCE_TERMINATE"
	notifyTerminateError = "autoscaling:EC2_INSTANCE_TERMINATE_ERROR"
	notifyTest           = "autoscaling:TEST_NOTIFICATION"
)

var notificationTypes = []string{notifyLaunch, notifyLaunchError, notifyTerminate, notifyTerminateError, notifyTest}

// maxTopics is how many topics a group may have (AS-QL-07).
const maxTopics = 10

// Notification is one topic that a group tells about its activities. Its key is the group's name and the topic's ARN.
type Notification struct {
	Group, TopicARN string
	Types           []string // in the order of notificationTypes
}

func (s *Service) notificationOperations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("PutNotificationConfiguration", s.PutNotificationConfiguration),
		cloud.Handle("DescribeNotificationConfigurations", s.DescribeNotificationConfigurations),
		cloud.Handle("DeleteNotificationConfiguration", s.DeleteNotificationConfiguration),
		cloud.Handle("DescribeAutoScalingNotificationTypes", s.DescribeAutoScalingNotificationTypes),
	}
}

// PutNotificationConfiguration sets what a topic is told, and tells it so (AS-NT-02).
func (s *Service) PutNotificationConfiguration(tx *cloud.Tx, in *shape.PutNotificationConfigurationInput) (*shape.PutNotificationConfigurationOutput, error) {
	g, err := s.scaledGroup(tx, api.Value(in.AutoScalingGroupName))
	if err != nil {
		return nil, err
	}
	n := Notification{Group: g.Name, TopicARN: api.Value(in.TopicARN)}
	for _, t := range in.NotificationTypes {
		if !slices.Contains(notificationTypes, t) {
			return nil, invalid("%s is not a valid Notification Type", t)
		}
	}
	for _, t := range notificationTypes {
		if slices.Contains(in.NotificationTypes, t) {
			n.Types = append(n.Types, t)
		}
	}
	if len(n.Types) == 0 {
		return nil, invalid("At least one Notification Type must be specified")
	}
	key := policyKey(g.Name, n.TopicARN)
	if !s.scaling.notifications.Has(tx, key) {
		topics := 0
		for range s.scaling.notifications.Prefix(tx, policyKey(g.Name, "")) {
			topics++
		}
		if topics >= maxTopics {
			return nil, api.Errorf("LimitExceeded", "You have reached the limit of %d notification topics for the AutoScalingGroup %s", maxTopics, g.Name)
		}
	}
	test := testMessage{
		AccountId: tx.Scope.Account, RequestId: tx.RequestID, AutoScalingGroupARN: g.ARN, AutoScalingGroupName: g.Name,
		Service: serviceTitle, Event: notifyTest, Time: stamp(tx.Now()),
	}
	if err := s.sns.Publish(tx, n.TopicARN, subject("test notification", g.Name), text(test)); err != nil {
		return nil, invalid("Unable to publish test message to notification target %s. Please check your target and role configuration and try to put notification configuration again.", n.TopicARN)
	}
	s.scaling.notifications.Put(tx, key, n)
	return &shape.PutNotificationConfigurationOutput{}, nil
}

// DeleteNotificationConfiguration has a topic told nothing more; one that was told nothing is no error.
func (s *Service) DeleteNotificationConfiguration(tx *cloud.Tx, in *shape.DeleteNotificationConfigurationInput) (*shape.DeleteNotificationConfigurationOutput, error) {
	g, err := s.scaledGroup(tx, api.Value(in.AutoScalingGroupName))
	if err != nil {
		return nil, err
	}
	s.scaling.notifications.Delete(tx, policyKey(g.Name, api.Value(in.TopicARN)))
	return &shape.DeleteNotificationConfigurationOutput{}, nil
}

// DescribeNotificationConfigurations lists one entry per group, topic and type.
func (s *Service) DescribeNotificationConfigurations(tx *cloud.Tx, in *shape.DescribeNotificationConfigurationsInput) (*shape.DescribeNotificationConfigurationsOutput, error) {
	each := func(yield func(string, shape.NotificationConfiguration) bool) {
		for key, n := range s.scaling.notifications.All(tx) {
			for i, t := range n.Types {
				c := shape.NotificationConfiguration{AutoScalingGroupName: &n.Group, TopicARN: &n.TopicARN, NotificationType: &t}
				if anyOf(in.AutoScalingGroupNames, n.Group) && !yield(key+nameMark+strconv.Itoa(i), c) {
					return
				}
			}
		}
	}
	page, next, err := page(each, in.NextToken, in.MaxRecords, 50, 100)
	if err != nil {
		return nil, err
	}
	if page == nil {
		page = []shape.NotificationConfiguration{}
	}
	return &shape.DescribeNotificationConfigurationsOutput{NotificationConfigurations: page, NextToken: next}, nil
}

// DescribeAutoScalingNotificationTypes lists what a topic can be told.
func (s *Service) DescribeAutoScalingNotificationTypes(*cloud.Tx, *shape.DescribeAutoScalingNotificationTypesInput) (*shape.DescribeAutoScalingNotificationTypesOutput, error) {
	return &shape.DescribeAutoScalingNotificationTypesOutput{AutoScalingNotificationTypes: slices.Clone(notificationTypes)}, nil
}

// serviceTitle is the service's name in messages.
const serviceTitle = "AWS Auto Scaling"

// testMessage is what a topic gets when it is put.
type testMessage struct {
	AccountId, RequestId, AutoScalingGroupARN, AutoScalingGroupName, Service, Event, Time string
}

// activityMessage is what a topic gets when an activity has ended (AS-NT-03).
type activityMessage struct {
	Progress             int
	AccountId            string
	Description          string
	RequestId            string
	EndTime              string
	AutoScalingGroupARN  string
	ActivityId           string
	StartTime            string
	Service              string
	Time                 string
	EC2InstanceId        string
	StatusCode           string
	StatusMessage        string
	Details              activityDetails
	AutoScalingGroupName string
	Cause                string
	Event                string
	Origin               string
	Destination          string
}

type activityDetails struct {
	Subnet         string          `json:"Subnet ID,omitempty"`
	Zone           string          `json:"Availability Zone"`
	InvokingAlarms json.RawMessage `json:",omitempty"`
}

// activityEnded is called when an activity has got its end: Successful, Failed or Cancelled.
func (s *Service) activityEnded(tx *cloud.Tx, g *Group, a *Activity) {
	tellEnd(tx, a)
	if s.scaling.notifications.Len() > 0 {
		s.notify(tx, *g, *a)
	}
}

func (s *Service) notify(tx *cloud.Tx, g Group, a Activity) {
	kind, what := "", ""
	origin, destination := ways(a.Kind == kindLaunch)
	switch {
	case a.Kind == kindLaunch && a.StatusCode == statusSuccessful:
		kind, what = notifyLaunch, "launch"
	case a.Kind == kindLaunch:
		kind, what = notifyLaunchError, "failed launch"
	case a.Kind == kindTerminate && a.StatusCode == statusSuccessful:
		kind, what = notifyTerminate, "termination"
	case a.Kind == kindTerminate && a.StatusCode == statusFailed:
		kind, what = notifyTerminateError, "failed termination"
	default:
		return
	}
	body := ""
	for _, n := range s.scaling.notifications.Prefix(tx, policyKey(g.Name, "")) {
		if !slices.Contains(n.Types, kind) {
			continue
		}
		if body == "" {
			body = text(message(tx, g, a, kind, origin, destination))
		}
		_ = s.sns.Publish(tx, n.TopicARN, subject(what, g.Name), body) // a topic that is gone hears nothing
	}
}

func message(tx *cloud.Tx, g Group, a Activity, kind, origin, destination string) activityMessage {
	m := activityMessage{
		Progress: a.Progress, AccountId: tx.Scope.Account, Description: a.Description, RequestId: a.ID, // AS-AC-15
		EndTime: stamp(a.End), AutoScalingGroupARN: g.ARN, ActivityId: a.ID, StartTime: stamp(a.Start),
		Service: serviceTitle, Time: stamp(tx.Now()), EC2InstanceId: a.InstanceID, StatusCode: a.StatusCode,
		StatusMessage: a.StatusMessage, AutoScalingGroupName: g.Name, Cause: a.Cause, Event: kind,
		Origin: origin, Destination: destination,
		Details: activityDetails{Subnet: a.Subnet, Zone: a.Zone, InvokingAlarms: json.RawMessage(a.InvokingAlarms)},
	}
	if a.StatusCode == statusSuccessful {
		m.StatusCode, m.Progress = statusInProgress, 50 // as AWS sends it (AS-NT-03)
	}
	return m
}

// subject is that of a message's mail (AS-NT-04).
func subject(what, group string) string {
	return `Auto Scaling: ` + what + ` for group "` + group + `"`
}

// text is the JSON of a message, with <, > and & as they are.
func text(message any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(message); err != nil {
		panic(err) // only InvokingAlarms could be bad, and that is made here
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// stamp writes an instant to the millisecond.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
