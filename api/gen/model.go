package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// model is a service-2.json file, as far as it is read.
type model struct {
	Metadata struct {
		APIVersion         string    `json:"apiVersion"`
		EndpointPrefix     string    `json:"endpointPrefix"`
		SigningName        string    `json:"signingName"`
		JSONVersion        string    `json:"jsonVersion"`
		Protocol           string    `json:"protocol"`
		Protocols          []string  `json:"protocols"`
		ServiceID          string    `json:"serviceId"`
		ServiceFullName    string    `json:"serviceFullName"`
		TargetPrefix       string    `json:"targetPrefix"`
		XMLNamespace       string    `json:"xmlNamespace"`
		AWSQueryCompatible *struct{} `json:"awsQueryCompatible"`
	} `json:"metadata"`
	Operations ordered[*operation] `json:"operations"`
	Shapes     ordered[*shape]     `json:"shapes"`
}

type operation struct {
	HTTP struct {
		Method     string `json:"method"`
		RequestURI string `json:"requestUri"`
		Status     int    `json:"responseCode"`
	} `json:"http"`
	Input  *ref `json:"input"`
	Output *ref `json:"output"`

	maxBody int64 // corrections
}

type ref struct {
	Shape         string `json:"shape"`
	LocationName  string `json:"locationName"`
	QueryName     string `json:"queryName"`
	ResultWrapper string `json:"resultWrapper"`
	Location      string `json:"location"`
	Flattened     bool   `json:"flattened"`
}

type shape struct {
	Type      string        `json:"type"`
	Members   ordered[*ref] `json:"members"`
	Required  []string      `json:"required"`
	Member    *ref          `json:"member"`
	Key       *ref          `json:"key"`
	Value     *ref          `json:"value"`
	Flattened bool          `json:"flattened"`
	Enum      []string      `json:"enum"`
	Min       *float64      `json:"min"`
	Max       *float64      `json:"max"`
	Pattern   string        `json:"pattern"`
	Payload   string        `json:"payload"`
	Exception bool          `json:"exception"`
	Fault     bool          `json:"fault"`
	Error     *struct {
		Code           string `json:"code"`
		HTTPStatusCode int    `json:"httpStatusCode"`
	} `json:"error"`

	sparse bool     // corrections
	code   string   // a correction: see ErrorShape
	opened []string // the enum, no longer checked
	called string   // what members of this shape are called in query
}

func (s *shape) requires(member string) bool {
	return slices.Contains(s.Required, member)
}

// ordered is a JSON object whose members keep their order: answers list members as the model does.
type ordered[T any] struct {
	names []string
	byKey map[string]T
}

func (o *ordered[T]) get(name string) (T, bool) {
	v, ok := o.byKey[name]
	return v, ok
}

func (o *ordered[T]) add(name string, v T) {
	if o.byKey == nil {
		o.byKey = map[string]T{}
	}
	if _, ok := o.byKey[name]; !ok {
		o.names = append(o.names, name)
	}
	o.byKey[name] = v
}

func (o *ordered[T]) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var v T
		if err := dec.Decode(&v); err != nil {
			return err
		}
		o.add(name.(string), v)
	}
	return nil
}

func readModel(path string) (*model, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(model)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
