package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A data partition that is made anew would be that of a new box: one without rules, that
// stands watch over nothing. So what makes a box this one (its site's file and the tables
// beside it, its keys, its people) is kept a second time, between the boot environment and
// the first partition. It has two places, written in turn: the head of one is written once
// its content is on the card, and a cut of the power leaves the other.
//
// A place is a sector of head, and behind it the content: a tar archive, packed by gzip.
//
//	offset  size
//	     0     8  mark
//	     8     8  number, which rises; big-endian, as all here
//	    16     8  seconds since 1970 by the board's clock
//	    24     8  length of the content
//	    32    32  SHA-256 of the content
//	    64    32  SHA-256 of the 64 bytes before
const (
	spareAt     = 4 << 20
	spareEach   = 6 << 20
	sparePlaces = 2
	spareEnd    = spareAt + sparePlaces*spareEach

	spareFile  = 2 << 20       // of one file
	spareFiles = 2000          // at most, and
	spareBytes = 5<<20 + 1<<19 // so much of all of them: packed they fit whatever they are
)

var spareMark = []byte{0x89, 'T', 'C', 'S', 'P', '\r', '\n', 0x1a}

// How soon the spare copy follows what it copies.
const (
	spareFirst = 20 * time.Second // after edged stands watch
	spareLook  = time.Minute      // a site's file that changed is copied then
	spareRest  = 15 * time.Minute // and whatever else changed, then
)

// spareHead is a place's head.
type spareHead struct {
	number uint64
	at     int64
	length int64
	sum    [32]byte
}

func (h spareHead) bytes() []byte {
	b := make([]byte, sector)
	copy(b, spareMark)
	binary.BigEndian.PutUint64(b[8:], h.number)
	binary.BigEndian.PutUint64(b[16:], uint64(h.at))
	binary.BigEndian.PutUint64(b[24:], uint64(h.length))
	copy(b[32:], h.sum[:])
	sum := sha256.Sum256(b[:64])
	copy(b[64:], sum[:])
	return b
}

func parseSpareHead(b []byte) (h spareHead, ok bool) {
	if len(b) < sector || !bytes.Equal(b[:8], spareMark) {
		return h, false
	}
	if sum := sha256.Sum256(b[:64]); !bytes.Equal(sum[:], b[64:96]) {
		return h, false
	}
	h = spareHead{number: binary.BigEndian.Uint64(b[8:]), at: int64(binary.BigEndian.Uint64(b[16:])), length: int64(binary.BigEndian.Uint64(b[24:]))}
	copy(h.sum[:], b[32:64])
	return h, h.length > 0 && h.length <= spareEach-sector
}

func sparePlace(n int) int64 { return spareAt + int64(n)*spareEach }

// readSpare gives the newest content that is whole, and its place; -1 for none.
func readSpare(r io.ReaderAt) (h spareHead, content []byte, place int) {
	type found struct {
		h     spareHead
		place int
	}
	var all []found
	for n := range sparePlaces {
		b := make([]byte, sector)
		if _, err := r.ReadAt(b, sparePlace(n)); err != nil {
			continue
		}
		if h, ok := parseSpareHead(b); ok {
			all = append(all, found{h, n})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Compare(b.h.number, a.h.number) })
	for _, f := range all {
		c := make([]byte, f.h.length)
		if _, err := r.ReadAt(c, sparePlace(f.place)+sector); err == nil && sha256.Sum256(c) == f.h.sum {
			return f.h, c, f.place
		}
	}
	return spareHead{}, nil, -1
}

// spareDisk is what a spare copy is written to.
type spareDisk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// writeSpare puts a content into the place that does not hold the newest, and reads it back.
// One that is there already is not written again.
func writeSpare(d spareDisk, content []byte, now time.Time) error {
	if len(content) > spareEach-sector {
		return fmt.Errorf("it has %d bytes, and its place takes %d", len(content), spareEach-sector)
	}
	old, _, place := readSpare(d)
	sum := sha256.Sum256(content)
	if place >= 0 && old.sum == sum {
		return nil
	}
	if !spareMarked(d) {
		if err := spareVacant(d); err != nil {
			return err
		}
	}
	at := sparePlace((place + 1) % sparePlaces)
	for _, step := range []struct {
		at int64
		b  []byte
	}{
		{at, append(bytes.Clone(spareMark), make([]byte, sector-len(spareMark))...)}, // no head stands before another's content
		{at + sector, content},
		{at, spareHead{number: old.number + 1, at: now.Unix(), length: int64(len(content)), sum: sum}.bytes()},
	} {
		if _, err := d.WriteAt(step.b, step.at); err != nil {
			return err
		}
		if err := d.Sync(); err != nil {
			return err
		}
	}
	if h, _, _ := readSpare(d); h.sum != sum {
		return errors.New("it does not read as it was written")
	}
	return nil
}

