//go:build linux

package audio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"tocsin/drivers"
)

// What is asked of a card: a period of 20 ms, a buffer of at most 100 ms.
const (
	periods   = 50  // a second
	bufferMax = 100 // ms
	// stuck is how long a card may take no samples before it is given up.
	stuck = time.Second
	// underrunsAtOnce is how often one piece may find the card run dry.
	underrunsAtOnce = 5
)

// Sounding is one stream on a Card. Write belongs to one goroutine; Drop and
// Delay may be called from others.
type Sounding struct {
	c     *Card
	asked drivers.Format
	card  drivers.Format // as the card plays
	mixer Mixed

	period, buffer int // frames
	conv           converter
	out            []int16

	mu        sync.Mutex
	fd        int
	closed    bool
	underruns int
}

func whole() (p hwParams) {
	for i := range p.masks {
		for j := range p.masks[i] {
			p.masks[i][j] = ^uint32(0)
		}
	}
	for i := range p.intervals {
		p.intervals[i] = interval{max: ^uint32(0)}
	}
	p.rmask, p.info = ^uint32(0), ^uint32(0)
	return p
}

func (p *hwParams) only(mask, bit int) {
	p.masks[mask] = [8]uint32{}
	p.masks[mask][bit/32] = 1 << (bit % 32)
}

func (p *hwParams) within(param int, lo, hi int) {
	p.intervals[param-firstInterval] = interval{min: uint32(lo), max: uint32(hi), flags: 4}
}

func (p *hwParams) got(param int) int { return int(p.intervals[param-firstInterval].min) }

// prepare finds what the card plays nearest to what was asked: as asked first,
// then more channels, then the usual rates; a period of 20 ms first, then any
// of 5 to 40 ms.
func (s *Sounding) prepare() error {
	rates := []int{s.asked.Rate, 48000, 44100, 96000, 32000, 16000}
	channels := []int{s.asked.Channels, 2, 1, 4, 6, 8}
	var last error
	for _, rate := range rates {
		for _, ch := range channels {
			for _, p := range [][2]int{{rate / periods, rate / periods}, {rate / 200, rate / 25}} {
				err := s.set(rate, ch, p[0], p[1])
				if err == nil {
					s.card = drivers.Format{Rate: rate, Channels: ch}
					s.conv = converter{from: s.asked, to: s.card}
					return s.start()
				}
				if !errors.Is(err, syscall.EINVAL) {
					return s.c.fault("setting the format", err)
				}
				last = err
			}
		}
	}
	return s.c.fault("no 16-bit format that it takes", last)
}

func (s *Sounding) set(rate, channels, least, most int) error {
	p := whole()
	p.only(paramAccess, accessInterleaved)
	p.only(paramFormat, formatS16LE)
	p.within(paramChannels, channels, channels)
	p.within(paramRate, rate, rate)
	p.within(paramPeriodSize, least, most)
	p.within(paramPeriods, 2, 64)
	p.within(paramBufferSize, 2*least, rate*bufferMax/1000)
	if err := s.c.k.ioctl(s.fd, pcmHWParams, unsafe.Pointer(&p)); err != nil {
		return err
	}
	s.period, s.buffer = p.got(paramPeriodSize), p.got(paramBufferSize)
	return nil
}

// start makes the card sound with the first period that it has, and stop where
// it runs dry.
func (s *Sounding) start() error {
	if s.period <= 0 || s.buffer < s.period || s.buffer > s.card.Rate {
		return s.c.fault("setting the format", fmt.Errorf("the kernel says a period of %d in a buffer of %d frames", s.period, s.buffer))
	}
	sw := swParams{
		periodStep: 1, availMin: uint(s.period), xferAlign: 1,
		startThreshold: uint(s.period), stopThreshold: uint(s.buffer), boundary: uint(s.buffer),
	}
	if err := s.c.k.ioctl(s.fd, pcmSWParams, unsafe.Pointer(&sw)); err != nil {
		return s.c.fault("setting the thresholds", err)
	}
	if err := s.c.k.ioctl(s.fd, pcmPrepare, nil); err != nil {
		return s.c.fault("preparing", err)
	}
	return nil
}

// Format is what the card plays; what is written is converted to it.
func (s *Sounding) Format() drivers.Format { return s.card }

// Mixer tells what was done to the card's mixer.
func (s *Sounding) Mixer() Mixed { return s.mixer }

// Underruns counts how often the card ran dry.
func (s *Sounding) Underruns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.underruns
}

