package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// Opts says how a Journal works. Guard and Clock must be set; every other zero
// value means its default.
type Opts struct {
	Guard *guard.Guard
	Clock clock.Clock
	Log   *slog.Logger
	// MaxRows and MaxBytes cap the file; the oldest records go first. Defaults
	// 1 000 000 rows and 256 MiB.
	MaxRows, MaxBytes int64
	// Hold gives the lowest number that must be kept whatever the cap says,
	// because it has not been delivered; nil or 0 holds nothing. It is called by the
	// writer and must not block.
	Hold func() int64
	// Waiting and WaitingBytes bound what waits for the disk. Defaults 8192 records, 8 MiB.
	Waiting, WaitingBytes int
	// Recent is how many durable records stay in RAM to be brought over to a new
	// file, within 2 MiB. Default 1024.
	Recent int
	// Merge gives the values to set where own are kept, so that nothing of other's is lost that must not be: a
	// counter that is higher there. Own is what the file has and other what Beside has, which is later; or own is
	// what was set before the file had loaded and other what was kept. A name without a value says that the two cannot be
	// joined: of Beside that is told and tried again at each start. It must not block. nil: own wins.
	Merge func(own, other map[string][]byte, later bool) map[string][]byte
	// Beside are the directories of the journals that stood in for this one while its disk could not be
	// used, the oldest first, as a list like PATH; "" for none. What Merge wants of each is taken over once, in one
	// transaction with marks of them, and no number of their records is given again. Nothing is written there.
	Beside string
	// Start is how long Open may take. Default 300 ms.
	Start time.Duration
	// Retry and RetryMax are the first and the longest pause before the disk is tried
	// again. Defaults 200 ms and 10 s.
	Retry, RetryMax time.Duration
	// Slow is how long one commit may take before it is reported. Default 5 s.
	Slow time.Duration
	// End is how long Close waits for the writer. Default 2 s.
	End time.Duration
	// Report is told each change of State, from the writer's goroutine; it must not
	// block and may be nil.
	Report func(ok bool, why phrase.Message)
	// Weight weighs kinds; nil means WeightOf.
	Weight func(kind string) Weight
}

func (o Opts) withDefaults() Opts {
	def := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	num := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	dur := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	def(&o.MaxRows, 1_000_000)
	def(&o.MaxBytes, 256<<20)
	num(&o.Waiting, 8192)
	num(&o.WaitingBytes, 8<<20)
	num(&o.Recent, 1024)
	dur(&o.Start, 300*time.Millisecond)
	dur(&o.Retry, 200*time.Millisecond)
	dur(&o.RetryMax, 10*time.Second)
	dur(&o.Slow, 5*time.Second)
	dur(&o.End, closeWithin)
	if o.Hold == nil {
		o.Hold = func() int64 { return 0 }
	}
	if o.Report == nil {
		o.Report = func(bool, phrase.Message) {}
	}
	if o.Weight == nil {
		o.Weight = WeightOf
	}
	return o
}

// ErrClosed is given by Sync, Read and Follow after Close.
var ErrClosed = errors.New("the journal is closed")

// Journal keeps records and state. Use Open. All methods are safe from any
// goroutine.
type Journal struct {
	dir string
	o   Opts

	wake      chan struct{} // something waits
	loaded    chan struct{} // the first attempt to load has ended
	closing   chan struct{}
	done      chan struct{} // the writer has ended
	suspect   chan struct{} // a reader met damage
	condemned chan *file    // the check found damage

	mu         sync.Mutex
	waiting    queue              // not yet taken by the writer
	dirty      map[string][]byte  // values not yet taken by the writer; nil deletes
	posted     map[string]*Letter // letters not yet taken by the writer; nil removes
	flight     flight             // taken by the writer, not yet durable
	state      map[string][]byte  // all values as last set
	letters    map[string]*Letter // all letters as last set; they are never changed, only replaced
	recent     []Record           // the last durable records, oldest first
	recentSize int
	next       int64 // the next number
	ok         bool
	why        phrase.Message
	stalled    bool
	taken      uint64        // batches accepted
	durable    uint64        // batches durable
	landed     uint64        // batches durable, of which nobody was told yet
	changed    chan struct{} // closed and replaced at each commit and each change of state
	closed     bool
	stats      Stats
	confessed  [weights]int64 // drops that were written down

	// The writer's own.
	floor    int64     // as written beside the file
	knows    bool      // what an earlier process left was read once
	bring    bool      // what RAM holds must be written to the file that is opened next
	budget   int       // files that may still be set aside
	refilled time.Time // when the budget was filled

	fmu  sync.RWMutex
	file *file // nil where there is none
}

