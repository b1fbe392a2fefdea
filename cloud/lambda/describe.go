package lambda

import (
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
)

// modifiedLayout is how the API writes when a function was modified: a text, unlike all its other instants.
const modifiedLayout = "2006-01-02T15:04:05.000-0700"

// configuration shows a version; its ARN ends in the qualifier that was asked for, or, if numbered, in its number.
func (s *Service) configuration(tx *cloud.Tx, v Version, qualifier string, numbered bool) *shape.FunctionConfiguration {
	if numbered {
		qualifier = v.Number
	}
	now := tx.Now()
	c := &shape.FunctionConfiguration{
		FunctionName: new(v.Function), FunctionArn: new(functionARN(tx.Scope, v.Function, qualifier)), Version: new(v.Number),
		Runtime: new(v.Runtime), Role: new(v.Role), Handler: new(v.Handler), Description: new(v.Description),
		CodeSize: new(v.CodeSize), CodeSha256: new(codeSha256(v.CodeHash)),
		Timeout: new(v.Timeout), MemorySize: new(v.Memory), EphemeralStorage: &shape.EphemeralStorage{Size: new(v.Storage)},
		LastModified: new(v.Modified.Format(modifiedLayout)), RevisionId: new(v.Revision),
		TracingConfig: &shape.TracingConfigResponse{Mode: new(v.Tracing)}, Architectures: []string{v.Architecture},
		PackageType: new("Zip"), State: new("Active"), LastUpdateStatus: new("Successful"),
		SnapStart:     &shape.SnapStartResponse{ApplyOn: new("None"), OptimizationStatus: new("Off")},
		LoggingConfig: &shape.LoggingConfig{LogFormat: new(v.LogFormat), LogGroup: new(v.logGroup())},
	}
	if v.AppLogLevel != "" {
		c.LoggingConfig.ApplicationLogLevel = new(v.AppLogLevel)
	}
	if v.SystemLogLevel != "" {
		c.LoggingConfig.SystemLogLevel = new(v.SystemLogLevel)
	}
	if len(v.Environment) > 0 {
		c.Environment = &shape.EnvironmentResponse{Variables: map[string]string{}}
		for _, e := range v.Environment {
			c.Environment.Variables[e.Name] = e.Value
		}
	}
	if v.DeadLetter != "" {
		c.DeadLetterConfig = &shape.DeadLetterConfig{TargetArn: new(v.DeadLetter)}
	}
	if v.KMSKey != "" {
		c.KMSKeyArn = new(v.KMSKey)
	}
	if len(v.Subnets) > 0 {
		c.VpcConfig = &shape.VpcConfigResponse{SubnetIds: v.Subnets, SecurityGroupIds: v.SecurityGroups, VpcId: new("")}
	}
	switch {
	case now.Before(v.Ready):
		c.State, c.StateReason, c.StateReasonCode = new("Pending"), new("The function is being created."), new("Creating")
		c.LastUpdateStatus = nil
	case now.Before(v.Updated):
		c.LastUpdateStatus, c.LastUpdateStatusReason, c.LastUpdateStatusReasonCode =
			new("InProgress"), new("The function is being created."), new("Creating")
	}
	return c
}

func (v *Version) logGroup() string {
	if v.LogGroup != "" {
		return v.LogGroup
	}
	return "/aws/lambda/" + v.Function
}

// named gives a version by the name and qualifier of an input.
func (s *Service) named(tx *cloud.Tx, name, qualifier *string) (Function, Version, string, error) {
	f, q, err := s.function(tx, name, qualifier)
	if err != nil {
		return f, Version{}, q, err
	}
	v, err := s.version(tx, f.Name, q)
	return f, v, q, err
}

