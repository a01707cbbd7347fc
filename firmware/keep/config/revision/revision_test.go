package revision

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// box is a document with its store, which can be cut off and begun anew.
type box struct {
	t    *testing.T
	dir  string
	now  clock.Stamp
	left int // durable steps until the power goes; below 0: it stays
	s    *Store
}

var errCut = errors.New("the power went")

func newBox(t *testing.T) *box {
	b := &box{t: t, dir: t.TempDir(), left: -1, now: clock.Stamp{Boot: "one", Mono: time.Minute, Wall: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}}
	b.write("a: 1 # 水位\n")
	b.open()
	return b
}

func (b *box) file() string { return filepath.Join(b.dir, "site.yaml") }

func (b *box) write(text string) {
	b.t.Helper()
	if err := os.WriteFile(b.file(), []byte(text), 0o640); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) opts() Opts {
	return Opts{File: b.file(), Dir: filepath.Join(b.dir, "revisions"), Now: func() clock.Stamp { return b.now }, step: func(what string) error {
		if b.left == 0 {
			return fmt.Errorf("%s: %w", what, errCut)
		}
		b.left--
		return nil
	}}
}

func (b *box) open() Started {
	b.t.Helper()
	s, st, err := Open(b.opts())
	if err != nil {
		b.t.Fatal(err)
	}
	b.s = s
	return st
}

func (b *box) text() string {
	b.t.Helper()
	x, err := os.ReadFile(b.file())
	if err != nil {
		b.t.Fatal(err)
	}
	return string(x)
}

func (b *box) is(want string) {
	b.t.Helper()
	if got := b.text(); got != want {
		b.t.Errorf("the file is %q, not %q", got, want)
	}
}

func (b *box) change(text string, within time.Duration) Change {
	all := b.s.All()
	return Change{Base: all[len(all)-1].Number, Document: []byte(text), By: Page, Who: "王", Why: "新雨量计", Session: "s1", Within: within}
}

func (b *box) refused(err error, code string) {
	b.t.Helper()
	var e *phrase.Error
	if !errors.As(err, &e) || e.Message.Code != code {
		b.t.Errorf("%v, not %s", err, code)
	}
}

// whole holds what is kept to what it must be at any time.
func (b *box) whole() {
	b.t.Helper()
	all := b.s.All()
	for i, r := range all {
		if i > 0 && r.Number <= all[i-1].Number {
			b.t.Errorf("revision %d after %d", r.Number, all[i-1].Number)
		}
		if x, err := b.s.Text(r.Number); err != nil || sum(x) != r.SHA256 {
			b.t.Errorf("revision %d: %v", r.Number, err)
		}
	}
	if sum([]byte(b.text())) != all[len(all)-1].SHA256 {
		b.t.Errorf("the file is not revision %d", all[len(all)-1].Number)
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, "*", newBegin+"*")); len(left) > 0 {
		b.t.Errorf("left behind: %v", left)
	}
}

func TestAConfirmedChangeStays(t *testing.T) {
	b := newBox(t)
	r, err := b.s.Propose(b.change("a: 2\n", time.Minute))
	if err != nil || r.Number != 2 {
		t.Fatal(r, err)
	}
	b.is("a: 2\n")
	if st, _ := os.Stat(b.file()); st.Mode().Perm() != 0o640 {
		t.Errorf("its mode became %v", st.Mode())
	}
	b.refused(b.s.Confirm(2, "another"), "revision.session")
	b.refused(b.s.Confirm(1, "s1"), "revision.no_trial")
	if err := b.s.Confirm(2, "s1"); err != nil {
		t.Fatal(err)
	}
	b.refused(b.s.Confirm(2, "s1"), "revision.no_trial")
	if st := b.open(); st.Back != nil || st.Hand != nil {
		t.Errorf("%+v", st)
	}
	b.is("a: 2\n")
	b.whole()
}

