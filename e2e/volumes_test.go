package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// needVolumes skips a test where there can be no block devices.
func needVolumes(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("volumes are loop devices, which take root")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("volumes are loop devices: %v", err)
	}
	need(t, "aws", "mkfs.ext4")
}

func (s *server) awaitVolume(id, state string) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, id+" is "+state, func() bool {
		return s.text("ec2", "describe-volumes", "--volume-ids", id, "--query", "Volumes[0].State") == state
	})
}

func (s *server) awaitAttached(id string) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, id+" is attached", func() bool {
		return s.text("ec2", "describe-volumes", "--volume-ids", id, "--query", "Volumes[0].Attachments[0].State") == "attached"
	})
}

func (s *server) awaitSnapshot(id string) {
	s.t.Helper()
	eventually(s.t, 30*time.Second, id+" is completed", func() bool {
		return s.text("ec2", "describe-snapshots", "--snapshot-ids", id, "--query", "Snapshots[0].State") == "completed"
	})
}

func (s *server) zoneOf(id string) string {
	s.t.Helper()
	return s.text("ec2", "describe-instances", "--instance-ids", id, "--query", "Reservations[0].Instances[0].Placement.AvailabilityZone")
}

// sh runs a script in an instance, which must succeed.
func (s *server) sh(instance, script string) string {
	s.t.Helper()
	out, err := s.exec(instance, "sh", "-c", script)
	if err != nil {
		s.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(out)
}

// TestVolumes is the story of a database's disk: made, formatted and mounted by user data, kept by a snapshot while rows are
// being written, and brought back in another zone.
func TestVolumes(t *testing.T) {
	needVolumes(t)
	t.Parallel()
	s := start(t)
	subnets := s.defaultSubnets()

	// The instance waits for its volume, as on AWS, then formats and mounts it.
	database := s.text("ec2", "run-instances", "--image-id", s.amazonLinux(), "--instance-type", "t2.micro", "--subnet-id", subnets[0],
		"--user-data", s.file("user-data", "#!/bin/sh -e\nwhile [ ! -b /dev/sdf ]; do sleep 0.05; done\nmkfs.ext4 -q /dev/sdf\nmkdir /data\n"+
			"echo '/dev/sdf /data ext4 defaults,nofail 0 2' >> /etc/fstab\nmount -a\n"+
			"(n=0; while :; do n=$((n+1)); echo row $n >> /data/rows; done) >/dev/null 2>&1 &\n"), "--query", "Instances[0].InstanceId")
	s.awaitState(database, "running")
	zone := s.zoneOf(database)
	volume := s.text("ec2", "create-volume", "--availability-zone", zone, "--size", "1", "--query", "VolumeId",
		"--tag-specifications", "ResourceType=volume,Tags=[{Key=Name,Value=rows}]")
	s.awaitVolume(volume, "available")
	s.aws(nil, "ec2", "attach-volume", "--volume-id", volume, "--instance-id", database, "--device", "/dev/sdf")
	s.awaitAttached(volume)
	eventually(t, 20*time.Second, "rows are written", func() bool {
		out, _ := s.exec(database, "tail", "-1", "/data/rows")
		return strings.HasPrefix(out, "row")
	})
	if out, err := s.awsCLI("ec2", "detach-volume", "--volume-id", volume); err != nil { // mounted: it stays
		t.Errorf("%v: %s", err, out)
	}
	eventually(t, 10*time.Second, "the mounted volume is busy", func() bool {
		return s.text("ec2", "describe-volumes", "--volume-ids", volume, "--query", "Volumes[0].Attachments[0].State") == "busy"
	})

	// A snapshot while rows are written holds the rows up to one of them.
	s.sh(database, "sync")
	least := s.sh(database, "wc -l < /data/rows")
	snapshot := s.text("ec2", "create-snapshot", "--volume-id", volume, "--query", "SnapshotId")
	s.sh(database, "echo after > /data/later; sync")
	s.awaitSnapshot(snapshot)

	// In another zone: the volume itself cannot go there, one of the snapshot can.
	standby := s.runInstance("#!/bin/sh\n", "--subnet-id", subnets[1])
	other := s.zoneOf(standby)
	if other == zone {
		t.Fatalf("both instances are in %s", zone)
	}
	spare := s.text("ec2", "create-volume", "--availability-zone", zone, "--size", "1", "--query", "VolumeId")
	s.awaitVolume(spare, "available")
	if out, err := s.awsCLI("ec2", "attach-volume", "--volume-id", spare, "--instance-id", standby, "--device", "/dev/sdg"); err == nil || !strings.Contains(string(out)+err.Error(), "InvalidVolume.ZoneMismatch") {
		t.Errorf("a volume of another zone: %v: %s", err, out)
	}
	copied := s.text("ec2", "create-volume", "--availability-zone", other, "--snapshot-id", snapshot, "--query", "VolumeId")
	s.awaitVolume(copied, "available")
	s.aws(nil, "ec2", "attach-volume", "--volume-id", copied, "--instance-id", standby, "--device", "/dev/xvdf")
	s.awaitAttached(copied)
	out := s.sh(standby, "mkdir /data && mount /dev/sdf /data && test ! -e /data/later && awk '{ if ($0 != \"row \" NR) exit 1 } END { print NR }' /data/rows")
	var rows, atLeast int
	fmt.Sscan(out, &rows)
	if fmt.Sscan(least, &atLeast); rows < atLeast {
		t.Errorf("the snapshot holds %d rows, %d were there before it", rows, atLeast)
	}

	// What is gone is gone, what was attached by hand stays.
	s.aws(nil, "ec2", "terminate-instances", "--instance-ids", database)
	s.awaitState(database, "terminated")
	s.awaitVolume(volume, "available")
	s.aws(nil, "ec2", "delete-volume", "--volume-id", volume)
	s.aws(nil, "ec2", "delete-snapshot", "--snapshot-id", snapshot)
	eventually(t, 10*time.Second, "the volume is gone", func() bool {
		_, err := s.awsCLI("ec2", "describe-volumes", "--volume-ids", volume)
		return err != nil
	})
}

// TestVolumesOfImages: block device mappings make volumes, an image of an instance carries theirs, and all of it is there
// again after the server was killed. Its snapshots outlive the image, and another one is registered of them.
func TestVolumesOfImages(t *testing.T) {
	needVolumes(t)
	t.Parallel()
	s := start(t)
	web := s.runInstance("#!/bin/sh -e\nmkfs.ext4 -q /dev/sdh\nmkdir /shop\nmount /dev/sdh /shop\necho pages > /shop/index\necho open > /etc/shop\n",
		"--block-device-mappings", "DeviceName=/dev/sdh,Ebs={VolumeSize=1,DeleteOnTermination=true}")
	image := s.text("ec2", "create-image", "--instance-id", web, "--name", "shop", "--query", "ImageId")
	s.awaitImage(image)
	s.awaitState(web, "running")
	s.stop(os.Kill)
	s.run()
	larger := s.text("ec2", "run-instances", "--image-id", image, "--instance-type", "t2.small", "--query", "Instances[0].InstanceId")
	s.awaitState(larger, "running")
	if got := s.sh(larger, "mount /dev/sdh /shop && cat /shop/index"); got != "pages" {
		t.Errorf("the image's volume holds %q", got)
	}
	volume := s.text("ec2", "describe-instances", "--instance-ids", larger, "--query", "Reservations[0].Instances[0].BlockDeviceMappings[1].Ebs.VolumeId")
	s.aws(nil, "ec2", "terminate-instances", "--instance-ids", larger)
	s.awaitState(larger, "terminated")
	eventually(t, 10*time.Second, "its volume has ended with it", func() bool {
		_, err := s.awsCLI("ec2", "describe-volumes", "--volume-ids", volume)
		return err != nil
	})

	snapshots := s.texts("ec2", "describe-images", "--image-ids", image, "--query", "Images[0].BlockDeviceMappings[].Ebs.SnapshotId")
	if out, err := s.awsCLI("ec2", "delete-snapshot", "--snapshot-id", snapshots[0]); err == nil || !strings.Contains(string(out)+err.Error(), "InvalidSnapshot.InUse") {
		t.Errorf("a snapshot of an image: %v: %s", err, out)
	}
	s.aws(nil, "ec2", "deregister-image", "--image-id", image)
	again := s.text("ec2", "register-image", "--name", "again", "--root-device-name", "/dev/xvda", "--architecture", "x86_64", "--query", "ImageId",
		"--block-device-mappings", "DeviceName=/dev/xvda,Ebs={SnapshotId="+snapshots[0]+"}", "DeviceName=/dev/sdh,Ebs={SnapshotId="+snapshots[1]+"}")
	third := s.text("ec2", "run-instances", "--image-id", again, "--instance-type", "t2.micro", "--query", "Instances[0].InstanceId")
	s.awaitState(third, "running")
	if got := s.sh(third, "mount /dev/sdh /shop && cat /etc/shop /shop/index"); got != "open\npages" {
		t.Errorf("the registered image holds %q", got)
	}
	s.aws(nil, "ec2", "deregister-image", "--image-id", again, "--delete-associated-snapshots")
	if left := s.texts("ec2", "describe-snapshots", "--owner-ids", "self", "--query", "Snapshots[].SnapshotId"); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// program is a static server that answers with its environment and its working directory.
const program = `package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	dir, _ := os.Getwd()
	http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.Getenv("COLOUR"), " ", dir)
	}))
}
`

// buildProgram builds the server.
func buildProgram(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "main.go")
	if err := os.WriteFile(path, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "server"), path)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "server"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// packed is an archive of one file.
func packed(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	w.Write(content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// saved is what docker save writes of an image with one layer.
func saved(t testing.TB, layer []byte, config v1.Config) string {
	t.Helper()
	made, err := tarball.LayerFromReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, made)
	if err == nil {
		described, _ := image.ConfigFile()
		described = described.DeepCopy()
		described.Architecture, described.OS, described.Config = runtime.GOARCH, "linux", config
		image, err = mutate.ConfigFile(image, described)
	}
	path := filepath.Join(t.TempDir(), "saved.tar")
	if err == nil {
		err = tarball.WriteToFile(path, name.MustParseReference("example.com/server:1"), image)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestImageImport: an empty root file system with a program is an image like any other, from docker save or by itself.
func TestImageImport(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t)
	server := buildProgram(t)
	path := saved(t, packed(t, "bin/server", server), v1.Config{Entrypoint: []string{"/bin/server"}, Cmd: []string{":80"}, Env: []string{"COLOUR=blue"}, WorkingDir: "/srv/data"})
	out, err := s.billow("image", "import", "--data", s.data, path, "--name", "server").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	image := strings.TrimSpace(string(out))
	if state := s.text("ec2", "describe-images", "--image-ids", image, "--query", "Images[0].State"); state != "available" {
		t.Errorf("the image is %s", state)
	}
	id := s.text("ec2", "run-instances", "--image-id", image, "--instance-type", "t2.micro", "--query", "Instances[0].InstanceId")
	s.awaitState(id, "running")
	client := s.runInstance("#!/bin/sh\n")
	address := s.text("ec2", "describe-instances", "--instance-ids", id, "--query", "Reservations[0].Instances[0].PrivateIpAddress")
	eventually(t, 20*time.Second, "its program answers", func() bool {
		out, err := s.exec(client, "curl", "-s", "--max-time", "1", "http://"+address+"/")
		return err == nil && out == "blue /srv/data"
	})

	// A group behind a load balancer, of a template with it.
	s.aws(nil, "ec2", "create-launch-template", "--launch-template-name", "server", "--launch-template-data", mustJSON(t, map[string]any{
		"ImageId": image, "InstanceType": "t2.micro",
	}))
	subnets := s.defaultSubnets()
	targets := s.text("elbv2", "create-target-group", "--name", "server", "--protocol", "HTTP", "--port", "80", "--health-check-interval-seconds", "5",
		"--health-check-timeout-seconds", "2", "--vpc-id", s.text("ec2", "describe-vpcs", "--query", "Vpcs[0].VpcId"), "--query", "TargetGroups[0].TargetGroupArn")
	lb := s.texts("elbv2", "create-load-balancer", "--name", "server", "--subnets", subnets[0], subnets[1], "--query", "LoadBalancers[0].[LoadBalancerArn,DNSName]")
	s.aws(nil, "elbv2", "create-listener", "--load-balancer-arn", lb[0], "--protocol", "HTTP", "--port", "80", "--default-actions", "Type=forward,TargetGroupArn="+targets)
	s.aws(nil, "autoscaling", "create-auto-scaling-group", "--auto-scaling-group-name", "server", "--launch-template", "LaunchTemplateName=server",
		"--min-size", "1", "--max-size", "1", "--vpc-zone-identifier", strings.Join(subnets, ","), "--target-group-arns", targets)
	eventually(t, 60*time.Second, "the load balancer answers", func() bool {
		status, body, err := s.get(lb[1], "/")
		return err == nil && status == 200 && body == "blue /srv/data"
	})

	// A plain root file system, compressed, has no program of its own; user data runs what is in it.
	var pressed bytes.Buffer
	z := gzip.NewWriter(&pressed)
	z.Write(packed(t, "./server", server))
	z.Close()
	plain := strings.TrimPrefix(s.file("root.tar.gz", pressed.String()), "file://")
	out, err = s.billow("image", "import", "--data", s.data, plain, "--name", "plain").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	bare := s.text("ec2", "run-instances", "--image-id", strings.TrimSpace(string(out)), "--instance-type", "t2.micro",
		"--user-data", s.file("user-data", "#!/server :81\n"), "--query", "Instances[0].InstanceId")
	s.awaitState(bare, "running")

	// What must not be taken is refused in one sentence, and leaves no image.
	for name, content := range map[string][]byte{
		"escape": packed(t, "../../escaped", []byte("x")), "nothing": nil, "noise": bytes.Repeat([]byte("noise"), 1000),
	} {
		out, err := s.billow("image", "import", "--data", s.data, strings.TrimPrefix(s.file(name, string(content)), "file://"), "--name", "bad").CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "billow: ") || strings.Count(strings.TrimSpace(string(out)), "\n") > 0 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	var images struct{ Images []struct{ Name string } }
	text, err := s.awsCLI("ec2", "describe-images", "--owners", "self")
	if err == nil {
		err = json.Unmarshal(text, &images)
	}
	if err != nil || len(images.Images) != 2 {
		t.Errorf("the images are %+v, %v", images, err)
	}
}
