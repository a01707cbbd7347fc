package letter

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"tocsin/firmware/phrase"
)

// Kind is what a datagram carries.
type Kind uint8

// The kinds.
const (
	KindLetter Kind = iota
	KindAnswer
	KindProbe
	KindEcho
	kinds
)

// Word is what became of a letter.
type Word uint8

// The words of an answer.
const (
	Kept    Word = iota // it is on the receiver's disk, or was judged
	Later               // not now: send it again
	Refused             // never: it cannot be read
	words
)

// Sizes of datagrams.
const (
	header = 11
	// Overhead is what sealing adds.
	Overhead = header + chacha20poly1305.Overhead
	// DatagramMost is the largest that is made or read: it passes unfragmented
	// where IPv6 does (RFC 8200, 5: 1,280 with 48 of headers).
	DatagramMost = 1232
	// KeySize is the size of a root key.
	KeySize     = 32
	counterMost = 1<<48 - 1
)

// ErrForeign is a datagram that this key did not seal, or that was changed.
var ErrForeign = errors.New("letter: not sealed by this key")

// Direction says who seals.
type Direction uint8

// The directions.
const (
	FromStation Direction = 1
	FromHub     Direction = 2
)

// KeyID is how a datagram names the key that opens it.
type KeyID [4]byte

// Key seals and opens the datagrams between one station and its hub.
type Key struct {
	ID      KeyID
	station cipher.AEAD
	hub     cipher.AEAD
}

// NewKey makes it from a root key of KeySize bytes.
func NewKey(root []byte) (*Key, error) {
	if len(root) != KeySize {
		return nil, phrase.E("letter.key", "bytes", len(root), "want", KeySize)
	}
	k := &Key{}
	id, err := hkdf.Key(sha256.New, root, nil, "tocsin datagram 1 id", len(k.ID))
	if err != nil {
		return nil, err
	}
	copy(k.ID[:], id)
	for _, d := range []struct {
		info string
		to   *cipher.AEAD
	}{{"tocsin datagram 1 up", &k.station}, {"tocsin datagram 1 down", &k.hub}} {
		b, err := hkdf.Key(sha256.New, root, nil, d.info, chacha20poly1305.KeySize)
		if err != nil {
			return nil, err
		}
		if *d.to, err = chacha20poly1305.NewX(b); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (k *Key) aead(d Direction) cipher.AEAD {
	if d == FromHub {
		return k.hub
	}
	return k.station
}

func nonce(d Direction, counter []byte) []byte {
	n := make([]byte, chacha20poly1305.NonceSizeX)
	n[0] = byte(d)
	copy(n[len(n)-6:], counter)
	return n
}

// Datagram is an opened one.
type Datagram struct {
	Kind    Kind
	Counter uint64
	Letter  Letter // of KindLetter; its body is the datagram's own bytes
	Of      uint64 // of KindAnswer: the letter's counter; of KindEcho: the low 16 bits of the probe's
	Word    Word   // of KindAnswer
}

// Seal seals a datagram. The counter must never have been used with this key
// and direction before.
func (k *Key) Seal(d Direction, g *Datagram) ([]byte, error) {
	if g.Counter == 0 || g.Counter > counterMost {
		return nil, phrase.E("letter.counter")
	}
	b := make([]byte, header, DatagramMost)
	b[0] = 1<<4 | byte(g.Kind)
	copy(b[1:], k.ID[:])
	put48(b[5:], g.Counter)
	plain, err := g.plain()
	if err != nil {
		return nil, err
	}
	if n := len(plain) + Overhead; n > DatagramMost {
		return nil, phrase.E("letter.datagram_large", "bytes", n, "most", DatagramMost)
	}
	return k.aead(d).Seal(b, nonce(d, b[5:11]), plain, b[:header]), nil
}

func (g *Datagram) plain() ([]byte, error) {
	switch g.Kind {
	case KindLetter:
		if err := g.Letter.Check(); err != nil {
			return nil, err
		}
		p := append([]byte{byte(g.Letter.Class), byte(len(g.Letter.ID))}, g.Letter.ID...)
		return append(p, g.Letter.Body...), nil
	case KindAnswer:
		p := make([]byte, 7)
		put48(p, g.Of)
		p[6] = byte(g.Word)
		return p, nil
	case KindProbe:
		return nil, nil
	}
	return binary.BigEndian.AppendUint16(nil, uint16(g.Of)), nil
}

// KeyOf tells which key a datagram asks for; false where it is none of ours.
func KeyOf(b []byte) (KeyID, bool) {
	if len(b) < Overhead || len(b) > DatagramMost || b[0]>>4 != 1 || Kind(b[0]&15) >= kinds {
		return KeyID{}, false
	}
	return KeyID(b[1:5]), true
}

// Open verifies and reads a datagram that came from the side d. Whether its
// counter was seen before is the Window's to say.
func (k *Key) Open(d Direction, b []byte) (*Datagram, error) {
	if id, ok := KeyOf(b); !ok || id != k.ID {
		return nil, ErrForeign
	}
	plain, err := k.aead(d).Open(nil, nonce(d, b[5:11]), b[header:], b[:header])
	if err != nil {
		return nil, ErrForeign
	}
	g := &Datagram{Kind: Kind(b[0] & 15), Counter: get48(b[5:])}
	if g.Counter == 0 || !g.read(plain) {
		return nil, phrase.E("letter.malformed")
	}
	return g, nil
}

func (g *Datagram) read(p []byte) bool {
	switch g.Kind {
	case KindLetter:
		if len(p) < 2 || len(p) < 2+int(p[1]) {
			return false
		}
		n := 2 + int(p[1])
		g.Letter = Letter{Class: Class(p[0]), ID: string(p[2:n]), Body: p[n:]}
		return g.Letter.Check() == nil
	case KindAnswer:
		if len(p) != 7 || Word(p[6]) >= words {
			return false
		}
		g.Of, g.Word = get48(p), Word(p[6])
		return true
	case KindProbe:
		return len(p) == 0
	}
	if len(p) != 2 {
		return false
	}
	g.Of = uint64(binary.BigEndian.Uint16(p))
	return true
}

func put48(b []byte, v uint64) {
	b[0], b[1] = byte(v>>40), byte(v>>32)
	binary.BigEndian.PutUint32(b[2:], uint32(v))
}

func get48(b []byte) uint64 {
	return uint64(b[0])<<40 | uint64(b[1])<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
}
