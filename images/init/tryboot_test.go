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

func TestAutobootIsChangedInItsPlaceAloneAndBothEndsWriteTheSame(t *testing.T) {
	for _, s := range []string{"A", "B"} {
		if b, err := slots.Autoboot(s); err != nil || !bytes.Equal(b, autobootForm(s)) {
			t.Fatalf("%s: %v\n%s\n%s", s, err, b, autobootForm(s))
		}
	}
	path := filepath.Join(t.TempDir(), "p1")
	disk := bytes.Repeat([]byte("tocsin. "), 1<<17)
	copy(disk[512*700:], autobootForm("A"))
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
	copy(disk[512*700:], autobootForm("B"))
	if got, _ := os.ReadFile(path); !bytes.Equal(got, disk) {
		t.Fatal("more was changed than its sector")
	}
	if _, err := f.WriteAt(autobootForm("A"), 512*900); err != nil {
		t.Fatal(err)
	}
	if _, err := pointAutoboot(f, "A"); err != errNoAutoboot {
		t.Fatal("one of two was taken:", err)
	}
	b := &board{log: newRing(1000)}
	for _, q := range []request{{Do: "autoboot", Slot: "C"}, {Do: "autoboot", Slot: "A"}} {
		if a := b.answer(q); a.Err == "" {
			t.Error("no disk, and no error for", q.Slot)
		}
	}
}
