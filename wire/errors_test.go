package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/api/catalog"
)

// request makes an unsigned request: a form, or a document if target is given ("AmazonSSM.GetParameter").
func request(target, body string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	if target == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	return r
}

func rpc(operation, body string) *http.Request {
	r := httptest.NewRequest("POST", "/service/GraniteServiceVersion20100801/operation/"+operation, strings.NewReader(body))
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	r.Header.Set("Content-Type", "application/cbor")
	return r
}

const (
	as  = "&Version=2011-01-01&Action="
	ec  = "&Version=2016-11-15&Action="
	cw  = "&Version=2010-08-01&Action="
	lb2 = "&Version=2015-12-01&Action="
)

// TestFaults: what does not reach the Backend, and in which words (AS-ER-01, AS-ER-05).
func TestFaults(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		want   string
	}{
		{"no action", request("", "a=b"), 400, "<Code>MissingAction</Code>"},
		{"unknown action", request("", "Action=Foo"+as[:19]), 400, "<Code>InvalidAction</Code><Message>The action Foo is not valid for this web service.</Message>"},
		{"unknown ec2 action", request("", ec+"Foo"), 400, "<Response><Errors><Error><Code>InvalidAction</Code>"},
		{"not implemented", request("", as+"StartInstanceRefresh"), 501,
			"<Code>NotImplemented</Code><Message>The Auto Scaling operation StartInstanceRefresh is not implemented.</Message>"},
		{"not implemented ec2", request("", ec+"CreateVpnGateway"), 501, "<Code>NotImplemented</Code><Message>The EC2 operation CreateVpnGateway"},
		{"not implemented json", request("AmazonSSM.SendCommand", "{}"), 501, `{"__type":"NotImplemented","message":"The SSM operation SendCommand`},
		{"unknown target", request("DynamoDB_20120810.ListTables", "{}"), 501, `"message":"The DynamoDB_20120810 operation ListTables is not implemented."`},
		{"unknown json operation", request("AmazonSSM.Foo", "{}"), 404, `"__type":"UnknownOperationException"`},
		{"unknown cbor operation", rpc("Foo", "\xa0"), 404, "UnknownOperationException"},

		{"null", request("", as+"DeleteAutoScalingGroup"), 400,
			"<Code>ValidationError</Code><Message>1 validation error detected: Value null at &#39;autoScalingGroupName&#39; failed to satisfy constraint: Member must not be null</Message>"},
		{"several", request("", as+"CreateAutoScalingGroup&AutoScalingGroupName="+long), 400,
			"3 validation errors detected: Value &#39;" + long + "&#39; at &#39;autoScalingGroupName&#39; failed to satisfy constraint: Member must have length less than or equal to 255; Value null at &#39;minSize&#39;"},
		{"enum", request("", as+"PutScalingPolicy&AutoScalingGroupName=g&PolicyName=p&TargetTrackingConfiguration.TargetValue=1&TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType=Foo"), 400,
			"Value &#39;Foo&#39; at &#39;targetTrackingConfiguration.predefinedMetricSpecification.predefinedMetricType&#39; failed to satisfy constraint: Member must satisfy enum value set: [ASGAverageCPUUtilization, "},
		{"pattern", request("", as+"DeleteAutoScalingGroup&AutoScalingGroupName=a%01"), 400, "Member must satisfy regular expression pattern: [\\u0020-"},
		{"list element", request("", as+"CreateOrUpdateTags&Tags.member.1.Key=k&Tags.member.2.Key="), 400, "Value &#39;&#39; at &#39;tags.2.member.key&#39; failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"scalar list", request("", as+"DescribeAutoScalingGroups&AutoScalingGroupNames.member.1=a&AutoScalingGroupNames.member.2="), 400,
			"Value &#39;[a, ]&#39; at &#39;autoScalingGroupNames&#39; failed to satisfy constraint: Member must satisfy constraint: [Member must have length greater than or equal to 1]"},
		{"range", request("", lb2+"CreateTargetGroup&Name=t&Port=70000"), 400, "Value &#39;70000&#39; at &#39;port&#39; failed to satisfy constraint: Member must have value less than or equal to 65535"},
		{"wrong type", request("", as+"SetDesiredCapacity&AutoScalingGroupName=g&DesiredCapacity=two"), 400, "<Code>MalformedInput</Code>"},
		{"integer too large", request("", as+"SetDesiredCapacity&AutoScalingGroupName=g&DesiredCapacity=3000000000"), 400, "<Code>MalformedInput</Code>"},
		{"wrong boolean", request("", as+"SetDesiredCapacity&AutoScalingGroupName=g&DesiredCapacity=2&HonorCooldown=yes"), 400, "<Code>MalformedInput</Code>"},
		{"bad escape", request("", as+"DeleteAutoScalingGroup&AutoScalingGroupName=%zz"), 400, "<Code>MalformedQueryString</Code>"},
		{"no utf-8", request("", as+"DeleteAutoScalingGroup&AutoScalingGroupName=%ff"), 400, "<Code>MalformedInput</Code>"},

		{"ec2 missing", request("", ec+"CreateKeyPair"), 400, "<Code>MissingParameter</Code><Message>The request must contain the parameter KeyName</Message>"},
		{"ec2 missing list", request("", ec+"StartInstances"), 400, "The request must contain the parameter InstanceId"},
		{"ec2 range", request("", ec+"DescribeInstanceTypes&MaxResults=3"), 400,
			"<Code>InvalidParameterValue</Code><Message>Value ( 3 ) for parameter maxResults is invalid. Expecting a value greater than 5.</Message>"},
		{"ec2 enum", request("", ec+"RunInstances&MinCount=1&MaxCount=1&Placement.Tenancy=mine"), 400,
			"<Code>InvalidParameterValue</Code><Message>Value (mine) for parameter tenancy is invalid.</Message>"},
		{"ec2 type", request("", ec+"RunInstances&MinCount=one&MaxCount=1"), 400, "<Code>InvalidParameterValue</Code><Message>Value (one) for parameter MinCount is invalid.</Message>"},
		{"ec2 control character", request("", ec+"CreateKeyPair&KeyName=a%00b"), 400, "<Code>InvalidParameterValue</Code>"},
		{"ec2 unknown", request("", ec+"DescribeRegions&Foo=1"), 400, "<Code>UnknownParameter</Code><Message>The parameter Foo is not recognized</Message>"},

		{"cloudwatch missing", request("", cw+"PutMetricData&MetricData.member.1.Value=1"), 400, "<Code>MissingParameter</Code><Message>The parameter Namespace is required.</Message>"},
		{"cloudwatch missing deep", request("", cw+"PutMetricData&Namespace=n&MetricData.member.1.Value=1"), 400, "The parameter MetricData.member.1.MetricName is required."},
		{"cloudwatch json", request("GraniteServiceVersion20100801.ListMetrics", `{"Namespace":5}`), 400, `{"__type":"SerializationException","message":"NUMBER_VALUE cannot be converted to String"}`},
		{"json missing", request("AmazonSSM.GetParameter", "{}"), 400, `"__type":"ValidationException","message":"1 validation error detected: Value null at 'name' failed`},
		{"json list", request("AmazonSSM.GetParameters", `{"Names":"a"}`), 400, `STRING_VALUE cannot be converted to List`},
		{"json object", request("AmazonSSM.GetParameters", `{"Names":{}}`), 400, `Start of structure or map found where not expected.`},
		{"json tail", request("AmazonSSM.GetParameters", `{"Names":["a"]} x`), 400, `"__type":"SerializationException"`},
		{"json cut", request("AmazonSSM.GetParameters", `{"Names":["a"`), 400, `"__type":"SerializationException"`},
		{"json empty", request("AmazonSSM.GetParameters", ``), 400, `"__type":"ValidationException"`},
		{"cbor cut", rpc("ListMetrics", "\xbf\x69Namespace"), 400, "SerializationException"},
		{"cbor type", rpc("ListMetrics", "\xa1\x69Namespace\x05"), 400, "INTEGER_VALUE cannot be converted to String"},
		{"media type", func() *http.Request {
			r := request("", as+"DescribeAutoScalingGroups")
			r.Header.Set("Content-Encoding", "br")
			return r
		}(), 415, "<Code>UnsupportedMediaType</Code>"},
		{"no gzip", func() *http.Request {
			r := request("", as+"DescribeAutoScalingGroups")
			r.Header.Set("Content-Encoding", "gzip")
			return r
		}(), 400, "<Code>MalformedInput</Code>"},
	} {
		b := &recorder{}
		w := serve(newTestHandler(b, false), c.r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || len(b.calls) != 0 {
			t.Errorf("%s: %d %s\nwant %s", c.name, w.Code, w.Body, c.want)
		}
		if w.Header().Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s: no request ID", c.name)
		}
	}
}

