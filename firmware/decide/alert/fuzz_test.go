package alert

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/hwtest/capgen"
)

func seeds(f *testing.F) {
	g := capgen.New(9)
	for range 12 {
		f.Add(g.Next(capgen.Options{}).Text)
	}
	f.Add([]byte(good))
	f.Add([]byte("\xef\xbb\xbf<?xml version='1.0' encoding='utf-8' standalone='yes'?><c:alert xmlns:c='" + Namespace + "'><c:note><![CDATA[a]]>&#x20;</c:note></c:alert>"))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
}

// FuzzWhateverIsReadIsWrittenBackTheSame: the parser survives, its findings speak both
// languages, and what it takes as well-formed it writes and reads again as the same alert.
func FuzzWhateverIsReadIsWrittenBackTheSame(f *testing.F) {
	seeds(f)
	tt := tables(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, found := Parse(b, tt)
		for _, x := range found {
			if !strings.HasPrefix(x.Path, "/") || x.What.In(phrase.ZH) == x.What.Code || x.What.In(phrase.EN) == "" {
				t.Fatalf("%+v", x)
			}
		}
		if a == nil {
			if !anyFatal(found, Form) {
				t.Fatal("no alert and no reason")
			}
			return
		}
		a.Concerns(huangdu, tt)
		tt.ActionFor(a, nil)
		if anyFatal(found, Form) {
			return
		}
		if a.Sent.IsZero() || !isWord(a.Identifier) || !isWord(a.Sender) {
			t.Fatalf("passed without a name: %+v", a)
		}
		out, err := Write(a, WriteOptions{Tables: tt})
		if err != nil {
			// A list item with a quote in it, or a colour that stood where the schema has
			// none, cannot be written as it was read.
			var e *phrase.Error
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			return
		}
		again, _ := Parse(out, tt)
		if again == nil || again.Ref().Key() != a.Ref().Key() || len(again.Infos) != len(a.Infos) || len(again.References) != len(a.References) {
			t.Fatalf("read %+v, wrote\n%s", a, out)
		}
	})
}

// FuzzScannerTakesNoXMLThatAnotherRefuses compares with encoding/xml: what we take, it takes,
// and both see the same elements and text.
func FuzzScannerTakesNoXMLThatAnotherRefuses(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, err := trace(b)
		if err != nil {
			return
		}
		theirs, err := otherTrace(b)
		if err != nil {
			t.Fatalf("we take what encoding/xml refuses: %v\n%q", err, b)
		}
		if ours != theirs {
			t.Fatalf("we read\n%s\nencoding/xml reads\n%s", ours, theirs)
		}
	})
}

func trace(b []byte) (string, error) {
	s := newScanner(b, Limits{}.filled())
	var out strings.Builder
	for {
		k, err := s.next()
		if err != nil {
			return "", err
		}
		switch k {
		case start:
			out.WriteString("\n<" + s.space + " " + s.local + ">")
		case end:
			out.WriteString("\n</>")
		case text:
			out.Write(s.chars)
		case done:
			return out.String(), nil
		}
	}
}

var blanks = strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ", "\r", " ")

func otherTrace(b []byte) (string, error) {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	var out strings.Builder
	depth := 0
	for {
		k, err := d.Token()
		if err == io.EOF {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch k := k.(type) {
		case xml.StartElement:
			depth++
			// It does not normalise attributes (XML 1.0, 3.3.3), so names of spaces neither.
			out.WriteString("\n<" + blanks.Replace(k.Name.Space) + " " + k.Name.Local + ">")
		case xml.EndElement:
			depth--
			out.WriteString("\n</>")
		case xml.CharData:
			if depth > 0 {
				out.Write(k)
			}
		}
	}
}
