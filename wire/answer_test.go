package wire

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/api/catalog"
)

const testKey, testSecret = "AKIDBILLOW", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

// sdkClients makes the SDK's client of every service, with answers taken from endpoint. It takes more than one attempt
// where a test goes through very many calls: now and then the SDK closes a connection under its own feet. The clients do not check that
// required members are given: the tests of answers send empty requests.
func sdkClients(endpoint string, attempts int) map[string]any {
	c := aws.Config{Region: "eu-west-1", BaseEndpoint: &endpoint, RetryMaxAttempts: attempts,
		Credentials: credentials.NewStaticCredentialsProvider(testKey, testSecret, ""),
		APIOptions: []func(*middleware.Stack) error{func(s *middleware.Stack) error {
			s.Initialize.Remove("OperationInputValidation")
			return nil
		}}}
	return map[string]any{"autoscaling": autoscaling.NewFromConfig(c), "cloudwatch": cloudwatch.NewFromConfig(c),
		"ec2": ec2.NewFromConfig(c), "elb": elasticloadbalancing.NewFromConfig(c),
		"elbv2": elasticloadbalancingv2.NewFromConfig(c), "sns": sns.NewFromConfig(c), "ssm": ssm.NewFromConfig(c),
		"sts": sts.NewFromConfig(c), "lambda": lambda.NewFromConfig(c), "logs": cloudwatchlogs.NewFromConfig(c)}
}

// full is a handler that checks the signature and answers every operation with all members set.
type full struct {
	h    *Handler
	t    *testing.T
	sent any // the last answer
}

func newFull(t *testing.T) (*full, string) {
	f := &full{t: t, h: New(Config{Services: catalog.Services, Key: testKeys})}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return f, srv.URL
}

func testKeys(_ context.Context, key string) (Key, bool) {
	return Key{Secret: testSecret, Account: "111122223333"}, key == testKey
}

func (f *full) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := f.h.take()
	x.call.RequestID = "c0ffee00-0000-4000-8000-000000000000"
	sig, wrong := readSignature(r)
	rest := f.h.routeREST(x, r, sig)
	if err := f.h.read(x, r); err != nil {
		f.t.Error(err)
	}
	hash := sha256.Sum256(x.raw)
	if err := x.unpack(r); err != nil {
		f.t.Error(err)
	}
	if !rest {
		if err := f.h.route(x, r, sig); err != nil {
			f.t.Error(err)
			return
		}
	}
	if err := f.h.authenticate(x, r, sig, wrong, hash); err != nil {
		f.t.Error(err)
	}
	op := x.svc.ops[x.call.Operation]
	op.ready()
	out := op.Out()
	populate(op.out, reflect.ValueOf(out).Elem(), "")
	tameHeaders(op.out, reflect.ValueOf(out).Elem())
	f.sent = out
	x.answer(w, op, reflect.ValueOf(out).Elem())
}

// hostile is text that has to be escaped one way or another in every protocol.
const hostile = " <a&b>\"'\\ü\t\n€𝄞"

var someTime = time.Date(2026, 9, 27, 4, 49, 13, 250e6, time.UTC)

// populate sets every member below v. Text says which member it is.
func populate(p *plan, v reflect.Value, name string) {
	v = p.settle(v)
	switch p.kind {
	case api.Structure:
		for i := range p.fields {
			populate(p.fields[i].plan, v.Field(i), p.fields[i].name)
		}
	case api.List:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		populate(p.elem, v.Index(0), name+"0")
		populate(p.elem, v.Index(1), name+"1")
	case api.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"k1", "k2" + hostile} {
			e := reflect.New(v.Type().Elem()).Elem()
			populate(p.elem, e, name+key)
			v.SetMapIndex(reflect.ValueOf(key), e)
		}
	case api.String:
		v.SetString(name + hostile)
	case api.Integer:
		v.SetInt(-int64(len(name)))
	case api.Long:
		v.SetInt(1<<40 + int64(len(name)))
	case api.Double:
		v.SetFloat(float64(len(name)) + 0.125)
	case api.Boolean:
		v.SetBool(true)
	case api.Timestamp:
		v.Set(reflect.ValueOf(someTime))
	case api.Blob:
		v.SetBytes([]byte{0, 1, 0xfe, 0xff})
	}
}

// tameHeaders gives members outside the document values that can be there.
func tameHeaders(p *plan, v reflect.Value) {
	for i := range p.fields {
		switch f := v.Field(i); p.fields[i].location {
		case "header":
			f.Set(reflect.ValueOf(new(p.fields[i].name)))
		case "statusCode":
			f.Set(reflect.ValueOf(new(int32(202))))
		}
	}
}

// notInSDK are members that the SDK's answers do not have.
var notInSDK = map[string]bool{
	"autoscaling TargetTrackingConfiguration.ScaleInCooldown":  true, // Billow's extension
	"autoscaling TargetTrackingConfiguration.ScaleOutCooldown": true,
}

