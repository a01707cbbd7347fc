package stick

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf16"
)

// made is a FAT16 file system of 4 MiB made by hand: clusters of 512 bytes, one FAT.
type made struct {
	b    []byte
	next uint16
	at   int // of the next entry
}

const (
	madeFAT  = 512
	madeRoot = madeFAT + 64*512
	madeData = madeRoot + 512*32
)

func make16() *made {
	b := make([]byte, 8192*512)
	binary.LittleEndian.PutUint16(b[11:], 512)
	b[13] = 1
	binary.LittleEndian.PutUint16(b[14:], 1)
	b[16] = 1
	binary.LittleEndian.PutUint16(b[17:], 512)
	binary.LittleEndian.PutUint16(b[19:], 8192)
	binary.LittleEndian.PutUint16(b[22:], 64)
	b[510], b[511] = 0x55, 0xaa
	return &made{b: b, next: 2, at: madeRoot}
}

func (m *made) entry(e []byte) { copy(m.b[m.at:], e); m.at += 32 }

// file puts a file in, with a long name.
func (m *made) file(name string, text []byte) (first uint16) {
	u := utf16.Encode([]rune(name))
	parts := (len(u) + 12) / 13
	for n := parts - 1; n >= 0; n-- {
		e := bytes.Repeat([]byte{0xff}, 32)
		e[0], e[11], e[12] = byte(n+1), 0x0f, 0
		if n == parts-1 {
			e[0] |= 0x40
		}
		at := []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}
		for i := range 13 {
			if k := n*13 + i; k < len(u) {
				binary.LittleEndian.PutUint16(e[at[i]:], u[k])
			} else if k == len(u) {
				binary.LittleEndian.PutUint16(e[at[i]:], 0)
			}
		}
		m.entry(e)
	}
	first = m.next
	e := make([]byte, 32)
	copy(e, "SHORT~1 TOC")
	binary.LittleEndian.PutUint16(e[26:], first)
	binary.LittleEndian.PutUint32(e[28:], uint32(len(text)))
	m.entry(e)
	for at := 0; at < len(text); at += 512 {
		copy(m.b[madeData+int(m.next-2)*512:], text[at:min(at+512, len(text))])
		link := m.next + 1
		if at+512 >= len(text) {
			link = 0xffff
		}
		binary.LittleEndian.PutUint16(m.b[madeFAT+int(m.next)*2:], link)
		m.next++
	}
	return first
}

