package compact

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

var (
	update = flag.Bool("update", false, "write testdata/vectors.txt and the seeds of the fuzz targets anew")
	forged = flag.Int("forged", 2_000, "how many forged warnings are tried; the goal's figure is of 100000")
)

var now = time.Date(2026, 7, 29, 14, 5, 0, 0, time.UTC)

// keyOf makes a key from a fixed seed.
func keyOf(t testing.TB, n byte) *trust.PrivateKey {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := trust.LoadSigner(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pinned(t testing.TB, k *trust.PrivateKey) trust.PEMDocument {
	t.Helper()
	b, err := trust.PublicPEM(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return trust.PEMDocument{PEM: string(b)}
}

// newReader is a box at Huangdu that believes the county (7, key 1) and the weather service (9, key 2).
func newReader(t testing.TB, change func(*trust.Document)) *Reader {
	t.Helper()
	grant := trust.GrantDocument{Kinds: []string{"real", "drill"}, MostLevel: "evacuate", Areas: []string{"4418"}}
	d := trust.Document{Issuers: map[string]trust.IssuerDocument{
		"county": {Name: phrase.Text{ZH: "连州市应急管理局", EN: "Lianzhou emergency office"}, Senders: []string{"county@example.cn"}, Keys: []trust.PEMDocument{pinned(t, keyOf(t, 1))},
			Grant: grant, Compact: &trust.CompactDocument{Number: 7, Region: "441882"}},
		"weather": {Name: phrase.Text{ZH: "连州市气象局", EN: "Lianzhou weather service"}, Senders: []string{"weather@example.cn"}, Keys: []trust.PEMDocument{pinned(t, keyOf(t, 2))},
			Grant: grant, Compact: &trust.CompactDocument{Number: 9, Region: "441882"}},
	}}
	if change != nil {
		change(&d)
	}
	store, faults := trust.New(d, nil)
	for _, f := range faults {
		if !f.Warning {
			t.Fatal(f.Message.In("en"))
		}
	}
	at, err := alert.LoadTables(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	ct, err := LoadTables(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	zone := time.FixedZone("CST", 8*3600)
	return &Reader{Alerts: &alert.Reader{Trust: store, Tables: at, Here: alert.Place{Code: "441882103201", Lat: 24.7812, Lon: 112.3790}}, Tables: ct, Zone: zone}
}

// red is the county's red flash flood warning for Huangdu, to leave for the school.
func red() Warning {
	return Warning{Type: Alert, Issuer: 7, Chain: chain(now, 12), Event: 3, Severity: 3, Urgency: 0, Certainty: 1, Start: uint16(14*60 + 2), Duration: 11,
		Area: Area{Mode: Division, Digits: 103201}, Template: 2, P: 68, Q: 1}
}

func chain(at time.Time, serial uint8) Chain { return Chain{uint8(DayOf(at) & 7), serial} }

func signed(t testing.TB, w Warning, key byte, at time.Time) []byte {
	t.Helper()
	b, err := Sign(w, keyOf(t, key), DayOf(at), "441882")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func when(at time.Time) When { return When{Now: at, Trusted: true, Floor: at.Add(-time.Hour)} }

func codes(found []alert.Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, fmt.Sprintf("%s(%v)", f.What.Code, f.Fatal))
	}
	return strings.Join(all, " ")
}

func TestARedWarningOf78BytesIsTrustedAndSaysWhatToDo(t *testing.T) {
	r := newReader(t, nil)
	b := signed(t, red(), 1, now)
	if len(b) != 78 || b[0]>>4 != 1 {
		t.Fatal(len(b), b[0])
	}
	o := r.Open(b, when(now))
	if !o.WellFormed || !o.Genuine || !o.Trusted || !o.Concerns || len(o.Findings) > 0 || o.Issuer.ID != "county" {
		t.Fatalf("%+v %s", o, codes(o.Findings))
	}
	if o.Action.Kind != "real" || o.Action.Level != "evacuate" || !o.Action.Sound || o.Action.Colour != "red" || o.Action.Hazard != "flash-flood" {
		t.Errorf("%+v", o.Action)
	}
	zh, en := o.Alert.Info("zh-CN"), o.Alert.Info("en-US")
	for _, c := range []struct{ got, want string }{
		{zh.Headline, "连州市应急管理局发布山洪灾害红色预警：立即转移"},
		{zh.Description, "黄渡村：1小时雨量已达68毫米，山洪正在发生或即将发生。"},
		{zh.Instruction, "危险区人员请立即转移到村小学，不要收拾财物，不要返回。"},
		{en.Headline, "Lianzhou emergency office: red flash flood warning: leave now"},
		{en.Instruction, "Leave the danger zone now and go to the village school. Leave your things. Do not go back."},
		{zh.Areas[0].Desc, "黄渡村"}, {zh.SenderName, "连州市应急管理局"}, {o.Alert.Sender, "county@example.cn"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if !zh.Effective.Equal(time.Date(2026, 7, 29, 14, 2, 0, 0, time.UTC)) || zh.Expires.Sub(zh.Effective) != 3*time.Hour {
		t.Error(zh.Effective, zh.Expires)
	}
}

func TestEveryWarningPacksToOneFormOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := some(t)
		b, err := w.Pack()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Unpack(b)
		if err != nil || got != w {
			t.Fatalf("%+v\n%+v\n%v", w, got, err)
		}
	})
	// Whatever unpacks packs to the same bytes.
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), BodySize, BodySize).Draw(t, "bytes")
		b[0] = b[0]&15 | version<<4
		if w, err := Unpack(b); err == nil {
			if again, err := w.Pack(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%x: %x, %v", b, again, err)
			}
		}
	})
	total := 0
	for _, n := range fields {
		total += n
	}
	if total != 112 {
		t.Errorf("%d bits", total)
	}
}

