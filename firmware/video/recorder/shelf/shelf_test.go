package shelf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/video/recorder"
)

func clipOf(b []byte) recorder.Clip {
	sum := sha256.Sum256(b)
	return recorder.Clip{ID: "boot-0001", Stream: "cam", Cause: "flood-1", Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]), Finished: true}
}

func open(t testing.TB, o Opts) *Shelf {
	t.Helper()
	if o.Station == nil {
		o.Station = func(q *http.Request) (string, bool) { n := q.Header.Get("X-Station"); return n, n != "" }
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, o Opts) *recorder.HTTPSink { return sinkOf(t, open(t, o), "huangdu") }

func sinkOf(t *testing.T, s *Shelf, station string) *recorder.HTTPSink {
	h := httptest.NewServer(http.StripPrefix("/clips", s))
	t.Cleanup(h.Close)
	return &recorder.HTTPSink{Base: h.URL + "/clips", Client: h.Client(), Authorize: func(q *http.Request) error { q.Header.Set("X-Station", station); return nil }}
}

func TestAClipArrivesByPartsAndIsNamedByItsHash(t *testing.T) {
	dir := t.TempDir()
	b := bytes.Repeat([]byte("0123456789"), 1000)
	c := clipOf(b)
	var arrived []string
	sink := serve(t, Opts{Dir: dir, Quota: 1 << 20, Part: 4096, Arrived: func(e Entry) error {
		arrived = append(arrived, e.Station+" "+e.Clip.Cause+" "+e.Clip.ID)
		return nil
	}})
	ctx := t.Context()
	have := func() recorder.Held {
		t.Helper()
		h, err := sink.Have(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := have(); h.Bytes != 0 || h.SHA256 != "" {
		t.Errorf("%+v", h)
	}
	if err := sink.Put(ctx, c, 0, 4000, bytes.NewReader(b[:4000])); err != nil {
		t.Fatal(err)
	}
	// A body that breaks off: what arrived is kept.
	broken := io.MultiReader(bytes.NewReader(b[4000:6000]), errReader{})
	if err := sink.Put(ctx, c, 4000, 4000, broken); err == nil {
		t.Error("half a part passed for a whole")
	}
	for { // the server may still be at it, and answers nobody else meanwhile
		if h, err := sink.Have(ctx, c); err == nil && h.Bytes >= 4000 && h.Bytes <= 6000 && h.SHA256 == "" {
			break
		} else if err == nil && h.Bytes > 6000 || ctx.Err() != nil {
			t.Fatal(h, err)
		}
	}
	if err := sink.Put(ctx, c, 9000, 1000, bytes.NewReader(b[9000:])); err == nil {
		t.Error("a part behind a hole was taken")
	}
	for { // as a station does: what fails is asked anew
		h, err := sink.Have(ctx, c)
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		if err != nil {
			continue
		}
		if h.Bytes == c.Size {
			break
		}
		n := min(4096, c.Size-h.Bytes)
		_ = sink.Put(ctx, c, h.Bytes, n, bytes.NewReader(b[h.Bytes:h.Bytes+n]))
	}
	if h := have(); h.SHA256 != c.SHA256 || len(arrived) != 1 || arrived[0] != "huangdu flood-1 boot-0001" {
		t.Errorf("%+v, %v", h, arrived)
	}
	got, err := os.ReadFile(filepath.Join(dir, "huangdu", "boot-0001.mp4"))
	if err != nil || !bytes.Equal(got, b) {
		t.Error(err)
	}
	// Whole is whole: nobody changes it any more.
	if err := sink.Put(ctx, c, 0, 10, bytes.NewReader(make([]byte, 10))); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "huangdu", "boot-0001.mp4")); !bytes.Equal(got, b) {
		t.Error("it was changed")
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the line is gone") }

func TestOtherBytesNeverGetTheHash(t *testing.T) {
	b := bytes.Repeat([]byte("x"), 3000)
	c := clipOf(b)
	sink := serve(t, Opts{Dir: t.TempDir(), Quota: 1 << 20, Part: 4096})
	if _, err := sink.Have(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := sink.Put(t.Context(), c, 0, 3000, bytes.NewReader(make([]byte, 3000))); err == nil {
		t.Error("other bytes were taken")
	}
	if h, err := sink.Have(t.Context(), c); err != nil || h.Bytes != 0 || h.SHA256 != "" {
		t.Errorf("%+v, %v", h, err)
	}
	if err := sink.Put(t.Context(), c, 0, 3000, bytes.NewReader(b)); err != nil {
		t.Error(err)
	}
	if h, _ := sink.Have(t.Context(), c); h.SHA256 != c.SHA256 {
		t.Errorf("%+v", h)
	}
}

func TestWhatIsTooLargeOrForeignIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Opts{Dir: dir, Quota: 5000, Most: 1000, Part: 4096})
	sink := sinkOf(t, s, "huangdu")
	if _, err := sink.Have(t.Context(), clipOf(make([]byte, 2000))); !errors.Is(err, recorder.ErrRefused) {
		t.Error(err)
	}
	sink.Authorize = nil
	if _, err := sink.Have(context.Background(), clipOf(make([]byte, 20))); err == nil {
		t.Error("a stranger was let in")
	}
	for _, x := range []struct{ method, path, station string }{
		{"PUT", "/../x.json", "a"}, {"PUT", "/a%2f..%2fb", "a"}, {"HEAD", "/x", ".."}, {"HEAD", "/.x", "a"}, {"GET", "/x", "a"}, {"PUT", "/", "a"}, {"PUT", "/x", "a/b"},
	} {
		q := httptest.NewRequest(x.method, "http://h"+x.path, bytes.NewReader([]byte("{}")))
		q.Header.Set("X-Station", x.station)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, q)
		if w.Code < 400 {
			t.Errorf("%v: %d", x, w.Code)
		}
	}
	if es, _ := os.ReadDir(dir); len(es) > 0 {
		t.Errorf("%v", es)
	}
}

// FuzzShelf lets any request at it: nothing is written outside its folder, nothing gets
// a hash that it has not.
func FuzzShelf(f *testing.F) {
	f.Add("PUT", "/boot-0001.json", "", []byte(`{"id":"boot-0001","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}`))
	f.Add("PUT", "/boot-0001", "bytes 0-2/3", []byte("abc"))
	f.Add("HEAD", "/boot-0001", "", []byte(nil))
	f.Fuzz(func(t *testing.T, method, path, span string, body []byte) {
		dir := t.TempDir()
		s := open(t, Opts{Dir: filepath.Join(dir, "in"), Quota: 1000, Part: 1000, Station: func(*http.Request) (string, bool) { return "a", true }})
		first := `{"id":"boot-0001","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}`
		for _, x := range []struct {
			m, p, c string
			b       []byte
		}{{"PUT", "/boot-0001.json", "", []byte(first)}, {method, path, span, body}, {"HEAD", "/boot-0001", "", nil}} {
			q := httptest.NewRequest("PUT", "http://h/", bytes.NewReader(x.b))
			q.Method, q.URL.Path = x.m, x.p
			q.Header.Set("Content-Range", x.c)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, q)
			if w.Header().Get("Repr-Digest") != "" && !bytes.Equal(body, []byte("abc")) {
				t.Fatal("a hash of what it has not")
			}
		}
		if es, _ := os.ReadDir(dir); len(es) != 1 {
			t.Fatalf("%v", es)
		}
	})
}

