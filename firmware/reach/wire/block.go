package wire

import (
	"errors"
	"slices"

	"tocsin/firmware/phrase"
)

// Bounds of telemetry.
const (
	ChannelsMost = 32
	StepsMost    = 128 // of one block
	ValueLeast   = -1 << 31
	ValueMost    = 1<<31 - 1
	basesKept    = 16 // how far back a block may build on another
	numbers      = 64 // block numbers go round
	week         = 7 * 24 * 60
)

// Dictionary is the set of channels that both ends agreed on, over another link or by
// the site's file. Each channel is whole numbers in its own resolution.
type Dictionary struct {
	// ID is 0 to 7. Another set of channels needs another ID.
	ID uint8
	// Channels is how many there are.
	Channels int
	// Last marks channels that are thinned only when nothing else is left to thin:
	// the levels and the rain.
	Last []bool
}

func (d Dictionary) prove() error {
	if d.ID > 7 || d.Channels < 1 || d.Channels > ChannelsMost || len(d.Last) > d.Channels {
		return phrase.E("wire.dictionary", "id", int(d.ID), "channels", d.Channels, "most", ChannelsMost)
	}
	return nil
}

// State is what is known of one value.
type State uint8

// The states. Missing is not zero and not the value before: there was no good one.
const (
	Missing State = iota
	Exact
	// Between was thinned out: it lies within the channel's Tolerance of Value.
	Between
)

// Value is one value of one channel.
type Value struct {
	V     int32
	State State
}

// Good makes an exact value.
func Good(v int32) Value { return Value{v, Exact} }

// Series is values at equal steps.
type Series struct {
	// Minute is when the first row was, in minutes since 1970.
	Minute int64
	// Step is the minutes between rows, 1 to 256.
	Step int
	Rows [][]Value
	// Tolerance is for each channel how far a Between may be off; nil or 0 where none is thinned.
	Tolerance []int64
}

// past is what a block leaves behind for those that build on it.
type past struct {
	number   int
	end      int64 // the minute of its last row
	step     int
	channels []channel
	// Of the sender's: the other end has it; and how many blocks that it has not must come first.
	acked bool
	wants int
	base  int // its number; -1 for a key frame
}

// header is the first 40 bits of a block, and 22 or 14 more where it says so.
type header struct {
	dictionary, number        int
	key, gaps, thinned, after bool
	back                      int
	n                         int
	check                     uint16
	minute, step              int
}

func (h *header) write(w *bitWriter) {
	flag := func(b bool) {
		if b {
			w.bit(1)
		} else {
			w.bit(0)
		}
	}
	w.put(uint64(h.dictionary), 3)
	w.put(uint64(h.number), 6)
	flag(h.key)
	flag(h.gaps)
	flag(h.thinned)
	flag(h.after)
	w.put(uint64(h.back-1)&15, 4)
	w.put(uint64(h.n-1), 7)
	w.put(uint64(h.check), 16)
	if h.key || !h.after {
		w.put(uint64(h.minute), 14)
	}
	if h.key {
		w.put(uint64(h.step-1), 8)
	}
}

func readHeader(r *bitReader) (h header, ok bool) {
	flag := func() bool { return r.bit() == 1 }
	h.dictionary, h.number = int(r.take(3)), int(r.take(6))
	h.key, h.gaps, h.thinned, h.after = flag(), flag(), flag(), flag()
	h.back, h.n, h.check = int(r.take(4))+1, int(r.take(7))+1, uint16(r.take(16))
	if h.key || !h.after {
		h.minute = int(r.take(14))
	}
	if h.key {
		h.step = int(r.take(8)) + 1
	}
	// One way to say each thing: a key frame builds on nothing.
	return h, r.over == 0 && h.minute < week && !(h.key && (h.after || h.back != 1))
}

// Encoder makes blocks of one dictionary. One goroutine uses it. After a restart
// a new one begins with a key frame; nothing of it needs keeping.
type Encoder struct {
	d     Dictionary
	chain int
	next  int
	sent  []past // newest last
}

