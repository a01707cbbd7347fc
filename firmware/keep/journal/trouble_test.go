package journal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fill appends n alarms with the counter in the state.
func fill(j *Journal, from, n int) {
	for i := from; i < from+n; i++ {
		j.Commit(Batch{
			Records: []Record{{Kind: "alarm.raised", Cause: fmt.Sprint("c", i), Body: fmt.Appendf(nil, `{"n":%d}`, i)}},
			State:   map[string][]byte{"n": fmt.Append(nil, i)},
		})
	}
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

func standing(j *Journal, code string) func() bool {
	return func() bool { ok, why := j.State(); return ok == (code == "") && why.Code == code }
}

// causes lists the causes of all alarms, in order.
func causes(t *testing.T, j *Journal) (c []string) {
	for _, r := range all(t, j) {
		if r.Kind == "alarm.raised" {
			c = append(c, r.Cause)
		}
	}
	return c
}

func want(from, n int) (c []string) {
	for i := from; i < from+n; i++ {
		c = append(c, fmt.Sprint("c", i))
	}
	return c
}

func TestADeletedFileIsMadeAnewFromRAM(t *testing.T) {
	for name, kill := range map[string]func(dir string) error{
		"database":  func(d string) error { return os.Remove(filepath.Join(d, fileName)) },
		"wal":       func(d string) error { return os.Remove(filepath.Join(d, fileName+"-wal")) },
		"directory": os.RemoveAll,
		"another in its place": func(d string) error {
			os.Remove(filepath.Join(d, fileName))
			return os.WriteFile(filepath.Join(d, fileName), []byte("nothing of ours, but long enough to be looked at"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			j := opened(t, dir)
			fill(j, 0, 50)
			synced(t, j)
			if err := kill(dir); err != nil {
				t.Fatal(err)
			}
			fill(j, 50, 50)
			synced(t, j)
			if got := causes(t, j); !slices.Equal(got, want(0, 100)) {
				t.Errorf("held: %v", got)
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
			j = opened(t, dir)
			if got := causes(t, j); !slices.Equal(got, want(0, 100)) {
				t.Errorf("after a restart: %d alarms", len(got))
			}
			if v, _ := j.Get("n"); string(v) != "99" {
				t.Errorf("state: %s", v)
			}
		})
	}
}

func TestNumbersGoOnWhenTheFileIsLostBetweenTwoRuns(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir)
	fill(j, 0, 30)
	synced(t, j)
	last := j.Stats().LastSeq
	j.Close()
	for _, n := range []string{fileName, fileName + "-wal"} {
		os.Remove(filepath.Join(dir, n))
	}
	for range 3 { // also when nothing was written to the new file yet
		j = opened(t, dir)
		j.Close()
	}
	j = opened(t, dir)
	fill(j, 30, 1)
	synced(t, j)
	recs := all(t, j)
	if len(recs) != 1 || recs[0].Seq <= last {
		t.Errorf("after number %d came %+v", last, recs)
	}
}

func TestACorruptFileIsSetAsideAndWhatIsReadableIsKept(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	clean := filepath.Join(t.TempDir(), "clean")
	j := opened(t, clean)
	fill(j, 0, 400)
	synced(t, j)
	last := j.Stats().LastSeq
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(clean, fileName))
	if err != nil {
		t.Fatal(err)
	}
	floor, _ := os.ReadFile(filepath.Join(clean, floorName))
	replaced, kept := 0, 0
	for i := range rounds(40, 400) {
		dir := t.TempDir()
		bad := slices.Clone(whole)
		switch i % 4 {
		case 0: // one bit
			bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
		case 1: // one sector
			at := rng.IntN(len(bad)/512) * 512
			for k := range 512 {
				bad[at+k] = byte(rng.Uint32())
			}
		case 2: // cut short
			bad = bad[:rng.IntN(len(bad))]
		case 3: // a page of nothing
			clear(bad[rng.IntN(len(bad)/4096)*4096:][:4096])
		}
		os.WriteFile(filepath.Join(dir, fileName), bad, 0o600)
		os.WriteFile(filepath.Join(dir, floorName), floor, 0o600)
		j := opened(t, dir)
		fill(j, 1000, 10)
		synced(t, j)
		if f := j.damaged(context.Background()); f != nil { // as the check in the background would find
			j.condemned <- f
			until(t, "set aside", func() bool { return j.Stats().Replaced > 0 })
			fill(j, 1010, 1)
			synced(t, j)
		}
		got := all(t, j)
		n, fresh := 0, 0
		for _, r := range got {
			switch {
			case strings.HasPrefix(r.Cause, "c1") && len(r.Cause) == 5:
				if fresh++; r.Seq <= last && i%4 != 0 && j.Stats().Replaced > 0 {
					t.Errorf("round %d: number %d given again", i, r.Seq)
				}
			case r.Kind == "alarm.raised":
				n++
				if string(r.Body) != `{"n":`+r.Cause[1:]+`}` {
					t.Errorf("round %d: a damaged record was believed: %+v", i, r)
				}
			}
		}
		if fresh < 10 {
			t.Errorf("round %d: %d new alarms of 10", i, fresh)
		}
		if v, ok := j.Get("n"); !ok || string(v) != "1009" && string(v) != "1010" {
			t.Errorf("round %d: state %s", i, v)
		}
		if j.Stats().Replaced > 0 {
			replaced++
			if m, _ := filepath.Glob(filepath.Join(dir, "journal-corrupt-*.db")); len(m) == 0 {
				t.Errorf("round %d: nothing was set aside", i)
			}
		}
		kept += n
		j.Close()
	}
	if replaced == 0 || kept == 0 {
		t.Errorf("replaced %d, kept %d", replaced, kept)
	}
	t.Logf("replaced %d files, %d old alarms readable", replaced, kept)
}

func TestCorruptionWhileRunningIsSurvived(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir)
	fill(j, 0, 300)
	synced(t, j)
	// Make the pages go to their place, then spoil them there and drop the cache by
	// a connection of its own.
	j.file.checkpoint()
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	st, _ := f.Stat()
	junk := make([]byte, st.Size())
	for i := range junk {
		junk[i] = byte(i * 7)
	}
	f.WriteAt(junk, 0)
	f.Close()
	fill(j, 300, 20)
	j.Read(context.Background(), 0, 1000) // a reader meets the damage
	until(t, "the file is replaced", func() bool {
		fill(j, 320, 1)
		return j.Stats().Replaced > 0
	})
	synced(t, j)
	got := causes(t, j)
	for i := range 320 {
		if !slices.Contains(got, fmt.Sprint("c", i)) {
			t.Fatalf("alarm %d is lost", i)
		}
	}
	if ok, why := j.State(); !ok {
		t.Errorf("state: %v", why)
	}
}

