package station

import (
	"bytes"
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/hwtest/acceptance"
)

// takenOver runs the acceptance of a board against a real edged with its page.
func takenOver(t *testing.T, b *browser, o acceptance.Opts) map[string]acceptance.Result {
	t.Helper()
	o.Address, o.Account, o.Password, o.Watch = b.url, "technician", "river-stone-lamp-42", time.Second
	all, err := acceptance.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]acceptance.Result{}
	for _, r := range all {
		got[r.Step] = r
	}
	return got
}

func TestTheAcceptanceOfABoardTellsWhatIsRightAndWhatIsNot(t *testing.T) {
	if testing.Short() {
		t.Skip("builds edged")
	}
	t.Parallel()
	w, p, b := newTried(t)
	var pdf bytes.Buffer
	got := takenOver(t, b, acceptance.Opts{Loud: true, Report: &pdf})
	for step, want := range map[string]acceptance.State{
		"reach": acceptance.Passed, "account": acceptance.Passed, "armed": acceptance.Passed, "kept": acceptance.Passed, "points": acceptance.Passed, "outputs": acceptance.Passed,
		"software": acceptance.Passed, "loud": acceptance.Passed, "restart": acceptance.Passed,
		"cut": acceptance.Left, "release": acceptance.Left,
		"sheet": acceptance.Failed, // nobody has commissioned this town
	} {
		if r := got[step]; r.State != want {
			t.Errorf("%s: %s, not %s", step, r, want)
		}
	}
	if f := got["faults"].String(); strings.Contains(f, "room ") {
		t.Errorf("a part of the box ends and is started again: %s", f)
	}
	if _, err := os.Stat("/usr/share/fonts/truetype/arphic-gbsn00lp/gbsn00lp.ttf"); err != nil {
		if !strings.Contains(got["sheet"].String(), "no PDF") {
			t.Errorf("there is no font for a PDF, and the sheet does not tell: %s", got["sheet"])
		}
	} else if !strings.HasPrefix(pdf.String(), "%PDF") {
		t.Errorf("the sheet is no PDF: %.40q", pdf.String())
	}
	for s, r := range got { // but for what nobody has done in this town, it is well; then what was left out counts
		if r.State == acceptance.Failed {
			r.State = acceptance.Passed
			got[s] = r
		}
	}
	if v, steps := acceptance.Judge(slices.Collect(maps.Values(got))); v != acceptance.Incomplete || len(steps) != 1 || steps[0] != "cut" {
		t.Errorf("a board that kept its power was %s: %v", v, steps)
	}
	starts := 0
	for _, r := range p.records() {
		if r.Kind == "system.started" {
			starts++
		}
	}
	if starts < 2 {
		t.Error("it was not started anew")
	}

	// The gauge fails, and somebody else's password is given.
	w.v.Gas.Fault(true)
	p.until("a fault of the gauge", func() bool { return strings.Contains(takenOver(t, b, acceptance.Opts{})["points"].String(), "gas") })
	bad := takenOver(t, b, acceptance.Opts{})
	if bad["points"].State != acceptance.Failed || bad["faults"].State != acceptance.Failed {
		t.Errorf("a gauge that is silent was taken over: %s %s", bad["points"], bad["faults"])
	}
	all, err := acceptance.Run(context.Background(), acceptance.Opts{Address: b.url, Account: "technician", Password: "wrong"})
	if v, _ := acceptance.Judge(all); v != acceptance.Refused {
		t.Errorf("verdict %s", v)
	}
	if err != nil || len(all) != 2 || all[1].State != acceptance.Failed {
		t.Errorf("a wrong password: %v %v", all, err)
	}
}
