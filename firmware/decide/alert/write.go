package alert

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // CAP 1.2's digest of a resource (section 3.2.3)
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/firmware/phrase"
)

// WriteOptions choose how an alert is written.
type WriteOptions struct {
	// Profile adds what shows a profile, by its id: its code, and its
	// parameter for a colour. "" is the alert's own.
	Profile string
	Tables  *Tables
}

// Write gives CAP 1.2 in the order of the schema. What it gives is read back by
// Parse before it is let out: an error names the element that would be refused.
func Write(a *Alert, o WriteOptions) ([]byte, error) {
	id := o.Profile
	if id == "" {
		id = a.Profile
	}
	p := o.Tables.Profile(id)
	w := &writer{}
	w.b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<alert xmlns="` + Namespace + `">`)
	w.must("identifier", a.Identifier)
	w.must("sender", a.Sender)
	w.must("sent", writeTime(a.Sent))
	w.must("status", a.Status)
	w.must("msgType", a.MsgType)
	w.may("source", a.Source)
	w.must("scope", a.Scope)
	w.may("restriction", a.Restriction)
	w.may("addresses", quoted(a.Addresses))
	for _, c := range withCode(a.Codes, p) {
		w.must("code", c)
	}
	w.may("note", a.Note)
	var refs []string
	for _, r := range a.References {
		refs = append(refs, r.Sender+","+r.Identifier+","+writeTime(r.Sent))
	}
	w.may("references", strings.Join(refs, " "))
	w.may("incidents", quoted(a.Incidents))
	for i := range a.Infos {
		in := a.Infos[i]
		if in.Colour != "" && p.colourOf(&in, o.Tables) != in.Colour {
			if len(p.Colours) == 0 || p.colourOf(&in, o.Tables) != "" {
				return nil, phrase.E("alert.write.colour", "path", infoPath(i), "profile", p.Name)
			}
			in.Parameters = append([]Named{{p.Colours[0], in.Colour}}, in.Parameters...)
		}
		w.info(&in, a.Sent)
	}
	w.b.WriteString("</alert>\n")
	for _, f := range parseOnly(w.b.Bytes(), o.Tables) {
		if f.Fatal {
			return nil, phrase.E("alert.write.refused", "path", f.Path, "what", f.What)
		}
	}
	return w.b.Bytes(), nil
}

func parseOnly(b []byte, t *Tables) []Finding {
	_, found := Parse(b, t)
	return found
}

// withCode adds the first plain code by which a profile is shown.
func withCode(codes []string, p *Profile) []string {
	for _, c := range p.Detect.Codes {
		begin, any := strings.CutSuffix(c, "*")
		for _, have := range codes {
			if have == c || any && strings.HasPrefix(have, begin) {
				return codes
			}
		}
		if !any {
			return append(codes[:len(codes):len(codes)], c)
		}
	}
	return codes
}

// writeTime writes whole seconds and an offset; UTC is -00:00 (section 3.3.2).
func writeTime(t time.Time) string {
	s := t.Format("2006-01-02T15:04:05-07:00")
	if begin, ok := strings.CutSuffix(s, "+00:00"); ok {
		return begin + "-00:00"
	}
	return s
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		if strings.ContainsAny(s, " \t\r\n") {
			s = `"` + s + `"`
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

type writer struct{ b bytes.Buffer }

func (w *writer) may(name, s string) {
	if s != "" {
		w.must(name, s)
	}
}

func (w *writer) must(name, s string) {
	w.b.WriteString("<" + name + ">")
	w.text(s)
	w.b.WriteString("</" + name + ">")
}

// text escapes, and puts the replacement character for what XML cannot carry.
func (w *writer) text(s string) {
	for _, r := range s {
		switch {
		case r == '&':
			w.b.WriteString("&amp;")
		case r == '<':
			w.b.WriteString("&lt;")
		case r == '>':
			w.b.WriteString("&gt;")
		case r == '\r':
			w.b.WriteString("&#13;")
		case !isChar(r):
			w.b.WriteRune(utf8.RuneError)
		default:
			w.b.WriteRune(r)
		}
	}
}

func (w *writer) time(name string, t time.Time) {
	if !t.IsZero() {
		w.must(name, writeTime(t))
	}
}

func (w *writer) named(name string, list []Named) {
	for _, n := range list {
		w.b.WriteString("<" + name + ">")
		w.must("valueName", n.Name)
		w.must("value", n.Value)
		w.b.WriteString("</" + name + ">")
	}
}

func (w *writer) info(in *Info, sent time.Time) {
	w.b.WriteString("<info>")
	w.may("language", in.Language)
	for _, c := range in.Categories {
		w.must("category", c)
	}
	w.must("event", in.Event)
	for _, r := range in.Responses {
		w.must("responseType", r)
	}
	w.must("urgency", in.Urgency)
	w.must("severity", in.Severity)
	w.must("certainty", in.Certainty)
	w.may("audience", in.Audience)
	w.named("eventCode", in.EventCodes)
	if !in.Effective.Equal(sent) {
		w.time("effective", in.Effective)
	}
	w.time("onset", in.Onset)
	w.time("expires", in.Expires)
	w.may("senderName", in.SenderName)
	w.may("headline", in.Headline)
	w.may("description", in.Description)
	w.may("instruction", in.Instruction)
	w.may("web", in.Web)
	w.may("contact", in.Contact)
	w.named("parameter", in.Parameters)
	for i := range in.Resources {
		w.resource(&in.Resources[i])
	}
	for i := range in.Areas {
		w.area(&in.Areas[i])
	}
	w.b.WriteString("</info>")
}

func (w *writer) resource(r *Resource) {
	w.b.WriteString("<resource>")
	w.must("resourceDesc", r.Desc)
	w.must("mimeType", r.MIME)
	size, digest := r.Size, r.Digest
	if len(r.Body) > 0 {
		sum := sha1.Sum(r.Body)
		size, digest = int64(len(r.Body)), hex.EncodeToString(sum[:])
	}
	if size >= 0 {
		w.must("size", strconv.FormatInt(size, 10))
	}
	w.may("uri", r.URI)
	if len(r.Body) > 0 {
		w.must("derefUri", base64.StdEncoding.EncodeToString(r.Body))
	}
	w.may("digest", digest)
	w.b.WriteString("</resource>")
}

func (w *writer) area(a *Area) {
	w.b.WriteString("<area>")
	w.must("areaDesc", a.Desc)
	for _, ring := range a.Polygons {
		w.b.WriteString("<polygon>")
		for i, p := range ring {
			if i > 0 {
				w.b.WriteByte(' ')
			}
			w.point(p)
		}
		w.b.WriteString("</polygon>")
	}
	for _, c := range a.Circles {
		w.b.WriteString("<circle>")
		w.point(c.Centre)
		w.b.WriteString(" " + plainNumber(c.Km) + "</circle>")
	}
	w.named("geocode", a.Geocodes)
	w.may("altitude", a.Altitude)
	w.may("ceiling", a.Ceiling)
	w.b.WriteString("</area>")
}

func (w *writer) point(p Point) {
	w.b.WriteString(plainNumber(p.Lat) + "," + plainNumber(p.Lon))
}

func plainNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
