package daemon

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

// metadataServer is the instance metadata service: which instance asks is told by the source address, which it cannot
// forge. What it is told comes from EC2, by the internal call "instance-metadata".
type metadataServer struct {
	key []byte // signs tokens
	ask func(r *http.Request, in *ec2.MetadataInput) (*ec2.MetadataOutput, error)
	// credentials answers with those of an instance's role.
	credentials func(w http.ResponseWriter, r *http.Request, in *ec2.CredentialsInput)
}

const (
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	maxTTL      = 21600
)

func (d *Daemon) metadata() http.Handler {
	return &metadataServer{key: random(32), ask: func(r *http.Request, in *ec2.MetadataInput) (*ec2.MetadataOutput, error) {
		out, err := d.loop.call(r.Context(), cloud.Call{Service: ec2.Name, Operation: "instance-metadata", In: in})
		if err != nil {
			return nil, err
		}
		return out.(*ec2.MetadataOutput), nil
	}, credentials: d.instanceCredentials}
}

func (m *metadataServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	data, err := m.ask(r, &ec2.MetadataInput{PrivateIP: source})
	w.Header().Set("Server", "EC2ws")
	w.Header().Set("Content-Type", "text/plain")
	switch {
	case err != nil:
		refuse(w, http.StatusNotFound)
	case data.Options.HTTPEndpoint == "disabled":
		refuse(w, http.StatusForbidden)
	case r.URL.Path == "/latest/api/token":
		m.token(w, r, data)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		refuse(w, http.StatusForbidden) // EC-MD-02: the captured answer to POST and DELETE
	case !m.admitted(r, data):
		refuse(w, http.StatusUnauthorized)
	default:
		if role, ok := roleAsked(r.URL.Path, data); ok {
			m.credentials(w, r, &ec2.CredentialsInput{PrivateIP: source, Role: role})
			return
		}
		answerMetadata(w, r.URL.Path, data)
	}
}

// token gives out a session token (EC-MD-01, EC-MD-02).
func (m *metadataServer) token(w http.ResponseWriter, r *http.Request, data *ec2.MetadataOutput) {
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		refuse(w, http.StatusMethodNotAllowed)
	case r.Method != http.MethodPut:
		refuse(w, http.StatusForbidden) // as above
	case r.Header.Get("X-Forwarded-For") != "":
		refuse(w, http.StatusForbidden)
	case err != nil || ttl < 0 || ttl > maxTTL:
		refuse(w, http.StatusBadRequest)
	default:
		limitHops(r, data.Options.HopLimit)
		w.Header().Set(ttlHeader, strconv.Itoa(ttl))
		fmt.Fprint(w, m.sign(data.InstanceID, time.Now().Add(time.Duration(ttl)*time.Second)))
	}
}

type connKey struct{}

// keepConn is an http.Server's ConnContext: limitHops finds the connection again.
func keepConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// limitHops has the answer, with the token, go as far as the instance allows (EC-MD-03): with 1 it does not get through to
// who hides behind the instance.
func limitHops(r *http.Request, hops int) {
	c, ok := r.Context().Value(connKey{}).(*net.TCPConn)
	if !ok || hops < 1 {
		return
	}
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, hops) })
	}
}

// sign makes a token: when it ends, and a signature over that and the instance. It needs no memory.
func (m *metadataServer) sign(instance string, end time.Time) string {
	stamp := binary.BigEndian.AppendUint64(nil, uint64(end.UnixMilli()))
	mac := hmac.New(sha256.New, m.key)
	mac.Write(stamp)
	mac.Write([]byte(instance))
	return base64.RawURLEncoding.EncodeToString(append(stamp, mac.Sum(nil)...))
}

func (m *metadataServer) admitted(r *http.Request, data *ec2.MetadataOutput) bool {
	token := r.Header.Get(tokenHeader)
	if token == "" {
		return data.Options.HTTPTokens != "required"
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 8 {
		return false
	}
	end := time.UnixMilli(int64(binary.BigEndian.Uint64(raw)))
	return time.Now().Before(end) && hmac.Equal([]byte(token), []byte(m.sign(data.InstanceID, end)))
}

// answerMetadata serves a leaf, or lists what is below a path.
func answerMetadata(w http.ResponseWriter, path string, data *ec2.MetadataOutput) {
	version, below, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/") // any is "latest"
	if version == "" {
		fmt.Fprint(w, "latest")
		return
	}
	below = strings.Trim(below, "/")
	if below == "user-data" {
		if data.UserData == nil {
			refuse(w, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(data.UserData)
		return
	}
	var entries []string
	if below == "" {
		if entries = []string{"dynamic", "meta-data"}; data.UserData != nil {
			entries = append(entries, "user-data")
		}
	}
	for _, item := range data.Items {
		if item.Path == below {
			fmt.Fprint(w, item.Value)
			return
		}
		if rest, ok := strings.CutPrefix(item.Path, below+"/"); ok && below != "" {
			name, _, directory := strings.Cut(rest, "/")
			if n := len(entries); n > 0 && strings.TrimSuffix(entries[n-1], "/") == name { // it has a value, or another one below it
				entries = entries[:n-1]
			}
			if directory {
				name += "/"
			}
			entries = append(entries, name)
		}
	}
	if len(entries) == 0 {
		refuse(w, http.StatusNotFound)
		return
	}
	fmt.Fprint(w, strings.Join(entries, "\n"))
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }
