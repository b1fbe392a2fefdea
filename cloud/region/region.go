// Package region lists the services, lowest first: the whole of what this cloud is.
//
// It has no behaviour of its own. A service may call those earlier in the list, which are lower, in the same step, and
// hears their events; it knows nothing of those later in the list.
package region

import (
	"net/netip"

	"github.com/billow-cloud/billow/cloud"
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
	"github.com/billow-cloud/billow/cloud/ssm"
	"github.com/billow-cloud/billow/cloud/sts"
)

// Options are what a cloud is made with; they are the same over its whole life.
type Options struct {
	// Seed decides every ID that the cloud will make.
	Seed uint64
	// DNSSuffix ends the names of load balancers: "localhost" (also if empty) or "amazonaws.com".
	DNSSuffix string
	// Endpoint is the URL that clients reach the server by: it is in the links that topics send. Empty is the default one.
	Endpoint string
	// AnyImage takes every well-formed image ID for the built-in image.
	AnyImage bool
	// PublicPool is where public addresses come from; zero is EC2's default.
	PublicPool netip.Prefix
	// NoVolumes says in a sentence why this host has no volumes but the root ones; empty when it has.
	NoVolumes string
	// NoRoutes has no load balancer's Route wished for: in simulations, where nobody serves them.
	NoRoutes bool
	// Explain keeps what `billow explain` is made of: a row a minute at most for each group to which something happens.
	Explain bool
}

// New makes an empty cloud.
func New(o Options) *cloud.Cloud {
	identities, texts, metrics, queues := iam.New(), logs.New(), cloudwatch.New(), sqs.New()
	topics := sns.New()
	topics.Queues, topics.Identities, queues.Identities = queues, identities, identities
	topics.Alarms = metrics
	if o.Endpoint != "" {
		topics.Endpoint, queues.Endpoint = o.Endpoint, o.Endpoint
	}
	parameters := ssm.New()
	instances := ec2.New(metrics, parameters, ec2.Options{Identities: identities, AnyImage: o.AnyImage, PublicPool: o.PublicPool, NoVolumes: o.NoVolumes})
	balancers := elbv2.New(instances, metrics, elbv2.Options{DNSSuffix: o.DNSSuffix, NoRoutes: o.NoRoutes})
	classic := elb.New(balancers, instances, metrics)
	groups := autoscaling.New(instances, balancers, classic, metrics, topics)
	groups.Reach(queues, identities)
	if o.Explain {
		groups.Remember()
	}
	functions := lambda.New(identities, metrics, queues, topics)
	rules := events.New(events.Below(identities, texts, metrics, queues, topics, instances, functions))
	c := cloud.New(o.Seed, identities, sts.New(identities), texts, metrics, queues, topics, parameters, instances, balancers, classic, groups, functions, rules)
	c.Authorize(owners{identities, texts, metrics, queues, topics, instances, balancers, classic, groups, functions, rules}.authorizer())
	return c
}
