package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Partitions of a card.
const (
	SelectorPart = 1 + iota
	SlotA
	SlotB
	DataPart
)

// Partition tells where one of a card's partitions lies, in bytes, by its table of
// partitions (the four entries of 16 bytes from byte 446 of the first sector on).
func (b *Board) Partition(n int) (at, size int64, err error) {
	f, err := os.Open(b.Disk)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	var s [512]byte
	if _, err := io.ReadFull(f, s[:]); err != nil {
		return 0, 0, err
	}
	if s[510] != 0x55 || s[511] != 0xaa {
		return 0, 0, errors.New("the card has no table of partitions")
	}
	e := s[446+16*(n-1):]
	at, size = int64(binary.LittleEndian.Uint32(e[8:]))*512, int64(binary.LittleEndian.Uint32(e[12:]))*512
	if size == 0 {
		return 0, 0, fmt.Errorf("the card has no partition %d", n)
	}
	return at, size, nil
}

// boxUser owns what is edged's on the data partition.
const boxUser = 900

// Put writes files into the data partition of a card that is in no board, as edged's own.
func (b *Board) Put(files map[string][]byte) error {
	var cmds strings.Builder
	made := map[string]bool{"/": true, ".": true}
	var mkdir func(string)
	mkdir = func(dir string) {
		if made[dir] {
			return
		}
		made[dir] = true
		mkdir(path.Dir(dir))
		fmt.Fprintf(&cmds, "mkdir %s\nsif %s uid %d\nsif %s gid %d\nsif %s mode 040750\n", dir, dir, boxUser, dir, boxUser, dir)
	}
	n := 0
	for name, text := range files {
		from := filepath.Join(b.Dir, fmt.Sprintf("put-%d", n))
		n++
		if err := os.WriteFile(from, text, 0o600); err != nil {
			return err
		}
		defer os.Remove(from)
		mkdir(path.Dir(name))
		fmt.Fprintf(&cmds, "rm %s\nwrite %s %s\nsif %s uid %d\nsif %s gid %d\nsif %s mode 0100600\n", name, from, name, name, boxUser, name, boxUser, name)
	}
	return b.debugfs(cmds.String(), true)
}

func (b *Board) debugfs(cmds string, write bool) error {
	at, size, err := b.Partition(DataPart)
	if err != nil {
		return err
	}
	fs := fmt.Sprintf("%s?offset=%d", b.Disk, at)
	args := []string{"-f", "-", fs}
	if write {
		// What a cut left in its journal is put in its place first, or it would be put over
		// this. e2fsck does not find a place within a file again: it gets a copy.
		fs = filepath.Join(b.Dir, "data.part")
		defer os.Remove(fs)
		if err := copyPart(fs, 0, b.Disk, at, size); err != nil {
			return err
		}
		out, err := exec.Command("e2fsck", "-p", fs).CombinedOutput()
		if x := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &x) || x.ExitCode() != 1) {
			return fmt.Errorf("e2fsck: %w: %s", err, out)
		}
		args = []string{"-w", "-f", "-", fs}
	}
	c := exec.Command("debugfs", args...)
	c.Stdin = strings.NewReader(cmds)
	out, err := c.CombinedOutput()
	for _, bad := range []string{"while trying to open", "Could not allocate", "No space"} {
		if err == nil && strings.Contains(string(out), bad) {
			err = errors.New("the data partition cannot be written")
		}
	}
	if err != nil {
		return fmt.Errorf("debugfs: %w: %s", err, out)
	}
	if write {
		return copyPart(b.Disk, at, fs, 0, size)
	}
	return nil
}

// copyPart copies a part of a file into another.
func copyPart(to string, at int64, from string, begin, size int64) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(w, at), io.NewSectionReader(r, begin, size))
	if e := w.Close(); err == nil {
		err = e
	}
	return err
}

// Overwrite writes bytes over a part of a card.
func (b *Board) Overwrite(at int64, bytes []byte) error {
	f, err := os.OpenFile(b.Disk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(bytes, at)
	return err
}

// Environments are where the copies of the boot loader's environment lie, in bytes.
var Environments = [2]int64{2048 * 512, 6144 * 512}
