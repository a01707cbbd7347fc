package video

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"tocsin/firmware/video/terms"

	"log/slog"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/ladder"
	"tocsin/firmware/video/recorder"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

var (
	sps = unhex("674d400bda05067e7c0440000003004000000523c50aa8")
	pps = unhex("68ef0fc8")
)

func picture(key bool, size int) [][]byte {
	if key {
		return [][]byte{sps, pps, append([]byte{0x65, 0x88}, bytes.Repeat([]byte{0x55}, size)...)}
	}
	return [][]byte{append([]byte{0x41, 0x9a}, bytes.Repeat([]byte{0x55}, size)...)}
}

// child is a relay served as the daemon's child is, in this process.
type child struct {
	*testing.T
	plan   terms.Plan
	client *http.Client
	relay  *Relay
	clock  clock.Clock
}

func run(t *testing.T, p terms.Plan) *child { return runWith(t, p, nil) }

// runWith changes the relay before it runs.
func runWith(t *testing.T, p terms.Plan, change func(*Relay)) *child {
	rules, err := os.ReadFile("../../configs/" + ladder.RulesName)
	if err != nil {
		t.Fatal(err)
	}
	p.Rules, p.Loopback = string(rules), true
	if p.Listen == "" {
		p.Listen = "127.0.0.1:0"
	}
	at := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{T: t, plan: p, clock: clock.NewSystem(time.Time{}, clock.Set)}
	c.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", at)
	}}}
	ctx, end := context.WithCancel(context.Background())
	g := guard.New(ctx, slog.New(slog.DiscardHandler), func(guard.Event) {})
	if c.relay, err = New(p, g, c.clock, slog.New(slog.NewTextHandler(t.Output(), nil))); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(c.relay)
	}
	h := &http.Server{Handler: c.relay.Handler()}
	done := make(chan struct{})
	go func() { h.Serve(l); close(done) }()
	ran := make(chan error, 1)
	go func() { ran <- c.relay.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		h.Close()
		<-done
		if left := g.Wait(20 * time.Second); left != nil {
			t.Errorf("still running: %v", left)
		}
	})
	return c
}

func (c *child) do(method, path, typ string, body io.Reader, into any) *http.Response {
	c.Helper()
	q, err := http.NewRequestWithContext(c.Context(), method, "http://video"+path, body)
	if err != nil {
		c.Fatal(err)
	}
	q.Header.Set("Content-Type", typ)
	res, err := c.client.Do(q)
	if err != nil {
		c.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if into != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(b, into); err != nil {
			c.Fatalf("%v: %s", err, b)
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(b))
	return res
}

// feed publishes 25 pictures a second until the test ends.
func (c *child) feed(name, key string, size int) {
	c.Helper()
	w, err := c.relay.desk.Publish(source.Asker{Way: "test", Stream: name, Key: key, Remote: netip.MustParseAddrPort("192.0.2.1:1")})
	if err != nil {
		c.Fatal(err)
	}
	done := make(chan struct{})
	ctx := c.Context()
	go func() {
		defer close(done)
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for i := int64(0); ctx.Err() == nil; i++ {
			w.Picture(stream.H264, i*3600, i*3600, picture(i%25 == 0, size))
			<-tick.C
		}
		w.Close(nil)
	}()
	c.Cleanup(func() { <-done })
}

func (c *child) until(what string, is func(terms.State) bool) terms.State {
	c.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var s terms.State
		c.do("GET", "/state", "", nil, &s)
		if is(s) {
			return s
		}
		if time.Now().After(end) {
			c.Fatalf("never %s: %+v", what, s)
		}
	}
}

