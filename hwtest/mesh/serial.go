package mesh

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// Serve speaks the serial stream on a port's other end until it ends.
func (n *Node) Serve(port io.ReadWriter) error {
	out, stop := make(chan []byte, 512), make(chan struct{})
	var work sync.WaitGroup
	work.Add(1)
	go func() { defer work.Done(); n.write(port, out, stop) }()
	defer func() {
		n.mu.Lock()
		n.out = nil
		n.mu.Unlock()
		close(stop)
		work.Wait()
	}()
	var buf, last []byte
	b := make([]byte, 512)
	for {
		k, err := port.Read(b)
		if err != nil {
			return err
		}
		buf = append(buf, b[:k]...)
		for {
			i := bytes.Index(buf, []byte{0x94, 0xC3})
			if i < 0 {
				buf = buf[max(0, len(buf)-1):]
				break
			}
			if buf = buf[i:]; len(buf) < 4 {
				break
			}
			size := int(buf[2])<<8 | int(buf[3])
			if size > 512 {
				buf = buf[1:]
				continue
			}
			if len(buf) < 4+size {
				break
			}
			m := append([]byte(nil), buf[4:4+size]...)
			buf = buf[4+size:]
			if bytes.Equal(m, last) {
				continue
			}
			last = m
			n.hear(m, out)
		}
	}
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (n *Node) hear(m []byte, out chan []byte) {
	if n.ways().Deaf {
		return
	}
	fs, err := parse(m)
	if err != nil {
		return
	}
	for _, f := range fs {
		switch f.n {
		case 3: // want_config_id
			n.config(f.v, out)
		case 7: // heartbeat
			n.mu.Lock()
			n.tellQueue(0, 0)
			n.mu.Unlock()
		case 1: // packet
			p, err := parse(f.b)
			if err != nil {
				continue
			}
			d, err := parse(find(p, 4).b)
			if err != nil || find(p, 2).kind != 5 || find(p, 6).kind != 5 {
				continue
			}
			hops := int(find(p, 9).v)
			if hops == 0 || hops > 7 {
				hops = 3
			}
			n.mu.Lock()
			open := n.out != nil
			n.mu.Unlock()
			if open {
				n.fromProgram(Packet{
					From: n.num, To: uint32(find(p, 2).v), ID: uint32(find(p, 6).v), WantAck: find(p, 10).v != 0, Hops: hops,
					Port: find(d, 1).v, Payload: append([]byte(nil), find(d, 2).b...),
				}, len(find(p, 4).b)+2) // and the bitfield
			}
		}
	}
}

// config says the settings; from then on the program is given packets.
func (n *Node) config(nonce uint64, out chan []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.configs++
	n.out = out
	n.put(sub(3, varint(1, uint64(n.num)), varint(8, 12)))                 // my_info
	n.put(sub(13, sub(1, []byte(n.w.Firmware)), varint(2, 24)))            // metadata
	n.put(sub(4, varint(1, uint64(n.num)), sub(2, sub(1, []byte("!me"))))) // node_info
	n.put(sub(5, sub(1, varint(1, 0))))                                    // config, device
	n.put(sub(5, sub(6, varint(1, 1), varint(2, n.w.Preset), varint(7, n.w.Region), varint(8, 3), varint(9, flag(!n.w.TxOff)), varint(10, uint64(n.w.Power)), varint(12, flag(n.w.OverrideDuty)), float(14, n.w.Frequency))))
	n.put(sub(9, sub(1, varint(1, 0))))                     // moduleConfig
	n.put(sub(10, varint(1, 0), sub(2, sub(1, []byte{1})))) // channel
	n.put(varint(7, nonce))                                 // config_complete_id
}

// put queues a FromRadio; the lock is held.
func (n *Node) put(m []byte) {
	if n.out == nil || n.w.Deaf {
		return
	}
	select {
	case n.out <- append(varint(1, 7), m...): // with a FromRadio.id before it
	default:
	}
}

func (n *Node) tellQueue(res uint64, id uint32) {
	n.put(sub(11, varint(1, res), varint(2, uint64(queueMost-len(n.queue))), varint(3, queueMost), varint(4, uint64(id))))
}

func (n *Node) tellRouting(from, id uint32, reason uint64) {
	if n.w.NoAcks && reason == 0 {
		return
	}
	n.put(sub(2, fixed(1, from), fixed(2, n.num), sub(4, varint(1, portRouting), sub(2, varint(3, reason)), fixed(6, id)), fixed(6, id+1)))
}

func (n *Node) tellPacket(p Packet) {
	n.put(sub(2, fixed(1, p.From), fixed(2, p.To), sub(4, varint(1, p.Port), sub(2, p.Payload)), fixed(6, p.ID), fixed(7, uint32(time.Now().Unix())),
		float(8, 6.25), varint(9, uint64(p.Hops)), varint(12, uint64(0xFFFFFFFFFFFFFFA6)))) // rssi -90
}

func (n *Node) write(port io.Writer, out chan []byte, stop chan struct{}) {
	for {
		var m []byte
		select {
		case <-stop:
			return
		case m = <-out:
		}
		w := n.ways()
		b := append([]byte{0x94, 0xC3, byte(len(m) >> 8), byte(len(m))}, m...)
		if w.Debug > 0 && n.mesh.random() < w.Debug {
			noise := []byte("DEBUG | ??:??:?? 12 [Router] \x94 Rx \x94\xC3\xFF\xFF someone tx \x94\xC3\x00\x05")
			b = append(noise[:int(n.mesh.random()*float64(len(noise)))], b...)
		}
		step := len(b)
		if w.Split > 0 {
			step = w.Split
		}
		for i := 0; i < len(b); i += step {
			if _, err := port.Write(b[i:min(len(b), i+step)]); err != nil {
				return
			}
			if w.Split > 0 {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
		}
	}
}
