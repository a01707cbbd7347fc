package cell

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Phone is a subscriber whom the modem may call. The zero value never answers.
type Phone struct {
	// Busy speaks with somebody else; Off is in no network.
	Busy, Off bool
	// Rings is how long the network takes until it rings, Answers how long it then
	// rings; 0: for ever.
	Rings, Answers time.Duration
	// Hangs is after how long the one who answered hangs up; 0: never.
	Hangs time.Duration
	// Presses are the keys that are pressed, by the time since the answer.
	Presses []Press
}

// Press is a key that is pressed for a fifth of a second.
type Press struct {
	After time.Duration
	Key   byte
}

// Talk is a call as the network saw it.
type Talk struct {
	Number        string
	Rang, Answers bool
	// Heard is what the subscriber heard, 8000 samples a second.
	Heard []int16
	// ByModem: the modem hung up. Lost counts the samples that came faster than they
	// could be spoken.
	ByModem bool
	Lost    int
	Ended   bool
}

// What +CLCC says of a call (3GPP TS 27.007, section 7.18).
const (
	active   = 0
	dialling = 2
	alerting = 3
)

// line is the call that is on.
type line struct {
	*Talk
	state   int
	answer  time.Time
	taken   int  // samples
	half    bool // an odd byte came
	odd     byte
	through bool // the subscriber has really answered
	done    chan struct{}
}

// The dialects of modems, as their makers' manuals have them: SIMCom's SIM7600
// series and Quectel's EC2x series; and what 3GPP's standard has and no more.
const (
	SIMCom  = "simcom"
	Quectel = "quectel"
	Plain   = "plain"
)

// Subscribe gives a number its telephone.
func (m *Modem) Subscribe(number string, p Phone) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phones[number] = p
}

// Talks gives the calls of the modem, oldest first.
func (m *Modem) Talks() (out []Talk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.talks {
		c := *t
		c.Heard = append([]int16(nil), t.Heard...)
		out = append(out, c)
	}
	return out
}

