package scan

import (
	"context"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/sense/profile"
)

// Block is what one read of a unit gave.
type Block struct {
	Table drivers.Table
	Addr  uint16
	// Words are registers, or bits as 0 and 1.
	Words []uint16
	// Moved tells of each word whether it differed when it was read again.
	Moved []bool
	// Sent and Heard are the exchange as RTU frames.
	Sent, Heard []byte
}

// usual is where gauges keep what they measure.
var usual = []Range{
	{drivers.Holding, 0, 64}, {drivers.Input, 0, 64}, {drivers.Coil, 0, 32}, {drivers.Discrete, 0, 32},
	{drivers.Holding, 0x0100, 16}, {drivers.Holding, 0x0200, 16}, {drivers.Holding, 0x1000, 16}, {drivers.Holding, 0x2000, 16},
	{drivers.Input, 0x0100, 16}, {drivers.Input, 0x0200, 16}, {drivers.Input, 0x1000, 16}, {drivers.Input, 0x2000, 16},
}

const (
	mostReads = 300 // of one unit
	blockMost = 16
)

type result struct {
	data []byte
	err  error
}

// reader asks one unit and remembers what it said.
type reader struct {
	ctx   context.Context
	bus   drivers.Registers
	unit  uint8
	wait  time.Duration
	had   map[Range]result
	reads int
	// deaf counts consecutive timeouts; silent tables are not asked any more.
	deaf    int
	without [5]bool
}

// read asks, or gives what was answered before. A timeout is asked again once.
func (k *reader) read(t drivers.Table, addr uint16, count int) ([]byte, error) {
	r := Range{t, addr, count}
	if h, ok := k.had[r]; ok {
		return h.data, h.err
	}
	if k.without[t] || k.reads >= mostReads || k.deaf >= 3 {
		return nil, &drivers.Fault{Kind: drivers.FaultTimeout, Detail: "not asked"}
	}
	var h result
	for range 2 {
		k.reads++
		a, err := read(k.ctx, k.bus, 2*k.wait, k.unit, t, addr, uint16(count))
		if k.ctx.Err() != nil {
			return nil, k.ctx.Err()
		}
		h = result{a.Data, err}
		kind := drivers.KindOf(err)
		if kind == drivers.FaultTimeout {
			k.deaf++
		} else if kind != drivers.FaultOwed {
			k.deaf = 0
		}
		if err == nil && !a.Doubt || kind == drivers.FaultRefused || kind == drivers.FaultGone {
			break
		}
		if err == nil { // doubtful: not to be had again
			h = result{nil, &drivers.Fault{Kind: drivers.FaultOwed}}
		}
	}
	if codeOf(h.err) == 1 {
		k.without[t] = true
	}
	k.had[r] = h
	return h.data, h.err
}

// sweep reads ranges, in halves where a part of one is refused, and all that
// answered once more to see what moves.
func (k *reader) sweep(ranges []Range) ([]Block, error) {
	if ranges == nil {
		ranges = usual
	}
	var out []Block
	for _, r := range ranges {
		k.deaf = 0
		for at := 0; at < r.Count; at += blockMost {
			bs, err := k.block(Range{r.Table, r.Addr + uint16(at), min(blockMost, r.Count-at)}, r.Addr >= 0x100)
			if err != nil {
				return out, err
			}
			out = append(out, bs...)
		}
	}
	for i := range out {
		if err := k.again(&out[i]); err != nil {
			return out, err
		}
	}
	return out, nil
}

// block reads one range. far is for places that are only tried: where the first
// entry is refused, so is the rest.
func (k *reader) block(r Range, far bool) ([]Block, error) {
	if int(r.Addr)+r.Count > 1<<16 || r.Count < 1 {
		return nil, nil
	}
	if far && r.Count > 1 {
		if _, err := k.read(r.Table, r.Addr, 1); err != nil {
			return nil, fatal(k.ctx, err)
		}
	}
	data, err := k.read(r.Table, r.Addr, r.Count)
	if err == nil {
		return []Block{k.made(r, data)}, nil
	}
	if err := fatal(k.ctx, err); err != nil {
		return nil, err
	}
	if c := codeOf(err); r.Count == 1 || c != 2 && c != 3 && c != 4 {
		return nil, nil
	}
	half := r.Count / 2
	a, err := k.block(Range{r.Table, r.Addr, half}, false)
	if err != nil {
		return a, err
	}
	b, err := k.block(Range{r.Table, r.Addr + uint16(half), r.Count - half}, false)
	return append(a, b...), err
}

// fatal gives the errors that end a scan.
func fatal(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if drivers.KindOf(err) == drivers.FaultGone {
		return err
	}
	return nil
}

func (k *reader) again(b *Block) error {
	if k.reads++; k.reads > mostReads {
		return nil
	}
	a, err := read(k.ctx, k.bus, 2*k.wait, k.unit, b.Table, b.Addr, uint16(len(b.Words)))
	if err != nil || a.Doubt {
		return fatal(k.ctx, err)
	}
	for i, w := range wordsOf(b.Table, len(b.Words), a.Data) {
		b.Moved[i] = w != b.Words[i]
	}
	return nil
}

func (k *reader) made(r Range, data []byte) Block {
	w := wordsOf(r.Table, r.Count, data)
	sent, heard := Frames(k.unit, r.Table, r.Addr, uint16(r.Count), data)
	return Block{Table: r.Table, Addr: r.Addr, Words: w, Moved: make([]bool, len(w)), Sent: sent, Heard: heard}
}

// wordsOf gives registers, or bits as 0 and 1; nil where the bytes are not as
// many as were asked for.
func wordsOf(t drivers.Table, n int, data []byte) []uint16 {
	out := make([]uint16, 0, n)
	for i := range n {
		switch {
		case t.Bits() && i/8 < len(data):
			out = append(out, uint16(data[i/8]>>(i%8))&1)
		case !t.Bits() && 2*i+1 < len(data):
			out = append(out, uint16(data[2*i])<<8|uint16(data[2*i+1]))
		}
	}
	return out
}

// Frames gives a read and its answer as RTU frames with their CRC, whatever line
// they came over.
func Frames(unit uint8, t drivers.Table, addr, count uint16, data []byte) (sent, heard []byte) {
	// Function codes: Modbus Application Protocol v1.1b3, section 5.1.
	fn := [...]byte{0, 1, 2, 3, 4}[t]
	sent = seal([]byte{unit, fn, byte(addr >> 8), byte(addr), byte(count >> 8), byte(count)})
	heard = seal(append([]byte{unit, fn, byte(len(data))}, data...))
	return sent, heard
}

func seal(b []byte) []byte {
	c := profile.CRC(b)
	return append(b, byte(c), byte(c>>8))
}