// TestErrorShapes gives the SDK's clients an error in each protocol and checks the code, message and status they see.
func TestErrorShapes(t *testing.T) {
	b := &recorder{}
	srv := httptest.NewServer(New(Config{Services: catalog.Services, Backend: b, Key: testKeys}))
	defer srv.Close()
	clients, ctx := sdkClients(srv.URL, 1), context.Background()
	calls := map[string]func() error{
		"query": func() error {
			_, err := clients["autoscaling"].(*autoscaling.Client).DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
			return err
		},
		"ec2": func() error {
			_, err := clients["ec2"].(*ec2.Client).DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
			return err
		},
		"json": func() error {
			_, err := clients["ssm"].(*ssm.Client).GetParameter(ctx, &ssm.GetParameterInput{Name: new("x")})
			return err
		},
		"cbor": func() error {
			_, err := clients["cloudwatch"].(*cloudwatch.Client).ListMetrics(ctx, &cloudwatch.ListMetricsInput{})
			return err
		},
	}
	for protocol, call := range calls {
		b.err = api.Errorf("LimitExceeded", "too many <b> & %s", "ü")
		var e smithy.APIError
		if err := call(); !errors.As(err, &e) || e.ErrorCode() != "LimitExceeded" || e.ErrorMessage() != "too many <b> & ü" {
			t.Errorf("%s: %v", protocol, err)
		}
		// What is no *api.Error is the server's fault, and its text is not for the client.
		b.err = errors.New("secret detail")
		if err := call(); !errors.As(err, &e) || e.ErrorCode() != "InternalFailure" || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", protocol, err)
		}
	}
	// The SDK makes the modelled error of a code, in JSON by the shape's name.
	b.err = api.Errorf("ParameterNotFound", "no")
	var notFound interface{ ErrorCode() string }
	if err := calls["json"](); !errors.As(err, &notFound) || notFound.ErrorCode() != "ParameterNotFound" {
		t.Errorf("json: %v", err)
	}
}

