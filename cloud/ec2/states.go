package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// What a row can be waiting for the world to do.
const (
	wishLaunch    = "launch"
	wishStart     = "start"
	wishStop      = "stop"
	wishForceStop = "force-stop"
	wishTerminate = "terminate"
)

// How long the world is given before the same wish is made again.
const (
	firstPatience = 60 * time.Second // doubled each time
	lastPatience  = 10 * time.Minute
	soon          = 10 * time.Second // when an inventory says that nothing has happened
)

// How long what has ended stays visible (EC-IN-01), and when after a start the status checks have passed (EC-IN-05).
const (
	remembrance = time.Hour
	checksTake  = time.Minute
)

// Reasons of state changes (EC-IN-03).
var (
	userShutdown     = Reason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
	instanceShutdown = Reason{"Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"}
	internalError    = Reason{"Server.InternalError", "Server.InternalError: The instance ended without a request to do so"}
)

// patience is the time after which a wish made n times is made again.
func patience(n int) time.Duration {
	return min(firstPatience<<min(max(n-1, 0), 10), lastPatience)
}

// wish makes a wish about an instance and notes it in the row, which the caller puts.
func (s *Service) wish(tx *cloud.Tx, i *Instance, kind string) {
	if i.Wish != kind {
		i.Wishes = 0
	}
	i.Wish, i.Wished, i.Changed = kind, tx.Now(), tx.Now()
	i.Wishes++
	switch kind {
	case wishLaunch:
		tx.Wish(LaunchInstance{Spec: s.spec(tx, *i)})
	case wishStart:
		tx.Wish(StartInstance{Spec: s.spec(tx, *i)})
	case wishStop, wishForceStop:
		tx.Wish(StopInstance{ID: i.ID, Force: kind == wishForceStop})
	case wishTerminate:
		tx.Wish(TerminateInstance{ID: i.ID})
	}
	tx.Touch(Name, kindInstance, i.ID)
}

func (s *Service) spec(tx *cloud.Tx, i Instance) Spec {
	kind, _ := Type(i.InstanceType)
	n, _ := s.subnets.Get(tx, i.SubnetID)
	return Spec{
		Region: tx.Scope.Region,
		ID:     i.ID, ImageID: i.ImageContent, Hostname: privateDNS(tx.Scope.Region, i.PrivateIP), PrivateIP: i.PrivateIP, Subnet: n.CIDR, MAC: i.MAC,
		InstanceType: i.InstanceType, VCPUs: kind.VCPUs, Memory: kind.Memory, UserData: i.UserData, Volumes: s.specVolumes(tx, i),
	}
}

// to moves an instance to a state, in the row given, which is put, and tells the services above.
func (s *Service) to(tx *cloud.Tx, i *Instance, state string, why Reason) {
	from := i.State
	i.State, i.Changed, i.StateReason = state, tx.Now(), why
	i.StatusOK, i.ChecksPassed = time.Time{}, false
	i.clearChecks()
	if state == Pending || state == Stopped || state == Terminated {
		i.Spot = i.Spot.forgotten()
	}
	switch state {
	case Pending:
		i.LaunchTime, i.Transition = tx.Now().Truncate(time.Second), ""
		if i.AutoPublicIP && i.PublicIP == "" {
			i.PublicIP = s.publicAddress(tx) // EC-IP-07
		}
		s.moved(tx, i.PublicIP)
	case ShuttingDown:
		s.moved(tx, i.PublicIP)
	case Running:
		i.Wish, i.Booted, i.StatusOK = "", true, tx.Now().Add(checksTake)
	case Stopped:
		i.Wish = ""
		i.overBy(wishStop, tx.Now())
		s.moved(tx, i.PublicIP)
		if i.ElasticIP == "" { // EC-IP-07
			i.PublicIP = ""
		}
	case Terminated:
		s.end(tx, i)
	}
	s.instances.Put(tx, i.ID, *i)
	tx.Emit(Name, InstanceStateChanged{ID: i.ID, From: from, To: state, Reason: why})
	if state == Running {
		tx.Emit(Name, InstanceStatusChanged{ID: i.ID, Status: statusInitializing})
	}
	tx.Touch(Name, kindInstance, i.ID)
}

