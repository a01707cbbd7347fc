package logbook

import (
	"reflect"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// Value is the newest value of a channel.
type Value struct {
	Name phrase.Text
	Unit string
	// V is in Unit, in steps of Resolution; Good tells whether there was one.
	V, Resolution float64
	Good, Between bool
}

// decoderKey tells chains of blocks apart: those over IP do not build on those over narrow links.
type decoderKey struct {
	number int
	narrow bool
}

type decoder struct {
	*wire.Decoder
	waiting []waiting
}

type waiting struct {
	block []byte
	near  int64
}

// dictionary takes in what the channels are. Another set under the same number begins anew.
func (st *station) dictionary(d *wire.DictionaryContent) {
	if old := st.dict[d.Number]; old != nil && reflect.DeepEqual(old, d) {
		return
	}
	for i := range d.Channels {
		c := &d.Channels[i]
		c.Point, c.Unit, c.ZH, c.EN = clip(c.Point), clip(c.Unit), clip(c.ZH), clip(c.EN)
	}
	st.dict[d.Number] = d
	for _, narrow := range []bool{false, true} {
		k := decoderKey{d.Number, narrow}
		old := st.decoders[k]
		dec, err := wire.NewDecoder(wire.Dictionary{ID: uint8(d.Number), Channels: len(d.Channels)})
		if err != nil {
			continue // the reader of the content bounds it
		}
		n := &decoder{Decoder: dec}
		if old != nil && old.Decoder == nil {
			n.waiting = old.waiting // it came before its dictionary
		}
		st.decoders[k] = n
		st.again(k)
	}
}

// telemetry decodes a block, or lets it wait for what it builds on.
func (st *station) telemetry(o *opened, at time.Time) error {
	if len(o.block) == 0 {
		return phrase.E("hubd.strange_content")
	}
	near := at.Unix() / 60
	if o.created > 0 {
		near = o.created / 60_000
	}
	k := decoderKey{int(o.block[0] >> 5), o.name == (wire.Name{}) || o.short}
	d := st.decoders[k]
	if d == nil {
		d = &decoder{}
		st.decoders[k] = d
	}
	if d.Decoder != nil {
		_, s, err := d.Decode(o.block, near)
		switch {
		case err == nil:
			st.show(k.number, s)
			st.again(k)
			return nil
		case !wire.Waits(err):
			return phrase.Wrap(err, "hubd.strange_content")
		}
	}
	if d.waiting = append(d.waiting, waiting{o.block, near}); len(d.waiting) > pendingBlocks {
		d.waiting = d.waiting[1:]
	}
	return nil
}

// again tries what waits, as long as one opens the way for another.
func (st *station) again(k decoderKey) {
	d := st.decoders[k]
	for moved := true; moved; {
		moved = false
		rest := d.waiting[:0]
		for _, w := range d.waiting {
			_, s, err := d.Decode(w.block, w.near)
			switch {
			case err == nil:
				st.show(k.number, s)
				moved = true
			case wire.Waits(err):
				rest = append(rest, w)
			}
		}
		d.waiting = rest
	}
}

// show takes the newest row.
func (st *station) show(number int, s wire.Series) {
	at := time.Unix((s.Minute+int64((len(s.Rows)-1)*s.Step))*60, 0).UTC()
	dict := st.dict[number]
	if len(s.Rows) == 0 || dict == nil || at.Before(st.valuesAt) {
		return
	}
	st.valuesAt, st.values = at, nil
	for i, v := range s.Rows[len(s.Rows)-1] {
		c := dict.Channels[i]
		name := phrase.Text{ZH: c.ZH, EN: c.EN}
		if name.ZH == "" {
			name = phrase.Text{ZH: c.Point, EN: c.Point}
		}
		st.values = append(st.values, Value{name, c.Unit, float64(v.V) * c.Resolution, c.Resolution, v.State != wire.Missing, v.State == wire.Between})
	}
}
