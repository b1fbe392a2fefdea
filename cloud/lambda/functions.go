package lambda

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
)

// readyAfter is how long a function is Pending after it was made, and an update of it InProgress.
const readyAfter = 500 * time.Millisecond

// CreateFunction makes a function and its version $LATEST.
func (s *Service) CreateFunction(tx *cloud.Tx, in *shape.CreateFunctionInput) (*shape.CreateFunctionOutput, error) {
	name, qualifier, err := split(tx, api.Value(in.FunctionName), nil)
	if err != nil {
		return nil, err
	}
	if qualifier != "" || len(name) > 64 {
		return nil, invalid("The function name %s must have at most 64 characters and no version or alias", name)
	}
	if s.functions.Has(tx, name) {
		return nil, conflict("Function already exist: %s", name)
	}
	switch {
	case api.Value(in.PackageType) == shape.PackageTypeImage || in.Code.ImageUri != nil || in.ImageConfig != nil:
		return nil, invalid("Functions made of container images are not implemented here; PackageType must be Zip")
	case in.CodeSigningConfigArn != nil || in.CapacityProviderConfig != nil || in.DurableConfig != nil || in.TenancyConfig != nil || in.PublishTo != nil:
		return nil, invalid("CodeSigningConfigArn, CapacityProviderConfig, DurableConfig, TenancyConfig and PublishTo are not implemented here")
	case in.Runtime == nil || in.Handler == nil:
		return nil, invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	case len(in.Tags) > maxTags:
		return nil, invalid("The number of tags exceeds the maximum of %d", maxTags)
	}
	c, err := s.upload(tx, in.Code.ZipFile, in.Code.S3Bucket, in.Code.S3Key)
	if err != nil {
		return nil, err
	}
	v := Version{Function: name, Number: latest, CodeHash: c.Hash, CodeSize: c.Size, Modified: tx.Now().Truncate(time.Millisecond),
		Revision: tx.UUID(), Ready: tx.Now().Add(readyAfter),
		Settings: Settings{Timeout: defaultTimeout, Memory: defaultMemory, Storage: defaultStorage, Architecture: "x86_64", Tracing: "PassThrough", LogFormat: "Text"}}
	if h, told := s.host(tx); told && h.Architecture != "" {
		v.Architecture = h.Architecture
	}
	if len(in.Architectures) > 0 {
		v.Architecture = in.Architectures[0]
	}
	if err := s.configure(tx, &v, &shape.UpdateFunctionConfigurationInput{
		Role: in.Role, Handler: in.Handler, Description: in.Description, Timeout: in.Timeout, MemorySize: in.MemorySize, VpcConfig: in.VpcConfig,
		Environment: in.Environment, Runtime: in.Runtime, DeadLetterConfig: in.DeadLetterConfig, KMSKeyArn: in.KMSKeyArn,
		TracingConfig: in.TracingConfig, Layers: in.Layers, FileSystemConfigs: in.FileSystemConfigs,
		EphemeralStorage: in.EphemeralStorage, SnapStart: in.SnapStart, LoggingConfig: in.LoggingConfig,
	}); err != nil {
		return nil, err
	}
	f := Function{Name: name, Created: v.Modified, Next: 1, Reserved: -1, Tags: tagsOf(in.Tags)}
	s.functions.Put(tx, name, f)
	s.versions.Put(tx, versionKey(name, latest), v)
	s.lookAt(tx, "of "+name)
	if api.Value(in.Publish) {
		v = s.publish(tx, v, v.Description)
	}
	return (*shape.CreateFunctionOutput)(s.configuration(tx, v, "", api.Value(in.Publish))), nil
}

// upload takes the code of an input.
func (s *Service) upload(tx *cloud.Tx, zipFile []byte, bucket, key *string) (Code, error) {
	if bucket != nil || key != nil {
		return Code{}, invalid("Code from S3 is not implemented here: give the zip itself as ZipFile")
	}
	if len(zipFile) == 0 {
		return Code{}, invalid("Please provide a source for function code.")
	}
	c, err := code(zipFile)
	if err != nil {
		return c, err
	}
	used := c.Size
	for _, v := range s.versions.All(tx) {
		used += v.CodeSize
	}
	if used > accountStorage {
		return c, &api.Error{Code: "CodeStorageExceededException", Status: 400, Message: "Code storage limit exceeded."}
	}
	return c, nil
}

