package ec2

import (
	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// Notice implements cloud.Service: alarms may stop, terminate, reboot or recover the instance whose metric they watch
// (CW-AL-18). The alarm's history tells what came of it.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	a, ok := e.(cloudwatch.AlarmAction)
	if !ok || a.Repeat || !a.ByEC2() {
		return
	}
	s.metrics.Acted(tx, a, s.act(tx, a))
}

// act does what an alarm asks for.
func (s *Service) act(tx *cloud.Tx, a cloudwatch.AlarmAction) error {
	id := ""
	for _, d := range a.Alarm.Dimensions {
		if d.Name == "InstanceId" {
			id = d.Value
		}
	}
	i, err := s.instance(tx, id)
	if err != nil {
		return err
	}
	verb := cloudwatch.EC2Verb(a.ActionARN)
	if i.State != Running {
		return api.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.", id,
			map[string]string{"stop": "stopped", "terminate": "terminated", "reboot": "rebooted", "recover": "recovered"}[verb])
	}
	switch verb {
	case "stop":
		if i.DisableAPIStop {
			return api.Errorf("OperationNotPermitted", "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", id)
		}
		if i.oneTime() {
			return noStop(i)
		}
		s.wish(tx, &i, wishStop)
		s.to(tx, &i, Stopping, userShutdown)
	case "terminate":
		if i.DisableAPITermination {
			return api.Errorf("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", id)
		}
		s.shutDown(tx, i, userShutdown, "")
	case "reboot":
		s.reboot(tx, &i)
	case "recover":
		s.recover(tx, &i)
	default:
		return api.Errorf("InvalidAction", "EC2 does not know the action %s.", verb)
	}
	return nil
}
