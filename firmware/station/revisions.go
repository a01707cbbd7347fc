package station

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/config/revision"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// ErrRestart says that the house ended so that it can begin anew with another document.
var ErrRestart = errors.New("the site's document needs the box to begin anew")

const (
	revisionsDir  = "revisions"
	revisionAgain = 10 * time.Second // after a trial could not be taken back
	// answerFirst is how long whoever changed the document has to hear so before the box
	// begins anew.
	answerFirst = 500 * time.Millisecond
)

// Revisions are what a site's document has been. They are opened before the document is
// loaded, since a trial that nobody confirmed is taken back then.
type Revisions struct {
	ready   chan struct{}
	late    atomic.Bool // the document was loaded before they were
	clock   atomic.Pointer[clock.System]
	store   *revision.Store
	started revision.Started
	err     error
}

// OpenRevisions reads them in a goroutine of g's: a disk that hangs holds up no start.
func OpenRevisions(g *guard.Guard, file, data string) *Revisions {
	r := &Revisions{ready: make(chan struct{})}
	r.clock.Store(clock.NewSystem(BuildTime(), clock.Free))
	g.Go("keep", "revisions opening", guard.Once, func(context.Context) error {
		defer close(r.ready)
		r.store, r.started, r.err = revision.Open(revision.Opts{File: file, Dir: filepath.Join(data, revisionsDir), Now: func() clock.Stamp { return r.clock.Load().Now() }})
		return nil
	})
	return r
}

// Wait waits for them, but no longer than most.
func (r *Revisions) Wait(most time.Duration) {
	select {
	case <-r.ready:
	case <-time.After(most):
		r.late.Store(true)
	}
}

// keepRevisions tells what was found at the start, adopts what a hand has changed, and
// takes back in time what nobody confirms.
func (h *House) keepRevisions(ctx context.Context) error {
	r := h.o.Revisions
	select {
	case <-ctx.Done():
		return nil
	case <-r.ready:
	}
	if r.err != nil {
		h.setFault("revisions", phrase.M("station.revisions_failed", "err", r.err))
	}
	if b := r.started.Back; b != nil {
		h.tellBack(b.Number, *r.started.To)
		if r.late.Load() {
			h.takeOver()
		}
	}
	h.tellHand(r.started.Hand)
	if r.store == nil {
		return nil
	}
	for {
		wait := time.Hour
		t, on := r.store.Due()
		if on {
			wait = t.Until - h.clock.Now().Mono
		}
		timer := time.NewTimer(max(wait, 0))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-h.revised:
			timer.Stop()
			hand, err := r.store.Adopt()
			if err != nil {
				h.setFault("revisions", phrase.M("station.revisions_failed", "err", err))
				continue
			}
			h.clearFault("revisions")
			h.tellHand(hand)
			continue
		case <-timer.C:
		}
		if !on {
			continue
		}
		to, err := r.store.Back(t.Number)
		if err != nil {
			h.setFault("revisions", phrase.M("station.revisions_failed", "err", err))
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(revisionAgain):
			}
			continue
		}
		h.tellBack(t.Number, to)
		h.takeOver()
	}
}

func (h *House) tellBack(number int, to revision.Revision) {
	m := phrase.M("station.config_back", "number", number, "to", to.Number)
	if to.By == revision.Hand {
		m = phrase.M("station.config_hand", "number", to.Number)
	}
	h.record("config.undone", m, map[string]any{"revision": number, "now": to.Number})
}

func (h *House) tellHand(r *revision.Revision) {
	if r != nil && r.Number > 1 {
		h.record("config.hand", phrase.M("station.config_hand", "number", r.Number), map[string]any{"revision": r.Number, "sha256": r.SHA256})
		h.tellManagedByHand(r.Number)
	}
}

// takeOver has the file that lies there now taken over: by a reload where that can do it,
// else by beginning anew, but never while a level stands; then it is called.
func (h *House) takeOver() {
	now := h.seen()
	bp, _ := Load(now.bp.Doc.File)
	if bp == nil || !needsRestart(now.bp, bp) || now.worst > point.Calm {
		select {
		case h.again <- struct{}{}:
		default: // a reload is due already, and reads the new file
		}
		return
	}
	select {
	case h.anew <- struct{}{}:
	default:
	}
}