// GetFunction shows a function with its tags.
func (s *Service) GetFunction(tx *cloud.Tx, in *shape.GetFunctionInput) (*shape.GetFunctionOutput, error) {
	f, v, q, err := s.named(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	out := &shape.GetFunctionOutput{Configuration: s.configuration(tx, v, q, false), Code: &shape.FunctionCodeLocation{RepositoryType: new("S3")}}
	if len(f.Tags) > 0 {
		out.Tags = tagMap(f.Tags)
	}
	if f.Reserved >= 0 {
		out.Concurrency = &shape.Concurrency{ReservedConcurrentExecutions: new(f.Reserved)}
	}
	return out, nil
}

// GetFunctionConfiguration shows a version's settings.
func (s *Service) GetFunctionConfiguration(tx *cloud.Tx, in *shape.GetFunctionConfigurationInput) (*shape.GetFunctionConfigurationOutput, error) {
	_, v, q, err := s.named(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return (*shape.GetFunctionConfigurationOutput)(s.configuration(tx, v, q, false)), nil
}

// GetFunctionCodeSigningConfig says that there is none; Terraform asks.
func (s *Service) GetFunctionCodeSigningConfig(tx *cloud.Tx, in *shape.GetFunctionCodeSigningConfigInput) (*shape.GetFunctionCodeSigningConfigOutput, error) {
	f, err := s.unqualified(tx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	return &shape.GetFunctionCodeSigningConfigOutput{FunctionName: new(f.Name), CodeSigningConfigArn: new("")}, nil
}

// ListFunctions lists the functions, or all their versions.
func (s *Service) ListFunctions(tx *cloud.Tx, in *shape.ListFunctionsInput) (*shape.ListFunctionsOutput, error) {
	all := api.Value(in.FunctionVersion) == shape.FunctionVersionAll
	var versions []Version
	for _, v := range s.versions.All(tx) {
		if all || v.Number == latest {
			versions = append(versions, v)
		}
	}
	versions, next := page(versions, func(v Version) string { return versionKey(v.Function, v.Number) }, in.Marker, in.MaxItems, 50)
	out := &shape.ListFunctionsOutput{Functions: []shape.FunctionConfiguration{}, NextMarker: next}
	for _, v := range versions {
		out.Functions = append(out.Functions, s.listed(tx, v, all))
	}
	return out, nil
}

// listed is a version in a list: without its state.
func (s *Service) listed(tx *cloud.Tx, v Version, numbered bool) shape.FunctionConfiguration {
	c := s.configuration(tx, v, "", numbered)
	c.State, c.StateReason, c.StateReasonCode = nil, nil, nil
	c.LastUpdateStatus, c.LastUpdateStatusReason, c.LastUpdateStatusReasonCode = nil, nil, nil
	return *c
}

// ListVersionsByFunction lists $LATEST and what was published.
func (s *Service) ListVersionsByFunction(tx *cloud.Tx, in *shape.ListVersionsByFunctionInput) (*shape.ListVersionsByFunctionOutput, error) {
	f, _, err := s.function(tx, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	var versions []Version
	for _, v := range s.versions.Prefix(tx, f.Name+":") {
		versions = append(versions, v)
	}
	versions, next := page(versions, func(v Version) string { return versionKey(v.Function, v.Number) }, in.Marker, in.MaxItems, 50)
	out := &shape.ListVersionsByFunctionOutput{Versions: []shape.FunctionConfiguration{}, NextMarker: next}
	for _, v := range versions {
		out.Versions = append(out.Versions, s.listed(tx, v, true))
	}
	return out, nil
}

// PublishVersion makes a version of $LATEST as it is, unless the newest one is the same.
func (s *Service) PublishVersion(tx *cloud.Tx, in *shape.PublishVersionInput) (*shape.PublishVersionOutput, error) {
	if in.PublishTo != nil {
		return nil, invalid("PublishTo is not implemented here")
	}
	v, err := s.changeable(tx, in.FunctionName, in.RevisionId)
	if err != nil {
		return nil, err
	}
	if have := codeSha256(v.CodeHash); in.CodeSha256 != nil && *in.CodeSha256 != have {
		return nil, invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", *in.CodeSha256, have)
	}
	v = s.publish(tx, v, api.Or(in.Description, v.Description))
	return (*shape.PublishVersionOutput)(s.configuration(tx, v, "", true)), nil
}

// publish gives the newest published version if it is $LATEST, or else makes one.
func (s *Service) publish(tx *cloud.Tx, v Version, description string) Version {
	f, _ := s.functions.Get(tx, v.Function)
	if f.Next > 1 {
		newest, ok := s.versions.Get(tx, versionKey(f.Name, decimal(f.Next-1)))
		if ok && newest.CodeHash == v.CodeHash && newest.same(v) {
			return newest
		}
	}
	v.Number, v.Description, v.Revision = decimal(f.Next), description, tx.UUID()
	v.Modified, v.Updated = tx.Now().Truncate(time.Millisecond), time.Time{}
	f.Next++
	s.functions.Put(tx, f.Name, f)
	s.versions.Put(tx, versionKey(f.Name, v.Number), v)
	s.lookAt(tx, "of "+f.Name)
	return v
}

// GetAccountSettings tells the limits and what is used of them.
func (s *Service) GetAccountSettings(tx *cloud.Tx, _ *shape.GetAccountSettingsInput) (*shape.GetAccountSettingsOutput, error) {
	var size, count int64
	for _, v := range s.versions.All(tx) {
		size += v.CodeSize
		if v.Number == latest {
			count++
		}
	}
	return &shape.GetAccountSettingsOutput{
		AccountLimit: &shape.AccountLimit{TotalCodeSize: new(int64(accountStorage)), CodeSizeUnzipped: new(int64(maxUnzipped)), CodeSizeZipped: new(int64(maxZip)),
			ConcurrentExecutions: new(int32(accountConcurrency)), UnreservedConcurrentExecutions: new(accountConcurrency - s.reservedInAll(tx, ""))},
		AccountUsage: &shape.AccountUsage{TotalCodeSize: &size, FunctionCount: &count},
	}, nil
}
