package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

// tally is what a peer makes of the mixed blocks.
type tally struct {
	Good   int `json:"good"`
	Wrong  int `json:"wrong"`
	Failed int `json:"failed"`
}

// take counts one block: an answer that is another block's was given as good.
func (t *tally) take(addr, words int, got []uint16, err error) {
	if err != nil {
		t.Failed++
		return
	}
	for i, v := range got {
		if len(got) != words || int(v) != 1000+addr+i {
			t.Wrong++
			return
		}
	}
	t.Good++
}

// judge reads the mixed blocks in turn for ever and tells what came of it.
func (p peer) judge(read reads) error {
	var t tally
	for told := time.Now(); ; {
		for _, m := range mixed {
			got, err := read(1, m.table == "input", uint16(m.addr), uint16(m.words))
			t.take(m.addr, m.words, got, err)
			if time.Since(told) < time.Second {
				continue
			}
			told = time.Now()
			b, err := json.Marshal(t)
			if err == nil {
				err = os.WriteFile(p.Tally+".new", b, 0o644)
			}
			if err == nil {
				err = os.Rename(p.Tally+".new", p.Tally)
			}
			if err != nil {
				return err
			}
		}
	}
}

// besideAll runs a measure of every peer, beside each other and beside ours; what
// none of them can give is left out. Wait ends with the last.
func (b *bench) besideAll(figure string, one func(who string) (v float64, n int, err error)) (wait func()) {
	var all sync.WaitGroup
	for _, who := range libraries {
		all.Go(func() {
			v, n, err := one(who)
			if err != nil {
				b.log("%s.%s could not be measured: %v", figure, who, err)
				return
			}
			b.beside(figure, who, v, n)
		})
	}
	return all.Wait
}

// lateTo makes every seventh answer of unit 1 late by half a timeout to five, by
// the run's seed.
func (b *bench) lateTo(l *line.Line, i int, timeout time.Duration) {
	r := b.rngOf(uint64(i))
	l.SetFault(1, line.Fault{LateBy: func(nth int) time.Duration {
		if nth%7 != 0 {
			return 0
		}
		return time.Duration((0.5 + 4.5*r.Float64()) * float64(timeout))
	}})
}

// peerLate gives the blocks that a peer gave as good with another's value, on one
// line without echo and one with.
func (b *bench) peerLate(who string, timeout, window time.Duration) (float64, int, error) {
	var sum tally
	for i := range 2 {
		l, err := line.New(line.Config{Baud: 9600, Turnaround: 20 * time.Millisecond, Path: filepath.Join(b.dir, fmt.Sprintf("tty-%s-%d", who, i)), Echo: i == 1})
		if err != nil {
			return 0, 0, err
		}
		defer l.Close()
		l.Attach(1, gauge.NewPattern(1, 64, time.Now(), 0))
		b.lateTo(l, i, timeout)
		_, stop, err := peer{Library: who, Path: l.Path(), Baud: 9600, Units: 1, Timeout: timeout, Tally: filepath.Join(b.dir, fmt.Sprintf("tally-%s-%d", who, i))}.start()
		if err != nil {
			return 0, 0, err
		}
		defer stop()
	}
	if err := b.pause(window); err != nil {
		return 0, 0, err
	}
	for i := range 2 {
		p, err := os.ReadFile(filepath.Join(b.dir, fmt.Sprintf("tally-%s-%d", who, i)))
		if err != nil {
			return 0, 0, err
		}
		var t tally
		if err := json.Unmarshal(p, &t); err != nil {
			return 0, 0, err
		}
		b.log("%s, echo %v: good %d, failed %d, wrong as good %d", who, i == 1, t.Good, t.Failed, t.Wrong)
		sum.Good, sum.Wrong, sum.Failed = sum.Good+t.Good, sum.Wrong+t.Wrong, sum.Failed+t.Failed
	}
	return float64(sum.Wrong), sum.Good + sum.Wrong + sum.Failed, nil
}

