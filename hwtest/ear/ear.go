package ear

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// look is how often a file is looked at: arrivals are known to within it.
	look = 2 * time.Millisecond
	// slack: a file that stood still for longer than this was silent meanwhile,
	// one that stood still for less was only late.
	slack = 150 * time.Millisecond
	// memory is how much an Ear remembers; what is older is forgotten.
	memory = 10 * time.Minute
)

// Ear listens to what is played at a path. All methods may be called from any
// goroutine.
type Ear struct {
	path           string
	rate, channels int // of a FIFO without a header; 0 is none

	mu    sync.Mutex
	parts []*part
	err   error

	once sync.Once
	stop chan struct{}
	done chan struct{}
}

// part is a stretch of sound without a break: sample i was heard at
// start + i / rate.
type part struct {
	start   time.Time
	rate    int
	samples []int16
}

func (p *part) at(i int) time.Time {
	return p.start.Add(time.Duration(float64(i) / float64(p.rate) * float64(time.Second)))
}

func (p *part) end() time.Time { return p.at(len(p.samples)) }

// index is the first sample heard at or after t.
func (p *part) index(t time.Time) int {
	i := int(t.Sub(p.start).Seconds() * float64(p.rate))
	i = min(max(i, 0), len(p.samples))
	for i > 0 && !p.at(i-1).Before(t) {
		i--
	}
	for i < len(p.samples) && p.at(i).Before(t) {
		i++
	}
	return i
}

// Open listens to path from now on: a WAV file that grows, a link that may
// come to name another file, a folder with a link "latest.wav" in it, or a
// FIFO that carries WAV. It need not be there yet. What is in a file already is
// not heard; Load is for that.
func Open(path string) (*Ear, error) { return open(path, 0, 0) }

// OpenRaw listens to a FIFO that carries bare S16LE samples.
func OpenRaw(path string, rate, channels int) (*Ear, error) {
	if rate < 1000 || channels < 1 || channels > 16 {
		return nil, fmt.Errorf("%d channels at %d Hz", channels, rate)
	}
	return open(path, rate, channels)
}

func open(path string, rate, channels int) (*Ear, error) {
	st, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err == nil && st.IsDir() {
		path = filepath.Join(path, "latest.wav")
	}
	e := &Ear{path: path, rate: rate, channels: channels, stop: make(chan struct{}), done: make(chan struct{})}
	// What is there is skipped before Open returns, so that nothing that comes later is.
	s := &stream{e: e}
	s.follow(true)
	go e.run(s)
	return e, nil
}

// Close ends listening; again does nothing. What was heard stays.
func (e *Ear) Close() error {
	e.once.Do(func() { close(e.stop) })
	<-e.done
	return nil
}

// Err is why the latest file could not be heard; nil if it could.
func (e *Ear) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *Ear) fail(err error) {
	e.mu.Lock()
	e.err = err
	e.mu.Unlock()
}

func (e *Ear) run(s *stream) {
	defer close(e.done)
	defer s.close()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			s.follow(false)
		}
	}
}

// take adds samples that came now. fresh: they begin a file.
func (e *Ear) take(rate int, s []int16, now time.Time, fresh bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = nil
	var last *part
	if n := len(e.parts); n > 0 {
		last = e.parts[n-1]
	}
	if last == nil || fresh || last.rate != rate || now.Sub(last.end()) > slack {
		start := now
		if last != nil && start.Before(last.end()) {
			start = last.end() // one loudspeaker: what was sent ahead is heard first
		}
		last = &part{start: start, rate: rate}
		e.parts = append(e.parts, last)
	}
	last.samples = append(last.samples, s...)
	for len(e.parts) > 1 && now.Sub(e.parts[0].end()) > memory {
		e.parts = e.parts[1:]
	}
	if p := e.parts[0]; now.Sub(p.start) > 2*memory { // one that never ends
		cut := p.index(now.Add(-memory))
		p.start, p.samples = p.at(cut), append([]int16(nil), p.samples[cut:]...)
	}
}

// FirstAbove is when the first sample at or after t was heard that is as loud
// as level, in dBFS of its amplitude.
func (e *Ear) FirstAbove(t time.Time, level float64) (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	th := amplitude(level)
	for _, p := range e.parts {
		for i := p.index(t); i < len(p.samples); i++ {
			if loud(p.samples[i], th) {
				return p.at(i), true
			}
		}
	}
	return time.Time{}, false
}

// LastAbove is when the last sample before t was heard that is as loud as
// level.
func (e *Ear) LastAbove(t time.Time, level float64) (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	th := amplitude(level)
	for k := len(e.parts) - 1; k >= 0; k-- {
		p := e.parts[k]
		for i := p.index(t) - 1; i >= 0; i-- {
			if loud(p.samples[i], th) {
				return p.at(i), true
			}
		}
	}
	return time.Time{}, false
}

