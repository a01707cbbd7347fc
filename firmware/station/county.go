package station

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/decide/intake"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/order"
)

// county takes what comes from outside. One goroutine verifies, keeps the book and
// tells the alarm path what stands; whoever hands something in waits for it, and
// what is worse goes first.
type county struct {
	h     *House
	queue *intake.Queue
	acts  chan func()

	// Owned by its goroutine.
	bp        *Blueprint
	reader    *alert.Reader
	book      *book.Book
	restored  bool
	behind    bool // the alarm path does not yet know what stands
	commands  *command.Verifier
	stand     []commanded
	ordered   bool // nor what commands hold up
	documents documents

	lifted  map[string]lift // not yet told to the alarm path
	unsaid  []book.Change   // nor these notices and drills
	unshown bool            // what the page may see is not rendered yet

	mu    sync.RWMutex
	shown []api.Alert
	named map[string]*alert.Opened // by chain
}

// keyAlert begins the journal's names of the book's entries.
const keyAlert = "alert/"

// bookOpts are the site's bounds of the book.
func bookOpts(bp *Blueprint) book.Opts {
	o, a := book.DefaultOpts(), bp.Doc.Site.Alerts
	if d := a.Longest.Duration(); d > 0 {
		o.Missing = point.Span(d)
	}
	if d := a.Early.Duration(); d > 0 {
		o.Tolerance = point.Span(d)
	}
	o.MayEnd = book.Amends(bp.Trust)
	return o
}

// readerOf reads alerts by a site's tables and trust.
func readerOf(bp *Blueprint) *alert.Reader {
	s := bp.Doc.Site
	here := alert.Place{Code: s.Site.ID, Also: s.Alerts.Also}
	if len(s.Site.At) == 2 {
		here.Lat, here.Lon = s.Site.At[0], s.Site.At[1]
	}
	return &alert.Reader{Trust: bp.Trust, Tables: bp.Alerts, Here: here}
}

func newCounty(h *House) *county {
	return &county{h: h, bp: h.bp, reader: readerOf(h.bp), book: book.New(bookOpts(h.bp)), queue: intake.New(queueOpts, h.clock), acts: make(chan func(), 8), lifted: map[string]lift{}, named: map[string]*alert.Opened{}, commands: commandsOf(h.bp, newCounters())}
}

// The classes of ways, each with its share of the queue: what a person hands in goes
// before what is fetched, among equals.
const (
	wayHand = "hand"
	wayFeed = "feed"
	wayFile = "file"
	wayAir  = "air"
	wayNet  = "net"
)

var queueOpts = func() intake.Opts {
	o := intake.DefaultOpts()
	ways := []string{wayFeed, wayFile, wayAir, wayNet, wayHand}
	for rank, name := range ways {
		o.Ways = append(o.Ways, intake.Way{Name: name, Rank: rank, Entries: o.Entries / len(ways), Bytes: o.Bytes / len(ways)})
	}
	return o
}()

// job is one message on its way through the queue, and the answer to it.
type job struct {
	way     string   // as it is told: the name of a feed, a folder
	only    []string // issuers that may come by it; none: any
	command bool
	compact bool // 78 bytes of a narrow link
	talk    *offer

	verdict   api.Verdict
	taken     bool // into the book: what is trusted may still be refused there
	commanded api.CommandVerdict
	// then is what whoever brought it does about it, not the county's goroutine.
	then func(context.Context) (phrase.Message, error)
}

// run is the county's goroutine.
func (c *county) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	c.restore()
	for {
		// One at a time, so that neither time nor another's question waits behind a
		// flood.
		if it := c.queue.TryNext(); it != nil {
			c.judge(it)
			select {
			case f := <-c.acts:
				f()
			case <-tick.C:
				c.pass()
			default:
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-c.acts:
			f()
		case <-tick.C:
			c.pass()
		case <-c.queue.Wake():
		}
	}
}

// pass is a second that passes.
func (c *county) pass() {
	c.restore()
	c.due()
}

// due lets time pass.
func (c *county) due() {
	now, floor := c.now()
	c.carry(c.book.Due(now, floor), now)
	c.expireOrders(now, floor)
}

// judge verifies one message and acts on it. Whoever brought it gets an answer also
// where that ends in a panic, which the guard reports: a way must not wait for ever.
func (c *county) judge(it *intake.Item) {
	err, believed := error(phrase.E("station.judge_failed")), false
	defer func() { it.Done(err, believed) }()
	j := it.Tag.(*job)
	c.restore() // by what was kept it may have been obeyed before
	if j.command {
		believed = c.command(it.Bytes, j)
	} else {
		believed = c.alert(it.Bytes, j)
	}
	err = nil
}

