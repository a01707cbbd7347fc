package audio

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/drivers"
)

// FileOpts says where soundings are written.
type FileOpts struct {
	// Dir is the folder; it is made where it is missing.
	Dir string
	// Keep is how many soundings stay, the newest; 0 means 20.
	Keep int
}

// Latest is the name of the link to the sounding that began last.
const Latest = "latest.wav"

const (
	filePeriod = 20 * time.Millisecond
	fileBuffer = 100 * time.Millisecond
	headerLen  = 44
	// longestFile bounds one sounding's file; what follows is heard by nobody.
	longestFile = 512 << 20
)

// File is a drivers.Player that writes each sounding to a WAV file of its own,
// <n>.wav, at the pace of a card: a file holds what a loudspeaker would have
// given until now, no more, and only grows. A silence between two writes that
// were too late for each other is in it as silence. Its first period is there
// as soon as the first Write is called, so that its growth times the sound. A
// sounding that is dropped ends where it was silenced.
//
// The sizes in the header are set right every second and at the end, so that
// the file can be read at any time.
type File struct {
	o FileOpts

	mu   sync.Mutex
	open bool
}

// NewFile makes the folder. The error is the file system's.
func NewFile(o FileOpts) (*File, error) {
	if o.Keep <= 0 {
		o.Keep = 20
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder for soundings: %w", err)
	}
	return &File{o: o}, nil
}

// String names the folder.
func (p *File) String() string { return "audio file " + p.o.Dir }

// Open begins a sounding's file. It gives FaultRefused while another is open.
func (p *File) Open(ctx context.Context, f drivers.Format) (drivers.Stream, error) {
	if f.Rate < 8000 || f.Rate > 192000 || f.Channels < 1 || f.Channels > 8 {
		return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: fmt.Sprintf("%s: %d channels at %d Hz", p, f.Channels, f.Rate)}
	}
	if err := ctx.Err(); err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultCancelled, Err: err}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		return nil, &drivers.Fault{Kind: drivers.FaultRefused, Detail: p.String() + ": a sounding is open"}
	}
	out, err := p.create(f)
	if err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: p.String(), Err: err}
	}
	p.open = true
	return &FileStream{p: p, f: f, out: out}, nil
}

// create makes the next file with its header, turns the link and removes the
// oldest files.
func (p *File) create(f drivers.Format) (*os.File, error) {
	have, err := p.numbers()
	if err != nil {
		return nil, err
	}
	next := 1
	if len(have) > 0 {
		next = have[len(have)-1] + 1
	}
	name := strconv.Itoa(next) + ".wav"
	out, err := os.OpenFile(filepath.Join(p.o.Dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	if _, err := out.Write(wavHeader(f, 0)); err != nil {
		out.Close()
		return nil, err
	}
	// The link and the tidying serve listeners; the sounding goes on without.
	tmp := filepath.Join(p.o.Dir, ".latest")
	os.Remove(tmp)
	if os.Symlink(name, tmp) == nil {
		os.Rename(tmp, filepath.Join(p.o.Dir, Latest))
	}
	for len(have) >= p.o.Keep {
		os.Remove(filepath.Join(p.o.Dir, strconv.Itoa(have[0])+".wav"))
		have = have[1:]
	}
	return out, nil
}

func (p *File) numbers() ([]int, error) {
	entries, err := os.ReadDir(p.o.Dir)
	if err != nil {
		return nil, err
	}
	var have []int
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".wav")
		if n, err := strconv.Atoi(base); ok && err == nil && n > 0 && strconv.Itoa(n) == base {
			have = append(have, n)
		}
	}
	slices.Sort(have)
	return have, nil
}

// wavHeader gives the 44 bytes of a RIFF/WAVE file of 16-bit samples.
func wavHeader(f drivers.Format, bytes int) []byte {
	le := binary.LittleEndian
	b := make([]byte, headerLen)
	copy(b, "RIFF")
	le.PutUint32(b[4:], uint32(36+bytes))
	copy(b[8:], "WAVEfmt ")
	le.PutUint32(b[16:], 16)
	le.PutUint16(b[20:], 1)
	le.PutUint16(b[22:], uint16(f.Channels))
	le.PutUint32(b[24:], uint32(f.Rate))
	le.PutUint32(b[28:], uint32(f.Rate*f.Channels*2))
	le.PutUint16(b[32:], uint16(f.Channels*2))
	le.PutUint16(b[34:], 16)
	copy(b[36:], "data")
	le.PutUint32(b[40:], uint32(bytes))
	return b
}

