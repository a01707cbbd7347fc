package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A card is written with a data partition of a few MiB, and grows it to its end at its
// first start, beside everything else: edged does not wait for it, and its alarm path
// needs no disk. Power may be cut at any instant:
//
//	the partition table   one sector, in which only the last partition's length changes; a
//	                      card writes a sector whole or not at all
//	the kernel's view     is made anew of the table at each start
//	the file system       grows by the kernel, in its journal, by steps (ext4(5)); one that
//	                      is smaller than its partition is as good as any, and grows on at
//	                      the next start

const (
	sector    = 512
	growAlign = 2048             // sectors: 1 MiB
	growLeast = 16 * 2048        // sectors that it is worth
	growStep  = 1 << 30          // bytes of each step of the file system
	growPause = time.Second      // between steps, in which the card is others'
	growLater = 20 * time.Second // after the start, when what matters has its data
)

// growTable makes the last of four partitions reach to the end of a disk of so many
// sectors, in its first sector. It tells whether anything changed. What is not this
// board's table, as it was written, is left as it is.
func growTable(table []byte, sectors uint64) (bool, error) {
	if len(table) != sector || table[510] != 0x55 || table[511] != 0xaa || binary.LittleEndian.Uint32(table[440:]) != diskID {
		return false, errors.New("it is not this board's partition table")
	}
	end := uint64(0)
	var start, size uint64
	for n := range 4 {
		e := table[446+16*n:]
		start, size = uint64(binary.LittleEndian.Uint32(e[8:])), uint64(binary.LittleEndian.Uint32(e[12:]))
		if size == 0 || start < end {
			return false, fmt.Errorf("partition %d is not where it was made", n+1)
		}
		end = start + size
	}
	if table[446+16*3+4] != 0x83 {
		return false, errors.New("partition 4 is no Linux's")
	}
	if end > sectors {
		return false, fmt.Errorf("partition 4 ends at sector %d, and the disk has %d", end, sectors)
	}
	// A table's lengths have 32 bits (2 TiB).
	most := min(sectors, start+1<<32-1) / growAlign * growAlign
	if most < end+growLeast {
		return false, nil
	}
	binary.LittleEndian.PutUint32(table[446+16*3+12:], uint32(most-start))
	return true, nil
}

// growDisk grows the table of a disk and holds what stands there to what was meant. disk
// may be a file. It tells how many sectors the last partition has then.
func growDisk(disk string, sectors uint64) (uint64, error) {
	f, err := os.OpenFile(disk, os.O_RDWR|os.O_SYNC, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	old := make([]byte, sector)
	if _, err := f.ReadAt(old, 0); err != nil {
		return 0, err
	}
	table := append([]byte(nil), old...)
	changed, err := growTable(table, sectors)
	size := uint64(binary.LittleEndian.Uint32(table[446+16*3+12:]))
	if err != nil || !changed {
		return size, err
	}
	if err := writeSector(disk, table); err != nil {
		return 0, err
	}
	back := make([]byte, sector)
	if _, err := f.ReadAt(back, 0); err != nil {
		return 0, err
	}
	if string(back) != string(table) {
		return 0, errors.Join(errors.New("the table does not read as it was written"), writeSector(disk, old))
	}
	return size, nil
}

// writeSector writes the first sector and nothing beside it: past the kernel's cache where
// the disk allows it, which would write a whole page.
func writeSector(disk string, b []byte) error {
	// Direct writes want memory that is aligned as the disk's blocks are.
	m, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(m) }()
	copy(m, b)
	f, err := os.OpenFile(disk, os.O_WRONLY|os.O_SYNC|unix.O_DIRECT, 0)
	if err == nil {
		_, err = f.WriteAt(m[:sector], 0)
		if e := f.Close(); err == nil {
			err = e
		}
		if err == nil {
			return nil
		}
	}
	f, err = os.OpenFile(disk, os.O_WRONLY|os.O_SYNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// growData makes the data partition, and what is on it, as large as the card is.
func (b *board) growData(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(growLater):
	}
	if b.data.dev == "" || b.data.How == "memory" {
		return
	}
	name := filepath.Base(b.slots.Disk)
	sectors, err := number(filepath.Join("/sys/class/block", name, "size"))
	if err != nil {
		b.say("data: %v", err)
		return
	}
	want, err := growDisk(b.slots.Disk, sectors)
	if err != nil {
		b.say("data: its partition stays as it is: %v", err)
		return
	}
	part := filepath.Base(b.data.dev)
	have, err := number(filepath.Join("/sys/class/block", part, "size"))
	if err == nil && have < want {
		err = tellKernel(b.slots.Disk, filepath.Join("/sys/class/block", part), want)
	}
	if err != nil {
		b.say("data: the kernel keeps to the old end of the partition until the next start: %v", err)
		return
	}
	if err := growFiles(ctx, dataDir, int64(want)*sector, b.say); err != nil {
		b.say("data: its file system stays as it is: %v", err)
	}
}

func number(path string) (uint64, error) {
	t, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(t)), 10, 64)
}

// blkpgResize and these structures are linux/blkpg.h's.
const blkpgResize = 3

type blkpgArg struct {
	op, flags, length int32
	data              unsafe.Pointer
}

type blkpgPartition struct {
	start, length int64
	number        int32
	_             [64]byte
	_             [64]byte
	_             int32
}

// tellKernel tells the kernel the new length of a partition that is in use.
func tellKernel(disk, sys string, sectors uint64) error {
	start, err := number(filepath.Join(sys, "start"))
	if err != nil {
		return err
	}
	n, err := number(filepath.Join(sys, "partition"))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	p := blkpgPartition{start: int64(start) * sector, length: int64(sectors) * sector, number: int32(n)}
	a := blkpgArg{op: blkpgResize, length: int32(unsafe.Sizeof(p)), data: unsafe.Pointer(&p)}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&a))); e != 0 {
		return e
	}
	return nil
}

// ext4Resize is EXT4_IOC_RESIZE_FS of linux/ext4.h, _IOW('f', 16, __u64): how many blocks
// the file system shall have.
const ext4Resize = 1<<30 | 8<<16 | 'f'<<8 | 16

// growFiles makes the mounted file system as large as its partition, step by step.
func growFiles(ctx context.Context, dir string, size int64, say func(string, ...any)) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	block := int64(st.Bsize)
	goal, now := uint64(size/block), st.Blocks
	// What the statistics count is less by what the file system needs for itself.
	if goal < now+now/16+uint64(growLeast*sector/block) {
		return nil
	}
	for at := now; at < goal && ctx.Err() == nil; {
		at = min(at+uint64(growStep/block), goal)
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ext4Resize, uintptr(unsafe.Pointer(&at))); e != 0 {
			return e
		}
		if at < goal {
			select {
			case <-ctx.Done():
			case <-time.After(growPause):
			}
		}
	}
	say("data: grown to %d MiB", size>>20)
	return nil
}
