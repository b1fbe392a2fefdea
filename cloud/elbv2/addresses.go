package elbv2

import (
	"encoding/hex"
	"net/netip"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// address is a row of the one pool that all load balancers of all scopes, application and classic, take theirs from:
// they are addresses of one host. Its key is addressKey.
type address struct{ Owner string } // the load balancer's ARN

// addressKey orders as the addresses do.
func addressKey(a netip.Addr) string { return hex.EncodeToString(a.AsSlice()) }

// AllocateAddress gives a load balancer the lowest free address of the pool.
func (s *Service) AllocateAddress(tx *cloud.Tx, owner string) (string, error) {
	free := s.options.Addresses.Masked().Addr().Next()
	for key := range s.addresses.From("", addressKey(free)) {
		if key != addressKey(free) {
			break
		}
		free = free.Next()
	}
	if !s.options.Addresses.Contains(free.Next()) { // the last one would be a broadcast address
		return "", api.Errorf("TooManyLoadBalancers", "There is no address left in %s for another load balancer", s.options.Addresses)
	}
	s.addresses.Put(tx.Journal(), addressKey(free), address{owner})
	return free.String(), nil
}

// ReleaseAddress gives an address back.
func (s *Service) ReleaseAddress(tx *cloud.Tx, a string) {
	if addr, err := netip.ParseAddr(a); err == nil {
		s.addresses.Delete(tx.Journal(), addressKey(addr))
	}
}

// DNSSuffix is the end of all load balancers' names.
func (s *Service) DNSSuffix() string { return s.options.DNSSuffix }
