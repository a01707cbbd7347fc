package recorder

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"tocsin/firmware/clock"
	"tocsin/firmware/video/stream"
)

// world is the box's clocks, as a test sets them.
type world struct {
	mu  sync.Mutex
	now clock.Stamp
}

func newWorld() *world {
	return &world{now: clock.Stamp{Boot: "aaaa1111-0000", Mono: 100 * time.Second}}
}

func (w *world) Now() clock.Stamp {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// at moves on to an instant; it never goes back.
func (w *world) at(mono time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := mono - w.now.Mono; d > 0 {
		w.now = w.now.Add(d)
	}
}

// trust sets the wall clock.
func (w *world) trust(wall time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now.Wall, w.now.Trust = wall, clock.Set
}

// boot starts anew, as after a cut: another boot, monotonic time from the begin.
func (w *world) boot(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now.Boot, w.now.Mono, w.now.Trust, w.now.Wall = id, 10*time.Second, clock.Free, time.Time{}
}

// access reads a bit stream of the tests into its pictures, in order of decoding, with
// how many pictures later each is shown.
func access(t testing.TB, c stream.Codec) (pictures [][][]byte, late []int) {
	t.Helper()
	name := map[stream.Codec]string{stream.H264: "264", stream.H265: "265"}[c]
	b, err := os.ReadFile("testdata/b.h" + name)
	if err != nil {
		t.Fatal(err)
	}
	offs, err := os.ReadFile("testdata/b" + name + ".off")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range strings.Fields(string(offs)) {
		n, _ := strconv.Atoi(s)
		late = append(late, n)
	}
	var au [][]byte
	for _, n := range bytes.Split(bytes.ReplaceAll(b, []byte{0, 0, 0, 1}, []byte{0, 0, 1}), []byte{0, 0, 1}) {
		if len(n) == 0 {
			continue
		}
		au = append(au, n)
		if c == stream.H264 && (n[0]&31 == 1 || n[0]&31 == 5) || c == stream.H265 && n[0]>>1 < 32 {
			pictures = append(pictures, au)
			au = nil
		}
	}
	if len(pictures) != len(late) {
		t.Fatalf("%d pictures, %d times", len(pictures), len(late))
	}
	return pictures, late
}

// film25 gives n units of a real stream of 25 pictures a second that arrive from begin on.
func film25(t testing.TB, c stream.Codec, n int, begin time.Duration) (us []*stream.Unit) {
	t.Helper()
	pictures, late := access(t, c)
	for i := range n {
		k := i % len(pictures)
		us = append(us, &stream.Unit{Codec: c, NALs: pictures[k], Key: k%25 == 0, Decode: int64(i) * 3600, Time: int64(i+late[k]) * 3600, Arrived: begin + time.Duration(i)*40*time.Millisecond})
	}
	return us
}

// numbered gives n units whose pictures hold their numbers, so that what is read can be
// told from what is not; every group-th is a key picture, each has size bytes.
func numbered(t testing.TB, n, group, size int, begin time.Duration) (us []*stream.Unit) {
	t.Helper()
	real, _ := access(t, stream.H264)
	for i := range n {
		us = append(us, numberedUnit(real[0], i, group, size, begin+time.Duration(i)*40*time.Millisecond))
	}
	return us
}

func numberedUnit(first [][]byte, i, group, size int, at time.Duration) *stream.Unit {
	u := &stream.Unit{Codec: stream.H264, Key: i%group == 0, Decode: int64(i) * 3600, Time: int64(i) * 3600, Arrived: at}
	nal := make([]byte, max(size, 9))
	nal[0] = 0x41
	if u.Key {
		nal[0] = 0x65
		for _, p := range first {
			if p[0]&31 == 7 || p[0]&31 == 8 {
				u.NALs = append(u.NALs, p)
			}
		}
	}
	binary.BigEndian.PutUint64(nal[1:], uint64(i))
	for k := 9; k < len(nal); k++ {
		nal[k] = byte(i + k)
	}
	u.NALs = append(u.NALs, nal)
	return u
}

// tape plays units to a recorder; the world's clock goes with their arrival.
type tape struct {
	w     *world
	units []*stream.Unit
	hold  bool // waits at the end instead of ending
	pace  func()
}

func (p *tape) Next(ctx context.Context) (*stream.Unit, error) {
	if len(p.units) == 0 {
		if p.hold {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, io.EOF
	}
	u := p.units[0]
	p.units = p.units[1:]
	p.w.at(u.Arrived)
	if p.pace != nil {
		p.pace()
	}
	return u, nil
}

// rec is a recorder under test.
type rec struct {
	*Recorder
	t    testing.TB
	w    *world
	dir  string
	stop func()
}

// recordIn opens a recorder in dir; change may set its options.
func recordIn(t testing.TB, w *world, dir string, change func(*Opts)) *rec {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	o := Opts{Dir: dir, Stream: "cam", Clock: w, Quota: 64 << 20, ClipQuota: 64 << 20, Reserve: 1e-9, Log: slog.New(slog.DiscardHandler),
		Go: func(_ string, run func(context.Context) error) {
			wg.Go(func() {
				if err := run(ctx); err != nil {
					t.Error(err)
				}
			})
		}}
	if change != nil {
		change(&o)
	}
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	x := &rec{Recorder: r, t: t, w: w, dir: dir, stop: sync.OnceFunc(func() { cancel(); wg.Wait() })}
	t.Cleanup(x.stop)
	return x
}

// play records units and waits until the disk has them or has given them up.
func (r *rec) play(us []*stream.Unit) {
	r.t.Helper()
	if err := r.Run(context.Background(), &tape{w: r.w, units: us, pace: r.settle}); err != nil {
		r.t.Fatal(err)
	}
	r.settle()
}

func (r *rec) settle() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for r.State().Waiting > 0 {
		if err := r.do(ctx, func() {}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// house has the recorder look after ages and clips now.
func (r *rec) house() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := r.do(ctx, r.keeper.house); err != nil {
		r.t.Fatal(err)
	}
}

// segments lists the files of the ring.
func segments(t testing.TB, dir string) (all []string) {
	t.Helper()
	es, err := os.ReadDir(filepath.Join(dir, "ring"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range es {
		all = append(all, filepath.Join(dir, "ring", e.Name()))
	}
	return all
}

// shot is a picture or a sound as another's reader finds it.
type shot struct {
	track    int
	decode   int64
	shown    int64
	duration int64
	key      bool
	nals     [][]byte
	payload  []byte
}

// readBack reads a file by mediacommon, which is not our own code.
func readBack(b []byte) (i fmp4.Init, all []shot, err error) {
	if bytes.Contains(b[:min(len(b), 2000)], []byte("law")) {
		// It knows no G.711 and reads only the fragments then.
	} else if err := i.Unmarshal(bytes.NewReader(b)); err != nil {
		return i, nil, err
	}
	_, moov := boxIn(b, "moov")
	at, _ := boxIn(b, "moov")
	var ps fmp4.Parts
	if err := ps.Unmarshal(b[at+len(moov):]); err != nil {
		return i, nil, err
	}
	for _, p := range ps {
		for _, tr := range p.Tracks {
			at := int64(tr.BaseTime)
			for _, s := range tr.Samples {
				x := shot{track: tr.ID, decode: at, shown: at + int64(s.PTSOffset), duration: int64(s.Duration), key: !s.IsNonSyncSample, payload: s.Payload}
				if tr.ID == pictureTrack {
					var au h264.AVCC
					if err := au.Unmarshal(s.Payload); err != nil {
						return i, nil, err
					}
					x.nals = au
				}
				all = append(all, x)
				at += int64(s.Duration)
			}
		}
	}
	return i, all, nil
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// number is what numbered wrote into a picture, -1 where it is no such.
func (s shot) number() int {
	if len(s.nals) != 1 || len(s.nals[0]) < 9 {
		return -1
	}
	n := s.nals[0]
	i := int(binary.BigEndian.Uint64(n[1:]))
	for k := 9; k < len(n); k++ {
		if n[k] != byte(i+k) {
			return -1
		}
	}
	return i
}
