package e2e

import (
	"testing"
	"time"
)

// BenchmarkFailover measures how long clients, who ask every 20 ms, are without an answer when the server that they know by
// its Elastic IP is killed: with a group of one, whose replacement takes the address with the AWS CLI, and with a standby,
// to which a function moves it. Beside it: what those calls of the CLI take in an instance when nothing has happened.
func BenchmarkFailover(b *testing.B) {
	asRoot(b)
	needFailover(b)
	b.Run("group-of-one", func(b *testing.B) {
		s := start(b, "--time-scale", "30")
		ip, holder := s.webGroup()
		var gaps, calls []time.Duration
		for b.Loop() {
			began := time.Now()
			s.sh(holder, `aws="/usr/bin/aws --endpoint-url $AWS_ENDPOINT_URL --output text"
				$aws ec2 describe-addresses --query 'Addresses[0].AllocationId' | tr -d '\n' |
				$aws ec2 associate-address --allocation-id file:///dev/stdin --instance-id `+holder)
			calls = append(calls, time.Since(began))
			next, o := s.failover(ip, holder)
			s.awaitInService("web", 1, 20*time.Second)
			holder, gaps = next, append(gaps, o.gap)
		}
		failovers(b, gaps)
		beside(b, "aws-cli", "ms", milliseconds(median(calls)))
	})
	b.Run("standby", func(b *testing.B) {
		s := start(b, "--time-scale", "30")
		ip, holder, _ := s.webServer()
		var gaps []time.Duration
		for n := 1; b.Loop(); n++ {
			s.standby(n % 2)
			next, o := s.failover(ip, holder)
			holder, gaps = next, append(gaps, o.gap)
		}
		failovers(b, gaps)
	})
}

func failovers(b *testing.B, gaps []time.Duration) {
	b.Helper()
	figure(b, "without-answer", "ms", milliseconds(median(gaps)), milliseconds(failoverBound))
	beside(b, "without-answer-max", "ms", milliseconds(quantile(gaps, 1)))
}
