package recorder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/clock"
)

// segment is the one that is being written. The disk's goroutine owns it.
type segment struct {
	f      *os.File
	disk   disk
	format *format
	kept   *kept
	number uint32
}

// create makes a segment with its head and its first fragments in one write, flushed
// with its name.
func create(dir string, d disk, l label, fs []*fragment, now clock.Stamp, room int64, buf []byte) (*segment, []byte, error) {
	f := fs[0]
	k := &kept{name: segmentName(l), label: l}
	b := append(buf[:0], f.format.head()...)
	b, k.sum = l.appendTo(b)
	k.head = int64(len(b))
	b = marshal(b, fs, 0, k.sum, now)
	file, err := os.OpenFile(filepath.Join(dir, k.name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, b, err
	}
	x := &segment{f: file, disk: d, format: f.format, kept: k}
	// Blocks in one stretch, where the file system gives them; where it does not, the
	// file grows.
	_ = unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, max(room, int64(len(b))))
	if err = d.write(file, b, 0); err == nil {
		err = d.sync(file)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		file.Close()
		return nil, b, errors.Join(err, os.Remove(filepath.Join(dir, k.name)))
	}
	k.from = f.from
	x.added(fs, len(b))
	return x, b, nil
}

// add writes fragments and flushes them.
func (x *segment) add(fs []*fragment, now clock.Stamp, buf []byte) ([]byte, error) {
	b := marshal(buf[:0], fs, x.number, x.kept.sum, now)
	err := x.disk.write(x.f, b, x.kept.size)
	if err == nil {
		err = x.disk.sync(x.f)
	}
	return b, err
}

// added counts what add has written, once it is durable.
func (x *segment) added(fs []*fragment, n int) {
	x.number += uint32(len(fs))
	x.kept.size += int64(n)
	for _, f := range fs {
		x.kept.to = max(x.kept.to, f.to)
	}
}

// marshal appends fragments, each under its seal.
func marshal(b []byte, fs []*fragment, number uint32, labelSum uint32, now clock.Stamp) []byte {
	b = slices.Grow(b, rooms(fs))
	for i, f := range fs {
		b = f.marshal(b, number+uint32(i), labelSum, seal{trust: now.Trust, wall: hour(now, f.from)})
	}
	return b
}

// rooms is how many bytes marshal needs.
func rooms(fs []*fragment) (n int) {
	for _, f := range fs {
		n += f.room()
	}
	return n
}

// hour is an instant of this boot in UTC; zero where nothing is trusted.
func hour(now clock.Stamp, mono time.Duration) time.Time {
	if now.Trust == clock.Free {
		return time.Time{}
	}
	return now.Wall.Add(mono - now.Mono)
}

// close ends the segment in order and gives back what was allocated and not used. It
// waits for no flush: where a cut takes the end, the segment is read from its head.
func (x *segment) close() (size int64, err error) {
	b := ending{x.number, x.kept.from, x.kept.to}.appendTo(nil, x.kept.sum)
	size = x.kept.size + int64(len(b))
	if err = x.disk.write(x.f, b, x.kept.size); err == nil {
		err = x.f.Truncate(size)
	}
	return size, errors.Join(err, x.f.Close())
}

// abandon lets a segment go that cannot be written any more: what is in it counts up to
// the last fragment that was flushed.
func (x *segment) abandon() {
	_ = x.f.Truncate(x.kept.size)
	_ = x.f.Close()
}
