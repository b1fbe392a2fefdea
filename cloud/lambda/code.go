package lambda

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/billow-cloud/billow/api"
)

// Code is what is known of a zip with a function's code.
type Code struct {
	Hash     string // SHA-256, in hexadecimal digits
	Size     int64  // bytes
	Unzipped int64  // bytes of all its files
}

// receipt is what stands for a zip in an input. No zip begins like it.
const receipt = "billow receipt "

// maxFiles bounds the entries of a zip: a million empty files are a small zip.
const maxFiles = 100_000

// Check looks at a whole zip: that it is one, that nothing in it points outside its folder, and that it does not unpack
// to more than it may. Its errors are a client's.
func Check(content []byte) (Code, error) {
	hash := sha256.Sum256(content)
	c := Code{Hash: hex.EncodeToString(hash[:]), Size: int64(len(content))}
	if len(content) > maxZip {
		return c, invalid("Zipped size must be smaller than %d bytes", maxZip)
	}
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return c, errNoZip
	}
	if len(z.File) == 0 {
		return c, invalid("Uploaded file must be a non-empty zip")
	}
	if len(z.File) > maxFiles {
		return c, invalid("The zip has %d entries; it may have %d", len(z.File), maxFiles)
	}
	links := map[string]bool{}
	for _, f := range z.File {
		name := strings.TrimSuffix(f.Name, "/")
		if !inside(name) {
			return c, invalid("The zip has an entry that points outside its folder: %q", clip(f.Name))
		}
		n, target, err := contentOf(f, maxUnzipped-c.Unzipped)
		if err != nil {
			return c, err
		}
		c.Unzipped += n
		switch kind := f.Mode().Type(); {
		case kind == fs.ModeSymlink:
			if !inside(path.Join(path.Dir(name), target)) || path.IsAbs(target) {
				return c, invalid("The zip has a link that points outside its folder: %q", clip(f.Name))
			}
			links[path.Clean(name)] = true
		case kind != 0 && kind != fs.ModeDir:
			return c, invalid("The zip has an entry that is neither file nor folder nor link: %q", clip(f.Name))
		}
	}
	for _, f := range z.File {
		for dir := path.Dir(path.Clean(f.Name)); dir != "."; dir = path.Dir(dir) {
			if links[dir] {
				return c, invalid("The zip has an entry below a link: %q", clip(f.Name))
			}
		}
	}
	return c, nil
}

// contentOf reads one file of a zip to its end, to know that it can be; a link's content is its target.
func contentOf(f *zip.File, most int64) (n int64, target string, err error) {
	tooMuch := invalid("Unzipped size must be smaller than %d bytes", maxUnzipped)
	if f.UncompressedSize64 > uint64(most) {
		return 0, "", tooMuch
	}
	r, err := f.Open()
	if err != nil {
		return 0, "", errNoZip
	}
	defer r.Close()
	if f.Mode().Type() == fs.ModeSymlink {
		b, err := io.ReadAll(io.LimitReader(r, 4096))
		if err != nil {
			return 0, "", errNoZip
		}
		return int64(len(b)), string(b), nil
	}
	n, err = io.Copy(io.Discard, io.LimitReader(r, most+1))
	if n > most {
		return n, "", tooMuch
	}
	if err != nil {
		return n, "", errNoZip
	}
	return n, "", nil
}

// inside tells whether a relative path stays in the folder that it starts in.
func inside(name string) bool {
	clean := path.Clean(name)
	return name != "" && !strings.ContainsAny(name, "\\\x00") && !path.IsAbs(name) && clean != ".." && !strings.HasPrefix(clean, "../")
}

func clip(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return s
}

var errNoZip = invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")

func invalid(format string, args ...any) error {
	return api.Errorf("InvalidParameterValueException", format, args...)
}

// stowed is a receipt.
type stowed struct {
	Code
	Fault string `json:",omitempty"` // why the zip cannot be taken
}

// Stow checks a zip and gives the receipt that is put in its place before a step gets the input, so that neither steps nor
// what is written of them carry megabytes. Whoever keeps the zip keeps it under its hash before that, if err is nil. A
// step that gets a zip as it is checks it itself.
func Stow(content []byte) (receiptOf []byte, c Code, err error) {
	c, err = Check(content)
	s := stowed{Code: c}
	if err != nil {
		s.Fault = err.(*api.Error).Message
	}
	b, jsonErr := json.Marshal(s)
	if jsonErr != nil {
		panic(jsonErr) // it has strings and numbers only
	}
	return append([]byte(receipt), b...), c, err
}

// code takes the zip, or its receipt, of an input.
func code(content []byte) (Code, error) {
	text, ok := bytes.CutPrefix(content, []byte(receipt))
	if !ok {
		return Check(content)
	}
	var s stowed
	if err := json.Unmarshal(text, &s); err != nil {
		return Code{}, errNoZip
	}
	if s.Fault != "" {
		return Code{}, invalid("%s", s.Fault)
	}
	return s.Code, nil
}

// codeSha256 is a hash as the API has it.
func codeSha256(hash string) string {
	b, err := hex.DecodeString(hash)
	if err != nil {
		panic(fmt.Sprintf("lambda: %q is no hash", hash))
	}
	return base64.StdEncoding.EncodeToString(b)
}
