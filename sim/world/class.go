package world

import "math"

// negligible is taken off every probability of being late or lost: what is below it is none, so that light load has
// exactly no late requests, and comparisons are not decided by noise. It keeps their order.
const negligible = 1e-6

// class is the service of one type of instance at one speed: a log-normal service time.
type class struct {
	kind      int
	cold      bool
	servers   float64 // per instance
	rate      float64 // requests per second and instance
	mean, cv  float64
	mu, sigma float64
	late      tail
	gone      float64  // share whose service takes longer than the timeout
	nodes     [20]node // the service time in parts, finer in its tail
}

// node is a share of the requests and their service time.
type node struct{ at, share float64 }

func newClass(kind int, cold bool, t Type, speed, deadline, timeout float64) class {
	c := class{kind: kind, cold: cold, servers: t.Concurrency, mean: t.ServiceTime.Mean / speed, cv: t.ServiceTime.CV}
	c.rate = c.servers / c.mean
	variance := math.Log1p(c.cv * c.cv)
	c.sigma = math.Sqrt(variance)
	c.mu = math.Log(c.mean) - variance/2
	from := 0.0
	for i := range c.nodes {
		to := float64(i+1) * 0.075 // twelve to 0.9, then four for each further nine
		if i >= 12 {
			to = 1 - 0.1*math.Pow(10, -float64(i-11)/4)
		}
		c.nodes[i] = node{at: c.quantile((from + to) / 2), share: to - from}
		from = to
	}
	c.late = newTail(&c, deadline)
	c.gone = c.above(timeout)
	return c
}

// quantile of the service time.
func (c *class) quantile(p float64) float64 {
	return math.Exp(c.mu + c.sigma*math.Sqrt2*math.Erfinv(2*p-1))
}

// above is the share of requests whose service takes longer than x.
func (c *class) above(x float64) float64 {
	switch {
	case x <= 0:
		return 1
	case math.IsInf(x, 1):
		return 0
	case c.sigma == 0:
		if c.mean > x {
			return 1
		}
		return 0
	}
	return normal((c.mu - math.Log(x)) / c.sigma)
}

// within is the integral of above from 0 to x: the mean of the smaller of the service time and x; x itself if negative.
func (c *class) within(x float64) float64 {
	switch {
	case x <= 0:
		return x
	case c.sigma == 0:
		return min(c.mean, x)
	}
	z := (math.Log(x) - c.mu) / c.sigma
	return c.mean*normal(z-c.sigma) + x*normal(-z)
}

// overAfter is the share of requests that take longer than limit when they wait from v0 to v1, evenly spread.
func (c *class) overAfter(limit, v0, v1 float64) float64 {
	if math.IsInf(limit, 1) {
		return 0
	}
	if v0 > v1 {
		v0, v1 = v1, v0
	}
	if v0 >= limit {
		return 1
	}
	if v1-v0 < 1e-6*limit {
		return c.above(limit - v0)
	}
	return (c.within(limit-v0) - c.within(limit-v1)) / (v1 - v0)
}

// tail is the share of requests that take longer than a limit: base if they do not wait, and base plus what it says of
// waiting for those that do, whose waiting is exponential with a mean that is looked up.
type tail struct {
	limit  float64
	base   float64
	excess []float64 // by waitIndex
}

// Mean waiting times on a logarithmic scale relative to a limit, eight straight lines to a factor of two.
const (
	waitLow    = -12 // powers of two
	waitHigh   = 16
	waitParts  = 8
	waitPoints = (waitHigh - waitLow) * waitParts
)

// waitIndex places x (relative to a limit) on the scale, with the part of the way to the next point. The exponent and the
// first bits of the fraction of a floating-point number are a logarithm for free.
func waitIndex(x float64) (int, float64) {
	bits := math.Float64bits(x)
	i := int(bits>>49) - (1023+waitLow)*waitParts
	if i < 0 {
		return 0, 0
	}
	if i >= waitPoints {
		return waitPoints - 1, 1
	}
	return i, float64(bits&(1<<49-1)) * (1.0 / (1 << 49))
}

// waitAt is the other direction.
func waitAt(i int) float64 {
	return math.Ldexp(1+float64(i%waitParts)/waitParts, waitLow+i/waitParts)
}

func newTail(c *class, limit float64) tail {
	t := tail{limit: limit, base: c.above(limit)}
	if math.IsInf(limit, 1) {
		return t
	}
	t.excess = make([]float64, waitPoints+1)
	if limit <= 0 {
		return t
	}
	for i := range t.excess {
		t.excess[i] = c.excess(limit, waitAt(i)*limit)
	}
	return t
}

// excess is the share of requests whose service alone is within limit, but not together with exponential waiting.
func (c *class) excess(limit, wait float64) float64 {
	if c.sigma == 0 {
		if c.mean > limit {
			return 0
		}
		return math.Exp((c.mean - limit) / wait)
	}
	const steps, low = 160, -6.0
	high := min((math.Log(limit)-c.mu)/c.sigma, 8)
	if high <= low {
		return 0
	}
	h := (high - low) / steps
	sum := 0.0
	for i := range steps {
		z := low + (float64(i)+0.5)*h
		sum += math.Exp(-z*z/2 - (limit-math.Exp(c.mu+c.sigma*z))/wait)
	}
	return sum * h / math.Sqrt(2*math.Pi)
}

func (t *tail) share(waiting, wait float64) float64 {
	if t.excess == nil {
		return 0
	}
	i, f := waitIndex(wait / t.limit)
	return t.base + waiting*(t.excess[i]+f*(t.excess[i+1]-t.excess[i]))
}

func cut(share float64) float64 { return min(1, max(0, (share-negligible)/(1-negligible))) }
