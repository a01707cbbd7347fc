package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/update/slots"
)

// twoSlots is a card of files: the disk with its boot environment, and two slots.
func twoSlots(t *testing.T, sealed bool) *board {
	t.Helper()
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk1")
	for name, size := range map[string]int64{"disk1": 8 << 20, "disk1p2": 4 << 20, "disk1p3": 4 << 20} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	b := &board{log: newRing(1 << 16), args: cmdline{"slot": "A", "good": "A"}, slots: slotPlaces{Disk: disk, Slot: "A"}}
	e, err := slots.Choice{Good: "A", Floor: 41}.Environment()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.environment(e); err != nil {
		t.Fatal(err)
	}
	if sealed {
		f, err := os.OpenFile(b.slots.device("B"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(slotMark, 3<<20); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func chosen(t *testing.T, b *board) slots.Choice {
	t.Helper()
	both, err := b.environment(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := slots.ParseEnvironment(both[:environmentSize], both[environmentSize:])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAReleaseThatNeverProvesItselfGivesTheBoardToTheOtherSlot(t *testing.T) {
	b := twoSlots(t, true)
	for range startsMost - 1 {
		b.startFailed("root: bad superblock")
	}
	if chosen(t, b).Good != "A" {
		t.Fatal("too soon")
	}
	b.startWorked()
	for range startsMost - 1 {
		b.startFailed("root: bad superblock")
	}
	if chosen(t, b).Good != "A" {
		t.Fatal("a start that worked is not forgotten: they are no longer in a row")
	}
	b.startFailed("root: bad superblock")
	c := chosen(t, b)
	if c.Good != "B" || c.Next != "" || c.Floor != 41 || c.Why.Code != "update.good_lost" || c.Why.Params["slot"] != "A" {
		t.Fatalf("%+v", c)
	}
}

func TestABoardWithOneReleaseOrOnTrialKeepsItsChoice(t *testing.T) {
	b := twoSlots(t, false)
	for range 2 * startsMost {
		b.startFailed("x")
	}
	if chosen(t, b).Good != "A" || !strings.Contains(b.log.text(), "slot B holds no release") {
		t.Fatal("it was given a slot in which nothing is")
	}
	b = twoSlots(t, true)
	b.args["next"] = "A"
	for range 2 * startsMost {
		b.startFailed("x")
	}
	if chosen(t, b).Good != "A" {
		t.Fatal("a trial is the boot loader's to count")
	}
}

func TestOnlyTheBootRightBeforeCountsAsOneThatPanicked(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dmesg-ramoops-0"), []byte("Kernel panic - of last year"), 0o600); err != nil {
		t.Fatal(err)
	}
	if panicked(dir) {
		t.Fatal("an old record counts at every start")
	}
	if err := os.WriteFile(filepath.Join(dir, "console-ramoops-0"), []byte("x\nKernel panic - not syncing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !panicked(dir) {
		t.Fatal("it is not seen")
	}
}
