package load

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// clock reads times in the order in which a file has them.
type clock struct {
	zone         *time.Location
	last         int64 // the last time read, in milliseconds
	any          bool
	naive, zoned int // how many named no zone, and how many did
}

var errTime = errors.New("is not a time (2006-01-02 15:04:05, RFC 3339, or seconds since 1970)")

// parse reads a time, in milliseconds since 1970.
func (c *clock) parse(text string) (int64, error) {
	at, err := c.read(text)
	if err == nil {
		c.last, c.any = at, true
	}
	return at, err
}

func (c *clock) read(text string) (int64, error) {
	if len(text) < 8 || (text[4] != '-' && text[4] != '/') {
		c.zoned++
		return epoch(text)
	}
	digits := func(from, to int) int {
		if to > len(text) {
			return -1
		}
		n := 0
		for _, b := range []byte(text[from:to]) {
			if b < '0' || b > '9' {
				return -1
			}
			n = 10*n + int(b-'0')
		}
		return n
	}
	year, month, day := digits(0, 4), digits(5, 7), digits(8, 10)
	if len(text) < 10 || text[7] != text[4] || year < 1 || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, errTime
	}
	hour, minute, second, milli, rest := 0, 0, 0, 0, text[10:]
	if len(rest) > 0 {
		hour, minute = digits(11, 13), digits(14, 16)
		if rest[0] != ' ' && rest[0] != 'T' && rest[0] != 't' || hour < 0 || hour > 24 || minute < 0 || minute > 59 || text[13] != ':' {
			return 0, errTime
		}
		rest = text[16:]
		if strings.HasPrefix(rest, ":") {
			if second = digits(17, 19); second < 0 || second > 60 {
				return 0, errTime
			}
			milli, rest = fraction(text[19:])
		}
	}
	// What time.Date normalises (the 31st of June) is no time that was meant.
	at := time.Date(year, time.Month(month), day, hour, minute, second, milli*1e6, time.UTC)
	if at.Day() != day && hour < 24 {
		return 0, errTime
	}
	offset, zoned, err := zoneOffset(strings.TrimSpace(rest))
	switch {
	case err != nil:
		return 0, err
	case zoned:
		c.zoned++
		return at.UnixMilli() - offset, nil
	}
	c.naive++
	if c.zone == nil || c.zone == time.UTC {
		return at.UnixMilli(), nil
	}
	return c.local(at), nil
}

// local is the instant at which clocks in the zone show a time. In the hour that is there twice when summer time ends, it
// is the one nearer to the time before, and not the same again; a time that is skipped in spring is an hour later.
func (c *clock) local(shown time.Time) int64 {
	naive := shown.UnixMilli()
	early, late := offsetOf(c.zone, naive-86_400_000), offsetOf(c.zone, naive+86_400_000)
	first, second := naive-max(early, late), naive-min(early, late)
	firstFits, secondFits := first+offsetOf(c.zone, first) == naive, second+offsetOf(c.zone, second) == naive
	switch {
	case firstFits && secondFits && first != second:
		if c.any && (c.last == first || abs(second-c.last) < abs(first-c.last)) && c.last != second {
			return second
		}
		return first
	case firstFits:
		return first
	default:
		return second
	}
}

// offsetOf is how far the zone's clocks are ahead at an instant, in milliseconds.
func offsetOf(zone *time.Location, at int64) int64 {
	_, seconds := time.UnixMilli(at).In(zone).Zone()
	return int64(seconds) * 1000
}

func abs(n int64) int64 { return max(n, -n) }

// fraction takes ".123456" off the front of a text and gives milliseconds.
func fraction(text string) (milli int, rest string) {
	if !strings.HasPrefix(text, ".") && !strings.HasPrefix(text, ",") {
		return 0, text
	}
	end, scale := 1, 100
	for ; end < len(text) && text[end] >= '0' && text[end] <= '9'; end++ {
		milli += int(text[end]-'0') * scale
		scale /= 10
	}
	return milli, text[end:]
}

// zoneOffset reads "", "Z", "UTC", "+02:00", "-0330" or "+02"; in milliseconds.
func zoneOffset(text string) (offset int64, zoned bool, err error) {
	switch text {
	case "":
		return 0, false, nil
	case "Z", "z", "UTC", "GMT", "Etc/UTC":
		return 0, true, nil
	}
	digits := strings.ReplaceAll(text[1:], ":", "")
	n, bad := strconv.ParseUint(digits, 10, 16)
	switch {
	case text[0] != '+' && text[0] != '-', bad != nil, len(digits) != 2 && len(digits) != 4:
		return 0, false, fmt.Errorf("has the zone %q; an offset such as +02:00 is needed, or times without one and the zone as an option", text)
	case len(digits) == 2:
		n *= 100
	}
	offset = int64(n/100*60+n%100) * 60_000
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true, nil
}

// epoch reads seconds since 1970, or milli-, micro- or nanoseconds, which the size tells.
func epoch(text string) (int64, error) {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || !(n >= 1e8):
		return 0, errTime
	case n < 1e11:
		return int64(n * 1000), nil
	case n < 1e14:
		return int64(n), nil
	case n < 1e17:
		return int64(n / 1e3), nil
	case n < 1e19:
		return int64(n / 1e6), nil
	}
	return 0, errTime
}
