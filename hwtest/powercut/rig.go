package powercut

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Stats counts what the disk has seen.
type Stats struct {
	// Cuts since New.
	Cuts int
	// Writes and Flushes that reached the disk.
	Writes, Flushes int
	// Pending sectors that no flush had covered at the cuts, and how many of them
	// were lost.
	Pending, Lost int
	// Repairs counts the times that ext4 was refused after a cut and e2fsck had to
	// mend it first, as a box does at its start.
	Repairs int
}

// Rig is a directory on a disk whose power can be cut. Use New. It is not safe for
// use from several goroutines at once.
type Rig struct {
	base string
	rng  *rand.Rand
	disk *disk
	// image is what is left after a cut, until Restore.
	image []byte
	done  chan struct{}
	up    bool
	past  Stats // of the disks before the present one
	lying bool
}

// New makes a disk of sizeMiB (at least 16) with an empty ext4, mounted at Dir. The
// seed fixes the adversary's choices for a given run of writes.
func New(sizeMiB int, seed uint64) (*Rig, error) {
	if sizeMiB < 16 {
		return nil, fmt.Errorf("powercut: %d MiB is too small for ext4 with a journal; 16 at least", sizeMiB)
	}
	if err := tools(); err != nil {
		return nil, err
	}
	base, err := os.MkdirTemp("", "powercut-")
	if err != nil {
		return nil, err
	}
	r := &Rig{base: base, rng: newRand(seed)}
	if err := r.make(sizeMiB); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Rig) make(sizeMiB int) error {
	if err := os.Mkdir(r.Dir(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(r.file(), nil, 0o600); err != nil {
		return err
	}
	blank := filepath.Join(r.base, "blank")
	defer os.Remove(blank)
	if err := os.WriteFile(blank, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(blank, int64(sizeMiB)<<20); err != nil {
		return err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0",
		"-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", blank).CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, strings.TrimSpace(string(out)))
	}
	image, err := os.ReadFile(blank)
	if err != nil {
		return err
	}
	r.image = image
	return r.Restore()
}

// Dir is the directory whose power can be cut. It stays the same through Cut and
// Restore.
func (r *Rig) Dir() string { return filepath.Join(r.base, "data") }

func (r *Rig) file() string { return filepath.Join(r.base, "disk") }

// Lie makes the disk answer flushes without obeying them, from now on: a test that
// still finds everything kept proves nothing.
func (r *Rig) Lie(on bool) {
	r.lying = on
	if r.disk != nil {
		r.disk.mu.Lock()
		r.disk.lying = on
		r.disk.mu.Unlock()
	}
}

// Stats gives the counters.
func (r *Rig) Stats() Stats {
	s := r.past
	if r.disk == nil {
		return s
	}
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	s.Writes += r.disk.stats.Writes
	s.Flushes += r.disk.stats.Flushes
	s.Pending += r.disk.stats.Pending
	s.Lost += r.disk.stats.Lost
	return s
}

// Cut takes the power away: from one instant on the disk answers nothing, so that
// no flush is acknowledged any more. Then kill is called, which must send SIGKILL to
// every process that uses Dir and must not wait for its end (it may hang in the
// kernel until the disk is gone). Without kill the processes must be dead already
// or killed by the caller right after: they see input and output errors. At the end
// Dir is an empty directory until Restore.
func (r *Rig) Cut(kill ...func()) error {
	return r.cut(func() { r.disk.set(frozen) }, kill)
}

// CutAmid is Cut at an instant at which one to four writes pend that no flush has covered; it waits for them for a second at most, and cuts
// then in any case. A cut at just any instant may find a disk that has nothing to lose.
func (r *Rig) CutAmid(kill ...func()) error {
	return r.cut(func() { r.disk.freezeAmid(1+r.rng.IntN(4), time.Second) }, kill)
}

func (r *Rig) cut(freeze func(), kill []func()) error {
	if !r.up {
		return errors.New("powercut: the power is already off")
	}
	freeze()
	for _, k := range kill {
		k()
	}
	r.image = r.disk.fall(r.rng)
	r.disk.set(dead)
	r.up = false
	r.past.Cuts++
	return r.detach()
}

// detach lets go of the mounts; what still holds them meets a dead disk.
func (r *Rig) detach() error {
	err := errors.Join(unmount(r.Dir()), unmount(r.file()))
	select {
	case <-r.done:
	case <-time.After(5 * time.Second):
		// A process that was not killed still holds the directory. The dead disk goes
		// on answering it with errors; a new one comes up beside it.
	}
	return err
}

func unmount(at string) error {
	err := unix.Unmount(at, unix.MNT_DETACH)
	if err == nil || err == unix.EINVAL {
		return nil
	}
	return fmt.Errorf("unmounting %s: %w", at, err)
}

// Restore brings the disk up again with what the cut has left; ext4 recovers from its
// own journal while it is mounted.
func (r *Rig) Restore() error {
	if r.up {
		return errors.New("powercut: the power is already on")
	}
	err := r.mount(r.image)
	if err == nil {
		return nil
	}
	// A torn superblock is mended by the check that a board runs before it
	// mounts.
	image, e := check(r.image, filepath.Join(r.base, "check"))
	if e != nil {
		return errors.Join(err, e)
	}
	r.past.Repairs++
	return r.mount(image)
}

func (r *Rig) mount(image []byte) error {
	r.past = r.Stats()
	r.disk = newDisk(append([]byte(nil), image...))
	r.disk.lying = r.lying
	done, err := r.disk.mountFile(r.file())
	if err != nil {
		return err
	}
	r.done = done
	dev, fd, err := loopOver(r.file())
	if err == nil {
		err = unix.Mount(dev, r.Dir(), "ext4", unix.MS_NOATIME, "")
		unix.Close(fd)
		if err != nil {
			err = fmt.Errorf("mounting ext4: %w", err)
		}
	}
	if err != nil {
		r.disk.set(dead)
		return errors.Join(err, r.detach())
	}
	r.up = true
	return nil
}

// check runs e2fsck over an image.
func check(image []byte, path string) ([]byte, error) {
	if err := os.WriteFile(path, image, 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(path)
	out, err := exec.Command("e2fsck", "-f", "-y", path).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() < 4) {
		return nil, fmt.Errorf("e2fsck: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return os.ReadFile(path)
}

// Close takes everything down and removes it.
func (r *Rig) Close() error {
	var err error
	if r.up {
		err = r.Cut()
	}
	return errors.Join(err, os.RemoveAll(r.base))
}
