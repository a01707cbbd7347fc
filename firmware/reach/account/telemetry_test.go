package account

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tocsin/firmware/reach/wire"
)

func rules(t testing.TB) *Rules {
	t.Helper()
	r, err := LoadRules(configFS)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func channels(n int) []Channel {
	var cs []Channel
	for i := range n {
		cs = append(cs, Channel{Point: string(rune('a'+i/26)) + string(rune('a'+i%26)), Unit: "m", Resolution: 0.01, ZH: "水位", EN: "level"})
	}
	return cs
}

// county is the far end: what it put together of what came, by either form.
type county struct {
	t       testing.TB
	d       Dictionaries
	narrow  *wire.Decoder
	waiting [][]byte
	have    map[int64][]wire.Value // wide rows
	short   map[int64][]wire.Value
}

func newCounty(t testing.TB, d Dictionaries) *county {
	n, err := wire.NewDecoder(d.Narrow.Wire())
	if err != nil {
		t.Fatal(err)
	}
	return &county{t: t, d: d, narrow: n, have: map[int64][]wire.Value{}, short: map[int64][]wire.Value{}}
}

func (c *county) long(r Report) {
	c.t.Helper()
	d, _ := wire.NewDecoder(c.d.Wide.Wire())
	_, s, err := d.Decode(r.Long, r.First+int64(r.Rows))
	if err != nil || s.Minute != r.First || len(s.Rows) != r.Rows {
		c.t.Fatalf("a whole block from %d with %d rows gives %d with %d: %v", r.First, r.Rows, s.Minute, len(s.Rows), err)
	}
	c.put(c.have, s)
}

func (c *county) put(into map[int64][]wire.Value, s wire.Series) {
	c.t.Helper()
	for i, row := range s.Rows {
		at := s.Minute + int64(i*s.Step)
		if old, ok := into[at]; ok && !slices.Equal(old, row) {
			c.t.Fatalf("two rows of minute %d: %v, %v", at, old, row)
		}
		into[at] = row
	}
}

// hears takes a short block that came by a narrow link, at once or later.
func (c *county) hears(b []byte, near int64) {
	c.t.Helper()
	c.waiting = append(c.waiting, b)
	for again := true; again; {
		again = false
		for i, b := range c.waiting {
			_, s, err := c.narrow.Decode(b, near)
			if wire.Waits(err) {
				continue
			}
			if err != nil {
				c.t.Fatalf("a short block: %v", err)
			}
			c.put(c.short, s)
			c.waiting = slices.Delete(c.waiting, i, i+1)
			again = true
			break
		}
	}
}

func (c *county) holds(what string, got map[int64][]wire.Value, want map[int64][]wire.Value, channels int) {
	c.t.Helper()
	if len(got) != len(want) {
		c.t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for at, row := range want {
		if !slices.Equal(got[at], row[:channels]) {
			c.t.Fatalf("%s: minute %d is %v, want %v", what, at, got[at], row[:channels])
		}
	}
}

// walk gives row i of n channels that walk, with gaps.
func walk(r *rand.Rand, at []int32) []wire.Value {
	row := make([]wire.Value, len(at))
	for c := range at {
		at[c] += int32(r.IntN(7) - 3)
		if r.IntN(20) > 0 {
			row[c] = wire.Good(at[c])
		}
	}
	return row
}

const start = int64(29_700_000)

func TestWhileTheCountyHearsEachPeriodIsOneSmallMessage(t *testing.T) {
	d, _ := Settle(nil, 5, channels(10), 16)
	m, err := NewTelemetry(rules(t).Narrow, d, true, "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	c, r, at := newCounty(t, d), rand.New(rand.NewPCG(1, 2)), make([]int32, 10)
	want, bytes := map[int64][]wire.Value{}, 0
	for i := range int64(288) {
		row := walk(r, at)
		want[start+5*i] = row
		out, err := m.Row(start+5*i, true, row)
		if err != nil || len(out) != 1 || out[0].Rows != 1 || out[0].Short != nil {
			t.Fatalf("row %d: %+v %v", i, out, err)
		}
		bytes += len(out[0].Long)
		c.long(out[0])
		m.Arrived(out[0].Key, out[0].Rows, false)
	}
	c.holds("whole", c.have, want, 10)
	if bytes > 288*40 {
		t.Errorf("a day took %d bytes", bytes)
	}
}

// TestAnOutageLosesNoReadingOnAnyLink plays outages with links that come, go, lose and answer late.
func TestAnOutageLosesNoReadingOnAnyLink(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		channelsN := 1 + r.IntN(20)
		d, _ := Settle(nil, 5, channels(channelsN), 12)
		m, _ := NewTelemetry(rules(t).Narrow, d, true, "a", r.IntN(64))
		c, at := newCounty(t, d), make([]int32, channelsN)
		want, outbox := map[int64][]wire.Value{}, map[string]Report{}
		wide, narrow := false, true
		narrowMost := 0
		for i := range int64(600) {
			now := start + 5*i
			if r.IntN(40) == 0 {
				wide = !wide
			}
			if r.IntN(60) == 0 {
				narrow = !narrow
			}
			row := walk(r, at)
			want[now] = row
			out, err := m.Row(now, true, row)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range out {
				outbox[x.Key] = x
				narrowMost = max(narrowMost, len(x.Short))
			}
			for _, key := range slices.Sorted(maps.Keys(outbox)) {
				x := outbox[key]
				if narrow && x.Short != nil && r.IntN(3) == 0 { // one in four is lost, one in four answered late
					if n := r.IntN(4); n > 0 {
						c.hears(x.Short, now)
						if n > 1 {
							m.Arrived(key, x.Rows, true)
							x.Short = nil
							outbox[key] = x
						}
					}
				}
				if wide && r.IntN(2) == 0 {
					c.long(x)
					delete(outbox, key)
					m.Arrived(key, x.Rows, false)
				}
			}
		}
		for _, x := range outbox { // the wide link is back for good
			c.long(x)
		}
		c.holds("whole", c.have, want, channelsN)
		for at, row := range c.short {
			if !slices.Equal(row, want[at][:min(12, channelsN)]) {
				t.Fatalf("seed %d: short form of minute %d: %v, want %v", seed, at, row, want[at])
			}
		}
		if narrowMost > rules(t).Narrow.Bytes {
			t.Errorf("a short form of %d bytes", narrowMost)
		}
	}
}

func TestOnANarrowLinkAloneEveryReadingComesInFewFullMessages(t *testing.T) {
	d, _ := Settle(nil, 5, channels(10), 16)
	m, _ := NewTelemetry(rules(t).Narrow, d, true, "a", 5)
	c, r, at := newCounty(t, d), rand.New(rand.NewPCG(3, 4)), make([]int32, 10)
	want, sent := map[int64][]wire.Value{}, 0
	for i := range int64(288) {
		row := walk(r, at)
		want[start+5*i] = row
		out, _ := m.Row(start+5*i, true, row)
		for _, x := range out {
			if x.Short != nil {
				sent++
				c.hears(x.Short, start+5*i)
				if sent%4 == 0 { // receipts come late and together
					for _, s := range slices.Clone(m.closed) {
						m.Arrived(s.key, len(s.rows), true)
					}
				}
			}
		}
	}
	last := len(m.open.rows)
	for i := range int64(last) {
		delete(want, start+5*(287-i))
	}
	c.holds("short", c.short, want, 10)
	if len(c.waiting) > 0 || sent > 48 {
		t.Errorf("%d messages a day, %d blocks wait for what they build on", sent, len(c.waiting))
	}
}

func TestWhatCannotBeBuiltOnIsMadeAnew(t *testing.T) {
	d, _ := Settle(nil, 5, channels(8), 16)
	m, _ := NewTelemetry(rules(t).Narrow, d, true, "a", 0)
	r, at := rand.New(rand.NewPCG(5, 6)), make([]int32, 8)
	outbox := map[string]Report{}
	var keys []string
	i := int64(0)
	row := func() {
		out, _ := m.Row(start+5*i, true, walk(r, at))
		i++
		for _, x := range out {
			if _, there := outbox[x.Key]; !there {
				keys = append(keys, x.Key)
			}
			outbox[x.Key] = x
		}
	}
	for len(m.closed) < 4 {
		row()
	}
	// A wide link takes the first segment and goes again: no short form of it ever came.
	m.Arrived(keys[0], outbox[keys[0]].Rows, false)
	row()
	c := newCounty(t, d)
	for _, k := range keys[1:] {
		if s := outbox[k].Short; s != nil {
			c.hears(s, start+5*i)
		}
	}
	if len(c.waiting) > 0 || len(c.short) == 0 {
		t.Errorf("%d short forms wait for the one that never came; %d rows", len(c.waiting), len(c.short))
	}
}

func TestAGapAClockAndALongOutageEndASegment(t *testing.T) {
	d, _ := Settle(nil, 5, channels(2), 16)
	one := []wire.Value{wire.Good(1), {}}
	keys := func(narrow bool, dated func(i int) bool, minute func(i int) int64, n int) (got []string, shorts int) {
		m, _ := NewTelemetry(rules(t).Narrow, d, narrow, "a", 0)
		for i := range n {
			out, err := m.Row(minute(i), dated(i), one)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range out {
				if len(x.Short) > 0 {
					shorts++
				}
				if !slices.Contains(got, x.Key) {
					got = append(got, x.Key)
				}
			}
		}
		return got, shorts
	}
	always, even := func(int) bool { return true }, func(i int) int64 { return start + int64(5*i) }
	for name, c := range map[string]struct {
		narrow       bool
		dated        func(int) bool
		minute       func(int) int64
		n            int
		keys, shorts int
	}{
		"two days in the dark, wide only": {false, always, even, 2 * 288, 5, 0},
		"an hour at the most, narrow":     {true, always, even, 13, 2, 1},
		"a row was missed": {false, always, func(i int) int64 {
			if i > 2 {
				i++
			}
			return even(i)
		}, 6, 2, 0},
		"the clock went back":    {false, always, func(i int) int64 { return even(i % 3) }, 6, 2, 0},
		"the clock became true":  {true, func(i int) bool { return i > 2 }, even, 6, 2, 0},
		"nobody knows the time":  {true, func(int) bool { return false }, even, 200, 2, 0},
		"a step that is another": {false, always, func(i int) int64 { return start + int64(6*i) }, 3, 3, 0},
	} {
		if got, shorts := keys(c.narrow, c.dated, c.minute, c.n); len(got) != c.keys || shorts != c.shorts {
			t.Errorf("%s: %d segments, %d short forms, want %d and %d", name, len(got), shorts, c.keys, c.shorts)
		}
	}
}

func TestAMonthInTheDarkIsBounded(t *testing.T) {
	d, _ := Settle(nil, 60, channels(32), 16)
	m, _ := NewTelemetry(Narrow{Bytes: 65, Channels: 16, Within: time.Hour, Chain: 8, Key: 12}, d, true, "a", 0)
	row := make([]wire.Value, 32)
	for i := range int64(30 * 24) {
		for c := range row {
			row[c] = wire.Good(int32(i*int64(c)) ^ 0x55)
		}
		if _, err := m.Row(start+60*i, true, row); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.closed) != closedMost {
		t.Errorf("%d segments are remembered", len(m.closed))
	}
}

func TestManyWildChannelsHaveNoShortFormAndLoseNothing(t *testing.T) {
	d, _ := Settle(nil, 5, channels(32), 32)
	m, _ := NewTelemetry(rules(t).Narrow, d, true, "a", 0)
	c, r := newCounty(t, d), rand.New(rand.NewPCG(9, 9))
	want, outbox := map[int64][]wire.Value{}, map[string]Report{}
	for i := range int64(40) {
		row := make([]wire.Value, 32)
		for c := range row {
			row[c] = wire.Good(int32(r.Uint32()))
		}
		want[start+5*i] = row
		out, err := m.Row(start+5*i, true, row)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range out {
			if x.Short != nil {
				t.Fatal("a short form that cannot be")
			}
			outbox[x.Key] = x
		}
	}
	for _, x := range outbox {
		c.long(x)
	}
	c.holds("whole", c.have, want, 32)
	if m.Unfit() == 0 {
		t.Error("nobody is told that there are no short forms")
	}
	if _, err := m.Row(start+1000, true, nil); err == nil {
		t.Error("a row of nothing is taken")
	}
}

func TestAValueIsRoundedToItsStepAndWhatIsNoneIsMissing(t *testing.T) {
	for _, c := range []struct {
		step, v float64
		want    wire.Value
		back    float64
	}{
		{0.01, 98.344, wire.Good(9834), 98.34}, {0.1, 0.3, wire.Good(3), 0.3}, {0.2, 12.4, wire.Good(62), 12.4}, {1, -0.4, wire.Good(0), 0}, {0.1, -5.25, wire.Good(-53), -5.3},
		{0.01, math.NaN(), wire.Value{}, 0}, {0.01, math.Inf(1), wire.Value{}, 0}, {0.001, 3e6, wire.Value{}, 0},
	} {
		ch := Channel{Resolution: c.step}
		got := ch.Value(c.v)
		back, ok := ch.Of(got)
		if got != c.want || back != c.back || ok != (c.want.State == wire.Exact) {
			t.Errorf("%v in steps of %v: %+v, back %v %v", c.v, c.step, got, back, ok)
		}
	}
}

func BenchmarkRowInTheDark(b *testing.B) {
	d, _ := Settle(nil, 5, channels(10), 16)
	m, _ := NewTelemetry(rules(b).Narrow, d, true, "a", 0)
	r, at := rand.New(rand.NewPCG(3, 4)), make([]int32, 10)
	i := int64(0)
	for b.Loop() {
		if _, err := m.Row(start+5*i, true, walk(r, at)); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
