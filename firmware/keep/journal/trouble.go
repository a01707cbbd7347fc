package journal

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tocsin/firmware/phrase"
)

// trouble is what ails the file, as far as the cure differs.
type trouble uint8

const (
	none trouble = iota
	corrupt
	newer
	gone
	held
	full
	readonly
	other
)

// classify tells the trouble of an error by SQLite's primary result code
// (sqlite.org/rescode.html) or the system's.
func classify(err error) trouble {
	var s *sqlite.Error
	switch {
	case err == nil:
		return none
	case errors.Is(err, errGone):
		return gone
	case errors.Is(err, errNewer):
		return newer
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return full
	case errors.Is(err, syscall.EROFS):
		return readonly
	case !errors.As(err, &s):
		return other
	}
	switch s.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_ERROR:
		// SQLITE_ERROR on our own fixed statements means that a table is not what
		// we made.
		return corrupt
	case sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CONSTRAINT:
		return corrupt
	case sqlite3.SQLITE_FULL:
		return full
	case sqlite3.SQLITE_READONLY:
		if s.Code() == sqlite3.SQLITE_READONLY_DBMOVED {
			return gone
		}
		return readonly
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return held
	}
	return other
}

// explain says to people why the disk does not keep what happens. SQLite reports
// many faults as plain input and output errors, so the file system is asked.
func explain(dir string, err error) phrase.Message {
	t := classify(err)
	var st unix.Statfs_t
	if t == other && unix.Statfs(dir, &st) == nil {
		switch {
		case st.Flags&unix.ST_RDONLY != 0:
			t = readonly
		case st.Bavail*uint64(st.Bsize) < 64<<10:
			t = full
		}
	}
	switch t {
	case none:
		return phrase.Message{}
	case corrupt:
		return phrase.M("journal.corrupt")
	case newer:
		return phrase.M("journal.newer")
	case gone:
		return phrase.M("journal.gone")
	case held:
		return phrase.M("journal.held")
	case full:
		return phrase.M("journal.full")
	case readonly:
		return phrase.M("journal.readonly")
	}
	return phrase.M("journal.disk", "cause", err.Error())
}
