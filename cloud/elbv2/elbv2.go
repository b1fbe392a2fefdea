// Package elbv2 is Elastic Load Balancing v2: application load balancers, target groups, listeners and targets with
// their health. It moves no byte itself: it wishes for Routes, which a data plane serves, and takes what that data
// plane saw as facts. The thresholds of health checks, the delays of deregistration and the metrics are here.
//
// The one idea: a target's row holds all that decides its state, so that DescribeTargetHealth only reads, and whatever
// may change it (a check, an instance that stops, a listener that comes or goes) goes through one function, judge.
//
// Invariants: a target group is used by one load balancer at most; a target is shown in exactly one state, and each
// change of it is told once as TargetHealthChanged; a target that leaves is told once as TargetGone.
package elbv2

// Name is the service's name.
const Name = "elbv2"
