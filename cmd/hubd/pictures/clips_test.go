package pictures

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/recorder"
	"tocsin/firmware/video/stream"
)

// fixed is a clock that stands unless it is moved, from one goroutine.
type fixed struct{ mono time.Duration }

func (f *fixed) Now() clock.Stamp { return clock.Stamp{Boot: "boot", Mono: f.mono} }

// filmed is what a station's recorder keeps of two seconds of a test card.
func filmed(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile("../testdata/clip.h264")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Minute
	s := stream.New(stream.Opts{Name: "square", Now: func() time.Duration { return now }})
	r := s.Reader(stream.ReaderOpts{Name: "recorder"})
	w, err := s.Open("test")
	if err != nil {
		t.Fatal(err)
	}
	var nals [][]byte
	at := int64(0)
	for _, n := range bytes.Split(raw, []byte{0, 0, 1}) {
		if n = bytes.TrimRight(n, "\x00"); len(n) == 0 {
			continue
		}
		nals = append(nals, n)
		if kind := n[0] & 31; kind == 1 || kind == 5 {
			if err := w.Picture(stream.H264, at, at, nals); err != nil {
				t.Fatal(err)
			}
			nals, at, now = nil, at+6000, now+time.Second/15
		}
	}
	w.Close(nil)
	s.End()
	ctx, cancel := context.WithCancel(context.Background())
	g := guard.New(ctx, nil, nil)
	dir := t.TempDir()
	rec, err := recorder.Open(recorder.Opts{Dir: dir, Stream: "square", Clock: &fixed{now}, Quota: 8 << 20, ClipQuota: 8 << 20,
		Go: func(name string, run func(context.Context) error) { g.Go("test", name, guard.Once, run) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Run(ctx, r); err != nil {
		t.Fatal(err)
	}
	for st := rec.State(); st.Segments == 0 || st.Waiting > 0 || st.Writing > 0; st = rec.State() {
		time.Sleep(time.Millisecond)
	}
	cancel()
	g.Wait(10 * time.Second)
	all, _ := filepath.Glob(filepath.Join(dir, "ring", "*"))
	for _, p := range all {
		if b, err := os.ReadFile(p); err == nil && bytes.Contains(b[:min(len(b), 64)], []byte("ftyp")) {
			return b
		}
	}
	t.Fatal("nothing was recorded: ", all)
	return nil
}

func clipOf(id, name string, b []byte) recorder.Clip {
	sum := sha256.Sum256(b)
	return recorder.Clip{ID: id, Stream: name, Cause: "flood-1", Title: phrase.Text{ZH: "山洪 立即转移<b>", EN: "flood, evacuate"}, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]), Finished: true, Last: 2 * time.Second,
		Began: time.Date(2026, 7, 1, 22, 30, 0, 0, time.UTC), Trust: clock.Set}
}

// waits tells the hub how many clips wait at a station, and looks.
func (w *world) waits(s letter.Station, n int) {
	w.t.Helper()
	b, err := letter.Catalogue{Clips: n, Streams: []letter.StreamOf{{Name: "square", Title: phrase.Text{ZH: "广场", EN: "square"}, State: letter.StreamLive}}}.Bytes()
	if err == nil {
		err = w.Told(s, b)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.pass(0)
}

// sink brings clips as a station does that was asked so.
func (w *world) sink(b *letter.Bring) *recorder.HTTPSink {
	h := httptest.NewServer(w.WHIP())
	w.t.Cleanup(h.Close)
	return &recorder.HTTPSink{Base: h.URL + strings.TrimPrefix(b.URL, "https://hub.example:8472"), Client: h.Client(), Authorize: func(q *http.Request) error {
		q.Header.Set("Authorization", "Bearer "+b.Token)
		return nil
	}}
}

func (w *world) bring(b *letter.Bring, c recorder.Clip, raw []byte) error {
	s := w.sink(b)
	if _, err := s.Have(w.ctx, c); err != nil {
		return err
	}
	return s.Put(w.ctx, c, 0, c.Size, bytes.NewReader(raw))
}

func TestAStationIsAskedForItsClipsWhileItHasSome(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Hour)
	if w.box.count() != 0 {
		t.Fatal("asked for clips that there are not")
	}
	w.waits(upper, 1)
	b := w.box.nth(t, 1).Bring
	if b == nil || b.URL != "https://hub.example:8472/clips/"+string(upper) {
		t.Fatalf("%+v", b)
	}
	// Again before the token ends; the older one is good until its end, since a part may be on its way by it.
	w.waits(upper, 1)
	w.pass(letter.TokenFor/2 - time.Second)
	if w.box.count() != 1 {
		t.Error("asked too often")
	}
	w.waits(upper, 1)
	w.pass(time.Second)
	second := w.box.nth(t, 2).Bring
	raw := []byte("some bytes that are no picture")
	if err := w.bring(b, clipOf("b-1", "square", raw), raw); err != nil {
		t.Error(err)
	}
	if err := w.bring(second, clipOf("b-2", "square", raw), raw); err != nil {
		t.Error(err)
	}
	// Neither strangers, nor a station for another, nor anybody after the time.
	for name, bad := range map[string]letter.Bring{"no token": {URL: b.URL, Token: "x"}, "another station": {URL: strings.ReplaceAll(b.URL, string(upper), string(lower)), Token: second.Token}} {
		if err := w.bring(&bad, clipOf("b-3", "square", raw), raw); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if r := w.push(&letter.Push{URL: "https://hub.example:8472/whip/" + string(upper) + "/square", Token: second.Token}); r.Code != 401 {
		t.Errorf("a token for clips lets in a stream: %d", r.Code)
	}
	w.waits(upper, 0)
	w.pass(letter.TokenFor)
	if err := w.bring(second, clipOf("b-4", "square", raw), raw); err == nil {
		t.Error("taken after its time")
	}
	if w.box.count() != 2 {
		t.Errorf("asked %d times", w.box.count())
	}
	// One that refuses is asked later and later, and the page says why.
	w.box.mu.Lock()
	w.box.refuse = phrase.E("pictures.no_answer")
	w.box.mu.Unlock()
	w.waits(upper, 2)
	for range 60 {
		w.pass(time.Second)
	}
	if n := w.box.count(); n < 5 || n > 8 {
		t.Errorf("asked %d times in a minute", n-2)
	}
	if s := w.state(phrase.ZH, "a", nil); !strings.Contains(s.Stations[0].Clips, "有 2 个报警片段待传") || !strings.Contains(s.Stations[0].Clips, "没有应答") {
		t.Errorf("%+v", s.Stations[0])
	}
}

func TestAClipIsShownToWhoeverMayAndThatIsWrittenDown(t *testing.T) {
	w := newWorld(t)
	raw := filmed(t)
	w.waits(upper, 1)
	b := w.box.nth(t, 1).Bring
	c := clipOf("boot-0001-square", "square", raw)
	if err := w.bring(b, c, raw); err != nil {
		t.Fatal(err)
	}
	e := w.o.Diary.Recent(1)[0]
	if e.Kind != Came || e.SHA256 != c.SHA256 || e.Clip != c.ID || e.Cause != c.Cause || e.Bytes != c.Size {
		t.Errorf("%+v", e)
	}
	page := send(w.Page(), "GET", "/pictures/state?lang=zh", "", "X-Who", "王芳 chief").Body.String()
	for _, want := range []string{`山洪 立即转移\u003cb\u003e`, c.SHA256, "收齐，校验一致", `"key":"` + string(upper) + `/boot-0001-square"`, "广场"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	form := func(who, clip, why string) *httptest.ResponseRecorder {
		return send(w.Page(), "POST", "/pictures/clip?lang=en", "clip="+clip+"&why="+why, "X-Who", who, "Content-Type", "application/x-www-form-urlencoded")
	}
	key := string(upper) + "/boot-0001-square"
	for name, x := range map[string]struct {
		who, clip, why string
		code           int
	}{
		"no role":       {"Li", key, "fire", 403},
		"no reason":     {"王芳 chief", key, "", 422},
		"no such clip":  {"王芳 chief", string(upper) + "/x", "fire", 404},
		"another's":     {"王芳 chief", string(lower) + "/boot-0001-square", "fire", 404},
		"out of bounds": {"王芳 chief", "../" + key, "fire", 404},
	} {
		if r := form(x.who, x.clip, x.why); r.Code != x.code {
			t.Errorf("%s: %d", name, r.Code)
		}
	}
	if n := len(w.o.Diary.Recent(9)); n != 1 {
		t.Errorf("%d entries", n)
	}
	r := form("王芳 chief", key, "flood")
	at := r.Header().Get("Location")
	if r.Code != 201 || !strings.HasPrefix(at, "/pictures/film/") {
		t.Fatalf("%d %v", r.Code, r.Header())
	}
	if e := w.o.Diary.Recent(1)[0]; e.Kind != Played || e.Who != "王芳" || e.Why != "flood" || !e.Masked || e.Clip != c.ID || !e.Running {
		t.Errorf("%+v", e)
	}
	var shown FilmState
	if err := json.Unmarshal(r.Body.Bytes(), &shown); err != nil || len(shown.Mask) != 1 || shown.Mask[0].Left != 0.5 || !strings.Contains(shown.Clip.What, "flood, evacuate") || shown.Clip.Sum != c.SHA256 || shown.Film != at+"/film.mp4" || shown.File != "" || shown.Why != "flood" {
		t.Errorf("%v: %+v", err, shown)
	}
	film := send(w.Page(), "GET", at+"/film.mp4", "", "X-Who", "王芳 chief", "Range", "bytes=0-99")
	if film.Code != 206 || film.Header().Get("Cache-Control") != "no-store" || !bytes.Contains(film.Body.Bytes(), []byte("ftyp")) {
		t.Errorf("%d %v", film.Code, film.Header())
	}
	// The picture is his alone, and bytes without a mask are for those who see it bare.
	if r := send(w.Page(), "GET", at+"/film.mp4", "", "X-Who", "Li chief"); r.Code != 404 {
		t.Errorf("another got it: %d", r.Code)
	}
	if r := send(w.Page(), "GET", at+"/clip.mp4", "", "X-Who", "王芳 chief"); r.Code != 403 {
		t.Errorf("%d", r.Code)
	}
	bare := form("Zhao police chief", key, "case 7")
	to := bare.Header().Get("Location")
	if got := send(w.Page(), "GET", to+"/clip.mp4", "", "X-Who", "Zhao police chief").Body.Bytes(); !bytes.Equal(got, raw) {
		t.Errorf("%d bytes of %d are not what was sent", len(got), len(raw))
	}
	// It ends when it is closed, or when nobody asks for it any more.
	if r := send(w.Page(), "DELETE", at, "", "X-Who", "王芳 chief"); r.Code != 200 {
		t.Errorf("%d", r.Code)
	}
	ended := func(who string, left time.Duration) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			for _, e := range w.o.Diary.Recent(9) {
				if e.Who == who && !e.To.IsZero() {
					if e.To.Sub(e.From) != left {
						t.Errorf("%+v", e)
					}
					return
				}
			}
			if time.Now().After(deadline) {
				t.Fatal(who, " never ends")
			}
		}
	}
	ended("王芳", 0)
	w.pass(filmIdle - time.Second)
	send(w.Page(), "POST", to, "", "X-Who", "Zhao police chief") // the page is still open
	w.pass(filmIdle - time.Second)
	if r := send(w.Page(), "GET", to+"/film.mp4", "", "X-Who", "Zhao police chief"); r.Code != 200 {
		t.Errorf("%d", r.Code)
	}
	w.pass(filmIdle)
	ended("Zhao", 2*(filmIdle-time.Second))
	table := send(w.Page(), "GET", "/pictures/seen.csv", "").Body.String()
	if n := strings.Count(table, c.SHA256); n != 5 {
		t.Errorf("the hash stands %d times in\n%s", n, table)
	}
}

func TestAClipOfOtherBytesIsKeptAndNotPlayed(t *testing.T) {
	w := newWorld(t)
	raw := []byte("some bytes that are no picture")
	w.waits(upper, 1)
	if err := w.bring(w.box.nth(t, 1).Bring, clipOf("b-1", "dock-1", raw), raw); err != nil {
		t.Fatal(err)
	}
	r := send(w.Page(), "POST", "/pictures/clip", "clip="+string(upper)+"/b-1&why=fire", "X-Who", "Li", "Content-Type", "application/x-www-form-urlencoded")
	if b, _ := io.ReadAll(r.Body); r.Code != 422 || !strings.Contains(string(b), "pictures.clip_odd") {
		t.Errorf("%d %s", r.Code, b)
	}
}

func TestWhatIsNotKeptAnyMoreIsTold(t *testing.T) {
	w := newWorld(t)
	raw := []byte("x")
	w.waits(upper, 1)
	if err := w.bring(w.box.nth(t, 1).Bring, clipOf("b-1", "dock-1", raw), raw); err != nil {
		t.Fatal(err)
	}
	w.waits(upper, 0)
	w.pass(90 * 24 * time.Hour)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if e := w.o.Diary.Recent(1)[0]; e.Kind == Went {
			if s := w.seen(e, phrase.ZH); !strings.Contains(s.What, "清除") || !strings.Contains(s.Why, "保存期满") || s.Odd {
				t.Errorf("%+v", s)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it stays for ever")
		}
	}
	if s := w.state(phrase.EN, "a", nil); len(s.Clips) != 0 || s.Shelf == nil {
		t.Errorf("%+v", s)
	}
}

func TestACountyThatWantsNoClipsGetsNone(t *testing.T) {
	w := newWorld(t)
	w.shelf = nil
	w.waits(upper, 3)
	w.pass(time.Minute)
	if w.box.count() != 0 {
		t.Error("asked")
	}
	if r := send(w.WHIP(), "HEAD", "/clips/"+string(upper)+"/x", ""); r.Code != 403 {
		t.Error(r.Code)
	}
	if r := send(w.Page(), "POST", "/pictures/clip", "clip=a/b&why=fire", "Content-Type", "application/x-www-form-urlencoded"); r.Code != 404 {
		t.Error(r.Code)
	}
	if b := send(w.Page(), "GET", "/pictures/?lang=zh", "").Body.String(); strings.Contains(b, `id="clips"`) {
		t.Error("the page lists them")
	}
}
