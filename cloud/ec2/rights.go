package ec2

import (
	"strconv"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// What a launch needs to be allowed.

// LaunchResources is all that a RunInstances call uses and makes, as far as it can be told before it is checked: what its
// caller must be allowed. A key that only one of them has, such as ec2:InstanceType, the others do not have.
func (s *Service) LaunchResources(tx *cloud.Tx, in *shape.RunInstancesInput) []iam.Thing {
	r, err := runRequest(in)
	if err != nil {
		return nil
	}
	s.home(tx)
	return s.launchResources(tx, r)
}

func (s *Service) launchResources(tx *cloud.Tx, r LaunchRequest) []iam.Thing {
	var all []iam.Thing
	template := ""
	put := func(t iam.Thing, own bool) {
		if template != "" {
			if t.Keys == nil {
				t.Keys = map[string]string{}
			}
			t.Keys["ec2:launchtemplate"] = template
			t.Keys["ec2:islaunchtemplateresource"] = strconv.FormatBool(!own)
		}
		all = append(all, t)
	}
	named := func(resource string, own bool) {
		t := s.Named(tx, resource)
		t.ARN = tx.Scope.ARN(Name, resource)
		put(t, own)
	}
	p := plan{LaunchRequest: r}
	if err := s.mergeTemplate(tx, &p.LaunchRequest); err == nil && p.TemplateID != "" {
		template = tx.Scope.ARN(Name, "launch-template/"+p.TemplateID)
		named("launch-template/"+p.TemplateID, false)
	}
	p.defaults()
	placed := p.findSubnet(s, tx) == nil
	put(iam.Thing{ARN: tx.Scope.ARN(Name, "instance/*"), Keys: s.launchKeys(tx, &p), Brings: policyTags(p.Tags)}, r.InstanceType != "")
	if id, err := s.resolve(tx, p.ImageID); err == nil && id != "" {
		put(iam.Thing{ARN: "arn:aws:ec2:" + tx.Scope.Region + "::image/" + id, Tags: policyTags(s.Tags(tx, id))}, r.ImageID != "")
	}
	if placed {
		named("subnet/"+p.subnet.ID, r.SubnetID != "")
		if err := p.findGroups(s, tx); err == nil {
			for _, id := range p.groups {
				named("security-group/"+id, len(r.SecurityGroupIDs)+len(r.SecurityGroups) > 0)
			}
		}
	}
	put(iam.Thing{ARN: tx.Scope.ARN(Name, "network-interface/*"), Brings: policyTags(p.InterfaceTags)}, false)
	put(iam.Thing{ARN: tx.Scope.ARN(Name, "volume/*"), Brings: policyTags(p.VolumeTags)}, len(r.BlockDevices) > 0)
	if p.KeyName != "" {
		named("key-pair/"+p.KeyName, r.KeyName != "")
	}
	return all
}

// launchKeys are the condition keys of the instance that a launch makes.
func (s *Service) launchKeys(tx *cloud.Tx, p *plan) map[string]string {
	keys := map[string]string{
		"ec2:instancetype": p.InstanceType, "ec2:tenancy": p.Tenancy, "ec2:availabilityzone": p.subnet.Zone, "ec2:rootdevicetype": "ebs",
		"ec2:metadatahttptokens": p.Metadata.HTTPTokens, "ec2:metadatahttpendpoint": p.Metadata.HTTPEndpoint,
		"ec2:metadatahttpputresponsehoplimit": strconv.Itoa(int(p.Metadata.HopLimit)),
		"ec2:ebsoptimized":                    strconv.FormatBool(p.EbsOptimized != nil && *p.EbsOptimized),
	}
	if profile, ok := s.options.Identities.InstanceProfile(tx, p.IamProfile); ok {
		keys["ec2:instanceprofile"] = profile.ARN
	}
	return keys
}

// mayLaunch checks that the caller may launch from a launch template (AS-LC-12): whoever gives a group one needs the same
// rights as for a launch by hand.
func (s *Service) mayLaunch(tx *cloud.Tx, r LaunchRequest) error {
	if tx.Caller.Above() || s.options.Identities == nil || r.TemplateID == "" {
		return nil
	}
	for _, t := range s.launchResources(tx, r) {
		actions := []string{"ec2:RunInstances"}
		if len(t.Brings) > 0 {
			actions = append(actions, "ec2:CreateTags")
		}
		for _, action := range actions {
			q := iam.Question{Action: action, Resource: t.ARN, Context: func(k string) []string {
				if k == "ec2:createaction" {
					return []string{"RunInstances"}
				}
				return t.Key(k)
			}}
			if err := s.options.Identities.Check(tx, q); err != nil {
				return err
			}
		}
	}
	return nil
}
