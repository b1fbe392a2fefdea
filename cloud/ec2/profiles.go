package ec2

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// An instance has at most one instance profile, and with it a role whose credentials its metadata service gives out
// (EC-IA-01, EC-MD-05). The association is part of the instance's row.

// credentialsLife is how long credentials of an instance are good.
const credentialsLife = 6 * time.Hour

// PrincipalService is EC2 as roles trust it.
const PrincipalService = "ec2.amazonaws.com"

// instanceProfile finds the profile that a call names, and checks that the caller may pass its role. Without IAM below,
// and where any image ID is taken, a name that nobody knows is taken too: such a profile has no role.
func (s *Service) instanceProfile(tx *cloud.Tx, nameOrARN string) (iam.InstanceProfile, error) {
	byARN := strings.HasPrefix(nameOrARN, "arn:")
	if s.options.Identities != nil {
		p, ok := s.options.Identities.InstanceProfile(tx, nameOrARN)
		switch {
		case ok && p.RoleARN != "":
			return p, s.options.Identities.MayPass(tx, p.RoleARN, PrincipalService)
		case ok:
			return p, nil
		case !s.options.AnyImage && byARN:
			return p, api.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", nameOrARN)
		case !s.options.AnyImage:
			return p, api.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", nameOrARN)
		}
	}
	p := iam.InstanceProfile{Name: nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:], ARN: nameOrARN}
	if !byARN {
		p.ARN = "arn:aws:iam::" + tx.Scope.Account + ":instance-profile/" + nameOrARN
	}
	sum := sha256.Sum256([]byte(p.ARN))
	p.ID = "AIPA" + strings.ToUpper(hex.EncodeToString(sum[:8]))
	return p, nil
}

func (p *plan) findProfile(s *Service, tx *cloud.Tx) error {
	if p.IamProfile == "" {
		return nil
	}
	found, err := s.instanceProfile(tx, p.IamProfile)
	p.IamProfile, p.profileID = found.ARN, found.ID
	return err
}

// profileRole is the role of an instance's profile; not ok if it has none.
func (s *Service) profileRole(tx *cloud.Tx, i Instance) (r iam.Role, ok bool) {
	if i.IamProfile == "" || s.options.Identities == nil {
		return r, false
	}
	p, ok := s.options.Identities.InstanceProfile(tx, i.IamProfile)
	if !ok || p.ID != i.IamProfileID || p.RoleARN == "" {
		return r, false
	}
	return s.options.Identities.Role(tx, p.RoleARN)
}

func (s *Service) profileOperations() []cloud.Operation {
	return []cloud.Operation{
		handle(s, "AssociateIamInstanceProfile", s.AssociateIamInstanceProfile),
		handle(s, "DescribeIamInstanceProfileAssociations", s.DescribeIamInstanceProfileAssociations),
		handle(s, "DisassociateIamInstanceProfile", s.DisassociateIamInstanceProfile),
		handle(s, "ReplaceIamInstanceProfileAssociation", s.ReplaceIamInstanceProfileAssociation),
		cloud.Handle("instance-credentials", s.credentials),
	}
}

func (i Instance) association() shape.IamInstanceProfileAssociation {
	return shape.IamInstanceProfileAssociation{
		AssociationId: &i.ProfileAssociation, InstanceId: &i.ID, State: new("associated"),
		IamInstanceProfile: &shape.IamInstanceProfile{Arn: &i.IamProfile, Id: &i.IamProfileID},
	}
}

func (s *Service) setProfile(tx *cloud.Tx, i Instance, named *shape.IamInstanceProfileSpecification) (Instance, error) {
	name := ""
	if named != nil {
		name = cmp.Or(api.Value(named.Arn), api.Value(named.Name))
	}
	if name == "" {
		return i, api.Errorf("MissingParameter", "The request must contain the parameter IamInstanceProfile")
	}
	p, err := s.instanceProfile(tx, name)
	if err != nil {
		return i, err
	}
	i.IamProfile, i.IamProfileID, i.ProfileAssociation = p.ARN, p.ID, tx.ID("iip-assoc-")
	s.instances.Put(tx, i.ID, i)
	return i, nil
}

