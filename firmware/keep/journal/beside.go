package journal

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"tocsin/firmware/phrase"
)

// keyBeside marks what was carried over: the sum of all that stood in for us. It is set with
// the values themselves, so that a cut leaves both or neither.
const keyBeside = "journal.beside"

// besideMost bounds the values that are read of a journal that stood in for ours.
const besideMost = 16 << 20

// carryOver adds to what was loaded the values that Merge wants of the journal that stood in
// for ours (Opts.Beside), and gives those that have to be written for that. What cannot be
// read is told, and costs nothing that we have.
func (j *Journal) carryOver(l *loaded) (values map[string][]byte) {
	if j.o.Beside == "" || j.o.Merge == nil || j.knows {
		return nil
	}
	other, err := readBeside(j.o.Beside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		j.o.Log.Error("nothing is carried over of the journal that stood in", "dir", j.o.Beside, "err", err)
		j.Append(Record{Kind: "journal.not_carried", Message: phrase.M("journal.not_carried", "why", err.Error())})
		return nil
	}
	l.damaged += other.damaged
	l.next = max(l.next, other.next, readFloor(j.o.Beside))
	mark := besideSum(other.state)
	if string(l.state[keyBeside]) == mark {
		return nil
	}
	values = map[string][]byte{keyBeside: []byte(mark)}
	for k, v := range j.o.Merge(l.state, other.state, true) {
		if v != nil && len(v) <= MaxValue && len(k) <= MaxText {
			values[k] = v
		}
	}
	maps.Copy(l.state, values)
	j.o.Log.Info("carried over of the journal that stood in", "values", len(values)-1)
	j.Append(Record{Kind: "journal.carried", Message: phrase.M("journal.carried", "n", len(values)-1)})
	return values
}

// readBeside reads the values of another journal, by a copy in RAM where that takes it, so
// that nothing of it changes.
func readBeside(dir string) (loaded, error) {
	l := loaded{state: map[string][]byte{}, next: 1}
	path := filepath.Join(dir, fileName)
	if st, err := os.Lstat(path); err != nil {
		return l, err
	} else if !st.Mode().IsRegular() {
		return l, fmt.Errorf("%s is no file", path)
	}
	if tmp, err := ramDir(); err == nil {
		defer os.RemoveAll(tmp)
		if to := filepath.Join(tmp, fileName); copyPair(to, path) == nil {
			path = to
		}
	}
	db, err := sql.Open("sqlite", dsn(path, "query_only(1)"))
	if err != nil {
		return l, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var bytes int64
	if err := db.QueryRow(`SELECT coalesce(sum(length(key) + length(value)), 0) FROM state`).Scan(&bytes); err != nil {
		return l, err
	}
	if bytes > besideMost {
		return l, fmt.Errorf("its values have %d bytes, and at most %d are read", bytes, int64(besideMost))
	}
	if l, err = load(db, 0); err != nil {
		return l, err
	}
	return l, loadState(db, &l)
}

// copyPair copies a database and its WAL, both whole.
func copyPair(to, from string) error {
	size := int64(0)
	for _, suffix := range []string{"", "-wal"} {
		st, err := os.Lstat(from + suffix)
		if suffix != "" && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if size += st.Size(); !st.Mode().IsRegular() || size > rescueMost {
			return fs.ErrInvalid
		}
		if err := copyFile(to+suffix, from+suffix); err != nil {
			return err
		}
	}
	return nil
}

// besideSum tells what stands in one journal from what stands in another.
func besideSum(state map[string][]byte) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(state)) {
		fmt.Fprintf(h, "%d %d ", len(k), len(state[k]))
		h.Write([]byte(k))
		h.Write(state[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}
