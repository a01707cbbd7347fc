package history

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/point"
)

// The test binary runs as its own child where a process must die.
const childDir = "HISTORY_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childLoad(dir)
		return
	}
	os.Exit(m.Run())
}

// childEvery is how long the child gathers.
const childEvery = 200 * time.Millisecond

// childLoad offers a counter without end, 256 points of it, and says what it has
// offered before each offering.
func childLoad(dir string) {
	c := clock.NewSystem(time.Time{}, clock.Set)
	g := guard.New(context.Background(), nil, func(e guard.Event) { os.Exit(3) })
	h, err := Open(dir, Opts{Guard: g, Clock: c, Every: childEvery, Describe: func(point.ID) Point {
		return Point{Period: 5 * time.Millisecond, Limit: 10 * time.Second, Resolution: 1}
	}})
	if err != nil {
		panic(err)
	}
	go writeback(dir)
	for n := 1; ; n++ {
		now := c.Now()
		fmt.Println(n, now.Wall.UnixMilli())
		for i := range 256 {
			h.Offer(point.Reading{Point: point.ID(fmt.Sprint("p.", i)), Value: float64(n), Unit: "1", Quality: point.Good, At: now})
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// writeback has the kernel send pieces of the files to the disk, out of order and
// without a flush, as it does by itself after a while.
func writeback(dir string) {
	for {
		time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
		f, err := os.OpenFile(filepath.Join(dir, fileName+[]string{"", "-wal"}[rand.IntN(2)]), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if st, err := f.Stat(); err == nil && st.Size() > 0 {
			unix.SyncFileRange(int(f.Fd()), rand.Int64N(st.Size())&^4095, 32<<10, unix.SYNC_FILE_RANGE_WRITE)
		}
		f.Close()
	}
}

// TestKill9LosesABatchAtMostAndHarmsNothing kills a process that writes and looks
// at what it left.
func TestKill9LosesABatchAtMostAndHarmsNothing(t *testing.T) {
	dir := t.TempDir()
	for round := range 4 {
		last, at := killOne(t, dir, time.Duration(1500+rand.IntN(800))*time.Millisecond)
		ctx, cancel := context.WithCancel(context.Background())
		g := guard.New(ctx, nil, nil)
		h, err := Open(dir, Opts{Guard: g, Clock: clock.NewSystem(time.Time{}, clock.Set)})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the file is open", func() bool { h.fmu.RLock(); defer h.fmu.RUnlock(); return h.file != nil })
		var check string
		if err := h.file.w.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
			t.Fatalf("round %d: %s %v", round, check, err)
		}
		for _, p := range []int{0, 63} {
			a, err := h.Query(ctx, Query{Point: point.ID(fmt.Sprint("p.", p)), From: time.UnixMilli(at - 5000), To: time.UnixMilli(at + 1), Raw: true, Most: MostRows})
			if err != nil {
				t.Fatal(err)
			}
			newest := time.Time{}
			for _, r := range a.Rows {
				if r.Why.Code == "history.damaged" {
					t.Errorf("round %d: %+v", round, r)
				}
				if r.Quality == point.Good && r.Value <= float64(last) {
					newest = r.At
				}
			}
			// Loaded machines are slow: the batch, and the time to write one.
			if lost := time.UnixMilli(at).Sub(newest); lost > 2*childEvery+time.Second {
				t.Errorf("round %d: the last %v of point %d are lost", round, lost, p)
			}
		}
		if s := h.Stats(); s.Replaced != 0 || s.Damaged != 0 {
			t.Errorf("round %d: %+v", round, s)
		}
		h.Close()
		cancel()
		g.Wait(10 * time.Second)
	}
}

// killOne lets the child write for a while, kills it and gives the last that it
// offered.
func killOne(t *testing.T, dir string, life time.Duration) (last, at int64) {
	t.Helper()
	return endOne(t, dir, life, func(kill func()) { kill() })
}

// endOne ends the child in a way of the caller's, which calls kill.
func endOne(t *testing.T, dir string, life time.Duration, end func(kill func())) (last, at int64) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(30*time.Second, func() { c.Process.Kill() })
	defer kill.Stop()
	ended := make(chan struct{})
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if n, _ := fmt.Sscan(sc.Text(), &last, &at); n == 2 && last == 1 {
			time.AfterFunc(life, func() { defer close(ended); end(func() { c.Process.Kill() }) })
		}
	}
	c.Wait()
	if last > 0 {
		<-ended
	}
	if last < 10 {
		t.Fatalf("the child offered %d", last)
	}
	return last, at
}
