package issue

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/configs"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

var now = time.Date(2026, 7, 1, 14, 40, 0, 0, time.UTC)

type desk struct {
	t    testing.TB
	file *hubfile.File
	key  *trust.PrivateKey
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, file: &hubfile.File{Data: t.TempDir()}}
	var err error
	if d.key, err = trust.NewSigner(trust.Ed25519); err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(d.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w := &d.file.Warnings
	var faults []trust.Fault
	w.Store, faults = trust.New(trust.Document{Issuers: map[string]trust.IssuerDocument{"office": {
		Name: phrase.Text{ZH: "桐乡市应急局", EN: "Tongxiang office"}, Senders: []string{"office@county.example"}, Keys: []trust.PEMDocument{{PEM: string(pub)}},
		Grant: trust.GrantDocument{Kinds: []string{"real", "drill", "test"}, MostLevel: "evacuate"}, Compact: &trust.CompactDocument{Number: 9, Region: "330483"},
	}}}, nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if w.CAP, err = alert.LoadTables(configs.FS); err != nil {
		t.Fatal(err)
	}
	if w.Book, err = compact.LoadTables(configs.FS); err != nil {
		t.Fatal(err)
	}
	return d
}

// named gives an identifier of the national form.
func named(id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return fmt.Sprintf("330483%08d_20260701224000_0", h.Sum32()%1e8)
}

// document is a warning in full; change alters it.
func (d *desk) document(id string, change func(*alert.Alert)) []byte {
	d.t.Helper()
	a := &alert.Alert{Identifier: named(id), Sender: "office@county.example", Sent: now, Status: "Actual", MsgType: "Alert", Scope: "Public", Infos: []alert.Info{{
		Language: "zh-CN", Categories: []string{"Geo"}, Event: "山洪灾害", Urgency: "Immediate", Severity: "Extreme", Certainty: "Observed", Colour: "red",
		Effective: now, Expires: now.Add(6 * time.Hour), Headline: "山洪红色预警", Description: "请转移",
		EventCodes: []alert.Named{{Name: "eventType", Value: "11A51"}}, Areas: []alert.Area{{Desc: "凤鸣街道", Geocodes: []alert.Named{{Name: "areaCode", Value: "330483105000"}}}},
	}}}
	if change != nil {
		change(a)
	}
	b, err := alert.Write(a, alert.WriteOptions{Tables: d.file.Warnings.CAP, Profile: "cn"})
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d *desk) condense(raw []byte, at time.Time) (*Short, error) {
	return Condense(d.file, raw, d.key, Words{}, at)
}

func TestAWarningIsCondensedAsAStationWouldBelieveIt(t *testing.T) {
	d := newDesk(t)
	s, err := d.condense(d.document("w-1", nil), now)
	if err != nil {
		t.Fatal(phrase.In(err, phrase.EN))
	}
	if !compact.Is(s.Bytes) || !strings.Contains(s.Says.ZH, "山洪灾害红色") {
		t.Errorf("%d bytes say %v", len(s.Bytes), s.Says)
	}
	n, err := NamesOf(d.file, s.Bytes, now.Add(26*time.Hour))
	if err != nil || len(n.Names) != 2 || !n.Until.Equal(now.Add(6*time.Hour)) || n.Names[0].Issuer != 9 || n.Names[0].Day != uint16(compact.DayOf(now)&1023) {
		t.Errorf("%+v %v", n, err)
	}
	forged := bytes.Clone(s.Bytes)
	forged[20] ^= 1
	if _, err := NamesOf(d.file, forged, now); err == nil {
		t.Error("a forged one has names")
	}
}

// TestNoNumberComesTwice counts over restarts, days and what fails between.
func TestNoNumberComesTwice(t *testing.T) {
	d := newDesk(t)
	seen := map[string]string{}
	add := func(id string, s *Short) {
		body := string(s.Bytes[:compact.BodySize])
		w, _ := compact.Unpack([]byte(body))
		k := string([]byte{byte(w.Type), byte(w.Number() >> 8), byte(w.Number())})
		if other, had := seen[k]; had && other != id {
			t.Fatalf("%s has the number of %s", id, other)
		}
		seen[k] = id
	}
	for i := range 20 {
		id := string(rune('a' + i))
		raw := d.document(id, nil)
		s, err := d.condense(raw, now)
		if err != nil {
			t.Fatal(err)
		}
		add(id, s)
		again, err := d.condense(raw, now.Add(30*time.Hour)) // the next day
		if err != nil || !bytes.Equal(again.Bytes, s.Bytes) {
			t.Fatalf("sent again it differs: %v", err)
		}
		if i%5 == 2 { // what cannot be said takes none; what was reserved and then lost is not given again
			if _, err := d.condense(d.document("x", func(a *alert.Alert) { a.Infos[0].Expires = now.AddDate(0, 1, 0) }), now); err == nil {
				t.Fatal("a month was said")
			}
			b, err := openBook(d.file.Data, 9)
			if err != nil {
				t.Fatal(err)
			}
			e, _, err := b.reserve("lost "+id, "k", "Alert", nil, compact.DayOf(now))
			if err != nil {
				t.Fatal(err)
			}
			seen[string([]byte{0, byte(uint16(e.Began&7) << 3), 0})+id] = "lost"
			b.close()
		}
	}
	if len(seen) != 24 {
		t.Errorf("%d numbers", len(seen))
	}
	// A clock that went back is refused.
	if _, err := d.condense(d.document("late", func(a *alert.Alert) { a.Sent = now.AddDate(0, 0, -1); a.Infos[0].Effective = a.Sent }), now.AddDate(0, 0, -1)); phrase.Of(err).Code != "hubd.issued_clock" {
		t.Error(err)
	}
	// A damaged book is never a beginning at zero.
	file := filepath.Join(d.file.Data, "issued", "9.json")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{{}, whole[:len(whole)/2], []byte(`{"version":1,"serial":999}`)} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.condense(d.document("z", nil), now); phrase.Of(err).Code != "hubd.issued" {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestTheLastNumberOfADayIsTheLast(t *testing.T) {
	d := newDesk(t)
	b, err := openBook(d.file.Data, 9)
	if err != nil {
		t.Fatal(err)
	}
	b.Day, b.Serial = compact.DayOf(now), serialMost-1
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	b.close()
	if _, err := d.condense(d.document("a", nil), now); err != nil {
		t.Fatal(err)
	}
	if _, err := d.condense(d.document("b", nil), now); phrase.Of(err).Code != "hubd.issued_full" {
		t.Error(err)
	}
	if _, err := d.condense(d.document("b", func(a *alert.Alert) {
		a.Sent = now.Add(24 * time.Hour)
		a.Infos[0].Effective = a.Sent
		a.Infos[0].Expires = a.Sent.Add(time.Hour)
	}), now.Add(24*time.Hour)); err != nil {
		t.Error(err)
	}
}

func TestUpdatesAndCancelsTakeTheChainOfWhatTheyReferTo(t *testing.T) {
	d := newDesk(t)
	first := alert.Ref{Sender: "office@county.example", Identifier: named("w-1"), Sent: now}
	if _, err := d.condense(d.document("w-1", nil), now); err != nil {
		t.Fatal(err)
	}
	after := func(id, kind string, at time.Time, refs ...alert.Ref) []byte {
		return d.document(id, func(a *alert.Alert) {
			a.MsgType, a.Sent, a.References = kind, at, refs
			if kind == "Cancel" {
				a.Infos = nil
				a.Note = "x"
			}
		})
	}
	if _, err := d.condense(after("u-0", "Update", now.Add(time.Minute), alert.Ref{Sender: "office@county.example", Identifier: named("other"), Sent: now}), now.Add(time.Minute)); phrase.Of(err).Code != "hubd.issued_chain" {
		t.Error(err)
	}
	for i := range 8 {
		at := now.Add(time.Duration(i+1) * 10 * time.Minute)
		s, err := d.condense(after("u-"+string(rune('1'+i)), "Update", at, first), at)
		if i == 7 {
			if phrase.Of(err).Code != "hubd.issued_updates" {
				t.Error(err)
			}
			break
		}
		if err != nil {
			t.Fatal(phrase.In(err, phrase.EN))
		}
		w, _ := compact.Unpack(s.Bytes[:compact.BodySize])
		if w.Type != compact.Update || int(w.Sequence) != i+1 || w.Chain.Serial != 0 {
			t.Errorf("%+v", w)
		}
	}
	at := now.Add(20 * time.Hour) // the next day
	s, err := d.condense(after("c-1", "Cancel", at, first), at)
	if err != nil {
		t.Fatal(phrase.In(err, phrase.EN))
	}
	n, err := NamesOf(d.file, s.Bytes, at)
	if err != nil || len(n.Names) != 3 || n.Names[0].Day != uint16(compact.DayOf(at)&1023) || n.Names[2].Day != uint16(compact.DayOf(now)&1023) {
		t.Errorf("%+v %v", n, err)
	}
}

func TestWhatNoStationWouldBelieveIsNotSigned(t *testing.T) {
	d := newDesk(t)
	stranger, _ := trust.NewSigner(trust.Ed25519)
	other, _ := trust.NewSigner(trust.P256)
	good := d.document("w-1", nil)
	for name, c := range map[string]struct {
		raw  []byte
		key  trust.Signer
		w    Words
		code string
	}{
		"a stranger's key":       {good, stranger, Words{}, "hubd.issuer_stranger"},
		"a key of another kind":  {good, other, Words{}, "compact.key"},
		"no such template":       {good, d.key, Words{Template: 999}, "hubd.issuer_template"},
		"a number for no place":  {good, d.key, Words{P: 4}, "hubd.issuer_template"},
		"an area far away":       {d.document("w-2", func(a *alert.Alert) { a.Infos[0].Areas[0].Geocodes[0].Value = "440100000000" }), d.key, Words{}, "compact.cannot_area"},
		"an event that is none":  {d.document("w-3", func(a *alert.Alert) { a.Infos[0].EventCodes, a.Infos[0].Event = nil, "x" }), d.key, Words{}, "compact.cannot_event"},
		"what is not a document": {[]byte("hello"), d.key, Words{}, "hubd.alert_form"},
	} {
		if _, err := Condense(d.file, c.raw, c.key, c.w, now); phrase.Of(err).Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(d.file.Data, "issued", "9.json")); err == nil {
		t.Error("a number was used")
	}
	d.file.Warnings.Store = nil
	if _, err := d.condense(good, now); phrase.Of(err).Code != "hubd.issuer_trust" {
		t.Error(err)
	}
}

func TestAKeyThatOthersReadIsNotUsed(t *testing.T) {
	d := newDesk(t)
	pem, _ := d.key.PEM()
	file := filepath.Join(d.file.Data, "issuer.key")
	if err := os.WriteFile(file, pem, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(file); phrase.Of(err).Code != "hubd.secret_open" {
		t.Error(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := LoadKey(file); err != nil || k.Algorithm() != trust.EdDSA {
		t.Error(err)
	}
}
