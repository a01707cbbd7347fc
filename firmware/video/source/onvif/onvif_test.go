package onvif

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/hwtest/camera"
)

var jpeg = append([]byte{0xff, 0xd8, 0xff, 0xe0}, bytes.Repeat([]byte{1}, 5000)...)

func bench(t *testing.T) *camera.Camera {
	t.Helper()
	c, err := camera.Start(camera.Opts{User: "admin", Password: `pa<s&"wörd`, JPEG: jpeg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func at(t *testing.T, o Opts) *Camera {
	t.Helper()
	o.Name = "gate"
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACameraTellsItsStreamsAndSnapshots(t *testing.T) {
	cam := bench(t)
	for name, now := range map[string]func() time.Time{
		"with our time": time.Now,
		"with its own time, where ours is another": func() time.Time { return time.Now().Add(-26 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			c := at(t, Opts{Address: cam.Service(), User: "admin", Password: `pa<s&"wörd`, Now: now})
			ps, err := c.Profiles(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(ps) != 2 || ps[0] != (Profile{"main", "mainStream", "H264", 1920, 1080, 25, 2048}) || ps[1].Token != "sub" {
				t.Errorf("%+v", ps)
			}
			for _, p := range ps {
				if u, err := c.StreamURL(t.Context(), p.Token); err != nil || u != cam.URL(p.Token) {
					t.Errorf("%s %v", u, err)
				}
			}
			u, err := c.SnapshotURL(t.Context(), "main")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second with the login that it has
				b, err := c.Snapshot(t.Context(), u, 1<<20)
				if err != nil || !bytes.Equal(b, jpeg) {
					t.Errorf("%d bytes, %v", len(b), err)
				}
			}
			if _, err := c.Snapshot(t.Context(), u, 5003); code(err) != "video-onvif.long" {
				t.Errorf("a snapshot beyond the bound: %v", err)
			}
			before := cam.Asked()
			if err := c.AskKey(t.Context(), "main"); err != nil || cam.Asked() != before+1 {
				t.Errorf("a key picture: %v", err)
			}
		})
	}
}

func code(err error) string { return phrase.Of(err).Code }

func TestAWrongPasswordIsSaidAndNotTriedOverAndOver(t *testing.T) {
	cam := bench(t)
	c := at(t, Opts{Address: strings.TrimPrefix(cam.Base(), "http://"), User: "admin", Password: "guess"})
	_, err := c.Profiles(t.Context())
	if code(err) != "video-onvif.password" || strings.Contains(err.Error(), "guess") {
		t.Errorf("%v", err)
	}
	if _, err := c.Snapshot(t.Context(), cam.Base()+"/snapshot/main", 1<<20); code(err) != "video-onvif.password" {
		t.Errorf("%v", err)
	}
	if _, wrong := cam.Tries(); wrong > 2 {
		t.Errorf("%d tries with a wrong password", wrong)
	}
}

// answer is a camera that answers anything with the same.
func answer(t *testing.T, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func TestStrangeAnswersAreRefused(t *testing.T) {
	env := func(body string) string {
		return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>` + body + `</s:Body></s:Envelope>`
	}
	for name, c := range map[string]struct{ body, want string }{
		"a DTD":           {`<!DOCTYPE x [<!ENTITY a "b">]>` + env("<GetCapabilitiesResponse>&a;</GetCapabilitiesResponse>"), "video-onvif.answer"},
		"an entity":       {env("&a;"), "video-onvif.answer"},
		"depth":           {env(strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)), "video-onvif.answer"},
		"many elements":   {env(strings.Repeat("<a/>", 9000)), "video-onvif.answer"},
		"a long text":     {env("<a>" + strings.Repeat("x", 5000) + "</a>"), "video-onvif.answer"},
		"many bytes":      {env("<a>" + strings.Repeat("<!-- x -->", 60000) + "</a>"), "video-onvif.unreachable"},
		"cut off":         {env("")[:40], "video-onvif.answer"},
		"two roots":       {env("") + env(""), "video-onvif.answer"},
		"no XML":          {"hello", "video-onvif.answer"},
		"no profiles":     {env(""), "video-onvif.profiles"},
		"another charset": {`<?xml version="1.0" encoding="x-evil"?>` + env(""), "video-onvif.answer"},
		"a fault":         {env("<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>busy</s:Text></s:Reason></s:Fault>"), "video-onvif.fault"},
		"not authorized":  {env("<s:Fault><s:Code><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code></s:Fault>"), "video-onvif.password"},
	} {
		t.Run(name, func(t *testing.T) {
			s := answer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, c.body) })
			_, err := at(t, Opts{Address: s.URL}).Profiles(t.Context())
			if code(err) != c.want {
				t.Errorf("%s: %v", code(err), err)
			}
			for _, l := range phrase.Languages {
				if strings.ContainsRune(phrase.In(err, l), '{') {
					t.Error(phrase.In(err, l))
				}
			}
		})
	}
}

func TestAnAddressLeadsNowhereElse(t *testing.T) {
	c := at(t, Opts{Address: "10.0.0.9:8000"})
	for said, want := range map[string]string{
		"rtsp://192.168.1.64:554/main?x=1":      "rtsp://10.0.0.9:554/main?x=1", // behind a translator
		"rtsp://evil.example/main":              "rtsp://10.0.0.9/main",
		"rtsp://user:secret@10.0.0.9:8554/main": "rtsp://10.0.0.9:8554/main",
		"http://10.0.0.9/main":                  "",
		"file:///etc/passwd":                    "",
		"rtsp:opaque":                           "",
		"rtsp://" + strings.Repeat("a", 2000):   "",
		"":                                      "",
	} {
		if got, ok := c.ours(said, "rtsp"); got != want || ok != (want != "") {
			t.Errorf("%q: %q", said, got)
		}
	}
	elsewhere := 0
	other := answer(t, func(http.ResponseWriter, *http.Request) { elsewhere++ })
	s := answer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	if _, err := at(t, Opts{Address: s.URL, User: "a", Password: "b"}).Profiles(t.Context()); code(err) != "video-onvif.status" || elsewhere != 0 {
		t.Errorf("a redirect: %v, followed %d times", err, elsewhere)
	}
}

func TestHTTPDigestAnswersTheRFCsExample(t *testing.T) {
	// RFC 2617 3.5 without its qop; the same hash is in RFC 7616's MD5 example.
	k, ok := challenged([]string{`Basic realm="x"`, `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`}, true)
	if !ok || k.kind != "digest" {
		t.Fatalf("%+v", k)
	}
	a := k.answer("GET", "/dir/index.html", "Mufasa", "Circle Of Life", true)
	if !strings.Contains(a, `response="670fd8c2df070c60b045671b8b24ff02"`) || !strings.Contains(a, `opaque="5ccc069c403ebaf9f0171e9517f40e41"`) {
		t.Error(a)
	}
	if k, ok := challenged([]string{`Basic realm="x"`}, false); ok {
		t.Errorf("basic, where it may not be: %+v", k)
	}
	if k, _ := challenged([]string{`Digest realm="a", nonce="n", algorithm=MD5, qop="auth"`, `Digest realm="a", nonce="n", algorithm=SHA-256, qop="auth-int, auth"`}, true); !k.sha256 || !k.qop {
		t.Errorf("%+v", k)
	}
}

func TestSomeCamerasWantHTTPDigestForSOAP(t *testing.T) {
	asked := 0
	s := answer(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Digest ") {
			w.Header().Set("WWW-Authenticate", `Digest realm="cam", nonce="abc", qop="auth"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, `<s:Envelope xmlns:s="x"><s:Body><GetProfilesResponse><Profiles token="p"><VideoEncoderConfiguration><Encoding>H264</Encoding></VideoEncoderConfiguration></Profiles></GetProfilesResponse></s:Body></s:Envelope>`)
	})
	ps, err := at(t, Opts{Address: s.URL, User: "a", Password: "b"}).Profiles(t.Context())
	if err != nil || len(ps) != 1 || asked != 3 {
		t.Errorf("%v %v, asked %d times", ps, err, asked)
	}
}

func TestASnapshotThatIsNoJPEGIsRefused(t *testing.T) {
	s := answer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>log in</html>") })
	if _, err := at(t, Opts{Address: s.URL}).Snapshot(t.Context(), s.URL, 1<<20); code(err) != "video-onvif.jpeg" {
		t.Error(err)
	}
}

func TestCamerasOfACableAreFound(t *testing.T) {
	cam := bench(t)
	listen := func() net.PacketConn {
		pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return pc
	}
	there := listen()
	cam.Discover(there, nil)
	found, err := probe(t.Context(), listen(), there.LocalAddr(), 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Address != cam.Service() || found[0].Name != "Bench C1" || found[0].Hardware != "C1" || found[0].ID == "" {
		t.Errorf("%+v", found)
	}
	if _, err := at(t, Opts{Address: found[0].Address, User: "admin", Password: `pa<s&"wörd`}).Profiles(t.Context()); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]func(id string) []byte{
		"an answer to nobody": func(string) []byte { return match("urn:uuid:other", "http://127.0.0.1/x") },
		"a DTD":               func(id string) []byte { return append([]byte("<!DOCTYPE a>"), match(id, "http://127.0.0.1/x")...) },
		"another scheme":      func(id string) []byte { return match(id, "ftp://127.0.0.1/x") },
		"too long": func(id string) []byte {
			return append(match(id, "http://127.0.0.1/x"), bytes.Repeat([]byte(" "), maxMessage)...)
		},
	} {
		pc := listen()
		cam.Discover(pc, f)
		if found, err := probe(t.Context(), listen(), pc.LocalAddr(), 200*time.Millisecond); err != nil || len(found) != 0 {
			t.Errorf("%s: %+v %v", name, found, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := probe(ctx, listen(), there.LocalAddr(), time.Hour); err == nil {
		t.Error("a search that was given up goes on")
	}
}

func match(id, addr string) []byte {
	return fmt.Appendf(nil, `<e:Envelope xmlns:e="x"><e:Header><RelatesTo>%s</RelatesTo></e:Header><e:Body><ProbeMatches><ProbeMatch><XAddrs>%s</XAddrs></ProbeMatch></ProbeMatches></e:Body></e:Envelope>`, id, addr)
}

func TestACameraIsWhereItAnsweredFrom(t *testing.T) {
	from := netip.MustParseAddr("10.1.2.3")
	for addrs, want := range map[string]string{
		"http://192.168.0.9/a http://10.1.2.3:8000/onvif/device_service": "http://10.1.2.3:8000/onvif/device_service",
		"http://192.168.0.9:81/a":     "http://10.1.2.3:81/a",
		"http://evil.example/a?x=1#y": "http://10.1.2.3/a",
		"http://u:p@10.1.2.3/a":       "",
	} {
		f := matches(match("i", addrs), "i", from)
		if want == "" && len(f) != 0 || want != "" && (len(f) != 1 || f[0].Address != want) {
			t.Errorf("%s: %+v", addrs, f)
		}
	}
}

// FuzzAnswer reads answers as a stranger may send them.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`<e:Envelope xmlns:e="x"><e:Body><p token="a">b &lt; c</p></e:Body></e:Envelope>`))
	f.Add(match("i", "http://127.0.0.1/x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := read(b)
		if err != nil {
			return
		}
		elements := 0
		var walk func(n *node, depth int)
		walk = func(n *node, depth int) {
			if elements++; depth > maxDepth || len(n.text) > maxText || len(n.token) > maxText {
				t.Fatal("beyond the bounds")
			}
			for _, c := range n.children {
				walk(c, depth+1)
			}
		}
		walk(n, 1)
		if elements > maxElements {
			t.Fatal("too many")
		}
	})
}

// FuzzMatches reads answers to a probe: no address leads elsewhere than to who sent it.
func FuzzMatches(f *testing.F) {
	from := netip.MustParseAddr("10.1.2.3")
	f.Add(match("i", "http://10.1.2.3:80/x http://h/y"))
	f.Add(match("i", "https://[::1]:80/x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range matches(b, "i", from) {
			c, err := New(Opts{Address: m.Address})
			if err != nil {
				t.Fatalf("%q: %v", m.Address, err)
			}
			if h, _, _ := strings.Cut(c.host, ":"); h != "10.1.2.3" {
				t.Fatalf("%q leads to %q", m.Address, c.host)
			}
			if len(m.Name) > 130 || strings.ContainsAny(m.Name, "\r\n") {
				t.Fatalf("%q", m.Name)
			}
		}
	})
}

// FuzzChallenge answers what a server asks for: no line may be broken.
func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="a\"b", nonce="n", qop="auth,auth-int", algorithm=MD5-sess, opaque=x`)
	f.Fuzz(func(t *testing.T, h string) {
		k, ok := challenged([]string{h}, true)
		if a := k.answer("GET", "/x", "u", "p", true); ok && (a == "" || strings.ContainsAny(a, "\r\n")) {
			t.Fatalf("%q", a)
		}
	})
}
