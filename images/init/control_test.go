package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
	"tocsin/firmware/update/slots"
)

func TestOnlyTheEdgedThatRunsIsAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	must(t, err)
	defer l.Close()
	c, err := net.Dial("unix", path)
	must(t, err)
	defer c.Close()
	a, err := l.Accept()
	must(t, err)
	defer a.Close()
	pid := callerOf(a)
	if pid != os.Getpid() {
		t.Fatal(pid)
	}
	s := &supervisor{}
	if s.is(pid) || s.is(0) {
		t.Fatal("answered before there is an edged")
	}
	s.cmd, s.done = &exec.Cmd{Process: &os.Process{Pid: pid}}, make(chan struct{})
	if !s.is(pid) || s.is(pid+1) {
		t.Fatal("not edged, or another")
	}
	close(s.done)
	if s.is(pid) {
		t.Fatal("one that has ended")
	}
}

// environmentOf writes an environment.
func environmentOf(kv ...string) []byte {
	e := make([]byte, environmentSize)
	copy(e[4:], strings.Join(kv, "\x00"))
	binary.LittleEndian.PutUint32(e, crc32.ChecksumIEEE(e[4:]))
	return e
}

func TestAnEnvironmentIsHeldToWhatABootLoaderMayBeTold(t *testing.T) {
	broken := make([]byte, environmentSize)
	now := append(environmentOf("good=A", "floor=7"), environmentOf("good=A", "floor=9")...)
	for _, c := range []struct {
		e  []byte
		ok bool
	}{
		{environmentOf("good=B", "floor=7"), true},
		{environmentOf("good=A", "next=B", "left=3", "floor=8", "bad=8", "within=600", `why={"code":"x"}`), true},
		{environmentOf("good=A", "floor=7", "why=tries"), true},
		{environmentOf("good=A", "floor=6"), false},
		{environmentOf("good=A"), false},
		{environmentOf("good=C", "floor=7"), false},
		{environmentOf("floor=7"), false},
		{environmentOf("good=A", "next=A; reset", "floor=7"), false},
		{environmentOf("good=A", "left=x", "floor=7"), false},
		{environmentOf("good=A", "floor=-1"), false},
		{environmentOf("good=A", "floor=7", "bootcmd=reset"), false},
		{environmentOf("good=A", "good=B", "floor=7"), false},
		{environmentOf("good=A", "floor=7", "word"), false},
		{broken, false},
		{now, false},
		{nil, false},
	} {
		if err := fitsEnvironment(c.e, now); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.e, err)
		}
	}
	// The first that is whole is what is there; and where none is, any floor is.
	if err := fitsEnvironment(environmentOf("good=A", "floor=8"), append(broken, environmentOf("good=A", "floor=9")...)); err == nil {
		t.Error("the second copy does not count")
	}
	if err := fitsEnvironment(environmentOf("good=A"), append(broken, broken...)); err != nil {
		t.Error(err)
	}
	// What edged writes passes.
	for _, c := range []slots.Choice{{Good: "A", Floor: 7}, {Good: "A", Next: "B", Left: 3, Within: time.Hour, Floor: 7, Bad: 8}, {Good: "B", Floor: 12, Why: phrase.M("update.unconfirmed")}, {Good: "B", Floor: 12, ByTries: true}} {
		e, err := c.Environment()
		must(t, err)
		if err := fitsEnvironment(e, now); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzEnvironment(f *testing.F) {
	f.Add(environmentOf("good=A", "next=B", "left=2", "floor=7"))
	f.Add(make([]byte, environmentSize))
	f.Fuzz(func(t *testing.T, e []byte) {
		if len(e) >= 4 {
			binary.LittleEndian.PutUint32(e, crc32.ChecksumIEEE(e[4:]))
		}
		if fitsEnvironment(e, nil) == nil {
			if c, err := slots.ParseEnvironment(e); err != nil || c.Good != "A" && c.Good != "B" {
				t.Fatalf("%q passes, and edged reads %+v, %v", e, c, err)
			}
		}
	})
}

func TestAResetKeepsWhatWasThereBesidesThoseOfBefore(t *testing.T) {
	box := filepath.Join(t.TempDir(), "tocsin")
	kept := func() (all []string) {
		for n := range 20 {
			if b, err := os.ReadFile(filepath.Join(filepath.Dir(box), fmt.Sprint("before-reset-", n), "n")); err == nil {
				all = append(all, fmt.Sprint(n, "=", string(b)))
			}
		}
		return all
	}
	for n := 1; n <= 7; n++ {
		must(t, os.Mkdir(box, 0o755))
		must(t, os.WriteFile(filepath.Join(box, "n"), []byte(fmt.Sprint(n)), 0o600))
		must(t, setBoxAside(box))
		if n == 2 && fmt.Sprint(kept()) != "[1=1 2=2]" {
			t.Fatal(kept())
		}
	}
	if fmt.Sprint(kept()) != "[3=3 4=4 5=5 6=6 7=7]" {
		t.Fatal(kept())
	}
	// What the box once kept in memory is not the next one's.
	memory := filepath.Join(filepath.Dir(box), asideMemory)
	must(t, os.Mkdir(box, 0o755))
	must(t, os.MkdirAll(filepath.Join(memory, "data"), 0o755))
	must(t, os.WriteFile(filepath.Join(memory, "data", "journal.db"), []byte("x"), 0o600))
	must(t, setBoxAside(box))
	if _, err := os.Stat(memory); err == nil {
		t.Error("the next box obeys by what the one before kept in memory")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(box), "before-reset-8", asideMemory, "data", "journal.db")); err != nil {
		t.Error(err)
	}
	must(t, os.Mkdir(memory, 0o755))
	if err := setBoxAside(box); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there was no box: %v", err)
	}
	if _, err := os.Stat(memory); err == nil {
		t.Error("it stays where there is no box")
	}
}

