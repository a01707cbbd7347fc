package gb28181

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/video/gb28181/mans"
	"tocsin/firmware/video/gb28181/ps"
	"tocsin/firmware/video/stream"
)

const (
	connectWithin = 10 * time.Second
	writeWithin   = 5 * time.Second // a TCP that takes nothing for so long is dead
	deafFor       = 15 * time.Second
	discard       = 9                     // the port of who connects itself (RFC 4145 4.1)
	spread        = 20 * time.Millisecond // over which a big picture's datagrams go
	burst         = 16                    // datagrams at once
	catchUp       = 4                     // times as fast as it was a kept group goes out
	longestHold   = 100 * time.Millisecond
)

var (
	errBye  = errors.New("the platform ended it")
	errGone = errors.New("the platform is gone")
	errDeaf = errors.New("nobody is there any more")
)

// session is one stream to a platform, from its INVITE to its BYE.
type session struct {
	line    *line
	a       *attachment
	channel *Channel
	offer   offer
	invite  *sip.Request
	tag     string // ours
	since   time.Duration
	local   netip.AddrPort // as answered

	ctx      context.Context
	end      context.CancelCauseFunc
	once     sync.Once
	acked    chan struct{}
	wishes   chan wish
	finished chan struct{}

	udp    *net.UDPConn
	listen *net.TCPListener
	tcp    net.Conn

	mux     ps.Muxer
	rtp     ps.Packetizer
	pack    []byte
	out     []byte // a unit's packets for TCP
	packet  []byte
	lastOK  time.Duration
	cseq    uint32
	mu      sync.Mutex // of cseq
	full    int        // bit/s with all pictures
	counted uint64     // bytes when the rate was last measured
	at      time.Duration

	bits           atomic.Int64
	packets, bytes atomic.Uint64
	keysOnly       atomic.Bool
	paused         atomic.Bool
}

func newSession(a *attachment, ch *Channel, o offer, r *sip.Request) *session {
	s := &session{
		line: a.l, a: a, channel: ch, offer: o, invite: r, tag: sip.GenerateTagN(12), since: a.l.d.o.Now(),
		acked: make(chan struct{}), wishes: make(chan wish, 4), finished: make(chan struct{}),
		packet: make([]byte, 0, ps.MostPacket+2),
	}
	s.ctx, s.end = context.WithCancelCause(a.ctx)
	ssrc, _ := strconv.ParseUint(o.ssrc, 10, 32)
	s.rtp = ps.Packetizer{SSRC: uint32(ssrc), Framed: o.way != byUDP}
	return s
}

func (s *session) status() SessionStatus {
	return SessionStatus{
		Channel: s.channel.ID, Kind: s.offer.kind, Way: s.offer.way.String(), To: s.offer.to.String(), Since: s.since,
		Packets: s.packets.Load(), Bytes: s.bytes.Load(), KeysOnly: s.keysOnly.Load(), Paused: s.paused.Load(),
	}
}

// open makes what the answer must name: a socket, a listener, or nothing.
func (s *session) open() error {
	at := netip.AddrPortFrom(s.a.local, 0)
	switch s.offer.way {
	case byUDP:
		c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(at), net.UDPAddrFromAddrPort(s.offer.to))
		if err != nil {
			return err
		}
		s.udp = c
		s.local = netip.AddrPortFrom(s.a.local, c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	case theyDial:
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		s.listen = l
		s.local = netip.AddrPortFrom(s.a.local, l.Addr().(*net.TCPAddr).AddrPort().Port())
	case weDial:
		s.local = netip.AddrPortFrom(s.a.local, discard)
	}
	return nil
}

func (s *session) close() {
	if s.udp != nil {
		s.udp.Close()
	}
	if s.listen != nil {
		s.listen.Close()
	}
	if s.tcp != nil {
		s.tcp.Close()
	}
	s.end(nil)
}

