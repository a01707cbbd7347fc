//go:build image

package images

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/images/bench"
)

// most is how long a start may take on a busy machine; how long it takes is a figure's matter.
const most = 3 * time.Minute

// card gives a fresh board with a copy of the image that make image-test built.
func card(t *testing.T) *bench.Board {
	t.Helper()
	if why := bench.Needs(); why != "" {
		t.Fatal(why)
	}
	img := os.Getenv("TOCSIN_IMAGE")
	if img == "" {
		t.Fatal("TOCSIN_IMAGE names no image: run make image-test")
	}
	b := &bench.Board{Dir: t.TempDir()}
	b.Disk = filepath.Join(b.Dir, "card.img")
	if err := bench.CopyDisk(b.Disk, img); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Cut()
		if t.Failed() {
			t.Log(b.Console())
		}
	})
	return b
}

func boots(t *testing.T, b *bench.Board) {
	t.Helper()
	if err := b.On(); err != nil {
		t.Fatal(err)
	}
	if err := b.Says(bench.Armed, 1, most); err != nil {
		t.Fatal(err)
	}
}

func TestABoardStandsWatchAndAnswersOnItsCable(t *testing.T) {
	b := card(t)
	boots(t, b)
	t.Logf("armed after %.1f s", b.SinceOn().Seconds())
	page, err := b.Get("/", 30*time.Second)
	if err != nil || !strings.Contains(string(page), "未安装的盒子") {
		t.Fatalf("%v: %.300s", err, page)
	}
	if !strings.Contains(b.Console(), "init: data: disk") {
		t.Fatal("its data is not on its disk")
	}
}

func TestWhatIsKeptSurvivesCutsOfThePower(t *testing.T) {
	b := card(t)
	boots(t, b)
	b.Cut()
	r := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		if err := b.On(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.IntN(9000)) * time.Millisecond)
		b.Cut()
	}
	boots(t, b)
	if c := b.Console(); !strings.Contains(c, "init: data: disk") || strings.Contains(c, "stop token made") {
		t.Fatal("it began anew")
	}
}

// write overwrites a part of the card.
func write(t *testing.T, b *bench.Board, at int64, bytes []byte) {
	t.Helper()
	f, err := os.OpenFile(b.Disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes, at); err != nil {
		t.Fatal(err)
	}
}

func TestTheLossOfABootEnvironmentLeavesABoardThatBoots(t *testing.T) {
	for n, lost := range [][]int64{{2048 * 512}, {6144 * 512}, {2048 * 512, 6144 * 512}} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := card(t)
			for _, at := range lost {
				write(t, b, at, make([]byte, 512))
			}
			boots(t, b)
			if !strings.Contains(b.Console(), "tocsin: slot A") {
				t.Fatal("from where?")
			}
		})
	}
}

// part is where one of the card's partitions lies, in bytes.
func part(t *testing.T, b *bench.Board, n int) (at, size int64) {
	t.Helper()
	at, size, err := b.Partition(n)
	if err != nil {
		t.Fatal(err)
	}
	return at, size
}

func TestABrokenDataPartitionIsMadeAnewAndTheBoxStandsWatch(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for n, size := range []int{4 << 10, 1 << 20, 60 << 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := card(t)
			noise := make([]byte, size)
			for i := range noise {
				noise[i] = byte(r.Uint32())
			}
			at, _ := part(t, b, bench.DataPart)
			write(t, b, at, noise)
			boots(t, b)
			c := b.Console()
			if !strings.Contains(c, "init: data: anew") && !strings.Contains(c, "init: data: mended") {
				t.Fatal("nobody mended it")
			}
			b.Cut()
			boots(t, b)
			if !strings.Contains(b.Console(), "init: data: disk") {
				t.Fatal("it is still broken at the next start")
			}
		})
	}
}

func TestTheOtherSlotStartsWhereTheGoodOneIsBroken(t *testing.T) {
	b := card(t)
	// Nothing is in slot B yet, and A's file system is gone: the board tries for ever.
	a, _ := part(t, b, bench.SlotA)
	write(t, b, a, make([]byte, 4<<20))
	if err := b.On(); err != nil {
		t.Fatal(err)
	}
	if err := b.Says("does not start", 2, most); err != nil {
		t.Fatal(err)
	}
	b.Cut()
	copySlot(t, b)
	boots(t, b)
	if c := b.Console(); !strings.Contains(c, "tocsin: slot A does not start") || !strings.Contains(c, "tocsin: slot B") {
		t.Fatal("it did not take the other")
	}
}