// TestErrorStatus: the model's status counts, where it has one for the code (AS-ER-02); shapes have names of their own.
func TestErrorStatus(t *testing.T) {
	for _, c := range []struct {
		r      *http.Request
		err    error
		status int
		want   string
	}{
		{request("", as+"DescribeAutoScalingGroups"), api.Errorf("ResourceContention", "x"), 500, "<Type>Receiver</Type><Code>ResourceContention<"},
		{request("", as+"DescribeAutoScalingGroups"), api.Errorf("ValidationError", "x"), 400, "<Type>Sender</Type><Code>ValidationError<"},
		{request("", lb2+"DescribeLoadBalancers"), api.Errorf("LoadBalancerNotFound", "x"), 400, "<Code>LoadBalancerNotFound<"},
		{request("", as+"DescribeAutoScalingGroups"), &api.Error{Code: "Odd", Status: 12}, 400, "<Code>Odd<"},
		{request("GraniteServiceVersion20100801.DescribeAlarms", "{}"), api.Errorf("ResourceNotFound", "x"), 404, `"__type":"ResourceNotFound"`},
		{request("GraniteServiceVersion20100801.DescribeAlarms", "{}"), api.Errorf("InvalidParameterValue", "x"), 400, `"__type":"InvalidParameterValueException"`},
		{rpc("DescribeAlarms", "\xa0"), api.Errorf("InvalidParameterValue", "x"), 400, "InvalidParameterValueException"},
	} {
		w := serve(newTestHandler(&recorder{err: c.err}, false), c.r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if c.r.Method == "POST" && strings.Contains(c.want, "InvalidParameterValueException") &&
			w.Header().Get("X-Amzn-Query-Error") != "InvalidParameterValue;Sender" {
			t.Errorf("%v: X-Amzn-Query-Error %q", c.err, w.Header())
		}
	}
}

type panicker struct{}

func (panicker) Call(context.Context, Call) (any, error) { panic("a bug") }

// TestReport: panics, wrong results and plain errors are InternalFailure, and their cause is told to Report.
func TestReport(t *testing.T) {
	for want, b := range map[string]Backend{"a bug": panicker{}, "plain": &recorder{err: errors.New("plain")},
		"answered with int": &recorder{out: 5}} {
		var got string
		h := New(Config{Services: catalog.Services, Backend: b, Report: func(c Call, cause error) { got = cause.Error() }})
		w := serve(h, request("", as+"DescribeAutoScalingGroups"))
		if w.Code != 500 || !strings.Contains(w.Body.String(), "<Code>InternalFailure</Code>") || !strings.Contains(got, want) {
			t.Errorf("%s: %d %s, reported %q", want, w.Code, w.Body, got)
		}
	}
}

// TestListOrder: elements keep the order of their numbers, whatever order and gaps the request has.
func TestListOrder(t *testing.T) {
	for form, want := range map[string]string{
		"AutoScalingGroupNames.member.1=a&AutoScalingGroupNames.member.2=b":                                   "a,b",
		"AutoScalingGroupNames.member.2=b&AutoScalingGroupNames.member.1=a":                                   "a,b",
		"AutoScalingGroupNames.member.1=a&AutoScalingGroupNames.member.10=c&AutoScalingGroupNames.member.2=b": "a,b,c",
		"AutoScalingGroupNames.member.999999999=b&AutoScalingGroupNames.member.7=a":                           "a,b",
		"AutoScalingGroupNames=":                                    "",
		"AutoScalingGroupNames.member.9999999999=b":                 "",
		"AutoScalingGroupNames.member.0=b":                          "",
		"AutoScalingGroupNames.member.-1=b":                         "",
		"AutoScalingGroupNames.member.1.x=b":                        "",
		"AutoScalingGroupNames.1=b&.=&..=&=&AutoScalingGroupNames.": "",
	} {
		b := &recorder{}
		w := serve(newTestHandler(b, false), request("", form+as+"DescribeAutoScalingGroups"))
		if len(b.calls) != 1 {
			if want != "" {
				t.Errorf("%s: %s", form, w.Body)
			}
			continue
		}
		got := strings.Join(b.calls[0].In.(*asapi.DescribeAutoScalingGroupsInput).AutoScalingGroupNames, ",")
		if got != want {
			t.Errorf("%s: %s, want %s", form, got, want)
		}
	}
}

// TestNestedGaps: gaps at two levels, and structures whose members are far apart in the request.
func TestNestedGaps(t *testing.T) {
	b := &recorder{}
	serve(newTestHandler(b, false), request("", "Filters.member.20.Values.member.3=z&Filters.member.3.Name=a&Filters.member.20.Name=b&Filters.member.20.Values.member.1=y&Filters.member.3.Values.member.11=x"+as+"DescribeTags"))
	if len(b.calls) != 1 {
		t.Fatal("no call")
	}
	f := b.calls[0].In.(*asapi.DescribeTagsInput).Filters
	if len(f) != 2 || *f[0].Name != "a" || strings.Join(f[0].Values, ",") != "x" || *f[1].Name != "b" || strings.Join(f[1].Values, ",") != "y,z" {
		t.Errorf("%+v", f)
	}
}

func gz(body string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(body))
	z.Close()
	return b.String()
}

