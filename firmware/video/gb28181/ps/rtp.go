package ps

import (
	"encoding/binary"
	"errors"
)

const (
	// PayloadType is that of program streams in GB/T 28181 (Annex C, table C.1).
	PayloadType = 96
	// MostPacket is an RTP packet at most, header and all: it passes tunnels and 4G.
	MostPacket = 1400
	rtpHeader  = 12
)

// Packetizer cuts packs into RTP packets.
type Packetizer struct {
	SSRC     uint32
	Sequence uint16 // of the next packet
	Start    uint32 // added to every time
	// Framed puts the packet's length before it, as streams of TCP need (RFC 4571).
	Framed bool

	last  int64
	begun bool
}

// behind is how far the times of a stream's sound and pictures may cross: each begins
// with what came of it first.
const behind = 90000 // a second

// Packets cuts a unit's pack into packets, gives each to send in its turn and marks
// the last one. The bytes that send is given are used again for the next. Packets' times
// do not run back where sound and pictures cross, or the packets of one would look late; a
// step of a second and more is the sender's will. The pack has the unit's own time.
func (p *Packetizer) Packets(buf []byte, pack []byte, ticks int64, send func([]byte) error) error {
	if p.begun && ticks < p.last && p.last-ticks < behind {
		ticks = p.last
	}
	p.last, p.begun = ticks, true
	for len(pack) > 0 {
		n := min(len(pack), MostPacket-rtpHeader)
		b := buf[:0]
		if p.Framed {
			b = binary.BigEndian.AppendUint16(b, uint16(n+rtpHeader))
		}
		mark := byte(0)
		if n == len(pack) {
			mark = 0x80
		}
		b = append(b, 0x80, mark|PayloadType)
		b = binary.BigEndian.AppendUint16(b, p.Sequence)
		b = binary.BigEndian.AppendUint32(b, p.Start+uint32(ticks))
		b = binary.BigEndian.AppendUint32(b, p.SSRC)
		b = append(b, pack[:n]...)
		p.Sequence++
		if err := send(b); err != nil {
			return err
		}
		pack = pack[n:]
	}
	return nil
}

// Packet is an RTP packet that came.
type Packet struct {
	SSRC     uint32
	Sequence uint16
	Time     uint32
	Type     byte
	Marker   bool
	Payload  []byte // a part of what was read
}

var errPacket = errors.New("not an RTP packet")

// ReadPacket reads one; contributing sources, an extension and padding are skipped.
func ReadPacket(b []byte) (Packet, error) {
	if len(b) < rtpHeader || b[0]>>6 != 2 {
		return Packet{}, errPacket
	}
	p := Packet{
		Type: b[1] & 0x7F, Marker: b[1]&0x80 != 0,
		Sequence: binary.BigEndian.Uint16(b[2:]),
		Time:     binary.BigEndian.Uint32(b[4:]),
		SSRC:     binary.BigEndian.Uint32(b[8:]),
	}
	rest := b[rtpHeader:]
	if n := int(b[0]&0x0F) * 4; n > len(rest) {
		return Packet{}, errPacket
	} else {
		rest = rest[n:]
	}
	if b[0]&0x10 != 0 {
		if len(rest) < 4 {
			return Packet{}, errPacket
		}
		n := 4 + 4*int(binary.BigEndian.Uint16(rest[2:]))
		if n > len(rest) {
			return Packet{}, errPacket
		}
		rest = rest[n:]
	}
	if b[0]&0x20 != 0 {
		if len(rest) == 0 {
			return Packet{}, errPacket
		}
		n := int(rest[len(rest)-1])
		if n == 0 || n > len(rest) {
			return Packet{}, errPacket
		}
		rest = rest[:len(rest)-n]
	}
	p.Payload = rest
	return p, nil
}
