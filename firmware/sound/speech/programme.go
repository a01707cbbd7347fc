package speech

import (
	"fmt"
	"io"
	"slices"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

// Programme is what one sounding plays. It never changes and may be opened by
// several outputs at the same time.
type Programme struct {
	rate     int
	repeat   int // 0: without end
	tone     *Tone
	parts    []part // of one repetition
	problems []error
}

// part is one of: a clip, the tone, a pause.
type part struct {
	clip  *clip
	tone  *Tone
	pause time.Duration
}

func (p *Programme) add(x part) { p.parts = append(p.parts, x) }

func (p *Programme) lack(id string, missing []Lang) {
	for _, l := range missing {
		p.problems = append(p.problems, phrase.E("speech.clip.missing", "clip", id, "lang", string(l)))
	}
}

// Problems lists what could not be played as it was asked for and what is
// played instead, each a *phrase.Error. The caller reports them.
func (p *Programme) Problems() []error { return slices.Clone(p.problems) }

// Tone names the tone that it plays, which may stand in for the one asked.
func (p *Programme) Tone() string { return p.tone.Name }

// Said lists the clips of one repetition in order, as <id>.<lang>.
func (p *Programme) Said() []string {
	var s []string
	for _, x := range p.parts {
		if x.clip != nil {
			s = append(s, x.clip.id+"."+string(x.clip.lang))
		}
	}
	return s
}

// Cadence gives how a relay of a kind (Electronic, Motor, Strobe) gives the
// tone. It is never empty; see Cadence.Silent.
func (p *Programme) Cadence(kind string) Cadence { return p.tone.Cadence(kind) }

// length of a part in samples at a rate; conv turns clips to that rate.
func (x part) length(rate int, conv *converter) int {
	switch {
	case x.clip != nil:
		return conv.length(x.clip.length())
	case x.tone != nil:
		d := x.tone.Lead
		if x.tone.Locked && x.tone.Times > 0 {
			d = time.Duration(x.tone.Times) * x.tone.Length()
		}
		return int(d * time.Duration(rate) / time.Second)
	}
	return int(x.pause * time.Duration(rate) / time.Second)
}

// Round is how long one repetition lasts.
func (p *Programme) Round() time.Duration {
	n, same := 0, &converter{up: 1, down: 1}
	for _, x := range p.parts {
		n += x.length(p.rate, same)
	}
	return time.Duration(n) * time.Second / time.Duration(p.rate)
}

// Total is how long all of it lasts; 0 where it goes on until it is stopped.
func (p *Programme) Total() time.Duration { return time.Duration(p.repeat) * p.Round() }

// Reader gives the samples of a programme from its beginning, for one output.
// It is used by one goroutine.
type Reader struct {
	p     *Programme
	rate  int
	chans int
	conv  *converter
	voice *voice
	block [512]float32
	round int // repetitions done
	part  int
	at    int // samples of the part that are done
	// held is the clip whose samples pcm has: a packed one is unpacked when its turn comes.
	held     *clip
	pcm, buf []int16
}

// Samples opens the programme from its beginning. A format out of all bounds is
// brought into 8 to 192 kHz and 1 to 8 channels.
func (p *Programme) Samples(f drivers.Format) *Reader {
	rate := min(192000, max(8000, f.Rate))
	return &Reader{
		p: p, rate: rate, chans: min(8, max(1, f.Channels)),
		conv: newConverter(p.rate, rate), voice: newVoice(p.tone, rate),
	}
}

// Read fills buf with interleaved samples, the same in every channel, and
// never waits. n is a multiple of the channels; done says that the programme
// has ended with them. A programme without end is never done.
func (r *Reader) Read(buf []int16) (n int, done bool) {
	frames, empty := len(buf)/r.chans, 0
	for frames > 0 && !r.ended() {
		x := r.p.parts[r.part]
		left := x.length(r.rate, r.conv) - r.at
		if left <= 0 {
			if empty++; empty > len(r.p.parts) {
				return n, true // nothing in it: never spin on the alarm path
			}
			r.next()
			continue
		}
		empty = 0
		b := r.block[:min(frames, left, len(r.block))]
		switch {
		case x.clip != nil:
			if r.held != x.clip {
				r.hold(x.clip)
			}
			r.conv.at(r.pcm, r.at, b)
		case x.tone != nil:
			r.voice.at(r.at, r.at+left, b)
		default:
			clear(b)
		}
		for _, v := range b {
			s := limited(v)
			for range r.chans {
				buf[n] = s
				n++
			}
		}
		r.at += len(b)
		frames -= len(b)
		if len(b) == left {
			r.next()
		}
	}
	return n, r.ended()
}

// hold gets a clip's samples. The buffer is the reader's own: never a bank's.
func (r *Reader) hold(c *clip) {
	r.held, r.pcm = c, c.pcm(r.buf)
	if c.packed.n > 0 && c.levelled.Load() == nil {
		r.buf = r.pcm
	}
}

func (r *Reader) ended() bool { return r.p.repeat > 0 && r.round >= r.p.repeat }

func (r *Reader) next() {
	r.at = 0
	if r.part++; r.part == len(r.p.parts) {
		r.part = 0
		r.round++
		r.held = nil // the bank may have levelled it since
	}
}

// WAV writes the programme to w, one channel at the bank's rate: all its
// repetitions, at most five minutes of them, or one where it has no end.
func (p *Programme) WAV(w io.Writer) error {
	one := *p
	if one.repeat == 0 {
		one.repeat = 1
	}
	one.repeat = max(1, min(one.repeat, int(5*time.Minute/max(time.Second, p.Round()))))
	total := 0
	r := one.Samples(drivers.Format{Rate: p.rate, Channels: 1})
	for _, x := range one.parts {
		total += one.repeat * x.length(r.rate, r.conv)
	}
	if _, err := w.Write(header(p.rate, 1, total)); err != nil {
		return fmt.Errorf("writing a programme: %w", err)
	}
	var buf [4096]int16
	for done := false; !done; {
		var n int
		n, done = r.Read(buf[:])
		if _, err := w.Write(pack(nil, buf[:n])); err != nil {
			return fmt.Errorf("writing a programme: %w", err)
		}
	}
	return nil
}
