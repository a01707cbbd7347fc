package station

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/config/managed"
	"tocsin/firmware/keep/config/revision"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/account"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/audit"
)

// What of a document is the county's, and what people here put in its place for a while: the
// house holds proposals against it, lets overrides fall back at their end, and tells the county of
// both by its outbox.

const (
	managedTable  = "managed.yaml"
	overridesLook = 2 * time.Second
	overridesKept = time.Minute
	overrideAgain = 10 * time.Second
	// keyOverrides is the journal's name of how long overrides have stood.
	keyOverrides = "config/overrides"
	// overridesUnsaid bounds what waits for the county's secret to be read.
	overridesUnsaid = 32
)

// proveManaged holds what a document marks as the county's against bounds.
func (p *prover) proveManaged() {
	var t struct {
		Version  int `yaml:"version"`
		Override struct {
			Least config.Span `yaml:"least"`
			Most  config.Span `yaml:"most"`
		} `yaml:"override"`
	}
	b, err := fs.ReadFile(p.fsys, managedTable)
	if err == nil {
		err = yaml.UnmarshalWithOptions(b, &t, yaml.Strict())
	}
	if err == nil && (t.Version != 1 || t.Override.Most.Duration() < t.Override.Least.Duration() || t.Override.Least.Duration() <= 0) {
		err = errors.New("version: 1, override: {least, most}")
	}
	if err != nil {
		p.problem(phrase.M("managed.rules", "detail", err), "managed")
		return
	}
	p.bp.Managed = managed.Rules{Least: t.Override.Least.Duration(), Most: t.Override.Most.Duration()}
	if m := p.site.Managed; m != nil {
		if err := managed.Good(m, p.bp.Managed); err != nil {
			p.problem(phrase.Of(err), "managed")
		}
	}
}

func nameOfManager(m *config.Managed) phrase.Text { return named(m.By, m.By.EN) }

// managerOf gives whose a place is, or what of it is; nil where it is the site's own.
func (bp *Blueprint) managerOf(path string) *api.Text {
	m := bp.Doc.Site.Managed
	if m == nil {
		return nil
	}
	for _, p := range m.Paths {
		if p == path || strings.HasPrefix(path, p+"/") || strings.HasPrefix(p, path+"/") {
			n := words(nameOfManager(m), "")
			return &n
		}
	}
	return nil
}

// managedView is what of the document in force is the county's.
func (h *House) managedView(s *revision.Store) *api.ManagedView {
	bp := h.seen().bp
	m := bp.Doc.Site.Managed
	if d, _ := config.Parse("", h.inForce(s)); d != nil { // the house may just be taking it over
		m = d.Site.Managed
	}
	if m == nil {
		return nil
	}
	v := &api.ManagedView{By: words(nameOfManager(m), ""), Since: m.Since, Least: bp.Managed.Least, Most: bp.Managed.Most, Settings: []api.ManagedSetting{}, Overrides: []api.Overridden{}}
	for _, r := range slices.Backward(s.All()) {
		if r.By == revision.County {
			v.Revision = r.Number
			break
		}
	}
	for _, p := range m.Paths {
		v.Settings = append(v.Settings, api.ManagedSetting{Path: p})
	}
	now := h.clock.Now()
	h.overridden.mu.Lock()
	defer h.overridden.mu.Unlock()
	for i, o := range m.Overrides {
		if s, ok := o.County.(string); ok {
			o.County = h.hidden.hide(s)
		}
		v.Overrides = append(v.Overrides, api.Overridden{Path: o.Path, Index: i, County: o.County, Who: o.Who, Why: o.Why, From: o.From.Time, Until: o.Until.Time, Left: h.overridden.watch.Left(o, now)})
	}
	return v
}

// placeOf is a pointer as a document's places are told.
func placeOf(pointer string) (path []any) {
	for _, x := range strings.Split(pointer[1:], "/") {
		if n, err := strconv.Atoi(x); err == nil {
			path = append(path, n)
		} else {
			path = append(path, x)
		}
	}
	return path
}

// inForce is the document that a proposal is held against: the file as it lies there, or what
// the box runs with where nobody can read that.
func (h *House) inForce(s *revision.Store) []byte {
	b, err := s.Text(s.Newest().Number)
	if err == nil {
		if d, _ := config.Parse("", b); d != nil {
			return b
		}
	}
	return h.seen().bp.Doc.Source
}

// judgeManaged tells what of the county's a document changes, beside its problems.
func (h *House) judgeManaged(document string, problems []config.Problem) (out []api.ManagedSetting, all []config.Problem) {
	s, err := h.revisionsNow()
	if err != nil || config.Fatal(problems) {
		return nil, problems
	}
	cs, err := managed.Conflicts(h.inForce(s), []byte(document))
	if err != nil {
		return nil, append(problems, config.Problem{Message: phrase.Of(err)})
	}
	doc, _ := config.Parse("", []byte(document))
	for _, c := range cs {
		out = append(out, api.ManagedSetting{Path: c.Path})
		problems = append(problems, doc.Warn(phrase.M("managed.changes", "path", c.Path, "by", nameOfManager(doc.Site.Managed)), placeOf(c.Path)...))
	}
	return out, problems
}

