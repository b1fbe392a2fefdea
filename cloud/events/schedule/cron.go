package schedule

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The years that a cron expression can name.
const firstYear, lastYear = 1970, 2199

// cron is a cron expression: of each field what it may be.
type cron struct {
	minute, hour, month, year set
	day                       func(d time.Time) bool
}

// set has true for each number of a field, from its least on.
type set struct {
	min  int
	has  []bool
	name []string // of the numbers, from the least on; nil if they have none
}

func newSet(min, max int, names ...string) set { return set{min, make([]bool, max-min+1), names} }

func (s set) of(n int) bool { return n >= s.min && n < s.min+len(s.has) && s.has[n-s.min] }

var (
	monthNames = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	dayNames   = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

func parseCron(fields []string) (*cron, error) {
	if len(fields) != 6 || (fields[2] == "?") == (fields[4] == "?") {
		return nil, errInvalid // one of the days must be ?, and one only
	}
	c := &cron{minute: newSet(0, 59), hour: newSet(0, 23), month: newSet(1, 12, monthNames...), year: newSet(firstYear, lastYear)}
	if !c.minute.list(fields[0]) || !c.hour.list(fields[1]) || !c.month.list(fields[3]) || !c.year.list(fields[5]) {
		return nil, errInvalid
	}
	ok := false
	if fields[4] == "?" {
		c.day, ok = daysOfMonth(fields[2])
	} else {
		c.day, ok = daysOfWeek(fields[4])
	}
	if !ok {
		return nil, errInvalid
	}
	return c, nil
}

// list reads a field: numbers, ranges and *, each with a step, between commas.
func (s set) list(text string) bool {
	for item := range strings.SplitSeq(text, ",") {
		if !s.item(item) {
			return false
		}
	}
	return true
}

func (s set) item(text string) bool {
	from, to, step := s.min, s.min+len(s.has)-1, 1
	span, every, stepped := strings.Cut(text, "/")
	if stepped {
		n, err := strconv.ParseUint(every, 10, 16)
		if err != nil || n == 0 {
			return false
		}
		step = int(n)
	}
	if span != "*" {
		a, b, ranged := strings.Cut(span, "-")
		var ok bool
		if from, ok = s.number(a); !ok {
			return false
		}
		switch {
		case ranged:
			if to, ok = s.number(b); !ok {
				return false
			}
		case !stepped:
			to = from
		}
	}
	if to < from { // over the end: FRI-MON
		to += len(s.has)
	}
	for n := from; n <= to; n += step {
		s.has[(n-s.min)%len(s.has)] = true
	}
	return true
}

func (s set) number(text string) (int, bool) {
	if i := slices.Index(s.name, strings.ToUpper(text)); i >= 0 {
		return s.min + i, true
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil && int(n) >= s.min && int(n) < s.min+len(s.has)
}

// daysOfMonth reads a list in which L is the last day, L-3 the third before it, 15W the weekday next to the 15th and LW
// the last weekday.
func daysOfMonth(text string) (func(time.Time) bool, bool) {
	days := newSet(1, 31)
	var others []func(time.Time) bool
	for item := range strings.SplitSeq(text, ",") {
		item = strings.ToUpper(item)
		before, fromLast := strings.CutPrefix(item, "L-")
		near, weekday := strings.CutSuffix(item, "W")
		switch {
		case item == "L":
			others = append(others, func(d time.Time) bool { return d.Day() == lastDay(d) })
		case fromLast:
			n, ok := days.number(before)
			if !ok || n > 30 {
				return nil, false
			}
			others = append(others, func(d time.Time) bool { return d.Day() == lastDay(d)-n })
		case item == "LW":
			others = append(others, func(d time.Time) bool { return d.Day() == nearestWeekday(d, lastDay(d)) })
		case weekday:
			n, ok := days.number(near)
			if !ok {
				return nil, false
			}
			others = append(others, func(d time.Time) bool { return n <= lastDay(d) && d.Day() == nearestWeekday(d, n) })
		case !days.item(item):
			return nil, false
		}
	}
	return either(func(d time.Time) bool { return days.of(d.Day()) }, others), true
}

// daysOfWeek reads a list, 1 being Sunday, in which L is Saturday and 5L the last Thursday of the month; or 3#2 by
// itself, the second Tuesday.
func daysOfWeek(text string) (func(time.Time) bool, bool) {
	days := newSet(1, 7, dayNames...)
	weekday := func(d time.Time) int { return int(d.Weekday()) + 1 }
	if day, nth, ok := strings.Cut(text, "#"); ok {
		n, known := days.number(day)
		k, err := strconv.ParseUint(nth, 10, 8)
		return func(d time.Time) bool { return weekday(d) == n && (d.Day()+6)/7 == int(k) }, known && err == nil && k >= 1 && k <= 5
	}
	var others []func(time.Time) bool
	for item := range strings.SplitSeq(text, ",") {
		item = strings.ToUpper(item)
		day, last := strings.CutSuffix(item, "L")
		switch {
		case item == "L":
			days.item("7")
		case last:
			n, ok := days.number(day)
			if !ok {
				return nil, false
			}
			others = append(others, func(d time.Time) bool { return weekday(d) == n && d.Day()+7 > lastDay(d) })
		case !days.item(item):
			return nil, false
		}
	}
	return either(func(d time.Time) bool { return days.of(weekday(d)) }, others), true
}

func either(one func(time.Time) bool, others []func(time.Time) bool) func(time.Time) bool {
	return func(d time.Time) bool {
		return one(d) || slices.ContainsFunc(others, func(f func(time.Time) bool) bool { return f(d) })
	}
}

// lastDay is the number of days of a day's month.
func lastDay(d time.Time) int { return time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day() }

// nearestWeekday is the day from Monday to Friday that is nearest to a day of the month, in the same month.
func nearestWeekday(d time.Time, day int) int {
	switch time.Date(d.Year(), d.Month(), day, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == lastDay(d) {
			return day - 2
		}
		return day + 1
	}
	return day
}

// next is the first minute after an instant that fits all fields.
func (c *cron) next(after time.Time) time.Time {
	t := after.Truncate(time.Minute).Add(time.Minute)
	for t.Year() <= lastYear {
		switch {
		case !c.year.of(t.Year()):
			t = time.Date(t.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
		case !c.month.of(int(t.Month())):
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.day(t):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
		case !c.hour.of(t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !c.minute.of(t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}