// some draws a warning that may be.
func some(t *rapid.T) Warning {
	n := func(most int, name string) int { return rapid.IntRange(0, most).Draw(t, name) }
	w := Warning{Type: Type(n(int(types)-1, "type")), Issuer: uint8(1 + n(254, "issuer")), Chain: Chain{uint8(n(7, "day")), uint8(n(255, "serial"))},
		Start: uint16(n(1439, "start")), Template: uint16(n(1023, "template"))}
	if w.Type == Update {
		w.Sequence = uint8(1 + n(6, "sequence"))
	}
	if w.Type.cancels() {
		return w
	}
	w.Event, w.Severity, w.Urgency, w.Certainty = uint8(n(255, "event")), uint8(n(3, "severity")), uint8(n(3, "urgency")), uint8(n(3, "certainty"))
	w.Duration, w.P, w.Q = uint8(n(31, "duration")), uint8(n(255, "p")), uint8(n(127, "q"))
	switch w.Area.Mode = AreaMode(n(3, "mode")); w.Area.Mode {
	case Division:
		w.Area.Digits = uint32(n(999_999, "digits"))
	case Circle:
		w.Area.North, w.Area.East, w.Area.Radius = uint16(n(2047, "north")), uint16(n(2047, "east")), uint8(n(15, "radius"))
	case Listed:
		w.Area.Row = uint32(n(1<<26-1, "row"))
	}
	return w
}

