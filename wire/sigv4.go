package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/billow-cloud/billow/api"
)

const (
	algorithm   = "AWS4-HMAC-SHA256"
	stampLayout = "20060102T150405Z"
	maxSkew     = 5 * time.Minute
	maxExpires  = 7 * 24 * time.Hour

	defaultExpires = 15 * time.Minute // of a presigned URL that does not say
)

// signature is what a request says of its signer (SigV4), in the Authorization header or in the URL.
type signature struct {
	accessKey, date, region, service string // the credential and its scope
	headers                          string // signed, "host;x-amz-date"
	value                            string // hex
	stamp                            string // X-Amz-Date
	expires                          string // X-Amz-Expires; presigned URLs only
	token                            string // X-Amz-Security-Token
	presigned                        bool
}

// readSignature finds the request's signature. It gives nil if there is none, and a note of what is wrong with it.
func readSignature(r *http.Request) (s *signature, wrong string) {
	s = &signature{}
	var credential string
	if header := r.Header.Get("Authorization"); header != "" {
		rest, ok := strings.CutPrefix(header, algorithm)
		if !ok {
			return nil, "Unsupported authorization type"
		}
		for part := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				s.headers = value
			case "Signature":
				s.value = value
			}
		}
		s.stamp, s.token = r.Header.Get("X-Amz-Date"), r.Header.Get("X-Amz-Security-Token")
		if s.stamp == "" {
			if t, err := http.ParseTime(r.Header.Get("Date")); err == nil {
				s.stamp = t.UTC().Format(stampLayout)
			}
		}
	} else if strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, "The query string contains a syntax error"
		}
		if q.Get("X-Amz-Algorithm") != algorithm {
			return nil, "X-Amz-Algorithm must be " + algorithm
		}
		credential = q.Get("X-Amz-Credential")
		*s = signature{headers: q.Get("X-Amz-SignedHeaders"), value: q.Get("X-Amz-Signature"), stamp: q.Get("X-Amz-Date"),
			expires: q.Get("X-Amz-Expires"), token: q.Get("X-Amz-Security-Token"), presigned: true}
	} else {
		return nil, ""
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || scope[0] == "" {
		return nil, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got '" + credential + "'"
	}
	s.accessKey, s.date, s.region, s.service = scope[0], scope[1], scope[2], scope[3]
	return s, ""
}

// verifier checks signatures.
type verifier struct {
	now func() time.Time

	mu   sync.RWMutex
	keys map[signingScope][sha256.Size]byte
}

type signingScope struct{ secret, date, region, service string }

// maxKeys bounds the cache of signing keys; a full one starts afresh.
const maxKeys = 4096

