package beidou

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Protocol is which sentences a terminal speaks.
type Protocol int

// The protocols.
const (
	BDS2 Protocol = iota + 2
	BDS3
)

// Card is the card in a terminal. Number 0: there is none.
type Card struct {
	Number, Broadcast uint64
	Frequency         int // seconds
	Level             int
	Encrypted         bool
}

// Ways are how a terminal behaves beside what its protocol says.
type Ways struct {
	// Beams is the power of its beams: 0 to 4 for BeiDou-2, dBHz for BeiDou-3.
	// None: it hears no satellite.
	Beams []int
	// Silenced: the system orders silence.
	Silenced bool
	// Cut: what is too long is cut and sent, instead of refused.
	Cut bool
	// Mute: the part of the outcomes that are never said. Deaf: it answers nothing.
	Mute float64
	Deaf bool
	// Garbage is the part of the sentences with noise before them; Split writes
	// each in pieces of so many bytes, with pauses. Hurt spoils a byte of so many.
	Garbage, Hurt float64
	Split         int
	// NoPeriod: its CCTCQ has no last field. Spare: it has an empty one before it.
	NoPeriod, Spare bool
	// YesAndReason: with Y it says a reason other than 0.
	YesAndReason int
	// ShortBeams leaves out the last field of a beam. Off is how wrong its clock is;
	// NoTime says that it has none.
	ShortBeams bool
	Off        time.Duration
	NoTime     bool
}

// Terminal is one on a serial port.
type Terminal struct {
	sky   *Sky
	proto Protocol

	mu     sync.Mutex
	c      Card
	w      Ways
	last   time.Time // when it radiated last
	signal time.Duration
	out    chan string
	heard  []string
}

// Terminal puts a terminal with a card under the sky.
func (s *Sky) Terminal(p Protocol, c Card) *Terminal {
	t := &Terminal{sky: s, proto: p, c: c, w: Ways{Beams: []int{3, 2}}}
	if p == BDS3 {
		t.w.Beams = []int{44, 40}
	}
	s.mu.Lock()
	s.terminals = append(s.terminals, t)
	s.mu.Unlock()
	return t
}

// Set changes card and ways.
func (t *Terminal) Set(f func(*Card, *Ways)) { t.mu.Lock(); f(&t.c, &t.w); t.mu.Unlock() }

func (t *Terminal) card() Card { t.mu.Lock(); defer t.mu.Unlock(); return t.c }
func (t *Terminal) ways() Ways { t.mu.Lock(); defer t.mu.Unlock(); return t.w }

// Heard gives the sentences that came over the port.
func (t *Terminal) Heard() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.heard...)
}

// Serve answers on a port's other end until it ends.
func (t *Terminal) Serve(port io.ReadWriter) error {
	out, stop := make(chan string, 256), make(chan struct{})
	t.mu.Lock()
	t.out, t.signal = out, 0
	t.mu.Unlock()
	var work sync.WaitGroup
	work.Add(2)
	go func() { defer work.Done(); t.write(port, out, stop) }()
	go func() { defer work.Done(); t.beat(stop) }()
	defer func() {
		t.mu.Lock()
		if t.out == out {
			t.out = nil
		}
		t.mu.Unlock()
		close(stop)
		work.Wait()
	}()
	var line []byte
	b := make([]byte, 512)
	for {
		n, err := port.Read(b)
		if err != nil {
			return err
		}
		for _, x := range b[:n] {
			switch {
			case x == '$':
				line = append(line[:0], x)
			case x == '\n' && len(line) > 0:
				t.hear(strings.TrimRight(string(line), "\r"))
				line = line[:0]
			case len(line) > 0 && len(line) < 8192:
				line = append(line, x)
			}
		}
	}
}

// beat says the signal at its period.
func (t *Terminal) beat(stop chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	since := time.Duration(0)
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		since += time.Second
		t.mu.Lock()
		every := t.signal
		t.mu.Unlock()
		if every > 0 && since >= every {
			since = 0
			t.say(t.signalSentence())
		}
	}
}

