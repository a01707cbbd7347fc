package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"iter"

	"tocsin/firmware/phrase"
)

const (
	headSize = 3
	macSize  = 8
	// Overhead is what header and MAC take of a narrow message.
	Overhead = headSize + macSize
	// NarrowMost bounds a narrow message; the largest that any of the links carries is 1,750 bytes (BDS-3).
	NarrowMost = 2048
	nameMost   = 64
	// windowsAhead is how many windows of 2^16 above the nearest a receiver tries: a sender that lost
	// power some hundred times unheard is still understood.
	windowsAhead = 4
	// windowsFresh is how many a receiver tries that has heard nothing yet, or lost what it kept: counters of
	// some decades.
	windowsFresh = 1 << 10
	// windowsAnew is how many a receiver tries on each side of where a sender would begin that lost what it kept: 24 days.
	windowsAnew = 1 << 10
)

// Kind is what the content of a narrow message is.
type Kind uint8

// The kinds.
const (
	Whole    Kind = iota // items
	Fragment             // a part of a longer content, see Split
	AckOnly              // acknowledgements one after the other, each of AckSize bytes
	Service              // items about time and keys
)

// Message is one narrow message, opened.
type Message struct {
	Class   Class
	Kind    Kind
	Counter uint64
	Content []byte
	// Epoch is that of the keys that fitted.
	Epoch uint32
}

// Hidden says which classes are enciphered: commands, unless both ends agreed on more. Telemetry
// is public by nature.
type Hidden uint8

// HideCommands is the usual.
const HideCommands Hidden = 1 << Command

// Sender seals what goes one way. One goroutine uses it.
type Sender struct {
	Keys      *Keys
	Direction Direction
	Counter   *Counter
	Hidden    Hidden
}

// Seal gives the bytes of a message. from is the sender's name on the link (a card's number, a node's): it is part
// of what is sealed and is not sent, since the link tells it.
func (s *Sender) Seal(m Message, from string) ([]byte, error) {
	if err := sealable(m, from); err != nil {
		return nil, err
	}
	n, err := s.Counter.Next()
	if err != nil {
		return nil, err
	}
	return s.SealAs(n, m, from)
}

func sealable(m Message, from string) error {
	switch {
	case m.Class >= classes || m.Kind > Service || len(from) > nameMost:
		return phrase.E("wire.message", "class", int(m.Class), "kind", int(m.Kind))
	case len(m.Content)+Overhead > NarrowMost:
		return phrase.E("wire.too_long", "bytes", len(m.Content)+Overhead, "most", NarrowMost)
	}
	return nil
}

// SealAs seals with a number that the Counter gave for this message and for no other.
func (s *Sender) SealAs(n uint64, m Message, from string) ([]byte, error) {
	if err := sealable(m, from); err != nil {
		return nil, err
	}
	b := make([]byte, headSize, len(m.Content)+Overhead)
	b[0] = narrowVersion<<5 | byte(m.Class)<<2 | byte(m.Kind)
	binary.BigEndian.PutUint16(b[1:], uint16(n))
	b = append(b, m.Content...)
	k := &s.Keys.ways[s.Direction]
	if s.Hidden>>m.Class&1 == 1 {
		k.cipher(b[headSize:], n)
	}
	return append(b, k.tag(b, n, s.Direction, from)...), nil
}

// tag is HMAC-SHA-256, its first eight bytes, over the direction, the whole counter, the sender's name and the
// message as it is on the air.
func (k *wayKeys) tag(b []byte, n uint64, d Direction, from string) []byte {
	return tagBy(hmac.New(sha256.New, k.mac), nil, b, n, d, from)
}

func tagBy(h hash.Hash, sum, b []byte, n uint64, d Direction, from string) []byte {
	h.Reset()
	var head [8]byte
	head[0] = byte(d)
	put48(head[1:], n)
	head[7] = byte(len(from))
	h.Write(head[:])
	h.Write([]byte(from))
	h.Write(b)
	return h.Sum(sum)[:macSize]
}

