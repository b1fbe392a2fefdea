// Package ec2 is the Amazon EC2 of this cloud: regions, the default VPC, security groups, key pairs, images, instance
// types, launch templates, tags and the instances themselves.
//
// It runs nothing. The one idea: an instance is a row with a state; the row makes wishes (facts.go) and changes state
// only when a fact says that the world has changed. An inventory that disagrees with a row makes the same wish again.
//
// Invariants: an ID never means two things, in any scope; a private or public address belongs to at most one living
// instance of the whole cloud, since all scopes share one host network; everything that a new AWS account finds
// (default VPC, subnets, security group) is made on the first touch of a scope, also by a read.
package ec2

// Name is the service's name, in calls and at the head of its tables.
const Name = "ec2"

// Tag is a key and a value on a resource.
type Tag struct{ Key, Value string }

// Reason is a StateReason: AWS's code (EC-IN-03) and a sentence.
type Reason struct{ Code, Message string }
