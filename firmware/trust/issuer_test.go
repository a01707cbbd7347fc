package trust

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tocsin/firmware/phrase"
)

func TestAPinnedKeySpeaksOnlyForItsIssuerInItsTime(t *testing.T) {
	old, young, other := newKey(t, P256), newKey(t, SM2), newKey(t, Ed25519)
	a, b, c := pemKey(t, old), pemKey(t, young), pemKey(t, other)
	a.Until, b.From = "2026-06-30", "2026-06-01" // a month of both: a roll-over
	d := one(IssuerDocument{Keys: []PEMDocument{a, b}})
	d.Issuers["weather"] = IssuerDocument{Senders: []string{"w"}, Keys: []PEMDocument{c}}
	s, county := store(t, d)
	at := func(v string) time.Time {
		v2, err := time.Parse(time.RFC3339, v)
		if err != nil {
			t.Fatal(err)
		}
		return v2
	}
	for _, c := range []struct {
		name string
		key  *PrivateKey
		at   string
		want string
	}{
		{"the old one before", old, "2026-05-01T00:00:00+08:00", ""},
		{"the new one too early", young, "2026-05-31T23:59:59+08:00", "trust.key_early"},
		{"the new one from its first instant in the site's zone", young, "2026-06-01T00:00:00+08:00", ""},
		{"the old one meanwhile", old, "2026-06-15T00:00:00+08:00", ""},
		{"the old one to its last second", old, "2026-06-30T23:59:59+08:00", ""},
		{"the old one too late", old, "2026-07-01T00:00:00+08:00", "trust.key_ended"},
		{"another issuer's", other, "2026-06-15T00:00:00+08:00", "trust.key_other"},
		{"nobody's", newKey(t, P256), "2026-06-15T00:00:00+08:00", "trust.key_unknown"},
	} {
		if err := s.Vouch(county, c.key.Public(), nil, at(c.at)); code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if i, k, ok := s.Key(idOf(t, young)); !ok || i.ID != "county" || k.ID != idOf(t, young) {
		t.Error("a pinned key is not found")
	}
	if got := s.BySender("county@example.cn"); len(got) != 1 || got[0].ID != "county" {
		t.Error("by sender:", got)
	}
	if len(s.BySender("County@example.cn")) != 0 || len(s.BySender("")) != 0 {
		t.Error("a sender is not compared exactly")
	}
}

func TestARevokedKeyIsRefusedFromThenOnAndACompromisedOneAltogether(t *testing.T) {
	k := newKey(t, P256)
	for _, c := range []struct {
		name   string
		r      RevokedDocument
		before string
		after  string
	}{
		{"since", RevokedDocument{Since: "2026-05-01T08:00:00Z"}, "", "trust.revoked"},
		{"compromised", RevokedDocument{Since: "2026-05-01", Compromised: true}, "trust.revoked_compromised", "trust.revoked_compromised"},
		{"compromised without a date", RevokedDocument{Compromised: true}, "trust.revoked_compromised", "trust.revoked_compromised"},
		{"a date that cannot be read takes all", RevokedDocument{Since: "1.5."}, "trust.revoked_compromised", "trust.revoked_compromised"},
		{"no date takes all", RevokedDocument{}, "trust.revoked_compromised", "trust.revoked_compromised"},
	} {
		d := one(IssuerDocument{Keys: []PEMDocument{pemKey(t, k)}})
		c.r.Key = string(idOf(t, k))
		d.Revoked = []RevokedDocument{c.r}
		s, _ := New(d, nil)
		i, _ := s.Issuer("county")
		if got := code(s.Vouch(i, k.Public(), nil, may.Add(-time.Second))); got != c.before {
			t.Errorf("%s, before: %q", c.name, got)
		}
		if got := code(s.Vouch(i, k.Public(), nil, may)); got != c.after {
			t.Errorf("%s, after: %q", c.name, got)
		}
	}
}

func TestFaultsOfADocumentNameIssuerKeyAndMend(t *testing.T) {
	k := newKey(t, P256)
	good := pemKey(t, k)
	secret, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	root := newAuthority(t, P256, "root")
	self, err := k.SelfSigned("county", may, may.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"keys/a.pem": {Data: []byte(good.PEM)}, "keys/big.pem": {Data: make([]byte, keyFileMost+1)}}
	for _, c := range []struct {
		name   string
		change func(*IssuerDocument)
		all    func(*Document)
		want   string
		path   string
	}{
		{name: "a file beside the site file", change: func(d *IssuerDocument) { d.Keys = []PEMDocument{{File: "keys/a.pem"}} }},
		{name: "a certificate as a key", change: func(d *IssuerDocument) { d.Keys = []PEMDocument{pemOf(self)} }},
		{name: "no such file", change: func(d *IssuerDocument) { d.Keys[0] = PEMDocument{File: "keys/b.pem"} }, want: "trust.file_missing", path: "issuers county keys 0"},
		{name: "a path upwards", change: func(d *IssuerDocument) { d.Keys[0] = PEMDocument{File: "../b.pem"} }, want: "trust.file_path"},
		{name: "an absolute path", change: func(d *IssuerDocument) { d.Keys[0] = PEMDocument{File: "/b.pem"} }, want: "trust.file_path"},
		{name: "a folder", change: func(d *IssuerDocument) { d.Keys[0] = PEMDocument{File: "keys"} }, want: "trust.file_large"},
		{name: "a huge file", change: func(d *IssuerDocument) { d.Keys[0] = PEMDocument{File: "keys/big.pem"} }, want: "trust.file_large"},
		{name: "both", change: func(d *IssuerDocument) { d.Keys[0].File = "keys/a.pem" }, want: "trust.pem_or_file"},
		{name: "a private key", change: func(d *IssuerDocument) { d.Keys[0].PEM = string(secret) }, want: "trust.pem_private"},
		{name: "two keys in one", change: func(d *IssuerDocument) { d.Keys[0].PEM += d.Keys[0].PEM }, want: "trust.pem_many"},
		{name: "the same key twice", change: func(d *IssuerDocument) { d.Keys = append(d.Keys, d.Keys[0]) }, want: "trust.key_twice", path: "issuers county keys 1"},
		{name: "no PEM", change: func(d *IssuerDocument) { d.Keys[0].PEM = "MFkw" }, want: "trust.pem_none"},
		{name: "an authority as a key", change: func(d *IssuerDocument) { d.Keys[0] = pemOf(root.cert) }, want: "trust.cert_authority"},
		{name: "a key as an authority", change: func(d *IssuerDocument) { d.Authorities, d.Subjects = []PEMDocument{pemOf(self)}, []string{"x"} }, want: "trust.not_authority"},
		{name: "times the wrong way round", change: func(d *IssuerDocument) { d.Keys[0].From, d.Keys[0].Until = "2026-06-02", "2026-06-01" }, want: "trust.times"},
		{name: "no time", change: func(d *IssuerDocument) { d.Keys[0].From = "tomorrow" }, want: "trust.time"},
		{name: "nothing pinned", change: func(d *IssuerDocument) { d.Keys = nil }, want: "trust.no_keys", path: "issuers county"},
		{name: "authorities without subjects", change: func(d *IssuerDocument) { d.Authorities = []PEMDocument{pemOf(root.cert)} }, want: "trust.no_subjects"},
		{name: "a sender for everybody", change: func(d *IssuerDocument) { d.Senders = []string{"*"} }, want: "trust.pattern_all", path: "issuers county senders 0"},
		{name: "a broken pattern", change: func(d *IssuerDocument) { d.Senders = []string{"[a"} }, want: "trust.pattern"},
		{name: "an unknown kind", change: func(d *IssuerDocument) { d.Grant.Kinds = []string{"exercise"} }, want: "trust.grant_kind"},
		{name: "an area that is no code", change: func(d *IssuerDocument) { d.Grant.Areas = []string{"Lianzhou"} }, want: "trust.grant_area"},
		{name: "amends nobody", change: func(d *IssuerDocument) { d.Grant.Amends = []string{"weather"} }, want: "trust.grant_amends"},
		{name: "persons for no scope", change: func(d *IssuerDocument) { d.Grant.Persons = map[string]int{"sound": 1} }, want: "trust.grant_scope"},
		{name: "more persons than keys", change: func(d *IssuerDocument) {
			d.Grant = GrantDocument{Scopes: []string{"sound"}, Persons: map[string]int{"sound": 2}}
		}, want: "trust.grant_persons"},
		{name: "more persons than own the keys", change: func(d *IssuerDocument) {
			next := pemKey(t, newKey(t, P256))
			next.Person = "wang"
			d.Keys[0].Person = "wang"
			d.Keys = append(slices.Clone(d.Keys), next)
			d.Grant = GrantDocument{Scopes: []string{"sound"}, Persons: map[string]int{"sound": 2}}
		}, want: "trust.grant_persons"},
		{name: "a small modulus", all: func(d *Document) { d.RSABits = 1024 }, want: "trust.rsa_bits", path: "rsa_bits"},
		{name: "no zone", all: func(d *Document) { d.Zone = "Peking" }, want: "trust.zone"},
		{name: "an id that is none", all: func(d *Document) { d.Revoked = []RevokedDocument{{Key: "AB", Since: "2026-01-01"}} }, want: "trust.revoked_key"},
		{name: "a padded name of SM2", all: func(d *Document) { d.SM2.Signatures = []string{" urn:sm2"} }, want: "trust.sm2_uri"},
	} {
		i := IssuerDocument{Keys: []PEMDocument{good}}
		if c.change != nil {
			c.change(&i)
		}
		d := one(i)
		if c.all != nil {
			c.all(&d)
		}
		_, faults := New(d, files)
		found, at := "", ""
		for _, f := range faults {
			if !f.Warning {
				found += codes(f.Message) + " "
				var parts []string
				for _, p := range f.Path {
					switch p := p.(type) {
					case string:
						parts = append(parts, p)
					case int:
						parts = append(parts, whole(p))
					}
				}
				at += strings.Join(parts, " ")
				for _, l := range phrase.Languages {
					if s := f.Message.In(l); strings.Contains(s, "{") || strings.Contains(s, "BEGIN PRIVATE") {
						t.Errorf("%s: %s", c.name, s)
					}
				}
			}
		}
		if c.want == "" && found != "" || !strings.Contains(found, c.want) || c.path != "" && at != c.path {
			t.Errorf("%s: %q at %q", c.name, found, at)
		}
	}
}

const sample = `
zone: Asia/Shanghai
rsa_bits: 2048
sm2: {signature_uris: ["urn:example:sm2-sm3"], der: true}
issuers:
  county:
    name: {zh: 县应急管理局, en: County emergency office}
    senders: [county@example.cn, "*.example.cn"]
    keys:
      - {file: county-2026.pem, from: 2026-01-01, until: 2027-01-31}
    lenient: true
    sm2_user_id: "1234567812345678"
    grant:
      kinds: [real, drill, test]
      most_level: evacuate
      areas: ["441882"]
      scopes: [sound, stop]
      persons: {sound: 1}
revoked:
  - {key: 00112233445566778899aabbccddeeff, since: 2026-03-01, compromised: true}
`

func TestADocumentIsReadStrictly(t *testing.T) {
	d, err := ParseDocument([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	b, err := PublicPEM(newKey(t, SM2).Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "county-2026.pem"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	s, faults := New(d, os.DirFS(dir))
	if len(faults) != 0 {
		t.Fatalf("%+v", faults)
	}
	i, _ := s.Issuer("county")
	if !i.Lenient || !i.SpeaksAs("a.example.cn") || i.Grant.PersonsFor("sound") != 1 || !i.Grant.HasArea("441882101204") || i.Grant.HasArea("4418") || !s.SM2().DER {
		t.Errorf("%+v", i)
	}
	for _, c := range []struct{ name, from, to string }{
		{"an unknown key", "lenient:", "leniant:"},
		{"an alias", "zone: Asia/Shanghai", "zone: &a Asia/Shanghai"},
		{"a wrong type", "rsa_bits: 2048", "rsa_bits: many"},
		{"a second document", "revoked:", "---\nrevoked:"},
		{"a key twice", "    lenient: true", "    lenient: true\n    lenient: false"},
		{"nothing", sample, ""},
	} {
		if _, err := ParseDocument([]byte(strings.Replace(sample, c.from, c.to, 1))); code(err) != "trust.yaml" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := ParseDocument(make([]byte, documentMost+1)); code(err) != "trust.file_large" {
		t.Error(err)
	}
}

func TestWhatEndsSoonIsToldUnlessSomethingFollows(t *testing.T) {
	a, b := pemKey(t, newKey(t, P256)), pemKey(t, newKey(t, P256))
	a.Until = "2026-05-20"
	s, _ := store(t, one(IssuerDocument{Keys: []PEMDocument{a}}))
	if got := s.Due(may, 30*24*time.Hour); len(got) != 1 || got[0].Code != "trust.due_key" {
		t.Errorf("%+v", got)
	}
	if got := s.Due(may, time.Hour); len(got) != 0 {
		t.Errorf("too early: %+v", got)
	}
	s, _ = store(t, one(IssuerDocument{Keys: []PEMDocument{a, b}}))
	if got := s.Due(may, 30*24*time.Hour); len(got) != 0 {
		t.Errorf("another follows: %+v", got)
	}
	root := newAuthority(t, P256, "root")
	d := one(IssuerDocument{Authorities: []PEMDocument{pemOf(root.cert)}, Subjects: []string{"x"}})
	d.Lists = []PEMDocument{pemList(root.list(1, nil))}
	s, _ = store(t, d)
	if got := s.Due(may.AddDate(0, 0, 10), 0); len(got) != 1 || got[0].Code != "trust.due_list" {
		t.Errorf("an old list: %+v", got)
	}
}

func TestAGrantAllowsWhatItNamesAndNoMore(t *testing.T) {
	var none Grant
	if none.HasKind("real") || none.HasScope("sound") || none.MayAmend("x") || none.PersonsFor("sound") != 1 {
		t.Error("an empty grant allows something")
	}
	g := Grant{Kinds: []string{"test"}, Colours: []string{"red"}, Areas: []string{"4418"}, Scopes: []string{"stop"}, Persons: map[string]int{"stop": 2}, Amends: []string{"b"}}
	if !g.HasKind("test") || g.HasKind("real") || !g.HasColour("red") || g.HasColour("blue") || !g.HasArea("441882") || g.HasArea("4419") ||
		!g.HasScope("stop") || g.HasScope("sound") || g.PersonsFor("stop") != 2 || !g.MayAmend("b") {
		t.Errorf("%+v", g)
	}
}

func TestADigestNamesAllThatIsBelieved(t *testing.T) {
	first, second := newKey(t, P256), newKey(t, P256)
	id, err := IDOf(first.Public())
	if err != nil {
		t.Fatal(err)
	}
	a, b := pemKey(t, first), pemKey(t, second)
	digest := func(change func(*Document, *IssuerDocument)) string {
		i := IssuerDocument{Senders: []string{"a@example"}, Keys: []PEMDocument{a}}
		d := Document{}
		change(&d, &i)
		d.Issuers = map[string]IssuerDocument{"county": i}
		s, faults := New(d, nil)
		for _, f := range faults {
			if !f.Warning {
				t.Fatal(f)
			}
		}
		return s.Digest()
	}
	seen := map[string]string{}
	for name, change := range map[string]func(*Document, *IssuerDocument){
		"as it is":     func(*Document, *IssuerDocument) {},
		"another key":  func(_ *Document, i *IssuerDocument) { i.Keys = append(i.Keys, b) },
		"until":        func(_ *Document, i *IssuerDocument) { i.Keys[0].Until = "2030-01-01" },
		"a sender":     func(_ *Document, i *IssuerDocument) { i.Senders = append(i.Senders, "b@example") },
		"a kind":       func(_ *Document, i *IssuerDocument) { i.Grant.Kinds = []string{"real"} },
		"a second try": func(_ *Document, i *IssuerDocument) { i.Lenient = true },
		"a key revoked": func(d *Document, _ *IssuerDocument) {
			d.Revoked = []RevokedDocument{{Key: string(id), Since: "2026-01-01"}}
		},
	} {
		d := digest(change)
		if other, twice := seen[d]; twice {
			t.Errorf("%s and %s have one digest", name, other)
		}
		if seen[d] = name; digest(change) != d {
			t.Errorf("%s has two digests", name)
		}
	}
}

func TestAWordStandsWhileItsIssuerDoesAndItsKeyWasNotRevokedForIt(t *testing.T) {
	k := newKey(t, P256)
	id, err := IDOf(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	before, after := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	store := func(r ...RevokedDocument) *Store {
		d := one(IssuerDocument{Senders: []string{"a"}, Keys: []PEMDocument{pemKey(t, k)}})
		d.Revoked = r
		s, _ := New(d, nil)
		return s
	}
	issuer := store().Issuers()[0].ID
	ended, stolen := RevokedDocument{Key: string(id), Since: "2026-06-01"}, RevokedDocument{Key: string(id), Since: "2026-06-01", Compromised: true}
	for what, ok := range map[string]bool{
		"its own":                         store().StandsBy(issuer, id, after),
		"a key that is pinned no more":    store().StandsBy(issuer, "another", after),
		"signed before the key was ended": store(ended).StandsBy(issuer, id, before),
		"not: an issuer that is gone":     !store().StandsBy("gone", id, after),
		"not: signed after that":          !store(ended).StandsBy(issuer, id, after),
		"not: whenever, by a stolen key":  !store(stolen).StandsBy(issuer, id, before),
	} {
		if !ok {
			t.Error(what)
		}
	}
}
