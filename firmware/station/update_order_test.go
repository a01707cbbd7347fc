package station

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/rollcall"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/hwtest/release"
)

func TestAnOrderIsCarriedOutOnlyForExactlyItsReleaseInItsTimeAndInCalm(t *testing.T) {
	at := time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)
	stamp := func(d time.Duration, trusted clock.Trust) clock.Stamp {
		return clock.Stamp{Mono: time.Hour + d, Wall: at.Add(d), Boot: "a", Trust: trusted}
	}
	o := updateOrder{Number: 13, Expires: at.Add(time.Hour), Came: stamp(0, clock.Set), Life: time.Hour, State: orderWaits, Why: phrase.M("update.level")}
	later := o
	later.NotBefore = at.Add(30 * time.Minute)
	r := func(n uint64) *update.Release { return &update.Release{Version: fmt.Sprint("1.", n), Number: n} }
	staged := update.State{Phase: update.Staged, Running: r(12), Next: r(13)}
	level := phrase.E("update.level")
	for name, c := range map[string]struct {
		o      updateOrder
		s      update.State
		barred error
		now    clock.Stamp
		floor  time.Time
		state  string
		code   string
	}{
		"it is here and all is calm":      {o, staged, nil, stamp(time.Minute, clock.Set), at, "", ""},
		"a level stands":                  {o, staged, level, stamp(time.Minute, clock.Set), at, orderWaits, "update.level"},
		"nothing is staged":               {o, update.State{Phase: update.Idle, Running: r(12)}, nil, stamp(0, clock.Set), at, orderWaits, "update.order_not_here"},
		"another is staged":               {o, update.State{Phase: update.Staged, Running: r(12), Next: r(14)}, nil, stamp(0, clock.Set), at, orderWaits, "update.order_other"},
		"an older one is staged":          {o, update.State{Phase: update.Staged, Running: r(11), Next: r(12)}, nil, stamp(0, clock.Set), at, orderWaits, "update.order_other"},
		"another is on trial":             {o, update.State{Phase: update.Trial, Running: r(12), Before: r(11)}, nil, stamp(0, clock.Set), at, orderWaits, "update.order_trial"},
		"it is on trial":                  {o, update.State{Phase: update.Trial, Running: r(13), Before: r(12)}, nil, stamp(0, clock.Set), at, orderDone, ""},
		"a newer one runs":                {o, update.State{Phase: update.Idle, Running: r(14)}, nil, stamp(0, clock.Set), at, orderDeclined, "update.order_older"},
		"it went back here":               {o, update.State{Phase: update.Idle, Running: r(12), Failed: r(13), Reason: phrase.M("update.tries", "tries", 3)}, nil, stamp(0, clock.Set), at, orderDeclined, "update.order_failed"},
		"its time is over":                {o, staged, nil, stamp(time.Hour, clock.Set), at, orderDeclined, "update.order_over"},
		"its time is over without clock":  {o, staged, nil, stamp(time.Hour, clock.Free), at, orderDeclined, "update.order_over"},
		"its end is known to be past":     {o, staged, nil, stamp(time.Minute, clock.Free), at.Add(2 * time.Hour), orderDeclined, "update.order_over"},
		"before its time":                 {later, staged, nil, stamp(29*time.Minute, clock.Set), at, orderWaits, "update.order_early"},
		"in its time":                     {later, staged, nil, stamp(30*time.Minute, clock.Set), at, "", ""},
		"in its time, as nobody knows":    {later, staged, nil, stamp(31*time.Minute, clock.Free), at, orderWaits, "update.order_early"},
		"in its time, as the floor knows": {later, staged, nil, stamp(31*time.Minute, clock.Free), at.Add(31 * time.Minute), "", ""},
	} {
		state, why := c.o.judge(c.s, c.barred, c.now, c.floor)
		if state != c.state || why.Code != c.code {
			t.Errorf("%s: %q %v", name, state, why)
		}
	}
}

