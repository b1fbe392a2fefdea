package lambda

import (
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// flights are the synchronous invocations under way. They are no rows: a restart ends them and those who wait for them.
type flights struct {
	under map[string]flight // by request ID
	count map[string]int32  // by scope, and by scope and function
}

type flight struct {
	scope, function string // keys of count
	until           time.Time
}

// lostAfter is when a run of which nothing is heard is no longer counted, beyond its time-out.
const lostAfter = time.Hour

func functionKey(tx *cloud.Tx, function string) string { return tx.Scope.String() + "/" + function }

// takeOff counts a synchronous invocation.
func (s *Service) takeOff(tx *cloud.Tx, id, function string, timeout int32) {
	f := flight{tx.Scope.String(), functionKey(tx, function), tx.Now().Add(time.Duration(timeout)*time.Second + lostAfter)}
	s.flights.add(id, f)
	tx.Journal().OnUndo(func() { s.flights.remove(id) })
}

// land counts it no longer.
func (s *Service) land(tx *cloud.Tx, id string) {
	if f, ok := s.flights.under[id]; ok {
		s.flights.remove(id)
		tx.Journal().OnUndo(func() { s.flights.add(id, f) })
	}
}

func (l *flights) add(id string, f flight) {
	if _, twice := l.under[id]; twice {
		return
	}
	l.under[id] = f
	l.count[f.scope]++
	l.count[f.function]++
}

func (l *flights) remove(id string) {
	f, ok := l.under[id]
	if !ok {
		return
	}
	delete(l.under, id)
	for _, key := range []string{f.scope, f.function} {
		if l.count[key]--; l.count[key] <= 0 {
			delete(l.count, key)
		}
	}
}

// forgetLost lands those of which nothing will be heard.
func (s *Service) forgetLost(tx *cloud.Tx) {
	for id, f := range s.flights.under { // any order
		if tx.Now().After(f.until) {
			s.land(tx, id)
		}
	}
}

// executions are how many of a function are under way.
func (s *Service) executions(tx *cloud.Tx, function string) int32 {
	return s.flights.count[functionKey(tx, function)] + int32(s.byState.Count(tx, "running "+function)+s.byMapping.Count(tx, "of "+function))
}

// room tells whether one more execution of a function may begin; lost ones are looked for before it says no.
func (s *Service) room(tx *cloud.Tx, f Function) bool {
	if s.roomNow(tx, f) {
		return true
	}
	s.forgetLost(tx)
	return s.roomNow(tx, f)
}

func (s *Service) roomNow(tx *cloud.Tx, f Function) bool {
	if f.Reserved >= 0 {
		return s.executions(tx, f.Name) < f.Reserved
	}
	free := int32(accountConcurrency)
	under := s.flights.count[tx.Scope.String()] + int32(s.byState.Count(tx, "running")+s.byMapping.Count(tx, "all"))
	for _, r := range s.reserved.Each(tx, "reserved") {
		free -= r.Reserved
		under -= s.executions(tx, r.Name)
	}
	return under < free
}

// reservedInAll is what all functions but one have reserved.
func (s *Service) reservedInAll(tx *cloud.Tx, but string) (sum int32) {
	for name, r := range s.reserved.Each(tx, "reserved") {
		if name != but {
			sum += r.Reserved
		}
	}
	return sum
}

func errTooMany() error {
	return &api.Error{Code: "TooManyRequestsException", Status: 429, Message: "Rate Exceeded."}
}

// PutFunctionConcurrency reserves executions for a function, and lets it have no more.
func (s *Service) PutFunctionConcurrency(tx *cloud.Tx, in *shape.PutFunctionConcurrencyInput) (*shape.PutFunctionConcurrencyOutput, error) {
	f, err := s.unqualified(tx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	n := api.Value(in.ReservedConcurrentExecutions)
	if n > accountConcurrency-unreservable-s.reservedInAll(tx, f.Name) {
		return nil, invalid("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", unreservable)
	}
	f.Reserved = n
	s.functions.Put(tx, f.Name, f)
	return &shape.PutFunctionConcurrencyOutput{ReservedConcurrentExecutions: &n}, nil
}

// GetFunctionConcurrency shows the reservation, if there is one.
func (s *Service) GetFunctionConcurrency(tx *cloud.Tx, in *shape.GetFunctionConcurrencyInput) (*shape.GetFunctionConcurrencyOutput, error) {
	f, err := s.unqualified(tx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := &shape.GetFunctionConcurrencyOutput{}
	if f.Reserved >= 0 {
		out.ReservedConcurrentExecutions = new(f.Reserved)
	}
	return out, nil
}

// DeleteFunctionConcurrency takes the reservation away.
func (s *Service) DeleteFunctionConcurrency(tx *cloud.Tx, in *shape.DeleteFunctionConcurrencyInput) (*shape.DeleteFunctionConcurrencyOutput, error) {
	f, err := s.unqualified(tx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	f.Reserved = -1
	s.functions.Put(tx, f.Name, f)
	return &shape.DeleteFunctionConcurrencyOutput{}, nil
}

// measure puts one value of a metric, of the function and of all functions.
func (s *Service) measure(tx *cloud.Tx, function, metric, unit string, value float64) {
	stat := cloudwatch.Stat{Count: 1, Sum: value, Min: value, Max: value}
	d := cloudwatch.Datum{Namespace: "AWS/Lambda", Metric: metric, Unit: unit, At: tx.Now(), Stat: stat}
	of := d
	of.Dimensions = []cloudwatch.Dimension{{Name: "FunctionName", Value: function}}
	s.metrics.Put(tx, []cloudwatch.Datum{d, of})
}

// throttled notes that there was no room.
func (s *Service) throttled(tx *cloud.Tx, function string) {
	s.measure(tx, function, "Throttles", "Count", 1)
}
