package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
	"tocsin/hwtest/storm"
)

// plant is a site under load: several gas transmitters, each a hazard of its
// own, that come and go, and people who acknowledge, release and raise.
type plant struct {
	b          *bench
	field, out *line.Line
	gas        []*gauge.Gas
	board      *gauge.Board
	file       string
	rng        *rand.Rand
}

const hazards = 6

func (b *bench) plant() (p *plant, err error) {
	p = &plant{b: b, board: gauge.NewBoard(8, 8), rng: b.rng()}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	dir := filepath.Join(b.dir, "port")
	if p.field, err = line.New(line.Config{Baud: 38400, Turnaround: 5 * time.Millisecond, Path: filepath.Join(b.dir, "field")}); err != nil {
		return nil, err
	}
	if p.out, err = line.New(line.Config{Baud: 9600, Turnaround: 5 * time.Millisecond, Path: filepath.Join(b.dir, "out")}); err != nil {
		return nil, err
	}
	p.out.Attach(storm.UnitBoard, p.board)
	var s strings.Builder
	w := func(format string, a ...any) { fmt.Fprintf(&s, format+"\n", a...) }
	w("%slines:\n  field: {port: %s, baud: 38400}\n  out: {port: %s, baud: 9600}\ndevices:", siteHead, p.field.Path(), p.out.Path())
	w("  relay: {profile: generic-relay-8in-8out, line: out, unit: %d, every: 1s}", storm.UnitBoard)
	var rules strings.Builder
	for i := 1; i <= hazards; i++ {
		g := gauge.NewGas(gasCalm)
		p.gas = append(p.gas, g)
		p.field.Attach(byte(i), g)
		w("  gas-%d: {profile: generic-ch4-rs485, line: field, unit: %d, every: 100ms}", i, i)
		fmt.Fprintf(&rules, "  gas-%d:\n    name: {zh: 甲烷 %d, en: methane %d}\n    set_by: {name: 台架, date: 2026-05-12}\n    any_of:\n"+
			"      - {point: gas-%d.ch4, prepare: %v %%LEL, evacuate: %v %%LEL, clear_below: %v %%LEL, for: 0s}\n", i, i, i, i, gasOn, gasHigh, gasClear)
	}
	w("outputs:\n  siren: {kind: electronic, relay: relay.1, fail_safe: 1m}\n  horn: {kind: loudspeaker, file: %s}", filepath.Join(dir, "horn"))
	w("rules:\n%splan: bench", rules.String())
	p.file, err = b.site(s.String())
	return p, err
}

// Close takes it down.
func (p *plant) Close() {
	for _, l := range []*line.Line{p.field, p.out} {
		if l != nil {
			l.Close()
		}
	}
}

// stir lets gauges and people do things until ctx ends. told hears of each
// release before it is asked for.
func (p *plant) stir(ctx context.Context, x *box, told func(id string)) {
	var wg sync.WaitGroup
	seed := p.rng.Uint64()
	nap := func(r *rand.Rand, most time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Duration(r.Int64N(int64(most)))):
			return true
		}
	}
	wg.Go(func() {
		r := rand.New(rand.NewPCG(seed, 1))
		for nap(r, 60*time.Millisecond) {
			p.gas[r.IntN(hazards)].Set([]float64{gasCalm, gasOn + 5, gasHigh + 5}[r.IntN(3)])
		}
	})
	wg.Go(func() {
		r := rand.New(rand.NewPCG(seed, 2))
		for nap(r, 60*time.Millisecond) {
			open, err := x.open()
			if err != nil {
				continue
			}
			for _, a := range open {
				switch {
				case a.State == "subsided" || a.Hazard == byHand && r.IntN(3) == 0:
					told(a.ID)
					x.release(a.ID)
				case a.State == "raised" && r.IntN(4) == 0:
					x.post("/alarms/"+a.ID+"/acknowledge", who, nil)
				}
			}
			if r.IntN(8) == 0 {
				x.post("/raise", map[string]string{"level": "prepare", "who": "bench", "reason": "load"}, nil)
			}
		}
	})
	wg.Wait()
}

const byHand = "by-hand"

// ledger is what the box has acknowledged: the records that it delivered as
// durable, and what they say of alarms.
type ledger struct {
	b      *bench
	mu     sync.Mutex
	acked  map[int64]record
	fresh  []int64 // of this life
	last   int64
	alarms map[string]*known

	lost, repeated, forgotten int
	quiet                     bool // a control: what is wrong is expected
}

// known is an alarm whose raise was acknowledged.
type known struct {
	hazard string
	// asked: somebody asked for its release, so that it may be gone; gone: its
	// release was acknowledged.
	asked, gone bool
}

func newLedger(b *bench) *ledger {
	return &ledger{b: b, acked: map[int64]record{}, alarms: map[string]*known{}}
}

func (l *ledger) sum() int { return l.lost + l.repeated + l.forgotten }

// take enters a line of the journal's stream.
func (l *ledger) take(p []byte) {
	var r record
	if json.Unmarshal(p, &r) != nil || r.Seq == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, twice := l.acked[r.Seq]; twice && !old.same(r) {
		l.wrong(&l.lost, "number %d was given twice: %s %s and %s %s", r.Seq, old.Kind, old.Cause, r.Kind, r.Cause)
	}
	l.acked[r.Seq], l.fresh, l.last = r, append(l.fresh, r.Seq), max(l.last, r.Seq)
	switch r.Kind {
	case "alarm.raised":
		var a alarm
		json.Unmarshal(r.Body, &a)
		l.alarms[r.Cause] = &known{hazard: a.Hazard, asked: l.alarms[r.Cause] != nil && l.alarms[r.Cause].asked}
	case "alarm.released":
		if k := l.alarms[r.Cause]; k != nil {
			k.gone = true
		}
	}
}

