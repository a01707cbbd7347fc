package pictures

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/cmd/hubd/engine"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

const (
	upper letter.Station = "330483105203"
	lower letter.Station = "330402001001"
)

// phones is WebRTC without a network: an offer is a word, and pictures come when the test says so.
type phones struct {
	mu     sync.Mutex
	writer *stream.Writer
	calls  []*phone
	refuse error
}

type phone struct {
	once sync.Once
	done chan struct{}
	who  string
}

func (c *phone) Done() <-chan struct{} { return c.done }
func (c *phone) Close()                { c.once.Do(func() { close(c.done) }) }

func (m *phones) call(who string) *phone {
	c := &phone{done: make(chan struct{}), who: who}
	m.calls = append(m.calls, c)
	return c
}

func (m *phones) View(_ context.Context, _ *stream.Stream, offer, who string) (string, Call, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return "answer to " + offer, m.call(who), m.refuse
}

func (m *phones) Publish(_ context.Context, offer, _ string, open func() (*stream.Writer, error)) (string, Call, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return "", nil, m.refuse
	}
	w, err := open()
	if err != nil {
		return "", nil, err
	}
	m.writer = w
	return "answer to " + offer, m.call("station"), nil
}

// last is the newest call.
func (m *phones) last() *phone {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[len(m.calls)-1]
}

// picture sends one key picture: parameter sets of 16 by 16 and an IDR slice.
func (m *phones) picture(t *testing.T, pts int64) {
	t.Helper()
	m.mu.Lock()
	w := m.writer
	m.mu.Unlock()
	sps := []byte{0x67, 0x42, 0xc0, 0x0a, 0xda, 0x7a, 0x42, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x05, 0x07, 0x89, 0x13, 0x50}
	for i := range int64(3) { // a picture is whole when the next begins
		if err := w.Picture(stream.H264, pts+i*3000, pts+i*3000, [][]byte{append([]byte(nil), sps...), {0x68, 0xce, 0x3c, 0x80}, {0x65, 0x88, 0x84, 0x00, 0x10}}); err != nil {
			t.Fatal(err)
		}
	}
}

// box is a station that is asked.
type box struct {
	mu     sync.Mutex
	asked  []letter.Ask
	refuse error
	came   chan struct{}
	late   chan struct{} // where set, an answer waits until it is closed
}

func (b *box) Ask(_ context.Context, s letter.Station, a letter.Ask) error {
	b.mu.Lock()
	b.asked = append(b.asked, a)
	err, late := b.refuse, b.late
	b.mu.Unlock()
	select {
	case b.came <- struct{}{}:
	default:
	}
	if late != nil {
		<-late
	}
	return err
}

// push waits for the n-th that was asked.
func (b *box) nth(t *testing.T, n int) letter.Ask {
	t.Helper()
	for {
		b.mu.Lock()
		if len(b.asked) >= n {
			a := b.asked[n-1]
			b.mu.Unlock()
			return a
		}
		b.mu.Unlock()
		select {
		case <-b.came:
		case <-time.After(10 * time.Second):
			t.Fatalf("the station was not asked %d times", n)
		}
	}
}

func (b *box) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.asked)
}

// voices note what was spoken.
type voices struct {
	mu     sync.Mutex
	said   []byte
	closed int
}

func (v *voices) Talk(context.Context, letter.Station, string, string) (Voice, error) { return v, nil }
func (v *voices) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.said = append(v.said, b...)
	return len(b), nil
}
func (v *voices) Close() error { v.mu.Lock(); defer v.mu.Unlock(); v.closed++; return nil }

type world struct {
	*Pictures
	t      *testing.T
	at     atomic.Int64
	phones *phones
	box    *box
	voices *voices
	ctx    context.Context
}

