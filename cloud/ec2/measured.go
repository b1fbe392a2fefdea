package ec2

import (
	"time"

	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// Metric is one of the metrics that EC2 publishes for an instance from its usage, in namespace AWS/EC2.
type Metric struct{ Name, Unit string }

// MetricCount is the length of Metrics.
const MetricCount = 9

// Metrics are the metrics made of Usage, in the order of Measured.Stats (CW-NM-01).
var Metrics = [MetricCount]Metric{
	{"CPUUtilization", "Percent"},
	{"NetworkIn", "Bytes"}, {"NetworkOut", "Bytes"},
	{"NetworkPacketsIn", "Count"}, {"NetworkPacketsOut", "Count"},
	{"DiskReadBytes", "Bytes"}, {"DiskWriteBytes", "Bytes"},
	{"DiskReadOps", "Count"}, {"DiskWriteOps", "Count"},
}

// Measured is one instance's newest point of every metric: one minute with detailed monitoring, five without. Counts of
// statistics are minutes, so sums over instances of both kinds make sense.
type Measured struct {
	InstanceID string
	Detailed   bool
	At         time.Time // start of the period (CW-ST-05)
	Stats      [MetricCount]cloudwatch.Stat
}
