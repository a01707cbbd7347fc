package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheWallClockNeverReadsBelowTheFloor(t *testing.T) {
	ahead := time.Now().Add(24 * time.Hour)
	c := NewSystem(ahead, Held)
	s := c.Now()
	if s.Wall.Before(ahead) {
		t.Errorf("wall %v is below the floor %v", s.Wall, ahead)
	}
	if s.Trust != Free {
		t.Errorf("a kernel clock below the floor is trusted: %v", s.Trust)
	}
	c.RaiseFloor(ahead.Add(-time.Hour))
	if !c.Floor().Equal(ahead.Round(0)) {
		t.Error("the floor went back")
	}
	if c.Discipline(ahead.Add(-time.Minute), Set) {
		t.Error("a time before the floor was believed")
	}
	if !c.Discipline(ahead.Add(time.Minute), Set) || c.Now().Trust != Set {
		t.Error("a good time was refused")
	}
}

func TestAnUntrustedClockNeverDropsARed(t *testing.T) {
	floor := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	now := Stamp{Wall: floor.AddDate(1, 0, 0), Boot: "a"}
	for _, c := range []struct {
		name  string
		until time.Time
		trust Trust
		want  bool
	}{
		{"before the floor it has expired whatever the clock", floor.Add(-time.Second), Free, true},
		{"after the floor an untrusted clock does not decide", floor.Add(time.Hour), Free, false},
		{"after the floor a trusted clock decides", floor.Add(time.Hour), Set, true},
		{"no end never expires", time.Time{}, Set, false},
	} {
		now.Trust = c.trust
		if got := Expired(c.until, now, floor); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestSinceCrossesABootByTheWallClockAndSaysSo(t *testing.T) {
	w := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	a := Stamp{Mono: time.Hour, Wall: w, Boot: "a", Trust: Set}
	if d, sure := (Stamp{Mono: time.Hour + time.Minute, Wall: w.Add(-time.Hour), Boot: "a"}).Since(a); d != time.Minute || !sure {
		t.Errorf("within a boot: %v %v", d, sure)
	}
	if d, sure := (Stamp{Mono: time.Second, Wall: w.Add(time.Minute), Boot: "b"}).Since(a); d != time.Minute || sure {
		t.Errorf("across a boot, untrusted: %v %v", d, sure)
	}
	if d, _ := (Stamp{Wall: w.Add(-time.Minute), Boot: "b"}).Since(a); d != 0 {
		t.Errorf("time ran backwards: %v", d)
	}
}

func TestTheFloorSurvivesAndDamageIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	build := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if f, err := LoadFloor(dir, build); err != nil || !f.IsZero() {
		t.Fatalf("missing: %v %v", f, err)
	}
	want := build.AddDate(0, 3, 0)
	if err := SaveFloor(dir, want); err != nil {
		t.Fatal(err)
	}
	if f, err := LoadFloor(dir, build); err != nil || !f.Equal(want) {
		t.Fatalf("kept: %v %v", f, err)
	}
	for _, bad := range []string{"", "\x00\x00\x00", "2099-01-01T00:00:00Z"} {
		if err := os.WriteFile(filepath.Join(dir, floorFile), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if f, err := LoadFloor(dir, build); err == nil || !f.IsZero() {
			t.Errorf("%q was believed: %v", bad, f)
		}
	}
}

func TestASmallStepBackWaitsAndALargeOneSteps(t *testing.T) {
	c := NewSystem(time.Now().Add(-24*time.Hour), Free)
	c.Discipline(time.Now().Add(time.Hour), Set)
	was := c.Now().Wall
	c.Discipline(time.Now().Add(time.Hour-3*time.Second), Set)
	if s := c.Now(); s.Wall.Before(was) || s.Wall.Sub(was) > time.Second {
		t.Errorf("it went back from %v to %v", was, s.Wall)
	}
	c.Discipline(time.Now(), Set)
	if s := c.Now(); time.Until(s.Wall).Abs() > time.Second {
		t.Errorf("an hour ahead it stays there: %v", s.Wall)
	}
	if c.Doubt(Free); c.Now().Trust != Free {
		t.Error("doubted, and trusted")
	}
	if c.Doubt(Set); c.Now().Trust != Free {
		t.Error("doubt raised the trust")
	}
}

func TestTheKernelsClockIsMovedOnceAndOnlyByATimeThatWasSet(t *testing.T) {
	c := NewSystem(time.Now().Add(-24*time.Hour), Held)
	n := 0
	set := func(at time.Time) error {
		n++
		if at.Sub(time.Now().Add(time.Hour)).Abs() > time.Second {
			t.Errorf("moved to %v", at)
		}
		return nil
	}
	c.MoveKernel(set)
	c.Discipline(time.Now().Add(time.Hour), Set)
	c.MoveKernel(set)
	if n != 1 {
		t.Errorf("moved %d times", n)
	}
	if s := c.Now(); s.Wall.Sub(time.Now().Add(time.Hour)).Abs() > time.Second {
		t.Errorf("this clock went with it: %v", s.Wall)
	}
}

func TestZonesAreCompiledIn(t *testing.T) {
	if _, err := time.LoadLocation("Asia/Shanghai"); err != nil {
		t.Error(err)
	}
}
