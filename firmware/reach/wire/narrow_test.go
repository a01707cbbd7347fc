package wire

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"tocsin/firmware/phrase"
)

func codeOf(err error) string {
	var e *phrase.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func keysOf(t testing.TB, first byte, epoch uint32) *Keys {
	t.Helper()
	root := bytes.Repeat([]byte{first}, RootSize)
	k, err := NewKeys(root, "441881102", epoch)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func kept(uint64) error { return nil }

func sender(t testing.TB, k *Keys, d Direction) *Sender {
	return &Sender{Keys: k, Direction: d, Counter: NewCounter(0, kept), Hidden: HideCommands}
}

func seal(t testing.TB, s *Sender, m Message, from string) []byte {
	t.Helper()
	b, err := s.Seal(m, from)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestANarrowMessageCostsElevenBytesAndComesBackAsItWas(t *testing.T) {
	k := keysOf(t, 7, 3)
	s, r := sender(t, k, Down), &Receiver{Keys: []*Keys{keysOf(t, 7, 2), k}, Direction: Down, Window: &Window{}, Hidden: HideCommands}
	for _, m := range []Message{
		{Class: Telemetry, Kind: Whole, Content: []byte("level")},
		{Class: Command, Kind: Whole, Content: []byte("stop the siren of hall 3")},
		{Class: Bulk, Kind: Fragment, Content: bytes.Repeat([]byte{9}, 67)},
		{Class: Receipt, Kind: AckOnly},
	} {
		b := seal(t, s, m, "4207733")
		if len(b) != len(m.Content)+11 || FormOf(b) != Narrow {
			t.Fatalf("%d bytes for %d", len(b), len(m.Content))
		}
		if hidden := len(m.Content) > 0 && !bytes.Contains(b, m.Content); hidden != (m.Class == Command) {
			t.Errorf("class %d: hidden is %v", m.Class, hidden)
		}
		got, err := r.Open(b, "4207733")
		if err != nil || got.Class != m.Class || got.Kind != m.Kind || !bytes.Equal(got.Content, m.Content) || got.Epoch != 3 {
			t.Errorf("%+v: %+v, %v", m, got, err)
		}
		if again, err := r.Open(b, "4207733"); !Replayed(err) || again.Counter != got.Counter || again.Content != nil {
			t.Errorf("once more: %+v, %v", again, err)
		}
	}
}

func TestWhatIsNotTheSendersIsRefused(t *testing.T) {
	k := keysOf(t, 7, 1)
	m := Message{Class: Alarm, Kind: Whole, Content: []byte("river 103.2 m")}
	good := seal(t, sender(t, k, Up), m, "4207733")
	for _, c := range []struct {
		name  string
		bytes []byte
		keys  *Keys
		way   Direction
		from  string
		want  string
	}{
		{"as sent", good, k, Up, "4207733", ""},
		{"another card", good, k, Up, "4207734", "wire.mac"},
		{"the other direction", good, k, Down, "4207733", "wire.mac"},
		{"another root", good, keysOf(t, 8, 1), Up, "4207733", "wire.mac"},
		{"another epoch", good, keysOf(t, 7, 2), Up, "4207733", "wire.mac"},
		{"empty", nil, k, Up, "4207733", "wire.form"},
		{"ten bytes", good[:10], k, Up, "4207733", "wire.length"},
		{"cut", good[:len(good)-1], k, Up, "4207733", "wire.mac"},
		{"longer", append(bytes.Clone(good), 0), k, Up, "4207733", "wire.mac"},
		{"text", []byte("$BDTXR,1,4207733,1,2337,9000*3F"), k, Up, "4207733", "wire.form"},
		{"class 7", append([]byte{0x9C}, good[1:]...), k, Up, "4207733", "wire.message"},
		{"far too long", append([]byte{0x80}, make([]byte, NarrowMost)...), k, Up, "4207733", "wire.length"},
	} {
		r := &Receiver{Keys: []*Keys{c.keys}, Direction: c.way, Window: &Window{}}
		if _, err := r.Open(c.bytes, c.from); codeOf(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := NewKeys([]byte("short"), "a", 1); codeOf(err) != "wire.root" {
		t.Error(err)
	}
}

// TestNothingForgedIsAccepted: of 10^5 messages (a tenth in a quick run) that were replayed, cut, changed by bits or sealed
// by a stranger, none is opened.
func TestNothingForgedIsAccepted(t *testing.T) {
	n := 10_000
	if !testing.Short() {
		n = 100_000
	}
	k, stranger := keysOf(t, 7, 1), keysOf(t, 9, 1)
	s, f := sender(t, k, Up), sender(t, stranger, Up)
	r := &Receiver{Keys: []*Keys{k}, Direction: Up, Window: &Window{}}
	good := [][]byte{}
	for range 64 {
		b := seal(t, s, Message{Class: Alarm, Content: []byte("river 103.2 m")}, "1")
		if _, err := r.Open(b, "1"); err != nil {
			t.Fatal(err)
		}
		good = append(good, b)
	}
	fresh := seal(t, s, Message{Class: Alarm, Content: []byte("river 104.0 m")}, "1")
	accepted := 0
	for i := range n {
		b := bytes.Clone(fresh)
		switch i % 4 {
		case 0:
			b = good[i/4%len(good)]
		case 1:
			b = b[:i/4%len(b)]
		case 2:
			bit := i / 4 % (len(b) * 8)
			b[bit/8] ^= 1 << (bit % 8)
			if j := i / 4 / (len(b) * 8) % (len(b) * 8); j != bit {
				b[j/8] ^= 1 << (j % 8)
			}
		case 3:
			if i%4096 == 3 {
				f = sender(t, stranger, Up)
			}
			b = seal(t, f, Message{Class: Alarm, Content: []byte("river 104.0 m")}, "1")
		}
		if _, err := r.Open(b, "1"); err == nil {
			accepted++
		}
	}
	if accepted != 0 {
		t.Errorf("%d of %d were accepted", accepted, n)
	}
	if _, err := r.Open(fresh, "1"); err != nil {
		t.Error("the genuine one is refused after all that:", err)
	}
}

func TestASenderThatLostPowerManyTimesUnheardIsStillUnderstood(t *testing.T) {
	k := keysOf(t, 7, 1)
	r := &Receiver{Keys: []*Keys{k}, Direction: Up, Window: &Window{}}
	reserved := uint64(0)
	for cut := range 200 {
		s := &Sender{Keys: k, Direction: Up, Counter: NewCounter(reserved, func(n uint64) error { reserved = n; return nil })}
		b := seal(t, s, Message{Class: Alarm, Content: []byte("on")}, "1")
		if cut == 0 || cut == 199 {
			if _, err := r.Open(b, "1"); err != nil {
				t.Fatalf("after %d cuts, counter about %d: %v", cut, reserved, err)
			}
		}
	}
}

// TestNoMessageCountsTwiceOverLossDisorderCopiesAndPowerCuts lets both ends lose power at any step: the sender
// comes back with its reserved counter, the receiver with its last kept window.
func TestNoMessageCountsTwiceOverLossDisorderCopiesAndPowerCuts(t *testing.T) {
	k := keysOf(t, 7, 1)
	rapid.Check(t, func(t *rapid.T) {
		reserved := uint64(0)
		newSender := func() *Sender {
			return &Sender{Keys: k, Direction: Up, Counter: NewCounter(reserved, func(n uint64) error { reserved = n; return nil })}
		}
		s, r := newSender(), &Receiver{Keys: []*Keys{k}, Direction: Up, Window: &Window{}}
		disk := r.Window.Snapshot()
		acted := map[string]int{}
		var air [][]byte
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				s = newSender()
			case 1:
				r.Window = &Window{}
				if err := r.Window.Restore(disk); err != nil {
					t.Fatal(err)
				}
			case 2, 3, 4:
				b, err := s.Seal(Message{Class: Alarm, Content: []byte{byte(i)}}, "1")
				if err != nil {
					t.Fatal(err)
				}
				air = append(air, b)
			default:
				if len(air) == 0 {
					continue
				}
				b := air[rapid.IntRange(0, len(air)-1).Draw(t, "which")] // copies and disorder; what is never drawn is lost
				m, err := r.Open(b, "1")
				if err != nil {
					if !Replayed(err) {
						t.Fatal(err)
					}
					continue
				}
				if rapid.IntRange(0, 4).Draw(t, "cut before it is kept") == 0 {
					r.Window.Release(m.Counter)
					continue
				}
				disk = r.Window.Snapshot()
				if acted[string(b)]++; acted[string(b)] > 1 {
					t.Fatalf("counter %d was acted upon twice", m.Counter)
				}
			}
		}
	})
}

func TestACounterIsNeverGivenTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk, dead := uint64(0), false
		keep := func(n uint64) error {
			if dead {
				return errors.New("dead")
			}
			disk = n
			return nil
		}
		c := NewCounter(disk, keep)
		seen := map[uint64]bool{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 12).Draw(t, "what") {
			case 0:
				c = NewCounter(disk, keep)
			case 1:
				dead = !dead
			default:
				for range rapid.IntRange(1, 300).Draw(t, "times") {
					n, err := c.Next()
					if err != nil {
						if !dead {
							t.Fatal(err)
						}
						break
					}
					if seen[n] || n == 0 {
						t.Fatalf("%d twice", n)
					}
					seen[n] = true
				}
			}
		}
	})
	c := NewCounter(0, kept)
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	c.reserve = func(uint64) error { return errors.New("the disk died") }
	for i := range 999 {
		if _, err := c.Next(); err != nil {
			t.Fatalf("with a dead disk only %d more go out", i)
		}
	}
	if _, err := c.Next(); codeOf(err) != "wire.counter_unkept" {
		t.Error(err)
	}
	if _, err := NewCounter(counterMost, kept).Next(); codeOf(err) != "wire.counter_spent" {
		t.Error(err)
	}
}

func TestAWindowIsThatOfASetOfNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Window
		taken, highest := map[uint64]bool{}, uint64(0)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			base := uint64(0)
			if highest > 400 {
				base = highest - 400
			}
			n := base + rapid.Uint64Range(0, 900).Draw(t, "n")
			old := n == 0 || n+WindowSize <= highest
			err := w.Take(n)
			if (err == nil) != (!old && !taken[n]) {
				t.Fatalf("%d with highest %d: %v", n, highest, err)
			}
			if err == nil {
				taken[n] = true
				highest = max(highest, n)
			}
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				s := w.Snapshot()
				w = Window{}
				if rapid.Bool().Draw(t, "late") && !taken[n+3] && n+3 > 0 {
					if w.Take(n+3) == nil { // something came before the state was read
						taken[n+3] = true
						highest = max(highest, n+3)
					}
				}
				if err := w.Restore(s); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	if err := new(Window).Restore(WindowState{Version: 2}); codeOf(err) != "wire.window_kept" {
		t.Error(err)
	}
}

func TestFirstBitsTellFormsApartAndTextIsNever(t *testing.T) {
	for b := range 256 {
		f := FormOf([]byte{byte(b), 0})
		if (b >= 0x20 && b < 0x7F || b == '\n' || b == '\r' || b == '\t' || b >= 0xC3) && f != Foreign {
			t.Errorf("%02x begins text in ASCII or UTF-8 and is taken for %d", b, f)
		}
		if b>>4 == 1 && f != CompactWarning || b>>5 == 4 && f != Narrow {
			t.Errorf("%02x is %d", b, f)
		}
	}
}