func TestWhatNobodyConfirmsComesBack(t *testing.T) {
	b := newBox(t)
	if _, err := b.s.Propose(b.change("a: 2\n", time.Minute)); err != nil {
		t.Fatal(err)
	}
	d, on := b.s.Due()
	if !on || d.Until != 2*time.Minute {
		t.Fatal(d, on)
	}
	b.now.Mono = d.Until
	b.refused(b.s.Confirm(2, "s1"), "revision.late")
	r, err := b.s.Back(2)
	if err != nil || r.By != Undone || r.Of != 1 {
		t.Fatal(r, err)
	}
	b.is("a: 1 # 水位\n")
	if all := b.s.All(); len(all) != 3 || all[1].UndoneBy != 3 || all[1].Who != "王" {
		t.Errorf("%+v", all)
	}
	b.whole()
	b.open()
	b.whole()
}

func TestAStartTakesATrialBackUnlessTheChangeNeedsIt(t *testing.T) {
	for _, restart := range []bool{false, true} {
		b := newBox(t)
		c := b.change("a: 2\n", time.Minute)
		c.Restart = restart
		if _, err := b.s.Propose(c); err != nil {
			t.Fatal(err)
		}
		b.now = clock.Stamp{Boot: "two", Mono: 5 * time.Second}
		st := b.open()
		if !restart {
			if st.Back == nil || st.To.Number != 3 {
				t.Errorf("%+v", st)
			}
			b.is("a: 1 # 水位\n")
			continue
		}
		if d, on := b.s.Due(); st.Back != nil || !on || d.Until != 65*time.Second {
			t.Errorf("%+v %+v", st, d)
		}
		b.is("a: 2\n")
		// It died under it: no third time.
		if st := b.open(); st.Back == nil {
			t.Errorf("%+v", st)
		}
		b.is("a: 1 # 水位\n")
		b.whole()
	}
}

func TestAHandsEditIsNeverOverwritten(t *testing.T) {
	b := newBox(t)
	b.write("a: 3\n")
	_, err := b.s.Propose(b.change("a: 2\n", 0))
	b.refused(err, "revision.hand")
	if r, err := b.s.Adopt(); err != nil || r.By != Hand || r.Number != 2 {
		t.Fatal(r, err)
	}
	if r, err := b.s.Adopt(); r != nil || err != nil {
		t.Error(r, err)
	}
	for name, end := range map[string]func() error{
		"its time is over": func() error { d, _ := b.s.Due(); _, err := b.s.Back(d.Number); return err },
		"a start":          func() error { b.open(); return nil },
		"a reload":         func() error { _, err := b.s.Adopt(); return err },
	} {
		if _, err := b.s.Propose(b.change("a: 4 # "+name+"\n", time.Minute)); err != nil {
			t.Fatal(name, err)
		}
		b.write("a: 5 # " + name + "\n")
		if err := end(); err != nil {
			t.Fatal(name, err)
		}
		b.is("a: 5 # " + name + "\n")
		if _, on := b.s.Due(); on {
			t.Errorf("%s: it is still on trial", name)
		}
		b.whole()
	}
}

