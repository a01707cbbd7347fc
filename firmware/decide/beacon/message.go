package beacon

import (
	"encoding/binary"

	"tocsin/firmware/phrase"
)

// Sizes of a message.
const (
	BodySize = 14
	Size     = BodySize + 64
)

// Message is the 14 bytes, read.
type Message struct {
	Drill   bool
	Station uint16
	DayBits uint8  // 3 bits
	Minute  uint16 // of the UTC day, 0 to 1439
	Serial  uint8
	Hazard  uint8
	Rank    uint8 // 1 to 15
	Lasts   uint8 // tens of minutes, 1 to 63
}

// Is tells by length and first bits whether bytes may be a beacon.
func Is(b []byte) bool { return len(b) == Size && b[0]&0xFE == 0x1E }

// Pack gives the 14 bytes. There is one way to write each message.
func (m Message) Pack() ([]byte, error) {
	if m.Station == 0 || m.DayBits > 7 || m.Minute >= 24*60 || m.Rank == 0 || m.Rank > 15 || m.Lasts == 0 || m.Lasts > 63 {
		return nil, phrase.E("beacon.fields")
	}
	b := make([]byte, BodySize)
	b[0] = 0x1E
	if m.Drill {
		b[0] |= 1
	}
	binary.BigEndian.PutUint16(b[1:], m.Station)
	v := uint64(m.DayBits)<<37 | uint64(m.Minute)<<26 | uint64(m.Serial)<<18 | uint64(m.Hazard)<<10 | uint64(m.Rank)<<6 | uint64(m.Lasts)
	for i := range 5 {
		b[3+i] = byte(v >> (32 - 8*i))
	}
	return b, nil
}

// Unpack reads 14 bytes and refuses what Pack would not have written.
func Unpack(b []byte) (Message, error) {
	if len(b) != BodySize || b[0]&0xFE != 0x1E {
		return Message{}, phrase.E("beacon.form")
	}
	for _, x := range b[8:] {
		if x != 0 {
			return Message{}, phrase.E("beacon.form")
		}
	}
	var v uint64
	for _, x := range b[3:8] {
		v = v<<8 | uint64(x)
	}
	m := Message{
		Drill: b[0]&1 == 1, Station: binary.BigEndian.Uint16(b[1:]), DayBits: uint8(v >> 37), Minute: uint16(v>>26) & 0x7FF,
		Serial: uint8(v >> 18), Hazard: uint8(v >> 10), Rank: uint8(v>>6) & 15, Lasts: uint8(v) & 63,
	}
	if _, err := m.Pack(); err != nil {
		return Message{}, phrase.E("beacon.form")
	}
	return m, nil
}
