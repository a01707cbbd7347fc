package journal

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
)

// keyBeside marks, with its directory behind it, what was carried over of a journal or could not
// be. It is set with the values themselves, so that a cut leaves both or neither.
const keyBeside = "journal.beside"

// besideMost bounds the values that are read of a journal that stood in for ours, and
// besideLeft the names of those that are tried again.
const (
	besideMost = 16 << 20
	besideLeft = 64
)

// besideMark is what is kept of one.
type besideMark struct {
	Sum   string   `json:"sum,omitempty"`   // of the values that were carried over
	Files string   `json:"files,omitempty"` // of which it was carried over, or told that it cannot be
	Left  []string `json:"left,omitempty"`  // values of Sum that could not be taken: tried at each start
}

// carryOver carries over of each journal that stood in for ours (Opts.Beside).
func (j *Journal) carryOver(l *loaded) map[string][]byte {
	if j.o.Merge == nil || j.knows {
		return nil
	}
	values := map[string][]byte{}
	for _, dir := range filepath.SplitList(j.o.Beside) {
		maps.Copy(values, j.carryFrom(dir, l))
	}
	return values
}

// carryFrom adds to what was loaded the values that Merge wants of a journal that stood in for
// ours, and gives those that have to be written for that. What cannot be read is told once and
// tried at each start, and costs nothing that we have.
func (j *Journal) carryFrom(dir string, l *loaded) (values map[string][]byte) {
	key := keyBeside + dir
	var was besideMark
	_ = json.Unmarshal(l.state[key], &was) // damaged, all counts once more
	mark := was
	mark.Files = besideFiles(dir)
	other, err := readBeside(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	values = map[string][]byte{}
	defer func() {
		if !reflect.DeepEqual(mark, was) {
			values[key], _ = json.Marshal(mark)
		}
		maps.Copy(l.state, values)
	}()
	l.next = max(l.next, other.next, readFloor(dir))
	if err != nil {
		j.o.Log.Error("nothing is carried over of the journal that stood in", "dir", dir, "err", err)
		if mark.Files != was.Files {
			j.Append(Record{Kind: "journal.not_carried", Message: phrase.M("journal.not_carried", "why", err.Error())})
		}
		return values
	}
	mark.Sum, mark.Left = besideSum(other.state), nil
	again := mark.Sum == was.Sum
	if again {
		maps.DeleteFunc(other.state, func(k string, _ []byte) bool { return !slices.Contains(was.Left, k) })
	} else {
		l.damaged += other.damaged
	}
	var left []string
	for k, v := range j.o.Merge(l.state, other.state, !again) {
		if v != nil && len(v) <= MaxValue && len(k) <= MaxText {
			values[k] = v
		} else {
			left = append(left, k)
		}
	}
	slices.Sort(left)
	if n := len(values); n > 0 || !again {
		j.o.Log.Info("carried over of the journal that stood in", "values", n)
		j.Append(Record{Kind: "journal.carried", Message: phrase.M("journal.carried", "n", n)})
	}
	if len(left) > 0 {
		var names []string
		for _, k := range left[:min(len(left), besideLeft)] {
			names = append(names, strconv.Quote(cut(k)))
			if len(k) <= MaxText {
				mark.Left = append(mark.Left, k)
			}
		}
		said := cut(strings.Join(names, ", "))
		j.o.Log.Error("not carried over of the journal that stood in", "dir", dir, "values", len(left), "names", said)
		if !again {
			j.Append(Record{Kind: "journal.carried_short", Message: phrase.M("journal.carried_short", "n", len(left), "names", said)})
		}
	}
	return values
}

// besideFiles tells one state of a journal's files from another without reading them.
func besideFiles(dir string) string {
	s := strconv.Quote(dir)
	for _, name := range []string{fileName, fileName + "-wal"} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			s += fmt.Sprint(" ", name, " ", st.Size(), " ", st.ModTime().UnixNano())
		}
	}
	return s
}

// readBeside reads the values of another journal, of which nothing changes: by a copy in RAM,
// or, where that does not take it, in its place if it has no WAL. SQLite writes a WAL back
// when it closes a database, also after queries alone.
func readBeside(dir string) (loaded, error) {
	l := loaded{state: map[string][]byte{}, next: 1}
	path := filepath.Join(dir, fileName)
	if st, err := os.Lstat(path); err != nil {
		return l, err
	} else if !st.Mode().IsRegular() {
		return l, fmt.Errorf("%s is no file", path)
	}
	tmp, err := ramDir()
	if err == nil {
		defer os.RemoveAll(tmp)
		err = copyPair(filepath.Join(tmp, fileName), path)
	}
	name := dsn(filepath.Join(tmp, fileName), "query_only(1)")
	if err != nil {
		if st, e := os.Lstat(path + "-wal"); e == nil && st.Size() > 0 || e != nil && !errors.Is(e, fs.ErrNotExist) {
			return l, fmt.Errorf("%s has a WAL and cannot be copied into RAM to be read, where at most %d MiB are taken: %w; write the WAL back (PRAGMA wal_checkpoint(TRUNCATE)) and start again",
				path, rescueMost>>20, err)
		}
		name = dsn(path, "query_only(1)") + "&immutable=1"
	}
	db, err := sql.Open("sqlite", name)
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
		if !st.Mode().IsRegular() {
			return fmt.Errorf("%s is no file", from+suffix)
		}
		if size += st.Size(); size > rescueMost {
			return fmt.Errorf("with its WAL it has %d MiB or more", size>>20)
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
