package main

import (
	"errors"
	"fmt"
	"os"

	"tocsin/firmware/update/slots"
)

// openSlot opens a slot for edged, which gets the descriptor and has no way to the device:
// to read, either slot; to write, the one that does not run, and not while a trial is under
// way, to which it is the way back or what was proved.
func (b *board) openSlot(slot string, write bool) (*os.File, error) {
	if slot != "A" && slot != "B" {
		return nil, errors.New("a slot is A or B")
	}
	if b.slots.Disk == "" {
		return nil, errors.New("this board was not started from slots")
	}
	if !write {
		return os.Open(b.slots.device(slot))
	}
	if slot == b.slots.Slot {
		return nil, fmt.Errorf("slot %s is what runs, and is not written", slot)
	}
	if err := b.noTrial(); err != nil {
		return nil, fmt.Errorf("slot %s is not written now: %w", slot, err)
	}
	return os.OpenFile(b.slots.device(slot), os.O_RDWR, 0)
}

// noTrial tells whether no release is tried in this boot or will be in the next. Where a
// board's firmware ends a trial it writes so nowhere: what the environment says of the next
// is true as long as it was said in this boot.
func (b *board) noTrial() error {
	both, err := b.environment(nil)
	if err != nil {
		return err
	}
	c, err := slots.ParseEnvironment(both[:environmentSize], both[environmentSize:])
	switch {
	case err != nil:
		return err
	case c.Good != b.slots.Slot:
		return fmt.Errorf("slot %s runs, and the good one is %s", b.slots.Slot, c.Good)
	case c.Next != "" && (!b.firmware || b.trialAsked.Load()):
		return fmt.Errorf("slot %s is to be tried", c.Next)
	}
	return nil
}
