package keeper

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// base is the built-in image: the host's programs, and below base/root a root
// directory with an /etc of its own. It is made anew whenever a keeper starts,
// when no instance uses it, in memory: a thousand small files are slow to make
// on a disk that has just seen many deleted.
type base struct {
	tops []string // top directories that are overlays over the host's
}

// topDirectories hold programs and nothing else. /opt is not among them: what
// people keep there is theirs.
var topDirectories = []string{"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix"}

// etcNames are the parts of /etc that programs need to run. Of these only what
// every user of the host may read is taken. Places where people put settings
// of their own, tokens and proxies among them, are not in the list.
var etcNames = []string{
	"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl", "pki", "ca-certificates", "ca-certificates.conf",
	"crypto-policies", "nsswitch.conf", "protocols", "services", "networks", "rpc", "ethertypes", "netconfig", "host.conf", "gai.conf",
	"mime.types", "magic", "magic.mime", "mailcap", "os-release", "debian_version", "redhat-release", "system-release", "fedora-release",
	"alpine-release", "arch-release", "lsb-release", "localtime", "timezone", "locale.conf", "locale.alias",
	"profile", "profile.d", "bash.bashrc", "bashrc", "bash_completion.d", "inputrc", "skel", "shells", "login.defs",
	"terminfo", "vimrc", "vim", "nanorc", "pam.d", "pam.conf", "security", "sudo.conf", "logrotate.conf",
	"apache2", "httpd", "nginx", "lighttpd", "php", "php.ini", "php.d", "php-fpm.conf", "php-fpm.d", "perl", "ruby", "java",
	"fonts", "gtk-2.0", "X11", "dpkg", "mke2fs.conf", "python", "python3", "debconf.conf", "adduser.conf", "deluser.conf", "papersize",
	"postgresql-common", "magic.mgc", "screenrc", "tmux.conf",
}

// etcPrefixes are names with a version in them.
var etcPrefixes = []string{"python3.", "java-", "php", "perl5", "ruby"}

// needBase waits for the built-in image; if it could not be made at start, it
// is tried again.
func (k *keeper) needBase() error {
	<-k.baseMade
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.base != nil {
		return nil
	}
	var err error
	k.base, err = makeBase("/proc/self/exe", k.rootless)
	return err
}

// makeBase builds base/ below the working directory.
func makeBase(executable string, rootless bool) (*base, error) {
	unix.Unmount("base", unix.MNT_DETACH) // of an attempt that failed
	if err := errors.Join(os.RemoveAll("base"), os.Mkdir("base", 0o755)); err != nil {
		return nil, err
	}
	if err := unix.Mount("tmpfs", "base", "tmpfs", unix.MS_NODEV, "mode=755"); err != nil {
		return nil, err
	}
	b := &base{}
	if err := makeSkeleton(); err != nil {
		return nil, err
	}
	if err := b.makeTops(); err != nil {
		return nil, err
	}
	os.Symlink("/run", "base/root/var/run")
	os.Symlink("/run/lock", "base/root/var/lock")
	os.Chown("base/root/home/ec2-user", firstUser, firstUser) // without root there is one user only, who owns it
	mirrorVar()
	if rootless {
		b.mirrorPrograms()
	}
	if err := makeEtc(); err != nil {
		return nil, fmt.Errorf("making /etc of the built-in image: %w", err)
	}
	if err := makeTools(executable); err != nil {
		return nil, fmt.Errorf("putting billow into the built-in image: %w", err)
	}
	return b, nil
}

