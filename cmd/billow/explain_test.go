package main

import (
	"strings"
	"testing"

	"github.com/billow-cloud/billow/cloud/autoscaling"
)

// An alarm that rings on fewer points than it takes is told why (CW-AL-08).
func TestAnAlarmOnFewPointsIsExplained(t *testing.T) {
	early := autoscaling.AlarmNote{M: 3, N: 3, Breaching: 2, Missing: 1, MissingIs: "missing", Before: "INSUFFICIENT_DATA", State: "ALARM"}
	if text := missingText(&early); !strings.Contains(text, "all that there are breach") {
		t.Error(text)
	}
	early.State = early.Before
	if text := missingText(&early); text != "; 1 missing, taken as missing" {
		t.Error(text)
	}
}
