package pack

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tocsin/firmware/trust"
	"tocsin/firmware/update"
)

// Write makes a package of an image, signed by all signers; with a base it is a delta. It
// is for whoever builds releases: it takes twelve times the images' size of memory.
func Write(w io.Writer, r update.Release, image, base []byte, signers ...trust.Signer) (*Header, error) {
	if len(signers) == 0 {
		return nil, errors.New("a release needs a signature")
	}
	r.Size = int64(len(image))
	m := Manifest{Format: Format, Release: r, SHA256: sha256.Sum256(image)}
	var ps []piece
	if base != nil {
		m.Base = &Base{SHA256: sha256.Sum256(base), Size: int64(len(base))}
		ps = pieces(base, image)
	}
	var chunks [][]byte
	for at := 0; at < len(image); at += ChunkSize {
		end := min(at+ChunkSize, len(image))
		c, coded, err := code(image, base, at, end, ps)
		if err != nil {
			return nil, err
		}
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

// code gives a chunk in the form that takes the least.
func code(image, base []byte, at, end int, ps []piece) (Chunk, []byte, error) {
	b := image[at:end]
	c := Chunk{SHA256: sha256.Sum256(b)}
	if len(bytes.Trim(b, "\x00")) == 0 {
		c.Form = Zero
		return c, nil, nil
	}
	if end <= len(base) && bytes.Equal(base[at:end], b) {
		c.Form = Same
		return c, nil, nil
	}
	coded, err := deflate(nil, b)
	if err != nil {
		return c, nil, err
	}
	c.Form = Flate
	if base != nil {
		o := opened(base, image, at, end, ps)
		p, err := deflate(binary.BigEndian.AppendUint32(nil, uint32(len(o))), o)
		if err != nil {
			return c, nil, err
		}
		if len(p) < len(coded) {
			c.Form, coded = Patch, p
		}
	}
	c.Bytes = len(coded)
	return c, coded, nil
}

func deflate(before, b []byte) ([]byte, error) {
	out := bytes.NewBuffer(before)
	w, err := flate.NewWriter(out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}
