package bench

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
)

// Releases makes releases that differ little from what a card has in its slot A.
type Releases struct {
	// Slot is slot A's image, Header what it says of itself.
	Slot   []byte
	Header *pack.Header

	dir     string
	signers []trust.Signer
	slots   map[string][]byte
}

// Variant is a release that differs from the card's own.
type Variant struct {
	Version string
	// Above is by how much its number is above that of the card's own release.
	Above int64
	// Hardware are the boards that it is for; the card's own where it is nil.
	Hardware []string
	// Init names what is wrong with its init: see the program broken; "" for nothing.
	Init string
	// Root is "none" where its root is not there, "hang" where its edged does nothing, "pry"
	// where another program is in edged's place: see pry; "" for the card's own.
	Root string
	// Forged: its signatures are somebody else's.
	Forged bool
	// Whole: it travels whole, not as a delta to what the card has.
	Whole bool
}

// OpenReleases reads a card's slot A. keys is the folder of the private keys that its image
// was built with; what is made is kept in dir.
func OpenReleases(card, keys, dir string) (*Releases, error) {
	r := &Releases{dir: dir, slots: map[string][]byte{}}
	f, err := os.Open(card)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	at, size, err := (&Board{Disk: card}).Partition(SlotA)
	if err != nil {
		return nil, err
	}
	const tail = 1 << 20 // firmware/update/slots: the header stands in a partition's last MiB
	if r.Header, err = pack.ReadHeader(io.NewSectionReader(f, at+size-tail, tail)); err != nil {
		return nil, fmt.Errorf("slot A says nothing of itself: %w", err)
	}
	r.Slot = make([]byte, r.Header.Size)
	if _, err := f.ReadAt(r.Slot, at); err != nil {
		return nil, err
	}
	for _, k := range []trust.Kind{trust.Ed25519, trust.SM2} {
		b, err := os.ReadFile(filepath.Join(keys, "release-"+string(k)+".pem"))
		if err != nil {
			return nil, err
		}
		s, err := trust.LoadSigner(b)
		if err != nil {
			return nil, err
		}
		r.signers = append(r.signers, s)
	}
	return r, nil
}

// Make makes a variant's package and gives its path; one that was made already is given
// again.
func (r *Releases) Make(v Variant) (string, error) {
	to := filepath.Join(r.dir, fmt.Sprintf("%s-%d-%s%s-%t-%t-%d.tocsin", v.Version, v.Above, v.Init, v.Root, v.Forged, v.Whole, len(v.Hardware)))
	if _, err := os.Stat(to); err == nil {
		return to, nil
	}
	slot, err := r.slot(v)
	if err != nil {
		return "", err
	}
	signers := r.signers
	if v.Forged {
		signers = nil
		for _, k := range []trust.Kind{trust.Ed25519, trust.SM2} {
			s, err := trust.NewSigner(k)
			if err != nil {
				return "", err
			}
			signers = append(signers, s)
		}
	}
	rel := update.Release{Version: v.Version, Number: uint64(int64(r.Header.Number) + v.Above), Hardware: r.Header.Hardware, Built: time.Unix(r.Header.Built.Unix(), 0).UTC(),
		Notes: phrase.Text{ZH: "试验台的版本 " + v.Version, EN: "the bench's release " + v.Version}}
	if v.Hardware != nil {
		rel.Hardware = v.Hardware
	}
	base := r.Slot
	if v.Whole {
		base = nil
	}
	var out bytes.Buffer
	if _, err := pack.Write(&out, rel, slot, base, signers...); err != nil {
		return "", err
	}
	tmp := to + ".new"
	if err := os.WriteFile(tmp, out.Bytes(), 0o644); err != nil {
		return "", err
	}
	return to, os.Rename(tmp, to)
}

// Try puts a variant into slot B of a board that is off, to be tried once, as an update that
// was activated does; but without its header, so that nothing but the boot loader knows of it.
func (r *Releases) Try(b *Board, v Variant) error {
	slot, err := r.slot(v)
	if err != nil {
		return err
	}
	at, size, err := b.Partition(SlotB)
	if err != nil {
		return err
	}
	if int64(len(slot)) > size {
		return errors.New("slot B is too small for it")
	}
	if err := b.Overwrite(at, slot); err != nil {
		return err
	}
	e := make([]byte, 512)
	copy(e[4:], "good=A\x00next=B\x00left=1\x00\x00")
	binary.LittleEndian.PutUint32(e, crc32.ChecksumIEEE(e[4:]))
	for _, at := range Environments {
		if err := b.Overwrite(at, e); err != nil {
			return err
		}
	}
	return nil
}

