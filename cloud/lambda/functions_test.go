package lambda

import (
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"slices"
	"strings"
	"testing"

	shape "github.com/billow-cloud/billow/api/lambda"
	"github.com/billow-cloud/billow/cloud"
)

func TestCreateFunction(t *testing.T) {
	w := newWorld(t)
	in := creation(t, "f")
	in.Environment = &shape.Environment{Variables: map[string]string{"B1": "2", "A1": "1"}}
	in.Tags = map[string]string{"k": "v"}
	out := do[shape.CreateFunctionOutput](w, "CreateFunction", in)
	hash := sha256.Sum256(in.Code.ZipFile)
	if *out.FunctionArn != "arn:aws:lambda:us-east-1:123456789012:function:f" || *out.State != "Pending" || *out.Version != "$LATEST" ||
		*out.CodeSha256 != base64.StdEncoding.EncodeToString(hash[:]) || *out.LastModified != "2026-11-20T12:00:00.000+0000" ||
		*out.Timeout != 3 || *out.MemorySize != 128 || out.Environment.Variables["A1"] != "1" {
		t.Errorf("%+v", out)
	}
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f")}, "ResourceConflictException", "currently in the following state: Pending")
	w.refused("UpdateFunctionConfiguration", &shape.UpdateFunctionConfigurationInput{FunctionName: new("f")}, "ResourceConflictException", "Pending")
	w.refused("CreateFunction", in, "ResourceConflictException", "Function already exist: f")
	w.pass(readyAfter)
	got := do[shape.GetFunctionOutput](w, "GetFunction", &shape.GetFunctionInput{FunctionName: out.FunctionArn})
	if *got.Configuration.State != "Active" || *got.Configuration.LastUpdateStatus != "Successful" || got.Tags["k"] != "v" {
		t.Errorf("%+v", got.Configuration)
	}
	do[shape.UpdateFunctionConfigurationOutput](w, "UpdateFunctionConfiguration", &shape.UpdateFunctionConfigurationInput{FunctionName: new("f"), Timeout: new(int32(900))})
	w.refused("UpdateFunctionCode", &shape.UpdateFunctionCodeInput{FunctionName: new("f")}, "ResourceConflictException", "An update is in progress for resource: arn")
	w.pass(readyAfter)
	if c := do[shape.GetFunctionConfigurationOutput](w, "GetFunctionConfiguration", &shape.GetFunctionConfigurationInput{FunctionName: new("123456789012:function:f")}); *c.Timeout != 900 || *c.LastUpdateStatus != "Successful" {
		t.Errorf("%+v", c)
	}
	w.refused("UpdateFunctionConfiguration", &shape.UpdateFunctionConfigurationInput{FunctionName: new("f"), RevisionId: new("old")}, "PreconditionFailedException", "Revision Id")
}