func TestAnOrderIsKeptOverAStartAndTheNewestWins(t *testing.T) {
	dir := t.TempDir()
	h := modelHouse(t, dir)
	h.build()
	<-h.journal.Loaded()
	o := &updateOrder{Number: 13, Who: "县局 李", Came: h.clock.Now(), Life: time.Hour, Expires: time.Now().Add(time.Hour), State: orderWaits, Why: phrase.M("update.level")}
	if !h.putOrder(nil, o) {
		t.Fatal("not kept")
	}
	newer := *o
	newer.Number = 14
	if h.putOrder(nil, &newer) {
		t.Fatal("it took the place of another than it was told of")
	}
	h.updates.order.Store(nil)
	h.recallOrder()
	if got := h.updates.order.Load(); got == nil || got.Number != 13 || got.State != orderWaits || got.Why.Code != "update.level" {
		t.Fatalf("%+v", got)
	}
	// What came before the disk had loaded stays.
	h.updates.order.Store(&newer)
	if h.recallOrder(); h.updates.order.Load().Number != 14 {
		t.Fatal("an older order came back")
	}
	told := h.updates.order.Load().told()
	if told.By != "县局 李" || told.State != orderWaits || told.Code != "update.level" || told.Text.EN == "" || told.Text.EN == told.Text.ZH {
		t.Fatalf("%+v", told)
	}
}

// staged is an installer with a release that only waits to be started.
type staged struct {
	update.Installer
	number   uint64
	activate func() error
}

func (s staged) State() update.State {
	return update.State{Phase: update.Staged, Running: &update.Release{Version: "1", Number: 1}, Next: &update.Release{Version: "2", Number: s.number}}
}
func (s staged) Activate(time.Duration) error { return s.activate() }

func TestAnOrderThatIsWithdrawnIsNotCarriedOutAnyMore(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	<-h.journal.Loaded()
	h.show()
	o := &updateOrder{Number: 2, Who: "县局 李", Came: h.clock.Now(), Life: time.Hour, Expires: time.Now().Add(time.Hour), State: orderWaits}
	gone := &updateOrder{State: orderDeclined}
	begun := 0
	// Withdrawn before, and while the slot is read.
	for name, i := range map[string]staged{
		"before": {number: 2, activate: func() error { begun++; return nil }},
		"amid": {number: 2, activate: func() error {
			h.putOrder(o, gone)
			if err := h.mayActivate(); err != nil {
				return err
			}
			begun++
			return nil
		}},
	} {
		h.updates.order.Store(map[string]*updateOrder{"before": gone, "amid": o}[name])
		if err := h.activate(i, time.Hour, o.Who, o); phrase.Of(err).Code != "update.not_staged" || begun > 0 {
			t.Errorf("%s: %v, begun %d", name, err, begun)
		}
		if h.updates.order.Load() != gone {
			t.Errorf("%s: it came back", name)
		}
	}
}

func TestAnOrderThatCannotBeCarriedOutLeavesWhatWaitsWhoeverJudgesIt(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	<-h.journal.Loaded()
	waits := &updateOrder{Number: 3, Came: h.clock.Now(), Life: time.Hour, Expires: time.Now().Add(time.Hour), State: orderWaits, Why: phrase.M("update.level")}
	runs := &updateOrder{Number: 1, Came: h.clock.Now(), Life: time.Hour, Expires: time.Now().Add(time.Hour), State: orderWaits, fresh: true, was: waits}
	h.show()
	h.updates.order.Store(runs)
	i := staged{number: 2}
	h.updates.by, h.updates.ready = i, make(chan struct{})
	close(h.updates.ready)
	h.followOrder(i) // sooner than whoever brought it
	if h.updates.order.Load() != waits {
		t.Errorf("%+v", h.updates.order.Load())
	}
}

