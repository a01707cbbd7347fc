package stream

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// Bounds of what is kept where Opts does not say.
const (
	cacheBytes = 8 << 20
	cacheFor   = 10 * time.Second
	askEvery   = time.Second
	keyless    = 20 * time.Second
)

// ErrTaken says that somebody publishes the stream already.
var ErrTaken = errors.New("the stream has a publisher")

// Opts is what a stream needs.
type Opts struct {
	Name string
	// Now is the box's monotonic clock.
	Now func() time.Duration
	// CacheBytes and CacheFor bound what is kept: 8 MiB and 10 s where they are 0.
	CacheBytes int
	CacheFor   time.Duration
}

// A Stream is one camera's pictures and sound. One writes, any number read.
type Stream struct {
	o Opts

	mu      sync.Mutex
	ring    []*Unit // in order of number; at least the current group where it fits
	next    uint64  // number of the next unit
	keyAt   uint64  // number of the last key picture in the ring; 0 where none is
	bytes   int
	news    chan struct{} // closed at each unit
	w       *Writer
	readers map[*Reader]struct{}
	st      State
	rate    meter
	asked   time.Duration
	everAsk bool
	lastKey time.Duration
	skipped uint64
	ended   bool
	epoch   time.Duration
	pic     line // the pictures' time, from publisher to publisher
	snd     line
	still   Still
}

// New makes a stream that nobody publishes yet.
func New(o Opts) *Stream {
	if o.CacheBytes <= 0 {
		o.CacheBytes = cacheBytes
	}
	if o.CacheFor <= 0 {
		o.CacheFor = cacheFor
	}
	return &Stream{o: o, epoch: o.Now(), next: 1, news: make(chan struct{}), readers: map[*Reader]struct{}{}, st: State{Name: o.Name}}
}

// Name is the stream's.
func (s *Stream) Name() string { return s.o.Name }

// Open makes the caller the stream's writer; from says way and address. ErrTaken where
// another is.
func (s *Stream) Open(from string) (*Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, io.ErrClosedPipe
	}
	if s.w != nil {
		return nil, ErrTaken
	}
	now := s.o.Now()
	s.w = &Writer{s: s}
	s.st.From, s.st.Since = from, now
	s.pic.set, s.pic.steps, s.snd.set, s.snd.steps = false, 0, false, 0
	s.rate, s.lastKey, s.everAsk = meter{}, now, false
	return s.w, nil
}

// End closes the stream for good: readers get io.EOF after what they have not read.
func (s *Stream) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		close(s.news)
	}
}

// AskKey asks the source for a key picture, at most once a second; false where it
// cannot be asked.
func (s *Stream) AskKey() bool {
	s.mu.Lock()
	if s.w == nil || s.w.onKey == nil {
		s.mu.Unlock()
		return false
	}
	ask, now := s.w.onKey, s.o.Now()
	due := !s.everAsk || now-s.asked >= askEvery
	if due {
		s.asked, s.everAsk = now, true
	}
	s.mu.Unlock()
	if due {
		ask()
	}
	return true
}

// AskRung asks the source for another rung: 0 is its best. false where it has none.
func (s *Stream) AskRung(rung int) bool {
	s.mu.Lock()
	var ask func(int) bool
	if s.w != nil {
		ask = s.w.onRung
	}
	s.mu.Unlock()
	if ask == nil || !ask(rung) {
		return false
	}
	s.mu.Lock()
	s.st.Rung = rung
	s.mu.Unlock()
	return true
}

// Parameters are the parameter sets in force; Codec is None where none came yet.
func (s *Stream) Parameters() Parameters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st.Picture
}

// State is the stream as it is now.
func (s *Stream) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, now := s.st, s.o.Now()
	st.Notes = slices.Clone(st.Notes)
	if s.w != nil && st.Picture.Codec != None && now-s.lastKey > keyless {
		st.Notes = append(st.Notes, NoKey)
	}
	st.Readers, st.Skipped = len(s.readers), s.skipped
	st.Bitrate, st.FPS = s.rate.read(now)
	if k := s.kept(); k != nil {
		st.GroupAge = now - k.Arrived
		for _, u := range s.ring[s.keyAt-s.first():] {
			st.Group += u.size
		}
	}
	if s.w != nil {
		st.CanAskKey = s.w.onKey != nil
		if st.Rungs = 1; s.w.onRung != nil {
			st.Rungs = 2
		}
	}
	return st
}

// first is the number of the oldest unit in the ring. The caller holds mu.
func (s *Stream) first() uint64 { return s.next - uint64(len(s.ring)) }

// kept is the key picture where a new viewer can begin. The caller holds mu.
func (s *Stream) kept() *Unit {
	if s.keyAt == 0 || s.keyAt < s.first() {
		return nil
	}
	return s.ring[s.keyAt-s.first()]
}

// put adds a unit and wakes those who wait. The caller holds mu.
func (s *Stream) put(u *Unit) {
	u.number = s.next
	s.next++
	s.ring = append(s.ring, u)
	s.bytes += u.size
	if u.Codec.Picture() {
		if u.Key {
			if s.keyAt > 0 {
				s.st.KeyEvery = u.Arrived - s.lastKey
			}
			s.lastKey, s.keyAt = u.Arrived, u.number
		}
		s.st.Last = u.Arrived
	} else {
		s.st.Sound = u.Codec
	}
	s.rate.add(u)
	s.trim(u.Arrived)
	close(s.news)
	s.news = make(chan struct{})
}

