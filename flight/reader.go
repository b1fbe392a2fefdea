package flight

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/billow-cloud/billow/cloud"
)

// Reader reads one segment: its header, then Load, then Next until it gives io.EOF. The file may still be written.
type Reader struct {
	Path   string
	Header Header
	// End is set once Next has given io.EOF.
	End End
	// Cut says that the segment has no end: it is being written, or its server was killed. What is there is whole.
	Cut bool
	// Damaged is why nothing more can be read although there is more.
	Damaged error

	file    io.Closer
	z       *zstd.Decoder
	records *bufio.Reader
	moment  cloud.Moment
	last    int64
	content []byte // of the last record, used again
}

// Files are the segments of a recording, oldest first: path is one segment, a directory of them, or a server's data
// directory.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the recording cannot be read: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	for _, dir := range []string{path, filepath.Join(path, Folder)} {
		files, err := filepath.Glob(filepath.Join(dir, "*"+Suffix))
		files = slices.DeleteFunc(files, func(f string) bool {
			info, err := os.Stat(f)
			return err == nil && !info.Mode().IsRegular()
		})
		if err == nil && len(files) > 0 {
			slices.Sort(files)
			return files, nil
		}
	}
	return nil, fmt.Errorf("there is no flight recording in %s; a server keeps one in its data directory unless it runs with --flight off", path)
}

// What Open and Load say of a segment from which no step can be read.
var (
	ErrEmpty   = errors.New("the segment is cut off before its first step")
	ErrDamaged = errors.New("the segment is damaged")
)

// maxRecord bounds what a damaged length can ask for.
const maxRecord = 1 << 31

// Open opens a segment and reads its header.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the recording cannot be read: %w", err)
	}
	r := &Reader{Path: path, file: f}
	r.z, err = zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		f.Close()
		return nil, err
	}
	r.records = bufio.NewReaderSize(r.z, 64<<10)
	if err := r.head(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) head() error {
	kind, text, err := r.next()
	switch {
	case errors.Is(err, zstd.ErrMagicMismatch) || err == nil && kind != recordHeader:
		return &notRecording{r.Path}
	case err != nil:
		return r.unread(err)
	}
	if err := json.Unmarshal(text, &r.Header); err != nil {
		return &notRecording{r.Path}
	}
	if r.Header.Format != Format {
		return fmt.Errorf("%s is in format %d, this build reads format %d", r.Path, r.Header.Format, Format)
	}
	return nil
}

// notRecording is an ErrDamaged: the file may be another one, or one whose beginning is lost.
type notRecording struct{ path string }

func (e *notRecording) Error() string { return e.path + " is not a flight recording" }
func (e *notRecording) Unwrap() error { return ErrDamaged }

// unread is why no step can be read.
func (r *Reader) unread(err error) error {
	if cutOff(err) {
		return fmt.Errorf("%s: %w", r.Path, ErrEmpty)
	}
	return fmt.Errorf("%s: %w: %w", r.Path, ErrDamaged, err)
}

// cutOff tells a file that ends early from one with something else in it than was written.
func cutOff(err error) bool { return err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) }

// Close closes the file.
func (r *Reader) Close() error {
	r.z.Close()
	return r.file.Close()
}

var errLong = errors.New("a record is longer than any that is written")

// next reads one record. The error is a cutOff one where the file ends.
func (r *Reader) next() (kind byte, content []byte, err error) {
	n, err := binary.ReadUvarint(r.records)
	if err == nil {
		kind, err = r.records.ReadByte()
	}
	if err == nil && n > maxRecord {
		err = errLong
	}
	if err != nil {
		return 0, nil, err
	}
	if uint64(cap(r.content)) < n {
		r.content = make([]byte, n)
	}
	r.content = r.content[:n]
	_, err = io.ReadFull(r.records, r.content)
	return kind, r.content, err
}

// Load calls row, such as a cloud's Load, with every row of the snapshot, and gives the moment. Data is read again into
// the same memory.
func (r *Reader) Load(row func(table, key string, data []byte) error) (cloud.Moment, error) {
	for {
		kind, content, err := r.next()
		if err != nil {
			return cloud.Moment{}, r.unread(err)
		}
		s := &source{b: content}
		switch kind {
		case recordMoment:
			r.moment = getMoment(s)
		case recordRow:
			x := getRow(s)
			if s.err == nil {
				if err := row(x.Table, x.Key, x.Data); err != nil {
					return cloud.Moment{}, fmt.Errorf("%s: %w: %w", r.Path, ErrDamaged, err)
				}
			}
		case recordBegin:
			return r.moment, nil
		}
		if s.err != nil {
			return cloud.Moment{}, r.unread(s.err)
		}
	}
}

// Next reads a step; io.EOF is the segment's end, or as far as it can be read: see Cut and Damaged.
func (r *Reader) Next(ops Operations) (Step, error) {
	kind, content, err := r.next()
	if err != nil {
		if r.Cut = cutOff(err); !r.Cut {
			r.Damaged = err
		}
		return Step{}, io.EOF
	}
	s := &source{b: content}
	switch kind {
	case recordStep:
		r.last += s.varint()
		step := Step{At: time.Unix(0, r.last).UTC()}
		if b := s.bytes(4); b != nil {
			step.Digest = binary.LittleEndian.Uint32(b)
		}
		for range s.uvarint() {
			if s.err != nil {
				break
			}
			x := getRow(s)
			x.Data = slices.Clone(x.Data)
			step.Activities = append(step.Activities, x)
		}
		step.Input = readInput(s, ops)
		if s.err != nil || len(s.b) > 0 {
			r.Damaged = cmp.Or(s.err, errLeft)
			return Step{}, io.EOF
		}
		return step, nil
	case recordEnd:
		r.Damaged = json.Unmarshal(content, &r.End)
		return Step{}, io.EOF
	}
	r.Damaged = fmt.Errorf("there is a record of an unknown kind %q", kind)
	return Step{}, io.EOF
}

var errLeft = errors.New("something is left over")

func putRow(b []byte, r Row) []byte {
	b = putString(putString(b, r.Table), r.Key)
	if r.Data == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(r.Data))+1), r.Data...)
}

func getRow(s *source) Row {
	r := Row{Table: s.string(), Key: s.string()}
	if n := s.count(); n >= 0 {
		r.Data = s.bytes(uint64(n))
	}
	return r
}

// putMoment writes the timers one after the other, each instant as the distance from the last step.
func putMoment(b []byte, m cloud.Moment) []byte {
	last := int64(0)
	switch {
	case m.Last.IsZero():
		b = append(b, 0)
	default:
		last = m.Last.UnixNano()
		b = binary.AppendVarint(append(b, 1), last)
	}
	loaded := byte(0)
	if m.Loaded {
		loaded = 1
	}
	b = binary.AppendUvarint(append(b, loaded), uint64(len(m.Timers)))
	for _, t := range m.Timers {
		b = binary.AppendVarint(putString(b, t.Key), t.At-last)
	}
	return b
}

func getMoment(s *source) cloud.Moment {
	var m cloud.Moment
	last := int64(0)
	if s.byte() != 0 {
		last = s.varint()
		m.Last = time.Unix(0, last).UTC()
	}
	m.Loaded = s.byte() != 0
	for range s.uvarint() {
		if s.err != nil {
			break
		}
		m.Timers = append(m.Timers, cloud.Timer{Key: s.string(), At: s.varint() + last})
	}
	return m
}
