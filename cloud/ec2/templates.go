package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// Template is a launch template's row.
type Template struct {
	ID, Name       string
	Created        time.Time
	CreatedBy      string
	DefaultVersion int64
	Latest         int64
	Next           int64 // number of the next version: numbers are never used twice
	ClientToken    string
}

func noTemplate(idOrName string) error {
	if strings.HasPrefix(idOrName, "lt-") {
		if !wellFormed("lt-", idOrName) {
			return api.Errorf("InvalidLaunchTemplateId.Malformed", "The launch template ID '%s' is not valid", idOrName)
		}
		return api.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", idOrName)
	}
	return api.Errorf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", idOrName)
}

// template finds a launch template by ID or name.
func (s *Service) template(tx *cloud.Tx, idOrName string) (Template, error) {
	if t, ok := s.templates.Get(tx, idOrName); ok {
		return t, nil
	}
	for _, t := range s.templateNames.Each(tx, idOrName) {
		return t, nil
	}
	return Template{}, noTemplate(idOrName)
}

// templateGiven finds the launch template that a request names by ID or by name.
func (s *Service) templateGiven(tx *cloud.Tx, id, name *string) (Template, error) {
	switch {
	case id == nil && name == nil:
		return Template{}, api.Errorf("MissingParameter", "Either a launch template ID or a launch template name must be specified.")
	case id != nil && name != nil:
		return Template{}, api.Errorf("InvalidParameterCombination", "Only one of launch template ID and launch template name may be specified.")
	case id != nil:
		if t, ok := s.templates.Get(tx, *id); ok {
			return t, nil
		}
		if !wellFormed("lt-", *id) {
			return Template{}, api.Errorf("InvalidLaunchTemplateId.Malformed", "The launch template ID '%s' is not valid", *id)
		}
		return Template{}, noTemplate(*id)
	}
	return s.template(tx, *name)
}

// CreateLaunchTemplate makes a template with its version 1.
func (s *Service) CreateLaunchTemplate(tx *cloud.Tx, in *shape.CreateLaunchTemplateInput) (*shape.CreateLaunchTemplateOutput, error) {
	tags, err := specTags(in.TagSpecifications, "launch-template")
	if err != nil {
		return nil, err
	}
	name, token := api.Value(in.LaunchTemplateName), api.Value(in.ClientToken)
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()./_-") != "" || len(name) < 3 || len(name) > 128 {
		return nil, api.Errorf("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _")
	}
	for _, t := range s.templateNames.Each(tx, name) {
		if token != "" && t.ClientToken == token {
			return &shape.CreateLaunchTemplateOutput{LaunchTemplate: new(s.templateShape(tx, t))}, nil
		}
		return nil, api.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	data, err := templateData(in.LaunchTemplateData)
	if err != nil {
		return nil, err
	}
	t := Template{
		ID: tx.ID("lt-"), Name: name, Created: tx.Now().Truncate(time.Second), CreatedBy: creator(tx), DefaultVersion: 1, Latest: 1, Next: 2,
		ClientToken: token,
	}
	s.templates.Put(tx, t.ID, t)
	s.putVersion(tx, TemplateVersion{
		TemplateID: t.ID, Version: 1, Description: api.Value(in.VersionDescription), Created: t.Created, CreatedBy: t.CreatedBy, Data: data,
	})
	s.Tag(tx, t.ID, tags)
	return &shape.CreateLaunchTemplateOutput{LaunchTemplate: new(s.templateShape(tx, t))}, nil
}

func creator(tx *cloud.Tx) string { return "arn:aws:iam::" + tx.Scope.Account + ":root" }

func (s *Service) templateShape(tx *cloud.Tx, t Template) shape.LaunchTemplate {
	return shape.LaunchTemplate{
		LaunchTemplateId: new(t.ID), LaunchTemplateName: new(t.Name), CreateTime: new(t.Created), CreatedBy: new(t.CreatedBy),
		DefaultVersionNumber: new(t.DefaultVersion), LatestVersionNumber: new(t.Latest), Tags: tagShapes(s.Tags(tx, t.ID)),
	}
}

// ModifyLaunchTemplate says which version is the default.
func (s *Service) ModifyLaunchTemplate(tx *cloud.Tx, in *shape.ModifyLaunchTemplateInput) (*shape.ModifyLaunchTemplateOutput, error) {
	t, err := s.templateGiven(tx, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if in.DefaultVersion != nil {
		v, err := s.version(tx, t, *in.DefaultVersion)
		if err != nil {
			return nil, err
		}
		t.DefaultVersion = v.Version
		s.templates.Put(tx, t.ID, t)
	}
	return &shape.ModifyLaunchTemplateOutput{LaunchTemplate: new(s.templateShape(tx, t))}, nil
}

// DeleteLaunchTemplate removes a template with all its versions.
func (s *Service) DeleteLaunchTemplate(tx *cloud.Tx, in *shape.DeleteLaunchTemplateInput) (*shape.DeleteLaunchTemplateOutput, error) {
	t, err := s.templateGiven(tx, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	out := &shape.DeleteLaunchTemplateOutput{LaunchTemplate: new(s.templateShape(tx, t))}
	for key := range s.versions.Prefix(tx, t.ID+"/") {
		s.versions.Delete(tx, key)
	}
	s.templates.Delete(tx, t.ID)
	s.tags.Delete(tx, t.ID)
	return out, nil
}

var templateFields = fields[Template]{
	"launch-template-name": func(_ *cloud.Tx, t Template) []string { return one(t.Name) },
	"launch-template-id":   func(_ *cloud.Tx, t Template) []string { return one(t.ID) },
	"create-time":          func(_ *cloud.Tx, t Template) []string { return stamp(t.Created) },
}

// DescribeLaunchTemplates lists templates.
func (s *Service) DescribeLaunchTemplates(tx *cloud.Tx, in *shape.DescribeLaunchTemplatesInput) (*shape.DescribeLaunchTemplatesOutput, error) {
	ids := slices.Clone(in.LaunchTemplateIds)
	for _, name := range in.LaunchTemplateNames {
		t, err := s.templateGiven(tx, nil, &name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, t.ID)
	}
	found, next, err := listing[Template]{
		rows: s.templates, fields: templateFields, id: func(t Template) string { return t.ID }, ids: ids,
		missing: func(ids []string) error { return noTemplate(ids[0]) }, filters: in.Filters, max: in.MaxResults, token: in.NextToken,
	}.find(s, tx)
	out := &shape.DescribeLaunchTemplatesOutput{NextToken: next}
	for _, t := range found {
		out.LaunchTemplates = append(out.LaunchTemplates, s.templateShape(tx, t))
	}
	return out, err
}

func versionText(n int64) string { return strconv.FormatInt(n, 10) }