// connect waits for the TCP connection, or makes it.
func (s *session) connect(ctx context.Context) error {
	switch s.offer.way {
	case weDial:
		d := net.Dialer{Timeout: connectWithin, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.a.local, 0))}
		c, err := d.DialContext(ctx, "tcp", s.offer.to.String())
		if err != nil {
			return err
		}
		s.tcp = c
	case theyDial:
		_ = s.listen.SetDeadline(time.Now().Add(connectWithin))
		stop := context.AfterFunc(ctx, func() { s.listen.Close() })
		defer stop()
		for {
			c, err := s.listen.AcceptTCP()
			if err != nil {
				return err
			}
			if c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap() == s.offer.to.Addr() {
				s.tcp = c
				s.listen.Close()
				return nil
			}
			c.Close()
		}
	}
	return nil
}

// run sends until the session ends, and says BYE where the platform did not.
func (s *session) run(ctx context.Context) {
	d := s.line.d
	d.log().Info("pictures go to a platform", "name", s.line.p.Name, "channel", s.channel.ID, "kind", s.offer.kind, "way", s.offer.way.String(), "to", s.offer.to)
	defer s.close()
	s.lastOK, s.at = d.o.Now(), d.o.Now()
	err := s.connect(ctx)
	if err == nil {
		if d.o.Began != nil {
			d.o.Began(s.line.n, s.status())
		}
		if s.offer.kind == "Play" {
			err = s.live(ctx)
		} else {
			err = s.play(ctx)
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	d.log().Info("pictures to a platform end", "name", s.line.p.Name, "channel", s.channel.ID, "packets", s.packets.Load(), "why", err)
	if !errors.Is(err, errBye) {
		s.bye()
	}
}

// live sends the stream as it comes.
func (s *session) live(ctx context.Context) error {
	d, st := s.line.d, s.channel.Stream
	// A source that can be asked gives a key picture at once; of another the kept
	// group goes out, or the platform would wait for the next.
	ask := st.State().CanAskKey
	r := st.Reader(stream.ReaderOpts{Name: "gb28181 " + s.line.p.Name, Live: ask, Sound: true})
	defer r.Close()
	if ask {
		st.AskKey()
	}
	p := pacer{scale: catchUp}
	for {
		u, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if err := s.hold(ctx, &p, u); err != nil {
			return err
		}
		if u.Key && u.Codec.Picture() {
			s.measure()
			thin := s.keysOnly.Load()
			if !thin && d.over() {
				s.keysOnly.Store(true)
			} else if thin && d.fits(s) {
				s.keysOnly.Store(false)
			}
		}
		if s.keysOnly.Load() && !u.Codec.Picture() {
			continue
		}
		if err := s.send(ctx, u); err != nil {
			return err
		}
		if s.keysOnly.Load() && u.Codec.Picture() {
			r.Seek()
		}
	}
}

// hold spreads the kept group: it goes out faster than it was, but not in one burst that
// a socket's buffer does not hold. What comes live is never held.
func (s *session) hold(ctx context.Context, p *pacer, u *stream.Unit) error {
	if s.udp == nil {
		return nil
	}
	if u.Gap {
		p.begun = false
	}
	wait := p.due(s.line.d.o.Now(), at(u))
	if wait > longestHold { // its times jumped, or the reader lost a group
		p.begun = false
		return nil
	}
	if wait <= 0 {
		return nil
	}
	return s.line.d.o.Pause(ctx, wait)
}

// at is a unit's time of decoding since its stream began.
func at(u *stream.Unit) time.Duration {
	return time.Duration(u.Decode * int64(time.Second) / u.Codec.Rate())
}

// measure keeps what the session takes, over a second or more.
func (s *session) measure() {
	now := s.line.d.o.Now()
	if now-s.at < time.Second {
		return
	}
	n := s.bytes.Load()
	rate := int(float64(n-s.counted) * 8 / (now - s.at).Seconds())
	s.counted, s.at = n, now
	s.bits.Store(int64(rate))
	if !s.keysOnly.Load() {
		s.full = rate
	}
}

// fits says that the session may send all its pictures again.
func (d *Device) fits(s *session) bool {
	left := d.o.Budget()
	d.mu.Lock()
	defer d.mu.Unlock()
	used := s.full
	for o := range d.sessions {
		if o != s {
			used += int(o.bits.Load())
		}
	}
	return left < 0 || used <= left
}

// send packs a unit and sends its packets.
func (s *session) send(ctx context.Context, u *stream.Unit) error {
	s.pack = s.mux.Append(s.pack[:0], u)
	if cap(s.pack) > 2<<20 { // one huge picture's room is not kept
		defer func() { s.pack = nil }()
	}
	if len(s.pack) == 0 {
		return nil
	}
	if s.tcp != nil {
		return s.sendTCP(u)
	}
	packets := (len(s.pack) + ps.MostPacket - 1) / ps.MostPacket
	rest := spread * burst / time.Duration(max(packets, burst))
	n := 0
	return s.rtp.Packets(s.packet, s.pack, ps.Ticks(u), func(b []byte) error {
		if n > 0 && n%burst == 0 {
			if err := s.line.d.o.Pause(ctx, rest); err != nil {
				return err
			}
		}
		n++
		if _, err := s.udp.Write(b); err != nil {
			// Nobody listens yet, or the net is away for a moment: goes by.
			if errors.Is(err, net.ErrClosed) || s.line.d.o.Now()-s.lastOK > deafFor {
				return errors.Join(errDeaf, err)
			}
			return nil
		}
		s.sent(len(b))
		return nil
	})
}

func (s *session) sendTCP(u *stream.Unit) error {
	s.out = s.out[:0]
	n := uint64(0)
	_ = s.rtp.Packets(s.packet, s.pack, ps.Ticks(u), func(b []byte) error {
		s.out = append(s.out, b...)
		n++
		return nil
	})
	_ = s.tcp.SetWriteDeadline(time.Now().Add(writeWithin))
	if _, err := s.tcp.Write(s.out); err != nil {
		return err
	}
	s.packets.Add(n)
	s.bytes.Add(uint64(len(s.out)))
	if cap(s.out) > 2<<20 {
		s.out = nil
	}
	return nil
}

func (s *session) sent(n int) {
	s.lastOK = s.line.d.o.Now()
	s.packets.Add(1)
	s.bytes.Add(uint64(n))
}

// within makes a request of ours in the session (RFC 3261 12.2.1.1).
func (s *session) within(method sip.RequestMethod) *sip.Request {
	s.mu.Lock()
	s.cseq++
	n := s.cseq
	s.mu.Unlock()
	r := sip.NewRequest(method, s.invite.Contact().Address)
	r.SetTransport(s.invite.Transport())
	r.SetDestination(s.invite.Source())
	from := s.invite.To().AsFrom()
	from.Params = sip.NewParams()
	from.Params.Add("tag", s.tag)
	r.AppendHeader(&from)
	to := s.invite.From().AsTo()
	r.AppendHeader(&to)
	r.AppendHeader(sip.HeaderClone(s.invite.CallID()))
	r.AppendHeader(&sip.CSeqHeader{SeqNo: n, MethodName: method})
	for _, h := range s.invite.GetHeaders("Record-Route") {
		r.AppendHeader(sip.NewHeader("Route", h.Value()))
	}
	return r
}

// bye ends the session at the platform. It is said once; a platform that does not hear
// it finds out by the missing packets.
func (s *session) bye() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 2*time.Second)
	defer cancel()
	_, _ = s.a.client.Do(ctx, s.within(sip.BYE))
}

// over tells the platform that a record has been sent to its end (MediaStatus 121) and
// waits for its BYE.
func (s *session) over(ctx context.Context) error {
	r := s.within(sip.MESSAGE)
	r.AppendHeader(sip.NewHeader("Content-Type", "Application/MANSCDP+xml"))
	r.SetBody(mans.Write(s.line.p.Charset, mans.Element{Name: "Notify", Parts: []mans.Element{
		mans.El("CmdType", "MediaStatus"), mans.El("SN", s.line.nextSN()), mans.El("DeviceID", s.channel.ID), mans.El("NotifyType", "121"),
	}}))
	if _, err := s.a.do(ctx, r); err != nil {
		return err
	}
	if err := s.line.d.o.Pause(ctx, connectWithin); err != nil {
		return err
	}
	return io.EOF
}
