package revision

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"unicode/utf8"

	"tocsin/firmware/phrase"
)

// Store keeps a document's revisions. Its methods may be called from any goroutine.
type Store struct {
	o Opts

	mu    sync.Mutex
	all   []Revision // in order; the last is the newest
	trial *Trial
}

// Started is what Open found.
type Started struct {
	// Back is the trial that was taken back, and To what came in its place.
	Back *Trial
	To   *Revision
	// Hand is the revision that an edit of the file by hand became.
	Hand *Revision
}

// Open reads what is kept, ends a trial that may not go on, and makes a revision of a file
// that is not the newest one. It is called before the document is loaded. Where the disk
// fails, what is returned beside the error still reads what it can.
func Open(o Opts) (*Store, Started, error) {
	if err := o.defaults(); err != nil {
		return nil, Started{}, err
	}
	s := &Store{o: o}
	var st Started
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return s, st, disk(err, o.Dir)
	}
	s.sweep()
	if err := s.read(); err != nil {
		return s, st, err
	}
	err := s.begin(&st)
	if err == nil {
		st.Hand, err = s.adopt()
	}
	return s, st, err
}

// read fills what is known from the disk. A file that cannot be read is passed over: the
// number is not given anew.
func (s *Store) read() error {
	all, err := numbers(s.o.Dir)
	if err != nil {
		return disk(err, s.o.Dir)
	}
	for _, n := range all {
		var r Revision
		if b, err := os.ReadFile(s.path(n, factsEnd)); err != nil || json.Unmarshal(b, &r) != nil || r.Number != n {
			r = Revision{Number: n}
		}
		s.all = append(s.all, r)
	}
	b, err := os.ReadFile(s.trialPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return disk(err, s.trialPath())
	}
	t := &Trial{}
	if json.Unmarshal(b, t) == nil && s.find(t.Number) != nil && s.find(t.Before) != nil {
		s.trial = t
		return nil
	}
	return s.end() // it was cut off before there was a revision
}

// begin goes on with a trial once where it may, and else takes it back.
func (s *Store) begin(st *Started) error {
	t := s.trial
	if t == nil {
		return nil
	}
	now, err := s.file()
	switch {
	case err != nil:
		return err
	case sum(now) == s.find(t.Before).SHA256:
		// It was cut off before the file was in place, or while it came back.
		return s.back(t, st)
	case sum(now) != s.find(t.Number).SHA256:
		return s.end() // a hand's edit counts, not the trial
	case t.Within == 0:
		return s.end() // it needed no confirmation
	case t.Starts <= 0:
		return s.back(t, st)
	}
	t.Starts--
	if err := s.mark(t); err != nil {
		return errors.Join(err, s.back(t, st)) // it could begin for ever
	}
	t.Until = s.o.Now().Mono + t.Within
	return nil
}

func (s *Store) back(t *Trial, st *Started) error {
	r, err := s.restore(t)
	if err != nil {
		return err
	}
	to := *r
	st.Back, st.To = t, &to
	return nil
}

// Adopt makes a revision of the file where a hand has changed it; nil where none has.
func (s *Store) Adopt() (*Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.adopt()
}

func (s *Store) adopt() (*Revision, error) {
	b, err := s.file()
	if err != nil {
		return nil, err
	}
	if n := len(s.all); n > 0 && s.current().SHA256 == sum(b) {
		return nil, nil
	}
	r, err := s.keep(Revision{By: Hand}, b)
	if err != nil {
		return nil, err
	}
	hand := *r // whoever hears of it holds no lock
	if s.trial != nil {
		err = s.end()
	}
	return &hand, err
}

