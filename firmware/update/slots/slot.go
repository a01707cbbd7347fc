package slots

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/update/pack"
)

// Slot is one slot's place on the disk, to read.
type Slot interface {
	io.ReaderAt
	Size() int64
}

// Partition is one that may be written, too.
type Partition interface {
	Disk
	Size() int64
}

// tail is how much of a partition's end the header has for itself.
const tail = 1 << 20

// room is the largest image that a partition holds.
func room(p Slot) int64 { return p.Size() - tail }

// headerOf reads the header behind a slot's image: nil where there is none.
func headerOf(p Slot) *pack.Header {
	h, err := pack.ReadHeader(io.NewSectionReader(p, room(p), tail))
	if err != nil || h.Size > room(p) {
		return nil
	}
	return h
}

// Seal puts a header behind an image: what a factory does, and an installer last of all.
func Seal(p Partition, h *pack.Header) error {
	b := bytes.Clone(h.Raw)
	if _, err := p.WriteAt(b, room(p)); err != nil {
		return err
	}
	return p.Sync()
}

// unseal makes a slot hold nothing.
func unseal(p Partition) error {
	if _, err := p.WriteAt(make([]byte, 512), room(p)); err != nil {
		return err
	}
	return p.Sync()
}

// prove reads a whole slot and holds it to its header. pause is called after each chunk.
func prove(p Slot, h *pack.Header, pause func() error) error {
	sum := sha256.New()
	b := make([]byte, pack.ChunkSize)
	for n := range h.Chunks {
		at, size := h.Span(n)
		if _, err := p.ReadAt(b[:size], at); err != nil && err != io.EOF {
			return phrase.Wrap(err, "update.disk", "err", err)
		}
		if sha256.Sum256(b[:size]) != h.Chunks[n].SHA256 {
			return phrase.E("update.bad_chunk", "n", n+1, "of", len(h.Chunks), "err", "read back otherwise than written")
		}
		sum.Write(b[:size])
		if err := pause(); err != nil {
			return err
		}
	}
	if pack.Sum(sum.Sum(nil)) != h.SHA256 {
		return phrase.E("update.bad_chunk", "n", len(h.Chunks), "of", len(h.Chunks), "err", fmt.Sprintf("the whole is %x", sum.Sum(nil)))
	}
	return nil
}

// fill writes the chunks of a release into a slot. fetch gives what travelled of chunk n;
// it is asked for those alone that do not stand in their place yet.
func fill(p Partition, h *pack.Header, base io.ReaderAt, fetch func(n int) ([]byte, error), pause func() error) error {
	r := pack.NewReader(h, base, p)
	have := make([]byte, pack.ChunkSize)
	for n, c := range h.Chunks {
		at, size := h.Span(n)
		if m, err := p.ReadAt(have[:size], at); m == size && (err == nil || err == io.EOF) && sha256.Sum256(have[:size]) == c.SHA256 {
			continue
		}
		coded, err := fetch(n)
		if err != nil {
			return err
		}
		b, err := r.Chunk(n, coded)
		if err != nil {
			return err
		}
		if _, err := p.WriteAt(b, at); err != nil {
			return phrase.Wrap(err, "update.disk", "err", err)
		}
		if err := p.Sync(); err != nil { // each: what a thin link brought is not brought again
			return phrase.Wrap(err, "update.disk", "err", err)
		}
		if err := pause(); err != nil {
			return err
		}
	}
	return nil
}

// breath is how long the disk is left to others after each chunk, for the alarm path's sake.
const breath = 2 * time.Millisecond
