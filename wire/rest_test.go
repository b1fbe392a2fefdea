package wire

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/api/catalog"
	lambdaapi "github.com/billow-cloud/billow/api/lambda"
)

func restRequest(method, target, body string) *http.Request {
	return httptest.NewRequest(method, target, strings.NewReader(body))
}

// TestRESTRouting: what tells service and operation of a request without Action and target.
func TestRESTRouting(t *testing.T) {
	const scope = "AWS4-HMAC-SHA256 Credential=k/20260927/eu-west-1/lambda/aws4_request, SignedHeaders=host, Signature=00"
	for _, c := range []struct {
		method, target, host, authorization string
		status                              int
		want                                string
	}{
		{"GET", "/2015-03-31/functions", "", "", 200, "lambda ListFunctions"},
		{"GET", "/2015-03-31/functions/", "", scope, 200, "lambda ListFunctions"},
		{"GET", "/2015-03-31/functions/f", "lambda.eu-west-1.localhost:4566", "", 200, "lambda GetFunction"},
		{"GET", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af/versions", "", "", 200, "lambda ListVersionsByFunction"},
		{"GET", "/2019-09-25/functions/f/event-invoke-config/list", "", "", 200, "lambda ListFunctionEventInvokeConfigs"},
		{"POST", "/2015-03-31/functions/f/invocations", "", "", 200, "lambda Invoke"},
		{"GET", "/2018-10-31/layers?find=LayerVersion&Arn=x", "", "", 501, "GetLayerVersionByArn is not implemented"},
		{"GET", "/2018-10-31/layers", "", "", 501, "ListLayers is not implemented"},
		{"PATCH", "/2015-03-31/functions", "", scope, 404, "UnknownOperationException"},
		{"GET", "/no/such/thing", "", scope, 404, "UnknownOperationException"},
		{"GET", "/2015-03-31/functions/%20/", "", "", 400, "failed to satisfy constraint: Member must satisfy regular expression"},
		{"GET", "/no/such/thing", "", "", 400, "MissingAction"}, // nothing says that it is lambda's
	} {
		r := restRequest(c.method, c.target, "")
		if c.host != "" {
			r.Host = c.host
		}
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		b := &recorder{}
		w := serve(newTestHandler(b, false), r)
		got := w.Body.String() + w.Header().Get("X-Amzn-Errortype")
		if len(b.calls) == 1 {
			got = b.calls[0].Service + " " + b.calls[0].Operation
		}
		if w.Code != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.target, w.Code, got)
		}
	}
}

// TestRESTPayload: an invocation's body is what it is, both ways, and the rest is in headers.
func TestRESTPayload(t *testing.T) {
	const raw = "\x00\xff no json"
	b := &recorder{out: &lambdaapi.InvokeOutput{StatusCode: new(int32(200)), FunctionError: new("Unhandled"), LogResult: new("bG9n"),
		ExecutedVersion: new("$LATEST"), Payload: []byte(raw)}}
	r := restRequest("POST", "/2015-03-31/functions/f%3A1/invocations?Qualifier=live", raw)
	r.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	r.Header.Set("X-Amz-Log-Type", "Tail")
	w := serve(newTestHandler(b, false), r)
	in, ok := b.calls[0].In.(*lambdaapi.InvokeInput)
	if !ok || string(in.Payload) != raw || *in.FunctionName != "f:1" || *in.Qualifier != "live" || *in.LogType != "Tail" || *in.InvocationType != "RequestResponse" {
		t.Fatalf("%+v", b.calls)
	}
	if w.Body.String() != raw || w.Header().Get("X-Amz-Function-Error") != "Unhandled" || w.Header().Get("X-Amz-Log-Result") != "bG9n" ||
		w.Header().Get("X-Amz-Executed-Version") != "$LATEST" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%q %v", w.Body, w.Header())
	}
	b.out = &lambdaapi.InvokeOutput{StatusCode: new(int32(202))}
	if w = serve(newTestHandler(b, false), restRequest("POST", "/2015-03-31/functions/f/invocations", "{}")); w.Code != 202 || w.Body.Len() != 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	b.out = nil
	if w = serve(newTestHandler(b, false), restRequest("DELETE", "/2015-03-31/functions/f/aliases/a", "")); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// TestRESTErrors: the code is in a header, the text in the body.
