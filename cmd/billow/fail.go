package main

import (
	"context"
	"fmt"
	"time"

	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/daemon"
)

// fail has status checks of an instance fail, or pass again, or has it told of what AWS will do to it.
type fail struct {
	data
	ID       string        `arg:"" name:"instance-id" help:"Instance."`
	Instance bool          `help:"The check of the instance itself fails."`
	System   bool          `help:"The check of what the instance runs on fails."`
	Volumes  bool          `help:"The check of the volumes that are attached fails."`
	Pass     bool          `help:"All checks pass again."`
	For      time.Duration `help:"How long checks fail, in the cloud's time; without it until a restart, a recovery or --pass."`

	SpotInterruption        bool          `help:"The Spot Instance is interrupted: it gets a rebalance recommendation now and the notice two minutes before its end."`
	RebalanceRecommendation bool          `help:"The Spot Instance gets a rebalance recommendation."`
	Event                   string        `placeholder:"CODE" help:"An event is scheduled: instance-reboot, system-reboot, system-maintenance, instance-retirement or instance-stop."`
	In                      time.Duration `help:"How long ahead the interruption (default: 2m) or the event (default: 10m) is, in the cloud's time."`

	Region string `help:"Region of the instance (default: that of billow env)."`
}

func (f *fail) Run(ctx context.Context) error {
	checks, asked := f.Instance || f.System || f.Volumes, 0
	for _, given := range []bool{checks, f.Pass, f.SpotInterruption, f.RebalanceRecommendation, f.Event != ""} {
		if given {
			asked++
		}
	}
	switch {
	case asked != 1:
		return fmt.Errorf("say one thing: which checks fail, --instance, --system and --volumes, or --pass, --spot-interruption, --rebalance-recommendation or --event alone")
	case f.For != 0 && !checks:
		return fmt.Errorf("--for is how long checks fail; it goes with --instance, --system and --volumes")
	case f.In != 0 && !f.SpotInterruption && f.Event == "":
		return fmt.Errorf("--in goes with --spot-interruption and --event")
	case checks || f.Pass:
		return f.impair(ctx)
	}
	return f.notify(ctx)
}

func (f *fail) impair(ctx context.Context) error {
	in := ec2.ImpairInput{InstanceID: f.ID, Instance: f.Instance, System: f.System, Volumes: f.Volumes, For: f.For}
	var out ec2.ImpairOutput
	if err := daemon.Ask(ctx, f.Data, f.Region, "impair", in, &out); err != nil {
		return err
	}
	fmt.Printf("Status checks of %s: instance %s, system %s, volumes %s.\n", f.ID, out.Instance, out.System, out.Volumes)
	return nil
}

func (f *fail) notify(ctx context.Context) error {
	in := ec2.NoticeInput{InstanceID: f.ID, Interruption: f.SpotInterruption, Rebalance: f.RebalanceRecommendation, Event: f.Event, After: f.In}
	var out ec2.NoticeOutput
	if err := daemon.Ask(ctx, f.Data, f.Region, "notify", in, &out); err != nil {
		return err
	}
	at := out.At.UTC().Format(time.RFC3339)
	switch {
	case f.RebalanceRecommendation:
		fmt.Printf("%s has a rebalance recommendation since %s.\n", f.ID, at)
	case out.Action == "":
		fmt.Printf("%s has the event %s at %s, which does nothing to it.\n", f.ID, f.Event, at)
	default:
		fmt.Printf("%s has been told; what follows at %s, by the cloud's clock: %s.\n", f.ID, at, out.Action)
	}
	return nil
}
