package billow

import (
	"go/ast"
	"go/types"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// TestNoMapOrderInTheControlPlane: the order in which a map is walked differs from run to run, so nothing in cloud/ may
// depend on it. A loop over a map whose result is the same in any order says so in a comment on its line or the line
// above: "any order".
func TestNoMapOrderInTheControlPlane(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedFiles |
			packages.NeedImports | packages.NeedDeps,
	}, "./cloud/...")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			t.Fatal(e)
		}
		for _, f := range p.Syntax {
			excused := excusedLines(p, f)
			report := func(n ast.Node) {
				at := p.Fset.Position(n.Pos())
				if !excused[at.Line] && !excused[at.Line-1] {
					t.Errorf("%s walks a map", at)
				}
			}
			sorted := map[ast.Node]bool{}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.RangeStmt:
					if _, isMap := p.TypesInfo.TypeOf(n.X).Underlying().(*types.Map); isMap {
						report(n)
					}
				case *ast.CallExpr:
					switch calledFunction(p, n) {
					case "slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc":
						sorted[n.Args[0]] = true
					case "maps.Keys", "maps.Values", "maps.All", "maps.Collect":
						if !sorted[n] {
							report(n)
						}
					}
				}
				return true
			})
		}
	}
}

func calledFunction(p *packages.Package, call *ast.CallExpr) string {
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
		if f, ok := p.TypesInfo.Uses[sel.Sel].(*types.Func); ok && f.Pkg() != nil {
			return f.Pkg().Name() + "." + f.Name()
		}
	}
	return ""
}

func excusedLines(p *packages.Package, f *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if strings.Contains(c.Text, "any order") {
				lines[p.Fset.Position(c.Pos()).Line] = true
			}
		}
	}
	return lines
}