// brought sends a clip whole, and gives what came of it.
func brought(t *testing.T, sink *recorder.HTTPSink, id string, began time.Time, n int) error {
	t.Helper()
	b := bytes.Repeat([]byte(id[len(id)-1:]), n)
	c := clipOf(b)
	c.ID, c.Began = id, began
	if _, err := sink.Have(t.Context(), c); err != nil {
		return err
	}
	return sink.Put(t.Context(), c, 0, c.Size, bytes.NewReader(b))
}

func ids(s *Shelf) (out []string) {
	for _, e := range s.List() {
		out = append(out, e.Station+"/"+e.Clip.ID)
	}
	return out
}

func TestRoomIsMadeByWhoeverHoldsMostTheOldestAlarmFirst(t *testing.T) {
	at := time.Date(2026, 7, 20, 22, 40, 0, 0, time.UTC)
	dir := t.TempDir()
	var gone []string
	o := Opts{Dir: dir, Quota: 1000, Now: func() time.Time { return at.Add(time.Hour) }, Gone: func(e Entry, why Why) { gone = append(gone, e.Clip.ID) }}
	s := open(t, o)
	big, small := sinkOf(t, s, "big"), sinkOf(t, s, "small")
	for _, x := range []struct {
		sink  *recorder.HTTPSink
		id    string
		began time.Duration
		size  int
		gone  string
		ok    bool
	}{
		{small, "s-1", -10, 100, "", true},
		{big, "b-2", 2, 400, "", true},
		{big, "b-1", 1, 400, "", true},
		{big, "b-3", 3, 300, "b-1", true},   // its own oldest, not the other's, which is older still
		{big, "b-0", 0, 300, "", false},     // older than all of its own: not wanted
		{small, "s-2", 4, 400, "b-2", true}, // whoever holds most gives way
		{small, "s-3", 5, 1001, "", false},  // never fits
	} {
		before := len(gone)
		err := brought(t, x.sink, x.id, at.Add(x.began*time.Minute), x.size)
		if (err == nil) != x.ok || !x.ok && !errors.Is(err, recorder.ErrRefused) {
			t.Errorf("%s: %v", x.id, err)
		}
		if got := strings.Join(gone[before:], " "); got != x.gone {
			t.Errorf("%s: %q went, not %q", x.id, got, x.gone)
		}
	}
	want := []string{"small/s-2", "big/b-3", "small/s-1"}
	if got := ids(s); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	// A start finds the same, and what a cut left over is no more there.
	for _, n := range []string{"big/b-7.mp4", "big/b-8.part", "big/b-3.json.new"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, o)
	if got := ids(s); !slices.Equal(got, want) {
		t.Errorf("after a start: %v", got)
	}
	if used, quota := s.Used(); used != 800 || quota != 1000 {
		t.Errorf("%d of %d", used, quota)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) != 6 {
		t.Errorf("%v", left)
	}
}

