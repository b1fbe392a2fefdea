package e2e

import (
	"testing"
	"time"
)

// BenchmarkFailover measures how long clients, who ask every 20 ms, are without an answer when the server that they know by
// its Elastic IP is killed: with a group of one, whose replacement takes the address with the AWS CLI, and with a standby,
// to which a function moves it. Beside it: what a call with the AWS CLI takes on this host.
func BenchmarkFailover(b *testing.B) {
	asRoot(b)
	needFailover(b)
	b.Run("group-of-one", func(b *testing.B) {
		s := start(b, "--time-scale", "30")
		ip, holder := s.webGroup()
		var outages []outage
		for b.Loop() {
			next, o := s.failover(ip, holder)
			s.awaitInService("web", 1, 60*time.Second)
			holder, outages = next, append(outages, o)
		}
		reportOutages(b, outages)
	})
	b.Run("standby", func(b *testing.B) {
		s := start(b, "--time-scale", "30")
		ip, holder, _ := s.webServer()
		var outages []outage
		for n := 1; b.Loop(); n++ {
			s.standby(n % 2)
			next, o := s.failover(ip, holder)
			holder, outages = next, append(outages, o)
		}
		reportOutages(b, outages)
	})
}

func reportOutages(b *testing.B, outages []outage) {
	b.Helper()
	var gaps, calls []time.Duration
	for _, o := range outages {
		gaps, calls = append(gaps, o.gap), append(calls, o.call)
	}
	figure(b, "without-answer", "ms", milliseconds(median(gaps)), milliseconds(failoverBound))
	beside(b, "without-answer-max", "ms", milliseconds(quantile(gaps, 1)))
	beside(b, "aws-cli", "ms", milliseconds(median(calls)))
}
