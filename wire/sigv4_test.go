package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/api/catalog"
)

// recorder is a Backend that notes the calls and answers with what it was given.
type recorder struct {
	calls []Call
	out   any
	err   error
}

func (r *recorder) Call(_ context.Context, c Call) (any, error) {
	r.calls = append(r.calls, c)
	return r.out, r.err
}

var testNow = time.Date(2026, 9, 27, 4, 49, 13, 0, time.UTC)

func newTestHandler(b Backend, signed bool) *Handler {
	c := Config{Services: catalog.Services, Backend: b, Trusting: !signed, Now: func() time.Time { return testNow }}
	if signed {
		c.Key = testKeys
	}
	return New(c)
}

// TestSessionKeys: the keys of a session are good with its token only, and until it ends; also a handler that takes every
// signature knows whose they are.
func TestSessionKeys(t *testing.T) {
	for _, c := range []struct {
		trusting, expired bool
		token             string
		code              string
	}{
		{token: "tok/en"}, {token: "another", code: "InvalidClientTokenId"}, {token: "", code: "InvalidClientTokenId"},
		{token: "tok/en", expired: true, code: "ExpiredToken"}, {trusting: true, token: "another"}, {trusting: true, expired: true, code: "ExpiredToken"},
	} {
		b := &recorder{}
		h := New(Config{Services: catalog.Services, Backend: b, Now: func() time.Time { return testNow }, Trusting: c.trusting,
			Key: func(_ context.Context, key string) (Key, bool) {
				return Key{Secret: testSecret, Account: "111122223333", Token: "tok/en", Expired: c.expired, Identity: "alice"}, key == testKey
			}})
		r, err := http.NewRequest("POST", "http://127.0.0.1:4780/", strings.NewReader(autoscalingForm))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: c.token}
		if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, hashOf(autoscalingForm), "autoscaling", "us-east-1", testNow); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, asServed(r, autoscalingForm))
		switch {
		case c.code != "" && !strings.Contains(w.Body.String(), "<Code>"+c.code+"</Code>"):
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		case c.code == "" && (len(b.calls) != 1 || b.calls[0].Identity != "alice" || b.calls[0].Account != "111122223333"):
			t.Errorf("%+v: %d %s, %+v", c, w.Code, w.Body, b.calls)
		}
	}
}

const autoscalingForm = "Action=DescribeAutoScalingGroups&Version=2011-01-01&AutoScalingGroupNames.member.1=a+b%2Fc"

func hashOf(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// signedRequest makes a request as the SDK's signer signs it.
func signedRequest(t *testing.T, method, url, body, service string, at time.Time) *http.Request {
	return asServed(sign(t, method, url, body, service, at), body)
}

func signedRequestB(b *testing.B, url, body, service string) *http.Request {
	return sign(b, "POST", url+"/", body, service, testNow)
}

func sign(t testing.TB, method, url, body, service string, at time.Time) *http.Request {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Spaces", "  a   b ")
	signer := v4.NewSigner()
	creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: "a/session+token="}
	if err := signer.SignHTTP(context.Background(), creds, r, hashOf(body), service, "eu-west-1", at); err != nil {
		t.Fatal(err)
	}
	return r
}