// pass lets time go by, once every station that was asked has answered.
func (w *world) pass(d time.Duration) {
	for asking := true; asking; {
		w.mu.Lock()
		asking = false
		for _, f := range w.feeds {
			asking = asking || f.asking
		}
		for _, b := range w.brings {
			asking = asking || b.asking
		}
		w.mu.Unlock()
		if asking {
			time.Sleep(time.Millisecond)
		}
	}
	w.at.Add(int64(d))
	w.look(w.ctx)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, phones: &phones{}, box: &box{came: make(chan struct{}, 64)}, voices: &voices{}}
	w.at.Store(time.Date(2026, 7, 1, 22, 40, 0, 0, time.UTC).UnixNano())
	f := &hubfile.File{Name: phrase.Text{ZH: "桐乡市", EN: "Tongxiang"}, Data: t.TempDir(), NATS: hubfile.NATS{Listen: "127.0.0.1:0"},
		Stations: map[string]hubfile.Station{string(upper): {Name: phrase.Text{ZH: "环渡村<script>", EN: "Huandu"}}, string(lower): {}},
		Pictures: &hubfile.Pictures{Clips: &hubfile.Clips{}, Views: []hubfile.View{
			{Streams: []string{"square"}, Roles: []string{"chief"}, Talk: []string{"chief"}, Bare: []string{"police"}, Mask: []hubfile.Part{{Left: 0.5, Top: 0, Width: 0.5, Height: 0.25}}},
		}}}
	ctx, cancel := context.WithCancel(context.Background())
	g := guard.New(ctx, nil, nil)
	e, err := engine.Open(ctx, f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); g.Wait(10 * time.Second); e.Close() })
	w.ctx = ctx
	w.Pictures, err = New(Opts{File: f, Media: w.phones, Ask: w.box, Diary: NewDiary(e.JS), Talk: w.voices, Guard: g, Shelf: filepath.Join(f.Data, "clips"),
		Who: func(r *http.Request) (string, []string) {
			name, roles, _ := strings.Cut(r.Header.Get("X-Who"), " ")
			return name, strings.Fields(roles)
		},
		Now: func() time.Time { return time.Unix(0, w.at.Load()) }, Mono: func() time.Duration { return time.Duration(w.at.Load()) }}, "https://hub.example:8472")
	if err != nil {
		t.Fatal(err)
	}
	w.told(upper)
	return w
}

