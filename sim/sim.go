// Package sim is virtual time: the loop that drives the same control plane as the daemon does, with a modelled world in
// place of a host. It jumps from one instant that matters to the next, so that a week takes a second.
//
// It holds no behaviour of AWS: groups, policies and alarms decide in cloud/, as they do for real. A run is decided by its
// scenario and its seed alone, and ends when the load does.
package sim
