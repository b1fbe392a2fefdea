// Package ssm is the Parameter Store of AWS Systems Manager: a user's own parameters with their versions, and the public
// ones under /aws/service, by which clients look up image IDs.
//
// It is nothing else of Systems Manager, and it encrypts nothing: a SecureString is kept as it is given. The one idea:
// a parameter is one row with all its versions; public parameters are not rows but a list that the service that knows
// their values publishes once, when the cloud is made.
package ssm

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ssm"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name.
const Name = "ssm"

// versionLimit is how many versions of a parameter are kept; AWS keeps as many.
const versionLimit = 100

// Parameter is the row of a user's parameter, found by its name.
type Parameter struct {
	Name           string
	Type           string // "String", "StringList" or "SecureString"
	Description    string
	KeyID          string
	AllowedPattern string
	Tier           string
	DataType       string
	Versions       []Version // oldest first
}

// Version is one value of a parameter.
type Version struct {
	Number   int64
	Value    string
	Modified time.Time
}

// Public is a parameter that everybody can read and nobody can write.
type Public struct {
	Name, Value string
	DataType    string // "text" or "aws:ec2:image"
	Description string
	Modified    time.Time
}

// Service is the Parameter Store.
type Service struct {
	cloud.Base
	parameters cloud.Rows[Parameter]
	public     []Public // in order of name
}

// New makes the service.
func New() *Service { return &Service{parameters: cloud.NewRows[Parameter](Name + ".parameters")} }

