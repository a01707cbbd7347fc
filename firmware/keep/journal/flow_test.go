package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
)

func TestFollowersGetEveryDurableRecordOnceInOrder(t *testing.T) {
	j := opened(t, t.TempDir())
	const n = 1500
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	enough := errors.New("enough")
	for f := range 4 {
		wg.Go(func() {
			time.Sleep(time.Duration(f) * 20 * time.Millisecond) // some come late and catch up
			var got []string
			last := int64(0)
			err := j.Follow(ctx, 0, func(r Record) error {
				if r.Seq != last+1 {
					t.Errorf("number %d after %d", r.Seq, last)
				}
				last = r.Seq
				if got = append(got, r.Cause); len(got) == n {
					return enough
				}
				return nil
			})
			if !errors.Is(err, enough) || !slices.Equal(got, want(0, n)) {
				t.Errorf("follower %d: %v, %d records", f, err, len(got))
			}
		})
	}
	for range 2 { // readers that come and go
		wg.Go(func() {
			for ctx.Err() == nil && j.Stats().Records < n {
				if _, err := j.Read(ctx, 0, 100); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := 0; i < n; i += 10 {
		fill(j, i, 10)
		time.Sleep(200 * time.Microsecond)
	}
	wg.Wait()
}

func TestAFollowerEndsWithItsContextAndWithTheJournal(t *testing.T) {
	j := opened(t, t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := j.Follow(ctx, 0, func(Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ended := make(chan error)
	go func() { ended <- j.Follow(context.Background(), 0, func(Record) error { return nil }) }()
	j.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a follower outlives the journal")
	}
}

func TestWhereThereIsNoRoomTelemetryGoesFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blocked")
	os.WriteFile(dir, nil, 0o600)
	j := opened(t, dir, func(o *Opts) { o.Waiting = 100 })
	for i := range 300 {
		kind := "reading.sample"
		switch i % 6 {
		case 1, 4:
			kind = "fault"
		case 2:
			kind = "alarm.raised"
		}
		j.Append(Record{Kind: kind, Cause: fmt.Sprint(i)})
	}
	count := map[string]int{}
	last := -1
	for _, r := range j.Recent(-1) {
		count[r.Kind]++
		n := 0
		fmt.Sscan(r.Cause, &n)
		if n <= last {
			t.Errorf("%d after %d: the order is lost", n, last)
		}
		last = n
	}
	if count["alarm.raised"] != 50 || count["fault"] != 50 || count["reading.sample"] != 0 {
		t.Errorf("left: %v", count)
	}
	if s := j.Stats(); s.Dropped != [weights]int64{150, 50, 0} {
		t.Errorf("dropped: %v", s.Dropped)
	}
	for i := range 200 {
		j.Append(Record{Kind: "receipt", Cause: fmt.Sprint(1000 + i)})
	}
	for i := range 50 {
		j.Append(Record{Kind: "reading", Cause: fmt.Sprint(2000 + i)})
	}
	if s := j.Stats(); s.Waiting != 100 || s.Dropped != [weights]int64{200, 100, 150} {
		t.Errorf("full of what matters: %+v", s)
	}
	os.Remove(dir)
	until(t, "the disk is well", standing(j, ""))
	synced(t, j)
	until(t, "the loss is written down", func() bool {
		recs := all(t, j)
		r := recs[len(recs)-1]
		return r.Kind == "journal.dropped" && fmt.Sprint(r.Message.Params["n"]) == "450"
	})
}

func TestTheStateOfADroppedBatchStillStands(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blocked")
	os.WriteFile(dir, nil, 0o600)
	j := opened(t, dir, func(o *Opts) { o.Waiting = 3 })
	fill(j, 0, 20)
	j.Put("gone", []byte("x"))
	j.Put("gone", nil)
	os.Remove(dir)
	until(t, "the disk is well", standing(j, ""))
	synced(t, j)
	j.Close()
	j = opened(t, dir)
	if v, _ := j.Get("n"); string(v) != "19" {
		t.Errorf("state: %q", v)
	}
	if keys := j.Keys(""); !slices.Equal(keys, []string{"n"}) {
		t.Errorf("keys: %v", keys)
	}
}

func TestTheCapTakesTheOldestButNotWhatIsHeld(t *testing.T) {
	hold := int64(0)
	var mu sync.Mutex
	j := opened(t, t.TempDir(), func(o *Opts) {
		o.MaxRows = 100
		o.Hold = func() int64 { mu.Lock(); defer mu.Unlock(); return hold }
	})
	for i := range 300 {
		fill(j, i, 1)
		synced(t, j)
	}
	if got := causes(t, j); len(got) < 100 || len(got) > 100+pruneEvery || got[len(got)-1] != "c299" {
		t.Errorf("%d kept, the last %s", len(got), got[len(got)-1])
	}
	mu.Lock()
	hold = 250
	mu.Unlock()
	for i := range 400 {
		fill(j, 300+i, 1)
		synced(t, j)
	}
	if got := all(t, j); got[0].Seq > 250 {
		t.Errorf("what was held is gone: the first is %d", got[0].Seq)
	}
}

func TestTheCapOfBytesHolds(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir, func(o *Opts) { o.MaxBytes = 512 << 10 })
	body := fmt.Appendf(nil, `"%02000d"`, 0)
	for i := range 1500 {
		j.Append(Record{Kind: "receipt", Cause: fmt.Sprint(i), Body: body})
		synced(t, j)
	}
	j.Close()
	if st, err := os.Stat(filepath.Join(dir, fileName)); err != nil || st.Size() > 2<<20 {
		t.Errorf("size %d %v", st.Size(), err)
	}
}

func TestMigrationsAddAndANewerFileIsReadOrSetAside(t *testing.T) {
	for _, c := range []struct {
		name    string
		more    int
		replace bool
	}{{"two versions newer", 2, false}, {"three versions newer", 3, true}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			j := opened(t, dir)
			fill(j, 0, 5)
			synced(t, j)
			j.Close()
			db, err := sql.Open("sqlite", dsn(filepath.Join(dir, fileName)))
			if err != nil {
				t.Fatal(err)
			}
			steps := slices.Clone(migrations)
			for i := range c.more {
				steps = append(steps, fmt.Sprintf("ALTER TABLE record ADD COLUMN more%d TEXT NOT NULL DEFAULT 'x'; CREATE TABLE more%d (a)", i, i))
			}
			if err := migrate(db, steps); err != nil {
				t.Fatal(err)
			}
			db.Close()
			j = opened(t, dir)
			fill(j, 5, 5)
			synced(t, j)
			if got := causes(t, j); !slices.Equal(got, want(0, 10)) {
				t.Errorf("held: %v", got)
			}
			if v, _ := j.Get("n"); string(v) != "9" {
				t.Errorf("state %q", v)
			}
			if got := j.Stats().Replaced > 0; got != c.replace {
				t.Errorf("replaced: %v", got)
			}
		})
	}
}

func TestLongAndBrokenContentIsKeptAsANoteNotRefused(t *testing.T) {
	j := opened(t, t.TempDir())
	j.Append(
		Record{Kind: "receipt", Body: slices.Repeat([]byte("1"), MaxBody+1)},
		Record{Kind: "receipt", Body: []byte(`{"half":`)},
		Record{Kind: "receipt", Message: phrase.M("error.plain", "text", func() {}, "nan", nan())},
	)
	j.Put("big", make([]byte, MaxValue+1))
	synced1 := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return j.Sync(ctx)
	}
	if err := synced1(); err != nil {
		t.Error(err)
	}
	got := all(t, j)
	if len(got) != 4 || got[3].Kind != "journal.refused" || string(got[0].Body) != `{"omitted":"too long","bytes":65537}` || string(got[1].Body) != `{"text":"{\"half\":"}` {
		t.Errorf("%+v", got)
	}
	if _, ok := j.Get("big"); ok {
		t.Error("a value beyond the bound was taken")
	}
}

func nan() float64 { z := 0.0; return z / z }

func TestCloseKeepsWhatWaitsAndTakesNoMore(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir)
	fill(j, 0, 500)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	fill(j, 500, 1)
	if ok, _ := j.State(); ok {
		t.Error("a closed journal says that it keeps")
	}
	j = opened(t, dir)
	if got := causes(t, j); !slices.Equal(got, want(0, 500)) {
		t.Errorf("held: %d", len(got))
	}
}

