package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/configs"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/intake"
	"tocsin/firmware/decide/intake/flood"
	"tocsin/firmware/trust"
	"tocsin/hwtest/capgen"
)

// The flood: so many alerts in so long, of which a tenth claim red and a fifth are a
// stranger's, brought by so many callers at once who wait for their answers and come again
// when they are told to.
const (
	floodAlerts  = 10_000
	floodWithin  = 10 * time.Second
	floodCallers = 256
	// socketCallers is how many connections a box's socket takes, but for a few.
	socketCallers = 56
	// floodTurn is the least that a turn takes in the queue's own flood: a board
	// verifies slower than this machine, and a queue that is never full shows nothing.
	floodTurn   = 2 * time.Millisecond
	floodReds   = 10
	floodForged = 20
	floodHere   = 20 // of a hundred true reds, so many raise an alarm here
	// overtaken is by how much a lower alert must have come later and been answered
	// earlier than a red to count: what is less cannot be told from outside.
	overtaken = 250 * time.Millisecond
)

// alertFlood pours ten thousand alerts into the queue by itself, where every turn
// can be looked at, with the real reader as its verifier, and then over its socket into
// a real box, where reds, order and memory are judged from outside.
func alertFlood(b *bench) error {
	d, err := newDesk(b.seed)
	if err != nil {
		return err
	}
	queue, n, err := b.floodQueue(d)
	if err != nil {
		return err
	}
	box, grew, most, err := b.floodBox(d)
	if err != nil {
		return err
	}
	b.tellWhy("alert.queue_flood", float64(queue+box), n+floodAlerts, fmt.Sprintf("the queue alone %d, a box over its socket %d (overtaken by more than %v)", queue, box, overtaken))
	b.tellWhy("alert.queue_rss_mib", grew, 1, most)
	return nil
}

// reader is the firmware's, with the trust of the bench's site.
func (d *desk) reader() (*alert.Reader, error) {
	text, err := d.trusted()
	if err != nil {
		return nil, err
	}
	return readerFor(text)
}

// readerFor is the same from the text of the site's section.
func readerFor(text string) (*alert.Reader, error) {
	var site struct {
		Alerts struct {
			Trust trust.Document `yaml:"trust"`
		} `yaml:"alerts"`
	}
	if err := yaml.Unmarshal([]byte(text), &site); err != nil {
		return nil, err
	}
	store, faults := trust.New(site.Alerts.Trust, fstest.MapFS{})
	for _, f := range faults {
		if !f.Warning {
			return nil, fmt.Errorf("%v: %s", f.Path, f.Message)
		}
	}
	tables, err := alert.LoadTables(configs.FS)
	return &alert.Reader{Trust: store, Tables: tables, Here: alert.Place{Code: "441882103201", Lat: 24.7812, Lon: 112.3790}}, err
}

var severities = []string{"Minor", "Minor", "Moderate", "Severe", "Extreme"} // by level of a claim

// floodQueue gives reds lost and violations of the order in the queue alone.
func (b *bench) floodQueue(d *desk) (bad, n int, err error) {
	r, err := d.reader()
	if err != nil {
		return 0, 0, err
	}
	o := intake.DefaultOpts()
	for rank, name := range []string{"feed", "file", "hand"} {
		o.Ways = append(o.Ways, intake.Way{Name: name, Rank: rank, Entries: o.Entries / 3, Bytes: o.Bytes / 3})
	}
	if err := o.Validate(); err != nil {
		return 0, 0, err
	}
	var texts [5]message
	for level, s := range severities {
		if texts[level], err = d.make(capgen.Options{Severity: s, Sent: time.Now().Add(-time.Minute)}, 0, "p-256", level); err != nil {
			return 0, 0, err
		}
	}
	wrong := 0
	rep, err := flood.Run(b.ctx, intake.New(o, flood.Clock), o, flood.Opts{
		Alerts: floodAlerts, Within: floodWithin, Callers: floodCallers, Reds: floodReds, Forged: floodForged, Seed: uint64(b.seed),
		Text: func(_, level int) []byte { return append([]byte(nil), texts[level].Signed...) },
		Verify: func(text []byte, forged bool) bool {
			begin := time.Now()
			if !r.Open(text).Trusted {
				wrong++
			}
			time.Sleep(floodTurn - time.Since(begin))
			return !forged
		},
	})
	if err != nil {
		return 0, 0, err
	}
	b.log("the queue: %d reds of %d, lost %d, violations %d, slowest red %v, poured %v late; %+v", rep.Reds, rep.Offered, rep.RedsLost, rep.Violations,
		rep.Slowest.Round(time.Millisecond), rep.Late.Round(time.Millisecond), rep.Counts)
	if wrong > 0 || rep.Counts.Displaced == 0 || rep.Reds < floodAlerts*floodReds/100/2 {
		return 0, 0, fmt.Errorf("the flood was none: %d not verified, %d reds, %+v", wrong, rep.Reds, rep.Counts)
	}
	return rep.RedsLost + rep.Violations, rep.Offered, nil
}

// drop is one alert of the flood and what became of it.
type drop struct {
	message
	red, forged   bool
	offered, last time.Time // first and last tried
	answered      time.Time
	v             verdict
	tries         int
}

