package ec2

import (
	"cmp"
	"fmt"
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// Observe implements cloud.Service.
func (s *Service) Observe(tx *cloud.Tx, f cloud.Fact) {
	switch f := f.(type) {
	case InstanceRunning:
		s.on(tx, f.ID, s.seenRunning)
	case LaunchFailed:
		s.on(tx, f.ID, func(tx *cloud.Tx, i Instance) { s.launchFailed(tx, i, f.Code, f.Message) })
	case InstanceStopped:
		s.on(tx, f.ID, s.seenStopped)
	case InstanceTerminated:
		s.on(tx, f.ID, s.seenGone)
	case InstanceExited:
		s.on(tx, f.ID, func(tx *cloud.Tx, i Instance) { s.exited(tx, i, f.Reason) })
	case ConsoleOutput:
		s.on(tx, f.ID, func(tx *cloud.Tx, i Instance) {
			s.consoles.Put(tx, i.ID, Console{Text: f.Text, At: tx.Now().Truncate(time.Second)})
		})
	case ImageCaptured:
		s.imageCaptured(tx, f.ImageID, f.Bytes, "")
	case ImageFailed:
		s.imageCaptured(tx, f.ImageID, 0, cmp.Or(f.Message, "The image could not be made"))
	case VolumeCreated, VolumeFailed, VolumeAttached, AttachFailed, VolumeDetached, VolumeBusy, VolumeResized, VolumeDeleted:
		s.volumeSeen(tx, f)
	case SnapshotTaken, SnapshotFailed, SnapshotDeleted:
		s.snapshotSeen(tx, f)
	case StatusChecks:
		s.statusChecked(tx, f)
	case Inventory:
		s.inventory(tx, f)
	case Usage:
		s.measure(tx, f)
	}
}

// on runs f for an instance in its scope; facts about unknown instances are no news.
func (s *Service) on(tx *cloud.Tx, id string, f func(tx *cloud.Tx, i Instance)) {
	if scope, i, ok := s.parts.Find(id); ok {
		tx.In(scope, func() { f(tx, i) })
	}
}

func (s *Service) seenRunning(tx *cloud.Tx, i Instance) {
	switch {
	case i.State == Pending:
		s.to(tx, &i, Running, Reason{})
		s.volumesSeenWith(tx, i.ID)
	case i.State == Running && i.Wish != "": // brought back
		i.Wish, i.Changed = "", tx.Now()
		s.instances.Put(tx, i.ID, i)
		s.volumesSeenWith(tx, i.ID)
		tx.Touch(Name, kindInstance, i.ID) // nothing has to be wished for again
	}
}

func (s *Service) seenStopped(tx *cloud.Tx, i Instance) {
	if i.State == Stopping {
		s.to(tx, &i, Stopped, i.StateReason)
	}
}

func (s *Service) seenGone(tx *cloud.Tx, i Instance) {
	if i.State == ShuttingDown {
		s.to(tx, &i, Terminated, i.StateReason)
	}
}

// launchFailed ends an instance that could not be launched; one that could not be started is stopped again (EC-IN-05b).
func (s *Service) launchFailed(tx *cloud.Tx, i Instance, code, message string) {
	if i.State != Pending && (i.State != Running || i.Wish != wishStart) {
		return
	}
	why := Reason{code, code + ": " + message}
	if code == "Server.InsufficientInstanceCapacity" { // AS-AC-13
		why.Message = fmt.Sprintf("We currently do not have sufficient %[1]s capacity in the Availability Zone you requested (%[2]s). Our system will be working on provisioning additional capacity. You can currently get %[1]s capacity by not specifying an Availability Zone in your request or choosing %[3]s. (%[4]s)",
			i.InstanceType, i.Zone, s.otherZones(tx, i.Zone), message) // the last sentence is this host's, since here something can be done about it
	}
	i.Transition = code + ": " + message
	if i.Booted {
		s.to(tx, &i, Stopped, why)
		return
	}
	s.to(tx, &i, Terminated, why)
}

func (s *Service) otherZones(tx *cloud.Tx, zone string) string {
	text := ""
	for _, z := range s.Zones(tx) {
		if z != zone {
			if text != "" {
				text += ", "
			}
			text += z
		}
	}
	return text
}

// exited takes the news that an instance ended without a wish. While an image is made with a reboot that is expected.
func (s *Service) exited(tx *cloud.Tx, i Instance, reason string) {
	if i.State != Pending && i.State != Running || i.Capturing != "" {
		return
	}
	switch reason {
	case ExitPoweroff:
		if i.ShutdownBehaviour == "terminate" {
			s.shutDown(tx, i, instanceShutdown, "")
			return
		}
		i.Transition = ""
		s.to(tx, &i, Stopped, instanceShutdown)
	case ExitStopped, ExitHost: // simplified automatic recovery brings it back (EC-IN-06)
		if i.State == Running {
			s.wish(tx, &i, wishStart)
			s.instances.Put(tx, i.ID, i)
		}
	default: // nothing brings back what was killed: the instance has failed, and groups replace it
		s.shutDown(tx, i, internalError, "Server.InternalError")
	}
}

// inventory compares what exists with the rows. Where they disagree, the row's wish is made again or, if the row is of
// something that has ended by itself, the row follows the world.
func (s *Service) inventory(tx *cloud.Tx, f Inventory) {
	seen := make(map[string]Seen, len(f.Instances))
	for _, x := range f.Instances {
		seen[x.ID] = x
		if _, _, known := s.parts.Find(x.ID); !known {
			tx.Wish(TerminateInstance{ID: x.ID}) // a zombie
		}
	}
	for key, i := range s.instances.Everywhere() {
		x, there := seen[i.ID]
		if i.State == Terminated && !there || !i.Changed.Before(f.Began) {
			continue // the usual case for what has ended; or the row is newer
		}
		tx.In(key.Scope, func() { s.compare(tx, i, x, there, f) })
	}
	s.imagesSeen(tx, f)
	s.volumesSeen(tx, f)
	s.snapshotsSeen(tx, f)
}

// late tells whether what was wished for at an instant and does not show has been lost.
func (f Inventory) late(wished time.Time) bool { return f.First || f.Began.Sub(wished) >= soon }

// compare brings one row and what was seen of it together.
func (s *Service) compare(tx *cloud.Tx, i Instance, x Seen, there bool, f Inventory) {
	running := there && x.State == Running
	stopped := there && !running
	again := func() {
		if i.Wish != "" && f.late(i.Wished) {
			s.wish(tx, &i, i.Wish)
			s.instances.Put(tx, i.ID, i)
		}
	}
	switch i.State {
	case Pending:
		switch {
		case running:
			s.seenRunning(tx, i)
		case stopped && i.Wish == wishLaunch && x.Reason != "" && x.Reason != ExitStopped && x.Reason != ExitHost:
			s.exited(tx, i, x.Reason) // it was launched and has ended already
		default:
			again()
		}
	case Running:
		switch {
		case running:
			s.seenRunning(tx, i)
		case i.Wish != "":
			again()
		case stopped:
			s.exited(tx, i, cmp.Or(x.Reason, ExitStopped))
		default:
			s.exited(tx, i, ExitKilled)
		}
	case Stopping:
		switch {
		case stopped:
			s.seenStopped(tx, i)
		case running:
			again()
		default:
			s.shutDown(tx, i, internalError, "Server.InternalError")
		}
	case Stopped:
		switch {
		case running:
			tx.Wish(StopInstance{ID: i.ID})
		case !there: // its disk is gone: no start could bring it back
			s.shutDown(tx, i, internalError, "Server.InternalError")
		}
	case ShuttingDown:
		if there {
			again()
		} else {
			s.seenGone(tx, i)
		}
	case Terminated:
		tx.Wish(TerminateInstance{ID: i.ID})
	}
}
