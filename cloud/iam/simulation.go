package iam

import (
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/iam"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam/policy"
)

// simulation is what a simulated request is decided by, with a name for each identity policy.
type simulation struct {
	policy.Policies
	names     []string
	principal policy.Principal
	owner     func(key string) []string // keys that are the principal's
	given     map[string][]string       // keys that the call gives, in lower case
}

// SimulateCustomPolicy decides on actions by policies that the call brings.
func (s *Service) SimulateCustomPolicy(tx *cloud.Tx, in *shape.SimulateCustomPolicyInput) (*shape.SimulateCustomPolicyOutput, error) {
	var x simulation
	if err := x.read(in.PolicyInputList, in.PermissionsBoundaryPolicyInputList, in.ResourcePolicy, in.ContextEntries); err != nil {
		return nil, err
	}
	x.principal = named(api.Value(in.CallerArn), tx.Scope.Account)
	out := &shape.SimulateCustomPolicyOutput{}
	out.EvaluationResults, out.Marker, out.IsTruncated = listed(x.results(in.ActionNames, in.ResourceArns), in.Marker, in.MaxItems)
	return out, nil
}

// SimulatePrincipalPolicy decides on actions by the policies of a user, group or role, and those that the call brings.
func (s *Service) SimulatePrincipalPolicy(tx *cloud.Tx, in *shape.SimulatePrincipalPolicyInput) (*shape.SimulatePrincipalPolicyOutput, error) {
	var x simulation
	if err := s.simulated(tx, *in.PolicySourceArn, &x); err != nil {
		return nil, err
	}
	own := x.Boundary
	if err := x.read(in.PolicyInputList, in.PermissionsBoundaryPolicyInputList, in.ResourcePolicy, in.ContextEntries); err != nil {
		return nil, err
	}
	if x.Boundary == nil {
		x.Boundary = own
	}
	if in.CallerArn != nil {
		x.principal = named(*in.CallerArn, tx.Scope.Account)
	}
	out := &shape.SimulatePrincipalPolicyOutput{}
	out.EvaluationResults, out.Marker, out.IsTruncated = listed(x.results(in.ActionNames, in.ResourceArns), in.Marker, in.MaxItems)
	return out, nil
}

func named(arn, account string) policy.Principal {
	return policy.Principal{ARNs: []string{arn}, Account: account}
}

// simulated takes the policies of a user, group or role.
func (s *Service) simulated(tx *cloud.Tx, arn string, x *simulation) error {
	_, resource, _ := strings.Cut(strings.TrimPrefix(arn, "arn:aws:iam::"), ":")
	kind, _, _ := strings.Cut(resource, "/")
	name := baseName(arn)
	var g Grants
	var groups []string
	switch kind {
	case "user":
		u, err := s.user(tx, name)
		if err != nil {
			return err
		}
		g, groups = u.Grants, u.Groups
		x.owner = func(k string) []string {
			return map[string][]string{"aws:username": {u.Name}, "aws:userid": {u.ID}, "aws:principalarn": {u.ARN}, "aws:principaltype": {"User"}}[k]
		}
	case "role":
		r, err := s.role(tx, name)
		if err != nil {
			return err
		}
		g = r.Grants
	case "group":
		group, err := s.group(tx, name)
		if err != nil {
			return err
		}
		g = group.Grants
	default:
		return api.Errorf("InvalidInput", "Invalid Entity Arn: %s does not clearly define entity type and name.", arn)
	}
	x.Policies = s.policiesOf(tx, g, groups)
	x.names = grantNames(nil, g)
	for _, n := range groups {
		if group, ok := s.groups.Get(tx, n); ok {
			x.names = grantNames(x.names, group.Grants)
		}
	}
	x.principal = named(arn, tx.Scope.Account)
	return nil
}

// grantNames are names of documents, in the order in which addGrants adds them.
func grantNames(to []string, g Grants) []string {
	for _, i := range g.Inline {
		to = append(to, i.Name)
	}
	for _, arn := range g.Attached {
		to = append(to, baseName(arn))
	}
	return to
}

