// Package schedule is when a scheduled rule of EventBridge comes: rate(...) and cron(...) with AWS's six fields, in UTC.
//
// It knows no clock: it says what instant is the next one after another. Auto Scaling's recurrences are another language
// (five fields, the week from 0, days that are either of two) and have a reader of their own.
//
// Invariants: the next instant is after the one asked about; the search for it is bounded by the year 2199.
package schedule

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Schedule is a parsed expression. It never changes.
type Schedule struct {
	rate time.Duration
	cron *cron
}

var errInvalid = errors.New("it is neither rate(value unit) nor cron(minutes hours day-of-month month day-of-week year)")

// Parse reads rate(5 minutes) or cron(0 10 * * ? *).
func Parse(text string) (Schedule, error) {
	inner, ok := strings.CutSuffix(text, ")")
	if !ok {
		return Schedule{}, errInvalid
	}
	if fields, isRate := strings.CutPrefix(inner, "rate("); isRate {
		every, err := parseRate(strings.Fields(fields))
		return Schedule{rate: every}, err
	}
	fields, isCron := strings.CutPrefix(inner, "cron(")
	if !isCron {
		return Schedule{}, errInvalid
	}
	c, err := parseCron(strings.Fields(fields))
	return Schedule{cron: c}, err
}

// parseRate reads a value and its unit, which is in the singular for 1 alone.
func parseRate(fields []string) (time.Duration, error) {
	if len(fields) != 2 {
		return 0, errInvalid
	}
	n, err := strconv.ParseUint(fields[0], 10, 31)
	unit, plural := strings.CutSuffix(fields[1], "s")
	if err != nil || n == 0 || plural != (n > 1) {
		return 0, errInvalid
	}
	var one time.Duration
	switch unit {
	case "minute":
		one = time.Minute
	case "hour":
		one = time.Hour
	case "day":
		one = 24 * time.Hour
	default:
		return 0, errInvalid
	}
	if n > uint64(100*366*24*time.Hour/one) {
		return 0, errInvalid
	}
	return time.Duration(n) * one, nil
}

// Next is the first instant after another; zero is never. A rate counts from the instant that it started.
func (s Schedule) Next(after, start time.Time) time.Time {
	if s.rate > 0 {
		gone := max(0, after.Sub(start)/s.rate)
		return start.Add((gone + 1) * s.rate)
	}
	if s.cron == nil {
		return time.Time{}
	}
	return s.cron.next(after.UTC())
}
