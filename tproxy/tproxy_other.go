//go:build !linux

package tproxy

import (
	"errors"
	"net/netip"
)

func open(netip.Prefix) (*Socket, error) {
	return nil, errors.New("transparent proxying takes Linux")
}
