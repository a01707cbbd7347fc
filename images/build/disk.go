package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"tocsin/firmware/update/pack"
	"tocsin/firmware/update/slots"
)

const (
	mib = 1 << 20
	// first is where the first partition begins, in MiB. Before it lie the boot environment's
	// copies, init's count of starts and, from 4 MiB on, the spare copy of the box (images/init).
	first     = 16
	selector  = 24 // MiB of the first partition
	dataLeast = 64
)

// disk makes a whole card: selector, slot A with its header, an empty slot B, data.
func disk(to string, t target, slot string, h *pack.Header, selectorFiles []file, at int64) error {
	a := int64(first + selector)
	data := a + 2*t.slot
	if h.Size > (t.slot-1)*mib {
		return fmt.Errorf("the slot has %d bytes, and its partition %d MiB, the last of which is the header's", h.Size, t.slot)
	}
	_ = os.Remove(to)
	f, err := os.OpenFile(to, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate((data + dataLeast) * mib); err != nil {
		return err
	}
	// The data partition goes to the end of the card at its first start.
	table := fmt.Sprintf("label: dos\nlabel-id: 0x746f6373\nstart=%dMiB, size=%dMiB, type=c, bootable\nstart=%dMiB, size=%dMiB, type=c\nstart=%dMiB, size=%dMiB, type=c\nstart=%dMiB, size=%dMiB, type=83\n",
		first, selector, a, t.slot, a+t.slot, t.slot, data, dataLeast)
	c := exec.Command("sfdisk", "-q", "--no-reread", "--no-tell-kernel", to)
	c.Stdin = strings.NewReader(table)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("sfdisk: %w: %s", err, out)
	}
	sel := to + ".selector"
	defer os.Remove(sel)
	if err := fat(sel, "BOOT", selector, at, selectorFiles); err != nil {
		return err
	}
	ext := to + ".data"
	defer os.Remove(ext)
	if err := emptyData(ext, at); err != nil {
		return err
	}
	for _, p := range []struct {
		path string
		at   int64
	}{{sel, first}, {slot, a}, {ext, data}} {
		if err := put(f, p.path, p.at*mib); err != nil {
			return err
		}
	}
	if err := slots.Seal(partition{f, a * mib, t.slot * mib}, h); err != nil {
		return err
	}
	if err := (slots.Environment{Disk: f, At: slots.Standard}).Write(slots.Choice{Good: "A", Floor: h.Number}); err != nil {
		return err
	}
	return f.Sync()
}

// put copies a file into the disk; what is zero stays a hole.
func put(f *os.File, path string, at int64) error {
	r, err := os.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	b := make([]byte, mib)
	for {
		n, err := io.ReadFull(r, b)
		if n > 0 && len(bytes.Trim(b[:n], "\x00")) > 0 {
			if _, err := f.WriteAt(b[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// emptyData makes the data partition as it is on a new card: with blocks and room for
// descriptors as one of its later size has them, since it grows while it is in use.
func emptyData(to string, at int64) error {
	_ = os.Remove(to)
	if err := os.WriteFile(to, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(to, dataLeast*mib); err != nil {
		return err
	}
	const id = "746f6373-696e-4000-8000-000000000001"
	_, err := run([]string{"E2FSPROGS_FAKE_TIME=" + fmt.Sprint(at)}, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-i", "32768", "-I", "256", "-J", "size=8", "-L", "data", "-U", id, "-E", "hash_seed="+id+",lazy_itable_init=0,resize=134217728", to)
	return err
}

// partition is a part of a disk's file.
type partition struct {
	f    *os.File
	at   int64
	size int64
}

func (p partition) Size() int64 { return p.size }
func (p partition) Sync() error { return p.f.Sync() }
func (p partition) ReadAt(b []byte, at int64) (int, error) {
	return io.NewSectionReader(p.f, p.at, p.size).ReadAt(b, at)
}
func (p partition) WriteAt(b []byte, at int64) (int, error) { return p.f.WriteAt(b, p.at+at) }
