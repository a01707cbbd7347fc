package wire

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tocsin/hwtest/days"
)

// someSeries draws rows as gauges give them, and as broken ones do.
func someSeries(t *rapid.T, channels int) Series {
	s := Series{Minute: rapid.Int64Range(0, 40_000_000).Draw(t, "minute"), Step: rapid.IntRange(1, 256).Draw(t, "step")}
	n := rapid.IntRange(1, StepsMost).Draw(t, "rows")
	kinds := make([]int, channels)
	at := make([]int64, channels)
	for c := range kinds {
		kinds[c] = rapid.IntRange(0, 5).Draw(t, "kind")
		at[c] = rapid.Int64Range(-5000, 5000).Draw(t, "start")
	}
	for range n {
		row := make([]Value, channels)
		for c := range row {
			switch kinds[c] {
			case 0: // still
			case 1:
				at[c] += rapid.Int64Range(-2, 2).Draw(t, "walk")
			case 2:
				at[c] += rapid.Int64Range(0, 30).Draw(t, "count")
			case 3:
				at[c] = rapid.Int64Range(ValueLeast, ValueMost).Draw(t, "anything")
			case 4:
				at[c] += rapid.Int64Range(-100_000, 100_000).Draw(t, "leap")
			case 5:
				if rapid.IntRange(0, 2).Draw(t, "gap") == 0 {
					continue
				}
			}
			row[c] = Good(int32(at[c]))
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

func same(a, b [][]Value) bool {
	return slices.EqualFunc(a, b, func(x, y []Value) bool { return slices.Equal(x, y) })
}

func TestEveryReadingComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Dictionary{ID: 3, Channels: rapid.IntRange(1, 12).Draw(t, "channels")}
		e, _ := NewEncoder(d, 0)
		r, _ := NewDecoder(d)
		for range rapid.IntRange(1, 4).Draw(t, "blocks") {
			s := someSeries(t, d.Channels)
			b, err := e.Encode(s, 1<<16)
			if err != nil || b.Rows != len(s.Rows) {
				t.Fatal(err, b.Rows)
			}
			n, got, err := r.Decode(b.Bytes, s.Minute+rapid.Int64Range(-week/2+1, week/2-1).Draw(t, "off"))
			if err != nil || n != b.Number || got.Minute != s.Minute || got.Step != s.Step || got.Tolerance != nil || !same(got.Rows, s.Rows) {
				t.Fatalf("%v\nminute %d, step %d: %v", err, got.Minute, got.Step, got.Rows)
			}
			if rapid.Bool().Draw(t, "acked") {
				e.Acked(n)
			}
		}
	})
}

