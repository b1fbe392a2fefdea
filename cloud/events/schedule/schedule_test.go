package schedule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t
}

// TestNext: AWS's own examples and what its wildcards say.
func TestNext(t *testing.T) {
	for _, c := range []struct{ text, after, want string }{
		{"rate(1 minute)", "2026-11-20 12:00:30", "2026-11-20 12:01:10"}, // from the start, at :10
		{"rate(5 minutes)", "2026-11-20 12:00:10", "2026-11-20 12:05:10"},
		{"rate(1 hour)", "2026-11-20 13:00:10", "2026-11-20 14:00:10"},
		{"rate(2 days)", "2026-11-20 12:00:00", "2026-11-22 12:00:10"},
		{"cron(0 10 * * ? *)", "2026-11-20 10:00:00", "2026-11-21 10:00:00"},
		{"cron(15 12 * * ? *)", "2026-11-20 10:00:59", "2026-11-20 12:15:00"},
		{"cron(0 18 ? * MON-FRI *)", "2026-11-20 18:00:00", "2026-11-23 18:00:00"}, // a Friday
		{"cron(0 8 1 * ? *)", "2026-11-20 18:00:00", "2026-12-01 08:00:00"},
		{"cron(0/10 * ? * MON-FRI *)", "2026-11-20 23:55:00", "2026-11-23 00:00:00"},
		{"cron(1/10 * * * ? *)", "2026-11-20 23:55:00", "2026-11-21 00:01:00"},
		{"cron(0/5 8-17 ? * MON-FRI *)", "2026-11-20 17:55:00", "2026-11-23 08:00:00"},
		{"cron(0 9 ? * 2#1 *)", "2026-11-20 00:00:00", "2026-12-07 09:00:00"},
		{"cron(0 9 ? * 3#5 *)", "2026-11-20 00:00:00", "2026-12-29 09:00:00"},
		{"cron(0 9 L * ? *)", "2026-02-20 00:00:00", "2026-02-28 09:00:00"},
		{"cron(0 9 L-1 * ? *)", "2028-02-20 00:00:00", "2028-02-28 09:00:00"},
		{"cron(0 9 LW * ? *)", "2026-02-20 00:00:00", "2026-02-27 09:00:00"}, // the 28th is a Saturday
		{"cron(0 9 ? * 6L *)", "2026-11-20 10:00:00", "2026-11-27 09:00:00"},
		{"cron(0 9 ? * FRIL *)", "2026-11-20 10:00:00", "2026-11-27 09:00:00"},
		{"cron(0 9 ? * L *)", "2026-11-20 10:00:00", "2026-11-21 09:00:00"},
		{"cron(0 9 15W * ? *)", "2026-11-01 00:00:00", "2026-11-16 09:00:00"},  // a Sunday
		{"cron(0 9 1W AUG ? *)", "2026-01-01 00:00:00", "2026-08-03 09:00:00"}, // a Saturday, and not in July
		{"cron(0 9 31W * ? *)", "2026-04-01 00:00:00", "2026-05-29 09:00:00"},  // April has none; May's is a Sunday
		{"cron(0 0 29 2 ? *)", "2026-01-01 00:00:00", "2028-02-29 00:00:00"},
		{"cron(0 0 1,15 jan,jul ? 2027/2)", "2026-01-01 00:00:00", "2027-01-01 00:00:00"},
		{"cron(0 22-2 * * ? *)", "2026-01-01 02:00:00", "2026-01-01 22:00:00"},
		{"cron(0 0 ? * FRI-MON *)", "2026-11-16 00:00:00", "2026-11-20 00:00:00"},
		{"cron(30 4 1 1 ? 2030-2031)", "2030-01-01 04:30:00", "2031-01-01 04:30:00"},
		{"cron(0 0 1 1 ? 2025)", "2026-01-01 00:00:00", ""},
		{"cron(0 0 31 2 ? *)", "2026-01-01 00:00:00", ""},
	} {
		s, err := Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		var want time.Time
		if c.want != "" {
			want = at(c.want)
		}
		if got := s.Next(at(c.after), at("2026-11-20 12:00:10")); !got.Equal(want) {
			t.Errorf("%s after %s: %s, want %s", c.text, c.after, got, want)
		}
	}
}

func TestInvalid(t *testing.T) {
	for _, text := range []string{
		"", "rate", "rate()", "rate(5 minute)", "rate(1 minutes)", "rate(0 minutes)", "rate(-1 minutes)", "rate(1 second)", "rate(5  parsecs)",
		"rate(9999999999 days)", "cron(0 10 * * *)", "cron(0 10 * * * *)", "cron(0 10 ? * ? *)", "cron(60 10 * * ? *)", "cron(0 24 * * ? *)",
		"cron(0 0 0 * ? *)", "cron(0 0 32 * ? *)", "cron(0 0 1 13 ? *)", "cron(0 0 ? * 0 *)", "cron(0 0 ? * 8 *)", "cron(0 0 1 1 ? 2200)",
		"cron(0 0 ? * 3#6 *)", "cron(0 0 ? * 3#1,6#3 *)", "cron(*/0 0 1 1 ? *)", "cron(a 0 1 1 ? *)", "cron(0 0 1 1 ? *) ", "cron(? 0 1 1 ? *)",
		"cron(0 0 W * ? *)", "cron(0 0 ? * XL *)", "cron(1- 0 1 1 ? *)", "cron(,1 0 1 1 ? *)", "at(2026-01-01T00:00:00)",
	} {
		if s, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %+v", text, s)
		}
	}
}

// TestAgainstEveryMinute looks at each minute in turn, with fields that are plain lists.
func TestAgainstEveryMinute(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	list := func(min, max int) ([]int, string) {
		var numbers []int
		var words []string
		for range 1 + r.IntN(3) {
			n := min + r.IntN(max-min+1)
			numbers, words = append(numbers, n), append(words, fmt.Sprint(n))
		}
		return numbers, strings.Join(words, ",")
	}
	has := func(list []int, n int) bool {
		for _, x := range list {
			if x == n {
				return true
			}
		}
		return false
	}
	for range 60 {
		minutes, a := list(0, 59)
		hours, b := list(0, 23)
		months, d := list(1, 12)
		days, c := list(1, 31)
		week, e := list(1, 7)
		byWeek := r.IntN(2) == 0
		text := fmt.Sprintf("cron(%s %s %s %s ? *)", a, b, c, d)
		if byWeek {
			text = fmt.Sprintf("cron(%s %s ? %s %s *)", a, b, d, e)
		}
		s, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		now := time.Date(2027, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC)
		got := s.Next(now, time.Time{})
		if got.Sub(now) > 60*24*time.Hour { // then it is enough that nothing comes before
			got = now.Add(60 * 24 * time.Hour).Truncate(time.Minute)
		}
		for m := now.Truncate(time.Minute).Add(time.Minute); m.Before(got); m = m.Add(time.Minute) {
			if has(minutes, m.Minute()) && has(hours, m.Hour()) && has(months, int(m.Month())) &&
				(!byWeek && has(days, m.Day()) || byWeek && has(week, int(m.Weekday())+1)) {
				t.Fatalf("%s after %s: %s, but %s comes before", text, now, got, m)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("cron(0/5 8-17 ? * 2#1 *)")
	f.Add("cron(0 0 L-3,15W,LW JAN-DEC/2 ? 2030-2199)")
	f.Add("rate(7 days)")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		now := at("2026-11-20 12:00:10")
		if next := s.Next(now, now); !next.IsZero() && !next.After(now) {
			t.Errorf("%s: %s is not after", text, next)
		}
	})
}
