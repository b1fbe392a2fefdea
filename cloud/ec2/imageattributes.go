package ec2

import (
	"slices"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// DescribeImageAttribute gives one attribute of an image.
func (s *Service) DescribeImageAttribute(tx *cloud.Tx, in *shape.DescribeImageAttributeInput) (*shape.DescribeImageAttributeOutput, error) {
	id := api.Value(in.ImageId)
	i, ok := s.Image(tx, id)
	if !ok {
		return nil, noImage([]string{id})
	}
	out := &shape.DescribeImageAttributeOutput{ImageId: new(id)}
	switch attribute := api.Value(in.Attribute); attribute {
	case "description":
		out.Description = &shape.AttributeValue{Value: optional(i.Description)}
	case "launchPermission":
		if i.Owner != tx.Scope.Account {
			return nil, api.Errorf("AuthFailure", "Not authorized for image:%s", id)
		}
		out.LaunchPermissions = []shape.LaunchPermission{}
		if i.Public {
			out.LaunchPermissions = append(out.LaunchPermissions, shape.LaunchPermission{Group: new("all")})
		}
		for _, account := range i.LaunchAccounts {
			out.LaunchPermissions = append(out.LaunchPermissions, shape.LaunchPermission{UserId: new(account)})
		}
	case "blockDeviceMapping":
		out.BlockDeviceMappings = i.mappings()
	case "sriovNetSupport":
		out.SriovNetSupport = &shape.AttributeValue{Value: new("simple")}
	case "bootMode":
		out.BootMode = &shape.AttributeValue{Value: new("uefi-preferred")}
	case "imdsSupport":
		out.ImdsSupport = &shape.AttributeValue{Value: optional(i.ImdsSupport)}
	case "lastLaunchedTime":
		out.LastLaunchedTime = &shape.AttributeValue{}
		if !i.LastLaunched.IsZero() {
			out.LastLaunchedTime.Value = new(stamp(i.LastLaunched)[0])
		}
	case "productCodes":
		out.ProductCodes = []shape.ProductCode{}
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	return out, nil
}

// ModifyImageAttribute changes an own image's description, metadata support or who may launch it.
func (s *Service) ModifyImageAttribute(tx *cloud.Tx, in *shape.ModifyImageAttributeInput) (*shape.ModifyImageAttributeOutput, error) {
	i, err := s.ownImage(tx, api.Value(in.ImageId))
	if err != nil {
		return nil, err
	}
	attribute := api.Value(in.Attribute)
	switch {
	case in.Description != nil:
		i.Description = api.Value(in.Description.Value)
	case attribute == "description":
		i.Description = api.Value(in.Value)
	case in.ImdsSupport != nil:
		i.ImdsSupport = api.Value(in.ImdsSupport.Value)
	case attribute == "imdsSupport":
		i.ImdsSupport = api.Value(in.Value)
	case in.LaunchPermission != nil:
		for _, p := range in.LaunchPermission.Add {
			i.permit(api.Value(p.Group), api.Value(p.UserId), true)
		}
		for _, p := range in.LaunchPermission.Remove {
			i.permit(api.Value(p.Group), api.Value(p.UserId), false)
		}
	case attribute == "launchPermission" || in.UserIds != nil || in.UserGroups != nil:
		for _, group := range in.UserGroups {
			i.permit(group, "", api.Value(in.OperationType) != "remove")
		}
		for _, user := range in.UserIds {
			i.permit("", user, api.Value(in.OperationType) != "remove")
		}
	default:
		return nil, api.Errorf("InvalidParameterCombination", "The request must contain one of description, launchPermission or imdsSupport")
	}
	s.images.Put(tx, i.ID, i)
	return &shape.ModifyImageAttributeOutput{}, nil
}

// permit gives or takes the right to launch the image.
func (i *Image) permit(group, account string, may bool) {
	if group == "all" {
		i.Public = may
	}
	if account == "" {
		return
	}
	others := slices.DeleteFunc(slices.Clone(i.LaunchAccounts), func(a string) bool { return a == account })
	if may {
		others = append(others, account)
	}
	i.LaunchAccounts = others
}
