package inbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// ErrLater is what a Take answers when it cannot judge just now: the file stays
// and is offered again with the next look.
var ErrLater = errors.New("inbox: judge it later")

// Take judges the bytes of one file: whether they were accepted, and why not.
// ErrLater leaves the file; any other error counts as refused, with its words.
type Take func(ctx context.Context, raw []byte, way string) (accepted bool, why phrase.Message, err error)

// Memory keeps values over a restart; keep/journal is one.
type Memory interface {
	Get(key string) ([]byte, bool)
	Put(key string, value []byte)
}

// Limits bound what lies in a place. A zero field takes its default.
type Limits struct {
	// Bytes is the most of one file (1 MiB: what the reader of alerts takes).
	Bytes int64
	// Files is the most files that are judged in one look (64).
	Files int
	// Candidates is the most files with our names that are looked at (4096), and
	// Names the most names of any kind that are read of a folder (65 536).
	Candidates, Names int
	// Kept is how many judged files stay in done/ and in refused/, each (200).
	Kept int
	// Remembered is how many digests are kept over a restart (512).
	Remembered int
	// Step is the most time of one call to the disk before that is a fault (20 s),
	// Judge the most time that a Take has (30 s).
	Step, Judge time.Duration
	// Afresh is after how long a stick's files are read again although they look
	// the same: another stick may lie in its place (5 min).
	Afresh time.Duration
}

func (l Limits) withDefaults() Limits {
	ints := map[*int]int{&l.Files: 64, &l.Candidates: 4096, &l.Names: 65_536, &l.Kept: 200, &l.Remembered: 512}
	for v, d := range ints {
		if *v <= 0 {
			*v = d
		}
	}
	times := map[*time.Duration]time.Duration{&l.Step: 20 * time.Second, &l.Judge: 30 * time.Second, &l.Afresh: 5 * time.Minute}
	for v, d := range times {
		if *v <= 0 {
			*v = d
		}
	}
	if l.Bytes <= 0 {
		l.Bytes = 1 << 20
	}
	return l
}

// Opts are one place's.
type Opts struct {
	// Name is the place's in the site file, Dir its folder.
	Name, Dir string
	// Every is the time between two looks (2 s; at least 200 ms).
	Every time.Duration
	// AbsentAfter is how long the folder may be missing before that is a fault;
	// zero takes 1 min for a watched folder and never for a stick.
	AbsentAfter time.Duration
	// TakeAlert judges *.xml, TakeCommand *.dsse.json. They are called by the
	// goroutine that reads, one at a time.
	TakeAlert, TakeCommand Take
	// Memory keeps the digests; nil forgets them at a restart.
	Memory Memory
	Clock  clock.Clock
	// After gives a channel that fires once d has passed; nil takes time.After.
	After func(d time.Duration) <-chan time.Time
	// Fault is told what is wrong with a thing, and the zero Message when it is
	// well again. It must not block.
	Fault func(thing string, why phrase.Message)
	Log   *slog.Logger
	// Start runs a goroutine under the caller's guard.
	Start  func(name string, run func())
	Limits Limits
}

// Inbox is a watched folder or a stick. Use NewFolder or NewStick, then Run.
type Inbox struct {
	o     Opts
	stick bool
	thing string // "folder NAME", "stick NAME": its name as a way and as a fault

	// Only the goroutine of the look has these.
	known   *verdicts
	refused map[digest]verdict // of the stick that is in now
	seen    map[string]mark    // as the files were at the last look
	settled map[string]settled // judged, and still lying there
	absent  clock.Stamp        // since when; zero while it is there
	broken  clock.Stamp        // since when each look met an error; zero: the last did not

	inflight chan result  // of a look that has not ended; Run's
	steps    atomic.Int64 // calls to the disk
	judging  atomic.Bool
	before   func() // nil but in tests: blocks as a disk would

	mu     sync.Mutex
	status Status
	told   phrase.Message
}

// NewFolder makes the taker of a watched folder.
func NewFolder(o Opts) (*Inbox, error) {
	if o.AbsentAfter <= 0 {
		o.AbsentAfter = time.Minute
	}
	return newInbox(o, false)
}

// NewStick makes the taker of a USB stick's folder, to which nothing is written.
func NewStick(o Opts) (*Inbox, error) { return newInbox(o, true) }

func newInbox(o Opts, stick bool) (*Inbox, error) {
	if o.Name == "" || o.Dir == "" || o.TakeAlert == nil || o.TakeCommand == nil || o.Clock == nil || o.Start == nil {
		return nil, errors.New("inbox: Name, Dir, TakeAlert, TakeCommand, Clock and Start are needed")
	}
	if o.Every <= 0 {
		o.Every = 2 * time.Second
	}
	o.Every = max(o.Every, 200*time.Millisecond)
	if o.After == nil {
		o.After = time.After
	}
	if o.Fault == nil {
		o.Fault = func(string, phrase.Message) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Limits = o.Limits.withDefaults()
	b := &Inbox{o: o, stick: stick, thing: "folder " + o.Name, refused: map[digest]verdict{}}
	if stick {
		b.thing = "stick " + o.Name
	}
	b.known = loadVerdicts(o.Memory, "inbox/"+b.thing, o.Limits.Remembered)
	return b, nil
}

// Status is what the page shows of a place.
type Status struct {
	Name string `json:"name"`
	// Stick tells a USB stick from a watched folder, Present whether it is there.
	Stick    bool        `json:"stick"`
	Present  bool        `json:"present"`
	LastLook clock.Stamp `json:"last_look"`
	// Accepted and Refused count the files that were judged since the start;
	// Waiting are those that are not yet.
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`
	Waiting  int `json:"waiting"`
	// Ignored names files that are never opened, and why; the first few.
	Ignored []Ignored      `json:"ignored,omitempty"`
	Fault   phrase.Message `json:"fault"`
}

// Ignored is a file that is not taken.
type Ignored struct {
	File string         `json:"file"`
	Why  phrase.Message `json:"why"`
}

// Status gives the present state.
func (b *Inbox) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Name, s.Stick, s.Fault = b.o.Name, b.stick, b.told
	return s
}