func (w *world) told(s letter.Station) {
	w.t.Helper()
	b, err := letter.Catalogue{Talk: true, Streams: []letter.StreamOf{
		{Name: "dock-1", Title: phrase.Text{ZH: "机场一", EN: "dock one"}, State: letter.StreamLive, Rung: 3, Reason: phrase.M("letter.empty")},
		{Name: "square", State: letter.StreamIdle}}}.Bytes()
	if err == nil {
		err = w.Told(s, b)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func send(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8470"+path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// see asks for a stream as a browser does.
func (w *world) see(who, key, why string) <-chan *httptest.ResponseRecorder {
	out := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		out <- send(w.Page(), "POST", "/pictures/whep/"+key+"?why="+why, "offer", "Content-Type", "application/sdp", "X-Who", who)
	}()
	return out
}

// push brings a stream as a station does.
func (w *world) push(p *letter.Push) *httptest.ResponseRecorder {
	w.t.Helper()
	return send(w.WHIP(), "POST", strings.TrimPrefix(p.URL, "https://hub.example:8472"), "offer", "Content-Type", "application/sdp", "Authorization", "Bearer "+p.Token)
}

// shown lets one viewer see a stream, and gives the address of the viewing and of the push.
func (w *world) shown(who, key string) (view, push string, p *letter.Push) {
	w.t.Helper()
	before := w.box.count()
	out := w.see(who, key, "fire")
	w.kicked()
	p = w.box.nth(w.t, before+1).Push
	r := w.push(p)
	if r.Code != 201 {
		w.t.Fatalf("%d %s", r.Code, r.Body)
	}
	w.phones.picture(w.t, 0)
	a := <-out
	if a.Code != 201 || a.Body.String() != "answer to offer" || a.Header().Get("Content-Type") != "application/sdp" {
		w.t.Fatalf("%d %s", a.Code, a.Body)
	}
	return a.Header().Get("Location"), r.Header().Get("Location"), p
}

// kicked waits until somebody wants something, and looks.
func (w *world) kicked() {
	w.t.Helper()
	select {
	case <-w.kick:
	case <-time.After(10 * time.Second):
		w.t.Fatal("nobody wants anything")
	}
	w.look(w.ctx)
}

func TestAStationIsAskedForWhatIsSeenAndStoppedWhenNobodyLooks(t *testing.T) {
	w := newWorld(t)
	view, _, p := w.shown("王芳 fire", string(upper)+"/dock-1")
	if p.Stream != "dock-1" || p.URL != "https://hub.example:8472/whip/"+string(upper)+"/dock-1" || p.Until.Sub(w.o.Now()) > letter.TokenFor {
		t.Errorf("%+v", p)
	}
	// A second viewer has the picture that is there.
	second := <-w.see("Li", string(upper)+"/dock-1", "flood")
	if second.Code != 201 || w.box.count() != 1 {
		t.Errorf("%d, asked %d times", second.Code, w.box.count())
	}
	if r := send(w.Page(), "DELETE", view, "", "X-Who", "Li"); r.Code != 404 {
		t.Errorf("another ended it: %d", r.Code)
	}
	if r := send(w.Page(), "DELETE", view, "", "X-Who", "王芳"); r.Code != 200 {
		t.Errorf("%d", r.Code)
	}
	w.pass(time.Hour)
	if w.box.count() != 1 {
		t.Fatal("stopped while somebody looks")
	}
	w.phones.last().Close() // the second one's browser has gone
	for w.o.Diary.Recent(1)[0].To.IsZero() {
		time.Sleep(time.Millisecond)
	}
	w.pass(29 * time.Second)
	if w.box.count() != 1 {
		t.Fatal("stopped before the time")
	}
	w.pass(2 * time.Second)
	if a := w.box.nth(t, 2); a.Stop != "dock-1" {
		t.Errorf("%+v", a)
	}
	if r := w.push(p); r.Code != 401 {
		t.Errorf("pushed after the end: %d", r.Code)
	}
	// All of it is written down.
	got := w.o.Diary.Recent(10)
	if len(got) != 2 || got[1].Who != "王芳" || got[1].Why != "fire" || got[1].Stream != "dock-1" || got[1].To.IsZero() || got[0].Who != "Li" || got[0].To.Sub(got[0].From) != time.Hour {
		t.Errorf("%+v", got)
	}
	table := send(w.Page(), "GET", "/pictures/seen.csv", "").Body.String()
	if n := strings.Count(table, "\n"); n != 5 || !strings.Contains(table, "王芳") || !strings.Contains(table, "2026-07-01T23:40:00Z") {
		t.Errorf("%d lines: %s", n, table)
	}
	// And it is on the disk: another reads the same.
	again := NewDiary(w.o.Diary.js)
	w.o.Guard.Go("test", "diary", guard.Once, again.Run)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		all := again.Recent(10)
		if len(all) == 2 && !all[0].To.IsZero() && !all[1].To.IsZero() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("read again: %+v", all)
		}
	}
}

