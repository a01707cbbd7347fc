package station

import (
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/talk"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/g711"
	"tocsin/firmware/trust"
	"tocsin/hwtest/ear"
)

// speech8k is a voice at 8 kHz that is like itself at no other time: syllables of changing pitch
// and strength.
func speech8k(d time.Duration) []int16 {
	r := rand.New(rand.NewPCG(7, 9))
	s := make([]int16, int(d.Seconds()*8000))
	pitch, strength, phase, left := 120.0, 0.0, 0.0, 0
	for i := range s {
		if left--; left < 0 {
			pitch, strength, left = 90+r.Float64()*120, []float64{0, 0.5, 1, 0.8}[r.IntN(4)], 700+r.IntN(1500)
		}
		phase += pitch / 8000
		x := 0.0
		for h := 1.0; h < 9; h++ {
			x += math.Sin(2*math.Pi*phase*h) / h
		}
		s[i] = int16(6000 * strength * x)
	}
	return s
}

// microphone is a person at the county who speaks to the town's box by a way that tests hold in hand.
type microphone struct {
	t    *testing.T
	w    *town
	own  *ecdh.PrivateKey
	take func([]byte, func([]byte))

	mu      sync.Mutex
	order   talk.Order
	box     trust.KeyID
	answer  *talk.Answer
	mouth   *talk.Mouth
	reports []talk.Report
	got     chan struct{}
}

func newMicrophone(t *testing.T, w *town) *microphone {
	h := w.house.Load()
	m := &microphone{t: t, w: w, got: make(chan struct{}, 1), box: trust.KeyID(h.Identity().Key), take: h.talkBy("test", config.Link{})}
	var err error
	if m.own, err = talk.NewTalker(); err != nil {
		t.Fatal(err)
	}
	return m
}

// payload is what the county asks for.
func (m *microphone) payload(change func(*command.Payload)) command.Payload {
	p := command.Payload{Scope: command.Talk, Outputs: []string{"horn"}, Seconds: 60, Talk: &command.TalkWith{Key: fmt.Sprintf("%x", m.own.PublicKey().Bytes()), Codec: "pcma", FrameMS: 20}}
	if change != nil {
		change(&p)
	}
	return p
}

// heard takes what the box sends.
func (m *microphone) heard(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b[0] == '{' {
		a, mouth, err := talk.Join(b, m.order, m.own, m.box)
		if err != nil {
			m.t.Errorf("the answer: %v", err)
			return
		}
		m.answer = a
		if m.mouth == nil {
			m.mouth = mouth
		}
	} else if r, err := m.mouth.Report(b); err == nil {
		m.reports = append(m.reports, r)
	}
	select {
	case m.got <- struct{}{}:
	default:
	}
}

// ask sends an order and waits for the box's answer.
func (m *microphone) ask(order []byte) *talk.Answer {
	m.t.Helper()
	e, err := trust.OpenDSSE(order, command.PayloadType, trust.DefaultEnvelopeLimits)
	if err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	m.answer, m.order = nil, talk.Order{Digest: sha256.Sum256(e.Payload), Box: string(countyName(m.w.house.Load().seen().bp.Doc.Site)), Talker: m.own.PublicKey().Bytes()}
	m.mu.Unlock()
	m.take(order, m.heard)
	m.wait("an answer", func() bool { return m.answer != nil })
	return m.answer
}

func (m *microphone) wait(what string, ok func() bool) {
	m.t.Helper()
	end := time.After(patience)
	for {
		m.mu.Lock()
		done := ok()
		m.mu.Unlock()
		if done {
			return
		}
		select {
		case <-m.got:
		case <-end:
			m.t.Fatalf("no %s", what)
		}
	}
}

func (m *microphone) last() talk.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.reports) == 0 {
		return talk.Report{}
	}
	return m.reports[len(m.reports)-1]
}

// say speaks at its pace until all is said or stop says so; it gives when it began.
func (m *microphone) say(samples []int16, stop func() bool) time.Time {
	m.t.Helper()
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; i+160 <= len(samples) && (stop == nil || !stop()); <-tick.C {
		for ; i+160 <= len(samples) && time.Since(began) >= time.Duration(i)*time.Second/8000; i += 160 {
			m.mu.Lock()
			b, err := m.mouth.Voice(g711.A.Encode(nil, samples[i:i+160]))
			m.mu.Unlock()
			if err != nil {
				m.t.Fatal(err)
			}
			m.take(b, m.heard)
		}
	}
	return began
}

