package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/billow-cloud/billow/cloud/ssm"
)

// The owners of the built-in images.
const (
	amazon    = "137112412989"
	canonical = "099720109477"
)

// builtins are the images that exist without being made, newest first of each kind. Their names and owners are those
// that look-ups search for; what they hold is the host's own programs, and their description says so.
var (
	builtins = makeBuiltins()
	builtin  = indexed(builtins)
)

func makeBuiltins() []Image {
	var all []Image
	add := func(owner, name, architecture, system, root string, made time.Time) {
		all = append(all, Image{
			ID: imageID(name), Name: name, Owner: owner, Architecture: architecture, State: imageAvailable, Created: made, Public: true,
			Description: "Billow built-in image under the name of " + system + ": it runs the host's own programs, whatever system the host is",
			RootDevice:  root, Size: 8, SnapshotID: "snap-" + imageID(name)[len("ami-"):], BuiltIn: true,
		})
	}
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	for _, arch := range []struct{ amazon, ubuntu string }{{"x86_64", "amd64"}, {"arm64", "arm64"}} {
		for _, r := range []struct {
			version string
			made    time.Time
		}{{"2023.9.20251117.1", day(2025, 11, 18)}, {"2023.8.20250818.0", day(2025, 8, 19)}} {
			for _, kernel := range []string{"6.1", "6.12"} {
				add(amazon, "al2023-ami-"+r.version+"-kernel-"+kernel+"-"+arch.amazon, arch.amazon, "Amazon Linux 2023", "/dev/xvda", r.made)
				add(amazon, "al2023-ami-minimal-"+r.version+"-kernel-"+kernel+"-"+arch.amazon, arch.amazon, "Amazon Linux 2023 (minimal)", "/dev/xvda", r.made)
			}
		}
		add(amazon, "amzn2-ami-kernel-5.10-hvm-2.0.20251110.1-"+arch.amazon+"-gp2", arch.amazon, "Amazon Linux 2", "/dev/xvda", day(2025, 11, 11))
		add(amazon, "amzn2-ami-hvm-2.0.20251110.1-"+arch.amazon+"-gp2", arch.amazon, "Amazon Linux 2", "/dev/xvda", day(2025, 11, 11))
		add(canonical, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-"+arch.ubuntu+"-server-20251015", arch.amazon, "Ubuntu 22.04", "/dev/sda1", day(2025, 10, 15))
		add(canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-"+arch.ubuntu+"-server-20251022", arch.amazon, "Ubuntu 24.04", "/dev/sda1", day(2025, 10, 22))
	}
	return all
}

// imageID is a built-in image's ID: made of its name, so it never changes.
func imageID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "ami-0" + hex.EncodeToString(sum[:8])
}

func indexed(all []Image) map[string]Image {
	m := map[string]Image{}
	for _, i := range all {
		m[i.ID] = i
	}
	return m
}

// standardImage is what an unknown image ID means when any ID is taken.
func standardImage() Image { return builtins[0] }

// publicParameters are the names under which clients look the built-in images up.
func publicParameters() []ssm.Public {
	var all []ssm.Public
	newest := func(head, tail string) Image {
		i := slices.IndexFunc(builtins, func(i Image) bool { return strings.HasPrefix(i.Name, head) && strings.HasSuffix(i.Name, tail) })
		return builtins[i]
	}
	add := func(name string, i Image) {
		all = append(all, ssm.Public{Name: name, Value: i.ID, DataType: "aws:ec2:image", Description: i.Description, Modified: i.Created})
	}
	const latest = "/aws/service/ami-amazon-linux-latest/"
	const ubuntu = "/aws/service/canonical/ubuntu/server/"
	for _, arch := range []struct{ amazon, ubuntu string }{{"x86_64", "amd64"}, {"arm64", "arm64"}} {
		for _, kernel := range []string{"default", "6.1", "6.12"} {
			is := kernel
			if is == "default" {
				is = "6.1"
			}
			add(latest+"al2023-ami-kernel-"+kernel+"-"+arch.amazon, newest("al2023-ami-2023", "-kernel-"+is+"-"+arch.amazon))
			add(latest+"al2023-ami-minimal-kernel-"+kernel+"-"+arch.amazon, newest("al2023-ami-minimal-", "-kernel-"+is+"-"+arch.amazon))
		}
		plain, kernel := newest("amzn2-ami-hvm-", arch.amazon+"-gp2"), newest("amzn2-ami-kernel-", arch.amazon+"-gp2")
		add(latest+"amzn2-ami-hvm-"+arch.amazon+"-gp2", plain)
		add(latest+"amzn2-ami-hvm-"+arch.amazon+"-ebs", plain)
		add(latest+"amzn2-ami-kernel-5.10-hvm-"+arch.amazon+"-gp2", kernel)
		add(latest+"amzn2-ami-kernel-5.10-hvm-"+arch.amazon+"-ebs", kernel)
		for _, r := range []struct{ version, name string }{{"22.04", "jammy"}, {"jammy", "jammy"}, {"24.04", "noble"}, {"noble", "noble"}} {
			image := builtins[slices.IndexFunc(builtins, func(i Image) bool {
				return strings.Contains(i.Name, "ubuntu-"+r.name) && i.Architecture == arch.amazon
			})]
			for _, disk := range []string{"ebs-gp2", "ebs-gp3"} {
				add(ubuntu+r.version+"/stable/current/"+arch.ubuntu+"/hvm/"+disk+"/ami-id", image)
			}
		}
	}
	return all
}
