package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"database/sql"

	"tocsin/firmware/phrase"
)

// asideKept is how many files set aside are kept; the oldest go, so that a disk
// that rots does not fill itself.
const asideKept = 3

// setAside puts the file aside under a dated name and takes from it what can still be
// read and RAM does not hold.
func (j *Journal) setAside(why error) error {
	j.drop()
	from := filepath.Join(j.dir, fileName)
	to := j.asideName()
	j.o.Log.Error("journal set aside", "file", filepath.Base(to), "err", why)
	// The database goes first: a cut between the two leaves a WAL that is found not
	// to fit, while a database without its WAL would pass for a good, older one.
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Rename(from+suffix, to+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncFile(j.dir); err != nil {
		return err
	}
	j.floor = 0 // it may be gone as well: write it anew
	j.mu.Lock()
	j.stats.Replaced++
	j.mu.Unlock()
	if !j.knows {
		l := salvage(to, j.o.Recent)
		l.next = max(l.next, readFloor(j.dir))
		j.adopt(l)
	}
	j.Append(Record{Kind: "journal.replaced", Message: phrase.M("journal.replaced", "file", filepath.Base(to))})
	j.thin()
	return nil
}

// lost notes that the file was removed or replaced under us; RAM is brought over.
func (j *Journal) lost() {
	j.drop()
	j.floor, j.bring = 0, true
	j.mu.Lock()
	j.stats.Replaced++
	j.mu.Unlock()
	j.o.Log.Error("journal file gone", "dir", j.dir)
	j.Append(Record{Kind: "journal.gone", Message: phrase.M("journal.gone")})
}

func (j *Journal) asideName() string {
	day := j.o.Clock.Now().Wall.UTC().Format("20060102T150405")
	for i := 0; ; i++ {
		name := filepath.Join(j.dir, fmt.Sprintf("journal-corrupt-%s-%02d.db", day, i))
		if _, err := os.Lstat(name); err != nil {
			return name
		}
	}
}

// thin removes the oldest files set aside.
func (j *Journal) thin() {
	names, _ := filepath.Glob(filepath.Join(j.dir, "journal-corrupt-*.db"))
	slices.SortFunc(names, func(a, b string) int { return mtime(a).Compare(mtime(b)) })
	for len(names) > asideKept {
		for _, suffix := range []string{"", "-wal"} {
			os.Remove(names[0] + suffix)
		}
		names = names[1:]
	}
}

func mtime(path string) time.Time {
	st, err := os.Lstat(path)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}

// salvage reads what it can of a damaged file: values and records whose checksums
// hold. It writes nothing that matters.
func salvage(path string, keep int) loaded {
	l := loaded{state: map[string][]byte{}, letters: map[string]*Letter{}, next: 1}
	db, err := sql.Open("sqlite", dsn(path, "query_only(1)"))
	if err != nil {
		return l
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	loadState(db, &l)
	loadLetters(db, &l)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	loadRecords(ctx, db, keep, &l)
	return l
}

// rescueMost is the largest file that is copied into RAM to be read.
const rescueMost = 48 << 20

// rescue reads a file that cannot be opened for writing (read-only, full) by a
// copy in RAM, once, so that alarms resume all the same.
func (j *Journal) rescue() {
	if j.knows {
		return
	}
	from := filepath.Join(j.dir, fileName)
	if st, err := os.Stat(from); err != nil || st.Size() > rescueMost {
		return
	}
	tmp, err := ramDir()
	if err != nil {
		return
	}
	defer os.RemoveAll(tmp)
	to := filepath.Join(tmp, fileName)
	if copyFile(to, from) != nil {
		return
	}
	copyFile(to+"-wal", from+"-wal")
	j.adopt(salvage(to, j.o.Recent))
}

func ramDir() (string, error) {
	for _, d := range []string{"/dev/shm", "/run", os.TempDir()} {
		if name, err := os.MkdirTemp(d, "journal-"); err == nil {
			return name, nil
		}
	}
	return "", fs.ErrPermission
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, rescueMost))
	return errors.Join(err, out.Close())
}
