package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
)

const (
	upper = letter.Station("330483105203")
	lower = letter.Station("330483105204")
)

// memory is a narrow.Keep that a test can fill up.
type memory struct {
	mu   sync.Mutex
	kept map[string][]byte
	full bool
}

func (m *memory) Get(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.kept[key]
	return b, ok
}

func (m *memory) Put(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		return errors.New("no space left on device")
	}
	m.kept[key] = bytes.Clone(value)
	return nil
}

// radio is a terminal that a test holds in its hands.
type radio struct {
	mu    sync.Mutex
	bytes int
	fault *drivers.Fault
	sent  []drivers.Outgoing
}

func (r *radio) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (r *radio) Send(_ context.Context, m drivers.Outgoing) (drivers.Sent, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		return drivers.Sent{}, r.fault
	}
	r.sent = append(r.sent, m)
	return drivers.Sent{}, nil
}
func (r *radio) Received() <-chan drivers.Incoming { return nil }
func (r *radio) Limits() drivers.TerminalLimits {
	return drivers.TerminalLimits{Bytes: r.bytes, Transmit: true}
}
func (r *radio) State() drivers.TerminalState { return drivers.TerminalState{Up: true} }
func (r *radio) String() string               { return "radio" }

// desk is a post office.
type desk struct {
	up      map[string]letter.Letter // by station and id
	taken   map[string]string
	full    bool
	reached map[letter.Station]bool
}

func (d *desk) Short(_ context.Context, s letter.Station, l *letter.Letter) error {
	if d.full {
		return errors.New("no space left on device")
	}
	d.up[string(s)+" "+l.ID] = *l
	return nil
}
func (d *desk) Sends(ctx context.Context, _ time.Time, _ letter.Class, _ func(letter.Station, letter.Letter, string, time.Time)) error {
	<-ctx.Done()
	return ctx.Err()
}
func (d *desk) Taken(_ context.Context, s letter.Station, id, link string) error {
	d.taken[string(s)+" "+id] = link
	return nil
}
func (d *desk) HasTaken(_ context.Context, s letter.Station, id string) bool {
	_, ok := d.taken[string(s)+" "+id]
	return ok
}
func (d *desk) Heard(letter.Station, string, time.Time) {}

// air is one gateway with two stations, and a clock.
type air struct {
	t     *testing.T
	kind  string
	file  *hubfile.File
	keep  *memory
	desk  *desk
	radio *radio
	hub   *Narrow
	ends  map[letter.Station]*narrow.End
	mine  map[letter.Station]string
	now   time.Duration
}

var own = map[string]string{hubfile.KindBeidou: "247718", hubfile.KindMesh: "!0000000a", hubfile.KindSBD: "300234010753370", hubfile.KindModem: "+8613800138000"}

func newAir(t *testing.T, kind string) *air {
	t.Helper()
	a := &air{t: t, kind: kind, keep: &memory{kept: map[string][]byte{}}, desk: &desk{up: map[string]letter.Letter{}, taken: map[string]string{}}, radio: &radio{bytes: 78},
		ends: map[letter.Station]*narrow.End{}, now: time.Hour, file: &hubfile.File{Stations: map[string]hubfile.Station{}}}
	a.mine = map[letter.Station]string{upper: "0123456", lower: "0123457"}
	switch kind {
	case hubfile.KindMesh:
		a.mine = map[letter.Station]string{upper: "!0000000b", lower: "!0000000c"}
	case hubfile.KindSBD:
		a.mine = map[letter.Station]string{upper: "300234010753371", lower: "300234010753372"}
	}
	for i, s := range []letter.Station{upper, lower} {
		root := make([]byte, wire.RootSize)
		root[0] = byte(i + 1)
		k, err := wire.NewKeys(root, string(s), 0)
		if err != nil {
			t.Fatal(err)
		}
		a.file.Stations[string(s)] = hubfile.Station{Keys: []*wire.Keys{k}, Addresses: map[string]string{"air": a.mine[s]}}
		if a.ends[s], err = narrow.New(narrow.Opts{Link: "air", Direction: wire.Up, Keys: []*wire.Keys{k}, Self: a.mine[s], Peer: a.name(), Keep: &memory{kept: map[string][]byte{}}}); err != nil {
			t.Fatal(err)
		}
	}
	a.restart()
	return a
}

