package line

import (
	"bytes"
	"testing"
	"time"
)

// at115k is a quick line with units 1 and 2.
func at115k(t *testing.T, cfg Config) (*Line, *port) {
	t.Helper()
	cfg.Baud = 115200
	l := newLine(t, cfg)
	l.Attach(1, pattern(1))
	l.Attach(2, pattern(2))
	return l, openPort(t, l.Path(), 115200)
}

const (
	enough = 5 * time.Second        // for what must come
	quiet  = 100 * time.Millisecond // for what must not
)

var (
	read1 = []byte{3, 0, 7, 0, 1}
	good1 = Frame(1, []byte{3, 2, 0x03, 0xEF})
)

// soon waits for what must become true.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(enough); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("not in time: %s", what)
			return
		}
	}
}

func TestEachFaultDoesWhatItSays(t *testing.T) {
	bad := bytes.Clone(good1)
	bad[len(bad)-1] ^= 0x5A
	for name, c := range map[string]struct {
		fault  Fault
		heard  []byte
		silent bool
		clean  int // answers counted
	}{
		"healthy":        {Fault{}, good1, false, 1},
		"dead":           {Fault{Dead: true}, nil, true, 0},
		"dropped":        {Fault{Drop: true}, nil, true, 0},
		"garbage before": {Fault{Garbage: []byte{0xFF, 0x00}}, append([]byte{0xFF, 0x00}, good1...), false, 1},
		"garbage only":   {Fault{Garbage: []byte{9, 8, 7}, InPlace: true}, []byte{9, 8, 7}, false, 0},
		"wrong unit":     {Fault{WrongUnit: 2}, Frame(2, []byte{3, 2, 0x03, 0xEF}), false, 0},
		"half":           {Fault{HalfFrame: true}, good1[:3], false, 0},
		"exception":      {Fault{Exception: DeviceBusy}, Frame(1, []byte{0x83, 6}), false, 1},
		"twice":          {Fault{Duplicate: true}, append(bytes.Clone(good1), good1...), false, 2},
		"bad CRC":        {Fault{BadCRC: true}, bad, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l, p := at115k(t, Config{})
			l.SetFault(1, c.fault)
			p.send(t, Frame(1, read1))
			limit := enough
			if c.silent {
				limit = quiet
			}
			b, _ := p.want(len(c.heard), limit)
			if !bytes.Equal(b, c.heard) {
				t.Errorf("heard % X, want % X", b, c.heard)
			}
			if more, _ := p.want(1, 20*time.Millisecond); len(more) > 0 {
				t.Errorf("then % X", more)
			}
			soon(t, "counted as asked and answered", func() bool {
				n := l.Counters()
				return n.Requests == 1 && n.Answers == c.clean && (n.Unanswered == 1) == c.silent
			})
			l.ClearFault(1)
			p.send(t, Frame(1, read1))
			if b, _ := p.want(len(good1), enough); !bytes.Equal(b, good1) {
				t.Errorf("healed, heard % X", b)
			}
		})
	}
}

func TestADroppedAnswerWasActedOnADeadUnitDidNothing(t *testing.T) {
	l, p := at115k(t, Config{})
	acted := make(chan struct{}, 9)
	l.Attach(3, UnitFunc(func(pdu []byte, _ time.Time) ([]byte, Exception) {
		acted <- struct{}{}
		return pdu, 0
	}))
	l.SetFault(3, Fault{Dead: true})
	p.send(t, Frame(3, []byte{6, 0, 0, 0, 1}))
	p.want(1, quiet)
	soon(t, "the dead unit was asked", func() bool { return l.Counters().Unanswered == 1 })
	if len(acted) != 0 {
		t.Error("a dead unit acted")
	}
	l.SetFault(3, Fault{Drop: true})
	p.send(t, Frame(3, []byte{6, 0, 0, 0, 1}))
	soon(t, "a unit whose answer is lost acts", func() bool { return len(acted) == 1 })
}