// asServed is the request as a server sees it.
func asServed(r *http.Request, body string) *http.Request {
	s := httptest.NewRequest(r.Method, r.URL.String(), strings.NewReader(body))
	s.Header = r.Header.Clone()
	s.Host = r.URL.Host
	return s
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSignedHeaderIsTaken(t *testing.T) {
	for _, url := range []string{"http://localhost:4566/", "http://autoscaling.eu-west-1.amazonaws.com/?b=2&a=x%20y&a=1&a-b=~",
		"http://localhost:4566/pa%20th/%E2%82%AC/"} {
		b := &recorder{}
		w := serve(newTestHandler(b, true), signedRequest(t, "POST", url, autoscalingForm, "autoscaling", testNow))
		if w.Code != 200 || len(b.calls) != 1 {
			t.Fatalf("%s: %d %s", url, w.Code, w.Body)
		}
		c := b.calls[0]
		if c.Account != "111122223333" || c.Region != "eu-west-1" || c.AccessKey != testKey || c.SessionToken != "a/session+token=" ||
			c.Service != "autoscaling" || c.Operation != "DescribeAutoScalingGroups" || c.RequestID == "" {
			t.Errorf("%+v", c)
		}
	}
}

// TestTamperingFails changes one thing at a time of a signed request.
func TestTamperingFails(t *testing.T) {
	changes := map[string]func(r *http.Request) *http.Request{
		"body": func(r *http.Request) *http.Request {
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(autoscalingForm, "a+b", "a+c", 1)))
			return r
		},
		"path":   func(r *http.Request) *http.Request { r.URL.Path = "/x"; return r },
		"query":  func(r *http.Request) *http.Request { r.URL.RawQuery = "a=1"; return r },
		"method": func(r *http.Request) *http.Request { r.Method = "PUT"; return r },
		"host":   func(r *http.Request) *http.Request { r.Host = "elsewhere"; return r },
		"header": func(r *http.Request) *http.Request { r.Header.Set("X-Spaces", "a c"); return r },
		"token":  func(r *http.Request) *http.Request { r.Header.Set("X-Amz-Security-Token", "other"); return r },
		"target": func(r *http.Request) *http.Request { r.Header.Set("X-Amz-Target", "AmazonSSM.GetParameter"); return r },
		"claimed": func(r *http.Request) *http.Request {
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			return r
		},
		"region": func(r *http.Request) *http.Request {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "eu-west-1", "eu-west-2", 1))
			return r
		},
		"signature": func(r *http.Request) *http.Request {
			a := []byte(r.Header.Get("Authorization"))
			a[len(a)-1] ^= 1
			r.Header.Set("Authorization", string(a))
			return r
		},
	}
	for name, change := range changes {
		b := &recorder{}
		r := change(signedRequest(t, "POST", "http://localhost:4566/", autoscalingForm, "autoscaling", testNow))
		w := serve(newTestHandler(b, true), r)
		if w.Code != 403 && w.Code != 400 || len(b.calls) != 0 || !strings.Contains(w.Body.String(), "Signature") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestPresigned(t *testing.T) {
	presign := func(at time.Time, url string) *http.Request {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: "tok/en"}
		signed, header, err := v4.NewSigner().PresignHTTP(context.Background(), creds, r, hashOf(""), "sts", "eu-west-1", at)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewRequest("GET", signed, nil)
		s.Header, s.Host = header.Clone(), "localhost:4566"
		return s
	}
	const url = "http://localhost:4566/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=900"
	for age, want := range map[time.Duration]int{0: 200, 14 * time.Minute: 200, 16 * time.Minute: 403, -4 * time.Minute: 200, -6 * time.Minute: 403} {
		b := &recorder{}
		w := serve(newTestHandler(b, true), presign(testNow.Add(-age), url))
		if w.Code != want {
			t.Errorf("%v old: %d %s", age, w.Code, w.Body)
		}
		if want == 200 && b.calls[0].SessionToken != "tok/en" {
			t.Errorf("session token %q", b.calls[0].SessionToken)
		}
	}
	r := presign(testNow, url)
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Expires=900", "X-Amz-Expires=9000", 1)
	if w := serve(newTestHandler(&recorder{}, true), r); w.Code != 403 {
		t.Errorf("a longer life: %d", w.Code)
	}
	if w := serve(newTestHandler(&recorder{}, true), presign(testNow, strings.Replace(url, "=900", "=700000", 1))); w.Code != 400 {
		t.Errorf("more than a week: %d", w.Code)
	}
}