func TestWhateverIsSignedExpandsInBothLanguages(t *testing.T) {
	r, key := newReader(t, nil), keyOf(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		w := some(t)
		w.Issuer = 7
		if !w.Type.about() {
			w.Chain.DayBits = uint8(DayOf(now) & 7)
		}
		b, err := Sign(w, key, DayOf(now), "441882")
		if err != nil {
			t.Fatal(err)
		}
		o := r.Open(b, when(now))
		if !o.WellFormed || !o.Genuine {
			t.Fatalf("%+v: %s", w, codes(o.Findings))
		}
		if w.Type == Test && (o.Action.Sound || o.Action.Kind != "") || w.Type == Drill && o.Action.Kind == "real" || w.Type == AllClear && o.Action.Sound {
			t.Fatalf("%+v: %+v", w, o.Action)
		}
		for _, in := range o.Alert.Infos {
			if strings.ContainsAny(in.Headline+in.Description+in.Instruction, "{}") || in.Headline == "" || in.Description == "" {
				t.Fatalf("%+v", in)
			}
		}
		if w.Type.cancels() != (o.Alert.MsgType == "Cancel") || !w.Type.cancels() && len(o.Alert.Infos) != 2 {
			t.Fatalf("%+v", o.Alert)
		}
	})
}

func TestWhatIsNotTheIssuersIsNeverTrusted(t *testing.T) {
	good := signed(t, red(), 1, now)
	weather := red()
	weather.Issuer = 9
	unknown := red()
	unknown.Issuer = 8
	otherDay := signed(t, red(), 1, now)
	foreign, err := Sign(red(), keyOf(t, 1), DayOf(now), "441881")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := trust.IDOf(keyOf(t, 1).Public())
	for _, c := range []struct {
		name   string
		bytes  []byte
		at     time.Time
		change func(*trust.Document)
		want   string
	}{
		{"as signed", good, now, nil, ""},
		{"a day late", good, now.Add(24 * time.Hour), nil, ""},
		{"read a day early by a clock that is slow", good, now.Add(-24 * time.Hour), nil, ""},
		{"nine days late", otherDay, now.Add(9 * 24 * time.Hour), nil, "compact.signature"},
		{"two days before", otherDay, now.Add(-48 * time.Hour), nil, "compact.signature"},
		{"another region", foreign, now, nil, "compact.signature"},
		{"a stranger's key", signed(t, red(), 3, now), now, nil, "compact.signature"},
		{"another issuer's key", signed(t, red(), 2, now), now, nil, "compact.signature"},
		{"the county in the weather service's name", signed(t, weather, 1, now), now, nil, "compact.signature"},
		{"an issuer that is not listed", signed(t, unknown, 1, now), now, nil, "compact.unverified"},
		{"a revoked key", good, now, func(d *trust.Document) {
			d.Revoked = []trust.RevokedDocument{{Key: string(id), Since: "2026-07-29T00:00:00Z"}}
		}, "compact.key_refused"},
		{"a key revoked later in the day", good, now, func(d *trust.Document) {
			d.Revoked = []trust.RevokedDocument{{Key: string(id), Since: "2026-07-29T14:03:00Z"}}
		}, ""},
		{"a key that is not yet good", good, now, func(d *trust.Document) {
			i := d.Issuers["county"]
			i.Keys[0].From = "2026-07-30"
		}, "compact.key_refused"},
		{"no grant for what is real", good, now, func(d *trust.Document) {
			i := d.Issuers["county"]
			i.Grant.Kinds = []string{"drill"}
			d.Issuers["county"] = i
		}, "alert.trust.kind"},
		{"no grant for this place", good, now, func(d *trust.Document) {
			i := d.Issuers["county"]
			i.Grant.Areas = []string{"4401"}
			d.Issuers["county"] = i
		}, "alert.trust.area"},
		{"77 bytes", good[:77], now, nil, "compact.length"},
		{"79 bytes", append(bytes.Clone(good), 0), now, nil, "compact.length"},
		{"nothing", nil, now, nil, "compact.length"},
		{"version 2", append([]byte{0x20}, good[1:]...), now, nil, "compact.version"},
		{"type 7", append([]byte{0x1E}, good[1:]...), now, nil, "compact.fields"},
	} {
		o := newReader(t, c.change).Open(c.bytes, when(c.at))
		fatal := ""
		for _, f := range o.Findings {
			if f.Fatal {
				fatal = f.What.Code
			}
		}
		if fatal != c.want || o.Trusted != (c.want == "") {
			t.Errorf("%s: %s, trusted %v", c.name, codes(o.Findings), o.Trusted)
		}
		if o.Alert != nil && !o.Trusted && c.want != "compact.length" && o.Issuer != nil {
			t.Errorf("%s: an issuer stands behind it", c.name)
		}
	}
}

