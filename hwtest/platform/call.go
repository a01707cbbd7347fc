package platform

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// Wish is what an INVITE asks for.
type Wish struct {
	Device, Channel string
	Kind            string // Play where empty
	Way             string // udp where empty; passive: the device connects; active: the platform does
	SSRC            string // ten digits
	From, Until     time.Time
	Speed           int    // of a download
	SDP             string // instead of the platform's own
	To              string // instead of the platform's own address in c=
}

// Call is a session.
type Call struct {
	p      *Platform
	device string
	client *sipgo.Client
	invite *sip.Request
	answer *sip.Response
	media  *media
	cseq   uint32
	Ended  chan struct{} // closed at the device's BYE
}

// Refused is an INVITE that was not taken.
type Refused struct{ Code int }

func (r Refused) Error() string { return fmt.Sprintf("refused with %d", r.Code) }

// Invite asks for pictures and begins to receive.
func (p *Platform) Invite(ctx context.Context, w Wish) (*Call, error) {
	if w.Kind == "" {
		w.Kind = "Play"
	}
	if w.SSRC == "" {
		w.SSRC = "0100000001"
	}
	m, err := listen(p.ip.String(), w.Way, w.SSRC)
	if err != nil {
		return nil, err
	}
	body := w.SDP
	if body == "" {
		body = p.offer(w, m.port())
	}
	r, client, err := p.request(sip.INVITE, w.Device, w.Channel)
	if err != nil {
		m.close()
		return nil, err
	}
	r.AppendHeader(&sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: p.w.ID, Host: p.ip.String(), Port: p.port}})
	r.AppendHeader(sip.NewHeader("Subject", w.Channel+":"+w.SSRC+","+p.w.ID+":0"))
	r.AppendHeader(sip.NewHeader("Content-Type", "APPLICATION/SDP"))
	r.SetBody([]byte(body))
	res, err := client.Do(ctx, r)
	if err != nil {
		m.close()
		return nil, err
	}
	if res.StatusCode != 200 {
		m.close()
		return nil, Refused{res.StatusCode}
	}
	c := &Call{p: p, device: w.Device, client: client, invite: r, answer: res, media: m, cseq: r.CSeq().SeqNo, Ended: make(chan struct{})}
	p.mu.Lock()
	p.calls[r.CallID().Value()] = c
	p.mu.Unlock()
	if err := c.check(w); err != nil {
		p.fault("%v", err)
	}
	ack := c.within(sip.ACK)
	ack.CSeq().SeqNo = r.CSeq().SeqNo
	ack.CSeq().MethodName = sip.ACK
	if err := client.WriteRequest(ack); err != nil {
		return nil, err
	}
	if w.Way == "active" {
		host, port := c.Address()
		if err := m.dial(ctx, host, port); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (p *Platform) offer(w Wish, port int) string {
	to := w.To
	if to == "" {
		to = p.ip.String()
	}
	var b strings.Builder
	line := func(s string, args ...any) { fmt.Fprintf(&b, s+"\r\n", args...) }
	line("v=0")
	line("o=%s 0 0 IN IP4 %s", p.w.ID, to)
	line("s=%s", w.Kind)
	if w.Kind != "Play" {
		line("u=%s:0", w.Channel)
	}
	line("c=IN IP4 %s", to)
	if w.From.IsZero() {
		line("t=0 0")
	} else {
		line("t=%d %d", w.From.Unix(), w.Until.Unix())
	}
	if w.Way == "" || w.Way == "udp" {
		line("m=video %d RTP/AVP 96 97 98 99", port)
	} else {
		line("m=video %d TCP/RTP/AVP 96 97 98 99", port)
	}
	line("a=recvonly")
	line("a=rtpmap:96 PS/90000")
	line("a=rtpmap:97 MPEG4/90000")
	line("a=rtpmap:98 H264/90000")
	line("a=rtpmap:99 H265/90000")
	if w.Way == "passive" || w.Way == "active" {
		line("a=setup:%s", w.Way)
		line("a=connection:new")
	}
	if w.Kind == "Download" {
		line("a=downloadspeed:%d", w.Speed)
	}
	line("y=%s", w.SSRC)
	return b.String()
}

func (c *Call) line(re string) string {
	m := regexp.MustCompile(`(?m)^` + re + `\r?$`).FindStringSubmatch(string(c.answer.Body()))
	if m == nil {
		return ""
	}
	return m[1]
}

// SDP is what the device answered.
func (c *Call) SDP() string { return string(c.answer.Body()) }

// Address is where the device says that its media are.
func (c *Call) Address() (string, int) {
	port, _ := strconv.Atoi(c.line(`m=video (\d+) .*`))
	return c.line(`c=IN IP4 (.*?)`), port
}

// check holds the answer against the offer.
func (c *Call) check(w Wish) error {
	setup := map[string]string{"passive": "active", "active": "passive"}[w.Way]
	proto := "RTP/AVP"
	if setup != "" {
		proto = "TCP/RTP/AVP"
	}
	form := regexp.MustCompile(`^v/[25]?/\d?/\d{0,2}/[12]?/\d*a/\d?/\d?/\d?$`)
	switch {
	case c.line(`s=(.*?)`) != w.Kind:
		return fmt.Errorf("answered s=%q to %s", c.line(`s=(.*?)`), w.Kind)
	case c.line(`y=(.*?)`) != w.SSRC:
		return fmt.Errorf("answered y=%q to %s", c.line(`y=(.*?)`), w.SSRC)
	case c.line(`m=video \d+ (\S+) 96`) != proto:
		return fmt.Errorf("answered %q for %s", c.line(`m=video \d+ (.*?)`), w.Way)
	case c.line(`a=setup:(.*?)`) != setup:
		return fmt.Errorf("answered setup %q to %s", c.line(`a=setup:(.*?)`), w.Way)
	case c.line(`a=(sendonly)`) == "" || c.line(`a=rtpmap:96 (PS/90000)`) == "":
		return fmt.Errorf("no sendonly or no mapping in %q", c.SDP())
	case !form.MatchString(c.line(`f=(.*?)`)):
		return fmt.Errorf("f=%q", c.line(`f=(.*?)`))
	case c.answer.Contact() == nil:
		return fmt.Errorf("no Contact in the answer")
	}
	return nil
}

// within makes a request in the session.
func (c *Call) within(method sip.RequestMethod) *sip.Request {
	r := sip.NewRequest(method, c.answer.Contact().Address)
	r.SetTransport(c.invite.Transport())
	r.SetDestination(c.invite.Destination())
	r.AppendHeader(sip.HeaderClone(c.invite.From()))
	r.AppendHeader(sip.HeaderClone(c.answer.To()))
	r.AppendHeader(sip.HeaderClone(c.invite.CallID()))
	c.cseq++
	r.AppendHeader(&sip.CSeqHeader{SeqNo: c.cseq, MethodName: method})
	return r
}

// Bye ends the session.
func (c *Call) Bye(ctx context.Context) (int, error) {
	res, err := c.client.Do(ctx, c.within(sip.BYE))
	c.media.close()
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

// Info sends a body of MANSRTSP.
func (c *Call) Info(ctx context.Context, body string) (int, string, error) {
	r := c.within(sip.INFO)
	r.AppendHeader(sip.NewHeader("Content-Type", "Application/MANSRTSP"))
	r.SetBody([]byte(body))
	res, err := c.client.Do(ctx, r)
	if err != nil {
		return 0, "", err
	}
	return res.StatusCode, string(res.Body()), nil
}

// Media is what has come so far.
func (c *Call) Media() Media { return c.media.snapshot() }

// AwaitUnits waits until so many units came in full.
func (c *Call) AwaitUnits(ctx context.Context, n int) (Media, error) { return c.media.await(ctx, n) }

func (p *Platform) onBye(r *sip.Request, tx sip.ServerTransaction) {
	p.mu.Lock()
	c := p.calls[r.CallID().Value()]
	delete(p.calls, r.CallID().Value())
	p.mu.Unlock()
	if c == nil {
		respond(r, tx, 481, "No Such Call")
		return
	}
	ours, _ := c.invite.From().Params.Get("tag")
	theirs, _ := c.answer.To().Params.Get("tag")
	to, _ := r.To().Params.Get("tag")
	from, _ := r.From().Params.Get("tag")
	if to != ours || from != theirs {
		p.fault("a BYE with tags %q, %q", from, to)
	}
	respond(r, tx, 200, "OK")
	close(c.Ended)
	p.event("bye", r.From().Address.User)
}
