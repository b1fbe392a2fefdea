package pid1

// Message is what goes over the control socket, one per packet: an operation
// and its fields. Descriptors travel beside it (SCM_RIGHTS).
type Message struct {
	Op     byte
	Fields []string
}

// What the keeper sends.
const (
	Setup = 'S' // steps, one field each (see Step); answered by Ready or Failed
	Spawn = 'X' // tag, "tty", "UID GID" or "", directory, number of arguments, arguments..., environment...
	Kill  = 'K' // process ID, signal: to the process group of a spawned program
	Term  = 'T' // end everything in order, then exit
	Ask   = 'A' // for a sign of life; answered by Alive
)

// What init answers.
const (
	Ready      = 'R'
	Failed     = 'E' // step, error
	Descriptor = 'F' // name; a descriptor beside it
	Spawned    = 'P' // tag, process ID; with tty, the terminal's master beside it
	NotSpawned = 'N' // tag, error number
	Ended      = 'D' // process ID, wait status
	Alive      = 'L'
)

// MaxMessage bounds a packet. Longer ones are refused by the sender.
const MaxMessage = 64 << 10

// Encode packs fields as length and bytes.
func Encode(op byte, fields ...string) []byte {
	size := 1
	for _, field := range fields {
		size += 4 + len(field)
	}
	packet := make([]byte, 0, size)
	packet = append(packet, op)
	for _, field := range fields {
		n := uint32(len(field))
		packet = append(packet, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		packet = append(packet, field...)
	}
	return packet
}

// Decode is Encode's inverse; ok is false for what Encode cannot have made.
func Decode(packet []byte) (m Message, ok bool) {
	if len(packet) == 0 {
		return m, false
	}
	m.Op = packet[0]
	m.Fields, ok = split(packet[1:])
	return m, ok
}

func split(rest []byte) (fields []string, ok bool) {
	for len(rest) > 0 {
		if len(rest) < 4 {
			return nil, false
		}
		n := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16 | int(rest[3])<<24
		rest = rest[4:]
		if n > len(rest) {
			return nil, false
		}
		fields = append(fields, string(rest[:n]))
		rest = rest[n:]
	}
	return fields, true
}

// Step packs one step of a Setup: what to do and its arguments. A name that
// ends in '?' may fail without consequence.
//
//	mkdir PATH MODE               mount SOURCE TARGET TYPE FLAGS DATA
//	touch PATH                    symlink TARGET PATH
//	mkfifo PATH MODE              write PATH CONTENT
//	chmod PATH MODE               open NAME PATH FLAGS   (sends Descriptor)
//	pivot NEWROOT                 hostname NAME
//	console PATH                  (becomes standard output and error)
//	mknod PATH MODE DEVICE        caps MASK              (drops all others)
//	seccomp FILTER CALL           (sends Descriptor "supervisor" if it can)
func Step(op string, args ...string) string {
	return string(Encode(0, append([]string{op}, args...)...)[1:])
}
