package ssm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ssm"
	"github.com/billow-cloud/billow/cloud"
)

var here = cloud.Scope{Account: "123456789012", Region: "us-east-1"}

type world struct {
	t *testing.T
	c *cloud.Cloud
}

func newWorld(t *testing.T) world {
	s := New()
	s.Publish([]Public{
		{Name: "/aws/service/b/two", Value: "ami-2", DataType: "aws:ec2:image"}, {Name: "/aws/service/a/one", Value: "ami-1", DataType: "aws:ec2:image"},
	})
	return world{t, cloud.New(1, s)}
}

func (w world) call(in any) (any, error) {
	name := strings.TrimSuffix(fmt.Sprintf("%T", in), "Input")
	out := w.c.Step(time.Unix(1e9, 0), cloud.Call{Scope: here, Service: Name, Operation: name[strings.LastIndexByte(name, '.')+1:], In: in})
	return out.Reply, out.Err
}

func (w world) put(name, value string, overwrite bool) int64 {
	w.t.Helper()
	out, err := w.call(&shape.PutParameterInput{Name: &name, Value: &value, Type: new("String"), Overwrite: &overwrite})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.(*shape.PutParameterOutput).Version
}

func (w world) get(name string) string {
	w.t.Helper()
	out, err := w.call(&shape.GetParameterInput{Name: &name})
	if err != nil {
		return err.Error()
	}
	return *out.(*shape.GetParameterOutput).Parameter.Value
}

func (w world) refused(in any, code string) {
	w.t.Helper()
	_, err := w.call(in)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code {
		w.t.Errorf("%v, want %s", err, code)
	}
}

func TestVersions(t *testing.T) {
	w := newWorld(t)
	if n := w.put("/app/db", "one", false); n != 1 {
		t.Error(n)
	}
	w.refused(&shape.PutParameterInput{Name: new("/app/db"), Value: new("two"), Type: new("String")}, "ParameterAlreadyExists")
	if n := w.put("/app/db", "two", true); n != 2 {
		t.Error(n)
	}
	for name, want := range map[string]string{ // any order
		"/app/db": "two", "/app/db:1": "one", "/app/db:2": "two", "arn:aws:ssm:us-east-1:123456789012:parameter/app/db": "two",
		"/aws/service/a/one": "ami-1", "/aws/service/b/two": "ami-2", "/aws/service/b": "ParameterNotFound: ",
	} {
		if got := w.get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	w.refused(&shape.GetParameterInput{Name: new("/app/db:9")}, "ParameterVersionNotFound")
	w.refused(&shape.PutParameterInput{Name: new("/aws/mine"), Value: new("x"), Type: new("String")}, "ValidationException")
	w.refused(&shape.PutParameterInput{Name: new("new"), Value: new("x")}, "ValidationException")
	for _, name := range []string{"a\x00b", "ü", "a b", "a/b", "/"} {
		w.refused(&shape.PutParameterInput{Name: new(name), Value: new("x"), Type: new("String")}, "ValidationException")
	}
	w.refused(&shape.PutParameterInput{Name: new("n"), Value: new("x"), Type: new("String"), AllowedPattern: new("[0-9]+")}, "ParameterPatternMismatchException")
	if _, err := w.call(&shape.DeleteParameterInput{Name: new("/app/db")}); err != nil {
		t.Error(err)
	}
	w.refused(&shape.DeleteParameterInput{Name: new("/app/db")}, "ParameterNotFound")
}

func TestPathsAndLists(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"/app/a", "/app/b", "/app/deep/c", "plain"} {
		w.put(name, "v", false)
	}
	list := func(path string, recursive bool, limit *int32, token *string) (string, *string) {
		out, err := w.call(&shape.GetParametersByPathInput{Path: &path, Recursive: &recursive, MaxResults: limit, NextToken: token})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range out.(*shape.GetParametersByPathOutput).Parameters {
			names = append(names, *p.Name)
		}
		return strings.Join(names, " "), out.(*shape.GetParametersByPathOutput).NextToken
	}
	if got, _ := list("/app", false, nil, nil); got != "/app/a /app/b" {
		t.Error(got)
	}
	if got, _ := list("/aws/service/", true, nil, nil); got != "/aws/service/a/one /aws/service/b/two" {
		t.Error(got)
	}
	first, token := list("/app/", true, new(int32(2)), nil)
	second, end := list("/app/", true, new(int32(2)), token)
	if first != "/app/a /app/b" || second != "/app/deep/c" || end != nil {
		t.Error(first, second)
	}
	several, _ := w.call(&shape.GetParametersInput{Names: []string{"plain", "no"}})
	if out := several.(*shape.GetParametersOutput); len(out.Parameters) != 1 || len(out.InvalidParameters) != 1 {
		t.Errorf("%+v", out)
	}
	described, _ := w.call(&shape.DescribeParametersInput{ParameterFilters: []shape.ParameterStringFilter{{Key: new("Name"), Option: new("BeginsWith"), Values: []string{"/app"}}}})
	if n := len(described.(*shape.DescribeParametersOutput).Parameters); n != 3 {
		t.Errorf("%d parameters", n)
	}
	w.refused(&shape.DescribeParametersInput{ParameterFilters: []shape.ParameterStringFilter{{Key: new("Colour"), Values: []string{"x"}}}}, "InvalidFilterKey")
}
