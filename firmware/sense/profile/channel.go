package profile

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Named tells whether a device's values have names instead of places: its
// points are read from a "channel".
func (v Via) Named() bool {
	switch v {
	case SDI12, NMEA, I2C, OneWire, Pulse:
		return true
	}
	return false
}

// chip reads which chip it is and what must be known of its circuit.
func (r *reader) chip(chip, options, owner ast.Node, p *Profile) {
	known := chipsOf(p.Via)
	switch {
	case chip == nil && len(known) > 0:
		r.at(owner, phrase.M("profile.missing", "key", "chip", "in", "profile"))
		return
	case chip != nil && len(known) == 0:
		r.at(chip, phrase.M("profile.only_chip", "key", "chip"))
		return
	case chip != nil:
		if p.Chip = r.text(chip, "chip"); !slices.Contains(known, p.Chip) {
			r.at(chip, phrase.M("profile.bad_choice", "key", "chip", "got", p.Chip, "known", strings.Join(known, ", ")))
		}
	}
	if options == nil {
		return
	}
	p.Options = map[string]float64{}
	limits := optionsOf(p.Via, p.Chip)
	for _, e := range r.entries(options, "options") {
		l, ok := limits[e.key]
		if !ok {
			r.at(e.at, phrase.M("profile.unknown_key", "key", e.key, "in", "options", "known", strings.Join(sortedKeys(limits), ", ")))
			continue
		}
		v := r.number(e.value, e.key, l.Min)
		if v < l.Min || v > l.Max {
			r.at(e.value, phrase.M("profile.bad_option", "key", e.key, "min", l.Min, "max", l.Max))
		}
		p.Options[e.key] = v
	}
}

// channel reads "channel M1.2", "channel mwv.r.speed", "channel temperature".
func (r *reader) channel(n ast.Node, s string, p *Profile, pt *Point) {
	c, ok := strings.CutPrefix(s, "channel ")
	c = strings.TrimSpace(c)
	if !ok || !p.Via.has(p.Chip, c) {
		r.at(n, phrase.M("profile.bad_channel", "got", s, "known", p.Via.examples(p.Chip)))
		return
	}
	pt.Channel = c
}

// has tells whether a way gives a channel.
func (v Via) has(chip, channel string) bool {
	switch v {
	case SDI12:
		return sdiChannel.MatchString(channel)
	case NMEA:
		if xdrChannel.MatchString(channel) {
			return true
		}
	}
	_, ok := unitsOf(v, chip)[channel]
	return ok
}

func (v Via) examples(chip string) string {
	if v == SDI12 {
		return "channel M.1, channel MC.2, channel C1.3"
	}
	return "channel " + strings.Join(sortedKeys(unitsOf(v, chip)), ", ")
}

// channelType: a channel is a number, a state or an on/off.
func (r *reader) channelType(n ast.Node, pt *Point) {
	if pt.Type != Number && pt.Type != Bool && pt.Type != Enum {
		r.at(n, phrase.M("profile.channel_type", "type", string(pt.Type)))
	}
}

// channelUnit: a value that is taken as it comes has its channel's unit.
func (r *reader) channelUnit(n ast.Node, p *Profile, pt *Point) {
	u := unitsOf(p.Via, p.Chip)[pt.Channel]
	if p.Via == NMEA && u == "" {
		u = xdrUnit(pt.Channel)
	}
	if u != "" && pt.Unit != "" && pt.Scale == 1 && pt.Offset == 0 && u != pt.Unit {
		r.at(n, phrase.M("profile.channel_unit", "channel", pt.Channel, "unit", string(u), "got", string(pt.Unit)))
	}
}

func (r *reader) channelProof(m map[string]ast.Node, owner ast.Node, p *Profile, d *Proof) {
	switch p.Via {
	case SDI12, NMEA:
		if m["heard"] == nil {
			r.at(owner, phrase.M("profile.missing", "key", "heard", "in", "proof"))
		}
		d.Text = r.text(m["heard"], "heard")
		if p.Via == SDI12 {
			d.Measure = r.text(m["measure"], "measure")
			if !sdiCommand.MatchString(d.Measure) {
				r.at(owner, phrase.M("profile.bad_measure", "got", d.Measure))
			}
		}
	default:
		d.Samples = map[string]float64{}
		if m["samples"] == nil {
			r.at(owner, phrase.M("profile.missing", "key", "samples", "in", "proof"))
			return
		}
		for _, e := range r.entries(m["samples"], "samples") {
			if !p.Via.has(p.Chip, e.key) {
				r.at(e.at, phrase.M("profile.bad_channel", "got", e.key, "known", p.Via.examples(p.Chip)))
			}
			d.Samples[e.key] = r.number(e.value, e.key, 0)
		}
	}
}

// replayChannels decodes a recording as the owner would.
func (p *Profile) replayChannels(d Proof) ([]Value, error) {
	switch p.Via {
	case NMEA:
		f, err := CutSentence(d.Text)
		if err != nil {
			return nil, err
		}
		return p.DecodeSentence(f), nil
	case SDI12:
		samples, err := cutAnswers(d.Measure, d.Text)
		if err != nil {
			return nil, err
		}
		return p.DecodeSamples(samples, []string{d.Measure}), nil
	}
	var samples []drivers.Sample
	for c, v := range d.Samples {
		samples = append(samples, drivers.Sample{Channel: c, Value: v})
	}
	return p.DecodeSamples(samples, nil), nil
}

// DecodeSamples gives the value of each point from what a driver measured. Where
// commands are named (SDI-12), only their points are given. A channel that the
// driver left out is a SensorFault of its point, never a zero; so is one that it
// gave twice with different values.
func (p *Profile) DecodeSamples(samples []drivers.Sample, commands []string) []Value {
	out := make([]Value, 0, len(p.Points))
	for i := range p.Points {
		pt := &p.Points[i]
		if commands != nil && !slices.Contains(commands, commandOf(pt.Channel)) {
			continue
		}
		v := Value{Point: pt.ID, Index: i, Value: math.NaN(), Quality: point.SensorFault, Why: phrase.M("sense.channel_missing", "channel", pt.Channel)}
		found := 0.0
		n := 0
		for _, s := range samples {
			if s.Channel == pt.Channel && (n == 0 || s.Value != found) {
				found = s.Value
				n++
			}
		}
		if n == 1 {
			v.Why = phrase.Message{}
			v = pt.judgeNumber(v, found)
			if pt.Type == Bool && v.Quality == point.Good && v.Value != 0 && v.Value != 1 {
				v.Value, v.Quality, v.Why = math.NaN(), point.SensorFault, phrase.M("sense.state_unknown", "code", fmt.Sprint(found))
			}
		}
		out = append(out, v)
	}
	p.lay(out)
	return out
}

// Channels are the channels that the points are read from, in order of the
// points, each once.
func (p *Profile) Channels() []string {
	var out []string
	for i := range p.Points {
		if c := p.Points[i].Channel; !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}
