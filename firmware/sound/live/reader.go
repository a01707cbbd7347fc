package live

import (
	"time"

	"tocsin/drivers"
)

// Reader gives a voice to one loudspeaker. One goroutine uses it.
type Reader struct {
	v     *Voice
	f     drivers.Format
	at    int64 // the slot that is played next
	begun bool
	waits bool // it ran dry: it fills up again before it goes on
	// hold is how many slots are held: more for a while after it ran dry.
	hold, even int64
	level      leveller
	filler     filler
	conv       converter
	in         []int16 // a slot
	out        []float32
	left       []float32 // of out, not given yet
	tail       int       // samples that are still in the filter when all is over
}

// Samples opens the voice where it is now: what was said before nobody will hear.
func (v *Voice) Samples(f drivers.Format) *Reader {
	f.Rate, f.Channels = min(192000, max(8000, f.Rate)), min(8, max(1, f.Channels))
	b := v.o.Bounds
	r := &Reader{v: v, f: f, level: newLeveller(b, slotsEach), filler: newFiller(v.o.Rate), conv: newConverter(v.o.Rate, f.Rate), in: make([]int16, v.size), waits: true, hold: slots(b.Hold)}
	v.mu.Lock()
	v.wake(v.o.Now())
	v.state.Reading = true
	v.mu.Unlock()
	return r
}

// Read fills buf and never waits. While nothing has come it gives silence; done says that the voice
// is over.
func (r *Reader) Read(buf []int16) (n int, done bool) {
	frames := len(buf) / r.f.Channels
	for frames > 0 {
		if len(r.left) == 0 {
			if !r.next() {
				return n, true
			}
			continue
		}
		m := min(frames, len(r.left))
		for _, x := range r.left[:m] {
			s := r.level.limit(x)
			for range r.f.Channels {
				buf[n] = s
				n++
			}
		}
		r.left = r.left[m:]
		frames -= m
	}
	return n, false
}

// next makes the samples of one slot; false where the voice is over.
func (r *Reader) next() bool {
	what := r.take()
	switch what {
	case over:
		if r.tail++; r.tail > 2 || !r.begun { // the last of it is still in the filter
			return false
		}
		r.filler.miss(r.in)
	case heard:
		r.filler.had(r.in)
	case missed:
		r.filler.miss(r.in)
	case silent:
		clear(r.in)
	}
	if what == heard {
		r.level.bring(r.in)
	} else {
		r.level.keep(r.in)
	}
	r.out = r.conv.turn(r.out[:0], r.in)
	r.left = r.out
	return true
}

// moreHeld is how many slots more are held each time that it ran dry, evenFor after how many slots
// without that one less is.
const (
	moreHeld = 4
	evenFor  = 2 * slotsEach
)

type took uint8

const (
	silent took = iota
	heard
	missed
	over
)

// take moves on by one slot, if it can.
func (r *Reader) take() took {
	v := r.v
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pass()
	if v.why != Going {
		return over
	}
	if !v.any {
		if v.end >= 0 {
			v.why = Done
			return over
		}
		return silent
	}
	hold, most := r.hold, slots(v.o.Bounds.Most)
	ends := v.end >= 0
	if !r.begun {
		if v.newest-r.at+1 > hold {
			r.at = v.newest + 1 - hold
		}
		if r.at+hold > v.newest+1 && !ends {
			return silent
		}
		r.begun, r.waits = true, false
		if v.state.Begun == 0 {
			v.state.Begun = v.o.Now()
		}
	}
	ahead := v.newest + 1 - r.at // what is held
	if ahead > most {            // it would sound too late
		v.state.Skipped += uint32(ahead - hold)
		r.at += ahead - hold
		ahead = hold
	}
	v.state.Held = time.Duration(max(0, ahead)) * time.Second / slotsEach
	switch {
	case ends && r.at > min(v.end, v.newest):
		v.why = Done
		return over
	case ahead <= 0: // dry
		if !r.waits {
			r.hold, r.even = min(r.hold+moreHeld, most-moreHeld), 0
		}
		r.waits = true
		v.state.Concealed++
		return missed
	case r.waits && ahead < hold && !ends:
		v.state.Concealed++
		return missed
	}
	r.waits = false
	if r.even++; r.even >= evenFor && r.hold > slots(v.o.Bounds.Hold) {
		r.hold, r.even = r.hold-1, 0
	}
	// A talker's clock that runs fast fills the buffer up: what nobody misses is left out.
	if ahead > hold+10 && v.get(r.at, r.in) && !loud(r.in, v.o.Bounds.Floor) {
		v.state.Skipped++
		r.at++
	}
	got := v.get(r.at, r.in)
	r.at++
	if !got {
		v.state.Concealed++
		return missed
	}
	v.state.Played++
	return heard
}

func slots(d time.Duration) int64 { return int64(d / (time.Second / slotsEach)) }