func TestATokenIsGoodOnceForOneStreamOfOneStation(t *testing.T) {
	w := newWorld(t)
	w.told(lower)
	key := string(upper) + "/dock-1"
	_ = w.see("a", key, "fire")
	w.kicked()
	p := w.box.nth(t, 1).Push
	at := func(path string) *letter.Push { x := *p; x.URL = "https://hub.example:8472" + path; return &x }
	with := func(token string) *letter.Push { x := *p; x.Token = token; return &x }
	for name, x := range map[string]*letter.Push{
		"another stream":   at("/whip/" + string(upper) + "/square"),
		"another station":  at("/whip/" + string(lower) + "/dock-1"),
		"nobody's stream":  at("/whip/x/y"),
		"no token":         with(""),
		"a guess":          with(secret()),
		"an endless token": with(strings.Repeat("a", 4000)),
	} {
		if r := w.push(x); r.Code != 401 || r.Header().Get("WWW-Authenticate") == "" || strings.Contains(r.Body.String(), p.Token) {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
	r := w.push(p)
	if r.Code != 201 {
		t.Fatal(r.Code, r.Body)
	}
	if again := w.push(p); again.Code != 401 {
		t.Errorf("used twice: %d", again.Code)
	}
	id := r.Header().Get("Location")
	if x := send(w.WHIP(), "PATCH", id, "", "Authorization", "Bearer "+p.Token); x.Code != 405 || x.Header().Get("Allow") != "DELETE" {
		t.Errorf("patch: %d", x.Code)
	}
	if x := send(w.WHIP(), "DELETE", id, "", "Authorization", "Bearer "+secret()); x.Code != 401 {
		t.Errorf("ended by another: %d", x.Code)
	}
	call := w.phones.last()
	if x := send(w.WHIP(), "DELETE", id, "", "Authorization", "Bearer "+p.Token); x.Code != 200 {
		t.Errorf("not ended: %d", x.Code)
	}
	<-call.Done()

	// The station is asked again, since somebody waits; that token is let grow old.
	w.pass(pauseFirst)
	q := w.box.nth(t, 2).Push
	if q.Token == p.Token {
		t.Error("the same token again")
	}
	w.at.Add(int64(letter.TokenFor))
	if r := w.push(q); r.Code != 401 {
		t.Errorf("after its time: %d", r.Code)
	}
}

// A station's pictures may come, and break off, before its word that it sends them.
func TestAWordThatComesAfterThePicturesHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	w.box.late = make(chan struct{})
	_ = w.see("a", string(upper)+"/dock-1", "fire")
	w.kicked()
	p := w.box.nth(t, 1).Push
	r := w.push(p)
	if r.Code != 201 {
		t.Fatal(r.Code, r.Body)
	}
	if x := send(w.WHIP(), "DELETE", r.Header().Get("Location"), "", "Authorization", "Bearer "+p.Token); x.Code != 200 {
		t.Fatal(x.Code)
	}
	close(w.box.late)
	w.pass(pauseFirst)
	w.box.nth(t, 2)
}

func TestABodyThatIsNoOfferIsRefused(t *testing.T) {
	w := newWorld(t)
	key := feedKey{upper, "dock-1"}
	w.mu.Lock()
	_, err := w.open(key)
	token, _ := w.tokens.issue(key, w.o.Now())
	w.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind, body string
		want       int
	}{
		"another kind": {"application/json", "{}", 415}, "no kind": {"", "x", 415}, "nothing": {"application/sdp", "", 400},
		"endless": {"application/sdp", strings.Repeat("a", offerMost+1), 413},
	} {
		if r := send(w.WHIP(), "POST", "/whip/"+key.String(), c.body, "Content-Type", c.kind, "Authorization", "Bearer "+token); r.Code != c.want {
			t.Errorf("WHIP, %s: %d", name, r.Code)
		}
		if r := send(w.WHIP(), "POST", "/whip/"+key.String(), c.body, "Content-Type", c.kind); r.Code != 401 {
			t.Errorf("WHIP without a token, %s: %d", name, r.Code)
		}
		if r := send(w.Page(), "POST", "/pictures/whep/"+key.String()+"?why=fire", c.body, "Content-Type", c.kind); r.Code != c.want {
			t.Errorf("WHEP, %s: %d", name, r.Code)
		}
	}
	for _, method := range []string{"GET", "PUT"} {
		if r := send(w.WHIP(), method, "/whip/"+key.String(), ""); r.Code != 405 {
			t.Errorf("%s: %d", method, r.Code)
		}
	}
	if w.box.count() != 0 || len(w.o.Diary.Recent(10)) != 0 {
		t.Error("somebody was asked for nothing")
	}
	// What was no offer has not used the token up.
	if r := w.push(&letter.Push{URL: "https://hub.example:8472/whip/" + key.String(), Token: token}); r.Code != 201 {
		t.Errorf("the offer after them: %d", r.Code)
	}
}

