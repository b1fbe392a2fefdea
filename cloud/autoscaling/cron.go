package autoscaling

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Cron is a recurrence of five fields: minute, hour, day of month, month, day of week (AS-SC-02). Each field is a set
// of numbers, one bit each.
type Cron struct {
	minute, hour, day, month, weekday uint64
	either                            bool // both day fields are restricted: one of them has to match (AS-SC-09)
}

// cronField is what a field may hold.
type cronField struct {
	name     string
	min, max int
	names    []string // for min, min+1 ...
}

var cronFields = [5]cronField{
	{name: "minute", min: 0, max: 59},
	{name: "hour", min: 0, max: 23},
	{name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{name: "day of week", min: 0, max: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// cronHorizon bounds the search for the next instant: the 29th of February that is a given weekday comes within 28
// years, but for a turn of the century.
const cronHorizon = 41 * 366

// ParseCron reads a recurrence.
func ParseCron(text string) (Cron, error) {
	fields := strings.Fields(text)
	if len(fields) != len(cronFields) {
		return Cron{}, fmt.Errorf("%q has %d fields and not 5", text, len(fields))
	}
	var sets [5]uint64
	for i, f := range fields {
		set, err := cronFields[i].parse(f)
		if err != nil {
			return Cron{}, err
		}
		sets[i] = set
	}
	if sets[4]&(1<<7) != 0 { // 7 is Sunday too
		sets[4] = sets[4]&^(1<<7) | 1
	}
	return Cron{sets[0], sets[1], sets[2], sets[3], sets[4], fields[2][0] != '*' && fields[4][0] != '*'}, nil
}

// parse reads one field: a list of *, a number, a range, each with an optional step.
func (f cronField) parse(text string) (uint64, error) {
	var set uint64
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 || n > f.max {
				return 0, fmt.Errorf("%q is not a step of the %s", part, f.name)
			}
			step = n
		}
		lo, hi := f.min, f.max
		if f.max == 7 {
			hi = 6 // * is every day once
		}
		if span != "*" {
			from, to, ranged := strings.Cut(span, "-")
			var err error
			if lo, err = f.number(from); err != nil {
				return 0, err
			}
			switch {
			case ranged:
				if hi, err = f.number(to); err != nil {
					return 0, err
				}
			case !stepped:
				hi = lo
			}
		}
		if lo > hi {
			return 0, fmt.Errorf("%q is not a range of the %s", part, f.name)
		}
		for n := lo; n <= hi; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

func (f cronField) number(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(name, text) {
			return f.min + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.min || n > f.max || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("%q is not a %s", text, f.name)
	}
	return n, nil
}

// Next is the first instant after a time at which the recurrence falls due in a zone; zero if there is none. A time of
// day that the clocks skip falls due when they do; one that comes twice falls due the first time.
func (c Cron) Next(after time.Time, zone *time.Location) time.Time {
	local := after.In(zone)
	year, month, day := local.Date()
	for i := range cronHorizon {
		date := time.Date(year, month, day+i, 12, 0, 0, 0, time.UTC)
		if !c.onDay(date) {
			continue
		}
		for hours := c.hour; hours != 0; hours &= hours - 1 {
			for minutes := c.minute; minutes != 0; minutes &= minutes - 1 {
				t := wallTime(date, bits.TrailingZeros64(hours), bits.TrailingZeros64(minutes), zone)
				if t.After(after) {
					return t.UTC()
				}
			}
		}
	}
	return time.Time{}
}

func (c Cron) onDay(date time.Time) bool {
	if c.month>>date.Month()&1 == 0 {
		return false
	}
	day, weekday := c.day>>date.Day()&1 == 1, c.weekday>>date.Weekday()&1 == 1
	if c.either {
		return day || weekday
	}
	return day && weekday
}

// wallTime is the instant at which the clocks of a zone show a time, or jump over it.
func wallTime(date time.Time, hour, minute int, zone *time.Location) time.Time {
	t := time.Date(date.Year(), date.Month(), date.Day(), hour, minute, 0, 0, zone)
	if t.Hour() == hour && t.Minute() == minute {
		return t
	}
	start, end := t.ZoneBounds()
	if t.Hour()*60+t.Minute() > hour*60+minute {
		return start
	}
	return end
}
