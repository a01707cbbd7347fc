// Package sdi12 is an SDI-12 bus with probes behind a transparent serial adapter,
// as a data recorder hears it: answers, timing and checksums written from the
// standard (SDI-12 Support Group, version 1.4, sections 4.3, 4.4 and 4.4.12),
// with the ways in which probes and adapters misbehave. It imports nothing of
// firmware or drivers.
package sdi12

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Probe is one probe. Its values go by command: "M", "M1", "C", "R0"; a command
// with CRC gives the same values.
type Probe struct {
	Values map[string][]string // with their signs: "+3.14"
	// Takes is how long a measurement takes; it is announced in whole seconds.
	Takes time.Duration
	// Identity is what aI! says after the address, 19 to 32 characters.
	Identity string

	// Silent: it says nothing. Lost answers so many commands with silence, then
	// wakes. NoService: its service request is lost. Aborts: its D0 is empty.
	// BadCRC: its checksums are wrong. Noise: a character of each answer is hurt.
	// As: it answers with another address. Short: one value too few comes.
	Silent, NoService, Aborts, BadCRC, Noise, Short bool
	Lost                                            int
	As                                              byte

	last    []string // what D gives, by its number
	lastCRC bool
}

// Say is what comes a time after the command.
type Say struct {
	After time.Duration
	Text  string
}

// Adapter is the bus and what makes a serial port of it.
type Adapter struct {
	// Echo: it repeats each command before the answer.
	Echo bool

	mu     sync.Mutex
	probes map[byte]*Probe
	heard  []string
}

// Set puts a probe at an address, or changes it.
func (a *Adapter) Set(address byte, p *Probe) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.probes == nil {
		a.probes = map[byte]*Probe{}
	}
	a.probes[address] = p
}

// Change changes a probe.
func (a *Adapter) Change(address byte, f func(*Probe)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a.probes[address])
}

// Heard gives the commands that came.
func (a *Adapter) Heard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.heard...)
}

// answerAfter is the probe's 15 ms and what the break takes (section 7.1).
const answerAfter = 40 * time.Millisecond

// Command gives what the bus says to a command with its "!".
func (a *Adapter) Command(cmd string) []Say {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard = append(a.heard, cmd)
	var out []Say
	if a.Echo {
		out = append(out, Say{time.Millisecond, cmd})
	}
	if len(cmd) < 2 || !strings.HasSuffix(cmd, "!") {
		return out
	}
	p := a.probes[cmd[0]]
	if p == nil || p.Silent {
		return out
	}
	if p.Lost > 0 {
		p.Lost--
		return out
	}
	address := string(cmd[0])
	if p.As != 0 {
		address = string(p.As)
	}
	say := func(after time.Duration, s string) {
		if p.Noise && len(s) > 1 {
			s = s[:1] + "\x07" + s[2:]
		}
		out = append(out, Say{after, s + "\r\n"})
	}
	word := cmd[1 : len(cmd)-1]
	switch {
	case word == "":
		say(answerAfter, address)
	case word == "I":
		say(answerAfter, address+p.Identity)
	case word[0] == 'D':
		text := ""
		if n := int(word[1] - '0'); n < len(p.last) && !p.Aborts {
			text = p.last[n]
		}
		say(answerAfter, p.sum(address+text, p.lastCRC))
	case word[0] == 'R':
		key, crc := plain(word)
		say(answerAfter, p.sum(address+strings.Join(p.Values[key], ""), crc))
	case word[0] == 'M' || word[0] == 'C':
		key, crc := plain(word)
		vs := p.Values[key]
		seconds := int((p.Takes + time.Second - 1) / time.Second)
		digits, longest := 1, 35
		if word[0] == 'C' {
			digits, longest = 2, 75
		}
		say(answerAfter, fmt.Sprintf("%s%03d%0*d", address, seconds, digits, len(vs)))
		if p.Short && len(vs) > 0 {
			vs = vs[:len(vs)-1]
		}
		p.last, p.lastCRC = pack(vs, longest), crc
		if word[0] == 'M' && seconds > 0 && !p.NoService && !p.Aborts && len(vs) > 0 {
			say(answerAfter+p.Takes, address)
		}
	}
	return out
}

// plain takes the C of "with CRC" out of a word.
func plain(word string) (key string, crc bool) {
	if len(word) > 1 && word[1] == 'C' {
		return word[:1] + word[2:], true
	}
	return word, false
}

// pack divides values into the answers of D0, D1, … (section 4.4.8).
func pack(vs []string, longest int) []string {
	var out []string
	for _, v := range vs {
		if n := len(out); n > 0 && len(out[n-1])+len(v) <= longest {
			out[n-1] += v
			continue
		}
		out = append(out, v)
	}
	return out
}

func (p *Probe) sum(s string, crc bool) string {
	if !crc {
		return s
	}
	// Section 4.4.12.1 and 4.4.12.2, bit by bit as it is printed there.
	var c uint16
	for i := range len(s) {
		c ^= uint16(s[i])
		for range 8 {
			if c&1 != 0 {
				c >>= 1
				c ^= 0xA001
			} else {
				c >>= 1
			}
		}
	}
	if p.BadCRC {
		c ^= 1
	}
	return s + string(rune(0x40|c>>12)) + string(rune(0x40|c>>6&0x3F)) + string(rune(0x40|c&0x3F))
}

// Serve answers on a port's other end until it ends.
func (a *Adapter) Serve(port io.ReadWriter) error {
	var cmd []byte
	b := make([]byte, 64)
	for {
		n, err := port.Read(b)
		if err != nil {
			return err
		}
		for _, x := range b[:n] {
			if cmd = append(cmd, x); x != '!' {
				continue
			}
			at := time.Duration(0)
			for _, s := range a.Command(string(cmd)) {
				time.Sleep(s.After - at)
				at = s.After
				if _, err := io.WriteString(port, s.Text); err != nil {
					return err
				}
			}
			cmd = cmd[:0]
		}
	}
}
