package autoscaling

import "github.com/billow-cloud/billow/api"

// invalid is what AWS answers to nearly everything that a request gets wrong.
func invalid(format string, args ...any) error { return api.Errorf("ValidationError", format, args...) }
