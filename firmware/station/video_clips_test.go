package station

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/video/terms"
)

// recordedChild is the video process as the box sees it: what it says of clips, and what it gives of them.
type recordedChild struct {
	mu    sync.Mutex
	clips []terms.Clip
	asked []string
}

func (c *recordedChild) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.URL.Path == "/clips" {
		_ = json.NewEncoder(w).Encode(c.clips)
		return
	}
	c.asked = append(c.asked, r.URL.RequestURI())
	io.WriteString(w, "a film")
}

func (c *recordedChild) set(all ...terms.Clip) { c.mu.Lock(); defer c.mu.Unlock(); c.clips = all }

// bare is a box's side of pictures over a journal in dir, and its child.
func bare(t *testing.T, dir string, site *config.Video, c *recordedChild) (*pictures, func()) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	g := guard.New(ctx, nil, nil)
	clk := clock.NewSystem(time.Time{}, clock.Set)
	j, err := journal.Open(dir, journal.Opts{Guard: g, Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	<-j.Loaded()
	at, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(at, "s"))
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: c}
	done := make(chan struct{})
	go func() { _ = h.Serve(l); close(done) }()
	p := newPictures(&House{clock: clk, journal: j})
	p.site, p.socket = site, l.Addr().String()
	return p, func() {
		h.Close()
		<-done
		os.RemoveAll(at)
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		end()
		g.Wait(10 * time.Second)
	}
}

func kinds(t *testing.T, p *pictures) (out []string) {
	t.Helper()
	if err := p.h.journal.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := p.h.journal.Read(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if strings.HasPrefix(r.Kind, "video.") {
			out = append(out, strings.TrimPrefix(r.Kind, "video.")+" "+r.Cause)
		}
	}
	return out
}

func TestWhatBecameOfAClipIsWrittenOnceOverRestarts(t *testing.T) {
	dir := t.TempDir()
	c := &recordedChild{}
	site := &config.Video{Record: &config.VideoRecord{}}
	a := terms.Clip{ID: "a", Stream: "dam", Cause: "flood-1", SHA256: strings.Repeat("a", 64), Size: 9}
	mark := uint64(0)
	tell := func(p *pictures, all ...terms.Clip) {
		c.set(all...)
		mark++
		p.keepClips(t.Context(), terms.State{Clips: mark}, mark-1)
	}
	p, end := bare(t, dir, site, c)
	tell(p, a) // not finished: nothing is known of it
	a.Finished = true
	tell(p, a)
	tell(p, a)
	end()
	// The box starts anew, and so does the child.
	p, end = bare(t, dir, site, c)
	tell(p, a)
	a.Delivered = true
	tell(p, a)
	tell(p, a)
	end()
	// One was delivered while the box did not look, one never was.
	p, end = bare(t, dir, site, c)
	defer end()
	b := terms.Clip{ID: "b", Stream: "dam", Cause: "flood-2", Finished: true, Delivered: true}
	d := terms.Clip{ID: "d", Stream: "dam", Cause: "flood-3", Finished: true}
	tell(p, a, b, d)
	p.keepClips(t.Context(), terms.State{}, 0) // the child has not read its clips yet: they have not gone
	tell(p)
	want := "clip flood-1, clip_delivered flood-1, clip flood-2, clip_delivered flood-2, clip flood-3, clip_gone , clip_gone , clip_gone "
	if got := strings.Join(kinds(t, p), ", "); got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
	all, _ := p.h.journal.Read(t.Context(), 0, 100)
	lost := 0
	for _, r := range all {
		if r.Message.Code == "station.video_clip_lost" {
			lost++
		}
	}
	if lost != 1 {
		t.Errorf("%d clips are said to have gone before they were delivered", lost)
	}
	if left := p.h.journal.Keys(clipKey); len(left) > 0 {
		t.Errorf("%v", left)
	}
}

func TestWhoPlaysARecordingIsWrittenDownFirst(t *testing.T) {
	c := &recordedChild{}
	site := &config.Video{Streams: map[string]config.Camera{"dam": {}}, Record: &config.VideoRecord{}}
	p, end := bare(t, t.TempDir(), site, c)
	defer end()
	c.set(terms.Clip{ID: "a", Stream: "dam", Finished: true, Size: 9}, terms.Clip{ID: "b", Stream: "dam"})
	p.keepClips(t.Context(), terms.State{Clips: 1}, 0)
	send := func(method, path string, role access.Role, addr string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, videoAPI+path, nil)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), access.Grant{Role: role, Addr: addr})))
		return w
	}
	times := "from=2026-07-20T22:40:00%2B08:00&to=2026-07-20T22:45:00%2B08:00"
	if w := send("POST", "/dam/play?clip=a", access.Viewer, "192.0.2.7"); w.Code != 403 {
		t.Errorf("shown without the site's leave: %d", w.Code)
	}
	if w := send("POST", "/dam/play?clip=a", access.Operator, ""); w.Code != 200 {
		t.Errorf("an operator: %d", w.Code)
	}
	site.Record.Page = true
	for path, want := range map[string]int{
		"/dam/play?clip=b": 404, "/dam/play?clip=../a": 404, "/yard/play?clip=a": 404, "/dam/play?from=x&to=y": 400, "/dam/play": 400,
		"/dam/play?from=2026-07-20T22:40:00Z&to=2026-07-21T22:45:00Z": 400,
	} {
		if w := send("POST", path, access.Viewer, "192.0.2.7"); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	before := len(kinds(t, p))
	for i, x := range []struct{ ask, path string }{{"/dam/play?clip=a&who=王芳", "/clip/dam/a"}, {"/dam/play?" + times, "/film/dam?from=2026-07-20T22%3A40%3A00%2B08%3A00&to=2026-07-20T22%3A45%3A00%2B08%3A00"}} {
		w := send("POST", x.ask, access.Viewer, "192.0.2.7")
		var got struct{ URL string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Fatal(w.Code, err)
		}
		if n := len(kinds(t, p)); n != before+i+1 {
			t.Errorf("%d lines in the journal", n-before)
		}
		at := strings.TrimPrefix(got.URL, videoAPI)
		if w := send("GET", at, access.Viewer, "192.0.2.8"); w.Code != 404 {
			t.Errorf("another saw it: %d", w.Code)
		}
		if w := send("GET", at, access.Viewer, "192.0.2.7"); w.Code != 200 || w.Body.String() != "a film" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		c.mu.Lock()
		if last := c.asked[len(c.asked)-1]; last != x.path {
			t.Errorf("the child was asked for %s, not %s", last, x.path)
		}
		c.mu.Unlock()
	}
	if w := send("GET", "/films/none", access.Viewer, "192.0.2.7"); w.Code != 404 {
		t.Error(w.Code)
	}
	for range 2 * filmsMost { // however many are asked for, they are bounded
		send("POST", "/dam/play?clip=a", access.Viewer, "192.0.2.7")
	}
	if len(p.films) != filmsMost {
		t.Errorf("%d films", len(p.films))
	}
}
