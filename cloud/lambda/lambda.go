// Package lambda is Lambda's control plane: functions, versions, aliases, who may invoke them, and the queue of
// asynchronous invocations with its retries and dead-letter targets.
//
// It runs nothing and keeps no code: an invocation is a wish, how it ended is a fact, and a zip is known by its hash. The
// one idea: what must not be lost is a row (an asynchronous invocation, until it has ended); a synchronous one lives as
// long as the call that waits for it: it has a timer and no row.
//
// Invariants: a published version never changes; no more executions of a function are under way than are reserved for
// it; every invocation that was accepted is run, told to its destination, or both.
package lambda

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "lambda"

// Kinds of keys.
const (
	kindFunction   = "function"
	kindInvocation = "invocation"
	kindMapping    = "mapping"
	kindBatch      = "batch"
	kindFlight     = "flight"
)

// Service is Lambda.
type Service struct {
	cloud.Base
	identities *iam.Service
	metrics    *cloudwatch.Service
	queues     *sqs.Service
	topics     *sns.Service

	functions   cloud.Rows[Function]
	versions    cloud.Rows[Version]
	byCode      cloud.Index[Version]
	aliases     cloud.Rows[Alias]
	invocations cloud.Rows[Invocation]
	byState     cloud.Index[Invocation]
	hosts       cloud.Rows[Host]
	mappings    cloud.Rows[Mapping]
	byQueue     cloud.Index[Mapping] // and by function
	batches     cloud.Rows[Batch]
	byMapping   cloud.Index[Batch] // and by function
	reserved    cloud.Index[Function]

	flights flights
	queued  int64 // see queuedBytes; -1 if it was not counted yet
}

// New makes the service.
func New(identities *iam.Service, metrics *cloudwatch.Service, queues *sqs.Service, topics *sns.Service) *Service {
	s := &Service{
		identities: identities, metrics: metrics, queues: queues, topics: topics,
		functions:   cloud.NewRows[Function](Name + ".functions"),
		versions:    cloud.NewRows[Version](Name + ".versions"),
		aliases:     cloud.NewRows[Alias](Name + ".aliases"),
		invocations: cloud.NewRows[Invocation](Name + ".invocations"),
		hosts:       cloud.NewRows[Host](Name + ".hosts"),
		mappings:    cloud.NewRows[Mapping](Name + ".mappings"),
		batches:     cloud.NewRows[Batch](Name + ".batches"),
		queued:      -1,
	}
	s.byCode = s.versions.Index(func(_ string, v Version) []string { return []string{v.CodeHash} })
	s.byState = s.invocations.Index(func(_ string, i Invocation) []string {
		switch {
		case i.Running:
			return []string{"running", "running " + i.Function}
		case i.Throttled > 0:
			return []string{"throttled " + i.Function}
		}
		return nil
	})
	s.byQueue = s.mappings.Index(func(_ string, m Mapping) []string { return []string{m.Queue, "of " + m.Function} })
	s.byMapping = s.batches.Index(func(_ string, b Batch) []string { return []string{b.Mapping, "all", "of " + b.Function} })
	s.reserved = s.functions.Index(func(_ string, f Function) []string {
		if f.Reserved < 0 {
			return nil
		}
		return []string{"reserved"}
	})
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return []table.Store{s.functions, s.versions, s.aliases, s.invocations, s.hosts, s.mappings, s.batches}
}

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	const settings = "VpcConfig, TracingConfig, KMSKeyArn, LogFormat and log levels are stored only; Layers, FileSystemConfigs, " +
		"ImageConfig, SnapStart, code signing, capacity providers, durable and tenancy configurations are refused"
	return []cloud.Operation{
		cloud.Handle("AddPermission", s.AddPermission).But("PrincipalOrgID, EventSourceToken and function URL members are refused"),
		cloud.Handle("CreateAlias", s.CreateAlias),
		cloud.Handle("CreateEventSourceMapping", s.CreateEventSourceMapping).But("SQS queues only; FilterCriteria and ProvisionedPollerConfig are refused; up to 5 batches at once if ScalingConfig does not say; the role's permissions on the queue are not checked"),
		cloud.Handle("CreateFunction", s.CreateFunction).But("code is a ZipFile, S3 and images are refused; runtimes are provided.al2023, provided.al2, python3.x and nodejs, and the last two are the host's own interpreter, whatever its version; " + settings),
		cloud.Handle("DeleteAlias", s.DeleteAlias),
		cloud.Handle("DeleteEventSourceMapping", s.DeleteEventSourceMapping),
		cloud.Handle("DeleteFunction", s.DeleteFunction),
		cloud.Handle("DeleteFunctionConcurrency", s.DeleteFunctionConcurrency),
		cloud.Handle("DeleteFunctionEventInvokeConfig", s.DeleteFunctionEventInvokeConfig),
		cloud.Handle("GetAccountSettings", s.GetAccountSettings),
		cloud.Handle("GetAlias", s.GetAlias),
		cloud.Handle("GetEventSourceMapping", s.GetEventSourceMapping),
		cloud.Handle("GetFunction", s.GetFunction).But("Code has no Location: the zip cannot be had back"),
		cloud.Handle("GetFunctionCodeSigningConfig", s.GetFunctionCodeSigningConfig).But("there is never one"),
		cloud.Handle("GetFunctionConcurrency", s.GetFunctionConcurrency),
		cloud.Handle("GetFunctionConfiguration", s.GetFunctionConfiguration),
		cloud.Handle("GetFunctionEventInvokeConfig", s.GetFunctionEventInvokeConfig),
		cloud.Handle("GetPolicy", s.GetPolicy),
		cloud.Handle("Invoke", s.Invoke).But("TenantId and DurableExecutionName are refused; a call that is refused for want of concurrency is not counted in Throttles; the time-out is of the wall clock, /tmp counts as memory, and what a function leaves running goes on between invocations"),
		cloud.Handle("ListAliases", s.ListAliases),
		cloud.Handle("ListEventSourceMappings", s.ListEventSourceMappings),
		cloud.Handle("ListFunctionEventInvokeConfigs", s.ListFunctionEventInvokeConfigs),
		cloud.Handle("ListFunctions", s.ListFunctions),
		cloud.Handle("ListTags", s.ListTags),
		cloud.Handle("ListVersionsByFunction", s.ListVersionsByFunction),
		cloud.Handle("PublishVersion", s.PublishVersion),
		cloud.Handle("PutFunctionConcurrency", s.PutFunctionConcurrency),
		cloud.Handle("PutFunctionEventInvokeConfig", s.PutFunctionEventInvokeConfig),
		cloud.Handle("RemovePermission", s.RemovePermission),
		cloud.Handle("TagResource", s.TagResource).But("functions only"),
		cloud.Handle("UntagResource", s.UntagResource).But("functions only"),
		cloud.Handle("UpdateAlias", s.UpdateAlias),
		cloud.Handle("UpdateEventSourceMapping", s.UpdateEventSourceMapping),
		cloud.Handle("UpdateFunctionCode", s.UpdateFunctionCode).But("code is a ZipFile, S3 and images are refused"),
		cloud.Handle("UpdateFunctionConfiguration", s.UpdateFunctionConfiguration).But(settings),
		cloud.Handle("UpdateFunctionEventInvokeConfig", s.UpdateFunctionEventInvokeConfig),
	}
}