func (m *microphone) letGo() {
	m.mu.Lock()
	b := m.mouth.End()
	m.mu.Unlock()
	m.take(b, m.heard)
}

func (m *microphone) ended() talk.Report {
	m.t.Helper()
	m.wait("end of the talk", func() bool { return len(m.reports) > 0 && m.reports[len(m.reports)-1].State == talk.Ended })
	return m.last()
}

// newTalkTown is a town with a loudspeaker and a county that may speak by it.
func newTalkTown(t *testing.T) (*town, *desk, string) {
	w, county, _ := newDesks(t)
	horn := filepath.Join(w.dir, "horn")
	if err := os.Mkdir(horn, 0o755); err != nil {
		t.Fatal(err)
	}
	w.text = strings.NewReplacer("inputs:\n", "  horn: {kind: loudspeaker, file: "+horn+"}\ninputs:\n",
		"scopes: [sound, stop, drill, volume, configuration]", "scopes: [sound, stop, drill, volume, configuration, talk]").Replace(w.text)
	w.write("site.yaml", w.text)
	w.start()
	w.until("the box's key", func() bool { return w.house.Load().Identity().Key != "" })
	return w, county, horn
}

// told gives the first record of a kind, of an output where one is named.
func (w *town) told(kind, output string) (r api.Record) {
	w.t.Helper()
	w.until("record "+kind, func() bool {
		for _, x := range w.journal() {
			if x.Kind == kind && (output == "" || x.Body["output"] == output) {
				r = x
				return true
			}
		}
		return false
	})
	return r
}