// TestBadFunctions: AWS's errors, and nothing is made.
func TestBadFunctions(t *testing.T) {
	w := newWorld(t)
	const code = "InvalidParameterValueException"
	for part, change := range map[string]func(*shape.CreateFunctionInput){
		"PackageType must be Zip":                          func(in *shape.CreateFunctionInput) { in.PackageType = new("Image") },
		"Runtime and Handler are mandatory":                func(in *shape.CreateFunctionInput) { in.Handler = nil },
		"The runtime parameter of java21 is not supported": func(in *shape.CreateFunctionInput) { in.Runtime = new("java21") },
		"'timeout' failed to satisfy constraint":           func(in *shape.CreateFunctionInput) { in.Timeout = new(int32(901)) },
		"'memorySize' failed to satisfy constraint":        func(in *shape.CreateFunctionInput) { in.MemorySize = new(int32(10241)) },
		"Layers": func(in *shape.CreateFunctionInput) { in.Layers = []string{"l"} },
		"Code from S3": func(in *shape.CreateFunctionInput) {
			in.Code = &shape.FunctionCode{S3Bucket: new("b"), S3Key: new("k")}
		},
		"Please provide a source":       func(in *shape.CreateFunctionInput) { in.Code = &shape.FunctionCode{} },
		"Could not unzip uploaded file": func(in *shape.CreateFunctionInput) { in.Code.ZipFile = []byte("PK no zip") },
		"at most 64 characters":         func(in *shape.CreateFunctionInput) { in.FunctionName = new(strings.Repeat("f", 65)) },
		"The destination ARN arn:aws:s3:::b is invalid": func(in *shape.CreateFunctionInput) {
			in.DeadLetterConfig = &shape.DeadLetterConfig{TargetArn: new("arn:aws:s3:::b")}
		},
		"Reserved keys used in this request: AWS_REGION": func(in *shape.CreateFunctionInput) {
			in.Environment = &shape.Environment{Variables: map[string]string{"AWS_REGION": "x"}}
		},
		"exceeded the 4KB limit": func(in *shape.CreateFunctionInput) {
			in.Environment = &shape.Environment{Variables: map[string]string{"LONG": strings.Repeat("x", 4093)}}
		},
		"points outside its folder: \"../x\"":          func(in *shape.CreateFunctionInput) { in.Code.ZipFile = zipped(t, file{name: "../x"}) },
		"points outside its folder: \"/etc/x\"":        func(in *shape.CreateFunctionInput) { in.Code.ZipFile = zipped(t, file{name: "/etc/x"}) },
		"points outside its folder: \"a/../../x\"":     func(in *shape.CreateFunctionInput) { in.Code.ZipFile = zipped(t, file{name: "a/../../x"}) },
		"points outside its folder: \"a\\\\..\\\\x\"":  func(in *shape.CreateFunctionInput) { in.Code.ZipFile = zipped(t, file{name: "a\\..\\x"}) },
		"a link that points outside its folder: \"l\"": func(in *shape.CreateFunctionInput) { in.Code.ZipFile = zipped(t, file{"l", "/etc", fs.ModeSymlink}) },
		"a link that points outside its folder: \"d/l\"": func(in *shape.CreateFunctionInput) {
			in.Code.ZipFile = zipped(t, file{"d/l", "../../x", fs.ModeSymlink})
		},
		"an entry below a link: \"l/x\"": func(in *shape.CreateFunctionInput) {
			in.Code.ZipFile = zipped(t, file{"l", "d", fs.ModeSymlink}, file{name: "l/x"})
		},
		"neither file nor folder nor link: \"p\"":      func(in *shape.CreateFunctionInput) { in.Code.ZipFile = zipped(t, file{"p", "", fs.ModeNamedPipe}) },
		"Uploaded file must be a non-empty zip":        func(in *shape.CreateFunctionInput) { in.Code.ZipFile = zipped(t) },
		"Unzipped size must be smaller than 262144000": func(in *shape.CreateFunctionInput) { in.Code.ZipFile = bomb(t) },
	} {
		in := creation(t, "f")
		change(in)
		rows := len(w.stored)
		want := code
		if strings.Contains(part, "failed to satisfy constraint") {
			want = "ValidationException"
		}
		w.refused("CreateFunction", in, want, part)
		if len(w.stored) != rows {
			t.Errorf("%s: something was made", part)
		}
	}
	w.step(cloud.Observed{Facts: []cloud.Fact{Host{Python: "3.12.3", Architecture: "x86_64"}}})
	in := creation(t, "f")
	in.Runtime = new("nodejs22.x")
	w.refused("CreateFunction", in, code, "The runtime nodejs22.x needs node, which this host does not have.")
	in.Runtime, in.Architectures = new("python3.9"), []string{"arm64"}
	w.refused("CreateFunction", in, code, "this host is x86_64")
	in.Architectures = nil
	do[shape.CreateFunctionOutput](w, "CreateFunction", in)
}

// bomb is a zip of a few kilobytes that says of itself less than it unpacks to.
func bomb(t *testing.T) []byte {
	block := strings.Repeat("\x00", 64<<20)
	return zipped(t, file{name: "a", content: block}, file{name: "b", content: block}, file{name: "c", content: block}, file{name: "d", content: block})
}