func (m *made) open(t *testing.T) *Volume {
	t.Helper()
	v, err := Open(bytes.NewReader(m.b), int64(len(m.b)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReleaseFilesOfTheRootFolderAreReadWhole(t *testing.T) {
	m := make16()
	text := bytes.Repeat([]byte("release "), 1000)
	m.file("readme.txt", []byte("x"))
	m.file("警钟 2027-01 升级包.TOCSIN", text)
	m.file("a.tocsin", nil)
	v := m.open(t)
	files, more, err := v.Files()
	if err != nil || more || len(files) != 2 || files[0].Name != "a.tocsin" || files[1].Name != "警钟 2027-01 升级包.TOCSIN" {
		t.Fatalf("%+v %v %v", files, more, err)
	}
	got, err := io.ReadAll(v.Reader(files[1]))
	if err != nil || !bytes.Equal(got, text) {
		t.Fatal(len(got), err)
	}
	if got, err := io.ReadAll(v.Reader(files[0])); err != nil || len(got) != 0 {
		t.Fatal(len(got), err)
	}
}

func TestAHostileStickIsReadWithinBounds(t *testing.T) {
	t.Run("a chain that is a ring", func(t *testing.T) {
		m := make16()
		first := m.file("ring.tocsin", make([]byte, 1024))
		binary.LittleEndian.PutUint16(m.b[madeFAT+int(first+1)*2:], first)
		binary.LittleEndian.PutUint32(m.b[m.at-4:], 1<<20)
		v := m.open(t)
		files, _, _ := v.Files()
		n, err := io.Copy(io.Discard, v.Reader(files[0]))
		if n != 1<<20 || err != nil {
			t.Fatal("a ring gives no more than the file's size:", n, err)
		}
	})
	t.Run("a chain that ends early", func(t *testing.T) {
		m := make16()
		m.file("short.tocsin", make([]byte, 1024))
		binary.LittleEndian.PutUint32(m.b[m.at-4:], 0xffffffff)
		v := m.open(t)
		files, _, _ := v.Files()
		if n, err := io.Copy(io.Discard, v.Reader(files[0])); n != 1024 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(n, err)
		}
	})
	t.Run("a first cluster that is not there", func(t *testing.T) {
		m := make16()
		m.file("far.tocsin", make([]byte, 10))
		binary.LittleEndian.PutUint16(m.b[m.at-32+26:], 0xfff0)
		v := m.open(t)
		files, _, _ := v.Files()
		if _, err := io.Copy(io.Discard, v.Reader(files[0])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	})
	t.Run("more files than are looked at", func(t *testing.T) {
		m := make16()
		for n := range 200 {
			m.file(strings.Repeat("x", n%5)+".tocsin", nil)
		}
		files, more, err := m.open(t).Files()
		if err != nil || !more || len(files) != mostFiles {
			t.Fatal(len(files), more, err)
		}
	})
	t.Run("names that move the cursor, or have no end", func(t *testing.T) {
		m := make16()
		m.file("\x1b[2J\u202Eevil.tocsin", nil)
		m.file(strings.Repeat("长", 240)+".tocsin", nil)
		for range 60 { // parts without a file
			e := bytes.Repeat([]byte{'x', 0}, 16)
			e[0], e[11] = 1, 0x0f
			m.entry(e)
		}
		m.file("good.tocsin", nil)
		files, _, err := m.open(t).Files()
		if err != nil || len(files) != 3 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if strings.ContainsAny(f.Name, "\x1b\u202e") || len([]rune(f.Name)) > 60 || !strings.HasSuffix(f.Name, ".tocsin") {
				t.Fatalf("%q", f.Name)
			}
		}
	})
	t.Run("a stick that is pulled out", func(t *testing.T) {
		m := make16()
		m.file("a.tocsin", make([]byte, 4096))
		v := m.open(t)
		files, _, _ := v.Files()
		r := v.Reader(files[0])
		if _, err := io.ReadFull(r, make([]byte, 512)); err != nil {
			t.Fatal(err)
		}
		v.d = gone{}
		if _, err := r.Read(make([]byte, 512)); err == nil {
			t.Fatal("read from nothing")
		}
	})
}

type gone struct{}

func (gone) ReadAt([]byte, int64) (int, error) { return 0, errors.New("no such device") }

func FuzzOpen(f *testing.F) {
	m := make16()
	m.file("a.tocsin", make([]byte, 600))
	f.Add(m.b[:madeData+2048])
	f.Add([]byte{})
	wide := bytes.Clone(m.b[:1024])
	binary.LittleEndian.PutUint16(wide[17:], 0)
	binary.LittleEndian.PutUint16(wide[19:], 0)
	binary.LittleEndian.PutUint32(wide[32:], 80000)
	binary.LittleEndian.PutUint16(wide[22:], 0)
	binary.LittleEndian.PutUint32(wide[36:], 700)
	binary.LittleEndian.PutUint32(wide[44:], 2)
	f.Add(wide)
	f.Fuzz(func(t *testing.T, b []byte) {
		const size = 64 << 20
		v, err := Open(padded(b), size)
		if err != nil {
			return
		}
		files, _, err := v.Files()
		if err != nil {
			return
		}
		if len(files) > mostFiles {
			t.Fatal(len(files))
		}
		for _, f := range files {
			n, _ := io.Copy(io.Discard, io.LimitReader(v.Reader(f), 1<<20))
			if n > f.Size {
				t.Fatal("more than the file")
			}
		}
	})
}

// padded is a device whose end is zero.
type padded []byte

func (p padded) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(b)) > 64<<20 {
		return 0, io.EOF
	}
	clear(b)
	if at < int64(len(p)) {
		copy(b, p[at:])
	}
	return len(b), nil
}
