package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

func TestAnothersReaderFindsEveryPictureAsItCame(t *testing.T) {
	for _, c := range []stream.Codec{stream.H264, stream.H265} {
		t.Run(c.String(), func(t *testing.T) {
			w := newWorld()
			r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment = 2 * time.Second })
			us := film25(t, c, 150, w.now.Mono)
			r.play(us)
			r.stop()
			var all []shot
			for _, path := range segments(t, r.dir) {
				i, shots, err := readBack(readFile(t, path))
				if err != nil {
					t.Fatal(err)
				}
				switch k := i.Tracks[0].Codec.(type) {
				case *codecs.H264:
					if c != stream.H264 || !has(us[0], k.SPS) || !has(us[0], k.PPS) {
						t.Error("other parameter sets")
					}
				case *codecs.H265:
					if c != stream.H265 || !has(us[0], k.VPS) || !has(us[0], k.SPS) || !has(us[0], k.PPS) {
						t.Error("other parameter sets")
					}
				}
				if !shots[0].key {
					t.Error("a segment that begins with no key picture")
				}
				all = append(all, shots...)
			}
			if len(all) != len(us) {
				t.Fatalf("%d pictures of %d", len(all), len(us))
			}
			begin := ticks(us[0].Arrived, c)
			for i, s := range all {
				var want [][]byte
				for _, n := range us[i].NALs {
					if (&format{picture: c}).set(n) == nil {
						want = append(want, n)
					}
				}
				if !slices.EqualFunc(s.nals, want, bytes.Equal) || s.decode != begin+us[i].Decode || s.shown != begin+us[i].Time || s.key != us[i].Key || s.duration != 3600 {
					t.Fatalf("picture %d: %d, %d, %d, key %v", i, s.decode-begin, s.shown-begin, s.duration, s.key)
				}
			}
			if n := len(segments(t, r.dir)); n != 3 {
				t.Errorf("%d segments of 2 s in 6 s", n)
			}
		})
	}
}

func has(u *stream.Unit, nal []byte) bool {
	return slices.ContainsFunc(u.NALs, func(n []byte) bool { return bytes.Equal(n, nal) })
}

func TestSoundGoesWithThePictures(t *testing.T) {
	for _, c := range []stream.Codec{stream.Opus, stream.PCMA, stream.PCMU} {
		t.Run(c.String(), func(t *testing.T) {
			w := newWorld()
			r := recordIn(t, w, t.TempDir(), nil)
			var us []*stream.Unit
			payload := bytes.Repeat([]byte{0x78}, 160) // as Opus: one frame of 20 ms
			for i, u := range film25(t, stream.H264, 100, w.now.Mono) {
				for k := range 2 {
					at := int64(i*2+k) * c.Rate() / 50
					us = append(us, &stream.Unit{Codec: c, Sound: payload, Time: at, Decode: at, Arrived: u.Arrived})
				}
				us = append(us, u)
			}
			r.play(us)
			r.stop()
			files := segments(t, r.dir)
			b := readFile(t, files[len(files)-1])
			i, shots, err := readBack(b)
			if err != nil {
				t.Fatal(err)
			}
			if c == stream.Opus {
				if _, ok := i.Tracks[1].Codec.(*codecs.Opus); !ok {
					t.Errorf("tracks: %v", i.Tracks)
				}
			}
			mark := map[stream.Codec]string{stream.Opus: "Opus", stream.PCMA: "alaw", stream.PCMU: "ulaw"}[c]
			if !bytes.Contains(b[:2000], []byte(mark)) {
				t.Errorf("no entry %s", mark)
			}
			var sounds, wrong int
			at := int64(-1)
			for _, s := range shots {
				if s.track != soundTrack {
					continue
				}
				sounds++
				if s.duration != c.Rate()/50 || at >= 0 && s.decode-at > 2 || s.decode < at || !bytes.Equal(s.payload, payload) {
					wrong++
				}
				at = s.decode + s.duration
			}
			if sounds < 140 || wrong > 0 {
				t.Errorf("%d sounds, %d wrong", sounds, wrong)
			}
		})
	}
}

