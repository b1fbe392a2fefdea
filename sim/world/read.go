package world

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/billow-cloud/billow/sim/input"
	"github.com/billow-cloud/billow/sim/load"
)

// Read is a model from its JSON. What is not named there is as in Default(100), a deadline ten times and a timeout a
// hundred times the longest mean service time. A field that does not exist is an error, not a default. Errors name the
// file and the line.
func Read(name string, r io.Reader) (Model, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return Model{}, input.Fault(name, err)
	}
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return Model{}, fmt.Errorf("%s:1: a model is an object", name)
	}
	m := Default(100)
	types := m.Types
	m.Types, m.Deadline, m.Timeout = nil, -1, -1
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	line := func(offset int64) int { return lineOf(data, offset) }
	if err := d.Decode(&m); err != nil {
		return Model{}, fmt.Errorf("%s:%s", name, sentence(err, d.InputOffset(), data, line))
	}
	if _, err := d.Token(); err != io.EOF {
		return Model{}, fmt.Errorf("%s:%d: there is something after the model", name, line(d.InputOffset()))
	}
	if m.Types == nil {
		m.Types = types
	}
	slowest := 0.0
	for _, t := range m.Types {
		slowest = max(slowest, t.ServiceTime.Mean)
	}
	if m.Deadline == -1 {
		m.Deadline = 10 * slowest
	}
	if m.Timeout == -1 {
		m.Timeout = max(m.Deadline, 100*slowest)
	}
	if err := m.Validate(); err != nil {
		if f, ok := errors.AsType[*fault](err); ok {
			return Model{}, fmt.Errorf("%s:%d: %s", name, Line(data, f.path...), f.text)
		}
		return Model{}, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// sentence says with its line what is wrong with JSON.
func sentence(err error, offset int64, data []byte, line func(int64) int) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("%d: this is not JSON: %s", line(syntax.Offset), syntax)
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Sprintf("%d: a model is an object; this is %s", line(kind.Offset), kind.Value)
	case errors.As(err, &kind):
		return fmt.Sprintf("%d: %q cannot be a %s", line(kind.Offset), kind.Field, kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("%d: the model ends too early", line(int64(len(data))))
	}
	if field, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		at := offset
		if i := bytes.Index(data, []byte(field)); i >= 0 {
			at = int64(i)
		}
		return fmt.Sprintf("%d: a model has no field %s", line(at), field)
	}
	return fmt.Sprintf("%d: %s", line(offset), err)
}

// Check says in one sentence why no number of instances can answer a share of a load's requests in time; 0 is any share.
func (m Model) Check(trace load.Trace, inTime float64) error {
	r, err := Prepare(m)
	if err != nil {
		return err
	}
	if len(trace.Rates) == 0 || trace.Step <= 0 {
		return errors.New("world: the load is empty")
	}
	if trace.Peak() == 0 {
		return nil
	}
	best, least := 0, 2.0
	for k := range r.Kinds {
		if floor := r.floor(Kind(k)); floor < least {
			best, least = k, floor
		}
	}
	t := m.Types[r.Kinds[best]].ServiceTime
	switch {
	case m.Timeout > 0 && t.Mean > m.Timeout:
		return fmt.Errorf("world: clients give up after %v s, but one request takes %v s: no number of instances can serve this load", m.Timeout, t.Mean)
	case t.Mean > m.Deadline:
		return fmt.Errorf("world: the deadline is %v s, but one request takes %v s: no number of instances can serve this load in time", m.Deadline, t.Mean)
	case inTime > 1:
		return fmt.Errorf("world: a share of %v in time is more than all", inTime)
	case least > 1-inTime+1e-12:
		return fmt.Errorf("world: %.3g %% of the requests take longer than the deadline of %v s even if none has to wait: no number of instances has %.6g %% in time",
			100*least, m.Deadline, 100*inTime)
	case m.Failures.LaunchShare >= 1:
		return errors.New("world: every launch fails (launch_share is 1): no number of instances can be reached")
	case m.life() < m.Boot.Mean:
		return fmt.Errorf("world: instances die after %.3g s on average (per_instance_hour is %v), before they have booted (%v s): no number of them can be kept in service",
			m.life(), m.Failures.PerInstance, m.Boot.Mean)
	}
	return nil
}

// life is for how many seconds an instance lives on average, from its launch.
func (m Model) life() float64 {
	if m.Failures.PerInstance == 0 {
		return math.Inf(1)
	}
	return max(1, 3600/m.Failures.PerInstance)
}
