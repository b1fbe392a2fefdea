package cloud

import (
	"encoding/hex"
	"math/rand/v2"
)

// randomKey is the key of the generator's row.
const randomKey = "random"

// random is the seeded generator of one step; its state is a row, so a restart goes on where the last step ended.
type random struct{ pcg *rand.PCG }

// Uint64 draws from the cloud's generator.
func (tx *Tx) Uint64() uint64 {
	if tx.random == nil {
		row, _ := tx.cloud.clock.Get(randomKey)
		tx.random = &random{rand.NewPCG(row.Hi, row.Lo)}
	}
	return tx.random.pcg.Uint64()
}

// IntN draws a number in [0, n).
func (tx *Tx) IntN(n int) int { return int(tx.Uint64() % uint64(n)) }

// Hex draws n hexadecimal digits, n at most 32.
func (tx *Tx) Hex(n int) string {
	var b [16]byte
	hi, lo := tx.Uint64(), tx.Uint64()
	for i := range 8 {
		b[i], b[8+i] = byte(hi>>(8*i)), byte(lo>>(8*i))
	}
	return hex.EncodeToString(b[:])[:n]
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
	b, err := tx.random.pcg.MarshalBinary() // "pcg:" and two big-endian words
	if err != nil {
		panic(err)
	}
	word := func(p []byte) (v uint64) {
		for _, x := range p {
			v = v<<8 | uint64(x)
		}
		return v
	}
	tx.cloud.clock.Put(&tx.journal, randomKey, clock{Hi: word(b[4:12]), Lo: word(b[12:20])})
}
