package load

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Names of columns, in lower case, the likeliest first.
var (
	timeNames  = []string{"timestamp", "time", "datetime", "date", "period", "ts", "at", "start", "start_time", "minute", "hour", "epoch"}
	valueNames = []string{"value", "count", "requests", "request_count", "requestcount", "sum", "rate", "rps", "load", "average", "invocations", "hits", "connections"}
)

// csv reads lines of time and value.
func (c *collector) csv(in *bufio.Reader, head []byte) error {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	r := csv.NewReader(in)
	r.Comma = delimiter(first)
	r.Comment = '#'
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	r.TrimLeadingSpace = true
	at, value, rows := 0, 1, 0
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
			return c.fault(wrong.Line, "it cannot be read as CSV: %v", wrong.Err)
		}
		if err != nil {
			return c.fault(rows+1, "%v", err)
		}
		line, _ := r.FieldPos(0)
		if rows++; rows == 1 {
			was, header, err := c.columns(fields, line)
			if err != nil {
				return err
			}
			if at, value = was[0], was[1]; header {
				continue
			}
		}
		if err := c.row(fields, at, value, line, r.Comma); err != nil {
			return err
		}
	}
}

// row takes one line.
func (c *collector) row(fields []string, at, value, line int, comma rune) error {
	if len(fields) == 1 && strings.TrimSpace(fields[0]) == "" {
		return nil
	}
	if at >= len(fields) || value >= len(fields) {
		return c.fault(line, "it has %s; a time and a value are needed", counted(len(fields), "column"))
	}
	when, err := c.clock.parse(strings.TrimSpace(fields[at]))
	if err != nil {
		return c.fault(line, "%q %v", fields[at], err)
	}
	text := strings.TrimSpace(fields[value])
	if text == "" {
		c.missing++
		return nil
	}
	n, err := c.number(text, line, comma)
	if err != nil {
		return err
	}
	return c.add(when, n, line)
}

// number reads a value. What is a number, but larger than any that can be held, is a large number all the same.
func (c *collector) number(text string, line int, delimiter rune) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		n, err = withCommas(text, delimiter)
	}
	switch {
	case errors.Is(err, strconv.ErrRange) && n > 0:
		return 0, c.fault(line, "%s is too large for a load", text)
	case errors.Is(err, strconv.ErrRange):
		return 0, c.fault(line, "%s is negative; a load cannot be", text)
	case err != nil || math.IsNaN(n) || math.IsInf(n, 0):
		return 0, c.fault(line, "%q is not a number", text)
	}
	return n, nil
}

// delimiter is the one of the usual delimiters that a line has most of outside of quotes.
func delimiter(line []byte) rune {
	counts, quoted := map[rune]int{}, false
	for _, b := range string(line) {
		if b == '"' {
			quoted = !quoted
		}
		if !quoted {
			counts[b]++
		}
	}
	best := ','
	for _, d := range []rune{'\t', ';'} {
		if counts[d] > 0 && (counts[best] == 0 || d != ',' && counts[d] >= counts[best]) {
			best = d
		}
	}
	return best
}

// withCommas reads what is written with a decimal comma, or with commas between thousands. "1,234" is a thousand and more,
// except between semicolons, which are used where the comma is the decimal one.
func withCommas(text string, delimiter rune) (float64, error) {
	comma := strings.IndexByte(text, ',')
	thousands := delimiter != ';' && len(text)-comma == 4
	if delimiter != ',' && strings.Count(text, ",") == 1 && !strings.Contains(text, ".") && !thousands {
		return strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
	}
	parts := strings.Split(text, ",")
	for i, p := range parts {
		if i > 0 && len(strings.SplitN(p, ".", 2)[0]) != 3 {
			return 0, strconv.ErrSyntax
		}
	}
	return strconv.ParseFloat(strings.Join(parts, ""), 64)
}

// columns finds the columns of time and value, and whether the first line only names them.
func (c *collector) columns(fields []string, line int) (at [2]int, header bool, err error) {
	if len(fields) < 2 {
		return at, false, c.fault(line, "it has one column; a time and a value are needed, separated by a comma, a semicolon or a tab")
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = strings.ToLower(strings.TrimSpace(f))
	}
	if slices.ContainsFunc(names, isNumberOrTime) { // data
		if c.options.Value != "" {
			return at, false, c.fault(line, "a value column %q is asked for, but the first line does not name the columns", c.options.Value)
		}
		return [2]int{0, 1}, false, nil
	}
	when := known(names, timeNames, -1)
	if when < 0 {
		when = 0
	}
	if c.options.Value != "" {
		value := slices.Index(names, strings.ToLower(c.options.Value))
		if value < 0 {
			return at, true, c.fault(line, "there is no column %q; there are %s", c.options.Value, strings.Join(fields, ", "))
		}
		return [2]int{when, value}, true, nil
	}
	value := known(names, valueNames, when)
	switch {
	case value >= 0:
	case len(fields) == 2:
		value = 1 - when
	default:
		others := slices.Delete(slices.Clone(fields), when, when+1)
		return at, true, c.fault(line, "which column is the load is not clear: name it (--value), one of %s", strings.Join(others, ", "))
	}
	return [2]int{when, value}, true, nil
}

func isNumberOrTime(text string) bool {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return true
	}
	_, err := (&clock{}).read(text)
	return err == nil
}

// known is the place of the likeliest of the names, or -1.
func known(names, likely []string, not int) int {
	for _, l := range likely {
		if i := slices.Index(names, l); i >= 0 && i != not {
			return i
		}
	}
	return -1
}
