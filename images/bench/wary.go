package bench

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// A killed emulator leaves on this machine's disk all that the board wrote, flushed or not.
// A wary board's card has a cache that a cut of the power empties: everything that the
// board writes is logged with its flushes (QEMU, block driver blklogwrites; the log is that
// of the kernel's dm-log-writes), and when it is cut, what the card holds is made from what
// it held before and the log up to the last flush. Of what came after nothing is left.

func (b *Board) log() string    { return b.Disk + ".log" }
func (b *Board) before() string { return b.Disk + ".before" }

// card gives the emulator's arguments for the board's card.
func (b *Board) card() ([]string, error) {
	if !b.Wary {
		return []string{"-drive", "if=none,file=" + b.Disk + ",format=raw,id=d,cache=writethrough"}, nil
	}
	if err := CopyDisk(b.before(), b.Disk); err != nil {
		return nil, err
	}
	if err := os.WriteFile(b.log(), nil, 0o644); err != nil {
		return nil, err
	}
	return []string{"-blockdev", "driver=file,filename=" + b.Disk + ",node-name=f", "-blockdev", "driver=file,filename=" + b.log() + ",node-name=l",
		"-blockdev", "driver=blklogwrites,node-name=d,file=f,log=l"}, nil
}

// Lost is how many bytes of writes the last cut lost, of a wary board.
func (b *Board) Lost() int64 { return b.lost }

// forget makes of a wary board's card what a cut left of it.
func (b *Board) forget() {
	if !b.Wary {
		return
	}
	b.lost, b.wrong = b.replay()
	_ = os.Remove(b.log())
}

// Marks of the log's entries (Documentation/admin-guide/device-mapper/log-writes.rst).
const (
	logMagic   = 0x6a736677736872
	logFlush   = 1
	logDiscard = 4
	logSector  = 512
)

// replay writes the log, up to its last flush, over what the card held before.
func (b *Board) replay() (lost int64, err error) {
	l, err := os.Open(b.log())
	if err != nil {
		return 0, err
	}
	defer l.Close()
	var super [28]byte
	if _, err := l.ReadAt(super[:], 0); err != nil {
		if errors.Is(err, io.EOF) { // cut before it flushed anything
			return 0, os.Rename(b.before(), b.Disk)
		}
		return 0, err
	}
	if binary.LittleEndian.Uint64(super[:]) != logMagic || binary.LittleEndian.Uint32(super[24:]) != logSector {
		return 0, errors.New("this is no log of writes")
	}
	type entry struct{ to, size, from int64 }
	var kept, since []entry
	at := int64(logSector)
	for range binary.LittleEndian.Uint64(super[16:]) {
		var e [32]byte
		if _, err := l.ReadAt(e[:], at); err != nil {
			return 0, err
		}
		to, size, flags := int64(binary.LittleEndian.Uint64(e[:]))*logSector, int64(binary.LittleEndian.Uint64(e[8:]))*logSector, binary.LittleEndian.Uint64(e[16:])
		if size == 0 && flags == 0 || flags&^0xf != 0 || size < 0 || size > 1<<30 {
			break // counted, and cut before it was written
		}
		at += logSector
		if size > 0 && flags&logDiscard == 0 {
			since = append(since, entry{to, size, at})
			at += size
		}
		if flags&logFlush != 0 {
			kept, since = append(kept, since...), nil
		}
	}
	for _, e := range since {
		lost += e.size
	}
	if i, err := l.Stat(); err == nil {
		lost += max(0, i.Size()-at)
	}
	d, err := os.OpenFile(b.before(), os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	for _, e := range kept {
		if _, err := io.Copy(io.NewOffsetWriter(d, e.to), io.NewSectionReader(l, e.from, e.size)); err != nil {
			return 0, err
		}
	}
	return lost, os.Rename(b.before(), b.Disk)
}
