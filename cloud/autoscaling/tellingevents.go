package autoscaling

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// This file is what Auto Scaling tells services above it, EventBridge first of all (AS-EB-01): the events and how they
// look there (see events.Told).

const eventSource = "aws.autoscaling"

// LifecycleActionBegan is an event: a hook holds an instance up from now on.
type LifecycleActionBegan struct {
	Group, GroupARN string
	InstanceID      string
	Hook, Token     string
	Transition      string
	Metadata        string // the hook's NotificationMetadata
	Origin          string // where the instance comes from and where it goes (AS-WP-07)
	Destination     string
}

// ActivityEnded is an event: an activity that launched or terminated an instance is over, well or not.
type ActivityEnded struct {
	Activity
	Origin, Destination string
}

// ways gives where an instance comes from and where it goes (AS-WP-07).
func ways(launching bool) (origin, destination string) {
	if launching {
		return "EC2", "AutoScalingGroup"
	}
	return "AutoScalingGroup", "EC2"
}

// tellAction tells of a lifecycle action that begins.
func (r *roster) tellAction(m *Member, h *Hook, token string) {
	origin, destination := ways(h.Transition == launchingTransition)
	r.tx.Emit(Name, LifecycleActionBegan{Group: r.Name, GroupARN: r.ARN, InstanceID: m.ID, Hook: h.Name, Token: token, Transition: h.Transition,
		Metadata: h.Metadata, Origin: origin, Destination: destination})
}

// tellEnd tells of an activity that is over.
func tellEnd(tx *cloud.Tx, a *Activity) {
	if a.Kind == kindLaunch || a.Kind == kindTerminate {
		origin, destination := ways(a.Kind == kindLaunch)
		tx.Emit(Name, ActivityEnded{*a, origin, destination})
	}
}

// Told names a lifecycle action for EventBridge (AS-EB-02).
func (e LifecycleActionBegan) Told() (source, detailType string) {
	if e.Transition == launchingTransition {
		return eventSource, "EC2 Instance-launch Lifecycle Action"
	}
	return eventSource, "EC2 Instance-terminate Lifecycle Action"
}

// Detail is a lifecycle action as EventBridge has it.
func (e LifecycleActionBegan) Detail(cloud.Scope) (resources []string, detail any) {
	return []string{e.GroupARN}, struct {
		LifecycleActionToken, AutoScalingGroupName, LifecycleHookName string
		EC2InstanceID                                                 string `json:"EC2InstanceId"`
		LifecycleTransition                                           string
		NotificationMetadata                                          string `json:",omitempty"`
		Origin, Destination                                           string
	}{e.Token, e.Group, e.Hook, e.InstanceID, e.Transition, e.Metadata, e.Origin, e.Destination}
}

// Told names the end of an activity for EventBridge (AS-EB-03, AS-EB-04); a cancelled termination is no news.
func (e ActivityEnded) Told() (source, detailType string) {
	switch {
	case e.Kind == kindLaunch && e.StatusCode == statusSuccessful:
		return eventSource, "EC2 Instance Launch Successful"
	case e.Kind == kindLaunch:
		return eventSource, "EC2 Instance Launch Unsuccessful"
	case e.StatusCode == statusSuccessful:
		return eventSource, "EC2 Instance Terminate Successful"
	case e.StatusCode == statusFailed:
		return eventSource, "EC2 Instance Terminate Unsuccessful"
	}
	return "", ""
}

// Detail is the end of an activity as EventBridge has it: what went well is still InProgress there.
func (e ActivityEnded) Detail(scope cloud.Scope) (resources []string, detail any) {
	resources = []string{e.GroupARN}
	if e.InstanceID != "" {
		resources = append(resources, scope.ARN("ec2", "instance/"+e.InstanceID))
	}
	code, description := statusFailed, ""
	if e.StatusCode == statusSuccessful {
		code, description = statusInProgress, e.Description
	}
	second := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
	return resources, struct {
		StatusCode                            string
		Description                           string `json:",omitempty"`
		AutoScalingGroupName                  string
		ActivityID                            string `json:"ActivityId"`
		Details                               activityDetails
		RequestID                             string `json:"RequestId"` // AS-AC-15
		StatusMessage, EndTime                string
		EC2InstanceID                         string `json:"EC2InstanceId"`
		StartTime, Cause, Origin, Destination string
	}{code, description, e.Group, e.ID, activityDetails{Subnet: e.Subnet, Zone: e.Zone}, e.ID, e.StatusMessage, second(e.End), e.InstanceID, second(e.Start), e.Cause,
		e.Origin, e.Destination}
}
