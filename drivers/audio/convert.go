package audio

import "tocsin/drivers"

// converter brings samples to what a card plays. Rates are converted by
// straight lines, which is good enough for the rare card that does not play
// what the firmware asks (48 kHz, two channels): ask for what it plays to do
// better.
type converter struct {
	from, to drivers.Format
	// Where the next output lies, in 1/to.Rate of an input sample, counted
	// from the frame before the first of the next piece.
	pos   int
	prev  [8]int16
	began bool
}

func (c *converter) convert(out, in []int16) []int16 {
	frames := len(in) / c.from.Channels
	if c.from == c.to {
		return append(out, in[:frames*c.from.Channels]...)
	}
	if frames == 0 {
		return out
	}
	if c.from.Rate == c.to.Rate {
		for i := range frames {
			out = c.spread(out, func(ch int) int { return int(in[i*c.from.Channels+ch]) })
		}
		return out
	}
	if !c.began {
		// The first output is the first input.
		c.began, c.pos = true, c.to.Rate
	}
	at := func(i, ch int) int { // i = 0 is the frame before this piece
		if i == 0 {
			return int(c.prev[ch])
		}
		return int(in[(i-1)*c.from.Channels+ch])
	}
	for {
		i, frac := c.pos/c.to.Rate, c.pos%c.to.Rate
		if i > frames || i == frames && frac > 0 {
			break
		}
		out = c.spread(out, func(ch int) int {
			a := at(i, ch)
			if frac == 0 {
				return a
			}
			return a + (at(i+1, ch)-a)*frac/c.to.Rate
		})
		c.pos += c.from.Rate
	}
	c.pos -= frames * c.to.Rate
	copy(c.prev[:], in[(frames-1)*c.from.Channels:frames*c.from.Channels])
	return out
}

// spread gives one frame: one channel to all, else channel by channel, and the
// mean of all where there is only one to give it to.
func (c *converter) spread(out []int16, ch func(int) int) []int16 {
	if c.to.Channels == 1 {
		sum := 0
		for i := range c.from.Channels {
			sum += ch(i)
		}
		return append(out, int16(sum/c.from.Channels))
	}
	for i := range c.to.Channels {
		out = append(out, int16(ch(i%c.from.Channels)))
	}
	return out
}