// The kernel of the good slot starts and its root is no more: the boot loader has done its
// part by then, and it is init that gives the board to the other slot.
func TestABrokenRootGivesTheBoardToTheOtherSlot(t *testing.T) {
	b := card(t)
	copySlot(t, b)
	a, _ := part(t, b, bench.SlotA)
	write(t, b, a+(60<<20), make([]byte, 80<<20)) // kernel and initramfs lie before
	boots(t, b)
	if c := b.Console(); !strings.Contains(c, "starts: from now on slot B is the good one") || !strings.Contains(c, "tocsin: slot B good=B") {
		t.Fatal("it came up otherwise")
	}
}

// copySlot puts what was slot A, whole, into B.
func copySlot(t *testing.T, b *bench.Board) {
	t.Helper()
	img, err := os.Open(os.Getenv("TOCSIN_IMAGE"))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	from, size := part(t, &bench.Board{Disk: img.Name()}, bench.SlotA)
	to, _ := part(t, b, bench.SlotB)
	buf := make([]byte, 1<<20)
	for n := int64(0); n < size; n += int64(len(buf)) {
		if _, err := img.ReadAt(buf, from+n); err != nil {
			t.Fatal(err)
		}
		write(t, b, to+n, buf)
	}
}

// Each way of breaking what a board keeps once, and one burst of short power; the hundred of
// each are a figure's (image.data_partition).
func TestWhateverBecomesOfWhatItKeepsABoardStandsWatch(t *testing.T) {
	if why := bench.Needs(); why != "" {
		t.Fatal(why)
	}
	past, err := bench.NewPast(t.TempDir(), os.Getenv("TOCSIN_IMAGE"), most)
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	r := rand.New(rand.NewPCG(9, 9))
	ways := []string{"bytes", "inodes", "all zero", "full", bench.Burst}
	if os.Getenv("LONG") != "" {
		ways = append(bench.Spoils, bench.Burst)
	}
	for _, how := range ways {
		t.Run(how, func(t *testing.T) {
			took, err := past.Spoiled(t.TempDir(), how, r, most)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("armed after %.1f s", took.Seconds())
		})
	}
}

// A card of many GiB, or one that is failing, takes longer to check than anybody may wait.
func TestASlowCheckOfTheDataHoldsUpNothing(t *testing.T) {
	if why := bench.Needs(); why != "" {
		t.Fatal(why)
	}
	past, err := bench.NewPast(t.TempDir(), os.Getenv("TOCSIN_IMAGE"), most)
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	b, err := past.Board(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Cut()
		if t.Failed() {
			t.Log(b.Console())
		}
	})
	if err := b.Spoil("superblock", rand.New(rand.NewPCG(3, 3))); err != nil {
		t.Fatal(err)
	}
	says := func(word string) {
		t.Helper()
		if err := b.Says(word, 1, most); err != nil {
			t.Fatal(err)
		}
	}
	is := func() {
		t.Helper()
		if err := past.Is(b, most); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.On(); err != nil {
		t.Fatal(err)
	}
	says("mending it")
	if err := b.Slow(1); err != nil {
		t.Fatal(err)
	}
	says("mending it takes longer than")
	if err := b.Slow(0); err != nil {
		t.Fatal(err)
	}
	says(bench.Armed)
	t.Logf("armed after %.1f s", b.SinceOn().Seconds())
	if !strings.Contains(b.Console(), "are from the spare copy of") {
		t.Fatal("where does it know its site from?")
	}
	is()
	says("used from the next start on")
	says("what was obeyed in memory is on its partition")
	b.Cut()
	boots(t, b)
	if !strings.Contains(b.Console(), "init: data: disk") {
		t.Fatal("it is not used")
	}
	// The power was cut sooner than the start anew, and it knows all the same what it obeyed in memory.
	says("carried over of the journal that stood in")
	is()
}