// Of two orders the later one counts, whichever comes first; within one second the key's own counter tells. One that
// came without a clock and that a clock shows to be of the future bars nothing.
func TestOfTwoOrdersTheLaterOneCountsAndNoneOfTheFutureBarsAnother(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	<-h.journal.Loaded()
	h.openAudit(t.Context())
	h.updates.by, h.updates.ready = staged{number: 2}, make(chan struct{})
	close(h.updates.ready)
	at := time.Now().Truncate(time.Second)
	stamp := func(trusted clock.Trust) clock.Stamp {
		return clock.Stamp{Mono: time.Hour, Wall: at, Boot: "a", Trust: trusted}
	}
	type given struct {
		key     trust.KeyID
		group   string
		counter uint64
		issued  time.Duration
		taken   bool
		trusted clock.Trust
	}
	const years = 10 * 365 * 24 * time.Hour
	for what, orders := range map[string][]given{
		"one after the other":                  {{"k", "g", 7, 0, true, clock.Set}, {"k", "g", 8, time.Second, true, clock.Set}},
		"the later first":                      {{"k", "g", 8, time.Second, true, clock.Set}, {"k", "g", 7, 0, false, clock.Set}},
		"in one second":                        {{"k", "g", 7, 0, true, clock.Set}, {"k", "g", 8, 0, true, clock.Set}},
		"in one second, the later first":       {{"k", "g", 8, 0, true, clock.Set}, {"k", "g", 7, 0, false, clock.Set}},
		"in one second, by two keys":           {{"k", "g", 8, 0, true, clock.Set}, {"l", "g", 7, 0, true, clock.Set}},
		"in one second, to two groups":         {{"k", "g", 8, 0, true, clock.Set}, {"k", "h", 7, 0, true, clock.Set}},
		"of the future, without a clock":       {{"k", "g", 8, years, true, clock.Free}, {"k", "g", 9, 0, false, clock.Free}},
		"of the future, then with a clock":     {{"k", "g", 8, years, true, clock.Free}, {"l", "g", 7, 0, true, clock.Set}, {"k", "g", 9, -time.Minute, false, clock.Set}},
		"ahead by no more than the tolerance":  {{"k", "g", 8, commandEarly, true, clock.Free}, {"k", "g", 9, 0, false, clock.Set}},
		"ahead by a little more, then a clock": {{"k", "g", 8, commandEarly + time.Second, true, clock.Free}, {"k", "g", 9, 0, true, clock.Held}},
	} {
		h.updates.order.Store(nil)
		for n, o := range orders {
			cmd := &command.Command{Payload: command.Payload{ID: "o", Key: o.key, Group: o.group, Counter: o.counter, Issued: at.Add(o.issued), Expires: at.Add(o.issued + time.Hour), Release: uint64(20 + n), Scope: command.Software},
				Issuer: &trust.Issuer{ID: "county"}}
			_, err := h.county.obeySoftware(cmd, order.Who{Name: "李"}, &job{}, stamp(o.trusted))
			if (err == nil) != o.taken || err != nil && phrase.Of(err).Code != "update.order_late" {
				t.Errorf("%s: order %d: %v", what, n, err)
			}
			if stands := h.updates.order.Load().Number == uint64(20+n); stands != o.taken {
				t.Errorf("%s: order %d stands: %v", what, n, stands)
			}
		}
	}
}

func TestOldOrdersThatArePlayedInTurnAreToldOfOnce(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	k, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	var raw [][]byte
	for n := range 2 {
		at := time.Now().Add(-time.Hour).Truncate(time.Second)
		b, err := command.Sign(command.Payload{ID: fmt.Sprint("old-", n), Group: "441881001001", Counter: uint64(n + 1), Issued: at, Expires: at.Add(time.Minute), Scope: command.Software, Person: "李", Release: 2}, k)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, b)
	}
	h.openAudit(t.Context())
	c, told := &county{h: h}, 0
	for n := range 20 {
		j := &job{}
		c.softwareRefused(raw[n%2], &command.Refusal{Stage: command.Expiry, Err: phrase.E("command.expired")}, j)
		if j.then != nil {
			told++
		}
	}
	if told != 2 {
		t.Errorf("two old orders were told of %d times", told)
	}
}

