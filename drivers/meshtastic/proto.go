package meshtastic

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

const everybody = 0xFFFFFFFF

// Ports (portnums.proto).
const (
	portText    = 1
	portRouting = 5
	portAlert   = 11
	portPrivate = 256
)

// priorityAlert is MeshPacket.Priority ALERT: before all that is not an
// acknowledgement.
const priorityAlert = 110

// fromRadio is what the node said: one of these.
type fromRadio struct {
	me       uint32 // my_info
	lora     *lora
	firmware string
	complete uint32
	rebooted bool
	queue    *queueStatus
	packet   *packet
}

// lora is the node's radio as it is set (config.proto, LoRaConfig).
type lora struct {
	usePreset               bool
	preset                  uint64
	bandwidth, spread, rate uint64
	region                  uint64
	enabled, overrideDuty   bool
	power                   int64
	frequency               float32 // override_frequency, MHz; 0: the region's
}

type queueStatus struct {
	res, free, most uint64
	id              uint32
}

type packet struct {
	from, to, id uint32
	channel      uint64
	snr          float32
	rssi         int64
	encrypted    bool
	data         *data
}

type data struct {
	port    uint64
	payload []byte
	request uint32
	reason  uint64 // of a routing payload
	routing bool   // it says how a packet of ours fared
}

// each visits the fields of a message. f gets the number of varints and fixed32 in
// v and the bytes of what has a length. Fields of other kinds are passed over.
func each(b []byte, f func(n protowire.Number, t protowire.Type, v uint64, sub []byte) error) error {
	for len(b) > 0 {
		n, t, used := protowire.ConsumeTag(b)
		if used < 0 {
			return protowire.ParseError(used)
		}
		b = b[used:]
		var v uint64
		var sub []byte
		switch t {
		case protowire.VarintType:
			v, used = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var x uint32
			x, used = protowire.ConsumeFixed32(b)
			v = uint64(x)
		case protowire.BytesType:
			sub, used = protowire.ConsumeBytes(b)
		case protowire.Fixed64Type:
			_, used = protowire.ConsumeFixed64(b)
		default:
			return fmt.Errorf("field %d has the kind %d", n, t)
		}
		if used < 0 {
			return protowire.ParseError(used)
		}
		b = b[used:]
		if err := f(n, t, v, sub); err != nil {
			return err
		}
	}
	return nil
}

// readFromRadio reads FromRadio. known is false where it holds nothing that this
// package has a use for.
func readFromRadio(b []byte) (m fromRadio, known bool, err error) {
	err = each(b, func(n protowire.Number, t protowire.Type, v uint64, sub []byte) (err error) {
		switch {
		case n == 2 && t == protowire.BytesType:
			known = true
			m.packet, err = readPacket(sub)
		case n == 3 && t == protowire.BytesType: // MyNodeInfo
			known = true
			return each(sub, func(n protowire.Number, t protowire.Type, v uint64, _ []byte) error {
				if n == 1 && t == protowire.VarintType {
					m.me = uint32(v)
				}
				return nil
			})
		case n == 5 && t == protowire.BytesType: // Config
			return each(sub, func(n protowire.Number, t protowire.Type, _ uint64, sub []byte) (err error) {
				if n == 6 && t == protowire.BytesType {
					known = true
					m.lora, err = readLora(sub)
				}
				return err
			})
		case n == 7 && t == protowire.VarintType:
			known, m.complete = true, uint32(v)
		case n == 8 && t == protowire.VarintType:
			known, m.rebooted = true, v != 0
		case n == 11 && t == protowire.BytesType:
			known = true
			m.queue, err = readQueue(sub)
		case n == 13 && t == protowire.BytesType: // DeviceMetadata
			known = true
			return each(sub, func(n protowire.Number, t protowire.Type, _ uint64, sub []byte) error {
				if n == 1 && t == protowire.BytesType && len(sub) <= 32 {
					m.firmware = string(sub)
				}
				return nil
			})
		}
		return err
	})
	return m, known, err
}

func readLora(b []byte) (*lora, error) {
	l := &lora{}
	return l, each(b, func(n protowire.Number, t protowire.Type, v uint64, _ []byte) error {
		if t == protowire.Fixed32Type && n == 14 {
			l.frequency = math.Float32frombits(uint32(v))
		}
		if t != protowire.VarintType {
			return nil
		}
		switch n {
		case 1:
			l.usePreset = v != 0
		case 2:
			l.preset = v
		case 3:
			l.bandwidth = v
		case 4:
			l.spread = v
		case 5:
			l.rate = v
		case 7:
			l.region = v
		case 9:
			l.enabled = v != 0
		case 10:
			l.power = int64(v)
		case 12:
			l.overrideDuty = v != 0
		}
		return nil
	})
}

