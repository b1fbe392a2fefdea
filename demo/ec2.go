package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// ec2Client makes the demo's few EC2 calls. It is not the SDK's client, which would cost every build of this program
// three gigabytes of memory and most of its time.
type ec2Client struct {
	endpoint string
	region   string
	keys     aws.CredentialsProvider
}

// call makes a signed request and reads the members that out names from the answer. Params are given as the API names
// them: "Filter.1.Name", "web".
func (c *ec2Client) call(ctx context.Context, action string, out any, params ...string) error {
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i+1 < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	body := form.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	keys, err := c.keys.Retrieve(ctx)
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, keys, r, hex.EncodeToString(hash[:]), "ec2", c.region, time.Now()); err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		var refused struct {
			Code    string `xml:"Errors>Error>Code"`
			Message string `xml:"Errors>Error>Message"`
		}
		xml.Unmarshal(text, &refused)
		return fmt.Errorf("%s: %s: %s", action, refused.Code, refused.Message)
	}
	if out == nil {
		return nil
	}
	return xml.Unmarshal(text, out)
}
