package walk

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/point"
	"tocsin/firmware/trust"
)

// Choose gives a number from 0 to n-1; what names it.
type Choose func(n int, what string) int

// of picks one of several.
func of[T any](c Choose, what string, from ...T) T { return from[c(len(from), what)] }

// often is true about p times in a hundred.
func (c Choose) often(p int, what string) bool { return c(100, what) >= 100-p }

var (
	start   = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	issuers = []*trust.Issuer{{ID: "county"}, {ID: "city"}, {ID: "mine"}}
)

// mayEnd: the city may also end what the county said, not the other way round.
func mayEnd(by, of string) bool { return by == "city" && of == "county" }

// opts are tight, so that their edges are walked over.
func opts() book.Opts {
	o := book.DefaultOpts()
	o.Missing, o.Longest = point.Span(time.Hour), point.Span(2*time.Hour)
	o.Tolerance, o.Ahead = point.Span(2*time.Minute), point.Span(40*time.Minute)
	o.MayEnd = mayEnd
	return o
}

// message is one of the messages of a history.
type message struct {
	*alert.Opened
	key string
	by  *trust.Issuer // also where it is not verified
}

// messages draws the messages that a history is about.
func messages(c Choose) []message {
	var all []message
	for i := range 1 + c(7, "messages") {
		a := &alert.Alert{
			Identifier: fmt.Sprintf("m%d", c(9, "identifier")),
			Sent:       start.Add(time.Duration(c(5, "sent")) * 10 * time.Minute),
			Status:     of(c, "status", "Actual", "Actual", "Actual", "Actual", "Exercise"),
			MsgType:    of(c, "type", "Alert", "Alert", "Alert", "Alert", "Update", "Update", "Update", "Cancel", "Cancel", "Ack"),
			Scope:      "Public", Note: fmt.Sprint("第", i, "稿"),
		}
		issuer := of(c, "issuer", issuers[0], issuers[0], issuers[0], issuers[1], issuers[2])
		if a.MsgType != "Alert" && len(all) > 0 && c.often(80, "follows") {
			// Most updates and cancels are what they should be: later, of the
			// same issuer and status.
			of := all[c(len(all), "what")]
			issuer, a.Status = of.by, of.Alert.Status
			a.Sent = of.Alert.Sent.Add(time.Duration(c(4, "later")) * 7 * time.Minute)
			a.References = append(a.References, of.Alert.Ref())
		}
		a.Sender = issuer.ID
		if a.MsgType != "Cancel" && a.MsgType != "Ack" {
			info := alert.Info{Language: "zh-CN", Event: "暴雨", Headline: fmt.Sprint("第", i, "稿"), Effective: a.Sent}
			info.Effective = a.Sent.Add(of(c, "effective", 0, 0, 0, 0, 15*time.Minute, 45*time.Minute))
			if d := of(c, "expires", 0, 10, 30, 60, 60, 120, 120, 600, -10); d != 0 {
				info.Expires = a.Sent.Add(time.Duration(d) * time.Minute)
			}
			a.Infos = []alert.Info{info}
		}
		if a.MsgType != "Alert" {
			for _, m := range all {
				if !m.Alert.Sent.After(a.Sent) && c.often(40, "names it") {
					a.References = append(a.References, m.Alert.Ref())
				}
			}
			// The reader drops what a message says of itself.
			a.References = slices.DeleteFunc(a.References, func(r alert.Ref) bool { return r.Key() == a.Ref().Key() })
		}
		o := &alert.Opened{Alert: a, WellFormed: true, Genuine: true, Trusted: true, Issuer: issuer, Concerns: c.often(85, "concerns"),
			Digest: sha256.Sum256([]byte(fmt.Sprint(i))), Action: alert.Action{Kind: "real", Level: "evacuate", Sound: true, Rank: c(3, "rank")}}
		switch c(12, "verified") {
		case 1:
			o.Genuine, o.Trusted, o.Issuer = false, false, nil
		case 2:
			o.Trusted = false
		case 3:
			o.WellFormed = false
		}
		all = append(all, message{o, a.Ref().Key(), issuer})
	}
	return all
}

func (m message) verified() bool { return m.WellFormed && m.Genuine && m.Trusted }

// times are the true time and what the box knows of it.
type times struct {
	boot  int
	mono  time.Duration
	truth time.Time
	off   time.Duration // by how much the wall clock is wrong
	trust clock.Trust
	floor time.Time
}

func (t times) now() clock.Stamp {
	w := t.truth.Add(t.off)
	if w.Before(t.floor) {
		w = t.floor
	}
	return clock.Stamp{Mono: t.mono, Wall: w, Boot: fmt.Sprint("boot", t.boot), Trust: t.trust}
}

// pass lets time pass, sets clocks and raises the floor, as a board does.
func (t *times) pass(c Choose) {
	d := time.Duration(of(c, "minutes", 0, 0, 1, 5, 15, 40)) * time.Minute
	t.mono += d
	t.truth = t.truth.Add(d)
	switch c(8, "clock") {
	case 1: // a source sets it
		t.off, t.trust = 0, clock.Set
	case 2: // it is lost
		t.trust = clock.Free
		t.off = time.Duration(c(7, "off")-3) * 11 * time.Hour
	case 3: // a trusted source jumps
		t.off, t.trust = time.Duration(c(7, "jump")-3)*7*time.Minute, clock.Set
	case 4: // the floor follows what is known
		if w := t.now().Wall; t.trust == clock.Set && w.After(t.floor) {
			t.floor = w
		}
	}
}
