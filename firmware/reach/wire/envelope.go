package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"tocsin/firmware/phrase"
)

// Bounds of envelopes.
const (
	ContentMost    = 1 << 20
	extensionsMost = 16
	sealSize       = 4 + 16 // epoch, MAC
	envelopeHead   = 27
)

// What an envelope's content is. Where an item's form is carried whole, the number is the item's.
const (
	TypeTelemetry  = uint8(ItemTelemetry) // a block of the codec
	TypeReceipts   = uint8(ItemReceipts)  // a packet of receipts
	TypeCAP        = uint8(16)            // a CAP document that the station signed
	TypeDictionary = uint8(17)            // JSON: what the channels of telemetry blocks are
	TypeState      = uint8(18)            // JSON: version, readiness, faults, links
)

// ID names an envelope for ever: the hub takes each once, over whichever links it comes.
type ID struct {
	Station string
	// Boot is drawn at random when the station's outbox is made, so that one that was lost and made anew
	// does not name two things alike.
	Boot     uint64
	Sequence uint64 // 48 bits
}

// String is the message id for a queue that drops duplicates.
func (i ID) String() string { return fmt.Sprintf("%s/%016x/%d", i.Station, i.Boot, i.Sequence) }

// Envelope is what goes over IP links.
type Envelope struct {
	ID    ID
	Class Class
	// Slot: of all unsent envelopes of a slot only the newest is worth sending. "" keeps all.
	Slot string
	// To is the recipient; "" is the county.
	To string
	// Created is when, in milliseconds since 1970; 0 where the sender had no clock. Trust is what the clock was worth (0 none,
	// 1 free-running, 2 a network's, 3 GNSS).
	Created int64
	Trust   uint8
	// Deadline is how many seconds after Created it is worth nothing; 0: never.
	Deadline uint32
	// Type says what Content is: TypeTelemetry and its fellows.
	Type       uint8
	Content    []byte
	Extensions []Extension
}

// Extension is what a later version adds. A reader that does not know a critical one may not act on
// the envelope; it passes over others.
type Extension struct {
	Type  uint8 // 1 to 127
	Must  bool
	Bytes []byte
}

// Append adds the envelope. With keys it is sealed for the direction: its epoch and a MAC follow.
func (e *Envelope) Append(b []byte, keys *Keys, d Direction) ([]byte, error) {
	switch {
	case e.Class >= classes, e.Trust > 3, e.ID.Sequence > counterMost, e.Created < 0, e.Created > counterMost, !named(e.ID.Station), len(e.Slot) > nameMost, len(e.To) > nameMost,
		len(e.Extensions) > extensionsMost:
		return nil, phrase.E("wire.envelope")
	case len(e.Content) > ContentMost:
		return nil, phrase.E("wire.too_long", "bytes", len(e.Content), "most", ContentMost)
	}
	from := len(b)
	flags := byte(e.Class)<<5 | e.Trust<<2
	if e.Slot != "" {
		flags |= 1 << 4
	}
	if keys != nil {
		flags |= 1
	}
	b = append(b, envelopeFirst, flags, e.Type)
	b = binary.BigEndian.AppendUint64(b, e.ID.Boot)
	b = append48(b, e.ID.Sequence)
	b = append48(b, uint64(e.Created))
	b = binary.BigEndian.AppendUint32(b, e.Deadline)
	b = append(append(b, byte(len(e.ID.Station))), e.ID.Station...)
	if e.Slot != "" {
		b = append(append(b, byte(len(e.Slot))), e.Slot...)
	}
	b = append(append(b, byte(len(e.To))), e.To...)
	b = append(b, byte(len(e.Extensions)))
	for _, x := range e.Extensions {
		if x.Type == 0 || x.Type > 127 || len(x.Bytes) > 1<<12 {
			return nil, phrase.E("wire.envelope")
		}
		t := x.Type
		if x.Must {
			t |= 0x80
		}
		b = binary.BigEndian.AppendUint16(append(b, t), uint16(len(x.Bytes)))
		b = append(b, x.Bytes...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Content)))
	b = append(b, e.Content...)
	if keys != nil {
		b = binary.BigEndian.AppendUint32(b, keys.Epoch)
		b = append(b, keys.ways[d].seal(b[from:])...)
	}
	return b, nil
}

