package command

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/trust"
)

func talkOrder(n uint64) Payload {
	p := stop(n)
	p.Scope, p.Zones, p.Seconds = Talk, []string{"dam"}, 60
	p.Talk = &TalkWith{Key: strings.Repeat("a1", 32), Codec: "pcma", FrameMS: 20}
	return p
}

// TestATalkNamesWithWhomItIsSealed reads the order of a talk as strictly as any other.
func TestATalkNamesWithWhomItIsSealed(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		change func(*Payload)
		path   string
	}{
		"as it should be":      {func(*Payload) {}, ""},
		"real by its name":     {func(p *Payload) { p.Kind = "real" }, ""},
		"a drill at a level":   {func(p *Payload) { p.Kind, p.Level = "drill", "prepare" }, ""},
		"no key":               {func(p *Payload) { p.Talk = nil }, "/payload/talk"},
		"a short key":          {func(p *Payload) { p.Talk.Key = "a1" }, "/payload/talk/key"},
		"another codec":        {func(p *Payload) { p.Talk.Codec = "opus" }, "/payload/talk/codec"},
		"frames of a second":   {func(p *Payload) { p.Talk.FrameMS = 1000 }, "/payload/talk/frame_ms"},
		"everywhere":           {func(p *Payload) { p.Zones = nil }, ""},
		"without an end":       {func(p *Payload) { p.Seconds = 0 }, "/payload/seconds"},
		"with clips":           {func(p *Payload) { p.Clips = []string{"evacuate"} }, "/payload/clips"},
		"a key of a sound":     {func(p *Payload) { p.Scope, p.Level = Sound, "prepare" }, "/payload/talk"},
		"a sound that is real": {func(p *Payload) { p.Scope, p.Kind, p.Talk = Drill, "real", nil }, "/payload/kind"},
	} {
		p := talkOrder(1)
		c.change(&p)
		b, err := Sign(p, s.wang)
		if c.path == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got, err := Show(b); err != nil || got.Talk == nil || *got.Talk != *p.Talk {
				t.Errorf("%s: %+v %v", name, got, err)
			}
			continue
		}
		refused(t, err, Form, c.path)
	}
	if _, r := read([]byte(`{"version":1,"talk":{"key":"x","kee":1}}`)); r == nil {
		t.Error("an unknown field is read")
	}
}

func TestATalkNeedsItsGrantAndAsManyPersonsAsThatAsksFor(t *testing.T) {
	s := newSite(t)
	talker, second := signer(t, trust.Ed25519), signer(t, trust.P256)
	grant := func(persons int, scopes ...string) *Verifier {
		store, faults := trust.New(trust.Document{Issuers: map[string]trust.IssuerDocument{"county": {
			Keys:  []trust.PEMDocument{{PEM: pemOf(t, talker), Person: "wang"}, {PEM: pemOf(t, second), Person: "li"}},
			Grant: trust.GrantDocument{Scopes: scopes, Persons: map[string]int{scopes[0]: persons}}}}}, os.DirFS("."))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		v := s.verifier()
		v.Trust = store
		return v
	}
	now, floor := stamp(time.Second, clock.Set), t0.AddDate(0, -1, 0)
	b := signed(t, talkOrder(1), talker)
	_, err := grant(1, "sound").Open(b, now, floor)
	refused(t, err, Granted, "/payload/scope")
	_, err = grant(2, "talk").Open(b, now, floor)
	refused(t, err, Granted, "/payload/scope")
	both, err := Cosign(b, second)
	if err != nil {
		t.Fatal(err)
	}
	v := grant(2, "talk")
	c, err := v.Open(both, now, floor)
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Payload []byte }
	if json.Unmarshal(b, &e) != nil || c.Digest != sha256.Sum256(e.Payload) {
		t.Error("the digest is not that of the payload which was signed")
	}
	_, err = v.Open(both, now, floor)
	refused(t, err, Counter, "/payload/counter")
}
