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
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// asideMemory begins the names of what was kept in memory, once its partition is mended: each boot's
// has a number, the later the higher (one of an earlier release has none). None takes another's place
// before edged has taken over what it must not forget of it, at the next start from the disk: a disk
// that does not mount again before that leaves several. Of more than memoriesKept the oldest goes, and
// with it what was obeyed then, where in all that time no start was from the disk.
//
// They lie in a folder of root's, and are edged's to read.
const (
	asideMemory  = "in-memory"
	memoriesKept = 4
)

// memories are the names of those that lie in a folder, the oldest first.
func memories(dir string) (names []string, next string, err error) {
	have, err := numbered(dir, asideMemory+"-")
	if err != nil {
		return nil, "", err
	}
	if _, err := os.Lstat(filepath.Join(dir, asideMemory)); err == nil {
		names = append(names, asideMemory)
	}
	last := 0
	for _, last = range have {
		names = append(names, fmt.Sprintf("%s-%d", asideMemory, last))
	}
	return names, fmt.Sprintf("%s-%d", asideMemory, last+1), nil
}

// memoryList is what edged knows of them: the data directories of then, as a list like PATH.
func memoryList(dir string) string {
	names, _, _ := memories(dir)
	for n := range names {
		names[n] = filepath.Join(dir, names[n], "data")
	}
	return strings.Join(names, string(filepath.ListSeparator))
}

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
		err := b.onMended(func(to string) error { return layFirst(box, to, copyFile) })
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
	return b.onMended(func(to string) error { return layMemory(box, to) })
}

// onMended mounts the mended partition for a while, and gives this boot's place there.
func (b *board) onMended(lay func(to string) error) error {
	if b.mended != nil {
		return b.layOn(b.mended(), lay)
	}
	if err := mountDisk(b.data.dev, mendDir, 0); err != nil {
		return err
	}
	err := b.layOn(mendDir, lay)
	return errors.Join(err, unix.Unmount(mendDir, 0))
}

func (b *board) layOn(root string, lay func(to string) error) error {
	have, next, err := memories(root)
	if err != nil {
		return err
	}
	if b.memoryName == "" {
		b.memoryName = next
	}
	if err := lay(filepath.Join(root, b.memoryName)); err != nil {
		return err
	}
	if !slices.Contains(have, b.memoryName) {
		have = append(have, b.memoryName)
	}
	for _, name := range have[:max(0, len(have)-memoriesKept)] {
		b.say("data: %s goes, for %d later ones", name, memoriesKept)
		err = errors.Join(err, os.RemoveAll(filepath.Join(root, name)))
	}
	return err
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
// not. What lay there, of this boot, gives way once they are on the disk.
func layFirst(box, to string, copy copier) error {
	next := filepath.Join(filepath.Dir(to), asideMemory+".new")
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
	if err := layFirst(box, to, copyFile); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may have no journal
		return err
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
