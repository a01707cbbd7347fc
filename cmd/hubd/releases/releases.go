// Package releases keeps software that stations may fetch: packages in a folder, each under the
// SHA-256 of its file, and a list of which release is offered to whom.
//
// It gives a station the delta that fits what runs there where there is one, else the whole
// package; only what is offered to that station, and only to it: the subject of a question is
// the station's own, which its account proves. It judges no signature: stations do, and believe
// nobody else.
//
// The command line adds and offers by the same files that a running hub reads.
package releases

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/update/pack"
)

// Release is one package.
type Release struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Number   uint64   `json:"number"`
	Hardware []string `json:"hardware"`
	Size     int64    `json:"size"`
	// Base is the SHA-256 of the image that a delta is made from; "" for a whole package.
	Base string `json:"base,omitempty"`
}

// Offer is a release's number and the stations that may have it; Everybody is all.
type Offer struct {
	Number    uint64   `json:"number"`
	To        []string `json:"to,omitempty"`
	Everybody bool     `json:"everybody,omitempty"`
}

// Bounds of the folder.
const (
	suffix    = ".tocsin"
	offers    = "offers.json"
	filesMost = 200
	sizeMost  = 1 << 30
	reread    = 5 * time.Second
)

// Shelf is the folder. Its methods are safe from any goroutine.
type Shelf struct {
	dir string
	now func() time.Time

	mu     sync.Mutex
	read   time.Time
	all    []Release
	offers []Offer
}

// Open opens a folder, which is made where there is none.
func Open(dir string, now func() time.Time) (*Shelf, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, phrase.Wrap(err, "hubd.release_dir", "dir", dir, "err", err)
	}
	return &Shelf{dir: dir, now: now}, nil
}

// Add takes a package in. It is whole in the folder, or not there at all.
func (s *Shelf) Add(path string) (Release, error) {
	bad := func(err error) (Release, error) {
		return Release{}, phrase.Wrap(err, "hubd.release_bad", "file", filepath.Base(path), "err", phrase.Of(err))
	}
	in, err := os.Open(path)
	if err != nil {
		return bad(err)
	}
	defer in.Close()
	r, err := describe(in)
	if err != nil {
		return bad(err)
	}
	out, err := os.CreateTemp(s.dir, ".new-*")
	if err != nil {
		return bad(err)
	}
	defer os.Remove(out.Name()) // nothing is there under this name after the renaming
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return bad(err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(in, r.Size+1))
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return bad(err)
	}
	if n != r.Size {
		return bad(fmt.Errorf("%d bytes where its list says %d", n, r.Size))
	}
	r.Name = hex.EncodeToString(sum.Sum(nil))
	if err := os.Rename(out.Name(), filepath.Join(s.dir, r.Name+suffix)); err != nil {
		return bad(err)
	}
	return r, nil
}

// describe reads a package's front.
func describe(f io.ReadSeeker) (Release, error) {
	h, err := pack.ReadHeader(f)
	if err != nil {
		return Release{}, err
	}
	r := Release{Version: h.Version, Number: h.Number, Hardware: h.Hardware, Size: h.Offset(len(h.Chunks))}
	if h.Base != nil {
		r.Base = h.Base.SHA256.String()
	}
	if r.Size > sizeMost {
		return Release{}, fmt.Errorf("%d bytes", r.Size)
	}
	return r, nil
}

// Give offers a release to stations, in place of what it was offered to before.
func (s *Shelf) Give(o Offer) error {
	all, err := s.readOffers()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(x Offer) bool { return x.Number == o.Number })
	if o.Everybody || len(o.To) > 0 {
		all = append(all, o)
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(s.dir, ".offers")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(s.dir, offers))
}

func (s *Shelf) readOffers() (all []Offer, err error) {
	b, err := os.ReadFile(filepath.Join(s.dir, offers))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.release_dir", "dir", s.dir, "err", err)
	}
	return all, nil
}

// look reads the folder anew, now and then. The lock is held.
func (s *Shelf) look() {
	if now := s.now(); !s.read.IsZero() && now.Sub(s.read) < reread {
		return
	} else {
		s.read = now
	}
	if o, err := s.readOffers(); err == nil {
		s.offers = o
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "*"+suffix))
	if err != nil {
		return
	}
	var all []Release
	for _, path := range files[:min(len(files), filesMost)] {
		name := strings.TrimSuffix(filepath.Base(path), suffix)
		if i := slices.IndexFunc(s.all, func(r Release) bool { return r.Name == name }); i >= 0 {
			all = append(all, s.all[i])
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		if r, err := describe(f); err == nil {
			r.Name = name
			all = append(all, r)
		}
		f.Close()
	}
	slices.SortFunc(all, func(a, b Release) int {
		if a.Number != b.Number {
			return int(min(1, max(-1, int64(b.Number)-int64(a.Number))))
		}
		return strings.Compare(a.Name, b.Name)
	})
	s.all = all
}

// All gives what is there, the newest first, and what is offered to whom.
func (s *Shelf) All() ([]Release, []Offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return slices.Clone(s.all), slices.Clone(s.offers)
}

// offered tells whether a station may have a release. The lock is held.
func (s *Shelf) offered(to letter.Station, number uint64) bool {
	return slices.ContainsFunc(s.offers, func(o Offer) bool {
		return o.Number == number && (o.Everybody || slices.Contains(o.To, string(to)))
	})
}

// For gives what there is for a station: the newest release above what it has, as the smaller
// of what fits.
func (s *Shelf) For(to letter.Station, a letter.ReleaseAsk) letter.ReleaseOffer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	var best *Release
	for i := range s.all {
		r := &s.all[i]
		if r.Number <= max(a.Number, a.Next) || r.Number == a.Bad || !slices.Contains(r.Hardware, a.Hardware) || r.Base != "" && r.Base != a.Base || !s.offered(to, r.Number) {
			continue
		}
		if best == nil || r.Number > best.Number || r.Number == best.Number && r.Size < best.Size {
			best = r
		}
	}
	if best == nil {
		return letter.ReleaseOffer{}
	}
	return letter.ReleaseOffer{Name: best.Name, Release: best.Version, Number: best.Number, Size: best.Size, Delta: best.Base != ""}
}

// Part gives a part of a package that is offered to a station; nothing where it is not.
func (s *Shelf) Part(to letter.Station, p letter.ReleasePart) []byte {
	s.mu.Lock()
	s.look()
	i := slices.IndexFunc(s.all, func(r Release) bool { return r.Name == p.Name })
	may := i >= 0 && s.offered(to, s.all[i].Number)
	s.mu.Unlock()
	if !may {
		return nil
	}
	f, err := os.Open(filepath.Join(s.dir, p.Name+suffix))
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, p.Long)
	n, err := f.ReadAt(b, p.At)
	if err != nil && err != io.EOF {
		return nil
	}
	return b[:n]
}

// Answer answers a question by its subject; nil for what is none.
func (s *Shelf) Answer(subject string, body []byte, known func(letter.Station) bool) []byte {
	to, part, ok := letter.ParseReleaseSubject(subject)
	if !ok || !known(to) {
		return nil
	}
	if part {
		p, err := letter.ParseReleasePart(body)
		if err != nil {
			return nil
		}
		return s.Part(to, p)
	}
	a, err := letter.ParseReleaseAsk(body)
	if err != nil {
		return nil
	}
	return s.For(to, a).Bytes()
}