func TestNobodySeesWithoutARightAndAReason(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		who, stream, why string
		want             int
	}{
		"a masked stream without a role":    {"a", "square", "fire", 403},
		"a masked stream with another role": {"a fire police", "square", "fire", 403},
		"no reason":                         {"a", "dock-1", "", 422},
		"a reason of one letter":            {"a", "dock-1", "x", 422},
		"an endless reason":                 {"a", "dock-1", strings.Repeat("x", 121), 422},
		"a stream that nobody told of":      {"a", "dock-2", "fire", 404},
	} {
		if r := <-w.see(c.who, string(upper)+"/"+c.stream, c.why); r.Code != c.want {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
	if w.box.count() != 0 || len(w.o.Diary.Recent(10)) != 0 {
		t.Error("asked or written down")
	}
	r := send(w.Page(), "POST", "/pictures/whep/"+string(upper)+"/dock-1?why=fire", "offer", "Content-Type", "application/sdp", "Sec-Fetch-Site", "cross-site")
	if r.Code != 403 {
		t.Errorf("another site's page: %d", r.Code)
	}
	w.shown("a chief", string(upper)+"/square")
	if e := w.o.Diary.Recent(1)[0]; !e.Masked || !e.Running {
		t.Errorf("%+v", e)
	}
}

func TestAStationThatRefusesIsToldToTheViewerAndAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.box.refuse = phrase.E("letter.push_url")
	out := w.see("a", string(upper)+"/dock-1", "fire")
	w.kicked()
	r := <-out
	if r.Code != 503 || r.Header().Get("Retry-After") == "" || !strings.Contains(r.Body.String(), "https") {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if e := w.o.Diary.Recent(1)[0]; e.Failed.IsZero() || e.To.IsZero() {
		t.Errorf("%+v", e)
	}
	// At once again: it is not asked, and hears the same.
	if r := <-w.see("a", string(upper)+"/dock-1", "fire"); r.Code != 503 || w.box.count() != 1 {
		t.Errorf("%d, asked %d times", r.Code, w.box.count())
	}
	<-w.kick
	w.at.Add(int64(pauseFirst))
	w.box.mu.Lock()
	w.box.refuse = nil
	w.box.mu.Unlock()
	out = w.see("a", string(upper)+"/dock-1", "fire")
	w.kicked()
	w.push(w.box.nth(t, 2).Push)
	w.phones.picture(t, 0)
	if r := <-out; r.Code != 201 {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

func TestAPushThatBrokeOffIsAskedForAgainWhileSomebodyLooks(t *testing.T) {
	w := newWorld(t)
	w.shown("a", string(upper)+"/dock-1")
	view := w.phones.last()
	w.phones.mu.Lock()
	push := w.phones.calls[0]
	w.phones.mu.Unlock()
	push.Close()
	<-w.kick
	w.pass(pauseFirst)
	p := w.box.nth(t, 2).Push
	if r := w.push(p); r.Code != 201 {
		t.Fatal(r.Code, r.Body)
	}
	w.phones.picture(t, 900000)
	select {
	case <-view.Done():
		t.Error("the viewer was cut off")
	default:
	}
	// A station that pushes anew, as after its link changed, takes its own place.
	w.mu.Lock()
	f := w.feeds[feedKey{upper, "dock-1"}]
	token, until := w.tokens.issue(f.key, w.o.Now())
	w.mu.Unlock()
	old := w.phones.last()
	if r := w.push(&letter.Push{URL: p.URL, Token: token, Until: until}); r.Code != 201 {
		t.Fatal(r.Code, r.Body)
	}
	<-old.Done()
}

func TestAnOfferThatCannotBeAnsweredLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	out := w.see("a", string(upper)+"/dock-1", "fire")
	w.kicked()
	p := w.box.nth(t, 1).Push
	w.phones.refuse = whep.ErrOffer
	if r := w.push(p); r.Code != 400 {
		t.Fatal(r.Code)
	}
	w.phones.mu.Lock()
	w.phones.refuse = nil
	w.phones.mu.Unlock()
	w.pass(pushWithin)
	if r := w.push(w.box.nth(t, 2).Push); r.Code != 201 {
		t.Fatal(r.Code, r.Body)
	}
	w.phones.picture(t, 0)
	if r := <-out; r.Code != 201 {
		t.Error(r.Code, r.Body)
	}
}

func TestAnOfficerSpeaksAtAStation(t *testing.T) {
	w := newWorld(t)
	h := w.Page()
	if r := send(h, "POST", "/pictures/talk/"+string(upper)+"?why=go", "", "X-Who", "a fire"); r.Code != 403 {
		t.Errorf("without the role: %d", r.Code)
	}
	if r := send(h, "POST", "/pictures/talk/"+string(lower)+"?why=go", "", "X-Who", "a chief"); r.Code != 404 {
		t.Errorf("where nobody can: %d", r.Code)
	}
	r := send(h, "POST", "/pictures/talk/"+string(upper)+"?why=go", "", "X-Who", "a chief")
	if r.Code != 201 {
		t.Fatal(r.Code, r.Body)
	}
	at := r.Header().Get("Location")
	if r := send(h, "POST", "/pictures/talk/"+string(upper)+"?why=go", "", "X-Who", "b chief"); r.Code != 409 {
		t.Errorf("two at once: %d", r.Code)
	}
	if r := send(h, "POST", at, "\x55\xd5", "X-Who", "b chief"); r.Code != 404 {
		t.Errorf("another speaks: %d", r.Code)
	}
	if r := send(h, "POST", at, strings.Repeat("x", pieceMost+1), "X-Who", "a chief"); r.Code != 413 {
		t.Errorf("an endless piece: %d", r.Code)
	}
	for _, piece := range []string{"\x55\xd5", "\xd5\x55"} {
		if r := send(h, "POST", at, piece, "X-Who", "a chief"); r.Code != 204 {
			t.Errorf("%d", r.Code)
		}
	}
	w.pass(hushAfter + time.Second) // the browser has gone
	for {
		w.voices.mu.Lock()
		n, said := w.voices.closed, string(w.voices.said)
		w.voices.mu.Unlock()
		if n == 1 {
			if said != "\x55\xd5\xd5\x55" {
				t.Errorf("said %x", said)
			}
			break
		}
		time.Sleep(time.Millisecond)
	}
	for !func() bool { e := w.o.Diary.Recent(1)[0]; return e.Kind == Spoke && e.Who == "a" && !e.To.IsZero() }() {
		time.Sleep(time.Millisecond)
	}
}

func TestTheStateSaysWhoSeesWhat(t *testing.T) {
	w := newWorld(t)
	w.shown("王芳<b> chief", string(upper)+"/dock-1")
	w.pass(5 * time.Second)
	for lang, want := range map[string][]string{
		"zh": {"环渡村", "机场一", "王芳", "fire", "正在进行"},
		"en": {"Huandu", "dock one", "goes on"},
	} {
		r := send(w.Page(), "GET", "/pictures/state?lang="+lang, "", "X-Who", "a chief")
		for _, s := range want {
			if r.Code != 200 || !strings.Contains(r.Body.String(), s) {
				t.Errorf("%q: %d, without %q", lang, r.Code, s)
			}
		}
		for _, s := range []string{"pictures.s", "{count}", "<b>"} {
			if strings.Contains(r.Body.String(), s) {
				t.Errorf("%q: has %q", lang, s)
			}
		}
	}
	if r := send(w.Page(), "GET", "/pictures/", ""); r.Code != 303 || r.Header().Get("Location") != "/console/#/live" {
		t.Errorf("where the page was: %d %v", r.Code, r.Header())
	}
	var s State
	r := send(w.Page(), "GET", "/pictures/state?lang=zh", "", "X-Who", "a fire")
	if err := json.Unmarshal(r.Body.Bytes(), &s); err != nil || len(s.Stations) != 1 || len(s.Stations[0].Streams) != 2 {
		t.Fatalf("%v %s", err, r.Body)
	}
	dock, square := s.Stations[0].Streams[0], s.Stations[0].Streams[1]
	if !dock.May || !strings.Contains(dock.Behind, "5") || !dock.Late || !strings.Contains(dock.Rung, "只有关键帧") || !strings.Contains(dock.Rung, "内容是空的") || len(dock.Who) != 1 || !strings.Contains(dock.State, "H.264") {
		t.Errorf("%+v", dock)
	}
	if square.May || len(square.Mask) != 1 || s.Stations[0].Talk {
		t.Errorf("%+v", square)
	}
	r = send(w.Page(), "GET", "/pictures/ice", "", "X-Who", "a")
	if b, _ := io.ReadAll(r.Body); strings.TrimSpace(string(b)) != "[]" {
		t.Errorf("without a relay: %s", b)
	}
}

func TestAnEndThatWasNotWrittenIsShownAsNotKnown(t *testing.T) {
	w := newWorld(t)
	e := Entry{ID: "cut", Kind: Saw, Who: "a", Why: "fire", Station: upper, Stream: "dock-1", From: w.o.Now()}
	if err := w.o.Diary.Begin(w.ctx, e); err != nil {
		t.Fatal(err)
	}
	if s := w.state(phrase.EN, "a", nil); s.Seen[0].Odd || s.Seen[0].Until != "goes on" {
		t.Errorf("%+v", s.Seen[0])
	}
	// The hub was cut off here: the next one reads what there is.
	w.o.Diary = NewDiary(w.o.Diary.js)
	w.o.Guard.Go("test", "diary", guard.Once, w.o.Diary.Run)
	for limit := time.Now().Add(10 * time.Second); len(w.o.Diary.Recent(1)) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("nothing is read")
		}
	}
	if s := w.state(phrase.EN, "a", nil); !s.Seen[0].Odd || !strings.Contains(s.Seen[0].Until, "not known") {
		t.Errorf("%+v", s.Seen[0])
	}
}