// Stats counts since Open.
type Stats struct {
	// Records durable, commits and failed attempts.
	Records, Commits, Failures int64
	// Dropped records by weight: they found no room in RAM while the disk was away.
	Dropped [weights]int64
	// Replaced counts files set aside as corrupt or found gone.
	Replaced int64
	// Damaged counts records and values whose checksum did not hold.
	Damaged int64
	// Waiting is how many records wait now.
	Waiting int
	// LastSeq is the newest durable number.
	LastSeq int64
	// LongestCommit is the slowest commit.
	LongestCommit time.Duration
}

// flight is what the writer has taken and does not yet know to be durable.
type flight struct {
	queue   queue    // as it was taken, to be put back
	records []Record // the same in order, numbered
	state   map[string][]byte
	letters map[string]*Letter
	upto    uint64
	full    bool
}

// Open opens the journal of a directory, which is made where it is missing. It
// returns within Opts.Start whatever the disk does, with all that could be loaded
// by then; State tells how it stands and Loaded when loading has ended. The error
// is for a missing Guard or Clock alone.
func Open(dir string, o Opts) (*Journal, error) {
	if o.Guard == nil || o.Clock == nil {
		return nil, errors.New("journal: Guard and Clock must be set")
	}
	j := &Journal{
		dir: dir, o: o.withDefaults(),
		wake: make(chan struct{}, 1), loaded: make(chan struct{}), closing: make(chan struct{}),
		done: make(chan struct{}), suspect: make(chan struct{}, 1), condemned: make(chan *file), changed: make(chan struct{}),
		dirty: map[string][]byte{}, state: map[string][]byte{}, next: 1,
		posted: map[string]*Letter{}, letters: map[string]*Letter{},
		why: phrase.M("journal.opening"),
	}
	j.o.Guard.Go("journal", "writer", guard.Restart, j.write)
	j.o.Guard.Go("journal", "check", guard.Restart, j.check)
	t := time.NewTimer(j.o.Start)
	defer t.Stop()
	select {
	case <-j.loaded:
	case <-t.C:
	}
	return j, nil
}

// Loaded is closed when the first attempt to load the file has ended, well or
// not. Values that Put set before then win over what is loaded (Opts.Merge).
func (j *Journal) Loaded() <-chan struct{} { return j.loaded }

// Append takes records without waiting, as one Batch. The caller gives up its
// hold on Body and on the maps within.
func (j *Journal) Append(recs ...Record) { j.Commit(Batch{Records: recs}) }

// Put sets one named value without waiting; nil deletes it. The newest value of a
// name replaces older ones that still wait.
func (j *Journal) Put(key string, value []byte) {
	j.Commit(Batch{State: map[string][]byte{key: value}})
}

// Commit takes a batch without waiting; its records and values become durable in
// one transaction. A value or letter longer than MaxValue or a name longer than
// MaxText is not taken, and a record says so.
func (j *Journal) Commit(b Batch) {
	now := clock.Stamp{}
	for i := range b.Records {
		if b.Records[i].At.IsZero() {
			now = j.o.Clock.Now()
			break
		}
	}
	j.mu.Lock()
	for _, r := range b.Records {
		if r.Seq = 0; r.At.IsZero() {
			r.At = now
		}
		w := min(j.o.Weight(r.Kind), High)
		if lost := j.waiting.push(r, w, j.o.Waiting, j.o.WaitingBytes); lost != nil {
			for i, n := range lost {
				j.stats.Dropped[i] += n
			}
		}
	}
	for k, v := range b.State {
		if len(v) > MaxValue || len(k) > MaxText {
			j.waiting.push(Record{Kind: "journal.refused", At: j.o.Clock.Now(),
				Message: phrase.M("journal.refused", "name", cut(k), "bytes", len(v))}, High, j.o.Waiting, j.o.WaitingBytes)
			continue
		}
		v = slices.Clone(v)
		j.dirty[k] = v
		if v == nil {
			delete(j.state, k)
		} else {
			j.state[k] = v
		}
	}
	for id, l := range b.Outbox {
		if l == nil {
			j.posted[id] = nil
			delete(j.letters, id)
			continue
		}
		l = l.clone()
		if l.ID = id; !l.fits() {
			j.waiting.push(Record{Kind: "journal.refused", At: j.o.Clock.Now(),
				Message: phrase.M("journal.refused", "name", cut(id), "bytes", len(l.Payload))}, High, j.o.Waiting, j.o.WaitingBytes)
			continue
		}
		j.posted[id], j.letters[id] = l, l
	}
	j.taken++
	j.mu.Unlock()
	j.stir()
}

func (j *Journal) stir() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Get gives a named value as last set, durable or not.
func (j *Journal) Get(key string) ([]byte, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	v, ok := j.state[key]
	return slices.Clone(v), ok
}