// TestReceipts: a step takes the receipt of a zip for the zip, and of a bad one the fault.
func TestReceipts(t *testing.T) {
	w := newWorld(t)
	in := creation(t, "f")
	content := in.Code.ZipFile
	var err error
	var c Code
	if in.Code.ZipFile, c, err = Stow(content); err != nil || c.Size != int64(len(content)) || c.Unzipped != int64(len("code of f")) {
		t.Fatal(c, err)
	}
	do[shape.CreateFunctionOutput](w, "CreateFunction", in)
	w.pass(readyAfter)
	do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f")})
	if w.runs[0].Function.CodeHash != c.Hash || w.runs[0].Function.CodeSize != c.Size {
		t.Errorf("%+v", w.runs[0].Function)
	}
	in = creation(t, "g")
	if in.Code.ZipFile, _, err = Stow(zipped(t, file{name: "../x"})); err == nil {
		t.Fatal("it was taken")
	}
	w.refused("CreateFunction", in, "InvalidParameterValueException", "outside its folder")
	if _, err := Check([]byte(receipt + "{}")); err == nil {
		t.Error("a client's receipt is no zip")
	}
}

func TestVersionsAndAliases(t *testing.T) {
	w := newWorld(t)
	w.made("f")
	v1 := do[shape.PublishVersionOutput](w, "PublishVersion", &shape.PublishVersionInput{FunctionName: new("f")})
	same := do[shape.PublishVersionOutput](w, "PublishVersion", &shape.PublishVersionInput{FunctionName: new("f"), Description: new("again")})
	if *v1.Version != "1" || *same.Version != "1" || *v1.FunctionArn != "arn:aws:lambda:us-east-1:123456789012:function:f:1" {
		t.Errorf("%s %s %s", *v1.Version, *same.Version, *v1.FunctionArn)
	}
	w.refused("PublishVersion", &shape.PublishVersionInput{FunctionName: new("f"), CodeSha256: new("x")}, "InvalidParameterValueException", "CodeSHA256 (x) is different")
	old := *v1.CodeSha256
	v2 := do[shape.UpdateFunctionCodeOutput](w, "UpdateFunctionCode", &shape.UpdateFunctionCodeInput{FunctionName: new("f"), Publish: new(true), ZipFile: zipped(t, file{name: "bootstrap", content: "two"})})
	w.pass(readyAfter)
	if *v2.Version != "2" || *v2.CodeSha256 == old || len(w.dropped) != 0 {
		t.Errorf("%+v, dropped %v", v2, w.dropped)
	}
	list := do[shape.ListVersionsByFunctionOutput](w, "ListVersionsByFunction", &shape.ListVersionsByFunctionInput{FunctionName: new("f"), MaxItems: new(int32(2))})
	if len(list.Versions) != 2 || *list.Versions[0].Version != "$LATEST" || *list.Versions[1].Version != "1" || list.NextMarker == nil {
		t.Errorf("%+v", list)
	}
	if list = do[shape.ListVersionsByFunctionOutput](w, "ListVersionsByFunction", &shape.ListVersionsByFunctionInput{FunctionName: new("f"), Marker: list.NextMarker}); len(list.Versions) != 1 || *list.Versions[0].Version != "2" {
		t.Errorf("%+v", list)
	}
	w.refused("CreateAlias", &shape.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("9")}, "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:123456789012:function:f:9")
	w.refused("CreateAlias", &shape.CreateAliasInput{FunctionName: new("f"), Name: new("12"), FunctionVersion: new("1")}, "ValidationException", "(?!^[0-9]+$)")
	do[shape.CreateAliasOutput](w, "CreateAlias", &shape.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1"),
		RoutingConfig: &shape.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.25}}})
	w.refused("CreateAlias", &shape.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")}, "ResourceConflictException", "Alias already exists")
	for _, version := range []string{"1", "2"} {
		w.refused("DeleteFunction", &shape.DeleteFunctionInput{FunctionName: new("f"), Qualifier: &version}, "ResourceConflictException", "aliases reference it: [live]")
	}
	w.refused("DeleteFunction", &shape.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("$LATEST")}, "InvalidParameterValueException", "$LATEST version cannot be deleted")
	w.refused("Invoke", &shape.InvokeInput{FunctionName: new("f:live"), Qualifier: new("1")}, "InvalidParameterValueException", "derived qualifier")
	count := map[string]int{}
	for range 400 {
		out := do[Pending](w, "Invoke", &shape.InvokeInput{FunctionName: new("f"), Qualifier: new("live")})
		count[*out.Output.ExecutedVersion]++
		r := w.ended("", "")
		if r.Function.Version != *out.Output.ExecutedVersion || r.Function.ARN != "arn:aws:lambda:us-east-1:123456789012:function:f:live" {
			t.Fatalf("%+v", r.Function)
		}
	}
	if count["1"]+count["2"] != 400 || count["2"] < 60 || count["2"] > 140 {
		t.Errorf("a quarter for version 2: %v", count)
	}
	do[shape.UpdateAliasOutput](w, "UpdateAlias", &shape.UpdateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("2"), RoutingConfig: &shape.AliasRoutingConfiguration{}})
	do[shape.DeleteFunctionOutput](w, "DeleteFunction", &shape.DeleteFunctionInput{FunctionName: new("f:1")})
	if len(w.dropped) != 1 {
		t.Errorf("the code of version 1 is nobody's: %v", w.dropped)
	}
	do[shape.DeleteFunctionOutput](w, "DeleteFunction", &shape.DeleteFunctionInput{FunctionName: new("f")})
	w.refused("GetAlias", &shape.GetAliasInput{FunctionName: new("f"), Name: new("live")}, "ResourceNotFoundException", "Function not found")
	if len(w.dropped) != 2 {
		t.Errorf("%v", w.dropped)
	}
	w.cloud.Dump(func(table, key string, _ any) bool {
		if strings.HasPrefix(table, Name) {
			t.Errorf("left over: %s %s", table, key)
		}
		return true
	})
}

