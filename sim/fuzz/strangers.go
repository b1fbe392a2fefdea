package fuzz

import (
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// stranger is a user of the account whom no policy knows.
var stranger = cloud.Caller{Kind: cloud.KindUser, Account: here.Account, ARN: "arn:aws:iam::" + here.Account + ":user/stranger", ID: "AIDASTRANGER000000000"}

// everyCall is how many calls come between two that a stranger tries first.
const everyCall = 5

// free are operations that need no permission.
func (o operation) free() bool { return o.svc.Name == "sts" && o.op.Name != "AssumeRole" }

// tryAsStranger makes a call in the name of one who may nothing: whatever it is about, it is refused with the words of its
// service, and nothing has changed.
func (r *run) tryAsStranger(scope cloud.Scope, o operation, in any) {
	if r.calls++; r.calls%everyCall != 0 || o.free() {
		return
	}
	out := r.cloud.Step(r.latest, cloud.Call{Scope: scope, RequestID: "r", Service: o.svc.Name, Operation: o.op.Name, In: in, Caller: stranger})
	e, ok := out.Err.(*api.Error)
	if !ok || !strings.Contains(e.Message, stranger.ARN+" is not authorized to perform: ") {
		r.fail("whom no policy allows anything is refused", "%s %s: %v", o.Name(), encoded(in), out.Err)
	}
	if len(out.Changes) > 0 || len(out.Effects) > 0 {
		r.fail("what is refused changes nothing", "%s %s: %d changes, %d effects", o.Name(), encoded(in), len(out.Changes), len(out.Effects))
	}
}
