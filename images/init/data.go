package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Where the data partition is mounted, and what of it is edged's.
const (
	dataDir = "/data"
	boxDir  = dataDir + "/tocsin"
)

// Bounds of the start's care for the data partition: edged does not wait longer.
const (
	dataWait   = 2 * time.Second  // for the disk to appear
	mendWait   = 20 * time.Second // for a broken one to be checked and mended, or made anew: it goes on beside
	checkMost  = time.Hour        // of one check, which a card of many GiB may need
	makeMost   = 10 * time.Minute // of making one anew
	asideBytes = 64 << 20         // of what still reads of a broken one
	asideFile  = 64 << 20
	asideFiles = 20000
)

// dataState is how the box keeps what it keeps.
type dataState struct {
	// How is "disk", "mended", "anew" or "memory".
	How string `json:"how"`
	// Why is what was wrong.
	Why string `json:"why,omitempty"`
	// Aside is where what still read of a broken partition was put.
	Aside string `json:"aside,omitempty"`
	// Spare is when the spare copy was made from which the box was put together; zero for not.
	Spare time.Time `json:"spare,omitzero"`
	// Mended: what is kept is in memory, and its partition is whole again: it is used from the
	// next start on.
	Mended bool `json:"mended,omitempty"`
	dev    string
}

// openData mounts the data partition. A broken one is checked and mended; one that cannot
// be is set aside as far as it reads, made anew, and what was set aside is put into it. Where
// that takes long it goes on beside, and where it fails it is tried again at the next start:
// until then the box keeps things in memory. Whatever was lost of the box itself comes from
// the spare copy.
func (b *board) openData() {
	b.data = dataState{How: "disk"}
	if err := b.mountData(); err != nil {
		b.data.How, b.data.Why = "memory", err.Error()
		b.say("data: %v: what is kept is kept in memory", err)
		if err := unix.Mount("tmpfs", dataDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=128m"); err != nil {
			b.say("data: not even in memory: %v", err)
		}
	} else {
		b.say("data: %s %s", b.data.How, b.data.Why)
		b.attempt("reset", func() error { return b.resetLate(boxDir) })
	}
	b.attempt("data", func() error { return makeBox(boxDir) })
	b.fromSpare(boxDir)
}

func (b *board) mountData() error {
	if b.slots.Disk == "" {
		return errors.New("no disk was named")
	}
	dev := b.slots.data()
	if err := waitFor(dev, dataWait); err != nil {
		return err
	}
	b.data.dev = dev
	first := mountDisk(dev, dataDir, 0)
	if first == nil {
		if first = writes(dataDir); first == nil {
			return nil
		}
		_ = unix.Unmount(dataDir, unix.MNT_DETACH)
	}
	b.data.Why = first.Error()
	b.say("data: %v: mending it", first)
	// How it goes is known here in time, or it is edged's to hear by and by (Mended).
	end := make(chan mending, 1)
	b.beside("data", func() {
		m := b.mend(dev)
		if m.err != nil {
			b.say("data: %v", m.err)
		}
		end <- m
	})
	select {
	case m := <-end:
		if m.err != nil {
			return m.err
		}
		b.data.How, b.data.Aside = m.how, m.aside
		return mountDisk(dev, dataDir, 0)
	case <-time.After(mendWait):
		b.beside("data", func() {
			if m := <-end; m.err == nil {
				b.dataMended.Store(true)
				b.say("data: its partition is %s, and used from the next start on", m.how)
				b.followMemory(context.Background(), boxDir)
			}
		})
		return fmt.Errorf("%w; mending it takes longer than %s, and goes on", first, mendWait)
	}
}

// mending is what became of a broken partition: "mended" or "anew".
type mending struct {
	how, aside string
	err        error
}

// mendDir is where a partition is mounted while it is mended.
const mendDir = "/run/mend"

