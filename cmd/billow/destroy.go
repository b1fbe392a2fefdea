package main

import (
	"context"
	"fmt"
	"os"

	"github.com/billow-cloud/billow/driver/netns"
	"github.com/billow-cloud/billow/store"
)

// destroy is for the end of a server's life: stopping a server leaves its instances running.
type destroy struct{ data }

func (d *destroy) Run(ctx context.Context) error {
	if _, err := os.Stat(d.Data); os.IsNotExist(err) {
		return nil
	}
	s, err := store.Open(d.Data) // its lock says whether a server is running
	if err != nil {
		return err
	}
	defer s.Close()
	dir := instancesDir(d.Data, "netns")
	if _, err := os.Stat(dir); err == nil {
		if err := d.end(ctx, dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(d.Data)
}

// end ends real instances; modelled ones are only records.
func (d *destroy) end(ctx context.Context, dir string) error {
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