func TestWhatWasKeptLongEnoughGoes(t *testing.T) {
	now := time.Date(2026, 7, 20, 22, 40, 0, 0, time.UTC)
	var gone []string
	s := open(t, Opts{Dir: t.TempDir(), Quota: 1 << 20, Keep: 30 * 24 * time.Hour, Now: func() time.Time { return now }, Gone: func(e Entry, why Why) {
		if why != Age {
			t.Error(why)
		}
		gone = append(gone, e.Clip.ID)
	}})
	sink := sinkOf(t, s, "a")
	if err := brought(t, sink, "c-1", now, 100); err != nil {
		t.Fatal(err)
	}
	half := clipOf(make([]byte, 100))
	half.ID = "c-2"
	if _, err := sink.Have(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		days time.Duration
		left int
	}{{6, 2}, {7, 1}, {29, 1}, {30, 0}} {
		now = time.Date(2026, 7, 20, 22, 40, 0, 0, time.UTC).Add(x.days * 24 * time.Hour)
		if s.Prune(); len(s.List()) != x.left {
			t.Errorf("after %d days: %v", x.days, ids(s))
		}
	}
	if !slices.Equal(gone, []string{"c-1"}) {
		t.Errorf("%v: what never was whole is nothing to tell of", gone)
	}
}

func TestAClipHasNoHashBeforeItsComingIsWrittenDown(t *testing.T) {
	full := true
	var mu sync.Mutex
	dir := t.TempDir()
	o := Opts{Dir: dir, Quota: 1 << 20, Arrived: func(Entry) error {
		mu.Lock()
		defer mu.Unlock()
		if full {
			return errors.New("the store is full")
		}
		return nil
	}}
	sink := serve(t, o)
	b := []byte("what was seen")
	c := clipOf(b)
	if _, err := sink.Have(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := sink.Put(t.Context(), c, 0, c.Size, bytes.NewReader(b)); err == nil {
		t.Error("it passed for kept")
	}
	if h, err := sink.Have(t.Context(), c); err == nil {
		t.Errorf("%+v", h)
	}
	// The power fails there; with room again it needs no byte more.
	sink = serve(t, o)
	mu.Lock()
	full = false
	mu.Unlock()
	if h, err := sink.Have(t.Context(), c); err != nil || h.SHA256 != c.SHA256 || h.Bytes != c.Size {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestAFullDiskIsForLater(t *testing.T) {
	left := int64(1 << 20)
	s := open(t, Opts{Dir: t.TempDir(), Quota: 1 << 30, Reserve: 1 << 19, Free: func(string) (int64, error) { return left, nil }})
	sink := sinkOf(t, s, "a")
	c := clipOf(make([]byte, 1<<19+1))
	if _, err := sink.Have(t.Context(), c); err == nil || errors.Is(err, recorder.ErrRefused) {
		t.Error(err)
	}
	left++
	if _, err := sink.Have(t.Context(), c); err != nil {
		t.Error(err)
	}
}
