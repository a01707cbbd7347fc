package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tocsin/firmware/phrase"
)

// cure is what helps an ill file.
type cure uint8

const (
	wait   cure = iota // it may pass: try again later
	anew               // the file is damaged or not ours: set it aside and begin a new one
	reopen             // the file is gone: begin a new one
)

// classify tells the cure of an error by SQLite's primary result code
// (sqlite.org/rescode.html), and what to say of it.
func classify(err error) (cure, phrase.Message) {
	var s *sqlite.Error
	switch {
	case errors.Is(err, errGone):
		return reopen, phrase.M("history.gone")
	case errors.Is(err, errNewer):
		return anew, phrase.M("history.corrupt")
	case errors.Is(err, errDamaged):
		return anew, phrase.M("history.corrupt")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return wait, phrase.M("history.full")
	case errors.Is(err, syscall.EROFS):
		return wait, phrase.M("history.readonly")
	case errors.As(err, &s):
		switch s.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA,
			sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CONSTRAINT:
			// SQLITE_ERROR on our own fixed statements means that a table is not
			// what we made.
			return anew, phrase.M("history.corrupt")
		case sqlite3.SQLITE_FULL:
			return wait, phrase.M("history.full")
		case sqlite3.SQLITE_READONLY:
			if s.Code() == sqlite3.SQLITE_READONLY_DBMOVED {
				return reopen, phrase.M("history.gone")
			}
			return wait, phrase.M("history.readonly")
		}
	}
	return wait, phrase.M("history.disk", "cause", err.Error())
}

// explain says to people why nothing is written. SQLite reports many faults as
// plain input and output errors, so the file system is asked.
func explain(dir string, err error) phrase.Message {
	c, why := classify(err)
	var st unix.Statfs_t
	if c == wait && why.Code == "history.disk" && unix.Statfs(dir, &st) == nil {
		switch {
		case st.Flags&unix.ST_RDONLY != 0:
			return phrase.M("history.readonly")
		case low(dir):
			return phrase.M("history.full")
		}
	}
	return why
}

// setAside renames a damaged file, so that the next attempt makes a new one. One
// such file is kept, for whoever wants to look; it may be as large as the cap.
func (h *History) setAside(why error) error {
	h.drop()
	from := filepath.Join(h.dir, fileName)
	old, _ := filepath.Glob(filepath.Join(h.dir, "history-corrupt-*"))
	for _, name := range old {
		os.Remove(name)
	}
	to := filepath.Join(h.dir, "history-corrupt-"+h.o.Clock.Now().Wall.UTC().Format("20060102T150405")+".db")
	h.o.Log.Warn("history set aside", "file", filepath.Base(to), "err", why)
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Rename(from+suffix, to+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("setting the history's file aside: %w", err)
		}
	}
	h.count(func(s *Stats) { s.Replaced++ })
	return nil
}

// gone notes that the file was removed or replaced under us.
func (h *History) gone() {
	h.drop()
	h.o.Log.Warn("history file gone", "dir", h.dir)
	// A WAL that is left without its database must not be played into a new one.
	path := filepath.Join(h.dir, fileName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		os.Remove(path + "-wal")
	}
	h.count(func(s *Stats) { s.Replaced++ })
}

func (h *History) count(f func(*Stats)) {
	h.mu.Lock()
	f(&h.stats)
	h.mu.Unlock()
}

// drop closes the file, after the queries that use it.
func (h *History) drop() {
	h.fmu.Lock()
	f := h.file
	h.file = nil
	h.fmu.Unlock()
	if f != nil {
		f.close()
	}
}

// landed takes batches that are in the file off the queue.
func (h *History) landed(batches []*batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending = slices.DeleteFunc(h.pending, func(b *batch) bool {
		if !slices.Contains(batches, b) {
			return false
		}
		h.bytes -= b.bytes
		return true
	})
	h.stats.Batches += int64(len(batches))
	if len(h.pending) == 0 {
		close(h.flushed)
		h.flushed = make(chan struct{})
	}
}
