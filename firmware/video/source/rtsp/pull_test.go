package rtsp

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
	"tocsin/hwtest/camera"
)

// watcher is a Puller at a camera of the bench.
type watcher struct {
	*bench
	cam    *camera.Camera
	p      *Puller
	s      *stream.Stream
	frames map[string]int
}

func pull(t *testing.T, o camera.Opts, change func(*PullOpts)) *watcher {
	t.Helper()
	if o.User == "" {
		o.User, o.Password = "admin", "secret"
	}
	o.Sets = [2][]byte{sps264, pps264}
	cam, err := camera.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cam.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	began := time.Now()
	b := &bench{T: t, ctx: ctx, now: func() time.Duration { return time.Since(began) }}
	w := &watcher{bench: b, cam: cam, s: stream.New(stream.Opts{Name: "gate", Now: b.now}), frames: map[string]int{}}
	var wg sync.WaitGroup
	po := PullOpts{Name: "gate", URLs: []string{cam.Login("main"), cam.Login("sub")}, Open: w.s.Open, Now: b.now,
		First: 5 * time.Millisecond, Last: 20 * time.Millisecond, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Go: func(_ string, run func(context.Context) error) { wg.Go(func() { _ = run(ctx) }) }}
	if change != nil {
		change(&po)
	}
	p, err := NewPuller(po)
	if err != nil {
		t.Fatal(err)
	}
	w.p = p
	wg.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

// send gives the next picture of a stream, which says of which it is: the main
// stream's numbers are even, the lower one's odd.
func (w *watcher) send(name string, key bool) int {
	w.Helper()
	i := w.frames[name]
	w.frames[name]++
	n := 2 * i
	if name == "sub" {
		n++
	}
	if err := w.cam.Send(name, uint32(i)*3600, frame264(n, 2000, key)); err != nil {
		w.Fatal(err)
	}
	return n
}

func TestACameraIsWatched(t *testing.T) {
	for name, c := range map[string]struct {
		o    camera.Opts
		udp  bool
		note stream.Note
	}{
		"by TCP":                             {o: camera.Opts{Sound: "pcma"}},
		"by UDP":                             {o: camera.Opts{Sound: "pcma", UDP: ports(t)}, udp: true},
		"by TCP where UDP is not to be had":  {o: camera.Opts{}, udp: true},
		"without its sound where that fails": {o: camera.Opts{Sound: "refused"}, note: stream.SoundAbsent},
		"without sound in AAC":               {o: camera.Opts{Sound: "aac"}, note: stream.AACDropped},
	} {
		t.Run(name, func(t *testing.T) {
			w := pull(t, c.o, func(o *PullOpts) { o.UDP = c.udp })
			r := w.s.Reader(stream.ReaderOpts{Sound: true})
			defer r.Close()
			w.until("playing", func() bool { return w.cam.Watching("main") == 1 })
			if c.o.Sound == "pcma" {
				if err := w.cam.Hear("main", 1, 160, []byte{1, 2, 3}); err != nil {
					t.Fatal(err)
				}
			}
			sound, wanted := false, c.o.Sound == "pcma"
			// By UDP sound and picture come on ports of their own: which is read first is nobody's promise.
			for i := 0; i < 10 || wanted && !sound && i < 500; i++ {
				n := w.send("main", i%5 == 0)
				u, err := r.Next(w.ctx)
				for err == nil && !u.Codec.Picture() {
					sound = true
					u, err = r.Next(w.ctx)
				}
				if err != nil || numberOf(u.NALs) != n {
					t.Fatalf("picture %d: %v", n, err)
				}
				if u.Key != (i%5 == 0) || u.Key && len(u.NALs) != 3 {
					t.Errorf("picture %d: key %v with %d units", n, u.Key, len(u.NALs))
				}
			}
			if sound != wanted {
				t.Errorf("sound: %v", sound)
			}
			w.until("told as playing", func() bool { return w.p.State().Playing })
			st := w.s.State()
			if notes := st.Notes; c.note != "" && (len(notes) != 1 || notes[0] != c.note) || c.note == "" && len(notes) != 0 {
				t.Errorf("notes %v", notes)
			}
			if strings.Contains(st.From, "secret") {
				t.Errorf("the password is told: %s", st.From)
			}
		})
	}
}

func TestParameterSetsOfTheDescriptionAreUsed(t *testing.T) {
	w := pull(t, camera.Opts{}, nil)
	r := w.s.Reader(stream.ReaderOpts{})
	defer r.Close()
	w.until("playing", func() bool { return w.cam.Watching("main") == 1 })
	if err := w.cam.Send("main", 0, frame264(0, 100, true)[2:]); err != nil { // the slice alone
		t.Fatal(err)
	}
	u, err := r.Next(w.ctx)
	if err != nil || !u.Key || string(u.NALs[0]) != string(sps264) {
		t.Errorf("%+v %v", u, err)
	}
}

func TestACameraIsComeBackTo(t *testing.T) {
	w := pull(t, camera.Opts{}, nil)
	r := w.s.Reader(stream.ReaderOpts{})
	defer r.Close()
	for range 3 {
		w.until("playing", func() bool { return w.cam.Watching("main") == 1 })
		n := w.send("main", true)
		if u, err := r.Next(w.ctx); err != nil || numberOf(u.NALs) != n {
			t.Fatal(err)
		}
		w.until("told as playing", func() bool { return w.p.State().Playing })
		w.cam.Cut("main")
		w.until("told as lost", func() bool { return !w.p.State().Playing })
		if why := w.p.State().Why; why.Code != "video-rtsp.ended" || strings.Contains(why.In(phrase.EN), "secret") {
			t.Errorf("why: %s", why.In(phrase.EN))
		}
	}
}

func TestWhatIsWrongIsSaidWithItsMend(t *testing.T) {
	silent := func(o *PullOpts) { o.Silence = 100 * time.Millisecond }
	for name, c := range map[string]struct {
		o      camera.Opts
		change func(*camera.Camera, *PullOpts)
		want   string
	}{
		"a wrong password": {change: func(c *camera.Camera, o *PullOpts) {
			o.URLs = []string{strings.Replace(c.Login("main"), "secret", "guess", 1)}
		}, want: "video-rtsp.password"},
		"no password":    {change: func(c *camera.Camera, o *PullOpts) { o.URLs = []string{c.URL("main")} }, want: "video-rtsp.password"},
		"a wrong path":   {change: func(c *camera.Camera, o *PullOpts) { o.URLs = []string{c.Login("well")} }, want: "video-rtsp.path"},
		"nobody there":   {change: func(c *camera.Camera, o *PullOpts) { o.URLs = []string{"rtsp://127.0.0.1:1/main"} }, want: "video-rtsp.unreachable"},
		"no pictures":    {change: func(_ *camera.Camera, o *PullOpts) { silent(o) }, want: "video-rtsp.silent"},
		"sent elsewhere": {o: camera.Opts{Redirect: "rtsp://localhost:1/main"}, want: "video-rtsp.elsewhere"},
		"a stream that is taken": {change: func(_ *camera.Camera, o *PullOpts) {
			o.Open = func(string) (*stream.Writer, error) { return nil, stream.ErrTaken }
		}, want: "video-rtsp.taken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cam *camera.Camera
			o := c.o
			o.User, o.Password = "admin", "secret"
			w := pull(t, o, func(o *PullOpts) {
				if c.change != nil {
					// The camera of pull is not known yet: its URL tells its address.
					cam, _ = camera.Start(camera.Opts{User: "admin", Password: "secret"})
					t.Cleanup(cam.Close)
					o.URLs = []string{cam.Login("main")}
					c.change(cam, o)
				}
			})
			w.until(c.want, func() bool { return w.p.State().Why.Code == c.want })
			for _, l := range phrase.Languages {
				if s := w.p.State().Why.In(l); strings.Contains(s, "secret") || strings.Contains(s, "guess") || strings.ContainsRune(s, '{') {
					t.Errorf("%s", s)
				}
			}
		})
	}
}

