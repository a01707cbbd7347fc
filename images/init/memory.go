package main

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

	"golang.org/x/sys/unix"
)

// asideMemory is where what was kept in memory goes once its partition is mended. Its folder is
// root's, so that no link of edged's stands there; what lies in it is edged's to read.
const asideMemory = "in-memory"

// memoryData is what edged knows of it: the data directory of then.
const memoryData = dataDir + "/" + asideMemory + "/data"

// The start anew waits for calm, in a storm for days, and the power may go before: what edged
// must not forget of the time in memory is on the mended partition by then.
const (
	memoryLook = 5 * time.Second  // for whether there is any
	memoryEach = 5 * time.Minute  // how old that gets
	memoryWait = 10 * time.Second // how long a start anew waits for one that is under way, and for the disks
	saveMost   = time.Minute      // how long it waits for all that was kept in memory
)

// memoryFirst are the files of what was obeyed and heard.
var memoryFirst = []string{"data/journal.db", "data/journal.db-wal", "data/journal.floor", "data/clock.floor"}

// copier is copyFile, or a test's.
type copier func(from *os.Root, name, to string) error

// errChanging says that a journal was written to its place while it was copied.
var errChanging = errors.New("the journal changed while it was copied")

// followMemory keeps what was obeyed in memory on the partition that is whole again, until a
// start anew begins. The first time it does so as soon as edged has begun.
func (b *board) followMemory(ctx context.Context, box string) {
	var was string
	for next := time.Duration(0); pause(ctx, memoryLook); next -= memoryLook {
		now := memoryPrint(box)
		if next > 0 || now == was || now == "" {
			continue
		}
		next = memoryEach
		b.memory.Lock()
		if b.memoryOver {
			b.memory.Unlock()
			return
		}
		err := b.onMended(func(root string) error { return layFirst(box, filepath.Join(root, asideMemory), copyFile) })
		b.memory.Unlock()
		if err != nil {
			b.say("data: what was obeyed in memory is not on the disk: %v", err)
			continue
		}
		if was == "" {
			b.say("data: what was obeyed in memory is on its partition, and put there again every %s", memoryEach)
		}
		was = now
	}
}

// saveMemory puts what was kept in memory beside what is kept on the disk, where that is
// mended: nothing of the time between is lost, and it takes nothing's place. Of what lies there
// edged takes what it has obeyed and heard (TOCSIN_MEMORY).
func (b *board) saveMemory(box string) error {
	if b.data.How != "memory" || !b.dataMended.Load() {
		return nil
	}
	for end := time.Now().Add(memoryWait); !b.memory.TryLock(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the disk takes nothing: what was kept in memory is lost, but for what it took before")
		}
	}
	defer b.memory.Unlock()
	b.memoryOver = true
	if _, err := os.Lstat(box); err != nil {
		return nil // it was reset
	}
	return b.onMended(func(root string) error { return layMemory(box, filepath.Join(root, asideMemory)) })
}

// onMended mounts the mended partition for a while.
func (b *board) onMended(f func(root string) error) error {
	if b.mended != nil {
		return f(b.mended())
	}
	if err := mountDisk(b.data.dev, mendDir, 0); err != nil {
		return err
	}
	err := f(mendDir)
	return errors.Join(err, unix.Unmount(mendDir, 0))
}

// memoryPrint tells two states of a box's journal apart; "" where there is none.
func memoryPrint(box string) (s string) {
	for _, name := range memoryFirst[:2] {
		if i, err := os.Lstat(filepath.Join(box, name)); err == nil {
			s += fmt.Sprint(i.Size(), " ", i.ModTime().UnixNano(), " ")
		}
	}
	return s
}

// layFirst puts the first files of a box's folder to a place of their own, while edged runs or
// not. What lay there gives way once they are on the disk.
func layFirst(box, to string, copy copier) error {
	next := to + ".new"
	var err error
	for range 3 {
		if err = copyFirst(box, next, copy); !errors.Is(err, errChanging) {
			break
		}
	}
	if err == nil {
		err = giveEdged(next)
	}
	if err == nil {
		err = flushDisk(filepath.Dir(to))
	}
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.Rename(next, to)
		}
	}
	return errors.Join(err, os.RemoveAll(next), flushDisk(filepath.Dir(to)))
}

// giveEdged makes a folder edged's, where there is one.
func giveEdged(dir string) error {
	if os.Getpid() != 1 {
		return nil
	}
	return ownAll(dir)
}

// copyFirst copies them as they stand together. In WAL mode the database changes by checkpoints
// alone, and a WAL without its end is one of a moment before; after a checkpoint it may begin anew,
// with new salts in its head, while the database stays as it is ("Database File Format", 4.1 and 4.4).
func copyFirst(box, to string, copy copier) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	root, err := os.OpenRoot(box)
	if err != nil {
		return err
	}
	defer root.Close()
	before, err := momentOf(root)
	if err != nil {
		return err
	}
	for _, name := range memoryFirst {
		if err := copy(root, name, filepath.Join(to, name)); err != nil && (name == memoryFirst[0] || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	after, err := momentOf(root)
	if err == nil && after != before {
		err = errChanging
	}
	return err
}

// walHead is how long a WAL's head is, with its salts.
const walHead = 32

// momentOf tells apart two states of a journal of which no copy would be whole.
func momentOf(root *os.Root) (string, error) {
	i, err := root.Lstat(memoryFirst[0])
	if err != nil {
		return "", err
	}
	s := fmt.Sprint(i.Size(), " ", i.ModTime().UnixNano())
	f, err := openPlain(root, memoryFirst[1])
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, walHead))
	return fmt.Sprintf("%s %x", s, head), err
}

// layMemory puts all of a box's folder there, the first files before the rest, which may find no
// room.
func layMemory(box, to string) error {
	err := layFirst(box, to, copyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil { // it had no journal: nothing of an earlier time is mistaken for its
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
	return errors.Join(copyTreeBut(box, to, memoryFirst), giveEdged(to))
}

// copyTreeBut is copyTree without some files.
func copyTreeBut(from, to string, but []string) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	return walkTree(from, func(rel string) error {
		if slices.Contains(but, rel) {
			return nil
		}
		return copyFile(root, rel, filepath.Join(to, rel))
	})
}

// flushDisk waits for the disk of a folder, and for no other: syncfs(2).
func flushDisk(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
