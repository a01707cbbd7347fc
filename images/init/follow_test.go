package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/update/slots"
)

// sparing is a board whose card has room for a spare copy, with an edged that stands watch.
func sparing(t *testing.T, args cmdline) *board {
	t.Helper()
	b := twoSlots(t, false)
	must(t, os.Truncate(b.slots.Disk, 20<<20))
	change(t, b.slots.Disk, 0, table(diskID, [3]uint32{16, 24, 0xc}, [3]uint32{40, 8, 0x83}))
	b.args, b.data = args, dataState{How: "disk"}
	b.box = newSupervisor(b)
	b.box.ready = true
	return b
}

// spareSite is the site's file in the spare copy; "" for none.
func (b *board) spareSite(t *testing.T) string {
	t.Helper()
	_, c := b.spareContent()
	return string(fileOfSpare(c, "site/site.yaml"))
}

// follows runs followSpare in the bubble until the test of it ends.
func follows(t *testing.T, b *board, dir string) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.followSpare(ctx, dir) }()
	t.Cleanup(func() { cancel(); <-done })
}

// passes lets time pass, and all that is due by then be done.
func passes(d time.Duration) { time.Sleep(d + time.Second); synctest.Wait() }

func TestTheSpareCopyFollowsTheSiteSoonAndTheRestByAndBy(t *testing.T) {
	dir := box(t, map[string]string{"site/site.yaml": "version: 1\n", "data/box.key": "key"})
	b := sparing(t, cmdline{"slot": "A"})
	synctest.Test(t, func(t *testing.T) {
		b.box.ready = false
		follows(t, b, dir)
		passes(time.Hour)
		if b.spareSite(t) != "" {
			t.Fatal("copied while edged does not stand watch")
		}
		b.box.mu.Lock()
		b.box.ready = true
		b.box.mu.Unlock()
		passes(spareFirst / 2)
		if b.spareSite(t) != "" {
			t.Fatal("copied before edged has stood watch for a while")
		}
		passes(spareFirst)
		if b.spareSite(t) != "version: 1\n" {
			t.Fatal("not copied:", b.log.text())
		}
		must(t, os.WriteFile(filepath.Join(dir, "site", "site.yaml"), []byte("version: 1 # new\n"), 0o600))
		passes(spareLook)
		if b.spareSite(t) != "version: 1 # new\n" {
			t.Fatal("a change of the site is not followed within", spareLook)
		}
		must(t, os.WriteFile(filepath.Join(dir, "data", "accounts.json"), []byte("{}"), 0o600))
		passes(spareLook)
		has := func() bool { _, c := b.spareContent(); return fileOfSpare(c, "data/accounts.json") != nil }
		if has() {
			t.Fatal("what is no site's wears the card each minute")
		}
		passes(spareRest)
		if !has() {
			t.Fatal("what changed is not followed within", spareRest)
		}
	})
}

// What a release on trial makes of the box is copied once that is confirmed, at once, and not
// where it goes back.
func TestTheSpareCopyFollowsATrialOnceItIsConfirmed(t *testing.T) {
	dir := box(t, map[string]string{"site/site.yaml": "of the trial\n"})
	b := sparing(t, cmdline{"slot": "B", "good": "A", "next": "B"})
	b.slots.Slot = "B"
	chooses := func(c slots.Choice) {
		t.Helper()
		e, err := c.Environment()
		must(t, err)
		if a := b.answer(request{Do: "environment", Environment: e}); a.Err != "" { // as edged asks on the socket
			t.Fatal(a.Err)
		}
	}
	chooses(slots.Choice{Good: "A", Next: "B", Left: 2, Floor: 41})
	before := box(t, map[string]string{"site/site.yaml": "of before\n"})
	must(t, b.keepSpare(before))
	synctest.Test(t, func(t *testing.T) {
		follows(t, b, dir)
		passes(2 * time.Hour)
		if s := b.spareSite(t); s != "of before\n" {
			t.Fatalf("a trial's is copied: %q", s)
		}
		chooses(slots.Choice{Good: "A", Floor: 41}) // it goes back at the next start
		passes(2 * time.Hour)
		if s := b.spareSite(t); s != "of before\n" {
			t.Fatalf("what goes back is copied: %q", s)
		}
		chooses(slots.Choice{Good: "B", Floor: 42})
		passes(5 * time.Second)
		if s := b.spareSite(t); s != "of the trial\n" {
			t.Fatalf("it is not copied though confirmed: %q\n%s", s, b.log.text())
		}
		// Its next change is followed as any other's.
		must(t, os.WriteFile(filepath.Join(dir, "site", "site.yaml"), []byte("since\n"), 0o600))
		passes(spareLook)
		if s := b.spareSite(t); s != "since\n" {
			t.Fatalf("%q", s)
		}
	})
}

