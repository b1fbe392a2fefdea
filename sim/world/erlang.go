package world

import (
	"math"
	"sync"
)

// The probability that a request has to wait (Erlang C) by how far the load is from saturation, beta = (1 - rho) sqrt(c):
// in this scale it hardly depends on the number c of servers (Halfin and Whitt 1981), so few rows and straight lines
// between them are enough, from one server to any number.
const (
	betaSteps = 64 // per unit
	betaMax   = 8
)

var erlangServers = []float64{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 128, 256, 1024, math.Inf(1)}

type erlangRow [betaMax*betaSteps + 2]float64

var erlangTable = sync.OnceValue(func() []erlangRow {
	rows := make([]erlangRow, len(erlangServers))
	for i, c := range erlangServers {
		for j := range betaMax*betaSteps + 1 {
			rows[i][j] = erlangC(c, float64(j)/betaSteps)
		}
	}
	return rows
})

// erlangC is the exact probability of waiting with a whole number of servers, or its limit for very many.
func erlangC(c, beta float64) float64 {
	if math.IsInf(c, 1) {
		density := math.Exp(-beta*beta/2) / math.Sqrt(2*math.Pi)
		return 1 / (1 + beta*normal(beta)/density)
	}
	rho := 1 - beta/math.Sqrt(c)
	if rho <= 0 {
		return 0
	}
	// 1/B = sum over k of c!/(c-k)! / a^k: terms rise while c-k > a and then fall.
	a := rho * c
	sum, term := 1.0, 1.0
	for k := c; k >= 1; k-- {
		term *= k / a
		sum += term
		if term < sum*1e-12 {
			break
		}
	}
	blocked := 1 / sum
	return blocked / (1 - rho*(1-blocked))
}

// waiters looks up the probability of waiting for one number of servers.
type waiters struct {
	low, high *erlangRow
	share     float64 // of high
	root      float64 // of the number of servers
}

func waitersFor(servers float64) waiters {
	table := erlangTable()
	servers = max(1, servers)
	i := 0
	for erlangServers[i+1] <= servers {
		i++
	}
	// Straight lines over 1/sqrt(c).
	x, x0, x1 := 1/math.Sqrt(servers), 1/math.Sqrt(erlangServers[i]), 1/math.Sqrt(erlangServers[i+1])
	return waiters{low: &table[i], high: &table[i+1], share: (x0 - x) / (x0 - x1), root: math.Sqrt(servers)}
}

func (w *waiters) probability(rho float64) float64 {
	beta := (1 - rho) * w.root * betaSteps
	if beta >= betaMax*betaSteps {
		return 0
	}
	if beta < 0 {
		return 1
	}
	i := int(beta)
	f := beta - float64(i)
	low := w.low[i] + f*(w.low[i+1]-w.low[i])
	high := w.high[i] + f*(w.high[i+1]-w.high[i])
	return low + w.share*(high-low)
}

// normal is the standard normal distribution function.
func normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }
