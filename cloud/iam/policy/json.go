package policy

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// node is a JSON value whose objects keep their order.
type node struct {
	kind  byte // '{', '[', 's'tring, 'n'umber, 'b'oolean, '0' null
	text  string
	items []node // of a list, or the values of an object
	keys  []string
}

var errJSON = errors.New("no JSON")

// Documents go no deeper than this, and no object of theirs has more members: what AWS's quotas leave room for needs less.
const (
	maxDepth = 16
	maxKeys  = 512
)

// read parses a text that is one JSON value with nothing after it and no key twice in an object.
func read(text string) (node, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	n, err := readValue(d, 0)
	if err != nil {
		return n, err
	}
	if _, err := d.Token(); err != io.EOF {
		return n, errJSON
	}
	return n, nil
}

func readValue(d *json.Decoder, depth int) (node, error) {
	t, err := d.Token()
	if err != nil || depth > maxDepth {
		return node{}, errJSON
	}
	switch t := t.(type) {
	case string:
		return node{kind: 's', text: t}, nil
	case json.Number:
		return node{kind: 'n', text: t.String()}, nil
	case bool:
		if t {
			return node{kind: 'b', text: "true"}, nil
		}
		return node{kind: 'b', text: "false"}, nil
	case json.Delim:
		n := node{kind: byte(t)}
		for d.More() {
			if t == '{' {
				k, err := d.Token()
				key, ok := k.(string)
				if err != nil || !ok || len(n.keys) == maxKeys || n.get(key) != nil {
					return n, errJSON
				}
				n.keys = append(n.keys, key)
			}
			v, err := readValue(d, depth+1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, v)
		}
		_, err := d.Token() // the end
		if err != nil {
			return n, errJSON
		}
		return n, nil
	}
	return node{kind: '0'}, nil
}

// get is an object's member; nil if there is none.
func (n *node) get(key string) *node {
	for i, k := range n.keys {
		if k == key && i < len(n.items) {
			return &n.items[i]
		}
	}
	return nil
}

// strings reads one text or a list of texts; scalars are taken as they are written if loose.
func (n *node) strings(loose bool) ([]string, bool) {
	all := []node{*n}
	if n.kind == '[' {
		all = n.items
	}
	out := make([]string, 0, len(all))
	for _, v := range all {
		if v.kind != 's' && (!loose || v.kind != 'n' && v.kind != 'b') {
			return nil, false
		}
		out = append(out, v.text)
	}
	return out, true
}
