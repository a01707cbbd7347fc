package mesh

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Everybody is the address of all nodes.
const Everybody = 0xFFFFFFFF

// Packet is what goes over the air.
type Packet struct {
	From, To, ID uint32
	Port         uint64
	Payload      []byte
	Request      uint32 // of an acknowledgement: the packet's id
	WantAck      bool
	Hops         int // repeats that are left
}

// Mesh is the air between nodes.
type Mesh struct {
	mu    sync.Mutex
	rng   *rand.Rand
	nodes []*Node
	loss  map[[2]uint32]float64 // of a hop; none: the two do not hear each other
	aired []Packet
	per   time.Duration
}

// NewMesh makes one without nodes; a packet is on the air for per.
func NewMesh(seed uint64, per time.Duration) *Mesh {
	return &Mesh{rng: rand.New(rand.NewPCG(seed, 0x94C3)), loss: map[[2]uint32]float64{}, per: per}
}

// Join lets two nodes hear each other, each losing a part of what the other sends.
func (m *Mesh) Join(a, b *Node, loss float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loss[[2]uint32{a.num, b.num}], m.loss[[2]uint32{b.num, a.num}] = loss, loss
}

// Aired gives what was sent over the air first hand, without repeats.
func (m *Mesh) Aired() []Packet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Packet(nil), m.aired...)
}

// radiate brings a packet to those who hear the node. The packet has been on the
// air already.
func (m *Mesh) radiate(from *Node, p Packet, first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if first && p.Port != portRouting {
		m.aired = append(m.aired, p)
	}
	for _, n := range m.nodes {
		loss, hears := m.loss[[2]uint32{from.num, n.num}]
		if hears && n != from && m.rng.Float64() >= loss {
			// By a timer, so that no node's lock is held across another's.
			time.AfterFunc(0, func() { n.arrive(p) })
		}
	}
}

func (m *Mesh) random() float64 { m.mu.Lock(); defer m.mu.Unlock(); return m.rng.Float64() }