// spareMarked tells whether a place begins as ours do, also one whose writing was cut.
func spareMarked(r io.ReaderAt) bool {
	b := make([]byte, len(spareMark))
	for n := range sparePlaces {
		if _, err := r.ReadAt(b, sparePlace(n)); err == nil && bytes.Equal(b, spareMark) {
			return true
		}
	}
	return false
}

// spareVacant tells whether nothing stands where the first spare copy is to come: some boards'
// own boot loader lies there (Rockchip's at 8 MiB), and without it they are dead.
func spareVacant(r io.ReaderAt) error {
	b := make([]byte, 1<<20)
	for at := int64(spareAt); at < spareEnd; at += int64(len(b)) {
		if _, err := r.ReadAt(b, at); err != nil {
			return err
		}
		if n := bytes.IndexFunc(b, func(c rune) bool { return c != 0 }); n >= 0 {
			return fmt.Errorf("%w: something else lies at byte %d, a boot loader or what the card held before", errNoRoom, at+int64(n))
		}
	}
	return nil
}

// eraseSpare overwrites both places, the first one's mark last: after a reset nothing of the
// box before comes back. Where no place is ours nothing is touched.
func eraseSpare(d spareDisk) error {
	if !spareMarked(d) {
		return nil
	}
	var all error
	zero := make([]byte, 1<<20)
	for at := int64(spareEnd - len(zero)); at >= spareAt; at -= int64(len(zero)) {
		if _, err := d.WriteAt(zero, at); err != nil {
			all = errors.Join(all, err)
		}
	}
	return errors.Join(all, d.Sync())
}

// spared tells of a file of the box's folder whether the spare copy has it: the site's whole,
// and of the data what is no record of what happened.
func spared(name string, size int64) bool {
	if size <= 0 || size > spareFile || !fs.ValidPath(name) || len(name) > 250 {
		return false
	}
	first, rest, _ := strings.Cut(name, "/")
	switch first {
	case "site":
		return rest != ""
	case "data":
		for _, n := range []string{"blackbox/", "video/", "clips/"} {
			if strings.HasPrefix(rest, n) {
				return false
			}
		}
		base := path.Base(rest)
		return rest != "" && !strings.Contains(base, ".db") && !strings.HasSuffix(base, ".log") && !strings.HasPrefix(base, ".")
	}
	return false
}

// kept is a file that the spare copy shall have.
type keptFile struct {
	name string
	size int64
	mode fs.FileMode
	when time.Time
}

// keptFiles lists what the spare copy of a box's folder shall have, the site first and then
// small files first, within its bounds. No link is followed: the folder is edged's.
func keptFiles(root *os.Root) []keptFile {
	var all []keptFile
	for _, top := range []string{"site", "data"} {
		seen := 0
		_ = fs.WalkDir(root.FS(), top, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				if d != nil && d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if seen++; seen > 20*spareFiles {
				return fs.SkipAll
			}
			if !d.Type().IsRegular() {
				return nil
			}
			if i, err := d.Info(); err == nil && i.Mode().IsRegular() && spared(name, i.Size()) {
				all = append(all, keptFile{name, i.Size(), i.Mode().Perm(), i.ModTime()})
			}
			return nil
		})
	}
	slices.SortFunc(all, func(a, b keptFile) int {
		return cmp.Or(cmp.Compare(b.name[:4], a.name[:4]), cmp.Compare(a.size, b.size), strings.Compare(a.name, b.name))
	})
	left, out := int64(spareBytes), all[:0]
	for _, f := range all {
		if need := f.size + 2048; len(out) < spareFiles && need <= left { // its head in the archive, and what fills its last block
			out, left = append(out, f), left-need
		}
	}
	slices.SortFunc(out, func(a, b keptFile) int { return strings.Compare(a.name, b.name) })
	return out
}