// overriding holds a proposal against what is the county's, and writes its overrides.
func (h *House) overriding(s *revision.Store, document []byte, p api.Proposal, who api.Who) ([]byte, error) {
	bp, now := h.seen().bp, h.clock.Now()
	d, _ := config.Parse("", document)
	if d == nil {
		return document, nil // whoever proves it says what is wrong
	}
	if managed.Over(d.Site.Managed, now, h.clock.Floor()) {
		return nil, phrase.E("managed.over")
	}
	base := h.inForce(s)
	cs, err := managed.Conflicts(base, document)
	if err != nil {
		return nil, err
	}
	switch rules := bp.Managed; {
	case len(cs) == 0 && p.Override > 0:
		return nil, phrase.E("managed.none")
	case len(cs) == 0:
		return document, nil
	case p.Override == 0:
		return nil, phrase.E("managed.refused", "path", cs[0].Path, "by", nameOfManager(d.Site.Managed), "most", int(rules.Most.Hours()))
	case p.Override < rules.Least || p.Override > rules.Most:
		return nil, phrase.E("managed.lasts", "least", int(rules.Least.Minutes()), "most", int(rules.Most.Hours()))
	case p.Override <= p.Within:
		return nil, phrase.E("managed.trial")
	}
	return managed.Override(base, document, cs, who.Name, p.Why, now.Wall, p.Override)
}

// keepOverrides lets overrides fall back at their end, and tells who began and ended them.
func (h *House) keepOverrides(ctx context.Context) error {
	r := h.o.Revisions
	for _, ready := range []<-chan struct{}{r.ready, h.journal.Loaded()} {
		select {
		case <-ctx.Done():
			return nil
		case <-ready:
		}
	}
	x := &h.overridden
	if b, ok := h.journal.Get(keyOverrides); ok {
		x.mu.Lock()
		x.watch.Restore(b)
		x.mu.Unlock()
	}
	var kept, again time.Duration
	t := time.NewTicker(overridesLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		now, m := h.clock.Now(), h.seen().bp.Doc.Site.Managed
		x.mu.Lock()
		over := x.watch.Look(m, now, h.clock.Floor())
		begun, ended, snapshot := x.watch.Begun, x.watch.Ended, x.watch.Snapshot()
		x.mu.Unlock()
		state := map[string][]byte{keyOverrides: snapshot}
		for _, o := range begun {
			h.setFault("managed "+o.Path, h.overrideStands(o))
			h.tellOverride("config.override", o.Path, o.Who, phrase.M("managed.overridden", "who", o.Who, "path", o.Path, "until", h.untilText(o), "why", o.Why), now, state)
		}
		for _, path := range ended {
			h.clearFault("managed " + path)
			h.tellOverride("config.override_ended", path, "", x.why(path), now, state)
		}
		if len(begun)+len(ended) > 0 || m != nil && len(m.Overrides) > 0 && now.Mono-kept >= overridesKept {
			kept = now.Mono
			h.journal.Put(keyOverrides, snapshot)
		}
		for _, o := range overridesOf(m) { // also after a restart
			h.setFault("managed "+o.Path, h.overrideStands(o))
		}
		h.sayOverrides(now)
		if len(over) == 0 || now.Mono < again {
			continue
		}
		again = now.Mono + overrideAgain
		if err := h.fallBack(m, over); err != nil {
			h.setFault("overrides", phrase.M("managed.stuck", "why", phrase.Of(err)))
			continue
		}
		h.clearFault("overrides")
	}
}

func overridesOf(m *config.Managed) []config.Override {
	if m == nil {
		return nil
	}
	return m.Overrides
}

func (h *House) untilText(o config.Override) string {
	return o.Until.In(siteZone()).Format("2006-01-02 15:04")
}

func (h *House) overrideStands(o config.Override) phrase.Message {
	return phrase.M("managed.stands", "path", o.Path, "until", h.untilText(o), "who", o.Who, "why", o.Why)
}

