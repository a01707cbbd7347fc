package journal

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
)

// higher keeps, of what begins with "n", the higher number.
func higher(own, other map[string][]byte, _ bool) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range other {
		n, _ := strconv.Atoi(string(v))
		if m, _ := strconv.Atoi(string(own[k])); k[0] == 'n' && n > m {
			out[k] = v
		}
	}
	return out
}

// written makes a journal's file with values and records, and gives the number of the last.
func written(t *testing.T, dir string, records int, values map[string]string) int64 {
	t.Helper()
	o, end := bench(t)
	j, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for range records {
		j.Append(Record{Kind: "system.test"})
	}
	for k, v := range values {
		j.Put(k, []byte(v))
	}
	synced(t, j)
	last := j.Stats().LastSeq
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	end()
	return last
}

func stood(t *testing.T, j *Journal, key, want string) {
	t.Helper()
	<-j.Loaded()
	if b, _ := j.Get(key); string(b) != want {
		t.Errorf("%s is %q, not %q", key, b, want)
	}
}

func kinds(t *testing.T, j *Journal) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, r := range all(t, j) {
		n[r.Kind]++
	}
	return n
}

func TestWhatStoodInIsCarriedOverOnceAndNoNumberIsGivenAgain(t *testing.T) {
	dir, beside := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "in-memory")
	written(t, dir, 3, map[string]string{"n/a": "5", "n/b": "9", "other": "disk"})
	last := written(t, beside, 20, map[string]string{"n/a": "7", "n/b": "2", "n/c": "1", "other": "memory", "more": "memory"})
	with := func(o *Opts) { o.Merge, o.Beside = higher, beside }
	before := map[string]time.Time{}
	for _, e := range must(os.ReadDir(beside)) {
		before[e.Name()] = must(e.Info()).ModTime()
	}
	for turn := range 3 {
		j := opened(t, dir, with)
		stood(t, j, "n/a", "7")
		stood(t, j, "n/b", "9")
		stood(t, j, "n/c", []string{"1", "1", ""}[turn])
		stood(t, j, "other", "disk")
		stood(t, j, "more", "")
		synced(t, j)
		if n := kinds(t, j); n["journal.carried"] != 1 || n["journal.not_carried"] != 0 {
			t.Errorf("start %d: %v", turn, n)
		}
		j.Append(Record{Kind: "system.after"})
		if turn == 1 {
			j.Put("n/c", nil) // what was carried over is ours: it does not come back
		}
		synced(t, j)
		if n := j.Stats().LastSeq; n <= last {
			t.Errorf("number %d was given before, up to %d", n, last)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	after := map[string]time.Time{}
	for _, e := range must(os.ReadDir(beside)) {
		after[e.Name()] = must(e.Info()).ModTime()
	}
	if !maps.Equal(before, after) {
		t.Errorf("what was set aside has changed: %v, %v", before, after)
	}
	// Of another time in memory everything counts again.
	written(t, beside, 1, map[string]string{"n/a": "8"})
	stood(t, opened(t, dir, with), "n/a", "8")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWhatStoodInIsCarriedOverToANewFileToo(t *testing.T) {
	dir, beside := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "in-memory")
	last := written(t, beside, 5, map[string]string{"n/a": "7"})
	with := func(o *Opts) { o.Merge, o.Beside = higher, beside }
	j := opened(t, dir, with)
	stood(t, j, "n/a", "7")
	synced(t, j)
	for _, r := range all(t, j) {
		if r.Seq <= last {
			t.Errorf("number %d was given before, up to %d", r.Seq, last)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(beside); err != nil {
		t.Fatal(err)
	}
	stood(t, opened(t, dir, with), "n/a", "7")
}

func TestWhatCannotBeReadOfWhatStoodInIsToldAndCostsNothing(t *testing.T) {
	for what, make := range map[string]func(dir string){
		"no database": func(dir string) { os.WriteFile(filepath.Join(dir, fileName), []byte("SQLite format 2"), 0o600) },
		"a link": func(dir string) {
			os.Symlink("/dev/zero", filepath.Join(dir, fileName))
		},
		"too much": func(dir string) {
			v := map[string]string{}
			for n := range 5 {
				v["n/"+strconv.Itoa(n)] = string(make4())
			}
			written(t, dir, 0, v)
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir, beside := filepath.Join(t.TempDir(), "data"), t.TempDir()
			written(t, dir, 3, map[string]string{"n/a": "5"})
			make(beside)
			j := opened(t, dir, func(o *Opts) { o.Merge, o.Beside = higher, beside })
			stood(t, j, "n/a", "5")
			synced(t, j)
			if n := kinds(t, j); n["journal.not_carried"] != 1 || n["journal.carried"] != 0 {
				t.Error(n)
			}
		})
	}
	// None there is nothing to tell of.
	dir := filepath.Join(t.TempDir(), "data")
	written(t, dir, 1, nil)
	j := opened(t, dir, func(o *Opts) { o.Merge, o.Beside = higher, t.TempDir() })
	<-j.Loaded()
	synced(t, j)
	if n := kinds(t, j); n["journal.not_carried"]+n["journal.carried"] != 0 {
		t.Error(n)
	}
}

// untouched gives a check that a directory is as it was: names, times and what the files hold.
func untouched(t *testing.T, dir string) func() {
	t.Helper()
	look := func() map[string]string {
		all := map[string]string{}
		for _, e := range must(os.ReadDir(dir)) {
			sum := sha256.Sum256(must(os.ReadFile(filepath.Join(dir, e.Name()))))
			all[e.Name()] = fmt.Sprintf("%s %x", must(e.Info()).ModTime(), sum)
		}
		return all
	}
	before := look()
	return func() {
		t.Helper()
		if after := look(); !maps.Equal(before, after) {
			t.Errorf("what stood in has changed: %v, %v", before, after)
		}
	}
}

// withWAL makes a journal's file that its process did not close.
func withWAL(t *testing.T, to string, values map[string]string) {
	t.Helper()
	from := filepath.Join(t.TempDir(), "open")
	f, _, err := openFile(from, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	c := change{state: map[string][]byte{}}
	for k, v := range values {
		c.state[k] = []byte(v)
	}
	if err := f.commit(c); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(filepath.Join(to, fileName+suffix), filepath.Join(from, fileName+suffix)); err != nil {
			t.Fatal(err)
		}
	}
}

// What RAM does not take is read in its place where that changes nothing of it, and refused
// where SQLite would write the WAL back.
func TestWhatStoodInAndIsTooLargeToCopyIsNotWrittenTo(t *testing.T) {
	for what, c := range map[string]struct {
		wal  bool
		want string
		kind string
	}{"closed": {false, "7", "journal.carried"}, "with a WAL": {true, "5", "journal.not_carried"}} {
		t.Run(what, func(t *testing.T) {
			dir, beside := filepath.Join(t.TempDir(), "data"), t.TempDir()
			written(t, dir, 1, map[string]string{"n/a": "5"})
			if values := map[string]string{"n/a": "7"}; c.wal {
				withWAL(t, beside, values)
			} else {
				written(t, beside, 1, values)
			}
			if err := os.Truncate(filepath.Join(beside, fileName), rescueMost+4096); err != nil {
				t.Fatal(err)
			}
			check := untouched(t, beside)
			j := opened(t, dir, func(o *Opts) { o.Merge, o.Beside = higher, beside })
			stood(t, j, "n/a", c.want)
			synced(t, j)
			check()
			if n := kinds(t, j); n[c.kind] != 1 || n["journal.carried"]+n["journal.not_carried"] != 1 {
				t.Error(n)
			}
		})
	}
}

// What cannot be read is told once for each state of it, and carried over when it can be.
func TestWhatCannotBeReadOfWhatStoodInIsToldOnceAndTriedAtEachStart(t *testing.T) {
	dir, beside := filepath.Join(t.TempDir(), "data"), t.TempDir()
	written(t, dir, 1, map[string]string{"n/a": "5"})
	file := filepath.Join(beside, fileName)
	start := func(want string, not, carried int) {
		t.Helper()
		j := opened(t, dir, func(o *Opts) { o.Merge, o.Beside = higher, beside })
		stood(t, j, "n/a", want)
		synced(t, j)
		if n := kinds(t, j); n["journal.not_carried"] != not || n["journal.carried"] != carried {
			t.Errorf("%v, want %d and %d", n, not, carried)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for n, text := range []string{"SQLite format 2", "SQLite format two"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		start("5", n+1, 0)
		start("5", n+1, 0)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	written(t, beside, 1, map[string]string{"n/a": "7"})
	start("7", 2, 1)
	start("7", 2, 1)
	// Of files that were carried over nobody is told that they were not.
	same := must(os.Stat(file))
	if err := os.WriteFile(file, make([]byte, same.Size()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Time{}, same.ModTime()); err != nil {
		t.Fatal(err)
	}
	start("7", 2, 1)
}

// What Merge cannot join, or gives too long, is told by its name and tried at each start.
func TestWhatCannotBeJoinedOfWhatStoodInIsToldAndTriedAgain(t *testing.T) {
	dir, beside := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "in-memory")
	written(t, dir, 1, map[string]string{"n/orders": "broken", "n/a": "5"})
	written(t, beside, 1, map[string]string{"n/orders": "7", "n/long": "1", "n/a": "6", "n/gone": "1"})
	merge := func(own, other map[string][]byte, later bool) map[string][]byte {
		out := higher(own, other, later)
		if _, ok := out["n/orders"]; ok && string(own["n/orders"]) == "broken" {
			out["n/orders"] = nil
		}
		if _, ok := out["n/long"]; ok {
			out["n/long"] = make([]byte, MaxValue+1)
		}
		if later != (string(own["n/a"]) == "5") {
			t.Error("of what was set since the other is not the later one")
		}
		return out
	}
	for turn, c := range []struct {
		orders string
		wrote  int // records that something was carried over
	}{{"broken", 1}, {"broken", 1}, {"7", 2}, {"7", 2}} {
		j := opened(t, dir, func(o *Opts) { o.Merge, o.Beside = merge, beside })
		stood(t, j, "n/orders", c.orders)
		stood(t, j, "n/a", "6")
		stood(t, j, "n/long", "")
		stood(t, j, "n/gone", []string{"1", "", "", ""}[turn])
		synced(t, j)
		n, said := kinds(t, j), ""
		for _, r := range all(t, j) {
			if r.Kind == "journal.carried_short" {
				said = r.Message.In(phrase.EN)
			}
		}
		if n["journal.carried_short"] != 1 || n["journal.carried"] != c.wrote {
			t.Errorf("start %d: %v", turn, n)
		}
		if !strings.Contains(said, "n/orders") || !strings.Contains(said, "n/long") || strings.Contains(said, "n/a") {
			t.Errorf("start %d says %q", turn, said)
		}
		switch turn {
		case 0:
			j.Put("n/gone", nil)
		case 1:
			j.Put("n/orders", []byte("3"))
		}
		synced(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// make4 is a value as long as may be.
func make4() []byte { return make([]byte, MaxValue) }

// Values of a torn file count where their checksums hold.
func TestOfATornFileThatStoodInWhatHoldsIsCarriedOver(t *testing.T) {
	dir, beside := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "in-memory")
	written(t, beside, 5, map[string]string{"n/a": "7", "n/b": "8"})
	f, _, err := openFile(beside, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.w.Exec(`UPDATE state SET value = x'39' WHERE key = 'n/b'`); err != nil {
		t.Fatal(err)
	}
	f.close()
	for turn, want := range []int64{1, 0} {
		j := opened(t, dir, func(o *Opts) { o.Merge, o.Beside = higher, beside })
		stood(t, j, "n/a", "7")
		stood(t, j, "n/b", "")
		if n := j.Stats().Damaged; n != want {
			t.Errorf("start %d tells of %d damaged values, not of %d", turn, n, want)
		}
		synced(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What is set while a slow disk has not loaded loses nothing of what it has.
func TestWhatIsSetBeforeTheFileHasLoadedIsMergedWithWhatItHas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	written(t, dir, 1, map[string]string{"n/a": "9", "n/b": "1", "n/gone": "4", "other": "disk"})
	o, end := bench(t)
	defer end()
	o.Merge = higher
	j := &Journal{dir: dir, o: o.withDefaults(), dirty: map[string][]byte{}, state: map[string][]byte{}, posted: map[string]*Letter{}, letters: map[string]*Letter{}, next: 1,
		wake: make(chan struct{}, 1), changed: make(chan struct{})}
	for k, v := range map[string][]byte{"n/a": []byte("3"), "n/b": []byte("2"), "n/gone": nil, "other": []byte("since")} {
		j.Put(k, v)
	}
	f, l, err := openFile(dir, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	j.adopt(l)
	for k, want := range map[string]string{"n/a": "9", "n/b": "2", "n/gone": "", "other": "since"} {
		if b, _ := j.Get(k); string(b) != want || string(j.dirty[k]) != want {
			t.Errorf("%s is %q, and %q is written", k, b, j.dirty[k])
		}
	}
}

// A cut before anything is durable leaves all to be carried over at the next start.
func TestACutWhileCarryingOverLosesNothing(t *testing.T) {
	dir, beside := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "in-memory")
	written(t, dir, 1, map[string]string{"n/a": "5"})
	written(t, beside, 1, map[string]string{"n/a": "7"})
	f, l, err := openFile(dir, 10)
	if err != nil {
		t.Fatal(err)
	}
	o, end := bench(t)
	o.Merge, o.Beside = higher, beside
	j := &Journal{dir: dir, o: o.withDefaults(), dirty: map[string][]byte{}, state: map[string][]byte{}, posted: map[string]*Letter{}, letters: map[string]*Letter{}, next: 1,
		wake: make(chan struct{}, 1), changed: make(chan struct{})}
	j.adopt(l) // and the power goes
	f.close()
	end()
	with := func(o *Opts) { o.Merge, o.Beside = higher, beside }
	again := opened(t, dir, with)
	stood(t, again, "n/a", "7")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := again.Sync(ctx); err != nil {
		t.Fatal(err)
	}
}

// The board's init copies a journal that is being written: the database and then its WAL, again
// where the database changed meanwhile or the WAL began anew.
func TestACopyOfAJournalThatIsWrittenIsCarriedOver(t *testing.T) {
	from := filepath.Join(t.TempDir(), "data")
	j := opened(t, from)
	<-j.Loaded()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				j.Commit(Batch{Records: []Record{{Kind: "system.test", Who: string(make([]byte, 900))}}, State: map[string][]byte{"n/a": []byte(strconv.Itoa(n)), "n/b": []byte(strconv.Itoa(n))}})
				if n%50 == 0 {
					_ = j.Sync(context.Background())
				}
			}
		}
	}()
	copies, before := 0, 0
	for end := time.Now().Add(time.Minute); copies < 40 && time.Now().Before(end); {
		synced(t, j)
		to := t.TempDir()
		moment := func() string {
			st := must(os.Stat(filepath.Join(from, fileName)))
			wal := must(os.ReadFile(filepath.Join(from, fileName+"-wal")))
			return strconv.FormatInt(st.Size(), 10) + st.ModTime().String() + string(wal[:min(len(wal), 32)])
		}
		first := moment()
		for _, suffix := range []string{"", "-wal"} {
			if err := copyFile(filepath.Join(to, fileName+suffix), filepath.Join(from, fileName+suffix)); err != nil {
				t.Fatal(err)
			}
		}
		if moment() != first {
			continue
		}
		copies++
		l, err := readBeside(to)
		if err != nil || l.damaged > 0 {
			t.Fatalf("copy %d: %v, %d damaged", copies, err, l.damaged)
		}
		n, _ := strconv.Atoi(string(l.state["n/a"]))
		if n < before || string(l.state["n/a"]) != string(l.state["n/b"]) {
			t.Fatalf("copy %d has %s and %s, and one before it had %d", copies, l.state["n/a"], l.state["n/b"], before)
		}
		before = n
	}
	close(stop)
	<-done
	if copies < 40 {
		t.Errorf("only %d copies of one moment", copies)
	}
}