// name is the hub's on the link, as stations hear it.
func (a *air) name() string {
	if a.kind == hubfile.KindSBD {
		return gatewayAddress
	}
	return own[a.kind]
}

// restart begins with what is on the disk.
func (a *air) restart() {
	a.t.Helper()
	a.hub = NewNarrow(NarrowOpts{
		File: a.file, Terminal: hubfile.Terminal{Name: "air", Kind: a.kind, Own: own[a.kind], Transmit: &hubfile.Transmit{}}, Device: a.radio, Post: a.desk, Keep: a.keep,
		Counters: narrow.NewCounters(a.keep), Guard: guard.New(a.t.Context(), slog.New(slog.DiscardHandler), nil), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return epoch.Add(a.now) }, Mono: func() time.Duration { return a.now },
		Warning: func(_ []byte, at time.Time) (time.Time, bool) { return at.Add(2 * time.Hour), true },
		Reached: func(string) map[letter.Station]bool { return a.desk.reached },
	})
}

// say has a station pack parts, and gives its messages.
func (a *air) say(s letter.Station, parts ...narrow.Part) [][]byte {
	a.t.Helper()
	frames, err := a.ends[s].Pack(a.t.Context(), 78, parts)
	if err != nil {
		a.t.Fatal(err)
	}
	var all [][]byte
	for _, f := range frames {
		all = append(all, f.Bytes)
	}
	return all
}

// hear brings a message to the hub.
func (a *air) hear(from string, b []byte) {
	a.hub.take(a.t.Context(), drivers.Incoming{From: narrow.OnLink(from), Bytes: b})
}

// out has the hub send all that it sends now, and gives it.
func (a *air) out() []drivers.Outgoing {
	a.now += gather
	for a.hub.one(a.t.Context()) {
	}
	sent := a.radio.sent
	a.radio.sent = nil
	return sent
}

// back brings what the hub sent to a station, and gives what it learns by that.
func (a *air) back(s letter.Station, all []drivers.Outgoing) (heard []narrow.Heard, acked []string, more []narrow.Frame) {
	a.t.Helper()
	for _, m := range all {
		if wire.FormOf(m.Bytes) != wire.Narrow || hubfile.Address(a.kind, m.To) != hubfile.Address(a.kind, a.mine[s]) {
			continue
		}
		r, err := a.ends[s].Hear(a.t.Context(), m.Bytes, a.name(), a.now)
		if err != nil {
			a.t.Fatal(err)
		}
		heard, acked, more = append(heard, r.Heard...), append(acked, r.Acked...), append(more, r.Send...)
	}
	return heard, acked, more
}

func alarm(t *testing.T, seq uint32) narrow.Part {
	t.Helper()
	n := wire.Name{Outbox: 0xa1b2c3, Seq: seq}
	b, err := wire.AlarmItem{Name: n, Event: wire.AlarmRaised, Rank: 2, Cause: 7, Hazard: "flash-flood", Text: "河道水位"}.Append(nil, 60)
	if err != nil {
		t.Fatal(err)
	}
	return narrow.Part{ID: n.String(), Class: wire.Alarm, Item: wire.Item{Type: wire.ItemAlarm, Bytes: b}}
}

func telemetry(id string) narrow.Part {
	return narrow.Part{ID: id, Class: wire.Telemetry, Item: wire.Item{Type: wire.ItemTelemetry, Bytes: []byte(id)}}
}

func TestAnAlarmIsAcknowledgedOnlyWhenItIsKept(t *testing.T) {
	a := newAir(t, hubfile.KindBeidou)
	a.desk.full = true
	a.hear(a.mine[upper], a.say(upper, alarm(t, 17))[0])
	a.now += time.Minute
	if out := a.out(); len(out) > 0 || a.hub.State().Counts.Unkept != 1 {
		t.Fatalf("with a full disk: %v", out)
	}
	a.desk.full = false
	a.hear(a.mine[upper], a.say(upper, alarm(t, 17))[0])
	if out := a.out(); len(out) > 0 {
		t.Fatal("it did not wait for others to be acknowledged with it")
	}
	a.hear(a.mine[upper], a.say(upper, alarm(t, 18))[0])
	a.now += 3 * time.Second
	out := a.out()
	if _, acked, _ := a.back(upper, out); len(out) != 1 || strings.Join(acked, " ") != "a1b2c3-17 a1b2c3-18" {
		t.Fatalf("%d messages acknowledge %v", len(out), acked)
	}
	l, ok := a.desk.up[string(upper)+" a1b2c3-17s"]
	if !ok || l.Class != letter.Alarm || l.Link != "air" || len(a.desk.up) != 2 {
		t.Fatalf("%+v", a.desk.up)
	}
	e, err := wire.OpenEnvelope(l.Body, 1000, a.file.Stations[string(upper)].Keys, wire.Up)
	if err != nil || !e.Sealed || e.ID.Boot != 0xa1b2c3 || e.ID.Sequence != 17 || e.Type != uint8(wire.ItemAlarm) {
		t.Errorf("%+v %v", e, err)
	}
	a.now += time.Hour
	if out := a.out(); len(out) > 0 {
		t.Errorf("it goes on: %v", out)
	}
}

