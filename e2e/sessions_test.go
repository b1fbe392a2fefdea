package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestSessionsEndByTheWallClock: at a time scale of 30 a session of 15 minutes is good for 30 s, and says so: the SDK and
// the AWS CLI get new ones in time and never use one that has ended.
func TestSessionsEndByTheWallClock(t *testing.T) {
	need(t, "aws")
	t.Parallel()
	s := start(t, "--driver", "sim", "--time-scale", "30")
	var made struct{ AccessKey keys }
	s.aws(nil, "iam", "create-user", "--user-name", "alice")
	s.aws(&made, "iam", "create-access-key", "--user-name", "alice")
	s.aws(nil, "iam", "create-role", "--role-name", "look", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"},"Action":"sts:AssumeRole"}]}`)
	s.aws(nil, "iam", "put-role-policy", "--role-name", "look", "--policy-name", "look", "--policy-document", describe)
	const role = "arn:aws:iam::123456789012:role/look"

	// Long after the start the two clocks are far apart.
	config := s.sdk()
	config.Credentials = credentials.NewStaticCredentialsProvider(made.AccessKey.AccessKeyId, made.AccessKey.SecretAccessKey, "")
	assume := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), role, func(o *stscreds.AssumeRoleOptions) { o.Duration = 15 * time.Minute })
	cache := aws.NewCredentialsCache(assume, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 2 * time.Second })
	config.Credentials = cache
	client := ec2.NewFromConfig(config)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	sessions := map[string]bool{}
	for len(sessions) < 3 {
		if _, err := client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}); err != nil {
			t.Fatalf("session %d: %v", len(sessions), err)
		}
		c, err := cache.Retrieve(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(c.Expires); left > 31*time.Second || left < 0 {
			t.Fatalf("%s are left of a session of 30 s", left)
		}
		sessions[c.AccessKeyID] = true
		time.Sleep(100 * time.Millisecond) // between calls, as a program has it
	}

	// The CLI keeps sessions in a cache between two commands.
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[profile alice]\n[profile look]\nrole_arn = "+role+"\nsource_profile = alice\nduration_seconds = 900\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(filepath.Dir(file), "credentials")
	if err := os.WriteFile(secrets, []byte("[alice]\naws_access_key_id = "+made.AccessKey.AccessKeyId+"\naws_secret_access_key = "+made.AccessKey.SecretAccessKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cli := identity{s, []string{"AWS_PROFILE=look", "AWS_CONFIG_FILE=" + file, "AWS_SHARED_CREDENTIALS_FILE=" + secrets, "AWS_ENDPOINT_URL=" + s.endpoint, "AWS_REGION=us-east-1"}}
	for range 2 {
		var who struct{ Arn string }
		if out := cli.may("sts", "get-caller-identity", "--output", "json"); json.Unmarshal([]byte(out), &who) != nil || !strings.HasPrefix(who.Arn, "arn:aws:sts::123456789012:assumed-role/look/") {
			t.Errorf("the CLI's session: %s", out)
		}
	}
}