// Write plays interleaved samples in the format that was asked for. It gives
// FaultCancelled when ctx ends or Drop was called, FaultTimeout when the card
// takes nothing for a second, FaultGone when it was unplugged.
func (s *Sounding) Write(ctx context.Context, pcm []int16) error {
	s.out = s.conv.convert(s.out[:0], pcm)
	rest, ran := s.out, 0
	last := time.Now()
	for len(rest) > 0 {
		if err := ctx.Err(); err != nil {
			return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: s.c.String(), Err: err}
		}
		n, err := s.push(rest)
		if n > 0 {
			rest, last = rest[n*s.card.Channels:], time.Now()
		}
		switch {
		case err == nil:
		case errors.Is(err, syscall.EAGAIN):
			if time.Since(last) > stuck {
				return &drivers.Fault{Kind: drivers.FaultTimeout, Detail: s.c.String() + ": it takes no samples"}
			}
			s.c.k.wait(s.fd, time.Second/periods)
		case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ESTRPIPE):
			if ran++; ran > underrunsAtOnce {
				return s.c.fault("recovering from an underrun", err)
			}
			if err := s.recover(err); err != nil {
				return err
			}
		case errors.Is(err, errClosed):
			return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: s.c.String() + ": silenced"}
		default:
			return s.c.fault("writing", err)
		}
	}
	return nil
}

var errClosed = errors.New("closed")

// push gives the card one period at most, so that Drop is never far.
func (s *Sounding) push(rest []int16) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed
	}
	x := xferi{buf: unsafe.Pointer(&rest[0]), frames: uint(min(s.period, len(rest)/s.card.Channels))}
	if err := s.c.k.ioctl(s.fd, pcmWriteI, unsafe.Pointer(&x)); err != nil {
		return 0, err
	}
	if x.result < 0 || x.result > int(x.frames) {
		return 0, fmt.Errorf("the kernel says that it took %d of %d frames", x.result, x.frames)
	}
	return x.result, nil
}

// recover makes a card that ran dry, or slept with the board, play again.
func (s *Sounding) recover(why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil // the next push says so
	}
	s.underruns++
	if errors.Is(why, syscall.ESTRPIPE) && s.c.k.ioctl(s.fd, pcmResume, nil) == nil {
		return nil
	}
	if err := s.c.k.ioctl(s.fd, pcmPrepare, nil); err != nil {
		return s.c.fault("preparing after an underrun", err)
	}
	return nil
}

// Delay is how much the card still has to play; 0 where it has run dry.
func (s *Sounding) Delay() time.Duration {
	frames, _ := s.delay()
	return time.Duration(frames) * time.Second / time.Duration(s.card.Rate)
}

func (s *Sounding) delay() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed
	}
	var frames int
	if err := s.c.k.ioctl(s.fd, pcmDelay, unsafe.Pointer(&frames)); err != nil {
		return 0, err
	}
	return max(0, frames), nil
}

// Drain waits until all is heard, then closes. Where ctx ends first it falls
// silent at once and gives FaultCancelled.
func (s *Sounding) Drain(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	// Not blocking, as the device was opened so: the kernel plays what it has
	// and says EAGAIN meanwhile.
	err := s.c.k.ioctl(s.fd, pcmDrain, nil)
	s.mu.Unlock()
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		s.Drop()
		if errors.Is(err, syscall.EPIPE) {
			return nil // it had run dry: all was heard
		}
		return s.c.fault("draining", err)
	}
	end := time.Now().Add(s.Delay() + stuck)
	for err != nil {
		frames, derr := s.delay()
		if derr != nil || frames == 0 {
			// EPIPE or EBADFD: it has stopped, as it should when it is empty.
			if errors.Is(derr, syscall.ENODEV) {
				s.Drop()
				return s.c.fault("draining", derr)
			}
			break
		}
		if ctx.Err() != nil {
			s.Drop()
			return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: s.c.String(), Err: ctx.Err()}
		}
		if time.Now().After(end) {
			s.Drop()
			return &drivers.Fault{Kind: drivers.FaultTimeout, Detail: s.c.String() + ": it does not play what it has"}
		}
		t := time.NewTimer(time.Second / periods)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return s.Drop()
}

// Drop falls silent at once and closes. Calling it again does nothing.
func (s *Sounding) Drop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.c.k.ioctl(s.fd, pcmDrop, nil)
	// Closing stops the stream too, whatever DROP said.
	if cerr := s.c.k.close(s.fd); err == nil || errors.Is(err, syscall.EBADFD) {
		err = cerr
	}
	if err != nil {
		return s.c.fault("falling silent", err)
	}
	return nil
}

var _ drivers.Stream = (*Sounding)(nil)
