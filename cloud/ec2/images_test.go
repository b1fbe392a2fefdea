package ec2

import (
	"reflect"
	"strings"
	"testing"
	"time"

	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

func names(out *shape.DescribeImagesOutput) string {
	var all []string
	for _, i := range out.Images {
		all = append(all, *i.Name)
	}
	return strings.Join(all, " ")
}

func filter(name string, values ...string) []shape.Filter {
	return []shape.Filter{{Name: &name, Values: values}}
}

// The look-ups that guides and modules use find exactly what they look for.
func TestUsualImageLookups(t *testing.T) {
	w := newWorld(t, Options{})
	for _, c := range []struct {
		owner, name, architecture string
		want                      int
	}{
		{"amazon", "al2023-ami-2023*-x86_64", "x86_64", 4},
		{"137112412989", "al2023-ami-*-kernel-6.1-x86_64", "", 4},
		{"amazon", "amzn2-ami-hvm-*-x86_64-gp2", "", 1},
		{"099720109477", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*", "", 1},
		{"099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*", "", 1},
		{"amazon", "al2023-ami-2023.?.*-arm64", "arm64", 4},
		{"self", "*", "", 0},
	} {
		filters := append(filter("name", c.name), filter("state", "available")...)
		if c.architecture != "" {
			filters = append(filters, filter("architecture", c.architecture)...)
		}
		out := call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{Owners: []string{c.owner}, Filters: filters})
		if len(out.Images) != c.want {
			t.Errorf("%s %s: %d images: %s", c.owner, c.name, len(out.Images), names(out))
		}
	}
	w.refused(&shape.DescribeImagesInput{ImageIds: []string{"ami-00000000000000000"}}, "InvalidAMIID.NotFound")
	w.refused(&shape.DescribeImagesInput{ImageIds: []string{"x"}}, "InvalidAMIID.Malformed")
	w.refused(&shape.DescribeImagesInput{Filters: filter("nmae", "x")}, "InvalidParameterValue")
	if lax := newWorld(t, Options{AnyImage: true}); len(lax.run(1, func(in *shape.RunInstancesInput) { in.ImageId = new("ami-12345678") })) != 1 {
		t.Error("any well-formed ID is taken")
	}
}

func TestPublicParametersNameImages(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range publicParameters() {
		if _, ok := builtin[p.Value]; !ok || seen[p.Name] {
			t.Errorf("%s = %s", p.Name, p.Value)
		}
		seen[p.Name] = true
	}
	for _, name := range []string{
		"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64",
		"/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2", "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
		"/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
	} {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
	w := newWorld(t, Options{})
	id := w.run(1, func(in *shape.RunInstancesInput) {
		in.ImageId = new("resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")
	})[0]
	if got := *w.see(id).ImageId; got != builtins[0].ID {
		t.Errorf("launched %s", got)
	}
	w.refused(&shape.RunInstancesInput{ImageId: new("resolve:ssm:/no"), MinCount: new(int32(1)), MaxCount: new(int32(1))}, "InvalidParameterValue")
}

// EC-VO-05: an image of a running instance is made with a reboot unless NoReboot; meanwhile its stop is no failure.
func TestImageOfARunningInstance(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	w.hold = true
	image := call[shape.CreateImageOutput](w, &shape.CreateImageInput{InstanceId: &id, Name: new("web v1")}).ImageId
	if got := w.wishes[len(w.wishes)-1]; !reflect.DeepEqual(got, CaptureImage{ImageID: *image, InstanceID: id, Reboot: true}) {
		t.Errorf("%+v", got)
	}
	w.now = w.now.Add(time.Second)
	w.host[id] = Stopped
	w.observe(InstanceExited{id, ExitStopped})
	w.inventory()
	w.wantState(id, Running)
	run := &shape.RunInstancesInput{ImageId: image, MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: new("t3.micro")}
	w.refused(run, "InvalidAMIID.Unavailable")
	w.refused(&shape.CreateImageInput{InstanceId: &id, Name: new("web v1")}, "InvalidParameterValue")
	w.observe(ImageCaptured{ImageID: *image, Bytes: 10})
	if got, ok := w.wishes[len(w.wishes)-1].(StartInstance); !ok || got.Spec.ID != id {
		t.Errorf("the instance is not brought back: %+v", w.wishes[len(w.wishes)-1])
	}
	w.host[id] = Running
	w.now = w.now.Add(time.Second)
	w.inventory()
	w.wantState(id, Running)
	w.refused(&shape.CreateImageInput{InstanceId: &id, Name: new("web v1"), NoReboot: new(true)}, "InvalidAMIName.Duplicate")
	call[shape.RunInstancesOutput](w, run)
	if spec := w.wishes[len(w.wishes)-1].(LaunchInstance).Spec; spec.ImageID != *image {
		t.Errorf("launches %q", spec.ImageID)
	}
	out := call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{Owners: []string{"self"}, Filters: filter("name", "web*")})
	if len(out.Images) != 1 || *out.Images[0].State != "available" || *out.Images[0].SourceInstanceId != id {
		t.Errorf("%+v", out.Images)
	}
	snapshots := call[shape.DescribeSnapshotsOutput](w, &shape.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if len(snapshots.Snapshots) != 1 || *snapshots.Snapshots[0].SnapshotId != *out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId {
		t.Errorf("%+v", snapshots.Snapshots)
	}
}

func TestImagesAreForgotten(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	call[shape.StopInstancesOutput](w, &shape.StopInstancesInput{InstanceIds: []string{id}})
	image := call[shape.CreateImageOutput](w, &shape.CreateImageInput{InstanceId: &id, Name: new("one")}).ImageId
	if got := w.wishes[len(w.wishes)-1].(CaptureImage); got.Reboot {
		t.Error("a stopped instance needs no reboot")
	}
	copied := call[shape.CopyImageOutput](w, &shape.CopyImageInput{SourceImageId: image, SourceRegion: new("us-east-1"), Name: new("two")}).ImageId
	before := len(w.wishes)
	w.forget(*image)
	if len(w.wishes) != before {
		t.Error("the content is still used by the copy")
	}
	w.refused(&shape.DescribeImagesInput{ImageIds: []string{*image}}, "InvalidAMIID.NotFound")
	w.forget(*copied)
	if got := w.wishes[len(w.wishes)-1]; got != (DeleteImage{ImageID: *image}) {
		t.Errorf("%+v", got)
	}
	w.now = w.now.Add(time.Minute)
	w.observe(Inventory{Began: w.now, Images: []string{*image}, Instances: []Seen{{id, Stopped, ""}}})
	if got := w.wishes[len(w.wishes)-1]; got != (DeleteImage{ImageID: *image}) {
		t.Error("content that stays is wished away again")
	}
	w.now = w.now.Add(time.Minute)
	w.observe(Inventory{Began: w.now, Instances: []Seen{{id, Stopped, ""}}})
	zombie := len(w.wishes)
	if n := w.s.images.Len() + w.s.snapshots.Len(); n != 0 {
		t.Errorf("%d images and snapshots are left", n)
	}
	w.observe(Inventory{Began: w.now, Images: []string{*image}, Instances: []Seen{{id, Stopped, ""}}}) // the copying ended late
	if got := w.wishes[len(w.wishes)-1]; len(w.wishes) != zombie+1 || got != (DeleteImage{ImageID: *image}) {
		t.Errorf("content that nobody knows stays: %+v", got)
	}
}

// rootSnapshot is that of an image.
func (w *world) rootSnapshot(image string) string {
	w.t.Helper()
	return *call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{ImageIds: []string{image}}).Images[0].BlockDeviceMappings[0].Ebs.SnapshotId
}

// forget does what clean-up scripts do: an image goes, then its snapshot.
func (w *world) forget(image string) {
	w.t.Helper()
	snapshot := w.rootSnapshot(image)
	w.refused(&shape.DeleteSnapshotInput{SnapshotId: &snapshot}, "InvalidSnapshot.InUse")
	call[shape.DeregisterImageOutput](w, &shape.DeregisterImageInput{ImageId: &image})
	call[shape.DeleteSnapshotOutput](w, &shape.DeleteSnapshotInput{SnapshotId: &snapshot})
	w.refused(&shape.DeleteSnapshotInput{SnapshotId: &snapshot}, "InvalidSnapshot.NotFound")
}

func TestFailedImage(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.run(1)[0]
	w.hold = true
	image := call[shape.CreateImageOutput](w, &shape.CreateImageInput{InstanceId: &id, Name: new("one")}).ImageId
	w.pass(61 * time.Second)
	if got := w.wishes[len(w.wishes)-1].(CaptureImage); got.ImageID != *image {
		t.Error("a lost wish for an image is made again")
	}
	w.observe(ImageFailed{*image, "the disk is full"})
	out := call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{ImageIds: []string{*image}})
	if *out.Images[0].State != "failed" || *out.Images[0].StateReason.Message != "the disk is full" {
		t.Errorf("%+v", out.Images[0])
	}
}

