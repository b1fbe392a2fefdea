package main

import (
	"context"
	"fmt"
	"time"

	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/daemon"
)

// fail has status checks of an instance fail, or pass again.
type fail struct {
	data
	ID       string        `arg:"" name:"instance-id" help:"Instance."`
	Instance bool          `help:"The check of the instance itself fails."`
	System   bool          `help:"The check of what the instance runs on fails."`
	Volumes  bool          `help:"The check of the volumes that are attached fails."`
	Pass     bool          `help:"All checks pass again."`
	For      time.Duration `help:"How long, in the cloud's time; without it until a restart, a recovery or --pass."`
	Region   string        `help:"Region of the instance (default: that of billow env)."`
}

func (f *fail) Run(ctx context.Context) error {
	if f.Pass == (f.Instance || f.System || f.Volumes) {
		return fmt.Errorf("say which check fails, --instance, --system or --volumes, or --pass alone")
	}
	in := ec2.ImpairInput{InstanceID: f.ID, Instance: f.Instance, System: f.System, Volumes: f.Volumes, For: f.For}
	var out ec2.ImpairOutput
	if err := daemon.Ask(ctx, f.Data, f.Region, "impair", in, &out); err != nil {
		return err
	}
	fmt.Printf("Status checks of %s: instance %s, system %s, volumes %s.\n", f.ID, out.Instance, out.System, out.Volumes)
	return nil
}
