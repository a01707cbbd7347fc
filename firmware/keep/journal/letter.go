package journal

import (
	"database/sql"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"tocsin/firmware/clock"
)

// Letter is a message that is kept until the far end is known to have it: a row of the
// outbox. What its numbers mean is for the room that sends letters (reach/courier); here
// they are kept as they are given, and none goes by any cap: only Commit removes one.
type Letter struct {
	// ID names the message for ever; a letter of the same ID replaces it.
	ID string
	// Class and Kind are the sender's.
	Class, Kind uint8
	// Key is what a newer letter replaces it by.
	Key string
	// Made is when it was written, Deadline how long after that it should have arrived.
	Made     clock.Stamp
	Deadline time.Duration
	// Payload is the message, Narrow its short form where it has one, Tries what was
	// tried so far and what is known of it.
	Payload, Narrow, Tries []byte
}

// fits tells whether the letter is within the bounds of the file.
func (l *Letter) fits() bool {
	return len(l.ID) > 0 && len(l.ID) <= MaxText && len(l.Key) <= MaxText && len(l.Made.Boot) <= MaxText &&
		len(l.Payload) <= MaxValue && len(l.Narrow) <= MaxText && len(l.Tries) <= MaxBody
}

// sum covers all that the letter says.
func (l *Letter) sum() int64 {
	h := crc32.NewIEEE()
	fmt.Fprintf(h, "%d %d %d %d %d %d %d", l.Class, l.Kind, l.Deadline, l.Made.Mono, l.Made.Wall.Unix(), l.Made.Wall.Nanosecond(), l.Made.Trust)
	for _, b := range [][]byte{[]byte(l.ID), []byte(l.Key), []byte(l.Made.Boot), l.Payload, l.Narrow, l.Tries} {
		fmt.Fprintf(h, "|%d ", len(b))
		h.Write(b)
	}
	return int64(h.Sum32())
}

func (l *Letter) clone() *Letter {
	c := *l
	c.Payload, c.Narrow, c.Tries = slices.Clone(l.Payload), slices.Clone(l.Narrow), slices.Clone(l.Tries)
	return &c
}

// Letters gives all letters as last set, durable or not, the oldest name first.
func (j *Journal) Letters() []Letter {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Letter, 0, len(j.letters))
	for _, l := range j.letters {
		out = append(out, *l.clone())
	}
	slices.SortFunc(out, func(a, b Letter) int {
		switch {
		case a.ID < b.ID:
			return -1
		case a.ID > b.ID:
			return 1
		}
		return 0
	})
	return out
}

const letterColumns = `id, class, kind, key, mono, wall, wall_nanos, boot, trust, deadline, payload, narrow, tries, sum`

// putLetters writes, replaces and removes letters.
func putLetters(tx *sql.Tx, letters map[string]*Letter) error {
	if len(letters) == 0 {
		return nil
	}
	ins, err := tx.Prepare(`INSERT OR REPLACE INTO outbox (` + letterColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	defer ins.Close()
	for id, l := range letters {
		if l == nil {
			_, err = tx.Exec(`DELETE FROM outbox WHERE id = ?`, id)
		} else {
			_, err = ins.Exec(l.ID, l.Class, l.Kind, l.Key, int64(l.Made.Mono), l.Made.Wall.Unix(), l.Made.Wall.Nanosecond(),
				l.Made.Boot, l.Made.Trust, int64(l.Deadline), l.Payload, l.Narrow, l.Tries, l.sum())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loadLetters reads the outbox. Damage that a checksum shows is counted and left out.
func loadLetters(db *sql.DB, into *loaded) error {
	rows, err := db.Query(`SELECT ` + letterColumns + ` FROM outbox`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l Letter
		var wall, nanos, sum int64
		if err := rows.Scan(&l.ID, &l.Class, &l.Kind, &l.Key, &l.Made.Mono, &wall, &nanos, &l.Made.Boot, &l.Made.Trust,
			&l.Deadline, &l.Payload, &l.Narrow, &l.Tries, &sum); err != nil {
			return err
		}
		l.Made.Wall = time.Unix(wall, nanos)
		if sum != l.sum() {
			into.damaged++
			continue
		}
		into.letters[l.ID] = &l
	}
	return rows.Err()
}