func TestSoundAloneIsNoPicture(t *testing.T) {
	w := pull(t, camera.Opts{Sound: "pcma"}, func(o *PullOpts) { o.Silence = 300 * time.Millisecond; o.URLs = o.URLs[:1] })
	seq := uint16(0)
	w.until("told as silent", func() bool {
		seq++
		_ = w.cam.Hear("main", seq, uint32(seq)*160, []byte{1, 2, 3})
		return w.p.State().Why.Code == "video-rtsp.silent"
	})
}

func TestALowerStreamWithoutAKeyPictureIsGivenUp(t *testing.T) {
	w := pull(t, camera.Opts{}, func(o *PullOpts) { o.Silence = 2 * time.Second; o.First, o.Last = time.Hour, time.Hour })
	w.until("playing", func() bool { return w.cam.Watching("main") == 1 })
	w.send("main", true)
	w.s.AskRung(1)
	w.until("given up", func() bool {
		w.send("main", false)
		_ = w.cam.Send("sub", uint32(w.frames["main"])*3600, frame264(1, 100, false))
		return w.p.State().Why.Code == "video-rtsp.no_key"
	})
	w.until("let go", func() bool { return w.cam.Watching("sub") == 0 })
	if st := w.p.State(); w.cam.Watching("main") != 1 || st.Rung != 0 || st.Switched != 0 {
		t.Errorf("%+v", st)
	}
}

