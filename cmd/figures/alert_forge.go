package main

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"tocsin/hwtest/capgen"
)

// forger alters signed alerts. It works on the text alone, as an attacker would, and
// signs anew only with keys that must not do.
type forger struct {
	d *desk
	r *rand.Rand
}

// forgery is one kind of alteration. It gives nil where the kind does not fit the alert.
type forgery struct {
	name string
	// layout: what stands in the signed bytes stays as the issuer signed it, so that the
	// box may take it; then it must show exactly what was signed. All else
	// must not stand.
	layout bool
	// sure: a layout that the box does take; were it refused, the bench that makes it
	// would be wrong.
	sure bool
	// of is what is altered; the zero value is a loud alert for this place.
	of   capgen.Options
	make func(f *forger, m message) []byte
}

const dsig = "http://www.w3.org/2000/09/xmldsig#"

// parts are a signed text before its Signature, the Signature, and the rest.
func parts(text []byte) (before, sig, after string) {
	s := string(text)
	i := strings.LastIndex(s, "<Signature ")
	j := strings.LastIndex(s, "</Signature>") + len("</Signature>")
	return s[:i], s[i:j], s[j:]
}

// replaced puts one thing in another's place, in the signed text or the Signature.
func replaced(text []byte, from, to string) []byte {
	if !bytes.Contains(text, []byte(from)) {
		return nil
	}
	return bytes.Replace(text, []byte(from), []byte(to), 1)
}

// element gives the first element of a name, with its content.
func element(text []byte, name string) (whole, content string) {
	s := string(text)
	i := strings.Index(s, "<"+name+">")
	if i < 0 {
		return "", ""
	}
	j := i + strings.Index(s[i:], "</"+name+">")
	return s[i : j+len(name)+3], s[i+len(name)+2 : j]
}

// content changes what stands in an element.
func content(name string, change func(f *forger, old string) string) func(*forger, message) []byte {
	return func(f *forger, m message) []byte {
		whole, old := element(m.Signed, name)
		if whole == "" {
			return nil
		}
		return replaced(m.Signed, whole, "<"+name+">"+change(f, old)+"</"+name+">")
	}
}

func to(s string) func(*forger, string) string { return func(*forger, string) string { return s } }

// resigned takes the signature off and signs with another key.
func resigned(key string) func(*forger, message) []byte {
	return func(f *forger, m message) []byte {
		b, err := f.d.sign(m.Text, key, f.r.IntN(6))
		if err != nil {
			panic(err)
		}
		return b
	}
}

// evil is what an attacker would have said: another identity, a village that
// everybody leaves.
func (f *forger) evil(m message) string {
	o := capgen.Options{Profile: m.Profile, Sender: m.Ref.Sender, Sent: time.Now().Add(-time.Duration(30+f.r.IntN(60)) * time.Second), Severity: "Extreme", Lasts: time.Hour}
	return string(f.d.g.Next(o).Text)
}

// into puts something before the end of a text's root.
func into(text, what string) []byte {
	i := strings.LastIndex(text, "</alert>")
	return []byte(text[:i] + what + text[i:])
}

// bare takes the declaration off.
func bare(s string) string {
	if i := strings.Index(s, "<alert"); i > 0 {
		return s[i:]
	}
	return s
}

// padBits sets bits of base64 that no byte uses.
func padBits(name string) func(*forger, message) []byte {
	return func(f *forger, m message) []byte {
		whole, v := element(m.Signed, name)
		n := len(v) - len(strings.TrimRight(v, "="))
		if n == 0 {
			return nil // nothing is padded
		}
		const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		at := len(v) - n - 1
		w := v[:at] + string(digits[strings.IndexByte(digits, v[at])+1+f.r.IntN(1<<(2*n)-1)]) + v[at+1:]
		return replaced(m.Signed, whole, "<"+name+">"+w+"</"+name+">")
	}
}

var space = []string{" ", "\n", "\t", "\r\n", "  \n  "}

func (f *forger) blank() string { return space[f.r.IntN(len(space))] }

// inText puts something into the middle of words.
func inText(name string, what func(f *forger) string) func(*forger, message) []byte {
	return content(name, func(f *forger, old string) string {
		rs := []rune(old)
		at := 1 + f.r.IntN(max(1, len(rs)-1))
		for _, entity := range entities.FindAllStringIndex(string(rs), -1) {
			if n := len([]rune(old[:entity[0]])); at > n && at < len([]rune(old[:entity[1]])) {
				at = n
			}
		}
		return string(rs[:at]) + what(f) + string(rs[at:])
	})
}

var (
	entities = regexp.MustCompile(`&[a-z]+;`)
	infos    = regexp.MustCompile(`(?s)<info>.*?</info>`)
)

// signedBy gives the method's URI of a message.
func methodOf(m message) string {
	i := bytes.Index(m.Signed, []byte("<SignatureMethod Algorithm=\"")) + len("<SignatureMethod Algorithm=\"")
	return string(m.Signed[i : i+bytes.IndexByte(m.Signed[i:], '"')])
}

// fixed always does the same.
func fixed(s string) func(*forger) string { return func(*forger) string { return s } }

// halfOrder answers an ECDSA signature (r, s) with (r, n-s), which anybody can compute
// and which holds for the same bytes.
func halfOrder(f *forger, m message) []byte {
	curve := map[string]elliptic.Curve{"p-256": elliptic.P256(), "p-384": elliptic.P384()}[m.Key]
	if curve == nil {
		return nil
	}
	whole, v := element(m.Signed, "SignatureValue")
	raw, err := base64.StdEncoding.DecodeString(v)
	if err != nil {
		return nil
	}
	s := new(big.Int).SetBytes(raw[len(raw)/2:])
	s.Sub(curve.Params().N, s).FillBytes(raw[len(raw)/2:])
	return replaced(m.Signed, whole, "<SignatureValue>"+base64.StdEncoding.EncodeToString(raw)+"</SignatureValue>")
}

// valueOf puts other bytes of the same length into SignatureValue.
func valueOf(f func(i int) byte) func(*forger, message) []byte {
	return func(_ *forger, m message) []byte {
		whole, v := element(m.Signed, "SignatureValue")
		raw, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			return nil
		}
		for i := range raw {
			raw[i] = f(i)
		}
		return replaced(m.Signed, whole, "<SignatureValue>"+base64.StdEncoding.EncodeToString(raw)+"</SignatureValue>")
	}
}

// strangersOwn is a stranger's whole Signature of a text, with a KeyName and a
// certificate that call themselves the county's.
func (f *forger) strangersOwn(text string) string {
	b, err := f.d.sign([]byte(text), keyStranger, 1)
	if err != nil {
		panic(err)
	}
	_, sig, _ := parts(b)
	return sig
}

// changed alters one letter somewhere in the signed text's words.
func changed(f *forger, m message) []byte {
	before, sig, after := parts(m.Signed)
	for range 100 {
		i := strings.Index(before, "<info>") + f.r.IntN(len(before)-strings.Index(before, "<info>"))
		if c := before[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'y' {
			return []byte(before[:i] + string(c+byte(1)) + before[i+1:] + sig + after)
		}
	}
	return nil
}

func soon(minutes int) string {
	return time.Now().Add(time.Duration(minutes)*time.Minute).UTC().Format("2006-01-02T15:04:05") + "-00:00"
}

func tag(name, v string) string { return fmt.Sprintf("<%s>%s</%s>", name, v, name) }
