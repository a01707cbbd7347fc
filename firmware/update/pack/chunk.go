package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"tocsin/firmware/phrase"
)

// Reader makes chunks of an image out of what travelled. It keeps its memory from one to
// the next, and is for one goroutine.
type Reader struct {
	h         *Header
	base, own io.ReaderAt

	frames *zstd.Decoder
	out    []byte
	raw    []byte // an opened patch
}

// NewReader begins; base is the image that the manifest's Base names, nil for none. own is
// where the image itself comes to be: whoever asks for a chunk has put those before it there.
func NewReader(h *Header, base, own io.ReaderAt) *Reader { return &Reader{h: h, base: base, own: own} }

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
		err = r.copy(out, at, at)
	case Zstd:
		err = r.open(out, coded)
	case A64:
		if len(coded) == 0 || coded[0] > 3 {
			err = errors.New("words have four bytes")
		} else if err = r.open(out, coded[1:]); err == nil {
			jumps(out, int(coded[0]))
		}
	case Patch:
		err = r.patch(out, coded, at)
	}
	if err == nil && sha256.Sum256(out) != c.SHA256 {
		err = errors.New("not what its sum says")
	}
	if err != nil {
		return nil, phrase.Wrap(err, "update.bad_chunk", "n", n+1, "of", len(r.h.Chunks), "err", err)
	}
	return out, nil
}

// copy reads what a patch is made from: the base, and behind its last byte the image's own
// first bytes, as many as stand.
func (r *Reader) copy(b []byte, at, stand int64) error {
	from, size := r.base, int64(0)
	if r.h.Base != nil {
		size = r.h.Base.Size
	}
	if at >= size {
		from, at, size = r.own, at-size, stand
	}
	switch {
	case from == nil:
		return errors.New("there is nothing to copy from")
	case at < 0 || at > size-int64(len(b)):
		return errors.New("beyond what it is copied from")
	}
	n, err := from.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return err
}

// open unpacks exactly len(b) bytes.
func (r *Reader) open(b, coded []byte) error {
	if r.frames == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(mostOpened), zstd.WithDecoderMaxWindow(mostOpened))
		if err != nil {
			return err
		}
		r.frames = d
	}
	got, err := r.frames.DecodeAll(coded, b[:0:len(b)])
	if err == nil && len(got) != len(b) {
		err = fmt.Errorf("%d bytes where %d were said", len(got), len(b))
	}
	return err
}

// Bounds of one patch: its steps, and its bytes once opened.
const (
	mostSteps  = ChunkSize / 8
	mostOpened = ChunkSize + mostSteps*3*binary.MaxVarintLen64/4
)

// patch makes a chunk, of which stand bytes of the image lie before, out of copies. Opened, a patch is: the number of steps; for each
// step three varints (how many new bytes, how many copied, how far the copy is from
// where the one before ended); then the differences of all copies, then all new bytes.
func (r *Reader) patch(out, coded []byte, stand int64) error {
	// The opened size stands before it, 4 bytes big endian.
	if len(coded) < 4 {
		return io.ErrUnexpectedEOF
	}
	size := binary.BigEndian.Uint32(coded)
	if size > mostOpened {
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
		if len(b) > 0 {
			if err := r.copy(b, base, stand); err != nil {
				return err
			}
		}
		for n, d := range diff[:s.copied] {
			b[n] += d
		}
		out, diff, base = out[s.copied:], diff[s.copied:], base+s.copied
	}
	return nil
}
