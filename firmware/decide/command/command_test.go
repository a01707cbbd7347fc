package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

var t0 = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)

// site is a box that believes a county with two persons' keys, in all kinds of
// keys, and a mine.
type site struct {
	store *trust.Store
	// Of the county; next is also Wang's, old ended last year.
	wang, next, li, old trust.Signer
	mine, nobody        trust.Signer
}

func signer(t testing.TB, k trust.Kind) *trust.PrivateKey {
	t.Helper()
	s, err := trust.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pemOf(t testing.TB, s trust.Signer) string {
	t.Helper()
	b, err := trust.PublicPEM(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func newSite(t testing.TB) *site {
	s := &site{wang: signer(t, trust.Ed25519), next: signer(t, trust.Ed25519), li: signer(t, trust.SM2), old: signer(t, trust.P256), mine: signer(t, trust.P256), nobody: signer(t, trust.Ed25519)}
	store, faults := trust.New(trust.Document{Issuers: map[string]trust.IssuerDocument{
		"county": {Keys: []trust.PEMDocument{{PEM: pemOf(t, s.wang), Person: "wang"}, {PEM: pemOf(t, s.next), Person: "wang"}, {PEM: pemOf(t, s.li), Person: "li"}, {PEM: pemOf(t, s.old), Until: "2025-12-31"}},
			Grant: trust.GrantDocument{Kinds: []string{"real", "drill", "test"}, Scopes: []string{"sound", "stop", "drill", "volume", "configuration"},
				Persons: map[string]int{"sound": 2, "configuration": 2}}},
		"mine": {Keys: []trust.PEMDocument{{PEM: pemOf(t, s.mine)}}, Grant: trust.GrantDocument{Kinds: []string{"drill"}, Scopes: []string{"drill", "stop"}}},
	}}, os.DirFS("."))
	for _, f := range faults {
		t.Fatalf("%+v", f)
	}
	s.store = store
	return s
}

func (s *site) verifier() *Verifier {
	return &Verifier{Trust: s.store, Counters: trust.NewCounters(trust.CounterOptions{Window: 8, Build: t0.AddDate(0, -1, 0), Ahead: 365 * 24 * time.Hour}),
		Box: "box7", Groups: []string{"huangdu", "yingde"}, Longest: 24 * time.Hour, Tolerance: time.Minute}
}

func stamp(d time.Duration, trust clock.Trust) clock.Stamp {
	return clock.Stamp{Mono: time.Hour, Wall: t0.Add(d), Boot: "a", Trust: trust}
}

func stop(n uint64) Payload {
	return Payload{ID: fmt.Sprint("c-", n), Group: "huangdu", Counter: n, Issued: t0, Expires: t0.Add(10 * time.Minute), Scope: Stop, Person: "王建国"}
}

func sound(n uint64) Payload {
	p := stop(n)
	p.Scope, p.Level, p.Outputs, p.Seconds = Sound, "evacuate", []string{"siren-*"}, 60
	p.Text = phrase.Text{ZH: "立即转移", EN: "Leave now"}
	return p
}

func signed(t testing.TB, p Payload, s ...trust.Signer) []byte {
	t.Helper()
	b, err := Sign(p, s...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refused holds an error to a check and a field, and to words in both languages.
func refused(t *testing.T, err error, s Stage, path string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("not refused: %v", err)
	}
	if r.Stage != s || r.Path != path {
		t.Errorf("refused by %s at %s: %v; want %s at %s", r.Stage, r.Path, err, s, path)
	}
	for _, l := range phrase.Languages {
		if text := phrase.In(err, l); strings.Contains(text, "{") && !strings.Contains(text, "{}") || text == "" || strings.Contains(text, "command.") {
			t.Errorf("%s: %q", l, text)
		}
	}
}

func TestEachCheckRefusesWithItsFieldAndInItsOrder(t *testing.T) {
	s := newSite(t)
	now := stamp(time.Minute, clock.Set)
	with := func(p Payload, change func(*Payload)) Payload { change(&p); return p }
	for _, c := range []struct {
		name string
		b    []byte
		s    Stage
		path string
	}{
		{"too large", make([]byte, 70<<10), Bounds, "/"},
		{"no envelope", []byte("{}"), Form, "/"},
		{"nobody's key", signed(t, stop(1), s.nobody), Trust, "/payload/key"},
		{"a key that had ended", signed(t, stop(1), s.old), Trust, "/payload/key"},
		{"edited after signing", edit(t, signed(t, stop(1), s.wang), `"counter":1`, `"counter":2`), Genuine, "/payload/key"},
		{"counted under another's key", edit(t, signed(t, stop(1), s.wang), id(t, s.wang), id(t, s.li)), Genuine, "/payload/key"},
		{"another group", signed(t, with(stop(1), func(p *Payload) { p.Group = "elsewhere" }), s.wang), Address, "/payload/group"},
		{"other boxes", signed(t, with(stop(1), func(p *Payload) { p.Boxes = []string{"box8"} }), s.wang), Address, "/payload/boxes"},
		{"beyond the grant", signed(t, with(sound(1), func(p *Payload) { p.Group = "box7" }), s.mine), Granted, "/payload/scope"},
		{"one person where two must", signed(t, sound(1), s.wang), Granted, "/payload/scope"},
		{"one person twice", signed(t, sound(1), s.wang, s.wang), Granted, "/payload/scope"},
		{"a second person of another issuer", signed(t, sound(1), s.wang, s.mine), Granted, "/payload/scope"},
		{"a second person whose key had ended", signed(t, sound(1), s.wang, s.old), Granted, "/payload/scope"},
		{"ended", signed(t, with(stop(1), func(p *Payload) { p.Issued, p.Expires = t0.Add(-time.Hour), t0 }), s.wang), Expiry, "/payload/expires"},
		{"from the future", signed(t, with(stop(1), func(p *Payload) { p.Issued = t0.Add(5 * time.Minute) }), s.wang), Expiry, "/payload/issued"},
		{"too long a life", signed(t, with(stop(1), func(p *Payload) { p.Expires = t0.AddDate(0, 0, 2) }), s.wang), Form, "/payload/expires"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := s.verifier()
			_, err := v.Open(c.b, now, t0.AddDate(0, 0, -1))
			refused(t, err, c.s, c.path)
			if n := len(v.Counters.Snapshot().Counts); n != 0 {
				t.Error("a refused command used a counter up")
			}
		})
	}
}

func id(t *testing.T, s trust.Signer) string {
	k, err := trust.IDOf(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(k)
}

// edit changes the payload of an envelope and leaves its signatures.
func edit(t *testing.T, b []byte, from, to string) []byte {
	t.Helper()
	e, err := trust.OpenDSSE(b, PayloadType, trust.DefaultEnvelopeLimits)
	if err != nil {
		t.Fatal(err)
	}
	was := string(e.Payload)
	if e.Payload = []byte(strings.Replace(was, from, to, 1)); string(e.Payload) == was {
		t.Fatalf("%s is not in it", from)
	}
	b, err = e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTwoPersonsReleaseWhatTheScopeAsksTwoFor(t *testing.T) {
	s := newSite(t)
	b := signed(t, sound(1), s.wang)
	b, err := Cosign(b, s.li)
	if err != nil {
		t.Fatal(err)
	}
	v := s.verifier()
	c, err := v.Open(b, stamp(time.Minute, clock.Set), t0)
	if err != nil {
		t.Fatal(err)
	}
	if c.Issuer.ID != "county" || len(c.Signers) != 2 || c.Signers[0] != c.Key || c.Level != "evacuate" || c.For() != time.Minute || c.Marked || c.Person != "王建国" {
		t.Errorf("%+v", c)
	}
	// Two keys of one person, as during a roll-over, are one person.
	_, err = s.verifier().Open(signed(t, sound(1), s.wang, s.next), stamp(time.Minute, clock.Set), t0)
	refused(t, err, Granted, "/payload/scope")
	if _, err := s.verifier().Open(signed(t, sound(1), s.next, s.li), stamp(time.Minute, clock.Set), t0); err != nil {
		t.Error(err)
	}
}

func TestWithoutATrustedClockOnlyTheFloorExpires(t *testing.T) {
	s := newSite(t)
	v := s.verifier()
	years := stamp(10*365*24*time.Hour, clock.Free)
	at := func(n uint64, issued time.Duration) Payload {
		p := stop(n)
		p.Issued, p.Expires = t0.Add(issued), t0.Add(issued+10*time.Minute)
		return p
	}
	c, err := v.Open(signed(t, at(5, 0), s.wang), years, t0.Add(-time.Hour))
	if err != nil || !c.Marked {
		t.Fatalf("an unseen command was dropped: %v", err)
	}
	_, err = v.Open(signed(t, at(6, -time.Hour), s.wang), years, t0.Add(-30*24*time.Hour))
	refused(t, err, Expiry, "/payload/expires") // it ended before what the issuer signed since
	if _, err = v.Open(signed(t, at(4, -5*time.Minute), s.wang), years, t0.Add(-time.Hour)); err != nil {
		t.Errorf("one that was overtaken on the way: %v", err)
	}
	_, err = v.Open(signed(t, at(7, 0), s.wang), years, t0.Add(time.Hour))
	refused(t, err, Expiry, "/payload/expires")
	build := s.verifier()
	_, err = build.Open(signed(t, at(1, -60*24*time.Hour), s.wang), years, time.Time{})
	refused(t, err, Expiry, "/payload/expires") // before the build
}

// A signer whose clock is wrong must not silence an issuer for good where it met a box without one.
func TestATrustedClockPutsAnIssuersTimeRightThatLiesFarAheadOfIt(t *testing.T) {
	s := newSite(t)
	v := s.verifier()
	v.Longer = map[Scope]time.Duration{Software: 7 * 24 * time.Hour}
	floor := t0.Add(-time.Hour)
	at := func(n uint64, issued time.Duration) Payload {
		p := stop(n)
		p.Issued, p.Expires = t0.Add(issued), t0.Add(issued+10*time.Minute)
		return p
	}
	open := func(what string, p Payload, now clock.Stamp, by trust.Signer) {
		t.Helper()
		if _, err := v.Open(signed(t, p, by), now, floor); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// As far ahead as a command may live it stands: who knows which of the two is right.
	open("days ahead", at(1, 7*24*time.Hour), stamp(0, clock.Free), s.next)
	_, err := v.Open(signed(t, at(1, 0), s.wang), stamp(0, clock.Set), floor)
	refused(t, err, Expiry, "/payload/expires")
	if f := v.Counters.Floor("county"); !f.Equal(t0.Add(7 * 24 * time.Hour)) {
		t.Fatal(f)
	}
	open("months ahead", at(2, 300*24*time.Hour), stamp(0, clock.Free), s.next)
	_, err = v.Open(signed(t, at(1, 0), s.wang), stamp(0, clock.Free), floor)
	refused(t, err, Expiry, "/payload/expires") // nobody knows better
	_, err = v.Open(signed(t, at(1, 0), s.nobody), stamp(0, clock.Set), floor)
	refused(t, err, Trust, "/payload/key")
	if f := v.Counters.Floor("county"); !f.Equal(t0.Add(300 * 24 * time.Hour)) {
		t.Fatal("whom nobody believes has changed it:", f)
	}
	open("with a clock", at(1, 0), stamp(0, clock.Set), s.wang)
	if f := v.Counters.Floor("county"); !f.Equal(t0) {
		t.Errorf("the floor is %s", f)
	}
	// It stays so over a restart, also without a clock, and what ended before is still refused.
	kept := v.Counters.Snapshot()
	v.Counters = s.verifier().Counters
	if err := v.Counters.Restore(kept); err != nil {
		t.Fatal(err)
	}
	open("after a restart", at(2, time.Minute), stamp(0, clock.Free), s.wang)
	_, err = v.Open(signed(t, at(3, -20*time.Minute), s.wang), stamp(0, clock.Free), floor)
	refused(t, err, Expiry, "/payload/expires")
	// Its counters stay taken.
	_, err = v.Open(signed(t, at(1, 2*time.Minute), s.next), stamp(time.Minute, clock.Set), floor)
	refused(t, err, Counter, "/payload/counter")
}

func TestAPayloadIsReadStrictly(t *testing.T) {
	s := newSite(t)
	good, _ := json.Marshal(func() Payload { p := sound(1); p.Version, p.Key = 1, trust.KeyID(id(t, s.wang)); return p }())
	if _, r := read(good); r != nil {
		t.Fatal(r)
	}
	for _, c := range []struct{ name, from, to, path string }{
		{"an unknown field", `"version":1`, `"version":1,"force":true`, "/payload/force"},
		{"a field in other letters", `"level"`, `"Level"`, "/payload/Level"},
		{"a field twice", `"version":1`, `"version":1,"version":1`, "/payload/version"},
		{"null", `"seconds":60`, `"seconds":null`, "/payload/seconds"},
		{"a number as text", `"counter":1`, `"counter":"1"`, "/payload/counter"},
		{"a number with a part", `"counter":1`, `"counter":1.5`, "/payload/counter"},
		{"counter 0", `"counter":1`, `"counter":0`, "/payload/counter"},
		{"a counter that not every reader can hold", `"counter":1`, `"counter":9007199254740993`, "/payload/counter"},
		{"another version", `"version":1`, `"version":2`, "/payload/version"},
		{"no version", `"version":1,`, ``, "/payload/version"},
		{"no person", `"person":"王建国",`, ``, "/payload/person"},
		{"an unknown scope", `"scope":"sound"`, `"scope":"explode"`, "/payload/scope"},
		{"a time without zone", t0.Format(time.RFC3339), "2026-06-01T08:00:00", "/payload/issued"},
		{"a time with parts of a second", t0.Format(time.RFC3339), "2026-06-01T08:00:00.5Z", "/payload/issued"},
		{"an end before the beginning", t0.Add(10 * time.Minute).Format(time.RFC3339), t0.Add(-time.Minute).Format(time.RFC3339), "/payload/expires"},
		{"too long a sounding", `"seconds":60`, `"seconds":3601`, "/payload/seconds"},
		{"a volume of another kind", `"seconds":60`, `"seconds":60,"volume":101`, "/payload/volume"},
		{"an output twice", `["siren-*"]`, `["a","a"]`, "/payload/outputs/2"},
		{"an output that is null", `["siren-*"]`, `["a",null]`, "/payload/outputs/2"},
		{"no outputs", `"outputs":["siren-*"],`, ``, "/payload/outputs"},
		{"an empty list", `["siren-*"]`, `[]`, "/payload/outputs"},
		{"a control character", `"王建国"`, `"王\u0007"`, "/payload/person"},
		{"a text in another language", `"en":"Leave now"`, `"de":"Raus"`, "/payload/text/de"},
		{"a cause", `"seconds":60`, `"seconds":60,"cause":"x"`, "/payload/cause"},
		{"no level", `"level":"evacuate",`, ``, "/payload/level"},
		{"content without digest", `"seconds":60`, `"seconds":60,"content":{"name":"a","bytes":1}`, "/payload/content/sha256"},
		{"something behind", `"scope":"sound"`, `"scope":"sound"} {`, "/payload/"},
	} {
		bad := strings.Replace(string(good), c.from, c.to, 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing changed in %s", c.name, good)
		}
		_, r := read([]byte(bad))
		if r == nil {
			t.Errorf("%s passed", c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) { refused(t, r, Form, c.path) })
	}
	if _, r := read([]byte(strings.Replace(string(good), "王", "\xff", 1))); r == nil || r.Err.Code != "command.utf8" {
		t.Errorf("broken UTF-8: %v", r)
	}
}

func TestSignRefusesWhatOpenWould(t *testing.T) {
	s := newSite(t)
	p := sound(0)
	if _, err := Sign(p, s.wang); err == nil {
		t.Error("counter 0 was signed")
	}
	if _, err := Sign(sound(1)); err == nil {
		t.Error("nobody signed")
	}
	b := signed(t, Payload{ID: "k", Group: "box7", Counter: 1, Issued: t0, Expires: t0.Add(time.Hour), Scope: Configuration, Person: "李",
		Content: &Content{Name: "site.yaml", SHA256: strings.Repeat("ab", 32), Bytes: 100}}, s.wang, s.li)
	p2, err := Show(b)
	if err != nil || p2.Content == nil || p2.Content.Bytes != 100 {
		t.Errorf("%+v %v", p2, err)
	}
	if _, err := s.verifier().Open(b, stamp(0, clock.Set), t0.Add(-time.Hour)); err != nil {
		t.Error(err)
	}
}

// TestNoCommandActsTwice draws deliveries in any order, copies, clocks that jump or
// are lost, and power cuts that lose what was not kept: no command acts twice unless
// the cut lost that it acted, none acts after its end or before the box's
// floor, and one that is fresh acts.
func TestNoCommandActsTwice(t *testing.T) {
	s := newSite(t)
	const many = 12
	var all [][]byte
	var texts []Payload
	for n := range many {
		p := stop(uint64(n + 1))
		p.Issued = t0.Add(time.Duration(n) * 5 * time.Minute)
		p.Expires = p.Issued.Add(20 * time.Minute)
		texts, all = append(texts, p), append(all, signed(t, p, s.wang))
	}
	rapid.Check(t, func(t *rapid.T) {
		v := s.verifier()
		kept := v.Counters.Snapshot()
		acted, keptActed := map[int]bool{}, map[int]bool{}
		last, keptLast := time.Time{}, time.Time{}
		highest, keptHighest := 0, 0
		truth := t0
		now := stamp(0, clock.Set)
		floor := t0.Add(-time.Hour)
		keep := func() {
			kept, keptLast, keptHighest = v.Counters.Snapshot(), last, highest
			keptActed = map[int]bool{}
			for k := range acted {
				keptActed[k] = true
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				n := rapid.IntRange(0, many-1).Draw(t, "which")
				c, err := v.Open(all[n], now, floor)
				p := texts[n]
				f := floor
				if last.After(f) {
					f = last
				}
				over := p.Expires.Before(f) || now.Trust > clock.Free && !now.Wall.Before(p.Expires)
				early := now.Trust > clock.Free && p.Issued.Sub(now.Wall) > time.Minute
				old := highest-(n+1) > 8
				switch {
				case err == nil && (acted[n] || over || early):
					t.Fatalf("command %d acted: before %v, over %v, early %v", n+1, acted[n], over, early)
				case err != nil && !acted[n] && !over && !early && !old:
					t.Fatalf("command %d was refused: %v", n+1, err)
				case err == nil:
					if c.Marked != (now.Trust == clock.Free) {
						t.Fatal("marked wrongly")
					}
					acted[n], highest = true, max(highest, n+1)
					signedAt := p.Issued
					if now.Trust > clock.Free && signedAt.After(now.Wall) {
						signedAt = now.Wall
					}
					if signedAt.After(last) {
						last = signedAt
					}
				}
			case 3:
				truth = truth.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes")) * time.Minute)
				now.Wall, now.Trust = truth, clock.Set
				if rapid.Bool().Draw(t, "lost") {
					now.Trust = clock.Free
					now.Wall = truth.Add(time.Duration(rapid.IntRange(-50, 50).Draw(t, "off")) * time.Hour)
				} else if rapid.Bool().Draw(t, "floor") && truth.After(floor) {
					floor = truth
				}
			case 4:
				keep()
			case 5: // the power goes
				v = s.verifier()
				b, err := json.Marshal(kept)
				if err != nil {
					t.Fatal(err)
				}
				var back trust.CounterState
				if err := json.Unmarshal(b, &back); err != nil {
					t.Fatal(err)
				}
				if err := v.Counters.Restore(back); err != nil {
					t.Fatal(err)
				}
				last, highest = keptLast, keptHighest
				acted = map[int]bool{}
				for k := range keptActed {
					acted[k] = true
				}
				now.Boot += "'"
				now.Trust = clock.Free
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	for _, p := range []Payload{stop(1), sound(2), software(3)} {
		p.Version, p.Key = 1, "0123456789abcdef0123456789abcdef"
		b, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, r := read(b)
		if r != nil {
			if r.Err == nil || r.Err.In(phrase.ZH) == "" {
				t.Error("refused without a reason")
			}
			return
		}
		// What is read is written the same, and read again.
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		q, r := read(again)
		if r != nil {
			t.Fatalf("%s: %v", again, r)
		}
		if x, _ := json.Marshal(q); string(x) != string(again) {
			t.Errorf("%s\n%s", again, x)
		}
	})
}

func FuzzOpen(f *testing.F) {
	s := newSite(f)
	f.Add(signed(f, stop(1), s.wang))
	f.Add(signed(f, sound(2), s.wang, s.li))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Nothing that the fuzzer makes can be signed by the keys of this run,
		// unless it is one of the two.
		c, err := s.verifier().Open(b, stamp(time.Minute, clock.Set), t0)
		var r *Refusal
		if err != nil && !errors.As(err, &r) {
			t.Errorf("an error that is no refusal: %v", err)
		}
		if c != nil && c.ID != "c-1" && c.ID != "c-2" {
			t.Errorf("%+v", c)
		}
	})
}
