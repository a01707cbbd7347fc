package drill

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/video/recorder"
	"tocsin/firmware/video/stream"
)

// The parameter sets of a real stream of 160 by 90 pictures (x264, high profile).
var (
	sps = []byte{0x67, 0x64, 0x00, 0x0b, 0xac, 0xd3, 0x0a, 0x37, 0xe4, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x50, 0xa4, 0xe0}
	pps = []byte{0x68, 0xef, 0x83, 0x1c, 0xb0}
)

const (
	frame   = 40 * time.Millisecond
	group   = 50 // pictures: 2 s
	keySize = 20_000
	size    = 4_000 // of the others: 0.9 Mbit/s in all
	mark    = 9     // bytes of a picture that say which it is
	pinEach = 1500 * time.Millisecond
)

// Cameras is how many a life records.
const Cameras = 2

func folder(dir string, camera int) string { return filepath.Join(dir, fmt.Sprint("camera-", camera)) }

func options(dir string, camera int, c clock.Clock, g *guard.Guard) recorder.Opts {
	return recorder.Opts{
		Dir: folder(dir, camera), Stream: fmt.Sprint("camera-", camera), Clock: c,
		Quota: 6 << 20, ClipQuota: 4 << 20, Reserve: 0.02, Segment: 3 * time.Second, Log: slog.New(slog.DiscardHandler),
		Go: func(name string, run func(context.Context) error) {
			g.Go("recorder", name, guard.Once, run)
		},
	}
}

// boot is the kernel's monotonic clock under a boot's id of the drill's.
func boot(id uint32) clock.Clock {
	return clock.Func(func() clock.Stamp {
		return clock.Stamp{Mono: clock.Mono(), Wall: time.Now(), Boot: fmt.Sprintf("%08x", id), Trust: clock.Set}
	})
}

// Life records until ctx ends. It tells on out, a line each: "c camera number
// arrival writing" before a picture is handed to the recorder (writing: how long its
// disk has been at what it was given last), and "p camera id" once a clip is
// promised.
func Life(ctx context.Context, dir string, id uint32, out io.Writer) error {
	g := guard.New(ctx, slog.New(slog.DiscardHandler), nil)
	var mu sync.Mutex
	say := func(format string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, format, a...)
	}
	for camera := range Cameras {
		r, err := recorder.Open(options(dir, camera, boot(id), g))
		if err != nil {
			return err
		}
		g.Go("drill", "camera", guard.Once, func(ctx context.Context) error {
			return r.Run(ctx, &lens{r: r, id: id, camera: camera, say: say})
		})
		g.Go("drill", "alarms", guard.Once, func(ctx context.Context) error { return alarms(ctx, r, camera, say) })
	}
	<-ctx.Done()
	g.Wait(10 * time.Second)
	return nil
}

func alarms(ctx context.Context, r *recorder.Recorder, camera int, say func(string, ...any)) error {
	tick := time.NewTicker(pinEach)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := clock.Mono()
		c, err := r.Pin(ctx, recorder.Alarm{Cause: fmt.Sprint("drill-", n), Class: 1, From: now - time.Second, To: now + time.Second/2})
		if err == nil {
			say("p %d %s\n", camera, c.ID)
		}
	}
}

// lens gives a picture each 40 ms.
type lens struct {
	r      *recorder.Recorder
	id     uint32
	camera int
	say    func(string, ...any)
	n      uint32
	next   time.Duration
}

// Next is recorder.Units'.
func (l *lens) Next(ctx context.Context) (*stream.Unit, error) {
	now := clock.Mono()
	if l.next == 0 {
		l.next = now
	}
	if wait := l.next - now; wait > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
	l.next += frame
	u := &stream.Unit{Codec: stream.H264, Key: l.n%group == 0, Time: int64(l.n) * 3600, Decode: int64(l.n) * 3600, Arrived: clock.Mono()}
	nal := make([]byte, size)
	nal[0] = 0x41
	if u.Key {
		nal = make([]byte, keySize)
		nal[0] = 0x65
		u.NALs = [][]byte{sps, pps}
	}
	binary.BigEndian.PutUint32(nal[1:], l.id)
	binary.BigEndian.PutUint32(nal[5:], l.n)
	for i := mark; i < len(nal); i++ {
		nal[i] = byte(uint32(i) + l.n)
	}
	u.NALs = append(u.NALs, nal)
	l.say("c %d %d %d %d\n", l.camera, l.n, u.Arrived, l.r.State().Writing)
	l.n++
	return u, nil
}
