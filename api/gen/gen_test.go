package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const smallModel = `{"metadata":{"apiVersion":"2020-01-01","endpointPrefix":"toys","protocol":"ec2","protocols":["ec2"],"serviceId":"Toys",
"serviceFullName":"Toy Service","xmlNamespace":"http://toys"},
"operations":{"PutToy":{"http":{"method":"POST","requestUri":"/"},"input":{"shape":"PutToyRequest"}},"DropToy":{"http":{"method":"POST","requestUri":"/"}}},
"shapes":{"PutToyRequest":{"type":"structure","required":["Name"],"members":{
	"Name":{"shape":"Name","locationName":"toyName"},"Parts":{"shape":"Parts","locationName":"part","queryName":"PartSet"},"when":{"shape":"Time"}}},
"Name":{"type":"string","min":1,"max":5,"pattern":"[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF]*"},
"Parts":{"type":"list","member":{"shape":"Part","locationName":"item"}},
"Part":{"type":"structure","members":{"Color":{"shape":"Color"},"Inner":{"shape":"Parts"}}},
"Color":{"type":"string","enum":["RED","sky-blue","t2.micro"]},
"Time":{"type":"timestamp"},
"Unused":{"type":"structure","members":{}},
"Gone":{"type":"structure","members":{},"exception":true,"error":{"code":"Toy.Gone","httpStatusCode":404}}}}`

// generateSmall runs the generator on the model above and gives the folder it wrote.
func generateSmall(t *testing.T, list, corrections string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"models/toys.json": smallModel, "api/model/toys.txt": list, "api/model/corrections.txt": corrections} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "api", "toys"), run(filepath.Join(dir, "models"), filepath.Join(dir, "api"))
}

func TestGenerate(t *testing.T) {
	if _, err := generateSmall(t, "# list\nPutToy\n", "toys add Part.Weight Name # heavier\ntoys open Color\n"); err == nil {
		t.Fatal("a correction whose value is no shape was taken")
	}
	dir, err := generateSmall(t, "PutToy\n", "toys add Part.Weight Name\ntoys open Color\n")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range []string{"operations_gen.go", "types_gen.go", "enums_gen.go", "tables_gen.go"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(string(text))
	}
	text := regexp.MustCompile(`[ \t]+`).ReplaceAllString(all.String(), " ")
	for _, want := range []string{
		"type PutToyInput struct {\n Name *string // required\n Parts []Part\n When *time.Time\n}",
		"type PutToyOutput struct{}",
		"type Part struct {\n Color *string\n Inner []Part\n Weight *string\n}",
		`ColorRed = "RED"`, `ColorSkyBlue = "sky-blue"`, `ColorT2Micro = "t2.micro"`,
		`{Name: "DropToy"},`, `{Name: "Name", Query: "ToyName", XML: "toyName", Shape: 1, Required: true}`,
		`{Name: "Parts", Query: "PartSet", XML: "part", Shape: 3}`, `{Name: "when", Query: "When",`,
		`{Name: "Color", Kind: api.String}`, `{Code: "Toy.Gone", Name: "Gone", Status: 404}`, `\\x{10000}-\\x{10FFFF}`,
		`HasMin: true, Min: 1, HasMax: true, Max: 5`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(text, "Unused") {
		t.Error("a shape that nothing reaches was written")
	}
}

func TestGenerateRefuses(t *testing.T) {
	for name, c := range map[string][2]string{
		"unknown operation":   {"PutToy\nFoo", ""},
		"listed twice":        {"PutToy\nPutToy", ""},
		"unknown service":     {"PutToy", "games open Color"},
		"unknown shape":       {"PutToy", "toys open Foo"},
		"unknown verb":        {"PutToy", "toys polish Color"},
		"not required anyway": {"PutToy", "toys optional Part.Color"},
		"there already":       {"PutToy", "toys add Part.Color Name"},
		"too short":           {"PutToy", "toys open"},
	} {
		if _, err := generateSmall(t, c[0], c[1]); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := goPattern("(?=.{20,2048}$)arn"); err == nil {
		t.Error("a pattern that Go cannot match was taken")
	}
}