func TestRESTErrors(t *testing.T) {
	for _, c := range []struct {
		err      error
		r        *http.Request
		status   int
		name, in string
	}{
		{api.Errorf("ResourceNotFoundException", "Function not found: f"), restRequest("GET", "/2015-03-31/functions/f", ""), 404,
			"ResourceNotFoundException", `{"Type":"User","message":"Function not found: f"}`},
		{io.ErrUnexpectedEOF, restRequest("GET", "/2015-03-31/functions/f", ""), 500, "InternalFailure", `"Type":"Service"`},
		{nil, restRequest("POST", "/2015-03-31/functions", `{"FunctionName":"f"`), 400, "SerializationException", "not valid JSON"},
		{nil, restRequest("POST", "/2015-03-31/functions", `{"FunctionName":"f","Timeout":"x"}`), 400, "SerializationException", "STRING_VALUE cannot be converted to Integer"},
		{nil, restRequest("POST", "/2015-03-31/functions", ""), 400, "ValidationException", "3 validation errors detected"},
		{nil, restRequest("GET", "/2015-03-31/functions?MaxItems=x", ""), 400, "SerializationException", "MaxItems"},
		{nil, restRequest("GET", "/2015-03-31/functions?MaxItems=0", ""), 400, "ValidationException", "Value '0' at 'maxItems' failed"},
		{nil, restRequest("POST", "/2015-03-31/functions/f/invocations", strings.Repeat("x", maxBody+1)), 413, "RequestEntityTooLargeException", "Request must be smaller than 10485760 bytes for the Invoke operation"},
	} {
		w := serve(newTestHandler(&recorder{err: c.err}, false), c.r)
		if w.Code != c.status || w.Header().Get("X-Amzn-Errortype") != c.name || !strings.Contains(w.Body.String(), c.in) {
			t.Errorf("%s: %d %v %s", c.r.URL, w.Code, w.Header(), w.Body)
		}
	}
}

// TestLargeBodies: an upload may be as large as its operation's bound, and only so many are held at once.
func TestLargeBodies(t *testing.T) {
	b := &recorder{}
	h := newTestHandler(b, false)
	zip := strings.Repeat("z", maxBody)
	body := `{"ZipFile":"` + base64.StdEncoding.EncodeToString([]byte(zip)) + `"}`
	for _, length := range []int64{int64(len(body)), -1} {
		r := restRequest("PUT", "/2015-03-31/functions/f/code", body)
		r.ContentLength = length
		if w := serve(h, r); w.Code != 200 || string(b.calls[len(b.calls)-1].In.(*lambdaapi.UpdateFunctionCodeInput).ZipFile) != zip {
			t.Fatalf("%d %.200s", w.Code, w.Body)
		}
	}
	for range 2 * maxLarge { // what failed gave its place back
		r := restRequest("PUT", "/2015-03-31/functions/f/code", "")
		r.ContentLength, r.Body = 69905068, io.NopCloser(strings.NewReader(""))
		if w := serve(h, r); w.Code != 413 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		r = restRequest("PUT", "/2015-03-31/functions/f/code", "no json "+zip)
		if w := serve(h, r); w.Code != 400 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if len(h.large) != 0 {
		t.Errorf("%d places taken", len(h.large))
	}
}

// TestRESTDocument: what is in the path cannot be said again in the body, and timestamps are numbers.
func TestRESTDocument(t *testing.T) {
	b := &recorder{out: &lambdaapi.PutFunctionEventInvokeConfigOutput{LastModified: new(someTime)}}
	w := serve(newTestHandler(b, false), restRequest("PUT", "/2019-09-25/functions/f/event-invoke-config",
		`{"FunctionName":"other","MaximumRetryAttempts":1,"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sns:us-east-1:123456789012:d"}}}`))
	in := b.calls[0].In.(*lambdaapi.PutFunctionEventInvokeConfigInput)
	if *in.FunctionName != "f" || *in.MaximumRetryAttempts != 1 || *in.DestinationConfig.OnFailure.Destination != "arn:aws:sns:us-east-1:123456789012:d" {
		t.Errorf("%+v", in)
	}
	var out map[string]any
	if json.Unmarshal(w.Body.Bytes(), &out) != nil || len(out) != 1 || out["LastModified"] != 1790484553.25 {
		t.Errorf("%s", w.Body)
	}
	b.out = nil
	h := New(Config{Services: catalog.Services, Backend: b})
	w = serve(h, restRequest("DELETE", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af?tagKeys=a&tagKeys=b+c", ""))
	u, ok := b.calls[1].In.(*lambdaapi.UntagResourceInput)
	if !ok || *u.Resource != "arn:aws:lambda:us-east-1:123456789012:function:f" || len(u.TagKeys) != 2 || u.TagKeys[1] != "b c" {
		t.Errorf("%d %s %+v", w.Code, w.Body, b.calls[1])
	}
}
