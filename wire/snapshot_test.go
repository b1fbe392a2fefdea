package wire

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/api/catalog"
)

// sdkModules are the aws-sdk-go-v2 modules of the services.
var sdkModules = map[string]string{"autoscaling": "autoscaling", "cloudwatch": "cloudwatch", "ec2": "ec2",
	"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancingv2", "events": "eventbridge", "iam": "iam", "lambda": "lambda",
	"logs": "cloudwatchlogs", "sns": "sns", "sqs": "sqs", "ssm": "ssm", "sts": "sts"}

// newer are members, by the pattern of their names in a request, that the SDK has and the models do not have yet: what
// has landed in the SDK since. A pattern that fits nothing any more fails the test.
var newer = map[string][]string{
	"autoscaling/CreateAutoScalingGroup":              {`MixedInstancesPolicy\.InstancesDistribution\.DistributionSegments\..*`, `Operator\.Principal`},
	"autoscaling/UpdateAutoScalingGroup":              {`MixedInstancesPolicy\.InstancesDistribution\.DistributionSegments\..*`},
	"autoscaling/TerminateInstanceInAutoScalingGroup": {`AutoScalingGroupName`, `InstanceIds\..*`},
	"cloudwatch/PutCompositeAlarm":                    {`ActionConfiguration`},
	"cloudwatch/PutMetricAlarm":                       {`ActionConfiguration`, `EvaluationWindow`, `WarmUpConfiguration`},
	"ec2/CreateImage":                                 {`BootModeOverride`},
	"ec2/DescribeVolumesModifications":                {`IncludeManagedResources`},
	"ec2/ModifyInstanceAttribute":                     {`EnclaveOptions\.Enabled`},
	"iam/SimulateCustomPolicy":                        {`OrderedOrganizationPolicyInputList\..*`},
	"iam/SimulatePrincipalPolicy":                     {`PolicyExclusionList\..*`},
	"lambda/CreateEventSourceMapping":                 {`SelfManagedKafkaEventSourceConfig\.ConsumptionMode`},
	"lambda/UpdateEventSourceMapping":                 {`SelfManagedKafkaEventSourceConfig\.ConsumptionMode`},
	"lambda/CreateFunction":                           {`FileSystemConfigs\.\d\.S3FilesConfig`, `Code\.S3ObjectStorageMode`, `DurableConfig\.KMSKeyArn`},
	"lambda/UpdateFunctionCode":                       {`S3ObjectStorageMode`},
	"lambda/UpdateFunctionConfiguration":              {`FileSystemConfigs\.\d\.S3FilesConfig`, `DurableConfig\.KMSKeyArn`},
	"logs/FilterLogEvents":                            {`startFromHead`},
	"elbv2/CreateRule":                                {`Conditions\.member\.\d\.SourceIpConfig\.IpAddressType`},
	"elbv2/ModifyRule":                                {`Conditions\.member\.\d\.SourceIpConfig\.IpAddressType`},
	"sts/AssumeRole":                                  {`MinimumSessionTokenSize`},
	"sts/GetSessionToken":                             {`MinimumSessionTokenSize`},
}

// withoutNewer takes those members off what the SDK sent.
func withoutNewer[V any](t *testing.T, op *operation, sent map[string]V) {
	for _, pattern := range newer[op.svc.Name+"/"+op.Name] {
		re, used := regexp.MustCompile("^(?:"+pattern+")$"), false
		for name := range sent {
			if re.MatchString(name) {
				delete(sent, name)
				used = true
			}
		}
		if !used {
			t.Errorf("newer: %s fits nothing that the SDK sends", pattern)
		}
	}
}

// TestRequestSnapshots decodes the SDK's own serialisation of every listed operation, with every member set, writes what
// arrived once more with an encoder that only this test has, and wants the same: a member that is dropped or misnamed is
// missing then. Text leaves say which member they are of ("__Key__"), so a mix-up shows too.
func TestRequestSnapshots(t *testing.T) {
	for _, s := range catalog.Services {
		module := sdkModules[s.Name]
		if module == "" {
			t.Errorf("%s: name its SDK module in sdkModules", s.Name)
			continue
		}
		dir := moduleDir(t, "github.com/aws/aws-sdk-go-v2/service/"+module)
		svc := newService(s)
		for name, op := range svc.ops {
			t.Run(s.Name+"/"+name, func(t *testing.T) {
				data, err := os.ReadFile(filepath.Join(dir, "request_snapshot", name+".request.snap"))
				if err != nil {
					t.Fatal(err)
				}
				op.ready()
				checkSnapshot(t, op, string(data))
			})
		}
	}
}