// cipher is AES-128 in counter mode; the first block is the message's counter, ten bytes of zero.
func (k *wayKeys) cipher(b []byte, n uint64) {
	c, err := aes.NewCipher(k.hide)
	if err != nil {
		panic(err) // the key's size is ours
	}
	var iv [aes.BlockSize]byte
	put48(iv[:], n)
	cipher.NewCTR(c, iv[:]).XORKeyStream(b, b)
}

func put48(b []byte, n uint64) {
	for i := range 6 {
		b[i] = byte(n >> (40 - 8*i))
	}
}

func get48(b []byte) (n uint64) {
	for _, x := range b[:6] {
		n = n<<8 | uint64(x)
	}
	return n
}

// Receiver opens what comes one way. One goroutine uses it.
type Receiver struct {
	// Keys are those of the epochs that may be in use, at most three: while keys roll over, both.
	Keys      []*Keys
	Direction Direction
	Window    *Window
	Hidden    Hidden
	// Anew is CountersFrom now: where a sender begins that lost what it kept. 0: it is not looked for there.
	Anew uint64
}

// Open opens a message of the sender that the link names. It takes the counter: keep the Window's
// Snapshot before acting, or Release it. An error that Replayed knows is a genuine message once more: it is
// to be acknowledged again and not acted upon.
func (r *Receiver) Open(b []byte, from string) (Message, error) {
	switch {
	case FormOf(b) != Narrow:
		return Message{}, phrase.E("wire.form")
	case len(b) < Overhead || len(b) > NarrowMost || len(from) > nameMost:
		return Message{}, phrase.E("wire.length", "bytes", len(b))
	case b[0]>>2&7 >= byte(classes):
		return Message{}, phrase.E("wire.message", "class", int(b[0]>>2&7), "kind", int(b[0]&3))
	}
	body, tag := b[:len(b)-macSize], b[len(b)-macSize:]
	for _, k := range r.Keys {
		w := &k.ways[r.Direction]
		h, sum := hmac.New(sha256.New, w.mac), make([]byte, 0, sha256.Size)
		for n := range r.Window.candidates(binary.BigEndian.Uint16(b[1:]), r.Anew) {
			if !hmac.Equal(tagBy(h, sum, body, n, r.Direction, from), tag) {
				continue
			}
			m := Message{Class: Class(b[0] >> 2 & 7), Kind: Kind(b[0] & 3), Counter: n, Epoch: k.Epoch}
			if err := r.Window.Take(n); err != nil {
				return m, err
			}
			m.Content = append([]byte{}, body[headSize:]...)
			if r.Hidden>>m.Class&1 == 1 {
				w.cipher(m.Content, n)
			}
			return m, nil
		}
	}
	return Message{}, phrase.E("wire.mac")
}

// candidates gives the counters that end in low: the one nearest to the highest that was seen, then
// those above, then those around anew; a window that has seen nothing, all up to there.
func (w *Window) candidates(low uint16, anew uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		n, ahead := w.nearest(low), windowsAhead
		if w.highest == 0 {
			ahead = windowsFresh
		}
		for range ahead + 1 {
			if n > 0 && n <= counterMost && !yield(n) {
				return
			}
			n += turn
		}
		if anew == 0 {
			return
		}
		if from := anew - min(anew, windowsAnew*turn); w.highest > 0 {
			n = max(n, from&^(turn-1)|uint64(low))
		}
		for ; n <= min(anew+windowsAnew*turn, counterMost); n += turn {
			if !yield(n) {
				return
			}
		}
	}
}

const turn = 1 << 16

func (w *Window) nearest(low uint16) uint64 {
	n := w.highest&^(turn-1) | uint64(low)
	switch {
	case n+turn/2 < w.highest:
		n += turn
	case n > w.highest+turn/2 && n >= turn:
		n -= turn
	}
	return n
}
