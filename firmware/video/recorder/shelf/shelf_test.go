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
	"testing"

	"tocsin/firmware/video/recorder"
)

func clipOf(b []byte) recorder.Clip {
	sum := sha256.Sum256(b)
	return recorder.Clip{ID: "boot-0001", Stream: "cam", Cause: "flood-1", Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]), Finished: true}
}

func serve(t *testing.T, s *Shelf) *recorder.HTTPSink {
	s.Station = func(q *http.Request) (string, bool) { n := q.Header.Get("X-Station"); return n, n != "" }
	h := httptest.NewServer(http.StripPrefix("/clips", s))
	t.Cleanup(h.Close)
	return &recorder.HTTPSink{Base: h.URL + "/clips", Client: h.Client(), Authorize: func(q *http.Request) error { q.Header.Set("X-Station", "huangdu"); return nil }}
}

func TestAClipArrivesByPartsAndIsNamedByItsHash(t *testing.T) {
	dir := t.TempDir()
	b := bytes.Repeat([]byte("0123456789"), 1000)
	c := clipOf(b)
	var arrived []string
	sink := serve(t, &Shelf{Dir: dir, Most: 1 << 20, Part: 4096, Arrived: func(st string, c recorder.Clip, path string) {
		arrived = append(arrived, st+" "+c.Cause+" "+filepath.Base(path))
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
	if h := have(); h.SHA256 != c.SHA256 || len(arrived) != 1 || arrived[0] != "huangdu flood-1 boot-0001.mp4" {
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
	sink := serve(t, &Shelf{Dir: t.TempDir(), Most: 1 << 20, Part: 4096})
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
	s := &Shelf{Dir: dir, Most: 1000, Part: 4096}
	sink := serve(t, s)
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
		s := &Shelf{Dir: filepath.Join(dir, "in"), Most: 1000, Part: 1000, Station: func(*http.Request) (string, bool) { return "a", true }}
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
