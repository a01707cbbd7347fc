package station

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/update"
)

// footing is what answered before a release was activated, and must answer on trial.
type footing struct {
	Points []point.ID `json:"points"`
	Links  []string   `json:"links"`
}

const footingFile = "update-footing.json"

// Times of a trial that judges itself: what was good must be good for a while, and the
// verdict falls before the installer takes the release back without a reason.
const (
	settleLeast  = 20 * time.Second // of a short trial; else a fifth of its time, and no longer than settleMost
	settleMost   = 2 * time.Minute
	trialVerdict = 3 * time.Second
	trialNames   = 5 // of what is missing, in the reason
	trialBytes   = 280
)

// settle is how long all must be well in a trial of a length before it stays.
func settle(within time.Duration) time.Duration {
	return min(max(within/5, settleLeast), settleMost)
}

// answeredLately is how far back something counts as having answered before an update: who
// activates it while a wire is off for a moment shall not get a release that misses nothing.
const answeredLately = 24 * time.Hour

// stand notes what answers now, and with lately, what did within that time.
func (h *House) stand(lately time.Duration) footing {
	var f footing
	now := h.clock.Now().Mono
	h.mu.Lock()
	f.Points = answered(h.latest, now, lately)
	h.mu.Unlock()
	for _, l := range h.Links().Links {
		if l.State == "up" || l.Quiet != nil && *l.Quiet < lately {
			f.Links = append(f.Links, l.Name)
		}
	}
	return f
}

// answered gives the points that are good, or were lately.
func answered(all map[point.ID]*spot, now, lately time.Duration) (ids []point.ID) {
	for id, x := range all {
		if x.last.Quality == point.Good || x.good && now-x.goodAt < lately {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// missing names what of a footing does not answer now. What the site no longer has is
// missed, too: a site that went blank answers for everything that is left of it.
func (h *House) missing(f footing) []string {
	names := f.without(h.stand(0))
	if len(h.o.Wrong) > 0 { // the box does not run with its own file
		names = append(names, filepath.Base(h.seen().bp.Doc.File))
	}
	return names
}

// without names what of a footing another one has not.
func (f footing) without(now footing) (names []string) {
	for _, id := range f.Points {
		if !slices.Contains(now.Points, id) {
			names = append(names, string(id))
		}
	}
	for _, l := range f.Links {
		if !slices.Contains(now.Links, l) {
			names = append(names, l)
		}
	}
	return names
}

func (h *House) keepFooting(f footing) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(h.o.Data, footingFile), b, 0o600)
}

// footing reads what answered before; where nobody knows any more, nothing is asked for
// but that the box stands watch.
func (h *House) footing() (f footing, err error) {
	b, err := os.ReadFile(filepath.Join(h.o.Data, footingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	return f, err
}

// called names what is missing, as people call it.
func (s shown) called(missing []string) (names []phrase.Text) {
	for _, id := range missing {
		t, ok := s.bp.pointText(id)
		if !ok {
			l := linkName(id)
			t = phrase.Text{ZH: l.ZH, EN: l.EN}
		}
		names = append(names, t)
	}
	return names
}

// listed joins the first few names, and no more than the boot loader's environment holds.
func listed(names []phrase.Text) phrase.Text {
	var zh, en []string
	room := trialBytes
	for _, n := range names[:min(len(names), trialNames)] {
		room -= len(n.In(phrase.ZH)) + len(n.In(phrase.EN))
		if room < 0 && len(zh) > 0 {
			break
		}
		zh, en = append(zh, n.In(phrase.ZH)), append(en, n.In(phrase.EN))
	}
	t := phrase.Text{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")}
	if len(names) > len(zh) {
		t.ZH, t.EN = t.ZH+"……", t.EN+" …"
	}
	return t
}

// probation is a release that judges itself.
type probation struct {
	asked footing
	since time.Time // all is well since then; zero for not
}

// verdict tells whether a trial has proved itself, or why it goes back when its time is
// nearly over: it does not stand watch, something is missing, or all is well for too short a
// while. Neither is no verdict yet.
func (t *probation) verdict(ready bool, missing []phrase.Text, left, within time.Duration, now time.Time) (confirm bool, why phrase.Message) {
	over := left <= trialVerdict
	switch well := ready && len(missing) == 0; {
	case !well:
		t.since = time.Time{}
	case t.since.IsZero():
		t.since = now
	case now.Sub(t.since) >= settle(within):
		return true, phrase.Message{}
	}
	switch {
	case !over:
		return false, phrase.Message{}
	case !ready:
		return false, phrase.M("update.never_armed", "within", spanText(within))
	case len(missing) > 0:
		return false, phrase.M("update.unhealthy", "n", len(missing), "what", listed(missing))
	}
	return false, phrase.M("update.late", "within", spanText(within))
}

// judgeRelease confirms a trial that has proved itself, and takes back one that has not,
// with the names of what is missing; spare puts that off. It is called every second.
func (h *House) judgeRelease(t *probation, i update.Installer, now time.Time, spare bool) {
	s := i.State()
	if s.Phase != update.Trial {
		return
	}
	confirm, why := t.verdict(h.ready.Load(), h.seen().called(h.missing(t.asked)), s.Left, s.Within, now)
	h.conclude(i, s.Running, confirm, why, spare)
}

// conclude acts on a verdict.
func (h *House) conclude(i update.Installer, running *update.Release, confirm bool, why phrase.Message, spare bool) {
	var err error
	switch {
	case !why.IsZero() && spare:
		// Not in the middle of a level: see spares.
	case !why.IsZero():
		h.outcome(wire.UpdateBack, running, phrase.M("update.told_back", "why", why))
		err = i.Back(why)
	case confirm:
		if err = i.Confirm(); err == nil {
			h.outcome(wire.UpdateConfirmed, running, phrase.M("update.healthy", "version", versionOf(running)))
		}
	}
	if err != nil {
		h.setFault("update", phrase.M("update.closed", "err", err))
	}
}