// configure changes a version's settings as far as the input says so, and checks what comes out.
func (s *Service) configure(tx *cloud.Tx, v *Version, in *shape.UpdateFunctionConfigurationInput) error {
	switch {
	case len(in.Layers) > 0:
		return invalid("Layers are not implemented here")
	case len(in.FileSystemConfigs) > 0:
		return invalid("FileSystemConfigs are not implemented here")
	case in.ImageConfig != nil:
		return invalid("ImageConfig is only supported for functions made of container images")
	case in.SnapStart != nil && api.Value(in.SnapStart.ApplyOn) == shape.SnapStartApplyOnPublishedVersions:
		return invalid("SnapStart is not implemented here")
	case in.CapacityProviderConfig != nil || in.DurableConfig != nil:
		return invalid("CapacityProviderConfig and DurableConfig are not implemented here")
	}
	set(&v.Role, in.Role)
	set(&v.Handler, in.Handler)
	set(&v.Description, in.Description)
	set(&v.Timeout, in.Timeout)
	set(&v.Memory, in.MemorySize)
	set(&v.Runtime, in.Runtime)
	set(&v.KMSKey, in.KMSKeyArn)
	if in.Environment != nil {
		v.Environment = variables(in.Environment.Variables)
	}
	if in.VpcConfig != nil {
		v.Subnets, v.SecurityGroups = slices.Clone(in.VpcConfig.SubnetIds), slices.Clone(in.VpcConfig.SecurityGroupIds)
	}
	if in.DeadLetterConfig != nil {
		v.DeadLetter = api.Value(in.DeadLetterConfig.TargetArn)
	}
	if in.TracingConfig != nil {
		set(&v.Tracing, in.TracingConfig.Mode)
	}
	if in.EphemeralStorage != nil {
		set(&v.Storage, in.EphemeralStorage.Size)
	}
	if l := in.LoggingConfig; l != nil {
		set(&v.LogFormat, l.LogFormat)
		set(&v.LogGroup, l.LogGroup)
		set(&v.AppLogLevel, l.ApplicationLogLevel)
		set(&v.SystemLogLevel, l.SystemLogLevel)
	}
	return s.check(tx, v, in.Role != nil)
}

func set[T any](field *T, given *T) {
	if given != nil {
		*field = *given
	}
}

// check says what is wrong with a version's settings.
func (s *Service) check(tx *cloud.Tx, v *Version, newRole bool) error {
	switch {
	case v.Timeout > maxTimeout:
		return api.Errorf("ValidationException", "1 validation error detected: Value '%d' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to %d", v.Timeout, maxTimeout)
	case v.Memory > maxMemory:
		return api.Errorf("ValidationException", "1 validation error detected: Value '%d' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to %d", v.Memory, maxMemory)
	}
	if err := s.checkRuntime(tx, v); err != nil {
		return err
	}
	if err := checkEnvironment(v.Environment); err != nil {
		return err
	}
	if v.DeadLetter != "" {
		if err := s.checkTarget(tx, v.DeadLetter, false); err != nil {
			return err
		}
	}
	if newRole {
		return s.checkRole(tx, v.Role)
	}
	return nil
}

var interpreted = regexp.MustCompile(`^(python3\.\d+|nodejs\d\d\.x)$`)

func (s *Service) checkRuntime(tx *cloud.Tx, v *Version) error {
	h, told := s.host(tx)
	switch {
	case v.Runtime == shape.RuntimeProvidedAl2 || v.Runtime == shape.RuntimeProvidedAl2023:
	case !interpreted.MatchString(v.Runtime):
		return invalid("The runtime parameter of %s is not supported here: the runtimes are provided.al2023, provided.al2, python3.x and nodejs.", v.Runtime)
	case told && strings.HasPrefix(v.Runtime, "python") && h.Python == "":
		return invalid("The runtime %s needs python3, which this host does not have.", v.Runtime)
	case told && strings.HasPrefix(v.Runtime, "nodejs") && h.Node == "":
		return invalid("The runtime %s needs node, which this host does not have.", v.Runtime)
	}
	if told && h.Architecture != "" && v.Architecture != h.Architecture {
		return invalid("The architecture %s cannot be run here: this host is %s.", v.Architecture, h.Architecture)
	}
	return nil
}

// reservedNames are variables that a function's environment has anyway.
var reservedNames = []string{"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT"}

func checkEnvironment(all []Variable) error {
	size := 0
	var used []string
	for _, v := range all {
		size += len(v.Name) + len(v.Value)
		if slices.Contains(reservedNames, v.Name) {
			used = append(used, v.Name)
		}
		if strings.Contains(v.Value, "\x00") {
			return invalid("The value of the environment variable %s has a character that is not allowed", v.Name)
		}
	}
	if len(used) > 0 {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided "+
			"contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", strings.Join(used, ", "))
	}
	if size > maxEnvironment {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.")
	}
	return nil
}

// changeable gives $LATEST of a function for an update.
func (s *Service) changeable(tx *cloud.Tx, name, revision *string) (Version, error) {
	f, err := s.unqualified(tx, name)
	if err != nil {
		return Version{}, err
	}
	v, err := s.version(tx, f.Name, latest)
	switch {
	case err != nil:
		return v, err
	case tx.Now().Before(v.Ready):
		return v, errPending()
	case tx.Now().Before(v.Updated):
		return v, conflict("The operation cannot be performed at this time. An update is in progress for resource: %s", functionARN(tx.Scope, f.Name, ""))
	case revision != nil && *revision != v.Revision:
		return v, errRevision("GetFunction")
	}
	return v, nil
}

