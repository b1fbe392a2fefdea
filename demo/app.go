package demo

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// App is the web application that the demo scales: every request costs the same processor time, whatever the host, so
// that load and CPUUtilization are in a fixed proportion.
type App struct {
	Listen string
	Burn   time.Duration // processor time per request
}

// Run serves until ctx ends.
func (a App) Run(ctx context.Context) error {
	l, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return err
	}
	name, _ := os.Hostname()
	// As many requests are worked on at a time as there are processors; the others wait here and not in the scheduler's
	// queue, where they would make a health check wait, too.
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		log.Printf("%s %s %s %s", r.RemoteAddr, r.Method, r.URL.Path, r.Proto)
		slots <- struct{}{}
		burn(a.Burn)
		<-slots
		fmt.Fprintln(w, name)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// burn hashes until this thread has used that much processor time.
func burn(d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var block [4096]byte
	for end := threadTime() + d; threadTime() < end; {
		for range 8 {
			sum := sha256.Sum256(block[:])
			copy(block[:], sum[:])
		}
	}
}

func threadTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