// TestNothingForgedIsAccepted changes, cuts and replays; run it with -forged 100000 for the figure.
func TestNothingForgedIsAccepted(t *testing.T) {
	r := newReader(t, nil)
	good := signed(t, red(), 1, now)
	b := book.New(book.DefaultOpts())
	stamp := clock.Stamp{Mono: time.Hour, Wall: now, Boot: "a", Trust: clock.Set}
	floor := now.Add(-time.Hour)
	began := 0
	take := func(m []byte) bool {
		o := r.Open(m, when(now))
		for _, c := range b.Take(o, "beidou", stamp, floor) {
			if c.Kind == book.Began {
				began++
			}
		}
		return o.Trusted
	}
	if !take(good) || began != 1 {
		t.Fatal("the genuine one did not begin")
	}
	strangers := []byte{3, 4, 5}
	old := signed(t, Warning{Type: Alert, Issuer: 7, Chain: chain(now.AddDate(0, 0, -16), 12), Event: 3, Severity: 3, Start: 842, Duration: 11, Area: Area{Mode: Region}}, 1, now.AddDate(0, 0, -16))
	accepted := 0
	for i := range *forged {
		m := bytes.Clone(good)
		switch i % 5 {
		case 0:
			bit := i / 5 % (Size * 8)
			m[bit/8] ^= 1 << (bit % 8)
			if j := i / 5 / (Size * 8) % (Size * 8); j != bit && i/5 >= Size*8 {
				m[j/8] ^= 1 << (j % 8)
			}
		case 1:
			m = m[:i/5%Size]
		case 2:
			w := red()
			w.Chain.Serial, w.P = uint8(i/5), uint8(i/1280)
			m = signed(t, w, strangers[i/5%3], now)
		case 3:
			m = old // of the same weekday bits, sixteen days ago
		case 4:
			// A signature of another message of the same issuer.
			w := red()
			w.Chain.Serial = uint8(13 + i/5%200)
			body, err := w.Pack()
			if err != nil {
				t.Fatal(err)
			}
			copy(m, body)
		}
		if take(m) {
			accepted++
		}
	}
	for range 10 { // replays are genuine and count once
		take(good)
	}
	if accepted != 0 || began != 1 {
		t.Errorf("%d of %d were accepted, %d began", accepted, *forged, began)
	}
}

func TestABoxWithoutAClockFindsTheDay(t *testing.T) {
	r := newReader(t, nil)
	b := signed(t, red(), 1, now)
	for _, c := range []struct {
		name string
		when When
		want bool
	}{
		{"a clock ten years back, and a floor of last spring", When{Now: now.AddDate(-10, 0, 0), Floor: now.AddDate(0, -4, 0)}, true},
		{"a clock ten years on", When{Now: now.AddDate(10, 0, 0), Floor: now.AddDate(-1, 0, 0)}, true},
		{"a floor of two years ago", When{Now: now.AddDate(-10, 0, 0), Floor: now.AddDate(-2, 0, 0)}, false},
		{"the clock is right and not trusted", When{Now: now, Floor: now.AddDate(-3, 0, 0)}, true},
		{"no time at all", When{}, false},
	} {
		if o := r.Open(b, c.when); o.Trusted != c.want {
			t.Errorf("%s: %s", c.name, codes(o.Findings))
		} else if c.want && !o.Alert.Infos[0].Effective.Equal(DayOf(now).At(842)) {
			t.Errorf("%s: another day: %v", c.name, o.Alert.Infos[0].Effective)
		}
	}
}