func TestSharedAndImportedImages(t *testing.T) {
	w := newWorld(t, Options{})
	out := w.step(cloud.Call{Scope: here, Service: Name, Operation: "import-image", In: &ImportImageInput{Name: "from docker"}})
	image := out.Reply.(*ImportImageOutput).ImageID
	w.pass(time.Hour)
	w.observe(ImageCaptured{ImageID: image})
	other := cloud.Scope{Account: "210987654321", Region: here.Region}
	w.scope = other
	w.refused(&shape.DescribeImagesInput{ImageIds: []string{image}}, "InvalidAMIID.NotFound")
	w.scope = here
	call[shape.ModifyImageAttributeOutput](w, &shape.ModifyImageAttributeInput{
		ImageId: &image, LaunchPermission: &shape.LaunchPermissionModifications{Add: []shape.LaunchPermission{{UserId: &other.Account}}},
	})
	w.scope = other
	if got := call[shape.DescribeImagesOutput](w, &shape.DescribeImagesInput{ExecutableUsers: []string{"self"}}); names(got) != "from docker" {
		t.Error(names(got))
	}
	w.refused(&shape.DeregisterImageInput{ImageId: &image}, "AuthFailure")
	w.run(1, func(in *shape.RunInstancesInput) { in.ImageId = &image })
}
