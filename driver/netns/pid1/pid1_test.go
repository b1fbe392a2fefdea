package pid1

import (
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestImports holds the package to what makes its initialiser one of the very
// first of the program: whoever imports more is initialised after packages with
// large tables, and each instance pays for them.
func TestImports(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if spec.Path.Value != `"syscall"` && spec.Path.Value != `"unsafe"` {
				t.Errorf("%s imports %s", file.Name(), spec.Path.Value)
			}
		}
	}
}

func TestMessages(t *testing.T) {
	fields := []string{"", "one", strings.Repeat("x", 70_000), "\x00\xff"}
	m, ok := Decode(Encode(Spawn, fields...))
	if !ok || m.Op != Spawn || !slices.Equal(m.Fields, fields) {
		t.Errorf("it comes back as %q", m.Fields)
	}
	packet := Encode(Spawn, "field")
	for n := range packet {
		if m, ok := Decode(packet[:n]); ok && len(m.Fields) > 0 {
			t.Errorf("%d bytes of %d give %q", n, len(packet), m.Fields)
		}
	}
}
