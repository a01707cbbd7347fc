package bench

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Spoils are the ways in which a data partition is broken while the power is off.
var Spoils = []string{"bytes", "superblock", "groups", "inodes", "journal", "half gone", "all zero", "all noise", "full"}

// Burst is power that comes and goes, many times and not for long.
const Burst = "burst of short power"

// Past is a card that has been a box's for a while: its site with rules, its keys, what it
// wrote of them a second time; and the lines that its instruments hang on.
type Past struct {
	pole *Pole
	card string
}

// Spare is what init says when the spare copy of the box is on the card.
const Spare = "init: data: the spare copy has "

// NewPast sets a card of an image up, and runs it until the box is on it twice.
func NewPast(dir, image string, most time.Duration) (*Past, error) {
	p, err := NewPole(dir, image)
	if err != nil {
		return nil, err
	}
	a := &Past{pole: p, card: filepath.Join(dir, "past.img")}
	if err = p.On(); err == nil {
		err = p.Says(Armed, 1, most)
	}
	if err == nil {
		err = p.Says(Spare, 1, most)
	}
	p.Cut()
	if err == nil {
		err = os.Rename(p.Disk, a.card)
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Close takes its lines away.
func (a *Past) Close() { a.pole.Close() }

// Spoiled breaks what a copy of the card keeps in one of the ways, starts it in dir, and gives how long it took to arm.
// A box that stands watch over nothing is not armed: it must be the one that it was.
func (a *Past) Spoiled(dir, how string, r *rand.Rand, most time.Duration) (time.Duration, error) {
	b, err := a.Board(dir)
	if err != nil {
		return 0, err
	}
	defer b.Cut()
	if how == Burst {
		for range 2 + r.IntN(5) {
			if err := b.On(); err != nil {
				return 0, err
			}
			time.Sleep(time.Duration(500+r.IntN(9500)) * time.Millisecond)
			b.Cut()
		}
	} else {
		if err := b.Put(map[string][]byte{"/tocsin/data/older": []byte(strings.Repeat("what a box keeps\n", 4096))}); err != nil {
			return 0, err
		}
		for n := 0; how == "full"; n++ {
			if b.Put(map[string][]byte{fmt.Sprintf("/tocsin/data/film-%d", n): bytes.Repeat([]byte("film"), 1<<20)}) != nil || n > 100 {
				break // it is
			}
		}
		if err := b.Spoil(how, r); err != nil {
			return 0, err
		}
	}
	if err := b.On(); err != nil {
		return 0, err
	}
	if err := b.Says(Armed, 1, most); err != nil {
		return 0, err
	}
	took := b.SinceOn()
	if !strings.Contains(b.Console(), "init: data: ") {
		return 0, errors.New("nobody said what became of what is kept")
	}
	return took, a.Is(b, most)
}

// Board gives a board with a copy of the card, switched off.
func (a *Past) Board(dir string) (*Board, error) {
	b := &Board{Dir: dir, Disk: filepath.Join(dir, "card.img"), Lines: a.pole.Lines, Wire: a.pole.Wire}
	return b, CopyDisk(b.Disk, a.card)
}

// Is tells whether a board that stands watch is the box that it was.
func (a *Past) Is(b *Board, most time.Duration) error {
	page, err := b.Get("/", most)
	if err == nil && !strings.Contains(string(page), poleName) {
		err = fmt.Errorf("it stands watch as another box: %.300s", page)
	}
	return err
}

// Spoil breaks the data partition of a card. Where things lie is ext4's own layout for
// blocks of 4 KiB (Documentation/filesystems/ext4): the superblock at byte 1024, group
// descriptors from the second block, then bitmaps and tables of inodes.
func (b *Board) Spoil(how string, r *rand.Rand) error {
	at, size, err := b.Partition(DataPart)
	if err != nil {
		return err
	}
	noise := func(off, n int64) error {
		t := make([]byte, n)
		for i := range t {
			t[i] = byte(r.Uint32())
		}
		return b.Overwrite(at+off, t)
	}
	switch how {
	case "bytes":
		for range 200 {
			if err := noise(r.Int64N(size-16), 1+r.Int64N(16)); err != nil {
				return err
			}
		}
		return nil
	case "superblock":
		return noise(1024+r.Int64N(200), 64)
	case "groups":
		return noise(4096, 4096)
	case "inodes":
		return noise(64<<10+r.Int64N(1<<20), 256<<10)
	case "journal":
		return noise(size/2, 4<<20)
	case "half gone":
		return b.Overwrite(at+size/2, make([]byte, size-size/2))
	case "all zero":
		return b.Overwrite(at, make([]byte, size))
	case "all noise":
		return noise(0, size)
	case "full":
		return nil // it was furnished so
	}
	return fmt.Errorf("nothing is broken by %q", how)
}
