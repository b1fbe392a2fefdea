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

import (
	"cmp"
	"iter"
	"net/netip"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/iam"
	"github.com/billow-cloud/billow/cloud/ssm"
	"github.com/billow-cloud/billow/cloud/table"
)

// Name is the service's name, in calls and at the head of its tables.
const Name = "ec2"

// The kinds of things that are reconciled.
const (
	kindInstance = "instance"
	kindImage    = "image"
	kindVolume   = "volume"
	kindAddress  = "address"
)

// Tag is a key and a value on a resource.
type Tag struct{ Key, Value string }

// Reason is a StateReason: AWS's code (EC-IN-03) and a sentence.
type Reason struct{ Code, Message string }

// Options are what a cloud can choose. The zero value is strict.
type Options struct {
	// AnyImage takes every well-formed image ID for the built-in image.
	AnyImage bool
	// PublicPool is where public addresses come from; zero is 127.64.0.0/16, which reaches instances of this host only.
	PublicPool netip.Prefix
	// InstanceLimit is how many living instances an account has in a region at most; zero is no limit.
	InstanceLimit int
	// NoVolumes says in a sentence why this host has no volumes but the root ones; empty when it has.
	NoVolumes string
	// Identities has the instance profiles that instances may have; nil: every name is one, without a role.
	Identities *iam.Service
	// DNSSuffix ends public host names; empty is amazonaws.com.
	DNSSuffix string
}

// Service is EC2 in all accounts and regions.
type Service struct {
	cloud.Base
	options    Options
	metrics    *cloudwatch.Service
	parameters *ssm.Service

	homes     cloud.Rows[Home]
	vpcs      cloud.Rows[VPC]
	subnets   cloud.Rows[Subnet]
	groups    cloud.Rows[SecurityGroup]
	keys      cloud.Rows[KeyPair]
	images    cloud.Rows[Image]
	templates cloud.Rows[Template]
	versions  cloud.Rows[TemplateVersion]
	instances cloud.Rows[Instance]
	usage     cloud.Rows[Accumulated]
	consoles  cloud.Rows[Console]
	tags      cloud.Rows[Tagged]
	elastic   cloud.Rows[ElasticIP]
	volumes   cloud.Rows[Volume]
	snapshots cloud.Rows[Snapshot]

	vpcParts       cloud.Index[VPC]
	defaultSubnets cloud.Index[Subnet]
	groupNames     cloud.Index[SecurityGroup]
	ruleGroups     cloud.Index[SecurityGroup]
	keyIDs         cloud.Index[KeyPair]
	imageIDs       cloud.Index[Image]
	sharedImages   cloud.Index[Image]
	templateNames  cloud.Index[Template]
	parts          cloud.Index[Instance]
	silent         cloud.Index[Instance] // those that did not answer their last check, under ""
	tagValues      cloud.Index[Tagged]
	elasticParts   cloud.Index[ElasticIP]

	volumeIDs        cloud.Index[Volume]
	volumeTokens     cloud.Index[Volume]
	snapshotIDs      cloud.Index[Snapshot]
	snapshotContents cloud.Index[Snapshot]
	sharedSnapshots  cloud.Index[Snapshot]
	imageContents    cloud.Index[Image]
	imageSnapshots   cloud.Index[Image] // by the snapshots that their volumes, the roots too, are made of

	instanceFilters fields[Instance]
	operations      []cloud.Operation
}