func TestTruncationAtEveryByteLeavesAReadablePrefix(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Fragment = time.Second })
	r.play(numbered(t, 75, 25, 40, w.now.Mono))
	r.stop()
	whole := readFile(t, segments(t, r.dir)[0])
	_, want, err := readBack(whole)
	if err != nil || len(want) != 75 {
		t.Fatal(len(want), err)
	}
	var ends []int
	scan(bytes.NewReader(whole), int64(len(whole)), true, func(p piece) error {
		if p.label == nil {
			ends = append(ends, int(p.end))
		}
		return nil
	})
	dir := memory(t)
	path := filepath.Join(dir, filepath.Base(segments(t, r.dir)[0]))
	d := r.o.disk
	d.sync = func(*os.File) error { return nil } // thousands of files: the flush is not what is tested
	for n := range len(whole) {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		kept, _, err := mend(dir, d)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		fragments := 0
		for fragments < len(ends) && ends[fragments] <= n {
			fragments++
		}
		if fragments == 0 {
			if len(kept) != 0 {
				t.Fatalf("cut at %d: something is kept of nothing", n)
			}
			continue
		}
		b := readFile(t, path)
		_, got, err := readBack(b)
		if err != nil || len(got) != 25*fragments || len(kept) != 1 || kept[0].size != int64(len(b)) || !kept[0].ended {
			t.Fatalf("cut at %d: %d pictures of %d fragments: %v", n, len(got), fragments, err)
		}
		for i, s := range got {
			if s.number() != i {
				t.Fatalf("cut at %d: picture %d is %d", n, i, s.number())
			}
		}
		if again, cut, err := mend(dir, d); err != nil || cut != 0 || len(again) != 1 || *again[0] != *kept[0] {
			t.Fatalf("cut at %d: mended twice it is another: %v", n, err)
		}
	}
	t.Logf("%d truncations", len(whole))
}

// memory is a folder in memory, where there is one: flushing folders by the thousand is
// slow elsewhere.
func memory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "recorder-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestADamagedByteNeverPasses(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	r.play(numbered(t, 50, 25, 40, w.now.Mono))
	r.stop()
	whole := readFile(t, segments(t, r.dir)[0])
	for n := range whole {
		b := bytes.Clone(whole)
		b[n] ^= 0x10
		s := scan(bytes.NewReader(b), int64(len(b)), true, func(piece) error { return nil })
		if s.good > int64(n) {
			t.Fatalf("byte %d is damaged and %d bytes pass", n, s.good)
		}
	}
}

func TestTheRingIsBoundedAndFreesTheOldestFirst(t *testing.T) {
	w := newWorld()
	const quota = 2 << 20
	var most atomic.Int64
	r := recordIn(t, w, t.TempDir(), func(o *Opts) {
		o.Quota, o.Segment = quota, 4*time.Second
		o.disk.sync = func(f *os.File) error {
			var all int64
			for _, p := range segments(t, o.Dir) {
				if i, err := os.Stat(p); err == nil {
					all += i.Size()
				}
			}
			most.Store(max(most.Load(), all))
			return nil
		}
	})
	r.play(numbered(t, 2500, 25, 5000, w.now.Mono)) // 125 kB/s, 12.5 MB
	if m := most.Load(); m > quota || m < quota/2 {
		t.Errorf("the ring had up to %d bytes of %d", m, quota)
	}
	s := r.State()
	if s.LostPictures != 0 || s.Bytes > quota {
		t.Errorf("%+v", s)
	}
	spans := r.Spans()
	if len(spans) != 1 || spans[0].To < 100*time.Second+2499*40*time.Millisecond {
		t.Errorf("what is kept is not one span up to now: %+v", spans)
	}
	for _, p := range segments(t, r.dir)[1:] { // one may be open
		if _, _, err := readBack(readFile(t, p)); err != nil && !strings.Contains(err.Error(), "EOF") {
			t.Error(p, err)
		}
	}
}

// sick is a disk as a test makes it.
type sick struct {
	mu    sync.Mutex
	err   error
	wait  chan struct{}
	free  int64
	wrote int
}

