package flight

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"

	"github.com/billow-cloud/billow/api"
	"github.com/billow-cloud/billow/cloud"
	"github.com/billow-cloud/billow/cloud/autoscaling"
	"github.com/billow-cloud/billow/cloud/ec2"
	"github.com/billow-cloud/billow/cloud/elbv2"
	"github.com/billow-cloud/billow/cloud/lambda"
	"github.com/billow-cloud/billow/cloud/logs"
	"github.com/billow-cloud/billow/cloud/sns"
)

// factTypes are all facts that some service takes. Their places are their numbers in a recording.
var factTypes = []reflect.Type{
	reflect.TypeFor[ec2.InstanceRunning](), reflect.TypeFor[ec2.LaunchFailed](), reflect.TypeFor[ec2.InstanceStopped](),
	reflect.TypeFor[ec2.InstanceTerminated](), reflect.TypeFor[ec2.InstanceExited](), reflect.TypeFor[ec2.InstanceBooted](),
	reflect.TypeFor[ec2.ConsoleOutput](), reflect.TypeFor[ec2.ImageCaptured](), reflect.TypeFor[ec2.ImageFailed](),
	reflect.TypeFor[ec2.Inventory](), reflect.TypeFor[ec2.Usage](),
	reflect.TypeFor[elbv2.TargetChecked](), reflect.TypeFor[elbv2.TargetDrained](), reflect.TypeFor[elbv2.Traffic](),
	reflect.TypeFor[sns.Delivered](), reflect.TypeFor[autoscaling.GroupUsage](),
	reflect.TypeFor[ec2.VolumeCreated](), reflect.TypeFor[ec2.VolumeFailed](), reflect.TypeFor[ec2.VolumeAttached](),
	reflect.TypeFor[ec2.AttachFailed](), reflect.TypeFor[ec2.VolumeDetached](), reflect.TypeFor[ec2.VolumeBusy](),
	reflect.TypeFor[ec2.VolumeResized](), reflect.TypeFor[ec2.VolumeDeleted](), reflect.TypeFor[ec2.SnapshotTaken](),
	reflect.TypeFor[ec2.SnapshotFailed](), reflect.TypeFor[ec2.SnapshotDeleted](),
	reflect.TypeFor[lambda.Ran](), reflect.TypeFor[lambda.Host](), reflect.TypeFor[logs.Written](),
	reflect.TypeFor[ec2.StatusChecks](),
}

var factNumbers = func() map[reflect.Type]uint64 {
	numbers := map[reflect.Type]uint64{}
	for i, t := range factTypes {
		numbers[t] = uint64(i)
	}
	return numbers
}()

// Kinds of input.
const (
	kindTick = iota
	kindFacts
	kindCall
	kindCallOf // a call, and before it its caller
)

// Operations tells what an operation's input looks like; a cloud does.
type Operations interface {
	Operation(service, name string) (cloud.Operation, bool)
}

// AppendInput writes an input. An input that no service of ops takes cannot be written.
func AppendInput(b []byte, ops Operations, in cloud.Input) ([]byte, error) {
	switch in := in.(type) {
	case cloud.Tick:
		return append(b, kindTick), nil
	case cloud.Observed:
		b = binary.AppendUvarint(append(b, kindFacts), uint64(len(in.Facts)))
		for _, f := range in.Facts {
			n, known := factNumbers[reflect.TypeOf(f)]
			if !known {
				return nil, fmt.Errorf("the fact %T cannot be recorded", f)
			}
			b = exact.put(binary.AppendUvarint(b, n), reflect.ValueOf(f))
		}
		return b, nil
	case cloud.Call:
		if in.Caller == (cloud.Caller{}) {
			b = append(b, kindCall)
		} else {
			b = exact.put(append(b, kindCallOf), reflect.ValueOf(in.Caller))
		}
		for _, s := range []string{in.Scope.Account, in.Scope.Region, in.RequestID, in.Service, in.Operation} {
			b = putString(b, s)
		}
		op, known := ops.Operation(in.Service, in.Operation)
		if !known { // it is answered without a look at the input
			return append(b, 0), nil
		}
		v := reflect.ValueOf(in.In)
		if !v.IsValid() || v.Type() != reflect.TypeOf(op.Input()) || v.IsNil() {
			return nil, fmt.Errorf("the input %T of %s cannot be recorded", in.In, in.Operation)
		}
		return exact.put(append(b, 1), v.Elem()), nil
	}
	return nil, fmt.Errorf("the input %T cannot be recorded", in)
}

