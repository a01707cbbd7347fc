package gb28181

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/mans"
	"tocsin/firmware/video/gb28181/ps"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

const connectWithin = 10 * time.Second

// session invites the channel and takes its pictures until something ends that.
func (c *camera) session(ctx context.Context) error {
	channel, err := c.findChannel(ctx)
	if err != nil {
		return err
	}
	r, client, err := c.request(sip.INVITE, channel)
	if err != nil {
		return err
	}
	device, err := netip.ParseAddrPort(r.Destination())
	if err != nil {
		return err
	}
	local, err := sourceFor(device)
	if err != nil {
		return err
	}
	var udp *net.UDPConn
	var tcp *net.TCPListener
	var port int
	if c.c.Media == "tcp" {
		if tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))); err != nil {
			return err
		}
		defer tcp.Close()
		port = tcp.Addr().(*net.TCPAddr).Port
	} else {
		if udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))); err != nil {
			return err
		}
		defer udp.Close()
		_ = udp.SetReadBuffer(1 << 20) // a key picture comes in one burst
		port = udp.LocalAddr().(*net.UDPAddr).Port
	}
	ssrc := fmt.Sprintf("0%s%04d", c.s.o.Realm[3:8], 1+rand.IntN(9999))
	host := local.String()
	if local.Is6() {
		host = "[" + host + "]"
	}
	contact := sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: c.s.o.ID, Host: host, Port: int(c.s.Address().Port())}}
	r.AppendHeader(&contact)
	r.AppendHeader(sip.NewHeader("Subject", channel+":"+ssrc+","+c.s.o.ID+":0"))
	r.AppendHeader(sip.NewHeader("Content-Type", "APPLICATION/SDP"))
	r.SetBody(offer(c.s.o.ID, local, port, tcp != nil, ssrc))
	c.tell(phrase.M("gb28181_in.inviting", "stream", c.c.Stream, "channel", channel))
	within, cancel := context.WithTimeout(ctx, answerWithin)
	res, err := client.Do(within, r)
	cancel()
	if err != nil {
		return phrase.Wrap(err, "gb28181_in.silent", "stream", c.c.Stream)
	}
	if !res.IsSuccess() {
		return phrase.E("gb28181_in.refused", "stream", c.c.Stream, "code", res.StatusCode)
	}
	if res.Contact() == nil || res.To() == nil {
		return phrase.E("gb28181_in.refused", "stream", c.c.Stream, "code", res.StatusCode)
	}
	cseq := r.CSeq().SeqNo
	dialog := func(method sip.RequestMethod, n uint32) *sip.Request {
		q := sip.NewRequest(method, res.Contact().Address)
		q.SetTransport(r.Transport())
		q.SetDestination(r.Destination())
		q.AppendHeader(sip.HeaderClone(r.From()))
		q.AppendHeader(sip.HeaderClone(res.To()))
		q.AppendHeader(sip.HeaderClone(r.CallID()))
		q.AppendHeader(&sip.CSeqHeader{SeqNo: n, MethodName: method})
		return q
	}
	if err := client.WriteRequest(dialog(sip.ACK, cseq)); err != nil {
		return err
	}
	live, hang := context.WithCancelCause(ctx)
	defer hang(nil)
	c.mu.Lock()
	c.call, c.hangUp = r.CallID().Value(), hang
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.call, c.hangUp = "", nil
		c.mu.Unlock()
	}()
	from, told := answered(res.Body())
	in := &intake{c: c, channel: channel, device: device, may: []netip.Addr{device.Addr().Unmap()}}
	if from.IsValid() {
		in.may = append(in.may, from)
	}
	if told == "" {
		told = ssrc
	}
	n, _ := strconv.ParseUint(told, 10, 32)
	in.demux = ps.Demuxer{Take: in.take, Note: in.note}
	// Devices are about that answer with one SSRC and send with another; the address
	// is held, so the first that comes is kept.
	in.receiver = ps.Receiver{To: &in.demux, SSRC: uint32(n), AnySSRC: true}
	if tcp != nil {
		err = in.framed(live, tcp)
	} else {
		err = in.datagrams(live, udp)
	}
	if in.w != nil {
		in.w.Close(err)
	}
	if live.Err() != nil {
		err = context.Cause(live)
	}
	if !errors.Is(err, errHungUp) && !errors.Is(err, errLeft) {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, _ = client.Do(bye, dialog(sip.BYE, cseq+1))
	}
	return err
}

