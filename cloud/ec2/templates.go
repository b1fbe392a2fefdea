package ec2

import (
	"time"

	api "github.com/billow-cloud/billow/api/ec2"
)

// Template is a launch template's row.
type Template struct {
	ID, Name               string
	Created                time.Time
	CreatedBy              string
	DefaultVersion, Latest int64
	Next                   int64 // number of the next version: numbers are never used twice
	ClientToken            string
}

// TemplateVersion is the row of one version of a launch template. Data is never written again.
type TemplateVersion struct {
	TemplateID  string
	Version     int64
	Description string
	Created     time.Time
	CreatedBy   string
	Data        api.ResponseLaunchTemplateData
}
