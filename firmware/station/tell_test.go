package station

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/trust/xmldsig"
)

// officeSite is a site that tells a county and has nothing on any line: what is told is
// handed to it by the test.
const officeSite = `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
lines:
  field: {port: /dev/ttyS99}
devices:
  gas: {profile: generic-ch4-rs485, line: field, unit: 4}
outputs:
  siren: {kind: loudspeaker, file: out}
rules:
  gas:
    name: {zh: 甲烷, en: methane}
    set_by: {name: 台架, date: 2026-05-12}
    any_of: [{point: gas.ch4, prepare: 20 %LEL, evacuate: 40 %LEL, clear_below: 10 %LEL, for: 0s}]
plan: town
county: {number: 17, root: county.key}
page: {listen: "off"}
`

// ether is a link that keeps all that goes over it, and answers unless it is mute.
type ether struct {
	name string
	acks chan []courier.Ack
	mute bool

	mu    sync.Mutex
	parts []courier.Part
}

func newEther(name string) *ether { return &ether{name: name, acks: make(chan []courier.Ack, 64)} }

func (l *ether) Name() string                { return l.name }
func (l *ether) Limits() courier.Limits      { return courier.Limits{May: true} }
func (l *ether) Acks() <-chan []courier.Ack  { return l.acks }
func (l *ether) Probe(context.Context) error { return nil }
func (l *ether) Send(_ context.Context, p courier.Parcel) error {
	l.mu.Lock()
	l.parts = append(l.parts, p.Parts...)
	l.mu.Unlock()
	var acks []courier.Ack
	for _, x := range p.Parts {
		acks = append(acks, courier.Ack{ID: x.ID, Short: x.Short})
	}
	if !l.mute {
		l.acks <- acks
	}
	return nil
}

func (l *ether) all() []courier.Part {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.parts)
}

// deskBench is a house without anything but what tells others: a journal, a courier over links of the
// test, the herald.
type deskBench struct {
	*House
	t    *testing.T
	dir  string
	keys *wire.Keys
	end  func()
}

