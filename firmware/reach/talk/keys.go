package talk

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"tocsin/firmware/phrase"
)

// Order is what both ends bind their keys to.
type Order struct {
	// Digest is SHA-256 over the payload of the signed order.
	Digest [32]byte
	// Box is the name of the box that answers, as the county calls it (reach/letter.Station).
	Box string
	// Talker is the talker's X25519 public key, as the order has it.
	Talker []byte
}

// KeySize is the size of an X25519 public key.
const KeySize = 32

// ReadKey reads a public key as an order writes it.
func ReadKey(s string) ([]byte, error) {
	b, err := hex.DecodeString(s)
	if err == nil {
		_, err = ecdh.X25519().NewPublicKey(b)
	}
	if err != nil {
		return nil, phrase.E("talk.key")
	}
	return b, nil
}

// keys are a session's.
type keys struct {
	id            [8]byte
	voice, report cipher.AEAD
}

func derive(o Order, own *ecdh.PrivateKey, other, box []byte) (*keys, error) {
	pub, err := ecdh.X25519().NewPublicKey(other)
	if err != nil {
		return nil, phrase.E("talk.key")
	}
	secret, err := own.ECDH(pub) // errs on all zero
	if err != nil {
		return nil, phrase.E("talk.key")
	}
	h := sha256.New()
	for _, b := range [][]byte{[]byte("tocsin talk 1"), o.Digest[:], o.Talker, box, []byte(o.Box)} {
		h.Write(b)
	}
	salt := h.Sum(nil)
	k := &keys{}
	id, err := hkdf.Key(sha256.New, secret, salt, "tocsin talk 1 id", len(k.id))
	if err != nil {
		return nil, err
	}
	copy(k.id[:], id)
	for _, d := range []struct {
		info string
		to   *cipher.AEAD
	}{{"tocsin talk 1 voice", &k.voice}, {"tocsin talk 1 report", &k.report}} {
		b, err := hkdf.Key(sha256.New, secret, salt, d.info, chacha20poly1305.KeySize)
		if err != nil {
			return nil, err
		}
		if *d.to, err = chacha20poly1305.New(b); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// The frames' sizes.
const (
	header   = 13
	overhead = header + chacha20poly1305.Overhead
	// FrameMost is the largest frame of voice, sealed.
	FrameMost = 480 + overhead
	// ReportMost is the largest report, sealed.
	ReportMost = 2048
)

// Kind is what a frame carries.
type Kind uint8

// The kinds.
const (
	KindVoice Kind = iota + 1
	KindEnd
	KindReport
)

// ErrForeign is a frame that was not sealed for this session, or was changed.
var ErrForeign = errors.New("talk: not sealed for this session")

// ErrAgain is a frame that came already, or is too old to tell.
var ErrAgain = errors.New("talk: it came already")

// IDOf tells for which session a frame is; false where it is no frame.
func IDOf(b []byte) (id [8]byte, ok bool) {
	if len(b) < overhead || len(b) > ReportMost || b[0]>>4 != 1 || Kind(b[0]&15) < KindVoice || Kind(b[0]&15) > KindReport {
		return id, false
	}
	return [8]byte(b[1:9]), true
}

func (k *keys) aead(kind Kind) cipher.AEAD {
	if kind == KindReport {
		return k.report
	}
	return k.voice
}

func (k *keys) seal(kind Kind, number uint32, plain []byte) []byte {
	b := make([]byte, header, len(plain)+overhead)
	b[0] = 1<<4 | byte(kind)
	copy(b[1:], k.id[:])
	binary.BigEndian.PutUint32(b[9:], number)
	return k.aead(kind).Seal(b, nonce(number), plain, b[:header])
}

func (k *keys) open(b []byte) (Kind, uint32, []byte, error) {
	if id, ok := IDOf(b); !ok || id != k.id {
		return 0, 0, nil, ErrForeign
	}
	kind, number := Kind(b[0]&15), binary.BigEndian.Uint32(b[9:])
	plain, err := k.aead(kind).Open(nil, nonce(number), b[header:], b[:header])
	if err != nil || number == 0 {
		return 0, 0, nil, ErrForeign
	}
	return kind, number, plain, nil
}

func nonce(number uint32) []byte {
	n := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint32(n[8:], number)
	return n
}

// window takes each number once.
type window struct {
	newest uint32
	seen   [2]uint64 // of newest and the 127 before it, the newest in bit 0
}

const windowBits = 128

func (w *window) accept(n uint32) bool {
	if n > w.newest {
		w.shift(n - w.newest)
		w.newest = n
		w.seen[0] |= 1
		return true
	}
	back := w.newest - n
	if back >= windowBits || w.seen[back/64]>>(back%64)&1 == 1 {
		return false
	}
	w.seen[back/64] |= 1 << (back % 64)
	return true
}

func (w *window) shift(by uint32) {
	switch {
	case by >= windowBits:
		w.seen = [2]uint64{}
	case by >= 64:
		w.seen[1], w.seen[0] = w.seen[0]<<(by-64), 0
	default:
		w.seen[1] = w.seen[1]<<by | w.seen[0]>>(64-by)
		w.seen[0] <<= by
	}
}
