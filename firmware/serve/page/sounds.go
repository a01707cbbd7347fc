package page

import (
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// mostReceipts bounds how many receipts the page lists.
const mostReceipts = 6

func (p *page) sounds(v *view, now time.Time) {
	s, l := p.box.Soundings(), v.Lang
	comma := "、"
	if l == phrase.EN {
		comma = ", "
	}
	for _, x := range s.Now {
		what := in(x.LevelText, l)
		if h := in(x.HazardText, l); h != "" && what != "" {
			what = phrase.M("serve.page_hazard_level", "hazard", h, "level", what).In(l)
		}
		v.Sounding = append(v.Sounding, sounding{
			Kind: word(kinds, x.Kind, l), KindClass: x.Kind, What: orElse(what, in(x.Why, l)), Why: in(x.Why, l),
			Outputs: strings.Join(outputs(x, l), comma),
			Since:   phrase.M("serve.page_since", "when", p.when(x.Since, now, l)).In(l),
		})
	}
	v.HasSound = len(s.Now)+len(s.Last) > 0
	for i, r := range s.Last {
		if i == 0 {
			v.SoundKey = r.Order + " " + r.Started.UTC().Format(time.RFC3339Nano)
		}
		if i < mostReceipts {
			v.Receipts = append(v.Receipts, p.receipt(r, now, l))
		}
	}
}

// outputs names what sounds, by its id where it has no name.
func outputs(s api.Sounding, l phrase.Lang) []string {
	var all []string
	for i, id := range s.Outputs {
		if i < len(s.OutputTexts) {
			id = orElse(in(s.OutputTexts[i], l), id)
		}
		all = append(all, id)
	}
	return all
}

func (p *page) receipt(r api.Receipt, now time.Time, l phrase.Lang) receipt {
	x := receipt{
		Output: orElse(in(r.OutputText, l), r.Output), Kind: word(kinds, r.Kind, l), State: word(receiptStates, r.State, l), Bad: r.State == "failed",
		Icon: "ok", Measured: word(measures, r.Measured, l), When: p.when(r.Started, now, l),
	}
	switch r.State {
	case "failed":
		x.Icon = "cross"
		if r.Measured == "" {
			x.Measured = ""
		}
	case "ordered", "started":
		x.Icon = "wait"
	}
	if r.Started.IsZero() {
		x.When = p.when(r.Ended, now, l)
	}
	if r.Why != nil {
		x.Why = in(*r.Why, l)
	}
	return x
}
