// Package cell is a telephone modem and its network as the host on the modem's
// serial port meets them: a card that may be missing, a network that comes and
// goes, messages that are kept in a store of bounded size until they are deleted,
// errors with their codes, and subscribers who ring, answer or not, hear what is
// played and press keys. Written from 3GPP TS 27.005, TS 27.007 and TS 23.040, and for
// what makers add from the SIM7500/SIM7600 AT command manual V2.00 (SIMCom) and the
// EC20 AT commands manual V1.3 (Quectel); the few lines that read and write messages are
// its own. It imports nothing of firmware or drivers.
package cell

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Ways are how card, network and modem are.
type Ways struct {
	NoCard, Unregistered bool
	// Signal is AT+CSQ's 0 to 31; 99: not known.
	Signal int
	// Fail are the codes of +CMS ERROR for the next messages; 0 sends.
	Fail []int
	// Silent takes messages and says nothing of them. Deaf answers nothing.
	Silent, Deaf bool
	// Takes is how long the network takes for a message.
	Takes time.Duration
	// Echo repeats commands. NoNews does not tell of messages that came.
	Echo, NoNews bool
	// Dialect is whose modem it is: SIMCom (the default), Quectel, Plain.
	Dialect string
	// Split gives what it says in pieces of so many bytes; Amid puts its news into the
	// middle of answers.
	Split int
	Amid  bool
	// EarlyActive calls a call answered as soon as it rings, as some networks let
	// modems do; FalseEnd says once that it is over before it has begun.
	EarlyActive, FalseEnd bool
	// Holds keeps a call on when the port is closed.
	Holds bool
	// KeysInSound lets pressed keys be heard and says nothing of them.
	KeysInSound bool
}

// storeMost is how many messages the card keeps.
const storeMost = 20

// Modem is one with its network.
type Modem struct {
	mu    sync.Mutex
	w     Ways
	store map[int]string
	sent  []SMS
	lost  int
	out   io.Writer
	ref   int

	phones   map[string]Phone
	talks    []*Talk
	line     *line
	incoming string
	keys     bool // it tells keys
	sound    bool // sound runs
	ear      io.Writer
	waiting  []string // news for the middle of the next answer
}

// New makes one with a card in it, registered.
func New() *Modem {
	return &Modem{w: Ways{Signal: 20, Takes: time.Second, Dialect: SIMCom}, store: map[int]string{}, phones: map[string]Phone{}}
}

// pieces writes in pieces.
type pieces struct {
	m *Modem
	w io.Writer
}

func (p pieces) Write(b []byte) (int, error) {
	n := len(b)
	for step := p.m.w.Split; step > 0 && len(b) > step; b = b[step:] {
		if _, err := p.w.Write(b[:step]); err != nil {
			return 0, err
		}
	}
	_, err := p.w.Write(b)
	return n, err
}

// news is what it says by itself. The lock is held.
func (m *Modem) news(line string) {
	switch {
	case m.out == nil || m.w.Deaf:
	case m.w.Amid:
		m.waiting = append(m.waiting, line)
	default:
		fmt.Fprintf(m.out, "\r\n%s\r\n", line)
	}
}

// Set changes its ways.
func (m *Modem) Set(f func(*Ways)) { m.mu.Lock(); f(&m.w); m.mu.Unlock() }

// Sent gives the parts that the network took.
func (m *Modem) Sent() []SMS {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]SMS(nil), m.sent...)
}

// Stored tells how many messages the card holds, and how many found it full.
func (m *Modem) Stored() (held, lost int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.store), m.lost
}

// Say lets a message come.
func (m *Modem) Say(s SMS) { m.Come(deliver(s, time.Now())) }

// Come lets a PDU come as it is.
func (m *Modem) Come(pdu string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.store) >= storeMost {
		m.lost++
		return
	}
	i := 1
	for m.store[i] != "" {
		i++
	}
	m.store[i] = pdu
	if !m.w.NoNews {
		m.news(fmt.Sprintf("+CMTI: \"SM\",%d", i))
	}
}