func TestOneChangeAtATimeAndOnlyOfWhatIs(t *testing.T) {
	b := newBox(t)
	if _, err := b.s.Propose(b.change("a: 2\n", time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, err := b.s.Propose(b.change("a: 3\n", time.Minute))
	b.refused(err, "revision.trial")
	if err := b.s.Confirm(2, "s1"); err != nil {
		t.Fatal(err)
	}
	for code, change := range map[string]func(*Change){
		"revision.stale":  func(c *Change) { c.Base = 1 },
		"revision.same":   func(c *Change) { c.Document = []byte("a: 2\n") },
		"revision.size":   func(c *Change) { c.Document = bytes.Repeat([]byte("#"), 1<<20+1) },
		"revision.said":   func(c *Change) { c.Why = strings.Repeat("x", 401) },
		"revision.within": func(c *Change) { c.Session = "" },
	} {
		c := b.change("a: 9\n", time.Minute)
		change(&c)
		_, err := b.s.Propose(c)
		b.refused(err, code)
	}
	c := b.change("a: \xff\n", 0)
	_, err = b.s.Propose(c)
	b.refused(err, "revision.size")
	b.is("a: 2\n")
	b.whole()
}

func TestAnEarlierRevisionComesBack(t *testing.T) {
	b := newBox(t)
	if _, err := b.s.Propose(b.change("a: 2\n", 0)); err != nil {
		t.Fatal(err)
	}
	c, err := b.s.Again(1)
	if err != nil {
		t.Fatal(err)
	}
	c.By = Page
	if r, err := b.s.Propose(c); err != nil || r.Of != 1 || r.Number != 3 {
		t.Fatal(r, err)
	}
	b.is("a: 1 # 水位\n")
	_, err = b.s.Again(9)
	b.refused(err, "revision.unknown")
	if err := os.WriteFile(filepath.Join(b.dir, "revisions", "000002.yaml"), []byte("a: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = b.s.Again(2)
	b.refused(err, "revision.spoilt")
}

func TestTheOldestGoAndNothingThatIsNeeded(t *testing.T) {
	b := newBox(t)
	o := b.opts()
	o.Most = 8
	s, _, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	b.s = s
	for i := range 20 {
		c := b.change(fmt.Sprintf("b: %d\n", i), time.Minute)
		r, err := s.Propose(c)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			err = s.Confirm(r.Number, "s1")
		} else {
			_, err = s.Back(r.Number)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if all := s.All(); len(all) != 8 || all[7].Number != 31 {
		t.Errorf("%d revisions, the last %d", len(all), all[len(all)-1].Number)
	}
	if files, _ := os.ReadDir(filepath.Join(b.dir, "revisions")); len(files) != 16 {
		t.Errorf("%d files", len(files))
	}
	b.whole()
}

// TestThePowerMayGoAtAnyStep cuts the power before each durable step of each way that a
// change can go, begins the box anew, and again cuts it at each step of that start.
func TestThePowerMayGoAtAnyStep(t *testing.T) {
	const was, will = "a: 1 # 水位\n", "a: 2\n"
	cuts := 0
	for name, way := range map[string]struct {
		do func(b *box) (stays bool, err error)
	}{
		"confirmed": {func(b *box) (bool, error) {
			if _, err := b.s.Propose(b.change(will, time.Minute)); err != nil {
				return false, err
			}
			err := b.s.Confirm(2, "s1")
			return err == nil, err
		}},
		"taken back": {func(b *box) (bool, error) {
			if _, err := b.s.Propose(b.change(will, time.Minute)); err != nil {
				return false, err
			}
			_, err := b.s.Back(2)
			return false, err
		}},
		"at once": {func(b *box) (bool, error) {
			_, err := b.s.Propose(b.change(will, 0))
			return err == nil, err
		}},
	} {
		for first := 0; ; first++ {
			done := false
			for second := 0; ; second++ {
				b := newBox(t)
				b.left = first
				stays, err := way.do(b)
				if done = err == nil; !done && !errors.Is(err, errCut) {
					t.Fatalf("%s, cut at %d: %v", name, first, err)
				}
				if err := os.WriteFile(filepath.Join(b.dir, "revisions", newBegin+"1"), []byte("a"), 0o600); err != nil {
					t.Fatal(err)
				}
				// Power comes back, perhaps to go again within the start.
				b.left = second
				_, _, err = Open(b.opts())
				again := errors.Is(err, errCut)
				if err != nil && !again {
					t.Fatalf("%s, cut at %d and %d: %v", name, first, second, err)
				}
				b.left = -1
				b.open()
				cuts++
				b.whole()
				if got := b.text(); got != was && got != will || stays && got != will {
					t.Errorf("%s, cut at %d and %d: %q, though it stays: %v", name, first, second, got, stays)
				}
				if _, on := b.s.Due(); on {
					t.Errorf("%s, cut at %d and %d: it is still on trial", name, first, second)
				}
				for _, r := range b.s.All() {
					if r.By == Hand && r.Number > 1 {
						t.Errorf("%s, cut at %d and %d: revision %d is said to be of a hand", name, first, second, r.Number)
					}
				}
				if !again {
					break
				}
			}
			if done {
				break
			}
		}
	}
	if cuts < 40 {
		t.Errorf("only %d cuts", cuts)
	}
}
