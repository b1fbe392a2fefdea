package region

import (
	"strings"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/access"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elb"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/events"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/logs"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// owners are the services that have resources which policies are about.
type owners struct {
	identities *iam.Service
	texts      *logs.Service
	metrics    *cloudwatch.Service
	queues     *sqs.Service
	topics     *sns.Service
	instances  *ec2.Service
	balancers  *elbv2.Service
	classic    *elb.Service
	groups     *autoscaling.Service
	functions  *lambda.Service
	rules      *events.Service
}

// authorizer joins IAM with what the services know of their resources.
func (o owners) authorizer() cloud.Authorizer {
	launch := func(tx *cloud.Tx, in any) []iam.Thing {
		if r, ok := in.(*shape.RunInstancesInput); ok {
			return o.instances.LaunchResources(tx, r)
		}
		return nil
	}
	return access.New(o.identities, launch, map[string]access.Finder{
		iam.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			e, ok := o.identities.Named(tx, arn)
			return iam.Thing{ARN: e.ARN, Tags: e.Tags}, ok
		},
		ec2.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) { return o.instances.Named(tx, resourceOf(arn)), true },
		autoscaling.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			exact, tags, ok := o.groups.Named(tx, resourceOf(arn))
			return iam.Thing{ARN: exact, Tags: tagsOf(tags)}, ok
		},
		elbv2.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			tags, ok := o.balancers.Named(tx, arn)
			return iam.Thing{Tags: tagsOf(tags)}, ok
		},
		elb.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			tags, ok := o.classic.Named(tx, strings.TrimPrefix(resourceOf(arn), "loadbalancer/"))
			return iam.Thing{Tags: tagsOf(tags)}, ok
		},
		cloudwatch.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			tags, ok := o.metrics.Named(tx, arn)
			return iam.Thing{Tags: tagsOf(tags)}, ok
		},
		logs.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			group, _, _ := strings.Cut(strings.TrimPrefix(resourceOf(arn), "log-group:"), ":log-stream:")
			tags, ok := o.texts.Named(tx, group)
			return iam.Thing{Tags: tagsOf(tags)}, ok
		},
		sns.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			tags, policy, ok := o.topics.Named(tx, arn)
			t := iam.Thing{Policy: policy}
			for _, tag := range tags {
				t.Tags = append(t.Tags, iam.Tag{Key: tag.Name, Value: tag.Value})
			}
			return t, ok
		},
		sqs.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			tags, policy, ok := o.queues.Named(tx, arn)
			t := iam.Thing{Policy: policy}
			for _, tag := range tags {
				t.Tags = append(t.Tags, iam.Tag{Key: tag.Name, Value: tag.Value})
			}
			return t, ok
		},
		lambda.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			tags, policy, ok := o.functions.Named(tx, arn)
			return iam.Thing{Tags: tagsOf(tags), Policy: policy}, ok
		},
		events.Name: func(tx *cloud.Tx, arn string) (iam.Thing, bool) {
			tags, policy, ok := o.rules.Named(tx, arn)
			return iam.Thing{Tags: tagsOf(tags), Policy: policy}, ok
		},
	}).Authorize
}

// resourceOf is the last part of an ARN.
func resourceOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	return parts[len(parts)-1]
}

// tagsOf are the tags of any service as IAM has them.
func tagsOf[T ~struct{ Key, Value string }](tags []T) []iam.Tag {
	var all []iam.Tag
	for _, t := range tags {
		all = append(all, iam.Tag(t))
	}
	return all
}
