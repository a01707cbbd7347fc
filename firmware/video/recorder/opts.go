package recorder

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Opts are one recorder's. A zero field takes its default.
type Opts struct {
	// Dir is the stream's own folder; it is made.
	Dir string
	// Stream is the stream's name.
	Stream string
	// Clock gives stamps; units' Arrived is on its monotonic clock.
	Clock clock.Clock
	// Quota bounds the ring in bytes, ClipQuota the pinned clips. A segment that is in
	// both counts in both, so that the sum is never exceeded.
	Quota, ClipQuota int64
	// Reserve is the share of the file system that stays free for others (0.05).
	Reserve float64
	// Age is how long the ring may keep what it saw, ClipAge the clips: the county's
	// word on privacy. Zero keeps until the bytes are used up.
	Age, ClipAge time.Duration
	// Segment bounds a segment in time and bytes (60 s, 32 MiB, at most a quarter of
	// the quota).
	Segment      time.Duration
	SegmentBytes int64
	// Fragment is the longest that pictures wait in memory before they are written and
	// flushed (600 ms): with the time that the disk takes for that, it is what a power
	// cut costs. FragmentBytes is the most of them (4 MiB).
	Fragment      time.Duration
	FragmentBytes int
	// Buffer is what waits for a slow disk, in bytes; beyond it pictures are lost
	// (8 MiB).
	Buffer int
	// MostFilm bounds what one film may show (1 h).
	MostFilm time.Duration
	// AskKey asks the source for a key picture; nil where it cannot be asked.
	AskKey func()
	// Fault is told what is wrong, and the zero Message when it is well again. It must
	// not block.
	Fault func(phrase.Message)
	// Pinned is told of every clip that is finished, for the journal. It must not block.
	Pinned func(Clip)
	// Dropped is told of every clip that had to go before it was delivered.
	Dropped func(Clip)
	// Go runs a goroutine under the caller's guard.
	Go  func(name string, run func(context.Context) error)
	Log *slog.Logger

	disk disk
}

// disk is how files are written; tests make it slow, full or dead.
type disk struct {
	write func(f *os.File, b []byte, at int64) error
	sync  func(f *os.File) error
	// space gives the bytes that are free for us and the whole.
	space func(dir string) (free, whole int64, err error)
}

func (o Opts) withDefaults() (Opts, error) {
	if o.Dir == "" || o.Stream == "" || o.Clock == nil || o.Go == nil {
		return o, errors.New("recorder: Dir, Stream, Clock and Go are needed")
	}
	if o.Quota < 1<<20 {
		return o, phrase.E("recorder.quota_small", "stream", o.Stream, "mib", 1)
	}
	if o.Reserve <= 0 || o.Reserve >= 1 {
		o.Reserve = 0.05
	}
	duration := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	duration(&o.Segment, time.Minute)
	duration(&o.Fragment, 600*time.Millisecond)
	duration(&o.MostFilm, time.Hour)
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 32 << 20
	}
	o.SegmentBytes = min(o.SegmentBytes, o.Quota/4)
	if o.FragmentBytes <= 0 {
		o.FragmentBytes = 4 << 20
	}
	if o.Buffer <= 0 {
		o.Buffer = 8 << 20
	}
	if o.AskKey == nil {
		o.AskKey = func() {}
	}
	if o.Fault == nil {
		o.Fault = func(phrase.Message) {}
	}
	if o.Pinned == nil {
		o.Pinned = func(Clip) {}
	}
	if o.Dropped == nil {
		o.Dropped = func(Clip) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Log = o.Log.With("stream", o.Stream)
	if o.disk.write == nil {
		o.disk.write = func(f *os.File, b []byte, at int64) error { _, err := f.WriteAt(b, at); return err }
	}
	if o.disk.sync == nil {
		o.disk.sync = func(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
	}
	if o.disk.space == nil {
		o.disk.space = space
	}
	return o, nil
}

func space(dir string) (free, whole int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), nil
}

// syncDir makes what was created, renamed or removed in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// plain is a stream's name as it stands in a clip's id.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, name[:min(len(name), mostName)])
}

// short is a boot's id as it stands in a file's name.
func short(boot string) string {
	s := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(boot))
	return (s + "00000000")[:8]
}
