package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/clock"
	"tocsin/firmware/update"
	edged "tocsin/firmware/update/board"
	"tocsin/firmware/update/pack"
	"tocsin/firmware/update/slots"
)

// choose makes an environment say what starts.
func choose(t *testing.T, b *board, c slots.Choice) {
	t.Helper()
	c.Floor = 41
	e, err := c.Environment()
	if err == nil {
		_, err = b.environment(e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestASlotIsOpenedToBeReadAndTheOtherToBeWrittenWhileNothingIsTried(t *testing.T) {
	b := twoSlots(t, true)
	init := asked(t, b)
	for _, slot := range []string{"A", "B"} {
		p, err := init.Part(slot, false)
		if err != nil || p.Size() != 4<<20 {
			t.Fatal(slot, p.Size(), err)
		}
		if _, err := p.WriteAt([]byte("x"), 0); err == nil {
			t.Errorf("slot %s was opened to be read, and is written", slot)
		}
		p.Close()
	}
	err := init.Into("B", func(p slots.Partition) error {
		_, err := p.WriteAt([]byte("release"), 1<<20)
		return errors.Join(err, p.Sync())
	})
	if got, _ := os.ReadFile(b.slots.device("B")); err != nil || string(got[1<<20:][:7]) != "release" {
		t.Fatalf("%q %v", got[1<<20:][:7], err)
	}
	for _, slot := range []string{"", "C", "a", "1", "../disk1", b.slots.Disk, b.slots.device("B")} {
		for _, write := range []bool{false, true} {
			if p, err := init.Part(slot, write); err == nil {
				p.Close()
				t.Errorf("%q, write %v: opened", slot, write)
			}
		}
	}
	written := func(slot string) bool {
		p, err := init.Part(slot, true)
		if err == nil {
			p.Close()
		}
		return err == nil
	}
	if written("A") {
		t.Error("what runs is written")
	}
	trial := slots.Choice{Good: "A", Next: "B", Left: 3, Within: time.Minute}
	choose(t, b, trial)
	if written("B") {
		t.Error("what is to be tried is written")
	}
	b = &board{log: b.log, slots: b.slots, firmware: b.firmware} // its boot
	b.slots.Slot = "B"
	init = asked(t, b)
	for _, slot := range []string{"A", "B"} {
		if written(slot) {
			t.Errorf("slot %s is written in B's trial", slot)
		}
		if p, err := init.Part(slot, false); err != nil {
			t.Errorf("slot %s is not read in B's trial: %v", slot, err)
		} else {
			p.Close()
		}
	}
	choose(t, b, slots.Choice{Good: "B"}) // it stays
	if !written("A") || written("B") {
		t.Error("confirmed, and A is not the other slot")
	}
	f, err := os.OpenFile(b.slots.Disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range environmentAt {
		if _, err := f.WriteAt(make([]byte, environmentSize), at); err != nil {
			t.Fatal(err)
		}
	}
	if written("A") {
		t.Error("nobody knows what is tried, and a slot is written")
	}
	if p, err := asked(t, &board{log: b.log}).Part("A", false); err == nil {
		p.Close()
		t.Error("a board without slots has one")
	}
}

// A firmware that takes a trial back leaves the word of it in the environment.
func TestATrialThatTheFirmwareEndedForbidsNothing(t *testing.T) {
	b := twoSlots(t, true)
	choose(t, b, slots.Choice{Good: "A", Next: "B", Left: 3})
	for _, c := range []struct {
		firmware, asked, ok bool
	}{{true, false, true}, {true, true, false}, {false, false, false}} {
		b.firmware = c.firmware
		b.trialAsked.Store(c.asked)
		f, err := b.openSlot("B", true)
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
		if f != nil {
			f.Close()
		}
	}
	b.firmware = true
	choose(t, b, slots.Choice{Good: "A"})
	choose(t, b, slots.Choice{Good: "A", Next: "B", Left: 3})
	if _, err := b.openSlot("B", true); err == nil {
		t.Error("what this boot said is to be tried is written")
	}
}

func TestAReleaseGoesInByDescriptorsAlone(t *testing.T) {
	b := twoSlots(t, false)
	r := newReleaser(t)
	put(t, b, "A", update.Release{Version: "1.1", Number: 41, Hardware: []string{"pi4"}}, r.ed, r.sm)
	init := asked(t, b)
	open := func() *slots.Installer {
		t.Helper()
		parts := map[string]slots.Slot{}
		for _, slot := range []string{"A", "B"} {
			p, err := init.Part(slot, false)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			parts[slot] = p
		}
		i, err := slots.Open(slots.Opts{Selector: init, Slots: parts, Running: b.slots.Slot, Hardware: "pi4", Rule: r.believed(t, "pi4").rule,
			Write: func(use func(slots.Partition) error) error { return init.Into("B", use) },
			Now:   func() clock.Stamp { return clock.Stamp{} }, Reboot: func(string) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	image := bytes.Repeat([]byte("the next release; "), 150000)
	var w bytes.Buffer
	if _, err := pack.Write(&w, update.Release{Version: "1.2", Number: 43, Hardware: []string{"pi4"}}, image, nil, r.ed, r.sm); err != nil {
		t.Fatal(err)
	}
	i := open()
	ctx, cut := context.WithCancel(t.Context())
	cut()
	if _, err := i.Fetch(ctx, bytes.NewReader(w.Bytes())); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	i = open() // the board's next start
	if _, err := i.Fetch(t.Context(), bytes.NewReader(w.Bytes())); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(b.slots.device("B")); err != nil || !bytes.Equal(got[:len(image)], image) {
		t.Fatal("it is not on the card", err)
	}
	if err := i.Activate(time.Minute); err != nil {
		t.Fatal(err)
	}
	b.slots.Slot = "B"
	if i = open(); i.State().Phase != update.Trial || i.State().Before.Number != 41 {
		t.Fatalf("%+v", i.State())
	}
	if err := i.Confirm(); err != nil {
		t.Fatal(err)
	}
	if p, err := init.Part("A", true); err != nil {
		t.Error(err)
	} else {
		p.Close()
	}
}

// asksAsChild names the socket that this test's program asks when it is started as a child.
const asksAsChild = "TOCSIN_TEST_ASKS"

func TestMain(m *testing.M) {
	if socket := os.Getenv(asksAsChild); socket != "" {
		for _, write := range []bool{false, true} {
			if _, err := (edged.Init{Socket: socket}).Part("B", write); err == nil {
				fmt.Println("it was given slot B")
			}
		}
		all, _ := os.ReadDir("/proc/self/fd")
		for _, e := range all {
			to, _ := os.Readlink("/proc/self/fd/" + e.Name())
			fmt.Println(to)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestNoChildOfEdgedsGetsASlot(t *testing.T) {
	b := twoSlots(t, true)
	b.box = newSupervisor(b)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go b.answerAll(t.Context(), l)
	init := edged.Init{Socket: path}
	if _, err := init.Part("B", false); err == nil {
		t.Fatal("there is no edged yet, and somebody is given its slots")
	}
	b.box.mu.Lock() // this process is edged
	b.box.cmd, b.box.done = &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}, make(chan struct{})
	b.box.mu.Unlock()
	read, err := init.Part("B", false)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	write, err := init.Part("B", true)
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	for _, p := range []edged.Part{read, write} {
		if flags, err := unix.FcntlInt(p.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("flags %x, %v", flags, err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), asksAsChild+"="+path)
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "pipe:") {
		t.Fatalf("%s %v", out, err)
	}
	if strings.Contains(string(out), "given slot") || strings.Contains(string(out), b.slots.Disk) {
		t.Fatalf("a child has a slot: %s", out)
	}
	if said := b.log.text(); !strings.Contains(said, fmt.Sprintf("process %d asks, and is not edged", c.Process.Pid)) {
		t.Error("nobody is told:", said)
	}
	close(b.box.done)
	if _, err := init.Part("B", false); err == nil {
		t.Fatal("edged has ended, and its number is given its slots")
	}
}

func TestTheBoardsOwnDiskIsRootsAlone(t *testing.T) {
	onUSB := func(string) bool { return true }
	for _, c := range []struct {
		disk, name string
		group      int
		mode       fs.FileMode
	}{
		{"/dev/mmcblk0", "mmcblk0", 0, 0o600},
		{"/dev/mmcblk0", "mmcblk0p1", 0, 0o600},
		{"/dev/mmcblk0", "mmcblk0p2", 0, 0o600},
		{"/dev/mmcblk0", "mmcblk0p3", 0, 0o600},
		{"/dev/mmcblk0", "mmcblk0p4", 0, 0o600},
		{"/dev/mmcblk0", "mmcblk0boot0", 0, 0o600},
		{"/dev/vda", "vda3", 0, 0o600},
		{"/dev/sda", "sda", 0, 0o600}, // a board that starts from a disk on USB
		{"/dev/sda", "sda2", 0, 0o600},
		{"/dev/sda", "sdb1", boxUser, 0o640},
		{"/dev/mmcblk0", "sda1", boxUser, 0o640},
		{"/dev/mmcblk0", "input/event0", boxUser, 0o640},
		{"/dev/mmcblk0", "ttyUSB0", boxUser, 0o660},
		{"/dev/mmcblk0", "snd/pcmC0D0p", boxUser, 0o660},
		{"/dev/mmcblk0", "mmcblk1p1", 0, 0},
		{"/dev/mmcblk0", "loop0", 0, 0},
		{"/dev/mmcblk0", "mem", 0, 0},
		{"", "vda2", 0, 0},
	} {
		for _, slot := range []string{"A", "B"} {
			if group, mode := (slotPlaces{Disk: c.disk, Slot: slot}).rights(c.name, onUSB); group != c.group || mode != c.mode {
				t.Errorf("%s of a board on %s, slot %s: group %d, mode %o", c.name, c.disk, slot, group, mode)
			}
		}
	}
	if group, mode := (slotPlaces{Disk: "/dev/mmcblk0"}).rights("sda1", func(string) bool { return false }); group != 0 || mode != 0 {
		t.Errorf("a disk that is no stick: %d %o", group, mode)
	}
}