// WaitAbove is FirstAbove, and waits for it. The error is the context's.
func (e *Ear) WaitAbove(ctx context.Context, t time.Time, level float64) (time.Time, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if at, ok := e.FirstAbove(t, level); ok {
			return at, nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-tick.C:
		}
	}
}

// Between is what was heard from t0 to t1, with zeros where nothing came.
func (e *Ear) Between(t0, t1 time.Time) Sound {
	e.mu.Lock()
	defer e.mu.Unlock()
	var s Sound
	for _, p := range e.parts { // the first rate heard in it holds for all
		if p.end().After(t0) && p.start.Before(t1) {
			s.Rate = p.rate
			break
		}
	}
	if s.Rate == 0 || !t1.After(t0) {
		return s
	}
	s.Samples = make([]int16, int(t1.Sub(t0).Seconds()*float64(s.Rate)))
	for _, p := range e.parts {
		if p.rate != s.Rate {
			continue
		}
		i := p.index(t0)
		if i == len(p.samples) {
			continue
		}
		at := int(p.at(i).Sub(t0).Seconds()*float64(s.Rate) + 0.5)
		if at < len(s.Samples) {
			copy(s.Samples[at:], p.samples[i:])
		}
	}
	return s
}

// LongestSilence is the longest stretch from t0 to t1 in which no sample was as
// loud as level, in dBFS, whether zeros were played or nothing.
func (e *Ear) LongestSilence(t0, t1 time.Time, level float64) (d time.Duration) {
	s := e.Between(t0, t1)
	if s.Rate == 0 {
		return max(0, t1.Sub(t0))
	}
	for _, g := range s.Gaps(level, 0) {
		d = max(d, g.Long())
	}
	return d
}

// stream is what the loop reads now.
type stream struct {
	e     *Ear
	f     *os.File
	ino   uint64
	fifo  bool
	head  *head
	buf   []byte // not yet samples
	off   int64
	fresh bool
}

func (s *stream) close() {
	if s.f != nil {
		s.f.Close()
		s.f = nil
	}
}

// follow reads what is new, and turns to another file when the path has come to
// name one. skip: what is there is old.
func (s *stream) follow(skip bool) {
	if s.f != nil {
		s.drain()
	}
	st, err := os.Stat(s.e.path)
	if err != nil {
		return
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	if s.f != nil && s.ino == sys.Ino && (s.fifo || st.Size() >= s.off) {
		return
	}
	if s.f != nil {
		s.drain() // it was complete before the path turned away from it
	}
	s.close()
	// A FIFO would make open wait for its writer.
	f, err := os.OpenFile(s.e.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		s.e.fail(err)
		return
	}
	s.f, s.ino, s.fifo = f, sys.Ino, st.Mode()&os.ModeNamedPipe != 0
	s.head, s.buf, s.off, s.fresh = nil, nil, 0, true
	if skip && !s.fifo {
		s.skip(st.Size())
		return
	}
	s.drain()
}

// skip passes over what is in the file, but for its header.
func (s *stream) skip(size int64) {
	p := make([]byte, min(size, longestHead+1024))
	n, _ := s.f.ReadAt(p, 0)
	h, err := readHead(p[:n])
	if err != nil {
		s.drain()
		return
	}
	s.head = &h
	step := int64(2 * h.channels)
	s.off = int64(h.data) + (size-int64(h.data))/step*step
	s.fresh = false
}

// drain reads what there is.
func (s *stream) drain() {
	p := make([]byte, 64<<10)
	for {
		var n int
		var err error
		if s.fifo {
			s.f.SetReadDeadline(time.Now().Add(time.Millisecond))
			n, err = s.f.Read(p)
		} else {
			n, err = s.f.ReadAt(p, s.off)
		}
		now := time.Now()
		if n > 0 {
			s.off += int64(n)
			s.feed(p[:n], now)
		}
		if s.fifo && n == 0 && errors.Is(err, io.EOF) && s.off > 0 {
			s.head, s.buf, s.off, s.fresh = nil, nil, 0, true // the writer is gone; the next begins anew
		}
		if n == 0 || err != nil {
			return
		}
	}
}

func (s *stream) feed(p []byte, now time.Time) {
	s.buf = append(s.buf, p...)
	if s.head == nil {
		if s.e.rate > 0 {
			s.head = &head{rate: s.e.rate, channels: s.e.channels}
		} else {
			h, err := readHead(s.buf)
			if err == errMore && len(s.buf) <= 2*longestHead {
				return
			}
			if err != nil {
				s.e.fail(fmt.Errorf("%s: %w", s.e.path, err))
				s.buf = nil
				return
			}
			s.head, s.buf = &h, s.buf[h.data:]
		}
	}
	var m []int16
	m, s.buf = mono(s.buf, s.head.channels)
	if len(m) > 0 {
		s.e.take(s.head.rate, m, now, s.fresh)
		s.fresh = false
	}
}
