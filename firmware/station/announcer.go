package station

import (
	"slices"

	"tocsin/firmware/decide/plan"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/deadman"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/sound/speech"
)

var _ api.Announcing = (*House)(nil)

// Announcer gives what people may say by hand, by what, and what is heard now.
func (h *House) Announcer() api.Announcer {
	s := h.seen()
	bp := s.bp
	b := bp.ByHand
	out := api.Announcer{Confirm: b.Confirm, Testing: h.trials.now(), Talking: h.talks.now(), TalkMost: bp.Bounds.Sources[order.Operator].Live.Duration(),
		Maintenance: h.maintenanceView(), MaintenanceMost: b.Maintenance}
	out.Evacuate, _ = s.level(b.Evacuate)
	var zones []string
	for _, o := range bp.Outputs {
		for _, z := range o.Config.Zones {
			if !slices.Contains(zones, z) {
				zones = append(zones, z)
				out.Zones = append(out.Zones, api.Zone{Name: z})
			}
			i := slices.Index(zones, z)
			out.Zones[i].Outputs = append(out.Zones[i].Outputs, o.Name)
		}
	}
	out.Outputs = h.speakersNow(s)
	for _, m := range b.Messages {
		p := api.Preset{ID: m.ID, Text: words(named(m.Config.Name, m.ID), m.ID), Words: words(b.says(m.Config.Clips), ""), Outputs: m.Outputs, For: m.For, Langs: []string{}}
		for _, l := range bp.Langs {
			// A language in which a clip is missing would leave a hole: it counts as not there.
			if slices.ContainsFunc(m.Config.Clips, func(c string) bool { return !h.bank.Has(c, l) }) {
				p.Missing = append(p.Missing, string(l))
			} else {
				p.Langs = append(p.Langs, string(l))
			}
		}
		out.Messages = append(out.Messages, p)
	}
	out.RecordMost = b.Recordings.Longest.Duration()
	for _, x := range h.recordings.list() {
		out.Recordings = append(out.Recordings, x)
		if x.Used {
			m := h.recordedMessage(bp, x)
			by := api.TextOf(phrase.M("station.recorded_by", "who", x.Who, "seconds", int(x.Long.Seconds()+0.5)))
			out.Messages = append(out.Messages, api.Preset{ID: x.ID, Text: words(m.Config.Name, x.ID), Words: by, Outputs: m.Outputs, For: m.For, Langs: []string{}})
		}
	}
	for i, code := range bp.Levels.Codes() {
		l := point.Level(i + 1)
		r := api.Raisable{Level: code}
		_, r.Text = s.level(l)
		r.Words, _ = h.raisedAs(s, l)
		out.Levels = append(out.Levels, r)
	}
	quiet, known := b.quietNow(h.clock.Now())
	out.Test = api.TestBounds{Most: b.Test.Most.Duration(), Volume: b.Test.Volume, Beat: deadman.Beat, Silent: deadman.Grace, QuietFrom: b.Quiet.From, QuietTo: b.Quiet.To, Quiet: "no"}
	switch {
	case !known:
		out.Test.Quiet = "unknown"
	case quiet:
		out.Test.Quiet = "yes"
	}
	return out
}

// speakersNow gives each output as it is now: what it was ordered, and what was measured of it.
func (h *House) speakersNow(s shown) []api.Speaker {
	now := map[string]output.Status{}
	for _, st := range h.house.Status() {
		now[st.Name] = st
	}
	h.mu.RLock()
	receipts := slices.Clone(h.receipts)
	h.mu.RUnlock()
	var all []api.Speaker
	for _, o := range s.bp.Outputs {
		t, _ := s.bp.outputText(o.Name)
		x := api.Speaker{ID: o.Name, Text: words(t, o.Name), Kind: string(o.Kind), KindText: words(inBoth(outputKindText(o.Kind)), string(o.Kind)), Zones: append([]string{}, o.Config.Zones...), Speaks: o.Kind == output.Loudspeaker, State: "silent"}
		if !o.Sensed.None() {
			x.MeasuredBy = string(output.Input)
			if o.Config.Sense == string(output.Current) {
				x.MeasuredBy = string(output.Current)
			}
		}
		st := now[o.Name]
		if st.Order.Valid() && st.Order.Action() != order.Silence {
			x.State, x.Cause, x.OfKind, x.Measured = string(output.Ordered), st.Order.Cause(), st.Order.Kind().String(), string(st.Measured)
			for _, e := range receipts {
				if e.OrderID == st.Order.ID() && e.Output == o.Name {
					x.State = string(e.State)
					if !e.Why.IsZero() {
						why := s.text(e.Why)
						x.Why = &why
					}
				}
			}
			if x.State == string(output.Finished) || x.State == string(output.Stopped) {
				x.State, x.Cause, x.OfKind, x.Measured, x.Why = "silent", "", "", "", nil
			}
		}
		for _, f := range st.Faults {
			x.Faults = append(x.Faults, s.text(f.Why))
		}
		all = append(all, x)
	}
	return all
}

// says gives what clips say, as far as the script of the clips has it.
func (b ByHand) says(clips []string) phrase.Text {
	var t phrase.Text
	for _, c := range clips {
		w := b.Script[c]
		t.ZH += w.ZH
		if t.EN != "" && w.EN != "" {
			t.EN += " "
		}
		t.EN += w.EN
	}
	return t
}

// scripted keeps the words of every clip that people may have said by hand.
func (b *ByHand) scripted(script speech.Script, plans map[string]*plan.Plan) {
	b.Script = map[string]phrase.Text{}
	keep := b.heldClips()
	for _, p := range plans {
		keep = append(keep, p.Clips()...)
	}
	for _, c := range keep {
		if w, ok := script.Clips[c]; ok {
			b.Script[c] = phrase.Text{ZH: w.ZH, EN: w.EN}
		}
	}
}
