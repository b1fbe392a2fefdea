package drivertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Main is what TestMain of a driver's test calls: the test binary is also the
// program that instances run, and the daemon that gets killed.
//
//	helper serve ADDRESS      answers each connection with one line: host name, peer
//	helper fetch ADDRESS      prints what it is answered
//	helper burn DURATION      uses that much processor time
//	helper fill MEGABYTES     takes memory and prints "filled"
//	helper hold KIND=DIR      launches i-held with the driver and waits to be killed
func Main(m *testing.M, kinds ...Kind) {
	if len(os.Args) == 4 && os.Args[1] == "helper" {
		os.Exit(help(os.Args[2], os.Args[3], kinds))
	}
	os.Exit(m.Run())
}

func help(what, argument string, kinds []Kind) int {
	switch what {
	case "serve":
		return serve(argument)
	case "fetch":
		return fetch(argument)
	case "burn":
		d, _ := time.ParseDuration(argument)
		for processorTime() < d {
		}
		return 0
	case "fill":
		n, _ := strconv.Atoi(argument)
		b := make([]byte, n<<20)
		sum := 0
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
			sum += int(b[i])
		}
		fmt.Println("filled", sum)
		return 0
	case "hold":
		for _, kind := range kinds {
			if name := kind.Name + "="; len(argument) > len(name) && argument[:len(name)] == name {
				return hold(kind, argument[len(name):])
			}
		}
	}
	return complain(fmt.Errorf("unknown helper %q %q", what, argument))
}

func processorTime() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func serve(address string) int {
	listener, err := net.Listen("tcp4", address)
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
}

func fetch(address string) int {
	conn, err := net.DialTimeout("tcp4", address, 2*time.Second)
	if err != nil {
		return complain(err)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 1000)).ReadString('\n')
	if err != nil {
		return complain(err)
	}
	fmt.Print(line)
	return 0
}

// hold is the daemon of the adoption test.
func hold(kind Kind, dir string) int {
	d, err := kind.New(dir)
	if err != nil {
		return complain(err)
	}
	if err := d.Launch(context.Background(), server("i-held", "172.31.9.9")); err != nil {
		return complain(err)
	}
	fmt.Println("holding")
	select {}
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
