package mesh

import (
	"sync"
	"time"
)

const (
	portRouting = 5
	// queueMost is the radio's own queue.
	queueMost = 16
	// tries is how often a packet that wants an acknowledgement is sent.
	tries = 3
	// Reasons of Routing.Error.
	maxRetransmit = 5
	tooLarge      = 7
	dutyLimit     = 9
	// dataMost is the most that a serialised Data may have.
	dataMost = 233
)

// Ways are how a node is set and how it behaves.
type Ways struct {
	Region, Preset uint64
	Power          int
	TxOff          bool
	OverrideDuty   bool
	Frequency      float32 // MHz, of its own; 0: the band's
	// Deaf neither takes nor says anything.
	Deaf     bool
	Firmware string
	// Duty is the part of each minute that it may send; 0: no limit.
	Duty float64
	// SilentQueue drops what is on top of the queue and says nothing, as older
	// firmware did.
	SilentQueue bool
	// Debug is the part of the frames with text or noise before them; Split writes
	// in pieces of so many bytes.
	Debug float64
	Split int
	// NoAcks loses every acknowledgement on the way to the program.
	NoAcks bool
}

// Node is one node.
type Node struct {
	mesh *Mesh
	num  uint32

	mu      sync.Mutex
	w       Ways
	queue   []*entry
	sending bool
	seen    map[[2]uint32]bool
	waits   map[uint32]*entry
	used    time.Duration // on the air in this minute
	minute  time.Time
	out     chan []byte
	configs int
}

type entry struct {
	p     Packet
	tries int
	own   bool
}

// Node adds a node with a number.
func (m *Mesh) Node(num uint32) *Node {
	n := &Node{mesh: m, num: num, seen: map[[2]uint32]bool{}, waits: map[uint32]*entry{}, w: Ways{Region: 4, Power: 14, Firmware: "2.6.4.b89355f"}}
	m.mu.Lock()
	m.nodes = append(m.nodes, n)
	m.mu.Unlock()
	return n
}

// Set changes how it behaves.
func (n *Node) Set(f func(*Ways)) { n.mu.Lock(); f(&n.w); n.mu.Unlock() }

func (n *Node) ways() Ways { n.mu.Lock(); defer n.mu.Unlock(); return n.w }

// Configs counts how often its settings were asked for.
func (n *Node) Configs() int { n.mu.Lock(); defer n.mu.Unlock(); return n.configs }

// Say sends a packet from this node, as somebody at it would.
func (n *Node) Say(p Packet) {
	p.From = n.num
	if p.Hops == 0 {
		p.Hops = 3
	}
	n.mu.Lock()
	n.push(&entry{p: p, own: true})
	n.mu.Unlock()
}

// push queues a packet; the lock is held.
func (n *Node) push(e *entry) bool {
	if len(n.queue) >= queueMost {
		return false
	}
	n.seen[[2]uint32{e.p.From, e.p.ID}] = true
	n.queue = append(n.queue, e)
	n.work()
	return true
}

// work sends the first of the queue; the lock is held.
func (n *Node) work() {
	if n.sending || len(n.queue) == 0 || n.w.TxOff {
		return
	}
	n.sending = true
	time.AfterFunc(n.mesh.per, func() {
		n.mu.Lock()
		n.sending = false
		if len(n.queue) == 0 { // it restarted
			n.mu.Unlock()
			return
		}
		e := n.queue[0]
		n.queue = n.queue[1:]
		n.used += n.mesh.per
		e.tries++
		if e.own && e.p.WantAck {
			n.waits[e.p.ID] = e
			time.AfterFunc(4*n.mesh.per+2*time.Second, func() { n.again(e) })
		}
		n.work()
		n.mu.Unlock()
		n.mesh.radiate(n, e.p, e.own && e.tries == 1)
	})
}

// again sends a packet again that nobody acknowledged.
func (n *Node) again(e *entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waits[e.p.ID] != e {
		return
	}
	delete(n.waits, e.p.ID)
	if e.tries < tries {
		n.push(e)
		return
	}
	n.tellRouting(n.num, e.p.ID, maxRetransmit)
}

// arrive takes a packet from the air.
func (n *Node) arrive(p Packet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	// Hearing one's own packet repeated is the mesh's acknowledgement of it.
	if p.From == n.num {
		if e := n.waits[p.ID]; e != nil && e.p.To == Everybody {
			delete(n.waits, p.ID)
			n.tellRouting(n.num, p.ID, 0)
		}
		return
	}
	key := [2]uint32{p.From, p.ID}
	if n.seen[key] {
		return
	}
	n.seen[key] = true
	if p.To == n.num || p.To == Everybody {
		if p.Port == portRouting {
			if n.waits[p.Request] != nil {
				delete(n.waits, p.Request)
				n.tellRouting(p.From, p.Request, 0)
			}
			return
		}
		n.tellPacket(p)
		if p.To == n.num && p.WantAck {
			n.push(&entry{p: Packet{From: n.num, To: p.From, ID: p.ID ^ 0x5A5A5A5A, Port: portRouting, Request: p.ID, Hops: 3}})
		}
	}
	if p.To != n.num && p.Hops > 0 {
		p.Hops--
		n.push(&entry{p: p})
	}
}

// fromProgram takes a packet that a program gave.
func (n *Node) fromProgram(p Packet, size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if now.Sub(n.minute) >= time.Minute {
		n.minute, n.used = now, 0
	}
	res := uint64(0)
	switch {
	case size > dataMost:
		res = tooLarge
	case n.w.Duty > 0 && (n.used+n.mesh.per*time.Duration(1+len(n.queue))).Seconds() > 60*n.w.Duty:
		n.tellRouting(n.num, p.ID, dutyLimit)
		return
	case !n.push(&entry{p: p, own: true}):
		if n.w.SilentQueue {
			return
		}
		res = 1 // ERRNO of a full queue: anything but 0
	}
	n.tellQueue(res, p.ID)
}

// Restart loses what it held and says so.
func (n *Node) Restart() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue, n.waits, n.seen = nil, map[uint32]*entry{}, map[[2]uint32]bool{}
	n.put(varint(8, 1))
}