func (k *wayKeys) seal(b []byte) []byte {
	h := hmac.New(sha256.New, k.whole)
	h.Write(b)
	return h.Sum(nil)[:16]
}

func append48(b []byte, n uint64) []byte {
	var x [6]byte
	put48(x[:], n)
	return append(b, x[:]...)
}

// named tells whether a name is one that every queue and log can carry.
func named(s string) bool {
	if len(s) == 0 || len(s) > nameMost {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7F || c == '/' || c == '*' || c == '>' {
			return false
		}
	}
	return true
}

// Opened is an envelope and what stands behind it.
type Opened struct {
	Envelope
	// Sealed: keys of this epoch sealed it. False says only that it carries no seal: then the link vouches for it.
	Sealed bool
	Epoch  uint32
	// Unknown: there is a critical extension, which this version knows none of. It may be kept and passed on, not acted upon.
	Unknown bool
}

// OpenEnvelope reads exactly one envelope of at most most bytes of content. One that carries a seal must fit one of the keys.
func OpenEnvelope(b []byte, most int, keys []*Keys, d Direction) (Opened, error) {
	bad := phrase.E("wire.envelope")
	if FormOf(b) != EnvelopeForm || len(b) < envelopeHead {
		return Opened{}, bad
	}
	flags := b[1]
	sealed := flags&1 != 0
	if flags&2 != 0 || flags>>5 >= byte(classes) {
		return Opened{}, bad
	}
	var o Opened
	if sealed {
		if len(b) < envelopeHead+sealSize {
			return Opened{}, bad
		}
		body, mac := b[:len(b)-16], b[len(b)-16:]
		o.Epoch = binary.BigEndian.Uint32(body[len(body)-4:])
		for _, k := range keys {
			o.Sealed = o.Sealed || k.Epoch == o.Epoch && hmac.Equal(k.ways[d].seal(body), mac)
		}
		if !o.Sealed {
			return Opened{}, phrase.E("wire.mac")
		}
		b = body[:len(body)-4]
	}
	o.Class, o.Trust, o.Type = Class(flags>>5), flags>>2&3, b[2]
	o.ID.Boot, o.ID.Sequence = binary.BigEndian.Uint64(b[3:]), get48(b[11:])
	o.Created, o.Deadline = int64(get48(b[17:])), binary.BigEndian.Uint32(b[23:])
	r := taker{b: b[envelopeHead:]}
	o.ID.Station = string(r.take(int(r.byte())))
	if flags>>4&1 == 1 {
		o.Slot = string(r.take(int(r.byte())))
		r.bad = r.bad || o.Slot == ""
	}
	o.To = string(r.take(int(r.byte())))
	n := int(r.byte())
	for i := 0; i < n && n <= extensionsMost && !r.bad; i++ {
		x := Extension{Type: r.byte()}
		x.Must = x.Type&0x80 != 0
		x.Type &= 0x7F
		size := int(r.byte())<<8 | int(r.byte())
		r.bad = r.bad || x.Type == 0 || size > 1<<12
		x.Bytes = bytes.Clone(r.take(size))
		o.Unknown = o.Unknown || x.Must
		o.Extensions = append(o.Extensions, x)
	}
	size := 0
	for range 4 {
		size = size<<8 | int(r.byte())
	}
	if size > min(most, ContentMost) {
		return Opened{}, phrase.E("wire.too_long", "bytes", size, "most", min(most, ContentMost))
	}
	o.Content = bytes.Clone(r.take(size))
	if r.bad || len(r.b) != 0 || n > extensionsMost || !named(o.ID.Station) || len(o.Slot) > nameMost || len(o.To) > nameMost {
		return Opened{}, bad
	}
	return o, nil
}

// taker takes bytes off the front; beyond the end it gives zeros and is bad.
type taker struct {
	b   []byte
	bad bool
}

func (t *taker) byte() byte {
	if b := t.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (t *taker) take(n int) []byte {
	if t.bad || n > len(t.b) {
		t.bad = true
		return nil
	}
	b := t.b[:n]
	t.b = t.b[n:]
	return b
}