func TestNothingIsActivatedWhilePeopleAreToldOfADrill(t *testing.T) {
	x := &roll{}
	for _, c := range []struct {
		r    rollcall.RoundView
		want bool
	}{
		{rollcall.RoundView{Round: rollcall.Round{Drill: true}, Phase: rollcall.Calling}, true},
		{rollcall.RoundView{Round: rollcall.Round{Drill: true}, Phase: rollcall.Calling, Done: true}, false},
		{rollcall.RoundView{Round: rollcall.Round{Drill: true}, Phase: rollcall.Spent}, false},
		{rollcall.RoundView{Phase: rollcall.Calling}, false}, // a level stands, which bars by itself
	} {
		if x.view.Store(&[]rollcall.RoundView{c.r}); x.drills() != c.want {
			t.Errorf("%+v", c.r)
		}
	}
}

// releasing is a town with an installer, a county that may order its software, and the county's end of both links.
func releasing(t *testing.T) (w *linkedTown, county *desk, city *desk) {
	t.Helper()
	w = newLinkedTown(t)
	first, second := newOffice(t, w.town)
	k, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.write("city.pub", string(pub))
	w.text = strings.Replace(w.text, "volume, configuration], persons: {sound: 2}", "volume, configuration, software], persons: {software: 2}", 1)
	w.text = strings.Replace(w.text, "  groups:", cityIssuer, 1)
	w.write("site.yaml", w.text)
	w.write("telemetry.yaml", shipped(t, "telemetry.yaml", "least: 30s", "least: 1s"))
	w.bench = t.TempDir()
	if err := release.New(1).Trusted(w.bench); err != nil {
		t.Fatal(err)
	}
	return w, &desk{w: w.town, keys: []trust.Signer{first.key, second.key}}, &desk{w: w.town, keys: []trust.Signer{k}}
}

func (w *linkedTown) stage(number int, version string) {
	w.t.Helper()
	r, err := w.client().Post("http://edged/api/v1/update/file?who=tester", "application/octet-stream", strings.NewReader(string(release.New(1).File(number, version))))
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Body.Close(); r.StatusCode != http.StatusOK {
		w.t.Fatal(r.Status)
	}
}

// software is what the hub was told last of the town's software by the fibre.
func (w *linkedTown) software() (u wire.UpdateContent) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	var newest uint64
	for id, all := range w.hub.letters {
		n, named := wire.ParseName(id)
		e, err := wire.OpenEnvelope(all[0].Body, 1<<20, townKeys(w.t), wire.Up)
		if !named || err != nil || !e.Sealed || e.Type != wire.TypeState || uint64(n.Seq) < newest {
			continue
		}
		var s wire.StateContent
		if json.Unmarshal(e.Content, &s) == nil && s.Update != nil {
			newest, u = uint64(n.Seq), *s.Update
		}
	}
	return u
}

// order sends a signed order down by the fibre, and waits until it was judged.
func (w *linkedTown) order(b []byte) {
	w.t.Helper()
	id := fmt.Sprintf("o-%d", time.Now().UnixNano())
	w.hub.give(id, letter.Command, b)
	w.until("the order judged", func() bool { return w.hub.taken(id) })
}

func (w *linkedTown) runs() (u api.Update) {
	w.t.Helper()
	if err := w.get("/update", &u); err != nil {
		w.t.Fatal(err)
	}
	return u
}

// hears waits until the hub knows how the order for a release stands.
func (w *linkedTown) hears(number uint64, state, code string) wire.OrderContent {
	w.t.Helper()
	var o *wire.OrderContent
	w.until(fmt.Sprint("the county hears that ", number, " ", state, ": ", code), func() bool {
		o = w.software().Order
		return o != nil && o.Number == number && o.State == state && (code == "" || o.Code == code)
	})
	return *o
}

