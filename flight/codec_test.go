package flight

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/region"
)

// anything fills a value of any type with all that its type allows: nil and empty, pointers to zeros, extremes.
func anything(r *rand.Rand, v reflect.Value, depth int) {
	some := func(n int) int { return r.IntN(n) }
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(some(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, math.MaxInt32, math.MinInt32, int64(some(1000))}[some(6)])
	case reflect.Float64:
		v.SetFloat([]float64{0, math.Copysign(0, -1), 0.1, math.Inf(1), math.SmallestNonzeroFloat64, r.Float64()}[some(6)])
	case reflect.String:
		v.SetString([]string{"", "a", "ünï", "\x00\xff", "i-0123456789abcdef0"}[some(5)])
	case reflect.Pointer:
		if depth > 0 && some(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			anything(r, v.Elem(), depth-1)
		}
	case reflect.Slice:
		if n := some(4) - 1; n >= 0 && depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				if v.Type().Elem().Kind() == reflect.Uint8 {
					v.Index(i).SetUint(uint64(some(256)))
				} else {
					anything(r, v.Index(i), depth-1)
				}
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			anything(r, v.Index(i), depth-1)
		}
	case reflect.Map:
		if n := some(4) - 1; n >= 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				anything(r, k, depth-1)
				anything(r, e, depth-1)
				v.SetMapIndex(k, e)
			}
		}
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf([]time.Time{{}, time.Unix(0, 0).UTC(), time.Unix(int64(some(1<<31)), int64(some(1e9))).UTC(),
				time.Date(-5, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}[some(5)]))
			return
		}
		for i := range v.NumField() {
			anything(r, v.Field(i), depth-1)
		}
	default:
		panic("a " + v.Type().String() + " in an input")
	}
}

// roundTrip writes and reads an input and wants back what it was.
func roundTrip(t *testing.T, ops Operations, in cloud.Input) {
	t.Helper()
	b, err := AppendInput(nil, ops, in)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{b: b}
	got := readInput(s, ops)
	if s.err != nil || len(s.b) > 0 {
		t.Fatalf("%s: %v, %d bytes left", Name(in), s.err, len(s.b))
	}
	if !reflect.DeepEqual(in, got) {
		t.Fatalf("%s is another one:\n%s", Name(in), cmp.Diff(in, got))
	}
	for range 3 { // cut off anywhere it is an error, or less, and never a panic
		readInput(&source{b: b[:rand.N(len(b))]}, ops)
	}
}

// TestEveryInputIsReadBackExactly: all operations, all facts, whatever their members may be.
func TestEveryInputIsReadBackExactly(t *testing.T) {
	control := region.New(region.Options{})
	r := rand.New(rand.NewPCG(1, 2))
	for service, op := range control.Operations {
		for range 20 {
			in := cloud.Call{Scope: cloud.Scope{Account: "123456789012", Region: "eu-west-1"}, RequestID: "r", Service: service, Operation: op.Name, In: op.Input()}
			anything(r, reflect.ValueOf(in.In).Elem(), 8)
			roundTrip(t, control, in)
		}
	}
	var all cloud.Observed
	for _, f := range factTypes {
		for range 20 {
			v := reflect.New(f).Elem()
			anything(r, v, 8)
			roundTrip(t, control, cloud.Observed{Facts: []cloud.Fact{v.Interface()}})
			all.Facts = append(all.Facts, v.Interface())
		}
	}
	roundTrip(t, control, all)
	roundTrip(t, control, cloud.Tick{})
	roundTrip(t, control, cloud.Call{Service: "ec2", Operation: "NoSuchThing"})
	roundTrip(t, control, cloud.Call{Service: "ec2", Operation: "NoSuchThing", Caller: cloud.Caller{Kind: cloud.KindRole, Account: "1", Session: "ASIA", Address: "::1"}})
	for _, in := range []cloud.Input{cloud.Observed{Facts: []cloud.Fact{"x"}}, cloud.Call{Service: "ec2", Operation: "DescribeVpcs", In: 1}, nil} {
		if _, err := AppendInput(nil, control, in); err == nil {
			t.Errorf("%v was written", in)
		}
	}
}

// TestFloatsKeepTheirBits: DeepEqual takes 0 for -0, and no NaN for itself.
func TestFloatsKeepTheirBits(t *testing.T) {
	for _, bits := range []uint64{0x7ff8000000000001, 0x7ff8000000000002, 1 << 63} {
		v := struct{ F float64 }{math.Float64frombits(bits)}
		b := exact.put(nil, reflect.ValueOf(v))
		v.F = 1
		exact.of(reflect.TypeOf(v)).get(&source{b: b}, reflect.ValueOf(&v).Elem())
		if math.Float64bits(v.F) != bits {
			t.Errorf("%x became %x", bits, math.Float64bits(v.F))
		}
	}
}

// TestEveryFactIsKnown: whatever some service's Observe asks for can be recorded.
func TestEveryFactIsKnown(t *testing.T) {
	known := map[string]bool{}
	for _, f := range factTypes {
		known[f.String()] = true
	}
	seen := 0
	err := filepath.WalkDir("../cloud", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Observe" && fn.Recv != nil && fn.Type.Params.NumFields() == 2 {
				for _, name := range asked(fn.Body) {
					if !strings.Contains(name, ".") {
						name = f.Name.Name + "." + name
					}
					if seen++; !known[name] {
						t.Errorf("%s takes the fact %s, which cannot be recorded: add it to factTypes", path, name)
					}
				}
			}
		}
		return nil
	})
	if err != nil || seen < len(factTypes) {
		t.Errorf("%d facts found: %v", seen, err)
	}
}

// asked are the types in the type switches and assertions of a function.
func asked(body ast.Node) (names []string) {
	add := func(e ast.Expr) {
		switch e := e.(type) {
		case *ast.Ident:
			names = append(names, e.Name)
		case *ast.SelectorExpr:
			names = append(names, e.X.(*ast.Ident).Name+"."+e.Sel.Name)
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSwitchStmt:
			for _, c := range n.Body.List {
				for _, e := range c.(*ast.CaseClause).List {
					add(e)
				}
			}
		case *ast.TypeAssertExpr:
			if n.Type != nil {
				add(n.Type)
			}
		}
		return true
	})
	return names
}

func BenchmarkUsageOf1000(b *testing.B) {
	control := region.New(region.Options{})
	in := usageOf(1000)
	var buffer []byte
	for b.Loop() {
		buffer, _ = AppendInput(buffer[:0], control, in)
	}
	b.SetBytes(int64(len(buffer)))
}
