package recorder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// county is the other end, as a test makes it: it keeps what arrives, also of a body that
// breaks off.
type county struct {
	mu    sync.Mutex
	files map[string][]byte
	clips map[string]Clip
	puts  []string
	sick  func(n int, q *http.Request) int // a status to answer instead, after half the body
	gone  map[string]bool
	spoil map[string]bool // one byte is wrong
}

func (c *county) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	id := strings.TrimPrefix(q.URL.Path, "/clips/")
	c.mu.Lock()
	defer c.mu.Unlock()
	if name, ok := strings.CutSuffix(id, ".json"); ok {
		var x Clip
		if err := json.NewDecoder(q.Body).Decode(&x); err != nil || x.ID != name {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.clips[name] = x
		return
	}
	if c.gone[id] {
		w.WriteHeader(http.StatusGone)
		return
	}
	if q.Method == http.MethodHead {
		x, ok := c.clips[id]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		b := c.files[id]
		w.Header().Set("Upload-Offset", fmt.Sprint(len(b)))
		if int64(len(b)) == x.Size {
			sum := sha256.Sum256(b)
			w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		}
		return
	}
	var from, to, all int64
	if _, err := fmt.Sscanf(q.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &all); err != nil || from > int64(len(c.files[id])) || q.ContentLength != to-from+1 || digest(q.Header.Get("Repr-Digest")) != c.clips[id].SHA256 {
		w.WriteHeader(http.StatusConflict)
		return
	}
	n := len(c.puts)
	c.puts = append(c.puts, id)
	if c.sick != nil {
		if s := c.sick(n, q); s != 0 {
			half, _ := io.ReadAll(io.LimitReader(q.Body, q.ContentLength/2))
			c.files[id] = append(c.files[id][:from:from], half...)
			w.WriteHeader(s)
			return
		}
	}
	b, _ := io.ReadAll(q.Body)
	if c.spoil[id] && len(b) > 0 {
		b[0] ^= 1
		delete(c.spoil, id)
	}
	c.files[id] = append(c.files[id][:from:from], b...)
}

// have and sent are what the county holds of a clip and the clips that parts came of: a
// request that was broken off may still be at its end.
func (c *county) have(id string) ([]byte, Clip) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files[id], c.clips[id]
}

func (c *county) sent() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.puts)
}

func newCounty(t *testing.T) (*county, *HTTPSink) {
	c := &county{files: map[string][]byte{}, clips: map[string]Clip{}, gone: map[string]bool{}, spoil: map[string]bool{}}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, &HTTPSink{Base: s.URL + "/clips", Client: s.Client()}
}

// fleeting is a clock that passes as it is asked to wait.
type fleeting struct {
	mu   sync.Mutex
	past time.Duration
}

func (f *fleeting) after(d time.Duration) <-chan time.Time {
	f.mu.Lock()
	f.past += d
	f.mu.Unlock()
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

// forwards runs a forwarder until ok.
func (r *rec) forwards(o ForwardOpts, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Forward(ctx, o) }()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Error("not forwarded in time")
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		r.t.Error(err)
	}
}

// pinned records and pins n clips of 100 kB or so.
func (r *rec) pinned(n int) []Clip {
	r.t.Helper()
	us := numbered(r.t, n*250, 25, 800, r.w.Now().Mono)
	for i := range n {
		r.play(us[i*250 : i*250+250])
		now := r.w.Now().Mono
		if _, err := r.Pin(r.t.Context(), Alarm{Cause: fmt.Sprint("alarm-", i), From: now - 9*time.Second, To: now - 4*time.Second}); err != nil {
			r.t.Fatal(err)
		}
	}
	return r.finishedClips()
}

func (r *rec) delivered() (n int) {
	for _, c := range r.Clips() {
		if c.Delivered {
			n++
		}
	}
	return n
}

