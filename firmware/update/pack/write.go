package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"tocsin/firmware/trust"
	"tocsin/firmware/update"
)

// Write makes a package of an image, signed by all signers; with a base it is a delta. It
// is for whoever builds releases: it takes some seven times the images' size of memory.
func Write(w io.Writer, r update.Release, image, base []byte, signers ...trust.Signer) (*Header, error) {
	if len(signers) == 0 {
		return nil, errors.New("a release needs a signature")
	}
	r.Size = int64(len(image))
	m := Manifest{Format: Format, Release: r, SHA256: sha256.Sum256(image)}
	if base != nil {
		m.Base = &Base{SHA256: sha256.Sum256(base), Size: int64(len(base))}
	}
	z, err := packer()
	if err != nil {
		return nil, err
	}
	var chunks [][]byte
	s := sow(base, image)
	for at := 0; at < len(image); at += ChunkSize {
		c, coded := code(z, s, at, min(at+ChunkSize, len(image)))
		m.Chunks, chunks = append(m.Chunks, c), append(chunks, coded)
	}
	payload, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	envelope, err := trust.SealDSSE(PayloadType, payload, signers...)
	if err != nil {
		return nil, err
	}
	front := binary.BigEndian.AppendUint32(mark[:], uint32(len(envelope)))
	raw := append(front[:len(front):len(front)], envelope...)
	h, err := ReadHeader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("what was made cannot be read: %w", err)
	}
	for _, part := range append([][]byte{raw}, chunks...) {
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// packer packs for the smallest packages; one goroutine, so that the same is the same bytes.
func packer() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(ChunkSize))
}

// code gives a chunk in the form that takes the least. Chunks are asked for in their order.
func code(z *zstd.Encoder, s *seeds, at, end int) (Chunk, []byte) {
	b := s.image[at:end]
	c := Chunk{SHA256: sha256.Sum256(b)}
	if len(bytes.Trim(b, "\x00")) == 0 {
		c.Form = Zero
		return c, nil
	}
	if base := s.base(); end <= len(base) && bytes.Equal(base[at:end], b) {
		c.Form = Same
		return c, nil
	}
	c.Form = Zstd
	coded := z.EncodeAll(b, nil)
	if align, n := aligned(b); n > len(b)/128 { // code has one call in ten to twenty words
		moved := bytes.Clone(b)
		calls(moved, align)
		if p := z.EncodeAll(moved, []byte{byte(align)}); len(p) < len(coded) {
			c.Form, coded = A64, p
		}
	}
	if ps := s.pieces(at, end); len(ps) > 0 {
		o := s.opened(at, end, ps)
		if p := sized(z, o); len(o) <= mostOpened && len(ps) < mostSteps && len(p) < len(coded) {
			c.Form, coded = Patch, p
		}
	}
	c.Bytes = len(coded)
	return c, coded
}

// sized packs an opened patch, its size before it.
func sized(z *zstd.Encoder, opened []byte) []byte {
	return z.EncodeAll(opened, binary.BigEndian.AppendUint32(nil, uint32(len(opened))))
}
