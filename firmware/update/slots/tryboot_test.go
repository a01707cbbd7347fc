package slots

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
)

// card is a disk that loses its power after some writes; a write is a sector's and whole.
type card struct {
	b    []byte
	left int // writes until the cut; negative: none
}

var errPower = errors.New("the power is gone")

func (c *card) ReadAt(p []byte, at int64) (int, error) { return copy(p, c.b[at:]), nil }
func (c *card) Sync() error                            { return nil }
func (c *card) WriteAt(p []byte, at int64) (int, error) {
	if c.left == 0 {
		return 0, errPower
	}
	c.left--
	return copy(c.b[at:], p), nil
}

func newCard(t *testing.T) *card {
	t.Helper()
	c := &card{b: make([]byte, 4<<20), left: -1}
	form, err := Autoboot("A")
	if err != nil {
		t.Fatal(err)
	}
	copy(c.b[pointerAt:], form)
	return c
}

// pointer is autoboot.txt's sector, where the board's init finds it.
type pointer struct{ *card }

const pointerAt = 2<<20 + 512*37

func (p pointer) Slot() (string, error) {
	for _, s := range []string{"A", "B"} {
		if form, err := Autoboot(s); err == nil && bytes.Equal(form, p.b[pointerAt:pointerAt+AutobootSize]) {
			return s, nil
		}
	}
	return "", errors.New("no autoboot.txt of ours")
}

func (p pointer) Point(slot string) error {
	if _, err := p.Slot(); err != nil {
		return err
	}
	form, err := Autoboot(slot)
	if err != nil {
		return err
	}
	_, err = p.WriteAt(form, pointerAt)
	return err
}

func (c *card) tryboot(running string) Tryboot {
	return Tryboot{Kept: Environment{Disk: c, At: Standard}, Pointer: pointer{c}, Running: running}
}

// starts gives the slot that the firmware starts.
func (c *card) starts(t *testing.T) string {
	t.Helper()
	s, err := c.tryboot("A").Pointer.Slot()
	if err != nil {
		t.Fatal("the board does not start:", err)
	}
	return s
}

func TestAutobootSaysTheSlotInOneSector(t *testing.T) {
	a, err := Autoboot("A")
	b, berr := Autoboot("B")
	if err != nil || berr != nil || len(a) != AutobootSize || len(b) != AutobootSize {
		t.Fatal(err, berr, len(a), len(b))
	}
	if !strings.Contains(string(a), "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n") || !strings.Contains(string(b), "boot_partition=3\n[tryboot]\nboot_partition=2\n") {
		t.Fatalf("%s", a)
	}
	differ := 0
	for i := range a {
		if a[i] != b[i] {
			differ++
		}
	}
	if differ != 2 {
		t.Errorf("%d bytes differ", differ)
	}
	// By these bytes init finds the sector on cards that were written before: they stay for ever.
	for want, b := range map[string][]byte{"1b39fd293b13c983cc50ac97febfa4577813e581740cc35aeb7d128535cd2495": a, "23cfac0a3aedd01d6624dffe8624ca02d6a8f1fb6b7faa0e1a9e24c5489eb1b4": b} {
		if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != want {
			t.Errorf("no card of before has these bytes (SHA-256 %s):\n%s", got, b)
		}
	}
	if _, err := Autoboot("C"); err == nil {
		t.Error("C is a slot")
	}
}

func TestAConfirmedReleaseIsNeverLostByACut(t *testing.T) {
	for cut := range 5 {
		c := newCard(t)
		if err := c.tryboot("A").Write(Choice{Good: "A", Next: "B", Left: 3, Within: time.Minute, Bad: 13}); err != nil {
			t.Fatal(err)
		}
		c.left = cut
		err := c.tryboot("B").Write(Choice{Good: "B", Floor: 13})
		c.left = -1
		runs := c.starts(t)
		got, rerr := c.tryboot(runs).Read()
		if rerr != nil {
			t.Fatal(cut, rerr)
		}
		switch {
		case runs == "B" && got.Good == "B" && got.Floor == 13: // confirmed
		case runs == "B" && got.Good == "A" && got.Next == "B": // asked to prove itself once more
		case runs == "A" && got.Good == "A" && got.Next == "" && got.Why.Code == "update.tried_once": // not confirmed, and told
		default:
			t.Errorf("cut after %d writes (%v): %s starts with %+v", cut, err, runs, got)
		}
		if (err == nil) != (cut > 2) {
			t.Errorf("cut after %d writes: %v", cut, err)
		}
	}
}

func TestATrialHasOneStartAndTheFirmwaresVerdictIsTold(t *testing.T) {
	c := newCard(t)
	if err := c.tryboot("A").Write(Choice{Good: "A", Next: "B", Left: 3, Bad: 13}); err != nil {
		t.Fatal(err)
	}
	if c.starts(t) != "A" {
		t.Fatal("a trial changed what starts by itself")
	}
	if got, err := c.tryboot("B").Read(); err != nil || got.Next != "B" || got.Good != "A" {
		t.Fatalf("on trial: %+v %v", got, err)
	}
	if got, err := c.tryboot("A").Read(); err != nil || got.Next != "" || got.Why.Code != "update.tried_once" || got.Bad != 13 {
		t.Fatalf("after it: %+v %v", got, err)
	}
	// A reason that the release gave itself is not replaced.
	why := phrase.M("update.unhealthy", "what", "river.level")
	if err := c.tryboot("B").Write(Choice{Good: "A", Why: why, Bad: 13}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.tryboot("A").Read(); err != nil || got.Why.Code != why.Code {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestWhatIsNotOurAutobootIsNotTouched(t *testing.T) {
	c := newCard(t)
	clear(c.b[:2<<20])
	if got, err := c.tryboot("A").Read(); err != nil || got.Good != "A" || got.Why.Code != "update.kept_lost" {
		t.Fatalf("the kept choice is lost: %+v %v", got, err)
	}
	copy(c.b[pointerAt:], "[all]\nboot_partition=2\n") // a person's own
	before := string(c.b)
	if err := c.tryboot("B").Write(Choice{Good: "B"}); err == nil || string(c.b) != before {
		t.Fatal("written over a person's file:", err)
	}
}
