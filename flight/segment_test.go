package flight

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	ec2api "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/region"
)

var noon = time.Date(2026, 9, 27, 12, 0, 0, 123, time.UTC)

func usageOf(n int) cloud.Observed {
	u := ec2.Usage{From: noon, To: noon.Add(time.Minute)}
	for i := range n {
		u.Samples = append(u.Samples, ec2.UsageSample{ID: fmt.Sprintf("i-%017x", i), CPUPercent: float64(i) / 7, NetworkIn: float64(i)})
	}
	return cloud.Observed{Facts: []cloud.Fact{u}}
}

// recorded runs a small cloud and records it; it gives the segment and the inputs.
func recorded(t testing.TB) (segment []byte, inputs []cloud.Input) {
	t.Helper()
	control := region.New(region.Options{Seed: 7, AnyImage: true})
	var file bytes.Buffer
	w, err := NewWriter(&file, Header{Format: Format, Cause: CauseStart, Options: region.Options{Seed: 7, AnyImage: true}}, control.Moment())
	if err != nil {
		t.Fatal(err)
	}
	control.Freeze()(func(table, key string, row any) bool {
		r, err := NewRow(table, key, row)
		if err == nil {
			err = w.Row(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	inputs = []cloud.Input{cloud.Tick{}, cloud.Call{Scope: cloud.Scope{Account: "123456789012", Region: "us-east-1"}, Service: "ec2", Operation: "RunInstances",
		In: &ec2api.RunInstancesInput{ImageId: new("ami-0123456789abcdef0"), InstanceType: new("t3.micro"), MinCount: new(int32(3)), MaxCount: new(int32(3))}}, usageOf(3)}
	if err := w.Begin(); err != nil {
		t.Fatal(err)
	}
	for i, in := range inputs {
		b, err := AppendInput(nil, control, in)
		if err != nil {
			t.Fatal(err)
		}
		at := noon.Add(time.Duration(i) * time.Second)
		out := control.Step(at, in)
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		if err := errors.Join(w.Step(at.UnixNano(), b, out), w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(End{Cause: CauseStop}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), inputs
}

// read gives what can be read of a segment.
func read(t *testing.T, segment []byte) (steps []Step, r *Reader, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "1"+Suffix)
	if err := os.WriteFile(path, segment, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err = Open(path); err != nil {
		return nil, nil, err
	}
	defer r.Close()
	control := region.New(r.Header.Options)
	moment, err := r.Load(control.Load)
	if err != nil {
		return nil, r, err
	}
	control.Resume(moment)
	for {
		step, err := r.Next(control)
		if err == io.EOF {
			return steps, r, nil
		}
		if err != nil {
			return steps, r, err
		}
		steps = append(steps, step)
	}
}

func TestASegmentIsReadAsItWasWritten(t *testing.T) {
	segment, inputs := recorded(t)
	steps, r, err := read(t, segment)
	if err != nil || len(steps) != len(inputs) || r.Cut || r.End.Cause != CauseStop || r.Header.Options.Seed != 7 {
		t.Fatalf("%d steps, %+v: %v", len(steps), r, err)
	}
	again := region.New(r.Header.Options)
	digest := uint32(0)
	for i, s := range steps {
		if !reflect.DeepEqual(s.Input, inputs[i]) || !s.At.Equal(noon.Add(time.Duration(i)*time.Second)) {
			t.Errorf("step %d: %+v", i, s)
		}
		digest, _ = Digest(digest, again.Step(s.At, s.Input), nil)
		if digest != s.Digest {
			t.Errorf("step %d (%s) comes to something else", i, Name(s.Input))
		}
	}
}

// TestATornSegmentIsReadUpToTheTear: whatever a crash leaves, the whole steps before it are there.
func TestATornSegmentIsReadUpToTheTear(t *testing.T) {
	segment, inputs := recorded(t)
	most := 0
	for n := range len(segment) {
		steps, r, err := read(t, segment[:n])
		switch {
		case errors.Is(err, ErrEmpty):
			if most > 0 {
				t.Fatalf("cut at %d: %v, but less had steps", n, err)
			}
		case err != nil:
			t.Fatalf("cut at %d: %v", n, err)
		case !r.Cut && r.End.Cause == "" || r.Damaged != nil:
			t.Fatalf("cut at %d: the reader takes it for whole, or damaged: %v", n, r.Damaged)
		default:
			if len(steps) < most {
				t.Fatalf("cut at %d: %d steps, before %d", n, len(steps), most)
			}
			most = len(steps)
			for i, s := range steps {
				if !reflect.DeepEqual(s.Input, inputs[i]) {
					t.Fatalf("cut at %d: step %d is another one", n, i)
				}
			}
		}
	}
	if most != len(inputs) {
		t.Errorf("%d steps", most)
	}
	if _, _, err := read(t, []byte("something else entirely")); err == nil || errors.Is(err, ErrEmpty) {
		t.Errorf("no recording: %v", err)
	}
}

// TestADamagedSegmentIsNotTakenForWhole: other bytes in the file end the reading, and are told from a file that ends early
// in most places; nothing is made up after them.
func TestADamagedSegmentIsNotTakenForWhole(t *testing.T) {
	segment, inputs := recorded(t)
	damaged := 0
	for n := range segment {
		broken := bytes.Clone(segment)
		broken[n] ^= 0x55
		steps, r, err := read(t, broken)
		switch {
		case errors.Is(err, ErrDamaged) || err == nil && r.Damaged != nil:
			damaged++
		case err == nil && !r.Cut && len(steps) < len(inputs):
			t.Fatalf("byte %d: %d steps are taken for all", n, len(steps))
		}
	}
	if damaged < len(segment)/2 {
		t.Errorf("%d of %d broken bytes are told as damage", damaged, len(segment))
	}
}

func TestBuilds(t *testing.T) {
	clean, dirty := Build{Revision: "0123456789abcdef", ID: "aaaaaaaa"}, Build{Revision: "0123456789abcdef", Modified: true, ID: "bbbbbbbb"}
	other := Build{Revision: "0123456789abcdef", ID: "cccccccc"}
	if !clean.Same(other) || clean.Same(dirty) || !dirty.Same(dirty) || (Build{}).Same(Build{}) {
		t.Error("builds are told apart wrongly")
	}
	if b := ThisBuild(); b.ID == "" || !b.Same(b) {
		t.Errorf("this build is %+v", b)
	}
}