func TestOnlyWhoHasTheKeyPublishes(t *testing.T) {
	now := time.Hour
	st := func(n string, s terms.Source) *entry {
		s.Name = n
		return &entry{plan: s, stream: stream.New(stream.Opts{Name: n, Now: func() time.Duration { return now }})}
	}
	d := newDesk(func() time.Duration { return now }, map[string]*entry{
		"drone": st("drone", terms.Source{Key: "right", View: "look"}), "dam": st("dam", terms.Source{Pull: []string{"rtsp://x"}}), "ts": st("ts", terms.Source{TS: ":1"})})
	ask := func(way, name, key, from string) error {
		w, err := d.Publish(source.Asker{Way: way, Stream: name, Key: key, Remote: netip.AddrPortFrom(netip.MustParseAddr(from), 9)})
		if err == nil {
			w.Close(nil)
		}
		return err
	}
	var said []string
	for _, c := range []struct {
		way, name, key string
		ok             bool
	}{
		{"rtmp", "drone", "right", true}, {"rtmp", "drone", "wrong", false}, {"rtmp", "drone", "", false}, {"rtmp", "drone", "look", false},
		{"rtmp", "dam", "", false}, {"rtmp", "nobody", "", false}, {"ts", "ts", "", true}, {"rtmp", "ts", "", false}, {"ts", "drone", "", false},
	} {
		now += time.Minute
		err := ask(c.way, c.name, c.key, "192.0.2.7")
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil {
			said = append(said, phrase.In(err, phrase.EN))
		}
	}
	for _, s := range said {
		if s != said[0] {
			t.Errorf("%q and %q tell what is there and what is not", s, said[0])
		}
	}
	// Guessing is slowed down, for whoever guesses alone.
	for range guesses {
		ask("rtmp", "drone", "guess", "192.0.2.8")
	}
	if err := ask("rtmp", "drone", "right", "192.0.2.8"); err == nil {
		t.Error("guessing goes on")
	}
	if err := ask("rtmp", "drone", "right", "192.0.2.9"); err != nil {
		t.Error(err)
	}
	now += guessWait + time.Second
	if err := ask("rtmp", "drone", "right", "192.0.2.8"); err != nil {
		t.Error(err)
	}
	for i := range 3 * guessKnown { // many guessers take no memory
		ask("rtmp", "drone", "guess", netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
	}
	if len(d.missed) > guessKnown {
		t.Errorf("%d addresses", len(d.missed))
	}
	if _, err := d.View(source.Asker{Stream: "drone", Key: "look", Remote: netip.MustParseAddrPort("192.0.2.9:1")}); err != nil {
		t.Error(err)
	}
}

// snapper is a camera that makes stills itself.
type snapper struct{ b []byte }

func (s snapper) Snapshot(context.Context) ([]byte, error) { return s.b, nil }

func still(t *testing.T, w, h int) []byte {
	var b bytes.Buffer
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = byte(i * 7)
	}
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheCountySeesThePictureAndThenStillsAndThenThePicture(t *testing.T) {
	// The county's end is the same room as the box's own.
	mono := clock.NewSystem(time.Time{}, clock.Set)
	now := func() time.Duration { return mono.Now().Mono }
	g := guard.New(t.Context(), slog.New(slog.DiscardHandler), func(guard.Event) {})
	county, err := whep.New(whep.Opts{Now: now, Start: g.Starter("county"), Listen: "127.0.0.1:0", Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := stream.New(stream.Opts{Name: "drone", Now: now})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /whip", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-0123456789" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		o, err := whep.Offer(r)
		var a string
		var v *whep.Session
		if err == nil {
			a, v, err = county.Publish(r.Context(), o, "station", func() (*stream.Writer, error) { return seen.Open("whip") })
		}
		whep.Answer(w, a, v, "/whip", err)
	})
	mux.HandleFunc("/whip/{id}", func(w http.ResponseWriter, r *http.Request) { county.End(w, r, r.PathValue("id")) })
	h := httptest.NewServer(mux)
	defer h.Close()
	defer county.Close()

	c := run(t, terms.Plan{Streams: []terms.Source{{Name: "drone", Key: "k"}}})
	c.relay.streams["drone"].camera = snapper{still(t, 1280, 720)}
	c.feed("drone", "k", 10_000) // 2 Mbit/s
	push := func(token string) *http.Response {
		b, _ := json.Marshal(terms.Push{URL: h.URL + "/whip", Token: token})
		return c.do("POST", "/push/drone", "application/json", bytes.NewReader(b), nil)
	}
	c.until("a picture came", func(s terms.State) bool { return s.Streams[0].Codec == "H.264" })
	if s := push("wrong-0123456789").StatusCode; s != http.StatusBadGateway {
		t.Errorf("a wrong token: %d", s)
	}
	if s := c.do("POST", "/push/other", "application/json", strings.NewReader("{}"), nil).StatusCode; s != http.StatusBadGateway {
		t.Errorf("a stream that there is not: %d", s)
	}
	if res := push("token-0123456789"); res.StatusCode != 200 {
		b, _ := io.ReadAll(res.Body)
		t.Fatalf("%d %s", res.StatusCode, b)
	}
	r := seen.Reader(stream.ReaderOpts{})
	for range 20 {
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.until("told", func(s terms.State) bool { return s.Streams[0].Push != nil && s.Streams[0].Push.Connected })
	// The links bear 40 kbit/s for pictures: stills, and the reason for it.
	before := seen.Still().Number
	c.do("PUT", "/budget?bits=40000", "", nil, nil)
	s := c.until("a lower rung", func(s terms.State) bool {
		return s.Streams[0].Push != nil && s.Streams[0].Push.Rung >= int(ladder.Stills)
	})
	if s.Streams[0].Push.Reason.IsZero() {
		t.Error("nobody says why")
	}
	for end := time.Now().Add(time.Minute); seen.Still().Number == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no still came")
		}
	}
	if cfg, err := jpeg.DecodeConfig(bytes.NewReader(seen.Still().JPEG)); err != nil || cfg.Width > 640 {
		t.Errorf("%v, %+v", err, cfg)
	}
	c.do("DELETE", "/push/drone", "", nil, nil)
	for end := time.Now().Add(time.Minute); seen.State().From != ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the county was not told of the end")
		}
	}
	// With room again it begins at the top.
	c.do("PUT", "/budget?bits=0", "", nil, nil)
	if res := push("token-0123456789"); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	if _, err := r.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasSeenAroundAnAlarmIsKept(t *testing.T) {
	c := run(t, terms.Plan{Streams: []terms.Source{{Name: "dam", Key: "k", Record: true}, {Name: "yard", Key: "k"}}, Record: &terms.Record{Dir: t.TempDir(), Quota: 64 << 20, ClipQuota: 64 << 20}})
	c.feed("dam", "k", 2000)
	c.until("recording", func(s terms.State) bool {
		r := s.Streams[0].Record
		return r != nil && r.Segments > 0 && r.Bytes > 10_000
	})
	var clips []recorder.Clip
	c.do("POST", "/pin", "application/json", strings.NewReader(`{"cause":"alarm-1","before_ns":60000000000,"after_ns":1000000000}`), &clips)
	if len(clips) != 1 || clips[0].Stream != "dam" || clips[0].Cause != "alarm-1" {
		t.Fatalf("%+v", clips)
	}
	var done []terms.Clip
	mark := uint64(0)
	c.until("the clip is finished", func(s terms.State) bool {
		if s.Clips == 0 || s.Clips == mark {
			return false
		}
		mark = s.Clips
		c.do("GET", "/clips", "", nil, &done)
		return len(done) == 1 && done[0].Finished
	})
	if len(done[0].SHA256) != 64 || done[0].Size == 0 {
		t.Errorf("%+v", done[0])
	}
	res := c.do("GET", "/clip/dam/"+done[0].ID, "", nil, nil)
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || !bytes.Contains(b[:min(64, len(b))], []byte("ftyp")) {
		t.Errorf("%d, %d bytes", res.StatusCode, len(b))
	}
	for path, want := range map[string]int{"/spans/dam": 200, "/clips/dam": 200, "/spans/yard": 404, "/clip/dam/none": 404, "/film/dam?from=x&to=y": 400, "/film/dam?from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z": 404, "/still/nobody": 404, "/still/yard": 404} {
		if res := c.do("GET", path, "", nil, nil); res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestTheParentTellsTheTime(t *testing.T) {
	c := run(t, terms.Plan{})
	c.relay.clock.(*clock.System).Doubt(clock.Free)
	at := time.Now().Add(3 * time.Hour).Round(0)
	b, _ := json.Marshal(clock.Stamp{Wall: at, Trust: clock.Set})
	if s := c.do("PUT", "/clock", "application/json", bytes.NewReader(b), nil).StatusCode; s != 200 {
		t.Fatal(s)
	}
	if now := c.clock.Now(); now.Trust != clock.Set || now.Wall.Before(at) || now.Wall.After(at.Add(time.Minute)) {
		t.Errorf("%+v", now)
	}
	if s := c.do("PUT", "/clock", "application/json", strings.NewReader("{"), nil).StatusCode; s != 400 {
		t.Error(s)
	}
}

func TestACamerasStillIsMadeSmall(t *testing.T) {
	b, err := fit(still(t, 1920, 1080), 640, 360)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := jpeg.DecodeConfig(bytes.NewReader(b)); err != nil || c.Width != 640 || c.Height != 360 {
		t.Errorf("%+v, %v", c, err)
	}
	if b, err := fit(still(t, 100, 50), 640, 360); err != nil {
		t.Error(err)
	} else if c, _ := jpeg.DecodeConfig(bytes.NewReader(b)); c.Width != 100 {
		t.Errorf("%+v", c)
	}
	for _, bad := range [][]byte{nil, []byte("no picture"), still(t, 10, 10)[:40]} {
		if _, err := fit(bad, 640, 360); err == nil {
			t.Errorf("%d bytes were taken", len(bad))
		}
	}
}

func FuzzFit(f *testing.F) {
	var b bytes.Buffer
	jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 9, 7)), nil)
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := jpeg.DecodeConfig(bytes.NewReader(raw)); err == nil && c.Width*c.Height > 1<<20 {
			return // takes long, and is bounded elsewhere
		}
		fit(raw, 64, 36)
	})
}