func TestWhoLeavesBeforeThePictureIsWrittenDownAsThat(t *testing.T) {
	w := newWorld(t)
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "POST", "/pictures/whep/"+string(upper)+"/dock-1?why=fire", strings.NewReader("offer"))
	r.Header.Set("Content-Type", "application/sdp")
	done := make(chan struct{})
	go func() { defer close(done); w.Page().ServeHTTP(httptest.NewRecorder(), r) }()
	w.kicked()
	w.box.nth(t, 1)
	leave()
	<-done
	if e := w.o.Diary.Recent(1)[0]; e.Failed.Code != "pictures.left" || e.To.IsZero() {
		t.Errorf("%+v", e)
	}
	w.pass(time.Minute)
	if a := w.box.nth(t, 2); a.Stop != "dock-1" {
		t.Errorf("%+v", a)
	}
}

func TestStillsAreForWhoLooksAndTakeThePlaceOfPictures(t *testing.T) {
	w := newWorld(t)
	key := string(upper) + "/dock-1"
	w.shown("a", key)
	look := func(who string) *httptest.ResponseRecorder {
		return send(w.Page(), "GET", "/pictures/still/"+key, "", "X-Who", who)
	}
	if r := look("a"); r.Code != 404 {
		t.Errorf("there is none: %d", r.Code)
	}
	w.pass(time.Second)
	jpeg := "\xff\xd8\xff\xd9"
	w.mu.Lock()
	err := w.feeds[feedKey{upper, "dock-1"}].s.Show([]byte(jpeg))
	w.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if r := look("a"); r.Code != 200 || r.Body.String() != jpeg || r.Header().Get("Content-Type") != "image/jpeg" {
		t.Errorf("%d %q", r.Code, r.Body)
	}
	if r := look("b"); r.Code != 404 {
		t.Errorf("somebody of whom nothing is written down: %d", r.Code)
	}
	if x := w.state(phrase.EN, "a", nil).Stations[0].Streams[0]; x.Still != 1 || !x.Late || !strings.Contains(x.State, "stills") {
		t.Errorf("%+v", x)
	}
	w.pass(time.Second)
	w.phones.picture(t, 180000)
	if x := w.state(phrase.EN, "a", nil).Stations[0].Streams[0]; x.Still != 0 || !strings.Contains(x.State, "H.264") {
		t.Errorf("pictures came again: %+v", x)
	}
}

