package lambda

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
)

func configOf(f Function, qualifier string) (int, bool) {
	return slices.BinarySearchFunc(f.Configs, qualifier, func(c EventConfig, q string) int { return cmp.Compare(c.Qualifier, q) })
}

// PutFunctionEventInvokeConfig says how asynchronous invocations are treated; what it does not say is the default.
func (s *Service) PutFunctionEventInvokeConfig(tx *cloud.Tx, in *shape.PutFunctionEventInvokeConfigInput) (*shape.PutFunctionEventInvokeConfigOutput, error) {
	f, q, err := s.qualified(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	c, err := s.putConfig(tx, f, EventConfig{Qualifier: q, Retries: -1}, in.MaximumRetryAttempts, in.MaximumEventAgeInSeconds, in.DestinationConfig)
	if err != nil {
		return nil, err
	}
	return (*shape.PutFunctionEventInvokeConfigOutput)(configShape(tx, f.Name, c)), nil
}

// UpdateFunctionEventInvokeConfig changes some of it.
func (s *Service) UpdateFunctionEventInvokeConfig(tx *cloud.Tx, in *shape.UpdateFunctionEventInvokeConfigInput) (*shape.UpdateFunctionEventInvokeConfigOutput, error) {
	f, c, err := s.config(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	c, err = s.putConfig(tx, f, c, in.MaximumRetryAttempts, in.MaximumEventAgeInSeconds, in.DestinationConfig)
	if err != nil {
		return nil, err
	}
	return (*shape.UpdateFunctionEventInvokeConfigOutput)(configShape(tx, f.Name, c)), nil
}

func (s *Service) putConfig(tx *cloud.Tx, f Function, c EventConfig, retries, age *int32, d *shape.DestinationConfig) (EventConfig, error) {
	set(&c.Retries, retries)
	set(&c.MaxAge, age)
	if d != nil {
		if d.OnSuccess != nil {
			c.OnSuccess = api.Value(d.OnSuccess.Destination)
		}
		if d.OnFailure != nil {
			c.OnFailure = api.Value(d.OnFailure.Destination)
		}
	}
	for _, target := range []string{c.OnSuccess, c.OnFailure} {
		if target == "" {
			continue
		}
		if err := s.checkTarget(tx, target, true); err != nil {
			return c, err
		}
		if target == functionARN(tx.Scope, f.Name, c.Qualifier) {
			return c, invalid("You can't specify the function as a destination for itself.")
		}
	}
	c.Modified = tx.Now().Truncate(time.Millisecond)
	i, found := configOf(f, c.Qualifier)
	f.Configs = slices.Clone(f.Configs)
	if found {
		f.Configs[i] = c
	} else {
		f.Configs = slices.Insert(f.Configs, i, c)
	}
	s.functions.Put(tx, f.Name, f)
	return c, nil
}

func (s *Service) config(tx *cloud.Tx, name, qualifier *string) (Function, EventConfig, error) {
	f, q, err := s.qualified(tx, name, qualifier)
	if err != nil {
		return f, EventConfig{}, err
	}
	i, found := configOf(f, q)
	if !found {
		if q == "" {
			q = latest
		}
		return f, EventConfig{}, notFound("The function %s doesn't have an EventInvokeConfig", functionARN(tx.Scope, f.Name, q))
	}
	return f, f.Configs[i], nil
}

// GetFunctionEventInvokeConfig shows it.
func (s *Service) GetFunctionEventInvokeConfig(tx *cloud.Tx, in *shape.GetFunctionEventInvokeConfigInput) (*shape.GetFunctionEventInvokeConfigOutput, error) {
	f, c, err := s.config(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return (*shape.GetFunctionEventInvokeConfigOutput)(configShape(tx, f.Name, c)), nil
}

// DeleteFunctionEventInvokeConfig goes back to the defaults.
func (s *Service) DeleteFunctionEventInvokeConfig(tx *cloud.Tx, in *shape.DeleteFunctionEventInvokeConfigInput) (*shape.DeleteFunctionEventInvokeConfigOutput, error) {
	f, c, err := s.config(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	f.Configs = slices.DeleteFunc(slices.Clone(f.Configs), func(have EventConfig) bool { return have.Qualifier == c.Qualifier })
	s.functions.Put(tx, f.Name, f)
	return &shape.DeleteFunctionEventInvokeConfigOutput{}, nil
}

// ListFunctionEventInvokeConfigs lists those of a function and of its versions and aliases.
func (s *Service) ListFunctionEventInvokeConfigs(tx *cloud.Tx, in *shape.ListFunctionEventInvokeConfigsInput) (*shape.ListFunctionEventInvokeConfigsOutput, error) {
	f, err := s.unqualified(tx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	all, next := page(f.Configs, func(c EventConfig) string { return c.Qualifier }, in.Marker, in.MaxItems, 50)
	out := &shape.ListFunctionEventInvokeConfigsOutput{FunctionEventInvokeConfigs: []shape.FunctionEventInvokeConfig{}, NextMarker: next}
	for _, c := range all {
		out.FunctionEventInvokeConfigs = append(out.FunctionEventInvokeConfigs, *configShape(tx, f.Name, c))
	}
	return out, nil
}

func configShape(tx *cloud.Tx, function string, c EventConfig) *shape.FunctionEventInvokeConfig {
	q := c.Qualifier
	if q == "" {
		q = latest
	}
	out := &shape.FunctionEventInvokeConfig{LastModified: new(c.Modified), FunctionArn: new(functionARN(tx.Scope, function, q)),
		DestinationConfig: &shape.DestinationConfig{OnSuccess: &shape.OnSuccess{}, OnFailure: &shape.OnFailure{}}}
	if c.Retries >= 0 {
		out.MaximumRetryAttempts = new(c.Retries)
	}
	if c.MaxAge > 0 {
		out.MaximumEventAgeInSeconds = new(c.MaxAge)
	}
	if c.OnSuccess != "" {
		out.DestinationConfig.OnSuccess.Destination = new(c.OnSuccess)
	}
	if c.OnFailure != "" {
		out.DestinationConfig.OnFailure.Destination = new(c.OnFailure)
	}
	return out
}

// retries and age are the limits of an asynchronous invocation.
func limitsOf(f Function, qualifier string) (retries int32, age time.Duration, onSuccess, onFailure string) {
	retries, age = defaultRetries, defaultMaxAge*time.Second
	if i, found := configOf(f, qualifier); found {
		c := f.Configs[i]
		if c.Retries >= 0 {
			retries = c.Retries
		}
		if c.MaxAge > 0 {
			age = time.Duration(c.MaxAge) * time.Second
		}
		onSuccess, onFailure = c.OnSuccess, c.OnFailure
	}
	return retries, age, onSuccess, onFailure
}

// target takes the ARN of a destination apart.
func target(arn string) (service, region, account, resource string) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" {
		return "", "", "", ""
	}
	return parts[2], parts[3], parts[4], parts[5]
}
