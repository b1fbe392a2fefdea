package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/billow-cloud/billow/driver"
)

// The names by which a layer takes away what layers below it have: one entry, or all that is in a directory.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// cover is what the layers above do to a name in those below.
type cover int

const (
	isDirectory cover = iota + 1 // hides what is no directory
	isEmptied                    // ... and what is below it
	isReplaced                   // hides everything
)

// place is an entry of a layer.
type place struct {
	layer int
	name  string
}

// flat is the file system of an image: its layers laid over each other, as one archive. The lowest layer comes first, so
// that hard links come after what they are of.
type flat struct {
	layers []v1.Layer
	files  map[place]bool   // true if a layer above hides it; directories only if so
	moved  map[place]string // hidden ones that hard links stand on: the name of the first of those, which gets the content
}

// flatten opens an image's file system.
func flatten(image v1.Image) (io.ReadCloser, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	f := &flat{layers, map[place]bool{}, map[place]string{}}
	if err := f.survey(); err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(f.write(w)) }()
	return r, nil
}

// each goes through the entries of a layer; their names are clean.
func (f *flat) each(layer int, do func(h *tar.Header, content io.Reader) error) error {
	in, err := f.layers[layer].Uncompressed()
	if err != nil {
		return fmt.Errorf("layer %d: %w", layer+1, err)
	}
	defer in.Close()
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", layer+1, err)
		}
		if strings.Contains("/"+h.Name+"/", "/../") {
			return fmt.Errorf("layer %d: %q points out of the root file system", layer+1, h.Name)
		}
		h.Name = clean(h.Name)
		if err := do(h, r); err != nil {
			return err
		}
	}
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// survey finds out, from the highest layer to the lowest, which entries are hidden.
func (f *flat) survey() error {
	covers := map[string]cover{}
	type link struct {
		place
		target string
	}
	var links []link
	for layer := len(f.layers) - 1; layer >= 0; layer-- {
		own := map[string]cover{} // counts for the layers below
		err := f.each(layer, func(h *tar.Header, _ io.Reader) error {
			if len(f.files)+len(own) > 2*driver.ImportEntries {
				return fmt.Errorf("the image has more than %d files", driver.ImportEntries)
			}
			dir, base := path.Split(h.Name)
			gone, removed := strings.CutPrefix(base, whiteout)
			switch {
			case base == opaque:
				own[clean(dir)] = max(own[clean(dir)], isEmptied)
			case removed:
				own[dir+gone] = isReplaced
			case h.Typeflag == tar.TypeDir:
				if own[h.Name] = max(own[h.Name], isDirectory); hidden(covers, h.Name, true) {
					f.files[place{layer, h.Name}] = true
				}
			default:
				own[h.Name] = isReplaced
				at := place{layer, h.Name}
				f.files[at] = hidden(covers, h.Name, false)
				if h.Typeflag == tar.TypeLink && !f.files[at] {
					links = append(links, link{at, clean(h.Linkname)})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for name, c := range own {
			covers[name] = max(covers[name], c)
		}
	}
	for n := len(links) - 1; n >= 0; n-- { // those of the lowest layer first
		l := links[n]
		if of, ok := f.target(l.layer, l.target); ok && f.files[of] && f.moved[of] == "" {
			f.moved[of] = l.name
		}
	}
	return nil
}

// hidden tells whether layers above hide a name.
func hidden(covers map[string]cover, name string, directory bool) bool {
	if c := covers[name]; c == isReplaced || c != 0 && !directory {
		return true
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if covers[dir] >= isEmptied {
			return true
		}
	}
	return covers[""] >= isEmptied
}

// target finds what a hard link in a layer is of.
func (f *flat) target(layer int, name string) (place, bool) {
	for ; layer >= 0; layer-- {
		if _, there := f.files[place{layer, name}]; there {
			return place{layer, name}, true
		}
	}
	return place{}, false
}

func (f *flat) write(out io.Writer) error {
	w := tar.NewWriter(out)
	for layer := range f.layers {
		err := f.each(layer, func(h *tar.Header, content io.Reader) error {
			if strings.HasPrefix(path.Base(h.Name), whiteout) || !f.place(layer, h) {
				return nil
			}
			plain(h)
			if err := w.WriteHeader(h); err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
			_, err := io.Copy(w, content)
			return err
		})
		if errors.Is(err, io.ErrClosedPipe) { // nobody reads any more
			return nil
		}
		if err != nil {
			return err
		}
	}
	return w.Close()
}

// place gives an entry its name in the whole, and tells whether it has one.
func (f *flat) place(layer int, h *tar.Header) bool {
	if at := (place{layer, h.Name}); f.files[at] {
		h.Name = f.moved[at]
		return h.Name != ""
	}
	if h.Typeflag != tar.TypeLink {
		return true
	}
	of, ok := f.target(layer, clean(h.Linkname))
	if first := f.moved[of]; ok && first != "" {
		h.Linkname = first
		return first != h.Name // else it is there already
	}
	return true
}

// plain leaves of a header what an image needs, in a form that can be written.
func plain(h *tar.Header) {
	if h.Typeflag == tar.TypeGNUSparse {
		h.Typeflag = tar.TypeReg
	}
	if h.Name == "" {
		h.Name = "./"
	}
	const capability = "SCHILY.xattr.security.capability"
	kept := map[string]string{}
	if c := h.PAXRecords[capability]; c != "" {
		kept[capability] = c
	}
	h.Format, h.PAXRecords, h.Xattrs = tar.FormatPAX, kept, nil //nolint:staticcheck // the older form of PAXRecords
}