func (s *sick) use(o *Opts) {
	o.disk.write = func(f *os.File, b []byte, at int64) error {
		s.mu.Lock()
		err, wait := s.err, s.wait
		s.wrote++
		s.mu.Unlock()
		if wait != nil {
			<-wait
		}
		if err != nil {
			return err
		}
		_, err = f.WriteAt(b, at)
		return err
	}
	o.disk.space = func(string) (int64, int64, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.free, 1 << 30, nil
	}
}

func (s *sick) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func TestAFullOrDeadDiskLosesPicturesTellsItAndRecovers(t *testing.T) {
	for _, c := range []struct {
		name string
		ill  func(*sick)
		code string
	}{
		{"dead", func(s *sick) { s.err = syscall.EIO }, "recorder.failed"},
		{"read-only", func(s *sick) { s.err = syscall.EROFS }, "recorder.read_only"},
		{"full by itself", func(s *sick) { s.err = syscall.ENOSPC }, "recorder.full"},
		{"at its reserve", func(s *sick) { s.free = 1 << 20 }, "recorder.full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, s := newWorld(), &sick{free: 1 << 30}
			var told []string
			r := recordIn(t, w, t.TempDir(), func(o *Opts) {
				s.use(o)
				o.Reserve, o.Fragment = 0.05, time.Second
				o.Fault = func(m phrase.Message) { told = append(told, m.Code) }
			})
			us := numbered(t, 5000, 25, 200, w.now.Mono)
			r.play(us[:250])
			s.set(func() { c.ill(s) })
			r.play(us[250:2500])
			if f := r.State(); f.Fault.Code != c.code || f.LostPictures < 2000 {
				t.Errorf("ill: %+v", f)
			}
			s.set(func() { s.err, s.free = nil, 1<<30 })
			r.play(us[2500:])
			r.stop()
			f := r.State()
			if !f.Fault.IsZero() || !slices.Equal(told, []string{c.code, ""}) {
				t.Errorf("told %v, at the end %+v", told, f)
			}
			// What is on the disk is each group whole, and all of what came once it was well
			// for the longest pause.
			var have []int
			for _, p := range segments(t, r.dir) {
				_, shots, err := readBack(readFile(t, p))
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range shots {
					have = append(have, x.number())
				}
			}
			freed := 0
			if c.code == "recorder.full" {
				freed = 250 // the first segment went to make room, as the oldest should
			}
			if !slices.IsSorted(have) || have[0] < 0 || len(have)%25 != 0 || uint64(len(have)+freed) != uint64(len(us))-f.LostPictures {
				t.Errorf("%d pictures read, %d lost of %d", len(have), f.LostPictures, len(us))
			}
			if i, ok := slices.BinarySearch(have, 2500+int(lastRetry/(40*time.Millisecond))+25); !ok || len(have)-i != 5000-have[i] {
				t.Errorf("not all is there after the disk was well: from %d", i)
			}
		})
	}
}

