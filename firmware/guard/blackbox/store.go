package blackbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Store is the region of the disk. Use Open; one goroutine writes it.
type Store struct {
	dir  string
	most int // bytes of each file
	n    int // number of the file that is written
	size int
	f    *os.File
}

const (
	format = "1"
	// readMost bounds what is read of a file, whatever bound it was written by.
	readMost = 64 << 20
)

func name(dir string, n int) string { return filepath.Join(dir, strconv.Itoa(n%2)) }

// Open opens the region in a folder, made where it is not there, of so many bytes. What
// another run left there stays until there is no room.
func Open(dir string, most int) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, most: most / 2, n: -1}
	for i := range 2 {
		b, err := readFile(name(dir, i))
		if err != nil {
			continue
		}
		rs, _, end := Decode(b)
		if n, ok := number(rs); ok && n%2 == i && n > s.n {
			s.n, s.size = n, end
		}
	}
	if s.n < 0 {
		return s, s.turn()
	}
	f, err := os.OpenFile(name(dir, s.n), os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// A torn tail would only be read over.
	if err := f.Truncate(int64(s.size)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.f = f
	return s, nil
}

func number(rs []Record) (int, bool) {
	if len(rs) == 0 || rs[0].Kind != Head {
		return 0, false
	}
	v, n, _ := strings.Cut(rs[0].Text, " ")
	i, err := strconv.Atoi(n)
	return i, err == nil && v == format && i >= 0
}

// turn begins the other file anew.
func (s *Store) turn() error {
	if s.f != nil {
		if err := s.f.Close(); err != nil {
			return err
		}
		s.f = nil
	}
	f, err := os.OpenFile(name(s.dir, s.n+1), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	s.f, s.n, s.size = f, s.n+1, 0
	return s.put(Record{Kind: Head, Text: fmt.Sprint(format, " ", s.n)}.Append(nil))
}

func (s *Store) put(b []byte) error {
	n, err := s.f.WriteAt(b, int64(s.size))
	s.size += n
	return err
}

// Write appends records and waits until the disk has them.
func (s *Store) Write(rs []Record) error {
	var b []byte
	for _, r := range rs {
		r.Text = cut(r.Text)
		if s.f == nil || s.size+len(b)+r.size() > s.most {
			if s.f != nil {
				if err := s.put(b); err != nil {
					return err
				}
				b = b[:0]
				if err := s.f.Sync(); err != nil {
					return err
				}
			}
			if err := s.turn(); err != nil {
				return err
			}
		}
		b = r.Append(b)
	}
	if err := s.put(b); err != nil {
		return err
	}
	return s.f.Sync()
}

// Close closes the region.
func (s *Store) Close() error {
	if s.f == nil {
		return nil
	}
	return s.f.Close()
}

// Read reads a region, the oldest record first, and tells how many bytes of it were none.
func Read(dir string) (rs []Record, damaged int, err error) {
	type file struct {
		n  int
		rs []Record
	}
	var files []file
	for i := range 2 {
		b, e := readFile(name(dir, i))
		if errors.Is(e, fs.ErrNotExist) {
			continue
		}
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		all, bad, _ := Decode(b)
		damaged += bad
		n, ok := number(all)
		if !ok {
			n = -1 // its head is gone: the older one, as far as anybody knows
		}
		files = append(files, file{n, all})
	}
	slices.SortStableFunc(files, func(a, b file) int { return a.n - b.n })
	for _, f := range files {
		for _, r := range f.rs {
			if r.Kind != Head {
				rs = append(rs, r)
			}
		}
	}
	return rs, damaged, err
}

// InOrder gives the records of each run of the program by the time since the boot: frames
// that an event has written come after what an interval had written before.
func InOrder(rs []Record) []Record {
	out := slices.Clone(rs)
	from := 0
	for i := range out {
		if out[i].Kind == Boot {
			sort(out[from:i])
			from = i
		}
	}
	sort(out[from:])
	return out
}

func sort(rs []Record) {
	slices.SortStableFunc(rs, func(a, b Record) int {
		if a.Kind == Boot || b.Kind == Boot {
			return 0
		}
		return int(min(max(a.Mono-b.Mono, -1), 1))
	})
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, readMost))
}
