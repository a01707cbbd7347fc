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
	"tocsin/hwtest/powercut"
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

func TestAPowerCutLeavesEveryFileReadable(t *testing.T) {
	if err := powercut.Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	rig, err := powercut.New(64, 11)
	if err != nil {
		t.Fatal(err)
	}
	defer rig.Close()
	j := NewJudge(rig.Dir())
	cuts, pictures := 6, 0
	if testing.Short() {
		cuts = 2
	}
	for i := range cuts {
		p, told := live(t, rig.Dir(), uint32(i+1))
		stop := make(chan struct{})
		go powercut.Unsynced(rig.Dir(), stop)
		time.Sleep(time.Duration(1000+rand.IntN(3000)) * time.Millisecond) // a real process on real time
		at := clock.Mono()
		if err := rig.Cut(func() { p.Process.Kill(); close(stop) }); err != nil {
			t.Fatal(err)
		}
		p.Wait()
		if err := rig.Restore(); err != nil {
			t.Fatal(err)
		}
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
	t.Logf("%+v", rig.Stats())
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