// Keys lists the names that begin with prefix, sorted.
func (j *Journal) Keys(prefix string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var keys []string
	for k := range j.state {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// State tells whether what is appended becomes durable, and why not.
func (j *Journal) State() (ok bool, why phrase.Message) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ok && j.stalled {
		return false, phrase.M("journal.slow")
	}
	return j.ok, j.why
}

// Stats gives the counters.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Waiting = j.waiting.len() + len(j.flight.records)
	s.LastSeq = j.lastSeq()
	return s
}

func (j *Journal) lastSeq() int64 {
	if n := len(j.recent); n > 0 {
		return j.recent[n-1].Seq
	}
	return 0
}

// Recent gives the newest records that are in RAM, oldest first, at most limit:
// also those that are not durable, which have number 0.
func (j *Journal) Recent(limit int) []Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := slices.Clone(j.recent)
	for _, r := range j.flight.records {
		r.Seq = 0
		all = append(all, r)
	}
	all = append(all, j.waiting.list()...)
	if limit >= 0 && len(all) > limit {
		all = all[len(all)-limit:]
	}
	return all
}

// ErrDropped is given by Sync where records were dropped while it waited.
var ErrDropped = errors.New("the journal had no room and dropped records")

// Sync waits until all that was taken before is durable, or says why it is not when
// ctx ends.
func (j *Journal) Sync(ctx context.Context) (err error) {
	j.mu.Lock()
	want, dropped := j.taken, j.stats.Dropped
	defer func() {
		if err == nil && j.Stats().Dropped != dropped {
			err = ErrDropped
		}
	}()
	for j.durable < want {
		if j.closed {
			j.mu.Unlock()
			return ErrClosed
		}
		ch := j.changed
		j.mu.Unlock()
		select {
		case <-ch:
		case <-j.done:
			j.mu.Lock()
			late := j.durable < want
			j.mu.Unlock()
			if late {
				return ErrClosed
			}
			return nil
		case <-ctx.Done():
			if ok, why := j.State(); !ok {
				return &phrase.Error{Message: why, Err: ctx.Err()}
			}
			return ctx.Err()
		}
		j.mu.Lock()
	}
	j.mu.Unlock()
	return nil
}

// closeWithin bounds Close.
const closeWithin = 2 * time.Second

// Close makes durable what waits, within two seconds, and closes the file. Its
// error says what is not durable. Nothing is kept of what is appended later.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	close(j.closing)
	t := time.NewTimer(j.o.End)
	defer t.Stop()
	select {
	case <-j.done:
	case <-t.C:
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := j.waiting.len() + len(j.flight.records); n > 0 || j.durable < j.taken {
		return fmt.Errorf("journal closed with %d records and %d values not durable: %s", n,
			len(j.dirty)+len(j.flight.state)+len(j.posted)+len(j.flight.letters), j.why.In(phrase.EN))
	}
	return nil
}

// settle sets the state and tells of a change.
func (j *Journal) settle(ok bool, why phrase.Message) {
	j.mu.Lock()
	same := j.ok == ok && j.why.Code == why.Code
	j.ok, j.why = ok, why
	j.mu.Unlock()
	if same {
		return
	}
	j.ring()
	j.o.Log.Info("journal state", "ok", ok, "why", why.In(phrase.EN))
	j.o.Report(ok, why)
}

// ring wakes all that wait for a commit or a change.
func (j *Journal) ring() {
	j.mu.Lock()
	close(j.changed)
	j.changed = make(chan struct{})
	j.mu.Unlock()
}

// merged is what becomes of a value that was set before what was kept of it had loaded; nil: it
// wins as it is.
func (j *Journal) merged(key string, set, kept []byte) []byte {
	if j.o.Merge == nil || set == nil {
		return nil
	}
	m := j.o.Merge(map[string][]byte{key: set}, map[string][]byte{key: kept}, false)[key]
	if len(m) > MaxValue {
		return nil
	}
	return m
}

// adopt takes over what an earlier process left. What was set since wins (Opts.Merge), and once
// something is known RAM is the truth and the file its copy.
func (j *Journal) adopt(l loaded) {
	carried := j.carryOver(&l)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next = max(j.next, l.next)
	if j.knows {
		return // RAM knows better
	}
	j.knows = true
	for k, v := range l.state {
		set, since := j.dirty[k]
		if !since {
			j.state[k] = v
		} else if m := j.merged(k, set, v); m != nil {
			j.state[k], j.dirty[k] = m, m
		}
	}
	for k, v := range carried {
		if _, set := j.dirty[k]; !set {
			j.dirty[k] = v
		}
	}
	for id, le := range l.letters {
		if _, set := j.posted[id]; !set {
			j.letters[id] = le
		}
	}
	j.remember(l.records)
	j.stats.Damaged += l.damaged
}
