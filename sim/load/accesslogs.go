package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// accessKinds begin a line of an Application Load Balancer's access log.
var accessKinds = [][]byte{[]byte("http "), []byte("https "), []byte("h2 "), []byte("grpcs "), []byte("ws "), []byte("wss ")}

func isAccessLog(text []byte) bool {
	for _, kind := range accessKinds {
		if bytes.HasPrefix(text, kind) {
			return true
		}
	}
	return false
}

// accessLog counts the lines of a log by their second field, the time of the answer.
func (c *collector) accessLog(in *bufio.Reader) error {
	if err := c.count(); err != nil {
		return err
	}
	for line := 1; ; line++ {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) { // the time is at the front
			text = bytes.Clone(text[:256])
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s:%d: %w", c.name, line, err)
		}
		if wrong := c.request(text, line); wrong != nil {
			return wrong
		}
		if err != nil {
			return nil
		}
	}
}

func (c *collector) request(text []byte, line int) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	_, rest, _ := bytes.Cut(text, []byte(" "))
	when, _, ok := bytes.Cut(rest, []byte(" "))
	if !ok || !isAccessLog(text) {
		return c.fault(line, "it is not a line of an access log of an Application Load Balancer")
	}
	at, err := c.clock.parse(string(when))
	if err != nil {
		return c.fault(line, "%q %v", when, err)
	}
	return c.add(at, 1, line)
}