// Ring lets somebody call the modem, until it is refused or ten rings are over; it
// tells whether it was refused.
func (m *Modem) Ring(number string) bool {
	m.mu.Lock()
	m.incoming = number
	m.mu.Unlock()
	for i := range 100 {
		m.mu.Lock()
		on := m.incoming != ""
		if on && i%10 == 0 {
			m.news("RING")
			m.news(`+CLIP: "` + number + `",145,,,,0`)
		}
		m.mu.Unlock()
		if !on {
			return true
		}
		time.Sleep(300 * time.Millisecond)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	refused := m.incoming == ""
	m.incoming = ""
	return refused
}

// calling takes the commands of calls; false where it is none.
func (m *Modem) calling(c string, say func(string, ...any)) bool {
	d := m.w.Dialect
	on := func(yes bool, set *bool, to bool) {
		if yes {
			*set = to
			say("OK")
		} else {
			say("ERROR")
		}
	}
	switch {
	case strings.HasPrefix(c, "ATD") && strings.HasSuffix(c, ";"):
		m.dial(c[3:len(c)-1], say)
	case c == "AT+CHUP", c == "ATH":
		m.incoming = ""
		say("OK")
		m.end(true)
	case c == "AT+CLCC":
		s := ""
		if d == Quectel { // the connection for data is listed too
			s += "+CLCC: 2,0,0,1,0,\"\",128\r\n"
		}
		if l := m.line; l != nil {
			kind := 129
			if strings.HasPrefix(l.Number, "+") {
				kind = 145
			}
			s += fmt.Sprintf("+CLCC: 1,0,%d,0,0,\"%s\",%d\r\n", l.state, l.Number, kind)
		}
		if s != "" {
			s += "\r\n"
		}
		say("%sOK", s)
	case c == "AT+DDET=1", c == "AT+DDET=0":
		on(d == SIMCom, &m.keys, c == "AT+DDET=1")
	case c == "AT+QTONEDET=1", c == "AT+QTONEDET=0":
		on(d == Quectel, &m.keys, c == "AT+QTONEDET=1")
	case c == "AT+CPCMFRM=0":
		on(d == SIMCom, new(bool), true)
	case c == "AT+CPCMREG=1":
		on(d == SIMCom && m.line != nil && m.line.state == active, &m.sound, true)
	case c == "AT+CPCMREG=0":
		on(d == SIMCom, &m.sound, false)
	case c == "AT+QPCMV=1,0":
		on(d == Quectel, &m.sound, true)
	case c == "AT+QPCMV=0":
		on(d == Quectel, &m.sound, false)
	default:
		return false
	}
	return true
}

func (m *Modem) dial(number string, say func(string, ...any)) {
	p, known := m.phones[number]
	switch {
	case m.line != nil:
		say("ERROR")
		return
	case m.w.Unregistered && m.w.Dialect == Quectel:
		say("+CME ERROR: 30")
		return
	case m.w.Unregistered:
		say("NO CARRIER")
		return
	}
	say("OK")
	l := &line{Talk: &Talk{Number: number}, state: dialling, done: make(chan struct{})}
	m.line, m.talks = l, append(m.talks, l.Talk)
	go m.happen(l, p, known)
}

// happen is the network's side of a call.
func (m *Modem) happen(l *line, p Phone, known bool) {
	after := func(d time.Duration, f func()) bool {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-l.done:
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.line != l {
			return false
		}
		f()
		return m.line == l
	}
	if m.w.FalseEnd {
		after(500*time.Millisecond, func() { m.news("NO CARRIER") })
	}
	soon := p.Rings
	if soon == 0 {
		soon = 2 * time.Second
	}
	if !known || p.Off {
		after(soon, func() { m.over("NO CARRIER") })
		return
	}
	if p.Busy {
		after(soon, func() { m.over("BUSY") })
		return
	}
	if !after(p.Rings, func() {
		l.state, l.Rang = alerting, true
		if m.w.EarlyActive {
			m.begin(l)
		}
	}) {
		return
	}
	if p.Answers == 0 {
		after(2*time.Minute, func() { m.over("NO ANSWER") })
		return
	}
	if !after(p.Answers, func() { l.through, l.Answers, l.answer = true, true, time.Now(); m.begin(l) }) {
		return
	}
	passed := time.Duration(0)
	for _, k := range p.Presses {
		if p.Hangs > 0 && k.After >= p.Hangs {
			break
		}
		if !after(k.After-passed, func() { m.press(k.Key) }) {
			return
		}
		passed = k.After
	}
	if p.Hangs > 0 {
		after(p.Hangs-passed, func() { m.end(false) })
	}
}

// begin is what the modem says of an answer, once.
func (m *Modem) begin(l *line) {
	if l.state == active {
		return
	}
	l.state = active
	if m.w.Dialect == SIMCom {
		m.news("VOICE CALL: BEGIN")
	}
}

func (m *Modem) over(word string) {
	m.news(word)
	m.line.Ended = true
	m.free()
}

// end ends the call that is on.
func (m *Modem) end(byModem bool) {
	l := m.line
	if l == nil {
		return
	}
	l.ByModem, l.Ended = byModem, true
	if m.w.Dialect == SIMCom && l.state == active {
		m.news(fmt.Sprintf("VOICE CALL: END: %06d", int(time.Since(l.answer)/time.Second)))
	}
	if !byModem {
		m.news("NO CARRIER")
	}
	m.free()
}

func (m *Modem) free() {
	close(m.line.done)
	m.line, m.sound = nil, false
}

func (m *Modem) press(k byte) {
	switch {
	case m.w.Dialect == Plain || m.w.KeysInSound:
		if m.ear != nil {
			m.ear.Write(tone(k))
		}
	case !m.keys:
	case m.w.Dialect == Quectel:
		m.news(fmt.Sprintf("+QTONEDET: %d", k))
	default:
		m.news("+RXDTMF: " + string(rune(k)))
	}
}

// tone is a key as it is heard (ITU-T Q.23).
func tone(k byte) []byte {
	low, high := [4]float64{697, 770, 852, 941}, [4]float64{1209, 1336, 1477, 1633}
	var b []byte
	for r, row := range []string{"123A", "456B", "789C", "*0#D"} {
		c := strings.IndexByte(row, k)
		if c < 0 {
			continue
		}
		for i := range 1600 {
			x := float64(i) / 8000 * 2 * math.Pi
			v := int16(4000*math.Sin(low[r]*x) + 4000*math.Sin(high[c]*x))
			b = append(b, byte(v), byte(uint16(v)>>8))
		}
	}
	return b
}

// Sound serves the second port: what comes is heard by the subscriber while the
// call and its sound are on, as fast as it can be spoken with half a second in hand.
func (m *Modem) Sound(port io.ReadWriter) error {
	m.mu.Lock()
	m.ear = port
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.ear = nil; m.mu.Unlock() }()
	b := make([]byte, 4096)
	for {
		n, err := port.Read(b)
		if err != nil {
			return err
		}
		m.mu.Lock()
		if l := m.line; l != nil && m.sound && l.state == active {
			l.take(b[:n])
		}
		m.mu.Unlock()
	}
}

func (l *line) take(b []byte) {
	for _, x := range b {
		if l.half = !l.half; l.half {
			l.odd = x
			continue
		}
		if l.taken == 0 {
			l.answer = time.Now()
		}
		if float64(l.taken) > (time.Since(l.answer)+500*time.Millisecond).Seconds()*8000 {
			l.Lost++
			continue
		}
		l.taken++
		if l.through {
			l.Heard = append(l.Heard, int16(uint16(l.odd)|uint16(x)<<8))
		}
	}
}
