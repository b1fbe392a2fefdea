package logs

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/logs"
	"github.com/billow-cloud/billow/cloud"
)

// CreateLogStream makes a stream.
func (s *Service) CreateLogStream(tx *cloud.Tx, in *shape.CreateLogStreamInput) (*shape.CreateLogStreamOutput, error) {
	g, err := s.group(tx, in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	name := api.Value(in.LogStreamName)
	key := streamKey(g.Name, name)
	if s.streams.Has(tx, key) {
		return nil, api.Errorf("ResourceAlreadyExistsException", "The specified log stream already exists")
	}
	s.streams.Put(tx, key, Stream{Group: g.Name, Name: name, Created: tx.Now().Truncate(time.Millisecond)})
	return &shape.CreateLogStreamOutput{}, nil
}

// stream finds a stream with its group.
func (s *Service) stream(tx *cloud.Tx, group, identifier, name *string) (Group, Stream, error) {
	g, err := s.group(tx, group, identifier)
	if err != nil {
		return g, Stream{}, err
	}
	st, ok := s.streams.Get(tx, streamKey(g.Name, api.Value(name)))
	if !ok {
		return g, st, noStream()
	}
	return g, st, nil
}

// DeleteLogStream takes a stream away with its events.
func (s *Service) DeleteLogStream(tx *cloud.Tx, in *shape.DeleteLogStreamInput) (*shape.DeleteLogStreamOutput, error) {
	g, st, err := s.stream(tx, in.LogGroupName, nil, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	for key, b := range s.byStream.Each(tx, streamKey(g.Name, st.Name)) {
		s.drop(tx, key, b, false)
	}
	s.streams.Delete(tx, streamKey(g.Name, st.Name))
	tx.Touch(Name, kindGroup, g.Name)
	return &shape.DeleteLogStreamOutput{}, nil
}

// DescribeLogStreams lists a group's streams by name or by their last events.
func (s *Service) DescribeLogStreams(tx *cloud.Tx, in *shape.DescribeLogStreamsInput) (*shape.DescribeLogStreamsOutput, error) {
	g, err := s.group(tx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	prefix, byTime := api.Value(in.LogStreamNamePrefix), api.Value(in.OrderBy) == shape.OrderByLastEventTime
	if byTime && prefix != "" {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	place := func(st Stream) string {
		if byTime {
			return fmt.Sprintf("%013d/%s", max(st.Last, 0), st.Name)
		}
		return st.Name
	}
	sign := 1
	if api.Value(in.Descending) {
		sign = -1
	}
	var all []Stream
	for _, st := range s.streams.Prefix(tx, streamKey(g.Name, prefix)) {
		if in.NextToken == nil || sign*cmp.Compare(place(st), *in.NextToken) > 0 {
			all = append(all, st)
		}
	}
	slices.SortFunc(all, func(a, b Stream) int { return sign * cmp.Compare(place(a), place(b)) })
	out := &shape.DescribeLogStreamsOutput{LogStreams: []shape.LogStream{}}
	if limit := int(api.Or(in.Limit, 50)); len(all) > limit {
		all = all[:limit]
		out.NextToken = new(place(all[limit-1]))
	}
	for _, st := range all {
		out.LogStreams = append(out.LogStreams, s.streamShape(tx, st))
	}
	return out, nil
}

func (s *Service) streamShape(tx *cloud.Tx, st Stream) shape.LogStream {
	out := shape.LogStream{LogStreamName: new(st.Name), CreationTime: new(st.Created.UnixMilli()), StoredBytes: new(int64(0)),
		Arn: new(groupARN(tx, st.Group) + ":log-stream:" + st.Name), UploadSequenceToken: new(sequence(st))}
	if st.Ingested > 0 {
		out.LastEventTimestamp, out.LastIngestionTime = new(st.Last), new(st.Ingested)
	}
	for _, b := range s.byStream.Each(tx, streamKey(st.Group, st.Name)) {
		out.FirstEventTimestamp = new(b.First)
		break
	}
	return out
}

// sequence is a stream's sequence token. AWS still gives them out and takes any.
func sequence(st Stream) string { return fmt.Sprintf("%056d", st.Next) }

// What one PutLogEvents may bring.
const (
	maxBatch     = 1 << 20
	maxSpan      = 24 * time.Hour
	maxFuture    = 2 * time.Hour
	maxPast      = 14 * 24 * time.Hour
	longestEvent = 1 << 20
)

// PutLogEvents adds events to a stream. Those that are too old or too new are left out, and the answer says which.
func (s *Service) PutLogEvents(tx *cloud.Tx, in *shape.PutLogEventsInput) (*shape.PutLogEventsOutput, error) {
	g, st, err := s.stream(tx, in.LogGroupName, nil, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	size := 0
	for i, e := range in.LogEvents {
		size += len(api.Value(e.Message)) + perEvent
		if i > 0 && api.Value(e.Timestamp) < api.Value(in.LogEvents[i-1].Timestamp) {
			return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	switch {
	case size > maxBatch:
		return nil, invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatch)
	case api.Value(in.LogEvents[len(in.LogEvents)-1].Timestamp)-api.Value(in.LogEvents[0].Timestamp) > maxSpan.Milliseconds():
		return nil, invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	now := tx.Now()
	past, future, floor := now.Add(-maxPast).UnixMilli(), now.Add(maxFuture).UnixMilli(), g.floor(tx)
	var taken []Event
	var rejected shape.RejectedLogEventsInfo
	for i, e := range in.LogEvents {
		switch at := api.Value(e.Timestamp); {
		case at < floor:
			rejected.ExpiredLogEventEndIndex = new(int32(i + 1))
		case at < past:
			rejected.TooOldLogEventEndIndex = new(int32(i + 1))
		case at > future:
			if rejected.TooNewLogEventStartIndex == nil {
				rejected.TooNewLogEventStartIndex = new(int32(i))
			}
		default:
			taken = append(taken, Event{At: time.UnixMilli(at).UTC(), Message: api.Value(e.Message)})
		}
	}
	if len(taken) > 0 {
		s.add(tx, g, st, taken)
		st, _ = s.streams.Get(tx, streamKey(g.Name, st.Name))
	}
	out := &shape.PutLogEventsOutput{NextSequenceToken: new(sequence(st))}
	if len(taken) < len(in.LogEvents) {
		out.RejectedLogEventsInfo = &rejected
	}
	return out, nil
}