// mend checks the partition: first what is safe to mend, then all of it. Only what a whole
// check could not mend, or what takes nothing after it, is made anew. A check that does not
// end, or that could not be done, has said nothing against what is there.
func (b *board) mend(dev string) mending {
	for _, how := range []string{"-p", "-y"} {
		out, err := b.tool(checkMost, "e2fsck", how, dev)
		code := exitOf(err)
		if err == nil || code == 1 || code == 2 || code == 3 { // e2fsck(8): 1 mended, 2 mended and start anew
			break
		}
		if code < 0 {
			return mending{err: fmt.Errorf("the check (e2fsck %s) did not end by itself: %w", how, err)}
		}
		// 4 not mended, 8 it failed itself
		b.say("data: the check (e2fsck %s) did not mend it: %v: %s", how, err, tail(out))
	}
	if err := os.MkdirAll(mendDir, 0o700); err != nil {
		return mending{err: err}
	}
	if mountDisk(dev, mendDir, 0) == nil {
		err := writes(mendDir)
		_ = unix.Unmount(mendDir, unix.MNT_DETACH)
		if err == nil {
			return mending{how: "mended"}
		}
	}
	return b.makeData(dev)
}

// makeData saves what reads, and makes the partition anew.
func (b *board) makeData(dev string) mending {
	const memory = "/run/aside"
	saved := 0
	if err := os.MkdirAll(memory, 0o700); err == nil { // in a place of its own: /run is small
		err = unix.Mount("tmpfs", memory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700,size=80m")
		if err == nil {
			defer func() { _ = unix.Unmount(memory, unix.MNT_DETACH) }()
		}
	}
	if mountDisk(dev, mendDir, unix.MS_RDONLY) == nil || mountWith(dev, mendDir, unix.MS_RDONLY, "norecovery") == nil {
		saved = salvage(mendDir, memory)
		_ = unix.Unmount(mendDir, unix.MNT_DETACH)
	}
	if out, err := b.tool(makeMost, "mkfs.ext4", "-q", "-F", "-L", "data", "-b", "4096", "-i", "32768", "-J", "size=8", "-E", "lazy_itable_init=1,lazy_journal_init=1,resize=134217728", dev); err != nil {
		return mending{err: fmt.Errorf("making it anew: %v: %s", err, tail(out))}
	}
	if err := mountDisk(dev, mendDir, 0); err != nil {
		return mending{err: fmt.Errorf("made anew: %w", err)}
	}
	m := mending{how: "anew"}
	if saved > 0 {
		const aside = "aside"
		m.aside = filepath.Join(dataDir, aside)
		if err := copyTree(memory, filepath.Join(mendDir, aside)); err != nil {
			b.say("data: what was saved is not whole: %v", err)
		}
		b.putBack(mendDir, filepath.Join(mendDir, aside))
		b.flushAll() // it was in memory alone since the partition was made anew
	}
	_ = os.RemoveAll(memory)
	m.err = unix.Unmount(mendDir, 0)
	return m
}

// putBack puts what was saved back where it was: the site's file and the keys, as edged proves the
// file before it runs it and takes its last good copy where it is broken; and what was kept in memory
// before, which edged takes over where its journal does not say that it did.
func (b *board) putBack(root, aside string) {
	names, _, err := memories(aside)
	b.attempt("data", func() error { return err })
	for _, name := range append([]string{"tocsin"}, names...) {
		if _, err := os.Stat(filepath.Join(aside, name)); err != nil {
			continue
		}
		b.attempt("data", func() error { return copyTree(filepath.Join(aside, name), filepath.Join(root, name)) })
		b.attempt("data", func() error { return giveEdged(filepath.Join(root, name)) })
	}
}

func mountDisk(dev, dir string, flags uintptr) error {
	return mountWith(dev, dir, flags, "errors=remount-ro,commit=5")
}

func mountWith(dev, dir string, flags uintptr, opts string) error {
	return unix.Mount(dev, dir, "ext4", flags|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_NOATIME, opts)
}

// writes tells whether a folder takes a file and keeps it.
func writes(dir string) error {
	path := filepath.Join(dir, ".init-was-here")
	f, err := os.Create(path)
	if err != nil {
		if errors.Is(err, unix.ENOSPC) {
			return nil // full is edged's matter: it makes room by its own rules
		}
		return err
	}
	_, err = f.WriteString("x")
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	_ = os.Remove(path)
	if errors.Is(err, unix.ENOSPC) {
		return nil
	}
	return err
}

// salvage copies what still reads of a folder, within bounds, in the order in which a box
// misses it: its site, its keys and counters, its journal and those that were kept in memory, then
// all else, small files first,
// and last what an earlier reset or an earlier rescue left. It says how many files it saved.
func salvage(from, to string) (saved int) {
	type found struct {
		path string
		size int64
		rank int
	}
	var all []found
	seen := map[string]bool{}
	// Each by itself, so that however many there are of one kind, the site is among those that are seen.
	memory, _, _ := memories(from)
	for _, root := range append(append([]string{"tocsin/site", "tocsin/data"}, memory...), ".") {
		files := 0
		_ = filepath.WalkDir(filepath.Join(from, root), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				if d != nil && d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if files > asideFiles {
				return fs.SkipAll
			}
			rel, err := filepath.Rel(from, path)
			if err != nil || seen[rel] || rel == "aside" || strings.HasPrefix(rel, "aside/") {
				return nil
			}
			if i, err := d.Info(); err == nil && i.Mode().IsRegular() && i.Size() <= asideFile {
				files++
				seen[rel] = true
				all = append(all, found{rel, i.Size(), salvageRank(rel, i.Size())})
			}
			return nil
		})
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.size, b.size)) })
	root, err := os.OpenRoot(from)
	if err != nil {
		return 0
	}
	defer root.Close()
	left := int64(asideBytes)
	for _, f := range all {
		if f.size <= left && copyFile(root, f.path, filepath.Join(to, f.path)) == nil {
			saved++
			left -= f.size
		}
	}
	return saved
}

