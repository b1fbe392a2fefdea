package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
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

// The fields of a line that count, with blanks between them: type, time of the answer, load balancer, client, target,
// request_processing_time, target_processing_time (seconds, or -1 if no target was asked).
const (
	answeredAt = 1
	targetTook = 6
)

// accessLog counts the lines of a log by the time of the answer.
func (c *collector) accessLog(in *bufio.Reader) error {
	if err := c.count(); err != nil {
		return err
	}
	for line := 1; ; line++ {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) { // what counts is at the front
			text = bytes.Clone(text[:512])
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
	var fields [targetTook + 1][]byte
	n, rest, more := 0, text, true
	for ; n < len(fields) && more; n++ {
		fields[n], rest, more = bytes.Cut(rest, []byte(" "))
	}
	when := fields[answeredAt]
	if n <= answeredAt || !isAccessLog(text) {
		return c.fault(line, "it is not a line of an access log of an Application Load Balancer")
	}
	at, err := c.clock.parse(string(when))
	if err != nil {
		return c.fault(line, "%q %v", when, err)
	}
	if took, err := strconv.ParseFloat(string(fields[targetTook]), 64); err == nil && took >= 0 && took < maxService {
		c.service += took
		c.served++
	}
	return c.add(at, 1, line)
}
