package wire

import (
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/billow-cloud/billow/api"
)

// parseText puts a scalar that is written as text (query, ec2) into dst. It says whether the text fits the kind.
func (p *plan) parseText(text []byte, dst reflect.Value) bool {
	switch p.kind {
	case api.String:
		if !utf8.Valid(text) {
			return false
		}
		p.settle(dst).SetString(string(text))
	case api.Integer, api.Long:
		bits := 64
		if p.kind == api.Integer {
			bits = 32
		}
		n, err := strconv.ParseInt(string(text), 10, bits)
		if err != nil {
			return false
		}
		p.settle(dst).SetInt(n)
	case api.Double:
		f, ok := parseFloat(string(text))
		if !ok {
			return false
		}
		p.settle(dst).SetFloat(f)
	case api.Boolean:
		b, ok := parseBool(string(text))
		if !ok {
			return false
		}
		p.settle(dst).SetBool(b)
	case api.Timestamp:
		t, ok := parseTime(string(text))
		if !ok {
			return false
		}
		p.settle(dst).Set(reflect.ValueOf(t))
	case api.Blob:
		b, ok := parseBase64(text)
		if !ok {
			return false
		}
		dst.SetBytes(b)
	default:
		return false
	}
	return true
}

func parseBool(s string) (bool, bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}

// parseFloat takes what Java's parser takes; Go's hexadecimal floats and underscores are not among that.
func parseFloat(s string) (float64, bool) {
	switch s {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	if strings.ContainsAny(s, "xXpP_nNiI") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

func parseBase64(text []byte) ([]byte, bool) {
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(b, text)
	return b[:n], err == nil
}

var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02"}

// parseTime takes ISO 8601 in the forms that clients send, and seconds since 1970.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	if f, ok := parseFloat(s); ok {
		return epoch(f)
	}
	return time.Time{}, false
}

// maxEpoch is the year 9999, the last that ISO 8601 has four digits for.
const maxEpoch = 253402300799

// epoch is the instant f seconds after 1970, to the millisecond, which is as exact as AWS keeps instants.
func epoch(f float64) (time.Time, bool) {
	if math.IsNaN(f) || f < -62135596800 || f > maxEpoch {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), true
}

// appendEpoch writes seconds since 1970 with at most three digits behind the point.
func appendEpoch(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(b, ms/1000, 10)
	}
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
}

// appendISO writes an instant as AWS's XML answers do: 2026-09-27T04:49:13.000Z.
func appendISO(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// appendXMLFloat writes a double as Java does: 50.0, 1.0E10, NaN, Infinity.
func appendXMLFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-3 || a >= 1e7) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
		b = append(b, mantissa...)
		if !strings.Contains(mantissa, ".") {
			b = append(b, ".0"...)
		}
		n, _ := strconv.Atoi(exponent)
		return strconv.AppendInt(append(b, 'E'), int64(n), 10)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	for _, c := range b[start:] {
		if c == '.' {
			return b
		}
	}
	return append(b, ".0"...)
}