// read takes what a call brings.
func (x *simulation) read(documents, boundaries []string, resource *string, context []shape.ContextEntry) error {
	for i, text := range documents {
		d, err := simulatedDocument(text, policy.Identity)
		if err != nil {
			return err
		}
		x.Identity = append(x.Identity, d)
		x.names = append(x.names, "PolicyInputList."+strconv.Itoa(i+1))
	}
	if len(boundaries) > 1 {
		return api.Errorf("InvalidInput", "Only one permissions boundary policy can be given.")
	}
	for _, text := range boundaries {
		d, err := simulatedDocument(text, policy.Identity)
		if err != nil {
			return err
		}
		x.Boundary = d
	}
	if resource != nil {
		d, err := simulatedDocument(*resource, policy.Resource)
		if err != nil {
			return err
		}
		x.Resource = []*policy.Document{d}
	}
	x.given = map[string][]string{}
	for _, c := range context {
		x.given[strings.ToLower(api.Value(c.ContextKeyName))] = c.ContextKeyValues
	}
	return nil
}

func simulatedDocument(text string, kind policy.Kind) (*policy.Document, error) {
	d, err := policy.Parse(text, kind)
	if err != nil {
		return nil, api.Errorf("InvalidInput", "%s", err.Error())
	}
	return d, nil
}

func (x *simulation) context(k string) []string {
	if v, ok := x.given[k]; ok {
		return v
	}
	if x.owner != nil {
		return x.owner(k)
	}
	return nil
}

// results decides on every action for every resource, which is "*" if none is named.
func (x *simulation) results(actions, resources []string) []shape.EvaluationResult {
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var missing []string
	for _, d := range x.Identity {
		for _, k := range d.Keys() {
			if x.context(k) == nil && !slices.Contains(missing, k) {
				missing = append(missing, k)
			}
		}
	}
	all := []shape.EvaluationResult{}
	for _, action := range actions {
		for _, resource := range resources {
			d := x.Decide(&policy.Request{Action: action, Resource: resource, Principal: x.principal, Context: x.context})
			r := shape.EvaluationResult{EvalActionName: new(action), EvalResourceName: new(resource), MissingContextValues: missing, MatchedStatements: []shape.Statement{}}
			switch d.Verdict {
			case policy.Allowed:
				r.EvalDecision = new("allowed")
			case policy.Denied:
				r.EvalDecision = new("explicitDeny")
			default:
				r.EvalDecision = new("implicitDeny")
			}
			if d.Why == policy.ByIdentity && d.Policy >= 0 {
				r.MatchedStatements = append(r.MatchedStatements, shape.Statement{SourcePolicyId: new(x.names[d.Policy]), SourcePolicyType: new("IAM Policy")})
			}
			if x.Boundary != nil {
				verdict, _ := x.Boundary.Evaluate(&policy.Request{Action: action, Resource: resource, Principal: x.principal, Context: x.context})
				r.PermissionsBoundaryDecisionDetail = &shape.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: new(verdict == policy.Allowed)}
			}
			all = append(all, r)
		}
	}
	return all
}

// GetAccountSummary counts what an account has, beside its quotas.
func (s *Service) GetAccountSummary(tx *cloud.Tx, _ *shape.GetAccountSummaryInput) (*shape.GetAccountSummaryOutput, error) {
	versions := 0
	for _, p := range s.policies.All(tx) {
		versions += len(p.Versions)
	}
	return &shape.GetAccountSummaryOutput{SummaryMap: map[string]int32{
		"Users": int32(count(s.users.All(tx), userQuota)), "UsersQuota": userQuota, "Groups": int32(count(s.groups.All(tx), groupQuota)), "GroupsQuota": groupQuota,
		"Roles": int32(count(s.roles.All(tx), roleQuota)), "RolesQuota": roleQuota, "InstanceProfiles": int32(count(s.profiles.All(tx), profileQuota)),
		"InstanceProfilesQuota": profileQuota, "Policies": int32(count(s.policies.All(tx), policyQuota)), "PoliciesQuota": policyQuota,
		"PolicySizeQuota": managedSize, "PolicyVersionsInUse": int32(versions), "PolicyVersionsInUseQuota": 10000, "VersionsPerPolicyQuota": versionQuota,
		"GroupsPerUserQuota": membershipQuota, "AccessKeysPerUserQuota": keyQuota, "AttachedPoliciesPerUserQuota": attachedQuota,
		"AttachedPoliciesPerGroupQuota": attachedQuota, "AttachedPoliciesPerRoleQuota": attachedQuota, "UserPolicySizeQuota": userInlineSize,
		"GroupPolicySizeQuota": groupInlineSize, "RolePolicySizeQuota": roleInlineSize, "AssumeRolePolicySizeQuota": trustSize,
		"AccountAccessKeysPresent": 1, "AccountMFAEnabled": 0, "MFADevices": 0, "MFADevicesInUse": 0, "Providers": 0, "ServerCertificates": 0, "ServerCertificatesQuota": 20,
	}}, nil
}