// say queues a sentence's body.
func (t *Terminal) say(body string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.out == nil || t.w.Deaf {
		return
	}
	select {
	case t.out <- body:
	default:
	}
}

func (t *Terminal) write(port io.Writer, out chan string, stop chan struct{}) {
	for {
		var body string
		select {
		case <-stop:
			return
		case body = <-out:
		}
		w := t.ways()
		s := []byte(Frame(body))
		if w.Hurt > 0 && t.sky.random() < w.Hurt {
			s[1+int(t.sky.random()*float64(len(s)-6))] ^= 0x04
		}
		if w.Garbage > 0 && t.sky.random() < w.Garbage {
			noise := make([]byte, 1+int(t.sky.random()*60))
			for i := range noise {
				noise[i] = byte(t.sky.random() * 256)
			}
			s = append(append(noise, "\r\n"...), s...)
		}
		step := len(s)
		if w.Split > 0 {
			step = w.Split
		}
		for i := 0; i < len(s); i += step {
			if _, err := port.Write(s[i:min(len(s), i+step)]); err != nil {
				return
			}
			if w.Split > 0 {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
			}
		}
	}
}

// Frame puts $, the checksum and the end around a sentence's body.
func Frame(body string) string {
	var x byte
	for _, c := range []byte(body) {
		x ^= c
	}
	return fmt.Sprintf("$%s*%02X\r\n", body, x)
}

func (t *Terminal) hear(s string) {
	body, sum, ok := strings.Cut(strings.TrimPrefix(s, "$"), "*")
	if !ok || strings.TrimRight(Frame(body), "\r\n") != "$"+body+"*"+strings.ToUpper(sum) {
		return
	}
	t.mu.Lock()
	t.heard = append(t.heard, body)
	t.mu.Unlock()
	f := strings.Split(body, ",")
	switch f[0] {
	case "CCICA":
		if t.proto == BDS2 && len(f) == 3 {
			t.say(t.cardSentence())
		}
	case "CCICR":
		if t.proto == BDS3 && len(f) == 3 {
			t.say(t.cardSentence())
		}
	case "CCRMO":
		name := map[Protocol]string{BDS2: "BSI", BDS3: "PWI"}[t.proto]
		if len(f) == 4 && f[1] == name {
			n, _ := strconv.Atoi(f[3])
			if f[2] != "2" {
				n = 0
			}
			t.mu.Lock()
			t.signal = time.Duration(n) * time.Second
			t.mu.Unlock()
		}
	case "CCTXA":
		if t.proto == BDS2 && len(f) == 5 {
			t.send(f[1], f[3], f[4], map[string]Coding{"0": Hanzi, "1": Code, "2": Mixed}, f[2] == "1")
		}
	case "CCTCQ":
		want := 7
		w := t.ways()
		if w.NoPeriod {
			want--
		}
		if w.Spare {
			want++
		}
		if t.proto == BDS3 && len(f) == want {
			t.send(f[1], f[4], f[5], map[string]Coding{"1": Hanzi, "2": Code, "3": Mixed}, f[2] >= "1" && f[2] <= "5")
		}
	}
}

func (t *Terminal) cardSentence() string {
	c := t.card()
	if t.proto == BDS2 {
		e := "N"
		if c.Encrypted {
			e = "E"
		}
		return fmt.Sprintf("BDICI,%07d,0,%07d,3,%d,%d,%s,0", c.Number, c.Broadcast, c.Frequency, c.Level, e)
	}
	level := c.Level
	if level == 5 {
		level = 0
	}
	return fmt.Sprintf("BDICP,%d,%d,0,3,0,N,2,N,1,0,0,3,1,%d,%d,0,0,0,0,0,0,0,0", c.Number, c.Broadcast, c.Frequency, level)
}

func (t *Terminal) signalSentence() string {
	w := t.ways()
	if t.proto == BDS2 {
		f := []string{"BDBSI", "01", "03"}
		for i := range 10 {
			p := 0
			if i < len(w.Beams) {
				p = w.Beams[i]
			}
			f = append(f, strconv.Itoa(p))
		}
		return strings.Join(f, ",")
	}
	clock := time.Now().UTC().Add(w.Off).Format("150405.00")
	if w.NoTime {
		clock = "000000.00"
	}
	f := []string{"BDPWI", clock, "00", fmt.Sprintf("%02d", len(w.Beams))}
	for i, p := range w.Beams {
		f = append(f, strconv.Itoa(51+i), strconv.Itoa(p), strconv.Itoa(p-7))
		if !w.ShortBeams {
			f = append(f, "0")
		}
	}
	return strings.Join(f, ",")
}