// recordings are what the loudspeaker played, the oldest first.
func recordings(t *testing.T, horn string) (all []ear.Sound) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(horn, "[0-9]*.wav"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		s, err := ear.Load(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// stranger is another voice, as alike as two voices are.
func stranger(d time.Duration) []int16 {
	s := speech8k(d + time.Second)
	return s[8000:]
}

func TestAVoiceFromTheCountyIsHeardAndReported(t *testing.T) {
	t.Parallel()
	w, county, horn := newTalkTown(t)
	m := newMicrophone(t, w)
	a := m.ask(county.sign(m.payload(nil)))
	if !a.Open || !strings.Contains(a.Outcome.EN, "may speak") {
		t.Fatalf("%+v", a)
	}
	if n := len(recordings(t, horn)); n != 0 {
		t.Errorf("%d soundings before anybody spoke", n)
	}
	if !w.house.Load().mayTalk() {
		t.Error("the list of pictures would say that nobody can speak here")
	}
	voice := speech8k(3 * time.Second)
	began := m.say(voice, nil)
	m.letGo()
	r := m.ended()
	if r.Received < 300 || r.Played < 150 || r.Refused != 0 || len(r.Outputs) != 1 || r.Outputs[0] != "horn" || len(r.Measured) != 0 || !strings.Contains(r.Why.EN, "let go") {
		t.Errorf("%+v", r)
	}
	all := recordings(t, horn)
	if len(all) != 1 {
		t.Fatalf("%d soundings", len(all))
	}
	at, c := all[0].Like(voice, 8000)
	if _, other := all[0].Like(stranger(3*time.Second), 8000); c < 0.9 && c < other+0.2 {
		t.Errorf("what was heard is like what was said by %.3f only, like something else by %.3f", c, other)
	}
	if rms := all[0].Cut(at+time.Second, at+3*time.Second).RMS(); rms < -26 || rms > -12 {
		t.Errorf("it sounds at %.1f dB", rms)
	}
	if p := all[0].Peak(); p > -2.9 {
		t.Errorf("its peak is %.1f dB", p)
	}
	started, over := w.told("receipt.started", "horn"), w.told("talk.ended", "")
	delay := started.At.Sub(began) + at
	t.Logf("likeness %.3f, %v from the microphone to the loudspeaker's buffer", c, delay.Round(time.Millisecond))
	if delay > 2*time.Second {
		t.Errorf("%v late", delay)
	}
	if started.Body["kind"] != "real" || started.Cause != over.Cause || over.Who == nil || !strings.Contains(over.Who.Name, "李") || over.Body["played"].(float64) < 150 || !strings.Contains(over.Text.EN, "let go") {
		t.Errorf("%+v\n%+v", started, over)
	}
	if w.recorded("order.commanded", over.Cause).Who == nil {
		t.Error("nobody is named for it")
	}
	// The same order opens nothing a second time.
	m.mouth = nil
	if a := m.ask(county.sign(command.Payload{Scope: command.Talk, Outputs: []string{"horn"}, Seconds: 60, Talk: &command.TalkWith{Key: strings.Repeat("00", 32), Codec: "pcma", FrameMS: 20}})); a.Open {
		t.Error("a key that makes no secret opened a talk")
	}
}

func TestNoVoiceSoundsWithoutAGoodOrder(t *testing.T) {
	t.Parallel()
	w, county, horn := newTalkTown(t)
	m := newMicrophone(t, w)
	stranger, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	city := &desk{w: w, keys: []trust.Signer{stranger}}
	// No clock is trusted here: that time has passed is known from what the county signed last.
	wantedVerdict{accepted: true}.check(t, "a volume", county.orders(command.Payload{Scope: command.Volume, Volume: 100}))
	good := county.sign(m.payload(nil))
	for name, c := range map[string]struct {
		order []byte
		says  string
	}{
		"a stranger's":        {city.sign(m.payload(nil)), "not pinned"},
		"one that is over":    {county.sign(m.payload(func(p *command.Payload) { p.Issued, p.Expires = old, old.Add(time.Minute) })), "ended"},
		"another box's":       {county.sign(m.payload(func(p *command.Payload) { p.Boxes = []string{"441882999999"} })), "not among"},
		"for a siren":         {county.sign(m.payload(func(p *command.Payload) { p.Outputs = []string{"siren"} })), "loudspeaker"},
		"for nothing that is": {county.sign(m.payload(func(p *command.Payload) { p.Outputs = []string{"bell"} })), "bell"},
		"at no level that is": {county.sign(m.payload(func(p *command.Payload) { p.Level = "doom" })), "doom"},
	} {
		if a := m.ask(c.order); a.Open || !strings.Contains(a.Outcome.EN, c.says) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if v := w.ordered(county.sign(m.payload(nil))); v.Accepted || !strings.Contains(v.Outcome.EN, "way for talks") {
		t.Errorf("by a way without a voice: %+v", v)
	}
	// Frames without a session, forged ones, and those of a session with somebody else.
	if a := m.ask(good); !a.Open {
		t.Fatalf("%+v", a)
	}
	v := speech8k(time.Second)
	id := m.mouth.ID()
	for i := 0; i+160 <= len(v); i += 160 {
		forged := append([]byte{0x11}, id[:]...)
		forged = append(forged, 0, 0, 0, byte(i/160+1))
		m.take(append(forged, make([]byte, 176)...), m.heard)
	}
	m.take([]byte("\x11garbage"), m.heard)
	m.take(nil, m.heard)
	r := m.ended() // nothing that it believes has come
	if r.Received != 0 || r.Refused != 50 || !strings.Contains(r.Why.EN, "no voice came") {
		t.Errorf("%+v", r)
	}
	m.say(v, nil) // it is over: the talker's own frames are too late
	if a := m.ask(good); a.Open {
		t.Error("an order opened two talks")
	} else if !strings.Contains(a.Outcome.EN, "counter") && !strings.Contains(a.Outcome.EN, "already") && !strings.Contains(a.Outcome.EN, "seen") {
		t.Errorf("%+v", a)
	}
	if n := len(recordings(t, horn)); n != 0 {
		t.Errorf("%d soundings", n)
	}
}

func TestAVoiceEndsWithItsTimeWhateverStillComes(t *testing.T) {
	t.Parallel()
	w, county, horn := newTalkTown(t)
	m := newMicrophone(t, w)
	if a := m.ask(county.sign(m.payload(func(p *command.Payload) { p.Seconds = 2 }))); !a.Open {
		t.Fatalf("%+v", a)
	}
	m.say(speech8k(4*time.Second), nil)
	if r := m.ended(); !strings.Contains(r.Why.EN, "time is up") {
		t.Errorf("%+v", r)
	}
	all := recordings(t, horn)
	if len(all) != 1 {
		t.Fatalf("%d soundings", len(all))
	}
	if d := all[0].Duration(); d > 2200*time.Millisecond {
		t.Errorf("2 s were ordered, %v sounded", d)
	}
}

func TestStopSilencesAVoice(t *testing.T) {
	t.Parallel()
	w, county, horn := newTalkTown(t)
	m := newMicrophone(t, w)
	if a := m.ask(county.sign(m.payload(nil))); !a.Open {
		t.Fatalf("%+v", a)
	}
	stopped := false
	m.say(speech8k(20*time.Second), func() bool {
		if !stopped && m.last().State == talk.Speaking {
			stopped = true
			w.post("/stop", map[string]string{"who": "王建国"})
		}
		return m.last().State == talk.Ended
	})
	r := m.ended()
	if !strings.Contains(r.Why.EN, "王建国") {
		t.Errorf("%+v", r)
	}
	n := len(recordings(t, horn))
	m.say(speech8k(500*time.Millisecond), nil)
	if after := len(recordings(t, horn)); after != n || n != 1 {
		t.Errorf("%d soundings, after STOP %d", n, after)
	}
	if x := w.told("receipt.stopped", "horn"); !strings.Contains(x.Text.EN, "王建国") {
		t.Errorf("%+v", x)
	}
}

func TestAnEvacuationTakesTheLoudspeakerFromAVoice(t *testing.T) {
	t.Parallel()
	w, county, _ := newTalkTown(t)
	m := newMicrophone(t, w)
	if a := m.ask(county.sign(m.payload(nil))); !a.Open {
		t.Fatalf("%+v", a)
	}
	raised := false
	m.say(speech8k(20*time.Second), func() bool {
		if !raised && m.last().State == talk.Speaking {
			raised = true
			w.post("/raise", map[string]string{"level": "evacuate", "who": "王建国", "reason": "塘坝渗水"})
		}
		return m.last().State == talk.Ended
	})
	if r := m.ended(); r.Why.EN == "" || strings.Contains(r.Why.EN, "let go") {
		t.Errorf("%+v", r)
	}
	voice := w.told("talk.ended", "").Cause
	w.until("the alarm sounds by the horn", func() bool {
		for _, r := range w.journal() {
			if r.Kind == "receipt.started" && r.Body["output"] == "horn" && r.Cause != voice {
				return true
			}
		}
		return false
	})
	// A voice of a lower or the same level does not interrupt it.
	for _, level := range []string{"", "prepare", "evacuate"} {
		m := newMicrophone(t, w)
		if a := m.ask(county.sign(m.payload(func(p *command.Payload) { p.Level = level }))); a.Open || !strings.Contains(a.Outcome.EN, "does not interrupt") {
			t.Errorf("at %q: %+v", level, a)
		}
	}
}

func TestADrillIsToldApartBeforeAnybodySpeaks(t *testing.T) {
	t.Parallel()
	w, county, horn := newTalkTown(t)
	m := newMicrophone(t, w)
	if a := m.ask(county.sign(m.payload(func(p *command.Payload) { p.Kind = "drill" }))); !a.Open {
		t.Fatalf("%+v", a)
	}
	m.wait("leave to speak", func() bool {
		return len(m.reports) > 0 && m.reports[len(m.reports)-1].State != talk.Waiting
	})
	voice := speech8k(2 * time.Second)
	m.say(voice, nil)
	m.letGo()
	m.ended()
	all := recordings(t, horn)
	if len(all) != 1 {
		t.Fatalf("%d soundings", len(all))
	}
	at, c := all[0].Like(voice, 8000)
	if c < 0.8 || at < time.Second || all[0].Cut(0, at-100*time.Millisecond).RMS() < -30 {
		t.Errorf("the voice begins after %v (likeness %.3f), before it there are %.1f dB", at, c, all[0].Cut(0, at-100*time.Millisecond).RMS())
	}
	if x := w.told("receipt.started", "horn"); x.Body["kind"] != "drill" {
		t.Errorf("%+v", x)
	}
}

// TestAPersonHereSpeaksByTheLoudspeaker is the page's and the tool's way.
func TestAPersonHereSpeaksByTheLoudspeaker(t *testing.T) {
	t.Parallel()
	w, _, horn := newTalkTown(t)
	h := w.house.Load()
	chen, li := api.Actor{ID: "chen", Role: access.Cadre}, api.Actor{ID: "li", Role: access.Cadre}
	x, err := h.OpenTalk(api.TalkAsk{Seconds: 30, Codec: "s16le", Rate: 8000}, api.Who{Name: "陈会计", Via: "socket"}, chen)
	if err != nil {
		t.Fatal(phrase.In(err, phrase.EN))
	}
	if _, err := h.OpenTalk(api.TalkAsk{Seconds: 30, Codec: "pcma"}, api.Who{Name: "李雷", Via: "page"}, li); err == nil || !strings.Contains(phrase.In(err, phrase.EN), "陈会计 is speaking") {
		t.Errorf("a second person: %v", err)
	}
	// Everybody is told the talk's id, and it is of use to who opened it.
	if _, err := h.Speak(x.ID, make([]byte, 1600), li); !errors.Is(err, api.ErrOthers) {
		t.Errorf("another speaks in it: %v", err)
	}
	if _, err := h.EndTalk(x.ID, li); !errors.Is(err, api.ErrOthers) {
		t.Errorf("another cadre ends it: %v", err)
	}
	voice := speech8k(2 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i, began := 0, time.Now(); i+400 <= len(voice); i += 400 {
		for time.Since(began) < time.Duration(i)*time.Second/8000 {
			<-tick.C
		}
		var b []byte
		for _, s := range voice[i : i+400] {
			b = append(b, byte(s), byte(uint16(s)>>8))
		}
		if _, err := h.Speak(x.ID, b[:77], chen); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Speak(x.ID, b[77:], chen); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.EndTalk(x.ID, api.Actor{ID: "boss", Role: access.Operator}); err != nil {
		t.Fatal("an operator ends it:", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for x.State != "ended" && ctx.Err() == nil {
		<-tick.C
		if x, err = h.TalkState(x.ID); err != nil {
			t.Fatal(err)
		}
	}
	if x.Why == nil || x.Why.Code != "station.talk_done" || x.PlayedMS < 1000 {
		t.Errorf("%+v %v", x, x.Why)
	}
	all := recordings(t, horn)
	if len(all) != 1 {
		t.Fatalf("%d soundings", len(all))
	}
	if _, c := all[0].Like(voice, 8000); c < 0.8 {
		t.Errorf("likeness %.3f", c)
	}
	if _, err := h.Speak("nobody", nil, chen); err == nil {
		t.Error("a talk that is not there takes a voice")
	}
	// By the socket, as one body that lasts longer than any other request may.
	w.call("/talk", "application/json", strings.NewReader(`{"who":"陈会计","seconds":60,"codec":"pcma"}`), &x)
	long := speech8k(11 * time.Second)
	w.call("/talk/"+x.ID+"/voice", "application/octet-stream", &pace{b: g711.A.Encode(nil, long), began: time.Now()}, &x)
	w.call("/talk/"+x.ID+"/end", "application/json", strings.NewReader("{}"), &x)
	w.until("it is heard out", func() bool { return w.get("/talk/"+x.ID, &x) == nil && x.State == "ended" })
	if x.Why == nil || x.Why.Code != "station.talk_done" || x.PlayedMS < 5500 {
		t.Errorf("%+v %v", x, x.Why)
	}
}

// pace gives bytes of 8 kHz as they are spoken.
type pace struct {
	b     []byte
	began time.Time
	given int
}

func (p *pace) Read(b []byte) (int, error) {
	for p.given < len(p.b) {
		if n := min(int(time.Since(p.began)*8000/time.Second)-p.given, len(b), len(p.b)-p.given); n > 0 {
			p.given += copy(b, p.b[p.given:p.given+n])
			return n, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return 0, io.EOF
}

// call posts a body of any length to the box's socket.
func (w *town) call(path, media string, body io.Reader, into any) {
	w.t.Helper()
	c := w.client()
	c.Timeout = 0
	r, err := c.Post("http://edged/api/v1"+path, media, body)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(into); err != nil || r.StatusCode >= 300 {
		w.t.Fatalf("%s: %s %v", path, r.Status, err)
	}
}
