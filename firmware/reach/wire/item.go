package wire

import "tocsin/firmware/phrase"

// ItemType is what an item of a whole message is.
type ItemType uint8

// The types. What a receiver does not know it passes over and counts.
const (
	ItemTelemetry ItemType = 1 + iota // a block of the codec
	ItemAck                           // AckSize bytes
	ItemReceipts                      // AppendReceipts
	ItemMore                          // a request for fragments
	ItemAlarm                         // AlarmItem
	ItemCommand                       // a signed command
	ItemWarning                       // a compact warning within a sealed message
	ItemText                          // UTF-8 for people
	ItemTime                          // the sender's clock
	ItemEpoch                         // the epoch that is in use from now on
	ItemUpdate                        // UpdateItem
)

// ItemsMost bounds how many items a message holds.
const ItemsMost = 32

// Item is one part of a message.
type Item struct {
	Type  ItemType
	Bytes []byte
}

// AppendItem adds an item. The last one of a message needs no length and may be longer than 255 bytes. Whatever
// cannot be written so is the caller's mistake and panics: types are 1 to 127.
func AppendItem(b []byte, i Item, last bool) []byte {
	if i.Type == 0 || i.Type > 127 || !last && len(i.Bytes) > 255 {
		panic("wire: an item that cannot be written")
	}
	if last {
		return append(append(b, 0x80|byte(i.Type)), i.Bytes...)
	}
	return append(append(b, byte(i.Type), byte(len(i.Bytes))), i.Bytes...)
}

// Items reads them. The bytes are parts of b.
func Items(b []byte) ([]Item, error) {
	var all []Item
	for len(b) > 0 {
		i := Item{Type: ItemType(b[0] & 0x7F)}
		if i.Type == 0 || len(all) == ItemsMost {
			return nil, phrase.E("wire.items")
		}
		if b[0]&0x80 != 0 {
			i.Bytes = b[1:]
			return append(all, i), nil
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return nil, phrase.E("wire.items")
		}
		i.Bytes, b = b[2:2+int(b[1])], b[2+int(b[1]):]
		all = append(all, i)
	}
	return all, nil
}

// Clock is the sender's time and what it is worth: how many milliseconds it may be off, as a power of two.
type Clock struct {
	UnixMilli int64
	Within    uint8
}

// Bytes are seven: 48 bits of milliseconds, 8 of Within.
func (c Clock) Bytes() []byte {
	b := make([]byte, 7)
	put48(b, uint64(c.UnixMilli))
	b[6] = c.Within
	return b
}

// ReadClock reads one.
func ReadClock(b []byte) (Clock, error) {
	if len(b) != 7 || b[6] > 63 {
		return Clock{}, phrase.E("wire.items")
	}
	return Clock{int64(get48(b)), b[6]}, nil
}
