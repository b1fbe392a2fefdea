// Package netns is the driver that makes an instance of Linux namespaces, a
// private writable layer over the host's own programs, and a share of the
// host's cores and memory. It needs no image, no download and no other
// program, and works with and without root.
//
// It is the daemon's half: it starts the keeper process (package keeper, which
// holds everything that is an instance), sends it requests, and makes network
// connections out of the sockets that it gets from there. It keeps no state of
// instances of its own, so it can be killed at any time; the next New finds
// the keeper by the socket in the directory.
package netns

// Config tells New what to do.
type Config struct {
	// Dir is where instances, images and the keeper's socket live. It must be
	// on a file system that can hold an overlay's upper layer (ext4, xfs,
	// btrfs, tmpfs; not another overlay or NFS).
	Dir string

	// Rootless asks for the mode without root, even for root.
	Rootless bool
}
