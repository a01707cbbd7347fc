package whep

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// Kind is what a session does.
type Kind string

// The kinds.
const (
	View    Kind = "view"    // a browser sees a stream
	Publish Kind = "publish" // somebody gives one
	Push    Kind = "push"    // this box gives one to the county
)

// State is a session as it is now.
type State struct {
	ID        string // never shown: who has it can end the session
	Kind      Kind
	Stream    string
	Name      string // who
	Remote    string
	Codec     stream.Codec
	Connected bool
	Since     time.Duration
	// Behind is how old the last picture was when it went out: what is not live says so.
	Behind   time.Duration
	Pictures uint64
	Bytes    uint64
	Again    uint64 // packets sent again
	Skipped  uint64 // units lost by being slow
	LeftOut  uint64 // reordered pictures that browsers cannot show, and what a thin link left out
	Loss     float64
	RTT      time.Duration
	Bitrate  int
	// Sent and Acked are bit/s of the last second, padding with them, and Estimate is what
	// congestion control believes; of a push alone.
	Sent, Acked, Estimate int
	// Train is the last burst of padding that arrived or was given up, and Told the bit/s at which it
	// came: 0 where too little of it did.
	Train uint64
	Told  int
}

// A Governor says what of a stream a link bears.
type Governor interface {
	// Let says whether a picture goes out.
	Let(u *stream.Unit) bool
	// Rate is the pace in bit/s; 0 is no bound.
	Rate() int
	// Goes says whether pictures go out at all: one that has begun is left where they do not.
	Goes() bool
	// Probe is bit/s that shall leave now, filled by padding; 0 is no probe.
	Probe() int
	// Train is the number of the last burst of padding that shall leave at once, and its bytes;
	// State.Train and Told say what became of it.
	Train() (number uint64, bytes int)
}

// Session is one peer connection.
type Session struct {
	s      *Server
	id     string
	kind   Kind
	stream *stream.Stream
	name   string
	wants  int
	pc     *webrtc.PeerConnection
	tracks []*track
	gov    Governor
	est    func() int // what congestion control believes, bit/s
	wire   *wire
	began  time.Duration
	done   chan struct{}
	end    context.CancelCauseFunc
	ctx    context.Context
	up     chan struct{} // closed when media may flow
	upOnce sync.Once

	mu    sync.Mutex
	st    State
	cork  *cork
	rate  meter         // what pictures took
	out   meter         // what left, padding with it
	ack   meter         // what arrived, as the other end says
	lost  meter         // what did not
	heard time.Duration // when the other end told last
	album album
}

// meter is bytes over the last second, in tenths.
type meter struct {
	slots        [10]int
	slot         int64
	total, taken int // ever; of it, what since has told
}

const tenth = 100 * time.Millisecond

func (m *meter) turn(now time.Duration) {
	slot := int64(now / tenth)
	for n := min(slot-m.slot, int64(len(m.slots))); n > 0; n-- {
		m.slots[(slot-n+1)%int64(len(m.slots))] = 0
	}
	m.slot = max(m.slot, slot)
}

func (m *meter) add(now time.Duration, n int) {
	m.turn(now)
	m.slots[m.slot%int64(len(m.slots))] += n
	m.total += n
}

// read is what was added in the last second.
func (m *meter) read(now time.Duration) (sum int) {
	m.turn(now)
	for _, n := range m.slots {
		sum += n
	}
	return sum
}

// since is what was added since it was asked last.
func (m *meter) since() int {
	n := m.total - m.taken
	m.taken = m.total
	return n
}

// State is the session now.
func (v *Session) State() State {
	v.mu.Lock()
	st := v.st
	now := v.s.o.Now()
	st.Bitrate, st.Sent, st.Acked = v.rate.read(now)*8, v.out.read(now)*8, v.ack.read(now)*8
	if v.wire != nil {
		lost := v.lost.read(now) * 8
		st.Loss = float64(lost) / float64(max(st.Acked+lost, 1))
		if now-v.heard > wordFor {
			st.RTT = 0
		}
	}
	v.mu.Unlock()
	if v.wire != nil {
		st.Train, st.Told = v.wire.trained(now)
	}
	if v.est != nil {
		st.Estimate = v.est()
	}
	st.ID, st.Kind, st.Stream, st.Name, st.Since = v.id, v.kind, v.stream.Name(), v.name, v.began
	for _, t := range v.tracks {
		t.mu.Lock()
		st.Bytes += t.count.bytes
		st.Again += t.count.again
		t.mu.Unlock()
	}
	return st
}

