package sts

import (
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/sts"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

func TestTheCallerIsTheRootOfItsAccount(t *testing.T) {
	c := cloud.New(1, New(iam.New()))
	out := c.Step(time.Unix(0, 0), cloud.Call{
		Scope: cloud.Scope{Account: "210987654321"}, Service: Name, Operation: "GetCallerIdentity", In: &shape.GetCallerIdentityInput{},
	})
	if got := out.Reply.(*shape.GetCallerIdentityOutput); *got.Arn != "arn:aws:iam::210987654321:root" || *got.Account != "210987654321" {
		t.Errorf("%+v", got)
	}
}
