package cloudwatch

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch/metricmath"
)

// Reading is one value that a query gave.
type Reading struct {
	At    int64 // start of its period, in seconds since 1970
	Value float64
}

// CheckQueries refuses queries that cannot be computed or whose result is not one time series.
func CheckQueries(queries []Query) error {
	p, err := compile(queries)
	if err != nil {
		return err
	}
	return p.seriesOnly()
}

// Read gives what the query that returns data gives in time from (inclusive, a multiple of the periods) to to, oldest
// first; periods without data are left out.
func (s *Service) Read(tx *cloud.Tx, queries []Query, from, to time.Time) ([]Reading, error) {
	p, err := compile(queries)
	if err != nil {
		return nil, err
	}
	c := computation{plan: p, from: func(int64) int64 { return from.Unix() }, to: to.Unix(), fetch: s.fetcher(tx)}
	v, err := c.value(p.returned())
	if err != nil || v.Kind != metricmath.One {
		return nil, err
	}
	var out []Reading
	for i, at := range v.Series[0].Times {
		out = append(out, Reading{at, v.Series[0].Values[i]})
	}
	return out, nil
}
