package wire

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/billow-cloud/billow/api"
	asapi "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/api/catalog"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
)

// TestAnswerText pins the text of small answers, where a client's parser is not the judge.
// source: answers of the services as botocore's and the CLI's debug logs show them, white space aside.
func TestAnswerText(t *testing.T) {
	const id = "11111111-2222-4333-8444-555555555555"
	for _, c := range []struct {
		service, operation string
		out                any
		want               string
	}{
		{"autoscaling", "SetDesiredCapacity", nil, `<SetDesiredCapacityResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">` +
			`<ResponseMetadata><RequestId>` + id + `</RequestId></ResponseMetadata></SetDesiredCapacityResponse>`},
		{"autoscaling", "DescribeAutoScalingGroups", &asapi.DescribeAutoScalingGroupsOutput{}, `<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">` +
			`<DescribeAutoScalingGroupsResult><AutoScalingGroups/></DescribeAutoScalingGroupsResult>` +
			`<ResponseMetadata><RequestId>` + id + `</RequestId></ResponseMetadata></DescribeAutoScalingGroupsResponse>`},
		{"autoscaling", "DescribePolicies", &asapi.DescribePoliciesOutput{ScalingPolicies: []asapi.ScalingPolicy{{
			PolicyName: new("a&b"), Alarms: []asapi.Alarm{}, Enabled: new(true),
			TargetTrackingConfiguration: &asapi.TargetTrackingConfiguration{TargetValue: new(50.0)}}}},
			`<DescribePoliciesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribePoliciesResult><ScalingPolicies><member>` +
				`<PolicyName>a&amp;b</PolicyName><Alarms/><TargetTrackingConfiguration><TargetValue>50.0</TargetValue></TargetTrackingConfiguration>` +
				`<Enabled>true</Enabled></member></ScalingPolicies></DescribePoliciesResult>` +
				`<ResponseMetadata><RequestId>` + id + `</RequestId></ResponseMetadata></DescribePoliciesResponse>`},
		{"ec2", "RebootInstances", nil, xmlHead + `<RebootInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15"><requestId>` + id +
			`</requestId><return>true</return></RebootInstancesResponse>`},
		{"ec2", "StopInstances", &ec2api.StopInstancesOutput{StoppingInstances: []ec2api.InstanceStateChange{{
			InstanceId: new("i-1"), CurrentState: &ec2api.InstanceState{Code: new(int32(64)), Name: new("stopping")}}}},
			xmlHead + `<StopInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15"><requestId>` + id + `</requestId><instancesSet><item>` +
				`<instanceId>i-1</instanceId><currentState><code>64</code><name>stopping</name></currentState></item></instancesSet></StopInstancesResponse>`},
		{"ec2", "DescribeInstanceAttribute", &ec2api.DescribeInstanceAttributeOutput{InstanceId: new("i-1")},
			xmlHead + `<DescribeInstanceAttributeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15"><requestId>` + id +
				`</requestId><instanceId>i-1</instanceId></DescribeInstanceAttributeResponse>`},
	} {
		op := newService(serviceNamed(t, c.service)).ops[c.operation]
		op.ready()
		v := reflect.Value{}
		if c.out != nil {
			v = reflect.ValueOf(c.out).Elem()
		}
		if got := string(appendXMLAnswer(nil, op, v, id)); !sameElements(t, got, c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.operation, got, c.want)
		}
	}
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// sameElements compares two texts up to the order of siblings, which no client looks at.
func sameElements(t *testing.T, a, b string) bool {
	return strings.Join(leaves(t, a), "\n") == strings.Join(leaves(t, b), "\n") || a == b
}

func leaves(t *testing.T, text string) []string {
	var path, out []string
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
			out = append(out, strings.Join(path, "/"))
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			out = append(out, strings.Join(path, "/")+"="+string(token))
		}
	}
	sortStrings(out)
	return out
}

