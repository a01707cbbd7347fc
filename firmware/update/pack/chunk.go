package pack

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tocsin/firmware/phrase"
)

// Reader makes chunks of an image out of what travelled. It keeps its memory from one to
// the next, and is for one goroutine.
type Reader struct {
	h    *Header
	base io.ReaderAt

	inflate io.ReadCloser
	out     []byte
	raw     []byte // an opened patch
}

// NewReader begins; base is the image that the manifest's Base names, nil for none.
func NewReader(h *Header, base io.ReaderAt) *Reader { return &Reader{h: h, base: base} }

// Chunk gives chunk n, held to its sum, valid until the next call. coded is what travelled,
// of Chunks[n].Bytes.
func (r *Reader) Chunk(n int, coded []byte) ([]byte, error) {
	c := r.h.Chunks[n]
	at, size := r.h.Span(n)
	if r.out == nil {
		r.out = make([]byte, ChunkSize)
	}
	out := r.out[:size]
	var err error
	switch c.Form {
	case Zero:
		clear(out)
	case Same:
		err = r.copy(out, at)
	case Flate:
		err = r.open(out, coded)
	case Patch:
		err = r.patch(out, coded)
	}
	if err == nil && sha256.Sum256(out) != c.SHA256 {
		err = errors.New("not what its sum says")
	}
	if err != nil {
		return nil, phrase.Wrap(err, "update.bad_chunk", "n", n+1, "of", len(r.h.Chunks), "err", err)
	}
	return out, nil
}

// copy reads from the base.
func (r *Reader) copy(b []byte, at int64) error {
	if r.base == nil {
		return errors.New("no base")
	}
	if at < 0 || at > r.h.Base.Size-int64(len(b)) {
		return errors.New("beyond the base")
	}
	n, err := r.base.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return err
}

// open inflates exactly len(b) bytes.
func (r *Reader) open(b, coded []byte) error {
	in := bytes.NewReader(coded)
	if r.inflate == nil {
		r.inflate = flate.NewReader(in)
	} else if err := r.inflate.(flate.Resetter).Reset(in, nil); err != nil {
		return err
	}
	if _, err := io.ReadFull(r.inflate, b); err != nil {
		return err
	}
	var more [1]byte
	if n, err := io.ReadFull(r.inflate, more[:]); n != 0 || err != io.EOF || in.Len() != 0 {
		return errors.New("more than it says")
	}
	return nil
}

// mostSteps bounds the steps of one patch.
const mostSteps = ChunkSize / 8

// patch makes a chunk out of the base. Opened, a patch is: the number of steps; for each
// step three varints (how many new bytes, how many copied, how far the base is from where
// the step before ended); then the differences of all copies, then all new bytes.
func (r *Reader) patch(out, coded []byte) error {
	// The opened size stands before it, 4 bytes big endian.
	if len(coded) < 4 {
		return io.ErrUnexpectedEOF
	}
	size := binary.BigEndian.Uint32(coded)
	if size > uint32(len(out)+mostSteps*3*binary.MaxVarintLen64/4) {
		return fmt.Errorf("%d bytes of patch", size)
	}
	if cap(r.raw) < int(size) {
		r.raw = make([]byte, size)
	}
	raw := r.raw[:size]
	if err := r.open(raw, coded[4:]); err != nil {
		return err
	}
	steps := raw
	varint := func() (v int64, err error) {
		v, n := binary.Varint(steps)
		if n <= 0 {
			return 0, io.ErrUnexpectedEOF
		}
		steps = steps[n:]
		return v, nil
	}
	count, err := varint()
	if err != nil || count < 0 || count > mostSteps {
		return fmt.Errorf("%d steps", count)
	}
	// First over the steps, to find where the differences and the new bytes begin.
	type step struct{ fresh, copied, from int64 }
	first := steps
	var fresh, copied int64
	read := func() (s step, err error) {
		for _, to := range []*int64{&s.fresh, &s.copied, &s.from} {
			if *to, err = varint(); err != nil {
				return s, err
			}
		}
		if s.fresh < 0 || s.copied < 0 || s.fresh > int64(len(out)) || s.copied > int64(len(out)) {
			return s, errors.New("a step of no size")
		}
		return s, nil
	}
	for range count {
		s, err := read()
		if err != nil {
			return err
		}
		if fresh, copied = fresh+s.fresh, copied+s.copied; fresh+copied > int64(len(out)) {
			return errors.New("steps beyond the chunk")
		}
	}
	if fresh+copied != int64(len(out)) || int64(len(steps)) != fresh+copied {
		return errors.New("steps do not fill the chunk")
	}
	diff, news := steps[:copied], steps[copied:]
	steps = first[:len(first)-len(steps)]
	var base int64
	for range count {
		s, err := read()
		if err != nil {
			return err
		}
		out = out[copy(out, news[:s.fresh]):]
		news = news[s.fresh:]
		base += s.from
		b := out[:s.copied]
		if err := r.copy(b, base); err != nil {
			return err
		}
		for n, d := range diff[:s.copied] {
			b[n] += d
		}
		out, diff, base = out[s.copied:], diff[s.copied:], base+s.copied
	}
	return nil
}
