package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"github.com/billow-cloud/billow/driver"
)

// archive is a root file system as a plain tar, with what its maker wants to be run in it.
type archive struct {
	io.ReadCloser
	config       driver.ImageConfig
	architecture string // "x86_64" or "arm64"
}

// architectures are the names of processors, Go's and AWS's.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "arm64"}

// openArchive opens a root file system, or what docker save writes, with its layers laid over each other.
func openArchive(path string) (*archive, error) {
	kind, err := kindOf(path)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "docker":
		return openSaved(path)
	case "oci":
		return openLayout(path)
	}
	plain, err := unpressed(path)
	if err != nil {
		return nil, err
	}
	return &archive{ReadCloser: plain, architecture: architectures[runtime.GOARCH]}, nil
}

// kindOf looks through an archive for what tells its kind: "docker", "oci", or "" for a root file system.
func kindOf(path string) (string, error) {
	in, err := unpressed(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	r := tar.NewReader(io.LimitReader(in, 2*driver.ImportLimit))
	kind, entries := "", 0
	for ; ; entries++ {
		h, err := r.Next()
		switch {
		case err == io.EOF && entries > 0:
			return kind, nil
		case err != nil:
			return "", fmt.Errorf("this is no archive that can be read: %w", err)
		case entries > 2*driver.ImportEntries:
			return "", fmt.Errorf("the archive has more than %d files", driver.ImportEntries)
		}
		switch strings.TrimPrefix(h.Name, "./") {
		case "manifest.json":
			head := make([]byte, 1)
			if n, _ := r.Read(head); n == 1 && head[0] == '[' {
				return "docker", nil
			}
		case "oci-layout":
			kind = "oci"
		}
	}
}

// openSaved reads what docker save writes.
func openSaved(path string) (*archive, error) {
	image, err := tarball.Image(func() (io.ReadCloser, error) { return unpressed(path) }, nil)
	if err != nil {
		return nil, fmt.Errorf("reading what docker save wrote: %w", err)
	}
	return openImage(image, nil)
}

// openLayout reads an OCI layout, as buildx, skopeo and podman write it. Its index is looked up by digest, so it is unpacked
// to a directory that is there until the archive is closed.
func openLayout(path string) (_ *archive, err error) {
	dir, err := os.MkdirTemp("", "billow-import-")
	if err != nil {
		return nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
			err = fmt.Errorf("reading an OCI layout: %w", err)
		}
	}()
	if err := unpackLayout(path, dir); err != nil {
		return nil, err
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	image, err := ownImage(index)
	if err != nil {
		return nil, err
	}
	return openImage(image, remove)
}

// unpackLayout writes the files of a layout to a directory, and nowhere else.
func unpackLayout(path, dir string) error {
	in, err := unpressed(path)
	if err != nil {
		return err
	}
	defer in.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := int64(driver.ImportLimit)
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := clean(h.Name)
		if h.Typeflag != tar.TypeReg || name != "index.json" && name != "oci-layout" && !strings.HasPrefix(name, "blobs/") {
			continue
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("it has more than %d GiB", driver.ImportLimit>>30)
		}
		if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		file, err := root.Create(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, r)
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
}

// ownImage finds the image for this machine's processors in an index, or in one that it leads to.
func ownImage(index v1.ImageIndex) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var others []string
	for _, d := range manifest.Manifests {
		switch p := d.Platform; {
		case d.MediaType.IsIndex():
			below, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			if image, err := ownImage(below); err == nil {
				return image, nil
			}
		case !d.MediaType.IsImage():
		case p == nil || p.Architecture == runtime.GOARCH:
			return index.Image(d.Digest)
		case p.Architecture != "unknown": // that is no image but what is attested of one
			others = append(others, p.Architecture)
		}
	}
	return nil, fmt.Errorf("it has no image for %s processors; there are: %s", runtime.GOARCH, cmp.Or(strings.Join(others, ", "), "none"))
}

// openImage reads an image's file system and configuration; done, if there is one, is called when it is closed.
func openImage(image v1.Image, done func()) (*archive, error) {
	described, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the image's configuration: %w", err)
	}
	if described.OS != "" && described.OS != "linux" {
		return nil, fmt.Errorf("it is an image for %s; instances run Linux", described.OS)
	}
	architecture, known := architectures[described.Architecture]
	if !known || architecture != architectures[runtime.GOARCH] {
		return nil, fmt.Errorf("it is an image for %s processors; this machine has %s", described.Architecture, runtime.GOARCH)
	}
	files, err := flatten(image)
	if err != nil {
		return nil, err
	}
	return &archive{closing{files, done}, configOf(described.Config), architecture}, nil
}

// closing does something more when it is closed.
type closing struct {
	io.ReadCloser
	done func()
}

func (c closing) Close() error {
	err := c.ReadCloser.Close()
	if c.done != nil {
		c.done()
	}
	return err
}

func configOf(c v1.Config) driver.ImageConfig {
	return driver.ImageConfig{Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env, WorkingDir: c.WorkingDir, User: c.User}
}

// unpressed opens a file and takes compression away, if there is any.
func unpressed(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 4)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		file.Close()
		return nil, errors.New("the file is empty or cannot be read")
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		file.Close()
		return nil, errors.New("this is no plain file; - reads standard input")
	}
	var plain io.Reader
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		plain, err = gzip.NewReader(bufio.NewReaderSize(file, 1<<16))
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var d *zstd.Decoder
		if d, err = zstd.NewReader(file, zstd.WithDecoderMaxMemory(256<<20), zstd.WithDecoderConcurrency(1)); err == nil {
			plain = d.IOReadCloser()
		}
	default:
		return file, nil
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("the file looks compressed but is not: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, file}, nil
}

// spool writes standard input to a file: an archive is gone through more than once.
func spool(in io.Reader) (path string, err error) {
	out, err := os.CreateTemp("", "billow-import-")
	if err != nil {
		return "", err
	}
	n, err := io.Copy(out, io.LimitReader(in, 2*driver.ImportLimit))
	if err == nil && n == 2*driver.ImportLimit {
		err = errors.New("it is too large")
	}
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(out.Name())
		return "", fmt.Errorf("standard input: %w", err)
	}
	return out.Name(), nil
}
