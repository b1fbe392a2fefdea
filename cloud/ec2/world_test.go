package ec2

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/cloudwatch"
	"github.com/billow-cloud/billow/cloud/ssm"
	"github.com/billow-cloud/billow/cloud/table"
)

var (
	here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}
	t0   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

// world is a cloud with a clock and a host on which every wish comes true at once, unless held back.
type world struct {
	t      testing.TB
	c      *cloud.Cloud
	s      *Service
	cw     *cloudwatch.Service
	now    time.Time
	scope  cloud.Scope
	hold   bool // wishes are kept and not answered
	wishes []cloud.Effect
	binds  []BindAddress // those wishes that are about addresses
	events *listener
	host   map[string]string // instance -> "running" or "stopped"
	disk   map[string][]byte // durable rows: "table key" -> JSON

	volumes   map[string]SeenVolume
	snapshots map[string]SeenSnapshot
	images    map[string]bool
}

// listener is a service above EC2 that notes its events.
type listener struct {
	cloud.Base
	heard []string
	told  []string // what EventBridge would tell: detail-type, ARNs and detail
	data  []InstancesMeasured
}

func (*listener) Name() string { return "listener" }
func (l *listener) Notice(tx *cloud.Tx, e cloud.Event) {
	if e, ok := e.(interface {
		Told() (source, detailType string)
		Detail(cloud.Scope) ([]string, any)
	}); ok {
		_, kind := e.Told()
		resources, detail := e.Detail(tx.Scope)
		l.told = append(l.told, fmt.Sprint(kind, " ", resources, " ", jsonLine(detail)))
	}
	switch e := e.(type) {
	case InstanceStateChanged:
		l.heard = append(l.heard, fmt.Sprintf("%s>%s %s", e.From, e.To, e.Reason.Code))
	case InstanceStatusChanged:
		l.heard = append(l.heard, "status "+e.Status)
	case InstancesMeasured:
		l.data = append(l.data, e)
	}
}

func newWorld(t testing.TB, o Options) *world {
	w := &world{t: t, now: t0, scope: here, events: &listener{}, host: map[string]string{}, disk: map[string][]byte{}}
	w.volumes, w.snapshots, w.images = map[string]SeenVolume{}, map[string]SeenSnapshot{}, map[string]bool{}
	w.cw = cloudwatch.New()
	parameters := ssm.New()
	w.s = New(w.cw, parameters, o)
	w.c = cloud.New(7, w.cw, parameters, w.s, w.events)
	return w
}

func (w *world) step(in cloud.Input) cloud.Output {
	w.t.Helper()
	out := w.c.Step(w.now, in)
	var defect *cloud.Defect
	if errors.As(out.Err, &defect) {
		w.t.Fatalf("%v\n%s", defect, defect.Stack)
	}
	if _, bench := w.t.(*testing.B); !bench {
		w.save(out.Changes)
	}
	for _, e := range out.Effects {
		if b, ok := e.(BindAddress); ok {
			w.binds = append(w.binds, b)
		} else {
			w.wishes = append(w.wishes, e)
		}
	}
	if !w.hold {
		w.answer(out.Effects)
	}
	return out
}

func (w *world) save(changes []table.Change) {
	for _, c := range changes {
		if c.Row == nil {
			delete(w.disk, c.Table+" "+c.Key)
			continue
		}
		text, err := json.Marshal(c.Row)
		if err != nil {
			w.t.Fatal(err)
		}
		w.disk[c.Table+" "+c.Key] = text
	}
}

// answer makes wishes come true.
func (w *world) answer(effects []cloud.Effect) {
	var facts []cloud.Fact
	for _, e := range effects {
		switch e := e.(type) {
		case LaunchInstance:
			w.host[e.Spec.ID] = Running
			for _, v := range e.Spec.Volumes {
				w.volumes[v.ID] = SeenVolume{v.ID, v.Bytes, e.Spec.ID}
			}
			facts = append(facts, InstanceRunning{ID: e.Spec.ID})
		case StartInstance:
			w.host[e.Spec.ID] = Running
			facts = append(facts, InstanceRunning{ID: e.Spec.ID})
		case StopInstance:
			w.host[e.ID] = Stopped
			facts = append(facts, InstanceStopped{ID: e.ID})
		case TerminateInstance:
			delete(w.host, e.ID)
			for id, v := range w.volumes {
				if v.InstanceID == e.ID {
					w.volumes[id] = SeenVolume{id, v.Bytes, ""}
				}
			}
			facts = append(facts, InstanceTerminated{ID: e.ID})
		case CaptureImage:
			for _, n := range e.Snapshots {
				w.snapshots[n.ID] = SeenSnapshot{ID: n.ID}
			}
			w.images[e.ImageID] = true
			facts = append(facts, ImageCaptured{ImageID: e.ImageID, Bytes: 1 << 20})
		case DeleteImage:
			delete(w.images, e.ImageID)
		case CreateVolumeData:
			w.volumes[e.ID] = SeenVolume{e.ID, e.Bytes, ""}
			facts = append(facts, VolumeCreated{ID: e.ID})
		case AttachVolumeData:
			w.volumes[e.ID] = SeenVolume{e.ID, w.volumes[e.ID].Bytes, e.InstanceID}
			facts = append(facts, VolumeAttached{ID: e.ID, InstanceID: e.InstanceID})
		case DetachVolumeData:
			w.volumes[e.ID] = SeenVolume{e.ID, w.volumes[e.ID].Bytes, ""}
			facts = append(facts, VolumeDetached{ID: e.ID, InstanceID: e.InstanceID})
		case ResizeVolumeData:
			facts = append(facts, VolumeResized{ID: e.ID, Bytes: e.Bytes})
		case DeleteVolumeData:
			delete(w.volumes, e.ID)
			facts = append(facts, VolumeDeleted{ID: e.ID})
		case TakeSnapshot:
			w.snapshots[e.ID] = SeenSnapshot{ID: e.ID}
			facts = append(facts, SnapshotTaken{ID: e.ID})
		case DeleteSnapshotData:
			delete(w.snapshots, e.ID)
			facts = append(facts, SnapshotDeleted{ID: e.ID})
		}
	}
	if facts != nil {
		w.step(cloud.Observed{Facts: facts})
	}
}

