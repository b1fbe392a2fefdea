package ec2

import (
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// Notice implements cloud.Service: alarms may stop, terminate, reboot or recover the instance whose metric they watch,
// by an action "arn:aws:automate:REGION:ec2:stop". What its state does not allow is not done.
func (s *Service) Notice(tx *cloud.Tx, e cloud.Event) {
	a, ok := e.(cloudwatch.AlarmAction)
	if !ok || a.Repeat || !strings.HasPrefix(a.ActionARN, "arn:aws:automate:"+tx.Scope.Region+":ec2:") {
		return
	}
	id := ""
	for _, d := range a.Alarm.Dimensions {
		if d.Name == "InstanceId" {
			id = d.Value
		}
	}
	i, ok := s.instances.Get(tx, id)
	if !ok || i.State != Running {
		return
	}
	switch a.ActionARN[strings.LastIndexByte(a.ActionARN, ':')+1:] {
	case "stop":
		if !i.DisableAPIStop {
			s.wish(tx, &i, wishStop)
			s.to(tx, &i, Stopping, userShutdown)
		}
	case "terminate":
		if !i.DisableAPITermination {
			s.shutDown(tx, i, userShutdown, "")
		}
	case "reboot", "recover":
		i.Changed = tx.Now()
		s.instances.Put(tx, id, i)
		tx.Wish(RebootInstance{ID: id})
	}
}
