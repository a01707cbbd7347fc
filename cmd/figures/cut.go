package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/hwtest/powercut"
)

// cuts is kills with the power of the data directory's disk cut in that
// instant: what no flush had covered is lost, kept or torn as the rig likes.
//
// A disk that answers flushes without obeying is the control: the same load and
// the same ledger must find losses on it, or they would find none on a journal
// that forgets to flush. Where they do not, nothing was measured.
func cuts(b *bench) error {
	if err := powercut.Available(); err != nil {
		return fmt.Errorf("no power-cut rig here: %w", err)
	}
	p, err := b.plant()
	if err != nil {
		return err
	}
	defer p.Close()
	const control = 12
	l, stats, err := b.cutLives(p, control, true)
	if err == nil && l.sum() == 0 {
		return fmt.Errorf("the control lost nothing in %d cuts of a disk that lies: %+v", control, stats)
	}
	if b.ctx.Err() != nil {
		return err
	}
	b.log("the control on a disk that lies: lost %d, repeated %d, forgotten %d, %v", l.lost, l.repeated, l.forgotten, err)
	n := b.n(10, 200)
	l, stats, err = b.cutLives(p, n, false)
	b.log("the rig: %+v", stats)
	switch {
	case err != nil:
		return err
	case stats.Cuts < n || stats.Lost == 0:
		return fmt.Errorf("%d cuts met %d unflushed sectors and lost %d: nothing was measured", stats.Cuts, stats.Pending, stats.Lost)
	}
	b.tell("alarm.powercut_lost", float64(l.sum()), n)
	return nil
}

func (b *bench) cutLives(p *plant, n int, lie bool) (*ledger, powercut.Stats, error) {
	l := newLedger(b)
	l.quiet = lie
	rig, err := powercut.New(96, uint64(b.seed))
	if err != nil {
		return l, powercut.Stats{}, err
	}
	defer rig.Close()
	var other *exec.Cmd
	err = b.lives(l, p, n, func() string {
		rig.Lie(lie)
		other = startNoise(rig.Dir())
		return rig.Dir()
	}, func(x *box) error {
		err := rig.Cut(func() { x.kill(syscall.SIGKILL); other.Process.Kill() })
		other.Wait()
		rig.Lie(false)
		return err
	}, rig.Restore)
	if other != nil && other.ProcessState == nil {
		other.Process.Kill()
		other.Wait()
	}
	return l, rig.Stats(), err
}

const noiseEnv = "TOCSIN_FIGURES_NOISE"

// startNoise has a process of its own write beside the journal without ever
// flushing, so that a cut finds unflushed writes of others between the
// journal's.
func startNoise(dir string) *exec.Cmd {
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), noiseEnv+"="+dir, aheadEnv+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		panic(err) // this very program does not start: there is no bench
	}
	return c
}

// noiseIfAsked is that process.
func noiseIfAsked() {
	dir := os.Getenv(noiseEnv)
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, "noise"))
	if err != nil {
		os.Exit(1)
	}
	block := make([]byte, 16<<10)
	for {
		for i := range block {
			block[i] = byte(rand.Uint32())
		}
		at := int64(rand.IntN(128)) * int64(len(block))
		if _, err := f.WriteAt(block, at); err != nil {
			os.Exit(1)
		}
		unix.SyncFileRange(int(f.Fd()), at, int64(len(block)), unix.SYNC_FILE_RANGE_WRITE)
		time.Sleep(time.Duration(rand.IntN(8000)) * time.Microsecond)
	}
}
