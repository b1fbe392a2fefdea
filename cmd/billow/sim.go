package main

import (
	"encoding/json"
	"os"

	"github.com/billow-cloud/billow/sim/world"
)

// simCommands is what virtual time is for, one subcommand each; the files sim*.go hold them.
type simCommands struct {
	World simWorld `cmd:"" help:"Print the default world model, to be edited and given to --world."`
}

type simWorld struct{}

func (simWorld) Run() error {
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(defaultWorld())
}

// defaultWorld is a small web application on one burstable type: two processors, 100 ms a request.
func defaultWorld() world.Model {
	return world.Model{
		Types: map[string]world.Type{"t3.medium": {
			ServiceTime: world.Spread{Mean: 0.1, CV: 1}, Concurrency: 2, Price: 0.0416,
		}},
		Boot: world.Spread{Mean: 75, CV: 0.15}, WarmUp: 30, ColdRate: 0.5,
		Delay: 60, Deadline: 1, Timeout: 10,
		Retries: world.Retries{Share: 0.3, After: 2, Times: 2},
		Queue:   100, Seed: 1,
	}
}