func moduleDir(t *testing.T, module string) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		t.Fatalf("go list -m %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

// checkSnapshot handles one snapshot file: request line, headers and body, with an empty line between each.
func checkSnapshot(t *testing.T, op *operation, text string) {
	parts := strings.SplitN(text, "\n\n", 3)
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	line, headers, body := parts[0], parts[1], parts[2]
	method, path, _ := strings.Cut(strings.TrimSpace(line), " ")
	var params url.Values
	if strings.Contains(headers, "x-www-form-urlencoded") {
		var err error
		if params, err = url.ParseQuery(body); err != nil {
			t.Fatal(err)
		}
		withoutNewer(t, op, params)
		body = params.Encode()
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for h := range strings.SplitSeq(headers, "\n") {
		if name, value, ok := strings.Cut(h, ":"); ok {
			r.Header.Set(name, strings.TrimSpace(value))
		}
	}
	h := New(Config{Services: []*api.Service{op.svc.Service}})
	x := h.take()
	rest := h.routeREST(x, r, nil)
	if err := h.read(x, r); err != nil {
		t.Fatal(err)
	}
	if err := x.unpack(r); err != nil {
		t.Fatal(err)
	}
	if !rest {
		if err := h.route(x, r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if x.svc.Service != op.svc.Service || x.call.Operation != op.Name {
		t.Fatalf("routed to %v %s", x.svc, x.call.Operation)
	}
	in := op.In()
	if err := x.decode(op, r, in); err != nil {
		t.Fatal(err)
	}
	checkLeaves(t, op.in, reflect.ValueOf(in).Elem(), "")
	switch x.protocol {
	case api.JSON:
		var want map[string]any
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatal(err)
		}
		withoutNewer(t, op, want)
		diffTrees(t, "", want, tree(op.in, reflect.ValueOf(in).Elem()))
	case api.RestJSON:
		want := map[string]any{}
		if payload := restParts(op, r, want); payload != "" {
			want[payload] = base64.StdEncoding.EncodeToString([]byte(body))
		} else if body != "" {
			if err := json.Unmarshal([]byte(body), &want); err != nil {
				t.Fatal(err)
			}
			restParts(op, r, want)
		}
		withoutNewerDeep(t, op, want)
		diffTrees(t, "", want, tree(op.in, reflect.ValueOf(in).Elem()))
	case api.CBOR:
		v, err := cbor.Decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		want := fromCBOR(v).(map[string]any)
		withoutNewer(t, op, want)
		diffTrees(t, "", want, tree(op.in, reflect.ValueOf(in).Elem()))
	default:
		got := url.Values{"Action": {op.Name}, "Version": {op.svc.Version}}
		flatten(got, op.svc, op.in, reflect.ValueOf(in).Elem(), "")
		diffParams(t, params, got)
	}
}

// restParts puts what the SDK has written into path, query and headers into want, and names the member that is the body.
func restParts(op *operation, r *http.Request, want map[string]any) (payload string) {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	path, _, _ := strings.Cut(op.Path, "?")
	for i := range op.in.shape.Members {
		m := &op.in.shape.Members[i]
		var given []string
		switch m.Location {
		case "uri":
			given = segments[slices.Index(strings.Split(strings.Trim(path, "/"), "/"), "{"+m.Name+"}"):][:1]
		case "querystring":
			given = r.URL.Query()[m.Name]
		case "header":
			given = r.Header.Values(m.Name)
		case "payload":
			payload = m.Name
		}
		if len(given) == 0 {
			continue
		}
		want[m.Name] = given[0]
		if kind := op.in.fields[i].plan.kind; kind == api.List {
			all := []any{}
			for _, g := range given {
				all = append(all, g)
			}
			want[m.Name] = all
		} else if kind == api.Integer {
			n, _ := strconv.Atoi(given[0])
			want[m.Name] = float64(n)
		}
	}
	return payload
}

// withoutNewerDeep is withoutNewer for documents: patterns fit paths such as "Code.ZipFile" or "Layers.0.Arn".
func withoutNewerDeep(t *testing.T, op *operation, sent map[string]any) {
	for _, pattern := range newer[op.svc.Name+"/"+op.Name] {
		re, used := regexp.MustCompile("^(?:"+pattern+")$"), false
		var walk func(path string, v any)
		walk = func(path string, v any) {
			switch v := v.(type) {
			case map[string]any:
				for k, e := range v {
					if re.MatchString(strings.TrimPrefix(path+"."+k, ".")) {
						delete(v, k)
						used = true
						continue
					}
					walk(path+"."+k, e)
				}
			case []any:
				for i, e := range v {
					walk(path+"."+strconv.Itoa(i), e)
				}
			}
		}
		walk("", sent)
		if !used {
			t.Errorf("newer: %s fits nothing that the SDK sends", pattern)
		}
	}
}

// checkLeaves wants every "__Name__" in a member of that name.
func checkLeaves(t *testing.T, p *plan, v reflect.Value, name string) {
	switch p.kind {
	case api.Structure:
		for i := range p.fields {
			f := v.Field(i)
			if f.IsNil() {
				continue
			}
			if f.Kind() == reflect.Pointer {
				f = f.Elem()
			}
			checkLeaves(t, p.fields[i].plan, f, p.typ.Field(i).Name)
		}
	case api.List:
		for i := range v.Len() {
			checkLeaves(t, p.elem, v.Index(i), "Member")
		}
	case api.Map:
		for _, key := range v.MapKeys() {
			checkLeaves(t, p.elem, v.MapIndex(key), "Value")
		}
	case api.String:
		if s := v.String(); strings.HasPrefix(s, "__") && !strings.EqualFold(s, "__"+name+"__") {
			t.Errorf("%q arrived in %s", s, name)
		}
	}
}

// flatten is the query protocols' encoder, written from their specification for this test.
func flatten(out url.Values, svc *service, p *plan, v reflect.Value, path string) {
	join := func(parts ...string) string {
		return strings.TrimPrefix(strings.Join(append([]string{path}, parts...), "."), ".")
	}
	switch p.kind {
	case api.Structure:
		for i := range p.fields {
			f := v.Field(i)
			if f.IsNil() {
				continue
			}
			if f.Kind() == reflect.Pointer {
				f = f.Elem()
			}
			m := &p.shape.Members[i]
			flatten(out, svc, p.fields[i].plan, f, join(cmp.Or(m.Query, m.Name)))
		}
	case api.List:
		for i := range v.Len() {
			number := strconv.Itoa(i + 1)
			if svc.Protocols[0] == api.EC2 {
				flatten(out, svc, p.elem, v.Index(i), join(number))
			} else {
				flatten(out, svc, p.elem, v.Index(i), join(cmp.Or(p.shape.ElemName, "member"), number))
			}
		}
	case api.Map:
		for i, key := range sortedKeys(v) {
			number := strconv.Itoa(i + 1)
			out.Set(join("entry", number, cmp.Or(p.shape.KeyName, "key")), key.String())
			flatten(out, svc, p.elem, v.MapIndex(key), join("entry", number, cmp.Or(p.shape.ElemName, "value")))
		}
	case api.Timestamp:
		out.Set(path, v.Interface().(time.Time).Format("2006-01-02T15:04:05.999Z07:00"))
	case api.Blob:
		out.Set(path, base64.StdEncoding.EncodeToString(v.Bytes()))
	default:
		out.Set(path, fmt.Sprint(v.Interface()))
	}
}

func diffParams(t *testing.T, want, got url.Values) {
	for _, name := range keys(want) {
		if g := got.Get(name); g != want.Get(name) {
			t.Errorf("%s: sent %q, arrived %q", name, want.Get(name), g)
		}
	}
	for _, name := range keys(got) {
		if !want.Has(name) {
			t.Errorf("%s: not sent, arrived as %q", name, got.Get(name))
		}
	}
}

func keys(m url.Values) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// tree makes of a value what encoding/json makes of its document.
func tree(p *plan, v reflect.Value) any {
	switch p.kind {
	case api.Structure:
		m := map[string]any{}
		for i := range p.fields {
			f := v.Field(i)
			if f.IsNil() {
				continue
			}
			if f.Kind() == reflect.Pointer {
				f = f.Elem()
			}
			m[p.shape.Members[i].Name] = tree(p.fields[i].plan, f)
		}
		return m
	case api.List:
		l := []any{}
		for i := range v.Len() {
			l = append(l, tree(p.elem, v.Index(i)))
		}
		return l
	case api.Map:
		m := map[string]any{}
		for _, key := range v.MapKeys() {
			m[key.String()] = tree(p.elem, v.MapIndex(key))
		}
		return m
	case api.Integer, api.Long:
		return float64(v.Int())
	case api.Timestamp:
		return float64(v.Interface().(time.Time).UnixMilli()) / 1000
	case api.Blob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	return v.Interface()
}

// fromCBOR makes the same of a CBOR document, read by the SDK's own library.
func fromCBOR(v cbor.Value) any {
	switch v := v.(type) {
	case cbor.Map:
		m := map[string]any{}
		for k, e := range v {
			m[k] = fromCBOR(e)
		}
		return m
	case cbor.List:
		l := []any{}
		for _, e := range v {
			l = append(l, fromCBOR(e))
		}
		return l
	case cbor.String:
		return string(v)
	case cbor.Slice:
		return base64.StdEncoding.EncodeToString(v)
	case cbor.Bool:
		return bool(v)
	case cbor.Uint:
		return float64(v)
	case cbor.NegInt:
		return -float64(v)
	case cbor.Float64:
		return float64(v)
	case cbor.Float32:
		return float64(v)
	case *cbor.Tag:
		return fromCBOR(v.Value)
	}
	return fmt.Sprintf("%T", v)
}

func diffTrees(t *testing.T, path string, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s: sent %v, arrived %v", path, want, got)
			return
		}
		for k := range w {
			diffTrees(t, path+"."+k, w[k], g[k])
		}
		for k := range g {
			if _, ok := w[k]; !ok {
				t.Errorf("%s.%s: not sent, arrived as %v", path, k, g[k])
			}
		}
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			t.Errorf("%s: sent %d, arrived %d", path, len(w), len(g))
			return
		}
		for i := range w {
			diffTrees(t, path+"."+strconv.Itoa(i), w[i], g[i])
		}
	case float64:
		if g, ok := got.(float64); !ok || math.Abs(g-w) > 1e-9 {
			t.Errorf("%s: sent %v, arrived %v", path, want, got)
		}
	default:
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s: sent %v, arrived %v", path, want, got)
		}
	}
}