// bits is how much a level allows: BeiDou-2's two tables, and 14,000 at the top of
// BeiDou-3.
func (t *Terminal) bits(c Card) int {
	table := []int{110, 408, 628, 848, 14000}
	if t.proto == BDS2 {
		table = table[:4]
		if c.Encrypted {
			table = []int{140, 360, 580, 1680}
		}
	}
	if c.Level < 1 || c.Level > len(table) {
		return 0
	}
	return table[c.Level-1]
}

// send does what a terminal does with a sentence that is to send.
func (t *Terminal) send(to, coding, content string, codings map[string]Coding, sound bool) {
	t.mu.Lock()
	c, w, last := t.c, t.w, t.last
	t.mu.Unlock()
	now := time.Now()
	left := 0
	if d := time.Duration(c.Frequency)*time.Second - now.Sub(last); !last.IsZero() && d > 0 {
		left = int(math.Ceil(d.Seconds()))
	}
	dest, err := strconv.ParseUint(to, 10, 64)
	code, known := codings[coding]
	size := 4 * len(content)
	if code == Hanzi {
		size = 7 * len(content) // 14 bits a character of two bytes
	}
	switch {
	case !sound || err != nil || !known || content == "" || code != Hanzi && strings.Trim(content, "0123456789ABCDEFabcdef") != "" || code == Mixed && !strings.HasPrefix(content, "A4"):
		t.outcome(false, true, 0, 0)
		return
	case c.Number == 0:
		t.outcome(false, true, 5, 0)
		return
	case w.Silenced:
		t.outcome(false, true, 2, 0)
		return
	case len(w.Beams) == 0:
		t.outcome(false, true, 4, 0)
		return
	case left > 0:
		t.outcome(false, false, 1, left)
		return
	case size > t.bits(c):
		if !w.Cut || code == Hanzi {
			t.outcome(false, true, 6, 0)
			return
		}
		content = content[:t.bits(c)/4]
	}
	t.mu.Lock()
	t.last = now
	t.mu.Unlock()
	t.outcome(true, true, w.YesAndReason, 0)
	t.sky.Radiate(Message{From: c.Number, To: dest, Content: content, Coding: code})
}

func (t *Terminal) outcome(done, frequency bool, reason, left int) {
	if w := t.ways(); w.Mute > 0 && t.sky.random() < w.Mute {
		return
	}
	yn := func(b bool) string {
		if b {
			return "Y"
		}
		return "N"
	}
	if t.proto == BDS2 {
		// Its reasons end at 4 and begin with the system's silence: a missing card has
		// none, and being early is said by the field before.
		r := map[int]int{2: 1, 4: 4}[reason]
		t.say(fmt.Sprintf("BDFKI,TXA,%s,%s,%d,%02d%02d", yn(done), yn(frequency), r, 0, min(left, 99)))
		return
	}
	t.say(fmt.Sprintf("BDFKI,%s,TCQ,%s,%d,%d", time.Now().UTC().Format("150405"), yn(done), reason, left))
}

// arrive says a message that came, if the terminal hears anything.
func (t *Terminal) arrive(m Message, broadcast bool) {
	c, w := t.card(), t.ways()
	if len(w.Beams) == 0 || c.Number == 0 {
		return
	}
	if t.proto == BDS2 {
		kind := 1
		if broadcast {
			kind = 3
		}
		t.say(fmt.Sprintf("BDTXR,%d,%07d,%d,,%s", kind, m.From, int(m.Coding), m.Content))
		return
	}
	t.say(fmt.Sprintf("BDTCI,%d,%d,2,%s,%d,0,%s", m.From, m.To, m.At.UTC().Format("150405"), int(m.Coding)+1, m.Content))
}