// ID names it in its address.
func (v *Session) ID() string { return v.id }

// Close ends it.
func (v *Session) Close() { v.end(errEnded) }

// Done is closed when it has ended; Err says why.
func (v *Session) Done() <-chan struct{} { return v.done }

// Err is why it ended.
func (v *Session) Err() error {
	if e := context.Cause(v.ctx); !errors.Is(e, errEnded) {
		return e
	}
	return nil
}

var (
	errEnded = errors.New("ended")
	errGone  = errors.New("the other end is gone")
)

// watch follows the connection; the session ends with it.
func (v *Session) watch() {
	v.pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		switch st {
		case webrtc.PeerConnectionStateConnected:
			v.mu.Lock()
			v.st.Connected = true
			v.mu.Unlock()
			v.upOnce.Do(func() { close(v.up) })
		case webrtc.PeerConnectionStateDisconnected: // it may come back
			v.mu.Lock()
			v.st.Connected = false
			v.mu.Unlock()
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			v.end(errGone)
		}
	})
	v.pc.SCTP().Transport().ICETransport().OnSelectedCandidatePairChange(func(p *webrtc.ICECandidatePair) { v.moved(p) })
}

// moved notes where the other end is, and gathers what goes there.
func (v *Session) moved(p *webrtc.ICECandidatePair) {
	if p == nil || p.Remote == nil {
		return
	}
	a, err := netip.ParseAddr(p.Remote.Address)
	if err != nil {
		return
	}
	to := netip.AddrPortFrom(a.Unmap(), p.Remote.Port)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.st.Remote = to.String()
	old := v.cork
	if v.cork = nil; v.kind == View && p.Local != nil && p.Local.Protocol == webrtc.ICEProtocolUDP {
		v.cork = v.s.sock.cork(to)
	}
	if old != nil {
		old.pull()
	}
}

func (v *Session) flush() {
	v.mu.Lock()
	c := v.cork
	v.mu.Unlock()
	if c != nil {
		c.flush()
	}
}

// finish gives everything back.
func (v *Session) finish() {
	v.end(errEnded)
	v.pc.Close()
	v.mu.Lock()
	c := v.cork
	v.cork = nil
	v.mu.Unlock()
	if c != nil {
		c.pull()
	}
	v.s.forget(v)
	close(v.done)
}

// Pacing of what goes out.
const (
	burst     = 8 // packets at once
	reportIn  = time.Second
	lateAfter = 150 * time.Millisecond
	catchUp   = 4               // times the stream's own rate
	wordFor   = 2 * time.Second // an older word about the way is none
	leastFast = 8_000_000
)

// run waits for the connection and sends until the end.
func (v *Session) run() {
	defer v.finish()
	t := time.NewTimer(connectWait)
	defer t.Stop()
	select {
	case <-v.up:
	case <-t.C:
		v.end(phrase.E("whep.unconnected"))
		return
	case <-v.ctx.Done():
		return
	}
	if err := v.send(v.ctx); err != nil {
		v.end(err)
	}
}

