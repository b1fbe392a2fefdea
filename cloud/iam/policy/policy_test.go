package policy

import (
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
)

func document(t testing.TB, text string, kind Kind) *Document {
	t.Helper()
	d, err := Parse(text, kind)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func keys(m map[string][]string) func(string) []string {
	return func(k string) []string { return m[k] }
}

func TestStatementsApply(t *testing.T) {
	const instance = "arn:aws:ec2:us-east-1:123456789012:instance/i-1"
	for _, c := range []struct {
		statement, action, resource string
		context                     map[string][]string
		want                        Verdict
	}{
		{`"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"`, "ec2:DescribeInstances", "*", nil, Allowed},
		{`"Effect":"Allow","Action":"ec2:describeinstances","Resource":"*"`, "ec2:DescribeInstances", "*", nil, Allowed},
		{`"Effect":"Allow","Action":"ec2:Describe?","Resource":"*"`, "ec2:DescribeInstances", "*", nil, Silent},
		{`"Effect":"Allow","Action":["ec2:Run*","ec2:Start*"],"Resource":"arn:aws:ec2:*:*:instance/*"`, "ec2:StartInstances", instance, nil, Allowed},
		{`"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:volume/*"`, "ec2:StartInstances", instance, nil, Silent},
		{`"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:us-east-1:123456789012:instance/I-1"`, "ec2:StartInstances", instance, nil, Silent},
		{`"Effect":"Deny","Action":"*","Resource":"*"`, "ec2:StartInstances", instance, nil, Denied},
		{`"Effect":"Allow","NotAction":"iam:*","Resource":"*"`, "ec2:StartInstances", instance, nil, Allowed},
		{`"Effect":"Allow","NotAction":"iam:*","Resource":"*"`, "iam:GetUser", "*", nil, Silent},
		{`"Effect":"Allow","Action":"ec2:*","NotResource":"arn:aws:ec2:*:*:instance/*"`, "ec2:StartInstances", instance, nil, Silent},
		{`"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::1:user/${aws:username}"`, "iam:GetUser", "arn:aws:iam::1:user/alice", map[string][]string{"aws:username": {"alice"}}, Allowed},
		{`"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::1:user/${aws:username}"`, "iam:GetUser", "arn:aws:iam::1:user/bob", map[string][]string{"aws:username": {"*"}}, Silent},
		{`"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::1:user/${aws:username}"`, "iam:GetUser", "arn:aws:iam::1:user/bob", map[string][]string{"aws:username": {"\xfe"}}, Silent},
		{`"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::1:user/${aws:username}"`, "iam:GetUser", "arn:aws:iam::1:user/", nil, Silent},
		{`"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::1:user/${aws:PrincipalTag/n, 'bob'}"`, "iam:GetUser", "arn:aws:iam::1:user/bob", nil, Allowed},
		{`"Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs:a:1:q${*}"`, "sqs:SendMessage", "arn:aws:sqs:a:1:qx", nil, Silent},
		{`"Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs:a:1:q${*}"`, "sqs:SendMessage", "arn:aws:sqs:a:1:q*", nil, Allowed},
	} {
		d := document(t, `{"Version":"2012-10-17","Statement":{`+c.statement+`}}`, Identity)
		if got, _ := d.Evaluate(&Request{Action: c.action, Resource: c.resource, Context: keys(c.context)}); got != c.want {
			t.Errorf("%s of %s %s: %v, want %v", c.statement, c.action, c.resource, got, c.want)
		}
	}
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		condition string
		context   map[string][]string
		want      bool
	}{
		{`"StringEquals":{"ec2:ResourceTag/env":"dev"}`, map[string][]string{"ec2:resourcetag/env": {"dev"}}, true},
		{`"StringEquals":{"ec2:ResourceTag/env":["dev","test"]}`, map[string][]string{"ec2:resourcetag/env": {"test"}}, true},
		{`"StringEquals":{"ec2:ResourceTag/env":"dev"}`, nil, false},
		{`"StringEquals":{"ec2:ResourceTag/env":"d*"}`, map[string][]string{"ec2:resourcetag/env": {"dev"}}, false},
		{`"StringLike":{"ec2:ResourceTag/env":"d*"}`, map[string][]string{"ec2:resourcetag/env": {"dev"}}, true},
		{`"StringNotEquals":{"aws:RequestedRegion":["eu-west-1","us-east-1"]}`, map[string][]string{"aws:requestedregion": {"us-east-1"}}, false},
		{`"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}`, nil, true},
		{`"StringEqualsIgnoreCase":{"a:b":"DEV"}`, map[string][]string{"a:b": {"dev"}}, true},
		{`"StringEqualsIfExists":{"ec2:InstanceType":"t3.micro"}`, nil, true},
		{`"StringEqualsIfExists":{"ec2:InstanceType":"t3.micro"}`, map[string][]string{"ec2:instancetype": {"m5.large"}}, false},
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}`, map[string][]string{"aws:tagkeys": {"a", "b"}}, true},
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}`, map[string][]string{"aws:tagkeys": {"a", "c"}}, false},
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}`, nil, true},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}`, map[string][]string{"aws:tagkeys": {"c", "a"}}, true},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}`, nil, false},
		{`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a"]}`, map[string][]string{"aws:tagkeys": {"a", "z"}}, true},
		{`"Null":{"aws:TokenIssueTime":"true"}`, nil, true},
		{`"Null":{"aws:TokenIssueTime":"false"}`, nil, false},
		{`"Null":{"aws:TokenIssueTime":false}`, map[string][]string{"aws:tokenissuetime": {"x"}}, true},
		{`"Bool":{"aws:SecureTransport":"false"}`, map[string][]string{"aws:securetransport": {"false"}}, true},
		{`"Bool":{"aws:MultiFactorAuthPresent":true}`, nil, false},
		{`"NumericLessThanEquals":{"autoscaling:MaxSize":"10"}`, map[string][]string{"autoscaling:maxsize": {"10"}}, true},
		{`"NumericLessThanEquals":{"autoscaling:MaxSize":10}`, map[string][]string{"autoscaling:maxsize": {"11"}}, false},
		{`"NumericNotEquals":{"a:b":"x"}`, map[string][]string{"a:b": {"11"}}, true},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, map[string][]string{"aws:currenttime": {"2026-11-21T00:00:00Z"}}, true},
		{`"DateLessThan":{"aws:EpochTime":"2026-01-01"}`, map[string][]string{"aws:epochtime": {"1700000000"}}, true},
		{`"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.1"]}`, map[string][]string{"aws:sourceip": {"10.1.2.3"}}, true},
		{`"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`, map[string][]string{"aws:sourceip": {"11.1.2.3"}}, false},
		{`"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}`, map[string][]string{"aws:sourceip": {"11.1.2.3"}}, true},
		{`"ArnLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/*"}`, map[string][]string{"aws:sourcearn": {"arn:aws:events:us-east-1:1:rule/x"}}, true},
		{`"ArnLike":{"aws:SourceArn":"arn:aws:*:rule/*"}`, map[string][]string{"aws:sourcearn": {"arn:aws:events:us-east-1:1:rule/x"}}, false},
		{`"ArnNotEquals":{"aws:SourceArn":"arn:aws:events:*:*:rule/*"}`, map[string][]string{"aws:sourcearn": {"arn:aws:events:us-east-1:1:rule/x"}}, false},
		{`"StringEquals":{"a:b":"${aws:username}"}`, map[string][]string{"a:b": {"al"}, "aws:username": {"al"}}, true},
		{`"StringEquals":{"a:b":"x"},"Bool":{"a:c":"true"}`, map[string][]string{"a:b": {"x"}}, false},
	} {
		d := document(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+c.condition+`}}}`, Identity)
		got, _ := d.Evaluate(&Request{Action: "a:b", Resource: "*", Context: keys(c.context)})
		if (got == Allowed) != c.want {
			t.Errorf("%s with %v: %v", c.condition, c.context, got)
		}
	}
}