// TestAChainIsKeptInWhateverOrderItComes takes an alert, its updates and its cancel through the book in every order and with any of
// them lost: what is in force is what the last that came says.
func TestAChainIsKeptInWhateverOrderItComes(t *testing.T) {
	r := newReader(t, nil)
	next := now.Add(24 * time.Hour)
	first := red()
	first.Duration = 24 // 36 h
	u1, u2 := first, first
	u1.Type, u1.Sequence, u1.Start, u1.P = Update, 1, 14*60+30, 90
	u2.Type, u2.Sequence, u2.Start, u2.P = Update, 2, 3*60, 120 // on the next day
	c := Warning{Type: Cancel, Issuer: 7, Chain: first.Chain, Start: 4 * 60, Template: 14}
	all := [][]byte{signed(t, first, 1, now), signed(t, u1, 1, now), signed(t, u2, 1, next), signed(t, c, 1, next)}
	at := time.Date(2026, 7, 30, 4, 5, 0, 0, time.UTC)
	stamp := clock.Stamp{Mono: time.Hour, Wall: at, Boot: "a", Trust: clock.Set}
	for mask := 1; mask < 16; mask++ {
		var some []int
		for i := range 4 {
			if mask>>i&1 == 1 {
				some = append(some, i)
			}
		}
		permute(some, func(order []int) {
			b := book.New(book.DefaultOpts())
			for _, i := range order {
				o := r.Open(all[i], when(at))
				if !o.Trusted {
					t.Fatal(i, codes(o.Findings))
				}
				b.Take(o, "beidou", stamp, at.Add(-time.Hour))
			}
			var want []string
			if last := slices.Max(order); last < 3 {
				want = []string{[]string{"compact-7-20260729-12", "compact-7-20260729-12-u1", "compact-7-20260729-12-u2"}[last]}
			}
			var have []string
			for _, e := range b.Sounding() {
				have = append(have, e.Ref.Identifier)
			}
			if !slices.Equal(have, want) {
				t.Fatalf("%v: %v in force, want %v", order, have, want)
			}
		})
	}
}

func permute(a []int, f func([]int)) {
	var rec func(int)
	rec = func(k int) {
		if k == len(a) {
			f(slices.Clone(a))
			return
		}
		for i := k; i < len(a); i++ {
			a[k], a[i] = a[i], a[k]
			rec(k + 1)
			a[k], a[i] = a[i], a[k]
		}
	}
	rec(0)
}

func TestADrillsCancelEndsNothingThatIsReal(t *testing.T) {
	r := newReader(t, nil)
	b := book.New(book.DefaultOpts())
	stamp := clock.Stamp{Mono: time.Hour, Wall: now, Boot: "a", Trust: clock.Set}
	for _, m := range [][]byte{signed(t, red(), 1, now), signed(t, Warning{Type: DrillCancel, Issuer: 7, Chain: red().Chain, Start: 844}, 1, now)} {
		b.Take(r.Open(m, when(now)), "beidou", stamp, now.Add(-time.Hour))
	}
	if n := len(b.Sounding()); n != 1 {
		t.Errorf("%d in force", n)
	}
}