func errPending() error {
	return conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending")
}

func errRevision(call string) error {
	return &api.Error{Code: "PreconditionFailedException", Status: 412,
		Message: "The Revision Id provided does not match the latest Revision Id. Call the " + call + " API to retrieve the latest Revision Id"}
}

// updated writes a changed $LATEST.
func (s *Service) updated(tx *cloud.Tx, v Version) Version {
	v.Modified, v.Revision, v.Updated = tx.Now().Truncate(time.Millisecond), tx.UUID(), tx.Now().Add(readyAfter)
	s.versions.Put(tx, versionKey(v.Function, v.Number), v)
	return v
}

// UpdateFunctionConfiguration changes the settings of $LATEST.
func (s *Service) UpdateFunctionConfiguration(tx *cloud.Tx, in *shape.UpdateFunctionConfigurationInput) (*shape.UpdateFunctionConfigurationOutput, error) {
	v, err := s.changeable(tx, in.FunctionName, in.RevisionId)
	if err != nil {
		return nil, err
	}
	if err := s.configure(tx, &v, in); err != nil {
		return nil, err
	}
	v = s.updated(tx, v)
	return (*shape.UpdateFunctionConfigurationOutput)(s.configuration(tx, v, "", false)), nil
}

// UpdateFunctionCode gives $LATEST other code.
func (s *Service) UpdateFunctionCode(tx *cloud.Tx, in *shape.UpdateFunctionCodeInput) (*shape.UpdateFunctionCodeOutput, error) {
	v, err := s.changeable(tx, in.FunctionName, in.RevisionId)
	if err != nil {
		return nil, err
	}
	if in.ImageUri != nil || in.PublishTo != nil {
		return nil, invalid("ImageUri and PublishTo are not implemented here: give the zip itself as ZipFile")
	}
	c, err := s.upload(tx, in.ZipFile, in.S3Bucket, in.S3Key)
	if err != nil {
		return nil, err
	}
	old := v.CodeHash
	v.CodeHash, v.CodeSize = c.Hash, c.Size
	if len(in.Architectures) > 0 {
		v.Architecture = in.Architectures[0]
	}
	if err := s.checkRuntime(tx, &v); err != nil {
		return nil, err
	}
	if api.Value(in.DryRun) {
		return (*shape.UpdateFunctionCodeOutput)(s.configuration(tx, v, "", false)), nil
	}
	v = s.updated(tx, v)
	s.release(tx, old)
	if api.Value(in.Publish) {
		v = s.publish(tx, v, v.Description)
	}
	return (*shape.UpdateFunctionCodeOutput)(s.configuration(tx, v, "", api.Value(in.Publish))), nil
}

// release wishes code away that no version has any more.
func (s *Service) release(tx *cloud.Tx, hash string) {
	if _, _, used := s.byCode.Find(hash); !used {
		tx.Wish(DropCode{CodeHash: hash})
	}
}

// DeleteFunction takes away a function with all that belongs to it, or one version of it.
func (s *Service) DeleteFunction(tx *cloud.Tx, in *shape.DeleteFunctionInput) (*shape.DeleteFunctionOutput, error) {
	f, q, err := s.function(tx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	switch {
	case q == latest:
		return nil, invalid("$LATEST version cannot be deleted without deleting the function.")
	case q != "" && !number(q):
		return nil, invalid("Deletion of aliases is not currently supported.")
	case q != "":
		return &shape.DeleteFunctionOutput{StatusCode: new(int32(204))}, s.deleteVersion(tx, f, q)
	}
	var hashes []string
	for key, v := range s.versions.Prefix(tx, f.Name+":") {
		hashes = append(hashes, v.CodeHash)
		s.versions.Delete(tx, key)
	}
	for key := range s.aliases.Prefix(tx, f.Name+":") {
		s.aliases.Delete(tx, key)
	}
	s.functions.Delete(tx, f.Name)
	s.lookAt(tx, "of "+f.Name)
	slices.Sort(hashes)
	for _, hash := range slices.Compact(hashes) {
		s.release(tx, hash)
	}
	return &shape.DeleteFunctionOutput{StatusCode: new(int32(204))}, nil
}

func (s *Service) deleteVersion(tx *cloud.Tx, f Function, n string) error {
	v, err := s.version(tx, f.Name, n)
	if err != nil {
		return err
	}
	var by []string
	for _, a := range s.aliases.Prefix(tx, f.Name+":") {
		if a.Version == n || len(a.Weights) > 0 && a.Weights[0].Version == n {
			by = append(by, a.Name)
		}
	}
	if len(by) > 0 {
		return conflict("Unable to delete version, because the following aliases reference it: [%s]", strings.Join(by, ", "))
	}
	s.versions.Delete(tx, versionKey(f.Name, v.Number))
	s.lookAt(tx, "of "+f.Name)
	s.release(tx, v.CodeHash)
	return nil
}
