// Package timeserver is an NTP server of the bench (RFC 5905 section 7.3) that tells the time as it is bid:
// ahead or behind, with a kiss of death, unsynchronised, to a question that was not asked, or not at all.
// It imports nothing of firmware or drivers.
package timeserver

import (
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// Manner is how it answers.
type Manner struct {
	// Ahead is added to the true time.
	Ahead time.Duration
	// Kiss is the code of a kiss of death ("RATE", "DENY", "RSTR"); "" for an answer.
	Kiss string
	// Silent: no answer. Foreign: an answer to another question. Unsynchronised: leap indicator 3.
	Silent, Foreign, Unsynchronised bool
	// Dispersion is what it says of its own error.
	Dispersion time.Duration
	// Cut is how many bytes of the answer go out; 0 for all.
	Cut int
}

// Server is one on loopback. Use Start.
type Server struct {
	// Addr is where it listens.
	Addr string

	conn  *net.UDPConn
	truth func() time.Time
	done  chan struct{}

	mu    sync.Mutex
	m     Manner
	asked int
}

// Start starts one that takes truth for the true time.
func Start(truth func() time.Time, m Manner) (*Server, error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: c.LocalAddr().String(), conn: c, truth: truth, m: m, done: make(chan struct{})}
	go s.run()
	return s, nil
}

// Behave changes how it answers.
func (s *Server) Behave(m Manner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m = m
}

// Asked counts the questions.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Close ends it.
func (s *Server) Close() error {
	err := s.conn.Close()
	<-s.done
	return err
}

func (s *Server) run() {
	defer close(s.done)
	buf := make([]byte, 1024)
	for {
		n, from, err := s.conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		m := s.m
		s.asked++
		s.mu.Unlock()
		if m.Silent || n < 48 {
			continue
		}
		if b := s.answer(buf[:48], m); m.Cut > 0 {
			s.conn.WriteToUDP(b[:min(m.Cut, len(b))], from)
		} else {
			s.conn.WriteToUDP(b, from)
		}
	}
}

// era is 1900-01-01 in Unix seconds.
const era = -2208988800

func stamp(t time.Time) uint64 {
	return uint64(t.Unix()-era)<<32 | uint64(t.Nanosecond())<<32/1e9
}

func (s *Server) answer(q []byte, m Manner) []byte {
	now := s.truth().Add(m.Ahead)
	b := make([]byte, 48)
	b[0] = 4<<3 | 4 // version 4, server
	if m.Unsynchronised {
		b[0] |= 3 << 6
	}
	b[1], b[2], b[3] = 1, 6, 0xE9 // stratum, poll, precision 2^-23 s
	binary.BigEndian.PutUint32(b[8:], uint32(m.Dispersion.Seconds()*65536))
	copy(b[12:], "GPS\x00")
	if m.Kiss != "" {
		b[1] = 0
		copy(b[12:16], m.Kiss)
	}
	binary.BigEndian.PutUint64(b[16:], stamp(now.Add(-time.Second)))
	copy(b[24:32], q[40:48]) // what the client sent as its own time
	if m.Foreign {
		b[31] ^= 1
	}
	binary.BigEndian.PutUint64(b[32:], stamp(now))
	binary.BigEndian.PutUint64(b[40:], stamp(s.truth().Add(m.Ahead)))
	return b
}
