package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// NameSize is the size of a Name in a narrow item.
const NameSize = 6

// namePartMost is the most that either part of a Name is.
const namePartMost = 1<<24 - 1

// Name names one message of a station for ever, over whichever links it goes and in
// whichever form. Outbox is drawn at random when the station's outbox is made, Seq counts
// from 1 and never gives a number twice.
type Name struct {
	Outbox uint32 // 24 bits
	Seq    uint32 // 24 bits
}

// Valid tells whether it names anything.
func (n Name) Valid() bool { return n.Outbox <= namePartMost && n.Seq > 0 && n.Seq <= namePartMost }

// String is its text, such as a1b2c3-17: the id of letters and of the courier's messages.
func (n Name) String() string { return fmt.Sprintf("%06x-%d", n.Outbox, n.Seq) }

// Bytes are six: 24 bits of Outbox, 24 of Seq.
func (n Name) Bytes() []byte {
	return []byte{byte(n.Outbox >> 16), byte(n.Outbox >> 8), byte(n.Outbox), byte(n.Seq >> 16), byte(n.Seq >> 8), byte(n.Seq)}
}

// ReadName reads what Bytes wrote; false where that is no name.
func ReadName(b []byte) (Name, bool) {
	if len(b) != NameSize {
		return Name{}, false
	}
	n := Name{uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]), uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])}
	return n, n.Valid()
}

// ParseName reads what String wrote, and nothing else that would mean the same.
func ParseName(s string) (Name, bool) {
	outbox, seq, ok := strings.Cut(s, "-")
	if !ok || len(outbox) != 6 || len(seq) > 8 {
		return Name{}, false
	}
	o, err := strconv.ParseUint(outbox, 16, 24)
	if err != nil {
		return Name{}, false
	}
	q, err := strconv.ParseUint(seq, 10, 24)
	if err != nil {
		return Name{}, false
	}
	n := Name{uint32(o), uint32(q)}
	return n, n.Valid() && n.String() == s
}
