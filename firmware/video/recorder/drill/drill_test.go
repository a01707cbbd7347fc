package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tocsin/firmware/clock"
)

const lifeEnv = "TOCSIN_DRILL_LIFE"

// TestMain is also the process that records and is killed.
func TestMain(m *testing.M) {
	if id, err := strconv.ParseUint(os.Getenv(lifeEnv), 10, 32); err == nil {
		if err := Life(context.Background(), os.Args[len(os.Args)-1], uint32(id), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// live starts a life in a process of its own; told comes once its end is read.
func live(t *testing.T, dir string, id uint32) (*exec.Cmd, chan *Told) {
	t.Helper()
	c := exec.Command("/proc/self/exe", dir)
	c.Env = append(os.Environ(), fmt.Sprint(lifeEnv, "=", id))
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	told := make(chan *Told, 1)
	go func() { told <- Listen(out); out.Close() }()
	return c, told
}

func judge(t *testing.T, v Verdict) {
	t.Helper()
	if v.Unreadable+v.Holes+v.Broken > 0 {
		t.Errorf("%+v", v)
	}
	// The figure holds the seconds; here a machine that stands still may lose more.
	t.Logf("lost %v, %d pictures in %d files, %d torn", v.Lost, v.Pictures, v.Files, v.Torn)
}

func TestAKillLosesNoMoreThanWhatWasInMemory(t *testing.T) {
	dir := t.TempDir()
	j := NewJudge(dir)
	kills, pictures := 5, 0
	if testing.Short() {
		kills = 2
	}
	for i := range kills {
		p, told := live(t, dir, uint32(i+1))
		time.Sleep(time.Duration(1500+rand.IntN(2500)) * time.Millisecond) // a real process on real time
		at := clock.Mono()
		p.Process.Kill()
		p.Wait()
		v, err := j.After(t.Context(), uint32(i+1), <-told, at)
		if err != nil {
			t.Fatal(err)
		}
		pictures += v.Pictures
		judge(t, v)
	}
	if pictures == 0 {
		t.Error("nothing was recorded")
	}
}

func TestAFileIsReadableWhereverItIsCut(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "drill-") // flushing by the thousand is slow elsewhere
	if err != nil {
		dir = t.TempDir()
	}
	defer os.RemoveAll(dir)
	cuts, bad, err := EveryByte(t.Context(), dir)
	if err != nil || bad > 0 || cuts < 1000 {
		t.Errorf("%d cuts, %d bad: %v", cuts, bad, err)
	}
	t.Log(cuts)
}