// drops writes and signs the flood beforehand.
func (d *desk) drops() ([]drop, error) {
	all := make([]drop, floodAlerts)
	now := time.Now()
	reds := 0
	for i := range all {
		x := &all[i]
		key := []string{"p-256", "sm2", "rsa"}[i%3]
		if x.forged = i*7919%100 < floodForged; x.forged {
			key = keyStranger
		}
		x.red = i*31%100 < floodReds
		o := capgen.Options{Profile: capgen.Profiles[i%len(capgen.Profiles)], Sent: now.Add(-time.Duration(1+i) * time.Second), Lasts: 24 * time.Hour, Severity: "Minor", Away: true}
		var err error
		switch {
		case x.red && !x.forged && reds%(100/floodHere) == 0:
			o.Away = false
			x.message, err = d.loud(o, 0, key, i)
		case x.red:
			o.Severity = "Extreme"
			x.message, err = d.make(o, 0, key, i)
		default:
			o.Severity = severities[i%4]
			x.message, err = d.make(o, 0, key, i)
		}
		if err != nil {
			return nil, err
		}
		if x.red && !x.forged {
			reds++
		}
	}
	return all, nil
}

// floodBox gives reds lost and overtaken at a real box, and by how much its memory
// grew.
func (b *bench) floodBox(d *desk) (bad int, grew float64, most string, err error) {
	all, err := d.drops()
	if err != nil {
		return 0, 0, "", err
	}
	v, err := b.warnedVillage(d, wired{siren: true, speaker: true})
	if err != nil {
		return 0, 0, "", err
	}
	defer v.Close()
	x, err := v.beginWarned("data")
	if err != nil {
		return 0, 0, "", err
	}
	defer x.end()
	// One of each kind first: what the first alert ever takes is no growth by the flood.
	for _, key := range []string{"p-256", "sm2", "rsa"} {
		m, err := d.make(capgen.Options{Profile: "cap", Sent: time.Now().Add(-24 * time.Hour), Lasts: 48 * time.Hour, Severity: "Minor", Away: true}, 0, key, 0)
		if err != nil {
			return 0, 0, "", err
		}
		if v, err := x.insist(m.Signed); err != nil || !v.stands() {
			return 0, 0, "", fmt.Errorf("refused before the flood: %s, %v", v.why(), err)
		}
	}
	if err := b.pause(2 * time.Second); err != nil {
		return 0, 0, "", err
	}
	pid := x.cmd.Process.Pid
	base, err := memoryOf(pid)
	if err != nil {
		return 0, 0, "", err
	}
	watched, stop := context.WithCancel(b.ctx)
	peak := make(chan held, 1)
	go func() {
		high := base
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-watched.Done():
				tick.Stop()
				peak <- high
				return
			case <-tick.C:
				if m, err := memoryOf(pid); err == nil && m.rss > high.rss {
					high = m
				}
			}
		}
	}()
	x.http.CloseIdleConnections()
	begun := time.Now()
	failed := b.pour(x, all, begun)
	took := time.Since(begun)
	b.pause(2 * time.Second)
	stop()
	high := <-peak
	if failed != nil {
		return 0, 0, "", failed
	}
	lost, late, full, n, here, busies := 0, 0, 0, 0, 0, 0
	slowest := time.Duration(0)
	for i := range all {
		r := &all[i]
		busies += r.tries - 1
		if r.forged && r.v.stands() {
			return 0, 0, "", fmt.Errorf("a stranger's alert stands")
		}
		if !r.red || r.forged {
			continue
		}
		if n++; r.Concerns {
			here++
		}
		slowest = max(slowest, r.answered.Sub(r.offered))
		if r.v.Trusted && !r.Concerns && !r.v.InForce {
			full++ // it had its turn; a book full of what stands keeps none that is not for here
			continue
		}
		if !r.v.stands() {
			if lost++; lost <= 3 {
				b.log("A RED WAS LOST (%s, here %v): %s", r.Profile, r.Concerns, r.v.why())
			}
			continue
		}
		for j := range all {
			l := &all[j]
			if !l.red && !l.answered.IsZero() && l.last.Sub(r.last) > overtaken && r.answered.Sub(l.answered) > overtaken {
				if late++; late <= 3 {
					b.log("A RED WAS OVERTAKEN: brought at %v, answered at %v; the other at %v and %v", r.last.Sub(begun), r.answered.Sub(begun), l.last.Sub(begun), l.answered.Sub(begun))
				}
				break
			}
		}
	}
	open, err := x.open()
	b.log("a box: %d alerts in %v, %d true reds (%d for here), slowest answered after %v, lost %d, overtaken %d, verified and not kept since not for here and the book full %d, told to come again %d times, %d alarms open, memory %v, then %v", len(all),
		took.Round(time.Millisecond), n, here, slowest.Round(time.Millisecond), lost, late, full, busies, len(open), base, high)
	if len(open) == 0 {
		err = errors.Join(err, errors.New("none of the reds raised an alarm"))
	}
	return lost + late, math.Max(0, high.rss-base.rss), fmt.Sprintf("poured in %v; before %v, at most %v", took.Round(100*time.Millisecond), base, high), err
}

// pour hands the flood over at its pace. Each caller waits for its answer.
func (b *bench) pour(x *box, all []drop, begun time.Time) error {
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	next := make(chan *drop)
	for range socketCallers {
		wg.Go(func() {
			for r := range next {
				r.offered = time.Now()
				for {
					r.last = time.Now()
					r.tries++
					var err error
					r.v, err = x.alert(r.Signed)
					r.answered = time.Now()
					if later, ok := err.(busy); ok {
						r.answered = time.Time{}
						if r.forged { // a forger gives up
							break
						}
						b.pause(max(50*time.Millisecond, min(later.after, time.Second)))
						if b.ctx.Err() == nil {
							continue
						}
					}
					if err != nil {
						failed.Store(&err)
					}
					break
				}
			}
		})
	}
	for i := range all {
		if err := b.pause(time.Until(begun.Add(floodWithin * time.Duration(i) / floodAlerts))); err != nil {
			break
		}
		next <- &all[i]
	}
	close(next)
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return context.Cause(b.ctx)
}
