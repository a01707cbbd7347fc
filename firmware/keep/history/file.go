package history

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the driver
)

const fileName = "history.db"

// migrations bring a file from version i to i+1. They only add, so that a board
// that rolls back opens what a newer release wrote. Append; never edit.
var migrations = []string{
	`CREATE TABLE point (
		id INTEGER PRIMARY KEY, name TEXT NOT NULL, unit TEXT NOT NULL, resolution REAL NOT NULL,
		period INTEGER NOT NULL, stale INTEGER NOT NULL, UNIQUE (name, unit, resolution));
	CREATE TABLE batch (
		seq INTEGER PRIMARY KEY, t0 INTEGER NOT NULL, t1 INTEGER NOT NULL,
		run INTEGER NOT NULL, mono INTEGER NOT NULL, trust INTEGER NOT NULL);
	CREATE INDEX batch_t0 ON batch (t0);
	CREATE TABLE chunk (
		batch INTEGER NOT NULL, point INTEGER NOT NULL, data BLOB NOT NULL,
		PRIMARY KEY (batch, point)) WITHOUT ROWID;
	CREATE TABLE hour (
		point INTEGER NOT NULL, hour INTEGER NOT NULL, data BLOB NOT NULL,
		PRIMARY KEY (point, hour)) WITHOUT ROWID;
	CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;`,
}

// ahead is how many versions newer than ours a file may be.
const ahead = 2

var (
	errNewer = fmt.Errorf("the history's file is more than %d versions newer than this release", ahead)
	// errGone says that the file at the path is no longer the one that is open.
	errGone = errors.New("the history's file was removed or replaced")
	// errLow says that the disk has no room that history may take.
	errLow = fmt.Errorf("the disk is nearly full: %w", unix.ENOSPC)
)

// file is the open database: one connection that writes, two that read.
type file struct {
	path     string
	w, r     *sql.DB
	id       os.FileInfo
	points   map[key]int64
	seq      int64 // of the newest batch
	rolled   int64 // batches up to this one are in the roll-ups
	pageSize int64
	rolledAt int64 // the hour that was the newest when all before it was rolled up
	agedDay  int64 // when roll-ups were last looked at for their age
}

