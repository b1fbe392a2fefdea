//go:build unix

package balancer

import "syscall"

// prepareProbe makes usable look at the socket itself: a target that has closed the
// connection while nobody was reading has left an end of file there.
func (c *backend) prepareProbe() {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	var b [1]byte
	c.raw = raw
	c.probe = func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		c.dead = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK
		return true
	}
}