// fallBack brings the county's values back in the document in force, of the overrides of m that are over.
func (h *House) fallBack(m *config.Managed, over []int) error {
	if !h.applying.TryLock() {
		return phrase.E("station.busy")
	}
	defer h.applying.Unlock()
	s, err := h.adopted()
	if err != nil {
		return err
	}
	was, err := s.Text(s.Newest().Number)
	if err != nil {
		return err
	}
	d, ps := config.Parse("", was)
	if d == nil {
		return &phrase.Error{Message: ps[0].Message}
	}
	all, wanted := overridesOf(d.Site.Managed), []int{}
	for _, i := range over { // the file may have changed since the house took it over
		for j, o := range all {
			if x := m.Overrides[i]; o.Path == x.Path && o.From.Equal(x.From.Time) {
				wanted = append(wanted, j)
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	document, err := managed.Lapse(was, wanted)
	if err != nil {
		return err
	}
	restart, err := h.fits(document)
	if err != nil {
		return err
	}
	r, err := s.Propose(revision.Change{Base: s.Newest().Number, Document: document, By: revision.Lapsed, Restart: restart})
	h.nudge()
	if err != nil {
		return err
	}
	for _, j := range wanted {
		o := all[j]
		why := phrase.M("managed.fell_back", "path", o.Path, "who", o.Who)
		h.overridden.ends(o.Path, why)
		h.record("config.lapsed", why, map[string]any{"revision": r.Number, "path": o.Path, "sha256": r.SHA256})
	}
	h.takeOver()
	return nil
}

// tellOverride keeps what happened to an override, and gives it to the county's outbox in one.
func (h *House) tellOverride(kind, path, who string, what phrase.Message, now clock.Stamp, state map[string][]byte) {
	h.audit.Note(audit.Entry{Op: kind, Status: 200, Via: "box", Who: who, Target: path})
	rec := journal.Record{Kind: kind, Message: what, At: now}
	batch := journal.Batch{Records: []journal.Record{rec}, State: state}
	if h.seen().bp.Doc.Site.County == nil {
		h.journal.Commit(batch)
		return
	}
	if !h.postSaid(what, nil, now, batch) {
		h.journal.Commit(batch)
		x := &h.overridden
		x.mu.Lock()
		if len(x.unsaid) < overridesUnsaid {
			x.unsaid = append(x.unsaid, what)
		}
		x.mu.Unlock()
	}
}

// sayOverrides tells the county what it could not be told while its secret was not read yet.
func (h *House) sayOverrides(now clock.Stamp) {
	x := &h.overridden
	for {
		x.mu.Lock()
		if len(x.unsaid) == 0 {
			x.mu.Unlock()
			return
		}
		what := x.unsaid[0]
		x.mu.Unlock()
		if !h.postSaid(what, nil, now, journal.Batch{}) {
			return
		}
		x.mu.Lock()
		x.unsaid = x.unsaid[1:]
		x.mu.Unlock()
	}
}

// postSaid puts a letter into the outbox that stays there until the county has it: how the box
// stands, with what has happened and why it is told. short is the same for a
// narrow link, by the letter's name; nil where it has none.
func (h *House) postSaid(what phrase.Message, short func(wire.Name) []byte, now clock.Stamp, batch journal.Batch) bool {
	if h.post.as() == nil {
		return false
	}
	name, ok := h.post.name()
	if !ok {
		return false
	}
	s := h.standing(now, len(h.seen().bp.Points), 0)
	said := account.TextOf(what.In(phrase.ZH), what.In(phrase.EN))
	s.Said = &said
	b, ok := h.post.envelope(name, wire.Envelope{Class: wire.Class(courier.Receipt), Created: max(0, now.Wall.UnixMilli()), Trust: wireTrust(now.Trust), Type: wire.TypeState, Content: s.Bytes()})
	if !ok {
		return false
	}
	for i := range batch.Records {
		batch.Records[i].Body = nameBody(name)
	}
	m := courier.Message{ID: name.String(), Class: courier.Receipt, Made: now, Payload: b}
	if short != nil {
		m.Short = short(name)
	}
	h.post.send(m, batch)
	return true
}

// overridesTold is what the county is told of overrides.
func (h *House) overridesTold() (out []account.Override) {
	for _, o := range overridesOf(h.seen().bp.Doc.Site.Managed) {
		why := account.TextOf(o.Why, o.Why)
		out = append(out, account.Override{Path: o.Path, Who: o.Who, Why: why.ZH, Until: o.Until.Unix()})
	}
	return out
}

// tellManagedByHand tells what of the county's a hand at the file has changed: who may write the
// file cannot be refused, but it does not go unsaid.
func (h *House) tellManagedByHand(number int) {
	s := h.o.Revisions.store
	now, err := s.Text(number)
	if err != nil {
		return
	}
	for _, r := range slices.Backward(s.All()) {
		if r.Number >= number {
			continue
		}
		was, err := s.Text(r.Number)
		if err != nil {
			return
		}
		d, _ := config.Parse("", was)
		cs, err := managed.Conflicts(was, now)
		if d == nil || d.Site.Managed == nil {
			return
		}
		path := "/managed"
		if err == nil && len(cs) == 0 {
			return
		} else if err == nil {
			path = cs[0].Path
		}
		h.tellOverride("config.managed_by_hand", path, "", phrase.M("managed.by_hand", "by", nameOfManager(d.Site.Managed), "path", path), h.clock.Now(), nil)
		return
	}
}