// makeSkeleton makes the directories that every system has.
func makeSkeleton() error {
	for _, dir := range []struct {
		path string
		mode fs.FileMode
	}{
		{"base/root", 0o755}, {"base/root/proc", 0o555}, {"base/root/sys", 0o555}, {"base/root/dev", 0o755}, {"base/root/run", 0o755},
		{"base/root/tmp", 0o777 | fs.ModeSticky}, {"base/root/root", 0o700}, {"base/root/home/ec2-user", 0o755}, {"base/root/mnt", 0o755},
		{"base/root/media", 0o755}, {"base/root/srv", 0o755}, {"base/root/opt", 0o755}, {"base/root/boot", 0o755}, {"base/root/etc", 0o755},
		{"base/root/var/log", 0o755}, {"base/root/var/lib/cloud/scripts/per-boot", 0o755}, {"base/root/var/cache", 0o755},
		{"base/root/var/spool", 0o755}, {"base/root/var/www/html", 0o755}, {"base/root/var/tmp", 0o777 | fs.ModeSticky},
		{"base/usr/local/sbin", 0o755},
	} {
		if err := os.MkdirAll(dir.path, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir.path, dir.mode); err != nil {
			return err
		}
	}
	return nil
}

// makeTops finds the host's top directories. Links are copied as they are.
func (b *base) makeTops() error {
	for _, top := range topDirectories {
		info, err := os.Lstat("/" + top)
		switch {
		case err != nil:
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink("/" + top)
			if err == nil {
				err = os.Symlink(target, filepath.Join("base/root", top))
			}
			if err != nil {
				return err
			}
		case info.IsDir():
			if err := os.Mkdir(filepath.Join("base/root", top), 0o755); err != nil {
				return err
			}
			b.tops = append(b.tops, top)
		}
	}
	return nil
}

// mirrorVar makes the empty directories that installed programs expect to
// find, such as /var/log/apache2, with their owners.
func mirrorVar() {
	for _, parent := range []string{"var/log", "var/lib", "var/cache", "var/spool"} {
		entries, _ := os.ReadDir("/" + parent)
		for _, entry := range entries {
			var st unix.Stat_t
			path := filepath.Join(parent, entry.Name())
			if !entry.IsDir() || unix.Lstat("/"+path, &st) != nil || os.Mkdir("base/root/"+path, 0o755) != nil {
				continue
			}
			os.Chown("base/root/"+path, int(st.Uid), int(st.Gid))
			os.Chmod("base/root/"+path, fs.FileMode(st.Mode&0o777))
		}
	}
}

// mirrorDirectories makes the upper levels of a top directory in base/. Without
// root, the host's own directories have an owner that does not exist inside,
// and nobody could make or remove a file there; in a merged directory, the
// uppermost layer's owner counts.
func mirrorDirectories(path string, depth int) {
	if info, err := os.Lstat("/" + path); err != nil || !info.IsDir() || os.MkdirAll("base/"+path, 0o755) != nil || depth == 0 {
		return
	}
	entries, _ := os.ReadDir("/" + path)
	for _, entry := range entries {
		if entry.IsDir() {
			mirrorDirectories(path+"/"+entry.Name(), depth-1)
		}
	}
}

// mirrorPrograms does that where programs are usually added.
func (b *base) mirrorPrograms() {
	for _, top := range b.tops {
		mirrorDirectories(top, 2)
	}
	mirrorDirectories("usr/local", 4)
	for _, pattern := range []string{"/usr/lib/python3*/*-packages", "/usr/lib/*-linux-gnu/*"} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			mirrorDirectories(path[1:], 0)
		}
	}
}

const firstUser = 1000

func makeEtc() error {
	entries, err := os.ReadDir("/etc")
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, name := range etcNames {
		wanted[name] = true
	}
	for _, entry := range entries {
		take := wanted[entry.Name()]
		for _, prefix := range etcPrefixes {
			take = take || strings.HasPrefix(entry.Name(), prefix)
		}
		if take {
			if err := copyPublic("/etc/"+entry.Name(), "base/root/etc/"+entry.Name()); err != nil {
				return err
			}
		}
	}
	users, groups := accounts()
	for name, content := range map[string]string{
		"passwd": users, "group": groups,
		"shadow": "root:*:19000:0:99999:7:::\nec2-user:*:19000:0:99999:7:::\n",
		"fstab":  "", "hostname": "localhost\n", "hosts": "127.0.0.1 localhost\n",
		"resolv.conf": "nameserver " + resolverAddress + "\n",
		"motd":        "", "machine-id": "", "mtab": "",
	} {
		path := "base/root/etc/" + name
		switch name {
		case "mtab":
			if err := os.Symlink("/proc/self/mounts", path); err != nil {
				return err
			}
		case "shadow":
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				return err
			}
		default:
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				return err
			}
		}
	}
	if _, err := os.Lstat("base/root/etc/nsswitch.conf"); err != nil {
		return os.WriteFile("base/root/etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files dns\n"), 0o644)
	}
	return nil
}

