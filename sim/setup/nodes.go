package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// node is a value of JSON, or of the AWS CLI's shorthand, with the line that it is on.
type node struct {
	line    int
	kind    kind
	text    string // of a string, as it is; of a number or a boolean, as it is written
	members []member
	items   []*node
}

type kind uint8

const (
	null kind = iota
	text
	number
	boolean
	object
	list
)

func (k kind) String() string {
	return [...]string{"null", "a string", "a number", "true or false", "an object", "a list"}[k]
}

type member struct {
	name  string
	line  int
	value *node
}

// get is the value of an object's member, or nil.
func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func (n *node) has(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return n.get(name) == nil })
}

// documents reads the JSON documents of a text, one after the other. Lines count from first.
func documents(file, data string, first int) ([]*node, error) {
	data = strings.TrimPrefix(data, "\xef\xbb\xbf")
	p := &parser{file: file, data: data, dec: json.NewDecoder(strings.NewReader(data)), line: first}
	p.dec.UseNumber()
	var all []*node
	for {
		n, err := p.value(0)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("%s:%d: it is not whole JSON: %v", file, p.at(wrong.Offset), wrong)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%s: it is cut off: its JSON does not end", file)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
}

// parser makes nodes of tokens.
type parser struct {
	file   string
	data   string
	dec    *json.Decoder
	offset int64 // up to which line counts
	line   int
}

// at is the line of an offset; offsets come in ascending order.
func (p *parser) at(offset int64) int {
	offset = min(max(offset, p.offset), int64(len(p.data)))
	p.line += strings.Count(p.data[p.offset:offset], "\n")
	p.offset = offset
	return p.line
}

func (p *parser) value(depth int) (*node, error) {
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: p.at(p.dec.InputOffset())}
	switch t := token.(type) {
	case string:
		n.kind, n.text = text, t
	case json.Number:
		n.kind, n.text = number, t.String()
	case bool:
		n.kind, n.text = boolean, fmt.Sprint(t)
	case json.Delim:
		if depth > 100 {
			return nil, fmt.Errorf("%s:%d: its JSON is nested too deeply", p.file, n.line)
		}
		if n.kind = list; t == '{' {
			n.kind = object
		}
		for p.dec.More() {
			m := member{}
			if n.kind == object {
				key, err := p.dec.Token()
				if err != nil {
					return nil, whole(err)
				}
				m.name, _ = key.(string)
				m.line = p.at(p.dec.InputOffset())
			}
			if m.value, err = p.value(depth + 1); err != nil {
				return nil, whole(err)
			}
			if n.kind == object {
				n.members = append(n.members, m)
			} else {
				n.items = append(n.items, m.value)
			}
		}
		if _, err := p.dec.Token(); err != nil {
			return nil, whole(err)
		}
	}
	return n, nil
}

// whole is an error inside of a value: there the end is one, too.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