func (r record) same(o record) bool {
	return r.Kind == o.Kind && r.Cause == o.Cause && string(r.Body) == string(o.Body) && r.Mono == o.Mono && r.Boot == o.Boot
}

// releasing notes that an alarm may be gone from now on.
func (l *ledger) releasing(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.alarms[id]; k != nil {
		k.asked = true
	} else {
		l.alarms[id] = &known{asked: true} // its raise is not acknowledged yet
	}
}

func (l *ledger) wrong(n *int, format string, a ...any) {
	*n++
	if l.quiet {
		return
	}
	l.b.log("WRONG: "+format, a...)
}

// hold compares what was acknowledged with what a box that was started again
// has. all: every record ever acknowledged, else those of the last life.
func (l *ledger) hold(x *box, round int, all bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := l.fresh
	if all {
		want = nil
		for seq := range l.acked {
			want = append(want, seq)
		}
	}
	have := map[int64]record{}
	after := l.last
	for _, seq := range want {
		after = min(after, seq-1)
	}
	for len(want) > 0 {
		var page []record
		if err := x.get(fmt.Sprintf("/journal?after=%d&limit=1000", after), &page); err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
		for _, r := range page {
			have[r.Seq], after = r, r.Seq
		}
		if len(page) < 1000 || after >= l.last {
			break
		}
	}
	for _, seq := range want {
		if h, ok := have[seq]; !ok || !h.same(l.acked[seq]) {
			l.wrong(&l.lost, "round %d: record %d (%s %s) is lost", round, seq, l.acked[seq].Kind, l.acked[seq].Cause)
			delete(l.acked, seq)
		}
	}
	l.fresh = nil
	return l.holdAlarms(x, round)
}

func (l *ledger) holdAlarms(x *box, round int) error {
	// What a slow disk gives late may come within the next seconds.
	var missing map[string]*known
	var open map[string]alarm
	var byHazard map[string]string
	err := l.b.until("alarms", 5*time.Second, func() bool {
		list, err := x.open()
		if err != nil {
			return false
		}
		open, byHazard, missing = map[string]alarm{}, map[string]string{}, map[string]*known{}
		for _, a := range list {
			open[a.ID], byHazard[a.Hazard] = a, a.ID
		}
		for id, k := range l.alarms {
			if _, there := open[id]; !there && !k.asked && !k.gone {
				missing[id] = k
			}
		}
		return len(missing) == 0
	})
	if err != nil && open == nil {
		return err
	}
	for id, k := range l.alarms {
		_, there := open[id]
		switch {
		case missing[id] != nil && byHazard[k.hazard] != "":
			l.wrong(&l.repeated, "round %d: %s stands as %s, its raise was acknowledged as %s", round, k.hazard, byHazard[k.hazard], id)
		case missing[id] != nil:
			l.wrong(&l.forgotten, "round %d: alarm %s of %s is forgotten", round, id, k.hazard)
		case there && k.gone:
			l.wrong(&l.lost, "round %d: alarm %s of %s stands again after its acknowledged release", round, id, k.hazard)
		case there:
			k.asked = false // the release did not get through
			continue
		}
		delete(l.alarms, id)
	}
	return nil
}

// lives runs one life after the other on a data directory, each ended by end
// at a random instant under load, and holds each against the ledger.
func (b *bench) lives(l *ledger, p *plant, n int, data func() string, end func(x *box) error, restore func() error) error {
	var records int
	for i := 0; ; i++ {
		x, err := b.start(p.file, data())
		if err != nil {
			return err
		}
		err = b.until("a box with its journal", 30*time.Second, func() bool {
			select {
			case <-x.done:
				return true
			default:
			}
			var st status
			return x.get("/status", &st) == nil && st.JournalOK
		})
		select {
		case <-x.done:
			err = errors.New("edged ended: " + x.tail(5))
		default:
		}
		if err == nil && i > 0 {
			err = l.hold(x, i, i == n)
		}
		if err != nil || i == n || l.quiet && l.sum() > 0 {
			x.end()
			if err == nil && !l.quiet {
				b.log("%d lives, %d records acknowledged, lost %d, repeated %d, forgotten %d", i, records, l.lost, l.repeated, l.forgotten)
			}
			return err
		}
		ctx, stop := context.WithCancel(b.ctx)
		var wg sync.WaitGroup
		first := make(chan struct{})
		var once sync.Once
		wg.Go(func() {
			x.follow(fmt.Sprintf("/journal/stream?after=%d", l.last), func(line []byte) {
				l.take(line)
				once.Do(func() { close(first) })
			})
		})
		wg.Go(func() { p.stir(ctx, x, l.releasing) })
		select {
		case <-first:
		case <-time.After(20 * time.Second):
			err = errors.New("it acknowledges nothing")
		case <-b.ctx.Done():
			err = context.Cause(b.ctx)
		}
		if err == nil {
			err = b.pause(time.Duration(p.rng.IntN(900)) * time.Millisecond)
		}
		if err == nil {
			err = end(x)
		}
		x.end()
		stop()
		wg.Wait()
		if err == nil && restore != nil {
			err = restore()
		}
		if err != nil {
			return err
		}
		records += len(l.fresh)
		if i%10 == 9 && !l.quiet {
			b.log("%d lives, %d records acknowledged, %d alarms known, lost %d, repeated %d, forgotten %d", i+1, records, len(l.alarms), l.lost, l.repeated, l.forgotten)
		}
	}
}