func TestALateUnitHoldsUpNobodyElseAndAnswersInTurn(t *testing.T) {
	const late = time.Second
	l, p := at115k(t, Config{})
	l.SetFault(1, Fault{Late: late, Times: 1})
	sent := p.send(t, Frame(1, read1))
	p.want(1, 20*time.Millisecond)
	between := p.send(t, Frame(2, read1))
	good2 := Frame(2, []byte{3, 2, 0x07, 0xD7})
	b, _ := p.want(len(good2), enough)
	if time.Since(sent) > late {
		t.Skip("the machine is too busy to tell")
	}
	if !bytes.Equal(b, good2) {
		t.Fatalf("the other unit, asked %v after the first: % X", between.Sub(sent), b)
	}
	p.send(t, Frame(1, []byte{3, 0, 8, 0, 1})) // asked before the late answer is there
	second := Frame(1, []byte{3, 2, 0x03, 0xF0})
	b, at := p.want(len(good1)+len(second), enough)
	if want := append(bytes.Clone(good1), second...); !bytes.Equal(b, want) {
		t.Fatalf("heard % X, want % X", b, want)
	}
	if d := at[0].Sub(sent); d < late {
		t.Errorf("the late answer came after %v", d)
	}
}

func TestOnlyEachNthIsHit(t *testing.T) {
	l, p := at115k(t, Config{})
	var hits []int
	l.SetFault(1, Fault{Every: 3, LateBy: func(n int) time.Duration { hits = append(hits, n); return 0 }, Exception: DeviceFailure})
	var got []byte
	for range 7 {
		p.send(t, Frame(1, read1))
		b, _ := p.want(5, enough)
		p.want(2, 20*time.Millisecond)
		got = append(got, b[1])
	}
	if want := []byte{3, 3, 0x83, 3, 3, 0x83, 3}; !bytes.Equal(got, want) {
		t.Errorf("functions % X, want % X", got, want)
	}
	soon(t, "all counted", func() bool {
		c := l.Counters()
		return c.Exceptions == 2 && c.Units[1] == (UnitCounters{Requests: 7, Answers: 7, Exceptions: 2, Faults: 2})
	})
	if len(hits) != 2 || hits[1] != 2 {
		t.Errorf("hits %v", hits)
	}
}

func TestNoiseAndBlobsAreCounted(t *testing.T) {
	l, p := at115k(t, Config{})
	if err := l.Blob(200_000); err != nil {
		t.Fatal(err)
	}
	if b, _ := p.want(200_000, 2*enough); len(b) != 200_000 {
		t.Errorf("%d bytes of the blob came", len(b))
	}
	if err := l.Noise(500); err != nil {
		t.Fatal(err)
	}
	if b, _ := p.want(20, enough); len(b) < 20 {
		t.Errorf("%d bytes of noise came", len(b))
	}
	if err := l.Noise(0); err != nil {
		t.Fatal(err)
	}
	soon(t, "noise counted", func() bool { return l.Counters().NoiseBytes >= 200_020 })
	p.want(1, 50*time.Millisecond)
	p.send(t, Frame(1, read1))
	if b, _ := p.want(len(good1), enough); !bytes.Equal(b, good1) {
		t.Errorf("after the noise: % X", b)
	}
}

func TestWhatIsNoFrameIsNotAnswered(t *testing.T) {
	l, p := at115k(t, Config{})
	bad := Frame(1, read1)
	bad[6]++
	p.send(t, bad)
	p.send(t, []byte{1, 3, 0})
	if b, _ := p.want(1, quiet); len(b) > 0 {
		t.Errorf("heard % X", b)
	}
	soon(t, "counted as bad", func() bool { c := l.Counters(); return c.BadFrames > 0 && c.Requests == 0 })
	p.send(t, Frame(1, []byte{0x2B, 14, 1, 0})) // only the silence can tell its length
	if b, _ := p.want(5, enough); !bytes.Equal(b, Frame(1, []byte{0xAB, 1})) {
		t.Errorf("unknown function: % X", b)
	}
	p.send(t, Frame(9, read1))
	if b, _ := p.want(1, quiet); len(b) > 0 {
		t.Errorf("nobody's id answered % X", b)
	}
}

func TestABroadcastIsObeyedAndNotAnswered(t *testing.T) {
	l, p := at115k(t, Config{})
	acted := make(chan byte, 9)
	for id := byte(3); id < 5; id++ {
		l.Attach(id, UnitFunc(func(pdu []byte, _ time.Time) ([]byte, Exception) { acted <- id; return pdu, 0 }))
	}
	l.SetFault(4, Fault{Dead: true})
	p.send(t, Frame(0, []byte{5, 0, 0, 0xFF, 0}))
	if b, _ := p.want(1, quiet); len(b) > 0 {
		t.Errorf("answered % X", b)
	}
	soon(t, "the one that lives obeys", func() bool { return len(acted) == 1 })
	if id := <-acted; id != 3 {
		t.Errorf("unit %d obeyed", id)
	}
}

