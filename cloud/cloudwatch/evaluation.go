package cloudwatch

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
)

// minuteAfter is the next whole minute after the present.
func minuteAfter(tx *cloud.Tx) time.Time { return tx.Now().Truncate(time.Minute).Add(time.Minute) }

func (s *Service) reconcileAlarm(tx *cloud.Tx, name string) {}
