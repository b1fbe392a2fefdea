package ec2

import (
	"slices"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// ElasticIP is the row of an Elastic IP: an address that stays the account's until it is released.
type ElasticIP struct {
	AllocationID  string
	PublicIP      string
	AssociationID string // empty: nobody answers
	InstanceID    string // whose interface has it
}

// addressLimit is how many Elastic IPs an account has in a region at most (EC-IP-06).
const addressLimit = 5

// elasticParts are the values under which an Elastic IP is found.
func elasticParts(id string, e ElasticIP) []string {
	parts := []string{id, e.PublicIP}
	if e.AssociationID != "" {
		parts = append(parts, e.AssociationID)
	}
	return parts
}

func noAddress(ip string) error {
	return api.Errorf("InvalidAddress.NotFound", "Address '%s' not found.", ip)
}

func noAllocation(ids []string) error {
	return api.Errorf("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", ids[0])
}

func notYours(what string) error {
	return api.Errorf("AuthFailure", "The address '%s' does not belong to you.", what)
}

// elasticIP finds the Elastic IP that a call means, by an ID or, where AWS still takes that, by its address.
func (s *Service) elasticIP(tx *cloud.Tx, allocation, ip *string) (ElasticIP, error) {
	key := api.Value(allocation)
	switch {
	case allocation == nil && ip == nil:
		return ElasticIP{}, api.Errorf("MissingParameter", "Either public IP or allocation id must be specified")
	case allocation != nil && ip != nil:
		return ElasticIP{}, api.Errorf("InvalidParameterCombination", "You may specify public IP or allocation id, but not both in the same call")
	case allocation == nil:
		key = *ip
	}
	scope, e, ok := s.elasticParts.Find(key)
	switch {
	case ok && scope != tx.Scope:
		return e, notYours(key) // EC-IP-08
	case ok:
		return e, nil
	case allocation == nil:
		return e, noAddress(key)
	}
	return e, noAllocation([]string{key})
}

// AllocateAddress gives the account an address of the pool for good.
func (s *Service) AllocateAddress(tx *cloud.Tx, in *shape.AllocateAddressInput) (*shape.AllocateAddressOutput, error) {
	tags, err := specTags(in.TagSpecifications, "elastic-ip")
	if err != nil {
		return nil, err
	}
	switch {
	case in.PublicIpv4Pool != nil && *in.PublicIpv4Pool != "amazon":
		return nil, api.Errorf("InvalidPublicIpv4PoolID.NotFound", "The public IPv4 pool '%s' does not exist", *in.PublicIpv4Pool)
	case in.CustomerOwnedIpv4Pool != nil || in.IpamPoolId != nil:
		return nil, api.Errorf("InvalidParameterValue", "There are no customer-owned or IPAM pools.")
	case in.NetworkBorderGroup != nil && *in.NetworkBorderGroup != tx.Scope.Region:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter networkBorderGroup is invalid.", *in.NetworkBorderGroup)
	}
	held := 0
	for range s.elastic.All(tx) {
		held++
	}
	if held >= addressLimit {
		return nil, api.Errorf("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	ip := api.Value(in.Address) // one that was released is given back while nobody else has it
	if ip != "" && (!s.inPool(ip) || s.taken(ip)) {
		return nil, noAddress(ip)
	}
	if ip == "" {
		if ip = s.publicAddress(tx); ip == "" {
			return nil, api.Errorf("InsufficientAddressCapacity", "Not enough available addresses to satisfy your request.")
		}
	}
	e := ElasticIP{AllocationID: tx.ID("eipalloc-"), PublicIP: ip}
	s.elastic.Put(tx, e.AllocationID, e)
	s.Tag(tx, e.AllocationID, tags)
	return &shape.AllocateAddressOutput{
		AllocationId: &e.AllocationID, PublicIp: &e.PublicIP, Domain: new("vpc"), PublicIpv4Pool: new("amazon"),
		NetworkBorderGroup: new(tx.Scope.Region),
	}, nil
}

// ReleaseAddress gives an address back to the pool.
func (s *Service) ReleaseAddress(tx *cloud.Tx, in *shape.ReleaseAddressInput) (*shape.ReleaseAddressOutput, error) {
	e, err := s.elasticIP(tx, in.AllocationId, in.PublicIp)
	if err != nil {
		return nil, err
	}
	if e.AssociationID != "" { // EC-IP-08
		return nil, api.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", e.PublicIP)
	}
	s.elastic.Delete(tx, e.AllocationID)
	s.tags.Delete(tx, e.AllocationID)
	return &shape.ReleaseAddressOutput{}, nil
}

// AssociateAddress gives an instance an Elastic IP, whoever had it before (EC-IP-01).
func (s *Service) AssociateAddress(tx *cloud.Tx, in *shape.AssociateAddressInput) (*shape.AssociateAddressOutput, error) {
	e, err := s.elasticIP(tx, in.AllocationId, in.PublicIp)
	if err != nil {
		return nil, err
	}
	i, err := s.associated(tx, in)
	if err != nil {
		return nil, err
	}
	if e.InstanceID == i.ID { // EC-IP-02
		return &shape.AssociateAddressOutput{AssociationId: &e.AssociationID}, nil
	}
	if e.AssociationID != "" {
		if in.AllowReassociation != nil && !*in.AllowReassociation { // EC-IP-01
			return nil, api.Errorf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", e.AllocationID, e.AssociationID)
		}
		e = s.disassociate(tx, e)
	}
	if other, ok := s.elastic.Get(tx, i.ElasticIP); ok { // EC-IP-04: it stays allocated
		other.AssociationID, other.InstanceID = "", ""
		s.elastic.Put(tx, other.AllocationID, other)
	}
	e.AssociationID, e.InstanceID = tx.ID("eipassoc-"), i.ID
	s.elastic.Put(tx, e.AllocationID, e)
	s.setPublic(tx, &i, e.PublicIP, e.AllocationID) // EC-IP-04: an automatic address goes back to the pool
	s.instances.Put(tx, i.ID, i)
	return &shape.AssociateAddressOutput{AssociationId: &e.AssociationID}, nil
}

// associated finds the instance that a call wants to give an address to. Every instance has exactly one interface
// (EC-IP-03). Other than on AWS it may be pending: here a program inside can run before its instance is seen running.
func (s *Service) associated(tx *cloud.Tx, in *shape.AssociateAddressInput) (Instance, error) {
	var i Instance
	var err error
	switch {
	case in.InstanceId == nil && in.NetworkInterfaceId == nil:
		return i, api.Errorf("MissingParameter", "Either 'InstanceId' or 'NetworkInterfaceId' must be specified")
	case in.InstanceId != nil:
		if i, err = s.instance(tx, *in.InstanceId); err != nil {
			return i, err
		}
		if in.NetworkInterfaceId != nil && *in.NetworkInterfaceId != i.InterfaceID {
			return i, api.Errorf("InvalidParameterCombination", "You may specify either an instance ID or a network interface ID, but not both")
		}
	default:
		if i, err = s.interfaceOf(tx, *in.NetworkInterfaceId); err != nil {
			return i, err
		}
	}
	if i.State == Terminated || i.State == ShuttingDown {
		return i, api.Errorf("InvalidInstanceID", "The %s instance '%s' is not in a valid state for this operation.", i.State, i.ID)
	}
	if ip := api.Value(in.PrivateIpAddress); ip != "" && ip != i.PrivateIP {
		return i, api.Errorf("InvalidParameterValue", "The private IP address %s is not assigned to the network interface %s", ip, i.InterfaceID)
	}
	return i, nil
}

// DisassociateAddress takes an Elastic IP from its instance. By address, one that has no instance is no error.
func (s *Service) DisassociateAddress(tx *cloud.Tx, in *shape.DisassociateAddressInput) (*shape.DisassociateAddressOutput, error) {
	id := in.AssociationId
	switch {
	case id == nil && in.PublicIp == nil:
		return nil, api.Errorf("MissingParameter", "Either public IP or association id must be specified")
	case id != nil && in.PublicIp != nil:
		return nil, api.Errorf("InvalidParameterCombination", "You may specify public IP or association id, but not both in the same call")
	case id == nil:
		e, err := s.elasticIP(tx, nil, in.PublicIp)
		if err == nil && e.AssociationID != "" {
			s.disassociate(tx, e)
		}
		return &shape.DisassociateAddressOutput{}, err
	}
	for _, e := range s.elasticParts.Each(tx, *id) {
		if e.AssociationID == *id {
			s.disassociate(tx, e)
			return &shape.DisassociateAddressOutput{}, nil
		}
	}
	return nil, api.Errorf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", *id)
}

// disassociate takes an address from its instance, which gets an automatic one if it is up and had one (EC-IP-05).
func (s *Service) disassociate(tx *cloud.Tx, e ElasticIP) ElasticIP {
	i, _ := s.instances.Get(tx, e.InstanceID)
	e.AssociationID, e.InstanceID = "", ""
	s.elastic.Put(tx, e.AllocationID, e)
	next := ""
	if i.AutoPublicIP && (i.State == Pending || i.State == Running) {
		next = s.publicAddress(tx)
	}
	s.setPublic(tx, &i, next, "")
	s.instances.Put(tx, i.ID, i)
	return e
}

func (s *Service) elasticFields() fields[ElasticIP] {
	of := func(get func(tx *cloud.Tx, e ElasticIP, i Instance) string) func(*cloud.Tx, ElasticIP) []string {
		return func(tx *cloud.Tx, e ElasticIP) []string {
			i, _ := s.instances.Get(tx, e.InstanceID)
			if v := get(tx, e, i); v != "" {
				return one(v)
			}
			return nil
		}
	}
	return fields[ElasticIP]{
		"allocation-id":        of(func(_ *cloud.Tx, e ElasticIP, _ Instance) string { return e.AllocationID }),
		"association-id":       of(func(_ *cloud.Tx, e ElasticIP, _ Instance) string { return e.AssociationID }),
		"instance-id":          of(func(_ *cloud.Tx, e ElasticIP, _ Instance) string { return e.InstanceID }),
		"network-interface-id": of(func(_ *cloud.Tx, _ ElasticIP, i Instance) string { return i.InterfaceID }),
		"network-interface-owner-id": of(func(tx *cloud.Tx, _ ElasticIP, i Instance) string {
			if i.ID == "" {
				return ""
			}
			return tx.Scope.Account
		}),
		"private-ip-address":   of(func(_ *cloud.Tx, _ ElasticIP, i Instance) string { return i.PrivateIP }),
		"public-ip":            of(func(_ *cloud.Tx, e ElasticIP, _ Instance) string { return e.PublicIP }),
		"domain":               of(func(*cloud.Tx, ElasticIP, Instance) string { return "vpc" }),
		"network-border-group": of(func(tx *cloud.Tx, _ ElasticIP, _ Instance) string { return tx.Scope.Region }),
	}
}

// DescribeAddresses lists Elastic IPs.
func (s *Service) DescribeAddresses(tx *cloud.Tx, in *shape.DescribeAddressesInput) (*shape.DescribeAddressesOutput, error) {
	ids := slices.Clone(in.AllocationIds)
	for _, ip := range in.PublicIps {
		found := false
		for id := range s.elasticParts.Each(tx, ip) {
			ids, found = append(ids, id), true
		}
		if !found {
			return nil, noAddress(ip)
		}
	}
	slices.Sort(ids)
	found, _, err := listing[ElasticIP]{
		rows: s.elastic, fields: s.elasticFields(), id: func(e ElasticIP) string { return e.AllocationID }, ids: ids, missing: noAllocation,
		filters: in.Filters,
	}.find(s, tx)
	out := &shape.DescribeAddressesOutput{}
	for _, e := range found {
		a := shape.Address{
			AllocationId: &e.AllocationID, PublicIp: &e.PublicIP, Domain: new("vpc"), PublicIpv4Pool: new("amazon"),
			NetworkBorderGroup: new(tx.Scope.Region), Tags: tagShapes(s.Tags(tx, e.AllocationID)),
		}
		if i, ok := s.instances.Get(tx, e.InstanceID); ok {
			a.AssociationId, a.InstanceId, a.PrivateIpAddress = &e.AssociationID, new(i.ID), new(i.PrivateIP)
			a.NetworkInterfaceId, a.NetworkInterfaceOwnerId = new(i.InterfaceID), new(tx.Scope.Account)
		}
		out.Addresses = append(out.Addresses, a)
	}
	return out, err
}

// DescribeAddressesAttribute lists the reverse names of Elastic IPs, of which there are none.
func (s *Service) DescribeAddressesAttribute(tx *cloud.Tx, in *shape.DescribeAddressesAttributeInput) (*shape.DescribeAddressesAttributeOutput, error) {
	found, next, err := listing[ElasticIP]{
		rows: s.elastic, id: func(e ElasticIP) string { return e.AllocationID }, ids: in.AllocationIds, missing: noAllocation,
		max: in.MaxResults, token: in.NextToken,
	}.find(s, tx)
	out := &shape.DescribeAddressesAttributeOutput{NextToken: next}
	for _, e := range found {
		out.Addresses = append(out.Addresses, shape.AddressAttribute{AllocationId: new(e.AllocationID), PublicIp: new(e.PublicIP)})
	}
	return out, err
}
