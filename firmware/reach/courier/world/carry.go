package world

import (
	"bytes"
	"fmt"
	"time"

	"tocsin/firmware/reach/courier"
)

// lost tells whether a message gets lost on a path now.
func (w *World) lost(p *Path) bool { return p.Cut || w.rand.Float64() < p.Loss }

// delay is how long n bytes take by a path, after what is before them in the pipe.
func (w *World) delay(p *Path, n int) time.Duration {
	d := p.Delay
	if p.Rate > 0 {
		p.busy = max(p.busy, w.Now) + time.Duration(n+p.Frame)*time.Second/time.Duration(p.Rate)
		d += p.busy - w.Now
	}
	return d
}

// send carries a parcel and holds it to the rules.
func (w *World) send(p courier.Parcel) {
	path := w.Paths[p.Link]
	every := w.every(path)
	early := path.last + every - w.Now
	tooEarly := path.sent && every > 0 && early > 0
	if !tooEarly || path.lastBoot == w.boot {
		w.watch(p, path)
	}
	if w.Parcel != nil {
		w.Parcel(p)
	}
	boot := w.boot
	answer := func(after time.Duration, err error) {
		w.at(after, boot, func() {
			w.m.Sent(w.mono(), p.Link, p.Ticket, err)
			w.save()
			w.turn()
		})
	}
	if path.Gone || path.Off {
		answer(time.Millisecond, &courier.Fault{Kind: courier.FaultGone, Err: fmt.Errorf("no carrier")})
		return
	}
	if tooEarly { // the card kept count over the power cut
		answer(time.Millisecond, &courier.Fault{Kind: courier.FaultEarly, Wait: early})
		return
	}
	path.last, path.sent, path.lastBoot = w.Now+time.Duration(p.Messages-1)*every, true, w.boot
	size := 0
	lost := false
	for range p.Messages { // one message lost of several is the whole lost: the world has no parity
		lost = w.lost(path) || lost
	}
	for _, part := range p.Parts {
		size += len(part.Bytes)
		if w.FirstByte[part.ID] == nil {
			w.FirstByte[part.ID] = map[string]time.Duration{}
		}
		if _, ok := w.FirstByte[part.ID][p.Link]; !ok {
			w.FirstByte[part.ID][p.Link] = w.Now
		}
	}
	d := w.delay(path, size)
	gap := time.Duration(p.Messages-1) * every
	answer(max(time.Millisecond, d-path.Delay), nil)
	if !lost {
		w.at(d+gap, 0, func() { w.arrive(p, path) })
	}
}

func (w *World) every(p *Path) time.Duration {
	if p.Limits.Every > 0 {
		return p.Limits.Every
	}
	return w.rules.Links[p.Name].Every
}

// watch holds a parcel to what must always hold.
func (w *World) watch(p courier.Parcel, path *Path) {
	rule := w.rules.Links[p.Link]
	if every := w.every(path); path.sent && every > 0 && w.Now < path.last+every {
		w.fault("%s sent %v after the last", p.Link, w.Now-path.last)
	}
	room := rule.Bytes
	if path.Limits.Bytes > 0 && !rule.Wide {
		room = path.Limits.Bytes
	}
	used := 0
	for _, part := range p.Parts {
		used += len(part.Bytes) + rule.Part
		if part.Class >= courier.Telemetry {
			if rule.Metered && p.Parts[0].Class >= courier.Telemetry {
				w.fault("class %d by the metered link %s", part.Class, p.Link)
			}
			if !rule.Wide && !part.Short {
				w.fault("%s carries telemetry in whole", p.Link)
			}
		}
		if part.Class == courier.Bulk && !rule.Free {
			w.fault("bulk by %s", p.Link)
		}
		post := w.Posted[part.ID]
		if want := post.Payload; !part.Short && !bytes.Equal(part.Bytes, want) || part.Short && !bytes.Equal(part.Bytes, post.Short) {
			w.fault("%s is not what was posted", part.ID)
		}
	}
	if !rule.Wide && p.Messages == 1 && used > room-rule.Overhead {
		w.fault("%d bytes in one message of %s", used, p.Link)
	}
	if p.Parts[0].Class >= courier.Telemetry && (rule.Cost != courier.Cost{}) {
		if v, full := w.m.Balance(w.mono(), p.Link); v < w.rules.Reserve*full-1e-9 {
			w.fault("telemetry took %s to %.4f, below its reserve", p.Link, v)
		}
	}
}

// arrive is the county's end: it takes each ID once and answers by the same link.
func (w *World) arrive(p courier.Parcel, path *Path) {
	var acks []courier.Ack
	for _, part := range p.Parts {
		into := w.Arrived
		short := part.Short && part.Class >= courier.Telemetry
		if short {
			into = w.Shorts
		}
		first, known := into[part.ID]
		switch {
		case !known:
			into[part.ID] = Arrival{w.Now, p.Link, bytes.Clone(part.Bytes)}
			first = into[part.ID]
		case !bytes.Equal(first.Bytes, part.Bytes) && w.Posted[part.ID].Short == nil:
			w.Twisted++
		default:
			w.Twice++
		}
		acks = append(acks, courier.Ack{ID: part.ID, Short: short, Via: first.Via})
	}
	if w.lost(path) {
		return
	}
	w.at(path.Delay+time.Millisecond, 0, func() {
		if w.on && !path.Cut {
			w.m.Ack(w.mono(), p.Link, acks)
			w.save()
			w.turn()
		}
	})
}

// probe asks whether the county is there.
func (w *World) probe(p *Path) {
	good := !p.Gone && !p.Off && !w.lost(p) && !w.lost(p)
	within := w.rules.Links[p.Name].Probe.Within
	d := 2 * p.Delay
	if !good || d > within {
		good, d = false, within
	}
	w.at(max(d, time.Millisecond), w.boot, func() {
		w.m.Probed(w.mono(), p.Name, good)
		w.save()
		w.turn()
	})
}