// NewEncoder makes one. chain is on how many unacknowledged blocks a block may hang, 0 to 15. With 0 every block
// can be read when it comes. With more, days cost less where acknowledgements are rare: one that is lost then keeps
// those that hang on it waiting at the other end until it has been sent again, and none is lost by that.
func NewEncoder(d Dictionary, chain int) (*Encoder, error) {
	if err := d.prove(); err != nil {
		return nil, err
	}
	if chain < 0 || chain >= basesKept {
		return nil, phrase.E("wire.chain", "chain", chain, "most", basesKept-1)
	}
	d.Last = append(slices.Clone(d.Last), make([]bool, d.Channels-len(d.Last))...)
	return &Encoder{d: d, chain: chain}, nil
}

// Acked tells that the other end keeps the block of that number.
func (e *Encoder) Acked(number int) {
	for i := range e.sent {
		p := &e.sent[i]
		if p.number != number || p.acked {
			continue
		}
		p.acked = true
		for j := i; j < len(e.sent); j++ { // a base comes before what hangs on it
			e.sent[j].wants = e.wants(&e.sent[j])
		}
	}
}

// StartAt gives the next block's number, modulo 64. An encoder that was made anew after a power cut should begin far from what may still be under
// way of the one before; the low bits of a message counter do.
func (e *Encoder) StartAt(number int) {
	e.next, e.sent = (number%numbers+numbers)%numbers, nil
}

// Forget lets nothing hang on what was sent: the other end has lost it. The next block is a key frame.
func (e *Encoder) Forget() { e.sent = nil }

func (e *Encoder) wants(p *past) int {
	switch base := e.find(p.base); {
	case p.acked:
		return 0
	case p.base < 0:
		return 1
	case base == nil: // too far back to know
		return basesKept
	default:
		return base.wants + 1
	}
}

func (e *Encoder) find(number int) *past {
	for i := len(e.sent) - 1; i >= 0; i-- {
		if e.sent[i].number == number {
			return &e.sent[i]
		}
	}
	return nil
}

func ahead(a, b int) int { return (a - b + numbers) % numbers }

// pick gives the newest block that the next may build on.
func (e *Encoder) pick() *past {
	for i := len(e.sent) - 1; i >= 0; i-- {
		if p := &e.sent[i]; p.wants <= e.chain && ahead(e.next, p.number) <= basesKept {
			return p
		}
	}
	return nil
}

// Block is one block as it is sent.
type Block struct {
	Number int
	Bytes  []byte
	// Rows is how many rows of the series it holds, from the first on.
	Rows int
}

// Encode puts as many rows as fit into most bytes, every value exact. An error says
// that not even one row fits, or that the series is none.
func (e *Encoder) Encode(s Series, most int) (Block, error) {
	rows, b, left, err := e.fit(s, most)
	if err != nil {
		return Block{}, err
	}
	return e.done(b, left, rows), nil
}

// Fit tells how many rows Encode would put into most bytes now, and makes no block of them.
func (e *Encoder) Fit(s Series, most int) (int, error) {
	rows, _, _, err := e.fit(s, most)
	return rows, err
}

// fit finds the most rows that fit.
func (e *Encoder) fit(s Series, most int) (rows int, b []byte, left past, err error) {
	if err := e.prove(s); err != nil {
		return 0, nil, past{}, err
	}
	n := min(len(s.Rows), StepsMost)
	for beyond := n + 1; rows+1 < beyond; {
		x, p := e.block(s, n, nil)
		if len(x) <= most {
			rows, b, left = n, x, p
		} else {
			beyond = n
		}
		n = (rows + beyond) / 2
	}
	if rows == 0 {
		return 0, nil, past{}, phrase.E("wire.no_room", "most", most)
	}
	return rows, b, left, nil
}

// EncodeAll puts all rows, at most StepsMost, into most bytes. Where they do not fit it thins
// channels, those that cost most first, and says so in the block; it never leaves
// rows out.
func (e *Encoder) EncodeAll(s Series, most int) (Block, error) {
	if err := e.prove(s); err != nil {
		return Block{}, err
	}
	if len(s.Rows) > StepsMost {
		return Block{}, phrase.E("wire.too_many_rows", "rows", len(s.Rows), "most", StepsMost)
	}
	thin := newThinning(s, e.d)
	for {
		b, p := e.block(s, len(s.Rows), thin)
		if len(b) <= most {
			return e.done(b, p, len(s.Rows)), nil
		}
		if !thin.more() {
			return Block{}, phrase.E("wire.no_room", "most", most)
		}
	}
}