// TestAnswersReachSDK lets the SDK's clients read a full answer of every listed operation, over a real connection with
// real signatures, and compares member by member.
func TestAnswersReachSDK(t *testing.T) {
	f, url := newFull(t)
	for service, client := range sdkClients(url, 3) {
		s := newService(serviceNamed(t, service))
		for name, op := range s.ops {
			op.ready()
			f.sent = nil
			method := reflect.ValueOf(client).MethodByName(name)
			in := reflect.New(method.Type().In(1).Elem())
			for i := range op.in.fields {
				if f := &op.in.fields[i]; f.location == "uri" { // the SDK wants them to make the path of
					in.Elem().FieldByName(op.in.typ.Field(i).Name).Set(reflect.ValueOf(new("of/" + f.name)))
				}
			}
			results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
			if err, _ := results[1].Interface().(error); err != nil {
				t.Errorf("%s %s: %v", service, name, err)
				continue
			}
			c := comparison{t: t, service: service, path: name}
			c.values(op.out, reflect.ValueOf(f.sent).Elem(), results[0].Elem())
		}
	}
}

func serviceNamed(t *testing.T, name string) *api.Service {
	for _, s := range catalog.Services {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no service %s", name)
	return nil
}

// comparison walks a value of ours and the SDK's side by side.
type comparison struct {
	t             *testing.T
	service, path string
}

func (c comparison) at(name string) comparison {
	c.path += "." + name
	return c
}

func (c comparison) values(p *plan, ours, theirs reflect.Value) {
	if theirs.Kind() == reflect.Interface { // a union: the member that is set is the type
		c.union(p, ours, theirs.Elem())
		return
	}
	if theirs.Kind() == reflect.Pointer {
		if theirs.IsNil() {
			c.t.Errorf("%s %s: did not arrive", c.service, c.path)
			return
		}
		theirs = theirs.Elem()
	}
	switch p.kind {
	case api.Structure:
		for i := range p.fields {
			name := p.typ.Field(i).Name
			if notInSDK[c.service+" "+p.shape.Name+"."+name] {
				continue
			}
			f := theirs.FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, name) })
			if !f.IsValid() {
				c.t.Errorf("%s %s: the SDK's %s has no %s", c.service, c.path, theirs.Type(), name)
				continue
			}
			o := ours.Field(i)
			if o.Kind() == reflect.Pointer {
				o = o.Elem()
			}
			c.at(name).values(p.fields[i].plan, o, f)
		}
	case api.List:
		if ours.Len() != theirs.Len() {
			c.t.Errorf("%s %s: %d elements, %d arrived", c.service, c.path, ours.Len(), theirs.Len())
			return
		}
		for i := range ours.Len() {
			c.at("0").values(p.elem, ours.Index(i), theirs.Index(i))
		}
	case api.Map:
		for _, key := range ours.MapKeys() {
			v := theirs.MapIndex(key.Convert(theirs.Type().Key()))
			if !v.IsValid() {
				c.t.Errorf("%s %s: key %q did not arrive", c.service, c.path, key)
				continue
			}
			c.at(key.String()).values(p.elem, ours.MapIndex(key), v)
		}
	default:
		c.scalars(ours, theirs)
	}
}

func (c comparison) union(p *plan, ours, theirs reflect.Value) {
	if !theirs.IsValid() {
		c.t.Errorf("%s %s: did not arrive", c.service, c.path)
		return
	}
	_, member, _ := strings.Cut(theirs.Elem().Type().Name(), "Member")
	i, ok := p.named[member]
	if !ok {
		c.t.Errorf("%s %s: arrived as %s", c.service, c.path, member)
		return
	}
	c.at(member).values(p.fields[i].plan, ours.Field(i).Elem(), theirs.Elem().Field(0))
}

func (c comparison) scalars(ours, theirs reflect.Value) {
	same := false
	switch o := ours.Interface().(type) {
	case time.Time:
		same = theirs.Interface().(time.Time).Equal(o)
	case []byte:
		if theirs.Kind() == reflect.String { // ec2's UserData and the like
			same = theirs.String() == string(o)
		} else {
			same = string(theirs.Bytes()) == string(o)
		}
	case string:
		same = theirs.Kind() == reflect.String && theirs.String() == o
	case float64:
		same = theirs.CanFloat() && theirs.Float() == o
	case bool:
		same = theirs.Kind() == reflect.Bool && theirs.Bool() == o
	default:
		same = theirs.CanInt() && ours.CanInt() && theirs.Int() == ours.Int()
	}
	if !same {
		c.t.Errorf("%s %s: sent %#v, arrived %#v", c.service, c.path, ours.Interface(), theirs.Interface())
	}
}

// TestJSONAnswers checks the JSON answers of the services whose SDK client reads another protocol.
func TestJSONAnswers(t *testing.T) {
	for _, s := range catalog.Services {
		svc := newService(s)
		if !svc.speaks(api.JSON) {
			continue
		}
		for name, op := range svc.ops {
			op.ready()
			out := reflect.ValueOf(op.Out()).Elem()
			populate(op.out, out, "")
			x := &exchange{protocol: api.JSON}
			w := httptest.NewRecorder()
			x.answer(w, op, out)
			var got any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Errorf("%s %s: %v", s.Name, name, err)
				continue
			}
			diffTrees(t, s.Name+" "+name, tree(op.out, out), got)
		}
	}
}
