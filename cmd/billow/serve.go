package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billow-cloud/billow/daemon"
	"github.com/billow-cloud/billow/driver"
	"github.com/billow-cloud/billow/driver/netns"
	"github.com/billow-cloud/billow/driver/sim"
)

type serve struct {
	data
	Listen     string        `help:"Address of the API." default:"127.0.0.1:4566"`
	Driver     string        `help:"What runs instances: auto, netns (Linux namespaces) or sim (no processes)." enum:"auto,netns,docker,incus,sim" default:"auto"`
	Auth       string        `help:"sigv4 checks signatures; none accepts anybody and is for throw-away servers on loopback." enum:"sigv4,none" default:"sigv4"`
	TimeScale  float64       `help:"How many times as fast as the wall clock the cloud's clock runs." default:"1"`
	DNSSuffix  string        `help:"End of load balancers' names." enum:"localhost,amazonaws.com" default:"localhost"`
	PublicPool netip.Prefix  `help:"Where public addresses come from; a server takes a part of it. A pool that is not on loopback must be the host's." default:"127.64.0.0/16"`
	VCPU       float64       `name:"vcpu" help:"Host cores that one vCPU is worth; 0 chooses by the size of the host." default:"0"`
	SimBoot    time.Duration `help:"Time that launches, stops and terminations take with --driver sim." default:"0"`
	Flight     size          `help:"How much flight recording to keep in the data directory, for billow sim replay: a size such as 64MB, or off." default:"64MB"`
	LogLevel   slog.Level    `help:"debug, info, warn or error." default:"info"`
}

func (s *serve) Run(ctx context.Context) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: s.LogLevel}))
	if s.TimeScale <= 0 || s.TimeScale > 100_000 {
		return fmt.Errorf("--time-scale must be greater than 0 and at most 100000, not %g", s.TimeScale)
	}
	if p := s.PublicPool; !p.Addr().Is4() || p.Bits() > 28 {
		return fmt.Errorf("--public-pool must be IPv4 addresses, 16 at least, not %s", p)
	}
	if s.VCPU < 0 || s.VCPU > 1000 {
		return fmt.Errorf("--vcpu must be from 0 to 1000, not %g", s.VCPU)
	}
	var instances driver.Driver
	d, err := daemon.Open(daemon.Config{
		Listen: s.Listen, Data: s.Data, Modelled: s.Driver == "sim", Instant: s.Driver == "sim" && s.SimBoot == 0,
		Driver: func() (_ driver.Driver, err error) { instances, err = s.openDriver(); return instances, err },
		Host:   s.host(), Auth: daemon.Auth(s.Auth), TimeScale: s.TimeScale, DNSSuffix: s.DNSSuffix,
		PublicPool: s.PublicPool, Flight: int64(s.Flight), Version: buildVersion(), Log: log,
	})
	if err != nil {
		return err
	}
	log.Info("billow is ready", "endpoint", "http://"+d.Addr().String(), "driver", instances.Name(), "data", s.Data, "time-scale", s.TimeScale)
	for _, note := range append(instances.Notes(), d.Notes()...) {
		log.Info("reduced on this host", "note", note)
	}
	return d.Run(ctx)
}

func (s *serve) openDriver() (driver.Driver, error) {
	switch s.Driver {
	case "docker", "incus":
		return nil, fmt.Errorf("--driver %s is not built yet; there are netns and sim", s.Driver)
	case "sim":
		return sim.New(sim.Config{Dir: instancesDir(s.Data, "sim"), Boot: s.SimBoot})
	}
	d, err := netns.New(netns.Config{Dir: instancesDir(s.Data, "netns")})
	if err != nil {
		return nil, fmt.Errorf("%w (with --driver sim instances are modelled without processes)", err)
	}
	return d, nil
}

// host says what there is to give away. On a small host a vCPU is worth less than a core, so that a group of several
// instances fits and each of them can still be fully used: an eighth of the cores, at least a tenth of one, at most one.
func (s *serve) host() daemon.Host {
	cores := float64(runtime.NumCPU())
	h := daemon.Host{Cores: cores, CoresPerVCPU: s.VCPU}
	if h.CoresPerVCPU <= 0 {
		h.CoresPerVCPU = min(1, max(0.1, cores/8))
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		h.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	return h
}

// instancesDir is where a driver keeps instances and images.
func instancesDir(data, driver string) string { return filepath.Join(data, driver) }

// size is a number of bytes: "64MB", or "off" for 0.
type size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) error {
	word := strings.ToUpper(string(text))
	if word == "OFF" {
		*s = 0
		return nil
	}
	unit := int64(1)
	for name, bytes := range map[string]int64{"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30} {
		if number, ok := strings.CutSuffix(word, name); ok {
			word, unit = number, bytes
		}
	}
	n, err := strconv.ParseInt(word, 10, 32)
	if err != nil || n*unit < 1<<20 {
		return fmt.Errorf("%q is no size of at least 1MB, and not off", text)
	}
	*s = size(n * unit)
	return nil
}