// An officer orders a release before it is here and while a level stands; the box is started anew in between.
func TestTheCountysOrderActivatesAReleaseInTheFirstCalmMoment(t *testing.T) {
	t.Parallel()
	w, county, _ := releasing(t)
	w.start()
	w.up("fibre")
	w.reserved()
	order := county.sign(command.Payload{Scope: command.Software, Release: 2, Expires: time.Now().Add(48 * time.Hour), Issued: time.Now()})
	w.order(order)
	if o := w.hears(2, orderWaits, "update.order_not_here"); !strings.Contains(o.By, "县局") || !strings.Contains(o.By, "李") || o.Until == 0 || o.ZH == "" || o.EN == "" || o.ZH == o.EN {
		t.Errorf("%+v", o)
	}
	if !slices.ContainsFunc(w.journal(), func(r api.Record) bool {
		return r.Kind == "order.commanded" && r.Who != nil && strings.Contains(r.Who.Name, "李")
	}) {
		t.Error("the journal does not say who ordered it")
	}
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	w.stage(2, "2.0")
	w.hears(2, orderWaits, "update.level")
	w.halt()
	w.start()
	w.up("fibre")
	w.reserved()
	if u := w.runs(); u.Phase != "staged" {
		t.Fatalf("%+v", u)
	}
	w.v.Gas.Set(gasCalm)
	w.until("the level is lifted and the release runs", func() bool {
		_ = w.asks("/alarms/"+a.ID+"/release", map[string]string{"who": "王工", "reason": "已测"}, nil)
		u := w.runs()
		return u.Phase == "trial" && u.Running.Version == "2.0"
	})
	if r := w.recorded("update.trial", ""); !strings.Contains(r.Text.ZH, "李") {
		t.Errorf("not in the officer's name: %+v", r)
	}
	w.hears(2, orderDone, "")
	w.post("/update/confirm", map[string]string{"who": "王工"})
	w.until("the county hears that it stays", func() bool { u := w.software(); return u.Outcome == "confirmed" && u.OutcomeNumber == 2 })
	// The same order again does nothing, also after the next release.
	w.order(order)
	if u := w.runs(); u.Running.Version != "2.0" || u.Phase != "idle" {
		t.Errorf("%+v", u)
	}

	// One that goes back says why.
	w.stage(3, "3.0")
	w.order(county.sign(command.Payload{Scope: command.Software, Release: 3}))
	w.until("the next one runs", func() bool { return w.runs().Running.Version == "3.0" })
	w.post("/update/back", map[string]string{"who": "王工", "reason": "雨量计不读数"})
	w.until("the county hears why it went back", func() bool {
		u := w.software()
		return u.Outcome == "back" && u.OutcomeNumber == 3 && strings.Contains(u.ZH, "雨量计不读数") && u.Number == 2
	})
}

