package main

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"time"
	"unicode/utf16"

	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/capgen"
)

// forgeries are all kinds. Sources of the ideas: W3C XML Signature Best Practices
// (2013); McIntosh and Austel, "XML Signature Element Wrapping Attacks" (2005); the
// advisories of SAML libraries on comments, DTDs and canonical forms.
var forgeries = []forgery{
	// What it says.
	{name: "a letter changed", make: changed},
	{name: "headline edited", make: inText("headline", fixed("!"))},
	{name: "description edited", make: inText("description", fixed("立即"))},
	{name: "areaDesc edited", make: content("areaDesc", to("全县"))},
	{name: "expires edited", make: content("expires", func(*forger, string) string { return soon(600) })},
	{name: "expires of a stale one edited", of: capgen.Options{Lasts: time.Minute, Sent: old(3 * time.Hour)},
		make: content("expires", func(*forger, string) string { return soon(600) })},
	{name: "severity raised", of: capgen.Options{Severity: "Minor"}, make: content("severity", to("Extreme"))},
	{name: "an exercise made actual", of: capgen.Options{Status: "Exercise"}, make: content("status", to("Actual"))},
	{name: "a test made actual", of: capgen.Options{Status: "Test"}, make: content("status", to("Actual"))},
	{name: "identifier edited", make: inText("identifier", fixed("7"))},
	{name: "sent edited", make: content("sent", func(*forger, string) string { return soon(-1) })},
	{name: "sender edited", make: content("sender", to(citySender))},
	{name: "msgType edited", make: content("msgType", to("Update"))},
	{name: "event code edited", make: func(f *forger, m message) []byte {
		whole, _ := element(m.Signed, "eventCode")
		if whole == "" {
			return nil
		}
		return replaced(m.Signed, whole, "<eventCode><valueName>eventType</valueName><value>11A52</value></eventCode>")
	}},
	{name: "area moved here", of: capgen.Options{Away: true}, make: func(f *forger, m message) []byte {
		whole, _ := element(m.Signed, "area")
		return replaced(m.Signed, whole, "<area><areaDesc>x</areaDesc><circle>24.7812,112.3790 20</circle></area>")
	}},
	{name: "an area added", of: capgen.Options{Away: true}, make: func(f *forger, m message) []byte {
		return replaced(m.Signed, "</area>", "</area><area><areaDesc>x</areaDesc><circle>24.7812,112.3790 20</circle></area>")
	}},
	{name: "an info added", make: func(f *forger, m message) []byte {
		return replaced(m.Signed, "<info>", infos.FindString(f.evil(m))+"<info>")
	}},
	{name: "an element doubled", make: func(f *forger, m message) []byte {
		whole, _ := element(m.Signed, "severity")
		return replaced(m.Signed, whole, whole+tag("severity", "Extreme"))
	}},
	{name: "an element dropped", make: func(f *forger, m message) []byte {
		whole, _ := element(m.Signed, "expires")
		return replaced(m.Signed, whole, "")
	}},
	{name: "elements reordered", make: func(f *forger, m message) []byte {
		a, _ := element(m.Signed, "urgency")
		b, _ := element(m.Signed, "severity")
		i := strings.Index(string(m.Signed), a)
		j := strings.Index(string(m.Signed), b)
		s := string(m.Signed)
		return []byte(s[:i] + b + s[i+len(a):j] + a + s[j+len(b):])
	}},
	{name: "infos reordered", make: func(f *forger, m message) []byte {
		all := infos.FindAllString(string(m.Signed), -1)
		if len(all) < 2 {
			return nil
		}
		s := strings.Replace(string(m.Signed), all[0], "\x00", 1)
		s = strings.Replace(s, all[1], all[0], 1)
		return []byte(strings.Replace(s, "\x00", all[1], 1))
	}},
	{name: "white space in the signed text", make: inText("description", (*forger).blank)},
	{name: "white space between signed elements", make: func(f *forger, m message) []byte { return replaced(m.Signed, "<severity>", f.blank()+"<severity>") }},
	{name: "an attribute added", make: func(f *forger, m message) []byte { return replaced(m.Signed, "<info>", `<info id="x">`) }},
	{name: "an element of another namespace", make: func(f *forger, m message) []byte { return replaced(m.Signed, "<info>", `<x xmlns="urn:x"/><info>`) }},
	{name: "another namespace", make: func(f *forger, m message) []byte {
		return replaced(m.Signed, "urn:oasis:names:tc:emergency:cap:1.2", "urn:oasis:names:tc:emergency:cap:1.1")
	}},
	{name: "a processing instruction in the words", make: inText("headline", fixed("<?x y?>"))},

	// How XML is read.
	{name: "a DTD", make: prolog(`<!DOCTYPE alert>`)},
	{name: "a DTD with an entity", make: func(f *forger, m message) []byte {
		b := inText("headline", fixed("&x;"))(f, m)
		return prolog(`<!DOCTYPE alert [<!ENTITY x "!">]>`)(f, message{Signed: b})
	}},
	{name: "an entity from a file", make: func(f *forger, m message) []byte {
		b := inText("headline", fixed("&x;"))(f, m)
		return prolog(`<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/hostname">]>`)(f, message{Signed: b})
	}},
	{name: "entities that grow", make: func(f *forger, m message) []byte {
		b := inText("headline", fixed("&b;"))(f, m)
		return prolog(`<!DOCTYPE alert [<!ENTITY a "`+strings.Repeat("x", 1000)+`"><!ENTITY b "`+strings.Repeat("&a;", 1000)+`">]>`)(f, message{Signed: b})
	}},
	{name: "a default attribute by DTD", make: prolog(`<!DOCTYPE alert [<!ATTLIST info id CDATA "x">]>`)},
	{name: "an entity that is not declared", make: inText("headline", fixed("&nbsp;"))},
	{name: "UTF-16", make: func(f *forger, m message) []byte {
		b := []byte{0xFE, 0xFF}
		for _, u := range utf16.Encode([]rune(string(m.Signed))) {
			b = append(b, byte(u>>8), byte(u))
		}
		return b
	}},
	{name: "another encoding named", make: func(f *forger, m message) []byte { return replaced(m.Signed, "UTF-8", "GBK") }},
	{name: "two roots", make: func(f *forger, m message) []byte { return []byte(f.evil(m) + bare(string(m.Signed))) }},
	{name: "cut short", make: func(f *forger, m message) []byte { return m.Signed[:len(m.Signed)-2-f.r.IntN(len(m.Signed)/2)] }},

	// Wrapping.
	{name: "the signature under another alert", make: func(f *forger, m message) []byte { _, sig, _ := parts(m.Signed); return into(f.evil(m), sig) }},
	{name: "wrapped in another alert", make: func(f *forger, m message) []byte { return into(f.evil(m), bare(string(m.Signed))) }},
	{name: "wrapped in a parameter", make: func(f *forger, m message) []byte {
		return []byte(strings.Replace(f.evil(m), "<area>", "<parameter><valueName>x</valueName><value>"+bare(string(m.Signed))+"</value></parameter><area>", 1))
	}},
	{name: "wrapped in an Object of its own signature", make: func(f *forger, m message) []byte {
		before, sig, after := parts(m.Signed)
		return into(f.evil(m), strings.Replace(sig, "</Signature>", `<Object Id="o">`+bare(before)+after+"</Object></Signature>", 1))
	}},
	{name: "wrapped, the reference to an Id", make: func(f *forger, m message) []byte {
		before, sig, after := parts(m.Signed)
		inner := strings.Replace(bare(before)+after, "<alert ", `<alert Id="o" `, 1)
		sig = strings.Replace(sig, `URI=""`, `URI="#o"`, 1)
		return into(f.evil(m), strings.Replace(sig, "</Signature>", "<Object>"+inner+"</Object></Signature>", 1))
	}},
	{name: "wrapped in a foreign element", make: func(f *forger, m message) []byte {
		return into(f.evil(m), `<x xmlns="urn:x">`+bare(string(m.Signed))+"</x>")
	}},
	{name: "a foreign root around it", make: func(f *forger, m message) []byte {
		return []byte("<root>" + bare(f.evil(m)) + bare(string(m.Signed)) + "</root>")
	}},
	{name: "the signature within an info", make: func(f *forger, m message) []byte {
		before, sig, after := parts(m.Signed)
		i := strings.LastIndex(before, "</info>")
		return []byte(before[:i] + sig + before[i:] + after)
	}},
	{name: "a new alert inside the signature", make: func(f *forger, m message) []byte {
		return replaced(m.Signed, "</Signature>", "<Object>"+bare(f.evil(m))+"</Object></Signature>")
	}},
	{name: "a new info inside the signature", make: func(f *forger, m message) []byte {
		return replaced(m.Signed, "</Signature>", infos.FindString(f.evil(m))+"</Signature>")
	}},
	{name: "a new info after the signature", make: func(f *forger, m message) []byte {
		return replaced(m.Signed, "</Signature>", "</Signature>"+infos.FindString(f.evil(m)))
	}},
	{name: "a signature of another genuine alert", make: func(f *forger, m message) []byte {
		other, err := f.d.loud(capgen.Options{Profile: m.Profile}, 0, m.Key, 0)
		if err != nil {
			panic(err)
		}
		_, sig, _ := parts(other.Signed)
		before, _, after := parts(m.Signed)
		return []byte(before + sig + after)
	}},
	{name: "edited beneath a second signature", make: func(f *forger, m message) []byte {
		b := inText("headline", fixed("!"))(f, m)
		return into(string(b), f.strangersOwn(string(b)))
	}},
	{name: "a stranger's signature first, and edited", make: func(f *forger, m message) []byte {
		before, sig, after := parts(inText("headline", fixed("!"))(f, m))
		return []byte(before + f.strangersOwn(before+after) + sig + after)
	}},

	// Signatures and keys.
	{name: "not signed", make: func(f *forger, m message) []byte { return m.Text }},
	{name: "an empty signature", make: content("SignatureValue", to(""))},
	{name: "a signature of zeros", make: valueOf(func(int) byte { return 0 })},
	{name: "a signature of ones", make: valueOf(func(int) byte { return 0xFF })},
	{name: "an unknown key", make: resigned(keyStranger)},
	{name: "an unknown key by a known name", make: func(f *forger, m message) []byte {
		id, err := trust.IDOf(f.d.keys[m.Key].Public())
		if err != nil {
			panic(err)
		}
		b, err := xmldsig.Sign(m.Text, f.d.keys[keyStranger], f.d.cert[keyStranger], xmldsig.SignOptions{KeyName: string(id)})
		if err != nil {
			panic(err)
		}
		return b
	}},
	{name: "an unknown key with a known certificate beside it", make: func(f *forger, m message) []byte {
		b, err := xmldsig.Sign(m.Text, f.d.keys[keyStranger], f.d.cert[keyStranger], xmldsig.SignOptions{Chain: []*x509.Certificate{f.d.cert["p-256"], f.d.cert["rsa"]}})
		if err != nil {
			panic(err)
		}
		return b
	}},
	{name: "a key of another issuer", make: resigned(keyCity)},
	{name: "a known key under another's name", of: capgen.Options{Sender: citySender}, make: func(f *forger, m message) []byte { return m.Signed }},
	{name: "a known key under nobody's name", of: capgen.Options{Sender: "nobody@met.example"}, make: func(f *forger, m message) []byte { return m.Signed }},
	{name: "a revoked key", make: resigned(keyRevoked)},
	{name: "a key that has ended", make: resigned(keyEnded)},
	{name: "a key before its time", make: resigned(keyEarly)},
	{name: "base64 bits of the value", make: padBits("SignatureValue")},
	{name: "base64 bits of the digest", make: padBits("DigestValue")},
	{name: "base64 with other letters", make: content("SignatureValue", func(_ *forger, v string) string { return strings.NewReplacer("+", "-", "/", "_").Replace(v) + "=" })},
	{name: "algorithm swapped", make: func(f *forger, m message) []byte {
		all := []string{"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
			"http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519", dsig + "rsa-sha1", dsig + "dsa-sha1", dsig + "hmac-sha1", trust.SM2SignatureURI, "none", ""}
		return replaced(m.Signed, methodOf(m), all[f.r.IntN(len(all))])
	}},
	{name: "digest algorithm swapped", make: func(f *forger, m message) []byte {
		if m.Key == "sm2" {
			return replaced(m.Signed, trust.SM3DigestURI, "http://www.w3.org/2001/04/xmlenc#sha256")
		}
		return replaced(m.Signed, "http://www.w3.org/2001/04/xmlenc#sha256", dsig+"sha1")
	}},
	{name: "canonicalisation swapped", make: func(f *forger, m message) []byte {
		i := bytes.Index(m.Signed, []byte(`<CanonicalizationMethod Algorithm="`))
		rest := m.Signed[i+len(`<CanonicalizationMethod Algorithm="`):]
		old := string(rest[:bytes.IndexByte(rest, '"')])
		return bytes.ReplaceAll(m.Signed, []byte(old), []byte(old+"WithComments"))
	}},
	{name: "truly signed with SHA-1", make: func(f *forger, m message) []byte {
		key, ok := f.rsa()
		if m.Key != "rsa" || !ok {
			return nil
		}
		return f.byHand(m, dsig+"rsa-sha1", dsig+"sha1", func(doc []byte) []byte { s := sha1.Sum(doc); return s[:] }, func(info []byte) []byte {
			s := sha1.Sum(info)
			v, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA1, s[:])
			if err != nil {
				panic(err)
			}
			return v
		})
	}},
	{name: "HMAC under the public key", make: func(f *forger, m message) []byte {
		pin, err := trust.PublicPEM(f.d.keys[m.Key].Public())
		if err != nil {
			panic(err)
		}
		if f.r.IntN(2) == 0 {
			p, _ := pem.Decode(pin)
			pin = p.Bytes
		}
		return f.byHand(m, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", sum256, func(info []byte) []byte {
			h := hmac.New(sha256.New, pin)
			h.Write(info)
			return h.Sum(nil)
		})
	}},
	{name: "a transform added", make: func(f *forger, m message) []byte {
		return replaced(m.Signed, "</Transforms>", `<Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><XPath>false()</XPath></Transform></Transforms>`)
	}},
	{name: "a second reference", make: func(f *forger, m message) []byte {
		whole := m.Signed[bytes.Index(m.Signed, []byte("<Reference ")) : bytes.Index(m.Signed, []byte("</Reference>"))+len("</Reference>")]
		return replaced(m.Signed, string(whole), string(whole)+string(whole))
	}},

	// Time.
	{name: "stale", of: capgen.Options{Sent: old(3 * time.Hour), Lasts: time.Hour}, make: func(f *forger, m message) []byte { return m.Signed }},
	{name: "future", of: capgen.Options{Sent: old(-90 * time.Minute), Lasts: 6 * time.Hour}, make: func(f *forger, m message) []byte { return m.Signed }},
	{name: "far future", of: capgen.Options{Sent: old(-400 * 24 * time.Hour), Lasts: 6 * time.Hour}, make: func(f *forger, m message) []byte { return m.Signed }},

	// Layout: the signed bytes are as they were.
	{name: "white space outside", layout: true, sure: true, make: func(f *forger, m message) []byte {
		return append(append(bytes.Clone(m.Signed), f.blank()...), "<!-- x -->"...)
	}},
	{name: "white space in tags", layout: true, make: func(f *forger, m message) []byte { return replaced(m.Signed, "</severity>", "</severity \n>") }},
	{name: "quotes of attributes", layout: true, make: func(f *forger, m message) []byte {
		return replaced(m.Signed, `"urn:oasis:names:tc:emergency:cap:1.2"`, `'urn:oasis:names:tc:emergency:cap:1.2'`)
	}},
	{name: "line breaks in base64", layout: true, sure: true, make: content("SignatureValue", func(f *forger, v string) string { return v[:20] + "\n" + v[20:] + " " })},
	{name: "a comment in the words", layout: true, make: inText("headline", fixed("<!-- x -->"))},
	{name: "a comment in the severity", layout: true, of: capgen.Options{Severity: "Minor"}, make: content("severity", func(_ *forger, v string) string { return v[:2] + "<!--Extreme-->" + v[2:] })},
	{name: "a comment in the identifier", layout: true, make: inText("identifier", fixed("<!--x-->"))},
	{name: "a comment in the expiry", layout: true, make: inText("expires", fixed("<!--x-->"))},
	{name: "a comment in the status", layout: true, of: capgen.Options{Status: "Exercise"}, make: content("status", func(_ *forger, v string) string { return v + "<!--Actual-->" })},
	{name: "CDATA", layout: true, make: content("event", func(_ *forger, v string) string {
		if strings.Contains(v, "&") {
			return v + "<![CDATA[]]>"
		}
		return "<![CDATA[" + v + "]]>"
	})},
	{name: "character references", layout: true, make: content("severity", to("&#69;xtrem&#x65;"))},
	{name: "the signature first", layout: true, make: func(f *forger, m message) []byte {
		before, sig, after := parts(m.Signed)
		return replaced([]byte(before+after), "<identifier>", sig+"<identifier>")
	}},
	{name: "a stranger's signature after it", layout: true, make: func(f *forger, m message) []byte {
		return into(string(m.Signed), f.strangersOwn(string(m.Signed)))
	}},
	{name: "a stranger's signature before it", layout: true, make: func(f *forger, m message) []byte {
		before, sig, after := parts(m.Signed)
		return []byte(before + f.strangersOwn(before+after) + sig + after)
	}},
	{name: "KeyInfo swapped", layout: true, make: func(f *forger, m message) []byte {
		_, mine := element(m.Signed, "KeyInfo")
		_, other := element([]byte(f.strangersOwn(string(m.Text))), "KeyInfo")
		return replaced(m.Signed, mine, other)
	}},
	{name: "KeyInfo dropped", layout: true, make: func(f *forger, m message) []byte {
		whole, _ := element(m.Signed, "KeyInfo")
		return replaced(m.Signed, whole, "")
	}},
	{name: "signed by hand", layout: true, sure: true, make: func(f *forger, m message) []byte {
		key, ok := f.rsa()
		if m.Key != "rsa" || !ok {
			return nil
		}
		return f.byHand(m, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", sum256, func(info []byte) []byte {
			v, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum256(info))
			if err != nil {
				panic(err)
			}
			return v
		})
	}},
	{name: "the other half of an ECDSA signature", layout: true, make: halfOrder},
}

