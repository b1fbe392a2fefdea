// Package billow has no code: its test holds the repository to the architecture that ARCHITECTURE.md describes, so that
// nobody has to remember it: what the control plane may import and do, which way imports go, that packages say what they
// are, and how long a file and a function may be.
package billow

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/billow-cloud/billow/"

// pureStd is what the control plane may use of the standard library: nothing that reads a clock, a random source, a
// file or a socket, and nothing that needs or makes goroutines.
var pureStd = []string{
	"archive/zip", "bytes", "cmp", "container/heap", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json", "encoding/pem", "errors",
	"fmt", "hash/crc32", "hash/fnv", "iter", "maps", "math", "math/bits", "math/rand/v2", "net/netip", "path", "reflect",
	"regexp", "runtime/debug", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
	"crypto/ed25519", "crypto/md5", "crypto/rsa", "crypto/sha1", "crypto/sha256", "crypto/x509", "html", "io", "io/fs", "net/url", "math/big",
}

// pureModules are the libraries that the control plane may use.
var pureModules = []string{"github.com/tidwall/btree"}

// impure are functions of pure packages that are not.
var impure = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "LoadLocation", "Local"},
	"math/rand/v2": {"Int", "IntN", "Int64", "Int64N", "Uint64", "Uint64N", "Float64", "Perm", "Shuffle", "N"},
}

const (
	fileLines     = 600
	functionLines = 75 // about 70
)

type source struct {
	path      string // of the file, with slashes
	pkg       string // of its folder: "cloud/table"
	test      bool
	generated bool
	lines     int
	file      *ast.File
	set       *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{
			path: filepath.ToSlash(path), pkg: filepath.ToSlash(filepath.Dir(path)),
			test: strings.HasSuffix(path, "_test.go"), generated: ast.IsGenerated(f),
			lines: set.File(f.Pos()).LineCount(), file: f, set: set,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}

func (s source) imports() []string {
	var paths []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

func (s source) at(n ast.Node) string { return fmt.Sprint(s.set.Position(n.Pos())) }

func under(pkg string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return pkg == r || strings.HasPrefix(pkg, r+"/") })
}

// pure tells whether a file belongs to the control plane.
func (s source) pure() bool {
	return !s.test && under(s.pkg, "cloud", "api") && !under(s.pkg, "api/gen")
}

func TestTheControlPlaneIsPure(t *testing.T) {
	for _, s := range sources(t) {
		if !s.pure() {
			continue
		}
		for _, p := range s.imports() {
			own := strings.HasPrefix(p, module+"cloud") || strings.HasPrefix(p, module+"api")
			if !own && !slices.Contains(pureStd, p) && !slices.Contains(pureModules, p) {
				t.Errorf("%s imports %s, which is not pure", s.path, p)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType, *ast.SendStmt:
				t.Errorf("%s: goroutines and channels are the daemon's", s.at(n))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impure[s.importOf(x.Name)], n.Sel.Name) {
					t.Errorf("%s: %s.%s is not pure", s.at(n), x.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

// importOf is the path that a name in the file stands for, or "".
func (s source) importOf(name string) string {
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		switch {
		case i.Name != nil && i.Name.Name == name, i.Name == nil && strings.HasSuffix("/"+strings.TrimSuffix(p, "/v2"), "/"+name):
			return p
		}
	}
	return ""
}

// TestImportsGoOneWay: the control plane knows nobody, adapters know neither each other nor the services, the daemon
// translates, the command wires.
func TestImportsGoOneWay(t *testing.T) {
	allowed := map[string][]string{
		"api":       {"api"},
		"cloud":     {"api", "cloud"},
		"wire":      {"api", "wire"},
		"store":     {"store"},
		"driver":    {"driver", "tproxy"},
		"balancer":  {"balancer"},
		"addresses": {"addresses"},
		"tproxy":    {"tproxy"},
		"loadgen":   {"loadgen"},
		"flight":    {"api", "cloud", "flight"},
		"daemon":    {"api", "cloud", "wire", "store", "driver", "balancer", "addresses", "tproxy", "flight", "daemon"},
		"demo":      {"loadgen", "demo"},
		"sim":       {"api", "cloud", "flight", "sim"},
	}
	for _, s := range sources(t) {
		root, _, _ := strings.Cut(s.pkg, "/")
		may, ruled := allowed[root]
		if !ruled || s.test {
			continue
		}
		for _, p := range s.imports() {
			rest, own := strings.CutPrefix(p, module)
			if own && !under(rest, may...) {
				t.Errorf("%s imports %s; %s may import only %v", s.path, rest, root, may)
			}
		}
	}
}

// TestTheTableOfFoldersIsComplete: ARCHITECTURE.md says of every folder at the root what it is, and of no other.
func TestTheTableOfFoldersIsComplete(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	told, there := map[string]bool{}, map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9]+)/").FindAllSubmatch(text, -1) {
		told[string(row[1])] = true
	}
	for _, s := range sources(t) {
		if root, _, below := strings.Cut(s.path, "/"); below {
			there[root] = true
		}
	}
	if got, want := slices.Sorted(maps.Keys(told)), slices.Sorted(maps.Keys(there)); !slices.Equal(got, want) {
		t.Errorf("the table tells of %v, the folders are %v", got, want)
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	docs := map[string]int{}
	for _, s := range sources(t) {
		if s.test && s.pkg != "." {
			continue
		}
		docs[s.pkg] += 0
		if s.file.Doc != nil {
			docs[s.pkg] += strings.Count(s.file.Doc.Text(), "\n")
		}
	}
	for pkg, lines := range docs {
		if generated := strings.HasPrefix(pkg, "api/") && pkg != "api/gen"; lines < 3 && !generated || lines == 0 || lines > 15 {
			t.Errorf("package %s has a package comment of %d lines; 3 to 15 say what it is, what not, and its invariants", pkg, lines)
		}
	}
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated || s.test {
			continue
		}
		if s.lines > fileLines {
			t.Errorf("%s has %d lines; %d are enough for one thing", s.path, s.lines, fileLines)
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > functionLines {
					t.Errorf("%s: %s has %d lines", s.at(f), f.Name.Name, n)
				}
			}
		}
	}
}
