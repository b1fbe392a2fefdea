package cloud

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// randomKey is the key of the generator's row.
const randomKey = "random"

// Uint64 draws from the cloud's generator. Its state is a row, so a restart goes on where the last step ended.
func (tx *Tx) Uint64() uint64 {
	if tx.random == nil {
		row, _ := tx.cloud.clock.Get(randomKey)
		tx.random = rand.NewPCG(row.Hi, row.Lo)
	}
	return tx.random.Uint64()
}

// IntN draws a number in [0, n).
func (tx *Tx) IntN(n int) int { return int(tx.Uint64() % uint64(n)) }

// Hex draws n hexadecimal digits, n at most 32.
func (tx *Tx) Hex(n int) string {
	b := binary.LittleEndian.AppendUint64(nil, tx.Uint64())
	b = binary.LittleEndian.AppendUint64(b, tx.Uint64())
	return hex.EncodeToString(b)[:n]
}

// ID makes a resource ID as EC2 does: a prefix such as "i-" and 17 hexadecimal digits.
func (tx *Tx) ID(prefix string) string { return prefix + "0" + tx.Hex(16) }

// UUID makes an identifier of the form 8-4-4-4-12, version 4.
func (tx *Tx) UUID() string {
	h := []byte(tx.Hex(32))
	h[12] = '4'
	h[16] = "89ab"[tx.Uint64()%4]
	return string(h[:8]) + "-" + string(h[8:12]) + "-" + string(h[12:16]) + "-" + string(h[16:20]) + "-" + string(h[20:])
}

// saveRandom writes the generator's state. One row is drawn from per step, however many numbers it took.
func (tx *Tx) saveRandom() {
	if tx.random == nil {
		return
	}
	b, err := tx.random.MarshalBinary() // "pcg:" and two big-endian words
	if err != nil {
		panic(err)
	}
	tx.cloud.clock.Put(&tx.journal, randomKey, clock{Hi: binary.BigEndian.Uint64(b[4:]), Lo: binary.BigEndian.Uint64(b[12:])})
}
