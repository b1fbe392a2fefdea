package lambda

import "github.com/billow-cloud/billow/cloud"

// principal is who assumes a function's role.
const principal = "lambda.amazonaws.com"

// checkRole says whether a function may have a role: whoever gives it must be allowed to, and Lambda to assume it.
func (s *Service) checkRole(tx *cloud.Tx, arn string) error { return nil }

// credentials are the role's, as variables of a function's environment.
func (s *Service) credentials(tx *cloud.Tx, role, function string) ([]Variable, error) {
	return nil, nil
}
