package recorder

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWhatWasSentIsShownAsItIsHere(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment = 2 * time.Second })
	us := numbered(t, 350, 25, 100, w.now.Mono)
	r.play(us[:150])
	now := w.Now().Mono
	if _, err := r.Pin(t.Context(), Alarm{Cause: "x", From: now - 4*time.Second, To: now + 2*time.Second}); err != nil {
		t.Fatal(err)
	}
	r.play(us[150:])
	c := r.finishedClips()[0]
	if len(c.Pieces) < 3 {
		t.Fatalf("%d segments are no proof", len(c.Pieces))
	}
	path := filepath.Join(t.TempDir(), "x.mp4")
	sent := clipBytes(t, r, c)
	if err := os.WriteFile(path, sent, 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(m *Film, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		b, err := io.ReadAll(m)
		if err != nil || int64(len(b)) != m.Size() || m.More {
			t.Fatal(len(b), m.Size(), m.More, err)
		}
		return b
	}
	here, there := read(r.PlayClip(c.ID)), read(OpenClip(path))
	if !bytes.Equal(here, there) {
		t.Errorf("%d bytes here, %d there", len(here), len(there))
	}
	_, shots, err := readBack(there)
	if err != nil || len(shots) < 150 {
		t.Errorf("%d pictures, %v", len(shots), err)
	}
	for name, b := range map[string][]byte{"nothing": nil, "another's": []byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"), "cut": sent[:len(sent)-100], "back in time": append(bytes.Clone(sent), sent...)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := OpenClip(path); err == nil {
			m.Close()
			t.Errorf("%s was shown", name)
		}
	}
}

// FuzzOpenClip brings any bytes as a station's clip: a film of them is refused, or reads to
// its end, or says where it does not.
func FuzzOpenClip(f *testing.F) {
	w := newWorld()
	r := recordIn(f, w, f.TempDir(), nil)
	r.play(numbered(f, 40, 15, 20, w.now.Mono))
	r.stop()
	whole, err := os.ReadFile(segments(f, r.dir)[0])
	if err != nil {
		f.Fatal(err)
	}
	whole = whole[:len(whole)-endSize]
	f.Add(whole)
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add(whole[:len(whole)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x.mp4")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := OpenClip(path)
		if err != nil {
			return
		}
		defer m.Close()
		if n, err := io.Copy(io.Discard, m); err == nil && n != m.Size() {
			t.Fatalf("%d bytes of %d", n, m.Size())
		}
	})
}