// ReadInput reads what AppendInput has written.
func ReadInput(b []byte, ops Operations) (cloud.Input, error) {
	s := &source{b: b}
	in := readInput(s, ops)
	if s.err == nil && len(s.b) > 0 {
		s.err = errLeft
	}
	return in, s.err
}

func readInput(s *source, ops Operations) cloud.Input {
	switch kind := s.byte(); kind {
	case kindTick:
		return cloud.Tick{}
	case kindFacts:
		var in cloud.Observed
		for range s.uvarint() {
			n := s.uvarint()
			if s.err != nil || n >= uint64(len(factTypes)) {
				s.fail(fmt.Errorf("a fact of an unknown kind"))
				return nil
			}
			v := reflect.New(factTypes[n]).Elem()
			exact.of(factTypes[n]).get(s, v)
			in.Facts = append(in.Facts, v.Interface())
		}
		return in
	case kindCall, kindCallOf:
		var caller cloud.Caller
		if kind == kindCallOf {
			exact.of(reflect.TypeFor[cloud.Caller]()).get(s, reflect.ValueOf(&caller).Elem())
		}
		in := cloud.Call{Caller: caller, Scope: cloud.Scope{Account: s.string(), Region: s.string()}, RequestID: s.string(), Service: s.string(), Operation: s.string()}
		if s.byte() == 0 {
			return in
		}
		op, known := ops.Operation(in.Service, in.Operation)
		if !known {
			s.fail(fmt.Errorf("the operation %s.%s, which this build does not have", in.Service, in.Operation))
			return nil
		}
		in.In = op.Input()
		v := reflect.ValueOf(in.In).Elem()
		exact.of(v.Type()).get(s, v)
		return in
	default:
		s.fail(fmt.Errorf("an input of an unknown kind"))
		return nil
	}
}

// wholly bounds how many of a step's changed rows a digest looks into; of the others it takes the keys.
const wholly = 2000

// Digest sums up what a step gave, on top of the digest before it. A reply counts if the step has changed something. The
// buffer is used again and returned.
func Digest(before uint32, out cloud.Output, buffer []byte) (uint32, []byte) {
	b := binary.LittleEndian.AppendUint32(buffer[:0], before)
	for i, c := range out.Changes {
		b = putString(putString(b, c.Table), c.Key)
		switch {
		case c.Row == nil:
			b = append(b, 0)
		case i < wholly:
			b = meaning.put(append(b, 1), reflect.ValueOf(c.Row))
		}
	}
	for _, e := range out.Effects {
		b = meaning.put(putString(b, reflect.TypeOf(e).String()), reflect.ValueOf(e))
	}
	if len(out.Changes) > 0 && out.Reply != nil {
		b = exact.put(b, reflect.ValueOf(out.Reply))
	}
	switch err := out.Err.(type) {
	case nil:
	case *api.Error:
		b = putString(putString(b, err.Code), err.Message)
	default:
		b = putString(b, err.Error())
	}
	return crc32.Checksum(b, castagnoli), b
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Fingerprint is the form of all inputs of a cloud's operations and of all facts: where it differs, one build cannot read
// what another has written.
func Fingerprint(c *cloud.Cloud) uint32 {
	var text strings.Builder
	told := map[reflect.Type]bool{}
	for _, t := range factTypes {
		describe(&text, t, told)
	}
	for service, op := range c.Operations {
		fmt.Fprintf(&text, "\n%s.%s ", service, op.Name)
		describe(&text, reflect.TypeOf(op.Input()), told)
	}
	return crc32.Checksum([]byte(text.String()), castagnoli)
}

func describe(w *strings.Builder, t reflect.Type, told map[reflect.Type]bool) {
	fmt.Fprintf(w, "%v:%v ", t, t.Kind())
	if told[t] || t == timeType {
		return
	}
	told[t] = true
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			w.WriteString(t.Field(i).Name + " ")
			describe(w, t.Field(i).Type, told)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(w, t.Elem(), told)
	case reflect.Map:
		describe(w, t.Key(), told)
		describe(w, t.Elem(), told)
	}
}
