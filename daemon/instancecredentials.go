package daemon

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	stsapi "github.com/billow-cloud/billow/api/sts"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
)

const securityCredentials = "meta-data/iam/security-credentials/"

// roleAsked is the role whose credentials a path of the metadata service names, if it is the instance's.
func roleAsked(path string, data *ec2.MetadataOutput) (role string, ok bool) {
	_, below, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	role, ok = strings.CutPrefix(strings.Trim(below, "/"), securityCredentials)
	if !ok {
		return "", false
	}
	for _, item := range data.Items {
		if item.Path == securityCredentials+role {
			return role, true
		}
	}
	return "", false
}

// byWallClock is an answer of STS with the end of its session by the wall clock, which is what SDKs hold it against to know
// when they need new credentials: the cloud's clock may run faster, and is elsewhere then.
func (d *Daemon) byWallClock(out any) any {
	of := func(c *stsapi.Credentials) *stsapi.Credentials {
		x := *c
		x.Expiration = new(time.Now().Add(d.loop.clock.Until(*c.Expiration)).UTC().Truncate(time.Second))
		return &x
	}
	switch out := out.(type) {
	case *stsapi.AssumeRoleOutput:
		x := *out
		x.Credentials = of(out.Credentials)
		return &x
	case *stsapi.GetSessionTokenOutput:
		return &stsapi.GetSessionTokenOutput{Credentials: of(out.Credentials)}
	}
	return out
}

// instanceCredentials answers as EC-MD-05 says. Instants are those of the wall clock, which is what instances have: the
// cloud's may run faster.
func (d *Daemon) instanceCredentials(w http.ResponseWriter, r *http.Request, in *ec2.CredentialsInput) {
	reply, err := d.loop.call(r.Context(), cloud.Call{Service: ec2.Name, Operation: "instance-credentials", In: in})
	if err != nil {
		refuse(w, http.StatusNotFound)
		return
	}
	out, now := reply.(*ec2.CredentialsOutput), time.Now()
	stamp := func(t time.Time) string {
		return now.Add(d.loop.clock.Until(t)).UTC().Format("2006-01-02T15:04:05Z")
	}
	var answer any = struct{ Code, Message, LastUpdated string }{out.Code, out.Message, now.UTC().Format("2006-01-02T15:04:05Z")}
	if out.Code == "Success" {
		answer = struct {
			Code            string
			LastUpdated     string
			Type            string
			AccessKeyID     string `json:"AccessKeyId"`
			SecretAccessKey string
			Token           string
			Expiration      string
		}{out.Code, stamp(out.Made), "AWS-HMAC", out.AccessKeyID, out.SecretAccessKey, out.SessionToken, stamp(out.Expiration)}
	}
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		panic(err)
	}
	w.Write(text)
}
