package wire

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestItemsComeBackAndTheLastNeedsNoLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, ItemsMost).Draw(t, "n")
		var want []Item
		var b []byte
		for i := range n {
			it := Item{ItemType(rapid.IntRange(1, 127).Draw(t, "type")), rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "bytes")}
			want = append(want, it)
			b = AppendItem(b, it, i == n-1 && rapid.Bool().Draw(t, "last"))
		}
		got, err := Items(b)
		if err != nil || len(got) != n {
			t.Fatal(err, len(got))
		}
		for i := range got {
			if got[i].Type != want[i].Type || !bytes.Equal(got[i].Bytes, want[i].Bytes) {
				t.Fatalf("item %d: %v, want %v", i, got[i], want[i])
			}
		}
	})
}

func TestOneAckSpeaksOfThirtyThreeMessages(t *testing.T) {
	var all []uint64
	for n := uint64(100); n < 133; n++ {
		all = append(all, n)
	}
	a := Acks(all)
	if len(a) != 1 || len(a[0].Append(nil)) != 10 || !slices.Equal(a[0].Counters(), all) {
		t.Error(a)
	}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfDistinct(rapid.Uint64Range(1, 500), rapid.ID[uint64]).Draw(t, "counters")
		var b []byte
		for _, a := range Acks(want) {
			b = a.Append(b)
		}
		if len(want) == 0 {
			return
		}
		got, err := ReadAcks(b)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint64(600) {
			covered := slices.ContainsFunc(got, func(a Ack) bool { return a.Covers(n) })
			if covered != slices.Contains(want, n) {
				t.Fatalf("%d: %v", n, covered)
			}
		}
	})
}

func TestReceiptsOfTwentyTwoStationsFitIntoOnePacket(t *testing.T) {
	if n := ReceiptsFor(78 - Overhead - 1); n != 22 {
		t.Errorf("%d fit", n)
	}
	rapid.Check(t, func(t *rapid.T) {
		about := AboutAlert(rapid.String().Draw(t, "key"))
		if rapid.Bool().Draw(t, "compact") {
			about = AboutCompact(uint8(rapid.IntRange(0, 7).Draw(t, "type")), rapid.Byte().Draw(t, "issuer"), rapid.IntRange(0, 30_000).Draw(t, "day"), rapid.Uint16Range(0, 1<<14-1).Draw(t, "number"))
		}
		want := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ReceiptOf {
			return ReceiptOf{rapid.Uint16().Draw(t, "station"), Progress{Stage(rapid.IntRange(0, 5).Draw(t, "stage")), Why(rapid.IntRange(0, 7).Draw(t, "why"))}}
		}), 1, ReceiptsMost).Draw(t, "receipts")
		b, err := AppendReceipts(nil, about, want)
		if err != nil {
			t.Fatal(err)
		}
		a, got, err := ReadReceipts(b)
		if err != nil || a != about || !slices.Equal(got, want) {
			t.Fatal(a, got, err)
		}
		for cut := range b {
			if _, _, err := ReadReceipts(b[:cut]); err == nil {
				t.Fatalf("cut to %d it is read", cut)
			}
		}
	})
}

func TestProgressOnlyRisesInWhateverOrderReceiptsCome(t *testing.T) {
	one := rapid.Custom(func(t *rapid.T) Progress {
		return Progress{Stage(rapid.IntRange(0, 5).Draw(t, "stage")), Why(rapid.IntRange(0, 7).Draw(t, "why"))}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := one.Draw(t, "a"), one.Draw(t, "b"), one.Draw(t, "c")
		switch {
		case a.Join(b) != b.Join(a), a.Join(a) != a, a.Join(b).Join(c) != a.Join(b.Join(c)), a.Join(b).Stage < a.Stage:
			t.Fatal(a, b, c)
		}
	})
}

func TestAnyShardsInTheNumberOfTheDataGiveTheContentBackOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(6, 90).Draw(t, "room")
		content := rapid.SliceOfN(rapid.Byte(), 1, min(900, (room-2)*ShardsMost-2)).Draw(t, "content")
		s, err := NewSplit(content, rapid.Byte().Draw(t, "group"), room)
		if err != nil {
			t.Fatal(err)
		}
		order := rapid.Permutation(rangeOf(s.Data+ShardsMost)).Draw(t, "order")
		var a Assembler
		got, count := []byte(nil), 0
		for n, i := range order {
			f := s.Fragment(i)
			if len(f) > room {
				t.Fatal("too long for its room")
			}
			for range 1 + i%2 { // some twice
				w, err := a.Add(Bulk, f, time.Duration(n)*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if w != nil {
					got = w
					if count++; n != s.Data-1 {
						t.Fatalf("%d of %d were needed", n+1, s.Data)
					}
				}
			}
		}
		if count != 1 || !bytes.Equal(got, content) {
			t.Fatalf("%d times, %x", count, got)
		}
	})
}

