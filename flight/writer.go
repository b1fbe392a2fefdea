package flight

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/billow-cloud/billow/cloud"
)

// Kinds of record. A record is its length, its kind and its content.
const (
	recordHeader = 'H' // Header, as JSON
	recordMoment = 'M' // cloud.Moment
	recordRow    = 'R' // one row of the snapshot
	recordBegin  = 'B' // the snapshot is complete
	recordStep   = 'S'
	recordEnd    = 'E' // End, as JSON
)

// End closes a segment.
type End struct {
	Cause string // as in Header: why the next one begins
	Note  string
}

// Writer writes one segment. It is not safe for concurrent use. Nothing is certain to be in the file before Flush.
type Writer struct {
	file    counter
	z       *zstd.Encoder
	records *bufio.Writer
	record  []byte // scratch
	sum     []byte // scratch
	last    int64
	digest  uint32
}

// counter counts what goes through.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// window is how far back repetitions are found: enough for some minutes of a busy server, at little memory.
const window = 1 << 20

// NewWriter begins a segment: a header and what the cloud knows beside its rows. Rows follow, then Begin, then steps.
func NewWriter(to io.Writer, h Header, m cloud.Moment) (*Writer, error) {
	w := &Writer{file: counter{w: to}}
	var err error
	w.z, err = zstd.NewWriter(&w.file, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	w.records = bufio.NewWriterSize(w.z, 16<<10)
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if err := w.write(recordHeader, text); err != nil {
		return nil, err
	}
	return w, w.write(recordMoment, putMoment(nil, m))
}

func (w *Writer) write(kind byte, content []byte) error {
	var head [binary.MaxVarintLen64 + 1]byte
	n := binary.PutUvarint(head[:], uint64(len(content)))
	head[n] = kind
	w.records.Write(head[:n+1]) // an error sticks
	_, err := w.records.Write(content)
	return err
}

// Row adds one row to the snapshot, in its durable form.
func (w *Writer) Row(r Row) error {
	w.record = putRow(w.record[:0], r)
	return w.write(recordRow, w.record)
}

// Begin ends the snapshot.
func (w *Writer) Begin() error { return w.write(recordBegin, nil) }

// Step adds a step: when it was, its input as AppendInput has written it, and what it gave. Of the output it keeps a
// digest and the scaling activities.
func (w *Writer) Step(at int64, input []byte, out cloud.Output) error {
	w.digest, w.sum = Digest(w.digest, out, w.sum)
	b := binary.AppendVarint(w.record[:0], at-w.last)
	w.last = at
	b = binary.LittleEndian.AppendUint32(b, w.digest)
	var activities []Row
	for _, c := range out.Changes {
		if c.Table == ActivityTable {
			r, err := NewRow(c.Table, c.Key, c.Row)
			if err != nil {
				return err
			}
			activities = append(activities, r)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(activities)))
	for _, r := range activities {
		b = putRow(b, r)
	}
	w.record = b
	var head [binary.MaxVarintLen64 + 1]byte // the input is not copied: it may be large
	n := binary.PutUvarint(head[:], uint64(len(b)+len(input)))
	head[n] = recordStep
	w.records.Write(head[:n+1])
	w.records.Write(b)
	_, err := w.records.Write(input)
	return err
}

// Flush hands everything to the file.
func (w *Writer) Flush() error {
	if err := w.records.Flush(); err != nil {
		return err
	}
	return w.z.Flush()
}

// Close ends the segment; it does not close the file.
func (w *Writer) Close(e End) error {
	text, err := json.Marshal(e)
	if err == nil {
		err = w.write(recordEnd, text)
	}
	if err == nil {
		err = w.records.Flush()
	}
	if end := w.z.Close(); err == nil {
		err = end
	}
	return err
}

// Size is the number of bytes that were handed to the file.
func (w *Writer) Size() int64 { return w.file.n }

// NewRow gives a row its durable form; row is as a Change or a Dump has it.
func NewRow(table, key string, row any) (Row, error) {
	r := Row{Table: table, Key: key}
	if row == nil {
		return r, nil
	}
	var err error
	r.Data, err = json.Marshal(row)
	return r, err
}
