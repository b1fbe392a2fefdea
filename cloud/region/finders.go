package region

import (
	"strings"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/access"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/lambda"
)

// authorizer joins IAM with what the services know of their resources.
func authorizer(identities *iam.Service, instances *ec2.Service, groups *autoscaling.Service, functions *lambda.Service) cloud.Authorizer {
	launch := func(tx *cloud.Tx, in any) []string {
		if r, ok := in.(*shape.RunInstancesInput); ok {
			return instances.LaunchResources(tx, r)
		}
		return nil
	}
	return access.New(identities, launch, map[string]access.Finder{
		iam.Name: func(tx *cloud.Tx, arn string) (access.Thing, bool) {
			e, ok := identities.Named(tx, arn)
			return access.Thing{ARN: e.ARN, Tags: e.Tags}, ok
		},
		ec2.Name: func(tx *cloud.Tx, arn string) (t access.Thing, ok bool) {
			n, ok := instances.Named(tx, resourceOf(arn))
			t = access.Thing{ARN: n.ARN, Tags: tagsOf(n.Tags)}
			if n.InstanceType != "" {
				t.Keys = map[string]string{"ec2:instancetype": n.InstanceType}
			}
			return t, ok
		},
		autoscaling.Name: func(tx *cloud.Tx, arn string) (access.Thing, bool) {
			exact, tags, ok := groups.Named(tx, resourceOf(arn))
			return access.Thing{ARN: exact, Tags: tagsOf(tags)}, ok
		},
		lambda.Name: func(tx *cloud.Tx, arn string) (access.Thing, bool) {
			tags, policy, ok := functions.Named(tx, arn)
			t := access.Thing{Policy: policy}
			for _, tag := range tags {
				t.Tags = append(t.Tags, iam.Tag{Key: tag.Key, Value: tag.Value})
			}
			return t, ok
		},
	}).Authorize
}

// resourceOf is the last part of an ARN.
func resourceOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	return parts[len(parts)-1]
}

func tagsOf(tags []ec2.Tag) []iam.Tag {
	var all []iam.Tag
	for _, t := range tags {
		all = append(all, iam.Tag{Key: t.Key, Value: t.Value})
	}
	return all
}