// Observe implements cloud.Service.
func (s *Service) Observe(tx *cloud.Tx, f cloud.Fact) {
	switch f := f.(type) {
	case Ran:
		tx.In(f.Scope, func() { s.ran(tx, f) })
	case Host:
		tx.In(cloud.Scope{}, func() { s.hosts.Put(tx, "host", f) })
	}
}

// host is what the host can run, if that was ever told.
func (s *Service) host(tx *cloud.Tx) (h Host, told bool) {
	tx.In(cloud.Scope{}, func() { h, told = s.hosts.Get(tx, "host") })
	return h, told
}

// Reconcile implements cloud.Service. Functions are reconciled after a load only.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case kindFunction:
		for _, v := range s.versions.Prefix(tx, id+":") {
			tx.Wish(HaveCode{CodeHash: v.CodeHash})
		}
	case kindInvocation:
		s.reconcileInvocation(tx, id)
	case kindMapping:
		s.reconcileMapping(tx, id)
	case kindFlight: // nothing was heard of it
		s.land(tx, cloud.Key{Scope: tx.Scope, Kind: kind, ID: id})
	case kindBatch:
		s.reconcileBatch(tx, id)
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k := range s.functions.Everywhere() {
			k.Kind = kindFunction
			if !yield(k) {
				return
			}
		}
		for k := range s.invocations.Everywhere() {
			k.Kind = kindInvocation
			if !yield(k) {
				return
			}
		}
		for k := range s.mappings.Everywhere() {
			k.Kind = kindMapping
			if !yield(k) {
				return
			}
		}
		for k := range s.batches.Everywhere() {
			k.Kind = kindBatch
			if !yield(k) {
				return
			}
		}
	}
}

// variables are a map's entries in order of name.
func variables(m map[string]string) []Variable {
	var out []Variable
	for _, name := range sortedNames(m) {
		out = append(out, Variable{name, m[name]})
	}
	return out
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// page cuts a list down to what one answer may have, behind marker. Names are in order; the marker is the last name.
func page[T any](all []T, name func(T) string, marker *string, most *int32, limit int) ([]T, *string) {
	if marker != nil {
		i, found := slices.BinarySearchFunc(all, *marker, func(t T, m string) int { return cmp.Compare(name(t), m) })
		if found {
			i++
		}
		all = all[i:]
	}
	if most != nil && int(*most) < limit {
		limit = int(*most)
	}
	if len(all) <= limit {
		return append([]T{}, all...), nil
	}
	return all[:limit:limit], new(name(all[limit-1]))
}

// versionKey is the key of a version's row: "$LATEST" comes first, then the numbers in order.
func versionKey(function, number string) string {
	if number == latest {
		return function + ":" + latest
	}
	return function + ":" + strings.Repeat("0", max(0, 10-len(number))) + number
}
