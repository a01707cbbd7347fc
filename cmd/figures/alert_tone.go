package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/hwtest/capgen"
)

// toneKeys and toneSizes are gone through by turns: 0 is an alert as an office
// writes it (one to five kB), 881 kB the largest that was seen in the field.
var (
	toneKeys  = []string{"rsa", "p-256", "sm2"}
	toneSizes = []int{0, 20 << 10, 200 << 10, 881_000}
)

// alertTones measures from the first byte of the request that brings a signed
// alert to the first sample that an ear hears. The alerts are written and signed
// beforehand; after each its signed cancel ends it.
func alertTones(b *bench) error {
	d, err := newDesk(b.seed)
	if err != nil {
		return err
	}
	v, err := b.warnedVillage(d, wired{siren: true, speaker: true})
	if err != nil {
		return err
	}
	defer v.Close()
	x, err := v.beginWarned("data")
	if err != nil {
		return err
	}
	defer x.end()
	late := startPulse()
	defer late.end()
	n := b.n(48, 240)
	type pair struct{ alert, cancel message }
	var pairs []pair
	for i := range n {
		var p pair
		// Each a few seconds older than the one before: identifiers hold seconds.
		o := capgen.Options{Profile: capgen.Profiles[i%len(capgen.Profiles)], Sent: time.Now().Add(-time.Duration(3*(n-i)) * time.Second), Lasts: 3 * time.Hour}
		key := toneKeys[i%len(toneKeys)]
		if p.alert, err = d.loud(o, toneSizes[i/len(toneKeys)%len(toneSizes)], key, i); err != nil {
			return err
		}
		o.MsgType, o.Sender, o.References, o.Sent = "Cancel", p.alert.Ref.Sender, []capgen.Ref{p.alert.Ref}, p.alert.Ref.Sent.Add(time.Second)
		if p.cancel, err = d.make(o, 0, key, i+1); err != nil {
			return err
		}
		pairs = append(pairs, p)
	}
	var all []float64
	worst := map[int]float64{}
	r := b.rng()
	for i, p := range pairs {
		if err := b.pause(time.Duration(r.IntN(500)) * time.Millisecond); err != nil {
			return err
		}
		late.take()
		at := time.Now()
		got, err := x.alert(p.alert.Signed)
		if err != nil {
			return err
		}
		if !got.stands() {
			return fmt.Errorf("alert %d (%s, %s, %d bytes) was not taken: %s", i, p.alert.Key, p.alert.Profile, len(p.alert.Signed), got.why())
		}
		answered := time.Since(at)
		ctx, cancel := context.WithTimeout(b.ctx, mostWait)
		heard, err := v.ear.WaitAbove(ctx, at, audible)
		cancel()
		if err != nil {
			if b.ctx.Err() != nil {
				return err
			}
			heard = at.Add(mostWait)
			b.log("ALERT %d DID NOT SOUND: %v; the box: %s", i, err, x.tail(4))
		}
		t := ms(heard.Sub(at))
		if !(t <= rank(all, 1)) {
			b.log("slowest so far, %.1f ms, answered after %v, %d bytes, %s, machine late by %.1f ms", t, answered.Round(time.Millisecond), len(p.alert.Signed), p.alert.Key, ms(late.take()))
		}
		all = append(all, t)
		size := toneSizes[i/len(toneKeys)%len(toneSizes)]
		worst[size] = max(worst[size], t)
		if got, err = x.alert(p.cancel.Signed); err != nil || !got.Trusted {
			return fmt.Errorf("cancel %d was not taken: %s", i, errors.Join(err, errors.New(got.why())))
		}
		if err := v.hushed(x); err != nil {
			return err
		}
	}
	for _, s := range toneSizes {
		b.log("worst with %d bytes of polygon: %.1f ms", s, worst[s])
	}
	b.tell("alert.signed_cap_to_first_tone_ms_p99", p99(all), len(all))
	return nil
}

// hushed waits until a warning that was cancelled is over, and cuts its all-clear
// short.
func (v *village) hushed(x *box) error {
	err := v.b.until("the cancel taken", 10*time.Second, func() bool {
		open, err := x.open()
		return err == nil && len(open) == 0
	})
	if err != nil {
		return err
	}
	if err := x.stop(); err != nil {
		return err
	}
	err = v.b.until("silent", 10*time.Second, func() bool {
		var s soundings
		return x.get("/soundings", &s) == nil && len(s.Now) == 0 && !v.Horn.Current().On()
	})
	if err != nil {
		return err
	}
	return v.b.until("nothing to hear", 10*time.Second, func() bool {
		last, any := v.ear.LastAbove(x.began, audible)
		return !any || time.Since(last) > 300*time.Millisecond
	})
}
