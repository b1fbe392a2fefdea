package balancer

import (
	"bufio"
	"io"
	"net"
	"sync"
	"time"
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// serveTCP carries one client connection to one target for its life (LB-CL-04).
func (f *front) serveTCP(client *clientConn) {
	defer client.Close()
	defer f.recovered("TCP connection")
	for try := 1; ; try++ {
		v, m, ok := f.choose()
		if !ok {
			return
		}
		done, again := f.carry(v, m, client)
		if done || !again && try >= v.tries() {
			return
		}
	}
}

// tries is how many targets are tried until a connection is made. A classic load balancer
// tries again, and counts each (BackendConnectionErrors); an application one does not.
func (v *view) tries() int {
	if v.lb.Kind == KindClassic {
		return 3
	}
	return 1
}

func (f *front) carry(v *view, m member, client *clientConn) (done, again bool) {
	defer m.target.release()
	began := time.Now()
	target, err := m.pool.dial(f.b.stop, v.idle)
	if err != nil {
		m.stats.connErrors.Add(1)
		return false, err == errTargetGone
	}
	defer target.Close()
	m.stats.requests.Add(1)
	m.stats.responseTime.add(time.Since(began))
	client.busy.Store(true) // from here on, tunnel watches
	tunnel(client, client, target, func() time.Duration { return f.view.Load().idle })
	return true, false
}

// tunnel carries bytes both ways until both ends have said that they are done, either
// fails, or nothing moves for the idle time. An end that has finished sending can still
// receive. early is read before the client itself (it may be the client).
func tunnel(client net.Conn, early io.Reader, target *backend, idle func() time.Duration) {
	cut := func() { _ = client.Close(); _ = target.Close() }
	watch := watchIdle(idle, cut)
	defer watch.stop()
	_ = client.SetDeadline(time.Time{}) // errors show at the next read
	_ = target.SetDeadline(time.Time{})
	carry := func(to net.Conn, from io.Reader) {
		buffer := copyBuffers.Get().(*[]byte)
		defer copyBuffers.Put(buffer)
		for {
			n, err := from.Read(*buffer)
			if n > 0 {
				watch.touch()
				if _, werr := to.Write((*buffer)[:n]); werr != nil {
					cut()
					return
				}
				watch.touch()
			}
			if err == io.EOF {
				if closeWrite(to) != nil {
					cut()
				}
				return
			}
			if err != nil {
				cut()
				return
			}
		}
	}
	var up sync.WaitGroup
	up.Go(func() { carry(target.Conn, early) })
	carry(client, target.br)
	up.Wait()
}

// afterBuffer reads what a bufio.Reader holds and then the connection below it, not through
// the buffer.
func afterBuffer(br *bufio.Reader, c net.Conn) io.Reader {
	if n := br.Buffered(); n > 0 {
		return io.MultiReader(io.LimitReader(br, int64(n)), c)
	}
	return c
}
