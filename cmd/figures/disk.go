package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// illness is one way in which a data directory is of no use. running makes it
// so under a box that runs, before under one that is yet to be started.
type illness struct {
	name            string
	prepare         func(dir string) error
	running, before func(dir string) error
	undo            func(dir string)
}

var illnesses = []illness{
	{name: "deleted",
		running: func(dir string) error { return deleteJournal(dir) },
		before:  func(dir string) error { return os.RemoveAll(dir) },
	},
	{name: "full",
		prepare: func(dir string) error { return mountSmall(dir) },
		running: fill, before: fill,
		undo: func(dir string) { unix.Unmount(dir, unix.MNT_DETACH) },
	},
	{name: "read-only", // the kernel refuses to make a directory read-only under a file that is open for writing
		before: readOnly,
		undo:   func(dir string) { unix.Unmount(dir, unix.MNT_DETACH) },
	},
	{name: "corrupt", running: corrupt, before: corrupt},
}

// withoutDisk counts the crossings that did not sound, siren and loudspeaker,
// within two seconds: with a journal that is deleted, on a full disk, on a
// read-only one, with a corrupt file; half of each with a box that ran when it
// happened, half with one that was started on it.
func withoutDisk(b *bench) error {
	v, err := b.village(wired{siren: true, speaker: true})
	if err != nil {
		return err
	}
	defer v.Close()
	site, err := v.site()
	if err != nil {
		return err
	}
	silent, total := 0, 0
	for _, ill := range illnesses {
		n := b.n(10, 100)
		for _, running := range []bool{true, false} {
			part := n / 2
			if running && ill.running == nil {
				continue
			}
			if ill.running == nil {
				part = n
			}
			bad, err := b.ill(v, site, ill, running, part)
			if err != nil {
				return fmt.Errorf("%s: %w", ill.name, err)
			}
			silent, total = silent+bad, total+part
		}
	}
	b.tell("alarm.without_disk", float64(silent), total)
	return nil
}

func (b *bench) ill(v *village, site string, ill illness, running bool, n int) (silent int, err error) {
	dir := filepath.Join(b.dir, "ill-"+ill.name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return 0, err
	}
	if ill.undo != nil {
		defer ill.undo(dir)
	}
	if ill.prepare != nil {
		if err := ill.prepare(dir); err != nil {
			return 0, err
		}
	}
	// A first life leaves a journal with something in it.
	x, err := b.startArmed(site, dir)
	if err != nil {
		return 0, err
	}
	defer func() { x.end() }()
	if err := b.crossAndCalm(v, x); err != nil {
		return 0, fmt.Errorf("with a good disk: %w", err)
	}
	if running {
		if err := ill.running(dir); err != nil {
			return 0, err
		}
	} else {
		x.end()
		if err := ill.before(dir); err != nil {
			return 0, err
		}
		if x, err = b.startArmed(site, dir); err != nil {
			return 0, err
		}
	}
	for range n {
		at, err := v.crossed()
		if err != nil {
			return silent, err
		}
		on, heard, err := v.sounds(at, 2*time.Second)
		if b.ctx.Err() != nil {
			return silent, err
		}
		if err != nil || on.Sub(at) > 2*time.Second || heard.Sub(at) > 2*time.Second {
			silent++
			b.log("%s: SILENT: coil after %v, tone after %v: %v", ill.name, on.Sub(at), heard.Sub(at), err)
		}
		if err := v.calm(x); err != nil {
			return silent, err
		}
	}
	var st status
	x.get("/status", &st)
	b.log("%s, %s: %d crossings, %d silent; the journal at the end: ok %v, %s", ill.name,
		choose(running, "while running", "from the start"), n, silent, st.JournalOK, st.Journal.EN)
	return silent, nil
}

func (b *bench) crossAndCalm(v *village, x *box) error {
	at, err := v.crossed()
	if err != nil {
		return err
	}
	if _, _, err := v.sounds(at, 5*time.Second); err != nil {
		return err
	}
	return v.calm(x)
}

func journalFiles(dir string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(dir, "journal.db*"))
	if err == nil && len(all) == 0 {
		err = errors.New("there is no journal to spoil")
	}
	return all, err
}

func deleteJournal(dir string) error {
	all, err := journalFiles(dir)
	for _, f := range all {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// corrupt overwrites the journal's files with nonsense from their first byte.
func corrupt(dir string) error {
	all, err := journalFiles(dir)
	for _, name := range all {
		f, e := os.OpenFile(name, os.O_WRONLY, 0)
		if e != nil {
			return e
		}
		st, e := f.Stat()
		for off := int64(0); e == nil && off < st.Size(); off += 4096 {
			nonsense := make([]byte, 1024)
			for i := range nonsense {
				nonsense[i] = byte(off>>12) + byte(i*7)
			}
			_, e = f.WriteAt(nonsense[:min(int64(len(nonsense)), st.Size()-off)], off)
		}
		err = errors.Join(err, e, f.Close())
	}
	return err
}

// mountSmall puts a file system of 1 MiB at a directory.
func mountSmall(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mounting a small file system: %w", err)
	}
	return nil
}

// fill leaves no byte.
func fill(dir string) error {
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		return err
	}
	defer f.Close()
	for block := 64 << 10; block >= 1; {
		if _, err := f.Write(make([]byte, block)); errors.Is(err, unix.ENOSPC) {
			block /= 2
		} else if err != nil {
			return err
		}
	}
	return nil
}

func readOnly(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind mount: %w", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("remounting read-only: %w", err)
	}
	return nil
}
