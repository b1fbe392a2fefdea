package lambda

import (
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	sqsapi "github.com/billow-cloud/billow/api/sqs"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// Mapping is the row of an event source mapping: a queue whose messages a function gets. It is found by its UUID.
type Mapping struct {
	UUID                string
	Function, Qualifier string
	Queue               string // ARN
	Batch               int32  // messages, at most
	Window              int32  // seconds to wait for more
	Enabled             bool
	Modified            time.Time
	Concurrency         int32 `json:",omitempty"` // batches at once; 0 is the default
	PartialFailures     bool  `json:",omitempty"` // the function says which messages failed
	Result              string
	Since               time.Time // from when on messages are waited for; zero if none has come
	Next                time.Time // before then nothing is begun, for want of room or of a role; zero if there is no want
}

// Batch is the row of messages that a function has got, until it has ended. They are hidden meanwhile: what is not
// deleted comes back by itself, so that a batch of which nothing is heard may in the end be forgotten.
type Batch struct {
	ID                  string
	Mapping             string
	Function, Qualifier string
	Version             string
	Messages            []Received
	Payload             []byte
	At                  time.Time
	Until               time.Time // when it is forgotten
}

// Received is a message of a batch.
type Received struct{ ID, Handle string }

// What AWS allows of a mapping, and how many batches are under way if it does not say.
const (
	defaultBatch    = 10
	maxBatch        = 10_000
	plainBatch      = 10 // more needs a window
	maxWindow       = 300
	defaultBatches  = 5
	lookAgain       = time.Second // when there was no room
	largestMessage  = 1 << 20
	mappingResource = "event-source-mapping:"
)

func (m *Mapping) queue() string { return m.Queue[strings.LastIndexByte(m.Queue, ':')+1:] }

// checkMapping refuses what is not there.
func checkMapping(in *shape.CreateEventSourceMappingInput) error {
	if service, _, _, _ := target(api.Value(in.EventSourceArn)); service != "sqs" {
		return invalid("The event source %s is not implemented here: it must be the ARN of an SQS queue", api.Value(in.EventSourceArn))
	}
	if in.FilterCriteria != nil && len(in.FilterCriteria.Filters) > 0 || in.KMSKeyArn != nil || in.ProvisionedPollerConfig != nil {
		return invalid("FilterCriteria, KMSKeyArn and ProvisionedPollerConfig are not implemented here")
	}
	if in.StartingPosition != nil || in.StartingPositionTimestamp != nil {
		return invalid("StartingPosition is not valid for SQS event sources.")
	}
	if in.DestinationConfig != nil && in.DestinationConfig.OnFailure != nil || in.ParallelizationFactor != nil || in.MaximumRetryAttempts != nil ||
		in.MaximumRecordAgeInSeconds != nil || in.BisectBatchOnFunctionError != nil || in.TumblingWindowInSeconds != nil {
		return invalid("Unsupported parameter for given event source mapping type.")
	}
	return nil
}

// CreateEventSourceMapping has a function get a queue's messages.
func (s *Service) CreateEventSourceMapping(tx *cloud.Tx, in *shape.CreateEventSourceMappingInput) (*shape.CreateEventSourceMappingOutput, error) {
	f, q, err := s.qualified(tx, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if err := checkMapping(in); err != nil {
		return nil, err
	}
	m := Mapping{UUID: tx.UUID(), Function: f.Name, Qualifier: q, Queue: *in.EventSourceArn, Batch: defaultBatch, Enabled: api.Or(in.Enabled, true), Result: "No records processed"}
	for _, have := range s.mappings.All(tx) {
		if have.Function == m.Function && have.Qualifier == m.Qualifier && have.Queue == m.Queue {
			return nil, conflict("An event source mapping with SQS arn (\" %s \") and function (\" %s \") already exists. Please update or delete the existing mapping with UUID %s", m.Queue, f.Name, have.UUID)
		}
	}
	if err := s.putMapping(tx, &m, in.BatchSize, in.MaximumBatchingWindowInSeconds, in.FunctionResponseTypes, in.ScalingConfig); err != nil {
		return nil, err
	}
	return (*shape.CreateEventSourceMappingOutput)(m.shape(tx, "Creating")), nil
}

// putMapping changes a mapping, checks and writes it, and looks whether something has come.
func (s *Service) putMapping(tx *cloud.Tx, m *Mapping, batch, window *int32, types []string, scaling *shape.ScalingConfig) error {
	set(&m.Batch, batch)
	set(&m.Window, window)
	if types != nil {
		m.PartialFailures = slices.Contains(types, shape.FunctionResponseTypeReportBatchItemFailures)
	}
	if scaling != nil {
		m.Concurrency = api.Value(scaling.MaximumConcurrency)
	}
	switch {
	case m.Batch > maxBatch || m.Window > maxWindow:
		return invalid("BatchSize must be at most %d and MaximumBatchingWindowInSeconds at most %d.", maxBatch, maxWindow)
	case m.Batch > plainBatch && m.Window == 0:
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	case !s.queues.Has(tx, m.Queue):
		return invalid("Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.")
	}
	v, err := s.version(tx, m.Function, m.Qualifier)
	if err != nil {
		return err
	}
	hidden, err := s.queues.GetQueueAttributes(tx, &sqsapi.GetQueueAttributesInput{QueueUrl: new(m.queue()), AttributeNames: []string{"VisibilityTimeout"}})
	if err != nil {
		return err
	}
	if n := hidden.Attributes["VisibilityTimeout"]; len(n) < len(decimal(int64(v.Timeout))) || len(n) == len(decimal(int64(v.Timeout))) && n < decimal(int64(v.Timeout)) {
		return invalid("Queue visibility timeout: %s seconds is less than Function timeout: %d seconds", n, v.Timeout)
	}
	m.Modified, m.Since, m.Next = tx.Now().Truncate(time.Millisecond), time.Time{}, time.Time{}
	s.mappings.Put(tx, m.UUID, *m)
	tx.Touch(Name, kindMapping, m.UUID)
	return nil
}

func (s *Service) mapping(tx *cloud.Tx, id *string) (Mapping, error) {
	m, ok := s.mappings.Get(tx, api.Value(id))
	if !ok {
		return m, notFound("The resource you requested does not exist.")
	}
	return m, nil
}

// GetEventSourceMapping shows a mapping.
func (s *Service) GetEventSourceMapping(tx *cloud.Tx, in *shape.GetEventSourceMappingInput) (*shape.GetEventSourceMappingOutput, error) {
	m, err := s.mapping(tx, in.UUID)
	if err != nil {
		return nil, err
	}
	return (*shape.GetEventSourceMappingOutput)(m.shape(tx, "")), nil
}

// UpdateEventSourceMapping changes a mapping.
func (s *Service) UpdateEventSourceMapping(tx *cloud.Tx, in *shape.UpdateEventSourceMappingInput) (*shape.UpdateEventSourceMappingOutput, error) {
	m, err := s.mapping(tx, in.UUID)
	if err != nil {
		return nil, err
	}
	if err := checkMapping(&shape.CreateEventSourceMappingInput{EventSourceArn: &m.Queue, FilterCriteria: in.FilterCriteria, DestinationConfig: in.DestinationConfig,
		KMSKeyArn: in.KMSKeyArn, ProvisionedPollerConfig: in.ProvisionedPollerConfig, ParallelizationFactor: in.ParallelizationFactor,
		MaximumRetryAttempts: in.MaximumRetryAttempts, MaximumRecordAgeInSeconds: in.MaximumRecordAgeInSeconds,
		BisectBatchOnFunctionError: in.BisectBatchOnFunctionError, TumblingWindowInSeconds: in.TumblingWindowInSeconds}); err != nil {
		return nil, err
	}
	if in.FunctionName != nil {
		f, q, err := s.qualified(tx, in.FunctionName, nil)
		if err != nil {
			return nil, err
		}
		m.Function, m.Qualifier = f.Name, q
	}
	set(&m.Enabled, in.Enabled)
	if err := s.putMapping(tx, &m, in.BatchSize, in.MaximumBatchingWindowInSeconds, in.FunctionResponseTypes, in.ScalingConfig); err != nil {
		return nil, err
	}
	return (*shape.UpdateEventSourceMappingOutput)(m.shape(tx, "Updating")), nil
}

// DeleteEventSourceMapping takes a mapping away; what its function has got is ended.
func (s *Service) DeleteEventSourceMapping(tx *cloud.Tx, in *shape.DeleteEventSourceMappingInput) (*shape.DeleteEventSourceMappingOutput, error) {
	m, err := s.mapping(tx, in.UUID)
	if err != nil {
		return nil, err
	}
	s.mappings.Delete(tx, m.UUID)
	tx.At(Name, kindMapping, m.UUID, time.Time{})
	return (*shape.DeleteEventSourceMappingOutput)(m.shape(tx, "Deleting")), nil
}

// ListEventSourceMappings lists them, by queue or function.
func (s *Service) ListEventSourceMappings(tx *cloud.Tx, in *shape.ListEventSourceMappingsInput) (*shape.ListEventSourceMappingsOutput, error) {
	name, qualifier := "", ""
	if in.FunctionName != nil {
		var err error
		if name, qualifier, err = split(tx, *in.FunctionName, nil); err != nil {
			return nil, err
		}
	}
	var all []Mapping
	for _, m := range s.mappings.All(tx) {
		if (in.EventSourceArn == nil || *in.EventSourceArn == m.Queue) && (name == "" || name == m.Function && qualifier == m.Qualifier) {
			all = append(all, m)
		}
	}
	all, next := page(all, func(m Mapping) string { return m.UUID }, in.Marker, in.MaxItems, 100)
	out := &shape.ListEventSourceMappingsOutput{EventSourceMappings: []shape.EventSourceMappingConfiguration{}, NextMarker: next}
	for _, m := range all {
		out.EventSourceMappings = append(out.EventSourceMappings, *m.shape(tx, ""))
	}
	return out, nil
}

func (m *Mapping) shape(tx *cloud.Tx, state string) *shape.EventSourceMappingConfiguration {
	if state == "" {
		if state = "Enabled"; !m.Enabled {
			state = "Disabled"
		}
	}
	out := &shape.EventSourceMappingConfiguration{UUID: new(m.UUID), EventSourceArn: new(m.Queue), FunctionArn: new(functionARN(tx.Scope, m.Function, m.Qualifier)),
		BatchSize: new(m.Batch), MaximumBatchingWindowInSeconds: new(m.Window), State: &state, StateTransitionReason: new("USER_INITIATED"), LastModified: new(m.Modified),
		LastProcessingResult: new(m.Result), EventSourceMappingArn: new(tx.Scope.ARN(Name, mappingResource+m.UUID)), FunctionResponseTypes: []string{}}
	if m.PartialFailures {
		out.FunctionResponseTypes = []string{shape.FunctionResponseTypeReportBatchItemFailures}
	}
	if m.Concurrency > 0 {
		out.ScalingConfig = &shape.ScalingConfig{MaximumConcurrency: new(m.Concurrency)}
	}
	return out
}

// arrived looks at the mappings of a queue in which there is something.
func (s *Service) arrived(tx *cloud.Tx, a sqs.Arrived) {
	s.lookAt(tx, tx.Scope.ARN(sqs.Name, a.Queue))
}

// lookAt looks at the mappings of a queue or a function.
func (s *Service) lookAt(tx *cloud.Tx, of string) {
	for id := range s.byQueue.Each(tx, of) {
		tx.Touch(Name, kindMapping, id)
	}
}
