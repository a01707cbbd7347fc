package history

import (
	"bytes"
	"context"
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// seconds gives one good reading a second.
func (b *box) seconds(n int, v float64) {
	for range n {
		b.good("a.b", v)
		b.c.add(time.Second)
	}
}

func (b *box) value(at time.Time) (float64, bool) {
	b.t.Helper()
	r, ok := b.rows("a.b", at, at.Add(time.Second), true, 10).at(at)
	return r.Value, ok && r.Quality == point.Good
}

func TestADamagedFileIsSetAsideAndAFreshOneBegun(t *testing.T) {
	for name, spoil := range map[string]func(p []byte) []byte{
		"nonsense":     func(p []byte) []byte { return bytes.Repeat([]byte("no"), len(p)/2) },
		"empty header": func(p []byte) []byte { copy(p, make([]byte, 100)); return p },
		"half a file":  func(p []byte) []byte { return p[:len(p)/2/4096*4096] },
		"other tables": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir, c := t.TempDir(), newHand()
			b := openBox(t, dir, c, nil)
			b.seconds(3000, 1)
			b.end()
			path := filepath.Join(dir, fileName)
			p, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if p = spoil(p); p != nil {
				err = os.WriteFile(path, p, 0o600)
			} else {
				err = alien(path)
			}
			if err != nil {
				t.Fatal(err)
			}
			begin := c.Now().Wall
			b = openBox(t, dir, c, nil)
			b.seconds(60, 2)
			b.written()
			// Damage that opening does not meet is met by who reads there.
			b.Query(context.Background(), Query{Point: "a.b", From: t0, To: begin, Most: 5000, Raw: true})
			b.seconds(60, 3)
			b.written()
			until(t, "the file is replaced", func() bool { return b.Stats().Replaced >= 1 })
			b.seconds(60, 4)
			b.written()
			if ok, why := b.State(); !ok {
				t.Errorf("%v", why)
			}
			if v, ok := b.value(c.Now().Wall.Add(-30 * time.Second)); !ok || v != 4 {
				t.Errorf("%v %v", v, ok)
			}
			if l, _ := filepath.Glob(filepath.Join(dir, "history-corrupt-*.db")); len(l) != 1 {
				t.Errorf("set aside: %v", l)
			}
		})
	}
}

// alien makes a file of another program in our place.
func alien(path string) error {
	for _, s := range []string{"", "-wal", "-shm"} {
		os.Remove(path + s)
	}
	f := &file{path: path}
	var err error
	if f.w, err = sql.Open("sqlite", dsn(path)); err != nil {
		return err
	}
	defer f.close()
	_, err = f.w.Exec(`CREATE TABLE batch (x); PRAGMA user_version = 1`)
	return err
}

func TestAChangedByteIsAGapAndNeverAValue(t *testing.T) {
	dir, c := t.TempDir(), newHand()
	b := openBox(t, dir, c, nil)
	for range 200 {
		b.seconds(1, 7)
	}
	b.written()
	if _, err := b.file.w.Exec(`UPDATE chunk SET data = x'0102030405060708090a0b0c' WHERE batch = 3`); err != nil {
		t.Fatal(err)
	}
	a := b.rows("a.b", t0, c.Now().Wall, true, 5000)
	a.whole(t, t0, c.Now().Wall)
	damaged := 0
	for _, r := range a.Rows {
		switch {
		case r.Quality == point.Good && r.Value != 7:
			t.Errorf("%+v", r)
		case r.Why.Code == "history.damaged":
			damaged++
		}
	}
	if damaged != 1 || b.Stats().Damaged == 0 {
		t.Errorf("%d gaps, %+v", damaged, b.Stats())
	}
}

func TestAFileThatIsDeletedUnderItIsBegunAnew(t *testing.T) {
	for _, name := range []string{"file", "folder"} {
		t.Run(name, func(t *testing.T) {
			dir, c := filepath.Join(t.TempDir(), "data"), newHand()
			b := openBox(t, dir, c, nil)
			b.seconds(60, 1)
			b.written()
			if name == "folder" {
				os.RemoveAll(dir)
			} else {
				os.Remove(filepath.Join(dir, fileName))
			}
			b.seconds(60, 2)
			b.written()
			if v, ok := b.value(c.Now().Wall.Add(-30 * time.Second)); !ok || v != 2 {
				t.Errorf("%v %v", v, ok)
			}
			b.end()
			b = openBox(t, dir, c, nil)
			b.seconds(1, 3)
			if v, ok := b.value(c.Now().Wall.Add(-30 * time.Second)); !ok || v != 2 {
				t.Errorf("after a restart: %v %v", v, ok)
			}
		})
	}
}