// packSpare makes the content. The same files give the same bytes.
func packSpare(root *os.Root, files []keptFile) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		b, err := readPlain(root, f.name)
		if err != nil {
			continue // it has gone meanwhile
		}
		if err := t.WriteHeader(&tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: int64(f.mode), Size: int64(len(b)), Format: tar.FormatUSTAR}); err != nil {
			continue // a name that no archive takes
		}
		if _, err := t.Write(b); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// openPlain opens a regular file of a folder that is another's.
func openPlain(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	i, err := f.Stat()
	if err == nil && !i.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("it is no file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readPlain reads one.
func readPlain(root *os.Root, name string) ([]byte, error) {
	f, err := openPlain(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, spareFile+1))
	if err == nil && len(b) > spareFile {
		err = errors.New("it has grown")
	}
	return b, err
}

// unpackSpare gives each file of a content to take, within bounds.
func unpackSpare(content []byte, take func(name string, mode fs.FileMode, b []byte) error) error {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return err
	}
	t := tar.NewReader(io.LimitReader(z, spareBytes+spareFiles*2048))
	for range spareFiles {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !spared(h.Name, h.Size) {
			return fmt.Errorf("it has %q, which is none of a spare copy's", clean(h.Name))
		}
		b, err := io.ReadAll(t)
		if err != nil {
			return err
		}
		if err := take(h.Name, fs.FileMode(h.Mode)&0o777, b); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return nil
}

// restoreSpare puts what a box's folder lacks into it, and says how many files that were.
// What is there already stays.
func restoreSpare(dir string, content []byte) (n int, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = unpackSpare(content, func(name string, mode fs.FileMode, b []byte) error {
		if i, err := root.Lstat(name); err == nil && (!i.Mode().IsRegular() || i.Size() > 0) {
			return nil
		}
		if err := root.MkdirAll(path.Dir(name), 0o750); err != nil {
			return err
		}
		next := name + ".new"
		_ = root.Remove(next)
		f, err := root.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = f.Write(b)
		if err == nil {
			err = f.Sync()
		}
		if e := f.Close(); err == nil {
			err = e
		}
		if err == nil {
			err = root.Rename(next, name)
		}
		if err == nil {
			n++
		}
		return err
	})
	return n, err
}

// fileOfSpare gives one file of a content, nil for none.
func fileOfSpare(content []byte, want string) (out []byte) {
	_ = unpackSpare(content, func(name string, _ fs.FileMode, b []byte) error {
		if name == want {
			out = b
		}
		return nil
	})
	return out
}

// openSpare opens the board's disk for its spare copy. A card whose first partition begins
// before the copy's end has none.
func (b *board) openSpare(flag int) (*os.File, error) {
	if b.slots.Disk == "" {
		return nil, errors.New("this board was not started from slots")
	}
	f, err := os.OpenFile(b.slots.Disk, flag, 0)
	if err != nil {
		return nil, err
	}
	table := make([]byte, sector)
	if _, err = f.ReadAt(table, 0); err == nil {
		err = roomForSpare(table)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

var errNoRoom = errors.New("this card has no room for a spare copy")

// roomForSpare tells whether a table of partitions leaves the spare copy's sectors free.
func roomForSpare(table []byte) error {
	if len(table) != sector || table[510] != 0x55 || table[511] != 0xaa || binary.LittleEndian.Uint32(table[440:]) != diskID {
		return errors.New("the disk's table of partitions is not this board's")
	}
	for n := range 4 {
		e := table[446+16*n:]
		if start, size := binary.LittleEndian.Uint32(e[8:]), binary.LittleEndian.Uint32(e[12:]); size > 0 && int64(start)*sector < spareEnd {
			return fmt.Errorf("%w: partition %d begins there", errNoRoom, n+1)
		}
	}
	return nil
}

// spareContent is the newest spare copy; nil where there is none.
func (b *board) spareContent() (spareHead, []byte) {
	f, err := b.openSpare(os.O_RDONLY)
	if err != nil {
		return spareHead{}, nil
	}
	defer f.Close()
	h, c, _ := readSpare(f)
	return h, c
}

// fromSpare puts back what a box's folder lacks, where it was lost.
func (b *board) fromSpare(dir string) {
	if i, err := os.Lstat(filepath.Join(dir, "site", "site.yaml")); b.data.How == "disk" && err == nil && i.Size() > 0 {
		return
	}
	h, content := b.spareContent()
	if content == nil {
		return
	}
	n, err := restoreSpare(dir, content)
	if err != nil {
		b.say("data: the spare copy: %v", err)
	}
	if n == 0 {
		return
	}
	b.attempt("data", func() error { return ownAll(dir) })
	if b.data.How != "memory" { // and there it would wait for what mends the disk
		b.flushAll()
	}
	b.data.Spare = time.Unix(h.at, 0).UTC()
	b.say("data: %d files are from the spare copy of %s", n, b.data.Spare.Format(time.RFC3339))
}

// followSpare keeps the spare copy like what it copies, while edged stands watch with it.
func (b *board) followSpare(ctx context.Context, dir string) {
	if b.data.How == "memory" { // the disk's is the box's
		return
	}
	stays := !b.onTrial()
	var site, all [32]byte
	var when time.Time
	for ready := time.Duration(0); ctx.Err() == nil; {
		if !pause(ctx, 5*time.Second) {
			return
		}
		if ready += 5 * time.Second; !b.box.isReady() {
			ready = 0
		}
		if ready < spareFirst || !when.IsZero() && ready%spareLook != 0 {
			continue
		}
		if stays = stays || b.noTrial() == nil; !stays { // a trial's may not stay
			continue
		}
		s, a, err := sparePrints(dir)
		if err != nil || a == all || s == site && time.Since(when) < spareRest && !when.IsZero() {
			continue
		}
		if err := b.keepSpare(dir); err != nil {
			b.say("data: the spare copy: %v", err)
			site, all, when = s, [32]byte{}, time.Now() // once more after spareRest
			continue
		}
		site, all, when = s, a, time.Now()
	}
}

// sparePrints tells two states of a box's folder apart, by names, sizes and times: of its
// site, and of all that is copied.
func sparePrints(dir string) (site, all [32]byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return site, all, err
	}
	defer root.Close()
	s, a := sha256.New(), sha256.New()
	for _, f := range keptFiles(root) {
		fmt.Fprintf(a, "%s\x00%d %d\n", f.name, f.size, f.when.UnixNano())
		if strings.HasPrefix(f.name, "site/") {
			fmt.Fprintf(s, "%s\x00%d %d\n", f.name, f.size, f.when.UnixNano())
		}
	}
	s.Sum(site[:0])
	a.Sum(all[:0])
	return site, all, nil
}

// keepSpare writes the spare copy. That of a box never gives way to a new board's, which has
// nothing yet.
func (b *board) keepSpare(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	now, err := readPlain(root, "site/site.yaml")
	if err != nil {
		return err
	}
	f, err := b.openSpare(os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	if seed, err := os.ReadFile(imageSite); err == nil && bytes.Equal(now, seed) {
		if _, c, place := readSpare(f); place >= 0 && !bytes.Equal(fileOfSpare(c, "site/site.yaml"), seed) {
			return nil
		}
	}
	content, err := packSpare(root, keptFiles(root))
	if err != nil {
		return err
	}
	b.spare.Lock()
	defer b.spare.Unlock()
	if b.spareOver {
		return nil
	}
	if err := writeSpare(f, content, time.Now()); err != nil {
		return err
	}
	if !b.spareSaid { // once in a boot: a box that is set up changes all day
		b.spareSaid = true
		b.say("data: the spare copy has %d KiB", len(content)>>10+1)
	}
	return nil
}

// forgetSpare erases the spare copy, and none is made until the next start.
func (b *board) forgetSpare() error {
	b.spare.Lock()
	defer b.spare.Unlock()
	b.spareOver = true
	if b.slots.Disk == "" {
		return nil
	}
	f, err := b.openSpare(os.O_RDWR)
	if errors.Is(err, errNoRoom) {
		return nil // this card never had one
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return eraseSpare(f)
}