// Serve answers on a port's other end until it ends.
func (m *Modem) Serve(port io.ReadWriter) error {
	port = struct {
		io.Reader
		io.Writer
	}{port, pieces{m, port}}
	m.mu.Lock()
	m.out = port
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.out = nil
		if !m.w.Holds {
			m.end(true)
		}
	}()
	var buf []byte
	want := 0 // octets of a message that is awaited
	b := make([]byte, 512)
	for {
		n, err := port.Read(b)
		if err != nil {
			return err
		}
		buf = append(buf, b[:n]...)
		for {
			if want > 0 {
				i := bytes.IndexAny(buf, "\x1a\x1b")
				if i < 0 {
					break
				}
				if buf[i] == 0x1a {
					m.send(port, strings.TrimSpace(string(buf[:i])), want)
				} else {
					m.mu.Lock()
					io.WriteString(port, "\r\nOK\r\n")
					m.mu.Unlock()
				}
				buf, want = buf[i+1:], 0
				continue
			}
			i := bytes.IndexByte(buf, '\r')
			if i < 0 {
				break
			}
			line := strings.Trim(string(buf[:i]), "\x1b\r\n ")
			buf = buf[i+1:]
			if line != "" {
				want = m.command(port, line)
			}
		}
	}
}

func (m *Modem) command(port io.Writer, line string) (want int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.w.Deaf {
		return 0
	}
	say := func(f string, v ...any) {
		s := "\r\n" + fmt.Sprintf(f, v...) + "\r\n"
		if i := strings.LastIndex(s, "\r\nOK\r\n"); i >= 0 && len(m.waiting) > 0 {
			s = s[:i] + "\r\n" + strings.Join(m.waiting, "\r\n\r\n") + "\r\n" + s[i:]
			m.waiting = nil
		}
		io.WriteString(port, s)
	}
	if m.w.Echo {
		io.WriteString(port, line+"\r")
	}
	switch {
	case line == "AT", line == "ATE0", line == "AT+CMEE=1", line == "AT+CMGF=0", line == "AT+CNMI=2,1,0,0,0":
		say("OK")
	case m.w.NoCard:
		say("+CME ERROR: 10")
	case line == "AT+CPIN?":
		say("+CPIN: READY\r\n\r\nOK")
	case line == "AT+CIMI":
		say("460001234567890\r\n\r\nOK")
	case line == "AT+CSQ":
		say("+CSQ: %d,99\r\n\r\nOK", m.w.Signal)
	case line == "AT+CREG?" || line == "AT+CEREG?":
		s := 1
		if m.w.Unregistered || line == "AT+CREG?" { // registered for packets, as newer networks have it
			s = 2
		}
		say("%s: 0,%d\r\n\r\nOK", line[2:len(line)-1], s)
	case line == "AT+CMGL=4":
		for i := 1; i <= storeMost; i++ {
			if p := m.store[i]; p != "" {
				say("+CMGL: %d,0,,%d\r\n%s", i, len(p)/2-1, p)
			}
		}
		say("OK")
	case strings.HasPrefix(line, "AT+CMGD="):
		n, err := strconv.Atoi(line[len("AT+CMGD="):])
		if err != nil || m.store[n] == "" {
			say("+CMS ERROR: 321")
			return 0
		}
		delete(m.store, n)
		say("OK")
	case strings.HasPrefix(line, "AT+CMGS="):
		n, err := strconv.Atoi(line[len("AT+CMGS="):])
		if err != nil || n < 8 || n > 164 {
			say("+CMS ERROR: 304")
			return 0
		}
		io.WriteString(port, "\r\n> ")
		return n
	case m.calling(line, say):
	default:
		say("ERROR")
	}
	return 0
}

func (m *Modem) send(port io.Writer, pdu string, n int) {
	m.mu.Lock()
	w := m.w
	m.mu.Unlock()
	time.Sleep(w.Takes)
	m.mu.Lock()
	defer m.mu.Unlock()
	say := func(f string, v ...any) { fmt.Fprintf(port, "\r\n"+f+"\r\n", v...) }
	s, err := submit(pdu, n)
	code := 0
	if len(m.w.Fail) > 0 {
		code, m.w.Fail = m.w.Fail[0], m.w.Fail[1:]
	}
	switch {
	case err != nil:
		say("+CMS ERROR: 304")
	case m.line != nil:
		say("+CMS ERROR: 302") // not during a call
	case m.w.Unregistered:
		say("+CMS ERROR: 331")
	case code != 0:
		say("+CMS ERROR: %d", code)
	default:
		m.sent = append(m.sent, s)
		m.ref++
		if !m.w.Silent {
			say("+CMGS: %d\r\n\r\nOK", m.ref&0xFF)
		}
	}
}
