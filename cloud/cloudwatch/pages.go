package cloudwatch

import (
	"slices"
	"strconv"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/cloudwatch"
	"github.com/billow-cloud/billow/cloud/cloudwatch/metricmath"
)

// all computes what is returned of a plan's queries, in their order.
func (c *computation) all(descending bool) ([]shape.MetricDataResult, error) {
	var out []shape.MetricDataResult
	for i := range c.queries {
		q := &c.queries[i]
		if !q.ReturnData {
			continue
		}
		v, err := c.value(i)
		if err != nil {
			return nil, err
		}
		if v.Kind == metricmath.Scalar {
			return nil, invalid("Error in expression '%s': the result is %v and not a time series", q.ID, v.Kind)
		}
		for _, s := range v.Series {
			r := shape.MetricDataResult{Id: &q.ID, Label: new(s.Label), StatusCode: new("Complete"),
				Timestamps: make([]time.Time, len(s.Times)), Values: slices.Clone(s.Values)}
			if q.Expression != "" && v.Kind == metricmath.One && q.Label == "" || s.Label == "" {
				r.Label = &q.ID
			}
			for k, at := range s.Times {
				r.Timestamps[k] = time.Unix(at, 0).UTC()
			}
			if descending {
				slices.Reverse(r.Timestamps)
				slices.Reverse(r.Values)
			}
			if r.Values == nil {
				r.Values = []float64{}
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// page cuts results so that not more than limit points are given. The token is how many were given before.
func page(all []shape.MetricDataResult, token string, limit int) (*shape.GetMetricDataOutput, error) {
	skip := 0
	if token != "" {
		var err error
		if skip, err = strconv.Atoi(token); err != nil || skip < 0 {
			return nil, api.Errorf("InvalidNextToken", "The specified nextToken is invalid.")
		}
	}
	out := &shape.GetMetricDataOutput{MetricDataResults: []shape.MetricDataResult{}, Messages: []shape.MessageData{}}
	total := 0
	for _, r := range all {
		total += len(r.Values)
	}
	seen, room := 0, limit
	for _, r := range all {
		first := seen
		seen += len(r.Values)
		if seen <= skip && first < skip {
			continue // given before
		}
		if room == 0 && skip+limit < total {
			break
		}
		from := max(0, skip-first)
		n := min(len(r.Values)-from, room)
		if from+n < len(r.Values) {
			r.StatusCode = new("PartialData")
		}
		r.Timestamps, r.Values = r.Timestamps[from:from+n], r.Values[from:from+n]
		room -= n
		out.MetricDataResults = append(out.MetricDataResults, r)
	}
	if given := skip + limit - room; given < total {
		out.NextToken = new(strconv.Itoa(given))
	}
	return out, nil
}
