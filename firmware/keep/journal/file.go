package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	_ "modernc.org/sqlite"
)

const fileName = "journal.db"

// file is the open database: one connection that writes, a few that read.
type file struct {
	path    string
	w, r    *sql.DB
	id, wal os.FileInfo
	fresh   bool // nothing was written to it yet
	commits int64
}

// loaded is what a file held when it was opened.
type loaded struct {
	state   map[string][]byte
	letters map[string]*Letter
	records []Record // the newest, oldest first
	next    int64
	damaged int64
	born    int // 0: the file is new and has never been written to
}

// dsn names the database for the driver. The index of the WAL is kept on the heap
// (unix-excl); see the package comment.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"vfs": {"unix-excl"}, "_txlock": {"immediate"}}
	for _, p := range append([]string{"busy_timeout(500)", "temp_store(2)"}, pragmas...) {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// openFile opens or makes the database and reads what it holds, at most keep of
// its newest records.
func openFile(dir string, keep int) (*file, loaded, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, loaded{}, err
	}
	f := &file{path: filepath.Join(dir, fileName)}
	// What an earlier process wrote to the WAL without having been told that it
	// is on the disk must be there before anyone reads it as durable.
	if err := syncFile(f.path + "-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, loaded{}, err
	}
	l, err := f.open(keep)
	if err != nil {
		f.close()
		return nil, loaded{}, err
	}
	return f, l, nil
}

func (f *file) open(keep int) (l loaded, err error) {
	if f.w, err = sql.Open("sqlite", dsn(f.path, "journal_mode(WAL)", "synchronous(FULL)",
		"wal_autocheckpoint(1000)", "journal_size_limit(4194304)")); err != nil {
		return l, err
	}
	f.w.SetMaxOpenConns(1)
	var mode string
	if err := f.w.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil {
		return l, err
	}
	if mode != "wal" {
		return l, fmt.Errorf("journal mode is %s, not WAL", mode)
	}
	if err := migrate(f.w, migrations); err != nil {
		return l, err
	}
	if f.r, err = sql.Open("sqlite", dsn(f.path, "query_only(1)", "cache_size(-512)")); err != nil {
		return l, err
	}
	f.r.SetMaxOpenConns(3)
	f.r.SetMaxIdleConns(2)
	if l, err = load(f.w, keep); err != nil {
		return l, err
	}
	f.fresh = l.born == 0
	if f.id, err = os.Stat(f.path); err != nil {
		return l, err
	}
	if f.wal, err = os.Stat(f.path + "-wal"); err != nil {
		return l, err
	}
	return l, syncFile(filepath.Dir(f.path))
}

// holds tells whether the file has exactly this record.
func (f *file) holds(r *Record) (bool, error) {
	var n int
	err := f.w.QueryRow(`SELECT count(*) FROM record WHERE seq = ? AND sum = ?`, r.Seq, pack(r).sum).Scan(&n)
	return n == 1, err
}

// checkpoint writes the WAL to its place in the database and syncs it.
func (f *file) checkpoint() error {
	var busy, log, done int
	if err := f.w.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("the WAL could not be written back")
	}
	return nil
}

func (f *file) close() {
	if f.r != nil {
		f.r.Close()
	}
	if f.w != nil {
		f.w.Close()
	}
}

// errGone says that the file at the path is no longer the one that is open.
var errGone = errors.New("the journal's file was removed or replaced")

