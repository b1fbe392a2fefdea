package autoscaling

import (
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/table"
)

// scaling is the state of what moves a group's desired capacity and tells others about it: policies, scheduled
// actions, notifications, group metrics.
//
// This file is the seam between it and the groups: the functions below are called by service.go and the group's
// reconcile; setDesired, capacity and cooldownEnds in service.go, membersOf and openActivities are what it calls back.
type scaling struct{}

func newScaling() scaling { return scaling{} }

func (s *Service) scalingStores() []table.Store         { return nil }
func (s *Service) scalingOperations() []cloud.Operation { return nil }

// scalingNotice takes events of lower services (alarm actions, measured instances); groups take ec2's and the load
// balancers' themselves.
func (s *Service) scalingNotice(tx *cloud.Tx, e cloud.Event) {}

// scalingReconcile takes every kind other than "group" and "member".
func (s *Service) scalingReconcile(tx *cloud.Tx, kind, id string) {}

// scalingKeys lists what scalingReconcile may be asked about; false means stop.
func (s *Service) scalingKeys(yield func(cloud.Key) bool) bool { return true }

// groupChanged is called whenever a group's bounds, desired capacity or members changed, once per reconcile.
func (s *Service) groupChanged(tx *cloud.Tx, g Group) {}

// groupDeleted is called when a group's row is about to go: everything that hangs on it goes with it.
func (s *Service) groupDeleted(tx *cloud.Tx, g Group) {}

// activityEnded is called when an activity has got its end: Successful, Failed or Cancelled (AS-NT-01 in the
// activity's Kind and StatusCode).
func (s *Service) activityEnded(tx *cloud.Tx, g Group, a Activity) {}

// processesResumed is called when ResumeProcesses took a suspension away, AlarmNotification or ScheduledActions among
// them (AS-SP-06).
func (s *Service) processesResumed(tx *cloud.Tx, g Group, processes []string) {}

// targetGroupsChanged is called when target groups were attached to or detached from the group.
func (s *Service) targetGroupsChanged(tx *cloud.Tx, g Group) {}