// alert verifies one and brings it into the book; false where it is not what it claims.
func (c *county) alert(raw []byte, j *job) bool {
	now, floor := c.now()
	o := c.open(raw, j, now, floor)
	changes := c.book.Take(o, j.way, now, floor)
	c.carry(changes, now)
	last := changes[len(changes)-1]
	j.verdict, j.taken = c.bp.verdict(o, changes), o.Trusted && last.Kind != book.Refused
	c.h.herald.answer(o, last)
	return o.Trusted
}

// bring hands a message to the queue and waits for its answer.
func (c *county) bring(ctx context.Context, raw []byte, class string, j *job) error {
	level := intake.Claim(raw)
	if j.command {
		level = queueOpts.Top
	}
	err := c.queue.TakeFor(ctx, raw, class, level, j)
	if _, later := intake.RetryAfter(err); later {
		return fmt.Errorf("%w: %w", api.ErrBusy, err)
	}
	if err == nil && j.then != nil {
		c.follow(ctx, j)
	}
	return err
}

// follow does what is left to do about a command, and tells what came of it.
func (c *county) follow(ctx context.Context, j *job) {
	what, err := j.then(ctx)
	if err != nil {
		j.commanded.Accepted = false
		c.commandRefused(&command.Refusal{Stage: command.Bounds, Path: "/payload/content", ID: j.commanded.ID, Err: asPhrase(err)}, j, c.h.clock.Now())
		return
	}
	j.commanded.Outcome = c.h.seen().bp.textOf(what)
}

func (c *county) now() (clock.Stamp, time.Time) { return c.h.clock.Now(), c.h.clock.Floor() }

// restore takes back what the journal kept, once it has loaded.
func (c *county) restore() {
	if c.restored || !c.h.loaded() {
		return
	}
	c.restored = true
	c.recallOrders()
	c.ordered = true
	c.anew()
	now, floor := c.now()
	c.expireOrders(now, floor)
}

// anew fills a new book with all that the journal knows: also what came before a slow
// disk had loaded, since values that were set then win over what was loaded.
func (c *county) anew() {
	now, floor := c.now()
	c.book, c.behind = book.New(bookOpts(c.bp)), true
	if err := c.book.Restore(c.h.keptAlerts(), now); err != nil {
		c.h.unreadable("alerts", err)
	}
	list := c.book.List()
	maps.Copy(c.lifted, c.liftedBy(list, called(list)))
	for _, e := range list {
		if e.Sounds() {
			c.names(e)
		}
	}
	c.unshown = true
	c.carry(c.book.Due(now, floor), now)
}

// do runs f on the county's goroutine and waits for it.
func (c *county) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case c.acts <- func() { defer close(done); f() }:
	case <-ctx.Done():
		return phrase.Wrap(ctx.Err(), "station.busy")
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return phrase.Wrap(ctx.Err(), "station.busy")
	}
}

// open reads and verifies, and holds a way to the issuers that may come by it.
func (c *county) open(raw []byte, j *job, now clock.Stamp, floor time.Time) *alert.Opened {
	var o *alert.Opened
	path := "/alert/Signature"
	if j.compact {
		path = "/"
		r := &compact.Reader{Alerts: c.reader, Tables: c.bp.Compact, Zone: siteZone()}
		o = r.Open(raw, compact.When{Now: now.Wall, Trusted: now.Trust > clock.Free, Floor: floor})
		o.Findings = append(o.Findings, c.unspoken(o.Action)...)
	} else {
		o = c.reader.Open(raw)
	}
	if o.Trusted && len(j.only) > 0 && !slices.Contains(j.only, o.Issuer.ID) {
		o.Trusted = false
		o.Findings = append(o.Findings, alert.Finding{Path: path, Part: alert.Trusted, Fatal: true,
			What: phrase.M("station.wrong_way", "issuer", o.Issuer.ID, "issuers", strings.Join(j.only, "、"))})
	}
	o.Twin = c.twin(o)
	return o
}

// carry brings changes to the alarm path first, then to the journal.
func (c *county) carry(changes []book.Change, now clock.Stamp) {
	var recs []journal.Record
	for _, ch := range changes {
		if ch.Kind == book.Began || ch.Kind == book.Replaced || ch.Kind == book.Ended || lifts(ch) {
			c.behind = true
		}
	}
	if c.behind {
		c.tell(changes)
	}
	for _, ch := range changes {
		if r, ok := alertRecord(ch, now); ok {
			recs = append(recs, r)
		}
	}
	state := map[string][]byte{}
	for id, b := range c.book.Dirty() {
		state[keyAlert+id] = b
	}
	if len(recs) > 0 || len(state) > 0 {
		c.h.journal.Commit(journal.Batch{Records: recs, State: state})
	}
	if len(changes) > 0 {
		c.unshown = true
	}
}

