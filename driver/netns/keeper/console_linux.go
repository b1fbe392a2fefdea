package keeper

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// consoleSize is how much is kept, as with EC2's GetConsoleOutput.
const consoleSize = 64 << 10

// console collects what is written to an instance's /dev/console, which is
// where boot scripts and user data print: into a file outside that outlives
// the run, and into cloud-init's log inside.
type console struct {
	pipe *os.File // the FIFO /dev/console
	log  *os.File // /var/log/cloud-init-output.log, nil if it cannot be written
	over chan struct{}

	mu   sync.Mutex
	path string
	file *os.File
	size int64
}

func newConsole(path string, pipe, log *os.File) *console {
	c := &console{path: path, pipe: pipe, log: log, over: make(chan struct{})}
	c.file, _ = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if c.file != nil {
		if info, err := c.file.Stat(); err == nil {
			c.size = info.Size()
		}
	}
	go c.collect()
	return c
}

func (c *console) collect() {
	defer close(c.over)
	if c.pipe == nil {
		return
	}
	buffer := make([]byte, 4<<10)
	for {
		n, err := c.pipe.Read(buffer)
		c.write(buffer[:max(n, 0)])
		if err != nil {
			return
		}
	}
}

// printf adds a line of our own.
func (c *console) printf(format string, args ...any) {
	c.write([]byte("[billow] " + fmt.Sprintf(format, args...) + "\n"))
}

func (c *console) write(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log != nil {
		c.log.Write(b)
	}
	if c.file == nil {
		return
	}
	n, _ := c.file.Write(b)
	c.size += int64(n)
	if c.size <= 2*consoleSize {
		return
	}
	tail := make([]byte, consoleSize)
	if _, err := c.file.ReadAt(tail, c.size-consoleSize); err == nil && c.file.Truncate(0) == nil {
		n, _ := c.file.Write(tail)
		c.size = int64(n)
	}
}

// finish takes what is still in the pipe of an instance that has ended.
func (c *console) finish() {
	if c.pipe != nil {
		c.pipe.SetReadDeadline(longAgo)
		<-c.over
		if raw, err := c.pipe.SyscallConn(); err == nil {
			buffer := make([]byte, 4<<10)
			raw.Control(func(fd uintptr) {
				for {
					n, err := unix.Read(int(fd), buffer)
					if err == unix.EINTR {
						continue
					}
					if n <= 0 {
						return
					}
					c.write(buffer[:n])
				}
			})
		}
		c.pipe.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range []*os.File{c.log, c.file} {
		if f != nil {
			f.Close()
		}
	}
	c.log, c.file = nil, nil
}

// readConsole gives the end of what was printed.
func readConsole(path string) ([]byte, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, max(info.Size()-consoleSize, 0), consoleSize))
}