// Propose proves nothing: the caller has. It keeps the document and puts it in the file's
// place; with Change.Within it is on trial from then on.
func (s *Store) Propose(c Change) (Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.proper(c); err != nil {
		return Revision{}, err
	}
	was, err := s.file()
	if err != nil {
		return Revision{}, err
	}
	if sum(was) != s.current().SHA256 {
		return Revision{}, phrase.E("revision.hand", "file", filepath.Base(s.o.File))
	}
	before := s.current().Number
	if s.current().SHA256 == sum(c.Document) {
		return *s.current(), phrase.E("revision.same")
	}
	number := s.next()
	t := &Trial{Number: number, Before: before, Session: sum([]byte(c.Session)), Within: c.Within}
	if c.Restart {
		t.Starts = 1
	}
	if err := s.mark(t); err != nil {
		return Revision{}, err
	}
	t.Until = s.o.Now().Mono + c.Within
	s.trial = t
	r, err := s.keep(Revision{By: c.By, Who: c.Who, Why: c.Why, Of: c.of}, c.Document)
	if err != nil {
		return Revision{}, errors.Join(err, s.forget(number), s.end())
	}
	if err := s.put(s.o.File, c.Document); err != nil {
		err = disk(err, s.o.File)
		if b, e := s.file(); e != nil || sum(b) != s.find(before).SHA256 {
			_, e := s.restore(t) // it is there, but who knows for how long
			return Revision{}, errors.Join(err, e)
		}
		return Revision{}, errors.Join(err, s.forget(number), s.end())
	}
	out := *r
	if c.Within == 0 {
		return out, s.end()
	}
	return out, nil
}

// mark writes down what is on trial. It stands before the revision does, so that a cut
// leaves no revision of which nobody knows whether it came about.
func (s *Store) mark(t *Trial) error {
	b, err := json.Marshal(t)
	if err == nil {
		err = s.put(s.trialPath(), b)
	}
	if err != nil {
		return disk(err, s.trialPath())
	}
	return nil
}

func (s *Store) proper(c Change) error {
	switch {
	case s.trial != nil:
		return phrase.E("revision.trial", "number", s.trial.Number)
	case len(s.all) == 0:
		return phrase.E("revision.none")
	case c.Base != s.current().Number:
		return phrase.E("revision.stale", "base", c.Base, "number", s.current().Number)
	case len(c.Document) == 0 || len(c.Document) > s.o.Bytes || !utf8.Valid(c.Document):
		return phrase.E("revision.size", "most", s.o.Bytes>>10)
	case len(c.Who) > mostSaid || len(c.Why) > mostSaid:
		return phrase.E("revision.said", "most", mostSaid)
	case c.Within < 0 || c.Within > WithinMost || c.Within > 0 && c.Session == "":
		return phrase.E("revision.within", "minutes", int(WithinMost.Minutes()))
	}
	return nil
}

// Confirm ends the trial of a revision: it stays.
func (s *Store) Confirm(number int, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.trial
	switch {
	case t == nil || t.Number != number:
		return phrase.E("revision.no_trial", "number", number)
	case t.Session != sum([]byte(session)):
		return phrase.E("revision.session")
	case s.o.Now().Mono >= t.Until:
		return phrase.E("revision.late", "number", number)
	}
	return s.end()
}

// Due tells when the trial ends by itself, on the monotonic clock.
func (s *Store) Due() (Trial, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trial == nil {
		return Trial{}, false
	}
	return *s.trial, true
}

// Back takes a trial back, because its time is over or somebody says so. Where a hand has
// changed the file meanwhile, that stands, and becomes a revision.
func (s *Store) Back(number int) (Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.trial
	if t == nil || t.Number != number {
		return Revision{}, phrase.E("revision.no_trial", "number", number)
	}
	b, err := s.file()
	if err != nil {
		return Revision{}, err
	}
	if h := sum(b); h != s.find(t.Number).SHA256 && h != s.find(t.Before).SHA256 {
		r, err := s.adopt()
		if err != nil {
			return Revision{}, err
		}
		return *r, nil
	}
	r, err := s.restore(t)
	if err != nil {
		return Revision{}, err
	}
	return *r, nil
}

// restore puts the text before a trial in the file's place again.
func (s *Store) restore(t *Trial) (*Revision, error) {
	b, err := s.text(t.Before)
	if err != nil {
		return nil, err
	}
	if err := s.put(s.o.File, b); err != nil {
		return nil, disk(err, s.o.File)
	}
	tried := *s.find(t.Number)
	var r *Revision
	if last := s.all[len(s.all)-1]; last.By == Undone && last.Of == t.Before && last.Number > t.Number {
		r = s.find(last.Number) // it was cut off after this
	} else if r, err = s.keep(Revision{By: Undone, Of: t.Before, Who: tried.Who, Why: tried.Why}, b); err != nil {
		return nil, err
	}
	tried.UndoneBy = r.Number
	if err := s.facts(tried); err != nil {
		return nil, err
	}
	*s.find(tried.Number) = tried
	return r, s.end()
}

