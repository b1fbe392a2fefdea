package ec2

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/billow-cloud/billow/api/ec2"
)

func TestTemplateVersions(t *testing.T) {
	w := newWorld(t, Options{})
	data := &shape.RequestLaunchTemplateData{
		ImageId: &builtins[0].ID, InstanceType: new("t3.micro"), UserData: new(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))),
		Monitoring:        &shape.LaunchTemplatesMonitoringRequest{Enabled: new(true)},
		TagSpecifications: []shape.LaunchTemplateTagSpecificationRequest{{ResourceType: new("instance"), Tags: []shape.Tag{{Key: new("Name"), Value: new("web")}, {Key: new("A"), Value: new("1")}}}},
	}
	made := call[shape.CreateLaunchTemplateOutput](w, &shape.CreateLaunchTemplateInput{LaunchTemplateName: new("web"), LaunchTemplateData: data}).LaunchTemplate
	w.refused(&shape.CreateLaunchTemplateInput{LaunchTemplateName: new("web"), LaunchTemplateData: data}, "InvalidLaunchTemplateName.AlreadyExistsException")
	w.refused(&shape.CreateLaunchTemplateInput{LaunchTemplateName: new("bad"), LaunchTemplateData: &shape.RequestLaunchTemplateData{UserData: new("%")}}, "InvalidUserData.Malformed")
	second := call[shape.CreateLaunchTemplateVersionOutput](w, &shape.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: made.LaunchTemplateId, SourceVersion: new("1"), LaunchTemplateData: &shape.RequestLaunchTemplateData{InstanceType: new("t3.small")},
	}).LaunchTemplateVersion
	if *second.VersionNumber != 2 || *second.LaunchTemplateData.InstanceType != "t3.small" || *second.LaunchTemplateData.ImageId != builtins[0].ID {
		t.Errorf("%+v", second)
	}
	launch := func(version *string) shape.Instance {
		ids := w.run(1, func(in *shape.RunInstancesInput) {
			in.ImageId, in.InstanceType = nil, nil
			in.LaunchTemplate = &shape.LaunchTemplateSpecification{LaunchTemplateName: new("web"), Version: version}
			in.TagSpecifications = []shape.TagSpecification{{ResourceType: new("instance"), Tags: []shape.Tag{{Key: new("A"), Value: new("2")}}}}
		})
		return w.see(ids[0])
	}
	if i := launch(nil); *i.InstanceType != "t3.micro" || *i.Monitoring.State != "enabled" {
		t.Error("the default version is taken")
	} else {
		var tags []Tag
		for _, tag := range i.Tags {
			tags = append(tags, Tag{*tag.Key, *tag.Value})
		}
		want := []Tag{{"A", "2"}, {"Name", "web"}, {"aws:ec2launchtemplate:id", *made.LaunchTemplateId}, {"aws:ec2launchtemplate:version", "1"}}
		if diff := cmp.Diff(want, tags); diff != "" {
			t.Error(diff)
		}
	}
	if i := launch(new("$Latest")); *i.InstanceType != "t3.small" {
		t.Error("the latest version is taken")
	}
	if got := string(w.wishes[len(w.wishes)-1].(LaunchInstance).Spec.UserData); got != "#!/bin/sh\n" {
		t.Errorf("user data %q", got)
	}
	w.refused(&shape.ModifyLaunchTemplateInput{LaunchTemplateId: made.LaunchTemplateId, DefaultVersion: new("7")}, "InvalidLaunchTemplateId.VersionNotFound")
	call[shape.ModifyLaunchTemplateOutput](w, &shape.ModifyLaunchTemplateInput{LaunchTemplateId: made.LaunchTemplateId, DefaultVersion: new("2")})
	deleted := call[shape.DeleteLaunchTemplateVersionsOutput](w, &shape.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: made.LaunchTemplateId, Versions: []string{"1", "2", "3"}})
	if len(deleted.SuccessfullyDeletedLaunchTemplateVersions) != 1 || len(deleted.UnsuccessfullyDeletedLaunchTemplateVersions) != 2 {
		t.Errorf("%+v", deleted)
	}
	third := call[shape.CreateLaunchTemplateVersionOutput](w, &shape.CreateLaunchTemplateVersionInput{LaunchTemplateName: new("web"), LaunchTemplateData: data})
	if *third.LaunchTemplateVersion.VersionNumber != 3 {
		t.Error("numbers are not used twice")
	}
	versions := call[shape.DescribeLaunchTemplateVersionsOutput](w, &shape.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}})
	if len(versions.LaunchTemplateVersions) != 2 || *versions.LaunchTemplateVersions[0].DefaultVersion != true {
		t.Errorf("%+v", versions)
	}
	call[shape.DeleteLaunchTemplateOutput](w, &shape.DeleteLaunchTemplateInput{LaunchTemplateName: new("web")})
	w.refused(&shape.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"web"}}, "InvalidLaunchTemplateName.NotFoundException")
	w.refused(&shape.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{*made.LaunchTemplateId}}, "InvalidLaunchTemplateId.NotFound")
	if w.s.versions.Len() != 0 {
		t.Error("versions are left")
	}
}

func TestTemplateOfAnInstance(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1, func(in *shape.RunInstancesInput) { in.UserData = new("aGk=") })[0]
	data := call[shape.GetLaunchTemplateDataOutput](w, &shape.GetLaunchTemplateDataInput{InstanceId: &id}).LaunchTemplateData
	r, err := TemplateVersion{Data: *data}.Request()
	if err != nil || string(r.UserData) != "hi" || r.InstanceType != "t3.micro" || r.ImageID != builtins[0].ID {
		t.Errorf("%+v %v", r, err)
	}
}