func TestNobodySeesWhatCannotBeWrittenDown(t *testing.T) {
	w := newWorld(t)
	if err := w.o.Diary.js.DeleteStream(w.ctx, engine.StreamSeen); err != nil {
		t.Fatal(err)
	}
	if r := <-w.see("a", string(upper)+"/dock-1", "fire"); r.Code != 503 {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if w.box.count() != 0 {
		t.Error("the station was asked")
	}
}

func TestNoTokenReachesTheLog(t *testing.T) {
	w := newWorld(t)
	var log strings.Builder
	var mu sync.Mutex
	w.o.Log = slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return log.Write(b) }), &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, push, p := w.shown("a", string(upper)+"/dock-1")
	w.push(p)
	send(w.WHIP(), "DELETE", push, "", "Authorization", "Bearer "+p.Token)
	w.pass(time.Hour)
	mu.Lock()
	defer mu.Unlock()
	if log.Len() == 0 || strings.Contains(log.String(), p.Token) {
		t.Errorf("%s", log.String())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// FuzzBodies brings what anybody may send to the ways in. Nothing falls, and nothing is let in without a token.
func FuzzBodies(f *testing.F) {
	f.Add("POST", "/whip/330483105203/dock-1", "application/sdp", "Bearer x", []byte("v=0\r\n"))
	f.Add("DELETE", "/whip/call/x", "", "Bearer ", []byte{})
	f.Add("PATCH", "/whip/call/x", "application/trickle-ice-sdpfrag", "bearer", []byte("a=end-of-candidates"))
	f.Add("PUT", "/clips/330483105203/b-1.json", "application/json", "Bearer x", []byte(`{"id":"b-1","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}`))
	f.Add("OPTIONS", "/whip/%2e%2e/x", "a/b; c", "Basic x", []byte{0})
	file := &hubfile.File{Stations: map[string]hubfile.Station{string(upper): {}}, Pictures: &hubfile.Pictures{Clips: &hubfile.Clips{}}}
	p, err := New(Opts{File: file, Media: &phones{}, Shelf: f.TempDir(), Now: time.Now, Mono: func() time.Duration { return 0 }, Who: func(*http.Request) (string, []string) { return "a", nil }}, "https://hub.example")
	if err != nil {
		f.Fatal(err)
	}
	h := p.WHIP()
	f.Fuzz(func(t *testing.T, method, path, kind, auth string, body []byte) {
		r, err := http.NewRequest(method, "http://hub.example/", strings.NewReader(string(body)))
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		r.URL.Path, r.RequestURI = path, path
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Authorization", auth)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 300 && method != "OPTIONS" {
			t.Fatal(fmt.Sprint("let in: ", w.Code))
		}
	})
}
