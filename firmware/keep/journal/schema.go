package journal

import (
	"database/sql"
	"fmt"
)

// migrations bring a file from version i to i+1. They only add: a release of two
// versions back must open what a newer one has written, since a board may roll
// back. Never edit one that was released; append.
var migrations = []string{
	`CREATE TABLE record (
		seq INTEGER PRIMARY KEY,
		kind TEXT NOT NULL, cause TEXT NOT NULL, who TEXT NOT NULL, via TEXT NOT NULL,
		code TEXT NOT NULL, params BLOB, body BLOB,
		mono INTEGER NOT NULL, wall INTEGER NOT NULL, wall_nanos INTEGER NOT NULL,
		boot TEXT NOT NULL, trust INTEGER NOT NULL,
		sum INTEGER NOT NULL);
	CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
	CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;`,
	// The outbox: what the courier keeps until the far end has it.
	`CREATE TABLE outbox (
		id TEXT PRIMARY KEY, class INTEGER NOT NULL, kind INTEGER NOT NULL, key TEXT NOT NULL,
		mono INTEGER NOT NULL, wall INTEGER NOT NULL, wall_nanos INTEGER NOT NULL,
		boot TEXT NOT NULL, trust INTEGER NOT NULL, deadline INTEGER NOT NULL,
		payload BLOB, narrow BLOB, tries BLOB, sum INTEGER NOT NULL);`,
}

// ahead is how many versions newer than ours a file may be.
const ahead = 2

// errNewer says that a file is too new for this release.
var errNewer = fmt.Errorf("the journal's file is more than %d versions newer than this release", ahead)

// migrate brings the file to our version, each step with its number in one
// transaction. A file that is newer is left as it is.
func migrate(db *sql.DB, steps []string) error {
	var v int
	if err := db.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	if v > len(steps)+ahead || v < 0 {
		return errNewer
	}
	for ; v < len(steps); v++ {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		if _, err = tx.Exec(steps[v]); err == nil {
			_, err = tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", v+1))
		}
		if err != nil {
			tx.Rollback()
			return fmt.Errorf("journal to version %d: %w", v+1, err)
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("journal to version %d: %w", v+1, err)
		}
	}
	return nil
}