func TestNothingForgedReplayedOrOfAStrangerIsActedOnAlsoAfterARestart(t *testing.T) {
	for _, kind := range []string{hubfile.KindBeidou, hubfile.KindMesh, hubfile.KindSBD} {
		a := newAir(t, kind)
		from := func(s string) string {
			if kind == hubfile.KindSBD {
				return gatewayAddress
			}
			return s
		}
		genuine := a.say(upper, alarm(t, 17))[0]
		for i := range genuine {
			c := bytes.Clone(genuine)
			c[i] ^= 0x10
			a.hear(from(a.mine[upper]), c)
		}
		if kind != hubfile.KindSBD { // there nobody says who sent it
			a.hear(a.mine[lower], genuine)
			a.hear("999", genuine)
		}
		a.hear(from(a.mine[upper]), genuine[:20])
		a.hear(from(a.mine[upper]), nil)
		a.hear(from(a.mine[upper]), []byte("hello"))
		if a.now += time.Minute; len(a.desk.up) > 0 || len(a.out()) > 0 {
			t.Fatalf("%s: acted on %v", kind, a.desk.up)
		}
		c := a.hub.State().Counts
		if kind != hubfile.KindSBD && c.Strangers != 1 || c.Refused < len(genuine)-3 || c.Taken > 0 {
			t.Errorf("%s: %+v", kind, c)
		}
		a.hear(from(a.mine[upper]), genuine)
		if len(a.desk.up) != 1 {
			t.Fatalf("%s: the genuine one is not kept", kind)
		}
		clear(a.desk.up)
		a.hear(from(a.mine[upper]), genuine)
		a.restart()
		a.hear(from(a.mine[upper]), genuine)
		if len(a.desk.up) > 0 {
			t.Errorf("%s: a replayed message was acted on", kind)
		}
		a.hear(from(a.mine[upper]), a.say(upper, alarm(t, 18))[0])
		if len(a.desk.up) != 1 {
			t.Errorf("%s: a fresh one is refused after the restart", kind)
		}
		// It is acknowledged with a counter that was not used before the restart: the station takes it.
		a.now += time.Minute
		out := a.out()
		if kind == hubfile.KindSBD {
			if len(out) != 1 || out[0].To != gatewayAddress {
				t.Fatalf("%+v", out)
			}
			out[0].To = a.mine[upper]
		}
		if _, acked, _ := a.back(upper, out); strings.Join(acked, " ") != "a1b2c3-18" {
			t.Errorf("%s: acknowledged %v", kind, acked)
		}
	}
}

func TestAStationWhoseWindowIsDamagedIsLeftOutAndTheOthersAreServed(t *testing.T) {
	a := newAir(t, hubfile.KindBeidou)
	a.hear(a.mine[upper], a.say(upper, alarm(t, 17))[0])
	for k := range a.keep.kept {
		if strings.Contains(k, "/heard/") {
			a.keep.kept[k] = []byte("damaged")
		}
	}
	a.restart()
	if l := a.hub.Left(); len(l) != 1 || l[0].Station != upper || l[0].Why == nil {
		t.Fatalf("left out: %+v", l)
	}
	a.desk.up = map[string]letter.Letter{}
	a.hear(a.mine[upper], a.say(upper, alarm(t, 18))[0])
	a.hear(a.mine[lower], a.say(lower, alarm(t, 17))[0])
	if len(a.desk.up) != 1 {
		t.Errorf("kept: %d", len(a.desk.up))
	}
}

