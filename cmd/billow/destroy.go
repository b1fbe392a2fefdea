package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/billow-cloud/billow/daemon"
	"github.com/billow-cloud/billow/driver/netns"
)

// destroy is for the end of a server's life: stopping a server leaves its instances running.
type destroy struct{ data }

func (d *destroy) Run(ctx context.Context) error {
	return daemon.Destroy(d.Data, []string{"netns", "sim"}, func() error { return d.end(ctx, instancesDir(d.Data, "netns")) })
}

// end ends real instances; modelled ones are only records.
func (d *destroy) end(ctx context.Context, dir string) error {
	left := 0
	for _, kind := range []string{"instances", "images", "layers", "ebs/volumes", "ebs/snapshots"} {
		entries, _ := os.ReadDir(filepath.Join(dir, kind))
		left += len(entries)
	}
	if left == 0 {
		netns.Sweep(dir)
		return nil // also where nothing could be started now
	}
	instances, err := netns.New(netns.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer instances.Close()
	if err := instances.Reset(ctx); err != nil {
		return fmt.Errorf("some instances could not be ended: %w", err)
	}
	return nil
}
