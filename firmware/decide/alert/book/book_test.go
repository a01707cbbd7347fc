package book

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

var (
	t0    = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	floor = t0.Add(-time.Hour)
)

func stamp(d time.Duration, trust clock.Trust) clock.Stamp {
	return clock.Stamp{Mono: time.Hour + d, Wall: t0.Add(d), Boot: "a", Trust: trust}
}

// say makes a verified message of the county.
func say(id, kind string, sent, life time.Duration, names ...*alert.Opened) *alert.Opened {
	a := &alert.Alert{Identifier: id, Sender: "county", Sent: t0.Add(sent), Status: "Actual", MsgType: kind}
	for _, n := range names {
		a.References = append(a.References, n.Alert.Ref())
	}
	if kind == "Alert" || kind == "Update" {
		a.Infos = []alert.Info{{Language: "zh-CN", Headline: id, Effective: a.Sent, Expires: a.Sent.Add(life)}}
	}
	return &alert.Opened{Alert: a, WellFormed: true, Genuine: true, Trusted: true, Issuer: &trust.Issuer{ID: "county"}, Concerns: true,
		Digest: sha256.Sum256([]byte(id + kind)), Action: alert.Action{Kind: "real", Level: "evacuate", Sound: true, Rank: 40}}
}

func one(t *testing.T, got []Change, want Kind, state State) Change {
	t.Helper()
	if len(got) != 1 || got[0].Kind != want || got[0].Entry.State != state {
		t.Fatalf("got %s, want %s as %s", list(got), want, state)
	}
	return got[0]
}

func list(cs []Change) string {
	var s []string
	for _, c := range cs {
		s = append(s, fmt.Sprintf("%s %s %s", c.Kind, c.Entry.Ref.Identifier, c.Entry.State))
	}
	return "[" + strings.Join(s, "; ") + "]"
}

func TestAnUpdateAndACancelMayComeFirst(t *testing.T) {
	a := say("a", "Alert", 0, time.Hour)
	u := say("u", "Update", time.Minute, time.Hour, a)
	c := say("c", "Cancel", 2*time.Minute, 0, u)
	b, now := New(DefaultOpts()), stamp(3*time.Minute, clock.Set)
	one(t, b.Take(c, "lora", now, floor), Kept, Noted)
	one(t, b.Take(u, "lora", now, floor), Kept, Cancelled)
	got := one(t, b.Take(a, "feed", now, floor), Kept, Superseded)
	if got.Entry.Lifted != u.Alert.Sent || !got.Entry.Expires.Equal(t0.Add(time.Hour)) {
		t.Errorf("lifted %v, expires %v", got.Entry.Lifted, got.Entry.Expires)
	}
	if zh := got.Because[0].In(phrase.ZH); !strings.Contains(zh, "u") {
		t.Errorf("does not say by what: %s", zh)
	}
}

func TestAnUpdateTakesThePlaceWithoutAGap(t *testing.T) {
	a := say("a", "Alert", 0, time.Hour)
	u := say("u", "Update", time.Minute, time.Hour, a)
	u.Alert.Infos[0].Effective = t0.Add(30 * time.Minute)
	b, now := New(DefaultOpts()), stamp(2*time.Minute, clock.Set)
	first := one(t, b.Take(a, "api", now, floor), Began, InForce)
	got := one(t, b.Take(u, "api", now, floor), Replaced, InForce)
	if got.Chain != first.Chain || len(got.Before) != 1 || got.Before[0].ID != first.Entry.ID {
		t.Errorf("%+v", got)
	}
	one(t, b.Due(stamp(2*time.Hour, clock.Set), floor), Ended, Expired)
}

func TestAnUpdateThatLeavesThisPlaceEndsItAndSaysSo(t *testing.T) {
	b, now := New(DefaultOpts()), stamp(2*time.Minute, clock.Set)
	a := say("a", "Alert", 0, time.Hour)
	b.Take(a, "api", now, floor)
	u := say("u", "Update", time.Minute, time.Hour, a)
	u.Concerns = false
	got := b.Take(u, "api", now, floor)
	if len(got) != 2 || got[0].Kind != Ended || got[0].Entry.State != Superseded || got[1].Kind != Kept {
		t.Fatal(list(got))
	}
	if zh := got[0].Because[1].In(phrase.ZH); !strings.Contains(zh, "不再涉及本地") {
		t.Error(zh)
	}
}