func TestTheEndOfTheGuardKeepsWhatWaits(t *testing.T) {
	dir := t.TempDir()
	o, end := bench(t)
	j, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	fill(j, 0, 200)
	end()
	j = opened(t, dir)
	if got := causes(t, j); !slices.Equal(got, want(0, 200)) {
		t.Errorf("held: %d", len(got))
	}
}

// FuzzOpen holds that no bytes in place of the database stop a journal from
// working.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	j := opened(f, dir)
	fill(j, 0, 3)
	synced(f, j)
	j.file.checkpoint()
	b, _ := os.ReadFile(filepath.Join(dir, fileName))
	f.Add(b, []byte{}, "5\n")
	f.Add(b[:4096], []byte("7\x7f\x06\x82"), "99999999999999999999")
	f.Add([]byte("SQLite format 3\x00"), []byte{}, "-1")
	f.Add([]byte{}, []byte("x"), "")
	f.Fuzz(func(t *testing.T, db, wal []byte, floor string) {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, fileName), db, 0o600)
		os.WriteFile(filepath.Join(dir, fileName+"-wal"), wal, 0o600)
		os.WriteFile(filepath.Join(dir, floorName), []byte(floor), 0o600)
		j := opened(t, dir)
		j.Append(Record{Kind: "alarm.raised", Cause: "new"})
		synced(t, j)
		recs, err := j.Read(context.Background(), 0, MaxRead)
		if err != nil && j.Stats().Replaced == 0 {
			return // damage that only a reader met; the check replaces the file
		}
		for n := 0; len(recs) == MaxRead && n < 100; n++ {
			recs, _ = j.Read(context.Background(), recs[len(recs)-1].Seq, MaxRead)
		}
		if !slices.ContainsFunc(recs, func(r Record) bool { return r.Cause == "new" }) {
			t.Errorf("the new record is not read back: %d records, %v", len(recs), err)
		}
	})
}