// TestPresignClient takes what the STS client presigns, as a cluster's token is.
func TestPresignClient(t *testing.T) {
	b := &recorder{}
	h := New(Config{Services: catalog.Services, Backend: b, Key: testKeys})
	srv := httptest.NewServer(h)
	defer srv.Close()
	client := sdkClients(srv.URL, 1)["sts"].(*sts.Client)
	signed, err := sts.NewPresignClient(client).PresignGetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(signed.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != 200 || len(b.calls) != 1 {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}

// TestAuthenticationErrors checks the code and status that each family of services has for each failure.
func TestAuthenticationErrors(t *testing.T) {
	ec2Form := "Action=DescribeRegions&Version=2016-11-15"
	form := func(service, body string, at time.Time) *http.Request {
		return signedRequest(t, "POST", "http://localhost:4566/", body, service, at)
	}
	unknown := func(r *http.Request) *http.Request {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), testKey, "AKIDNOBODY", 1))
		return r
	}
	noSignature := func(r *http.Request) *http.Request { r.Header.Del("Authorization"); return r }
	badSignature := func(r *http.Request) *http.Request { r.Header.Set("X-Spaces", "c"); return r }
	asJSON := func(r *http.Request, target string) *http.Request {
		r.Header.Set("X-Amz-Target", target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		return r
	}
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		want   string
	}{
		{"query key", unknown(form("autoscaling", autoscalingForm, testNow)), 403, "<Code>InvalidClientTokenId<"},
		{"query none", noSignature(form("autoscaling", autoscalingForm, testNow)), 403, "<Code>MissingAuthenticationToken<"},
		{"query bad", badSignature(form("autoscaling", autoscalingForm, testNow)), 403, "<Code>SignatureDoesNotMatch<"},
		{"query old", form("autoscaling", autoscalingForm, testNow.Add(-6*time.Minute)), 403,
			"Signature expired: 20260927T044313Z is now earlier than 20260927T044413Z (20260927T044913Z - 5 min.)"},
		{"query early", form("autoscaling", autoscalingForm, testNow.Add(6*time.Minute)), 403, "Signature not yet current"},
		{"query service", form("sns", autoscalingForm, testNow), 400, "<Code>InvalidAction<"},
		{"ec2 key", unknown(form("ec2", ec2Form, testNow)), 401, "<Code>AuthFailure<"},
		{"ec2 bad", badSignature(form("ec2", ec2Form, testNow)), 401, "<Code>AuthFailure<"},
		{"ec2 old", form("ec2", ec2Form, testNow.Add(-6*time.Minute)), 400, "<Code>RequestExpired<"},
		{"json key", asJSON(unknown(form("ssm", "{}", testNow)), "AmazonSSM.GetParameter"), 400, `"__type":"UnrecognizedClientException"`},
		{"json none", asJSON(noSignature(form("ssm", "{}", testNow)), "AmazonSSM.GetParameter"), 400, `"__type":"MissingAuthenticationTokenException"`},
		{"json scope", asJSON(form("sns", "{}", testNow), "AmazonSSM.GetParameter"), 400, "Credential should be scoped to correct service: 'ssm'"},
		{"json compatible", asJSON(unknown(form("monitoring", "{}", testNow)), "GraniteServiceVersion20100801.ListMetrics"), 403,
			`"__type":"InvalidClientTokenId"`},
	} {
		b := &recorder{}
		w := serve(newTestHandler(b, true), c.r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || len(b.calls) != 0 {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

func TestMalformedAuthorization(t *testing.T) {
	for _, header := range []string{"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b", "Bearer x", "AWS4-HMAC-SHA256 ,,,=,=",
		"AWS4-HMAC-SHA256 Credential=" + testKey + "/20260927/eu-west-1/autoscaling/aws4_request",
		"AWS4-HMAC-SHA256 Credential=" + testKey + "/20260927/eu-west-1/autoscaling/aws4_request, SignedHeaders=host, Signature=zz",
		"AWS4-HMAC-SHA256 Credential=" + testKey + "/x/../autoscaling/aws4_request, SignedHeaders=host, Signature=00"} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(autoscalingForm))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", header)
		b := &recorder{}
		if w := serve(newTestHandler(b, true), r); w.Code < 400 || w.Code > 403 || len(b.calls) != 0 {
			t.Errorf("%s: %d %s", header, w.Code, w.Body)
		}
	}
}

// TestNoAuth: accounts and regions with --auth none.
func TestNoAuth(t *testing.T) {
	for _, c := range []struct{ header, account, region string }{
		{"", DefaultAccount, DefaultRegion},
		{"AWS4-HMAC-SHA256 Credential=test/20260927/ap-northeast-2/autoscaling/aws4_request, SignedHeaders=host, Signature=00", DefaultAccount, "ap-northeast-2"},
		{"AWS4-HMAC-SHA256 Credential=000000000042/20260927/eu-west-1/autoscaling/aws4_request, SignedHeaders=host, Signature=00", "000000000042", "eu-west-1"},
		{"Bearer x", DefaultAccount, DefaultRegion},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(autoscalingForm))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		b := &recorder{}
		w := serve(newTestHandler(b, false), r)
		if w.Code != 200 || b.calls[0].Account != c.account || b.calls[0].Region != c.region {
			t.Errorf("%s: %d %+v %s", c.header, w.Code, b.calls, w.Body)
		}
	}
}

// TestSigningKeysAreBounded fills the cache of signing keys beyond its bound.
func TestSigningKeysAreBounded(t *testing.T) {
	v := verifier{}
	first := v.signingKey(signingScope{"s", "20260927", "r0", "ec2"})
	for i := range maxKeys + 10 {
		v.signingKey(signingScope{"s", "20260927", fmt.Sprint("r", i), "ec2"})
	}
	if len(v.keys) > maxKeys {
		t.Errorf("%d keys", len(v.keys))
	}
	if again := v.signingKey(signingScope{"s", "20260927", "r0", "ec2"}); !bytes.Equal(first[:], again[:]) {
		t.Error("the key differs")
	}
}

var _ Backend = (*recorder)(nil)
var _ http.Handler = (*Handler)(nil)
var _ = api.Query

// TestUnsignedOperations: a link in a message is followed by somebody who has no keys.
func TestUnsignedOperations(t *testing.T) {
	b := &recorder{}
	h := New(Config{Services: catalog.Services, Backend: b, Key: testKeys, Unsigned: map[string]string{"ConfirmSubscription": "sns"}})
	link := "http://127.0.0.1:4566/?Action=ConfirmSubscription&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3Anews&Token=abc"
	if w := serve(h, httptest.NewRequest("GET", link, nil)); w.Code != 200 || len(b.calls) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if c := b.calls[0]; c.Service != "sns" || c.Operation != "ConfirmSubscription" || c.AccessKey != "" {
		t.Errorf("%+v", c)
	}
	for _, other := range []string{"Action=Unsubscribe&SubscriptionArn=x", "Action=CreateTopic&Name=x&Version=2010-03-31"} {
		if w := serve(h, httptest.NewRequest("GET", "http://127.0.0.1:4566/?"+other, nil)); w.Code != 403 || len(b.calls) != 1 {
			t.Errorf("%s: %d %s", other, w.Code, w.Body)
		}
	}
	// A signature that is there must be good.
	signed := signedRequest(t, "GET", link, "", "sns", testNow.Add(-time.Hour))
	if w := serve(h, signed); w.Code != 403 || len(b.calls) != 1 {
		t.Errorf("a stale signature: %d %s", w.Code, w.Body)
	}
}
