package daemon

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is what GET /_billow/metrics tells Prometheus about the server itself; what it knows of the cloud is in
// CloudWatch.
func (d *Daemon) metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "billow_steps_total", Help: "Steps of the control plane since the start of the server.",
	}, func() float64 {
		d.loop.mu.Lock()
		defer d.loop.mu.Unlock()
		return float64(d.loop.steps)
	}))
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "billow_effects_waiting", Help: "Instances and subscribers with effects that are waiting or under way.",
	}, func() float64 {
		d.loop.effects.mu.Lock()
		defer d.loop.effects.mu.Unlock()
		return float64(len(d.loop.effects.queues))
	}))
	return r
}