// trim drops what need not be kept: all before the group before this one, then what
// is beyond the bounds. The caller holds mu.
func (s *Stream) trim(now time.Duration) {
	n, keys := 0, 0
	for i := len(s.ring) - 1; i >= 0; i-- {
		if s.ring[i].Key {
			if keys++; keys == 2 {
				n = i
				break
			}
		}
	}
	for left := s.bytes - sizes(s.ring[:n]); n < len(s.ring)-1 && (left > s.o.CacheBytes || now-s.ring[n].Arrived > s.o.CacheFor); n++ {
		left -= s.ring[n].size
	}
	if n == 0 {
		return
	}
	s.bytes -= sizes(s.ring[:n])
	clear(s.ring[:n])
	s.ring = s.ring[n:]
	if s.keyAt != 0 && s.keyAt < s.first() {
		s.keyAt = 0
		s.note(Unkept)
	}
}

func sizes(us []*Unit) (n int) {
	for _, u := range us {
		n += u.size
	}
	return n
}

func (s *Stream) note(n Note) {
	if !slices.Contains(s.st.Notes, n) && len(s.st.Notes) < 32 {
		s.st.Notes = append(s.st.Notes, n)
	}
}

// ReaderOpts is how a reader reads.
type ReaderOpts struct {
	Name string
	// Live begins at the next key picture to come; otherwise at the one that is kept.
	Live bool
	// Sound gives sound too.
	Sound bool
}

// A Reader is a cursor. It is of one goroutine; Close may come from any.
type Reader struct {
	s  *Stream
	o  ReaderOpts
	at uint64 // the next unit to look at

	seek    bool // look for a key picture
	afresh  bool // the last picture given was a key picture after seeking
	skipped uint64
	closed  chan struct{}
	once    sync.Once
}

// Reader begins to read.
func (s *Stream) Reader(o ReaderOpts) *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Reader{s: s, o: o, at: s.next, seek: true, closed: make(chan struct{})}
	if k := s.kept(); k != nil && !o.Live {
		r.at = k.number
	}
	s.readers[r] = struct{}{}
	return r
}

// Next waits for the next unit. A reader that fell behind what is kept goes on at a
// key picture. io.EOF where the stream has ended or the reader is closed.
func (r *Reader) Next(ctx context.Context) (*Unit, error) {
	for {
		u, wait, err := r.look()
		if u != nil || err != nil {
			return u, err
		}
		select {
		case <-wait:
		case <-r.closed:
			return nil, io.EOF
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Ready is the next unit where it is there already, else nil.
func (r *Reader) Ready() *Unit {
	u, _, _ := r.look()
	return u
}

func (r *Reader) look() (*Unit, <-chan struct{}, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-r.closed:
		return nil, nil, io.EOF
	default:
	}
	if first := s.first(); r.at < first {
		to := first
		if s.keyAt > to {
			to = s.keyAt
		}
		r.skip(to - r.at)
		r.at, r.seek = to, true
	}
	for r.at < s.next {
		u := s.ring[r.at-s.first()]
		r.at++
		switch {
		case !u.Codec.Picture():
			if r.o.Sound {
				return u, nil, nil
			}
		case r.seek && !u.Key, r.afresh && u.leading:
			r.skip(1)
		default:
			if r.seek {
				r.seek, r.afresh = false, true
			} else if u.trailing {
				r.afresh = false
			}
			return u, nil, nil
		}
	}
	if s.ended {
		return nil, nil, io.EOF
	}
	return nil, s.news, nil
}

func (r *Reader) skip(n uint64) { r.skipped += n; r.s.skipped += n }

// Seek gives nothing more of this group: the next picture is a key picture that is
// newer than the last given.
func (r *Reader) Seek() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if k := r.s.kept(); k != nil && k.number > r.at {
		r.skip(k.number - r.at)
		r.at = k.number
	}
	r.seek = true
}

// Behind is the age of the oldest unit that waits to be read; 0 where none does.
func (r *Reader) Behind() time.Duration {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.at >= r.s.next || len(r.s.ring) == 0 {
		return 0
	}
	return r.s.o.Now() - r.s.ring[max(r.at, r.s.first())-r.s.first()].Arrived
}

// Skipped is how many units it lost by being slow or by Seek.
func (r *Reader) Skipped() uint64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.skipped
}

// Close ends it; a Next that waits returns io.EOF.
func (r *Reader) Close() {
	r.once.Do(func() {
		close(r.closed)
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		delete(r.s.readers, r)
	})
}

// meter measures bit rate and pictures a second over the last full seconds.
type meter struct {
	bytes, pictures [4]int
	slot            int64
}

func (m *meter) turn(now time.Duration) {
	slot := int64(now / time.Second)
	for ; m.slot < slot; m.slot++ {
		if slot-m.slot > 8 {
			m.slot = slot - 8
		}
		i := (m.slot + 1) % 4
		m.bytes[i], m.pictures[i] = 0, 0
	}
}

func (m *meter) add(u *Unit) {
	m.turn(u.Arrived)
	i := m.slot % 4
	m.bytes[i] += u.size
	if u.Codec.Picture() {
		m.pictures[i]++
	}
}

func (m *meter) read(now time.Duration) (bits int, fps float64) {
	m.turn(now)
	b, p := 0, 0
	for i := range 4 {
		if int64(i) != m.slot%4 {
			b += m.bytes[i]
			p += m.pictures[i]
		}
	}
	return b * 8 / 3, float64(p) / 3
}