// noDisk makes a folder in which nothing can be made: a file stands in its place,
// which stops root too.
func noDisk(t *testing.T) (dir string, mend func()) {
	t.Helper()
	block := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(block, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(block, "data"), func() { os.Remove(block) }
}

func TestWithTheDiskDeadItGoesOnInRAMAndWritesItLater(t *testing.T) {
	dir, mend := noDisk(t)
	c := newHand()
	b := openBox(t, dir, c, nil)
	b.seconds(600, 5)
	if v, ok := b.value(c.Now().Wall.Add(-300 * time.Second)); !ok || v != 5 {
		t.Errorf("from RAM: %v %v", v, ok)
	}
	until(t, "it says so", func() bool { ok, _ := b.State(); return !ok })
	if _, why := b.State(); why.In(phrase.ZH) == why.Code || why.IsZero() {
		t.Errorf("said %v", why)
	}
	mend()
	b.written()
	until(t, "it is well again", func() bool { ok, _ := b.State(); return ok })
	if b.Stats().Lost != 0 {
		t.Errorf("%+v", b.Stats())
	}
	b.end()
	b = openBox(t, dir, c, nil)
	b.seconds(1, 5)
	if v, ok := b.value(t0.Add(300 * time.Second)); !ok || v != 5 {
		t.Errorf("from the disk that came back: %v %v", v, ok)
	}
}

func TestWhatWaitsIsBoundedAndTheOldestGoes(t *testing.T) {
	dir, _ := noDisk(t)
	c := newHand()
	b := openBox(t, dir, c, func(o *Opts) { o.RAM = 4 << 10 })
	for i := range 20000 {
		b.seconds(1, float64(i))
	}
	until(t, "all is taken", func() bool { return b.Stats().Taken == b.given })
	b.History.mu.Lock()
	held, batches := b.bytes, len(b.pending)
	b.History.mu.Unlock()
	if s := b.Stats(); held > 4<<10+2048 || batches < 2 || s.Lost == 0 {
		t.Errorf("%d bytes in %d batches, %+v", held, batches, s)
	}
	if v, ok := b.value(c.Now().Wall.Add(-time.Minute)); !ok || v != 20000-60 {
		t.Errorf("the newest is %v %v", v, ok)
	}
	if _, ok := b.value(t0.Add(time.Minute)); ok {
		t.Error("the oldest is still there")
	}
}

func TestOfferingNeverWaits(t *testing.T) {
	dir, _ := noDisk(t)
	b := openBox(t, dir, newHand(), nil)
	b.History.mu.Lock() // nobody takes
	n := 0
	began := time.Now()
	for range 10000 {
		if !b.Offer(point.Reading{Point: "a.b", At: b.c.Now()}) {
			n++
		}
	}
	took := time.Since(began)
	b.History.mu.Unlock()
	if n < 10000-4096-2 || took > 5*time.Second {
		t.Errorf("%d refused in %v", n, took)
	}
	if b.Stats().Lost < int64(n) {
		t.Errorf("%+v, want %d lost", b.Stats(), n)
	}
}

// mounted gives a small file system of its own.
func mounted(t *testing.T, size string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	os.Mkdir(dir, 0o755)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("may not mount: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestAFullDiskIsLeftToOthers(t *testing.T) {
	dir, c := mounted(t, "8m"), newHand()
	b := openBox(t, dir, c, nil)
	b.seconds(60, 1)
	b.written()
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	b.seconds(120, 2)
	until(t, "it says so", func() bool { ok, why := b.State(); return !ok && why.Code == "history.full" })
	if v, ok := b.value(c.Now().Wall.Add(-100 * time.Second)); !ok || v != 2 {
		t.Errorf("from RAM: %v %v", v, ok)
	}
	os.Remove(ballast)
	b.written()
	if v, ok := b.value(c.Now().Wall.Add(-100 * time.Second)); !ok || v != 2 || b.Stats().Replaced != 0 || b.Stats().Lost != 0 {
		t.Errorf("%v %v %+v", v, ok, b.Stats())
	}
}

func TestAReadOnlyDiskIsNoDamage(t *testing.T) {
	dir, c := mounted(t, "8m"), newHand()
	b := openBox(t, dir, c, nil)
	b.seconds(60, 1)
	b.end()
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skip("may not remount: ", err)
	}
	b = openBox(t, dir, c, nil)
	b.seconds(120, 2)
	until(t, "it says so", func() bool { ok, why := b.State(); return !ok && why.Code == "history.readonly" })
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	b.written()
	for at, want := range map[time.Time]float64{t0.Add(30 * time.Second): 1, t0.Add(100 * time.Second): 2} {
		if v, ok := b.value(at); !ok || v != want {
			t.Errorf("%v is %v %v", at, v, ok)
		}
	}
	if s := b.Stats(); s.Replaced != 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAJumpOfTheClockBendsNothing(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, 24 * 365 * time.Hour, -10 * time.Second, -2 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			dir, c := t.TempDir(), newHand()
			b := openBox(t, dir, c, nil)
			b.seconds(100, 1)
			before := c.Now().Wall
			c.step(jump)
			after := c.Now().Wall
			b.seconds(100, 2)
			check := func() {
				t.Helper()
				for i := range 100 {
					d := time.Duration(i)*time.Second + 500*time.Millisecond
					for at, want := range map[time.Time]float64{t0.Add(d): 1, after.Add(d): 2} {
						found := false
						for _, r := range b.rows("a.b", at, at.Add(time.Millisecond), true, 100).Rows {
							found = found || r.Value == want && r.Quality == point.Good
						}
						// The last before the jump held for a moment that nobody knows.
						if !found && !(want == 1 && i >= 98) {
							t.Fatalf("second %d: %v is not found at %v", i, want, at)
						}
					}
				}
				if jump > time.Minute {
					if r, _ := b.rows("a.b", before, after, true, 100).at(before.Add(jump / 2)); r.Quality == point.Good {
						t.Errorf("in the jump: %+v", r)
					}
				}
			}
			check()
			b.written()
			check()
		})
	}
}

