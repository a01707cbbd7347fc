package walk

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/capgen"
)

// TestSignedTextsLiveAndEnd takes real signed texts of every profile through the
// real reader: an alert, its update and its cancel, in every order, with a forged
// copy of each in between.
func TestSignedTextsLiveAndEnd(t *testing.T) {
	tables, err := alert.LoadTables(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	key, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	public, err := trust.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	store, faults := trust.New(trust.Document{Issuers: map[string]trust.IssuerDocument{"county": {Senders: capgen.Senders[:], Keys: []trust.PEMDocument{{PEM: string(public)}},
		Grant: trust.GrantDocument{Kinds: []string{"real", "drill", "test"}, MostLevel: "evacuate"}}}}, fstest.MapFS{})
	if len(faults) > 0 {
		t.Fatalf("%+v", faults)
	}
	here := alert.Place{Code: "441882103201", Lat: 24.7812, Lon: 112.3790}
	reader := &alert.Reader{Trust: store, Tables: tables, Here: here}
	g := capgen.New(5)
	sounded, edited := 0, 0
	for i := range 60 {
		write := func(kind string, sent time.Time, sender string, names ...capgen.Ref) ([]byte, capgen.Ref) {
			w := g.Next(capgen.Options{Profile: capgen.Profiles[i%len(capgen.Profiles)], Severity: "Extreme", Lasts: time.Hour,
				MsgType: kind, Sent: sent, Sender: sender, References: names})
			b, err := xmldsig.Sign(w.Text, key, nil, xmldsig.SignOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return b, w.Ref
		}
		sent := time.Date(2026, 5, 12, 14, 0, 0, 0, time.UTC)
		a, first := write("Alert", sent, "")
		u, second := write("Update", sent.Add(time.Minute), first.Sender, first)
		c, _ := write("Cancel", sent.Add(2*time.Minute), first.Sender, first, second)
		now := clock.Stamp{Mono: time.Hour, Wall: sent.Add(3 * time.Minute), Boot: "a", Trust: clock.Set}
		var final map[string]book.State
		for n, turns := range [][][]byte{{a, u, c}, {a, c, u}, {u, a, c}, {u, c, a}, {c, a, u}, {c, u, a}} {
			b := book.New(book.DefaultOpts())
			begins := 0
			for _, text := range turns {
				if forged := strings.Replace(string(text), "expires>2026", "expires>2027", 1); forged != string(text) {
					edited++
					got := b.Take(reader.Open([]byte(forged)), "api", now, sent)
					if k := got[0].Kind; len(got) != 1 || k != book.Held && k != book.Refused && k != book.Duplicate {
						t.Fatalf("an edited text %s", k)
					}
				}
				o := reader.Open(text)
				if !o.WellFormed || !o.Genuine || !o.Trusted {
					t.Fatalf("%v %v %v %+v\n%s", o.WellFormed, o.Genuine, o.Trusted, o.Findings, text)
				}
				for _, ch := range b.Take(o, "feed", now, sent) {
					if ch.Kind == book.Began || ch.Kind == book.Replaced {
						begins++
						if ch.Entry.Sounds() {
							sounded++
						}
					}
				}
			}
			states := map[string]book.State{}
			for _, e := range b.List() {
				if e.State != book.Unverified {
					states[e.Ref.Identifier] = e.State
				}
			}
			if n == 0 {
				final = states
				if begins != 2 {
					t.Errorf("in order, %d began", begins)
				}
			}
			if !maps.Equal(states, final) || states[first.Identifier] != book.Superseded || states[second.Identifier] != book.Cancelled {
				t.Errorf("order %d: %v", n, states)
			}
			if n >= 4 && begins != 0 {
				t.Errorf("order %d: what was cancelled began", n)
			}
		}
	}
	if sounded == 0 || edited == 0 {
		t.Errorf("%d would have sounded, %d were edited", sounded, edited)
	}
}