// there tells whether what is open still is what the directory names.
func (f *file) there() error {
	for _, c := range []struct {
		path string
		was  os.FileInfo
	}{{f.path, f.id}, {f.path + "-wal", f.wal}} {
		st, err := os.Stat(c.path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(st, c.was) {
			return errGone
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errUnsure wraps what failed after the commit had begun: the batch may or may not
// be durable.
type errUnsure struct{ error }

func (e errUnsure) Unwrap() error { return e.error }

// change is what one transaction writes.
type change struct {
	records []Record
	state   map[string][]byte
	letters map[string]*Letter
	// whole: state and letters replace all that the file holds, and numbers go on
	// after last. It is the first transaction of a new file.
	whole bool
	last  int64
}

// commit writes a change in one transaction and returns when it is durable and the
// file still is in its place.
func (f *file) commit(c change) error {
	tx, err := f.w.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if c.whole {
		if _, err := tx.Exec(`DELETE FROM state; DELETE FROM outbox; INSERT OR REPLACE INTO meta (key, value) VALUES ('born', 1)`); err != nil {
			return err
		}
	}
	if err := insert(tx, c.records); err != nil {
		return err
	}
	if n := len(c.records); n > 0 {
		c.last = max(c.last, c.records[n-1].Seq)
	}
	if c.last > 0 {
		if _, err := tx.Exec(`INSERT INTO meta (key, value) VALUES ('last', ?1)
			ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)`, c.last); err != nil {
			return err
		}
	}
	for k, v := range c.state {
		if v == nil {
			_, err = tx.Exec(`DELETE FROM state WHERE key = ?`, k)
		} else {
			_, err = tx.Exec(`INSERT OR REPLACE INTO state (key, value, sum) VALUES (?,?,?)`, k, v, valueSum(k, v))
		}
		if err != nil {
			return err
		}
	}
	if err := putLetters(tx, c.letters); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return errUnsure{err}
	}
	if err := f.there(); err != nil {
		return errUnsure{err}
	}
	return nil
}

func insert(tx *sql.Tx, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	ins, err := tx.Prepare(`INSERT OR REPLACE INTO record (` + columns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	defer ins.Close()
	for i := range records {
		w := pack(&records[i])
		if _, err := ins.Exec(w.seq, w.kind, w.cause, w.who, w.via, w.code, w.params, w.body,
			w.mono, w.wallSeconds, w.wallNanos, w.boot, w.trust, w.sum); err != nil {
			return err
		}
	}
	return nil
}

func valueSum(k string, v []byte) int64 {
	h := crc32.NewIEEE()
	h.Write(strconv.AppendInt(nil, int64(len(k)), 10))
	h.Write([]byte(k))
	h.Write(v)
	return int64(h.Sum32())
}

// recentBytes bounds the durable records that are kept in RAM.
const recentBytes = 2 << 20

// load reads all values and the newest records. Damage that a checksum shows is
// counted and left out.
func load(db *sql.DB, keep int) (l loaded, err error) {
	l = loaded{state: map[string][]byte{}, letters: map[string]*Letter{}, next: 1}
	var last int64
	if err := db.QueryRow(`SELECT max((SELECT coalesce(max(seq), 0) FROM record),
		coalesce((SELECT value FROM meta WHERE key = 'last'), 0)),
		(SELECT count(*) FROM meta WHERE key = 'born')`).Scan(&last, &l.born); err != nil {
		return l, err
	}
	if last >= 0 && last < maxSeq {
		l.next = last + 1
	}
	if keep == 0 {
		return l, nil
	}
	if err := loadState(db, &l); err != nil {
		return l, err
	}
	if err := loadLetters(db, &l); err != nil {
		return l, err
	}
	return l, loadRecords(context.Background(), db, keep, &l)
}

// loadRecords reads the newest records, newest first, and turns them round.
func loadRecords(ctx context.Context, db *sql.DB, keep int, l *loaded) error {
	recs, damaged, err := query(ctx, db, recentBytes, `SELECT `+columns+` FROM record ORDER BY seq DESC LIMIT ?`, keep)
	for _, r := range slices.Backward(recs) {
		if r.Kind != damagedKind && r.Seq > 0 && r.Seq < maxSeq {
			l.records = append(l.records, r)
			l.next = max(l.next, r.Seq+1)
		}
	}
	l.damaged += damaged
	return err
}

func loadState(db *sql.DB, l *loaded) error {
	rows, err := db.Query(`SELECT key, value, sum FROM state`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k string
		var v []byte
		var sum int64
		if err := rows.Scan(&k, &v, &sum); err != nil {
			return err
		}
		if sum != valueSum(k, v) {
			l.damaged++
			continue
		}
		if v == nil {
			v = []byte{} // an empty value is not a deleted one
		}
		l.state[k] = v
	}
	return rows.Err()
}

// syncFile makes what the kernel holds of a file or a directory durable.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}
