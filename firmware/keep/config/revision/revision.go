package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// By says how a revision came about.
type By string

// The ways.
const (
	Hand   By = "hand"   // somebody edited the file
	Page   By = "page"   // the page, or a command at the box
	County By = "county" // a signed document
	Undone By = "undone" // one before it came back
	Lapsed By = "lapsed" // what stood for a while in place of the county's came back
)

// Revision is one state that the document has had.
type Revision struct {
	Number int         `json:"number"`
	At     clock.Stamp `json:"at"`
	By     By          `json:"by"`
	// Who and Why are what was said when it was proposed.
	Who string `json:"who,omitempty"`
	Why string `json:"why,omitempty"`
	// Of is the revision whose text this is again; 0: none.
	Of     int    `json:"of,omitempty"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
	// UndoneBy is the revision that came in its place because nobody confirmed it.
	UndoneBy int `json:"undone_by,omitempty"`
}

// Change is what somebody wants the document to be.
type Change struct {
	// Base is the revision that it was made from.
	Base     int
	Document []byte
	By       By
	Who, Why string
	// Session is whose word confirms it; Within how soon. Within 0 needs no confirmation.
	Session string
	Within  time.Duration
	// Restart says that the box begins anew to take it over, once, within its trial.
	Restart bool
	of      int
}

// Trial is a revision that waits for its confirmation.
type Trial struct {
	Number  int           `json:"number"`
	Before  int           `json:"before"`
	Session string        `json:"session"` // hashed
	Within  time.Duration `json:"within"`
	// Starts are how many starts it may yet live through.
	Starts int `json:"starts"`
	// Until is on the monotonic clock of this boot; it is not kept.
	Until time.Duration `json:"-"`
}

// Opts are what a Store needs.
type Opts struct {
	// File is the document, Dir where revisions are kept.
	File, Dir string
	Now       func() clock.Stamp
	// Most bounds how many revisions are kept (200), Bytes a document (1 MiB).
	Most  int
	Bytes int
	// step, of a test, is told before each thing that is made durable, and may break it off.
	step func(what string) error
}

// Bounds of what is said with a change, in bytes.
const (
	mostSaid   = 400
	leastMost  = 8
	WithinMost = 30 * time.Minute
)

func (o *Opts) defaults() error {
	if o.File == "" || o.Dir == "" || o.Now == nil {
		return fmt.Errorf("revision: Opts.File, Dir and Now are needed")
	}
	if o.Most == 0 {
		o.Most = 200
	}
	if o.Most < leastMost {
		return fmt.Errorf("revision: at least %d revisions are kept", leastMost)
	}
	if o.Bytes == 0 {
		o.Bytes = 1 << 20
	}
	if o.step == nil {
		o.step = func(string) error { return nil }
	}
	return nil
}

const (
	digits    = 6
	textEnd   = ".yaml"
	factsEnd  = ".json"
	trialFile = "trial.json"
)

func name(n int, end string) string { return fmt.Sprintf("%0*d%s", digits, n, end) }

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// numbers lists the revisions whose facts are there, in order. A text without facts is of
// a proposal that was cut off.
func numbers(dir string) ([]int, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range all {
		if s, ok := strings.CutSuffix(e.Name(), factsEnd); ok {
			if n, err := strconv.Atoi(s); err == nil && n > 0 {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// put makes a file durable under its name: the old one or the new one is there, whole.
func (s *Store) put(path string, b []byte) error {
	if err := s.o.step("put " + filepath.Base(path)); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), newBegin+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if old, err := os.Stat(path); err == nil {
		err = f.Chmod(old.Mode().Perm())
		if err != nil {
			f.Close()
			return err
		}
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return flush(filepath.Dir(path))
}

// newBegin begins the names of files that are not in place yet.
const newBegin = ".tocsin-new-"

// sweep removes what a cut has left of such files.
func (s *Store) sweep() {
	for _, dir := range []string{s.o.Dir, filepath.Dir(s.o.File)} {
		left, _ := filepath.Glob(filepath.Join(dir, newBegin+"*"))
		for _, f := range left {
			_ = os.Remove(f) // tried again at the next start
		}
	}
}

// take removes a file for good.
func (s *Store) take(path string) error {
	if err := s.o.step("take " + filepath.Base(path)); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return flush(filepath.Dir(path))
}

func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func disk(err error, path string) error {
	return phrase.Wrap(err, "revision.disk", "file", path, "detail", err)
}
