package gb28181

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
	"tocsin/hwtest/platform"
)

// say sends a datagram to the box's SIP from an address and waits a little for an answer.
func say(t *testing.T, from, to, text string, wait time.Duration) string {
	t.Helper()
	c, err := net.ListenPacket("udp", net.JoinHostPort(from, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\r\n"), "SOURCE", c.LocalAddr().String())
	if _, err := c.WriteTo([]byte(text), a); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(wait))
	n, _, err := c.ReadFrom(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func request(method, from, body string) string {
	kind := "Application/MANSCDP+xml"
	if method == "INVITE" {
		kind = "application/sdp"
	}
	body = strings.ReplaceAll(body, "\n", "\r\n")
	return fmt.Sprintf(`%s sip:%s@3402000000 SIP/2.0
Via: SIP/2.0/UDP SOURCE;rport;branch=z9hG4bK%d
From: <sip:%s@3402000000>;tag=1
To: <sip:%s@3402000000>
Call-ID: %d@there
CSeq: 1 %s
Contact: <sip:%s@SOURCE>
Max-Forwards: 70
Content-Type: %s
Content-Length: %d

`, method, channelID, time.Now().UnixNano(), from, channelID, time.Now().UnixNano(), method, from, kind, len(body)) + body
}

const wellFormed = `<?xml version="1.0"?><Query><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>` + deviceID + `</DeviceID></Query>`

// an offer that is good but for who makes it.
const goodOffer = `v=0
o=34020000002000000001 0 0 IN IP4 127.0.0.1
s=Play
c=IN IP4 127.0.0.1
t=0 0
m=video 40000 RTP/AVP 96
a=rtpmap:96 PS/90000
y=0200001234
`

func TestNobodyButThePlatformIsHeard(t *testing.T) {
	b := newBench(t, stream.H264, nil, nil)
	b.await("signed in", 1)
	to := b.p.Source(deviceID)
	if got := say(t, "127.0.0.2", to, request("INVITE", platformID, goodOffer), 300*time.Millisecond); got != "" {
		t.Errorf("another address is answered: %s", got)
	}
	if got := say(t, "127.0.0.1", to, request("INVITE", "34020000002000000009", goodOffer), 10*time.Second); !strings.HasPrefix(got, "SIP/2.0 403") {
		t.Errorf("another platform's code is answered: %s", got)
	}
	if n := len(b.d.Status().Platforms[0].Sessions); n > 0 {
		t.Errorf("%d sessions began", n)
	}
}

func TestWhateverComesTheBoxStaysSignedIn(t *testing.T) {
	b := newBench(t, stream.H264, nil, nil)
	b.await("signed in", 1)
	to := b.p.Source(deviceID)
	deep := strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)
	wide := "<Query>" + strings.Repeat("<a/>", 5000) + "</Query>"
	for name, tc := range map[string]struct{ body, want string }{
		"well formed":          {wellFormed, "SIP/2.0 200"},
		"an entity that grows": {`<?xml version="1.0"?><!DOCTYPE q [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><Query><CmdType>&b;</CmdType><SN>1</SN><DeviceID>` + deviceID + `</DeviceID></Query>`, "SIP/2.0 400"},
		"a file to be fetched": {`<?xml version="1.0"?><!DOCTYPE q SYSTEM "file:///etc/passwd"><Query/>`, "SIP/2.0 400"},
		"too deep":             {deep, "SIP/2.0 400"},
		"too wide":             {wide, "SIP/2.0 400"},
		"text without end":     {"<Query><CmdType>" + strings.Repeat("x", 20000) + "</CmdType></Query>", "SIP/2.0 400"},
		"not closed":           {"<Query><CmdType>Catalog", "SIP/2.0 400"},
		"two roots":            {wellFormed + "<Query/>", "SIP/2.0 400"},
		"noise":                {string(bytes.Repeat([]byte{0xFF, 0xFE, 0, 1}, 300)), "SIP/2.0 400"},
		"another's code":       {strings.Replace(wellFormed, deviceID, "34020000001110000009", 1), "SIP/2.0 404"},
		"no code":              {strings.Replace(wellFormed, deviceID, "<x/>", 1), "SIP/2.0 400"},
		"a number that is none": {
			strings.Replace(wellFormed, "<SN>1<", "<SN>-1<", 1), "SIP/2.0 400"},
	} {
		if got := say(t, "127.0.0.1", to, request("MESSAGE", platformID, tc.body), 20*time.Second); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %.60q, want %s", name, got, tc.want)
		}
	}
	for _, text := range []string{
		"", "\x00\x00\x00\x00", "INVITE", "INVITE sip:x SIP/2.0\n\n", "SIP/2.0 200 OK\n\n", "MESSAGE sip:a@b SIP/2.0\nVia: x\nContent-Length: 99999999999999999999\n\n",
		"BYE sip:a@b SIP/2.0\nCall-ID: 1\nCSeq: 1 BYE\nFrom: <sip:" + platformID + "@x>;tag=1\nTo: <sip:a@b>\nVia: SIP/2.0/UDP SOURCE;branch=z9hG4bK1\n\n",
		"ACK sip:a@b SIP/2.0\nCall-ID: 1\nCSeq: 1 ACK\nFrom: <sip:" + platformID + "@x>;tag=1\nTo: <sip:a@b>\nVia: SIP/2.0/UDP SOURCE;branch=z9hG4bK2\n\n",
		"CANCEL sip:a@b SIP/2.0\nCall-ID: 1\nCSeq: 1 CANCEL\nFrom: <sip:" + platformID + "@x>;tag=1\nTo: <sip:a@b>\nVia: SIP/2.0/UDP SOURCE;branch=z9hG4bK3\n\n",
		request("SUBSCRIBE", platformID, wellFormed), request("REGISTER", platformID, ""), request("OPTIONS", platformID, ""), request("REFER", platformID, ""),
		strings.Repeat("A", 60000),
	} {
		say(t, "127.0.0.1", to, text, 10*time.Millisecond)
	}
	b.await("keepalive", b.p.Count("keepalive")+3)
	if n := b.p.Count("signed in"); n != 1 {
		t.Errorf("it signed in %d times", n)
	}
	if _, err := b.p.Ask(b.ctx, deviceID, "Query", "Catalog", deviceID, ""); err != nil {
		t.Error(err)
	}
}

func TestAnInviteThatIsNotConfirmedHoldsItsPlaceAndEndsWithTheBox(t *testing.T) {
	b := newBench(t, stream.H264, nil, func(o *Opts) { o.MostSessions = 1 })
	b.await("signed in", 1)
	to := b.p.Source(deviceID)
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, _ := net.ResolveUDPAddr("udp", to)
	invite := strings.ReplaceAll(strings.ReplaceAll(request("INVITE", platformID, goodOffer), "\n", "\r\n"), "SOURCE", c.LocalAddr().String())
	invite = strings.ReplaceAll(invite, "\r\r\n", "\r\n")
	if _, err := c.WriteTo([]byte(invite), a); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, _, err := c.ReadFrom(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "SIP/2.0 200") {
		t.Fatalf("%.60s %v", buf[:n], err)
	}
	// Before its ACK it holds the one place.
	if _, err := b.p.Invite(b.ctx, platform.Wish{Device: deviceID, Channel: channelID}); err == nil || err.Error() != "refused with 486" {
		t.Errorf("while another waits: %v", err)
	}
	// The platform goes away; the box gives up with it.
	b.stop()
	if err := b.p.Await(t.Context(), "signed out", 1); err != nil {
		t.Error(err)
	}
}
