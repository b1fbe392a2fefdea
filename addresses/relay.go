package addresses

import (
	"context"
	"io"
	"net"
	"sync"
)

// relay is one connection of a client, and that to the instance once it is made.
type relay struct {
	client net.Conn
	cancel context.CancelFunc // of the dial

	mu       sync.Mutex
	instance net.Conn
	gone     bool
	whole    bool // both ends have said that they are done
}

// accepted takes the connection to a client that has none yet; false if it is not wanted any more.
func (r *relay) accepted(client net.Conn) bool { return r.take(&r.client, client) }

// connected takes the connection to the instance; false if it is not wanted any more.
func (r *relay) connected(instance net.Conn) bool {
	return r.take(&r.instance, instance)
}

func (r *relay) take(at *net.Conn, c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		c.Close()
		return false
	}
	*at = c
	return true
}

// cut ends the connection at once, both ways. One that is not over is reset: its client must not take what came so far for
// everything.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return
	}
	r.gone = true
	r.cancel()
	for _, c := range []net.Conn{r.client, r.instance} {
		if c == nil {
			continue
		}
		if t, ok := c.(*net.TCPConn); ok && !r.whole {
			t.SetLinger(0)
		}
		c.Close()
	}
}

// carry copies both ways until both ends have said that they are done, or either fails. An end that has finished sending
// can still receive.
func (r *relay) carry() {
	copied := func(to, from net.Conn) bool {
		if _, err := io.Copy(to, from); err != nil { // in the kernel: both are TCP
			return false
		}
		half, ok := to.(interface{ CloseWrite() error })
		return ok && half.CloseWrite() == nil
	}
	var up sync.WaitGroup
	var sent bool
	up.Go(func() {
		if sent = copied(r.instance, r.client); !sent {
			r.cut()
		}
	})
	received := copied(r.client, r.instance)
	if !received {
		r.cut()
	}
	up.Wait()
	r.mu.Lock()
	r.whole = sent && received
	r.mu.Unlock()
}
