package lambda

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
)

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// same tells whether two versions do the same.
func (v *Version) same(w Version) bool {
	a, b := v.Settings, w.Settings
	a.Description, b.Description = "", ""
	return reflect.DeepEqual(a, b)
}

// CreateAlias gives a version a name.
func (s *Service) CreateAlias(tx *cloud.Tx, in *shape.CreateAliasInput) (*shape.CreateAliasOutput, error) {
	f, err := s.unqualified(tx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	name := api.Value(in.Name)
	if number(name) || strings.Trim(name, nameCharacters) != "" || name == "" || len(name) > 128 {
		return nil, &api.Error{Code: "ValidationException", Status: 400, Message: "1 validation error detected: Value '" + name +
			"' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"}
	}
	if s.aliases.Has(tx, f.Name+":"+name) {
		return nil, conflict("Alias already exists: %s", functionARN(tx.Scope, f.Name, name))
	}
	a := Alias{Function: f.Name, Name: name, Description: api.Value(in.Description)}
	if err := s.point(tx, &a, in.FunctionVersion, in.RoutingConfig); err != nil {
		return nil, err
	}
	return (*shape.CreateAliasOutput)(aliasShape(tx, a)), nil
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// point has an alias stand for a version, and for a part of its invocations for another, and writes it.
func (s *Service) point(tx *cloud.Tx, a *Alias, version *string, routing *shape.AliasRoutingConfiguration) error {
	set(&a.Version, version)
	if _, err := s.version(tx, a.Function, a.Version); err != nil || !number(a.Version) {
		return errNoFunction(tx, a.Function, a.Version)
	}
	if routing != nil {
		a.Weights = nil
		for _, v := range slices.Sorted(maps.Keys(routing.AdditionalVersionWeights)) {
			if _, err := s.version(tx, a.Function, v); err != nil {
				return err
			}
			a.Weights = append(a.Weights, Weight{v, routing.AdditionalVersionWeights[v]})
		}
	}
	switch {
	case len(a.Weights) > 1:
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	case len(a.Weights) == 1 && a.Version == latest:
		return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
	case len(a.Weights) == 1 && a.Weights[0].Version == a.Version:
		return invalid("Invalid function version %s. Function version %s is already included in routing configuration.", a.Version, a.Version)
	}
	a.Revision = tx.UUID()
	s.aliases.Put(tx, a.Function+":"+a.Name, *a)
	s.lookAt(tx, "of "+a.Function)
	return nil
}

// alias finds an alias of an input.
func (s *Service) alias(tx *cloud.Tx, function, name *string) (Alias, error) {
	f, err := s.unqualified(tx, function)
	if err != nil {
		return Alias{}, err
	}
	a, ok := s.aliases.Get(tx, f.Name+":"+api.Value(name))
	if !ok {
		return a, notFound("Cannot find alias arn: %s", functionARN(tx.Scope, f.Name, api.Value(name)))
	}
	return a, nil
}

// UpdateAlias has an alias stand for another version.
func (s *Service) UpdateAlias(tx *cloud.Tx, in *shape.UpdateAliasInput) (*shape.UpdateAliasOutput, error) {
	a, err := s.alias(tx, in.FunctionName, in.Name)
	if err != nil {
		return nil, err
	}
	if in.RevisionId != nil && *in.RevisionId != a.Revision {
		return nil, errRevision("GetAlias")
	}
	set(&a.Description, in.Description)
	if err := s.point(tx, &a, in.FunctionVersion, in.RoutingConfig); err != nil {
		return nil, err
	}
	return (*shape.UpdateAliasOutput)(aliasShape(tx, a)), nil
}

// GetAlias shows an alias.
func (s *Service) GetAlias(tx *cloud.Tx, in *shape.GetAliasInput) (*shape.GetAliasOutput, error) {
	a, err := s.alias(tx, in.FunctionName, in.Name)
	if err != nil {
		return nil, err
	}
	return (*shape.GetAliasOutput)(aliasShape(tx, a)), nil
}

// DeleteAlias takes an alias away; one that is not there is no error.
func (s *Service) DeleteAlias(tx *cloud.Tx, in *shape.DeleteAliasInput) (*shape.DeleteAliasOutput, error) {
	f, err := s.unqualified(tx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	s.aliases.Delete(tx, f.Name+":"+api.Value(in.Name))
	s.lookAt(tx, "of "+f.Name)
	return &shape.DeleteAliasOutput{}, nil
}

// ListAliases lists a function's aliases, or those of one version.
func (s *Service) ListAliases(tx *cloud.Tx, in *shape.ListAliasesInput) (*shape.ListAliasesOutput, error) {
	f, err := s.unqualified(tx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	var all []Alias
	for _, a := range s.aliases.Prefix(tx, f.Name+":") {
		if in.FunctionVersion == nil || *in.FunctionVersion == a.Version {
			all = append(all, a)
		}
	}
	all, next := page(all, func(a Alias) string { return a.Name }, in.Marker, in.MaxItems, 50)
	out := &shape.ListAliasesOutput{Aliases: []shape.AliasConfiguration{}, NextMarker: next}
	for _, a := range all {
		out.Aliases = append(out.Aliases, *aliasShape(tx, a))
	}
	return out, nil
}

func aliasShape(tx *cloud.Tx, a Alias) *shape.AliasConfiguration {
	out := &shape.AliasConfiguration{AliasArn: new(functionARN(tx.Scope, a.Function, a.Name)), Name: new(a.Name),
		FunctionVersion: new(a.Version), Description: new(a.Description), RevisionId: new(a.Revision)}
	if len(a.Weights) > 0 {
		out.RoutingConfig = &shape.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{a.Weights[0].Version: a.Weights[0].Part}}
	}
	return out
}