// send gives the other end the stream's units.
func (v *Session) send(ctx context.Context) error {
	sound := false
	for _, t := range v.tracks {
		sound = sound || !t.codec.Picture()
	}
	r := v.stream.Reader(stream.ReaderOpts{Name: v.name, Sound: sound})
	defer r.Close()
	var h rtp.Header
	var due, reported time.Duration
	wait := time.NewTimer(time.Hour)
	defer wait.Stop()
	pause := func(until time.Duration) error {
		d := until - v.s.o.Now()
		if d <= 0 {
			return nil
		}
		wait.Reset(d)
		select {
		case <-wait.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for {
		u, err := r.Next(ctx)
		if err != nil {
			return context.Cause(ctx)
		}
		t := v.trackOf(u.Codec)
		if t == nil {
			if u.Codec.Picture() {
				return phrase.E("whep.changed", "codec", u.Codec.String())
			}
			continue
		}
		now := v.s.o.Now()
		if u.Reordered && !u.Droppable && v.kind == View {
			return phrase.E("whep.reordered")
		}
		if u.Reordered || v.gov != nil && !v.gov.Let(u) {
			v.mu.Lock()
			v.st.LeftOut++
			v.mu.Unlock()
			continue
		}
		payloads := u.Payloads()
		late := now - u.Arrived
		rate := v.pace(u, late, len(payloads))
		if due < now {
			due = now
		}
		for i := 0; i < len(payloads); {
			if v.gov != nil && u.Codec.Picture() {
				if !v.gov.Goes() {
					break
				}
				rate = v.pace(u, late, len(payloads))
			}
			if rate > 0 {
				if err := pause(due); err != nil {
					return err
				}
			}
			n := 0
			for end := min(i+burst, len(payloads)); i < end; i++ {
				if err := t.packet(&h, payloads[i], int64(u.Arrived/time.Microsecond), u.Time, u.Codec.Picture() && i == len(payloads)-1); err != nil {
					return errGone
				}
				n += len(payloads[i])
			}
			v.flush()
			v.gone(n)
			if rate > 0 {
				due += time.Duration(int64(n) * int64(time.Second) / int64(rate))
			}
		}
		now = v.s.o.Now()
		v.mu.Lock()
		v.rate.add(now, u.Size())
		if u.Codec.Picture() {
			v.st.Pictures++
			v.st.Behind = now - u.Arrived
		}
		v.st.Skipped = r.Skipped()
		v.mu.Unlock()
		if now-reported >= reportIn {
			reported = now
			for _, t := range v.tracks {
				if sr := t.report(int64(now / time.Microsecond)); sr != nil {
					v.pc.WriteRTCP([]rtcp.Packet{sr})
				}
			}
		}
	}
}

// gone counts what left.
func (v *Session) gone(n int) {
	if v.wire == nil {
		return
	}
	v.mu.Lock()
	v.out.add(v.s.o.Now(), n)
	v.mu.Unlock()
}

// pace is how fast a unit goes out, in bytes a second; 0 is at once. A key picture is
// spread over Opts.Key; what is late follows at four times the stream's own rate; a
// governed link goes by its budget.
func (v *Session) pace(u *stream.Unit, late time.Duration, packets int) int {
	rate := 0
	switch {
	case packets > 2*burst:
		rate = u.Size() * int(time.Second/max(v.s.o.Key*9/10, time.Millisecond))
	case late > lateAfter:
		rate = max(catchUp*v.stream.State().Bitrate, leastFast) / 8
	}
	if v.gov != nil {
		if b := v.gov.Rate() / 8; b > 0 && (rate == 0 || b < rate) {
			rate = b
		}
	}
	return rate
}

func (v *Session) trackOf(c stream.Codec) *track {
	for _, t := range v.tracks {
		if t.codec == c {
			return t
		}
	}
	return nil
}

// most that is sent again, as a share of what is sent.
const againShare = 4

// hear reads what the other end says of a track: packets that it misses, key pictures
// that it wants, and how the way is.
func (v *Session) hear(sender *webrtc.RTPSender, t *track) {
	var h rtp.Header
	var window time.Duration
	room := 0
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		now := v.s.o.Now()
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.TransportLayerNack:
				if now-window > 250*time.Millisecond {
					window = now
					v.mu.Lock()
					most := max(v.rate.read(now)/againShare, 64<<10)
					v.mu.Unlock()
					switch {
					case v.gov == nil:
						room = most
					case v.gov.Goes(): // a link that bears little is not filled with what it lost
						room = min(room+v.gov.Rate()/8/againShare/againShare, most)
					default:
						room = 0
					}
				}
				n := t.resend(&h, p, room)
				room -= n
				v.gone(n)
				v.flush()
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				v.stream.AskKey()
			case *rtcp.ReceiverReport:
				v.reports(now, p.Reports, t)
			case *rtcp.TransportLayerCC:
				v.arrived(now, p)
			}
		}
	}
}

func (v *Session) reports(now time.Duration, rs []rtcp.ReceptionReport, t *track) {
	for _, r := range rs {
		if r.SSRC != t.ssrc {
			continue
		}
		loss, rtt := float64(r.FractionLost)/256, time.Duration(0)
		if r.LastSenderReport != 0 {
			mid := uint32(ntp(int64(now/time.Microsecond)) >> 16)
			if d := mid - r.LastSenderReport - r.Delay; d < 1<<24 {
				rtt = time.Duration(d) * time.Second / 65536
			}
		}
		v.mu.Lock()
		v.st.Loss = loss
		if rtt > 0 && v.wire == nil {
			v.st.RTT = rtt
		}
		v.mu.Unlock()
	}
}
