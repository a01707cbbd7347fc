package platform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// Media is what came of a session.
type Media struct {
	PS      []byte // the payloads in their order
	Units   int    // packets with the marker
	Packets int
	Times   []uint32 // of units
	Faults  []string // against the standard
}

type media struct {
	ssrc uint32
	udp  net.PacketConn
	tcp  net.Listener

	mu      sync.Mutex
	conn    net.Conn
	m       Media
	begun   bool
	next    uint16
	unit    []byte
	mapped  bool
	changed chan struct{}
}

func listen(ip, way, ssrc string) (*media, error) {
	n, err := strconv.ParseUint(ssrc, 10, 32)
	if err != nil {
		return nil, err
	}
	m := &media{ssrc: uint32(n), changed: make(chan struct{})}
	switch way {
	case "", "udp":
		if m.udp, err = net.ListenPacket("udp", net.JoinHostPort(ip, "0")); err != nil {
			return nil, err
		}
		_ = m.udp.(*net.UDPConn).SetReadBuffer(1 << 20)
		go m.datagrams()
	case "passive":
		if m.tcp, err = net.Listen("tcp", net.JoinHostPort(ip, "0")); err != nil {
			return nil, err
		}
		go func() {
			c, err := m.tcp.Accept()
			if err != nil {
				return
			}
			m.framed(c)
		}()
	}
	return m, nil
}

func (m *media) port() int {
	switch {
	case m.udp != nil:
		return m.udp.LocalAddr().(*net.UDPAddr).Port
	case m.tcp != nil:
		return m.tcp.Addr().(*net.TCPAddr).Port
	}
	return 9 // it connects itself
}

func (m *media) dial(ctx context.Context, host string, port int) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	go m.framed(c)
	return nil
}

func (m *media) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.udp != nil {
		m.udp.Close()
	}
	if m.tcp != nil {
		m.tcp.Close()
	}
	if m.conn != nil {
		m.conn.Close()
	}
}

func (m *media) datagrams() {
	b := make([]byte, 65536)
	for {
		n, _, err := m.udp.ReadFrom(b)
		if err != nil {
			return
		}
		m.packet(b[:n])
	}
}

// framed reads RFC 4571.
func (m *media) framed(c net.Conn) {
	m.mu.Lock()
	m.conn = c
	m.mu.Unlock()
	defer c.Close()
	r := bufio.NewReader(c)
	var head [2]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		m.packet(b)
	}
}

func (m *media) fault(format string, args ...any) {
	if len(m.m.Faults) < 20 {
		m.m.Faults = append(m.m.Faults, fmt.Sprintf(format, args...))
	}
}

// packet holds an RTP packet against RFC 3550 and the annex on RTP.
func (m *media) packet(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(b) < 13 || b[0] != 0x80 {
		m.fault("a packet of %d bytes that begins with %x", len(b), b[:min(2, len(b))])
		return
	}
	if len(b) > 1400 {
		m.fault("a packet of %d bytes", len(b))
	}
	if t := b[1] & 0x7F; t != 96 {
		m.fault("payload type %d", t)
	}
	if s := binary.BigEndian.Uint32(b[8:]); s != m.ssrc {
		m.fault("SSRC %d, asked for %d", s, m.ssrc)
		return
	}
	seq, at := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
	if m.begun && seq != m.next {
		m.fault("packet %d came where %d was due", seq, m.next)
	}
	m.begun, m.next = true, seq+1
	m.m.Packets++
	if len(m.unit) == 0 {
		if n := len(m.m.Times); n > 0 && int32(at-m.m.Times[n-1]) < 0 {
			m.fault("time %d after %d", at, m.m.Times[n-1])
		}
		m.m.Times = append(m.m.Times, at)
	} else if at != m.m.Times[len(m.m.Times)-1] {
		m.fault("a unit with two times")
	}
	m.unit = append(m.unit, b[12:]...)
	if b[1]&0x80 == 0 {
		return
	}
	m.program(m.unit)
	m.m.PS = append(m.m.PS, m.unit...)
	m.unit = m.unit[:0]
	m.m.Units++
	close(m.changed)
	m.changed = make(chan struct{})
}

// program walks one unit's pack: a pack header, the map before the first picture with
// types of the table, PES packets whose lengths meet.
func (m *media) program(b []byte) {
	if !bytes.HasPrefix(b, []byte{0, 0, 1, 0xBA}) {
		m.fault("a unit begins with %x", b[:min(4, len(b))])
		return
	}
	for len(b) > 0 {
		if len(b) < 6 || b[0] != 0 || b[1] != 0 || b[2] != 1 {
			m.fault("no start code where a packet ends")
			return
		}
		n := 6 + int(binary.BigEndian.Uint16(b[4:]))
		switch id := b[3]; {
		case id == 0xBA:
			if len(b) < 14 || b[4]&0xC4 != 0x44 || b[9]&1 != 1 {
				m.fault("a pack header that is none")
				return
			}
			n = 14 + int(b[13]&7)
		case id == 0xBC:
			if n > len(b) {
				m.fault("a map beyond its pack")
				return
			}
			info := int(binary.BigEndian.Uint16(b[8:]))
			for e := b[12+info : n-4]; len(e) >= 4; e = e[4+int(binary.BigEndian.Uint16(e[2:])):] {
				switch e[0] {
				case 0x1B, 0x24, 0x90, 0x91:
					m.mapped = true
				default:
					m.fault("stream type %x", e[0])
				}
			}
		case id == 0xE0 || id == 0xC0:
			if !m.mapped {
				m.fault("a packet of stream %x before any map", id)
			}
			if n == 6 {
				m.fault("a PES packet without a length")
				return
			}
		case id == 0xBB:
		default:
			m.fault("a packet of stream %x", id)
		}
		if n > len(b) {
			m.fault("a packet beyond its unit")
			return
		}
		b = b[n:]
	}
}

func (m *media) snapshot() Media {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.m
	c.PS, c.Times, c.Faults = bytes.Clone(c.PS), append([]uint32(nil), c.Times...), append([]string(nil), c.Faults...)
	return c
}

func (m *media) await(ctx context.Context, n int) (Media, error) {
	for {
		m.mu.Lock()
		units, changed := m.m.Units, m.changed
		m.mu.Unlock()
		if units >= n {
			return m.snapshot(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return m.snapshot(), fmt.Errorf("%w: %d of %d units came", ctx.Err(), units, n)
		}
	}
}