// TestCodeIsKeptAsLongAsSomebodyHasIt: two functions with the same zip, and a restart.
func TestCodeIsKeptAsLongAsSomebodyHasIt(t *testing.T) {
	w := newWorld(t)
	a, b := creation(t, "a"), creation(t, "b")
	b.Code = a.Code
	do[shape.CreateFunctionOutput](w, "CreateFunction", a)
	do[shape.CreateFunctionOutput](w, "CreateFunction", b)
	w.restart()
	if slices.Sort(w.have); len(w.have) != 2 || w.have[0] != w.have[1] {
		t.Errorf("told after the start: %v", w.have)
	}
	w.pass(readyAfter)
	do[shape.DeleteFunctionOutput](w, "DeleteFunction", &shape.DeleteFunctionInput{FunctionName: new("a")})
	if len(w.dropped) != 0 {
		t.Error("b has it")
	}
	do[shape.DeleteFunctionOutput](w, "DeleteFunction", &shape.DeleteFunctionInput{FunctionName: new("b")})
	if len(w.dropped) != 1 {
		t.Errorf("%v", w.dropped)
	}
}

func TestTagsAndPages(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c"} {
		w.made(name)
	}
	arn := functionARN(here, "b", "")
	do[shape.TagResourceOutput](w, "TagResource", &shape.TagResourceInput{Resource: &arn, Tags: map[string]string{"x": "1", "y": "2"}})
	do[shape.UntagResourceOutput](w, "UntagResource", &shape.UntagResourceInput{Resource: &arn, TagKeys: []string{"x"}})
	if tags := do[shape.ListTagsOutput](w, "ListTags", &shape.ListTagsInput{Resource: &arn}).Tags; len(tags) != 1 || tags["y"] != "2" {
		t.Error(tags)
	}
	w.refused("TagResource", &shape.TagResourceInput{Resource: new(arn + ":1"), Tags: map[string]string{"x": "1"}}, "InvalidParameterValueException", "aliases and versions")
	var names []string
	var marker *string
	for range 5 {
		out := do[shape.ListFunctionsOutput](w, "ListFunctions", &shape.ListFunctionsInput{MaxItems: new(int32(2)), Marker: marker})
		for _, f := range out.Functions {
			names = append(names, *f.FunctionName)
		}
		if marker = out.NextMarker; marker == nil {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Error(names)
	}
	w.refused("GetFunction", &shape.GetFunctionInput{FunctionName: new("arn:aws:lambda:eu-west-1:123456789012:function:a")}, "ResourceNotFoundException", "not reachable in this region")
	w.refused("GetFunction", &shape.GetFunctionInput{FunctionName: new("nope:1")}, "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:123456789012:function:nope:1")
}
