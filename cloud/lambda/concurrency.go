package lambda

import (
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
)

// flights are the synchronous invocations under way. They are no rows: a restart ends them and those who wait for them.
// Each has a timer, at which it is given up as lost; what is counted here is counted again from the timers when it has to be.
type flights struct {
	under map[cloud.Key]bool // nil if they were not counted yet
	count map[string]int32   // by scope, and by scope and function
}

// lostAfter is when a run of which nothing is heard is no longer counted, beyond its time-out.
const lostAfter = time.Hour

func (s *Service) flightsOf(tx *cloud.Tx) *flights {
	if s.flights.under == nil {
		s.flights = flights{map[cloud.Key]bool{}, map[string]int32{}}
		for k := range tx.Timers(Name, kindFlight) {
			s.flights.add(k)
		}
	}
	return &s.flights
}

func flightKey(tx *cloud.Tx, function, id string) cloud.Key {
	return cloud.Key{Scope: tx.Scope, Kind: kindFlight, ID: function + " " + id}
}

func functionKey(scope cloud.Scope, function string) string { return scope.String() + "/" + function }

// takeOff counts a synchronous invocation.
func (s *Service) takeOff(tx *cloud.Tx, id string, v Version) {
	k, l := flightKey(tx, v.Function, id), s.flightsOf(tx)
	if l.under[k] { // a request ID that somebody chose
		return
	}
	l.add(k)
	tx.Journal().OnUndo(func() { l.remove(k) })
	tx.At(Name, k.Kind, k.ID, v.patience(tx))
}

// land counts it no longer.
func (s *Service) land(tx *cloud.Tx, k cloud.Key) {
	if l := s.flightsOf(tx); l.under[k] {
		l.remove(k)
		tx.Journal().OnUndo(func() { l.add(k) })
		tx.At(Name, k.Kind, k.ID, time.Time{})
	}
}

func (l *flights) add(k cloud.Key) {
	l.under[k] = true
	function, _, _ := strings.Cut(k.ID, " ")
	l.count[k.Scope.String()]++
	l.count[functionKey(k.Scope, function)]++
}

func (l *flights) remove(k cloud.Key) {
	delete(l.under, k)
	function, _, _ := strings.Cut(k.ID, " ")
	for _, of := range []string{k.Scope.String(), functionKey(k.Scope, function)} {
		if l.count[of]--; l.count[of] == 0 {
			delete(l.count, of)
		}
	}
}

// executions are how many of a function are under way.
func (s *Service) executions(tx *cloud.Tx, function string) int32 {
	return s.flightsOf(tx).count[functionKey(tx.Scope, function)] + int32(s.byState.Count(tx, "running "+function)+s.byMapping.Count(tx, "of "+function))
}

// room tells whether one more execution of a function may begin.
func (s *Service) room(tx *cloud.Tx, f Function) bool {
	if f.Reserved >= 0 {
		return s.executions(tx, f.Name) < f.Reserved
	}
	free := int32(accountConcurrency)
	under := s.flightsOf(tx).count[tx.Scope.String()] + int32(s.byState.Count(tx, "running")+s.byMapping.Count(tx, "all"))
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
