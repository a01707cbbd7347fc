package history

import (
	"math/rand/v2"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/point"
)

// batch is what was gathered in a few seconds.
type batch struct {
	run   int64 // of this process, at random
	mono  int64 // of its beginning, nanoseconds; with run it is this batch and no other
	t0    int64 // of its beginning on the wall clock, milliseconds
	t1    int64 // of its last reading
	trust clock.Trust
	// Sealed.
	chunks   []chunk
	readings int
	bytes    int
}

// gathering is the batch that still takes readings.
type gathering struct {
	batch
	boot   string
	offset time.Duration // wall clock less monotonic clock
	series map[key]*series
	size   int
}

// jump is by how much the clocks may part within a batch.
const jump = time.Second

// mostBatch and mostSeries bound what one batch may take of RAM.
const (
	mostBatch  = 256 << 10
	mostSeries = 4096
)

func wallOffset(s clock.Stamp) time.Duration { return time.Duration(s.Wall.UnixNano()) - s.Mono }

func begin(run int64, at clock.Stamp) *gathering {
	return &gathering{
		batch: batch{run: run, mono: int64(at.Mono), t0: at.Wall.UnixMilli(), t1: at.Wall.UnixMilli(), trust: at.Trust},
		boot:  at.Boot, offset: wallOffset(at), series: map[key]*series{},
	}
}

// takes tells whether a reading of this instant may go into the batch.
func (g *gathering) takes(at clock.Stamp, every time.Duration) bool {
	d := wallOffset(at) - g.offset
	age := at.Mono - time.Duration(g.mono)
	return at.Boot == g.boot && at.Trust == g.trust && d < jump && d > -jump &&
		age < every && age > -every && g.size < mostBatch
}

// add takes a reading; false where there are too many series.
func (g *gathering) add(r point.Reading, p Point) bool {
	k := key{r.Point, r.Unit, p.Resolution}
	s := g.series[k]
	if s == nil {
		if len(g.series) >= mostSeries {
			return false
		}
		s = &series{key: k, period: p.Period, limit: p.Limit}
		g.series[k] = s
		g.size += 64
	}
	was := len(s.body)
	at := (int64(r.At.Mono) - g.mono) / int64(time.Millisecond)
	s.add(at, r)
	g.t1 = max(g.t1, g.t0+at)
	g.size += len(s.body) - was
	g.readings++
	return true
}

// seal gives the batch as it is to be written.
func (g *gathering) seal() *batch {
	b := g.batch
	b.chunks = make([]chunk, 0, len(g.series))
	for k, s := range g.series {
		c := chunk{k, s.period, s.limit, s.seal()}
		b.bytes += len(c.data) + len(k.id) + 64
		b.chunks = append(b.chunks, c)
	}
	return &b
}

func newRun() int64 { return rand.Int64() }
