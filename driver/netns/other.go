//go:build !linux

package netns

import (
	"errors"

	"github.com/billow-cloud/billow/driver"
)

// Sweep has nothing to do.
func Sweep(string) {}

// New says that this driver needs Linux.
func New(Config) (driver.Driver, error) {
	return nil, errors.New("the netns driver needs Linux: use --driver sim")
}
