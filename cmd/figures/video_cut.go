package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/video/recorder/drill"
	"tocsin/hwtest/powercut"
)

// filmCuts cuts the power of a process that records two cameras, and of its disk, at
// random instants, mends what is left as a start does and reads it by another's
// reader: most seconds before a cut that are gone, and files that cannot be read,
// hold a hole or broke a promise. Then a file is cut at every byte.
//
// As with the journal, a disk that lies about flushes is the control: the same
// judge must find losses on it.
func filmCuts(b *bench) error {
	if err := powercut.Available(); err != nil {
		return fmt.Errorf("no power-cut rig here: %w", err)
	}
	const control = 12
	lost, bad, _, _, err := b.filmLives(control, true)
	if b.ctx.Err() != nil {
		return err
	}
	if err == nil && bad == 0 && lost <= 2*time.Second {
		return fmt.Errorf("the control lost nothing in %d cuts of a disk that lies", control)
	}
	b.log("the control on a disk that lies: %v lost, %d unreadable or broken, %v", lost, bad, err)
	n := b.n(15, 500)
	lost, bad, torn, stats, err := b.filmLives(n, false)
	b.log("the rig: %+v", stats)
	switch {
	case err != nil:
		return err
	case stats.Lost == 0 || torn == 0:
		return fmt.Errorf("%d cuts lost %d unflushed sectors and tore %d segments: nothing was measured", n, stats.Lost, torn)
	}
	dir, err := os.MkdirTemp("/dev/shm", "figures-") // thousands of files: not the bench's own disk
	if err != nil {
		dir = filepath.Join(b.dir, "bytes")
	}
	defer os.RemoveAll(dir)
	bytes, badly, err := drill.EveryByte(b.ctx, dir)
	if err != nil {
		return err
	}
	b.tellWhy("video.powercut_lost_s", lost.Seconds(), n, fmt.Sprintf("two cameras of 0.9 Mbit/s, %d segments torn", torn))
	b.tellWhy("video.powercut_unreadable", float64(bad+badly), n, fmt.Sprintf("and %d truncations, one at each byte of a file", bytes))
	return nil
}

func (b *bench) filmLives(n int, lie bool) (lost time.Duration, bad, torn int, stats powercut.Stats, err error) {
	rig, err := powercut.New(64, uint64(b.seed))
	if err != nil {
		return 0, 0, 0, stats, err
	}
	defer func() { stats = rig.Stats(); rig.Close() }()
	r, j := b.rng(), drill.NewJudge(rig.Dir())
	for i := range n {
		id := uint32(i + 1)
		rig.Lie(lie)
		v, err := b.filmLife(rig, j, id, time.Duration(500+r.IntN(5000))*time.Millisecond)
		if err != nil {
			return lost, bad, torn, stats, fmt.Errorf("cut %d: %w", i, err)
		}
		if v.Lost > lost || len(v.Why) > 0 && !lie {
			b.log("cut %d: lost %v (the disk was at a write for %v), %d pictures in %d files, %d torn %v", i, v.Lost, v.Writing, v.Pictures, v.Files, v.Torn, v.Why)
		}
		lost, bad, torn = max(lost, v.Lost), bad+v.Unreadable+v.Holes+v.Broken, torn+v.Torn
	}
	return lost, bad, torn, stats, nil
}

func (b *bench) filmLife(rig *powercut.Rig, j *drill.Judge, id uint32, life time.Duration) (v drill.Verdict, err error) {
	out, w, err := os.Pipe()
	if err != nil {
		return v, err
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), fmt.Sprint(filmEnv, "=", id), filmDirEnv+"="+rig.Dir())
	c.Stdout, c.Stderr = w, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = c.Start()
	w.Close()
	if err != nil {
		out.Close()
		return v, err
	}
	told := make(chan *drill.Told, 1)
	go func() { told <- drill.Listen(out); out.Close() }()
	other := startNoise(rig.Dir())
	waited := b.pause(life)
	at := clock.Mono()
	err = rig.Cut(func() { c.Process.Kill(); other.Process.Kill() })
	c.Wait()
	other.Wait()
	rig.Lie(false)
	if err == nil {
		err = waited
	}
	if err == nil {
		err = rig.Restore()
	}
	if err != nil {
		<-told
		return v, err
	}
	return j.After(b.ctx, id, <-told, at)
}

const (
	filmEnv    = "TOCSIN_FIGURES_FILM"
	filmDirEnv = "TOCSIN_FIGURES_FILM_DIR"
)

// filmIfAsked is the process that records.
func filmIfAsked() {
	id, err := strconv.ParseUint(os.Getenv(filmEnv), 10, 32)
	if err != nil {
		return
	}
	if err := drill.Life(context.Background(), os.Getenv(filmDirEnv), uint32(id), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
