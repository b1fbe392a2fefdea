// Package keeper is the process that keeps the instances of one data directory. The driver (package netns) starts it and
// talks to it over a unix socket; it lives on when the daemon dies, and the next daemon finds it there. It decides nothing:
// it does what it is asked, for one instance at a time in order, and reports what is there.
//
// The one idea is that it is process 1 of its own PID namespace, with its own mount and network namespace (and, without
// root, its own user namespace). All instances are its children. When it dies, by whatever cause, the kernel ends every
// instance and drops every mount and network interface: nothing can leak, and nothing of the cloud is ever visible in the
// host's own namespaces. The same code runs with and without root.
//
// Its network namespace is the VPC: it routes, each instance hangs on a veth pair with a /32 route, reverse path filtering
// makes source addresses trustworthy, and there is no bridge, no ARP and no limit of ports. Sockets made here and passed
// out by descriptor are how the daemon dials and listens.
package keeper

import (
	"errors"
	"net/netip"

	"github.com/billow-cloud/billow/driver"
)

// Version changes when the protocol or the layout on disk does. A keeper of
// another version is taken down by the driver.
const Version = 4

// Names of files in the driver's directory.
const (
	SocketName = "keeper.sock"
	LockName   = "keeper.lock"
	LogName    = "keeper.log"
)

// Marker is the environment variable that turns process 1 of a PID namespace
// into a keeper. ReadyFD and LockFD are what it inherits.
const (
	Marker  = "BILLOW_KEEPER"
	ReadyFD = 3
)

// Request is one wish. Each has a connection of its own and is answered by one
// Response; closing the connection gives the answer up, not the wish.
type Request struct {
	Op string // hello launch start stop reboot terminate create-image delete-image inventory measure check console exec sockets address catch ports events reset quit;
	// create-volume delete-volume attach-volume detach-volume resize-volume create-snapshot delete-snapshot import-image

	ID      string       `json:",omitempty"`
	ImageID string       `json:",omitempty"`
	Spec    *driver.Spec `json:",omitempty"`
	Force   bool         `json:",omitempty"`

	// Volumes and snapshots; ID is the volume's or the snapshot's own.
	InstanceID string `json:",omitempty"`
	VolumeID   string `json:",omitempty"`
	SnapshotID string `json:",omitempty"`
	Device     string `json:",omitempty"`
	Bytes      int64  `json:",omitempty"`

	// import-image: the archive travels as a descriptor.
	Config *driver.ImageConfig `json:",omitempty"`

	// exec: standard streams travel as descriptors, unless TTY.
	Args []string `json:",omitempty"`
	Env  []string `json:",omitempty"`
	Dir  string   `json:",omitempty"`
	TTY  bool     `json:",omitempty"`

	// sockets: how many, of "tcp" or "udp"; address: to be the cloud's own; catch: a pool.
	Network string `json:",omitempty"`
	Count   int    `json:",omitempty"`
	Address string `json:",omitempty"`
}

// Response answers a Request. Events and exec give several on one connection.
type Response struct {
	Error     *Failure                `json:",omitempty"`
	Version   int                     `json:",omitempty"`
	PID       int                     `json:",omitempty"`
	Notes     []string                `json:",omitempty"`
	Inventory *driver.Inventory       `json:",omitempty"`
	Usage     []driver.Usage          `json:",omitempty"`
	Silent    []string                `json:",omitempty"` // check
	Data      []byte                  `json:",omitempty"`
	Ports     map[netip.Addr][]uint16 `json:",omitempty"`
	Started   bool                    `json:",omitempty"` // exec: the terminal comes beside it; create-snapshot: it is taken
	NoVolumes string                  `json:",omitempty"` // events
	ExitCode  int                     `json:",omitempty"`
	Event     *driver.Event           `json:",omitempty"`
}

// Failure is an error on its way through the socket.
type Failure struct {
	Code, Message string
	Kind          string `json:",omitempty"`
	ExitCode      int    `json:",omitempty"`
}

var kinds = map[string]error{"not-found": driver.ErrNotFound, "not-running": driver.ErrNotRunning, "busy": driver.ErrBusy}

// Fail packs an error.
func Fail(err error) *Failure {
	if err == nil {
		return nil
	}
	f := &Failure{Message: err.Error()}
	var coded *driver.Error
	if errors.As(err, &coded) {
		f.Code, f.Message = coded.Code, coded.Message
	}
	for kind, known := range kinds {
		if errors.Is(err, known) {
			f.Kind = kind
		}
	}
	return f
}

// Err unpacks it, so that errors.Is and errors.As work as before.
func (f *Failure) Err() error {
	if f == nil {
		return nil
	}
	if known := kinds[f.Kind]; known != nil {
		return &remoteError{f.Message, known}
	}
	if f.Code != "" {
		return &driver.Error{Code: f.Code, Message: f.Message}
	}
	return errors.New(f.Message)
}

type remoteError struct {
	message string
	cause   error
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.cause }