func readQueue(b []byte) (*queueStatus, error) {
	q := &queueStatus{}
	return q, each(b, func(n protowire.Number, t protowire.Type, v uint64, _ []byte) error {
		switch {
		case t != protowire.VarintType:
		case n == 1:
			q.res = v
		case n == 2:
			q.free = v
		case n == 3:
			q.most = v
		case n == 4:
			q.id = uint32(v)
		}
		return nil
	})
}

func readPacket(b []byte) (*packet, error) {
	p := &packet{}
	return p, each(b, func(n protowire.Number, t protowire.Type, v uint64, sub []byte) (err error) {
		switch {
		case n == 1 && t == protowire.Fixed32Type:
			p.from = uint32(v)
		case n == 2 && t == protowire.Fixed32Type:
			p.to = uint32(v)
		case n == 3 && t == protowire.VarintType:
			p.channel = v
		case n == 4 && t == protowire.BytesType:
			p.data, err = readData(sub)
		case n == 5 && t == protowire.BytesType:
			p.encrypted = true
		case n == 6 && t == protowire.Fixed32Type:
			p.id = uint32(v)
		case n == 8 && t == protowire.Fixed32Type:
			p.snr = math.Float32frombits(uint32(v))
		case n == 12 && t == protowire.VarintType:
			p.rssi = int64(v)
		}
		return err
	})
}

func readData(b []byte) (*data, error) {
	d := &data{}
	err := each(b, func(n protowire.Number, t protowire.Type, v uint64, sub []byte) error {
		switch {
		case n == 1 && t == protowire.VarintType:
			d.port = v
		case n == 2 && t == protowire.BytesType:
			d.payload = append([]byte(nil), sub...)
		case n == 6 && t == protowire.Fixed32Type:
			d.request = uint32(v)
		}
		return nil
	})
	if err != nil || d.port != portRouting {
		return d, err
	}
	// Routing: an error_reason, of which 0 is an acknowledgement. An empty message is
	// that too, since zeros may be left out; requests and answers about routes (1, 2)
	// are not.
	d.routing = true
	return d, each(d.payload, func(n protowire.Number, t protowire.Type, v uint64, _ []byte) error {
		switch n {
		case 1, 2:
			d.routing = false
		case 3:
			d.reason = v
		}
		return nil
	})
}

// outgoing is a packet to send.
type outgoing struct {
	to, id  uint32
	channel uint32
	hops    uint32
	ack     bool
	port    uint64
	payload []byte
}

// toRadio writes ToRadio with a packet.
func (o *outgoing) toRadio() []byte {
	var d []byte
	d = protowire.AppendTag(d, 1, protowire.VarintType)
	d = protowire.AppendVarint(d, o.port)
	d = protowire.AppendTag(d, 2, protowire.BytesType)
	d = protowire.AppendBytes(d, o.payload)
	var p []byte
	p = protowire.AppendTag(p, 2, protowire.Fixed32Type)
	p = protowire.AppendFixed32(p, o.to)
	if o.channel > 0 {
		p = protowire.AppendTag(p, 3, protowire.VarintType)
		p = protowire.AppendVarint(p, uint64(o.channel))
	}
	p = protowire.AppendTag(p, 4, protowire.BytesType)
	p = protowire.AppendBytes(p, d)
	p = protowire.AppendTag(p, 6, protowire.Fixed32Type)
	p = protowire.AppendFixed32(p, o.id)
	if o.hops > 0 {
		p = protowire.AppendTag(p, 9, protowire.VarintType)
		p = protowire.AppendVarint(p, uint64(o.hops))
	}
	if o.ack {
		p = protowire.AppendTag(p, 10, protowire.VarintType)
		p = protowire.AppendVarint(p, 1)
	}
	if o.port == portAlert {
		p = protowire.AppendTag(p, 11, protowire.VarintType)
		p = protowire.AppendVarint(p, priorityAlert)
	}
	var b []byte
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	return protowire.AppendBytes(b, p)
}

func wantConfig(nonce uint32) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), uint64(nonce))
}

func heartbeat(nonce uint32) []byte {
	h := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(nonce))
	return protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), h)
}