// fiveUnits is a line with units 1 to 4, and 5 where there is one.
func (b *bench) fiveUnits(path string, fifth bool) (*line.Line, error) {
	l, err := line.New(line.Config{Baud: 9600, Turnaround: 5 * time.Millisecond, Path: filepath.Join(b.dir, path)})
	if err != nil {
		return nil, err
	}
	for u := byte(1); u <= 5; u++ {
		if u < 5 || fifth {
			l.Attach(u, gauge.NewPattern(u, 16, time.Now(), 0))
		}
	}
	return l, nil
}

// peerDead gives a peer's share of its own healthy rate with a dead unit.
func (b *bench) peerDead(who string, window time.Duration) (float64, int, error) {
	var rates [2]float64
	for i, units := range []int{4, 5} {
		err := func() error {
			l, err := b.fiveUnits(fmt.Sprintf("tty-%s-%d", who, units), false)
			if err != nil {
				return err
			}
			defer l.Close()
			_, stop, err := peer{Library: who, Path: l.Path(), Baud: 9600, Units: units, Count: 10}.start()
			if err != nil {
				return err
			}
			defer stop()
			if err := b.pause(3 * time.Second); err != nil {
				return err
			}
			l.Reset()
			begin := time.Now()
			err = b.pause(window)
			rates[i] = float64(l.Counters().Answers) / time.Since(begin).Seconds()
			return err
		}()
		if err != nil {
			return 0, 0, err
		}
	}
	return rates[1] / rates[0], int(rates[1] * window.Seconds()), nil
}

// peerBack gives the worst time that a peer took to read a unit that was away.
func (b *bench) peerBack(who string, times int) (float64, int, error) {
	l, err := b.fiveUnits("tty-"+who, true)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	var answered atomic.Int64
	l.OnAnswer(func(unit byte, _ []byte, at time.Time) {
		if unit == 5 {
			answered.Store(at.UnixNano())
		}
	})
	_, stop, err := peer{Library: who, Path: l.Path(), Baud: 9600, Units: 5, Count: 10}.start()
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	worst := 0.0
	for range times {
		l.SetFault(5, line.Fault{Dead: true})
		if err := b.pause(10 * time.Second); err != nil {
			return 0, 0, err
		}
		l.ClearFault(5)
		back := time.Now()
		if err := b.until(who+"'s reading of the unit", time.Minute, func() bool { return answered.Load() > back.UnixNano() }); err != nil {
			return 0, 0, err
		}
		worst = max(worst, time.Unix(0, answered.Load()).Sub(back).Seconds())
	}
	return worst, times, nil
}

// peerPulls counts the pulls after which a peer does not read again within five
// seconds; it is then started anew, as its user would have to.
func (b *bench) peerPulls(who string, pulls int) (float64, int, error) {
	l, err := line.New(line.Config{Baud: 38400, Turnaround: 2 * time.Millisecond, Path: filepath.Join(b.dir, "tty-"+who)})
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	l.Attach(1, gauge.NewPattern(1, 16, time.Now(), 0))
	var answers atomic.Int64
	l.OnAnswer(func(byte, []byte, time.Time) { answers.Add(1) })
	reader := peer{Library: who, Path: l.Path(), Baud: 38400, Units: 1, Count: 10, Every: 20 * time.Millisecond}
	_, stop, err := reader.start()
	if err != nil {
		return 0, 0, err
	}
	defer func() { stop() }()
	lost := 0
	for range pulls {
		was := answers.Load()
		reads := func() bool { return answers.Load() > was+3 }
		if err := b.until(who+"'s reading", 10*time.Second, reads); err != nil {
			return 0, 0, err
		}
		if err := l.Unplug(); err != nil {
			return 0, 0, err
		}
		if err := b.pause(300 * time.Millisecond); err != nil {
			return 0, 0, err
		}
		if err := l.Replug(); err != nil {
			return 0, 0, err
		}
		was = answers.Load()
		if b.until(who+"'s reading", 5*time.Second, reads) == nil {
			continue
		}
		if b.ctx.Err() != nil {
			return 0, 0, b.ctx.Err()
		}
		lost++
		stop()
		if _, stop, err = reader.start(); err != nil {
			return 0, 0, err
		}
	}
	return float64(lost), pulls, nil
}