// revisionsNow gives the store once it is open.
func (h *House) revisionsNow() (*revision.Store, error) {
	r := h.o.Revisions
	select {
	case <-r.ready:
	default:
		return nil, phrase.E("station.revisions_opening")
	}
	if r.store == nil {
		return nil, phrase.Wrap(r.err, "station.revisions_failed", "err", r.err)
	}
	return r.store, nil
}

// adopted gives the store with the file as it lies there.
func (h *House) adopted() (*revision.Store, error) {
	s, err := h.revisionsNow()
	if err != nil {
		return nil, err
	}
	hand, err := s.Adopt()
	h.tellHand(hand)
	return s, err
}

var _ api.Configurable = (*House)(nil)

// Revisions lists what the document has been.
func (h *House) Revisions() ([]api.Revision, error) {
	s, err := h.adopted()
	if err != nil {
		return nil, err
	}
	var out []api.Revision
	for _, r := range s.All() {
		out = append(out, h.revisionOf(s, r))
	}
	return out, nil
}

// Revision gives one with its text.
func (h *House) Revision(number int) (api.RevisionText, error) {
	s, err := h.adopted()
	if err != nil {
		return api.RevisionText{}, err
	}
	for _, r := range s.All() {
		if r.Number == number || number == 0 && r.Number == s.Newest().Number {
			b, err := s.Text(r.Number)
			out := api.RevisionText{Revision: h.revisionOf(s, r), Document: h.hidden.hide(string(b))}
			if r.Number == s.Newest().Number {
				out.Managed = h.managedView(s)
			}
			return out, err
		}
	}
	return api.RevisionText{}, phrase.E("revision.unknown", "number", number)
}

var byTexts = map[revision.By]phrase.Message{
	revision.Hand: phrase.M("station.config_by_hand"), revision.Page: phrase.M("station.config_by_page"),
	revision.County: phrase.M("station.config_by_county"), revision.Undone: phrase.M("station.config_by_undone"),
	revision.Lapsed: phrase.M("managed.by_lapsed"),
}

func (h *House) revisionOf(s *revision.Store, r revision.Revision) api.Revision {
	m := byTexts[r.By]
	out := api.Revision{Number: r.Number, At: r.At.Wall, By: string(r.By), ByText: api.Text{Code: m.Code, ZH: m.In(phrase.ZH), EN: m.In(phrase.EN)},
		Who: r.Who, Why: r.Why, Of: r.Of, UndoneBy: r.UndoneBy, Size: r.Size, SHA256: r.SHA256}
	if t, on := s.Due(); on && t.Number == r.Number {
		out.Trial = &api.Trial{Left: max(t.Until-h.clock.Now().Mono, 0), Before: t.Before, Restart: t.Starts > 0}
	}
	return out
}

// provedAs proves a document as a start would, under the site file's name.
func (h *House) provedAs(document []byte) (*Blueprint, []config.Problem) {
	doc, problems := config.Parse(h.seen().bp.Doc.File, document)
	if doc == nil {
		return nil, problems
	}
	return Prove(doc)
}

// Judge tells what is wrong with a document.
func (h *House) Judge(_ context.Context, document string) (api.Judgement, error) {
	if !h.applying.TryLock() {
		return api.Judgement{}, phrase.E("station.busy")
	}
	defer h.applying.Unlock()
	document, err := h.hidden.show(document)
	if err != nil {
		return api.Judgement{}, err
	}
	bp, problems := h.provedAs([]byte(document))
	j := api.Judgement{Good: bp != nil && !config.Fatal(problems)}
	j.Restart = j.Good && needsRestart(h.seen().bp, bp)
	j.Managed, problems = h.judgeManaged(document, problems)
	if j.Good {
		s := h.seen()
		s.bp = bp
		j.Rules, j.Plans = bp.rules(), s.plans()
	}
	for _, p := range problems {
		j.Problems = append(j.Problems, api.Wrong{Line: p.Line, Column: p.Col, Warning: p.Warning,
			Text: api.Text{Code: p.Message.Code, ZH: config.Hide(p.Message.In(phrase.ZH)), EN: config.Hide(p.Message.In(phrase.EN))}})
	}
	return j, nil
}

