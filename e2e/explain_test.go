package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// evaluation is what billow explain --json says of one, as far as tests look at it.
type evaluation struct {
	Due, Decided time.Time
	From, To     int
	Code, Reason string
	Winner       string
	Activities   []struct {
		ID, Cause string
		Decided   bool
	}
	Counterfactuals []struct {
		Kind, Change string
		Desired      int
	}
	Notes []string
}

func (s *server) said(args ...string) string {
	s.t.Helper()
	out, err := s.billow(append(args, "--data", s.data)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("billow %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s *server) explained(args ...string) []evaluation {
	s.t.Helper()
	out, err := s.billow(append([]string{"explain", "web", "--json", "--data", s.data}, args...)...).Output()
	var x struct{ Evaluations []evaluation }
	if err == nil {
		err = json.Unmarshal(out, &x)
	}
	if err != nil {
		s.t.Fatalf("explain %v: %v: %s", args, err, out)
	}
	return x.Evaluations
}

// A group that scales by a metric of its own is explained while it runs, and after a kill; a shadow is watched meanwhile.
func TestExplain(t *testing.T) {
	need(t)
	t.Parallel()
	s := start(t, "--driver", "sim", "--auth", "none", "--time-scale", "200") // a minute is 0.3 s
	s.newGroup("web", 1, 2, 1, &types.RequestLaunchTemplateData{ImageId: new("ami-0123456789abcdef0"), InstanceType: types.InstanceTypeT3Micro})
	metric := &astypes.CustomizedMetricSpecification{Namespace: new("App"), MetricName: new("Load"), Statistic: astypes.MetricStatisticAverage}
	good(t, &autoscaling.PutScalingPolicyInput{AutoScalingGroupName: new("web"), PolicyName: new("load"), PolicyType: new("TargetTrackingScaling"),
		TargetTrackingConfiguration: &astypes.TargetTrackingConfiguration{TargetValue: new(50.0), CustomizedMetricSpecification: metric}},
		plainly(s.autoscaling().PutScalingPolicy))
	file := filepath.Join(t.TempDir(), "cheap.json")
	if err := os.WriteFile(file, []byte(`{"AutoScalingGroupName":"web","PolicyName":"cheap","PolicyType":"TargetTrackingScaling","TargetTrackingConfiguration":
		{"TargetValue":95,"CustomizedMetricSpecification":{"Namespace":"App","MetricName":"Load","Statistic":"Average"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.said("shadow", "put", "web", file); !strings.Contains(out, "Shadow cheap watches group web") {
		t.Error(out)
	}
	var data []cwtypes.MetricDatum
	now, err := time.Parse(time.RFC3339, s.cloudTime(0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 110 { // of almost two hours ahead
		data = append(data, cwtypes.MetricDatum{MetricName: new("Load"), Value: new(80.0), Timestamp: new(now.Add(time.Duration(i) * time.Minute))})
	}
	good(t, &cloudwatch.PutMetricDataInput{Namespace: new("App"), MetricData: data}, plainly(s.cloudwatch().PutMetricData))

	var out evaluation
	eventually(t, 20*time.Second, "the group scales out", func() bool {
		for _, x := range s.explained("--last", "1h") {
			if x.Code == "scale-out" {
				out = x
			}
		}
		return out.Code != ""
	})
	if out.From != 1 || out.To != 2 || out.Winner != "load" || len(out.Activities) != 1 || !out.Activities[0].Decided {
		t.Errorf("%+v", out)
	}
	if a := s.scalingActivities("web"); *a[0].ActivityId != out.Activities[0].ID || *a[0].Cause != out.Activities[0].Cause {
		t.Errorf("%s is not %+v", *a[0].ActivityId, out.Activities)
	}
	var top evaluation
	eventually(t, 20*time.Second, "the group wants more than its max", func() bool {
		top = s.explained()[0]
		return top.Code == "at-max"
	})
	if c := top.Counterfactuals; len(c) == 0 || c[0].Change != "max size 3 instead of 2" || c[0].Desired != 3 {
		t.Errorf("%+v", top)
	}
	for _, want := range []string{"stayed 2", "[at-max]", "max size 3 instead of 2", "3 instead of 2", "Policy load (TargetTrackingScaling: Load at 50)"} {
		if text := s.said("explain", "web", "--at", top.Due.Format(time.RFC3339)); !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if p := good(t, &autoscaling.DescribePoliciesInput{}, plainly(s.autoscaling().DescribePolicies)).ScalingPolicies; len(p) != 1 {
		t.Errorf("%d policies show", len(p))
	}
	s.stop(syscall.SIGKILL)
	s.run()
	again := s.explained("--at", out.Due.Format(time.RFC3339))[0]
	if again.Code != out.Code || again.Reason != out.Reason || len(again.Notes) > 0 || !again.Decided.Equal(out.Decided) || len(again.Counterfactuals) == 0 {
		t.Errorf("after a restart %+v, before %+v", again, out)
	}
	if text := s.said("shadow", "report", "web"); !strings.Contains(text, "cheap (TargetTrackingScaling: Load at 95)") || !strings.Contains(text, "fewer in 1") {
		t.Error(text)
	}
	s.said("shadow", "delete", "web", "cheap")
	for _, x := range []struct{ args, want string }{
		{"explain nope", "billow: there is no group nope; there are web\n"},
		{"explain web --at 2100-01-01T00:00:00Z", "is in the future: the cloud's clock shows"},
		{"explain web --at 300h", "is before group web was made"},
		{"explain web --at noon", `"noon" is no time`},
		{"shadow report web", "group web has no shadows"},
		{"shadow put web " + filepath.Join(t.TempDir(), "nothing.json"), "no such file"},
	} {
		out, err := s.billow(append(strings.Fields(x.args), "--data", s.data)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), x.want) {
			t.Errorf("billow %s: %v %s", x.args, err, out)
		}
	}
}
