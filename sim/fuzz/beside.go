package fuzz

import (
	"fmt"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/sqs"
)

// checkBeside holds what instances have beside themselves, and messages, against each other as they change.
func (r *run) checkBeside(effects []cloud.Effect, deltas []delta) {
	for _, e := range effects {
		if b, ok := e.(ec2.BindAddress); ok {
			r.bound[b.PublicIP] = b
		}
	}
	for _, d := range deltas {
		scope := scopeOf(d.key).String() + "/"
		if was, ok := d.old.(*ec2.Snapshot); ok {
			is, _ := d.new.(*ec2.Snapshot)
			r.checkSnapshot(scope, was, is)
		}
		switch row := d.new.(type) {
		case *ec2.ElasticIP:
			r.checkElasticIP(scope, row)
		case *ec2.Instance:
			if row.ElasticIP == "" {
				break
			}
			e, _ := r.rows.tables[ec2.Name+".elastic-ips"][scope+row.ElasticIP].value.(*ec2.ElasticIP)
			if e == nil || e.InstanceID != row.ID || e.PublicIP != row.PublicIP {
				r.fail("an Elastic IP is of at most one instance", "%s, and the address is %s", encoded(row), encoded(e))
			}
		case *ec2.Volume:
			r.checkVolume(scope, row)
		case *sqs.Message:
			queue := d.key[:strings.LastIndexByte(d.key, '/')+1]
			place := fmt.Sprintf("%s%019d/%019d", queue, row.Visible.UnixNano(), row.Number)
			if _, there := r.rows.tables[sqs.Name+".places"][place]; !there {
				r.fail("a message is in one place", "%s is not in its own", d.key)
			}
		}
	}
}

func (r *run) checkElasticIP(scope string, e *ec2.ElasticIP) {
	if (e.InstanceID == "") != (e.AssociationID == "") {
		r.fail("an Elastic IP is of at most one instance", "%s", encoded(e))
	}
	if e.InstanceID == "" {
		return
	}
	if i := r.rows.instances[scope+e.InstanceID]; i == nil || i.ElasticIP != e.AllocationID || i.PublicIP != e.PublicIP {
		r.fail("an Elastic IP is of at most one instance", "%s, and the instance is %s", encoded(e), encoded(i))
	}
}

// checkMessages follows every message: it is in one queue, and it leaves that only when somebody who received it deletes it, all
// are deleted, its time is over, or it goes to another queue.
func (r *run) checkMessages(in cloud.Input, deltas []delta) {
	c, _ := in.(cloud.Call)
	_, observed := in.(cloud.Observed) // what functions were done with
	came := map[string]int{}
	for _, d := range deltas {
		if m, ok := d.new.(*sqs.Message); ok && d.old == nil {
			came[m.Body]++
		}
	}
	for _, d := range deltas {
		m, ok := d.old.(*sqs.Message)
		if !ok || d.new != nil {
			continue
		}
		delete(r.messages, m.ID)
		q, _ := r.rows.tables[sqs.Name+".queues"][d.key[:strings.LastIndexByte(d.key, '/')]].value.(*sqs.Queue)
		switch {
		case q == nil, c.Operation == "PurgeQueue":
		case m.Receives > 0 && (observed || c.Operation == "DeleteMessage" || c.Operation == "DeleteMessageBatch"):
		case !m.Sent.Add(time.Duration(q.Retention) * time.Second).After(r.latest):
		case came[m.Body] > 0:
			came[m.Body]--
		default:
			r.fail("no message is lost", "%s of %s is gone after %s", encoded(m), q.Name, encoded(in))
		}
	}
	for _, d := range deltas {
		m, ok := d.new.(*sqs.Message)
		if !ok {
			continue
		}
		if at := r.messages[m.ID]; at != "" && at != d.key {
			r.fail("a message is in one queue", "%s is at %s and %s", m.ID, at, d.key)
		}
		r.messages[m.ID] = d.key
	}
}

// checkMany holds all rows against what the changes do not tell: who was wished to answer on an address last, and that
// there are as many places as messages.
func (r *run) checkMany() {
	if m, p := len(r.rows.tables[sqs.Name+".messages"]), len(r.rows.tables[sqs.Name+".places"]); m != p {
		r.fail("a message is in one place", "%d messages are in %d places", m, p)
	}
	answers := map[string]string{}
	for _, key := range sortedKeys(r.rows.instances) {
		i := r.rows.instances[key]
		if i.PublicIP == "" || i.State != ec2.Running && i.State != ec2.Pending && i.State != ec2.Stopping {
			continue
		}
		if other := answers[i.PublicIP]; other != "" {
			r.fail("an address is of at most one instance", "%s is of %s and %s", i.PublicIP, other, i.ID)
		}
		answers[i.PublicIP] = i.ID
	}
	for _, ip := range sortedKeys(answers) {
		if b := r.bound[ip]; b.InstanceID != answers[ip] {
			r.fail("who answers on an address is whose it is", "%s is of %s, and was bound to %q last", ip, answers[ip], b.InstanceID)
		}
	}
	for _, ip := range sortedKeys(r.bound) {
		if b := r.bound[ip]; b.InstanceID != answers[ip] {
			r.fail("who answers on an address is whose it is", "%s is of %q, and was bound to %s last", ip, answers[ip], b.InstanceID)
		}
	}
}
