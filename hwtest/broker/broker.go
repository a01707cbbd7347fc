// Package broker is an MQTT 5 broker of the bench. Its bytes were written by hand from the standard (OASIS MQTT 5.0, sections 2 and 3), so
// that an error of a client's library does not cancel itself out. It keeps what is retained, and misbehaves as it is bid. It delivers to nobody:
// what subscribes is only counted. It imports nothing of firmware or drivers.
package broker

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
)

// Manner is how it behaves from now on.
type Manner struct {
	// Connack is the reason that it answers CONNECT with; from 0x80 on it refuses.
	Connack byte
	// Mute acknowledges nothing.
	Mute bool
	// Barred is a topic that it refuses (0x87, not authorised).
	Barred string
	// Blurt is sent once, after the next CONNACK.
	Blurt []byte
}

// Broker is one on loopback. Use Start.
type Broker struct {
	// Addr is where it listens.
	Addr string

	mu       sync.Mutex
	ln       net.Listener
	conns    []net.Conn
	m        Manner
	retained map[string]string
	order    []string
	connects int
	subs     int
	will     string
	wrong    []string
}

// Start starts one.
func Start(at string) (*Broker, error) {
	b := &Broker{retained: map[string]string{}}
	return b, b.Listen(at)
}

// Listen listens again after it died.
func (b *Broker) Listen(at string) error {
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.ln, b.Addr = ln, ln.Addr().String()
	b.mu.Unlock()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns = append(b.conns, c)
			b.mu.Unlock()
			go b.serve(c)
		}
	}()
	return nil
}

// Die ends it with all connections; what is retained stays.
func (b *Broker) Die() {
	b.mu.Lock()
	b.ln.Close()
	b.mu.Unlock()
	b.Drop()
}

// Drop ends all connections.
func (b *Broker) Drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
}

// Behave changes how it behaves.
func (b *Broker) Behave(m Manner) { b.mu.Lock(); defer b.mu.Unlock(); b.m = m }

// Forget forgets what is retained, as a broker without a disk does.
func (b *Broker) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retained, b.order = map[string]string{}, nil
}

// Retained gives what is retained, by topic; Order each publication as "topic=payload".
func (b *Broker) Retained() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.retained)
}

// Order gives each publication that was acknowledged, as "topic=payload".
func (b *Broker) Order() []string { b.mu.Lock(); defer b.mu.Unlock(); return slices.Clone(b.order) }

// Will gives the last client's will as "topic=payload".
func (b *Broker) Will() string { b.mu.Lock(); defer b.mu.Unlock(); return b.will }

// Connects counts CONNECTs, Subscriptions SUBSCRIBEs.
func (b *Broker) Connects() int { b.mu.Lock(); defer b.mu.Unlock(); return b.connects }

// Subscriptions counts SUBSCRIBEs.
func (b *Broker) Subscriptions() int { b.mu.Lock(); defer b.mu.Unlock(); return b.subs }

// Wrong lists what clients did against what they promised: publications that are not QoS 1 and retained.
func (b *Broker) Wrong() []string { b.mu.Lock(); defer b.mu.Unlock(); return slices.Clone(b.wrong) }

// packet reads one.
func packet(c net.Conn) (head byte, body []byte, err error) {
	var x [1]byte
	if _, err = io.ReadFull(c, x[:]); err != nil {
		return 0, nil, err
	}
	head = x[0]
	for length, shift := 0, 0; ; {
		if _, err = io.ReadFull(c, x[:]); err != nil {
			return 0, nil, err
		}
		length |= int(x[0]&0x7f) << shift
		if shift += 7; x[0]&0x80 == 0 {
			body = make([]byte, length)
			_, err = io.ReadFull(c, body)
			return head, body, err
		}
		if shift > 21 {
			return 0, nil, fmt.Errorf("a length of more than four bytes")
		}
	}
}

func (b *Broker) serve(c net.Conn) {
	defer c.Close()
	for {
		head, body, err := packet(c)
		if err != nil {
			return
		}
		b.mu.Lock()
		ends := b.act(c, head, body)
		b.mu.Unlock()
		if ends {
			return
		}
	}
}

func (b *Broker) act(c net.Conn, head byte, body []byte) (ends bool) {
	switch head >> 4 {
	case 1: // CONNECT
		b.connects++
		b.will = willOf(body)
		c.Write([]byte{0x20, 3, 0, b.m.Connack, 0})
		c.Write(b.m.Blurt)
		b.m.Blurt = nil
		return b.m.Connack >= 0x80
	case 3: // PUBLISH
		n := int(binary.BigEndian.Uint16(body))
		name := string(body[2 : 2+n])
		if head&0x07 != 0x03 {
			b.wrong = append(b.wrong, fmt.Sprintf("%s: not QoS 1 and retained: %02x", name, head))
			return false
		}
		id, rest := body[2+n:4+n], body[4+n:]
		reason := byte(0)
		switch {
		case name == b.m.Barred:
			reason = 0x87
		case !b.m.Mute:
			payload := string(rest[1+int(rest[0]):])
			b.retained[name] = payload
			b.order = append(b.order, name+"="+payload)
		}
		if !b.m.Mute {
			c.Write([]byte{0x40, 4, id[0], id[1], reason, 0})
		}
	case 8: // SUBSCRIBE
		b.subs++
	case 12: // PINGREQ
		c.Write([]byte{0xD0, 0})
	}
	return false
}

// willOf gives topic and payload of the will in a CONNECT (section 3.1.3).
func willOf(b []byte) string {
	if b[7]&0x04 == 0 {
		return ""
	}
	b = b[10:]
	b = b[1+int(b[0]):] // properties
	cut := func() string {
		n := int(binary.BigEndian.Uint16(b))
		s := string(b[2 : 2+n])
		b = b[2+n:]
		return s
	}
	cut() // client identifier
	b = b[1+int(b[0]):]
	return cut() + "=" + cut()
}
