package alert

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/capgen"
)

// county is a site that pinned one key for all senders of the generator.
type county struct {
	signer, stranger *trust.PrivateKey
	doc              trust.Document
	r                *Reader
}

func newCounty(t testing.TB, kind trust.Kind, change func(*trust.IssuerDocument)) *county {
	t.Helper()
	c := &county{}
	for _, s := range []**trust.PrivateKey{&c.signer, &c.stranger} {
		k, err := trust.NewSigner(kind)
		if err != nil {
			t.Fatal(err)
		}
		*s = k
	}
	pem, err := trust.PublicPEM(c.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	i := trust.IssuerDocument{
		Name: phrase.Text{ZH: "连州市应急管理局", EN: "Lianzhou emergency office"}, Senders: append([]string{"warning@*.example"}, capgen.Senders...), Keys: []trust.PEMDocument{{PEM: string(pem)}},
		Grant: trust.GrantDocument{Kinds: []string{"real", "drill"}, MostLevel: "evacuate", Areas: []string{"4418"}},
	}
	if change != nil {
		change(&i)
	}
	c.doc = trust.Document{Issuers: map[string]trust.IssuerDocument{"county": i}}
	store, faults := trust.New(c.doc, nil)
	for _, f := range faults {
		if !f.Warning {
			t.Fatal(f.Message.In("en"))
		}
	}
	c.r = &Reader{Trust: store, Tables: tables(t), Here: huangdu}
	return c
}

func sign(t testing.TB, text []byte, s trust.Signer) []byte {
	t.Helper()
	b, err := xmldsig.Sign(text, s, nil, xmldsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signAs sends the signer's own certificate along, as anybody can.
func signAs(t testing.TB, text []byte, s *trust.PrivateKey) []byte {
	t.Helper()
	cert, err := s.SelfSigned("Lianzhou emergency office", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	b, err := xmldsig.Sign(text, s, cert, xmldsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestASignedAlertOfAPinnedKeyIsTrustedInEveryAlgorithmAndProfile(t *testing.T) {
	for _, k := range []trust.Kind{trust.RSA, trust.P256, trust.P384, trust.SM2, trust.Ed25519} {
		c := newCounty(t, k, nil)
		g := capgen.New(4)
		for _, p := range capgen.Profiles {
			for range 10 {
				w := g.Next(capgen.Options{Profile: p})
				o := c.r.Open(sign(t, w.Text, c.signer))
				if !o.WellFormed || !o.Genuine || !o.Trusted || !o.Concerns || o.Issuer == nil || o.Issuer.ID != "county" || len(o.Findings) > 0 {
					t.Fatalf("%s %s: %+v %s", k, p, o, codes(o.Findings))
				}
				if o.Alert.Ref().Key() != (Ref{w.Ref.Sender, w.Ref.Identifier, w.Ref.Sent}).Key() {
					t.Fatalf("read %v, written %v", o.Alert.Ref(), w.Ref)
				}
			}
		}
	}
}

func TestWhatIsNotTrustedIsReadAndShownAndSaysWhy(t *testing.T) {
	at := time.Date(2026, 5, 12, 14, 40, 0, 0, time.UTC)
	red := func(o capgen.Options) []byte {
		if o.Profile == "" {
			o.Profile = "cn"
		}
		o.Severity, o.Sent = "Extreme", at
		return capgen.New(5).Next(o).Text
	}
	for name, c := range map[string]struct {
		change         func(*trust.IssuerDocument)
		text           func(c *county) []byte
		formed, mathOK bool
		want           string
	}{
		"unsigned": {nil, func(*county) []byte { return red(capgen.Options{}) }, true, false, "!alert.trust.unsigned"},
		"an unknown sender": {func(i *trust.IssuerDocument) { i.Senders = []string{"other"} },
			func(c *county) []byte { return sign(t, red(capgen.Options{}), c.signer) }, true, false, "!alert.trust.stranger"},
		"an unknown sender who sends a key": {func(i *trust.IssuerDocument) { i.Senders = []string{"other"} },
			func(c *county) []byte { return signAs(t, red(capgen.Options{}), c.stranger) }, true, true, "!alert.trust.stranger"},
		"an unknown key":                 {nil, func(c *county) []byte { return sign(t, red(capgen.Options{}), c.stranger) }, true, false, "!alert.trust.signature"},
		"an unknown key that came along": {nil, func(c *county) []byte { return signAs(t, red(capgen.Options{}), c.stranger) }, true, true, "!alert.trust.key"},
		"a changed word": {nil, func(c *county) []byte {
			return bytes.Replace(sign(t, red(capgen.Options{}), c.signer), []byte("Extreme"), []byte("Severe"), 1)
		}, true, false, "!alert.trust.signature"},
		"a key that was not yet valid": {func(i *trust.IssuerDocument) { i.Keys[0].From = "2026-06-01" },
			func(c *county) []byte { return sign(t, red(capgen.Options{}), c.signer) }, true, true, "!alert.trust.key"},
		"a drill that was not granted": {func(i *trust.IssuerDocument) { i.Grant.Kinds = []string{"real"} },
			func(c *county) []byte { return sign(t, red(capgen.Options{Status: "Exercise"}), c.signer) }, true, true, "!alert.trust.kind"},
		"a colour that was not granted": {func(i *trust.IssuerDocument) { i.Grant.Colours = []string{"yellow", "blue"} },
			func(c *county) []byte { return sign(t, red(capgen.Options{}), c.signer) }, true, true, "!alert.trust.colour"},
		"a place that was not granted": {func(i *trust.IssuerDocument) { i.Grant.Areas = []string{"4401"} },
			func(c *county) []byte { return sign(t, red(capgen.Options{}), c.signer) }, true, true, "!alert.trust.area"},
		"malformed, though signed": {nil, func(c *county) []byte {
			return sign(t, bytes.Replace(red(capgen.Options{}), []byte("<scope>Public"), []byte("<scope>Everyone"), 1), c.signer)
		}, false, true, "!alert.form.value"},
	} {
		t.Run(name, func(t *testing.T) {
			cc := newCounty(t, trust.P256, c.change)
			o := cc.r.Open(c.text(cc))
			if o.Alert == nil || o.Alert.Identifier == "" {
				t.Fatal("not shown")
			}
			all := o.WellFormed && o.Genuine && o.Trusted
			if all || o.WellFormed != c.formed || o.Genuine != c.mathOK || !strings.Contains(codes(o.Findings), c.want) {
				t.Errorf("formed %v genuine %v trusted %v: %s", o.WellFormed, o.Genuine, o.Trusted, codes(o.Findings))
			}
			said := ""
			for _, l := range phrase.Languages {
				for _, m := range o.Explain(cc.r.Tables) {
					s := m.In(l)
					said += s + "\n"
					if strings.ContainsAny(s, "{}") || strings.Contains(s, "alert.") {
						t.Errorf("%s: %q", l, s)
					}
				}
			}
			if !strings.Contains(said, "× /alert") {
				t.Errorf("no path to what is wrong:\n%s", said)
			}
		})
	}
}

func TestOfSeveralSignaturesOnePinnedOneIsEnough(t *testing.T) {
	c := newCounty(t, trust.P256, nil)
	text := capgen.New(6).Next(capgen.Options{Profile: "cap-cp"}).Text
	for name, b := range map[string][]byte{
		"ours first": sign(t, sign(t, text, c.signer), c.stranger),
		"ours last":  sign(t, sign(t, text, c.stranger), c.signer),
	} {
		if o := c.r.Open(b); !o.Trusted || !o.WellFormed {
			t.Errorf("%s: %s", name, codes(o.Findings))
		}
	}
	if o := c.r.Open(sign(t, sign(t, text, c.stranger), c.stranger)); o.Trusted {
		t.Error("two strangers are trusted")
	}
}

// TestWhatIsReadIsWhatIsSigned wraps a signed alert in ways that must never let
// unsigned words be taken for signed ones.
func TestWhatIsReadIsWhatIsSigned(t *testing.T) {
	c := newCounty(t, trust.P256, nil)
	w := capgen.New(7).Next(capgen.Options{Profile: "cap", Severity: "Minor"})
	signed := string(sign(t, w.Text, c.signer))
	body := signed[strings.Index(signed, "<alert"):]
	sig := signed[strings.Index(signed, "<Signature"):strings.Index(signed, "</Signature>")] + "</Signature>"
	if !strings.Contains(signed, "<Signature") {
		t.Fatal("the signer's prefix changed; adapt the test")
	}
	forged := strings.Replace(string(w.Text), "Minor", "Extreme", -1)
	for name, text := range map[string]string{
		"signature moved onto a forgery":       strings.Replace(forged, "</alert>", sig+"</alert>", 1),
		"the signed one inside":                strings.Replace(forged, "</alert>", `<x xmlns="urn:x">`+body+`</x></alert>`, 1),
		"the signed one inside, signature out": strings.Replace(forged, "</alert>", `<x xmlns="urn:x">`+strings.Replace(body, sig, "", 1)+`</x>`+sig+`</alert>`, 1),
		"a second info":                        strings.Replace(signed, "<info>", "<info><category>Met</category><event>e</event><urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty></info><info>", 1),
		"a comment in the severity":            strings.Replace(signed, "<severity>Minor", "<severity><!--Minor-->Extreme", 1),
		"an attribute":                         strings.Replace(signed, "<info>", `<info x="1">`, 1),
	} {
		if text == signed {
			t.Errorf("%s: nothing was changed", name)
		}
		o := c.r.Open([]byte(text))
		if o.Trusted && o.WellFormed {
			t.Errorf("%s: trusted: %+v", name, o.Alert)
		}
	}
	// A comment is not signed, and it is not read either.
	o := c.r.Open([]byte(strings.Replace(signed, "<severity>Minor", "<severity>Mi<!-- x -->nor", 1)))
	if !o.Trusted || o.Alert.Infos[0].Severity != "Minor" {
		t.Errorf("a comment changed what was read: %+v", o)
	}
}

func TestAnIssuersHighestLevelIsKeptAndItsWordsAreSpoken(t *testing.T) {
	c := newCounty(t, trust.P256, func(i *trust.IssuerDocument) { i.Grant.MostLevel = "prepare" })
	text := strings.NewReplacer("warning@lianzhou.example,county-2026-0000", "a,b").Replace(good)
	o := c.r.Open(sign(t, []byte(text), c.signer))
	if !o.Trusted || o.Action.Level != "prepare" || !o.Action.Sound || !strings.Contains(codes(o.Findings), "?alert.trust.level") {
		t.Errorf("%+v %s", o.Action, codes(o.Findings))
	}
}

func TestTheLargestSignedAlertOpensInTime(t *testing.T) {
	for _, k := range []trust.Kind{trust.RSA, trust.SM2} {
		c := newCounty(t, k, nil)
		b := sign(t, large(t), c.signer)
		best := time.Hour
		for range 3 {
			start := time.Now()
			o := c.r.Open(b)
			best = min(best, time.Since(start))
			if !o.Trusted || !o.Concerns {
				t.Fatal(codes(o.Findings))
			}
		}
		t.Logf("%s: %v", k, best)
		if best > 500*time.Millisecond {
			t.Errorf("%s: %v", k, best)
		}
	}
}

func TestWhatIsNoAlertIsToldAsSuch(t *testing.T) {
	c := newCounty(t, trust.P256, nil)
	for _, text := range []string{"", "hello", "<html/>", `<!DOCTYPE a><a/>`, strings.Repeat("x", 2<<20), `<feed xmlns="http://www.w3.org/2005/Atom"/>`} {
		o := c.r.Open([]byte(text))
		if o.WellFormed || o.Genuine || o.Trusted || o.Concerns || o.Action.Sound || len(o.Findings) == 0 {
			t.Errorf("%.20q: %+v", text, o)
		}
		for _, m := range o.Explain(c.r.Tables) {
			if m.In(phrase.ZH) == "" || m.In(phrase.EN) == "" {
				t.Errorf("%.20q: an empty sentence", text)
			}
		}
	}
}
