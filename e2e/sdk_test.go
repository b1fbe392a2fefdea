package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// wholeRequests sends a copy of a request's body. The SDK closes a body when the answer's head is there; net/http may still
// look whether more comes, takes that for a failure, and cuts off the answer: with a server this near, one long answer in
// fifteen.
type wholeRequests struct{}

func (wholeRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (s *server) ec2() *ec2.Client                 { return ec2.NewFromConfig(s.sdk()) }
func (s *server) autoscaling() *autoscaling.Client { return autoscaling.NewFromConfig(s.sdk()) }
func (s *server) cloudwatch() *cloudwatch.Client   { return cloudwatch.NewFromConfig(s.sdk()) }

// good unwraps the answer of a call that has to succeed.
func good[In, Out any](t testing.TB, in *In, call func(context.Context, *In) (*Out, error)) *Out {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := call(ctx, in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	return out
}

// plainly makes an operation of a client out of a method, without its options.
func plainly[In, Out, Option any](f func(context.Context, *In, ...Option) (*Out, error)) func(context.Context, *In) (*Out, error) {
	return func(ctx context.Context, in *In) (*Out, error) { return f(ctx, in) }
}

// errorCode is AWS's code of an error, "" if it is none of AWS's.
func errorCode(err error) string {
	var known smithy.APIError
	if errors.As(err, &known) {
		return known.ErrorCode()
	}
	return ""
}

// image is the ID of a built-in image.
func (s *server) image() string {
	s.t.Helper()
	out := good(s.t, &ec2.DescribeImagesInput{
		Owners: []string{"amazon"}, Filters: []types.Filter{{Name: new("architecture"), Values: []string{"x86_64"}}},
	}, plainly(s.ec2().DescribeImages))
	if len(out.Images) == 0 {
		s.t.Fatal("there is no built-in image")
	}
	return *out.Images[0].ImageId
}

// launch runs one instance.
func (s *server) launch(userData string, changes ...func(*ec2.RunInstancesInput)) string {
	s.t.Helper()
	in := &ec2.RunInstancesInput{ImageId: new(s.image()), InstanceType: types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1))}
	if userData != "" {
		in.UserData = new(base64.StdEncoding.EncodeToString([]byte(userData)))
	}
	for _, change := range changes {
		change(in)
	}
	return *good(s.t, in, plainly(s.ec2().RunInstances)).Instances[0].InstanceId
}

// instances describes all of them, or those named, also those that are gone.
func (s *server) instances(ids ...string) []types.Instance {
	s.t.Helper()
	var all []types.Instance
	for _, r := range good(s.t, &ec2.DescribeInstancesInput{InstanceIds: ids}, plainly(s.ec2().DescribeInstances)).Reservations {
		all = append(all, r.Instances...)
	}
	return all
}

func (s *server) instance(id string) types.Instance {
	s.t.Helper()
	return s.instances(id)[0]
}

// await waits until an instance is in a state.
func (s *server) await(id string, state types.InstanceStateName) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, id+" is "+string(state), func() bool { return s.instance(id).State.Name == state })
}

// newGroup makes a launch template and a group of it.
func (s *server) newGroup(name string, least, most, desired int32, template *types.RequestLaunchTemplateData) {
	s.t.Helper()
	if template.ImageId == nil {
		template.ImageId = new(s.image())
	}
	good(s.t, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: template}, plainly(s.ec2().CreateLaunchTemplate))
	good(s.t, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: &least, MaxSize: &most, DesiredCapacity: &desired, AvailabilityZones: []string{"us-east-1a", "us-east-1b"},
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: new("$Latest")},
	}, plainly(s.autoscaling().CreateAutoScalingGroup))
}

// members are a group's instances, by ID: their lifecycle states.
func (s *server) members(name string) map[string]astypes.LifecycleState {
	s.t.Helper()
	out := good(s.t, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}}, plainly(s.autoscaling().DescribeAutoScalingGroups))
	states := map[string]astypes.LifecycleState{}
	for _, i := range out.AutoScalingGroups[0].Instances {
		states[*i.InstanceId] = i.LifecycleState
	}
	return states
}

// awaitMembers waits until a group has exactly so many instances, all in service.
func (s *server) awaitMembers(name string, n int) map[string]astypes.LifecycleState {
	s.t.Helper()
	var states map[string]astypes.LifecycleState
	eventually(s.t, 30*time.Second, "the group has what it desires", func() bool {
		states = s.members(name)
		ready := 0
		for _, state := range states {
			if state == astypes.LifecycleStateInService {
				ready++
			}
		}
		return ready == n && len(states) == n
	})
	return states
}

func (s *server) scalingActivities(name string) []astypes.Activity {
	s.t.Helper()
	return good(s.t, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &name}, plainly(s.autoscaling().DescribeScalingActivities)).Activities
}