// verify checks the signature, with a key, of a request whose body has the given hash.
func (v *verifier) verify(x *exchange, r *http.Request, s *signature, k Key, bodyHash [sha256.Size]byte) error {
	if s.headers == "" || s.value == "" || s.stamp == "" {
		return authError(x, incomplete, "Authorization header requires 'Credential', 'SignedHeaders', 'Signature' and an 'X-Amz-Date'.")
	}
	if wrong, kind := v.timely(s); wrong != "" {
		return authError(x, kind, wrong)
	}
	if x.svc != nil && s.service != x.svc.Signing {
		return authError(x, mismatch, "Credential should be scoped to correct service: '"+x.svc.Signing+"'.")
	}
	if wrong := unsigned(r, s.headers); wrong != "" {
		return authError(x, mismatch, wrong)
	}
	payload := hex.EncodeToString(bodyHash[:])
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed == "UNSIGNED-PAYLOAD" {
		payload = claimed
	} else if claimed != "" && claimed != payload {
		return authError(x, mismatch, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	given, err := hex.DecodeString(s.value)
	if err != nil {
		return authError(x, mismatch, "")
	}
	canonical := sha256.Sum256(canonicalRequest(nil, r, s, payload))
	b := make([]byte, 0, 256)
	b = append(append(b, algorithm...), '\n')
	b = append(append(b, s.stamp...), '\n')
	b = append(append(append(append(append(append(b, s.date...), '/'), s.region...), '/'), s.service...), "/aws4_request\n"...)
	b = hex.AppendEncode(b, canonical[:])
	key := v.signingKey(signingScope{k.Secret, s.date, s.region, s.service})
	if !hmac.Equal(mac(key[:], b), given) {
		return authError(x, mismatch, "")
	}
	if k.Token != "" && subtle.ConstantTimeCompare([]byte(k.Token), []byte(s.token)) == 0 {
		return authError(x, unknownKey, "")
	}
	if k.Expired {
		return authError(x, expiredToken, "")
	}
	return nil
}

// timely checks the signature's instant against the wall clock.
func (v *verifier) timely(s *signature) (wrong string, kind authKind) {
	t, err := time.Parse(stampLayout, s.stamp)
	if err != nil {
		return "Date must be in ISO-8601 'basic format'. Got '" + s.stamp + "'.", incomplete
	}
	if !strings.HasPrefix(s.stamp, s.date) {
		return "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			s.date + "' != '" + s.stamp + "'.", mismatch
	}
	now := v.now().UTC()
	stamp := func(t time.Time) string { return t.Format(stampLayout) }
	if t.After(now.Add(maxSkew)) {
		return "Signature not yet current: " + stamp(t) + " is still later than " + stamp(now.Add(maxSkew)) +
			" (" + stamp(now) + " + 5 min.)", expired
	}
	life := maxSkew
	switch {
	case s.presigned && s.expires == "":
		life = defaultExpires // what the SDK's presigners leave out
	case s.presigned:
		n, err := strconv.Atoi(s.expires)
		if life = time.Duration(n) * time.Second; err != nil || n < 1 || n > int(maxExpires/time.Second) {
			return "X-Amz-Expires must be a number of seconds from 1 to 604800.", incomplete
		}
	}
	if t.Before(now.Add(-life)) {
		return "Signature expired: " + stamp(t) + " is now earlier than " + stamp(now.Add(-life)) +
			" (" + stamp(now) + " - " + strconv.Itoa(int(life/time.Minute)) + " min.)", expired
	}
	return "", 0
}

// unsigned names what must be signed and is not: the host and all x-amz- headers.
func unsigned(r *http.Request, headers string) string {
	list := ";" + headers + ";"
	if !strings.Contains(list, ";host;") {
		return "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !strings.Contains(list, ";"+strings.ToLower(name)+";") {
			return "There were headers present in the request which were not signed: '" + strings.ToLower(name) + "'."
		}
	}
	return ""
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(make([]byte, 0, sha256.Size))
}

func (v *verifier) signingKey(s signingScope) [sha256.Size]byte {
	v.mu.RLock()
	key, ok := v.keys[s]
	v.mu.RUnlock()
	if ok {
		return key
	}
	k := mac([]byte("AWS4"+s.secret), []byte(s.date))
	k = mac(k, []byte(s.region))
	k = mac(k, []byte(s.service))
	key = [sha256.Size]byte(mac(k, []byte("aws4_request")))
	v.mu.Lock()
	if v.keys == nil || len(v.keys) >= maxKeys {
		v.keys = map[signingScope][sha256.Size]byte{}
	}
	v.keys[s] = key
	v.mu.Unlock()
	return key
}

// canonicalRequest appends the request in the form that is signed.
func canonicalRequest(b []byte, r *http.Request, s *signature, payload string) []byte {
	if b == nil {
		b = make([]byte, 0, 512)
	}
	b = append(append(b, r.Method...), '\n')
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = append(appendURI(b, path, true), '\n') // as sent, and encoded once more
	b = append(appendCanonicalQuery(b, r.URL.RawQuery), '\n')
	for name := range strings.SplitSeq(s.headers, ";") {
		b = append(append(b, name...), ':')
		switch values := r.Header.Values(name); {
		case name == "host":
			b = append(b, r.Host...)
		case name == "content-length" && len(values) == 0:
			b = strconv.AppendInt(b, r.ContentLength, 10)
		default:
			for i, value := range values {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendTrimmed(b, value)
			}
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(append(b, s.headers...), '\n')
	return append(b, payload...)
}

// appendTrimmed writes a header's value with runs of spaces made one.
func appendTrimmed(b []byte, s string) []byte {
	s = strings.TrimSpace(s)
	for i := 0; i < len(s); i++ {
		if s[i] == ' ' && s[i-1] == ' ' {
			continue
		}
		b = append(b, s[i])
	}
	return b
}

// appendCanonicalQuery writes the query sorted and in one encoding, without the signature itself.
func appendCanonicalQuery(b []byte, raw string) []byte {
	if raw == "" {
		return b
	}
	type parameter struct{ name, value string }
	var all []parameter
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, value = recode(name), recode(value)
		if name != "X-Amz-Signature" {
			all = append(all, parameter{name, value})
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].name != all[j].name {
			return all[i].name < all[j].name
		}
		return all[i].value < all[j].value
	})
	for i, p := range all {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(append(b, p.name...), '='), p.value...)
	}
	return b
}