// dsn names the database for the driver. The index of the WAL is on the heap
// (unix-excl), so that no memory is shared through a card that may fail: a page
// that cannot be read back would end the process.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"vfs": {"unix-excl"}, "_txlock": {"immediate"}}
	for _, p := range append([]string{"busy_timeout(500)", "temp_store(2)", "cache_size(-512)"}, pragmas...) {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func openFile(dir string) (*file, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	f := &file{path: filepath.Join(dir, fileName), points: map[key]int64{}}
	if err := f.open(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *file) open() (err error) {
	if f.w, err = sql.Open("sqlite", dsn(f.path, "journal_mode(WAL)", "synchronous(NORMAL)",
		"wal_autocheckpoint(1000)", "journal_size_limit(4194304)")); err != nil {
		return err
	}
	f.w.SetMaxOpenConns(1)
	var mode string
	if err := f.w.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("journal mode is %s, not WAL", mode)
	}
	if err := migrate(f.w); err != nil {
		return err
	}
	if f.r, err = sql.Open("sqlite", dsn(f.path, "query_only(1)")); err != nil {
		return err
	}
	f.r.SetMaxOpenConns(2)
	f.r.SetMaxIdleConns(1)
	f.r.SetConnMaxIdleTime(time.Minute)
	if err := f.w.QueryRow(`SELECT coalesce(max(seq), 0), coalesce((SELECT value FROM meta WHERE key = 'rolled'), 0) FROM batch`).Scan(&f.seq, &f.rolled); err != nil {
		return err
	}
	f.rolled = min(f.rolled, f.seq)
	if err := f.w.QueryRow("PRAGMA page_size").Scan(&f.pageSize); err != nil {
		return err
	}
	f.id, err = os.Stat(f.path)
	return err
}

// migrate brings the file to our version, each step with its number in one
// transaction.
func migrate(db *sql.DB) error {
	var v int
	if err := db.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	if v > len(migrations)+ahead || v < 0 {
		return errNewer
	}
	for ; v < len(migrations); v++ {
		if err := within(db, func(tx *sql.Tx) error {
			if _, err := tx.Exec(migrations[v]); err != nil {
				return err
			}
			_, err := tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", v+1))
			return err
		}); err != nil {
			return fmt.Errorf("history to version %d: %w", v+1, err)
		}
	}
	return nil
}

// within runs f in a transaction.
func within(db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (f *file) close() {
	if f.r != nil {
		f.r.Close()
	}
	if f.w != nil {
		f.w.Close()
	}
}

// there tells whether what is open still is what the directory names.
func (f *file) there() error {
	st, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(st, f.id) {
		return errGone
	}
	return err
}

// commit writes batches in one transaction.
func (f *file) commit(batches []*batch) error {
	if err := f.there(); err != nil {
		return err
	}
	if err := f.room(); err != nil {
		return err
	}
	seq, fresh := f.seq, map[key]int64{}
	err := within(f.w, func(tx *sql.Tx) error {
		put, err := tx.Prepare(`INSERT INTO chunk (batch, point, data) VALUES (?,?,?)`)
		if err != nil {
			return err
		}
		defer put.Close()
		for _, b := range batches {
			seq++
			if _, err := tx.Exec(`INSERT INTO batch (seq, t0, t1, run, mono, trust) VALUES (?,?,?,?,?,?)`,
				seq, b.t0, b.t1, b.run, b.mono, b.trust); err != nil {
				return err
			}
			for _, c := range b.chunks {
				id, err := f.point(tx, c, fresh)
				if err != nil {
					return err
				}
				if _, err := put.Exec(seq, id, c.data); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := f.there(); err != nil {
		return err
	}
	f.seq = seq
	for k, id := range fresh {
		f.points[k] = id
	}
	return nil
}

// point gives the small number of a series and makes one where there is none.
func (f *file) point(tx *sql.Tx, c chunk, fresh map[key]int64) (id int64, err error) {
	if id, ok := f.points[c.key]; ok {
		return id, nil
	}
	if id, ok := fresh[c.key]; ok {
		return id, nil
	}
	err = tx.QueryRow(`INSERT INTO point (name, unit, resolution, period, stale) VALUES (?,?,?,?,?)
		ON CONFLICT (name, unit, resolution) DO UPDATE SET period = excluded.period, stale = excluded.stale RETURNING id`,
		string(c.key.id), string(c.key.unit), c.key.resolution, c.period.Milliseconds(), c.limit.Milliseconds()).Scan(&id)
	fresh[c.key] = id
	return id, err
}

// reserve is what history leaves of a disk to others, above all to the journal:
// bytes, or that part of a small disk.
const (
	reserve     = 16 << 20
	reservePart = 20
)

// room makes sure that history does not take the last of a disk: it goes on
// within its own free pages, and else drops its oldest values to have some.
func (f *file) room() error {
	if !low(filepath.Dir(f.path)) {
		return nil
	}
	const enough = 256 // pages
	var free int64
	if err := f.w.QueryRow("PRAGMA freelist_count").Scan(&free); err != nil || free >= enough {
		return err
	}
	if _, err := f.dropOldest(50); err != nil {
		return err
	}
	if err := f.w.QueryRow("PRAGMA freelist_count").Scan(&free); err != nil || free >= enough {
		return err
	}
	return errLow
}

func low(dir string) bool {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return false
	}
	total, free := int64(st.Blocks)*int64(st.Bsize), int64(st.Bavail)*int64(st.Bsize)
	return free < min(reserve, total/reservePart)
}

// used is how many bytes of the file hold something.
func (f *file) used() (int64, error) {
	var pages, free int64
	if err := f.w.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		return 0, err
	}
	err := f.w.QueryRow("PRAGMA freelist_count").Scan(&free)
	return (pages - free) * f.pageSize, err
}

// dropOldest deletes a part of the batches, one of parts, that were kept first.
func (f *file) dropOldest(parts int64) (dropped int64, err error) {
	var first, last sql.NullInt64
	if err := f.w.QueryRow(`SELECT min(seq), max(seq) FROM batch`).Scan(&first, &last); err != nil || !first.Valid {
		return 0, err
	}
	// The newest stays, so that numbers go on after it.
	upto := min(first.Int64+(last.Int64-first.Int64)/parts, last.Int64-1)
	return f.dropUpTo(upto)
}

func (f *file) dropUpTo(seq int64) (n int64, err error) {
	err = within(f.w, func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM chunk WHERE batch <= ?`, seq); err != nil {
			return err
		}
		r, err := tx.Exec(`DELETE FROM batch WHERE seq <= ?`, seq)
		if err == nil {
			n, err = r.RowsAffected()
		}
		return err
	})
	return n, err
}
