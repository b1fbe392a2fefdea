package autoscaling

import "github.com/billow-cloud/billow/cloud"

func (s *Service) explainOperations() []cloud.Operation { return nil }
