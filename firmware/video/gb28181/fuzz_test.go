package gb28181

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/video/gb28181/mans"
	"tocsin/firmware/video/stream"
)

func FuzzOffer(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(goodOffer, "\n", "\r\n")))
	f.Add([]byte("v=0\ns=Download\nc=IN IP6 ::1\nt=1 9\nm=video 9 TCP/RTP/AVP 96\na=setup:active\na=downloadspeed:2\ny=1200000001\nf=v/2/6/25/1/4000a/1/8/1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := readOffer(b)
		if err != nil {
			return
		}
		if !o.to.IsValid() || o.to.Port() == 0 || o.speed <= 0 || o.ssrc != "" && len(o.ssrc) != 10 {
			t.Fatalf("%+v", o)
		}
		// The answer is itself an offer that reads the same.
		if o.ssrc == "" {
			o.ssrc = "0200000001"
		}
		back, err := readOffer(o.answer(channelID, netip.MustParseAddrPort("10.0.0.1:5000"), o.ssrc, form(stream.State{})))
		if err != nil || back.kind != o.kind || back.ssrc != o.ssrc {
			t.Fatalf("%v: %+v", err, back)
		}
	})
}

func FuzzWish(f *testing.F) {
	f.Add([]byte("PLAY MANSRTSP/1.0\r\nCSeq: 2\r\nScale: 2.0\r\nRange: npt=12.5-\r\n\r\n"))
	f.Add([]byte("PAUSE RTSP/1.0\r\nCSeq: 3\r\nPauseTime: now\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := readWish(b)
		if err == nil && (w.scale < 0 || w.scale > 32 || w.scale != w.scale || w.at < 0 || w.cseq != "" && !mans.Digits(w.cseq)) {
			t.Fatalf("%+v", w)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="3402000000",qop="auth",nonce="abc",algorithm=MD5`, "realm")
	f.Fuzz(func(t *testing.T, s, name string) {
		if name == "" {
			return
		}
		if v := parameter(s, strings.ToLower(name)); len(v) > len(s) {
			t.Fatal(v)
		}
	})
}

// FuzzSIP holds sipgo's parser and what we do with a request before its handler against
// whatever a platform's address may send: sipgo's goroutines have no guard of ours.
func FuzzSIP(f *testing.F) {
	for _, m := range []string{"INVITE", "MESSAGE", "BYE", "ACK", "INFO", "CANCEL"} {
		f.Add([]byte(strings.ReplaceAll(strings.ReplaceAll(request(m, platformID, goodOffer), "\n", "\r\n"), "SOURCE", "127.0.0.1:5060")))
	}
	f.Add([]byte("SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 1.1.1.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nWWW-Authenticate: Digest realm=\"3402000000\",nonce=\"1\"\r\nContent-Length: 0\r\n\r\n"))
	p := sip.NewParser(func(p *sip.Parser) { p.MaxMessageLength = mostSIP })
	a := &attachment{l: &line{p: &Platform{ID: platformID, Realm: realm}}, sessions: map[string]*session{}}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := p.NewSIPStream()
		_ = s.ParseSIPStream(b, func(sip.Message) {})
		s.Close()
		m, err := p.ParseSIP(b)
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *sip.Request:
			m.SetSource("127.0.0.1:5060")
			_ = m.Destination()
			if m.From() == nil || m.To() == nil || m.CallID() == nil || m.CSeq() == nil || m.Via() == nil {
				return
			}
			_ = sip.NewResponseFromRequest(m, 200, "OK", nil).String()
			if a.find(m) != nil {
				t.Fatal("a session out of nothing")
			}
			if m.Contact() != nil {
				from := m.To().AsFrom()
				_ = from.String()
			}
		case *sip.Response:
			_, _ = a.challenge(m)
			_ = granted(m, time.Hour)
		}
	})
}