func TestAnOrderForSoftwareReachesNoFurtherThanItsIssuerAndEndsInTime(t *testing.T) {
	t.Parallel()
	w, county, city := releasing(t)
	w.start()
	w.up("fibre")
	w.reserved()
	w.stage(2, "2.0")
	// The city was not granted it; one person alone is not enough; it had ended before it came.
	w.order(city.sign(command.Payload{Scope: command.Software, Release: 2}))
	if o := w.hearsDeclined("command.no_grant"); !strings.Contains(o, "city") {
		t.Error(o)
	}
	alone := &desk{w: w.town, keys: county.keys[:1], n: 100}
	w.order(alone.sign(command.Payload{Scope: command.Software, Release: 2}))
	w.hearsDeclined("command.persons")
	county.n = 200
	w.order(county.sign(command.Payload{Scope: command.Volume, Volume: 50})) // the box has no clock: it knows by this that a minute ago is past
	w.order(county.sign(command.Payload{Scope: command.Software, Release: 2, Issued: time.Now().Add(-time.Hour), Expires: time.Now().Add(-time.Minute)}))
	w.hearsDeclined("command.expired")
	if u := w.runs(); u.Phase != "staged" {
		t.Fatalf("%+v", u)
	}
	// The newest wins; what cannot be done leaves what waits; and it can be withdrawn.
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	w.order(county.sign(command.Payload{Scope: command.Software, Release: 2, NotBefore: soon, Issued: time.Now(), Expires: soon.Add(time.Hour)}))
	w.hears(2, orderWaits, "update.order_early")
	w.order(county.sign(command.Payload{Scope: command.Software, Release: 1}))
	w.hearsDeclined("update.order_runs")
	if o := w.house.Load().updates.order.Load(); o.Number != 2 || o.State != orderWaits {
		t.Errorf("%+v", o)
	}
	w.order(county.sign(command.Payload{Scope: command.Software, Release: 5}))
	w.hears(5, orderWaits, "update.order_other")
	w.order(county.sign(command.Payload{Scope: command.Software}))
	w.hears(0, orderDeclined, "update.order_withdrawn")
	// It ends by itself.
	w.order(county.sign(command.Payload{Scope: command.Software, Release: 6, Issued: time.Now(), Expires: time.Now().Add(3 * time.Second)}))
	w.hears(6, orderDeclined, "update.order_over")
	if u := w.runs(); u.Phase != "staged" || u.Running.Number != 1 {
		t.Fatalf("%+v", u)
	}
}

// hearsDeclined waits until the county was told in words that an order was refused by a reason.
func (w *linkedTown) hearsDeclined(code string) (text string) {
	w.t.Helper()
	stem, _, _ := strings.Cut(phrase.M(code, "path", "/payload/scope").In(phrase.EN), "{")
	if code == "command.expired" {
		stem = "/payload/expires: it ended at "
	}
	w.until("the county hears of "+code, func() bool {
		w.hub.mu.Lock()
		defer w.hub.mu.Unlock()
		for id, all := range w.hub.letters {
			_, named := wire.ParseName(id)
			e, err := wire.OpenEnvelope(all[0].Body, 1<<20, townKeys(w.t), wire.Up)
			var s struct {
				Said *struct{ EN string } `json:"said"`
			}
			if named && err == nil && e.Sealed && e.Type == wire.TypeState && json.Unmarshal(e.Content, &s) == nil && s.Said != nil && strings.Contains(s.Said.EN, "not carried out: "+stem) {
				text = s.Said.EN
				return true
			}
		}
		return false
	})
	return text
}

// By BeiDou alone: the order in fragments, the receipts in one message each.
func TestAnOrderForSoftwareGoesByBeiDou(t *testing.T) {
	t.Parallel()
	w, county, _ := releasing(t)
	w.start()
	w.up("beidou")
	w.hub.cable.set(false, false)
	w.until("the fibre is gone", func() bool { return w.link("fibre").State.String() == "down" })
	b := county.sign(command.Payload{Scope: command.Software, Release: 1<<53 - 1, NotBefore: time.Now().Add(time.Hour), Issued: time.Now(), Expires: time.Now().Add(7 * 24 * time.Hour)})
	w.sky.tell(wire.Command, wire.Item{Type: wire.ItemCommand, Bytes: b})
	heard := func(code wire.UpdateOutcome, number uint32) func() bool {
		return func() bool {
			w.sky.mu.Lock()
			defer w.sky.mu.Unlock()
			for _, i := range w.sky.items {
				if u, err := wire.ReadUpdate(i.Bytes); i.Type == wire.ItemUpdate && err == nil && u.Outcome == code && u.Number == number && u.Text != "" {
					return true
				}
			}
			return false
		}
	}
	w.until("it waits", heard(wire.UpdateOrdered, 1<<32-1))
	w.sky.tell(wire.Command, wire.Item{Type: wire.ItemCommand, Bytes: county.sign(command.Payload{Scope: command.Software, Release: 1})})
	w.until("the second was refused", heard(wire.UpdateDeclined, 1))
}