// recode brings one name or value of a query into the canonical encoding.
func recode(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		s = plain
	}
	return string(appendURI(nil, s, false))
}

// appendURI percent-encodes everything but unreserved characters and, in a path, slashes.
func appendURI(b []byte, s string, path bool) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9',
			c == '-' || c == '_' || c == '.' || c == '~', path && c == '/':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// authKind is a way in which authentication fails; each family of services has codes of its own for it.
type authKind int

const (
	missing authKind = iota
	incomplete
	unknownKey
	mismatch
	expired
	expiredToken
)

// authError words a failed authentication. Text is used where the code has none of its own.
func authError(x *exchange, kind authKind, text string) error {
	const wrongSignature = "The request signature we calculated does not match the signature you provided. Check your " +
		"AWS Secret Access Key and signing method. Consult the service documentation for details."
	query := [...]api.Error{
		missing:    {Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token", Status: 403},
		incomplete: {Code: "IncompleteSignature", Status: 400},
		unknownKey: {Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: 403},
		mismatch:   {Code: "SignatureDoesNotMatch", Message: wrongSignature, Status: 403},
		expired:    {Code: "SignatureDoesNotMatch", Status: 403},

		expiredToken: {Code: "ExpiredToken", Message: "The security token included in the request is expired", Status: 403},
	}
	e := query[kind]
	if text != "" {
		e.Message = text
	}
	switch {
	case x.protocol == api.EC2 && (kind == unknownKey || kind == mismatch):
		e = api.Error{Code: "AuthFailure", Status: 401, Message: "AWS was not able to validate the provided access credentials"}
	case x.protocol == api.EC2 && (kind == expired || kind == expiredToken):
		e = api.Error{Code: "RequestExpired", Status: 400, Message: "Request has expired."}
	case x.protocol == api.RestJSON:
		codes := [...]string{missing: "MissingAuthenticationTokenException", incomplete: "IncompleteSignatureException",
			unknownKey: "UnrecognizedClientException", mismatch: "InvalidSignatureException", expired: "InvalidSignatureException", expiredToken: "ExpiredTokenException"}
		e.Code, e.Status = codes[kind], 403
	case (x.protocol == api.JSON || x.protocol == api.CBOR) && (x.svc == nil || !x.svc.QueryCompatible):
		codes := [...]string{missing: "MissingAuthenticationTokenException", incomplete: "IncompleteSignatureException",
			unknownKey: "UnrecognizedClientException", mismatch: "InvalidSignatureException", expired: "InvalidSignatureException", expiredToken: "ExpiredTokenException"}
		e.Code, e.Status = codes[kind], 400
	}
	return &e
}
