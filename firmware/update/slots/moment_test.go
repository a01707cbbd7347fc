package slots

import (
	"errors"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/update"
)

func TestNothingIsTriedAtAMomentThatIsNone(t *testing.T) {
	b := newBoard(t)
	i, _ := b.boot()
	must(t, b.stage(i, b.pkg(2, image(2), nil)))
	i.o.May = func() error { return phrase.E("update.level") } // a level came while the slot was read
	refused(t, i.Activate(10*time.Minute), "update.level")
	if c, err := b.selector().Read(); err != nil || c.Next != "" || b.reboots != 0 {
		t.Fatalf("%+v %v", c, err)
	}
	stands(t, i, update.Staged, 1)
}

func TestWhatCannotBeStartedNowIsNotStartedAtWhateverLaterTime(t *testing.T) {
	b := newBoard(t)
	i, _ := b.boot()
	must(t, b.stage(i, b.pkg(2, image(2), nil)))
	i.o.Reboot = func(string) error { return errors.New("no answer") }
	refused(t, i.Activate(10*time.Minute), "update.no_reboot")
	stands(t, i, update.Staged, 1)
	if i, slot := b.boot(); slot != "A" {
		t.Fatal(slot, i.State())
	}
}

func TestATrialsTimeIsOfItsBootAndNotOfEdgedsStarts(t *testing.T) {
	b := newBoard(t)
	i, _ := b.boot()
	must(t, b.stage(i, b.pkg(2, image(2), nil)))
	must(t, i.Activate(10*time.Minute))
	i, slot := b.boot()
	if stands(t, i, update.Trial, 2); slot != "B" {
		t.Fatal(slot)
	}
	b.now = 11 * time.Minute // edged died and is opened anew, within the same boot
	again, err := Open(i.o)
	must(t, err)
	if s := stands(t, again, update.Trial, 2); s.Left > time.Minute {
		t.Fatal(s.Left)
	}
}

func TestWhoLostItsChoiceTakesNothingThatIsOlderThanWhatItMayHaveRun(t *testing.T) {
	b := newBoard(t)
	i, _ := b.boot()
	must(t, b.stage(i, b.pkg(5, image(5), nil)))
	for _, at := range Standard {
		clear(b.m.b[at : at+512])
	}
	i, _ = b.boot()
	stands(t, i, update.Staged, 1) // 5 itself may be tried
	refused(t, b.stage(i, b.pkg(3, image(3), nil)), "update.older")
}
