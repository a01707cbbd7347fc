package platform

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	mpeg2 "github.com/yapingcat/gomedia/go-mpeg2"
)

// Flight is what a Drone is and shows.
type Flight struct {
	Device, Channel string // its codes
	Upper           string // the code of the platform that it signs in at
	At              netip.AddrPort
	SIP             string // UDP or TCP
	H265            bool
	Pictures        [][][]byte // NAL units, shown round and round with G.711 beside them
	Every           time.Duration
	Mute            bool // answers and sends nothing
	Lose            int  // every so many packets one is lost
}

// Drone is a device that signs in at a platform and sends pictures when it is invited, of
// another's make: SIP and digest by sipgo, program streams by gomedia.
type Drone struct {
	Events chan string // key, invite, bye, and what failed
	f      Flight
	ctx    context.Context
	ua     *sipgo.UserAgent
	client *sipgo.Client
	local  string
	done   sync.WaitGroup

	mu     sync.Mutex
	mute   bool
	invite *sip.Request
	stop   context.CancelFunc
}

// Launch makes a drone that has not signed in yet. It flies until Close or ctx ends.
func Launch(ctx context.Context, f Flight) (*Drone, error) {
	d := &Drone{f: f, ctx: ctx, mute: f.Mute, Events: make(chan string, 1000)}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	d.ua, err = sipgo.NewUA(sipgo.WithUserAgent(f.Device), sipgo.WithUserAgentHostname(f.Upper[:10]),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet)))
	if err != nil {
		return nil, err
	}
	server, err := sipgo.NewServer(d.ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		return nil, err
	}
	server.OnMessage(d.onMessage)
	server.OnInvite(d.onInvite)
	server.OnAck(d.onAck)
	server.OnBye(func(r *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(r, 200, "OK", nil))
		d.land()
		d.tell("bye")
	})
	options := []sipgo.ClientOption{sipgo.WithClientLogger(quiet), sipgo.WithClientNAT()}
	if f.SIP == "UDP" {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		d.local = conn.LocalAddr().String()
		options = append(options, sipgo.WithClientConnectionAddr(d.local))
		go func() { _ = server.ServeUDP(conn); conn.Close() }()
		for { // until the user agent knows it
			if c, err := d.ua.TransportLayer().GetConnection("udp", d.local); err == nil && c != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	d.client, err = sipgo.NewClient(d.ua, options...)
	return d, err
}

// Close ends it without a word.
func (d *Drone) Close() {
	d.land()
	d.ua.Close()
	d.done.Wait()
}

// Speak has a mute drone send from its next session on.
func (d *Drone) Speak() {
	d.mu.Lock()
	d.mute = false
	d.mu.Unlock()
}

func (d *Drone) tell(what string) {
	select {
	case d.Events <- what:
	default:
	}
}

// land ends the pictures.
func (d *Drone) land() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.stop()
	}
}

// Await waits for an event.
func (d *Drone) Await(ctx context.Context, what string) error {
	for {
		select {
		case e := <-d.Events:
			if e == what {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("no %s: %w", what, ctx.Err())
		}
	}
}

func (d *Drone) request(method sip.RequestMethod, to string) *sip.Request {
	realm := d.f.Upper[:10]
	r := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: d.f.Upper, Host: realm})
	r.SetTransport(d.f.SIP)
	r.SetDestination(d.f.At.String())
	from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: d.f.Device, Host: realm}}
	from.Params.Add("tag", sip.GenerateTagN(8))
	r.AppendHeader(&from)
	r.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: to, Host: realm}})
	r.AppendHeader(&sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: d.f.Device, Host: "127.0.0.1", Port: 5060}})
	return r
}

