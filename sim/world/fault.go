package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// fault is what is wrong with a model, and where in its JSON: the names of the fields that lead there.
type fault struct {
	path []string
	text string
}

func (f *fault) Error() string { return "world: " + f.text }

// wrong is a fault of the field at the end of a path, whose names have dots between them.
func wrong(path, format string, args ...any) error {
	return &fault{strings.Split(path, "."), fmt.Sprintf(format, args...)}
}

// below puts a fault of a part below the part's own place.
func below(err error, path ...string) error {
	if f, ok := err.(*fault); ok {
		f.path = append(path, f.path...)
	}
	return err
}

// Line is the line of a model's JSON that has the field at the end of a path, or the last of those before it that is there.
func Line(data []byte, path ...string) int { return lineOf(data, find(data, path)) }

func lineOf(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n"))
}

// find is where in JSON the field at the end of a path is, or the last of those before it that is there.
func find(data []byte, path []string) int64 {
	d := json.NewDecoder(bytes.NewReader(data))
	at := int64(0)
	for _, name := range path {
		begin, err := d.Token()
		if err != nil || begin != json.Delim('{') && begin != json.Delim('[') {
			return at
		}
		found := false
		for n := 0; !found && d.More(); n++ {
			key := any(strconv.Itoa(n))
			if begin == json.Delim('{') {
				if key, err = d.Token(); err != nil {
					return at
				}
			}
			if text, _ := key.(string); strings.EqualFold(text, name) {
				found, at = true, d.InputOffset()
				if begin == json.Delim('[') { // that is the end of what was before it
					at += int64(len(data[at:]) - len(bytes.TrimLeft(data[at:], " \t\r\n,")))
				}
				break
			}
			var skipped json.RawMessage
			if d.Decode(&skipped) != nil {
				return at
			}
		}
		if !found {
			return at
		}
	}
	return at
}
