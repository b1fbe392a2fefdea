package daemon

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// What instances find in their network, at AWS's own addresses; the last one is Billow's: the API and the load balancers,
// by their names.
const (
	metadataAddress = "169.254.169.254"
	dnsAddress      = "169.254.169.253"
	gatewayAddress  = "169.254.169.252"
)

// insideName is what instances call the API by.
const insideName = "billow.internal"

// dnsTTL is short, since addresses move.
const dnsTTL = 5

// serveInside starts what instances need of the daemon; modelled instances need nothing.
func (d *Daemon) serveInside(ctx context.Context, parts *sync.WaitGroup) {
	if d.config.Modelled {
		return
	}
	network := d.driver.Network()
	serve := func(address string, h http.Handler) {
		l, err := network.Listen("tcp", address)
		if err != nil {
			d.log.Warn("instances will miss something", "address", address, "error", err)
			return
		}
		server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, ConnContext: keepConn}
		parts.Go(func() { server.Serve(l) })
		context.AfterFunc(ctx, func() { server.Close() })
	}
	serve(metadataAddress+":80", d.metadata())
	serve(gatewayAddress+":80", d.api)
	if _, port, err := net.SplitHostPort(d.listener.Addr().String()); err == nil && port != "80" {
		serve(gatewayAddress+":"+port, d.api)
	}
	packets, err := network.ListenPacket("udp", dnsAddress+":53")
	if err != nil {
		d.log.Warn("instances will miss something", "address", dnsAddress, "error", err)
		return
	}
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(d.resolve(q)) })}
	parts.Go(func() { server.ActivateAndServe() })
	context.AfterFunc(ctx, func() { packets.Close() })
}

// resolve answers for the names of this cloud, as seen from inside an instance. Everything else does not exist here: an
// answer at once is better than a program that waits.
func (d *Daemon) resolve(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	for _, question := range q.Question {
		name := strings.ToLower(strings.TrimSuffix(question.Name, "."))
		address, ok := d.address(name)
		switch {
		case !ok:
			m.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypeA:
			header := dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: dnsTTL}
			m.Answer = append(m.Answer, &dns.A{Hdr: header, A: address.AsSlice()})
		}
	}
	return m
}

// address is what a name means to an instance.
func (d *Daemon) address(name string) (netip.Addr, bool) {
	if first, _, _ := strings.Cut(name, "."); strings.HasPrefix(first, "ip-") {
		// ip-172-31-5-10.ec2.internal and ip-172-31-5-10.eu-west-1.compute.internal carry their address.
		if a, err := netip.ParseAddr(strings.ReplaceAll(first[len("ip-"):], "-", ".")); err == nil && strings.HasSuffix(name, ".internal") {
			return a, true
		}
	}
	if first, _, _ := strings.Cut(name, "."); d.publics != nil && strings.HasPrefix(first, "ec2-") {
		// ec2-127-64-0-5.compute-1.amazonaws.com: the private address, as everywhere inside a VPC.
		if a, err := netip.ParseAddr(strings.ReplaceAll(first[len("ec2-"):], "-", ".")); err == nil {
			target, ok := d.publics.plane.Lookup(a)
			return target.Address, ok
		}
	}
	if _, ok := d.routes.match(name); ok || name == insideName {
		return netip.MustParseAddr(gatewayAddress), true
	}
	return netip.Addr{}, false
}