func sortStrings(s []string) {
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
}

// TestThreeProtocols asks CloudWatch the same in query, JSON and CBOR: the call is the same, and so is the answer.
func TestThreeProtocols(t *testing.T) {
	out := &cwapi.GetMetricStatisticsOutput{Label: new("CPU"), Datapoints: []cwapi.Datapoint{
		{Timestamp: new(someTime), Average: new(12.5), Maximum: new(1e300), SampleCount: new(3.0)}}}
	form := cw[1:] + "GetMetricStatistics&Namespace=AWS/EC2&MetricName=CPUUtilization&StartTime=2026-09-27T04:00:00Z&EndTime=2026-09-27T05:00:00.250Z&Period=60&Statistics.member.1=Average"
	document := `{"Namespace":"AWS\/EC2","MetricName":"CPUUtiliz\u0061tion","StartTime":1.7904816E9,"EndTime":1790485200.25,"Period":60,"Statistics":["Average"],"Dimensions":null,"Later":{"a":[1,-2.5e3,null,true,"\ud834\udd1e"]}}`
	body := cbor.Encode(cbor.Map{"Namespace": cbor.String("AWS/EC2"), "MetricName": cbor.String("CPUUtilization"), "Period": cbor.Uint(60),
		"StartTime": &cbor.Tag{ID: 1, Value: cbor.Uint(1790481600)}, "EndTime": &cbor.Tag{ID: 1, Value: cbor.Float64(1790485200.25)},
		"Statistics": cbor.List{cbor.String("Average")}, "Later": cbor.Map{"a": cbor.List{cbor.NegInt(5), &cbor.Nil{}, &cbor.Tag{ID: 9, Value: cbor.Slice("x")}}}})
	b := &recorder{out: out}
	h := newTestHandler(b, false)
	query := serve(h, request("", form))
	plain := serve(h, request("GraniteServiceVersion20100801.GetMetricStatistics", document))
	binary := serve(h, rpc("GetMetricStatistics", string(body)))
	if len(b.calls) != 3 {
		t.Fatalf("%d calls: %s %s %s", len(b.calls), query.Body, plain.Body, binary.Body)
	}
	for _, c := range b.calls[1:] {
		if !reflect.DeepEqual(c.In, b.calls[0].In) {
			t.Errorf("%+v differs from %+v", c.In, b.calls[0].In)
		}
	}
	op := h.services[1].ops["GetMetricStatistics"]
	want := tree(op.out, reflect.ValueOf(out).Elem())
	var fromPlain any
	if err := json.Unmarshal(plain.Body.Bytes(), &fromPlain); err != nil {
		t.Fatal(err)
	}
	diffTrees(t, "json", want, fromPlain)
	v, err := cbor.Decode(binary.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	diffTrees(t, "cbor", want, fromCBOR(v))
	if text := query.Body.String(); !strings.Contains(text, "<Timestamp>2026-09-27T04:49:13.250Z</Timestamp>") ||
		!strings.Contains(text, "<Average>12.5</Average>") || !strings.Contains(text, "<Maximum>1.0E300</Maximum>") {
		t.Error(text)
	}
	for _, w := range []*httptest.ResponseRecorder{query, plain, binary} {
		t.Log(w.Header().Get("Content-Type"))
	}
	if binary.Header().Get("Smithy-Protocol") != "rpc-v2-cbor" || binary.Header().Get("Content-Type") != "application/cbor" ||
		plain.Header().Get("Content-Type") != "application/x-amz-json-1.0" {
		t.Error("content types")
	}
}

// TestExtension: the members that Billow adds by a correction arrive.
func TestExtension(t *testing.T) {
	b := &recorder{}
	w := serve(newTestHandler(b, false), request("", as+"PutScalingPolicy&AutoScalingGroupName=g&PolicyName=p&TargetTrackingConfiguration.TargetValue=50"+
		"&TargetTrackingConfiguration.ScaleInCooldown=30&TargetTrackingConfiguration.ScaleOutCooldown=5"))
	if len(b.calls) != 1 {
		t.Fatal(w.Body)
	}
	c := b.calls[0].In.(*asapi.PutScalingPolicyInput).TargetTrackingConfiguration
	if api.Value(c.ScaleInCooldown) != 30 || api.Value(c.ScaleOutCooldown) != 5 || api.Value(c.TargetValue) != 50 {
		t.Errorf("%+v", c)
	}
}

// TestRouting: every way in which a request says whom it is for.
func TestRouting(t *testing.T) {
	scoped := func(scope, form string) []string { return []string{scope, "", form} }
	hosted := func(host, form string) []string { return []string{"", host, form} }
	for want, c := range map[string][]string{
		"elb DescribeLoadBalancers":           scoped("elasticloadbalancing", "Action=DescribeLoadBalancers&Version=2012-06-01"),
		"elbv2 DescribeLoadBalancers":         scoped("elasticloadbalancing", "Action=DescribeLoadBalancers&Version=2015-12-01"),
		"elbv2 DescribeTargetGroups":          scoped("elasticloadbalancing", "Action=DescribeTargetGroups"),
		"cloudwatch ListMetrics":              scoped("monitoring", "Action=ListMetrics&Version=2010-08-01"),
		"ec2 DescribeRegions":                 scoped("ec2", "Action=DescribeRegions&Version=2014-10-01"),
		"autoscaling DescribePolicies":        hosted("autoscaling.eu-west-1.localhost:4566", "Action=DescribePolicies"),
		"sns ListTopics":                      hosted("localhost:4566", "Action=ListTopics&Version=2010-03-31"),
		"autoscaling DescribeTags":            hosted("localhost:4566", "Action=DescribeTags&Version=2011-01-01"),
		"sts GetCallerIdentity":               {"sts", "", "?Action=GetCallerIdentity&Version=2011-06-15"},
		"autoscaling DescribeAdjustmentTypes": {"", "", "?Version=2011-01-01&Action=DescribeAdjustmentTypes"},
	} {
		scope, host, form := c[0], c[1], c[2]
		r := request("", form)
		if strings.HasPrefix(form, "?") {
			r = httptest.NewRequest("GET", "/"+form, nil)
		}
		if host != "" {
			r.Host = host
		}
		if scope != "" {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260927/eu-west-1/"+scope+"/aws4_request, SignedHeaders=host, Signature=00")
		}
		b := &recorder{}
		w := serve(newTestHandler(b, false), r)
		if len(b.calls) != 1 || b.calls[0].Service+" "+b.calls[0].Operation != want {
			t.Errorf("%s: %+v %s", want, b.calls, w.Body)
		}
	}
}

func TestScalars(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 50: "50.0", 0.1: "0.1", -2.5: "-2.5", 1e7: "1.0E7", 1.5e10: "1.5E10", 1e-4: "1.0E-4",
		9999999: "9999999.0", math.Inf(1): "Infinity", math.Inf(-1): "-Infinity"} {
		if got := string(appendXMLFloat(nil, f)); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
	for text, want := range map[string]string{"2026-09-27T04:49:13Z": "2026-09-27T04:49:13.000Z", "2026-09-27T06:49:13.25+02:00": "2026-09-27T04:49:13.250Z",
		"2026-09-27T04:49:13": "2026-09-27T04:49:13.000Z", "1790484553": "2026-09-27T04:49:13.000Z", "2026-09-27": "2026-09-27T00:00:00.000Z",
		"yesterday": "", "": "", "1e300": "", "NaN": "", "2026-13-01": ""} {
		at, ok := parseTime(text)
		if got := string(appendISO(nil, at)); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %s %v", text, got, ok)
		}
	}
	for text, want := range map[string]bool{"1": true, "-1.5e3": true, "NaN": true, "": false, "0x10": false, "1_0": false, "inf": false, "1e999": false} {
		if _, ok := parseFloat(text); ok != want {
			t.Errorf("%q: %v", text, ok)
		}
	}
	if got := string(appendXMLText(nil, "a\x00\x1f\r\xffb\uffff")); got != "a\ufffd\ufffd&#xD;\ufffdb\ufffd" {
		t.Errorf("%q", got)
	}
	for half, want := range map[uint16]float64{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: math.Ldexp(1, -24), 0x7c00: math.Inf(1), 0x3555: 0.333251953125} {
		if got := float16(half); got != want {
			t.Errorf("%x: %v, want %v", half, got, want)
		}
	}
	if at, _ := epoch(1790484553.25); !at.Equal(time.Date(2026, 9, 27, 4, 49, 13, 250e6, time.UTC)) {
		t.Error(at)
	}
}

