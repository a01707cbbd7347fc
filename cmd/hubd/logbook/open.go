package logbook

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
)

// Short tells whether a letter's id is that of a short form, and gives the message's own.
func Short(id string) (string, bool) {
	name, ok := strings.CutSuffix(id, "s")
	if !ok {
		return id, false
	}
	_, ok = wire.ParseName(name)
	return name, ok
}

// ShortID is the id of a message's short form.
func ShortID(n wire.Name) string { return n.String() + "s" }

// Signed says what stands under a document.
type Signed int

// The findings.
const (
	NotPinned Signed = iota // nobody said which key the box has
	ByBox                   // the pinned key signed it
	NotByBox                // another key did, or none
)

// opened is a letter that may be acted on.
type opened struct {
	name     wire.Name // zero for what has none
	short    bool
	created  int64 // milliseconds since 1970; 0 unknown
	cap      *alert.Alert
	signed   Signed
	alarm    *wire.AlarmItem
	receipts [][]byte
	block    []byte
	dict     *wire.DictionaryContent
	state    *wire.StateContent
	update   *wire.UpdateItem
}

// open opens a letter with its station's keys. An error says why it is not acted on.
func open(s letter.Station, of hubfile.Station, l *letter.Letter, tables *alert.Tables) (*opened, error) {
	if wire.FormOf(l.Body) != wire.EnvelopeForm {
		return nil, phrase.E("hubd.strange_form")
	}
	if len(of.Keys) == 0 {
		return nil, phrase.E("hubd.strange_root")
	}
	e, err := wire.OpenEnvelope(l.Body, wire.ContentMost, of.Keys, wire.Up)
	switch {
	case err != nil:
		return nil, phrase.Wrap(err, "hubd.strange_seal")
	case !e.Sealed:
		return nil, phrase.E("hubd.strange_unsealed")
	case e.ID.Station != string(s):
		return nil, phrase.E("hubd.strange_station", "other", clip(e.ID.Station))
	case e.Unknown:
		return nil, phrase.E("hubd.strange_extension")
	}
	o := &opened{created: e.Created}
	id, short := Short(l.ID)
	o.short = short
	if n, ok := wire.ParseName(id); ok {
		if e.ID.Boot != uint64(n.Outbox) || e.ID.Sequence != uint64(n.Seq) {
			return nil, phrase.E("hubd.strange_name")
		}
		o.name = n
	} else if !strings.HasPrefix(l.ID, "n") {
		return nil, phrase.E("hubd.strange_name")
	}
	for _, x := range e.Extensions {
		if x.Type == wire.ExtensionReceipts {
			o.receipts = append(o.receipts, x.Bytes)
		}
	}
	return o, o.read(&e, of, tables)
}

// read reads the content by its type.
func (o *opened) read(e *wire.Opened, of hubfile.Station, tables *alert.Tables) error {
	switch e.Type {
	case wire.TypeCAP:
		return o.readCAP(e.Content, of, tables)
	case uint8(wire.ItemAlarm):
		a, err := wire.ReadAlarm(e.Content)
		if err != nil || a.Name != o.name {
			return phrase.E("hubd.strange_content")
		}
		o.alarm = &a
	case uint8(wire.ItemUpdate):
		u, err := wire.ReadUpdate(e.Content)
		if err != nil || u.Name != o.name {
			return phrase.E("hubd.strange_content")
		}
		o.update = &u
	case wire.TypeReceipts:
		o.receipts = append(o.receipts, e.Content)
	case wire.TypeTelemetry:
		o.block = e.Content
	case wire.TypeDictionary:
		o.dict = &wire.DictionaryContent{}
		if json.Unmarshal(e.Content, o.dict) != nil || len(o.dict.Channels) == 0 || len(o.dict.Channels) > wire.ChannelsMost || o.dict.Number < 0 || o.dict.Number > 7 {
			return phrase.E("hubd.strange_content")
		}
	case wire.TypeState:
		o.state = &wire.StateContent{}
		if json.Unmarshal(e.Content, o.state) != nil {
			return phrase.E("hubd.strange_content")
		}
	default:
		return phrase.E("hubd.strange_type", "type", int(e.Type))
	}
	return nil
}

// readCAP reads a document, and holds its signature against the box's key.
func (o *opened) readCAP(b []byte, of hubfile.Station, tables *alert.Tables) error {
	doc, err := xmldsig.Parse(b, xmldsig.DefaultLimits)
	if err != nil {
		return phrase.Wrap(err, "hubd.strange_content")
	}
	if of.Box != "" {
		o.signed = NotByBox
		for _, s := range doc.Verify(nil, xmldsig.Options{}) {
			if s.Err == nil && s.KeyID == trust.KeyID(of.Box) {
				o.signed, b = ByBox, s.Signed // what was signed is what is read
				break
			}
		}
	}
	a, found := alert.Parse(b, tables)
	for _, f := range found {
		if f.Fatal {
			return phrase.E("hubd.strange_content")
		}
	}
	if a == nil {
		return phrase.E("hubd.strange_content")
	}
	o.cap = a
	return nil
}

func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