func TestTheCapDropsTheOldestValuesAndKeepsTheRollUps(t *testing.T) {
	dir, c := t.TempDir(), newHand()
	b := openBox(t, dir, c, func(o *Opts) {
		o.Most = 600 << 10
		o.Describe = func(point.ID) Point { return Point{Period: time.Second, Limit: 5 * time.Second} }
	})
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 24 * 3600 {
		v := rng.Float64()
		if i == 7200 {
			v = 50 // a peak in an hour that will be dropped
		}
		b.seconds(1, v)
		if i%600 == 0 {
			b.written()
		}
	}
	b.written()
	now := c.Now().Wall
	used, err := b.file.used()
	if err != nil || used > 900<<10 {
		t.Errorf("%d bytes, %v", used, err)
	}
	a := b.rows("a.b", t0, now, false, 1000)
	if a.Source != Hours || len(a.Rows) != 24 {
		t.Fatalf("%s, %d rows", a.Source, len(a.Rows))
	}
	for i, r := range a.Rows {
		if r.Good < 0.99 || r.Min < 0 || i != 2 && r.Max > 1 || r.Value < 0.45 || r.Value > 0.55 {
			t.Errorf("hour %d: %+v", i, r)
		}
	}
	if a.Rows[2].Max != 50 {
		t.Errorf("the peak is %v", a.Rows[2].Max)
	}
	old := b.rows("a.b", t0, t0.Add(time.Hour), true, 100)
	if len(old.Rows) != 1 || old.Rows[0].Quality == point.Good {
		t.Errorf("the oldest values: %+v", old.Rows)
	}
	if fresh := b.rows("a.b", now.Add(-time.Hour), now, false, 60); fresh.Source != Buckets || len(fresh.Rows) != 60 {
		t.Errorf("%s %d", fresh.Source, len(fresh.Rows))
	}
}

func TestWhatIsTooOldGoesSlowly(t *testing.T) {
	dir, c := t.TempDir(), newHand()
	b := openBox(t, dir, c, func(o *Opts) { o.Keep = 24 * time.Hour })
	b.seconds(3600*6, 1)
	b.written()
	count := func() (n int) {
		b.file.w.QueryRow(`SELECT count(*) FROM batch`).Scan(&n)
		return n
	}
	was := count()
	c.step(10 * 365 * 24 * time.Hour) // a clock that is wrong
	for range 25 {
		b.seconds(30, 2)
		b.written()
	}
	if n := count(); was-n > ageAtOnce || was == n+25 {
		t.Errorf("of %d batches %d are left", was, n)
	}
	c.mu.Lock()
	c.at.Trust = clock.Free
	c.mu.Unlock()
	was = count()
	for range 25 {
		b.seconds(30, 2)
		b.written()
	}
	if n := count(); n < was {
		t.Errorf("with a clock that nobody set, %d batches became %d", was, n)
	}
}

