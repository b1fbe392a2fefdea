package drivertest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Main is what TestMain of a driver's test calls: the test binary is also the
// program that the instances run (as a static file, it needs nothing there).
//
//	helper serve ADDRESS      answers each connection with one line: host name, peer
//	helper fetch ADDRESS      prints what it is answered
//	helper burn DURATION      burns processor time
//	helper fill MEGABYTES     takes memory and prints "filled"
func Main(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "helper" {
		os.Exit(help(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func help(what, argument string) int {
	switch what {
	case "serve":
		listener, err := net.Listen("tcp4", argument)
		if err != nil {
			return complain(err)
		}
		name, _ := os.Hostname()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return complain(err)
			}
			go func() {
				fmt.Fprintf(conn, "%s %s\n", name, conn.RemoteAddr())
				conn.Close()
			}()
		}
	case "fetch":
		conn, err := net.DialTimeout("tcp4", argument, 2*time.Second)
		if err != nil {
			return complain(err)
		}
		line, err := bufio.NewReader(io.LimitReader(conn, 1000)).ReadString('\n')
		if err != nil {
			return complain(err)
		}
		fmt.Print(line)
		return 0
	case "burn":
		d, _ := time.ParseDuration(argument)
		for end := time.Now().Add(d); time.Now().Before(end); {
		}
		return 0
	case "fill":
		n, _ := strconv.Atoi(argument)
		b := make([]byte, n<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		fmt.Println("filled", strings.Count(string(b[:1]), "\x01"))
		return 0
	}
	return complain(fmt.Errorf("unknown helper %q", what))
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
