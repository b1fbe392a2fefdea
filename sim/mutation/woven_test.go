package mutation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// All mutants are woven into one copy of the tree: the function that a mutant breaks gets a broken copy beside it, and
// begins by asking whether that copy is wanted.
//
//	func (r *roster) grow(n int) {
//		if mutantOfTest == "41" {
//			r.grow_mutant41(n)
//			return
//		}
//		...

// variable is the environment variable with the number of the mutant that is wanted.
const variable = "BILLOW_MUTANT"

func number(mutant int) string { return strconv.Itoa(mutant + 1) }

// insertion is text that goes into a file.
type insertion struct {
	at   int
	text string
}

// weave gives the files with the mutants in them, by their paths from the root.
func weave(chosen []int) (map[string][]byte, error) {
	files, texts := map[string][]insertion{}, map[string][]byte{}
	for _, i := range chosen {
		m := mutants[i]
		text, ok := texts[m.file]
		if !ok {
			var err error
			if text, err = os.ReadFile(filepath.Join(root, m.file)); err != nil {
				return nil, err
			}
			texts[m.file] = text
		}
		ask, broken, err := m.parts(text, number(i))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.file, err)
		}
		files[m.file] = append(files[m.file], ask, broken)
	}
	for file, all := range files {
		slices.SortStableFunc(all, func(a, b insertion) int { return b.at - a.at }) // from the end
		text := texts[file]
		for _, x := range all {
			text = slices.Concat(text[:x.at], []byte(x.text), text[x.at:])
		}
		if _, err := parser.ParseFile(token.NewFileSet(), file, text, 0); err != nil {
			return nil, err
		}
		texts[file] = text
	}
	return texts, nil
}

// parts are the question at the beginning of the function that the mutant breaks, and the broken copy at the end of the
// file.
func (m mutant) parts(text []byte, number string) (ask, broken insertion, err error) {
	if n := bytes.Count(text, []byte(m.old)); n != 1 || m.old == "" {
		return ask, broken, fmt.Errorf("the snippet to replace must occur once and does %d times; if the code was changed, the mutant must be too:\n%s", n, m.old)
	}
	start := bytes.Index(text, []byte(m.old))
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, m.file, text, 0)
	if err != nil {
		return ask, broken, err
	}
	at := func(p token.Pos) int { return set.Position(p).Offset }
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || at(f.Body.Lbrace) >= start || at(f.Body.Rbrace) < start+len(m.old) {
			continue
		}
		call, err := callOf(f, f.Name.Name+"_mutant"+number)
		if err != nil {
			return ask, broken, err
		}
		name := at(f.Name.End())
		copied := string(text[at(f.Pos()):name]) + "_mutant" + number + string(text[name:start]) + m.new + string(text[start+len(m.old):at(f.End())])
		ask = insertion{at(f.Body.Lbrace) + 1, "\nif mutantOfTest == " + strconv.Quote(number) + " {\n" + call + "\n}\n"}
		return ask, insertion{len(text), "\n" + copied + "\n"}, nil
	}
	return ask, broken, errors.New("the snippet to replace must be in the body of one function")
}

// callOf is the call of a copy of a function with its own arguments.
func callOf(f *ast.FuncDecl, name string) (string, error) {
	call := name
	if f.Recv != nil {
		if len(f.Recv.List[0].Names) == 0 {
			return "", errors.New("the receiver of " + f.Name.Name + " has no name")
		}
		call = f.Recv.List[0].Names[0].Name + "." + name
	}
	var args []string
	for _, p := range f.Type.Params.List {
		if len(p.Names) == 0 {
			return "", errors.New("a parameter of " + f.Name.Name + " has no name")
		}
		for _, n := range p.Names {
			if n.Name == "_" {
				return "", errors.New("a parameter of " + f.Name.Name + " has no name")
			}
			if _, variadic := p.Type.(*ast.Ellipsis); variadic {
				n = ast.NewIdent(n.Name + "...")
			}
			args = append(args, n.Name)
		}
	}
	call += "(" + strings.Join(args, ", ") + ")"
	if f.Type.Results == nil {
		return call + "\nreturn", nil
	}
	return "return " + call, nil
}

// layOver writes the mutants into a folder, for go test -overlay, and gives the path of the list.
func layOver(dir string, chosen []int) (string, error) {
	texts, err := weave(chosen)
	if err != nil {
		return "", err
	}
	top, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range texts {
		pkg := filepath.Base(filepath.Dir(file))
		asks := filepath.Join(top, filepath.Dir(file), "zz_mutants.go")
		replace[asks] = filepath.Join(dir, "asks-"+pkg+".go")
		replace[filepath.Join(top, file)] = filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := errors.Join(
			os.WriteFile(replace[asks], []byte("package "+pkg+"\n\nimport \"os\"\n\nvar mutantOfTest = os.Getenv(\""+variable+"\")\n"), 0o600),
			os.WriteFile(replace[filepath.Join(top, file)], text, 0o600),
		); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}
