package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/trust"
	"tocsin/firmware/update/pack"
	"tocsin/firmware/update/slots"
)

// A confirmed release whose kernel starts and whose rest does not would start for ever: the
// boot loader has done its part by then. So starts that came to nothing are counted, in a
// sector of the card that no partition has, and after startsMost of them in a row the other
// slot's release is the good one, where there is one. A cut of the power is no such start.
const (
	startsAt   = 4096 * 512
	startsMost = 3
)

// judgeMost is how long the other slot may take to be read whole.
const judgeMost = time.Minute

// believes is what this board's image says of releases: whose they are, and for which boards.
// It stands in the initramfs, since a root that is broken is why anybody asks.
type believes struct {
	rule   pack.Rule
	boards []string
}

// readBelieves reads it from a folder. A signature is needed of each kind of key that is there.
func readBelieves(dir string) (v believes) {
	v.rule.Keys = pack.Keys(filepath.Join(dir, "keys"))
	for _, k := range v.rule.Keys {
		if kind := trust.KindOf(k); !slices.Contains(v.rule.Need, kind) {
			v.rule.Need = append(v.rule.Need, kind)
		}
	}
	t, _ := os.ReadFile(filepath.Join(dir, "boards"))
	v.boards = strings.Fields(string(t))
	return v
}

// otherSlot is the partition of the slot that does not run, which is only read.
type otherSlot struct {
	*os.File
	size int64
}

func (s otherSlot) Size() int64 { return s.size }

// failed is what the sector says.
type failed struct {
	Slot  string `json:"slot"`
	Count int    `json:"count"`
	// Reset: the box was reset while its partition could not be used, and what lies there is
	// to be set aside as soon as it can.
	Reset bool `json:"reset,omitempty"`
}

func readFailed(r io.ReaderAt) (f failed) {
	var s [512]byte
	if _, err := r.ReadAt(s[:], startsAt); err != nil {
		return f
	}
	text, sum := s[4:], binary.LittleEndian.Uint32(s[:])
	if crc32.ChecksumIEEE(text) != sum {
		return failed{}
	}
	if json.Unmarshal(bytes.TrimRight(text, "\x00"), &f) != nil || f.Count < 0 {
		return failed{}
	}
	return f
}

func writeFailed(w io.WriterAt, f failed) error {
	t, err := json.Marshal(f)
	if err != nil {
		return err
	}
	var s [512]byte
	copy(s[4:], t)
	binary.LittleEndian.PutUint32(s[:], crc32.ChecksumIEEE(s[4:]))
	_, err = w.WriteAt(s[:], startsAt)
	return err
}

// startFailed counts a start that came to nothing, and gives the board to the other slot
// when it was one too many, which it tells. A trial is the boot loader's to count.
func (b *board) startFailed(why string) (given bool) {
	b.say("this start came to nothing: %s", why)
	if b.slots.Disk == "" || b.onTrial() {
		return false
	}
	f, err := os.OpenFile(b.slots.Disk, os.O_RDWR, 0)
	if err != nil {
		b.say("starts: %v", err)
		return false
	}
	defer f.Close()
	n := readFailed(f)
	if n.Slot != b.slots.Slot {
		n = failed{Slot: b.slots.Slot, Reset: n.Reset}
	}
	n.Count++
	if n.Count >= startsMost {
		if err := b.takeOther(); err != nil {
			b.say("starts: %d in a row came to nothing, and the other slot is no way out: %v", n.Count, err)
		} else {
			n, given = failed{Reset: n.Reset}, true
		}
	}
	b.attempt("starts", func() error { return errors.Join(writeFailed(f, n), f.Sync()) })
	return given
}

// startWorked forgets the starts that came to nothing: edged has proved itself.
func (b *board) startWorked() {
	if b.slots.Disk == "" {
		return
	}
	b.attempt("starts", func() error {
		f, err := os.OpenFile(b.slots.Disk, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		n := readFailed(f)
		if n.Count == 0 {
			return nil
		}
		return errors.Join(writeFailed(f, failed{Reset: n.Reset}), f.Sync())
	})
}

// markReset keeps that the box on the data partition is to be set aside (on), or that it was.
func markReset(disk string, on bool) error {
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	n := readFailed(f)
	if n.Reset == on {
		return nil
	}
	n.Reset = on
	return errors.Join(writeFailed(f, n), f.Sync())
}

// resetLate sets aside the box that a reset did not reach, since its partition could not be used.
func (b *board) resetLate(box string) error {
	f, err := os.Open(b.slots.Disk)
	if err != nil {
		return err
	}
	n := readFailed(f)
	f.Close()
	if !n.Reset {
		return nil
	}
	if err := setBoxAside(box); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b.say("reset: the box that was reset while its partition could not be used is set aside")
	return markReset(b.slots.Disk, false)
}

// takeOther makes the other slot's release the good one, if it is genuine, whole and not the
// one that went back.
func (b *board) takeOther() error {
	other := "B"
	if b.slots.Slot == "B" {
		other = "A"
	}
	p, err := os.Open(b.slots.device(other))
	if err != nil {
		return err
	}
	defer p.Close()
	end, err := p.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	both, err := b.environment(nil)
	if err != nil {
		return err
	}
	c, err := slots.ParseEnvironment(both[:environmentSize], both[environmentSize:])
	if err != nil {
		return err
	}
	until := time.Now().Add(judgeMost)
	err = slots.Spare(otherSlot{p, end}, b.believes.rule, b.believes.boards, c, func() error {
		if time.Now().After(until) {
			return fmt.Errorf("it was not read within %s", judgeMost)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("slot %s: %w", other, err)
	}
	e, err := withGood(both, other, b.slots.Slot)
	if err != nil {
		return err
	}
	if _, err := b.environment(e); err != nil {
		return err
	}
	b.say("starts: from now on slot %s is the good one", other)
	return nil
}

// withGood gives the boot environment that both copies stand for with another good slot, and
// with the reason that edged tells (update.good_lost).
func withGood(both []byte, good, lost string) ([]byte, error) {
	for at := 0; at+environmentSize <= len(both); at += environmentSize {
		c := both[at : at+environmentSize]
		if crc32.ChecksumIEEE(c[4:]) != binary.LittleEndian.Uint32(c) {
			continue
		}
		out := []string{"good=" + good, "left=0", fmt.Sprintf(`why={"code":"update.good_lost","params":{"slot":%q}}`, lost)}
		for kv := range strings.SplitSeq(string(c[4:]), "\x00") {
			if kv == "" {
				break
			}
			switch k, _, _ := strings.Cut(kv, "="); k {
			case "good", "next", "left", "why", "within":
			default:
				out = append(out, kv)
			}
		}
		text := strings.Join(out, "\x00") + "\x00\x00"
		e := make([]byte, environmentSize)
		if len(text) > len(e)-4 {
			return nil, errors.New("the boot environment has no room for it")
		}
		copy(e[4:], text)
		binary.LittleEndian.PutUint32(e, crc32.ChecksumIEEE(e[4:]))
		return e, nil
	}
	return nil, errors.New("neither copy of the boot environment is whole")
}
