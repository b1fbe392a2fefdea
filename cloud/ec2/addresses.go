package ec2

import (
	"encoding/binary"
	"net/netip"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
)

// taken tells whether an address belongs to an instance or an account, in any scope: all scopes share one host network.
func (s *Service) taken(ip string) bool {
	for range s.parts.Index.Each(ip, "") {
		return true
	}
	_, _, elastic := s.elasticParts.Find(ip)
	return elastic
}

// inPool tells whether a text is an address that the pool of public addresses gives out.
func (s *Service) inPool(ip string) bool {
	a, err := netip.ParseAddr(ip)
	pool := s.options.PublicPool.Masked()
	return err == nil && pool.Contains(a) && a != pool.Addr() && pool.Contains(a.Next())
}

// draws is how often an address is drawn at random before the block is searched in order.
const draws = 32

// freeAddress draws a free address of a block, leaving out the first head and the last addresses. It is drawn at random,
// so that an address is not used again at once and a crowded block costs little.
func (s *Service) freeAddress(tx *cloud.Tx, block netip.Prefix, head int) (string, bool) {
	base := block.Masked().Addr().As4()
	size := 1<<(32-block.Bits()) - head - 1
	if size <= 0 {
		return "", false
	}
	from := 0
	for n := range draws + size {
		if n < draws {
			from = tx.IntN(size)
		} else {
			from = (from + 1) % size
		}
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(base[:])+uint32(head+from))
		if ip := netip.AddrFrom4(b).String(); !s.taken(ip) {
			return ip, true
		}
	}
	return "", false
}

// privateAddress gives an instance its address in a subnet: the one asked for, or any.
func (s *Service) privateAddress(tx *cloud.Tx, n Subnet, wanted string) (string, error) {
	if wanted == "" {
		ip, ok := s.freeAddress(tx, n.prefix(), reservedAddresses-1)
		if !ok {
			return "", api.Errorf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", n.ID)
		}
		return ip, nil
	}
	ip, err := netip.ParseAddr(wanted)
	if err != nil || !n.prefix().Contains(ip) {
		return "", api.Errorf("InvalidParameterValue", "Address %s does not fall within the subnet's address range", wanted)
	}
	at, base := ip.As4(), n.prefix().Addr().As4()
	place := int(binary.BigEndian.Uint32(at[:]) - binary.BigEndian.Uint32(base[:]))
	if place < reservedAddresses-1 || place == n.size()+reservedAddresses-1 {
		return "", api.Errorf("InvalidParameterValue", "Address %s is in subnet's reserved address range", wanted)
	}
	if s.taken(wanted) {
		return "", api.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", wanted)
	}
	return wanted, nil
}

// publicAddress gives an address of the pool for the time that an instance runs (EC-IP-07); empty if all are taken.
func (s *Service) publicAddress(tx *cloud.Tx) string {
	ip, _ := s.freeAddress(tx, s.options.PublicPool, 1)
	return ip
}

// mac derives an interface's hardware address from its private address, so that a reused address meets no stale entry.
func mac(ip string) string {
	const digits = "0123456789abcdef"
	b := []byte("02:00")
	for _, x := range netip.MustParseAddr(ip).As4() {
		b = append(b, ':', digits[x>>4], digits[x&15])
	}
	return string(b)
}

// setPublic gives an instance another public address, an Elastic IP if allocation names one, or none. It does so in the row
// given, which the caller puts.
func (s *Service) setPublic(tx *cloud.Tx, i *Instance, ip, allocation string) {
	before := i.PublicIP
	i.PublicIP, i.ElasticIP = ip, allocation
	s.moved(tx, before)
	s.moved(tx, ip)
}

// moved has the world told who answers on a public address now.
func (s *Service) moved(tx *cloud.Tx, ip string) {
	if ip != "" {
		tx.Touch(Name, kindAddress, ip)
	}
}

// answers tells whether an instance can answer on its public address.
func (i Instance) answers() bool {
	return i.PublicIP != "" && (i.State == Pending || i.State == Running || i.State == Stopping)
}

// reconcileAddress wishes that whoever has a public address now answers there, and nobody else.
func (s *Service) reconcileAddress(tx *cloud.Tx, ip string) {
	wish := BindAddress{PublicIP: ip}
	if _, i, ok := s.parts.Find(ip); ok && i.PublicIP == ip && i.answers() {
		wish.PrivateIP, wish.InstanceID = i.PrivateIP, i.ID
	}
	tx.Wish(wish)
}