func (e *Encoder) prove(s Series) error {
	if len(s.Rows) == 0 || s.Step < 1 || s.Step > 256 || s.Minute < 0 {
		return phrase.E("wire.series", "rows", len(s.Rows), "step", s.Step)
	}
	for _, r := range s.Rows {
		if len(r) != e.d.Channels {
			return phrase.E("wire.row", "values", len(r), "channels", e.d.Channels)
		}
		if slices.ContainsFunc(r, func(v Value) bool { return v.State > Exact }) {
			return phrase.E("wire.not_measured")
		}
	}
	return nil
}

func (e *Encoder) done(b []byte, p past, rows int) Block {
	p.wants = e.wants(&p)
	e.sent = append(e.sent, p)
	if len(e.sent) > basesKept {
		e.sent = slices.Delete(e.sent, 0, 1)
	}
	e.next = (e.next + 1) % numbers
	return Block{Number: p.number, Bytes: b, Rows: rows}
}

// block codes n rows. It changes nothing of e.
func (e *Encoder) block(s Series, n int, thin *thinning) ([]byte, past) {
	base := e.pick()
	if base != nil && base.step != s.Step {
		base = nil
	}
	h := header{dictionary: int(e.d.ID), number: e.next, n: n, back: 1, key: base == nil, minute: int(s.Minute % week), step: s.Step}
	p := past{number: e.next, end: s.Minute + int64((n-1)*s.Step), step: s.Step, base: -1}
	if base == nil {
		p.channels = make([]channel, e.d.Channels)
	} else {
		p.channels, p.base = slices.Clone(base.channels), base.number
		h.back = ahead(e.next, base.number)
		h.after = s.Minute == base.end+int64(base.step)
	}
	rows := s.Rows[:n]
	for _, r := range rows {
		h.gaps = h.gaps || slices.ContainsFunc(r, func(v Value) bool { return v.State == Missing })
	}
	h.thinned = thin.any()
	h.check = checkOf(e.d, Series{Minute: s.Minute, Step: s.Step, Rows: thin.shown(rows)})
	w := &bitWriter{}
	h.write(w)
	headed := len(w.b)
	c := newCoder(w)
	for ch := range e.d.Channels {
		before := w.n
		kept := make([]bool, n)
		for i := range kept {
			kept[i] = rows[i][ch].State != Missing
		}
		if h.gaps {
			flags(c, kept, nil)
		}
		if h.thinned {
			thin.write(c, ch, kept)
		}
		for i, k := range kept {
			if k {
				p.channels[ch].encode(c, int64(rows[i][ch].V))
			}
		}
		thin.cost(ch, w.n-before)
	}
	c.end()
	b := w.b
	for len(b) > headed && b[len(b)-1] == 0 { // read as zeros beyond the end
		b = b[:len(b)-1]
	}
	return b, p
}

// flags codes which of a list are so, by how many of those before were. Where only is given, it
// speaks of those alone.
func flags(c *coder, is, only []bool) {
	yes, all := uint64(1), uint64(2)
	for i, k := range is {
		if only != nil && !only[i] {
			continue
		}
		edge := yes * (whole16 - 2) / all // each side has room
		if k {
			c.code(0, edge+1)
			yes++
		} else {
			c.code(edge+1, whole16)
		}
		all++
	}
}

func readFlags(d *decoder, n int, only []bool) []bool {
	is := make([]bool, n)
	yes, all := uint64(1), uint64(2)
	for i := range is {
		if only != nil && !only[i] {
			continue
		}
		edge := yes * (whole16 - 2) / all
		if d.at() < edge+1 {
			d.code(0, edge+1)
			is[i] = true
			yes++
		} else {
			d.code(edge+1, whole16)
		}
		all++
	}
	return is
}

// Decoder reads blocks of one station's dictionary. One goroutine uses it.
type Decoder struct {
	d    Dictionary
	have []past // newest last
}

// NewDecoder makes one.
func NewDecoder(d Dictionary) (*Decoder, error) {
	if err := d.prove(); err != nil {
		return nil, err
	}
	return &Decoder{d: d}, nil
}

