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
		if err == nil && len(files) > 0 {
			slices.Sort(files)
			return files, nil
		}
	}
	return nil, fmt.Errorf("there is no flight recording in %s; a server keeps one in its data directory unless it runs with --flight off", path)
}

// ErrEmpty says that a segment was cut off before its first step.
var ErrEmpty = errors.New("the segment is cut off before its first step")

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
		return fmt.Errorf("%s is not a flight recording", r.Path)
	case err != nil:
		return fmt.Errorf("%s: %w", r.Path, ErrEmpty)
	}
	if err := json.Unmarshal(text, &r.Header); err != nil {
		return fmt.Errorf("%s is not a flight recording: %w", r.Path, err)
	}
	if r.Header.Format != Format {
		return fmt.Errorf("%s is in format %d, this build reads format %d", r.Path, r.Header.Format, Format)
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error {
	r.z.Close()
	return r.file.Close()
}

// next reads one record. Whatever goes wrong in the file means that it is cut off there: io.ErrUnexpectedEOF.
func (r *Reader) next() (kind byte, content []byte, err error) {
	n, err := binary.ReadUvarint(r.records)
	if err == nil {
		kind, err = r.records.ReadByte()
	}
	if err == nil && n > maxRecord {
		err = io.ErrUnexpectedEOF
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
			return cloud.Moment{}, fmt.Errorf("%s: %w", r.Path, ErrEmpty)
		}
		s := &source{b: content}
		switch kind {
		case recordMoment:
			r.moment = getMoment(s)
		case recordRow:
			x := getRow(s)
			if s.err == nil {
				if err := row(x.Table, x.Key, x.Data); err != nil {
					return cloud.Moment{}, err
				}
			}
		case recordBegin:
			return r.moment, nil
		}
		if s.err != nil {
			return cloud.Moment{}, fmt.Errorf("%s is damaged: %w", r.Path, s.err)
		}
	}
}

// Next reads a step; io.EOF is the segment's end.
func (r *Reader) Next(ops Operations) (Step, error) {
	kind, content, err := r.next()
	if err != nil {
		r.Cut = true
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
			return step, fmt.Errorf("%s: a step cannot be read by this build: %w", r.Path, cmp.Or(s.err, errLeft))
		}
		return step, nil
	case recordEnd:
		if err := json.Unmarshal(content, &r.End); err != nil {
			return Step{}, fmt.Errorf("%s is damaged: %w", r.Path, err)
		}
		return Step{}, io.EOF
	}
	return Step{}, fmt.Errorf("%s has a record of an unknown kind %q", r.Path, kind)
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