func TestACameraThatRefusesThePasswordIsLeftAlone(t *testing.T) {
	var mu sync.Mutex
	var pauses []time.Duration
	w := pull(t, camera.Opts{}, func(o *PullOpts) {
		o.URLs = []string{strings.Replace(o.URLs[0], "secret", "guess", 1)}
		o.First, o.Last = time.Second, time.Minute
		o.Rand = func() float64 { return 0.5 }
		o.After = func(d time.Duration) <-chan time.Time {
			mu.Lock()
			defer mu.Unlock()
			pauses = append(pauses, d)
			return make(chan time.Time)
		}
	})
	w.until("waiting", func() bool { mu.Lock(); defer mu.Unlock(); return len(pauses) == 1 })
	if pauses[0] < 2*time.Minute {
		t.Errorf("tried again after %v", pauses[0])
	}
	if _, wrong := w.cam.Tries(); wrong != 1 {
		t.Errorf("%d wrong tries", wrong)
	}
	w.p.Wake() // a technician has mended it
	w.until("tried again at once", func() bool { _, wrong := w.cam.Tries(); return wrong == 2 })
}

func TestPausesGrowAndAreSpread(t *testing.T) {
	p, err := NewPuller(PullOpts{Name: "x", URLs: []string{"rtsp://h/x"}, Open: func(string) (*stream.Writer, error) { return nil, nil },
		Now: clockAt0, Go: func(string, func(context.Context) error) {}, First: time.Second, Last: time.Minute, Rand: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	last := time.Duration(0)
	for n := 1; n < 100; n++ {
		d := p.pause(n, nil)
		if d < last || d > time.Minute || d < 500*time.Millisecond {
			t.Errorf("pause %d: %v", n, d)
		}
		last = d
	}
	if last != 30*time.Second {
		t.Errorf("the longest pause is %v", last)
	}
}

func TestTheOtherStreamIsTakenWithoutAGap(t *testing.T) {
	w := pull(t, camera.Opts{}, nil)
	r := w.s.Reader(stream.ReaderOpts{})
	defer r.Close()
	w.until("playing", func() bool { return w.cam.Watching("main") == 1 })
	next := func(what string, want int) {
		t.Helper()
		if u, err := r.Next(w.ctx); err != nil || numberOf(u.NALs) != want {
			t.Fatalf("%s: picture %d (%v), want %d", what, numberOf(u.NALs), err, want)
		}
	}
	next("main", w.send("main", true))
	if !w.s.AskRung(1) || w.s.AskRung(2) {
		t.Fatal("two rungs are not offered")
	}
	w.until("the lower one is had beside it", func() bool { return w.cam.Watching("sub") == 1 })
	next("the main stream goes on", w.send("main", false))
	w.send("sub", false) // not a key picture: not yet
	next("and on", w.send("main", false))
	// The lower one's key picture goes in, whenever the Puller has seen to it.
	n := 0
	w.until("the change", func() bool {
		n = w.send("sub", true)
		for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if u := r.Ready(); u != nil {
				return numberOf(u.NALs)%2 == 1
			}
		}
		return false
	})
	w.until("the main stream is let go", func() bool { return w.cam.Watching("main") == 0 })
	if st := w.p.State(); st.Rung != 1 || st.Switched != 1 || !st.Playing {
		t.Errorf("%+v", st)
	}
	if st := w.s.State(); st.From == "" || st.Rung != 1 {
		t.Errorf("the stream was given up: %+v", st)
	}
	w.s.AskRung(0)
	w.until("the main stream is had beside it", func() bool { return w.cam.Watching("main") == 1 })
	w.until("back", func() bool { w.send("main", true); return w.p.State().Rung == 0 })
	w.until("the lower one is let go", func() bool { return w.cam.Watching("sub") == 0 })
	_ = n
}

func TestALowerStreamThatIsNotHadCostsNothing(t *testing.T) {
	w := pull(t, camera.Opts{Most: 1}, nil) // one session at a time, as some cheap cameras
	r := w.s.Reader(stream.ReaderOpts{})
	defer r.Close()
	w.until("playing", func() bool { return w.cam.Watching("main") == 1 })
	w.send("main", true)
	w.until("told as playing", func() bool { return w.p.State().Playing })
	w.s.AskRung(1)
	w.until("why", func() bool { return w.p.State().Why.Code == "video-rtsp.busy" })
	if !w.p.State().Playing || w.cam.Watching("main") != 1 {
		t.Error("the main stream was lost over it")
	}
	n := w.send("main", true)
	for u, err := r.Next(w.ctx); numberOf(u.NALs) != n; u, err = r.Next(w.ctx) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAKeyPictureIsAskedForWhereTheCameraCanBe(t *testing.T) {
	asked := make(chan struct{}, 10)
	w := pull(t, camera.Opts{}, func(o *PullOpts) {
		o.AskKey = func(context.Context) error { asked <- struct{}{}; return nil }
	})
	w.until("playing", func() bool { return w.s.State().From != "" })
	if !w.s.AskKey() {
		t.Fatal("it cannot be asked")
	}
	<-asked
}