// BenchmarkAppend measures what the alarm path pays. The longest single call is
// reported beside the mean.
func BenchmarkAppend(b *testing.B) {
	for name, dir := range map[string]string{"disk": b.TempDir(), "no disk": filepath.Join("/proc", "nowhere")} {
		b.Run(name, func(b *testing.B) {
			j := opened(b, dir)
			body := fmt.Appendf(nil, `{"pad":"%0300d"}`, 0)
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				began := time.Now()
				j.Commit(Batch{Records: []Record{{Kind: "alarm.raised", Cause: "c", Body: body}}, State: map[string][]byte{"n": body}})
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "ns-median")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "ns-p99")
			b.ReportMetric(float64(took[len(took)-1].Microseconds()), "µs-max")
		})
	}
}

func TestAppendDoesNotWaitForTheDisk(t *testing.T) {
	for name, dir := range map[string]string{"disk": t.TempDir(), "no disk": "/proc/nowhere"} {
		j := opened(t, dir)
		var took []time.Duration
		for i := range 3000 {
			began := time.Now()
			fill(j, i, 1)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		if m := took[len(took)/2]; m > time.Millisecond {
			t.Errorf("%s: the median append took %v", name, m)
		}
		t.Logf("%s: median %v, p99 %v, longest %v", name, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	}
}
