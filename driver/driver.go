// Package driver is the seam between the daemon and whatever runs instances on
// this host: Linux namespaces (driver/netns) or nothing at all (driver/sim).
//
// It is not a scheduler and knows no AWS resource beside the instance, the
// image, the volume and the snapshot: no groups, no addresses, no names. The one
// idea is that every method is a wish made idempotent by an ID. A wish may be
// repeated, may come late and its answer may be lost; Inventory is the only
// truth, and the daemon asks for it again and again.
//
// Invariants: at most one instance per ID exists; a stopped instance keeps its
// disk; a terminated ID leaves nothing behind; instances outlive Close and the
// death of the daemon, and the next driver on the same data adopts them.
// drivertest holds the suite that every driver passes.
package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// Driver runs instances. All methods may be called from many goroutines; calls
// for the same instance are put in order by the driver. An error is an *Error
// when AWS has a StateReason code for it, and always one plain sentence.
type Driver interface {
	// Name is the word that --driver takes.
	Name() string

	// Notes says in plain sentences what this host or mode takes away. Empty
	// when nothing is missing.
	Notes() []string

	// Launch makes the instance and boots it for the first time. It returns
	// when the instance is up and reachable by address, without waiting for
	// its user data (see Event). An instance that exists, in whatever state,
	// is left alone and is no error. A failed Launch leaves nothing behind.
	Launch(ctx context.Context, spec Spec) error

	// Start boots a stopped instance from its disk. The spec is given again,
	// since type and name may have changed; user data is not run again. A
	// running instance is left alone; an unknown one is ErrNotFound.
	Start(ctx context.Context, spec Spec) error

	// Stop ends all processes and keeps the disk: orderly with a bounded
	// grace, or at once with force. A stopped instance is no error, an unknown
	// one is ErrNotFound.
	Stop(ctx context.Context, id string, force bool) error

	// Reboot is Stop and Start under one roof: same disk, same addresses, same
	// spec. A stopped instance stays stopped and is an error.
	Reboot(ctx context.Context, id string) error

	// Terminate removes processes, network and disk, and detaches volumes. An
	// unknown ID is no error.
	Terminate(ctx context.Context, id string) error

	// CreateImage makes an image of the instance's disk as it is now; what the
	// instance does later does not change the image. A running instance is
	// frozen for the time of the copy where the host can do that, which gives
	// what a power cut would give; callers who want more stop it before. An
	// image that exists is left alone.
	CreateImage(ctx context.Context, imageID, instanceID string) error

	// DeleteImage forgets the image. Instances and images made of it live on.
	// An unknown ID is no error.
	DeleteImage(ctx context.Context, imageID string) error

	// Inventory lists everything that exists here, in order of ID.
	Inventory(ctx context.Context) (Inventory, error)

	// Measure reads the counters of the running instances, in order of ID.
	Measure(ctx context.Context) ([]Usage, error)

	// Check asks every running instance for a sign of life and lists, in order
	// of ID, those that give none within about a second: their processes are
	// stopped from outside, they starve for memory, or they have cut themselves
	// off from the network. One that is merely busy is well, as is one that the
	// driver itself holds for a moment. Since a single check may have come at a
	// bad time, repeated ones count. Sandboxes are not asked.
	Check(ctx context.Context) (silent []string, err error)

	// Console returns the last 64 KiB of what boot and user data printed, also
	// of a stopped instance. Unknown is ErrNotFound.
	Console(ctx context.Context, id string) ([]byte, error)

	// Exec runs a program in a running instance as root and returns its exit
	// code (128 + n when signal n ended it). When ctx ends first, the program
	// is killed. A program that cannot be run is an error, code 127 or 126.
	Exec(ctx context.Context, id string, req ExecRequest) (exitCode int, err error)

	// Network is the cloud's private network as the daemon sees it; nil when
	// the driver has none.
	Network() Network

	Volumes

	// Events tells early what the next Inventory would tell anyway. A slow
	// reader loses events. The channel is closed by Close.
	Events() <-chan Event

	// Reset removes every instance, image, volume and snapshot.
	Reset(ctx context.Context) error

	// Close lets go of the instances; they go on running and the next driver
	// on the same data finds them.
	Close() error
}

// Network makes sockets inside the private network that the instances live in.
// Addresses are the VPC's own (172.31.0.0/16 and the link-local ones) and mean
// nothing outside of it. An instance is told by the source address of what it
// sends; it cannot forge that.
type Network interface {
	// Dial knows "tcp" and "udp" and IPv4 addresses (no names).
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	// Listen takes an address of the cloud itself, such as
	// 169.254.169.254:80 or a load balancer's private address; it becomes
	// reachable for all instances.
	Listen(network, address string) (net.Listener, error)
	ListenPacket(network, address string) (net.PacketConn, error)

	Public
}

