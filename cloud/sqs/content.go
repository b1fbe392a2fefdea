package sqs

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/sqs"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// newOutgoing takes what a client sends apart.
func newOutgoing(body *string, attributes map[string]shape.MessageAttributeValue, system map[string]shape.MessageSystemAttributeValue, delay *int32) (outgoing, error) {
	o := outgoing{body: api.Value(body), delay: delay}
	if len(attributes) > 10 {
		return o, badValue("Number of message attributes [%d] exceeds the allowed maximum [10].", len(attributes))
	}
	for _, name := range sorted(attributes) {
		v := attributes[name]
		a := Attribute{Name: name, Type: api.Value(v.DataType), Value: api.Value(v.StringValue)}
		kind, _, _ := strings.Cut(a.Type, ".")
		if kind == "Binary" {
			a.Value = base64.StdEncoding.EncodeToString(v.BinaryValue)
		}
		switch {
		case name == "" || len(name) > 256 || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" ||
			strings.HasPrefix(strings.ToLower(name), "aws.") || strings.HasPrefix(strings.ToLower(name), "amazon.") || name[0] == '.' || name[len(name)-1] == '.':
			return o, badValue("The message attribute name '%s' is invalid.", name)
		case kind != "String" && kind != "Number" && kind != "Binary":
			return o, badValue("The type of message (user) attribute '%s' is invalid. You must use only the following supported type prefixes: Binary, Number, String.", name)
		case a.Value == "":
			return o, badValue("The message attribute '%s' must contain a non-empty message attribute value for message attribute type '%s'.", name, a.Type)
		case kind == "Number":
			if _, err := strconv.ParseFloat(a.Value, 64); err != nil {
				return o, badValue("Can't cast the value of message (user) attribute '%s' to a number.", name)
			}
		}
		o.attributes = append(o.attributes, a)
	}
	for _, name := range sorted(system) {
		if name != "AWSTraceHeader" || api.Value(system[name].StringValue) == "" || api.Value(system[name].DataType) != "String" {
			return o, badValue("Message system attribute name '%s' is invalid.", name)
		}
		o.trace = *system[name].StringValue
	}
	return o, nil
}

// system are the system attributes that were sent.
func (o *outgoing) system() []Attribute {
	if o.trace == "" {
		return nil
	}
	return []Attribute{{Name: "AWSTraceHeader", Type: "String", Value: o.trace}}
}

func (a Attribute) shape() shape.MessageAttributeValue {
	v := shape.MessageAttributeValue{DataType: &a.Type}
	if kind, _, _ := strings.Cut(a.Type, "."); kind == "Binary" {
		v.BinaryValue, _ = base64.StdEncoding.DecodeString(a.Value) // encoded by us
		return v
	}
	v.StringValue = &a.Value
	return v
}

func digest(body string) *string {
	sum := md5.Sum([]byte(body))
	return new(hex.EncodeToString(sum[:]))
}

// digestOf is the digest of attributes, by which SDKs check what has arrived: of each, in order of name, the lengths and
// texts of name and type, whether it is text (1) or binary (2), and the length and bytes of the value.
func digestOf(attributes []Attribute) *string {
	if len(attributes) == 0 {
		return nil
	}
	var b []byte
	add := func(part []byte) {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	for _, a := range attributes {
		add([]byte(a.Name))
		add([]byte(a.Type))
		if v := a.shape(); v.BinaryValue != nil {
			b = append(b, 2)
			add(v.BinaryValue)
		} else {
			b = append(b, 1)
			add([]byte(a.Value))
		}
	}
	return digest(string(b))
}