func TestWithAFullDiskNoMessageIsActedOnNorAcknowledged(t *testing.T) {
	a := newAir(t, hubfile.KindBeidou)
	m := a.say(upper, alarm(t, 17))[0]
	a.keep.full = true
	a.hear(a.mine[upper], m)
	if a.now += time.Minute; len(a.desk.up) > 0 || len(a.out()) > 0 || a.hub.State().Counts.Unkept != 1 {
		t.Fatalf("%+v", a.hub.State().Counts)
	}
	a.keep.full = false
	a.hear(a.mine[upper], m) // it was not taken, and may come again
	if a.now += time.Minute; len(a.desk.up) != 1 || len(a.out()) != 1 {
		t.Errorf("%+v", a.hub.State().Counts)
	}
}

func TestAcknowledgementsAreFewAndAlarmsComeFirst(t *testing.T) {
	a := newAir(t, hubfile.KindBeidou)
	for i := range 5 {
		a.hear(a.mine[lower], a.say(lower, telemetry(string(rune('a'+i))))[0])
	}
	a.now += time.Minute
	if out := a.out(); len(out) > 0 {
		t.Fatal("telemetry is acknowledged by a message of its own")
	}
	a.hear(a.mine[upper], a.say(upper, alarm(t, 1))[0])
	a.now += ackSlow
	out := a.out()
	if len(out) != 2 || out[0].To != "123456" || out[1].To != "123457" {
		t.Fatalf("%+v", out)
	}
	if _, acked, _ := a.back(lower, out); len(acked) != 5 {
		t.Errorf("%v", acked)
	}
	// However many alarms come, one message in aloneEach acknowledges them.
	sent := 0
	for i := range 60 {
		a.hear(a.mine[upper], a.say(upper, alarm(t, uint32(i+2)))[0])
		a.now += time.Second
		sent += len(a.out())
	}
	if sent < 4 || sent > 7 {
		t.Errorf("%d messages acknowledge the alarms of a minute", sent)
	}
	if c := a.hub.State().Counts; c.Alone != sent+2 {
		t.Errorf("%+v", c)
	}
}

func TestWhatIsLostOfALongContentIsAskedFor(t *testing.T) {
	a := newAir(t, hubfile.KindBeidou)
	long := narrow.Part{ID: "long", Class: wire.Alarm, Item: wire.Item{Type: wire.ItemText, Bytes: bytes.Repeat([]byte("水位"), 80)}}
	frames := a.say(upper, long)
	if len(frames) < 7 {
		t.Fatalf("%d messages", len(frames))
	}
	for i, b := range frames {
		if i > 2 { // three are lost
			a.hear(a.mine[upper], b)
		}
	}
	for range 20 {
		if len(a.desk.up) > 0 {
			break
		}
		a.now += 4 * time.Minute
		_, _, more := a.back(upper, a.out())
		for _, f := range more {
			a.hear(a.mine[upper], f.Bytes)
		}
	}
	if len(a.desk.up) != 1 {
		t.Fatalf("%+v", a.hub.State())
	}
	a.now += time.Minute
	if _, acked, _ := a.back(upper, a.out()); strings.Join(acked, " ") != "long" {
		t.Errorf("acknowledged %v", acked)
	}
}

