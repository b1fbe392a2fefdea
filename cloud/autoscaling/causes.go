package autoscaling

import (
	"fmt"
	"time"
)

// at begins a sentence of a cause (AS-AC-06, AS-AC-09).
func at(t time.Time, text string) string {
	return "At " + t.Format("2006-01-02T15:04:05Z") + " " + text
}

// changing ends a trigger sentence: " changing the desired capacity from 1 to 2."
func changing(what string, from, to int) string {
	return fmt.Sprintf(" changing %s from %d to %d.", what, from, to)
}