func openDesk(t *testing.T, dir string, links ...courier.Link) *deskBench {
	t.Helper()
	root := []byte(strings.Repeat("r", wire.RootSize))
	for name, text := range map[string]string{"site.yaml": officeSite, "plans/town.yaml": townPlan, "county.key": hex.EncodeToString(root)} {
		f := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o755), os.WriteFile(f, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	bp, ps := Load(filepath.Join(dir, "site.yaml"))
	if config.Fatal(ps) {
		t.Fatal(ps)
	}
	keys, err := wire.NewKeys(root, string(countyName(bp.Doc.Site)), 1)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, cancel := context.WithCancel(context.Background())
	h := &House{o: Opts{Data: dir}, log: log, bp: bp, alarms: alarm.New(), clock: clock.NewSystem(time.Time{}, clock.Set), faults: map[string]fault{}, noted: make(chan func(), 1024),
		acts: make(chan func(), 8), latest: map[point.ID]*spot{}}
	h.guard = guard.New(ctx, log, func(e guard.Event) { t.Errorf("%v", e) })
	// The journal ends after all that writes to it, as it does in a house.
	kept, closed := context.WithCancel(context.Background())
	keeper := guard.New(kept, log, func(e guard.Event) { t.Errorf("%v", e) })
	h.journal, err = journal.Open(dir, journal.Opts{Guard: keeper, Clock: h.clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	<-h.journal.Loaded()
	h.county, h.herald, h.post = newCounty(h), newHerald(h), newPost(h)
	h.tally = newTally(h)
	h.post.onDelivered(h.delivered)
	h.desk = order.NewDesk(bp.Bounds, h.clock, func(order.Event) {})
	h.recalls = true
	h.begun = h.clock.Now()
	h.show()
	h.guard.Go("keep", "notes", guard.Restart, h.notes)
	h.guard.Go("reach", "names", guard.Restart, func(ctx context.Context) error { return h.post.names.run(ctx, h.journal) })
	h.startIdentity()
	h.post.known(&reports{Station: countyName(bp.Doc.Site), Number: 17, Keys: keys, All: []*wire.Keys{keys}})
	rules, err := courier.LoadRules(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	if len(links) > 0 {
		c, err := courier.Open(courier.Opts{Guard: h.guard, Clock: h.clock, Keep: h.journal, Rules: rules, Links: links, Arrived: h.post.arrive})
		if err != nil {
			t.Fatal(err)
		}
		h.post.mu.Lock()
		h.post.courier = c
		h.post.mu.Unlock()
	}
	b := &deskBench{House: h, t: t, dir: dir, keys: keys}
	b.end = sync.OnceFunc(func() {
		cancel()
		if left := h.guard.Wait(patience); left != nil {
			t.Errorf("goroutines left: %v", left)
		}
		enough, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		if err := errors.Join(h.journal.Sync(enough), h.journal.Close()); err != nil {
			t.Error(err)
		}
		closed()
		if left := keeper.Wait(patience); left != nil {
			t.Errorf("the journal leaves %v", left)
		}
	})
	t.Cleanup(b.end)
	return b
}

func (b *deskBench) speaks() { b.guard.Go("station", "herald", guard.Restart, b.herald.run) }

func (b *deskBench) until(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("not in time: %s", what)
		}
	}
}

// settled waits until the herald has done all that it was handed.
func (b *deskBench) settled() {
	b.t.Helper()
	done := make(chan struct{})
	b.until("a herald that follows", func() bool { return b.herald.soon(func() { close(done) }) })
	<-done
}

// opened opens what came over a wide link, and holds it to its name and its seal.
func (b *deskBench) opened(p courier.Part) wire.Opened {
	b.t.Helper()
	o, err := wire.OpenEnvelope(p.Bytes, wire.ContentMost, []*wire.Keys{b.keys}, wire.Up)
	if err != nil || !o.Sealed || o.ID.Station != "441882103201" || o.Class != wire.Class(p.Class) {
		b.t.Fatalf("%s: %+v %v", p.ID, o.Envelope, err)
	}
	if n := (wire.Name{Outbox: uint32(o.ID.Boot), Seq: uint32(o.ID.Sequence)}); n.String() != p.ID {
		b.t.Fatalf("%s is sealed as %v", p.ID, n)
	}
	return o
}

func (b *deskBench) alarm(kind alarm.Kind, level string) alarm.Event {
	b.t.Helper()
	l := point.Calm
	if level != "" {
		var ok bool
		if l, ok = b.bp.Levels.Level(level); !ok {
			b.t.Fatal(level)
		}
	}
	now := b.clock.Now()
	return alarm.Event{Kind: kind, At: now, Alarm: alarm.Alarm{ID: "a-1", Hazard: "gas", Level: l, State: alarm.Raised, Raised: now, By: &alarm.Who{Name: "王"},
		Because: []phrase.Message{phrase.M("station.blind", "hazard", strings.Repeat("甲烷", 40))}}}
}

func TestARedAlarmGoesByEveryLinkInOneWithItsRecordAndAnEasedOneByOne(t *testing.T) {
	t.Parallel()
	fibre, beidou := newEther("fibre"), newEther("beidou")
	fibre.mute = true // it is accepted and dropped
	b := openDesk(t, t.TempDir(), fibre, beidou)
	b.speaks()
	b.herald.alarmed(b.alarm(alarm.EventRaised, "evacuate"))
	b.until("by both", func() bool { return len(fibre.all()) > 0 && len(beidou.all()) > 0 })
	wide, narrow := fibre.all()[0], beidou.all()[0]
	if wide.ID != narrow.ID || wide.Class != courier.Warning || wide.Short || !narrow.Short {
		t.Errorf("%+v %+v", wide, narrow)
	}
	o := b.opened(wide)
	doc, err := xmldsig.Parse(o.Content, xmldsig.DefaultLimits)
	if err != nil || o.Type != wire.TypeCAP {
		t.Fatal(o.Type, err)
	}
	if sigs := doc.Verify(nil, xmldsig.Options{}); len(sigs) != 1 || sigs[0].Err != nil {
		t.Errorf("%+v", sigs)
	}
	item, err := wire.ReadAlarm(narrow.Bytes)
	if err != nil || len(narrow.Bytes) > alarmBytes || item.Name.String() != narrow.ID || item.Event != wire.AlarmRaised || item.Hazard != "gas" || item.Rank != 2 || item.At == 0 ||
		item.Cause != causeDigest("a-1") || !strings.HasPrefix(item.Text, "全部测点") && !strings.Contains(item.Text, "甲烷") {
		t.Errorf("%+v %v", item, err)
	}
	// The record of what was told names the message that the county's receipt is of.
	b.until("a receipt in the journal", func() bool {
		sent, receipt := false, false
		for _, r := range b.journal.Recent(100) {
			var body struct{ Name string }
			sent = sent || r.Kind == "alert.sent" && r.Cause == "a-1" && json.Unmarshal(r.Body, &body) == nil && body.Name == wide.ID
			receipt = receipt || r.Kind == "receipt.county" && r.Cause == wide.ID
		}
		return sent && receipt
	})
	b.herald.alarmed(b.alarm(alarm.EventEased, "prepare"))
	b.herald.alarmed(b.alarm(alarm.EventReleased, ""))
	b.settled()
	classes := map[courier.Class]int{}
	b.until("eased and released", func() bool {
		clear(classes)
		for _, p := range append(fibre.all(), beidou.all()...) {
			classes[p.Class]++
		}
		return classes[courier.Alarm] >= 2
	})
	if classes[courier.Warning] != 2 {
		t.Errorf("%v", classes)
	}
}

func TestLevelsOfOtherColoursTakeTheCheapestLink(t *testing.T) {
	for colour, urgent := range map[string]bool{"red": true, "orange": true, "yellow": false, "blue": false, "": false} {
		if urgentColour(colour) != urgent {
			t.Errorf("%q on every link: %v", colour, !urgent)
		}
	}
	levels, err := plan.LoadLevels(configs.FS, "levels.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if urgentLevel(levels, point.Calm) || !urgentLevel(levels, 1) || !urgentLevel(levels, 2) {
		t.Error("by the shipped table prepare (orange) and evacuate (red) are urgent")
	}
}

// made gives an event of an output as the desk and the output would.
func (b *deskBench) made(action order.Action, cause string, state output.State, by output.Measure) output.Event {
	b.t.Helper()
	ask := order.Ask{Cause: cause, Kind: order.Real, Source: order.Alert, Action: action, Level: 2, Outputs: []string{"siren"}, Content: order.Content{Tone: "evacuate", Clips: []string{"evacuate"}},
		For: 10 * time.Second, Who: order.Who{Name: "县局", Via: "alert"}}
	if action == order.AllClear {
		ask.Level, ask.Content = 0, order.Content{Tone: "chime", Clips: []string{"all-clear"}}
	}
	o, err := b.desk.Make(ask)
	if err != nil {
		b.t.Fatal(err)
	}
	return output.Event{Cause: cause, OrderID: o.ID(), Order: o, Output: "siren", State: state, Measured: by, At: b.clock.Now()}
}

func TestAStageSaysNoMoreThanWasMeasured(t *testing.T) {
	t.Parallel()
	b := openDesk(t, t.TempDir())
	for _, c := range []struct {
		action order.Action
		state  output.State
		by     output.Measure
		want   wire.Progress
		says   bool
	}{
		{order.Sound, output.Ordered, "", wire.Progress{}, false},
		{order.Sound, output.Started, "", wire.Progress{Stage: wire.Sounding}, true},
		{order.Sound, output.Heard, output.Ear, wire.Progress{Stage: wire.Heard}, true},
		{order.Sound, output.Heard, output.Current, wire.Progress{Stage: wire.Heard}, true},
		{order.Sound, output.Finished, output.Unmeasured, wire.Progress{Stage: wire.Played}, true},
		{order.Sound, output.Finished, output.Current, wire.Progress{Stage: wire.Heard}, true},
		{order.Sound, output.Stopped, output.Unmeasured, wire.Progress{Stage: wire.Sounding}, true},
		{order.Sound, output.Stopped, output.Input, wire.Progress{Stage: wire.Heard}, true},
		{order.Sound, output.Failed, output.Unmeasured, wire.Progress{Stage: wire.Verified, Why: wire.WhyOutputs}, true},
		{order.AllClear, output.Heard, output.Ear, wire.Progress{}, false},
		{order.AllClear, output.Finished, output.Unmeasured, wire.Progress{}, false},
	} {
		if p, says := heardStage(b.made(c.action, "w-x", c.state, c.by)); p != c.want || says != c.says {
			t.Errorf("%v %s by %q: %+v %v", c.action, c.state, c.by, p, says)
		}
	}
	sounds := alert.Action{Sound: true, Kind: "real", Level: "evacuate", Colour: "red"}
	for name, c := range map[string]struct {
		e    book.Entry
		want wire.Progress
	}{
		"in force":   {book.Entry{State: book.InForce, Concerns: true, Action: sounds}, wire.Progress{Stage: wire.Verified}},
		"to come":    {book.Entry{State: book.Waiting, Concerns: true, Action: sounds}, wire.Progress{Stage: wire.Verified}},
		"shown only": {book.Entry{State: book.InForce, Concerns: true, Action: alert.Action{}}, wire.Progress{Stage: wire.Verified, Why: wire.WhySilent}},
		"run out":    {book.Entry{State: book.Expired, Concerns: true, Action: sounds}, wire.Progress{Stage: wire.Verified, Why: wire.WhyEnded}},
		"elsewhere":  {book.Entry{State: book.InForce, Action: sounds}, wire.Progress{Stage: wire.Verified, Why: wire.WhyElsewhere}},
		"a cancel":   {book.Entry{State: book.Noted, Concerns: true}, wire.Progress{Stage: wire.Verified}},
	} {
		if got := takenStage(book.Change{Entry: c.e}); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// county's warning as the book has it, known to the county's goroutine by its chain.
func (b *deskBench) warned(identifier, colour string) (*alert.Opened, book.Change) {
	ref := alert.Ref{Sender: "county@example", Identifier: identifier, Sent: time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)}
	o := &alert.Opened{Trusted: true, Concerns: true, Alert: &alert.Alert{Identifier: ref.Identifier, Sender: ref.Sender, Sent: ref.Sent, Status: "Actual", MsgType: "Alert"}}
	e := book.Entry{ID: identifier, Ref: ref, Chain: "c-" + identifier, State: book.InForce, MsgType: "Alert", Status: "Actual", Concerns: true, Action: alert.Action{Sound: true, Kind: "real", Level: "evacuate", Colour: colour}}
	b.county.names(e)
	return o, book.Change{Kind: book.Began, Chain: e.Chain, Entry: e}
}

// stages gives the stages that came by a narrow link, and whether each went everywhere.
func stagesOf(t *testing.T, l *ether, about wire.About) (all []wire.Progress) {
	t.Helper()
	for _, p := range l.all() {
		if p.Class != courier.Receipt {
			continue
		}
		a, rs, err := wire.ReadReceipts(p.Bytes)
		if err != nil || len(rs) != 1 || rs[0].Station != 17 {
			t.Fatalf("%+v %v", rs, err)
		}
		if a == about {
			all = append(all, rs[0].Progress)
		}
	}
	return all
}

func TestHowFarAWarningGotIsToldOnceAndOnlyRisesAlsoOverARestart(t *testing.T) {
	t.Parallel()
	dir, beidou := t.TempDir(), newEther("beidou")
	b := openDesk(t, dir, beidou)
	b.speaks()
	o, ch := b.warned("n1", "red")
	about, cause := wire.AboutAlert(ch.Entry.Ref.Key()), "w-"+ch.Chain
	b.herald.answer(o, ch)
	play := func(b *deskBench) {
		b.herald.heard(b.made(order.Sound, cause, output.Started, ""))
		b.herald.heard(b.made(order.Sound, cause, output.Finished, ""))
		b.herald.heard(b.made(order.Sound, cause, output.Heard, output.Current))
		b.herald.heard(b.made(order.Sound, cause, output.Failed, ""))
		b.herald.heard(b.made(order.AllClear, cause, output.Heard, output.Ear))
	}
	play(b)
	b.settled()
	e := b.alarm(alarm.EventAcknowledged, "evacuate")
	e.Alarm.Hazard = alarm.WarnedPrefix + ch.Chain
	b.herald.alarmed(e)
	b.settled()
	want := []wire.Stage{wire.Verified, wire.Sounding, wire.Played, wire.Heard, wire.Confirmed}
	// One slot a minute: most still wait in the outbox, each stage once.
	told := map[wire.Stage]int{}
	for _, l := range b.journal.Letters() {
		if courier.Class(l.Class) == courier.Receipt {
			_, rs, err := wire.ReadReceipts(l.Narrow)
			if err != nil {
				t.Fatal(err)
			}
			told[rs[0].Progress.Stage]++
		}
	}
	for _, p := range stagesOf(t, beidou, about) {
		if told[p.Stage] == 0 {
			told[p.Stage]++
		}
	}
	for _, s := range want {
		if told[s] != 1 {
			t.Errorf("stage %d was told %d times: %v", s, told[s], told)
		}
	}
	if len(told) != len(want) {
		t.Errorf("%v", told)
	}
	if err := b.journal.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(b.journal.Letters())
	b.end()

	b = openDesk(t, dir)
	b.speaks()
	b.warned("n1", "red")
	play(b)
	b.settled()
	if after := len(b.journal.Letters()); after > before {
		t.Errorf("%d messages wait after a restart, %d before", after, before)
	}
	if n := len(b.own.all); n != 5 {
		t.Errorf("%d signed answers; each outcome is told once", n)
	}
}

func TestAnswersAboutARedWarningGoByEveryLinkAndOthersWhenTheyMay(t *testing.T) {
	t.Parallel()
	fibre, beidou := newEther("fibre"), newEther("beidou")
	fibre.mute, beidou.mute = true, true
	b := openDesk(t, t.TempDir(), fibre, beidou)
	b.speaks()
	red, ch := b.warned("red", "red")
	b.herald.answer(red, ch)
	b.until("both links have it", func() bool { return len(fibre.all()) > 0 && len(beidou.all()) > 0 })
	o := b.opened(fibre.all()[0])
	if o.Type != wire.TypeCAP || len(o.Extensions) != 1 || o.Extensions[0].Type != wire.ExtensionReceipts || o.Extensions[0].Must {
		t.Fatalf("%d %+v", o.Type, o.Extensions)
	}
	about, rs, err := wire.ReadReceipts(o.Extensions[0].Bytes)
	if err != nil || about != wire.AboutAlert(ch.Entry.Ref.Key()) || rs[0].Progress != (wire.Progress{Stage: wire.Verified}) {
		t.Errorf("%+v %+v %v", about, rs, err)
	}
	if string(o.Extensions[0].Bytes) != string(beidou.all()[0].Bytes) {
		t.Error("the short form says something else than the extension")
	}
	// A compact warning is named as its signer names it.
	_, ch = b.warned("compact-3-20260601-5", "yellow")
	if a := aboutOf(ch.Entry.Ref); !a.Compact || a.Issuer != 3 || a.Number>>3&255 != 5 {
		t.Errorf("%+v", a)
	}
}

func TestAHeraldThatIsLostLosesNoAlarm(t *testing.T) {
	t.Parallel()
	b := openDesk(t, t.TempDir())
	_, ch := b.warned("n1", "red")
	e := b.made(order.Sound, "w-"+ch.Chain, output.Heard, output.Current)
	for i := range 3000 { // nobody takes it: the herald hangs
		e.Output = fmt.Sprint("o", i)
		b.herald.heard(e)
	}
	for i := range 500 {
		kind := alarm.EventEscalated
		if i == 0 {
			kind = alarm.EventRaised
		}
		x := b.alarm(kind, "evacuate")
		b.herald.alarmed(x)
		x.Alarm.ID, x.Kind = fmt.Sprint("b-", i), alarm.EventRaised
		b.herald.alarmed(x)
	}
	if n := len(b.herald.late["a-1"]); n != lateMost || len(b.herald.late) > lateAlarms {
		t.Errorf("%d changes of one alarm, of %d alarms wait", n, len(b.herald.late))
	}
	if b.herald.lost.Load() == 0 {
		t.Error("nothing was counted as lost")
	}
	b.speaks()
	b.until("how it began and how it stands are told", func() bool {
		var types []string
		for _, r := range b.journal.Recent(4000) {
			if r.Kind == "alert.sent" && r.Cause == "a-1" {
				types = append(types, fmt.Sprint(r.Message.Params["type"]))
			}
		}
		return slices.Contains(types, "Alert") && slices.Contains(types, "Update")
	})
	b.settled()
	if len(b.herald.told.all) > toldMost {
		t.Errorf("%d outcomes are remembered", len(b.herald.told.all))
	}
}

func TestWithoutTheCountysSecretItIsToldWhenThatIsThere(t *testing.T) {
	t.Parallel()
	fibre := newEther("fibre")
	b := openDesk(t, t.TempDir(), fibre)
	who := b.post.as()
	b.post.known(nil)
	b.speaks()
	e := b.alarm(alarm.EventRaised, "prepare")
	b.herald.alarmed(e)
	o, ch := b.warned("n1", "red")
	b.herald.answer(o, ch)
	b.settled()
	if len(fibre.all()) > 0 || len(b.own.all) != 2 {
		t.Fatalf("%d parts, %d own", len(fibre.all()), len(b.own.all))
	}
	b.post.known(who)
	b.herald.heard(b.made(order.Sound, "w-"+ch.Chain, output.Started, ""))
	b.standing(e.Alarm)
	if !b.herald.soon(b.herald.catchUp) { // a minute passes
		t.Fatal("no room")
	}
	b.until("the alarm and the stage", func() bool {
		classes := map[courier.Class]int{}
		for _, p := range fibre.all() {
			b.opened(p)
			classes[p.Class]++
		}
		return classes[courier.Warning] == 1 && classes[courier.Receipt] == 1
	})
}

// standing lets an alarm be seen to stand for a while.
func (b *deskBench) standing(all ...alarm.Alarm) {
	for i := range all {
		all[i].Changed = b.clock.Now().Add(-2 * catchAfter)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown.open, b.shown.ended = nil, nil
	for _, a := range all {
		if a.State == alarm.Released {
			b.shown.ended = append(b.shown.ended, a)
		} else {
			b.shown.open = append(b.shown.open, a)
		}
	}
}

func TestWhatAPowerCutKeptFromBeingToldIsToldAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openDesk(t, dir)
	b.speaks()
	told, gone := b.alarm(alarm.EventRaised, "prepare"), b.alarm(alarm.EventRaised, "prepare")
	gone.Alarm.ID = "a-gone"
	b.herald.alarmed(told)
	b.herald.alarmed(gone)
	b.settled()
	if err := b.journal.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.end()

	b = openDesk(t, dir)
	b.speaks()
	b.settled()
	lost, rose := b.alarm(alarm.EventRaised, "evacuate").Alarm, b.alarm(alarm.EventRaised, "evacuate").Alarm
	lost.ID = "a-lost" // the cut came between the alarm's record and the herald's
	released := gone.Alarm
	released.State, released.Level = alarm.Released, 0
	types := func() (all []string) {
		b.own.mu.RLock()
		defer b.own.mu.RUnlock()
		for _, m := range b.own.all {
			all = append(all, m.Cause+" "+m.Type)
		}
		return all
	}
	before := []string{"a-1 Alert", "a-gone Alert"}
	look := func(want []string, all ...alarm.Alarm) {
		t.Helper()
		b.standing(all...)
		for range 3 {
			done := make(chan struct{})
			if !b.herald.soon(func() { b.herald.catchUp(); close(done) }) {
				t.Fatal("no room")
			}
			<-done
		}
		if got := types(); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	look(before, told.Alarm, gone.Alarm)
	look(append(before, "a-1 Update", "a-lost Alert", "a-gone Cancel"), rose, lost, released)
	look(append(before, "a-1 Update", "a-lost Alert", "a-gone Cancel"), rose, lost, released)
}
