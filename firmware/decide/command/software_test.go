package command

import (
	"os"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/trust"
)

func software(n uint64) Payload {
	p := stop(n)
	p.Scope, p.Release, p.NotBefore, p.Expires = Software, 13, t0.Add(time.Hour), t0.Add(48*time.Hour)
	return p
}

func TestAnOrderForSoftwareNamesItsReleaseAndItsTime(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		change func(*Payload)
		path   string
	}{
		"as it should be":       {func(*Payload) {}, ""},
		"at once":               {func(p *Payload) { p.NotBefore = time.Time{} }, ""},
		"a withdrawal":          {func(p *Payload) { p.Release, p.NotBefore = 0, time.Time{} }, ""},
		"a withdrawal for late": {func(p *Payload) { p.Release = 0 }, "/payload/not_before"},
		"over before it may":    {func(p *Payload) { p.NotBefore = p.Expires }, "/payload/not_before"},
		"a number too large":    {func(p *Payload) { p.Release = 1 << 53 }, "/payload/release"},
		"with a level":          {func(p *Payload) { p.Level = "evacuate" }, "/payload/level"},
		"a release of a stop":   {func(p *Payload) { p.Scope, p.NotBefore = Stop, time.Time{} }, "/payload/release"},
		"a time of a stop":      {func(p *Payload) { p.Scope, p.Release = Stop, 0 }, "/payload/not_before"},
	} {
		p := software(1)
		c.change(&p)
		b, err := Sign(p, s.wang)
		if c.path == "" {
			got, e := (*Payload)(nil), err
			if e == nil {
				got, e = Show(b)
			}
			if e != nil || got.Release != p.Release || !got.NotBefore.Equal(p.NotBefore) {
				t.Errorf("%s: %+v %v", name, got, e)
			}
			continue
		}
		refused(t, err, Form, c.path)
	}
	if _, r := read([]byte(`{"version":1,"not_before":"tonight"}`)); r == nil {
		t.Error("a time that is none is read")
	}
}

func TestAnOrderForSoftwareMayLiveLongerThanOthersWhereTheBoxSaysSo(t *testing.T) {
	s := newSite(t)
	store, faults := trust.New(trust.Document{Issuers: map[string]trust.IssuerDocument{"county": {
		Keys: []trust.PEMDocument{{PEM: pemOf(t, s.wang)}}, Grant: trust.GrantDocument{Scopes: []string{"stop", "software"}}}}}, os.DirFS("."))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	v := s.verifier()
	v.Trust = store
	b, now, floor := signed(t, software(1), s.wang), stamp(time.Second, clock.Set), t0.AddDate(0, -1, 0)
	_, err := v.Open(b, now, floor)
	refused(t, err, Form, "/payload/expires")
	v.Longer = map[Scope]time.Duration{Software: 48 * time.Hour}
	if _, err := v.Open(b, now, floor); err != nil {
		t.Fatal(err)
	}
	_, err = v.Open(b, now, floor)
	refused(t, err, Counter, "/payload/counter")
	long := stop(2)
	long.Expires = t0.Add(48 * time.Hour)
	_, err = v.Open(signed(t, long, s.wang), now, floor)
	refused(t, err, Form, "/payload/expires")
}
