package ear

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func listen(t *testing.T, path string) *Ear {
	t.Helper()
	e, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func write(t *testing.T, f *os.File, b []byte) {
	t.Helper()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

func heard(t *testing.T, e *Ear, after time.Time) time.Time {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	at, err := e.WaitAbove(ctx, after, -20)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func create(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestAGrowingFileIsHeardAsItGrows(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.wav")
	e := listen(t, name)
	if _, ok := e.FirstAbove(time.Time{}, -20); ok {
		t.Fatal("heard before there was a file")
	}
	f := create(t, name)
	h := header(rate, 1, 0)
	write(t, f, h[:20])
	time.Sleep(10 * time.Millisecond)
	write(t, f, h[20:])
	t0 := time.Now()
	b := raw(tone(1000, -6, 100*time.Millisecond))
	write(t, f, b[:101]) // in the midst of a sample
	write(t, f, b[101:])
	at := heard(t, e, time.Time{})
	if at.Before(t0) {
		t.Errorf("heard %v before it was written", t0.Sub(at))
	}
	// Nothing for longer than can be lateness, then again.
	time.Sleep(4 * slack)
	t1 := time.Now()
	write(t, f, b)
	again := heard(t, e, t1)
	if again.Before(t1) {
		t.Errorf("heard again %v too early", t1.Sub(again))
	}
	last, ok := e.LastAbove(again, -20)
	if !ok || last.Before(at) || !last.Before(again) {
		t.Errorf("last %v, %v", last, ok)
	}
	end := again.Add(90 * time.Millisecond)
	if d := e.LongestSilence(at, end, -20); d < slack || d > again.Sub(at) {
		t.Errorf("silence of %v between sounds %v apart", d, again.Sub(at))
	}
	about(t, "pitch", e.Between(again, end).Dominant(), 1000, 5)
	if d := e.LongestSilence(end.Add(time.Hour), end.Add(2*time.Hour), -20); d != time.Hour {
		t.Errorf("silence later %v", d)
	}
}

func TestALinkIsFollowedFromSoundingToSounding(t *testing.T) {
	dir := t.TempDir()
	turn := func(to string) {
		t.Helper()
		tmp := filepath.Join(dir, "new")
		if err := os.Symlink(to, tmp); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, "latest.wav")); err != nil {
			t.Fatal(err)
		}
	}
	old := create(t, filepath.Join(dir, "1.wav"))
	write(t, old, append(header(rate, 1, 0), raw(tone(500, -6, time.Second))...))
	turn("1.wav")
	e := listen(t, dir)
	time.Sleep(20 * time.Millisecond)
	if at, ok := e.FirstAbove(time.Time{}, -20); ok {
		t.Errorf("heard what was there before, at %v", at)
	}
	t0 := time.Now()
	write(t, old, raw(tone(700, -6, 50*time.Millisecond)))
	at := heard(t, e, time.Time{})
	if at.Before(t0) {
		t.Error("heard too early")
	}
	time.Sleep(100 * time.Millisecond)
	next := create(t, filepath.Join(dir, "2.wav"))
	write(t, next, header(rate, 1, 0))
	turn("2.wav")
	t1 := time.Now()
	write(t, next, raw(tone(900, -6, 100*time.Millisecond)))
	again := heard(t, e, t1)
	about(t, "pitch of the second", e.Between(again, again.Add(90*time.Millisecond)).Dominant(), 900, 6)
	about(t, "pitch of the first", e.Between(at, at.Add(40*time.Millisecond)).Dominant(), 700, 10)
	if err := e.Err(); err != nil {
		t.Error(err)
	}
}

func TestAFIFOIsHeard(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		raw  bool
		head []byte
	}{"with header": {false, header(rate, 1, 0)}, "bare": {true, nil}} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			e, err := Open(path)
			if c.raw {
				e.Close()
				e, err = OpenRaw(path, rate, 1)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			for range 2 { // a second writer begins anew
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				t0 := time.Now()
				write(t, f, c.head)
				write(t, f, raw(tone(1000, -6, 20*time.Millisecond)))
				heard(t, e, t0)
				f.Close()
				time.Sleep(2 * slack) // the ear has seen that this writer is gone
			}
		})
	}
}

func TestWhatIsNoSoundIsSaid(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.wav")
	e := listen(t, name)
	write(t, create(t, name), []byte("this is not a sounding at all"))
	end := time.Now().Add(10 * time.Second)
	for e.Err() == nil {
		if time.Now().After(end) {
			t.Fatal("nothing is said")
		}
		time.Sleep(look)
	}
}
