package account

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// Bounds of what a dictionary says.
const (
	dictionaryBytes = 64 << 10
	pointMost       = 128
	nameMost        = 200
	dictionaries    = 8
)

// Channel is one point as it is told.
type Channel struct {
	Point string `json:"point"`
	Unit  string `json:"unit"`
	// Resolution is one step, in the unit.
	Resolution float64 `json:"resolution"`
	ZH         string  `json:"zh"`
	EN         string  `json:"en"`
}

// Dictionary says what the channels of blocks mean.
type Dictionary struct {
	// Number is 0 to 7. The same number always means the same points, units and steps, until it comes round again.
	Number uint8 `json:"number"`
	// Step is the minutes between rows.
	Step     int       `json:"step"`
	Channels []Channel `json:"channels"`
}

// Bytes is the dictionary as it is told: JSON.
func (d Dictionary) Bytes() []byte {
	b, _ := json.Marshal(d) // strings and numbers
	return b
}

// ReadDictionary reads and proves one.
func ReadDictionary(b []byte) (Dictionary, error) {
	var d Dictionary
	if len(b) > dictionaryBytes || json.Unmarshal(b, &d) != nil || !d.sound() {
		return Dictionary{}, phrase.E("account.dictionary", "bytes", len(b))
	}
	return d, nil
}

func (d Dictionary) sound() bool {
	if d.Number >= dictionaries || !Every(time.Duration(d.Step)*time.Minute) || len(d.Channels) == 0 || len(d.Channels) > wire.ChannelsMost {
		return false
	}
	seen := map[string]bool{}
	for _, c := range d.Channels {
		if c.Point == "" || len(c.Point) > pointMost || seen[c.Point] || len(c.Unit) > 32 || len(c.ZH) > nameMost || len(c.EN) > nameMost ||
			!(c.Resolution >= 1e-9 && c.Resolution <= 1e9) {
			return false
		}
		seen[c.Point] = true
	}
	return true
}

// Means tells whether both mean the same by each value, whatever the channels are called.
func (d Dictionary) Means(o Dictionary) bool {
	return d.Step == o.Step && slices.EqualFunc(d.Channels, o.Channels, func(a, b Channel) bool {
		return a.Point == b.Point && a.Unit == b.Unit && a.Resolution == b.Resolution
	})
}

// Wire is what the codec needs of it.
func (d Dictionary) Wire() wire.Dictionary {
	return wire.Dictionary{ID: d.Number, Channels: len(d.Channels)}
}

// Value is a measured value in the channel's steps; what does not fit is missing.
func (c Channel) Value(v float64) wire.Value {
	n := math.Round(v / c.Resolution)
	if !(n >= wire.ValueLeast && n <= wire.ValueMost) { // NaN too
		return wire.Value{}
	}
	return wire.Good(int32(n))
}

// Of gives the measured value back.
func (c Channel) Of(v wire.Value) (float64, bool) {
	if v.State == wire.Missing {
		return 0, false
	}
	// As people write it: 3 steps of 0.1 are 0.3 and not 0.30000000000000004.
	x := float64(v.V) * c.Resolution
	if d := math.Ceil(-math.Log10(c.Resolution)); d >= 0 && d < 10 {
		p := math.Pow(10, d+2)
		x = math.Round(x*p) / p
	}
	return x, true
}

// Dictionaries are those of a station: Wide has all channels that are told, Narrow the first of them; where they are
// as many, both are one.
type Dictionaries struct {
	Wide   Dictionary `json:"wide"`
	Narrow Dictionary `json:"narrow"`
}

// Settle makes the dictionaries of a set of channels, and tells whether they are other than those before (which may
// be none): then their numbers are other ones too.
func Settle(before *Dictionaries, step int, channels []Channel, narrow int) (d Dictionaries, fresh bool) {
	channels = slices.Clone(channels[:min(len(channels), wire.ChannelsMost)])
	for i := range channels {
		c := &channels[i]
		c.ZH, c.EN = cut(c.ZH, nameMost), cut(c.EN, nameMost)
	}
	d.Wide = Dictionary{Step: step, Channels: channels}
	d.Narrow = Dictionary{Step: step, Channels: channels[:min(len(channels), narrow)]}
	if before != nil && before.Wide.Means(d.Wide) && before.Narrow.Means(d.Narrow) {
		d.Wide.Number, d.Narrow.Number = before.Wide.Number, before.Narrow.Number
		return d, false
	}
	if before != nil {
		d.Wide.Number = (before.Narrow.Number + 1) % dictionaries // the narrow one's is the later of the two
	}
	d.Narrow.Number = d.Wide.Number
	if len(d.Narrow.Channels) < len(channels) {
		d.Narrow.Number = (d.Wide.Number + 1) % dictionaries
	}
	return d, true
}

// Bytes is what is kept of them.
func (d Dictionaries) Bytes() []byte {
	b, _ := json.Marshal(d)
	return b
}

// ReadDictionaries reads what was kept.
func ReadDictionaries(b []byte) (*Dictionaries, error) {
	var d Dictionaries
	if len(b) > 2*dictionaryBytes || json.Unmarshal(b, &d) != nil || !d.Wide.sound() || !d.Narrow.sound() {
		return nil, phrase.E("account.dictionary", "bytes", len(b))
	}
	return &d, nil
}

// cut shortens text to so many bytes, at a whole rune.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