func rangeOf(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestAskingForMoreHealsALossOfTwentyPercent(t *testing.T) {
	content := bytes.Repeat([]byte("move to the school; "), 40)
	rapid.Check(t, func(t *rapid.T) {
		s, err := NewSplit(content, 5, 67)
		if err != nil {
			t.Fatal(err)
		}
		var a Assembler
		var whole []byte
		send := func(all [][]byte) {
			for _, f := range all {
				if rapid.IntRange(0, 4).Draw(t, "lost") == 0 {
					continue
				}
				w, err := a.Add(Warning, f, 0)
				if err != nil {
					t.Fatal(err)
				}
				if w != nil {
					whole = w
				}
			}
		}
		send(s.First(3))
		for range 20 {
			if whole != nil {
				break
			}
			asked := a.Missing(0)
			if len(asked) == 0 { // nothing at all came
				send(s.First(3))
				continue
			}
			m, err := ReadMore(asked[0].Bytes())
			if err != nil || m != asked[0] {
				t.Fatal(m, asked[0], err)
			}
			send(s.More(m.Count))
		}
		if whole != nil && !bytes.Equal(whole, content) {
			t.Fatal("another content")
		}
	})
}

func TestAnAssemblerHoldsFewContentsAndLetsThemGo(t *testing.T) {
	var a Assembler
	for g := range uint8(100) {
		s, _ := NewSplit(bytes.Repeat([]byte{g}, 100), g, 67)
		if _, err := a.Add(Bulk, s.Fragment(0), time.Duration(g)); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.Missing(100)) != groupsKept {
		t.Error(len(a.Missing(100)))
	}
	if len(a.Missing(7*time.Hour)) != 0 {
		t.Error("old ones stay")
	}
	// Its number comes again with another size: a new content.
	one, _ := NewSplit(bytes.Repeat([]byte{1}, 100), 3, 67)
	two, _ := NewSplit(bytes.Repeat([]byte{2}, 200), 3, 67)
	a.Add(Bulk, one.Fragment(0), 0)
	var got []byte
	for i := range two.Data {
		got, _ = a.Add(Bulk, two.Fragment(i), 0)
	}
	if !bytes.Equal(got, bytes.Repeat([]byte{2}, 200)) {
		t.Errorf("%x", got)
	}
	if _, err := NewSplit(make([]byte, 2000), 0, 67); codeOf(err) != "wire.split" {
		t.Error(err)
	}
}

// TestParityIsTheCodeThatIsWrittenDown holds the library to the description in doc.go by arithmetic of its own.
func TestParityIsTheCodeThatIsWrittenDown(t *testing.T) {
	mul := func(a, b byte) (p byte) {
		for ; b > 0; b >>= 1 {
			if b&1 == 1 {
				p ^= a
			}
			if a&0x80 != 0 {
				a = a<<1 ^ 0x1D
			} else {
				a <<= 1
			}
		}
		return p
	}
	pow := func(a byte, n int) byte {
		p := byte(1)
		for range n {
			p = mul(p, a)
		}
		return p
	}
	inv := func(a byte) byte { return pow(a, 254) }
	for _, k := range []int{1, 2, 5, 16} {
		content := make([]byte, k*9-2)
		for i := range content {
			content[i] = byte(i*37 + k)
		}
		s, err := NewSplit(content, 0, 11)
		if err != nil || s.Data != k {
			t.Fatal(err, s.Data)
		}
		// The polynomial of degree below k through the data at 0..k-1, at x = row: by Lagrange.
		for row := k; row < k+ShardsMost; row++ {
			for at := range 9 {
				want := byte(0)
				for i := range k {
					l := s.shards[i][at]
					for j := range k {
						if j != i {
							l = mul(l, mul(byte(row)^byte(j), inv(byte(i)^byte(j))))
						}
					}
					want ^= l
				}
				if s.shards[row][at] != want {
					t.Fatalf("k %d, shard %d, byte %d: %02x, want %02x", k, row, at, s.shards[row][at], want)
				}
			}
		}
	}
}

func someEnvelope(t *rapid.T) Envelope {
	e := Envelope{
		ID:    ID{rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`).Draw(t, "station"), rapid.Uint64().Draw(t, "boot"), rapid.Uint64Range(0, counterMost).Draw(t, "sequence")},
		Class: Class(rapid.IntRange(0, 5).Draw(t, "class")), Slot: rapid.StringN(0, 16, 64).Draw(t, "slot"), To: rapid.StringN(0, 16, 64).Draw(t, "to"),
		Created: rapid.Int64Range(0, counterMost).Draw(t, "created"), Trust: uint8(rapid.IntRange(0, 3).Draw(t, "trust")),
		Deadline: rapid.Uint32().Draw(t, "deadline"), Type: rapid.Byte().Draw(t, "type"), Content: rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "content"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "extensions") {
		e.Extensions = append(e.Extensions, Extension{uint8(rapid.IntRange(1, 127).Draw(t, "x")), rapid.Bool().Draw(t, "must"), rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes")})
	}
	return e
}

func TestAnEnvelopeComesBackAndAnyChangeBreaksItsSeal(t *testing.T) {
	k := keysOf(t, 7, 4)
	rapid.Check(t, func(t *rapid.T) {
		e := someEnvelope(t)
		keys := k
		if rapid.Bool().Draw(t, "plain") {
			keys = nil
		}
		b, err := e.Append(nil, keys, Up)
		if err != nil {
			t.Fatal(err)
		}
		o, err := OpenEnvelope(b, 1000, []*Keys{k}, Up)
		if err != nil || !reflect.DeepEqual(o.Envelope, e) || o.Sealed != (keys != nil) {
			t.Fatalf("%+v\n%+v\n%v", o, e, err)
		}
		if o.Unknown != slices.ContainsFunc(e.Extensions, func(x Extension) bool { return x.Must }) {
			t.Fatal("a critical extension is not told")
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := OpenEnvelope(b[:cut], 1000, []*Keys{k}, Up); err == nil {
			t.Fatalf("cut to %d of %d it opens", cut, len(b))
		}
		if keys != nil {
			i := rapid.IntRange(1, len(b)*8-1).Draw(t, "bit")
			b[i/8] ^= 1 << (i % 8)
			if o, err := OpenEnvelope(b, 1000, []*Keys{k}, Up); err == nil && o.Sealed {
				t.Fatalf("bit %d changed and the seal holds", i)
			}
		}
	})
	e := Envelope{ID: ID{Station: "a"}, Content: make([]byte, 2000)}
	b, _ := e.Append(nil, nil, Up)
	if _, err := OpenEnvelope(b, 1000, nil, Up); codeOf(err) != "wire.too_long" {
		t.Error(err)
	}
}

func TestADatagramIsOpenedOnceByItsKeysOnly(t *testing.T) {
	k, old := keysOf(t, 7, 4), keysOf(t, 7, 3)
	c, w := NewCounter(0, kept), &Window{}
	b, err := SealDatagram([]byte("sixty bytes of telemetry"), 77, k, Up, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 24+DatagramOverhead {
		t.Error(len(b))
	}
	if i, ok := DatagramIndex(b); !ok || i != 77 {
		t.Error(i, ok)
	}
	for i := range len(b) * 8 {
		bad := bytes.Clone(b)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, err := OpenDatagram(bad, []*Keys{old, k}, Up, w); err == nil {
			t.Fatalf("bit %d", i)
		}
	}
	if _, _, err := OpenDatagram(b, []*Keys{k}, Down, w); err == nil {
		t.Error("it opens in the other direction")
	}
	if got, n, err := OpenDatagram(b, []*Keys{old, k}, Up, w); err != nil || n != 1 || string(got) != "sixty bytes of telemetry" {
		t.Error(string(got), n, err)
	}
	if _, _, err := OpenDatagram(b, []*Keys{k}, Up, w); !Replayed(err) {
		t.Error(err)
	}
}

func TestAClockComesBack(t *testing.T) {
	c := Clock{1_790_000_000_123, 10}
	if got, err := ReadClock(c.Bytes()); err != nil || got != c {
		t.Error(got, err)
	}
}
