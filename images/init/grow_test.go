package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// table is the first sector of a board's card, as the builder makes it: sizes in MiB.
func table(id uint32, parts ...[3]uint32) []byte {
	b := bytes.Repeat([]byte{0xc3}, sector) // what a boot loader may have there
	binary.LittleEndian.PutUint32(b[440:], id)
	clear(b[446:510])
	for n, p := range parts {
		e := b[446+16*n:]
		e[4] = byte(p[2])
		binary.LittleEndian.PutUint32(e[8:], p[0]*2048)
		binary.LittleEndian.PutUint32(e[12:], p[1]*2048)
	}
	b[510], b[511] = 0x55, 0xaa
	return b
}

var made = [][3]uint32{{4, 24, 0xc}, {28, 256, 0xc}, {284, 256, 0xc}, {540, 64, 0x83}}

func TestTheLastPartitionGrowsToTheCardsEndAndNothingElseChanges(t *testing.T) {
	b := table(diskID, made...)
	old := bytes.Clone(b)
	changed, err := growTable(b, 8<<30/sector+7)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if got := binary.LittleEndian.Uint32(b[446+48+12:]); got != (8<<10-540)*2048 {
		t.Fatalf("%d sectors", got)
	}
	copy(b[446+48+12:446+48+16], old[446+48+12:])
	if !bytes.Equal(b, old) {
		t.Fatal("more changed than the last length")
	}
}

func TestATableThatIsNotTheBoardsStaysAsItIs(t *testing.T) {
	gap := [][3]uint32{made[0], made[2], made[1], made[3]}
	for name, c := range map[string]struct {
		table   []byte
		sectors uint64
		fails   bool
	}{
		"another system's":         {table(7, made...), 1 << 30, true},
		"three partitions":         {table(diskID, made[:3]...), 1 << 30, true},
		"out of order":             {table(diskID, gap...), 1 << 30, true},
		"no Linux's at the end":    {table(diskID, made[0], made[1], made[2], [3]uint32{540, 64, 0xc}), 1 << 30, true},
		"a disk that is too short": {table(diskID, made...), 500 * 2048, true},
		"no signature":             {make([]byte, sector), 1 << 30, true},
		"half a sector":            {table(diskID, made...)[:256], 1 << 30, true},
		"as large as the card":     {table(diskID, made...), 604 * 2048, false},
		"a few sectors more":       {table(diskID, made...), 604*2048 + 2049, false},
	} {
		old := bytes.Clone(c.table)
		changed, err := growTable(c.table, c.sectors)
		if changed || (err != nil) != c.fails || !bytes.Equal(old, c.table) {
			t.Errorf("%s: changed %v, %v", name, changed, err)
		}
	}
}

func TestMoreThanATableCanSayIsCutOff(t *testing.T) {
	b := table(diskID, made...)
	if changed, err := growTable(b, 1<<40); err != nil || !changed {
		t.Fatal(changed, err)
	}
	start, size := uint64(binary.LittleEndian.Uint32(b[446+48+8:])), uint64(binary.LittleEndian.Uint32(b[446+48+12:]))
	if size < 1<<31 || (start+size)%growAlign != 0 {
		t.Fatalf("%d sectors", size)
	}
}

func TestADisksTableIsGrownOnceAndReadsAsItWasWritten(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(disk, append(table(diskID, made...), bytes.Repeat([]byte{0x5a}, 4096)...), 0o644))
	must(t, os.Truncate(disk, 2<<30))
	for n := range 2 {
		size, err := growDisk(disk, 2<<30/sector)
		if err != nil || size != (2048-540)*2048 {
			t.Fatalf("time %d: %d sectors, %v", n+1, size, err)
		}
	}
	f, err := os.Open(disk)
	must(t, err)
	defer f.Close()
	b := make([]byte, sector+4096)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	if i := bytes.IndexFunc(b[sector:sector+4096], func(r rune) bool { return r != 0x5a }); i >= 0 {
		t.Fatalf("a byte beside the table changed, at %d", i)
	}
	if sfdisk, err := exec.LookPath("sfdisk"); err == nil { // the tool that made it agrees
		out, err := exec.Command(sfdisk, "-d", disk).CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("start=     1105920, size=     3088384, type=83")) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}
