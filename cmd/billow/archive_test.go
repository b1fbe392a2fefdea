package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// layerOf makes a layer of lines: "dir/", "file=content", "link->target" (hard), "link~>target" (symbolic), "gone" is a
// whiteout if its name says so.
func layerOf(t *testing.T, lines ...string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, line := range lines {
		h, content := &tar.Header{Name: line, Typeflag: tar.TypeReg, Mode: 0o644}, ""
		if name, target, ok := strings.Cut(line, "->"); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeLink
		} else if name, target, ok := strings.Cut(line, "~>"); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeSymlink
		} else if name, text, ok := strings.Cut(line, "="); ok {
			h.Name, content = name, text
		} else if strings.HasSuffix(line, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func imageOf(t *testing.T, architecture string, layers ...v1.Layer) v1.Image {
	t.Helper()
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err == nil {
		image, err = mutate.ConfigFile(image, func() *v1.ConfigFile {
			c, _ := image.ConfigFile()
			c = c.DeepCopy()
			c.Architecture, c.OS, c.Config = architecture, "linux", v1.Config{Cmd: []string{"/" + architecture}}
			return c
		}())
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// unpackedOf is what an archive makes of an empty directory, a line for each file: "name=content", "name~>target".
func unpackedOf(t *testing.T, in io.Reader) []string {
	t.Helper()
	files := map[string]string{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return slices.Sorted(maps.Values(files))
		}
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(r)
		line := "=" + string(content)
		switch h.Typeflag {
		case tar.TypeDir:
			h.Name, line = strings.TrimSuffix(h.Name, "/"), "/"
		case tar.TypeSymlink:
			line = "~>" + h.Linkname
		case tar.TypeLink:
			of, there := files[h.Linkname]
			if !there {
				t.Fatalf("%s is a link to %s, which is not there", h.Name, h.Linkname)
			}
			line = of[len(h.Linkname):]
		}
		files[h.Name] = h.Name + line
	}
}

// What is in an image is what its layers leave, one over the other.
func TestLayers(t *testing.T) {
	for name, x := range map[string]struct {
		layers [][]string
		want   string
	}{
		"one":                         {[][]string{{"bin/", "bin/sh=1", "lib~>usr/lib"}}, "bin/ bin/sh=1 lib~>usr/lib"},
		"replaced":                    {[][]string{{"a=1", "b=1"}, {"a=2"}}, "a=2 b=1"},
		"removed":                     {[][]string{{"d/", "d/a=1", "d/b=1"}, {"d/", "d/.wh.a"}}, "d/ d/b=1"},
		"removed and back":            {[][]string{{"a=1"}, {".wh.a"}, {"a=3"}}, "a=3"},
		"a directory is removed":      {[][]string{{"d/", "d/a=1"}, {".wh.d"}}, ""},
		"a removed one comes back":    {[][]string{{"d/", "d/a=1"}, {".wh.d"}, {"d/", "d/b=3"}}, "d/ d/b=3"},
		"emptied":                     {[][]string{{"d/", "d/a=1", "d/e/", "d/e/x=1"}, {"d/", "d/b=2", "d/.wh..wh..opq"}}, "d/ d/b=2"},
		"all is emptied":              {[][]string{{"a=1"}, {".wh..wh..opq", "b=2"}}, "b=2"},
		"a file for a directory":      {[][]string{{"d/", "d/a=1"}, {"d=2"}}, "d=2"},
		"a directory for a file":      {[][]string{{"d=1"}, {"d/", "d/a=2"}}, "d/ d/a=2"},
		"a link for a directory":      {[][]string{{"d/", "d/a=1", "e/"}, {"d~>e"}}, "d~>e e/"},
		"hard link":                   {[][]string{{"a=1", "b->a"}}, "a=1 b=1"},
		"the other name is removed":   {[][]string{{"a=1", "b->a", "c->a"}, {".wh.a"}}, "b=1 c=1"},
		"the other name is replaced":  {[][]string{{"a=1", "b->a", "c->a"}, {"a=2"}}, "a=2 b=1 c=1"},
		"a link to a lower layer":     {[][]string{{"a=1"}, {"b->a"}}, "a=1 b=1"},
		"... that is replaced above":  {[][]string{{"a=1"}, {"b->a"}, {"a=3"}}, "a=3 b=1"},
		"names that start otherwise":  {[][]string{{"./a=1", "/b=1"}, {"./.wh.a"}}, "b=1"},
		"a layer for itself is empty": {[][]string{{"a=1"}, {}, {"b=3"}}, "a=1 b=3"},
	} {
		var layers []v1.Layer
		for _, lines := range x.layers {
			layers = append(layers, layerOf(t, lines...))
		}
		r, err := flatten(imageOf(t, runtime.GOARCH, layers...))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Join(unpackedOf(t, r), " "); got != x.want {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
		r.Close()
	}
	if _, err := flatten(imageOf(t, runtime.GOARCH, layerOf(t, "../a=1"))); err == nil || !strings.Contains(err.Error(), "points out") {
		t.Errorf("a name that points out: %v", err)
	}
}

// tarOf packs a directory.
func tarOf(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layout.tar")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(out)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	return path
}

// An OCI layout has the image for this machine, possibly among others and behind another index.
func TestLayout(t *testing.T) {
	write := func(index v1.ImageIndex) string {
		t.Helper()
		dir := t.TempDir()
		if _, err := layout.Write(dir, index); err != nil {
			t.Fatal(err)
		}
		return tarOf(t, dir)
	}
	add := func(architectures ...string) (index v1.ImageIndex) {
		index = empty.Index
		for _, a := range architectures {
			d := v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: a}}
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: imageOf(t, a, layerOf(t, "made-for="+a)), Descriptor: d})
		}
		return index
	}
	own := runtime.GOARCH
	for name, index := range map[string]v1.ImageIndex{
		"one":               mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: imageOf(t, own, layerOf(t, "made-for="+own))}),
		"several":           add("riscv64", own, "unknown"),
		"behind another":    mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: add("riscv64", own)}),
		"after another one": mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: add("s390x")}, mutate.IndexAddendum{Add: add(own)}),
	} {
		a, err := openArchive(write(index))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := fmt.Sprint(unpackedOf(t, a), a.config.Cmd); got != fmt.Sprintf("[made-for=%s] [/%s]", own, own) {
			t.Errorf("%s: %s", name, got)
		}
		a.Close()
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "billow-import-*")); len(left) > 0 && os.Getenv("TMPDIR") != "" {
		t.Errorf("left behind: %v", left)
	}
	if _, err := openArchive(write(add("s390x"))); err == nil || !strings.Contains(err.Error(), "no image for "+own+" processors; there are: s390x") {
		t.Errorf("of another machine: %v", err)
	}
}

// What docker save writes is read, and what is none is refused in a sentence.
func TestSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "saved.tar")
	image := imageOf(t, runtime.GOARCH, layerOf(t, "a=1", "b=1"), layerOf(t, ".wh.a"))
	if err := tarball.WriteToFile(path, name.MustParseReference("example.com/server:1"), image); err != nil {
		t.Fatal(err)
	}
	a, err := openArchive(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(unpackedOf(t, a), " "); got != "b=1" {
		t.Errorf("it holds %s", got)
	}
	a.Close()
	if err := tarball.WriteToFile(path, name.MustParseReference("example.com/server:1"), imageOf(t, "s390x", layerOf(t, "a=1"))); err != nil {
		t.Fatal(err)
	}
	if _, err := openArchive(path); err == nil || !strings.Contains(err.Error(), "s390x") {
		t.Errorf("of another machine: %v", err)
	}
}