// Spec is what an instance shall be.
type Spec struct {
	ID string // i-0123456789abcdef0; letters, digits and '-' only

	// ImageID names an image made by CreateImage or ImportImage. Empty is the built-in image,
	// which is there without a download; what it holds is the driver's affair.
	ImageID string

	Hostname  string       // ip-172-31-5-10.ec2.internal; empty is the ID
	PrivateIP netip.Addr   // inside Subnet
	Subnet    netip.Prefix // 172.31.0.0/20; its first address is the router
	MAC       string       // 02:...; empty is derived from PrivateIP
	DNS       netip.Addr   // zero is 169.254.169.253

	CPUs   float64 // host cores that it may use once booted; 0 is no limit
	Memory int64   // bytes; 0 is no limit

	// UserData runs once, at the first boot, as EC-IN-07 says.
	UserData []byte

	// Environment is what its programs find set beside the driver's own: "NAME=value".
	Environment []string `json:",omitempty"`

	// Volumes are attached before it boots, beside those that it has already.
	// They exist.
	Volumes []Attachment

	// Sandbox, if set, makes it a place for one program and not a machine.
	Sandbox *Sandbox `json:",omitempty"`
}

// State is what an instance is on the host. Everything between (pending,
// stopping) is the control plane's.
type State string

const (
	Running State = "running"
	Stopped State = "stopped"
)

// Inventory is everything that exists on the host.
type Inventory struct {
	Instances []Instance
	Images    []string // IDs of the images made by CreateImage and ImportImage
	Volumes   []Volume
	Snapshots []Snapshot
}

// Instance is one line of the inventory.
type Instance struct {
	ID        string
	State     State
	Started   time.Time // of this boot; zero when stopped
	Booted    bool      // user data and boot scripts of this boot have ended
	PrivateIP netip.Addr
	ImageID   string
	Reason    Reason // why it is Stopped
}

// Usage holds counters since the boot of an instance: they only grow, until
// the next boot starts them at zero.
type Usage struct {
	ID      string
	Started time.Time // tells one boot from the next
	At      time.Time // when the counters were read

	CPU    time.Duration // processor time
	CPUs   float64       // Spec.CPUs of this boot: what CPU is measured against; 0 is no limit
	Memory int64         // bytes in use now, page cache left out
	// MemoryLimit is what it may use, 0 when nothing limits it.
	MemoryLimit int64
	// OutOfMemory counts what the kernel has killed for want of memory, in a sandbox.
	OutOfMemory uint64

	NetworkIn, NetworkOut               uint64 // bytes, seen from the instance
	NetworkPacketsIn, NetworkPacketsOut uint64
	DiskRead, DiskWrite                 uint64 // bytes
	DiskReadOps, DiskWriteOps           uint64
}

// ExecRequest is a program to run in an instance.
type ExecRequest struct {
	Args []string // Args[0] is looked up in PATH
	Env  []string // put over HOME, PATH and, with TTY, TERM
	Dir  string   // empty is /

	// TTY gives it a terminal: Stdout takes everything, Stderr nothing. Resize
	// may be nil.
	TTY    bool
	Resize <-chan WindowSize

	Stdin          io.Reader // nil is empty
	Stdout, Stderr io.Writer // nil throws away
}

// WindowSize is that of a terminal, in characters.
type WindowSize struct{ Rows, Columns uint16 }

// Kind says what an Event is about.
type Kind string

const (
	// Booted: user data and boot scripts have ended; with the exit status of
	// the user data.
	Booted Kind = "booted"
	// Exited: the instance stopped without a wish of the daemon.
	Exited Kind = "exited"
)

// Reason is why an instance is stopped.
type Reason string

const (
	ReasonStopped  Reason = "stopped"  // Stop was called
	ReasonPoweroff Reason = "poweroff" // it shut itself down from inside
	ReasonKilled   Reason = "killed"   // it crashed, or somebody killed it
	ReasonHost     Reason = "host"     // the host or the driver went down with it
)

// Event is something that happened to an instance by itself.
type Event struct {
	ID         string
	Kind       Kind
	At         time.Time
	ExitStatus int    // of the user data, for Booted
	Reason     Reason // for Exited
}

// Error is a failure with AWS's StateReason code (EC-IN-03).
type Error struct{ Code, Message string }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// The StateReason codes that drivers use.
const (
	CodeCapacity = "Server.InsufficientInstanceCapacity" // the host has no room: disk, memory, processes, addresses
	CodeInternal = "Server.InternalError"
	CodeImage    = "Client.InvalidSnapshot.NotFound" // the image's content is not here
	CodeInvalid  = "Client.InternalError"            // the spec or the image cannot be booted
)

// Errorf makes an *Error; its message is a sentence for users.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

var (
	// ErrNotFound is wrapped by errors about an instance that does not exist.
	ErrNotFound = errors.New("no such instance on this host")
	// ErrNotRunning is wrapped by errors about an instance that is stopped.
	ErrNotRunning = errors.New("the instance is not running")
)