func TestWrongDocuments(t *testing.T) {
	const good = `"Effect":"Allow","Action":"ec2:*","Resource":"*"`
	for _, c := range []struct {
		text string
		kind Kind
		want string
	}{
		{"", Identity, "Syntax errors in policy."},
		{"{", Identity, "Syntax errors in policy."},
		{"[]", Identity, "Syntax errors in policy."},
		{strings.Repeat("[", 100000), Identity, "Syntax errors in policy."},
		{`{"Version":"2012-10-17","Statement":[]}`, Identity, "Syntax errors in policy."},
		{`{"Version":"2012-10-17","Statement":[{` + good + `}]} x`, Identity, "Syntax errors in policy."},
		{`{"Version":"2012-10-17","Version":"2012-10-17","Statement":[{` + good + `}]}`, Identity, "Syntax errors in policy."},
		{`{"Version":"2013-10-17","Statement":[{` + good + `}]}`, Identity, "The policy must contain a valid version string."},
		{`{"Statement":[{` + good + `,"Extra":1}]}`, Identity, "Syntax errors in policy."},
		{`{"Statement":[{"Effect":"Allow","Resource":"*"}]}`, Identity, "Policy statement must contain actions."},
		{`{"Statement":[{"Effect":"Allow","Action":"ec2:*"}]}`, Identity, "Policy statement must contain resources."},
		{`{"Statement":[{"Effect":"allow","Action":"ec2:*","Resource":"*"}]}`, Identity, "Invalid effect: allow"},
		{`{"Statement":[{"Effect":"Allow","Action":"RunInstances","Resource":"*"}]}`, Identity, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{`{"Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"i-1"}]}`, Identity, `Resource i-1 must be in ARN format or "*".`},
		{`{"Statement":[{` + good + `,"Principal":"*"}]}`, Identity, "Policy document should not specify a principal."},
		{`{"Statement":[{` + good + `,"Sid":"a"},{` + good + `,"Sid":"a"}]}`, Identity, "Statement IDs (SID) in a single policy must be unique."},
		{`{"Statement":[{` + good + `,"Condition":{"StringEqual":{"a:b":"c"}}}]}`, Identity, "Invalid Condition type : StringEqual."},
		{`x`, Trust, "This policy contains invalid Json"},
		{`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}`, Trust, "Missing required field Principal"},
		{`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"}]}`, Trust, "Has prohibited field Resource"},
		{`{"Statement":[{"Effect":"Allow","Action":"ec2:X","Principal":"*"}]}`, Trust, "AssumeRole policy may only specify STS AssumeRole actions."},
		{`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"nobody"}}]}`, Trust, `Invalid principal in policy: "AWS":"nobody"`},
	} {
		_, err := Parse(c.text, c.kind)
		if err == nil || err.Error() != c.want {
			t.Errorf("%.80s: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestPrincipals(t *testing.T) {
	alice := Principal{ARNs: []string{"arn:aws:iam::111111111111:user/alice"}, Account: "111111111111"}
	ec2 := Principal{Service: "ec2.amazonaws.com"}
	for _, c := range []struct {
		principal string
		who       Principal
		want      bool
	}{
		{`"*"`, alice, true}, {`{"AWS":"*"}`, alice, true}, {`{"AWS":"111111111111"}`, alice, true}, {`{"AWS":"arn:aws:iam::111111111111:root"}`, alice, true},
		{`{"AWS":["arn:aws:iam::111111111111:user/bob"]}`, alice, false}, {`{"AWS":["arn:aws:iam::111111111111:user/alice"]}`, alice, true},
		{`{"AWS":"222222222222"}`, alice, false}, {`{"Service":"ec2.amazonaws.com"}`, ec2, true}, {`{"Service":"ec2.amazonaws.com"}`, alice, false},
		{`{"Service":["lambda.amazonaws.com","ec2.amazonaws.com"]}`, ec2, true}, {`{"AWS":"111111111111"}`, ec2, false},
	} {
		d := document(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":`+c.principal+`}}`, Trust)
		if v, _ := d.Evaluate(&Request{Action: "sts:AssumeRole", Principal: c.who}); (v == Allowed) != c.want {
			t.Errorf("%s for %+v: %v", c.principal, c.who, v)
		}
	}
}

// plainStatement is a statement of the twin: what is in it, as lists.
type plainStatement struct {
	deny, notAction, notResource bool
	actions, resources           []string
	region                       string // aws:RequestedRegion must equal it, if there is one
	principal                    string // of a resource's statement
}

func (p plainStatement) text() string {
	quote := func(list []string) string { return `["` + strings.Join(list, `","`) + `"]` }
	effect, action, resource, condition := "Allow", "Action", "Resource", ""
	if p.deny {
		effect = "Deny"
	}
	if p.notAction {
		action = "NotAction"
	}
	if p.notResource {
		resource = "NotResource"
	}
	if p.region != "" {
		condition = `,"Condition":{"StringEquals":{"aws:RequestedRegion":"` + p.region + `"}}`
	}
	return `{"Effect":"` + effect + `","` + action + `":` + quote(p.actions) + `,"` + resource + `":` + quote(p.resources) + condition + `}`
}

// applies is the obvious way: patterns without slashes, so that path.Match means the same.
func (p plainStatement) applies(action, resource, region string) bool {
	like := func(list []string, s string) bool {
		return slices.ContainsFunc(list, func(pattern string) bool {
			ok, _ := path.Match(strings.ReplaceAll(pattern, "/", "|"), strings.ReplaceAll(s, "/", "|"))
			return ok
		})
	}
	return like(p.actions, action) != p.notAction && like(p.resources, resource) != p.notResource && (p.region == "" || p.region == region)
}

type plainPolicies struct {
	identity, resource, boundary, session [][]plainStatement
	bounded, limited                      bool
}

// decide is EC-IA-02 as it is written.
func (p plainPolicies) decide(action, resource, region string, who Principal) Verdict {
	said := func(documents [][]plainStatement, deny bool, principals ...string) bool {
		for _, d := range documents {
			for _, s := range d {
				if s.deny == deny && s.applies(action, resource, region) && (s.principal == "" || slices.Contains(principals, s.principal)) {
					return true
				}
			}
		}
		return false
	}
	itself, role, account := who.ARNs[0], who.ARNs[len(who.ARNs)-1], "arn:aws:iam::"+who.Account+":root"
	for _, list := range [][][]plainStatement{p.identity, p.resource, p.boundary, p.session} {
		if said(list, true, itself, role, account, "*") {
			return Denied
		}
	}
	within := (!p.bounded || said(p.boundary, false)) && (!p.limited || said(p.session, false))
	foreign := strings.Contains(resource, "222222222222")
	switch {
	case foreign && within && said(p.identity, false) && said(p.resource, false, itself, role, account, "*"),
		!foreign && said(p.resource, false, itself),
		!foreign && within && (said(p.identity, false) || said(p.resource, false, role, "*")):
		return Allowed
	}
	return Silent
}

// TestDecisionsAgainstTheObviousWay holds decisions (EC-IA-02) to an implementation that is plain to read.
func TestDecisionsAgainstTheObviousWay(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	alice := Principal{ARNs: []string{"arn:aws:iam::111111111111:user/alice"}, Account: "111111111111"}
	web := Principal{ARNs: []string{"arn:aws:sts::111111111111:assumed-role/web/s", "AROA:s", "AROA", "arn:aws:iam::111111111111:role/web"}, Account: "111111111111"}
	statement := func() plainStatement {
		p := plainStatement{deny: r.IntN(4) == 0, notAction: r.IntN(6) == 0, notResource: r.IntN(6) == 0}
		for range 1 + r.IntN(2) {
			p.actions = append(p.actions, pick("ec2:Run*", "ec2:*", "iam:Get*", "ec2:RunInstances", "iam:?etUser", "sqs:SendMessage"))
			p.resources = append(p.resources, pick("*", "arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:us-east-1:111111111111:*", "arn:aws:iam::111111111111:user/al?ce", "arn:aws:ec2:us-east-1:*:instance/i-1"))
		}
		if r.IntN(4) == 0 {
			p.region = pick("us-east-1", "eu-west-1")
		}
		return p
	}
	documents := func(n int, kind Kind) (plain [][]plainStatement, parsed []*Document) {
		for range n {
			var d []plainStatement
			var texts []string
			for range 1 + r.IntN(3) {
				s := statement()
				text := s.text()
				if kind == Resource {
					s.principal = pick("*", alice.ARNs[0], web.ARNs[0], web.ARNs[3], "arn:aws:iam::111111111111:root", "arn:aws:iam::222222222222:root")
					text = strings.Replace(text, "{", `{"Principal":{"AWS":"`+s.principal+`"},`, 1)
				}
				d = append(d, s)
				texts = append(texts, text)
			}
			plain = append(plain, d)
			parsed = append(parsed, document(t, `{"Version":"2012-10-17","Statement":[`+strings.Join(texts, ",")+`]}`, kind))
		}
		return plain, parsed
	}
	seen := map[Verdict]int{}
	for range 4000 {
		var twin plainPolicies
		var p Policies
		twin.identity, p.Identity = documents(r.IntN(3), Identity)
		twin.resource, p.Resource = documents(r.IntN(2), Resource)
		if twin.bounded = r.IntN(3) == 0; twin.bounded {
			var d []*Document
			twin.boundary, d = documents(1, Identity)
			p.Boundary = d[0]
		}
		if twin.limited = r.IntN(3) == 0; twin.limited {
			twin.session, p.Session = documents(r.IntN(3), Identity)
			if p.Session == nil {
				p.Session = []*Document{}
			}
		}
		action, region := pick("ec2:RunInstances", "ec2:StopInstances", "iam:GetUser", "sqs:SendMessage"), pick("us-east-1", "eu-west-1")
		resource := pick("*", "arn:aws:ec2:us-east-1:111111111111:instance/i-1", "arn:aws:ec2:us-east-1:222222222222:instance/i-1", "arn:aws:iam::111111111111:user/alice")
		who := alice
		if r.IntN(2) == 0 {
			who = web
		}
		got := p.Decide(&Request{Action: action, Resource: resource, Principal: who, Context: keys(map[string][]string{"aws:requestedregion": {region}})})
		if want := twin.decide(action, resource, region, who); got.Verdict != want {
			t.Fatalf("%s on %s in %s: %+v, want %v\n%+v", action, resource, region, got, want, twin)
		}
		seen[got.Verdict]++
	}
	for _, v := range []Verdict{Silent, Allowed, Denied} {
		if seen[v] < 100 {
			t.Errorf("the verdict %v came %d times only", v, seen[v])
		}
	}
}

// FuzzParse: whatever a document is, parsing and evaluating it ends, without a panic.
func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:instance/${aws:username}","Condition":{"StringLike":{"a:b":["x*","${c:d, 'e'}"]}}}]}`)
	f.Add(`{"Statement":{"Effect":"Deny","NotAction":["*"],"NotResource":[],"Principal":{"AWS":["*"]}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []Kind{Identity, Trust, Resource} {
			if d, err := Parse(text, kind); err == nil {
				d.Keys()
				d.Evaluate(&Request{Action: "ec2:X", Resource: "arn:aws:ec2:us-east-1:1:instance/i", Context: func(string) []string { return []string{"*", text} }})
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	p := Policies{Identity: []*Document{document(b, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","autoscaling:Describe*"],"Resource":"*"},{"Effect":"Allow","Action":"ec2:AssociateAddress","Resource":"arn:aws:ec2:*:*:elastic-ip/*"}]}`, Identity)}}
	r := &Request{Action: "ec2:AssociateAddress", Resource: "arn:aws:ec2:us-east-1:123456789012:elastic-ip/eipalloc-0123456789abcdef0"}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Decide(r).Allowed() {
			b.Fatal("refused")
		}
	}
}
