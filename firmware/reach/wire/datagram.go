package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"tocsin/firmware/phrase"
)

// DatagramOverhead is what a datagram adds to what it carries.
const DatagramOverhead = 12 + 16

const datagramMost = 1400 // no IP fragments on any path

// SealDatagram seals bytes for a link of datagrams (UDP over satellite IP), where a session of TLS would cost more
// than it carries. index tells the receiver whose keys to try: the station's number in the county's table. It is AES-256-GCM; the nonce is the
// direction and the counter, which is never used twice (Counter).
//
//	 0        1        2..5             6..11      12..         last 16
//	+--------+--------+----------------+----------+------------+--------+
//	| C2     | epoch, | index          | counter  | enciphered | tag    |
//	|        | low 8  |                |          |            |        |
//	+--------+--------+----------------+----------+------------+--------+
func SealDatagram(content []byte, index uint32, k *Keys, d Direction, c *Counter) ([]byte, error) {
	if len(content)+DatagramOverhead > datagramMost {
		return nil, phrase.E("wire.too_long", "bytes", len(content)+DatagramOverhead, "most", datagramMost)
	}
	n, err := c.Next()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 12, len(content)+DatagramOverhead)
	b[0], b[1] = datagramFirst, byte(k.Epoch)
	binary.BigEndian.PutUint32(b[2:], index)
	put48(b[6:], n)
	return k.ways[d].gcm().Seal(b, nonce(d, n), content, b[:12]), nil
}

// DatagramIndex gives whose datagram it claims to be.
func DatagramIndex(b []byte) (uint32, bool) {
	if FormOf(b) != DatagramForm || len(b) < DatagramOverhead || len(b) > datagramMost {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[2:]), true
}

// OpenDatagram opens one with the keys of its index. As Receiver.Open it takes the counter.
func OpenDatagram(b []byte, keys []*Keys, d Direction, w *Window) ([]byte, uint64, error) {
	if _, ok := DatagramIndex(b); !ok {
		return nil, 0, phrase.E("wire.form")
	}
	n := get48(b[6:])
	for _, k := range keys {
		if byte(k.Epoch) != b[1] {
			continue
		}
		content, err := k.ways[d].gcm().Open(nil, nonce(d, n), b[12:], b[:12])
		if err != nil {
			continue
		}
		return content, n, w.Take(n)
	}
	return nil, 0, phrase.E("wire.mac")
}

func (k *wayKeys) gcm() cipher.AEAD {
	c, err := aes.NewCipher(k.data)
	if err != nil {
		panic(err) // the key's size is ours
	}
	g, err := cipher.NewGCM(c)
	if err != nil {
		panic(err)
	}
	return g
}

func nonce(d Direction, n uint64) []byte {
	b := make([]byte, 12)
	b[0] = byte(d)
	put48(b[6:], n)
	return b
}
