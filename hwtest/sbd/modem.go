// Package sbd is an Iridium short burst data modem (9602) and its gateway as the
// host on its serial port meets them: buffers, sessions with their result codes,
// the checksum of binary messages, rings, and a sky that is not always open.
// Written from the public manuals of the 9601 and 9523; it imports nothing of
// firmware or drivers.
package sbd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Ways are how the sky and the modem are.
type Ways struct {
	Bars    int           // 0 to 5
	Session time.Duration // what a session takes
	// Fail are result codes of the next sessions, 0 for success; then all succeed.
	Fail []int
	// Brings: a session that fails brings a message all the same.
	Brings bool
	// Hurt spoils the checksum of received messages that often.
	Hurt int
	// Deaf: it answers nothing. Echo: it repeats commands. NoRing: rings are lost.
	Deaf, Echo, NoRing bool
}

// Modem is one, with the gateway behind it.
type Modem struct {
	mu      sync.Mutex
	w       Ways
	mo, mt  []byte
	queue   [][]byte // at the gateway
	sent    [][]byte
	momsn   int
	mtmsn   int
	out     io.Writer
	heard   []string
	session int
}

// New makes one under an open sky.
func New() *Modem { return &Modem{w: Ways{Bars: 4, Session: 8 * time.Second}} }

// Set changes its ways.
func (m *Modem) Set(f func(*Ways)) { m.mu.Lock(); f(&m.w); m.mu.Unlock() }

// Sent gives what the gateway has received.
func (m *Modem) Sent() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([][]byte(nil), m.sent...)
}

// Sessions counts sessions.
func (m *Modem) Sessions() int { m.mu.Lock(); defer m.mu.Unlock(); return m.session }

// Say puts a message for the modem at the gateway, which rings.
func (m *Modem) Say(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queue = append(m.queue, b)
	if m.out != nil && m.w.Bars > 0 && !m.w.NoRing && !m.w.Deaf {
		io.WriteString(m.out, "\r\nSBDRING\r\n")
	}
}

func sum(b []byte) (n uint16) {
	for _, x := range b {
		n += uint16(x)
	}
	return n
}

// Serve answers on a port's other end until it ends.
func (m *Modem) Serve(port io.ReadWriter) error {
	m.mu.Lock()
	m.out = port
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.out = nil; m.mu.Unlock() }()
	var buf []byte
	need := 0 // bytes of a message that are announced
	b := make([]byte, 512)
	for {
		n, err := port.Read(b)
		if err != nil {
			return err
		}
		buf = append(buf, b[:n]...)
		for {
			if need > 0 {
				if len(buf) < need+2 {
					break
				}
				m.write(port, buf[:need], binary.BigEndian.Uint16(buf[need:]))
				buf, need = buf[need+2:], 0
				continue
			}
			i := bytes.IndexByte(buf, '\r')
			if i < 0 {
				break
			}
			line := strings.TrimSpace(string(buf[:i]))
			buf = buf[i+1:]
			if line != "" {
				need = m.command(port, line)
			}
		}
	}
}

func (m *Modem) write(port io.Writer, msg []byte, check uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	code := 0
	if sum(msg) != check {
		code = 2
	} else {
		m.mo = append([]byte(nil), msg...)
	}
	fmt.Fprintf(port, "\r\n%d\r\n\r\nOK\r\n", code)
}

func (m *Modem) command(port io.Writer, line string) (need int) {
	m.mu.Lock()
	w := m.w
	m.heard = append(m.heard, line)
	m.mu.Unlock()
	if w.Deaf {
		return 0
	}
	say := func(f string, v ...any) { fmt.Fprintf(port, "\r\n"+f+"\r\n", v...) }
	if w.Echo {
		io.WriteString(port, line+"\r")
	}
	switch {
	case line == "AT" || line == "ATE0" || line == "AT&K0" || strings.HasPrefix(line, "AT+SBDMTA=") || strings.HasPrefix(line, "AT+SBDST="):
		say("OK")
	case line == "AT+CGSN":
		say("300234010753370\r\n\r\nOK")
	case line == "AT+CSQ" || line == "AT+CSQF":
		say("+CSQ:%d\r\n\r\nOK", w.Bars)
	case strings.HasPrefix(line, "AT+SBDD"):
		m.mu.Lock()
		if x := line[len(line)-1]; x != '1' {
			m.mo = nil
		}
		m.mu.Unlock()
		say("0\r\n\r\nOK")
	case strings.HasPrefix(line, "AT+SBDWB="):
		n, err := strconv.Atoi(line[len("AT+SBDWB="):])
		if err != nil || n < 1 || n > 340 {
			say("3\r\n\r\nOK")
			return 0
		}
		say("READY")
		return n
	case line == "AT+SBDRB":
		m.mu.Lock()
		b := binary.BigEndian.AppendUint16(nil, uint16(len(m.mt)))
		check := sum(m.mt)
		if m.w.Hurt > 0 {
			m.w.Hurt--
			check++
		}
		b = binary.BigEndian.AppendUint16(append(b, m.mt...), check)
		m.mu.Unlock()
		port.Write(b)
	case line == "AT+SBDIX" || line == "AT+SBDIXA":
		time.Sleep(w.Session)
		say("%s\r\n\r\nOK", m.exchange())
	default:
		say("ERROR")
	}
	return 0
}

// exchange is a session: the message in the buffer goes out, the oldest at the
// gateway comes in.
func (m *Modem) exchange() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session++
	code := 0
	if len(m.w.Fail) > 0 {
		code, m.w.Fail = m.w.Fail[0], m.w.Fail[1:]
	}
	if m.w.Bars == 0 {
		code = 32
	}
	if code > 4 && !m.w.Brings {
		return fmt.Sprintf("+SBDIX: %d, %d, 2, 0, 0, 0", code, m.momsn)
	}
	if m.mo != nil && code <= 4 {
		m.sent = append(m.sent, m.mo)
		m.momsn++
	}
	mt, length := 0, 0
	if len(m.queue) > 0 {
		m.mt, m.queue = m.queue[0], m.queue[1:]
		m.mtmsn++
		mt, length = 1, len(m.mt)
	}
	return fmt.Sprintf("+SBDIX: %d, %d, %d, %d, %d, %d", code, m.momsn, mt, m.mtmsn, length, len(m.queue))
}
