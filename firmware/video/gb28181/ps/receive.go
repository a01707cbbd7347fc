package ps

// mostWaiting is how many packets wait for one that is late: at 4 Mbit/s a tenth of a
// second.
const mostWaiting = 64

// Receiver puts RTP packets in order and gives their payloads to a Demuxer. Packets of
// another SSRC or payload type are left out. It is of one goroutine.
type Receiver struct {
	To *Demuxer
	// SSRC is the one that was agreed; where AnySSRC is set the first is kept, as
	// devices are about that do not obey.
	SSRC    uint32
	AnySSRC bool

	started bool
	next    uint16
	waiting map[uint16]Packet
	odd     int // packets far off in a row: the source began anew

	Got, Late, Missing, Strange uint64
}

// Write takes one packet; its bytes may be used again after it.
func (r *Receiver) Write(b []byte) {
	p, err := ReadPacket(b)
	if err != nil || p.Type != PayloadType {
		r.Strange++
		return
	}
	if p.SSRC != r.SSRC {
		if !r.AnySSRC || r.started {
			r.Strange++
			return
		}
		r.SSRC = p.SSRC
	}
	if !r.started {
		r.started, r.next = true, p.Sequence
	}
	switch ahead := int16(p.Sequence - r.next); {
	case ahead < 0:
		if r.odd++; r.odd < 16 {
			r.Late++
			return
		}
		r.restart(p.Sequence)
	case ahead > 1000:
		if r.odd++; r.odd < 16 {
			r.Strange++
			return
		}
		r.restart(p.Sequence)
	case ahead > 0:
		r.odd = 0
		if r.waiting == nil {
			r.waiting = map[uint16]Packet{}
		}
		p.Payload = append([]byte(nil), p.Payload...)
		r.waiting[p.Sequence] = p
		if len(r.waiting) > mostWaiting {
			r.pass()
		}
		return
	}
	r.odd = 0
	r.deliver(p)
	r.drain()
}

// restart goes on with a source that counts from elsewhere.
func (r *Receiver) restart(at uint16) {
	r.next, r.odd = at, 0
	clear(r.waiting)
	r.To.Lost()
}

// pass gives the missing packet up and goes on with the next that is there.
func (r *Receiver) pass() {
	skip := uint16(1<<16 - 1)
	for s := range r.waiting {
		skip = min(skip, s-r.next)
	}
	r.Missing += uint64(skip)
	r.next += skip
	r.To.Lost()
	r.drain()
}

func (r *Receiver) drain() {
	for {
		p, ok := r.waiting[r.next]
		if !ok {
			return
		}
		delete(r.waiting, r.next)
		r.deliver(p)
	}
}

func (r *Receiver) deliver(p Packet) {
	r.Got++
	r.next = p.Sequence + 1
	r.To.Write(p.Payload)
	if p.Marker {
		r.To.End()
	}
}
