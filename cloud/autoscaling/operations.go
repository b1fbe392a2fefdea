package autoscaling

import "github.com/billow-cloud/billow/cloud"

// groupOperations are those of groups and their members.
func (s *Service) groupOperations() []cloud.Operation { return nil }
