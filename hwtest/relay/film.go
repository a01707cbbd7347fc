package relay

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Film is one loop of H.264 pictures.
type Film struct {
	Pictures [][][]byte // each of NAL units without start codes
	index    map[sliceKey]int
}

// Open reads an Annex B file.
func Open(file string) (*Film, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return NewFilm(b)
}

// NewFilm takes an Annex B stream apart.
func NewFilm(annexB []byte) (*Film, error) {
	f := &Film{Pictures: pictures(annexB), index: map[sliceKey]int{}}
	if len(f.Pictures) == 0 {
		return nil, errors.New("no picture in the film")
	}
	for i, p := range f.Pictures {
		k := keyOf(firstSlice(p))
		if _, twice := f.index[k]; twice {
			i = -1 // two alike cannot be told apart
		}
		f.index[k] = i
	}
	return f, nil
}

// find gives the picture of the loop with this first slice.
func (f *Film) find(slice []byte) (int, bool) {
	i, ok := f.index[keyOf(slice)]
	return i, ok && i >= 0
}

type sliceKey struct {
	crc uint32
	n   int
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func keyOf(n []byte) sliceKey { return sliceKey{crc32.Checksum(n, castagnoli), len(n)} }

func isSlice(nal []byte) bool { return nal[0]&31 == 1 || nal[0]&31 == 5 }

func firstSlice(picture [][]byte) []byte {
	for _, n := range picture {
		if isSlice(n) {
			return n
		}
	}
	return nil
}

// pictures cuts an Annex B stream into access units (H.264, 7.4.1.2.3: a new one begins
// at a first slice, or at a delimiter, SEI or parameter set after one).
func pictures(b []byte) (all [][][]byte) {
	var one [][]byte
	sliced := false
	for _, n := range nals(b) {
		if len(n) < 2 {
			continue
		}
		t := n[0] & 31
		if sliced && (isSlice(n) && n[1]&0x80 != 0 || t >= 6 && t <= 9) {
			all, one, sliced = append(all, one), nil, false
		}
		one, sliced = append(one, n), sliced || isSlice(n)
	}
	if sliced {
		all = append(all, one)
	}
	return all
}

func nals(b []byte) (all [][]byte) {
	begin := -1
	for i := 0; i+2 < len(b); i++ {
		if b[i] != 0 || b[i+1] != 0 || b[i+2] != 1 {
			continue
		}
		if begin >= 0 {
			all = append(all, bytes.TrimRight(b[begin:i], "\x00"))
		}
		begin = i + 3
		i += 2
	}
	if begin >= 0 {
		all = append(all, b[begin:])
	}
	return all
}

// Table holds when each picture of the loop was last sent. It is a file that processes
// share, of nanoseconds of CLOCK_MONOTONIC.
type Table struct{ at []int64 }

// NewTable opens a table of n pictures, and makes the file where it is not there.
func NewTable(path string, n int) (*Table, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(int64(n * 8)); err != nil {
		return nil, err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, n*8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Table{unsafe.Slice((*int64)(unsafe.Pointer(&m[0])), n)}, nil
}

func (t *Table) set(i int, at int64) { atomic.StoreInt64(&t.at[i], at) }

// sent gives the instant; 0 is never.
func (t *Table) sent(i int) int64 { return atomic.LoadInt64(&t.at[i]) }

func mono() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