// Register signs in, or out where expires is nought; it gives the code of the last answer.
func (d *Drone) Register(password string, expires int) (int, error) {
	r := d.request(sip.REGISTER, d.f.Device)
	e := sip.ExpiresHeader(expires)
	r.AppendHeader(&e)
	res, err := d.client.Do(d.ctx, r)
	if err == nil && res.StatusCode == 401 {
		res, err = d.client.DoDigestAuth(d.ctx, r, res, sipgo.DigestAuth{Username: d.f.Device, Password: password})
	}
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

// Message sends a body of MANSCDP and gives the code of its answer.
func (d *Drone) Message(body string) (int, error) {
	r := d.request(sip.MESSAGE, d.f.Upper)
	r.AppendHeader(sip.NewHeader("Content-Type", "Application/MANSCDP+xml"))
	r.SetBody([]byte(body))
	res, err := d.client.Do(d.ctx, r)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

var number = regexp.MustCompile(`<SN>(\d+)</SN>`)

func (d *Drone) onMessage(r *sip.Request, tx sip.ServerTransaction) {
	_ = tx.Respond(sip.NewResponseFromRequest(r, 200, "OK", nil))
	body := string(r.Body())
	switch n := number.FindStringSubmatch(body); {
	case strings.Contains(body, "<CmdType>Catalog<") && n != nil:
		_, err := d.Message(`<?xml version="1.0" encoding="GB2312"?><Response><CmdType>Catalog</CmdType><SN>` + n[1] + `</SN><DeviceID>` + d.f.Device + `</DeviceID><SumNum>2</SumNum><DeviceList Num="2"><Item><DeviceID>34020000001340000001</DeviceID><Name>` + "\xb1\xa8\xbe\xaf" + `</Name></Item><Item><DeviceID>` + d.f.Channel + `</DeviceID><Name>` + "\xd4\xc6\xcc\xa8" + `</Name></Item></DeviceList></Response>`)
		if err != nil {
			d.tell(err.Error())
		}
	case strings.Contains(body, "<IFameCmd>Send<"):
		d.tell("key")
	}
}

func (d *Drone) onInvite(r *sip.Request, tx sip.ServerTransaction) {
	if r.Recipient.User != d.f.Channel {
		_ = tx.Respond(sip.NewResponseFromRequest(r, 404, "No Such Channel", nil))
		return
	}
	res := sip.NewResponseFromRequest(r, 200, "OK", []byte("v=0\r\no="+d.f.Channel+" 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny="+after(r.Body(), "y=")+"\r\n"))
	host, port, _ := net.SplitHostPort(d.local)
	n, _ := strconv.Atoi(port)
	if host == "" {
		host = "127.0.0.1"
	}
	res.AppendHeader(&sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: d.f.Channel, Host: host, Port: n}})
	d.mu.Lock()
	d.invite = r
	d.mu.Unlock()
	_ = tx.Respond(res)
	d.tell("invite")
}

func after(b []byte, prefix string) string {
	for _, l := range strings.Split(string(b), "\r\n") {
		if v, ok := strings.CutPrefix(l, prefix); ok {
			return v
		}
	}
	return ""
}

func (d *Drone) onAck(*sip.Request, sip.ServerTransaction) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.stop()
	}
	ctx, stop := context.WithCancel(d.ctx)
	d.stop = stop
	if d.mute || d.invite == nil {
		return
	}
	sdp := d.invite.Body()
	d.done.Add(1)
	go func() {
		defer d.done.Done()
		if err := d.send(ctx, sdp); err != nil {
			d.tell(err.Error())
		}
	}()
}

// send shows the pictures round and round.
func (d *Drone) send(ctx context.Context, sdp []byte) error {
	f, at := strings.Fields(after(sdp, "m=video ")), strings.Fields(after(sdp, "c="))
	if len(f) < 2 || len(at) < 3 {
		return fmt.Errorf("an offer without media: %q", sdp)
	}
	network := "udp"
	if f[1] == "TCP/RTP/AVP" {
		network = "tcp"
	}
	c, err := net.Dial(network, net.JoinHostPort(at[2], f[0]))
	if err != nil {
		return err
	}
	defer c.Close()
	ssrc, _ := strconv.Atoi(after(sdp, "y="))
	m := mpeg2.NewPsMuxer()
	cid := mpeg2.PS_STREAM_H264
	if d.f.H265 {
		cid = mpeg2.PS_STREAM_H265
	}
	pictures, sounds := m.AddStream(cid), m.AddStream(mpeg2.PS_STREAM_G711A)
	var pack []byte
	m.OnPacket = func(b []byte) { pack = append(pack, b...) }
	seq := uint16(65000)
	flush := func(at uint32) {
		for len(pack) > 0 {
			n := min(1388, len(pack))
			b := []byte{0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
			if n == len(pack) {
				b[1] |= 0x80
			}
			binary.BigEndian.PutUint16(b[2:], seq)
			binary.BigEndian.PutUint32(b[4:], at)
			binary.BigEndian.PutUint32(b[8:], uint32(ssrc))
			b = append(b, pack[:n]...)
			pack = pack[n:]
			seq++
			if network == "tcp" {
				b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
			} else if d.f.Lose > 0 && int(seq)%d.f.Lose == 0 {
				continue
			}
			_, _ = c.Write(b)
		}
	}
	for i := 0; ctx.Err() == nil; i++ {
		var frame []byte
		for _, n := range d.f.Pictures[i%len(d.f.Pictures)] {
			frame = append(append(frame, 0, 0, 0, 1), n...)
		}
		ms := uint64(i*40 + 1000)
		_ = m.Write(pictures, frame, ms, ms)
		flush(uint32(ms * 90))
		_ = m.Write(sounds, bytes.Repeat([]byte{0xD5}, 320), ms, ms)
		flush(uint32(ms * 90))
		select {
		case <-time.After(d.f.Every):
		case <-ctx.Done():
		}
	}
	return nil
}