// FileStream is one sounding that is being written.
type FileStream struct {
	p   *File
	f   drivers.Format
	out *os.File

	mu     sync.Mutex
	began  time.Time
	heard  int    // frames in the file
	queue  []byte // written, not yet heard
	sized  time.Time
	dry    int
	closed bool
	err    error // the first error of the file system
}

// Write plays interleaved samples and blocks while 100 ms are waiting. A disk
// that takes no more gives FaultOther; a Drop meanwhile FaultCancelled.
func (s *FileStream) Write(ctx context.Context, pcm []int16) error {
	frame := 2 * s.f.Channels
	b := make([]byte, 0, 2*len(pcm))
	for _, v := range pcm[:len(pcm)/s.f.Channels*s.f.Channels] {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	room := s.frames(fileBuffer) * frame
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: s.p.String() + ": silenced"}
		}
		if s.began.IsZero() {
			s.began = time.Now()
			s.sized = s.began
		}
		s.play()
		if len(b) > 0 {
			s.fill()
		}
		n := min(len(b), max(0, room-len(s.queue)))
		s.queue, b = append(s.queue, b[:n]...), b[n:]
		s.play()
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return &drivers.Fault{Kind: drivers.FaultOther, Detail: s.p.String(), Err: err}
		}
		if len(b) == 0 {
			return nil
		}
		if err := pause(ctx, filePeriod); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	case <-t.C:
		return nil
	}
}

func (s *FileStream) frames(d time.Duration) int {
	return int(int64(d) * int64(s.f.Rate) / int64(time.Second))
}

// due is how many frames a card would have fetched by now: whole periods, each
// at its beginning.
func (s *FileStream) due(now time.Time) int {
	period := s.frames(filePeriod)
	return (s.frames(now.Sub(s.began))/period + 1) * period
}

// play moves what has been heard by now into the file.
func (s *FileStream) play() {
	if s.closed || s.began.IsZero() {
		return
	}
	now, frame := time.Now(), 2*s.f.Channels
	if n := min(len(s.queue)/frame, s.due(now)-s.heard); n > 0 {
		s.put(s.queue[:n*frame])
		s.queue = append(s.queue[:0], s.queue[n*frame:]...)
		s.heard += n
	}
	if now.Sub(s.sized) >= time.Second {
		s.sized = now
		s.size()
	}
}

// fill puts in the silence that was heard since the queue ran dry, so that the
// file's time is the clock's.
func (s *FileStream) fill() {
	late := s.due(time.Now()) - s.frames(filePeriod) - s.heard
	if len(s.queue) > 0 || s.heard == 0 || late <= 0 {
		return
	}
	s.dry++
	zero := make([]byte, s.f.Rate*2*s.f.Channels)
	for late > 0 && s.err == nil {
		n := min(late, s.f.Rate)
		s.put(zero[:n*2*s.f.Channels])
		s.heard += n
		late -= n
	}
}

func (s *FileStream) put(b []byte) {
	if s.err != nil || (s.heard+s.f.Rate)*2*s.f.Channels > longestFile {
		return
	}
	if _, err := s.out.Write(b); err != nil {
		s.err = err
	}
}

// size sets the header right.
func (s *FileStream) size() {
	end, err := s.out.Seek(0, 2)
	if err == nil {
		_, err = s.out.WriteAt(wavHeader(s.f, int(end)-headerLen), 0)
	}
	if err != nil && s.err == nil {
		s.err = err
	}
}

// Underruns counts how often the next samples came too late.
func (s *FileStream) Underruns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dry
}

// Delay is how much is written and not yet heard.
func (s *FileStream) Delay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.play()
	return time.Duration(len(s.queue)/(2*s.f.Channels)) * time.Second / time.Duration(s.f.Rate)
}

// Drain waits until all is heard, then closes. Where ctx ends first, the file
// ends there and the error is FaultCancelled.
func (s *FileStream) Drain(ctx context.Context) error {
	for s.Delay() > 0 {
		if err := pause(ctx, filePeriod); err != nil {
			s.Drop()
			return err
		}
	}
	return s.Drop()
}

// Drop ends the file at what has been heard.
func (s *FileStream) Drop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.play()
	s.closed = true
	s.size()
	err := s.err
	if cerr := s.out.Close(); err == nil {
		err = cerr
	}
	s.p.mu.Lock()
	s.p.open = false
	s.p.mu.Unlock()
	if err != nil {
		return &drivers.Fault{Kind: drivers.FaultOther, Detail: s.p.String(), Err: err}
	}
	return nil
}

var (
	_ drivers.Player = (*File)(nil)
	_ drivers.Stream = (*FileStream)(nil)
)
