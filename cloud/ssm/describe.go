package ssm

import (
	"slices"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ssm"
	"github.com/billow-cloud/billow/cloud"
)

// The page sizes when the client gives none.
const (
	describePage = 50
	pathPage     = 10
)

// GetParametersByPath reads the parameters below a path, public ones too, in order of name.
func (s *Service) GetParametersByPath(tx *cloud.Tx, in *shape.GetParametersByPathInput) (*shape.GetParametersByPathOutput, error) {
	path := api.Value(in.Path)
	if !strings.HasPrefix(path, "/") {
		return nil, api.Errorf("ValidationException", "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".")
	}
	head := strings.TrimSuffix(path, "/") + "/"
	tests, err := filters(in.ParameterFilters, nil)
	if err != nil {
		return nil, err
	}
	var found []shape.Parameter
	add := func(p shape.Parameter) {
		rest, below := strings.CutPrefix(*p.Name, head)
		if below && (api.Value(in.Recursive) || !strings.Contains(rest, "/")) && fits(tests, p, "") {
			found = append(found, p)
		}
	}
	for _, p := range s.public {
		if strings.HasPrefix(p.Name, head) {
			add(p.shape(tx))
		}
	}
	for _, p := range s.parameters.Prefix(tx, head) {
		add(p.shape(tx, p.Versions[len(p.Versions)-1]))
	}
	out := &shape.GetParametersByPathOutput{}
	out.Parameters, out.NextToken = page(found, func(p shape.Parameter) string { return *p.Name }, in.MaxResults, pathPage, in.NextToken)
	return out, nil
}

// DescribeParameters lists the user's parameters without their values.
func (s *Service) DescribeParameters(tx *cloud.Tx, in *shape.DescribeParametersInput) (*shape.DescribeParametersOutput, error) {
	tests, err := filters(in.ParameterFilters, in.Filters)
	if err != nil {
		return nil, err
	}
	var found []shape.ParameterMetadata
	for _, p := range s.parameters.All(tx) {
		v := p.Versions[len(p.Versions)-1]
		if !fits(tests, p.shape(tx, v), p.KeyID) {
			continue
		}
		m := shape.ParameterMetadata{
			Name: new(p.Name), ARN: new(arn(tx, p.Name)), Type: new(p.Type), LastModifiedDate: new(v.Modified), Version: new(v.Number),
			LastModifiedUser: new("arn:aws:iam::" + tx.Scope.Account + ":root"), Tier: new(p.Tier), DataType: new(p.DataType),
		}
		if p.Description != "" {
			m.Description = new(p.Description)
		}
		if p.KeyID != "" {
			m.KeyId = new(p.KeyID)
		}
		if p.AllowedPattern != "" {
			m.AllowedPattern = new(p.AllowedPattern)
		}
		found = append(found, m)
	}
	out := &shape.DescribeParametersOutput{}
	out.Parameters, out.NextToken = page(found, func(p shape.ParameterMetadata) string { return *p.Name }, in.MaxResults, describePage, in.NextToken)
	return out, nil
}

// test is one filter: a key, how to compare, and the values of which one must fit.
type test struct {
	key, option string
	values      []string
}

// filters reads both forms of filters, the present one and the old one.
func filters(now []shape.ParameterStringFilter, old []shape.ParametersFilter) ([]test, error) {
	var tests []test
	for _, f := range old {
		tests = append(tests, test{api.Value(f.Key), "BeginsWith", f.Values})
	}
	for _, f := range now {
		option := api.Value(f.Option)
		if option == "" {
			option = "Equals"
		}
		tests = append(tests, test{api.Value(f.Key), option, f.Values})
	}
	for _, t := range tests {
		if !slices.Contains([]string{"Name", "Type", "KeyId", "Path", "DataType", "Tier"}, t.key) {
			return nil, api.Errorf("InvalidFilterKey", "The specified filter key \"%s\" is not valid here.", t.key)
		}
		if !slices.Contains([]string{"Equals", "BeginsWith", "Contains", "Recursive", "OneLevel"}, t.option) {
			return nil, api.Errorf("InvalidFilterOption", "The specified filter option \"%s\" is not valid.", t.option)
		}
	}
	return tests, nil
}

func fits(tests []test, p shape.Parameter, keyID string) bool {
	for _, t := range tests {
		value := ""
		switch t.key {
		case "Name", "Path":
			value = *p.Name
		case "Type":
			value = *p.Type
		case "KeyId":
			value = keyID
		case "DataType":
			value = *p.DataType
		case "Tier":
			value = "Standard"
		}
		if !slices.ContainsFunc(t.values, func(want string) bool { return t.fits(value, want) }) {
			return false
		}
	}
	return true
}

func (t test) fits(value, want string) bool {
	if t.key == "Path" {
		rest, below := strings.CutPrefix(value, strings.TrimSuffix(want, "/")+"/")
		return below && (t.option == "Recursive" || !strings.Contains(rest, "/"))
	}
	switch t.option {
	case "BeginsWith":
		return strings.HasPrefix(value, want) || t.key == "Name" && strings.HasPrefix(value, "/"+want)
	case "Contains":
		return strings.Contains(value, want)
	}
	return value == want
}

// page sorts by name and cuts out the page after the token, the last name of the page before.
func page[T any](all []T, name func(T) string, limit *int32, standard int, token *string) ([]T, *string) {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	from := 0
	for token != nil && from < len(all) && name(all[from]) <= *token {
		from++
	}
	all = all[from:]
	n := standard
	if limit != nil {
		n = int(*limit)
	}
	if len(all) <= n {
		return all, nil
	}
	return all[:n], new(name(all[n-1]))
}