// end gives back what a terminated instance held.
func (s *Service) end(tx *cloud.Tx, i *Instance) {
	s.releaseVolumes(tx, i)
	s.tags.Delete(tx, i.InterfaceID)
	s.usage.Delete(tx, i.ID)
	s.moved(tx, i.PublicIP)
	if e, ok := s.elastic.Get(tx, i.ElasticIP); ok { // EC-IP-07
		e.AssociationID, e.InstanceID, i.ElasticIP = "", "", ""
		s.elastic.Put(tx, e.AllocationID, e)
	}
	i.Wish, i.PrivateIP, i.PublicIP, i.MAC, i.InterfaceID, i.AttachmentID, i.Volumes = "", "", "", "", "", "", nil
	i.Capturing = ""
}

// userInitiated is the StateTransitionReason of what a client asked for.
func userInitiated(tx *cloud.Tx) string {
	return "User initiated (" + tx.Now().Format("2006-01-02 15:04:05") + " GMT)"
}

// reconcileInstance does what is due: a wish again, passing the status checks, forgetting.
func (s *Service) reconcileInstance(tx *cloud.Tx, id string) {
	i, ok := s.instances.Get(tx, id)
	if !ok {
		return
	}
	now := tx.Now()
	if i.State == Terminated {
		if due := i.Changed.Add(remembrance); now.Before(due) {
			tx.At(Name, kindInstance, id, due)
			return
		}
		s.instances.Delete(tx, id)
		s.tags.Delete(tx, id)
		s.consoles.Delete(tx, id)
		return
	}
	var next time.Time
	if i.Wish != "" {
		if next = i.Wished.Add(patience(i.Wishes)); !now.Before(next) {
			s.wish(tx, &i, i.Wish)
			s.instances.Put(tx, id, i)
			next = i.Wished.Add(patience(i.Wishes))
		}
	}
	next = s.reconcileChecks(tx, &i, next)
	next = s.reconcileSpot(tx, &i, next)
	next = s.reconcileEvents(tx, &i, next)
	if i.State == Running && !i.StatusOK.IsZero() {
		if now.Before(i.StatusOK) {
			if next.IsZero() || i.StatusOK.Before(next) {
				next = i.StatusOK
			}
		} else if !i.ChecksPassed {
			i.ChecksPassed = true
			s.instances.Put(tx, id, i)
			tx.Emit(Name, InstanceStatusChanged{ID: id, Status: i.status(now)})
		}
	}
	tx.At(Name, kindInstance, id, next)
}

// instance gives an instance of the scope, or the error that says that there is none.
func (s *Service) instance(tx *cloud.Tx, id string) (Instance, error) {
	i, ok := s.instances.Get(tx, id)
	if !ok {
		return i, noInstance([]string{id})
	}
	return i, nil
}

var noInstance = notFound("InvalidInstanceID", "instance", "i-")

// instancesNamed gives the instances of a call, each once.
func (s *Service) instancesNamed(tx *cloud.Tx, ids []string) ([]Instance, error) {
	if len(ids) == 0 {
		return nil, api.Errorf("MissingParameter", "The request must contain the parameter InstanceId")
	}
	var all []Instance
	var lost []string
	for n, id := range ids {
		i, ok := s.instances.Get(tx, id)
		switch {
		case !ok:
			lost = append(lost, id)
		case !slices.Contains(ids[:n], id):
			all = append(all, i)
		}
	}
	if lost != nil {
		return nil, noInstance(lost)
	}
	return all, nil
}

func badState(i Instance, done string) error {
	return api.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.", i.ID, done)
}

// Start starts stopped instances; running ones are left alone.
func (s *Service) Start(tx *cloud.Tx, ids []string) error {
	all, err := s.instancesNamed(tx, ids)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.State != Stopped && i.State != Running && i.State != Pending {
			return badState(i, "started")
		}
	}
	for _, i := range all {
		if i.State == Stopped {
			s.wish(tx, &i, wishStart)
			s.to(tx, &i, Pending, Reason{})
		}
	}
	return nil
}

// Stop stops running instances; stopped ones are left alone. It does not ask DisableApiStop.
func (s *Service) Stop(tx *cloud.Tx, ids []string, force bool) error {
	all, err := s.instancesNamed(tx, ids)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.State != Running && i.State != Stopping && i.State != Stopped {
			return badState(i, "stopped")
		}
		if i.oneTime() {
			return noStop(i)
		}
	}
	kind := wishStop
	if force {
		kind = wishForceStop
	}
	for _, i := range all {
		if i.State == Running || i.State == Stopping && force && i.Wish != kind {
			i.Transition = userInitiated(tx)
			s.wish(tx, &i, kind)
			s.to(tx, &i, Stopping, userShutdown)
		}
	}
	return nil
}

