// Package bundle packs what helps a person far away to understand a box: what it is set
// to, what it sees, what it wrote down. It is a gzipped tar of plain texts, bounded in
// all, and nothing in it is secret: no secret file is ever packed, and every text passes
// a Scrubber that knows what the secret files hold, however it is written, and what
// looks like a secret wherever it stands. What was left out for its size is said in the
// bundle itself.
//
// It reads no file and asks no room: the composition root brings parts and secrets.
//
// Sources: ETSI EN 303 645 5.4 (secrets in no log or export), POSIX.1-2001 pax format.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"time"
)

// Part is one text of a bundle.
type Part struct {
	Name string
	Text string
	// Tail: where it is too long its end is kept, else its beginning.
	Tail bool
}

// Most is how large all texts may be, MostPart each.
const (
	Most     = 8 << 20
	MostPart = 2 << 20
)

// Pack makes the bundle.
func Pack(name string, at time.Time, parts []Part, s *Scrubber) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	var said strings.Builder
	left := Most
	put := func(file, text string) error {
		h := &tar.Header{Name: name + "/" + file, Mode: 0o644, Size: int64(len(text)), ModTime: at, Format: tar.FormatPAX, Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write([]byte(text))
		return err
	}
	for _, p := range parts {
		// Cut before: a text without end must not be searched.
		text, room := p.Text, min(MostPart, left)
		if len(text) > room {
			fmt.Fprintf(&said, "%s: %d of %d bytes are here\n", p.Name, room, len(text))
			if p.Tail {
				text = text[len(text)-room:]
				if i := strings.IndexByte(text, '\n'); i >= 0 {
					text = text[i+1:] // half a line could be half a secret
				}
			} else if text = text[:room]; strings.Contains(text, "\n") {
				text = text[:strings.LastIndexByte(text, '\n')+1]
			}
		}
		left -= len(text)
		if err := put(p.Name, s.Scrub(strings.ToValidUTF8(text, "\uFFFD"))); err != nil {
			return nil, err
		}
	}
	if said.Len() > 0 {
		if err := put("left-out.txt", said.String()); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
