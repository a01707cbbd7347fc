package commission

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/renameio/v2"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Opts say where a Store keeps its sheet.
type Opts struct {
	Dir   string
	Table *Table
	Now   func() clock.Stamp

	step func(what string) error // of a test, which cuts the power there
}

// Store keeps one sheet. Use OpenStore. Its methods may wait for the disk; what they
// answer is on it.
type Store struct {
	o Opts

	mu    sync.Mutex
	sheet Sheet
	// Broken is where a sheet was set aside that could not be read; "" for none.
	Broken string
}

const (
	sheetFile  = "sheet.json"
	photosDir  = "photos"
	mostSheet  = 1 << 20
	mostThings = 128
	oldSheets  = 3
)

// OpenStore reads the sheet of a directory, which is made where it is missing. A sheet
// that is damaged is set aside, and a new one begun.
func OpenStore(o Opts) (*Store, error) {
	if o.step == nil {
		o.step = func(string) error { return nil }
	}
	s := &Store{o: o}
	if err := os.MkdirAll(filepath.Join(o.Dir, photosDir), 0o700); err != nil {
		return nil, err
	}
	b, err := readMost(s.path(sheetFile), mostSheet)
	switch {
	case errors.Is(err, os.ErrNotExist):
		s.sheet = Sheet{Version: sheetVersion, Number: 1, Entries: map[string]Entry{}}
	case err != nil && !errors.Is(err, errLarge):
		return nil, err
	default:
		if err != nil || json.Unmarshal(b, &s.sheet) != nil || s.sheet.Version != sheetVersion || s.sheet.Number < 1 {
			s.Broken = s.path("sheet.broken.json")
			if err := os.Rename(s.path(sheetFile), s.Broken); err != nil {
				return nil, err
			}
			s.sheet = Sheet{Version: sheetVersion, Number: 1, Entries: map[string]Entry{}}
		}
	}
	if s.sheet.Entries == nil {
		s.sheet.Entries = map[string]Entry{}
	}
	return s, s.sweep()
}

var errLarge = errors.New("the file is too large")

func readMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = errLarge
	}
	return b, err
}

func (s *Store) path(name string) string { return filepath.Join(s.o.Dir, name) }