// Reboot restarts running instances.
func (s *Service) Reboot(tx *cloud.Tx, ids []string) error {
	all, err := s.instancesNamed(tx, ids)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.State != Running && i.State != Pending {
			return badState(i, "rebooted")
		}
	}
	for _, i := range all {
		s.reboot(tx, &i)
	}
	return nil
}

// reboot restarts a running instance.
func (s *Service) reboot(tx *cloud.Tx, i *Instance) {
	i.Changed = tx.Now()
	i.overBy(wishReboot, tx.Now())
	s.rebooted(tx, i)
	s.instances.Put(tx, i.ID, *i)
	tx.Wish(RebootInstance{ID: i.ID})
}

// Terminate ends instances, also those with DisableApiTermination (AS-PR-05). The reason is a StateReason code and, if
// empty, a user's.
func (s *Service) Terminate(tx *cloud.Tx, ids []string, reason string) error {
	all, err := s.instancesNamed(tx, ids)
	if err != nil {
		return err
	}
	why := userShutdown
	if reason != "" {
		why = Reason{reason, reason}
	}
	for _, i := range all {
		if i.State != Terminated && i.State != ShuttingDown {
			s.shutDown(tx, i, why, userInitiated(tx))
		}
	}
	return nil
}

func (s *Service) shutDown(tx *cloud.Tx, i Instance, why Reason, transition string) {
	i.Transition = transition
	s.wish(tx, &i, wishTerminate)
	s.to(tx, &i, ShuttingDown, why)
}

// changing runs one of the operations on states and tells what it changed.
func (s *Service) changing(tx *cloud.Tx, ids []string, act func() error) ([]shape.InstanceStateChange, error) {
	before, err := s.instancesNamed(tx, ids)
	if err != nil {
		return nil, err
	}
	if err := act(); err != nil {
		return nil, err
	}
	var out []shape.InstanceStateChange
	for _, was := range before {
		is, _ := s.instances.Get(tx, was.ID)
		out = append(out, shape.InstanceStateChange{InstanceId: new(was.ID), PreviousState: stateShape(was.State), CurrentState: stateShape(is.State)})
	}
	return out, nil
}

// StartInstances starts stopped instances.
func (s *Service) StartInstances(tx *cloud.Tx, in *shape.StartInstancesInput) (*shape.StartInstancesOutput, error) {
	changes, err := s.changing(tx, in.InstanceIds, func() error { return s.Start(tx, in.InstanceIds) })
	return &shape.StartInstancesOutput{StartingInstances: changes}, err
}

// StopInstances stops running instances.
func (s *Service) StopInstances(tx *cloud.Tx, in *shape.StopInstancesInput) (*shape.StopInstancesOutput, error) {
	changes, err := s.changing(tx, in.InstanceIds, func() error {
		if api.Value(in.Hibernate) {
			return api.Errorf("UnsupportedHibernationConfiguration", "The instance '%s' is not enabled for hibernation.", strings.Join(in.InstanceIds, ", "))
		}
		return s.unlessProtected(tx, in.InstanceIds, "stopped", "disableApiStop", func(i Instance) bool { return i.DisableAPIStop }, func() error {
			return s.Stop(tx, in.InstanceIds, api.Value(in.Force))
		})
	})
	return &shape.StopInstancesOutput{StoppingInstances: changes}, err
}

// TerminateInstances ends instances.
func (s *Service) TerminateInstances(tx *cloud.Tx, in *shape.TerminateInstancesInput) (*shape.TerminateInstancesOutput, error) {
	changes, err := s.changing(tx, in.InstanceIds, func() error {
		protected := func(i Instance) bool { return i.DisableAPITermination }
		return s.unlessProtected(tx, in.InstanceIds, "terminated", "disableApiTermination", protected, func() error {
			return s.Terminate(tx, in.InstanceIds, "")
		})
	})
	return &shape.TerminateInstancesOutput{TerminatingInstances: changes}, err
}

func (s *Service) unlessProtected(tx *cloud.Tx, ids []string, done, attribute string, protected func(Instance) bool, act func() error) error {
	for _, id := range ids {
		if i, ok := s.instances.Get(tx, id); ok && protected(i) && i.State != Terminated {
			return api.Errorf("OperationNotPermitted", "The instance '%s' may not be %s. Modify its '%s' instance attribute and try again.", id, done, attribute)
		}
	}
	return act()
}

// RebootInstances restarts running instances.
func (s *Service) RebootInstances(tx *cloud.Tx, in *shape.RebootInstancesInput) (*shape.RebootInstancesOutput, error) {
	return &shape.RebootInstancesOutput{}, s.Reboot(tx, in.InstanceIds)
}
