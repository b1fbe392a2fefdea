// Package input opens what users name on a command line: a file by its path, or "-", which is standard input.
//
// It knows nothing of what is in a file. Its errors are what is wrong in the words of the operating system, after the
// path and without the name of the system call: "load.csv: no such file or directory".
package input

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Standard is what stands for standard input in place of a path.
const Standard = "-"

// Name is what a path is called in what is told: its own, or "standard input".
func Name(path string) string {
	if path == Standard {
		return "standard input"
	}
	return path
}

// Open opens a file, or standard input, which can be gone through once only.
func Open(path string) (io.ReadCloser, error) {
	if path == Standard {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, Fault(path, err)
	}
	return f, nil
}

// standard is all of standard input: whoever reads it whole may do so again.
var standard = sync.OnceValues(func() ([]byte, error) { return io.ReadAll(os.Stdin) })

// Read reads the whole of a file, or of standard input.
func Read(path string) ([]byte, error) {
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if path == Standard {
		read = standard
	}
	data, err := read()
	if err != nil {
		return nil, Fault(path, err)
	}
	return data, nil
}

// Fault is an error about a path, in a sentence.
func Fault(path string, err error) error { return fmt.Errorf("%s: %w", Name(path), Reason(err)) }

// Reason is what an error about a file says is wrong, without the file and the system call.
func Reason(err error) error {
	if wrong, ok := errors.AsType[*fs.PathError](err); ok {
		return wrong.Err
	}
	return err
}