func TestAreasConcernWhomTheyCover(t *testing.T) {
	r := newReader(t, nil)
	for _, c := range []struct {
		name string
		area Area
		want bool
		desc string
		odd  string
	}{
		{"the village", Area{Mode: Division, Digits: 103201}, true, "黄渡村", ""},
		{"its town", Area{Mode: Division, Digits: 103000}, true, "九陂镇", ""},
		{"all of the county", Area{Mode: Division}, true, "连州市", ""},
		{"the next village", Area{Mode: Division, Digits: 103202}, false, "九陂镇（441882103202）", ""},
		{"the next town", Area{Mode: Division, Digits: 104000}, false, "连州市（441882104000）", ""},
		{"the region", Area{Mode: Region}, true, "连州市", ""},
		{"the river", Area{Mode: Listed, Row: 1}, true, "黄渡河沿岸", ""},
		{"a circle around it", Area{Mode: Circle, North: 481, East: 379, Radius: 0}, true, "北纬24.78度、东经112.38度周围0.5公里", ""},
		{"a circle five kilometres away", Area{Mode: Circle, North: 526, East: 379, Radius: 1}, false, "北纬24.83度、东经112.38度周围1公里", ""},
		{"a wide circle from there", Area{Mode: Circle, North: 526, East: 379, Radius: 6}, true, "北纬24.83度、东经112.38度周围10公里", ""},
		{"a row that this box does not have", Area{Mode: Listed, Row: 99}, false, "连州市", "compact.unknown_area"},
	} {
		w := red()
		w.Area = c.area
		o := r.Open(signed(t, w, 1, now), when(now))
		odd := ""
		if len(o.Findings) > 0 {
			odd = o.Findings[0].What.Code
		}
		if o.Concerns != c.want || o.Alert.Infos[0].Areas[0].Desc != c.desc || odd != c.odd {
			t.Errorf("%s: %v (%s), %q, %q", c.name, o.Concerns, o.ConcernsWhy.In("en"), o.Alert.Infos[0].Areas[0].Desc, odd)
		}
	}
}

func TestWhatTheTableDoesNotHaveCostsTheWordsOnly(t *testing.T) {
	r := newReader(t, nil)
	w := red()
	w.Event, w.Template = 200, 900
	o := r.Open(signed(t, w, 1, now), when(now))
	if !o.Trusted || !o.Concerns || !o.Action.Sound || o.Action.Level != "prepare" {
		t.Errorf("%+v %s", o.Action, codes(o.Findings))
	}
	if codes(o.Findings) != "compact.unknown_event(false) compact.unknown_template(false)" {
		t.Error(codes(o.Findings))
	}
	if got := o.Alert.Infos[0].Headline; got != "连州市应急管理局发布险情（代号 200）预警" {
		t.Error(got)
	}
}

func TestTheTextFormIsReadAsPhonesDeliverIt(t *testing.T) {
	b := signed(t, red(), 1, now)
	s := Text(b)
	if len(s) != 104 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") != "" {
		t.Fatal(s)
	}
	for _, c := range []struct {
		text string
		want bool
	}{
		{s, true}, {" " + s[:50] + "\r\n" + s[50:] + "\n", true},
		{s[:103], false}, {s + "A", false}, {s[:103] + "=", false}, {"山洪红色预警", false}, {"", false}, {strings.Repeat(s, 5), false},
		{"A" + s[1:], false}, // another version
	} {
		if got, ok := ReadText(c.text); ok != c.want || ok && !bytes.Equal(got, b) {
			t.Errorf("%q: %v", c.text, ok)
		}
	}
}

