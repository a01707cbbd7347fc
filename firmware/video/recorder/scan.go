package recorder

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// What a segment's boxes may have at most: what is larger is no segment of ours.
const (
	mostHead = 128 << 10
	mostMoof = 4 << 20
	mostMdat = 256 << 20
)

// piece is what a scan finds: a head with its label, or a fragment with its seal.
type piece struct {
	at, end int64
	label   *label // of a head
	seal    seal   // of a fragment
	sum     uint32 // of the label that it stands under
}

// scanned is what a scan knows in the end.
type scanned struct {
	good  int64 // everything before is good
	ended bool  // the last thing before good is an end
	why   error // why it did not go on; nil at the end of the file
}

// scan reads a segment, or several in one after another (a clip as it is sent), from
// the head to the first byte that does not hold. With sums it reads every byte and
// holds it against the seals; without, only what stands between.
func scan(r io.ReaderAt, size int64, sums bool, found func(piece) error) scanned {
	s := scanner{r: r, size: size, sums: sums}
	var out scanned
	for out.good < size {
		p, ended, err := s.next(out.good)
		if err == nil && !ended {
			err = found(p)
		}
		if err != nil {
			out.why = err
			return out
		}
		out.good, out.ended = p.end, ended
	}
	if out.good == 0 {
		out.why = io.ErrUnexpectedEOF
	}
	return out
}

type scanner struct {
	r      io.ReaderAt
	size   int64
	sums   bool
	sum    uint32 // of the label in force
	begun  bool
	first  bool // no fragment since the label
	number uint32
	buf    []byte
}

// header reads the size and kind of a box; a size of 64 bits or "to the end" is not
// written here and not read.
func (s *scanner) header(at int64) (kind string, n int64, err error) {
	var h [8]byte
	if at+8 > s.size {
		return "", 0, io.ErrUnexpectedEOF
	}
	if _, err := s.r.ReadAt(h[:], at); err != nil {
		return "", 0, err
	}
	n = int64(be.Uint32(h[:]))
	if n < 8 {
		return "", 0, errors.New("a box of no length")
	}
	if at+n > s.size {
		return string(h[4:]), n, io.ErrUnexpectedEOF
	}
	return string(h[4:]), n, nil
}

// whole reads a small box.
func (s *scanner) whole(at, n, most int64) ([]byte, error) {
	if n > most {
		return nil, fmt.Errorf("a box of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := s.r.ReadAt(b, at)
	return b, err
}

func (s *scanner) next(at int64) (p piece, ended bool, err error) {
	kind, n, err := s.header(at)
	if err != nil {
		return p, false, err
	}
	p.at = at
	switch {
	case kind == "ftyp":
		err = s.head(&p, n)
	case kind == "moof" && s.begun:
		err = s.fragment(&p, n)
	case kind == "free" && n == endSize && s.begun:
		var b []byte
		if b, err = s.whole(at, n, endSize); err == nil {
			var e ending
			if e, err = readEnding(b, s.sum); err == nil && e.fragments != s.number {
				err = errors.New("an end that counts other fragments")
			}
		}
		p.end, ended = at+n, true
	default:
		err = fmt.Errorf("a box %q where none belongs", kind)
	}
	return p, ended, err
}

// head reads ftyp, moov and label.
func (s *scanner) head(p *piece, ftyp int64) error {
	kind, moov, err := s.header(p.at + ftyp)
	if err == nil && kind != "moov" {
		err = errors.New("no moov")
	}
	if err != nil {
		return err
	}
	kind, free, err := s.header(p.at + ftyp + moov)
	if err == nil && kind != "free" {
		err = errors.New("no label")
	}
	if err != nil {
		return err
	}
	b, err := s.whole(p.at, ftyp+moov+free, mostHead)
	if err != nil {
		return err
	}
	l, sum, err := readLabel(b[ftyp+moov:])
	if err != nil {
		return err
	}
	if crc32.Checksum(b[:len(b)-4], castagnoli) != sum {
		return errSum
	}
	p.label, p.end, p.sum = &l, p.at+int64(len(b)), sum
	s.sum, s.begun, s.first, s.number = sum, true, true, 0
	return nil
}

// fragment reads moof, mdat and seal.
func (s *scanner) fragment(p *piece, moof int64) error {
	if moof > mostMoof {
		return fmt.Errorf("a moof of %d bytes", moof)
	}
	kind, mdat, err := s.header(p.at + moof)
	switch {
	case err != nil:
		return err
	case kind != "mdat" || mdat > mostMdat:
		return fmt.Errorf("a box %q of %d bytes after a moof", kind, mdat)
	}
	p.end = p.at + moof + mdat + sealSize
	if p.end > s.size {
		return io.ErrUnexpectedEOF
	}
	b, err := s.whole(p.end-sealSize, sealSize, sealSize)
	if err != nil {
		return err
	}
	var sum uint32
	if p.seal, sum, err = readSeal(b); err != nil {
		return err
	}
	switch {
	case int64(p.seal.length) != moof+mdat:
		return errors.New("a seal of another length")
	case !s.first && p.seal.number != s.number:
		// A clip begins anywhere in its segment, and goes on from there.
		return errors.New("a fragment out of order")
	}
	if s.sums {
		have, err := s.checksum(p.at, p.end-4)
		if err != nil {
			return err
		}
		if have != sum {
			return errSum
		}
	}
	p.sum = s.sum
	s.first, s.number = false, p.seal.number+1
	return nil
}

func (s *scanner) checksum(at, end int64) (uint32, error) {
	if s.buf == nil {
		s.buf = make([]byte, 64<<10)
	}
	sum := s.sum
	for at < end {
		n := min(int64(len(s.buf)), end-at)
		if _, err := s.r.ReadAt(s.buf[:n], at); err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, s.buf[:n])
		at += n
	}
	return sum, nil
}
