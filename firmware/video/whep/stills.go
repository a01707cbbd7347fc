package whep

import (
	"encoding/binary"
	"time"

	"github.com/pion/webrtc/v4"
)

// The data channels by which stills go where a link bears no video. One that comes every few
// seconds and took longer than its life is worth nothing any more; one that comes seldom may take its time.
const (
	stillsChannel = "stills"
	seldomChannel = "seldom stills"
	stillLife     = 3 * time.Second
	seldomLife    = time.Minute
	// stillAgain is the longest wait before what was not heard of is sent again: a link that was
	// away and is back shall not wait for the minute to which RFC 9260 6.3.3 lets it grow.
	stillAgain = 1200 * time.Millisecond
)

// A still goes in parts of one packet each, so that it keeps a pace, can be left in the
// middle, and shows only whole: number of the still, number of the part, how many there are, of two bytes each,
// then the bytes.
const (
	stillHead = 6
	stillPart = 1100
	stillMost = 512 << 10
)

// album is what of stills is under way. It lies under its session's mu.
type album struct {
	ch     [2]*webrtc.DataChannel // often, seldom
	on     *webrtc.DataChannel    // by which the present one goes
	jpeg   []byte                 // the present one; nil: none
	part   int                    // the next of it
	number uint16
	until  time.Duration // then it is left
	credit int           // bytes that may go now
	given  int           // to the channels, and not known to have come
	fed    time.Duration
}

func (a *album) open(pc *webrtc.PeerConnection) (err error) {
	for i, c := range []struct {
		name string
		life time.Duration
	}{{stillsChannel, stillLife}, {seldomChannel, seldomLife}} {
		life := uint16(c.life / time.Millisecond)
		if a.ch[i], err = pc.CreateDataChannel(c.name, &webrtc.DataChannelInit{MaxPacketLifeTime: &life}); err != nil {
			return err
		}
	}
	return nil
}

func (a *album) waits() int {
	return int(a.ch[0].BufferedAmount() + a.ch[1].BufferedAmount())
}

// SendStill gives the county a still; seldom says that the next is far. It is false where the
// channel is not open or one is under way.
func (v *Session) SendStill(jpeg []byte, seldom bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := &v.album
	if a.ch[0] == nil || a.jpeg != nil || len(jpeg) == 0 || len(jpeg) > stillMost {
		return false
	}
	life := stillLife
	if a.on = a.ch[0]; seldom {
		a.on, life = a.ch[1], seldomLife
	}
	if a.on.ReadyState() != webrtc.DataChannelStateOpen {
		return false
	}
	a.jpeg, a.part, a.number, a.until = jpeg, 0, a.number+1, v.s.o.Now()+life
	return true
}

// LeaveStill ends the still that is under way, where there is one.
func (v *Session) LeaveStill() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.album.jpeg = nil
}

// stills sends what is due of the present still at a rate in bytes a second. What the channel
// holds is little: it has a pace of its own where packets are lost, and what it took it does not give back.
func (v *Session) stills(now, since time.Duration, rate int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := &v.album
	if a.ch[0] == nil {
		return
	}
	waits := min(a.waits(), a.given)
	if now-a.fed < stillLife { // later the channel gives up what it has, and that did not come
		v.ack.add(now, a.given-waits)
	}
	a.given = waits
	a.credit = min(a.credit+during(rate, since), max(stillHead+stillPart, during(rate, 2*fillEvery)))
	parts := (len(a.jpeg) + stillPart - 1) / stillPart
	for a.jpeg != nil {
		if now > a.until {
			a.jpeg = nil
			break
		}
		n := min(len(a.jpeg)-a.part*stillPart, stillPart) + stillHead
		if a.credit < n || waits > max(2*(stillHead+stillPart), rate/4) {
			break
		}
		b := make([]byte, stillHead, n)
		binary.BigEndian.PutUint16(b[0:], a.number)
		binary.BigEndian.PutUint16(b[2:], uint16(a.part))
		binary.BigEndian.PutUint16(b[4:], uint16(parts))
		if a.on.Send(append(b, a.jpeg[a.part*stillPart:][:n-stillHead]...)) != nil {
			a.jpeg = nil
			break
		}
		v.out.add(now, n)
		waits, a.given, a.credit, a.fed = waits+n, a.given+n, a.credit-n, now
		if a.part++; a.part == parts {
			a.jpeg = nil
		}
	}
}

// whole puts stills together again.
type whole struct {
	number uint16
	parts  [][]byte
	left   int
}

// put takes a part; it gives the still where that was the last one missing.
func (w *whole) put(b []byte) []byte {
	if len(b) <= stillHead || len(b) > stillHead+stillPart {
		return nil
	}
	number, part, parts := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:])), int(binary.BigEndian.Uint16(b[4:]))
	if parts > (stillMost+stillPart-1)/stillPart || part >= parts {
		return nil
	}
	if number != w.number || len(w.parts) != parts {
		w.number, w.parts, w.left = number, make([][]byte, parts), parts
	}
	if w.parts[part] != nil {
		return nil
	}
	w.parts[part] = append([]byte(nil), b[stillHead:]...)
	if w.left--; w.left > 0 {
		return nil
	}
	var jpeg []byte
	for _, p := range w.parts {
		jpeg = append(jpeg, p...)
	}
	return jpeg
}

// stillsOf shows the stills that come by a channel.
func (v *Session) stillsOf(d *webrtc.DataChannel) {
	var w whole // the channel gives one message after another
	d.OnMessage(func(m webrtc.DataChannelMessage) {
		if jpeg := w.put(m.Data); jpeg != nil {
			v.stream.Show(jpeg)
		}
	})
}
