package events

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/iam/policy"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/logs"
	"github.com/billow-cloud/billow/cloud/sns"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// Lower is what rules call. A function that is nil is a target that does not exist.
type Lower struct {
	Instances *ec2.Service
	Topics    *sns.Service
	// Invoke has a function invoked asynchronously, if the function's policy lets the principal do it for the source.
	Invoke func(tx *cloud.Tx, functionARN string, payload []byte, principal, sourceARN string) error
	// Send puts a message into a queue, if EventBridge may.
	Send func(tx *cloud.Tx, queueARN, body string, attributes []sqs.Attribute, by iam.Act) error
	// Write adds a line to a log.
	Write func(tx *cloud.Tx, group, stream, line string)
	// Measure counts one in a metric of a rule.
	Measure func(tx *cloud.Tx, rule, metric string)
	// CheckRole is the error if EventBridge may not have a role from the caller.
	CheckRole func(tx *cloud.Tx, arn string) error
	// May is the error if EventBridge may not do something in a target's role.
	May func(tx *cloud.Tx, act iam.Act) error
	// Allows tells whether the policy of a resource lets another account do something to it. Keys of the context are in
	// lower case.
	Allows func(tx *cloud.Tx, policy, account, action, resource string, context func(key string) []string) bool
}

// Below gives the services of a region as rules call them.
func Below(identities *iam.Service, texts *logs.Service, metrics *cloudwatch.Service, queues *sqs.Service, topics *sns.Service, instances *ec2.Service, functions *lambda.Service) Lower {
	return Lower{
		Instances: instances,
		Topics:    topics,
		May:       identities.MayAct,
		Invoke:    functions.InvokeAsync,
		Send:      queues.Deliver,
		Write: func(tx *cloud.Tx, group, stream, line string) {
			texts.Put(tx, group, stream, []logs.Event{{At: tx.Now().Truncate(time.Millisecond), Message: line}})
		},
		Measure: func(tx *cloud.Tx, rule, metric string) {
			metrics.Put(tx, []cloudwatch.Datum{{Namespace: "AWS/Events", Metric: metric, Unit: "Count", At: tx.Now(),
				Dimensions: []cloudwatch.Dimension{{Name: "RuleName", Value: rule}}, Stat: cloudwatch.Stat{Count: 1, Sum: 1, Min: 1, Max: 1}}})
		},
		CheckRole: func(tx *cloud.Tx, arn string) error {
			if err := identities.MayPass(tx, arn, principal); err != nil {
				return err
			}
			if r, ok := identities.Role(tx, arn); !ok || !identities.Trusts(tx, r, principal) {
				return invalid("Provided role '%s' cannot be assumed by principal '%s'.", arn, principal)
			}
			return nil
		},
		Allows: func(tx *cloud.Tx, document, account, action, resource string, context func(string) []string) bool {
			who := policy.Principal{ARNs: []string{"arn:aws:iam::" + account + ":root"}, Account: account}
			return identities.Allows(tx, document, who, action, resource, context)
		},
	}
}