func TestDiagnosticsEchoAndCount(t *testing.T) {
	_, p := at115k(t, Config{})
	echo := Frame(1, []byte{8, 0, 0, 0xA5, 0x37}) // Application Protocol V1.1b3, 6.8: the example
	p.send(t, echo)
	if b, _ := p.want(8, enough); !bytes.Equal(b, echo) {
		t.Errorf("echo % X", b)
	}
	p.want(1, 10*time.Millisecond)
	p.send(t, Frame(1, []byte{8, 0, 0x0E, 0, 0}))
	if b, _ := p.want(8, enough); !bytes.Equal(b, Frame(1, []byte{8, 0, 0x0E, 0, 2})) {
		t.Errorf("messages to this unit: % X", b)
	}
}

func TestAnEchoingAdapterGivesBackOnesOwnWords(t *testing.T) {
	_, p := at115k(t, Config{Echo: true})
	ask := Frame(1, read1)
	p.send(t, ask)
	if b, _ := p.want(len(ask)+len(good1), enough); !bytes.Equal(b, append(ask, good1...)) {
		t.Errorf("heard % X", b)
	}
}

func TestAnotherSpeedIsNotUnderstood(t *testing.T) {
	l := newLine(t, Config{Baud: 19200, CheckBaud: true})
	l.Attach(1, pattern(1))
	p := openPort(t, l.Path(), 9600)
	p.send(t, Frame(1, read1))
	if b, _ := p.want(1, quiet); len(b) > 0 {
		t.Errorf("heard % X", b)
	}
	soon(t, "counted as bad", func() bool { c := l.Counters(); return c.BadFrames == 1 && c.Requests == 0 })
	p.close()
	q := openPort(t, l.Path(), 19200)
	q.send(t, Frame(1, read1))
	if b, _ := q.want(len(good1), enough); !bytes.Equal(b, good1) {
		t.Errorf("at its speed: % X", b)
	}
}

// overlap asks for a long answer and, while it is on the wire, for another. It
// gives all that was heard, which should be n bytes.
func overlap(t *testing.T, l *Line, n int) []byte {
	t.Helper()
	out := make(chan struct{}, 9)
	l.OnAnswer(func(byte, []byte, time.Time) { out <- struct{}{} })
	l.Attach(1, pattern(1))
	p := openPort(t, l.Path(), 1200)
	p.send(t, Frame(1, []byte{3, 0, 0, 0, 20})) // 45 bytes of answer: 375 ms
	begun, _ := p.want(2, enough)
	p.send(t, Frame(1, read1))
	if len(out) > 0 || len(begun) >= 45 {
		t.Skip("the machine is too busy to tell")
	}
	rest, _ := p.want(n-len(begun), enough)
	more, _ := p.want(1, quiet)
	return append(append(begun, rest...), more...)
}

func TestWhatOverlapsOnCopperIsLost(t *testing.T) {
	l := newLine(t, Config{Baud: 1200, Garble: true})
	if b := overlap(t, l, 45); len(b) != 45 || whole(b) {
		t.Errorf("heard % X", b)
	}
	soon(t, "counted as lost", func() bool {
		c := l.Counters()
		return c.Collisions == 1 && c.Requests == 1 && c.Answers == 0
	})
}

func TestOtherwiseItWaitsItsTurn(t *testing.T) {
	l := newLine(t, Config{Baud: 1200})
	if b := overlap(t, l, 45+len(good1)); len(b) != 45+len(good1) || !whole(b[:45]) || !bytes.Equal(b[45:], good1) {
		t.Errorf("heard % X", b)
	}
	soon(t, "counted as answered", func() bool { c := l.Counters(); return c.Collisions == 1 && c.Answers == 2 })
}

func TestSaidBytesTakeTheirTime(t *testing.T) {
	l := newLine(t, Config{Baud: 2400})
	p := openPort(t, l.Path(), 2400)
	p.want(1, 20*time.Millisecond) // the line has seen that the port is open
	t0 := time.Now()
	if err := l.Say([]byte("$RAIN*00\r\n")); err != nil {
		t.Fatal(err)
	}
	b, at := p.want(10, enough)
	if string(b) != "$RAIN*00\r\n" {
		t.Fatalf("heard %q", b)
	}
	if d := at[9].Sub(t0); d < 10*l.Char() {
		t.Errorf("all within %v", d)
	}
}