func TestBucketsKeepPeaksAndTellGaps(t *testing.T) {
	c := newHand()
	b := openBox(t, t.TempDir(), c, nil)
	for i := range 3600 {
		switch {
		case i == 1000:
			b.good("a.b", 99)
		case i >= 1800 && i < 2400:
			b.bad("a.b", point.CommFault, "line.timeout")
		default:
			b.good("a.b", 1)
		}
		c.add(time.Second)
	}
	a := b.rows("a.b", t0, c.Now().Wall, false, 60)
	a.whole(t, t0, c.Now().Wall)
	peak, gap := 0.0, Row{}
	for _, r := range a.Rows {
		if r.Good > 0 {
			peak = max(peak, r.Max)
		} else {
			gap = r
		}
	}
	if peak != 99 || len(a.Rows) != 51 {
		t.Errorf("peak %v in %d rows", peak, len(a.Rows))
	}
	if gap.Until.Sub(gap.At) != 10*time.Minute || gap.Quality != point.CommFault || gap.Why.Code != "line.timeout" {
		t.Errorf("%+v", gap)
	}
}

func TestRollUpsEqualTheValues(t *testing.T) {
	c := newHand()
	b := openBox(t, t.TempDir(), c, nil)
	rng := rand.New(rand.NewPCG(5, 5))
	type hour struct{ min, max, sum, n float64 }
	model := map[int]*hour{}
	for i := range 3600 * 4 {
		v := float64(rng.IntN(1000)) / 100
		m := model[i/3600]
		if m == nil {
			m = &hour{min: v, max: v}
			model[i/3600] = m
		}
		m.min, m.max, m.sum, m.n = min(m.min, v), max(m.max, v), m.sum+v, m.n+1
		b.seconds(1, v)
		if i%1000 == 0 {
			b.written()
		}
	}
	b.seconds(60, 0)
	b.written()
	until(t, "the hours are rolled up", func() bool {
		var n int
		b.file.r.QueryRow(`SELECT count(*) FROM hour`).Scan(&n)
		return n == 4
	})
	b.file.w.Exec(`DELETE FROM chunk; DELETE FROM batch`) // nothing but roll-ups
	a := b.rows("a.b", t0, t0.Add(4*time.Hour), false, 100)
	if len(a.Rows) != 4 || a.Source != Hours {
		t.Fatalf("%d rows of %s", len(a.Rows), a.Source)
	}
	for i, r := range a.Rows {
		m := model[i]
		if r.Min != m.min || r.Max != m.max || r.Value < m.sum/m.n-0.01 || r.Value > m.sum/m.n+0.01 || r.Good < 0.999 {
			t.Errorf("hour %d: %+v, want %+v", i, r, *m)
		}
	}
}

func TestUnitsAndResolutionsMayChange(t *testing.T) {
	c, dir := newHand(), t.TempDir()
	resolution := 0.01
	b := openBox(t, dir, c, func(o *Opts) {
		o.Describe = func(point.ID) Point {
			return Point{Period: time.Second, Limit: 5 * time.Second, Resolution: resolution}
		}
	})
	b.seconds(60, 1.23)
	b.written()
	b.end()
	resolution = 0.0005
	b = openBox(t, dir, c, func(o *Opts) {
		o.Describe = func(point.ID) Point {
			return Point{Period: time.Second, Limit: 5 * time.Second, Resolution: resolution}
		}
	})
	for range 60 {
		b.give(point.Reading{Point: "a.b", Value: 123.4565, Unit: "cm", Quality: point.Good, At: c.Now()})
		c.add(time.Second)
	}
	a := b.rows("a.b", t0, c.Now().Wall, true, 100)
	first, _ := a.at(t0.Add(30 * time.Second))
	last, _ := a.at(t0.Add(90 * time.Second))
	if first.Value != 1.23 || first.Unit != "m" || last.Value != 123.4565 || last.Unit != "cm" || a.Unit != "cm" {
		t.Errorf("%s: %+v, %+v", a.Unit, first, last)
	}
}
