package ec2

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/billow-cloud/billow/cloud"
)

// fill draws bytes from the cloud's generator.
func fill(tx *cloud.Tx, b []byte) {
	var word [8]byte
	for i := range b {
		if i%8 == 0 {
			binary.BigEndian.PutUint64(word[:], tx.Uint64())
		}
		b[i] = word[i%8]
	}
}

// rsaKey makes a 2048-bit key from the cloud's generator: crypto/rsa's own would not be the same in a replay.
func rsaKey(tx *cloud.Tx) *rsa.PrivateKey {
	const e = 65537
	one := big.NewInt(1)
	for {
		p, q := prime(tx), prime(tx)
		n := new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(big.NewInt(e), phi)
		if n.BitLen() != 2048 || d == nil || p.Cmp(q) == 0 {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: e}, D: d, Primes: []*big.Int{p, q}}
		key.Precompute()
		return key
	}
}

// prime draws a prime of 1024 bits whose two highest bits are set.
func prime(tx *cloud.Tx) *big.Int {
	var b [128]byte
	fill(tx, b[:])
	b[0] |= 0xc0
	b[127] |= 1
	for p, two := new(big.Int).SetBytes(b[:]), big.NewInt(2); ; p.Add(p, two) {
		if p.ProbablyPrime(0) { // Baillie-PSW, no known exception, and no randomness
			return p
		}
	}
}

func sshString(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// sshField takes one length-prefixed field off a blob; nil if there is none.
func sshField(b []byte) (field, rest []byte) {
	if len(b) < 4 {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint32(b))
	if n < 0 || n > len(b)-4 {
		return nil, nil
	}
	return b[4 : 4+n], b[4+n:]
}

func ed25519Blob(public ed25519.PublicKey) []byte {
	return append(sshString([]byte("ssh-ed25519")), sshString(public)...)
}

func rsaBlob(public *rsa.PublicKey) []byte {
	blob := append(sshString([]byte("ssh-rsa")), sshString(mpint(big.NewInt(int64(public.E))))...)
	return append(blob, sshString(mpint(public.N))...)
}

// mpint is a positive number with a leading zero byte if its highest bit is set.
func mpint(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) > 0 && b[0]&0x80 != 0 {
		return append([]byte{0}, b...)
	}
	return b
}

// openSSH is the content of an OpenSSH private key file without a passphrase.
func openSSH(private ed25519.PrivateKey, comment string) []byte {
	public := private.Public().(ed25519.PublicKey)
	secret := []byte{1, 2, 3, 4, 1, 2, 3, 4} // twice the same number, to tell that decryption worked
	secret = append(secret, ed25519Blob(public)...)
	secret = append(secret, sshString(private)...)
	secret = append(secret, sshString([]byte(comment))...)
	for pad := byte(1); len(secret)%8 != 0; pad++ {
		secret = append(secret, pad)
	}
	out := append([]byte("openssh-key-v1\x00"), sshString([]byte("none"))...)
	out = append(out, sshString([]byte("none"))...)
	out = append(out, sshString(nil)...)
	out = binary.BigEndian.AppendUint32(out, 1)
	out = append(out, sshString(ed25519Blob(public))...)
	return append(out, sshString(secret)...)
}

func sha256Print(blob []byte) string {
	sum := sha256.Sum256(blob)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}