// Publish adds public parameters. It is for services that are being made, before the first step.
func (s *Service) Publish(all []Public) {
	s.public = append(s.public, all...)
	slices.SortFunc(s.public, func(a, b Public) int { return strings.Compare(a.Name, b.Name) })
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store { return []table.Store{s.parameters} }

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation {
	return []cloud.Operation{
		cloud.Handle("DeleteParameter", s.DeleteParameter),
		cloud.Handle("DescribeParameters", s.DescribeParameters),
		cloud.Handle("GetParameter", s.GetParameter),
		cloud.Handle("GetParameters", s.GetParameters),
		cloud.Handle("GetParametersByPath", s.GetParametersByPath),
		cloud.Handle("PutParameter", s.PutParameter).But("a SecureString is kept as it is given, not encrypted; Policies and Tags are not kept"),
	}
}

// Value gives a parameter's value, for a name with or without a version ("name:3"), as GetParameter does.
func (s *Service) Value(tx *cloud.Tx, name string) (string, bool) {
	p, err := s.find(tx, name)
	if err != nil {
		return "", false
	}
	return *p.Value, true
}

// find gives the parameter that a name, an ARN or either with a selector stands for.
func (s *Service) find(tx *cloud.Tx, asked string) (shape.Parameter, error) {
	name := asked
	if strings.HasPrefix(name, "arn:") {
		_, resource, ok := strings.Cut(name, ":parameter")
		if !ok {
			return shape.Parameter{}, notFound()
		}
		name = resource
		if !strings.Contains(strings.TrimPrefix(name, "/"), "/") {
			name = strings.TrimPrefix(name, "/") // the ARN of "x" ends in parameter/x
		}
	}
	name, selector, selected := strings.Cut(name, ":")
	if i, ok := slices.BinarySearchFunc(s.public, name, func(p Public, name string) int { return strings.Compare(p.Name, name) }); ok {
		return s.public[i].shape(tx), nil
	}
	p, ok := s.parameters.Get(tx, name)
	if !ok {
		return shape.Parameter{}, notFound()
	}
	v := p.Versions[len(p.Versions)-1]
	if selected {
		i := slices.IndexFunc(p.Versions, func(v Version) bool { return strconv.FormatInt(v.Number, 10) == selector })
		if i < 0 {
			return shape.Parameter{}, api.Errorf("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector, name)
		}
		v = p.Versions[i]
	}
	out := p.shape(tx, v)
	if selected {
		out.Selector = new(":" + selector)
	}
	return out, nil
}

func notFound() error { return &api.Error{Code: "ParameterNotFound", Status: 400} }

func arn(tx *cloud.Tx, name string) string {
	return tx.Scope.ARN(Name, "parameter/"+strings.TrimPrefix(name, "/"))
}

func (p Parameter) shape(tx *cloud.Tx, v Version) shape.Parameter {
	return shape.Parameter{
		Name: new(p.Name), Type: new(p.Type), Value: new(v.Value), Version: new(v.Number), LastModifiedDate: new(v.Modified),
		ARN: new(arn(tx, p.Name)), DataType: new(p.DataType),
	}
}

func (p Public) shape(tx *cloud.Tx) shape.Parameter {
	return shape.Parameter{
		Name: new(p.Name), Type: new("String"), Value: new(p.Value), Version: new(int64(1)), LastModifiedDate: new(p.Modified),
		ARN: new("arn:aws:ssm:" + tx.Scope.Region + "::parameter" + p.Name), DataType: new(p.DataType),
	}
}

// GetParameter reads one parameter.
func (s *Service) GetParameter(tx *cloud.Tx, in *shape.GetParameterInput) (*shape.GetParameterOutput, error) {
	p, err := s.find(tx, api.Value(in.Name))
	if err != nil {
		return nil, err
	}
	return &shape.GetParameterOutput{Parameter: &p}, nil
}

// GetParameters reads several; those that are not there are listed as invalid.
func (s *Service) GetParameters(tx *cloud.Tx, in *shape.GetParametersInput) (*shape.GetParametersOutput, error) {
	out := &shape.GetParametersOutput{}
	for i, name := range in.Names {
		if slices.Contains(in.Names[:i], name) {
			continue
		}
		p, err := s.find(tx, name)
		if err != nil {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		out.Parameters = append(out.Parameters, p)
	}
	return out, nil
}

// nameCharacters are those that a parameter's name may have.
const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/"

// PutParameter makes a parameter or, with Overwrite, its next version.
func (s *Service) PutParameter(tx *cloud.Tx, in *shape.PutParameterInput) (*shape.PutParameterOutput, error) {
	name, value := api.Value(in.Name), api.Value(in.Value)
	bare := strings.TrimPrefix(name, "/")
	if lower := strings.ToLower(bare); strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ssm") {
		return nil, api.Errorf("ValidationException", "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).")
	}
	if strings.Trim(name, "/") == "" || strings.Contains(bare, "/") && name == bare || strings.Trim(name, nameCharacters) != "" {
		return nil, api.Errorf("ValidationException", "Parameter name must be a fully qualified name. If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_")
	}
	p, there := s.parameters.Get(tx, name)
	switch {
	case there && !api.Value(in.Overwrite):
		return nil, api.Errorf("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case !there && in.Type == nil:
		return nil, api.Errorf("ValidationException", "A parameter type is required when you create a parameter.")
	}
	if !there {
		p = Parameter{Name: name, DataType: "text", Tier: "Standard"}
	}
	p.Type = api.Or(in.Type, p.Type)
	p.Description = api.Or(in.Description, p.Description)
	p.KeyID = api.Or(in.KeyId, p.KeyID)
	p.AllowedPattern = api.Or(in.AllowedPattern, p.AllowedPattern)
	p.DataType = api.Or(in.DataType, p.DataType)
	if tier := api.Value(in.Tier); tier == "Standard" || tier == "Advanced" {
		p.Tier = tier
	}
	if p.Type == "SecureString" && p.KeyID == "" {
		p.KeyID = "alias/aws/ssm"
	}
	if err := p.check(value); err != nil {
		return nil, err
	}
	v := Version{Number: 1, Value: value, Modified: tx.Now().Truncate(time.Millisecond)}
	if there {
		v.Number = p.Versions[len(p.Versions)-1].Number + 1
	}
	p.Versions = append(slices.Clone(p.Versions), v)
	if len(p.Versions) > versionLimit {
		p.Versions = p.Versions[len(p.Versions)-versionLimit:]
	}
	s.parameters.Put(tx, name, p)
	return &shape.PutParameterOutput{Version: new(v.Number), Tier: new(p.Tier)}, nil
}

func (p Parameter) check(value string) error {
	limit := 4096
	if p.Tier == "Advanced" {
		limit = 8192
	}
	if value == "" || len(value) > limit {
		return api.Errorf("ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.")
	}
	if p.AllowedPattern != "" {
		fits, err := regexp.Compile("^(?:" + p.AllowedPattern + ")$")
		if err != nil {
			return api.Errorf("InvalidAllowedPatternException", "The request does not meet the regular expression requirement.")
		}
		if !fits.MatchString(value) {
			return api.Errorf("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", p.AllowedPattern)
		}
	}
	return nil
}

// DeleteParameter removes a parameter with all its versions.
func (s *Service) DeleteParameter(tx *cloud.Tx, in *shape.DeleteParameterInput) (*shape.DeleteParameterOutput, error) {
	if _, ok := s.parameters.Get(tx, api.Value(in.Name)); !ok {
		return nil, notFound()
	}
	s.parameters.Delete(tx, *in.Name)
	return &shape.DeleteParameterOutput{}, nil
}
