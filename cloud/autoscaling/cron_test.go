package autoscaling

import (
	"math/rand/v2"
	"testing"
	"time"
)

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCronNext(t *testing.T) { // AS-SC-02, AS-SC-09
	for _, x := range []struct{ recurrence, zone, after, want string }{
		{"0 9 * * *", "", "2026-11-20T08:59:59Z", "2026-11-20T09:00:00Z"},
		{"0 9 * * *", "", "2026-11-20T09:00:00Z", "2026-11-21T09:00:00Z"},
		{"*/15 * * * *", "", "2026-11-20T09:46:00Z", "2026-11-20T10:00:00Z"},
		{"5/20 * * * *", "", "2026-11-20T09:00:00Z", "2026-11-20T09:05:00Z"},
		{"30 0 1 1,6,12 *", "", "2026-11-20T00:00:00Z", "2026-12-01T00:30:00Z"},
		{"0 10 * * MON-FRI", "", "2026-11-20T10:00:00Z", "2026-11-23T10:00:00Z"},
		{"0 0 * * 7", "", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z"},
		{"0 0 13 * 5", "", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z"}, // either matches: a Friday
		{"0 0 22 * 5", "", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z"}, // or the 22nd
		{"0 0 29 FEB *", "", "2026-11-20T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 31 2 *", "", "2026-11-20T00:00:00Z", ""},
		{"0 9 * * *", "America/New_York", "2026-07-01T00:00:00Z", "2026-07-01T13:00:00Z"},
		{"0 9 * * *", "America/New_York", "2026-12-01T00:00:00Z", "2026-12-01T14:00:00Z"},
		{"0 9 * * *", "Asia/Seoul", "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"},
		{"30 2 * * *", "America/New_York", "2027-03-14T00:00:00Z", "2027-03-14T07:00:00Z"}, // the clocks skip 2:30
		{"30 1 * * *", "America/New_York", "2027-11-07T00:00:00Z", "2027-11-07T05:30:00Z"}, // 1:30 comes twice
		{"30 1 * * *", "America/New_York", "2027-11-07T05:30:00Z", "2027-11-08T06:30:00Z"},
		{"0 12 * * *", "Europe/Dublin", "2026-07-01T00:00:00Z", "2026-07-01T11:00:00Z"},
		{"0 12 * * *", "Europe/Dublin", "2026-12-01T00:00:00Z", "2026-12-01T12:00:00Z"},
		{"0 12 * * *", "Australia/Lord_Howe", "2026-12-01T00:00:00Z", "2026-12-01T01:00:00Z"},
	} {
		c, err := ParseCron(x.recurrence)
		if err != nil {
			t.Fatal(err)
		}
		z, ok := zone(x.zone)
		if !ok {
			t.Fatalf("no zone %s", x.zone)
		}
		var want time.Time
		if x.want != "" {
			want = instant(t, x.want)
		}
		if got := c.Next(instant(t, x.after), z); !got.Equal(want) {
			t.Errorf("%s %s after %s: %v, want %v", x.recurrence, x.zone, x.after, got, want)
		}
	}
}

func TestCronRefuses(t *testing.T) {
	for _, bad := range []string{"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8",
		"5-1 * * * *", "*/0 * * * *", "a * * * *", "1, * * * *", "-1 * * * *", "+1 * * * *", "1-2-3 * * * *", "@daily", "* * * FOO *", "1/ * * * *"} {
		if _, err := ParseCron(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// The dumb twin looks at every minute.
func TestCronAgainstEveryMinute(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	texts := []string{"*/7 3-5 * * *", "0 0 1 * *", "59 23 31 * *", "13 4 * 2-4 1,3", "0 6 10-20/5 * SUN", "1,2,3 */6 * * *"}
	for _, text := range texts {
		c, err := ParseCron(text)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			after := noon.Add(time.Duration(r.IntN(365*24*60)) * time.Minute)
			twin := after
			for range 400 * 24 * 60 {
				twin = twin.Add(time.Minute)
				if c.minute>>twin.Minute()&1 == 1 && c.hour>>twin.Hour()&1 == 1 && c.onDay(twin) {
					break
				}
			}
			if got := c.Next(after, time.UTC); !got.Equal(twin) {
				t.Errorf("%s after %v: %v, want %v", text, after, got, twin)
			}
		}
	}
}

func TestZonesAgree(t *testing.T) {
	if _, ok := zone("Mars/Olympus"); ok {
		t.Error("a zone that does not exist")
	}
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Asia/Seoul", "Australia/Sydney", "America/Sao_Paulo", "Asia/Kolkata", "Etc/GMT+5", "Pacific/Chatham"} {
		system, err := time.LoadLocation(name)
		if err != nil {
			t.Skipf("the system has no zone %s", name)
		}
		own, ok := zone(name)
		if !ok {
			t.Errorf("no zone %s", name)
			continue
		}
		for day := range 2 * 365 {
			at := noon.Add(time.Duration(day) * 24 * time.Hour)
			_, a := at.In(system).Zone()
			if _, b := at.In(own).Zone(); a != b {
				t.Errorf("%s at %v: %d, the system says %d", name, at, b, a)
				break
			}
		}
	}
}
