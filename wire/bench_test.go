package wire

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	asapi "github.com/billow-cloud/billow/api/autoscaling"
	"github.com/billow-cloud/billow/api/catalog"
	cwapi "github.com/billow-cloud/billow/api/cloudwatch"
	ec2api "github.com/billow-cloud/billow/api/ec2"
)

// discard is a Backend that answers everything with out and keeps nothing.
type discard struct{ out any }

func (d *discard) Call(context.Context, Call) (any, error) { return d.out, nil }

func regions() *ec2api.DescribeRegionsOutput {
	out := &ec2api.DescribeRegionsOutput{}
	for i := range 17 {
		name := fmt.Sprintf("region-%d", i)
		out.Regions = append(out.Regions, ec2api.Region{RegionName: &name, Endpoint: new("ec2." + name + ".amazonaws.com"), OptInStatus: new("opt-in-not-required")})
	}
	return out
}

// groups is what DescribeAutoScalingGroups answers for 20 groups of 20 instances.
func groups() *asapi.DescribeAutoScalingGroupsOutput {
	out := &asapi.DescribeAutoScalingGroupsOutput{}
	for i := range 20 {
		name := fmt.Sprintf("group-%d", i)
		g := asapi.AutoScalingGroup{AutoScalingGroupName: &name, AutoScalingGroupARN: new("arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:x:autoScalingGroupName/" + name),
			MinSize: new(int32(1)), MaxSize: new(int32(40)), DesiredCapacity: new(int32(20)), DefaultCooldown: new(int32(300)),
			AvailabilityZones: []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"}, HealthCheckType: new("EC2"), HealthCheckGracePeriod: new(int32(0)),
			CreatedTime: new(time.Now()), VPCZoneIdentifier: new("subnet-1,subnet-2,subnet-3"), TerminationPolicies: []string{"Default"},
			LoadBalancerNames: []string{}, TargetGroupARNs: []string{}, SuspendedProcesses: []asapi.SuspendedProcess{}, EnabledMetrics: []asapi.EnabledMetric{},
			NewInstancesProtectedFromScaleIn: new(false), Tags: []asapi.TagDescription{{Key: new("Name"), Value: &name, ResourceId: &name, ResourceType: new("auto-scaling-group"), PropagateAtLaunch: new(true)}}}
		for k := range 20 {
			g.Instances = append(g.Instances, asapi.Instance{InstanceId: new(fmt.Sprintf("i-%017x", i*20+k)), InstanceType: new("t3.micro"), AvailabilityZone: new("eu-west-1a"),
				LifecycleState: new("InService"), HealthStatus: new("Healthy"), ProtectedFromScaleIn: new(false),
				LaunchTemplate: &asapi.LaunchTemplateSpecification{LaunchTemplateId: new("lt-1"), LaunchTemplateName: new("template"), Version: new("1")}})
		}
		out.AutoScalingGroups = append(out.AutoScalingGroups, g)
	}
	return out
}

// benchServer measures whole requests over keep-alive connections to loopback, signatures checked. Client and server
// share the process: what it prints is above what the server uses.
func benchServer(b *testing.B, out any, service, form string) {
	h := New(Config{Services: catalog.Services, Backend: &discard{out}, Key: testKeys, Now: func() time.Time { return testNow }})
	srv := httptest.NewServer(h)
	defer srv.Close()
	signed := signedRequestB(b, srv.URL, form, service)
	client := &http.Client{}
	b.ReportAllocs()
	for b.Loop() {
		r := signed.Clone(context.Background())
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(form)), int64(len(form))
		answer, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 200 {
			b.Fatal(answer.Status)
		}
	}
}

// benchHandler measures the handler alone, without the connection.
func benchHandler(b *testing.B, out any, service, form string) {
	h := New(Config{Services: catalog.Services, Backend: &discard{out}, Key: testKeys, Now: func() time.Time { return testNow }})
	client := signedRequestB(b, "http://localhost:4566", form, service)
	r := httptest.NewRequest("POST", "/", nil)
	r.Header, r.Host, r.ContentLength = client.Header, "localhost:4566", int64(len(form))
	body := strings.NewReader(form)
	r.Body = io.NopCloser(body)
	w := &nowhere{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(form)
		h.ServeHTTP(w, r)
		if w.status != 200 {
			b.Fatal(w.status)
		}
	}
}

// nowhere is a ResponseWriter that keeps nothing.
type nowhere struct {
	header http.Header
	status int
}

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(status int)      { n.status = status }

func BenchmarkDescribeRegions(b *testing.B) {
	const form = "Action=DescribeRegions&Version=2016-11-15"
	b.Run("handler", func(b *testing.B) { benchHandler(b, regions(), "ec2", form) })
	b.Run("loopback", func(b *testing.B) { benchServer(b, regions(), "ec2", form) })
}

func BenchmarkDescribeAutoScalingGroups(b *testing.B) {
	const form = "Action=DescribeAutoScalingGroups&Version=2011-01-01"
	b.Run("handler", func(b *testing.B) { benchHandler(b, groups(), "autoscaling", form) })
	b.Run("loopback", func(b *testing.B) { benchServer(b, groups(), "autoscaling", form) })
	b.Run("encoding-xml", func(b *testing.B) { // the same content through the standard library, for comparison
		out := groups()
		b.ReportAllocs()
		for b.Loop() {
			if err := xml.NewEncoder(io.Discard).Encode(out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPutMetricData decodes 1,000 metrics, the most that one request may have, in each protocol.
func BenchmarkPutMetricData(b *testing.B) {
	in := &cwapi.PutMetricDataInput{Namespace: new("n")}
	for i := range 1000 {
		in.MetricData = append(in.MetricData, cwapi.MetricDatum{MetricName: new(fmt.Sprint("metric", i)), Value: new(float64(i)), Unit: new("Percent"),
			Dimensions: []cwapi.Dimension{{Name: new("InstanceId"), Value: new("i-0123456789abcdef0")}}, Timestamp: new(testNow)})
	}
	op := newService(cwapi.Service).ops["PutMetricData"]
	op.ready()
	j, c := &jsonWriter{}, &cborWriter{}
	encodeDocument(j, op.in, reflect.ValueOf(in).Elem())
	encodeDocument(c, op.in, reflect.ValueOf(in).Elem())
	form := map[string][]string{}
	flatten(form, op.svc, op.in, reflect.ValueOf(in).Elem(), "")
	var query []byte
	for i := range 1000 { // in the order of the numbers, as clients but the Go SDK send it
		for _, name := range []string{"MetricName", "Value", "Unit", "Dimensions.member.1.Name", "Dimensions.member.1.Value", "Timestamp"} {
			key := fmt.Sprintf("MetricData.member.%d.%s", i+1, name)
			query = fmt.Appendf(query, "&%s=%s", key, form[key][0])
		}
	}
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := decodeDocument(op, &jsonReader{b: j.b}, op.In()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cbor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := decodeDocument(op, &cborReader{b: c.b}, op.In()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("query", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			pairs, err := parseForm(nil, bytes.Clone(query))
			if err == nil {
				err = decodeQuery(op, pairs, op.In())
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