// lifts tells whether a change is a warning's cancel: also one that comes late, when
// what it cancels has run out here and waits for a person's all-clear.
func lifts(ch book.Change) bool {
	return ch.Entry.State == book.Cancelled && (ch.Kind == book.Ended || ch.Kind == book.Kept)
}

// tell gives the alarm path what stands now. Where it could not be told in time it
// is told again with the next tick.
func (c *county) tell(changes []book.Change) {
	list := c.book.List()
	names := called(list)
	stand := c.standing(c.book.Sounding(), names)
	if slices.ContainsFunc(changes, lifts) {
		maps.Copy(c.lifted, c.liftedBy(list, names))
	}
	for _, ch := range changes {
		if ch.Kind == book.Began || ch.Kind == book.Replaced {
			c.names(ch.Entry)
		}
	}
	for _, ch := range changes {
		if (ch.Kind == book.Began || ch.Kind == book.Replaced) && ch.Entry.Sounds() && c.level(ch.Entry) == point.Calm && len(c.unsaid) < unsaidMost && !inOtherForm(list, ch.Entry) {
			c.unsaid = append(c.unsaid, ch)
		}
	}
	said := slices.Clone(c.unsaid)
	now := c.h.clock.Now()
	err := c.h.do(func() {
		c.h.speakable(stand)
		c.h.warn(warnedByAlert, stand, c.lifted)
		for _, ch := range said {
			c.say(ch, now)
		}
	})
	c.behind = err != nil
	if err != nil {
		c.h.log.Error("the alarm path does not know of a warning yet", "err", err)
		c.lifted = maps.Clone(c.lifted) // the alarm path may still read the old one
		return
	}
	c.lifted, c.unsaid = map[string]lift{}, nil
}

// unsaidMost bounds the notices and drills that wait for a busy alarm path.
const unsaidMost = 16

// warnedByAlert begins the hazards of alerts.
const warnedByAlert = alarm.WarnedPrefix

// level is what an entry raises here: real warnings with a level that the site has.
func (c *county) level(e book.Entry) point.Level {
	if e.Action.Kind != order.Real.String() || e.Action.Level == "" {
		return point.Calm
	}
	l, ok := c.bp.Levels.Level(e.Action.Level)
	if !ok { // proved at the start; a table that has changed since must not silence it
		return point.Level(len(c.bp.Levels.Codes()))
	}
	return l
}

// warningsStand is how many warnings the alarm path is told of: the worst of them, the
// oldest of equals. Whatever more there is asks for no more than they do.
const warningsStand = 64

// standing gives what raises a level now.
func (c *county) standing(sounding []book.Entry, names map[string]string) (stand []standing) {
	slices.SortFunc(sounding, func(x, y book.Entry) int {
		return cmp.Or(cmp.Compare(c.level(y), c.level(x)), x.Ref.Sent.Compare(y.Ref.Sent), strings.Compare(x.ID, y.ID))
	})
	seen := map[string]bool{}
	for _, e := range sounding {
		hazard, l := alarmOf(e.Chain, names), c.level(e)
		if !e.Sounds() || l == point.Calm || seen[hazard] {
			continue
		}
		if seen[hazard] = true; len(stand) == warningsStand {
			break
		}
		stand = append(stand, standing{hazard: hazard, level: l, name: nameOf(e), why: whyOf(c.bp, e), who: c.whoOf(e), clips: c.speech(e.Action), disowned: !c.bp.Trust.StandsBy(e.Issuer, e.Key, e.Ref.Sent)})
	}
	return stand
}

// liftedBy gives by whose word the chains of a list ended. The newest of a chain says
// how: what ran out was not lifted, though an earlier message of it had been.
func (c *county) liftedBy(list []book.Entry, names map[string]string) map[string]lift {
	lifted, ended, byID := map[string]lift{}, map[string]bool{}, map[string]book.Entry{}
	for _, e := range list {
		byID[e.ID] = e
	}
	for _, e := range list { // the newest of what has ended first
		if !e.State.Over() || ended[e.Chain] {
			continue
		}
		if ended[e.Chain] = true; e.State != book.Cancelled {
			continue
		}
		by, known := byID[e.By]
		if !known { // the cancel was forgotten since
			by = e
			by.Note = ""
		}
		lifted[alarmOf(e.Chain, names)] = lift{c.whoOf(by), api.Clean(by.Note, 300)}
	}
	return lifted
}