// salvageRank is how early a file is saved.
func salvageRank(rel string, size int64) int {
	dir, name := filepath.Split(rel)
	first, rest, _ := strings.Cut(rel, "/")
	switch {
	case strings.HasPrefix(rel, "before-reset"):
		return 6
	case strings.HasPrefix(rel, "tocsin/site/"):
		return 0
	case size <= 64<<10 && strings.HasPrefix(rel, "tocsin/"):
		return 1
	case dir == "tocsin/data/" && strings.HasPrefix(name, "journal"):
		return 2
	case strings.HasPrefix(first, asideMemory) && slices.Contains(memoryFirst, rest):
		return 3
	case size <= 64<<10:
		return 4
	}
	return 5
}

// copyFile copies a regular file of a folder that another may change meanwhile: no link leads out
// of it, and nothing else that stands there is waited for.
func copyFile(from *os.Root, name, to string) error {
	r, err := openPlain(from, name)
	if err != nil {
		return err
	}
	defer r.Close()
	i, err := r.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return err
	}
	w, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, i.Mode().Perm()&0o755|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, io.LimitReader(r, 2*asideFile)) // more than the memory that any of it comes from or goes to
	if e := w.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(to) // half a file is worse than none
	}
	return err
}

// copyTree copies the plain files of a folder, each as readable as it was: a secret that others
// may read is refused by edged, and told apart from no other file. What cannot be copied leaves
// the rest.
func copyTree(from, to string) error { return copyTreeBut(from, to, nil) }

// walkTree does something with each plain file of a folder, by its name in there.
func walkTree(from string, f func(rel string) error) error {
	var all error
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if err := f(rel); err != nil {
			all = errors.Join(all, err)
		}
		return nil
	})
	return errors.Join(err, all)
}

func ownAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, boxUser, boxUser)
	})
}

// tool runs one of the root's programs for a bounded time.
func (b *board) tool(most time.Duration, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	c.WaitDelay = time.Second
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return "", err
	}
	// It may run beside edged: where memory or time is short, it is what gives way.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", c.Process.Pid), []byte("1000"), 0)
	_ = unix.Setpriority(unix.PRIO_PROCESS, c.Process.Pid, 10)
	err := c.Wait()
	return out.String(), err
}

func exitOf(err error) int {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return e.ExitCode()
	}
	return -1
}

// tail is the last that a program said.
func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 300 {
		s = "… " + s[len(s)-300:]
	}
	return clean(s)
}

// close unmounts before a new start.
func (d *dataState) close() {
	if d.dev != "" {
		_ = unix.Unmount(dataDir, 0)
		_ = unix.Unmount(dataDir, unix.MNT_DETACH)
	}
}