func TestClipsArriveWholeOverALineThatBreaks(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	r := recordIn(t, w, dir, nil)
	clips := r.pinned(3)
	c, sink := newCounty(t)
	c.sick = func(n int, q *http.Request) int {
		if n%3 == 1 {
			return http.StatusBadGateway
		}
		return 0
	}
	f := &fleeting{}
	r.forwards(ForwardOpts{Sink: sink, Budget: func() int64 { return 1 << 20 }, Chunk: 20_000, After: f.after}, func() bool { return r.delivered() == 3 })
	for _, x := range clips {
		b, told := c.have(x.ID)
		sum := sha256.Sum256(b)
		if hex.EncodeToString(sum[:]) != x.SHA256 || told.Cause != x.Cause {
			t.Errorf("%s arrived as something else", x.ID)
		}
		if s := scan(bytes.NewReader(b), x.Size, true, func(piece) error { return nil }); s.good != x.Size {
			t.Errorf("%s: %v", x.ID, s.why)
		}
	}
	if c.sent()[0] != clips[2].ID {
		t.Error("the newest did not go first")
	}
	// Delivered is remembered.
	r.stop()
	r = recordIn(t, w, dir, nil)
	r.finishedClips()
	if r.delivered() != 3 {
		t.Error("forgotten")
	}
}

func TestANewerAlarmGoesBeforeTheRestOfAnOlderOne(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	old := r.pinned(1)[0]
	c, sink := newCounty(t)
	f := &fleeting{}
	o := ForwardOpts{Sink: sink, Budget: func() int64 { return 1 << 20 }, Chunk: 10_000, After: f.after}
	r.forwards(o, func() bool { return len(c.sent()) >= 2 })
	if len(c.sent()) >= int(old.Size/10_000) {
		t.Skip("it was sent before it could be broken off") // a machine that stood still
	}
	r.pinned(1)
	r.forwards(o, func() bool { return r.delivered() == 2 })
	newer := r.Clips()[1].ID
	puts := c.sent()
	was := slices.Index(puts, newer)
	if was < 0 {
		t.Fatal(puts)
	}
	i := was
	for ; i < len(puts) && puts[i] == newer; i++ {
	}
	if i == len(puts) || puts[i] != old.ID {
		t.Errorf("after %d: %v", was, puts)
	}
	if n := len(puts) - i + was; n > int(old.Size/10_000)+2 {
		t.Errorf("the old one was sent in %d parts of %d: not resumed", n, old.Size/10_000)
	}
}

func TestOnlyTheRightHashIsDelivered(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	x := r.pinned(1)[0]
	c, sink := newCounty(t)
	c.spoil[x.ID] = true
	f := &fleeting{}
	r.forwards(ForwardOpts{Sink: sink, Budget: func() int64 { return 1 << 30 }, After: f.after}, func() bool { return r.delivered() == 1 })
	b, _ := c.have(x.ID)
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != x.SHA256 || len(c.sent()) < 2 {
		t.Errorf("delivered after %d parts with another hash", len(c.sent()))
	}
}

func TestAClipThatIsNotWantedIsLetGo(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	clips := r.pinned(2)
	c, sink := newCounty(t)
	c.gone[clips[1].ID] = true
	f := &fleeting{}
	r.forwards(ForwardOpts{Sink: sink, Budget: func() int64 { return 1 << 20 }, After: f.after}, func() bool { return r.delivered() == 1 })
	if all := r.Clips(); !all[0].Delivered || !all[1].Refused {
		t.Errorf("%+v", all)
	}
}

func TestClipsTakeNoMoreThanTheirBudget(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	x := r.pinned(1)[0]
	_, sink := newCounty(t)
	f := &fleeting{}
	asked := 0
	var mu sync.Mutex
	budget := func() int64 {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked%7 == 0 {
			return 0 // live pictures need it all for a while
		}
		return 20_000
	}
	r.forwards(ForwardOpts{Sink: sink, Budget: budget, After: f.after}, func() bool { return r.delivered() == 1 })
	if least := time.Duration(x.Size) * time.Second / 20_000; f.past < least {
		t.Errorf("%d bytes at 20 kB/s took %v, less than %v", x.Size, f.past, least)
	}
}