// TestLossDisorderAndCopiesDelayReadingsAndLoseNone sends the storm over a link that loses, swaps and repeats, and
// acknowledges late. What is not acknowledged is sent again; what waits for its base is tried again.
func TestLossDisorderAndCopiesDelayReadingsAndLoseNone(t *testing.T) {
	whole := dayOf(t, days.Storm)
	whole.Rows = whole.Rows[140:212] // rain, rise and fall
	rapid.Check(t, func(t *rapid.T) {
		d := Dictionary{ID: 1, Channels: days.Sensors}
		chain := rapid.IntRange(0, 6).Draw(t, "chain")
		e, _ := NewEncoder(d, chain)
		r, _ := NewDecoder(d)
		out := map[int][]byte{}     // unacknowledged, by number
		waiting := map[int][]byte{} // kept at the other end, not yet read
		read := map[int64][]Value{}
		deliver := func(number int, b []byte) {
			if rapid.IntRange(0, 4).Draw(t, "lost") == 0 {
				return
			}
			waiting[number] = b
			for again := true; again; {
				again = false
				for _, n := range slices.Sorted(mapsKeys(waiting)) {
					_, s, err := r.Decode(waiting[n], whole.Minute+1000)
					if Waits(err) {
						if chain == 0 {
							t.Fatal("a block hangs on one that was not acknowledged")
						}
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					for i, row := range s.Rows {
						read[s.Minute+int64(i*s.Step)] = row
					}
					delete(waiting, n)
					again = true
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "acknowledgement lost") > 0 {
				e.Acked(number)
				delete(out, number)
			}
		}
		for at := 0; at < len(whole.Rows); {
			if len(out) < 8 {
				b, err := e.Encode(Series{Minute: whole.Minute + int64(at*5), Step: 5, Rows: whole.Rows[at:]}, 66)
				if err != nil {
					t.Fatal(err)
				}
				at += b.Rows
				out[b.Number] = b.Bytes
				deliver(b.Number, b.Bytes)
			}
			for _, n := range slices.Sorted(mapsKeys(out)) {
				if rapid.IntRange(0, 2).Draw(t, "again") == 0 {
					deliver(n, out[n])
				}
			}
		}
		for tries := 0; len(out) > 0 && tries < 1000; tries++ {
			for _, n := range slices.Sorted(mapsKeys(out)) {
				deliver(n, out[n])
			}
		}
		for i, row := range whole.Rows {
			if !slices.Equal(read[whole.Minute+int64(i*5)], row) {
				t.Fatalf("row %d: %v, was %v", i, read[whole.Minute+int64(i*5)], row)
			}
		}
	})
}

func mapsKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestWhatDoesNotFitIsThinnedWithinItsToleranceAndNeverCut(t *testing.T) {
	whole := dayOf(t, days.Storm)
	for _, c := range []struct {
		name string
		most int
	}{{"two hours in a message", 66}, {"beside another item", 62}} {
		d := Dictionary{ID: 1, Channels: days.Sensors, Last: []bool{true, true}}
		e, _ := NewEncoder(d, 0)
		r, _ := NewDecoder(d)
		thinned, levels := 0, 0
		for at := 0; at < len(whole.Rows); at += 24 {
			s := Series{Minute: whole.Minute + int64(at*5), Step: 5, Rows: whole.Rows[at : at+24]}
			s.Rows = slices.Clone(s.Rows)
			s.Rows[7] = slices.Clone(s.Rows[7])
			s.Rows[7][8] = Value{} // a gap is a gap
			b, err := e.EncodeAll(s, c.most)
			if err != nil || len(b.Bytes) > c.most || b.Rows != 24 {
				t.Fatal(c.name, err, len(b.Bytes))
			}
			n, got, err := r.Decode(b.Bytes, s.Minute)
			if err != nil || len(got.Rows) != 24 {
				t.Fatal(c.name, err)
			}
			e.Acked(n)
			for i, row := range got.Rows {
				for ch, v := range row {
					was := s.Rows[i][ch]
					switch v.State {
					case Missing:
						if was.State != Missing {
							t.Fatal(c.name, "a reading was left out", i, ch)
						}
					case Exact:
						if v != was {
							t.Fatal(c.name, "an exact one is another", i, ch)
						}
					case Between:
						thinned++
						if ch < 2 {
							levels++
						}
						if was.State == Missing || math.Abs(float64(v.V)-float64(was.V)) > float64(got.Tolerance[ch]) {
							t.Fatal(c.name, i, ch, v, was, got.Tolerance[ch])
						}
					}
				}
			}
		}
		t.Logf("%s: %d of %d thinned, %d of levels and rain", c.name, thinned, 288*days.Sensors, levels)
		if thinned == 0 {
			t.Error(c.name, "nothing had to be thinned")
		}
	}
	e, _ := NewEncoder(Dictionary{ID: 1, Channels: days.Sensors}, 0)
	if _, err := e.EncodeAll(Series{Step: 5, Rows: whole.Rows[:128]}, 10); codeOf(err) != "wire.no_room" {
		t.Error(err)
	}
	if _, err := e.Encode(whole, 5); codeOf(err) != "wire.no_room" {
		t.Error(err)
	}
}

func TestABlockOfAnotherBaseOrDictionaryGivesNothing(t *testing.T) {
	s := dayOf(t, days.Storm)
	cut := func(from int) Series {
		return Series{Minute: s.Minute + int64(from*5), Step: 5, Rows: s.Rows[from : from+12]}
	}
	one := Dictionary{ID: 1, Channels: days.Sensors}
	wrong := 0
	for i := range 200 {
		e, _ := NewEncoder(one, 0)
		a, _ := e.Encode(cut(i), 1000)
		e.Acked(a.Number)
		b, _ := e.Encode(cut(i+12), 1000)
		// The other end has a block of the same number from another life.
		f, _ := NewEncoder(one, 0)
		other, _ := f.Encode(cut(i+3), 1000)
		r, _ := NewDecoder(one)
		if _, _, err := r.Decode(b.Bytes, s.Minute); !Waits(err) {
			t.Fatal("without its base it is read:", err)
		}
		if _, _, err := r.Decode(other.Bytes, s.Minute); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Decode(b.Bytes, s.Minute); err == nil {
			wrong++
			continue
		} else if !Waits(err) {
			t.Fatal("it is given up, though its base may still come:", err)
		}
		if _, _, err := r.Decode(a.Bytes, s.Minute); err != nil {
			t.Fatal(err)
		}
		if _, got, err := r.Decode(b.Bytes, s.Minute); err != nil || !same(got.Rows, cut(i+12).Rows) {
			t.Fatal("with its base it is not read:", err)
		}
	}
	// One in 65,536 would; honest acknowledgements never get here.
	if wrong > 0 {
		t.Errorf("%d of 200 foreign bases went unnoticed", wrong)
	}
	e, _ := NewEncoder(one, 0)
	a, _ := e.Encode(cut(0), 1000)
	r, _ := NewDecoder(Dictionary{ID: 2, Channels: days.Sensors})
	if _, _, err := r.Decode(a.Bytes, s.Minute); codeOf(err) != "wire.other_dictionary" {
		t.Error(err)
	}
	for cut := range len(a.Bytes) {
		r, _ := NewDecoder(one)
		if _, got, err := r.Decode(a.Bytes[:cut], s.Minute); err == nil && !same(got.Rows, s.Rows[:12]) && cut < 8 {
			t.Errorf("cut to %d it is read", cut)
		}
	}
}

func TestWhatFitsIsWhatIsThenEncodedAndAskingMakesNoBlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Dictionary{ID: 1, Channels: 4}
		e, _ := NewEncoder(d, 2)
		number := 0
		for range 3 {
			s := someSeries(t, d.Channels)
			n, err := e.Fit(s, 65)
			m, _ := e.Fit(s, 65)
			b, wrong := e.Encode(s, 65)
			if (err == nil) != (wrong == nil) || n != m || n != b.Rows {
				t.Fatalf("%d and %d rows fit (%v), %d were encoded (%v)", n, m, err, b.Rows, wrong)
			}
			if err == nil {
				if b.Number != number {
					t.Fatalf("block %d, want %d", b.Number, number)
				}
				number++
			}
		}
	})
}

