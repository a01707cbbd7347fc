package station

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// surged is a town whose surges are quick to see.
func surged(t *testing.T) *town {
	w := newTown(t)
	w.write("guard.yaml", shipped(t, "guard.yaml", `surge: .*`, "surge: {window: 1m, lived: 2s, within: 5s, again: 1h}"))
	w.start()
	time.Sleep(3 * time.Second)
	return w
}

func (w *town) quietSince(began time.Time) {
	w.t.Helper()
	if on := w.v.Horn.Current().OnBetween(began, time.Now()); on > 0 {
		w.t.Errorf("it sounded for %v", on)
	}
}

func TestLinesThatDieTogetherHaveEveryOutputTriedWithoutASound(t *testing.T) {
	t.Parallel()
	w, began := surged(t), time.Now()
	if err := errors.Join(w.v.Field.Unplug(), w.v.Text.Unplug()); err != nil {
		t.Fatal(err)
	}
	w.faulty("surge", []string{"线路 field", "线路 text", "疑似雷击浪涌", "已不出声地检查输出", "不应答 无"}, []string{"line field", "line text", "a surge is suspected", "tried without a sound"})
	f, _ := w.fault("surge")
	if well, _, _ := strings.Cut(f.Why.EN[strings.Index(f.Why.EN, "well "):], ";"); !strings.Contains(well, "siren") {
		t.Errorf("which are well: %s", f.Why.EN)
	}
	w.until("both are journaled under one cause", func() bool {
		causes := map[string]string{}
		for _, r := range w.journal() {
			causes[r.Kind] = r.Cause
		}
		return causes["surge.suspected"] != "" && causes["surge.suspected"] == causes["surge.tried"]
	})
	w.quietSince(began)
	if err := errors.Join(w.v.Field.Replug(), w.v.Text.Replug()); err != nil {
		t.Fatal(err)
	}
	w.mended("surge")
	w.quietSince(began)
	w.crosses()
}

func TestAnOutputThatDoesNotAnswerAfterASurgeIsCalledAndTakenBack(t *testing.T) {
	t.Parallel()
	w, began := surged(t), time.Now()
	if err := errors.Join(w.v.Out.Unplug(), w.v.Text.Unplug()); err != nil {
		t.Fatal(err)
	}
	w.faulty("output siren surge", []string{"不应答", "可能已损坏", "线路 out"}, []string{"no answer after a suspected surge", "line out"})
	w.quietSince(began)
	if err := errors.Join(w.v.Out.Replug(), w.v.Text.Replug()); err != nil {
		t.Fatal(err)
	}
	w.mended("output siren surge")
	w.mended("surge")
	w.quietSince(began)
}

func TestASurgeWhileALevelStandsSilencesNothing(t *testing.T) {
	t.Parallel()
	w := surged(t)
	w.crosses()
	a, _ := w.alarm("gas")
	if err := errors.Join(w.v.Field.Unplug(), w.v.Text.Unplug()); err != nil {
		t.Fatal(err)
	}
	w.faulty("surge", []string{"没有警报、没有声音时"}, []string{"once no level stands"})
	began := time.Now()
	time.Sleep(4 * time.Second)
	if on := w.v.Horn.Current().OnBetween(began, time.Now()); on < 2*time.Second {
		t.Errorf("it sounded for %v of 4 s", on)
	}
	for _, r := range w.journal() {
		if r.Kind == "receipt.stopped" || r.Kind == "surge.tried" {
			t.Errorf("%s while a level stands", r.Kind)
		}
	}
	if b, ok := w.alarm("gas"); !ok || b.ID != a.ID {
		t.Errorf("the level: %+v", b)
	}
}
