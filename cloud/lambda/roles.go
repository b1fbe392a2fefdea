package lambda

import (
	"time"

	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/iam"
)

// principal is who assumes a function's role.
const principal = "lambda.amazonaws.com"

// sessionLife is how long a function's credentials are good for. A quarter before that a sandbox gets new ones.
const sessionLife = 12 * time.Hour

// checkRole says whether a function may have a role: whoever gives it must be allowed to, and Lambda to assume it.
func (s *Service) checkRole(tx *cloud.Tx, arn string) error {
	if err := s.identities.MayPass(tx, arn, principal); err != nil {
		return err
	}
	if r, ok := s.identities.Role(tx, arn); !ok || !s.identities.Trusts(tx, r, principal) {
		return errRole
	}
	return nil
}

var errRole = invalid("The role defined for the function cannot be assumed by Lambda.")

// credentials are what the role gives to a function's next run.
func (s *Service) credentials(tx *cloud.Tx, role, function string) (c iam.Credentials, err error) {
	r, ok := s.identities.Role(tx, role)
	if !ok || !s.identities.Trusts(tx, r, principal) {
		return c, errRole
	}
	if c, err = s.identities.Session(tx, role, function, sessionLife); err != nil {
		return c, errRole
	}
	return c, nil
}

// keysOf are credentials as a function's environment has them.
func keysOf(c iam.Credentials) []Variable {
	return []Variable{{"AWS_ACCESS_KEY_ID", c.AccessKeyID}, {"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey}, {"AWS_SESSION_TOKEN", c.SessionToken}}
}