func TestASignerIsHeldToItsDayAndItsKind(t *testing.T) {
	w := red()
	w.Chain.DayBits ^= 1
	if _, err := Sign(w, keyOf(t, 1), DayOf(now), "441882"); phrase.Of(err).Code != "compact.day" {
		t.Error(err)
	}
	sm, err := trust.NewSigner(trust.SM2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(red(), sm, DayOf(now), "441882"); phrase.Of(err).Code != "compact.key" {
		t.Error(err)
	}
	for name, change := range map[string]func(*Warning){
		"no issuer": func(w *Warning) { w.Issuer = 0 }, "minute 1440": func(w *Warning) { w.Start = 1440 }, "an alert with a sequence": func(w *Warning) { w.Sequence = 1 },
		"an update without": func(w *Warning) { w.Type = Update }, "a cancel with an event": func(w *Warning) { w.Type = Cancel }, "duration 32": func(w *Warning) { w.Duration = 32 },
		"template 1024": func(w *Warning) { w.Template = 1024 }, "q 128": func(w *Warning) { w.Q = 128 }, "seven digits": func(w *Warning) { w.Area.Digits = 1_000_000 },
		"digits in a region": func(w *Warning) { w.Area.Mode = Region }, "severity 4": func(w *Warning) { w.Severity = 4 },
	} {
		w := red()
		change(&w)
		if _, err := Sign(w, keyOf(t, 1), DayOf(now), "441882"); phrase.Of(err).Code != "compact.fields" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func vectors(t testing.TB) (all []struct {
	name string
	b    []byte
}) {
	add := func(name string, w Warning, at time.Time) {
		all = append(all, struct {
			name string
			b    []byte
		}{name, signed(t, w, 1, at)})
	}
	add("alert: issuer 7, serial 12, flash flood, red, 14:02 for 3 h, Huangdu village, template 2 with 68 and 1", red(), now)
	u := red()
	u.Type, u.Sequence, u.Start, u.P = Update, 1, 14*60+30, 90
	add("update 1 of it at 14:30, with 90", u, now)
	add("cancel of it at 04:00 on the next day, template 14", Warning{Type: Cancel, Issuer: 7, Chain: red().Chain, Start: 240, Template: 14}, now.Add(24*time.Hour))
	c := red()
	c.Chain.Serial, c.Area = 13, Area{Mode: Circle, North: 481, East: 379, Radius: 2}
	add("alert: the same with serial 13, within 2 km of cell 481, 379", c, now)
	d := red()
	d.Type, d.Chain.Serial, d.Template = Drill, 14, 15
	add("drill, serial 14, template 15", d, now)
	return all
}

func TestVectorsAreThoseThatOthersWereGiven(t *testing.T) {
	const name = "testdata/vectors.txt"
	var text strings.Builder
	text.WriteString("# Compact warnings of 2026-07-29, region 441882, signed with the Ed25519 key whose seed is 32 bytes 01.\n")
	for i, v := range vectors(t) {
		fmt.Fprintf(&text, "%s\n\t%x\n\t%s\n", v.name, v.b, Text(v.b))
		if *update {
			dir := filepath.Join("testdata", "fuzz", "FuzzOpen")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("vector-%02d", i)), fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", v.b), 0o644); err != nil {
				t.Fatal(err)
			}
			dir = filepath.Join("testdata", "fuzz", "FuzzReadText")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("vector-%02d", i)), fmt.Appendf(nil, "go test fuzz v1\nstring(%q)\n", Text(v.b)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if *update {
		if err := os.WriteFile(name, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text.String() {
		t.Error("the bytes have changed: a new version is needed, or -update before the first release")
	}
}

// FuzzOpen: nothing that is not one of the vectors is ever trusted, and whatever opens is bounded.
func FuzzOpen(f *testing.F) {
	r := newReader(f, nil)
	known := map[string]bool{}
	for _, v := range vectors(f) {
		known[string(v.b)] = true
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := r.Open(b, when(now.Add(20*time.Hour)))
		if o.Trusted && !known[string(b)] {
			t.Fatalf("%x is trusted", b)
		}
		if o.Alert != nil && (len(o.Alert.References) > sequences || len(o.Alert.Infos) > 2) {
			t.Fatal("it grew")
		}
		if w, err := Unpack(b); err == nil {
			if again, err := w.Pack(); err != nil || !bytes.Equal(again, b) {
				t.Fatal("it is written otherwise")
			}
		}
	})
}

func FuzzReadText(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if b, ok := ReadText(s); ok && Text(b) != strings.Join(strings.Fields(s), "") {
			t.Fatalf("%q is read and would be written %q", s, Text(b))
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	r := newReader(b, nil)
	m := signed(b, red(), 1, now)
	for b.Loop() {
		if !r.Open(m, when(now)).Trusted {
			b.Fatal("not trusted")
		}
	}
}