func TestAResetThatFailsStartsTheBoardAnewAllTheSame(t *testing.T) {
	began := make(chan struct{})
	b := &board{log: newRing(4000), reboot: func() error { close(began); return nil }}
	b.box = newSupervisor(b)
	b.allowReset.Store(time.Now().Add(time.Minute).UnixNano())
	if err := b.reset("Li"); err == nil {
		t.Fatal("this machine has a box's data")
	}
	select {
	case <-began:
	case <-time.After(10 * time.Second):
		t.Fatal("edged has ended, and nothing brings it back")
	}
}

func TestABoardIsNotStartedAnewAmidItsReset(t *testing.T) {
	began := make(chan struct{})
	b := &board{log: newRing(4000), reboot: func() error { close(began); return nil }}
	b.box = newSupervisor(b)
	b.allowReset.Store(time.Now().Add(time.Minute).UnixNano())
	b.spare.Lock() // a card that takes its time
	go func() { _ = b.reset("Li") }()
	select {
	case <-began:
		t.Fatal("it is started anew, and the box is still there")
	case <-time.After(time.Second):
	}
	b.spare.Unlock()
	select {
	case <-began:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing starts it anew")
	}
}

func TestRootFollowsNoLinkOutOfTheBox(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	dir := t.TempDir()
	box, theirs, image := filepath.Join(dir, "tocsin"), filepath.Join(dir, "root"), filepath.Join(dir, "image.yaml")
	must(t, os.WriteFile(image, []byte("version: 1\n"), 0o600))
	must(t, os.Mkdir(theirs, 0o755))
	must(t, makeBox(box))
	must(t, seedSite(image, filepath.Join(box, "site", "site.yaml")))
	// A link in place of the file that is written first, then of a folder.
	must(t, os.WriteFile(filepath.Join(theirs, "shadow"), []byte("secret"), 0o600))
	must(t, os.Remove(filepath.Join(box, "site", "site.yaml")))
	must(t, os.Symlink(filepath.Join(theirs, "shadow"), filepath.Join(box, "site", "site.yaml.new")))
	must(t, seedSite(image, filepath.Join(box, "site", "site.yaml")))
	if b, _ := os.ReadFile(filepath.Join(theirs, "shadow")); string(b) != "secret" {
		t.Fatalf("written through a link: %q", b)
	}
	must(t, os.RemoveAll(filepath.Join(box, "site")))
	must(t, os.Symlink(theirs, filepath.Join(box, "site")))
	if err := makeBox(box); err == nil {
		t.Fatal("a link is taken for a folder")
	}
	if err := seedSite(image, filepath.Join(box, "site", "site.yaml")); err == nil {
		t.Fatal("a file is put where a link leads")
	}
	var st unix.Stat_t
	if err := unix.Stat(theirs, &st); err != nil || st.Uid == boxUser {
		t.Fatal("given away:", st.Uid, err)
	}
	if _, err := os.Stat(filepath.Join(theirs, "site.yaml")); err == nil {
		t.Fatal("it is there")
	}
}
