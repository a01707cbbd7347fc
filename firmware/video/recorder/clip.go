package recorder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Clip is what an alarm keeps of a stream.
type Clip struct {
	// ID names it among all clips of the box; it is safe in a file's name and a URL.
	ID     string `json:"id"`
	Stream string `json:"stream"`
	// Cause is the alarm's id, Class how much it matters (0 most), as messages have it.
	// Title is what people call the alarm.
	Cause string      `json:"cause"`
	Class int         `json:"class"`
	Title phrase.Text `json:"title,omitzero"`
	// From and To are what was asked for, since Boot; At is when.
	Boot string        `json:"boot"`
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
	At   clock.Stamp   `json:"at"`
	// Began is From in UTC, zero where nobody knows (yet).
	Began time.Time   `json:"began,omitzero"`
	Trust clock.Trust `json:"trust"`

	// Finished says that the rest is known and does not change any more.
	Finished bool `json:"finished"`
	// Pieces are the bytes, in order: each the head of a segment and fragments of it.
	// Set one behind the other they are a file that is shown by players as it is.
	Pieces []Piece `json:"pieces,omitempty"`
	Size   int64   `json:"size"`
	// SHA256 is of those bytes, in hex: the evidence.
	SHA256 string `json:"sha256,omitempty"`
	// First and Last are what the pieces show; Gap is what is missing in between or at
	// an end: never recorded, lost to a cut, or freed for want of room.
	First time.Duration `json:"first"`
	Last  time.Duration `json:"last"`
	Gap   time.Duration `json:"gap"`
	// Delivered says that the other end has named the same hash.
	Delivered bool `json:"delivered"`
	// Refused says that the other end does not want it.
	Refused bool `json:"refused,omitempty"`
}

// Piece is a part of a clip's bytes: the first Head bytes of a segment, then those from
// From to before To.
type Piece struct {
	Segment string `json:"segment"`
	Head    int64  `json:"head"`
	From    int64  `json:"from"`
	To      int64  `json:"to"`
}

func (p Piece) size() int64 { return p.Head + p.To - p.From }

// clip is a Clip with its folder of links.
type clip struct {
	Clip
	links map[string]*kept
	busy  bool // being read to its end, or written down
	loose bool // with links that are not flushed
}

// covers says that a clip wants something of a segment.
func (c *clip) covers(k *kept) bool {
	return k.label.boot == c.Boot && k.to >= c.From && k.from <= c.To
}

// source is what is read to finish a clip: a link and how much of it is good.
type source struct {
	name string
	size int64
}

// finish reads the links and tells what of them is the clip. Every byte is held
// against its seal on the way.
func (c Clip) finish(dir string, links []source) (Clip, error) {
	h := sha256.New()
	c.Pieces, c.Size, c.Gap = nil, 0, 0
	c.First, c.Last = 0, 0
	last := c.From
	for _, l := range links {
		p, from, to, missing, err := c.piece(filepath.Join(dir, l.name), l.size, last)
		if err != nil {
			return c, err
		}
		if p.size() == 0 {
			continue
		}
		p.Segment = l.name
		if err := copyPiece(h, dir, p); err != nil {
			return c, err
		}
		if len(c.Pieces) == 0 {
			c.First = from
		}
		c.Pieces = append(c.Pieces, p)
		c.Size += p.size()
		c.Gap += missing
		last, c.Last = max(last, to), to
	}
	c.Gap += max(0, c.To-last)
	c.Finished = true
	if c.Size > 0 {
		c.SHA256 = hex.EncodeToString(h.Sum(nil))
	}
	return c, nil
}

// still is how far fragments may lie apart without something missing.
const still = 500 * time.Millisecond

// piece finds the fragments of a segment from the key picture before From until To.
func (c Clip) piece(path string, size int64, last time.Duration) (p Piece, from, to, missing time.Duration, err error) {
	f, err := os.Open(path)
	if err != nil {
		return p, 0, 0, 0, err
	}
	defer f.Close()
	var found []piece
	s := scan(f, size, true, func(x piece) error {
		switch {
		case x.label != nil:
			p.Head = x.end
		case x.seal.from >= c.To:
			return errEnough
		case x.seal.key && x.seal.from <= c.From:
			found = append(found[:0], x) // nothing before it is needed
		default:
			found = append(found, x)
		}
		return nil
	})
	var bad *os.PathError
	if errors.As(s.why, &bad) {
		return p, 0, 0, 0, s.why
	}
	if len(found) == 0 || found[len(found)-1].seal.to <= c.From {
		return Piece{}, 0, 0, 0, nil
	}
	for _, x := range found {
		if d := x.seal.from - last; d >= still {
			missing += d
		}
		last = max(last, x.seal.to)
	}
	first, end := found[0], found[len(found)-1]
	p.From, p.To = first.at, end.end
	return p, first.seal.from, end.seal.to, missing, nil
}

var errEnough = errors.New("enough")

func copyPiece(w io.Writer, dir string, p Piece) error {
	f, err := os.Open(filepath.Join(dir, p.Segment))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, r := range []io.Reader{io.NewSectionReader(f, 0, p.Head), io.NewSectionReader(f, p.From, p.To-p.From)} {
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
	return nil
}

// clipReader reads a clip's bytes from any offset.
type clipReader struct {
	dir    string
	pieces []Piece
}

// ReadAt reads across pieces.
func (r clipReader) ReadAt(b []byte, off int64) (n int, err error) {
	for _, p := range r.pieces {
		if off >= p.size() {
			off -= p.size()
			continue
		}
		f, err := os.Open(filepath.Join(r.dir, p.Segment))
		if err != nil {
			return n, err
		}
		for off < p.size() && n < len(b) && err == nil {
			at, end := off, p.Head
			if off >= p.Head {
				at, end = p.From+off-p.Head, p.To
			}
			var m int
			m, err = f.ReadAt(b[n:n+int(min(int64(len(b)-n), end-at))], at)
			n, off = n+m, off+int64(m)
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // a link is shorter than it was
			}
		}
		f.Close()
		if err != nil {
			return n, fmt.Errorf("recorder: %w", err)
		}
		if n == len(b) {
			return n, nil
		}
		off = 0
	}
	return n, io.EOF
}