// FuzzHandler: no body, in whatever protocol, panics or gets past the model; what does get through is answered.
func FuzzHandler(f *testing.F) {
	f.Add(byte(0), []byte(as+"CreateOrUpdateTags&Tags.member.1.Key=k&Tags.member.3.Key=%41&Tags.member.2.Value=+"))
	f.Add(byte(0), []byte(ec+"RunInstances&MinCount=1&MaxCount=1&TagSpecification.1.Tag.10.Key=a&TagSpecification.1.Tag.2.Key=b"))
	f.Add(byte(0), []byte("&Version=2010-03-31&Action=Publish&Message=m&MessageAttributes.entry.2.Name=n&MessageAttributes.entry.2.Value.StringValue=v"))
	f.Add(byte(1), []byte(`{"Namespace":"n","MetricData":[{"MetricName":"m","Values":[1,2.5e-3,"NaN"],"Timestamp":1e9,"Dimensions":[{"Name":"\ud834\udd1e","Value":"x"}]}]}`))
	f.Add(byte(2), []byte("\xbf\x69Namespace\x61n\x6aMetricData\x9f\xa2\x6aMetricName\x7f\x61a\x61b\xff\x65Value\xf9\x3c\x00\xff\xff"))
	f.Add(byte(3), []byte("POST /2015-03-31/functions/f/invocations?Qualifier=1\n\x00\xff"))
	f.Add(byte(3), []byte("POST /2015-03-31/functions\n{\"FunctionName\":\"f\",\"Code\":{\"ZipFile\":\"UEs=\"},\"Role\":\"arn:aws:iam::123456789012:role/r\",\"Environment\":{\"Variables\":{\"a\":\"b\"}}}"))
	f.Add(byte(3), []byte("DELETE /2017-03-31/tags/arn%3Aaws%3Alambda?tagKeys=a&tagKeys=%zz\n"))
	f.Add(byte(3), []byte("GET /2015-03-31/functions/%2f/versions/?MaxItems=x\n"))
	h := New(Config{Services: catalog.Services, Backend: &discard{}, Report: func(c Call, cause error) { panic(cause) }})
	f.Fuzz(func(t *testing.T, protocol byte, body []byte) {
		r := request("", string(body))
		switch protocol % 4 {
		case 1:
			r = request("GraniteServiceVersion20100801.PutMetricData", string(body))
		case 2:
			r = rpc("PutMetricData", string(body))
		case 3:
			line, rest, _ := bytes.Cut(body, []byte{'\n'})
			method, target, _ := strings.Cut(string(line), " ")
			u, err := url.ParseRequestURI(target)
			if err != nil {
				return
			}
			r = httptest.NewRequest("POST", "/", bytes.NewReader(rest))
			r.Method, r.URL = method, u
			r.Header.Set("X-Amz-Invocation-Type", "Event")
		}
		if w := serve(h, r); w.Code == 500 || w.Code == 200 && w.Body.Len() == 0 && protocol%4 != 3 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