// try calls an operation.
func try[Out any](w *world, in any) (*Out, error) {
	w.t.Helper()
	name := strings.TrimSuffix(fmt.Sprintf("%T", in), "Input")
	out := w.step(cloud.Call{Scope: w.scope, Service: Name, Operation: name[strings.LastIndexByte(name, '.')+1:], In: in})
	if out.Err != nil {
		return nil, out.Err
	}
	return out.Reply.(*Out), nil
}

func call[Out any](w *world, in any) *Out {
	w.t.Helper()
	out, err := try[Out](w, in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return out
}

// refused wants an operation to fail with a code and to change nothing.
func (w *world) refused(in any, code string) *api.Error {
	w.t.Helper()
	name := strings.TrimSuffix(fmt.Sprintf("%T", in), "Input")
	out := w.step(cloud.Call{Scope: w.scope, Service: Name, Operation: name[strings.LastIndexByte(name, '.')+1:], In: in})
	var e *api.Error
	if !errors.As(out.Err, &e) || e.Code != code {
		w.t.Errorf("%s: got %v, want %s", name, out.Err, code)
		return &api.Error{}
	}
	if len(out.Changes)+len(out.Effects) > 0 {
		w.t.Errorf("%s was refused and changed %v", name, out.Changes)
	}
	return e
}

func (w *world) observe(facts ...cloud.Fact) { w.t.Helper(); w.step(cloud.Observed{Facts: facts}) }

// pass lets time go by, with a tick whenever the cloud asks for one.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for range 100_000 {
		wake := w.c.Wake()
		if wake.IsZero() || wake.After(end) {
			w.now = end
			return
		}
		w.now = wake
		w.step(cloud.Tick{})
	}
	w.t.Fatal("the cloud does not come to rest")
}

// run launches n instances of the first built-in image.
func (w *world) run(n int, change ...func(*shape.RunInstancesInput)) []string {
	w.t.Helper()
	in := &shape.RunInstancesInput{
		ImageId: new(builtins[0].ID), InstanceType: new("t3.micro"), MinCount: new(int32(n)), MaxCount: new(int32(n)),
	}
	for _, f := range change {
		f(in)
	}
	var ids []string
	for _, i := range call[shape.RunInstancesOutput](w, in).Instances {
		ids = append(ids, *i.InstanceId)
	}
	return ids
}

// see gives an instance as DescribeInstances shows it.
func (w *world) see(id string) shape.Instance {
	w.t.Helper()
	return call[shape.DescribeInstancesOutput](w, &shape.DescribeInstancesInput{InstanceIds: []string{id}}).Reservations[0].Instances[0]
}

func (w *world) state(id string) string { w.t.Helper(); return *w.see(id).State.Name }

func (w *world) wantState(id, want string) {
	w.t.Helper()
	if got := w.state(id); got != want {
		w.t.Errorf("instance is %s, want %s", got, want)
	}
}

func (w *world) inventory() {
	w.t.Helper()
	f := Inventory{Began: w.now}
	for id, state := range w.host {
		f.Instances = append(f.Instances, Seen{ID: id, State: state})
	}
	for _, v := range w.volumes {
		f.Volumes = append(f.Volumes, v)
	}
	for _, n := range w.snapshots {
		f.Snapshots = append(f.Snapshots, n)
	}
	for id := range w.images {
		f.Images = append(f.Images, id)
	}
	w.now = w.now.Add(time.Millisecond)
	w.observe(f)
}

// reload makes the same cloud from its durable rows.
func (w *world) reload() *world {
	w.t.Helper()
	n := newWorld(w.t, w.s.options)
	n.now, n.host, n.disk, n.volumes, n.snapshots, n.images = w.now, w.host, w.disk, w.volumes, w.snapshots, w.images
	for key, text := range w.disk {
		name, row, _ := strings.Cut(key, " ")
		if err := n.c.Load(name, row, text); err != nil {
			w.t.Fatal(err)
		}
	}
	if diff := cmp.Diff(dump(w.t, w.c), dump(w.t, n.c)); diff != "" {
		w.t.Errorf("rows do not come back as they were: %s", diff)
	}
	return n
}

func dump(t testing.TB, c *cloud.Cloud) []string {
	var all []string
	c.Dump(func(name, key string, row any) bool {
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name+" "+key+" "+string(text))
		return true
	})
	return all
}
