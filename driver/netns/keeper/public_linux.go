package keeper

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/billow-cloud/billow/tproxy"
)

// publicPool is where instances are sent to the router for a public address
// on loopback, which else would be their own.
var publicPool = netip.MustParsePrefix("127.64.0.0/16")

// serveCatch gives the driver a socket to which everything comes that instances
// send to a pool of public addresses. The rules end with this process, or when
// the next driver asks; the socket ends with the driver, and what is sent then
// is refused.
func (k *keeper) serveCatch(conn *net.UnixConn, req *Request) {
	pool, err := netip.ParsePrefix(req.Address)
	if err != nil {
		respond(conn, &Response{Error: Fail(err)})
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.caught != nil {
		k.caught.Close()
	}
	if k.caught, err = tproxy.Open(pool); err != nil {
		k.caught = nil
		respond(conn, &Response{Error: Fail(err)})
		return
	}
	respond(conn, &Response{}, int(k.caught.TCP.Fd()))
	k.caught.TCP.Close()
	k.caught.UDP.Close()
}

// ports finds where instances listen, in the kernel's table of sockets of each.
func (k *keeper) ports() map[netip.Addr][]uint16 {
	pids := map[netip.Addr]int{}
	k.mu.Lock()
	for _, i := range k.instances {
		if i.boot != nil {
			pids[i.boot.address] = i.boot.guest.pid
		}
	}
	k.mu.Unlock()
	all := make(map[netip.Addr][]uint16, len(pids))
	for address, pid := range pids {
		var ports []uint16
		for _, table := range []string{"tcp", "tcp6"} {
			ports = append(ports, listening(fmt.Sprintf("/proc/%d/net/%s", pid, table), address)...)
		}
		slices.Sort(ports)
		all[address] = slices.Compact(ports)
	}
	return all
}

// listening reads the ports of listening sockets that can be reached at an
// address. A line is "0: 0100007F:0050 00000000:0000 0A ...".
func listening(path string, address netip.Addr) (ports []uint16) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "0A" {
			continue
		}
		host, port, _ := strings.Cut(fields[1], ":")
		at, ok := kernelAddress(host)
		number, err := strconv.ParseUint(port, 16, 16)
		if ok && err == nil && (at.IsUnspecified() || at == address) {
			ports = append(ports, uint16(number))
		}
	}
	return ports
}

// kernelAddress reads an address as the kernel prints it: words of the
// processor's order.
func kernelAddress(text string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw)%4 != 0 {
		return netip.Addr{}, false
	}
	for n := 0; n < len(raw); n += 4 {
		binary.NativeEndian.PutUint32(raw[n:], binary.BigEndian.Uint32(raw[n:]))
	}
	a, ok := netip.AddrFromSlice(raw)
	return a.Unmap(), ok
}
