package autoscaling

import (
	"math"
	"testing"
)

// hourly is n hours of a load that is a function of the hour.
func hourly(n int, load func(h int) float64) []float64 {
	out := make([]float64, n)
	for h := range out {
		out[h] = load(h)
	}
	return out
}

func TestForecastNeedsADay(t *testing.T) { // AS-PD-02
	gap := math.NaN()
	if f := Forecast(hourly(23, func(int) float64 { return 1 }), 48); f != nil {
		t.Errorf("of 23 hours: %v", f)
	}
	if f := Forecast(append([]float64{gap, gap}, hourly(23, func(int) float64 { return 1 })...), 48); f != nil {
		t.Errorf("of 23 hours and two without data: %v", f)
	}
	f := Forecast(hourly(24, func(h int) float64 { return float64(h) }), 48)
	if len(f) != 48 || f[0] != 0 || f[23] != 23 || f[24] != 0 || f[47] != 23 {
		t.Errorf("of a day: %v", f)
	}
}

func TestForecastIsByHourOfWeekAfterTwoWeeks(t *testing.T) { // AS-PD-10
	weekend := func(h int) float64 {
		if h%168 >= 120 {
			return 10
		}
		return float64(100 + h%24)
	}
	f := Forecast(hourly(336, weekend), 168)
	for h, v := range f {
		if v != weekend(h) {
			t.Fatalf("hour %d of the week: %v, want %v", h, v, weekend(h))
		}
	}
	// With a day less there is no week to look back to: the days before count, the newest most.
	if v := Forecast(hourly(312, weekend), 1)[0]; v == weekend(312) || v <= 10 {
		t.Errorf("with 13 days: %v", v)
	}
}

func TestForecastWeighsTheNewestMost(t *testing.T) {
	if v := Forecast(hourly(48, func(h int) float64 { return float64(h / 24 * 30) }), 1)[0]; v != 20 { // (30 + 0/2) / 1.5
		t.Errorf("of 0 and then 30: %v, want 20", v)
	}
}

func TestForecastBridgesGaps(t *testing.T) {
	h := hourly(336, func(h int) float64 { return float64(h % 24) })
	h[336-168+5], h[5] = math.NaN(), math.NaN() // no week knows this hour
	if v := Forecast(h, 168)[5]; v != 5 {
		t.Errorf("the days' mean: %v, want 5", v)
	}
	for i := 7; i < 336; i += 24 { // nobody knows it
		h[i] = math.NaN()
	}
	if v := Forecast(h, 168)[7]; math.IsNaN(v) || v < 5 || v > 20 {
		t.Errorf("the mean of all: %v", v)
	}
}

func TestForecastCapacity(t *testing.T) { // AS-PD-07
	for _, x := range []struct {
		load, target float64
		want         int
	}{{0, 50, 0}, {1, 50, 1}, {50, 50, 1}, {50.1, 50, 2}, {0.3, 0.1, 3}, {-5, 50, 0}, {math.NaN(), 50, 0}, {1e30, 1, math.MaxInt32}} {
		if n := ForecastCapacity(x.load, x.target); n != x.want {
			t.Errorf("a load of %v at %v: %d, want %d", x.load, x.target, n, x.want)
		}
	}
}
