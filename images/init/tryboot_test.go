package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tocsin/firmware/update/slots"
)

func TestTheFirmwaresWordIsTakenWhereNoBootLoaderSpoke(t *testing.T) {
	tree := t.TempDir()
	write := func(name string, n byte) {
		if err := os.WriteFile(filepath.Join(tree, name), []byte{0, 0, 0, n}, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("partition", 3)
	write("tryboot", 1)
	c := cmdline{}
	if !c.fromFirmware(tree) || c["slot"] != "B" || c["next"] != "B" {
		t.Fatal(c)
	}
	write("tryboot", 0)
	if c = (cmdline{}); !c.fromFirmware(tree) || c["slot"] != "B" || c["next"] != "" {
		t.Fatal(c)
	}
	write("partition", 1)
	if c = (cmdline{}); c.fromFirmware(tree) || c["slot"] != "" {
		t.Fatal(c)
	}
	if c = (cmdline{"slot": "A"}); c.fromFirmware(tree) || c["next"] != "" {
		t.Fatal("the boot loader's word was replaced:", c)
	}
	if (cmdline{}).fromFirmware(filepath.Join(tree, "none")) {
		t.Fatal("a board without it is taken for one")
	}
}

func TestAutobootIsChangedInItsPlaceAlone(t *testing.T) {
	form := func(slot string) []byte {
		b, err := slots.Autoboot(slot)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	path := filepath.Join(t.TempDir(), "p1")
	disk := bytes.Repeat([]byte("tocsin. "), 1<<17)
	copy(disk[512*700:], form("A"))
	if err := os.WriteFile(path, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s, err := pointAutoboot(f, ""); err != nil || s != "A" {
		t.Fatal(s, err)
	}
	if s, err := pointAutoboot(f, "B"); err != nil || s != "B" {
		t.Fatal(s, err)
	}
	copy(disk[512*700:], form("B"))
	if got, _ := os.ReadFile(path); !bytes.Equal(got, disk) {
		t.Fatal("more was changed than its sector")
	}
	if _, err := f.WriteAt(form("A"), 512*900); err != nil {
		t.Fatal(err)
	}
	if _, err := pointAutoboot(f, "A"); err != errNoAutoboot {
		t.Fatal("one of two was taken:", err)
	}
	// What lies on no sector's bound, or is not whole, is not ours.
	copy(disk[512*700:], bytes.Repeat([]byte("x"), 512))
	copy(disk[512*800+1:], form("A"))
	copy(disk[len(disk)-511:], form("A"))
	if _, _, err := findAutoboot(bytes.NewReader(disk)); err != errNoAutoboot {
		t.Fatal("taken for ours:", err)
	}
	b := &board{log: newRing(1000)}
	for _, q := range []request{{Do: "autoboot", Slot: "C"}, {Do: "autoboot", Slot: "A"}} {
		if a := b.answer(q); a.Err == "" {
			t.Error("no disk, and no error for", q.Slot)
		}
	}
}
