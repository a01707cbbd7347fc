package drill

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/video/recorder"
	"tocsin/firmware/video/stream"
)

// short is a recording of small pictures on a clock of its own.
type short struct {
	n, most uint32
	now     *atomic.Int64
}

// Next is recorder.Units'.
func (s *short) Next(context.Context) (*stream.Unit, error) {
	if s.n == s.most {
		return nil, io.EOF
	}
	u := &stream.Unit{Codec: stream.H264, Key: s.n%group == 0, Time: int64(s.n) * 3600, Decode: int64(s.n) * 3600, Arrived: time.Second + time.Duration(s.n)*frame}
	nal := make([]byte, 30)
	nal[0] = 0x41
	if u.Key {
		nal[0] = 0x65
		u.NALs = [][]byte{sps, pps}
	}
	binary.BigEndian.PutUint32(nal[5:], s.n)
	for i := mark; i < len(nal); i++ {
		nal[i] = byte(uint32(i) + s.n)
	}
	u.NALs = append(u.NALs, nal)
	s.now.Store(int64(u.Arrived))
	s.n++
	return u, nil
}

// EveryByte records a short file below dir, cuts it at every byte, has it mended and
// reads what is left by another's reader: bad counts what could not be read, or had
// fewer pictures than its whole fragments hold.
func EveryByte(ctx context.Context, dir string) (cuts, bad int, err error) {
	in, cancel := context.WithCancel(ctx)
	defer cancel()
	g := guard.New(in, slog.New(slog.DiscardHandler), nil)
	var now atomic.Int64
	c := clock.Func(func() clock.Stamp { return clock.Stamp{Boot: "short", Mono: time.Duration(now.Load())} })
	r, err := recorder.Open(options(dir, 0, c, g))
	if err != nil {
		return 0, 0, err
	}
	if err := r.Run(in, &short{most: 3 * group / 2, now: &now}); err != nil {
		return 0, 0, err
	}
	cancel()
	g.Wait(10 * time.Second)
	files, err := filepath.Glob(filepath.Join(folder(dir, 0), "ring", "*.mp4"))
	if err != nil || len(files) != 1 {
		return 0, 0, errors.Join(err, fmt.Errorf("%d files recorded", len(files)))
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		return 0, 0, err
	}
	at := filepath.Join(dir, "cut")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return 0, 0, err
	}
	// Where a fragment ends, and how many pictures the file has by then.
	var ends, counts []int
	for i := 0; i+12 <= len(whole); i += int(max(8, binary.BigEndian.Uint32(whole[i:]))) {
		if string(whole[i+8:i+12]) == "TcSl" {
			end := i + int(binary.BigEndian.Uint32(whole[i:]))
			have, _, err := pictures(whole[:end], 0)
			if err != nil {
				return 0, 0, err
			}
			ends, counts = append(ends, end), append(counts, have)
		}
	}
	path := filepath.Join(at, filepath.Base(files[0]))
	for n := range whole {
		if ctx.Err() != nil {
			return cuts, bad, context.Cause(ctx)
		}
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			return cuts, bad, err
		}
		kept, _, err := recorder.Mend(at)
		if err != nil {
			return cuts, bad, err
		}
		want := 0
		for i, e := range ends {
			if e <= n {
				want = counts[i]
			}
		}
		cuts++
		if kept == 0 {
			if want > 0 {
				bad++
			}
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return cuts, bad, err
		}
		if have, _, err := pictures(b, 0); err != nil || have != want {
			bad++
		}
	}
	return cuts, bad, nil
}