func TestAGrantLetsOneIssuerEndAnothersAlerts(t *testing.T) {
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := trust.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	other, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	pem2, err := trust.PublicPEM(other.Public())
	if err != nil {
		t.Fatal(err)
	}
	store, faults := trust.New(trust.Document{Issuers: map[string]trust.IssuerDocument{
		"county": {Senders: []string{"county"}, Keys: []trust.PEMDocument{{PEM: string(pem)}}},
		"city":   {Senders: []string{"city"}, Keys: []trust.PEMDocument{{PEM: string(pem2)}}, Grant: trust.GrantDocument{Amends: []string{"county"}}},
	}}, nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	o := DefaultOpts()
	o.MayEnd = Amends(store)
	b, now := New(o), stamp(2*time.Minute, clock.Set)
	a := say("a", "Alert", 0, time.Hour)
	b.Take(a, "api", now, floor)
	c := say("c", "Cancel", time.Minute, 0, a)
	c.Issuer, c.Alert.Sender = &trust.Issuer{ID: "city"}, "city"
	if got := b.Take(c, "api", now, floor); len(got) != 2 || got[0].Entry.State != Cancelled {
		t.Error(list(got))
	}
	d := say("d", "Alert", 0, time.Hour)
	d.Issuer, d.Alert.Sender = &trust.Issuer{ID: "city"}, "city"
	b.Take(d, "api", now, floor)
	one(t, b.Take(say("e", "Cancel", time.Minute, 0, d), "api", now, floor), Kept, Noted)
}

func BenchmarkTakeIntoAFullBook(b *testing.B) {
	k := New(DefaultOpts())
	now := stamp(time.Minute, clock.Set)
	i := 0
	for ; i < 1000; i++ {
		k.Take(say(fmt.Sprint(i), "Alert", 0, time.Hour), "api", now, floor)
	}
	for b.Loop() {
		m := say(fmt.Sprint(i), "Alert", 0, time.Hour)
		k.Take(m, "api", now, floor)
		k.Take(say(fmt.Sprint(i, "c"), "Cancel", time.Second, 0, m), "api", now, floor)
		i++
	}
}

func BenchmarkDueOfAFullBook(b *testing.B) {
	k := New(DefaultOpts())
	now := stamp(time.Minute, clock.Set)
	for i := range 1600 {
		k.Take(say(fmt.Sprint(i), "Alert", 0, time.Hour), "api", now, floor)
	}
	for b.Loop() {
		k.Due(now, floor)
	}
}

func TestOnlyItsIssuerEndsAnAlert(t *testing.T) {
	a := say("a", "Alert", 0, time.Hour)
	now := stamp(2*time.Minute, clock.Set)
	for _, c := range []struct {
		name  string
		spoil func(*alert.Opened)
		want  Kind
	}{
		{"another issuer", func(o *alert.Opened) { o.Issuer = &trust.Issuer{ID: "mine"}; o.Alert.Sender = "mine" }, Kept},
		{"an exercise", func(o *alert.Opened) { o.Alert.Status = "Exercise" }, Kept},
		{"unverified", func(o *alert.Opened) { o.Genuine, o.Issuer = false, nil }, Held},
		{"genuine but not trusted", func(o *alert.Opened) { o.Trusted = false }, Held},
		{"malformed", func(o *alert.Opened) { o.WellFormed = false }, Refused},
	} {
		b := New(DefaultOpts())
		one(t, b.Take(a, "api", now, floor), Began, InForce)
		x := say("c", "Cancel", time.Minute, 0, a)
		c.spoil(x)
		got := b.Take(x, "api", now, floor)
		if len(got) != 1 || got[0].Kind != c.want || len(got[0].Because) == 0 {
			t.Errorf("%s: %s", c.name, list(got))
		}
		if l := b.List(); l[0].State != InForce || !l[0].Sounds() {
			t.Errorf("%s ended it", c.name)
		}
	}
}

func TestAForgedNameDoesNotStandInTheWayOfTheGenuine(t *testing.T) {
	b, now := New(DefaultOpts()), stamp(time.Minute, clock.Set)
	forged := say("a", "Alert", 0, time.Hour)
	forged.Genuine, forged.Trusted, forged.Issuer, forged.Alert.Infos[0].Headline = false, false, nil, "假的"
	one(t, b.Take(forged, "api", now, floor), Held, Unverified)
	one(t, b.Take(say("a", "Alert", 0, time.Hour), "feed", now, floor), Began, InForce)
	one(t, b.Take(forged, "api", now, floor), Refused, Rejected)
	if l := b.List(); len(l) != 1 {
		t.Errorf("%d entries", len(l))
	}
}

func TestAnOldAlertEndsByItsAgeWithoutATrustedClock(t *testing.T) {
	b := New(DefaultOpts())
	c := one(t, b.Take(say("a", "Alert", 0, time.Hour), "lora", stamp(0, clock.Free), floor), Began, InForce)
	if !c.Marked {
		t.Error("not marked")
	}
	if got := b.Due(stamp(59*time.Minute, clock.Free), floor); len(got) != 0 {
		t.Fatal(list(got))
	}
	one(t, b.Due(stamp(61*time.Minute, clock.Free), floor), Ended, Expired)
	one(t, b.Take(say("a", "Alert", 0, time.Hour), "feed", stamp(61*time.Minute, clock.Free), floor), Duplicate, Expired)
}

func TestWhatIsSignedAgainIsACopyAndWhatIsChangedIsRefused(t *testing.T) {
	b, now := New(DefaultOpts()), stamp(time.Minute, clock.Set)
	b.Take(say("a", "Alert", 0, time.Hour), "api", now, floor)
	again := say("a", "Alert", 0, time.Hour)
	again.Digest[0]++
	one(t, b.Take(again, "feed", now, floor), Duplicate, InForce)
	other := say("a", "Alert", 0, 2*time.Hour)
	other.Digest[0]++
	one(t, b.Take(other, "feed", now, floor), Refused, Rejected)
}

func TestWhatEndedIsForgottenOnlyWhenItCannotComeBack(t *testing.T) {
	b := New(DefaultOpts())
	a := say("a", "Alert", 0, time.Hour)
	b.Take(a, "api", stamp(0, clock.Set), floor)
	b.Take(say("c", "Cancel", time.Minute, 0, a), "api", stamp(time.Minute, clock.Set), floor)
	week := stamp(7*24*time.Hour, clock.Free)
	b.Due(week, floor)
	if n, _, _ := b.Size(); n != 2 {
		t.Fatalf("forgotten while the floor stood before its expiry: %d", n)
	}
	b.Due(week, t0.Add(2*time.Hour))
	if l := b.List(); len(l) != 1 || l[0].MsgType != "Cancel" {
		t.Fatalf("the alert may go now, the cancel not yet: %v", l)
	}
	b.Due(week, t0.Add(15*24*time.Hour))
	if n, size, forgot := b.Size(); n != 0 || size != 0 || forgot != 0 {
		t.Errorf("%d entries, %d bytes, %d forgotten early", n, size, forgot)
	}
}

func TestAFloodOfEverythingStaysWithinBoundsAndKeepsTheReds(t *testing.T) {
	o := DefaultOpts()
	o.Entries, o.Bytes, o.Held = 64, 256<<10, 8
	b := New(o)
	kept := map[string][]byte{}
	now := stamp(time.Minute, clock.Set)
	red := 0
	for i := range 5000 {
		m := say(fmt.Sprint("m", i), "Alert", time.Duration(-i%50)*time.Second, time.Hour)
		m.Alert.Infos[0].Description = strings.Repeat("雨", 500)
		m.Action.Rank = i % 3
		switch {
		case i%100 == 99:
			m.Action.Rank = 40
			red++
		case i%7 == 0:
			m.Genuine, m.Issuer = false, nil
		case i%5 == 0:
			m.Alert.MsgType = "Cancel"
		}
		b.Take(m, "api", now, floor)
		if n, size, _ := b.Size(); n > o.Entries+o.Held || size > o.Bytes+o.Bytes/4 {
			t.Fatalf("%d entries, %d bytes", n, size)
		}
		for k, v := range b.Dirty() {
			if kept[k] = v; v == nil {
				delete(kept, k)
			}
		}
	}
	have := 0
	for _, e := range b.List() {
		if e.Action.Rank == 40 && e.State == InForce {
			have++
		}
	}
	if have != red {
		t.Errorf("%d of %d reds stand", have, red)
	}
	if n, _, _ := b.Size(); len(kept) != n {
		t.Errorf("%d kept, %d known", len(kept), n)
	}
	if len(b.naming) > o.Entries {
		t.Errorf("%d names", len(b.naming))
	}
}

func TestDamagedRecordsAreLeftOutAndTold(t *testing.T) {
	b, now := New(DefaultOpts()), stamp(time.Minute, clock.Set)
	b.Take(say("a", "Alert", 0, time.Hour), "api", now, floor)
	kept := b.Dirty()
	if len(kept) != 1 || b.Dirty() != nil {
		t.Fatalf("%d", len(kept))
	}
	for id := range kept {
		kept["ff"] = kept[id]
	}
	kept["00"] = []byte("{")
	c := New(DefaultOpts())
	if err := c.Restore(kept, now); err == nil || strings.Count(err.Error(), "alert ") != 2 {
		t.Errorf("%v", err)
	}
	if l := c.List(); len(l) != 1 || !l[0].Sounds() || l[0].Texts[0].Headline != "a" {
		t.Errorf("%v", l)
	}
	one(t, c.Take(say("a", "Alert", 0, time.Hour), "api", now, floor), Duplicate, InForce)
}

func TestOptionsAreProved(t *testing.T) {
	if err := DefaultOpts().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*Opts){func(o *Opts) { o.Entries = 1 }, func(o *Opts) { o.Missing = 0 }, func(o *Opts) { o.Missing = o.Longest + 1 },
		func(o *Opts) { o.Tolerance = o.Ahead + 1 }} {
		o := DefaultOpts()
		spoil(&o)
		if o.Validate() == nil {
			t.Errorf("%+v passed", o)
		}
	}
}