// New makes the service over those that it calls.
func New(metrics *cloudwatch.Service, parameters *ssm.Service, o Options) *Service {
	if !o.PublicPool.IsValid() {
		o.PublicPool = netip.MustParsePrefix("127.64.0.0/16")
	}
	o.DNSSuffix = cmp.Or(o.DNSSuffix, "amazonaws.com")
	s := &Service{
		options: o, metrics: metrics, parameters: parameters,
		homes: cloud.NewRows[Home](Name + ".homes"), vpcs: cloud.NewRows[VPC](Name + ".vpcs"), subnets: cloud.NewRows[Subnet](Name + ".subnets"),
		groups: cloud.NewRows[SecurityGroup](Name + ".security-groups"), keys: cloud.NewRows[KeyPair](Name + ".key-pairs"),
		images: cloud.NewRows[Image](Name + ".images"), templates: cloud.NewRows[Template](Name + ".launch-templates"),
		versions: cloud.NewRows[TemplateVersion](Name + ".launch-template-versions"), instances: cloud.NewRows[Instance](Name + ".instances"),
		usage: cloud.NewRows[Accumulated](Name + ".usage"), consoles: cloud.NewRows[Console](Name + ".consoles"),
		tags: cloud.NewRows[Tagged](Name + ".tags"), elastic: cloud.NewRows[ElasticIP](Name + ".elastic-ips"),
		volumes: cloud.NewRows[Volume](Name + ".volumes"), snapshots: cloud.NewRows[Snapshot](Name + ".snapshots"),
	}
	s.vpcParts = s.vpcs.Index(vpcParts)
	s.defaultSubnets = s.subnets.Index(func(_ string, n Subnet) []string {
		if !n.Default {
			return nil
		}
		return one(n.Zone)
	})
	s.groupNames = s.groups.Index(func(_ string, g SecurityGroup) []string { return one(g.VPCID + "/" + g.Name) })
	s.ruleGroups = s.groups.Index(func(_ string, g SecurityGroup) []string {
		var ids []string
		for _, r := range g.Rules {
			ids = append(ids, r.ID)
		}
		return ids
	})
	s.keyIDs = s.keys.Index(func(_ string, k KeyPair) []string { return one(k.ID) })
	s.imageIDs = s.images.Index(func(id string, i Image) []string { return []string{id, i.SnapshotID} })
	s.sharedImages = s.images.Index(func(_ string, i Image) []string {
		if i.Public {
			return append([]string{"all"}, i.LaunchAccounts...)
		}
		return i.LaunchAccounts
	})
	s.templateNames = s.templates.Index(func(_ string, t Template) []string { return one(t.Name) })
	s.parts = s.instances.Index(instanceParts)
	s.silent = s.instances.Index(func(_ string, i Instance) []string {
		if i.Silence.Checks == 0 {
			return nil
		}
		return one("")
	})
	s.elasticParts = s.elastic.Index(elasticParts)
	s.indexVolumes()
	s.tagValues = s.tags.Index(func(_ string, t Tagged) []string {
		var all []string
		for _, tag := range t.Tags {
			all = append(all, tagPart(tag))
		}
		return all
	})
	s.instanceFilters = s.instanceFields()
	s.operations = s.makeOperations()
	parameters.Publish(publicParameters())
	return s
}

// Name implements cloud.Service.
func (s *Service) Name() string { return Name }

// Stores implements cloud.Service.
func (s *Service) Stores() []table.Store {
	return []table.Store{
		s.homes, s.vpcs, s.subnets, s.groups, s.keys, s.images, s.templates, s.versions, s.instances, s.usage, s.consoles, s.tags, s.elastic,
		s.volumes, s.snapshots,
	}
}

// Operations implements cloud.Service.
func (s *Service) Operations() []cloud.Operation { return s.operations }

// Reconcile implements cloud.Service.
func (s *Service) Reconcile(tx *cloud.Tx, kind, id string) {
	switch kind {
	case kindInstance:
		s.reconcileInstance(tx, id)
	case kindImage:
		s.reconcileImage(tx, id)
	case kindVolume:
		s.reconcileVolume(tx, id)
	case kindAddress:
		s.reconcileAddress(tx, id)
	}
}

// Keys implements cloud.Service.
func (s *Service) Keys() iter.Seq[cloud.Key] {
	return func(yield func(cloud.Key) bool) {
		for k, i := range s.instances.Everywhere() {
			k.Kind = kindInstance
			if !yield(k) || i.answers() && !yield(cloud.Key{Scope: k.Scope, Kind: kindAddress, ID: i.PublicIP}) {
				return
			}
		}
		for k := range s.images.Everywhere() {
			k.Kind = kindImage
			if !yield(k) {
				return
			}
		}
		for k := range s.volumes.Everywhere() {
			k.Kind = kindVolume
			if !yield(k) {
				return
			}
		}
	}
}