// Again gives the change that brings an earlier revision back.
func (s *Store) Again(number int) (Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(number) == nil {
		return Change{}, phrase.E("revision.unknown", "number", number)
	}
	b, err := s.text(number)
	if err != nil {
		return Change{}, err
	}
	return Change{Base: s.current().Number, Document: b, of: number}, nil
}

// All lists the revisions, the newest last.
func (s *Store) All() []Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// Newest gives the revision that the file is; zero where there is none.
func (s *Store) Newest() Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return Revision{}
	}
	return *s.current()
}

// Text gives a revision's document, held against its hash.
func (s *Store) Text(number int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(number) == nil {
		return nil, phrase.E("revision.unknown", "number", number)
	}
	return s.text(number)
}

func (s *Store) text(n int) ([]byte, error) {
	b, err := os.ReadFile(s.path(n, textEnd))
	if err != nil {
		return nil, disk(err, s.path(n, textEnd))
	}
	if r := s.find(n); sum(b) != r.SHA256 {
		return nil, phrase.E("revision.spoilt", "number", n)
	}
	return b, nil
}

// file reads the document as it lies there.
func (s *Store) file() ([]byte, error) {
	f, err := os.Open(s.o.File)
	if err != nil {
		return nil, disk(err, s.o.File)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(s.o.Bytes)+1))
	if err != nil {
		return nil, disk(err, s.o.File)
	}
	if len(b) > s.o.Bytes {
		return nil, phrase.E("revision.size", "most", s.o.Bytes>>10)
	}
	return b, nil
}

func (s *Store) next() int {
	if n := len(s.all); n > 0 {
		return s.all[n-1].Number + 1
	}
	return 1
}

// current is the revision that the file should be.
func (s *Store) current() *Revision { return &s.all[len(s.all)-1] }

func (s *Store) find(n int) *Revision {
	i := slices.IndexFunc(s.all, func(r Revision) bool { return r.Number == n })
	if i < 0 {
		return nil
	}
	return &s.all[i]
}

// keep makes a revision durable: its text, then its facts.
func (s *Store) keep(r Revision, b []byte) (*Revision, error) {
	r.Number, r.At, r.Size, r.SHA256 = s.next(), s.o.Now(), len(b), sum(b)
	if err := s.put(s.path(r.Number, textEnd), b); err != nil {
		return nil, disk(err, s.path(r.Number, textEnd))
	}
	if err := s.facts(r); err != nil {
		return nil, err
	}
	s.all = append(s.all, r)
	s.prune()
	return s.find(r.Number), nil
}

func (s *Store) facts(r Revision) error {
	b, err := json.Marshal(r)
	if err == nil {
		err = s.put(s.path(r.Number, factsEnd), b)
	}
	if err != nil {
		return disk(err, s.path(r.Number, factsEnd))
	}
	return nil
}

// forget removes a revision that did not come about.
func (s *Store) forget(n int) error {
	err := errors.Join(s.take(s.path(n, factsEnd)), s.take(s.path(n, textEnd)))
	s.all = slices.DeleteFunc(s.all, func(r Revision) bool { return r.Number == n })
	return err
}

// prune lets the oldest go, but for those that a trial needs.
func (s *Store) prune() {
	for i := 0; len(s.all) > s.o.Most && i < len(s.all)-2; {
		n := s.all[i].Number
		if s.trial != nil && (n == s.trial.Before || n == s.trial.Number) {
			i++
			continue
		}
		if s.forget(n) != nil {
			return
		}
	}
}

// end lets the trial's revision stay.
func (s *Store) end() error {
	if err := s.take(s.trialPath()); err != nil {
		return disk(err, s.trialPath())
	}
	s.trial = nil
	return nil
}

func (s *Store) path(n int, end string) string { return filepath.Join(s.o.Dir, name(n, end)) }
func (s *Store) trialPath() string             { return filepath.Join(s.o.Dir, trialFile) }
