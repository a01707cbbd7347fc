package beidou

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Weather is what the sky does to messages.
type Weather struct {
	// Lose is the part of the messages that are lost after Y. The service's own
	// figure is 0.004 (regional); a bad horizon makes 0.2.
	Lose float64
	// Double is the part that comes twice.
	Double float64
	// Least and Most are how long a message takes. Default 1 to 5 s.
	Least, Most time.Duration
}

// Message is one that was radiated.
type Message struct {
	From, To uint64
	Content  string // as the sentence had it
	Coding   Coding
	At       time.Time
	Lost     bool // by the sky, or because nobody could hear it
}

// Coding is how content is to be read.
type Coding int

// The codings.
const (
	Hanzi Coding = iota
	Code
	Mixed
)

// Sky joins terminals: what one radiates comes out at the one that it is for.
type Sky struct {
	mu        sync.Mutex
	rng       *rand.Rand
	weather   Weather
	terminals []*Terminal
	sent      []Message
}

// NewSky makes one without loss.
func NewSky(seed uint64) *Sky {
	return &Sky{rng: rand.New(rand.NewPCG(seed, 0xBD)), weather: Weather{Least: time.Second, Most: 5 * time.Second}}
}

// Set changes the weather.
func (s *Sky) Set(w Weather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.Most < w.Least {
		w.Most = w.Least
	}
	s.weather = w
}

// Sent gives what was radiated so far.
func (s *Sky) Sent() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.sent...)
}

func (s *Sky) chance(p float64) bool { return p > 0 && s.rng.Float64() < p }

// Radiate takes a message from a terminal, or from the centre (a number that no
// terminal has), and brings it to whom it is for: a card, or all whose broadcast
// number it is.
func (s *Sky) Radiate(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.At = time.Now()
	if m.Lost = s.chance(s.weather.Lose); !m.Lost {
		found, sent := false, m
		for _, t := range s.terminals {
			c := t.card()
			broadcast := c.Broadcast != 0 && m.To == c.Broadcast
			if c.Number == 0 || m.To != c.Number && !broadcast {
				continue
			}
			found = true
			copies := 1
			if s.chance(s.weather.Double) {
				copies = 2
			}
			for range copies {
				after := s.weather.Least + time.Duration(s.rng.Float64()*float64(s.weather.Most-s.weather.Least))
				time.AfterFunc(after, func() { t.arrive(sent, broadcast) })
			}
		}
		m.Lost = !found
	}
	s.sent = append(s.sent, m)
}

func (s *Sky) random() float64 { s.mu.Lock(); defer s.mu.Unlock(); return s.rng.Float64() }
