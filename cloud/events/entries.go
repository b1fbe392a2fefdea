package events

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/events"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/events/pattern"
)

// AWS's bounds of what a call may put.
const (
	maxEntries  = 256 * 1024 // bytes, all entries of a call together
	maxNesting  = 1100
	maxTypeSize = 128
)

// PutEvents puts events on buses, each by itself: entries that are not taken are told as failed, in their places.
func (s *Service) PutEvents(tx *cloud.Tx, in *shape.PutEventsInput) (*shape.PutEventsOutput, error) {
	if in.EndpointId != nil {
		return nil, invalid("Endpoint %s does not exist.", *in.EndpointId)
	}
	size := 0
	for _, x := range in.Entries {
		size += entrySize(x)
	}
	if size >= maxEntries {
		return nil, invalid("Total size of the entries in the request is over the limit.")
	}
	out, failed := &shape.PutEventsOutput{Entries: []shape.PutEventsResultEntry{}}, int32(0)
	for _, x := range in.Entries {
		id, err := s.putEntry(tx, x)
		if err != nil {
			failed++
			out.Entries = append(out.Entries, shape.PutEventsResultEntry{ErrorCode: &err.Code, ErrorMessage: &err.Message})
			continue
		}
		out.Entries = append(out.Entries, shape.PutEventsResultEntry{EventId: &id})
	}
	out.FailedEntryCount = &failed
	return out, nil
}

// entrySize is how AWS counts.
func entrySize(x shape.PutEventsRequestEntry) int {
	n := len(api.Value(x.Source)) + len(api.Value(x.DetailType)) + len(api.Value(x.Detail))
	if x.Time != nil {
		n += 14
	}
	for _, r := range x.Resources {
		n += len(r)
	}
	return n
}

func (s *Service) putEntry(tx *cloud.Tx, x shape.PutEventsRequestEntry) (string, *api.Error) {
	source, detailType, detail := api.Value(x.Source), api.Value(x.DetailType), api.Value(x.Detail)
	for _, need := range []struct{ name, value string }{{"Source", source}, {"DetailType", detailType}, {"Detail", detail}} {
		if need.value == "" {
			return "", api.Errorf("InvalidArgument", "Parameter %s is not valid. Reason: %s is a required argument.", need.name, need.name)
		}
	}
	var text bytes.Buffer
	switch v, err := pattern.Decode([]byte(detail)); {
	case strings.HasPrefix(source, "aws."):
		return "", api.Errorf("NotAuthorizedForSourceException", "Not authorized for the source.")
	case len(detailType) > maxTypeSize:
		return "", api.Errorf("InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType must be less than or equal to %d characters.", maxTypeSize)
	case err != nil, !isObject(v), nesting(detail) > maxNesting, json.Compact(&text, []byte(detail)) != nil:
		return "", api.Errorf("MalformedDetail", "Detail is malformed.")
	}
	e := newEvent(tx, source, detailType, x.Resources, text.Bytes())
	if x.Time != nil {
		e.Time = x.Time.UTC()
	}
	scope, name := busName(tx, x.EventBusName)
	from := tx.Scope.Account
	var refused *api.Error
	tx.In(scope, func() {
		b, _ := s.buses.Get(tx, name)
		if b.Name = name; from != scope.Account && !s.allowed(tx, b, from, source, detailType) {
			refused = api.Errorf("AccessDeniedException", "Account %s is not authorized to perform: events:PutEvents on resource: %s", from, busARN(scope, name))
			return
		}
		e.Region = scope.Region
		s.route(tx, name, e) // a bus that does not exist has no rules
	})
	return e.ID, refused
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// nesting is how deep objects and arrays of a JSON text are in each other.
func nesting(text string) int {
	deepest, depth, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			depth++
			deepest = max(deepest, depth)
		case !quoted && (c == '}' || c == ']'):
			depth--
		}
	}
	return deepest
}

// TestEventPattern tells whether an event is what a pattern asks for.
func (s *Service) TestEventPattern(_ *cloud.Tx, in *shape.TestEventPatternInput) (*shape.TestEventPatternOutput, error) {
	p, err := parsePattern(*in.EventPattern)
	if err != nil {
		return nil, err
	}
	v, err := pattern.Decode([]byte(*in.Event))
	event, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, invalid("Parameter Event is not valid.")
	}
	for _, name := range []string{"id", "account", "source", "time", "region", "resources", "detail-type"} {
		if _, has := event[name]; !has {
			return nil, invalid("Parameter Event is not valid. Reason: %s is a required field.", name)
		}
	}
	return &shape.TestEventPatternOutput{Result: new(p.Match(v))}, nil
}
