package main

// simCommands is what virtual time is for, one subcommand each; the files sim*.go hold them.
type simCommands struct {
	Run     simRun     `cmd:"" help:"Replay a load against groups and policies, as aws describes them or as a script makes them."`
	Compare simCompare `cmd:"" help:"Put variants of policies side by side on the same load, with what other makers' ways of scaling would have done."`
	Tune    simTune    `cmd:"" help:"Search for the policies that cost least at an objective, and judge them on a part of the load that the search has not seen."`
	Replay  simReplay  `cmd:"" help:"Go through a server's flight recording again: the same inputs give the same activities."`
	Fuzz    simFuzz    `cmd:"" help:"Break the control plane: random calls and faults from seeds, with invariants that must hold after every step."`
	World   simWorld   `cmd:"" help:"Print the default world model, to be edited and given to --world."`
}
