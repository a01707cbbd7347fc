package stick

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
)

// Bounds of what is looked at.
const (
	mostEntries = 4096 // of the root folder, 32 bytes each
	mostFiles   = 8    // release files; the others are left alone
	mostName    = 255  // UTF-16 units (7)
	ending      = ".tocsin"
)

// ErrNoFAT says that a device has no file system that is read here.
var ErrNoFAT = errors.New("no FAT16 or FAT32 file system")

// Volume is an open file system.
type Volume struct {
	d io.ReaderAt

	sector, cluster int64 // bytes
	fat, data       int64 // where they begin, in bytes
	clusters        uint32
	wide            bool // FAT32
	rootAt          int64
	rootEntries     int
	rootCluster     uint32
}

// File is a release file.
type File struct {
	Name  string
	Size  int64
	first uint32
}

// Open reads the first sector of a device, or of a partition of it, of a size in bytes.
func Open(d io.ReaderAt, size int64) (*Volume, error) {
	var b [512]byte
	if _, err := d.ReadAt(b[:], 0); err != nil {
		return nil, err
	}
	u16 := func(at int) int64 { return int64(binary.LittleEndian.Uint16(b[at:])) }
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }
	v := &Volume{d: d, sector: u16(11)}
	per, reserved, fats, root, total, fatSectors := int64(b[13]), u16(14), int64(b[16]), u16(17), u16(19), u16(22)
	if total == 0 {
		total = u32(32)
	}
	if fatSectors == 0 {
		fatSectors = u32(36)
	}
	switch {
	case b[510] != 0x55 || b[511] != 0xaa,
		v.sector != 512 && v.sector != 1024 && v.sector != 2048 && v.sector != 4096,
		per == 0 || per&(per-1) != 0, reserved == 0, fats == 0 || fats > 4, fatSectors == 0,
		total == 0 || total*v.sector > size:
		return nil, ErrNoFAT
	}
	v.cluster, v.fat = per*v.sector, reserved*v.sector
	v.rootAt, v.rootEntries = (reserved+fats*fatSectors)*v.sector, int(root)
	v.data = v.rootAt + (root*32+v.sector-1)/v.sector*v.sector
	count := (total*v.sector - v.data) / v.cluster
	if v.data >= total*v.sector || count < 4085 { // fewer is FAT12 (3.5)
		return nil, ErrNoFAT
	}
	v.wide = count >= 65525
	width := int64(2)
	if v.wide {
		width = 4
		v.rootCluster = uint32(u32(44))
	}
	if v.wide != (root == 0) || (count+2)*width > fatSectors*v.sector {
		return nil, ErrNoFAT
	}
	v.clusters = uint32(count)
	return v, nil
}

// next gives the cluster after one; ok is false at a chain's end, or where it leads nowhere.
func (v *Volume) next(c uint32) (n uint32, ok bool, err error) {
	var b [4]byte
	if v.wide {
		if _, err := v.d.ReadAt(b[:], v.fat+int64(c)*4); err != nil {
			return 0, false, err
		}
		n = binary.LittleEndian.Uint32(b[:]) & 0x0fffffff
	} else {
		if _, err := v.d.ReadAt(b[:2], v.fat+int64(c)*2); err != nil {
			return 0, false, err
		}
		n = uint32(binary.LittleEndian.Uint16(b[:2]))
	}
	return n, v.valid(n), nil
}

func (v *Volume) valid(c uint32) bool { return c >= 2 && c-2 < v.clusters }

func (v *Volume) at(c uint32) int64 { return v.data + int64(c-2)*v.cluster }

// root reads the root folder, within bounds.
func (v *Volume) root() ([]byte, error) {
	if !v.wide {
		b := make([]byte, min(v.rootEntries, mostEntries)*32)
		_, err := v.d.ReadAt(b, v.rootAt)
		return b, err
	}
	var out []byte
	c, ok := v.rootCluster, v.valid(v.rootCluster)
	for ok && len(out) < mostEntries*32 {
		b := make([]byte, min(v.cluster, int64(mostEntries*32-len(out))))
		if _, err := v.d.ReadAt(b, v.at(c)); err != nil {
			return nil, err
		}
		out = append(out, b...)
		var err error
		if c, ok, err = v.next(c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Files lists the release files of the root folder by name, mostFiles at most; more tells
// whether there are others.
func (v *Volume) Files() (files []File, more bool, err error) {
	root, err := v.root()
	if err != nil {
		return nil, false, err
	}
	var long []uint16
	for ; len(root) >= 32 && root[0] != 0; root = root[32:] {
		e := root[:32]
		switch attr := e[11]; {
		case e[0] == 0xe5: // not in use
			long = nil
			continue
		case attr&0x3f == 0x0f: // a part of a long name, its last part first
			if e[0]&0x40 != 0 {
				long = nil
			}
			long = append(part(e), long...)
			if len(long) > mostName+13 {
				long = nil
			}
			continue
		case attr&0x18 != 0: // a folder, or the volume's label
			long = nil
			continue
		}
		name := short(e)
		if long != nil {
			name = string(utf16.Decode(long))
		}
		long = nil
		if !strings.HasSuffix(strings.ToLower(name), ending) || strings.HasPrefix(name, ".") {
			continue
		}
		f := File{Name: clean(name), Size: int64(binary.LittleEndian.Uint32(e[28:])), first: uint32(binary.LittleEndian.Uint16(e[26:]))}
		if v.wide {
			f.first |= uint32(binary.LittleEndian.Uint16(e[20:])) << 16
		}
		files = append(files, f)
	}
	slices.SortStableFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	if more = len(files) > mostFiles; more {
		files = files[:mostFiles]
	}
	return files, more, nil
}

// part gives the 13 characters of a long name's entry.
func part(e []byte) (out []uint16) {
	for _, span := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for n := span[0]; n < span[1]; n += 2 {
			u := binary.LittleEndian.Uint16(e[n:])
			if u == 0 || u == 0xffff {
				return out
			}
			out = append(out, u)
		}
	}
	return out
}

func short(e []byte) string {
	name, ext := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	return name + "." + ext
}

// clean makes a name that may be shown: no character that moves a cursor, no more than fits.
func clean(s string) string {
	out := []rune(strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x200b && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfffd {
			return '_'
		}
		return r
	}, s))
	if len(out) > 60 {
		out = append(append(out[:40:40], '…'), out[len(out)-len(ending)-8:]...)
	}
	return string(out)
}

// Reader reads a file from its begin. A chain that is shorter than the file says is cut
// short there.
func (v *Volume) Reader(f File) io.Reader { return &reader{v: v, c: f.first, left: f.Size} }

type reader struct {
	v    *Volume
	c    uint32
	in   int64 // within the cluster
	left int64
}

func (r *reader) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	if r.in == r.v.cluster {
		n, ok, err := r.v.next(r.c)
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, fmt.Errorf("its chain ends at cluster %d: %w", r.c, io.ErrUnexpectedEOF)
		}
		r.c, r.in = n, 0
	}
	if !r.v.valid(r.c) {
		return 0, fmt.Errorf("cluster %d is not there: %w", r.c, io.ErrUnexpectedEOF)
	}
	b = b[:min(int64(len(b)), r.left, r.v.cluster-r.in)]
	n, err := r.v.d.ReadAt(b, r.v.at(r.c)+r.in)
	r.in, r.left = r.in+int64(n), r.left-int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, err
}
