package autoscaling

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// causeLimit is the longest Cause that the API model allows.
const causeLimit = 1023

// at makes a sentence of a cause (AS-AC-06, AS-AC-09).
func at(t time.Time, text string) string {
	return "At " + t.Format("2006-01-02T15:04:05Z") + " " + text
}

// sentences joins the sentences of a cause by two spaces (AS-AC-09).
func sentences(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "  ")
}

// changing ends a trigger sentence: " changing the desired capacity from 1 to 2."
func changing(what string, from, to int) string {
	return fmt.Sprintf(" changing %s from %d to %d.", what, from, to)
}

// Action sentences (AS-AC-10).
const replacementSentence = "an instance was launched in response to an unhealthy instance needing to be replaced."

func increasing(from, to int) string {
	return fmt.Sprintf("an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.", from, to)
}

func shrinking(from, to int) string {
	return fmt.Sprintf("an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from %d to %d.", from, to)
}

func selected(id string) string { return "instance " + id + " was selected for termination." }

// Sicknesses: why a member is Unhealthy, each with its sentence (AS-AC-11).
const (
	sickState  = "state"  // the instance is not running
	sickStatus = "status" // its status checks fail
	sickEBS    = "ebs"    // the check of its volumes fails
	sickELB    = "elb"    // a load balancer says so
	sickUser   = "user"   // SetInstanceHealth says so
)

func healthSentence(sickness string) string {
	const head = "an instance was taken out of service in response to "
	switch sickness {
	case sickState:
		return head + "an EC2 health check indicating it has been terminated or stopped."
	case sickStatus:
		return head + "an EC2 instance status check failure."
	case sickEBS:
		return head + "an EBS volume health check failure."
	case sickELB:
		return head + "an ELB system health check failure."
	}
	return head + "a user health-check."
}

// Rebalancing (AS-AZ-08). The public log these come from shows no zone names in the second; they are given here [I].
func rebalanceLaunch(counts []zoneCount) string {
	counts = slices.SortedFunc(slices.Values(counts), func(a, b zoneCount) int { return strings.Compare(a.zone, b.zone) })
	var names, numbers []string
	for _, c := range counts {
		names, numbers = append(names, c.zone), append(numbers, fmt.Sprint(c.n))
	}
	return fmt.Sprintf("availability zones %s had %s instances respectively. An instance was launched to aid in balancing the group's zones.",
		strings.Join(names, " "), strings.Join(numbers, " "))
}

func rebalanceEnd(zones []string) string {
	return fmt.Sprintf("instances were launched to balance instances in zones %s with other zones resulting in more than desired number of instances in the group.",
		strings.Join(zones, " "))
}

// Sentences of a user's request about one instance (AS-AC-09). The text of attach is by analogy [I].
func userTerminated(id string, decrement bool, from int) string {
	if !decrement {
		return "instance " + id + " was taken out of service in response to a user request."
	}
	return fmt.Sprintf("instance %s was taken out of service in response to a user request, shrinking the capacity from %d to %d.", id, from, from-1)
}

func userMoved(id, how string, decrement bool, from, to int) string {
	text := "instance " + id + " was " + how + " in response to a user request"
	switch {
	case !decrement:
		return text + "."
	case to < from:
		return fmt.Sprintf("%s, shrinking the capacity from %d to %d.", text, from, to)
	}
	return fmt.Sprintf("%s, increasing the capacity from %d to %d.", text, from, to)
}

func userAttached(from, to int) string {
	return fmt.Sprintf("an instance was attached in response to a user request, increasing the capacity from %d to %d.", from, to)
}

// Descriptions (AS-AC-08). The one of attach is general knowledge [G].
const (
	launching     = "Launching a new EC2 instance"
	terminating   = "Terminating EC2 instance"
	attaching     = "Attaching an existing EC2 instance"
	detaching     = "Detaching EC2 instance"
	toStandby     = "Moving EC2 instance to Standby"
	fromStandby   = "Moving EC2 instance out of Standby"
	drainingEnd   = " - Waiting For ELB Connection Draining"
	statusReason  = ".  Status Reason: "
	allProtected  = "Could not scale to desired capacity because all remaining instances are protected from scale-in."
	noLoadBalance = " Validating load balancer configuration failed."
)

// failureText is the StatusMessage of a launch that EC2 refused or could not finish (AS-AC-13).
func failureText(message string) string { return message + " Launching EC2 instance failed." }

// endedWhilePending is the StatusMessage of a launch whose instance was ended by somebody before it was InService [G].
func endedWhilePending(code, message string) string {
	text := "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "
	if code == "" {
		return text + message
	}
	if strings.HasPrefix(message, code) {
		return text + message
	}
	return text + code + ": " + message
}