// AssociateIamInstanceProfile gives an instance a profile, if it has none.
func (s *Service) AssociateIamInstanceProfile(tx *cloud.Tx, in *shape.AssociateIamInstanceProfileInput) (*shape.AssociateIamInstanceProfileOutput, error) {
	i, ok := s.instances.Get(tx, api.Value(in.InstanceId))
	switch {
	case !ok:
		return nil, api.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", api.Value(in.InstanceId))
	case i.State == Terminated || i.State == ShuttingDown:
		return nil, api.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'running' or 'stopped' states.", i.ID)
	case i.IamProfile != "":
		return nil, api.Errorf("IncorrectState", "There is an existing association for instance %s", i.ID)
	}
	i, err := s.setProfile(tx, i, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	out := i.association()
	out.State = new("associating")
	return &shape.AssociateIamInstanceProfileOutput{IamInstanceProfileAssociation: &out}, nil
}

// profiled finds the instance of an association.
func (s *Service) profiled(tx *cloud.Tx, id string) (Instance, error) {
	for _, i := range s.parts.Each(tx, id) {
		if i.ProfileAssociation == id && id != "" {
			return i, nil
		}
	}
	return Instance{}, api.Errorf("NoSuchAssociation", "An invalid association-id of '%s' was given", id)
}

// ReplaceIamInstanceProfileAssociation gives an instance another profile.
func (s *Service) ReplaceIamInstanceProfileAssociation(tx *cloud.Tx, in *shape.ReplaceIamInstanceProfileAssociationInput) (*shape.ReplaceIamInstanceProfileAssociationOutput, error) {
	i, err := s.profiled(tx, api.Value(in.AssociationId))
	if err == nil {
		i, err = s.setProfile(tx, i, in.IamInstanceProfile)
	}
	if err != nil {
		return nil, err
	}
	out := i.association()
	out.State = new("associating")
	return &shape.ReplaceIamInstanceProfileAssociationOutput{IamInstanceProfileAssociation: &out}, nil
}

// DisassociateIamInstanceProfile takes an instance's profile away; credentials that it has had stay good until they end.
func (s *Service) DisassociateIamInstanceProfile(tx *cloud.Tx, in *shape.DisassociateIamInstanceProfileInput) (*shape.DisassociateIamInstanceProfileOutput, error) {
	i, err := s.profiled(tx, api.Value(in.AssociationId))
	if err != nil {
		return nil, err
	}
	out := i.association()
	out.State = new("disassociating")
	i.IamProfile, i.IamProfileID, i.ProfileAssociation = "", "", ""
	s.instances.Put(tx, i.ID, i)
	return &shape.DisassociateIamInstanceProfileOutput{IamInstanceProfileAssociation: &out}, nil
}

// DescribeIamInstanceProfileAssociations lists which instances have which profile.
func (s *Service) DescribeIamInstanceProfileAssociations(tx *cloud.Tx, in *shape.DescribeIamInstanceProfileAssociationsInput) (*shape.DescribeIamInstanceProfileAssociationsOutput, error) {
	known := fields[Instance]{
		"instance-id": func(_ *cloud.Tx, i Instance) []string { return one(i.ID) },
		"state":       func(_ *cloud.Tx, i Instance) []string { return one("associated") },
	}
	match, err := matcher(s, known, func(i Instance) string { return i.ID }, in.Filters)
	if err != nil {
		return nil, err
	}
	var all []Instance
	if len(in.AssociationIds) > 0 {
		for _, id := range in.AssociationIds {
			i, err := s.profiled(tx, id)
			if err != nil {
				return nil, err
			}
			all = append(all, i)
		}
	} else {
		for _, i := range s.instances.All(tx) {
			all = append(all, i)
		}
	}
	all = slices.DeleteFunc(all, func(i Instance) bool {
		return i.ProfileAssociation == "" || i.State == Terminated || !match(tx, i)
	})
	rows, next := pageOf(all, func(i Instance) string { return i.ID }, in.MaxResults, in.NextToken)
	out := &shape.DescribeIamInstanceProfileAssociationsOutput{NextToken: next, IamInstanceProfileAssociations: []shape.IamInstanceProfileAssociation{}}
	for _, i := range rows {
		out.IamInstanceProfileAssociations = append(out.IamInstanceProfileAssociations, i.association())
	}
	return out, nil
}

// CredentialsInput asks for the credentials of an instance, found by its private address, for the role that it names.
type CredentialsInput struct{ PrivateIP, Role string }

// CredentialsOutput are they, or why there are none.
type CredentialsOutput struct {
	iam.Credentials
	Code    string // "Success", "AssumeRoleUnauthorizedAccess"
	Message string // if Code is not Success
}

// credentials answers CredentialsInput: an internal operation, "instance-credentials". They are made when they are asked
// for, and new ones well before the old ones end (EC-MD-05).
func (s *Service) credentials(tx *cloud.Tx, in *CredentialsInput) (out *CredentialsOutput, err error) {
	scope, i, ok := s.parts.Find(in.PrivateIP)
	if !ok || i.PrivateIP != in.PrivateIP {
		return nil, api.Errorf("InvalidInstanceID.NotFound", "No instance has the address '%s'", in.PrivateIP)
	}
	tx.In(scope, func() {
		r, has := s.profileRole(tx, i)
		switch {
		case !has || r.Name != in.Role:
			err = api.Errorf("NoSuchEntity", "The instance %s has no role '%s'.", i.ID, in.Role)
		case !s.options.Identities.Trusts(tx, r, PrincipalService):
			out = &CredentialsOutput{
				Code:    "AssumeRoleUnauthorizedAccess",
				Message: "EC2 cannot assume the role " + r.Name + ". Please see documentation at https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting_iam-ec2.html#troubleshooting_iam-ec2_errors-info-doc.",
			}
		default:
			out = &CredentialsOutput{Code: "Success"}
			out.Credentials, err = s.options.Identities.Session(tx, r.ARN, i.ID, credentialsLife)
		}
	})
	return out, err
}