// TestLimits: what is too large or too deep is refused, without using memory for it.
func TestLimits(t *testing.T) {
	tooMany := strings.Repeat("a&", maxPairs+1)
	deep := `{"Foo":` + strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200) + "}"
	deepCBOR := "\xa1\x63Foo" + strings.Repeat("\x81", 1<<20)
	tags := "\xa1\x63Foo" + strings.Repeat("\xc1", 1<<20)
	wide := `{"MetricData":[` + strings.Repeat(`{},`, maxStructures) + `{}]}`
	for name, c := range map[string]struct {
		r      *http.Request
		status int
	}{
		"long":             {request("", strings.Repeat("x", maxBody+1)), 413},
		"long json":        {request("AmazonSSM.GetParameter", strings.Repeat(" ", maxBody+1)), 413},
		"parameters":       {request("", as+"DescribeAutoScalingGroups&"+tooMany), 400},
		"depth":            {request("AmazonSSM.GetParameter", deep), 400},
		"cbor depth":       {rpc("ListMetrics", deepCBOR), 400},
		"cbor tags":        {rpc("ListMetrics", tags), 400},
		"cbor huge length": {rpc("ListMetrics", "\xa1\x69Namespace\x7b\xff\xff\xff\xff\xff\xff\xff\xff"), 400},
		"cbor huge list":   {rpc("ListMetrics", "\xa1\x6aDimensions\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"), 400},
		"structures":       {request("GraniteServiceVersion20100801.PutMetricData", wide), 400},
	} {
		b := &recorder{}
		if w := serve(newTestHandler(b, false), c.r); w.Code != c.status || len(b.calls) != 0 {
			t.Errorf("%s: %d %.200s", name, w.Code, w.Body)
		}
	}
	bomb := request("", gz(strings.Repeat("x", maxBody+1)))
	bomb.Header.Set("Content-Encoding", "gzip")
	if w := serve(newTestHandler(&recorder{}, false), bomb); w.Code != 413 {
		t.Errorf("gzip bomb: %d", w.Code)
	}
	packed := request("", gz(autoscalingForm))
	packed.Header.Set("Content-Encoding", "gzip")
	b := &recorder{}
	if serve(newTestHandler(b, false), packed); len(b.calls) != 1 {
		t.Error("gzip: no call")
	}
}
