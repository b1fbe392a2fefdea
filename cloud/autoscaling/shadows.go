package autoscaling

import "github.com/billow-cloud/billow/cloud"

// Shadow is a row.
type Shadow struct {
	Group string
	Parts []ShadowPart
}

// ShadowPart is one policy.
type ShadowPart struct{ Policy Policy }

func (s *Service) shadowOperations() []cloud.Operation { return nil }

func (s *Service) watchShadows(tx *cloud.Tx, group string) {}
