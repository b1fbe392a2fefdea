package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"golang.org/x/term"

	demonstration "github.com/billow-cloud/billow/demo"
)

type demo struct {
	Driver    string  `help:"What runs instances." enum:"auto,netns" default:"auto"`
	TimeScale float64 `help:"How many times as fast as the wall clock the cloud's clock runs." default:"60"`
	Plain     bool    `help:"Print lines instead of a live view, also on a terminal."`
	Record    string  `help:"Keep the flight recording in this new directory, for billow sim replay." placeholder:"DIR" type:"path"`
}

// demoBurn is the processor time of one request; a quarter of a core then serves about 30 requests a second.
const demoBurn = 8 * time.Millisecond

func (d *demo) Run(ctx context.Context) error {
	return demonstration.Run(ctx, demonstration.Options{
		Driver: d.Driver, TimeScale: d.TimeScale, Burn: demoBurn,
		CoresPerVCPU: min(0.25, float64(runtime.NumCPU())/8), // four busy instances leave half of a small host to the rest
		Record:       d.Record, Out: os.Stdout, Terminal: !d.Plain && term.IsTerminal(int(os.Stdout.Fd())),
	})
}

// demoApp is the web application that the demo runs inside instances.
type demoApp struct {
	Listen string        `default:":80"`
	Burn   time.Duration `default:"8ms"`
}

func (a *demoApp) Run(ctx context.Context) error {
	return demonstration.App{Listen: a.Listen, Burn: a.Burn}.Run(ctx)
}
