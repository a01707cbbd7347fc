package pack

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
)

// PayloadType is what the envelope says that it holds.
const PayloadType = "application/vnd.tocsin.release+json"

// Format is the version of the manifest that this code writes and the newest that it reads.
const Format = 1

// ChunkSize is how much of the image one chunk is, in bytes; the last may be shorter.
const ChunkSize = 1 << 20

// Bounds of a package.
const (
	mostHeader = 512 << 10
	mostImage  = 1 << 30
	mostChunk  = ChunkSize + ChunkSize/8 + 1024 // as it travels
)

var mark = [8]byte{0x89, 'T', 'C', 'S', 'N', '\r', '\n', 0x1a}

// Sum is a SHA-256, in hexadecimal where it is text.
type Sum [sha256.Size]byte

// MarshalText writes hexadecimal.
func (s Sum) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(s[:])), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (s *Sum) UnmarshalText(b []byte) error {
	if len(b) != 2*len(s) {
		return errors.New("a sum has 64 hexadecimal digits")
	}
	_, err := hex.Decode(s[:], b)
	return err
}

func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// Form is how a chunk travels.
type Form string

// The forms.
const (
	Zero  Form = "zero"  // all bytes are zero
	Same  Form = "same"  // as the base has it at the same place
	Zstd  Form = "zstd"  // RFC 8878
	A64   Form = "a64"   // how the words lie, one byte, and RFC 8878 of code whose calls say places
	Patch Form = "patch" // copies from the base and from the chunks before, with differences
)

// Chunk is one piece of the image.
type Chunk struct {
	SHA256 Sum  `json:"sha256"`
	Form   Form `json:"form"`
	// Bytes is how many travel.
	Bytes int `json:"bytes,omitempty"`
}

// Base is the image that a delta is made from.
type Base struct {
	SHA256 Sum   `json:"sha256"`
	Size   int64 `json:"size"`
}

// Manifest says what a release is and what it is made of.
type Manifest struct {
	Format int `json:"format"`
	update.Release
	// SHA256 is of the whole image, whose size is Release.Size.
	SHA256 Sum     `json:"sha256"`
	Base   *Base   `json:"base,omitempty"`
	Chunks []Chunk `json:"chunks"`
}

// Span gives where chunk n lies in the image.
func (m *Manifest) Span(n int) (at int64, size int) {
	at = int64(n) * ChunkSize
	return at, int(min(ChunkSize, m.Size-at))
}

// Header is what stands before the chunks.
type Header struct {
	Manifest
	// Length is how many bytes of the package it takes, with mark and length.
	Length int64
	// Raw is it as it stands in the package.
	Raw []byte

	envelope *trust.Envelope
	at       []int64
}

// ReadHeader reads what stands before the chunks. It is bounded, whole and consistent, but
// nobody's yet: see Verify.
func ReadHeader(r io.Reader) (*Header, error) {
	var front [12]byte
	if _, err := io.ReadFull(r, front[:]); err != nil || [8]byte(front[:8]) != mark {
		return nil, phrase.E("update.no_release")
	}
	n := binary.BigEndian.Uint32(front[8:])
	if n == 0 || n > mostHeader {
		return nil, phrase.E("update.no_release")
	}
	raw := make([]byte, len(front)+int(n))
	copy(raw, front[:])
	if _, err := io.ReadFull(r, raw[len(front):]); err != nil {
		return nil, phrase.Wrap(err, "update.cut_short", "file", "manifest")
	}
	e, err := trust.OpenDSSE(raw[len(front):], PayloadType, trust.EnvelopeLimits{Bytes: mostHeader, Signatures: 8})
	if err != nil {
		return nil, phrase.Wrap(err, "update.bad_manifest", "err", err)
	}
	h := &Header{Length: int64(len(raw)), Raw: raw, envelope: e}
	d := json.NewDecoder(bytes.NewReader(e.Payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&h.Manifest); err != nil {
		return nil, phrase.Wrap(err, "update.bad_manifest", "err", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, phrase.E("update.bad_manifest", "err", "more after its end")
	}
	if err := h.check(); err != nil {
		return nil, phrase.E("update.bad_manifest", "err", err)
	}
	return h, nil
}

// check holds a manifest to its bounds, and reckons where its chunks lie.
func (h *Header) check() error {
	m := &h.Manifest
	switch {
	case m.Format != Format:
		return fmt.Errorf("format %d; this software reads %d", m.Format, Format)
	case m.Version == "" || len(m.Version) > 64 || m.Number == 0:
		return errors.New("version and number are needed")
	case len(m.Hardware) == 0 || len(m.Hardware) > 32:
		return errors.New("1 to 32 boards are needed")
	case m.Size <= 0 || m.Size > mostImage:
		return fmt.Errorf("an image has 1 to %d bytes", mostImage)
	case len(m.Chunks) != int((m.Size+ChunkSize-1)/ChunkSize):
		return fmt.Errorf("%d chunks for an image of %d bytes", len(m.Chunks), m.Size)
	case m.Base != nil && (m.Base.Size <= 0 || m.Base.Size > mostImage):
		return errors.New("the base has no size")
	}
	at := h.Length
	for n, c := range m.Chunks {
		travels := c.Form == Zstd || c.Form == A64 || c.Form == Patch
		switch {
		case !slices.Contains([]Form{Zero, Same, Zstd, A64, Patch}, c.Form):
			return fmt.Errorf("chunk %d is of no form that is known", n)
		case m.Base == nil && c.Form == Same:
			return fmt.Errorf("chunk %d needs a base, and none is named", n)
		case travels != (c.Bytes > 0) || c.Bytes < 0 || c.Bytes > mostChunk:
			return fmt.Errorf("chunk %d has %d bytes", n, c.Bytes)
		}
		h.at = append(h.at, at)
		at += int64(c.Bytes)
	}
	h.at = append(h.at, at)
	return nil
}

// Offset is where chunk n begins in the package; that of the number of chunks is its size.
func (h *Header) Offset(n int) int64 { return h.at[n] }

// Rule says whose signatures a release needs: each kind that is named, of one of the keys.
type Rule struct {
	Keys []crypto.PublicKey
	Need []trust.Kind
}

// Verify tells whether the release is of those who may release. No rule, no key or no
// kind that is needed is believed in nobody's favour.
func (h *Header) Verify(r Rule) error {
	if len(r.Need) == 0 || len(r.Keys) == 0 {
		return phrase.E("update.no_keys")
	}
	for _, kind := range r.Need {
		if !slices.ContainsFunc(r.Keys, func(k crypto.PublicKey) bool {
			return trust.KindOf(k) == kind && h.envelope.VerifyBy(k) == nil
		}) {
			return phrase.E("update.bad_signature")
		}
	}
	return nil
}