func TestTheCurveIsTheLogisticOne(t *testing.T) {
	for i, v := range logistic {
		want := (1 << 22) / (1 + math.Exp(-math.Pi/math.Sqrt(3)*float64(i)/32))
		if math.Abs(float64(v)-want) > 0.51 {
			t.Errorf("%d: %d, want %.2f", i, v, want)
		}
	}
	// Whatever a channel's state, its buckets share out the whole without gap or overlap.
	rapid.Check(t, func(t *rapid.T) {
		var c channel
		c.start(rapid.Int64Range(ValueLeast, ValueMost).Draw(t, "first"))
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			c.learn(rapid.Int64Range(ValueLeast, ValueMost).Draw(t, "v"))
		}
		b := c.buckets()
		for d := int64(-reach); d <= reach; d++ {
			if b.below(d) >= b.below(d+1) {
				t.Fatalf("bucket %d is empty: %+v", d, c)
			}
		}
		if b.below(-reach) != 0 || b.below(reach+1) != whole16-escaped {
			t.Fatal("the ends are open")
		}
	})
}

func BenchmarkDayOfTelemetry(b *testing.B) {
	s := dayOf(b, days.Storm)
	for b.Loop() {
		if _, err := Day(Dictionary{ID: 1, Channels: days.Sensors}, s, 78, 1, 0); err != nil {
			b.Fatal(err)
		}
	}
}