// accounts keeps the host's system users and groups, without members, and adds
// ec2-user. People's accounts stay outside.
func accounts() (users, groups string) {
	var u, g strings.Builder
	system := func(id string) bool {
		n, err := strconv.Atoi(id)
		return err == nil && n > 0 && (n < firstUser || n == 65534)
	}
	u.WriteString("root:x:0:0:root:/root:/bin/bash\n")
	for line := range strings.Lines(readString("/etc/passwd")) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 7 && system(f[2]) {
			fmt.Fprintf(&u, "%s:x:%s:%s:%s:%s:%s\n", f[0], f[2], f[3], f[0], f[5], f[6])
		}
	}
	fmt.Fprintf(&u, "ec2-user:x:%d:%d:EC2 Default User:/home/ec2-user:/bin/bash\n", firstUser, firstUser)
	g.WriteString("root:x:0:\n")
	for line := range strings.Lines(readString("/etc/group")) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 4 && system(f[2]) {
			fmt.Fprintf(&g, "%s:x:%s:\n", f[0], f[2])
		}
	}
	fmt.Fprintf(&g, "ec2-user:x:%d:\n", firstUser)
	return u.String(), g.String()
}

// copyPublic copies what everybody may read: regular files, directories and
// links. Private keys are not taken even if somebody left them readable.
func copyPublic(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return nil
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(from)
		if err != nil {
			return nil
		}
		return os.Symlink(target, to)
	case unix.S_IFDIR:
		if st.Mode&0o005 != 0o005 || filepath.Base(from) == "private" {
			return nil
		}
		entries, err := os.ReadDir(from)
		if err != nil {
			return nil
		}
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		for _, entry := range entries {
			if err := copyPublic(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
				return err
			}
		}
	case unix.S_IFREG:
		if st.Mode&0o004 == 0 || st.Size > 4<<20 || strings.HasSuffix(from, ".key") {
			return nil
		}
		content, err := os.ReadFile(from)
		if err != nil || strings.Contains(string(content), "PRIVATE KEY-----") {
			return nil
		}
		return os.WriteFile(to, content, fs.FileMode(st.Mode&0o777))
	}
	return nil
}

// powerScript stands in for the commands of an init system: our init has no
// such interface, the keeper reads a pipe instead.
const powerScript = `#!/bin/sh
# Tells Billow to power this instance off, or to boot it again.
what=poweroff
case "${0##*/}" in reboot) what=reboot ;; esac
for a; do case "$a" in -r|--reboot) what=reboot ;; -c) exit 0 ;; esac; done
echo $what > /run/billow/power
`

// makeTools puts this program in as /usr/local/bin/billow, by a layer of its
// own on the disk, and the power commands.
func makeTools(executable string) error {
	const own = "tools/usr/local/bin/billow"
	if err := errors.Join(os.RemoveAll("tools"), os.MkdirAll("tools/usr/local/bin", 0o755)); err != nil {
		return err
	}
	if os.Link(executable, own) != nil {
		if err := copyFile(executable, own, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"poweroff", "halt", "shutdown", "reboot"} {
		if err := os.WriteFile("base/usr/local/sbin/"+name, []byte(powerScript), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies content, sharing blocks where the file system can do that.
func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) != nil {
		_, err = io.Copy(out, in) // copy_file_range underneath
	}
	return errors.Join(err, out.Close())
}
