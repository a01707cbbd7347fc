package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The site's file is the board's own; the image has that of a new board: one without
// instruments, whose page leads through the set-up.
const (
	siteFile  = boxDir + "/site/site.yaml"
	imageSite = "/usr/share/tocsin/site.yaml"
)

// exitSite is edged's code for a site's file that it cannot run, and no good one before it:
// EX_CONFIG of sysexits.h. Nothing ends so by accident; by 2 any panic of Go's does.
const exitSite = 78

// Bounds of what is done about a file that edged refuses.
const (
	refusedWithin = 5 * time.Minute // two refusals further apart are no proof of anything
	refusedMost   = 20              // files that are kept aside
)

// refusals counts how edged refuses its site's file.
type refusals struct{ last time.Time }

// twice takes an end of edged's, and tells whether it is the second refusal in a row within
// a short time.
func (r *refusals) twice(end error, now time.Time) bool {
	before := r.last
	r.last = time.Time{}
	if exitOf(end) != exitSite {
		return false
	}
	if !before.IsZero() && now.Sub(before) < refusedWithin {
		return true
	}
	r.last = now
	return false
}

// seedSite gives a new board the image's file. A cut of the power leaves either none or the
// whole; an empty one, as other programs leave it, counts as none.
func seedSite(from, to string) error {
	if i, err := os.Stat(to); err == nil && i.Size() > 0 {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	t, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return putSite(t, to)
}

// putSite writes the site's file, whole or not at all.
func putSite(t []byte, to string) error {
	// The folder is edged's, and a link in it edged's word: root follows none out of the box's.
	box, err := os.OpenRoot(filepath.Dir(filepath.Dir(to)))
	if err != nil {
		return err
	}
	defer box.Close()
	dir := filepath.Base(filepath.Dir(to))
	name := filepath.Join(dir, filepath.Base(to))
	next := name + ".new"
	if err := box.RemoveAll(next); err != nil {
		return err
	}
	f, err := box.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(t)
	if err == nil {
		err = f.Sync()
	}
	if os.Getpid() == 1 && err == nil {
		err = f.Chown(boxUser, boxUser)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := box.Rename(next, name); err != nil {
		return err
	}
	return flush(filepath.Dir(to))
}

// makeBox makes the box's folder and those in it, which are edged's. What is there and is
// no folder is left as it is: root gives nothing away that a link of edged's names.
func makeBox(dir string) error {
	for _, d := range []string{dir, filepath.Join(dir, "site"), filepath.Join(dir, "data")} {
		if err := os.Mkdir(d, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if i, err := os.Lstat(d); err != nil {
			return err
		} else if !i.IsDir() {
			return fmt.Errorf("%s is no folder", d)
		}
		if err := os.Lchown(d, boxUser, boxUser); err != nil {
			return err
		}
	}
	return nil
}

// setSiteAside puts a file that edged refused twice beside its place. In its stead comes that
// of the spare copy, where it is another one: a card that loses bytes takes the last good copy
// with it. Else the box gets the image's: it then tells what is wrong on its page, where the
// last revisions are too. Without a page it could only be mended on the pole. What was set
// aside before stays.
func (b *board) setSiteAside(from, to string) error {
	aside := to + ".refused"
	for n := 2; n <= refusedMost; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s.refused-%d", to, n)
	}
	if _, err := os.Lstat(aside); err == nil {
		return fmt.Errorf("%d files are set aside already: look at them, and remove those that nobody needs", refusedMost)
	}
	var refused []byte
	if root, err := os.OpenRoot(filepath.Dir(to)); err == nil {
		refused, _ = readPlain(root, filepath.Base(to))
		root.Close()
	}
	if err := os.Rename(to, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("setting it aside: %w", err)
	}
	if h, content := b.spareContent(); content != nil {
		if t := fileOfSpare(content, "site/"+filepath.Base(to)); len(t) > 0 && !bytes.Equal(t, refused) {
			b.say("site: edged cannot run it: it is set aside as %s, and that of the spare copy of %s takes its place", aside, time.Unix(h.at, 0).UTC().Format(time.RFC3339))
			return putSite(t, to)
		}
	}
	b.say("site: edged cannot run it: it is set aside as %s, the box starts as a new one", aside)
	return seedSite(from, to)
}

// flush puts a file, or the names in a folder, onto the disk.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // a file system in memory
		return err
	}
	return nil
}