// mounted mounts a small file system of RAM, where the test may.
func mounted(t *testing.T, opts string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, opts); err != nil {
		t.Skip("no tmpfs here: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestAFullDiskIsOutlived(t *testing.T) {
	dir := mounted(t, "size=1m")
	j := opened(t, dir)
	fill(j, 0, 20)
	synced(t, j)
	hog := filepath.Join(dir, "hog")
	f, _ := os.Create(hog)
	for {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	f.Close()
	big := make([]byte, 30_000)
	for i := range big {
		big[i] = '1'
	}
	for i := 20; i < 40; i++ {
		j.Commit(Batch{Records: []Record{{Kind: "alarm.raised", Cause: fmt.Sprint("c", i), Body: big}}})
	}
	until(t, "the full disk is told", standing(j, "journal.full"))
	if r := j.Recent(1000); r[len(r)-1].Cause != "c39" || r[len(r)-1].Seq != 0 {
		t.Errorf("recent does not show what waits: %+v", r[len(r)-1].Cause)
	}
	os.Remove(hog)
	until(t, "the disk is well again", standing(j, ""))
	synced(t, j)
	if got := causes(t, j); !slices.Equal(got, want(0, 40)) {
		t.Errorf("held: %v", got)
	}
}

func TestAJournalOnADiskFullFromTheStartStillResumes(t *testing.T) {
	dir := mounted(t, "size=2m")
	j := opened(t, dir)
	fill(j, 0, 20)
	synced(t, j)
	j.Close()
	f, _ := os.Create(filepath.Join(dir, "hog"))
	for {
		if _, err := f.Write(make([]byte, 512)); err != nil {
			break
		}
	}
	f.Close()
	j = opened(t, dir)
	if v, _ := j.Get("n"); string(v) != "19" {
		t.Errorf("state: %q", v)
	}
	fill(j, 20, 1)
	if v, _ := j.Get("n"); string(v) != "20" {
		t.Errorf("state: %q", v)
	}
}

func TestAReadOnlyDiskIsOutlivedAndItsStateLoaded(t *testing.T) {
	dir := mounted(t, "size=4m")
	first := opened(t, dir)
	fill(first, 0, 20)
	synced(t, first)
	// A copy taken while it runs, as a power cut leaves it: with its WAL.
	other := mounted(t, "size=4m")
	for _, n := range []string{fileName, fileName + "-wal", floorName} {
		if err := copyFile(filepath.Join(other, n), filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("", other, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=4m"); err != nil {
		t.Skip("no remount here: ", err)
	}
	j := opened(t, other)
	if v, _ := j.Get("n"); string(v) != "19" {
		t.Errorf("state: %q", v)
	}
	fill(j, 20, 20)
	until(t, "the read-only disk is told", standing(j, "journal.readonly"))
	if err := unix.Mount("", other, "", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	until(t, "the disk is well again", standing(j, ""))
	synced(t, j)
	if got := causes(t, j); !slices.Equal(got, want(0, 40)) {
		t.Errorf("held: %v", got)
	}
}

func TestADirectoryThatCannotBeMadeIsNoError(t *testing.T) {
	parent := t.TempDir()
	blocker := filepath.Join(parent, "file")
	os.WriteFile(blocker, nil, 0o600)
	began := time.Now()
	j := opened(t, filepath.Join(blocker, "data"))
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("opening took %v", d)
	}
	fill(j, 0, 10)
	if ok, why := j.State(); ok || why.Code != "journal.disk" {
		t.Errorf("state: %v %v", ok, why)
	}
	if _, err := j.Read(context.Background(), 0, 10); err == nil {
		t.Error("a journal without disk reads as if it had one")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := j.Sync(ctx); err == nil {
		t.Error("what is in RAM alone is said to be durable")
	}
	os.Remove(blocker)
	until(t, "the disk is well", standing(j, ""))
	synced(t, j)
	if got := causes(t, j); !slices.Equal(got, want(0, 10)) {
		t.Errorf("held: %v", got)
	}
}

func TestTwoJournalsDoNotWriteOneFile(t *testing.T) {
	dir := t.TempDir()
	c := startLoad(t, dir)
	c.ready(t)
	j := opened(t, dir)
	fill(j, 0, 3)
	until(t, "the other holder is told", standing(j, "journal.held"))
	c.cmd.Process.Kill()
	acked := c.ended()
	until(t, "the file is ours", standing(j, ""))
	synced(t, j)
	held := map[int64]string{}
	for _, r := range all(t, j) {
		held[r.Seq] = r.Cause
	}
	for _, r := range acked {
		if held[r.Seq] != r.Cause {
			t.Errorf("number %d of the first was overwritten", r.Seq)
		}
	}
}

func TestOpeningAFileOfSizeIsQuick(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir)
	body := fmt.Appendf(nil, `{"pad":"%0400d"}`, 0)
	for i := range 20_000 {
		j.Commit(Batch{
			Records: []Record{{Kind: "alarm.raised", Cause: fmt.Sprint("c", i), Body: body}},
			State:   map[string][]byte{fmt.Sprint("window/", i%200): body},
		})
		if i%4000 == 0 {
			synced(t, j)
		}
	}
	synced(t, j)
	// As a power cut leaves it, with a WAL to be recovered.
	other := t.TempDir()
	for _, n := range []string{fileName, fileName + "-wal", floorName} {
		if err := copyFile(filepath.Join(other, n), filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	j = opened(t, other, func(o *Opts) { o.Start = time.Minute })
	took := time.Since(began)
	if v, ok := j.Get("window/199"); !ok || len(v) != len(body) {
		t.Errorf("state: %d bytes", len(v))
	}
	t.Logf("opened in %v", took)
	if took > 5*time.Second { // far beyond the 300 ms, for a noisy machine
		t.Errorf("opening took %v", took)
	}
}