// slot gives a variant's image: the card's own with a word of its version, and with a
// broken init where it is to have one.
func (r *Releases) slot(v Variant) ([]byte, error) {
	key := v.Version + "/" + v.Init + "/" + v.Root
	if b := r.slots[key]; b != nil {
		return b, nil
	}
	img := filepath.Join(r.dir, "variant.slot")
	if err := os.WriteFile(img, r.Slot, 0o644); err != nil {
		return nil, err
	}
	defer os.Remove(img)
	word := filepath.Join(r.dir, "variant")
	if err := os.WriteFile(word, []byte(v.Version+"\n"), 0o644); err != nil {
		return nil, err
	}
	if err := mtool("mcopy", "-o", "-i", img, word, "::variant"); err != nil {
		return nil, err
	}
	if v.Init != "" {
		rd := filepath.Join(r.dir, "initrd")
		if err := mtool("mcopy", "-o", "-n", "-i", img, "::initrd", rd); err != nil {
			return nil, err
		}
		more, err := r.broken(v.Init)
		if err != nil {
			return nil, err
		}
		b, err := os.ReadFile(rd)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(rd, append(b, more...), 0o644); err != nil {
			return nil, err
		}
		if err := mtool("mcopy", "-o", "-i", img, rd, "::initrd"); err != nil {
			return nil, err
		}
	}
	if v.Root != "" {
		if err := r.breakRoot(img, v.Root); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(img)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != r.Header.Size {
		return nil, errors.New("the variant has another size")
	}
	r.slots[key] = b
	return b, nil
}

// breakRoot takes a slot's root away, or puts one in its place that has another edged alone.
func (r *Releases) breakRoot(img, how string) error {
	if how == "none" {
		return mtool("mdel", "-i", img, "::root.sqfs")
	}
	dir := filepath.Join(r.dir, "root")
	defer os.RemoveAll(dir)
	for _, d := range []string{"proc", "sys", "dev", "run", "tmp", "slot", "data", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := r.program(how, filepath.Join(dir, "usr/bin/edged")); err != nil {
		return err
	}
	fs := filepath.Join(r.dir, "root.sqfs")
	_ = os.Remove(fs)
	if err := mtool("mksquashfs", dir, fs, "-quiet", "-no-progress", "-all-root", "-noD", "-noI", "-noF"); err != nil {
		return err
	}
	return mtool("mcopy", "-o", "-i", img, fs, "::root.sqfs")
}

// program builds the program that is broken so, or that pries.
func (r *Releases) program(how, to string) error {
	from := "tocsin/images/bench/broken"
	if how == "pry" {
		from = "tocsin/images/bench/pry"
	}
	c := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.How="+how, "-o", to, from)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("the program in its place: %w: %s", err, out)
	}
	return nil
}

// broken gives an archive for the end of an initramfs, whose init takes the place of the
// one before it (Documentation/driver-api/early-userspace/buffer-format.rst: archives
// follow each other, and the last file of a name stays).
func (r *Releases) broken(how string) ([]byte, error) {
	bin := filepath.Join(r.dir, "init-"+how)
	if err := r.program(how, bin); err != nil {
		return nil, err
	}
	init, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for _, f := range []struct {
		name string
		mode int
		data []byte
	}{{"init", 0o100755, init}, {"TRAILER!!!", 0, nil}} {
		var e bytes.Buffer
		fmt.Fprintf(&e, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, f.mode, 0, 0, 1, 0, len(f.data), 0, 0, 0, 0, len(f.name)+1, 0)
		e.WriteString(f.name + "\x00")
		e.Write(make([]byte, -e.Len()&3))
		e.Write(f.data)
		e.Write(make([]byte, -e.Len()&3))
		if _, err := z.Write(e.Bytes()); err != nil {
			return nil, err
		}
	}
	err = z.Close()
	return out.Bytes(), err
}

func mtool(name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
