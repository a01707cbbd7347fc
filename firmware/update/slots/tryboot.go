package slots

import (
	"bytes"
	"errors"
	"fmt"

	"tocsin/firmware/phrase"
)

// Pointer is which slot the board's firmware starts by itself.
type Pointer interface {
	Slot() (string, error)
	// Point changes it. After a cut it is the old or the new.
	Point(slot string) error
}

// Tryboot is a selector of a board whose firmware starts a slot by autoboot.txt, and another
// once where it is asked to at a restart ("0 tryboot"): a Raspberry Pi 5. That file can say no
// more than which, so the rest is kept where a U-Boot environment would be, outside every file
// system.
//
// The firmware is told first, what is kept comes after: a cut between the two leaves a release
// that proved itself and is asked to once more, never one that is kept as good and does not
// start. A trial has one start; who comes back from it without having been told to was taken
// back by the firmware.
//
// Source: Raspberry Pi documentation, "config.txt: autoboot.txt" and "The boot_partition
// filter, tryboot_a_b".
type Tryboot struct {
	Kept    Selector
	Pointer Pointer
	Running string
}

// Read gives the choice as it is after this start. It is asked once, by Open.
func (t Tryboot) Read() (Choice, error) {
	c, err := t.Kept.Read()
	if err != nil {
		slot, perr := t.Pointer.Slot()
		if perr != nil {
			return Choice{}, errors.Join(err, perr)
		}
		return Choice{Good: slot, Why: phrase.M("update.kept_lost")}, nil
	}
	if c.Next != "" && t.Running == c.Good {
		c.Next, c.Left, c.Within = "", 0, 0
		if c.Why.IsZero() {
			c.Why = phrase.M("update.tried_once")
		}
	}
	return c, nil
}

// Write keeps a choice.
func (t Tryboot) Write(c Choice) error {
	if _, err := c.Environment(); err != nil {
		return err
	}
	if slot, err := t.Pointer.Slot(); err != nil || slot != c.Good {
		if err := t.Pointer.Point(c.Good); err != nil {
			return err
		}
	}
	return t.Kept.Write(c)
}

var _ Selector = Tryboot{}

// AutobootSize is the size of autoboot.txt: a sector, which a card writes whole.
const AutobootSize = 512

// Autoboot is autoboot.txt where a slot is good: always of one size, and the same but for two
// digits, so that a change is one sector's and touches no table of the file system. The board's
// init finds that sector and changes it (images/init, tryboot.go).
func Autoboot(good string) ([]byte, error) {
	own, other, ok := "2", "3", good == "A"
	if good == "B" {
		own, other, ok = other, own, true
	}
	if !ok {
		return nil, fmt.Errorf("%q is no slot", good)
	}
	text := "# Which slot starts. This file is 512 bytes long and changed in its place.\n" +
		"[all]\ntryboot_a_b=1\nboot_partition=" + own + "\n[tryboot]\nboot_partition=" + other + "\n"
	return append([]byte(text), bytes.Repeat([]byte("#\n"), AutobootSize)...)[:AutobootSize], nil
}
