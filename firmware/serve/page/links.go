package page

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// countyShown bounds the list of the county's receipts.
const countyShown = 6

// links is the panel of the ways to the county.
type links struct {
	// Any: there is something to show. Kept is empty where what waits is on the disk.
	Any, County bool
	Kept        string
	Told        string
	All         []link
	Classes     []outbox
	Receipts    []county
}

type link struct {
	Name, Kind, State, Why, Icon, Since string
	Bad                                 bool
	Figures                             []string
}

type outbox struct {
	Class, Oldest string
	Waiting, Late int
}

// county is one message that the county has.
type county struct {
	What, By, When string
	Late           bool
}

func (p *page) links(now time.Time, l phrase.Lang) links {
	x := p.box.Links()
	v := links{Any: x.County || len(x.Links) > 0, County: x.County}
	for _, k := range x.Links {
		v.All = append(v.All, linkOf(k, l))
	}
	if !x.County {
		return v
	}
	if x.Why != nil {
		v.Kept = in(*x.Why, l)
	}
	switch {
	case x.Channels == 0:
		v.Told = phrase.M("serve.page_told_none").In(l)
	case x.Channels < x.Points:
		v.Told = phrase.M("serve.page_told_some", "n", x.Channels, "points", x.Points).In(l)
	default:
		v.Told = phrase.M("serve.page_told_all", "n", x.Channels).In(l)
	}
	for _, c := range x.Classes {
		if c.Waiting > 0 {
			v.Classes = append(v.Classes, outbox{Class: orElse(in(c.ClassText, l), c.Class), Waiting: c.Waiting, Late: c.Late, Oldest: span(c.Oldest, l)})
		}
	}
	for _, r := range x.Receipts[:min(len(x.Receipts), countyShown)] {
		v.Receipts = append(v.Receipts, p.county(r, now, l))
	}
	return v
}

// linkIcons differ in shape, so that colour is never the only sign.
var linkIcons = map[string]string{"up": "ok", "down": "cross", "suspect": "doubt", "returning": "wait", "off": "range", "listening": "sound"}

func linkOf(k api.Link, l phrase.Lang) link {
	x := link{Name: orElse(in(k.NameText, l), k.Name), Kind: k.Name, State: orElse(in(k.StateText, l), k.State), Why: in(k.Why, l), Icon: linkIcons[k.State], Bad: k.State == "down"}
	if x.Name == x.Kind {
		x.Kind = ""
	}
	if x.Why == x.State {
		x.Why = ""
	}
	if k.State == "listening" {
		return x
	}
	x.Since = phrase.M("serve.page_link_for", "span", span(k.For, l)).In(l)
	add := func(m phrase.Message) { x.Figures = append(x.Figures, m.In(l)) }
	add(phrase.M("serve.page_link_delivery", "percent", math.Floor(100*k.Delivery)))
	add(phrase.M("serve.page_link_latency", "span", span(k.Latency, l)))
	if k.Quiet != nil {
		add(phrase.M("serve.page_link_quiet", "ago", age(*k.Quiet, l)))
	} else {
		add(phrase.M("serve.page_link_never"))
	}
	if k.Slot >= time.Second {
		add(phrase.M("serve.page_link_slot", "span", span(k.Slot, l)))
	}
	if k.Out > 0 {
		add(phrase.M("serve.page_link_out", "n", k.Out))
	}
	if k.Full > 0 {
		add(phrase.M("serve.page_link_money", "balance", money(k.Balance), "full", money(k.Full), "reserve", money(k.Reserve)))
	} else {
		add(phrase.M("serve.page_link_free"))
	}
	return x
}

func (p *page) county(r api.CountyReceipt, now time.Time, l phrase.Lang) county {
	x := county{What: orElse(in(r.What, l), r.Message), Late: r.Late, When: p.when(r.At, now, l),
		By: phrase.M("serve.page_county_by", "link", orElse(in(r.LinkText, l), r.Link), "span", span(r.After, l)).In(l)}
	if r.Late {
		x.By = phrase.M("serve.page_county_late", "link", orElse(in(r.LinkText, l), r.Link), "span", span(r.After, l)).In(l)
	}
	return x
}

// heard says by which links the county has heard of an alarm, the first by each.
func heard(rs []api.CountyReceipt, l phrase.Lang) string {
	rs = slices.Clone(rs)
	slices.SortStableFunc(rs, func(a, b api.CountyReceipt) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	var by []string
	seen := map[string]bool{}
	for _, r := range rs {
		if seen[r.Link] {
			continue
		}
		seen[r.Link] = true
		by = append(by, phrase.M("serve.page_county_by", "link", orElse(in(r.LinkText, l), r.Link), "span", span(r.After, l)).In(l))
	}
	if len(by) == 0 {
		return ""
	}
	semicolon := map[phrase.Lang]string{phrase.ZH: "；", phrase.EN: "; "}[l]
	return phrase.M("serve.page_county_has", "by", strings.Join(by, semicolon)).In(l)
}

// span writes how long something takes: in tenths of a second below ten of them.
func span(d time.Duration, l phrase.Lang) string {
	switch {
	case d < 10*time.Second:
		if d > 0 {
			d = max(d, 100*time.Millisecond) // nothing takes no time
		}
		return phrase.M("serve.span_s", "n", strconv.FormatFloat(math.Round(max(0, d.Seconds())*10)/10, 'f', -1, 64)).In(l)
	case d < 2*time.Minute:
		return phrase.M("serve.span_s", "n", strconv.Itoa(int(d/time.Second))).In(l)
	case d < 2*time.Hour:
		return phrase.M("serve.span_m", "n", int(d/time.Minute)).In(l)
	case d < 48*time.Hour:
		return phrase.M("serve.span_h", "n", int(d/time.Hour)).In(l)
	}
	return phrase.M("serve.span_d", "n", int(d/(24*time.Hour))).In(l)
}

func money(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
