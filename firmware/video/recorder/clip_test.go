package recorder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
)

// finishedClips waits until every clip whose time is over is finished.
func (r *rec) finishedClips() []Clip {
	r.t.Helper()
	r.house()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		all := r.Clips()
		ok := true
		for _, c := range all {
			ok = ok && (c.Finished || c.Boot == r.w.Now().Boot && c.To > r.w.Now().Mono)
		}
		if ok {
			return all
		}
	}
	r.t.Fatal("a clip is never finished")
	return nil
}

func clipBytes(t testing.TB, r *rec, c Clip) []byte {
	t.Helper()
	b := make([]byte, c.Size)
	if n, err := (clipReader{filepath.Join(r.dir, "clips", c.ID), c.Pieces}).ReadAt(b, 0); int64(n) != c.Size {
		t.Fatal(n, err)
	}
	return b
}

func TestAnAlarmKeepsWhatWasSeenBeforeAndAfterIt(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	var mu sync.Mutex
	var told []Clip
	opts := func(o *Opts) {
		o.Quota, o.Segment = 1<<20, 4*time.Second
		o.Pinned = func(c Clip) { mu.Lock(); told = append(told, c); mu.Unlock() }
	}
	r := recordIn(t, w, dir, opts)
	w.trust(time.Date(2026, 7, 20, 22, 40, 0, 0, time.UTC))
	begin := w.Now()
	us := numbered(t, 3000, 50, 2000, begin.Mono) // 50 kB/s, groups of 2 s
	r.play(us[:400])                              // 16 s
	alarm := w.Now().Mono
	c, err := r.Pin(t.Context(), Alarm{Cause: "flood-7", Class: 1, From: alarm - 9*time.Second, To: alarm + 10*time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r.play(us[400:]) // the ring turns over twice
	all := r.finishedClips()
	if len(all) != 1 || all[0].ID != c.ID || !all[0].Finished || all[0].Gap != 0 || all[0].Cause != "flood-7" {
		t.Fatalf("%+v", all)
	}
	c = all[0]
	b := clipBytes(t, r, c)
	sum := sha256.Sum256(b)
	if hex.EncodeToString(sum[:]) != c.SHA256 {
		t.Error("another hash")
	}
	mu.Lock()
	if len(told) != 1 || told[0].SHA256 != c.SHA256 {
		t.Errorf("told %+v", told)
	}
	mu.Unlock()
	if c.Began.Sub(begin.Wall.Add(c.From-begin.Mono)).Abs() > time.Millisecond {
		t.Errorf("began %v", c.Began)
	}
	// From the key picture before, to the fragment that holds the end.
	first := int((c.From-begin.Mono)/(40*time.Millisecond)) / 50 * 50
	last := int((c.To - begin.Mono) / (40 * time.Millisecond))
	n := 0
	scan(bytes.NewReader(b), int64(len(b)), true, func(p piece) error { n++; return nil })
	m, err := r.PlayClip(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	film, err := io.ReadAll(m)
	if err != nil || int64(len(film)) != m.Size() {
		t.Fatal(len(film), err)
	}
	_, shots, err := readBack(film)
	if err != nil || shots[0].number() != first || shots[len(shots)-1].number() < last-1 || shots[len(shots)-1].number() > last+25 {
		t.Fatalf("shows %d to %d, want %d to %d: %v", shots[0].number(), shots[len(shots)-1].number(), first, last, err)
	}
	for i, s := range shots {
		if s.number() != first+i || s.decode != int64(i)*3600 {
			t.Fatalf("picture %d is %d at %d", i, s.number(), s.decode)
		}
	}
	// It is all there after a start.
	r.stop()
	w.boot("eeee")
	r = recordIn(t, w, dir, opts)
	if all := r.finishedClips(); len(all) != 1 || all[0].SHA256 != c.SHA256 || !bytes.Equal(clipBytes(t, r, all[0]), b) {
		t.Errorf("after a start: %+v", all)
	}
	if s := r.State(); s.ClipBytes == 0 || s.Clips != 1 || s.Bytes > 1<<20 {
		t.Errorf("%+v", s)
	}
}

func TestAClipThatACutInterruptsIsFinishedWithWhatIsThere(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	r := recordIn(t, w, dir, func(o *Opts) { o.Segment = 4 * time.Second })
	us := numbered(t, 1000, 25, 200, w.now.Mono)
	r.play(us[:400])
	now := w.Now().Mono
	c, err := r.Pin(t.Context(), Alarm{Cause: "x", From: now - 5*time.Second, To: now + time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	r.play(us[400:500])
	// As a cut leaves it: a link that was made and not flushed is gone.
	links, _ := filepath.Glob(filepath.Join(dir, "clips", c.ID, "*.mp4"))
	r.stop()
	if len(links) < 2 {
		t.Fatal(links)
	}
	if err := os.Remove(links[len(links)-1]); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "clips", "torn"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.boot("ffff")
	r = recordIn(t, w, dir, nil)
	all := r.finishedClips()
	if len(all) != 1 || all[0].Last < now+3*time.Second+500*time.Millisecond || all[0].Gap < 50*time.Second || all[0].First > now-5*time.Second {
		t.Errorf("%+v", all)
	}
	if _, err := os.Stat(filepath.Join(dir, "clips", "torn")); err == nil {
		t.Error("half a clip is left")
	}
}

func TestClipsGoDeliveredFirstThenLeastThenOldest(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	var dropped []string
	r := recordIn(t, w, dir, func(o *Opts) {
		o.Segment, o.SegmentBytes, o.ClipQuota = 2*time.Second, 40<<10, 130<<10
		o.Dropped = func(c Clip) { dropped = append(dropped, c.Cause) }
	})
	us := numbered(t, 5000, 25, 500, w.now.Mono) // 25 kB a segment
	pin := func(i int, cause string, class int) {
		t.Helper()
		r.play(us[i*250 : i*250+250])
		now := w.Now().Mono
		if _, err := r.Pin(t.Context(), Alarm{Cause: cause, Class: class, From: now - 5*time.Second, To: now - 4*time.Second}); err != nil {
			t.Fatal(err)
		}
		r.finishedClips()
	}
	causes := func() (all []string) {
		for _, c := range r.Clips() {
			all = append(all, c.Cause)
		}
		return all
	}
	pin(0, "old-1", 1)
	pin(1, "old-2", 2)
	pin(2, "new-2", 2)
	if fmt.Sprint(causes()) != "[old-1 old-2 new-2]" {
		t.Fatal(causes(), r.State())
	}
	for i := 3; len(dropped) == 0 && i < 12; i++ {
		pin(i, fmt.Sprint("more-", i), 1)
	}
	if dropped[0] != "old-2" || causes()[0] != "old-1" {
		t.Errorf("dropped %v, there are %v", dropped, causes())
	}
	// What is delivered goes before what is not, whatever its class.
	r.do(t.Context(), func() {
		c := r.clips[0]
		now := c.Clip
		now.Delivered = true
		if err := r.keepClip(now); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		c.Clip = now
		r.mu.Unlock()
	})
	n := len(dropped)
	for i := 12; i < 15; i++ {
		pin(i, fmt.Sprint("more-", i), 2)
	}
	if causes()[0] == "old-1" || n > len(dropped) {
		t.Errorf("what was delivered is still there: %v, dropped %v", causes(), dropped)
	}
	// A lesser one never pushes out what matters more.
	for _, c := range r.clips {
		c.Class = 0
	}
	before := len(r.Clips())
	pin(15, "least", 3)
	pin(16, "least", 3)
	if s := r.State(); s.ClipBytes > 130<<10 || len(r.Clips()) < before {
		t.Errorf("%v, %+v", causes(), s)
	}
}

func TestAFilmIsOnePlayableFileFromAnyOffset(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment = 2 * time.Second })
	us := film25(t, stream.H264, 400, w.now.Mono)
	for _, u := range us[200:] { // a hole of a minute
		u.Arrived += time.Minute
	}
	us[200].Gap = true
	begin := w.now.Mono
	r.play(us)
	m, err := r.Play(w.now.Boot, begin+1500*time.Millisecond, begin+90*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	whole, err := io.ReadAll(m)
	if err != nil || int64(len(whole)) != m.Size() {
		t.Fatal(len(whole), m.Size(), err)
	}
	i, shots, err := readBack(whole)
	if err != nil || len(i.Tracks) != 1 || len(shots) != 375 || shots[0].decode != 0 {
		t.Fatalf("%d pictures from %d: %v", len(shots), shots[0].decode, err)
	}
	for i, s := range shots {
		if s.decode != int64(i)*3600 || s.duration != 3600 {
			t.Fatalf("picture %d at %d for %d", i, s.decode, s.duration)
		}
	}
	if len(m.Parts) != 2 || m.Parts[1].Shown != 7*time.Second || m.Parts[1].From != begin+68*time.Second {
		t.Errorf("%+v", m.Parts)
	}
	// Any range a browser may ask for.
	s := httptest.NewServer(http.HandlerFunc(func(hw http.ResponseWriter, q *http.Request) {
		m, err := r.Play(w.Now().Boot, begin+1500*time.Millisecond, begin+90*time.Second)
		if err != nil {
			t.Error(err)
			return
		}
		defer m.Close()
		hw.Header().Set("Content-Type", "video/mp4")
		http.ServeContent(hw, q, "", time.Time{}, m)
	}))
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		a := rng.IntN(len(whole))
		b := a + rng.IntN(len(whole)-a)
		q, _ := http.NewRequest("GET", s.URL, nil)
		q.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", a, b))
		ans, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(ans.Body)
		ans.Body.Close()
		if err != nil || ans.StatusCode != http.StatusPartialContent || !bytes.Equal(got, whole[a:b+1]) {
			t.Fatalf("bytes %d to %d: %s, %v", a, b, ans.Status, err)
		}
	}
}

func TestAFilmEndsWhereTheCodecChanges(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	begin := w.now.Mono
	r.play(film25(t, stream.H264, 50, begin))
	r.play(film25(t, stream.H265, 50, begin+2*time.Second))
	m, err := r.Play(w.now.Boot, begin, begin+time.Minute)
	if err != nil || !m.More || m.Rest < begin+2*time.Second || m.Rest > begin+2100*time.Millisecond {
		t.Fatalf("%+v, %v", m, err)
	}
	if m, err = r.Play(w.now.Boot, m.Rest, begin+time.Minute); err != nil || m.More {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := r.Play(w.now.Boot, 0, time.Second); err == nil {
		t.Error("a film of nothing")
	}
	if _, err := r.Play(w.now.Boot, 0, 2*time.Hour); err == nil {
		t.Error("a film of two hours")
	}
}

func TestAnOlderClipNeverPushesOutANewerOne(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment, o.SegmentBytes, o.ClipQuota = 2*time.Second, 40<<10, 100<<10 })
	us := numbered(t, 1000, 25, 500, w.now.Mono)
	r.play(us[:250])
	now := w.Now().Mono
	for _, c := range []string{"older", "newer"} {
		if _, err := r.Pin(t.Context(), Alarm{Cause: c, From: now - time.Second, To: now + 20*time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	r.play(us[250:]) // both want more than there is room for
	all := r.finishedClips()
	if len(all) == 0 || all[len(all)-1].Cause != "newer" || r.State().ClipBytes > 100<<10 {
		t.Errorf("%+v", all)
	}
}

func TestAClipOfNothingSaysSo(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	r.play(numbered(t, 50, 25, 50, w.now.Mono))
	w.at(w.Now().Mono + time.Minute)
	now := w.Now().Mono
	c, err := r.Pin(t.Context(), Alarm{Cause: "x", From: now - 20*time.Second, To: now - 10*time.Second})
	if err != nil {
		t.Fatal(err)
	}
	all := r.finishedClips()
	if len(all) != 1 || all[0].ID != c.ID || all[0].Size != 0 || all[0].Gap != 10*time.Second || all[0].SHA256 != "" {
		t.Errorf("%+v", all)
	}
	if _, err := r.PlayClip(c.ID); err == nil {
		t.Error("it can be played")
	}
}