func TestACommandGoesUntilItsStationHasKeptIt(t *testing.T) {
	a := newAir(t, hubfile.KindBeidou)
	body := bytes.Repeat([]byte("order "), 40)
	order := letter.Letter{ID: "o-1", Class: letter.Command, Body: body}
	a.radio.fault = &drivers.Fault{Kind: drivers.FaultEarly, Until: epoch.Add(a.now + 30*time.Second)}
	a.hub.give(upper, order, "", epoch.Add(a.now))
	if len(a.out()) > 0 {
		t.Fatal("sent while the terminal takes nothing")
	}
	a.radio.fault = nil
	a.now -= 2 * gather
	if len(a.out()) > 0 {
		t.Fatal("sent before the terminal's time")
	}
	a.now += 31 * time.Second
	a.out() // lost
	a.now += 3 * time.Minute
	out := a.out()
	for _, m := range out {
		if m.To != "123456" || bytes.Contains(m.Bytes, []byte("order")) {
			t.Fatalf("%+v is in the clear or for another", m)
		}
	}
	var heard []narrow.Heard
	for i := range out {
		h, _, _ := a.back(upper, out[i:i+1])
		for _, x := range h {
			a.ends[upper].Kept(x.Counter)
		}
		heard = append(heard, h...)
	}
	if len(heard) != 1 || len(heard[0].Items) != 1 || heard[0].Items[0].Type != wire.ItemCommand || !bytes.Equal(heard[0].Items[0].Bytes, body) {
		t.Fatalf("the station has %+v of %d messages", heard, len(out))
	}
	a.hear(a.mine[upper], a.say(upper, telemetry("x"))[0]) // the acknowledgement rides along
	if a.desk.taken[string(upper)+" o-1"] != "air" {
		t.Error("it is not noted as taken")
	}
	a.now += time.Hour
	for _, m := range a.out() {
		if len(m.Bytes) > 40 {
			t.Error("it is sent again")
		}
	}
	// One that by another link was taken goes no more; one that is old never does.
	a.desk.taken[string(lower)+" o-2"] = "fibre"
	a.hub.give(lower, letter.Letter{ID: "o-2", Class: letter.Command, Body: body}, "", epoch.Add(a.now))
	a.hub.give(lower, letter.Letter{ID: "o-3", Class: letter.Command, Body: body}, "", epoch.Add(a.now-orderLasts))
	if out := a.out(); len(out) > 0 || a.hub.State().Orders > 0 {
		t.Errorf("%+v", out)
	}
}

func warning() letter.Letter {
	return letter.Letter{ID: "c-1", Class: letter.Warning, Body: append([]byte{0x10}, make([]byte, 77)...)}
}

func TestAWarningIsRepeatedUntilItsReceiptIsInOrItEnds(t *testing.T) {
	a := newAir(t, hubfile.KindBeidou)
	a.hub.noGroup = true
	l := warning()
	start := epoch.Add(a.now)
	for _, s := range []letter.Station{upper, lower} {
		a.hub.give(s, l, "n", start)
		a.hub.give(s, l, "n", start) // the stream is read again
	}
	a.hub.give("110101000000", l, "n", start)
	a.hub.give(upper, letter.Letter{ID: "a-1", Class: letter.Warning, Body: []byte("<alert/>")}, "", start)
	out := a.out()
	if len(out) != 2 || out[0].To != "123456" || out[1].To != "123457" || !bytes.Equal(out[0].Bytes, l.Body) {
		t.Fatalf("%+v", out)
	}
	a.desk.reached = map[letter.Station]bool{lower: true}
	to := map[string]int{}
	for range 4 * 60 {
		a.now += time.Minute
		for _, m := range a.out() {
			to[m.To]++
		}
	}
	if to["123457"] > 0 || to["123456"] < 4 || to["123456"] > 8 || a.hub.State().Waiting > 0 {
		t.Errorf("repeated %v, %d wait", to, a.hub.State().Waiting)
	}
	// One that was over before it came is not sent.
	a.hub.give(upper, l, "n", start)
	if len(a.out()) > 0 {
		t.Error("sent when it was over")
	}
}

func TestOneBroadcastWarnsAllWhereTheTerminalHasOne(t *testing.T) {
	a := newAir(t, hubfile.KindMesh)
	a.hub.give(upper, warning(), "n", epoch.Add(a.now))
	a.hub.give(lower, warning(), "n", epoch.Add(a.now))
	if out := a.out(); len(out) != 1 || !out[0].Broadcast || out[0].To != "" {
		t.Fatalf("%+v", out)
	}
	// A card without one: each by itself, at once.
	a = newAir(t, hubfile.KindBeidou)
	a.radio.fault = &drivers.Fault{Kind: drivers.FaultRefused, Detail: "no broadcast number"}
	a.hub.give(upper, warning(), "n", epoch.Add(a.now))
	a.hub.give(lower, warning(), "n", epoch.Add(a.now))
	a.out()
	a.radio.fault = nil
	if out := a.out(); len(out) != 2 || out[0].Broadcast || out[1].Broadcast {
		t.Fatalf("%+v", out)
	}
	// Where each message is paid for it is tried a few times only.
	a = newAir(t, hubfile.KindSBD)
	a.hub.give(upper, warning(), "n", epoch.Add(a.now))
	n := 0
	for range 2 * 60 {
		n += len(a.out())
		a.now += time.Minute
	}
	if n != 5 {
		t.Errorf("sent %d times", n)
	}
}