// sweep removes what a cut has left: photos that no sheet names, files half written. A
// damaged sheet's photos stay.
func (s *Store) sweep() error {
	if s.Broken != "" {
		return nil
	}
	named := map[string]bool{}
	for _, e := range s.sheet.Entries {
		for _, p := range e.Photos {
			named[p.ID] = true
		}
	}
	for _, dir := range []string{s.o.Dir, s.path(photosDir)} {
		all, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, f := range all {
			if strings.HasPrefix(f.Name(), ".") || dir != s.o.Dir && !named[f.Name()] {
				if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// put writes a file whole, flushed and renamed, with its directory.
func (s *Store) put(path string, b []byte) error {
	if err := s.o.step("put " + filepath.Base(path)); err != nil {
		return err
	}
	if err := renameio.WriteFile(path, b, 0o600, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Sheet gives a copy of the whole sheet.
func (s *Store) Sheet() Sheet {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sheet
	c.Entries = map[string]Entry{}
	for _, st := range s.o.Table.Steps {
		c.Entries[st.ID] = s.sheet.Entries[st.ID].clone()
	}
	return c
}

// ErrUnknown is wrapped by what is said of a step, a photo or a measurement that is not there.
var ErrUnknown = errors.New("no such thing")

func unknown(m phrase.Message) error { return &phrase.Error{Message: m, Err: ErrUnknown} }

// change puts a step's changed entry on the disk, then in place.
func (s *Store) change(step, who string, settled bool, f func(Step, *Entry) error) error {
	st, ok := s.o.Table.Step(step)
	if !ok {
		return unknown(phrase.M("commission.no_step", "step", step))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.sheet.Entries[step].clone()
	if e.State != Open && !settled {
		return phrase.E("commission.settled", "step", st.Name)
	}
	if err := f(st, &e); err != nil {
		return err
	}
	next := s.sheet
	if next.Begun.At.IsZero() {
		next.Begun = Mark{Who: who, At: s.o.Now()}
	}
	next.Entries = copied(s.sheet.Entries)
	next.Entries[step] = e
	return s.keep(next)
}

func (s *Store) keep(next Sheet) error {
	b, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		return err
	}
	if len(b) > mostSheet {
		return phrase.E("commission.full")
	}
	if err := s.put(s.path(sheetFile), b); err != nil {
		return phrase.Wrap(err, "commission.not_kept", "err", err)
	}
	s.sheet = next
	return nil
}

// Answer writes down what a person entered.
func (s *Store) Answer(step, who string, answers map[string]string) error {
	return s.change(step, who, false, func(st Step, e *Entry) error {
		for id, a := range answers {
			i := slices.IndexFunc(st.Ask, func(q Question) bool { return q.ID == id })
			if i < 0 {
				return unknown(phrase.M("commission.no_question", "what", id))
			}
			v, err := st.Ask[i].Answer(a)
			if err != nil {
				return err
			}
			if e.Answers[id] = v; v == "" {
				delete(e.Answers, id)
			}
		}
		return nil
	})
}

// Begin writes down that a measurement has begun.
func (s *Store) Begin(step, thing string, r Run) error {
	return s.change(step, r.Who, false, func(_ Step, e *Entry) error {
		if len(e.Runs) >= mostThings {
			return phrase.E("commission.full")
		}
		r.At = s.o.Now()
		e.Runs[thing] = r
		return nil
	})
}

// Peaks notes a larger value of a measurement that is under way; in memory only, since
// it comes with each reading. It goes to the disk with the next change.
func (s *Store) Peaks(step, thing string, v float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.sheet.Entries[step]
	if r, ok := e.Runs[thing]; ok && v > r.Peak {
		r.Peak = v
		e.Runs = copied(e.Runs)
		e.Runs[thing] = r
		s.sheet.Entries[step] = e
	}
}

// Run gives a measurement that is under way.
func (s *Store) Run(step, thing string) (Run, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.sheet.Entries[step].Runs[thing]
	return r, ok
}

// Cancel drops a measurement that is under way.
func (s *Store) Cancel(step, thing, who string) error {
	return s.change(step, who, false, func(_ Step, e *Entry) error {
		if _, ok := e.Runs[thing]; !ok {
			return unknown(phrase.M("commission.not_begun", "thing", thing))
		}
		delete(e.Runs, thing)
		return nil
	})
}

// Take writes down what was measured, and ends the measurement.
func (s *Store) Take(step, who string, takes map[string]Take) error {
	return s.change(step, who, false, func(_ Step, e *Entry) error {
		at := s.o.Now()
		for thing, t := range takes {
			t.Mark = Mark{Who: who, At: at}
			delete(e.Runs, thing)
			if _, there := e.Takes[thing]; !there && len(e.Takes) >= mostThings {
				return phrase.E("commission.full")
			}
			e.Takes[thing] = t
		}
		return nil
	})
}

// Settle says how a step ends: passed only with all that it asks, things being what is
// measured for it; Skipped where it may be and with a reason; Open begins it again.
func (s *Store) Settle(step string, to State, who, reason string, things []string) error {
	reason = strings.TrimSpace(reason)
	if utf8.RuneCountInString(reason) > mostText {
		return phrase.E("commission.long", "what", phrase.M("commission.reason"), "most", mostText)
	}
	return s.change(step, who, true, func(st Step, e *Entry) error {
		switch to {
		case Passed:
			if miss := Missing(st, *e, things); len(miss) > 0 {
				return phrase.E("commission.lacks", "step", st.Name, "what", miss[0])
			}
		case Skipped:
			if !st.Skip {
				return phrase.E("commission.no_skip", "step", st.Name)
			}
			fallthrough
		case Failed:
			if reason == "" {
				return phrase.E("commission.needs_reason", "step", st.Name)
			}
		case Open:
		default:
			return phrase.E("commission.no_state", "state", string(to))
		}
		e.State, e.Reason, e.Mark = to, reason, Mark{Who: who, At: s.o.Now()}
		if to != Open {
			clear(e.Runs)
		}
		return nil
	})
}

// AddPhoto keeps a photo for a step.
func (s *Store) AddPhoto(step, who string, b []byte) (Photo, error) {
	most := s.o.Table.Photos
	pic, err := Clean(b, most)
	if err != nil {
		return Photo{}, err
	}
	var out Photo
	s.mu.Lock()
	var used int64
	for _, e := range s.sheet.Entries {
		for _, p := range e.Photos {
			used += p.Size
		}
	}
	s.sheet.Next++ // never the name of one that was there
	n := s.sheet.Next
	s.mu.Unlock()
	if used+int64(len(pic.Bytes)) > most.Quota {
		return Photo{}, phrase.E("commission.quota", "most", most.Quota>>20)
	}
	ext := map[string]string{"jpeg": "jpg", "png": "png"}[pic.Kind]
	err = s.change(step, who, false, func(st Step, e *Entry) error {
		if len(e.Photos) >= most.Each {
			return phrase.E("commission.photos_full", "most", most.Each)
		}
		out = Photo{Mark: Mark{Who: who, At: s.o.Now()}, ID: fmt.Sprintf("%d-%d.%s", s.sheet.Number, n, ext), Kind: pic.Kind, Size: int64(len(pic.Bytes)), Width: pic.Width, Height: pic.Height}
		if err := s.put(s.path(filepath.Join(photosDir, out.ID)), pic.Bytes); err != nil {
			return phrase.Wrap(err, "commission.not_kept", "err", err)
		}
		e.Photos = append(e.Photos, out)
		return nil
	})
	return out, err
}

// DropPhoto removes one: from the sheet first.
func (s *Store) DropPhoto(step, id, who string) error {
	err := s.change(step, who, false, func(_ Step, e *Entry) error {
		i := slices.IndexFunc(e.Photos, func(p Photo) bool { return p.ID == id })
		if i < 0 {
			return unknown(phrase.M("commission.no_photo"))
		}
		e.Photos = slices.Delete(e.Photos, i, i+1)
		return nil
	})
	if err == nil {
		_ = os.Remove(s.path(filepath.Join(photosDir, id))) // else the next start does
	}
	return err
}

var photoName = regexp.MustCompile(`^[0-9]{1,9}-[0-9]{1,9}\.(jpg|png)$`)

// Picture reads a photo that the sheet names.
func (s *Store) Picture(id string) ([]byte, Photo, error) {
	s.mu.Lock()
	var p Photo
	for _, e := range s.sheet.Entries {
		for _, x := range e.Photos {
			if x.ID == id {
				p = x
			}
		}
	}
	s.mu.Unlock()
	if p.ID == "" || !photoName.MatchString(id) {
		return nil, p, unknown(phrase.M("commission.no_photo"))
	}
	b, err := readMost(s.path(filepath.Join(photosDir, id)), p.Size)
	return b, p, err
}

// Anew begins a new sheet; the old one is kept without its photos, the last few.
func (s *Store) Anew(who string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := json.MarshalIndent(s.sheet, "", " ")
	if err != nil {
		return err
	}
	n := s.sheet.Number
	if err := s.put(s.path(fmt.Sprintf("sheet-%d.json", n)), old); err != nil {
		return phrase.Wrap(err, "commission.not_kept", "err", err)
	}
	if err := s.keep(Sheet{Version: sheetVersion, Number: n + 1, Begun: Mark{Who: who, At: s.o.Now()}, Entries: map[string]Entry{}}); err != nil {
		return err
	}
	_ = os.Remove(s.path(fmt.Sprintf("sheet-%d.json", n-oldSheets)))
	return s.sweep()
}
