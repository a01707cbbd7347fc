package wire

import (
	"encoding/binary"
	"slices"

	"tocsin/firmware/phrase"
)

// AckSize is the size of one Ack.
const AckSize = 10

// Ack says that messages were kept: that of counter Base, and Base+1+n where bit n of More is set. One speaks of up to 33
// messages.
type Ack struct {
	Base uint64
	More uint32
}

// Covers tells whether a counter is acknowledged.
func (a Ack) Covers(n uint64) bool {
	return n == a.Base || n > a.Base && n-a.Base <= 32 && a.More>>(n-a.Base-1)&1 == 1
}

// Counters lists them, rising.
func (a Ack) Counters() []uint64 {
	all := []uint64{a.Base}
	for i := range 32 {
		if a.More>>i&1 == 1 {
			all = append(all, a.Base+1+uint64(i))
		}
	}
	return all
}

// Acks makes as few as will do. Give it only counters of what was kept.
func Acks(counters []uint64) []Ack {
	sorted := slices.Compact(slices.Sorted(slices.Values(counters)))
	var all []Ack
	for _, n := range sorted {
		if n == 0 || n > counterMost {
			continue
		}
		if l := len(all) - 1; l >= 0 && n-all[l].Base <= 32 {
			all[l].More |= 1 << (n - all[l].Base - 1)
		} else {
			all = append(all, Ack{Base: n})
		}
	}
	return all
}

// Append adds the ten bytes: 48 bits of Base, 32 of More.
func (a Ack) Append(b []byte) []byte {
	var x [6]byte
	put48(x[:], a.Base)
	return binary.BigEndian.AppendUint32(append(b, x[:]...), a.More)
}

// ReadAcks reads one after the other.
func ReadAcks(b []byte) ([]Ack, error) {
	if len(b) == 0 || len(b)%AckSize != 0 || len(b) > NarrowMost {
		return nil, phrase.E("wire.ack", "bytes", len(b))
	}
	var all []Ack
	for ; len(b) > 0; b = b[AckSize:] {
		a := Ack{get48(b), binary.BigEndian.Uint32(b[6:])}
		if a.Base == 0 || a.Base+32-uint64(leading(a.More)) > counterMost {
			return nil, phrase.E("wire.ack", "bytes", len(b))
		}
		all = append(all, a)
	}
	return all, nil
}

// leading counts the high zeros.
func leading(v uint32) (n int) {
	for n < 32 && v>>(31-n)&1 == 0 {
		n++
	}
	return n
}