// old is an instant so long ago, in whole seconds; it is taken when the program
// starts, which is near enough.
func old(d time.Duration) time.Time { return time.Now().Add(-d).Truncate(time.Second) }

// prolog puts something before the root.
func prolog(s string) func(*forger, message) []byte {
	return func(_ *forger, m message) []byte {
		return bytes.Replace(m.Signed, []byte("<alert "), []byte(s+"<alert "), 1)
	}
}

func sum256(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

// rsa is the county's RSA key itself: only so can the bench do with it what the
// firmware's signer will not.
func (f *forger) rsa() (*rsa.PrivateKey, bool) {
	b, err := f.d.keys["rsa"].PEM()
	if err != nil {
		return nil, false
	}
	p, _ := pem.Decode(b)
	k, err := x509.ParsePKCS8PrivateKey(p.Bytes)
	if err != nil {
		return nil, false
	}
	r, ok := k.(*rsa.PrivateKey)
	return r, ok
}

// byHand makes a Signature without the firmware's signer, in forms that are their own
// canonical ones.
func (f *forger) byHand(m message, method, digest string, sum func(doc []byte) []byte, sign func(info []byte) []byte) []byte {
	d, err := xmldsig.Parse(m.Text, xmldsig.Limits{})
	if err != nil {
		panic(err)
	}
	doc, err := d.Canonical()
	if err != nil {
		panic(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	info := func(ns string) string {
		return "<SignedInfo" + ns + `><CanonicalizationMethod Algorithm="` + xmldsig.ExclusiveC14N + `"></CanonicalizationMethod><SignatureMethod Algorithm="` + method +
			`"></SignatureMethod><Reference URI=""><Transforms><Transform Algorithm="` + dsig + `enveloped-signature"></Transform><Transform Algorithm="` + xmldsig.C14N10 +
			`"></Transform></Transforms><DigestMethod Algorithm="` + digest + `"></DigestMethod><DigestValue>` + b64(sum(doc)) + "</DigestValue></Reference></SignedInfo>"
	}
	value := sign([]byte(info(` xmlns="` + dsig + `"`)))
	return into(string(m.Text), `<Signature xmlns="`+dsig+`">`+info("")+tag("SignatureValue", b64(value))+"</Signature>")
}