func sourceFor(to netip.AddrPort) (netip.Addr, error) {
	c, err := net.Dial("udp", to.String()) // sends nothing
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// offer is the session description of an INVITE for live pictures.
func offer(id string, at netip.Addr, port int, tcp bool, ssrc string) []byte {
	ip := "IP4"
	if at.Is6() {
		ip = "IP6"
	}
	proto, setup := "RTP/AVP", ""
	if tcp {
		proto, setup = "TCP/RTP/AVP", "a=setup:passive\r\na=connection:new\r\n"
	}
	return fmt.Appendf(nil, "v=0\r\no=%s 0 0 IN %s %s\r\ns=Play\r\nc=IN %s %s\r\nt=0 0\r\nm=video %d %s 96 98 99\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\na=rtpmap:98 H264/90000\r\na=rtpmap:99 H265/90000\r\n%sy=%s\r\n", id, ip, at, ip, at, port, proto, setup, ssrc)
}

// answered reads from where media will come, and the SSRC, of a device's answer.
func answered(b []byte) (from netip.Addr, ssrc string) {
	for _, l := range strings.Split(string(b[:min(len(b), 4096)]), "\n") {
		l = strings.TrimSpace(l)
		switch {
		case strings.HasPrefix(l, "c="):
			if f := strings.Fields(l[2:]); len(f) >= 3 {
				if a, err := netip.ParseAddr(f[2]); err == nil && !a.IsUnspecified() && !a.IsMulticast() {
					from = a.Unmap()
				}
			}
		case strings.HasPrefix(l, "y="):
			if v := l[2:]; len(v) <= 10 && mans.Digits(v) {
				ssrc = v
			}
		}
	}
	return from, ssrc
}

// intake takes one session's packets apart and publishes what they hold.
type intake struct {
	c        *camera
	channel  string
	device   netip.AddrPort
	may      []netip.Addr
	demux    ps.Demuxer
	receiver ps.Receiver
	w        *stream.Writer
	notes    []stream.Note
	failed   error
	last     time.Duration
}

// take publishes a unit; the first one asks the desk.
func (in *intake) take(u ps.Unit) {
	if in.failed != nil {
		return
	}
	c := in.c
	if in.w == nil {
		if !u.Codec.Picture() {
			return
		}
		w, err := c.s.o.Desk.Publish(source.Asker{Way: "gb28181", Stream: c.c.Stream, Key: c.c.Password, Remote: in.device})
		if err != nil {
			in.failed = err
			return
		}
		in.w = w
		w.OnKey(in.askKey)
		for _, n := range in.notes {
			w.Note(n)
		}
		c.tell(phrase.M("gb28181_in.sending", "stream", c.c.Stream))
	}
	var err error
	if u.Codec.Picture() {
		err = in.w.Picture(u.Codec, u.PTS, u.DTS, u.NALs)
	} else {
		err = in.w.Sound(u.Codec, u.PTS*u.Codec.Rate()/90000, u.Sound)
	}
	if err != nil && !errors.Is(err, stream.ErrUnit) {
		in.failed = err
	}
}

func (in *intake) note(n stream.Note) {
	if in.w != nil {
		in.w.Note(n)
		return
	}
	in.notes = append(in.notes, n)
}

// askKey sends the command that the standard spells so.
func (in *intake) askKey() {
	c := in.c
	c.s.o.Go("gb28181 key "+c.c.Stream, func(ctx context.Context) error {
		if err := c.message(ctx, "Control", "DeviceControl", in.channel, mans.El("IFameCmd", "Send")); err != nil {
			c.s.o.Log.Info("a camera gives no key picture when asked", "stream", c.c.Stream, "err", err)
		}
		return nil
	})
}

// packet takes one, and says what ends the session.
func (in *intake) packet(b []byte) error {
	before := in.receiver.Got
	in.receiver.Write(b)
	if in.receiver.Got != before {
		in.last = in.c.s.o.Now()
		in.c.mu.Lock()
		in.c.packets += in.receiver.Got - before
		in.c.mu.Unlock()
	}
	return in.failed
}

// quiet says that nothing came for too long, or that the device is gone.
func (in *intake) quiet() error {
	if in.c.s.o.Now()-in.last > in.c.s.o.Silence {
		return phrase.E("gb28181_in.no_pictures", "stream", in.c.c.Stream)
	}
	if !in.c.online() {
		return phrase.E("gb28181_in.lost", "stream", in.c.c.Stream)
	}
	return nil
}

func (in *intake) mayCome(a netip.Addr) bool {
	for _, m := range in.may {
		if m == a.Unmap() {
			return true
		}
	}
	return false
}

func (in *intake) datagrams(ctx context.Context, conn *net.UDPConn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	in.last = in.c.s.o.Now()
	b := make([]byte, 65536)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, from, err := conn.ReadFromUDPAddrPort(b)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return err
		case !in.mayCome(from.Addr()):
		default:
			if err := in.packet(b[:n]); err != nil {
				return err
			}
		}
		if err := in.quiet(); err != nil {
			return err
		}
	}
}

// framed waits for the device's connection and reads RFC 4571.
func (in *intake) framed(ctx context.Context, l *net.TCPListener) error {
	_ = l.SetDeadline(time.Now().Add(connectWithin))
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	in.last = in.c.s.o.Now()
	var conn *net.TCPConn
	for conn == nil {
		c, err := l.AcceptTCP()
		if err != nil {
			return err
		}
		if !in.mayCome(c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()) {
			c.Close()
			continue
		}
		conn = c
	}
	defer conn.Close()
	stop2 := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop2()
	r := bufio.NewReaderSize(conn, 64<<10)
	b := make([]byte, 65536)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(in.c.s.o.Silence))
		if _, err := io.ReadFull(r, b[:2]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint16(b))
		if _, err := io.ReadFull(r, b[:n]); err != nil {
			return err
		}
		if err := in.packet(b[:n]); err != nil {
			return err
		}
		if err := in.quiet(); err != nil {
			return err
		}
	}
}