// Decode reads a block that came near a minute (of 1970; within three and a half days of it). Where
// it builds on a block that is not here (Waits) it is to be kept and tried again when that one has come; where
// anything does not agree it errs. Either way it gives nothing.
// A block that was decoded before may be decoded again.
func (d *Decoder) Decode(b []byte, near int64) (number int, s Series, err error) {
	r := &bitReader{b: b}
	h, ok := readHeader(r)
	switch {
	case !ok:
		return 0, Series{}, phrase.E("wire.block")
	case h.dictionary != int(d.d.ID):
		return 0, Series{}, phrase.E("wire.other_dictionary", "id", h.dictionary, "have", int(d.d.ID))
	}
	// Numbers go round: what is here by the base's number may be of long ago, and the base itself still come.
	bad := phrase.E("wire.no_base", "number", h.number, "back", h.back)
	if h.key {
		bad = phrase.E("wire.block")
	}
	p := past{number: h.number, step: h.step}
	if h.key {
		p.channels = make([]channel, d.d.Channels)
		s.Minute = nearest(h.minute, near)
	} else {
		base := d.find((h.number - h.back + numbers) % numbers)
		if base == nil {
			return 0, Series{}, bad
		}
		p.channels, p.step = slices.Clone(base.channels), base.step
		if s.Minute = base.end + int64(base.step); !h.after {
			s.Minute = nearest(h.minute, near)
		}
	}
	s.Step, s.Rows = p.step, make([][]Value, h.n)
	for i := range s.Rows {
		s.Rows[i] = make([]Value, d.d.Channels)
	}
	c := newDecoder(r)
	for ch := range d.d.Channels {
		kept := slices.Repeat([]bool{true}, h.n)
		if h.gaps {
			kept = readFlags(c, h.n, nil)
		}
		present := kept
		if h.thinned {
			var tolerance int64
			if tolerance, kept = readThin(c, kept); tolerance > 0 {
				if s.Tolerance == nil {
					s.Tolerance = make([]int64, d.d.Channels)
				}
				s.Tolerance[ch] = tolerance
			}
		}
		for i, k := range kept {
			if !k {
				continue
			}
			v, ok := p.channels[ch].decode(c)
			if !ok {
				return 0, Series{}, bad
			}
			s.Rows[i][ch] = Good(int32(v))
		}
		between(s.Rows, ch, present, kept)
	}
	if checkOf(d.d, s) != h.check {
		return 0, Series{}, bad
	}
	p.end = s.Minute + int64((h.n-1)*p.step)
	d.keep(p)
	return h.number, s, nil
}

// Waits tells whether an error says that a block hangs on one that has not come, or not in the form that the sender knows.
func Waits(err error) bool {
	var e *phrase.Error
	return errors.As(err, &e) && e.Code == "wire.no_base"
}

func (d *Decoder) find(number int) *past {
	for i := len(d.have) - 1; i >= 0; i-- {
		if d.have[i].number == number {
			return &d.have[i]
		}
	}
	return nil
}

func (d *Decoder) keep(p past) {
	d.have = slices.DeleteFunc(d.have, func(h past) bool { return h.number == p.number })
	d.have = append(d.have, p)
	if len(d.have) > 2*basesKept { // what waited comes late and out of order
		d.have = slices.Delete(d.have, 0, 1)
	}
}

// nearest gives the time of that minute of the week that lies nearest to a time.
func nearest(minute int, near int64) int64 {
	t := near - near%week + int64(minute)
	switch {
	case t-near > week/2:
		t -= week
	case near-t > week/2:
		t += week
	}
	return t
}

// checkOf is CRC-16 (polynomial 0x1021, from FFFF) over what a block says: its time, its dictionary and each value. It
// catches a base that is not the sender's, and a dictionary that was changed under the same ID.
func checkOf(d Dictionary, s Series) uint16 {
	crc := uint16(0xFFFF)
	add := func(v uint64, bytes int) {
		for i := bytes - 1; i >= 0; i-- {
			crc ^= uint16(byte(v>>(8*i))) << 8
			for range 8 {
				if crc&0x8000 != 0 {
					crc = crc<<1 ^ 0x1021
				} else {
					crc <<= 1
				}
			}
		}
	}
	add(uint64(d.Channels), 1)
	add(uint64(s.Minute), 4)
	add(uint64(s.Step), 2)
	for ch := range d.Channels {
		for _, r := range s.Rows {
			add(uint64(r[ch].State), 1)
			if r[ch].State != Missing {
				add(uint64(uint32(r[ch].V)), 4)
			}
		}
	}
	return crc
}