// Propose changes the document in a person's name.
func (h *House) Propose(ctx context.Context, p api.Proposal, who api.Who) (api.Revision, error) {
	if !h.applying.TryLock() {
		return api.Revision{}, phrase.E("station.busy")
	}
	defer h.applying.Unlock()
	s, err := h.adopted()
	if err != nil {
		return api.Revision{}, err
	}
	if p.Document, err = h.hidden.show(p.Document); err != nil {
		return api.Revision{}, err
	}
	c := revision.Change{Base: p.Base, Document: []byte(p.Document)}
	if p.Again > 0 {
		if c, err = s.Again(p.Again); err != nil {
			return api.Revision{}, err
		}
		c.Base = p.Base
	}
	c.By, c.Who, c.Why, c.Session, c.Within = revision.Page, who.Name, p.Why, p.Session, p.Within
	if c.Document, err = h.overriding(s, c.Document, p, who); err != nil {
		return api.Revision{}, err
	}
	if c.Restart, err = h.fits(c.Document); err != nil {
		return api.Revision{}, err
	}
	old := s.Newest().SHA256
	r, err := s.Propose(c)
	h.nudge()
	if err != nil {
		return api.Revision{}, err
	}
	api.NoteChange(ctx, old, r.SHA256)
	m := phrase.M("station.config_changed", "number", r.Number, "who", who.Name, "why", p.Why)
	if p.Within > 0 {
		m = phrase.M("station.config_tried", "number", r.Number, "who", who.Name, "why", p.Why, "within", p.Within.Round(time.Second))
	}
	h.record("config.changed", m, map[string]any{"revision": r.Number, "who": who.Name, "via": who.Via, "sha256": r.SHA256, "restart": c.Restart})
	h.guard.Go("keep", "taking over", guard.Once, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-time.After(answerFirst):
			h.takeOver()
		}
		return nil
	})
	return h.revisionOf(s, r), nil
}

// fits tells whether the box may take a document over, and whether it must begin anew for
// it, which it does not while a level stands.
func (h *House) fits(document []byte) (restart bool, err error) {
	bp, problems := h.provedAs(document)
	for _, p := range problems {
		if !p.Warning {
			return false, phrase.E("station.document_bad", "problem", phrase.Text{ZH: p.In(phrase.ZH), EN: p.In(phrase.EN)})
		}
	}
	now := h.seen()
	if bp.Doc.Site.Site.ID != now.bp.Doc.Site.Site.ID {
		return false, phrase.E("station.document_other", "id", bp.Doc.Site.Site.ID)
	}
	if restart = needsRestart(now.bp, bp); restart && now.worst > point.Calm {
		return true, phrase.E("station.document_level")
	}
	return restart, nil
}

// nudge has the keeper of revisions look anew.
func (h *House) nudge() {
	select {
	case h.revised <- struct{}{}:
	default:
	}
}

// runs tells whether the box has taken a revision over, its network too: a confirmation before
// that would prove nothing of how the box is reached.
func (h *House) runs(s *revision.Store, number int) bool {
	bp := h.seen().bp
	h.mu.RLock()
	done := h.networkDone
	h.mu.RUnlock()
	text, err := s.Text(number)
	return err == nil && bytes.Equal(text, bp.Doc.Source) && reflect.DeepEqual(done, bp.network())
}

// Confirm lets a revision on trial stay, once the box runs with it.
func (h *House) Confirm(number int, session string, who api.Who) error {
	s, err := h.revisionsNow()
	if err != nil {
		return err
	}
	if t, on := s.Due(); on && t.Number == number && !h.runs(s, number) {
		return phrase.E("revision.early", "number", number)
	}
	if err := s.Confirm(number, session); err != nil {
		return err
	}
	h.nudge()
	h.record("config.confirmed", phrase.M("station.config_confirmed", "number", number, "who", who.Name), map[string]any{"revision": number, "who": who.Name, "via": who.Via})
	return nil
}

// TakeBack ends a trial before its time.
func (h *House) TakeBack(number int, who api.Who) (api.Revision, error) {
	s, err := h.revisionsNow()
	if err != nil {
		return api.Revision{}, err
	}
	r, err := s.Back(number)
	if err != nil {
		return api.Revision{}, err
	}
	h.nudge()
	h.record("config.undone", phrase.M("station.config_undone", "number", number, "to", r.Number, "who", who.Name), map[string]any{"revision": number, "now": r.Number, "who": who.Name, "via": who.Via})
	h.takeOver()
	return h.revisionOf(s, r), nil
}