func TestASpareCopyThatFailedIsTriedAgain(t *testing.T) {
	dir := box(t, map[string]string{"site/site.yaml": "version: 1\n"})
	b := sparing(t, cmdline{"slot": "A"})
	synctest.Test(t, func(t *testing.T) {
		away := b.slots.Disk + ".away"
		must(t, os.Rename(b.slots.Disk, away))
		follows(t, b, dir)
		tries := func() int { return strings.Count(b.log.text(), "the spare copy: ") }
		passes(spareFirst)
		if tries() != 1 {
			t.Fatalf("%d tries:\n%s", tries(), b.log.text())
		}
		passes(spareRest / 2)
		if tries() != 1 {
			t.Fatalf("%d tries of a card that fails:\n%s", tries(), b.log.text())
		}
		passes(spareRest / 2)
		passes(spareLook)
		if tries() != 2 {
			t.Fatalf("%d tries:\n%s", tries(), b.log.text())
		}
		must(t, os.Rename(away, b.slots.Disk))
		passes(spareRest + spareLook)
		if b.spareSite(t) != "version: 1\n" || tries() != 2 {
			t.Fatal("nothing changed since, and it is not tried again:", b.log.text())
		}
	})
	// A change of the site does not wait for that.
	b = sparing(t, cmdline{"slot": "A"})
	synctest.Test(t, func(t *testing.T) {
		away := b.slots.Disk + ".away"
		must(t, os.Rename(b.slots.Disk, away))
		follows(t, b, dir)
		passes(spareFirst)
		must(t, os.Rename(away, b.slots.Disk))
		must(t, os.WriteFile(filepath.Join(dir, "site", "site.yaml"), []byte("changed\n"), 0o600))
		passes(spareLook)
		if b.spareSite(t) != "changed\n" {
			t.Fatal(b.log.text())
		}
	})
}

// What is kept in memory is no box's for good: the spare copy stays as it is, and no sync is
// waited for, which would be one for the disk that is being mended.
func TestInMemoryTheSpareCopyStaysAndNoSyncIsWaitedFor(t *testing.T) {
	for how, syncs := range map[string]int{"memory": 0, "anew": 1, "mended": 1} {
		b := sparing(t, cmdline{"slot": "A"})
		must(t, b.keepSpare(box(t, map[string]string{"site/site.yaml": "version: 1\n", "data/box.key": "key"})))
		b.data.How = how
		n := 0
		b.sync = func() { n++ }
		dir := t.TempDir()
		b.fromSpare(dir)
		if got, err := os.ReadFile(filepath.Join(dir, "site", "site.yaml")); err != nil || string(got) != "version: 1\n" || b.data.Spare.IsZero() {
			t.Errorf("%s: %q, %v, %v", how, got, err, b.data.Spare)
		}
		if n != syncs {
			t.Errorf("%s: %d syncs, not %d", how, n, syncs)
		}
		if how != "memory" {
			continue
		}
		must(t, os.WriteFile(filepath.Join(dir, "site", "site.yaml"), []byte("in memory\n"), 0o600))
		synctest.Test(t, func(t *testing.T) {
			ended := false
			go func() { b.followSpare(t.Context(), dir); ended = true }()
			passes(2 * time.Hour)
			if s := b.spareSite(t); s != "version: 1\n" || !ended {
				t.Errorf("the spare copy has %q, and is followed: %v", s, !ended)
			}
		})
	}
}

// Where memory or time is short the check of the disk gives way, and edged does not.
func TestTheCheckOfTheDiskGivesWayToEdged(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	// It says what it is once that has settled, and ends as one that was killed.
	script := `#!/bin/sh
n=0
while [ $n -lt 250 ] && [ "$(cat /proc/self/oom_score_adj) $(nice)" != "1000 10" ]; do n=$((n+1)); sleep 0.02; done
echo "$* $(cat /proc/self/oom_score_adj) $(nice)" >` + said + `
kill -9 $$
`
	must(t, os.WriteFile(filepath.Join(dir, "e2fsck"), []byte(script), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	b := &board{log: newRing(4000)}
	m := b.mend("/dev/of-a-test")
	if m.err == nil || !strings.Contains(m.err.Error(), "did not end by itself") {
		t.Errorf("a check that was killed: %+v", m)
	}
	got, err := os.ReadFile(said)
	if err != nil || string(got) != "-p /dev/of-a-test 1000 10\n" {
		t.Fatalf("%q, %v", got, err)
	}
	edged := exec.Command("sleep", "60")
	must(t, edged.Start())
	defer func() { _ = edged.Process.Kill(); _ = edged.Wait() }()
	prefer(edged.Process.Pid)
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, edged.Process.Pid)
	must(t, err)
	score, err := os.ReadFile("/proc/" + strconv.Itoa(edged.Process.Pid) + "/oom_score_adj")
	must(t, err)
	// A machine that lets the test prefer nobody lets init neither.
	if may := unix.Setpriority(unix.PRIO_PROCESS, edged.Process.Pid, -10); nice != 20+10 && may == nil {
		t.Errorf("edged has priority %d", 20-nice)
	}
	if may := os.WriteFile("/proc/"+strconv.Itoa(edged.Process.Pid)+"/oom_score_adj", []byte("-900"), 0); string(score) != "-900\n" && may == nil {
		t.Errorf("edged has the score %q", score)
	}
}
