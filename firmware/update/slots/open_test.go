package slots

import (
	"context"
	"errors"
	"testing"
	"time"

	"tocsin/firmware/update"
)

// watched is a link that sees how often the other slot is open while something comes.
type watched struct {
	link
	b    *board
	most int
}

func (w *watched) ReadAt(p []byte, at int64) (int, error) {
	w.most = max(w.most, w.b.open)
	return w.link.ReadAt(p, at)
}

func TestTheOtherSlotIsOpenedOnlyForWhatGoesIntoIt(t *testing.T) {
	b := newBoard(t)
	i, _ := b.boot()
	w := &watched{link: link{b: b.pkg(2, image(2), nil), ops: 4}, b: b}
	_, err := i.Fetch(context.Background(), w)
	refused(t, err, "update.cut_short")
	if w.most != 1 || b.open != 0 {
		t.Fatal("it broke off:", w.most, b.open)
	}
	w.ops = -1
	_, err = i.Fetch(context.Background(), w)
	must(t, err)
	if b.open != 0 {
		t.Fatal("a staged release is open to be written")
	}
	i.o.Reboot = func(string) error {
		if b.open != 0 {
			t.Error("what is to be tried is open to be written")
		}
		return nil
	}
	must(t, i.Activate(time.Minute))
	i, _ = b.boot()
	stands(t, i, update.Trial, 2)
	i.o.Write = func(func(Partition) error) error { t.Error("what a trial goes back to was opened"); return nil }
	refused(t, b.stage(i, b.pkg(3, image(3), nil)), "update.on_trial")
	must(t, i.Confirm())
	refused(t, b.stage(i, b.pkg(2, image(2), nil)), "update.older")
}

func TestASlotThatIsNotOpenedLeavesWhatIsStaged(t *testing.T) {
	b := newBoard(t)
	i, _ := b.boot()
	must(t, b.stage(i, b.pkg(2, image(2), nil)))
	no := errors.New("a trial is under way")
	i.o.Write = func(func(Partition) error) error { return no }
	if err := b.stage(i, b.pkg(3, image(3), nil)); !errors.Is(err, no) {
		t.Fatal(err)
	}
	if s := stands(t, i, update.Staged, 1); s.Next.Number != 2 {
		t.Fatal(s.Next)
	}
	must(t, i.Activate(time.Minute))
}