// say says what raises no level: a notice unless it is night, a drill, a test. On
// the decide goroutine.
func (c *county) say(ch book.Change, now clock.Stamp) {
	e := ch.Entry
	kind := order.Real
	switch e.Action.Kind {
	case "drill":
		kind = order.Drill
	case "test":
		kind = order.Test
	}
	if kind == order.Real && now.Trust > clock.Free && quietAt(c.h.bp.Doc.Site.Alerts.Quiet, now.Wall) {
		c.h.write(journal.Record{Kind: "alert.quiet", Cause: "w-" + e.Chain, At: now, Message: phrase.M("station.alert_quiet", "headline", nameOf(e))}, nil)
		return
	}
	o := oncePlan{cause: "w-" + e.Chain, kind: kind, src: order.Alert, who: c.whoOf(e), why: whyOf(c.h.bp, e), clips: c.speech(e.Action)}
	err := c.h.once(o)
	if err != nil && len(o.clips) > 0 {
		c.h.log.Warn("a warning's own words may not be said; the plan's are", "err", err)
		o.clips = nil
		err = c.h.once(o)
	}
	if err != nil {
		c.h.log.Warn("a warning is shown and not spoken", "err", err)
	}
}

func (c *county) whoOf(e book.Entry) order.Who {
	name := e.Issuer
	if i, ok := c.bp.Trust.Issuer(e.Issuer); ok && i.Name.ZH != "" {
		name = i.Name.ZH
	}
	return order.Who{Name: name, Via: "alert"}
}

// textOf gives the block that a reader of a language wants, the first where there is
// none in it.
func textOf(e book.Entry, lang string) book.Text {
	for _, t := range e.Texts {
		if strings.HasPrefix(strings.ToLower(t.Language), lang) {
			return t
		}
	}
	if len(e.Texts) > 0 {
		return e.Texts[0]
	}
	return book.Text{}
}

// nameOf names a warning: by its headline, else by its event.
func nameOf(e book.Entry) phrase.Text {
	name := func(lang string) string {
		t := textOf(e, lang)
		for _, s := range []string{t.Headline, t.Event, e.Ref.Identifier} {
			if s = api.Clean(s, 80); s != "" {
				return s
			}
		}
		return ""
	}
	return phrase.Text{ZH: name("zh"), EN: name("en")}
}

// whyOf says who warns of what.
func whyOf(bp *Blueprint, e book.Entry) phrase.Message {
	from := phrase.Text{ZH: api.Clean(textOf(e, "zh").SenderName, 60), EN: api.Clean(textOf(e, "en").SenderName, 60)}
	if i, ok := bp.Trust.Issuer(e.Issuer); ok && from.ZH == "" {
		from = named(i.Name, e.Issuer)
	}
	return phrase.M("station.warned_by", "from", from, "headline", nameOf(e))
}

// alertRecord writes a change into the journal. Copies of what is known, and what is for
// elsewhere, are in the book alone.
func alertRecord(ch book.Change, now clock.Stamp) (journal.Record, bool) {
	if ch.Kind == book.Duplicate || ch.Kind == book.Kept && !ch.Entry.Concerns {
		return journal.Record{}, false
	}
	r := journal.Record{Kind: "alert." + string(ch.Kind), At: now, Body: bodyOf(ch), Message: outcomeOf(ch)}
	if ch.Chain != "" {
		r.Cause = "w-" + ch.Chain
	}
	return r, true
}

// reload takes over a site's file that has changed.
func (c *county) reload(bp *Blueprint) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := c.do(ctx, func() {
		c.bp, c.reader, c.commands = bp, readerOf(bp), commandsOf(bp, c.commands.Counters)
		c.ordered = true
		c.anew()
	})
	if err != nil {
		c.h.log.Error("warnings go on by the old file", "err", err)
	}
}

// namesMost bounds the warnings whose senders are told of their soundings.
const namesMost = 256

// names keeps what names a message, for an answer to its sender.
func (c *county) names(e book.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.named) >= namesMost {
		clear(c.named)
	}
	c.named[e.Chain] = &alert.Opened{Alert: &alert.Alert{Identifier: e.Ref.Identifier, Sender: e.Ref.Sender, Sent: e.Ref.Sent, Status: e.Status}}
}

// opened gives what names the message that a chain is at now; nil where it is not
// known any more.
func (c *county) opened(chain string) *alert.Opened {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.named[chain]
}