func TestASlowDiskHoldsUpNobodyAndMemoryIsBounded(t *testing.T) {
	w, s := newWorld(), &sick{free: 1 << 30}
	r := recordIn(t, w, t.TempDir(), func(o *Opts) { s.use(o); o.Buffer, o.Fragment = 300_000, time.Second })
	us := numbered(t, 2000, 25, 2000, w.now.Mono)
	r.play(us[:100])
	gate := make(chan struct{})
	s.set(func() { s.wait = gate })
	if err := r.Run(context.Background(), &tape{w: w, units: us[100:1000]}); err != nil { // returns although nothing is written
		t.Fatal(err)
	}
	f := r.State()
	if f.Waiting > 300_000 || f.LostPictures == 0 {
		t.Errorf("%+v", f)
	}
	s.set(func() { s.wait = nil })
	close(gate)
	r.settle()
	r.play(us[1000:])
	r.stop()
	var have []int
	for _, p := range segments(t, r.dir) {
		_, shots, err := readBack(readFile(t, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range shots {
			have = append(have, x.number())
		}
	}
	if f := r.State(); uint64(len(have)) != 2000-f.LostPictures || have[len(have)-1] != 1999 || len(have)%25 != 0 {
		t.Errorf("%d read, %d lost", len(have), f.LostPictures)
	}
}

func TestAnotherCodecOrSizeIsAnotherSegment(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	a := film25(t, stream.H264, 50, w.now.Mono)
	b := film25(t, stream.H265, 50, w.now.Mono+2*time.Second)
	for _, u := range b {
		u.Decode, u.Time = u.Decode+50*3600, u.Time+50*3600
	}
	r.play(append(a, b...))
	r.stop()
	files := segments(t, r.dir)
	if len(files) != 2 {
		t.Fatal(files)
	}
	for i, p := range files {
		_, shots, err := readBack(readFile(t, p))
		if err != nil || len(shots) != 50 {
			t.Errorf("segment %d: %d pictures, %v", i, len(shots), err)
		}
	}
}

func TestASourcesClockIsNeverBelievedFar(t *testing.T) {
	for name, warp := range map[string]func(i int, tick int64) int64{
		"jumps ahead by a day":        func(i int, t int64) int64 { return t + int64(i/200)*24*3600*90000 },
		"jumps back by an hour":       func(i int, t int64) int64 { return t + (1-int64(i/200))*3600*90000 },
		"runs twice as fast":          func(i int, t int64) int64 { return 2 * t },
		"runs at half":                func(i int, t int64) int64 { return t / 2 },
		"stands":                      func(i int, t int64) int64 { return 0 },
		"runs 500 ppm fast":           func(i int, t int64) int64 { return t + t/2000 },
		"is the largest number there": func(i int, t int64) int64 { return 1<<62 + t },
	} {
		t.Run(name, func(t *testing.T) {
			c := &cutter{longest: time.Second, least: time.Second / 2, most: 4 << 20}
			us := numbered(t, 5000, 25, 20, 50*time.Second)
			var last int64
			n := 0
			check := func(f *fragment) {
				if f == nil {
					return
				}
				for i, x := range f.pictures {
					n++
					if x.decode < last {
						t.Fatalf("picture %d is decoded before the one before it", n)
					}
					last = x.decode
					if d := time.Duration(x.duration) * time.Second / 90000; d > mostStill || d <= 0 {
						t.Fatalf("picture %d stands for %v", i, d)
					}
				}
			}
			for i, u := range us {
				u.Decode = warp(i, u.Decode)
				u.Time = u.Decode
				check(c.take(u))
				if d := unticks(c.last, stream.H264) - u.Arrived; d.Abs() > mostDrift+time.Second {
					t.Fatalf("picture %d lies %v from its arrival", i, d)
				}
			}
			check(c.flush())
			if n != len(us) {
				t.Errorf("%d pictures of %d", n, len(us))
			}
		})
	}
}

func TestNothingIsKeptThatCannotBeShown(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	us := numbered(t, 100, 25, 20, w.now.Mono)
	us[25].NALs = us[25].NALs[2:] // a key picture without its sets: those before hold
	us[50].NALs, us[50].Key = nil, true
	r.play(us[7:])
	r.stop()
	_, shots, err := readBack(readFile(t, segments(t, r.dir)[0]))
	if err != nil {
		t.Fatal(err)
	}
	var have []int
	for _, s := range shots {
		have = append(have, s.number())
	}
	var want []int
	for i := 75; i < 100; i++ {
		want = append(want, i)
	}
	if !slices.Equal(have, want) {
		t.Errorf("kept %v", have)
	}
}

func TestAStartGoesOnWhereTheLastOneEnded(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	r := recordIn(t, w, dir, nil)
	r.play(numbered(t, 100, 25, 200, w.now.Mono))
	r.stop()
	// Torn: the end and a half fragment are gone.
	p := segments(t, dir)[0]
	i, _ := os.Stat(p)
	if err := os.Truncate(p, i.Size()-endSize-700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ring", "notes.txt"), []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.boot("bbbb2222")
	r = recordIn(t, w, dir, nil)
	r.play(numbered(t, 100, 25, 200, w.now.Mono))
	r.stop()
	s := r.State()
	if s.Cut != 1 || s.Segments != 2 {
		t.Errorf("%+v", s)
	}
	spans := r.Spans()
	if len(spans) != 2 || spans[0].Boot != "aaaa1111-0000" || spans[0].To-spans[0].From != 3600*time.Millisecond || spans[1].Boot != "bbbb2222" {
		t.Errorf("%+v", spans)
	}
	if _, err := os.Stat(filepath.Join(dir, "ring", "notes.txt")); err != nil {
		t.Error("a file that is not ours is gone")
	}
}

func TestTheHourIsKnownOfWhatWasRecordedBeforeTheClockWasSet(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	r := recordIn(t, w, dir, func(o *Opts) { o.Segment = 2 * time.Second })
	us := numbered(t, 200, 25, 200, w.now.Mono)
	r.play(us[:100])
	if s := r.Spans(); !s[0].Began.IsZero() {
		t.Error("an hour is known that nobody knows")
	}
	hour := time.Date(2026, 7, 20, 22, 40, 0, 0, time.UTC)
	w.trust(hour)
	since := w.Now().Mono
	r.house()
	r.stop()
	// After a cut it is known still, although no fragment holds it.
	w.boot("cccc")
	r = recordIn(t, w, dir, nil)
	r.house()
	want := hour.Add(us[0].Arrived - since)
	s := r.Spans()
	if len(s) != 1 || s[0].Began.Sub(want).Abs() > time.Millisecond {
		t.Errorf("began %v, want %v", s, want)
	}
	if b := r.Between(want.Add(time.Second), want.Add(2*time.Second)); len(b) != 1 || b[0].To-b[0].From != time.Second {
		t.Errorf("between: %+v", b)
	}
	// The file lost, a seal of a later boot or label does what it can, and a broken one harms nothing.
	r.stop()
	if err := os.WriteFile(filepath.Join(dir, timesFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = recordIn(t, w, dir, nil)
	r.house()
	if s := r.Spans(); len(s) != 1 || !s[0].Began.IsZero() {
		t.Errorf("%+v", s)
	}
}

func TestAnOldTimeIsForgottenAlsoWithoutAClock(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	opts := func(o *Opts) { o.Segment, o.Age = 2*time.Second, time.Minute }
	r := recordIn(t, w, dir, opts)
	r.play(numbered(t, 500, 25, 50, w.now.Mono)) // 20 s
	w.at(w.Now().Mono + 50*time.Second)
	r.house()
	if s := r.Spans(); len(s) != 1 || s[0].To-s[0].From < 8*time.Second || s[0].To-s[0].From > 13*time.Second {
		t.Errorf("after 50 s: %+v", s)
	}
	r.stop()
	w.boot("dddd")
	r = recordIn(t, w, dir, opts)
	r.house()
	if len(r.Spans()) == 0 {
		t.Error("forgotten too early")
	}
	w.at(time.Minute + time.Second)
	r.house()
	if s := r.Spans(); len(s) != 0 {
		t.Errorf("a minute after a boot that knows no hour: %+v", s)
	}
	if f := segments(t, dir); len(f) != 0 {
		t.Error(f)
	}
}

func TestWhatIsErasedIsGone(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.trust(time.Date(2026, 7, 20, 22, 40, 0, 0, time.UTC))
	begin := w.Now()
	r := recordIn(t, w, dir, func(o *Opts) { o.Segment = 2 * time.Second })
	us := numbered(t, 1000, 25, 50, w.now.Mono)
	r.play(us[:500])
	if _, err := r.Pin(t.Context(), Alarm{Cause: "a-1", From: begin.Mono + 4*time.Second, To: begin.Mono + 8*time.Second}); err != nil {
		t.Fatal(err)
	}
	if err := r.Erase(t.Context(), begin.Wall.Add(5*time.Second), begin.Wall.Add(7*time.Second), false); err != nil {
		t.Fatal(err)
	}
	if s := r.Spans(); len(s) != 2 || len(r.Clips()) != 1 {
		t.Errorf("%+v", s)
	}
	if err := r.EraseAll(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	r.play(us[510:])
	r.stop()
	n := 0
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if strings.HasSuffix(p, suffix) {
			n++
			_, shots, err := readBack(readFile(t, p))
			if err != nil || shots[0].number() < 525 || !shots[0].key {
				t.Errorf("%s: %d, %v", p, shots[0].number(), err)
			}
		}
		return nil
	})
	if n == 0 || len(r.Clips()) != 0 {
		t.Errorf("%d segments after all was erased", n)
	}
}

// A clip may be at its finish, which writes to its folder, when all is to go.
func TestAClipIsErasedWhileItIsWritten(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	r := recordIn(t, w, dir, nil)
	r.play(numbered(t, 500, 25, 50, w.now.Mono))
	for range 20 {
		now := w.Now().Mono
		c, err := r.Pin(t.Context(), Alarm{Cause: "a", From: now - 4*time.Second, To: now + time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		begun, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for n := 0; os.WriteFile(filepath.Join(r.kept(), c.ID, fmt.Sprint("clip.json.new", n%50)), nil, 0o640) == nil; n++ {
				if n == 50 {
					close(begun)
				}
			}
		}()
		<-begun
		if err := r.EraseAll(t.Context(), true); err != nil {
			t.Error(err)
		}
		<-ended
		if left, err := os.ReadDir(r.kept()); err != nil || len(left) > 0 || len(r.Clips()) > 0 {
			t.Fatalf("%v %v are left", left, err)
		}
	}
}

func TestADiskThatIsNotThereAtTheStartIsWaitedFor(t *testing.T) {
	w := newWorld()
	dir := filepath.Join(t.TempDir(), "card")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the folder should be
		t.Fatal(err)
	}
	r := recordIn(t, w, filepath.Join(dir, "cam"), nil)
	us := numbered(t, 2000, 25, 50, w.now.Mono)
	r.play(us[:100])
	if s := r.State(); s.Ready || s.Fault.IsZero() || s.LostPictures != 100 {
		t.Errorf("%+v", s)
	}
	if _, err := r.Pin(t.Context(), Alarm{Cause: "x", From: 1, To: 2}); err == nil {
		t.Error("pinned on no disk")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	r.play(us[100:])
	if s := r.State(); !s.Ready || !s.Fault.IsZero() || len(r.Spans()) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestASourceThatGoesSilentLeavesNothingInMemory(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	us := numbered(t, 12, 25, 50, w.Now().Mono)
	go func() { done <- r.Run(ctx, &tape{w: w, units: us, hold: true}) }()
	w.at(w.Now().Mono + 5*time.Second)
	for len(r.Spans()) == 0 { // the fragment is given although nothing comes after it
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOptionsAreProved(t *testing.T) {
	for _, o := range []Opts{{}, {Dir: "x", Stream: "s", Clock: newWorld(), Quota: 100, Go: func(string, func(context.Context) error) {}}} {
		if _, err := Open(o); err == nil {
			t.Error("opened")
		}
	}
}

func TestABadSpotOfTheDiskCostsOneSegment(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	opts := func(o *Opts) { o.Segment = 2 * time.Second }
	r := recordIn(t, w, dir, opts)
	r.play(numbered(t, 150, 25, 200, w.now.Mono))
	r.stop()
	p := segments(t, dir)[1]
	i, _ := os.Stat(p)
	if err := os.Truncate(p, i.Size()-100); err != nil {
		t.Fatal(err)
	}
	w.boot("bbbb2222")
	var failed atomic.Bool
	r = recordIn(t, w, dir, func(o *Opts) {
		opts(o)
		o.disk.sync = func(f *os.File) error {
			if filepath.Base(f.Name()) == filepath.Base(p) {
				failed.Store(true)
				return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: syscall.EIO}
			}
			return f.Sync()
		}
	})
	r.play(numbered(t, 50, 25, 200, w.now.Mono))
	if s := r.State(); !failed.Load() || !s.Ready || s.LostPictures != 0 || s.Segments != 4 {
		t.Errorf("%+v", s)
	}
	spans := r.Spans()
	if len(spans) != 3 {
		t.Errorf("%+v", spans)
	}
	if err := r.EraseAll(t.Context(), true); err != nil || len(segments(t, dir)) != 0 {
		t.Error(err, segments(t, dir))
	}
}
