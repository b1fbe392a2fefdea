package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/billow-cloud/billow/daemon"
)

type imageCommands struct {
	Import imageImport `cmd:"" help:"Make an image of a root file system (tar, also gzip or zstd) or of what docker save writes."`
}

type imageImport struct {
	data
	File         string `arg:"" help:"The archive; - is standard input."`
	Name         string `required:"" help:"Name of the image."`
	Description  string `help:"Its description."`
	Architecture string `help:"x86_64 or arm64; what docker save writes says it itself, and else it is this machine's." enum:",x86_64,arm64" default:""`
	Region       string `help:"Region of the image (default: that of billow env)."`
}

func (i *imageImport) Run(ctx context.Context) error {
	path := i.File
	if path == "-" {
		if term.IsTerminal(int(os.Stdin.Fd())) {
			return fmt.Errorf("standard input is a terminal: name a file, or pipe an archive in")
		}
		spooled, err := spool(os.Stdin)
		if err != nil {
			return err
		}
		defer os.Remove(spooled)
		path = spooled
	}
	archive, err := openArchive(path)
	if err != nil {
		return fmt.Errorf("%s: %w", i.File, err)
	}
	defer archive.Close()
	in := daemon.ImageImport{Name: i.Name, Description: i.Description, Region: i.Region, Architecture: archive.architecture, Config: archive.config}
	if i.Architecture != "" {
		in.Architecture = i.Architecture
	}
	out, err := daemon.Import(ctx, i.Data, in, archive)
	if err != nil {
		return fmt.Errorf("%s was not imported: %w", i.File, err)
	}
	fmt.Println(out.ImageID)
	return nil
}
