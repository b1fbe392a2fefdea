package keeper

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWriteAll: an answer that is larger than the socket's buffer arrives whole,
// with its descriptor. A thousand instances' counters are.
func TestWriteAll(t *testing.T) {
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"}
	listener, err := net.ListenUnix("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.DialUnix("unix", nil, address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	failed := make(chan error, 1)
	go func() {
		failed <- WriteAll(server, sent, unix.UnixRights(int(os.Stdin.Fd())))
		server.Close()
	}()
	first, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, nc, _, _, err := client.ReadMsgUnix(first, control)
	if err != nil {
		t.Fatal(err)
	}
	files := receivedFiles(control[:nc])
	if len(files) != 1 {
		t.Fatalf("%d descriptors came", len(files))
	}
	files[0].Close()
	rest, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(first[:n], rest...), sent) {
		t.Errorf("%d bytes of %d came", n+len(rest), len(sent))
	}
}
