package ec2

import (
	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

var noInterface = notFound("InvalidNetworkInterfaceID", "networkInterface", "eni-")

// interfaceOf gives the instance that a network interface belongs to.
func (s *Service) interfaceOf(tx *cloud.Tx, id string) (Instance, error) {
	for _, i := range s.parts.Each(tx, id) {
		if i.InterfaceID == id {
			return i, nil
		}
	}
	return Instance{}, noInterface([]string{id})
}

// ModifyNetworkInterfaceAttribute changes the security groups or the source and destination check of an interface, which
// are its instance's.
func (s *Service) ModifyNetworkInterfaceAttribute(tx *cloud.Tx, in *shape.ModifyNetworkInterfaceAttributeInput) (*shape.ModifyNetworkInterfaceAttributeOutput, error) {
	i, err := s.interfaceOf(tx, api.Value(in.NetworkInterfaceId))
	if err != nil {
		return nil, err
	}
	switch {
	case len(in.Groups) > 0:
		p := plan{LaunchRequest: LaunchRequest{SecurityGroupIDs: in.Groups}, subnet: Subnet{ID: i.SubnetID, VPCID: i.VPCID}}
		if err := p.findGroups(s, tx); err != nil {
			return nil, err
		}
		i.SecurityGroupIDs = p.groups
	case in.SourceDestCheck != nil && in.SourceDestCheck.Value != nil:
		i.SourceDestCheck = *in.SourceDestCheck.Value
	default:
		return nil, api.Errorf("Unsupported", "Only Groups and SourceDestCheck of an interface can be changed here.")
	}
	s.instances.Put(tx, i.ID, i)
	return &shape.ModifyNetworkInterfaceAttributeOutput{}, nil
}

// DescribeNetworkInterfaceAttribute shows one attribute of an interface.
func (s *Service) DescribeNetworkInterfaceAttribute(tx *cloud.Tx, in *shape.DescribeNetworkInterfaceAttributeInput) (*shape.DescribeNetworkInterfaceAttributeOutput, error) {
	i, err := s.interfaceOf(tx, api.Value(in.NetworkInterfaceId))
	if err != nil {
		return nil, err
	}
	n := s.describer(tx).standalone(i)
	out := &shape.DescribeNetworkInterfaceAttributeOutput{NetworkInterfaceId: n.NetworkInterfaceId}
	switch attribute := api.Value(in.Attribute); attribute {
	case "description":
		out.Description = &shape.AttributeValue{Value: n.Description}
	case "groupSet":
		out.Groups = n.Groups
	case "sourceDestCheck":
		out.SourceDestCheck = &shape.AttributeBooleanValue{Value: n.SourceDestCheck}
	case "attachment":
		out.Attachment = n.Attachment
	case "associatePublicIpAddress":
		out.AssociatePublicIpAddress = new(i.AutoPublicIP)
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", attribute)
	}
	return out, nil
}
