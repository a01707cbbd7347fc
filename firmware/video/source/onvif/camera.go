package onvif

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/phrase"
)

// Opts are what a Camera needs.
type Opts struct {
	// Name is the camera's, as people know it.
	Name string
	// Address is that of its device service, as discovery told it, or its host alone.
	Address        string
	User, Password string
	// Timeout is for one answer (5 s).
	Timeout time.Duration
	// Now is the wall clock, which a token needs; the camera's own is asked for where
	// it refuses ours. nil takes time.Now.
	Now func() time.Time
	// Dial connects; nil takes net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Camera is one camera's ONVIF side. Its methods may be called from any goroutine.
type Camera struct {
	o    Opts
	host string // and port
	http *http.Client

	mu     sync.Mutex
	media  string // address of its media service
	ahead  time.Duration
	login  challenge
	asked  bool // for its time
	device string
}

// New proves the options; nothing is asked yet.
func New(o Opts) (*Camera, error) {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	a := o.Address
	if !strings.Contains(a, "://") {
		a = "http://" + a
	}
	u, err := url.Parse(a)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || len(a) > 512 || u.User != nil {
		return nil, phrase.E("video-onvif.address", "camera", o.Name)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/onvif/device_service"
	}
	c := &Camera{o: o, host: u.Host, device: u.String()}
	c.http = &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			DialContext: o.Dial, DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: 32 << 10, ResponseHeaderTimeout: o.Timeout, TLSHandshakeTimeout: o.Timeout,
		},
		// An answer that leads elsewhere is not followed: the password would go with it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Profile is a stream that a camera offers.
type Profile struct {
	Token, Name   string
	Codec         string // as the camera says: H264, H265, JPEG, …
	Width, Height int
	FPS, Kbit     int
}

var (
	errPassword = errors.New("user or password refused")
	errNo       = errors.New("not supported")
)

// Profiles gives what the camera offers, the largest picture first: the first is the main
// stream, the last that is H.264 or H.265 the lower one.
func (c *Camera) Profiles(ctx context.Context) ([]Profile, error) {
	if err := c.find(ctx); err != nil {
		return nil, err
	}
	b, err := c.call(ctx, c.service(), "GetProfiles", `<trt:GetProfiles/>`)
	if err != nil {
		return nil, err
	}
	var out []Profile
	for _, n := range b.all("GetProfilesResponse", "Profiles") {
		e := n.one("VideoEncoderConfiguration")
		if e == nil || n.token == "" || len(out) == 64 {
			continue
		}
		p := Profile{Token: n.token, Name: n.say("Name"), Codec: e.say("Encoding"), Width: number(e.say("Resolution", "Width")), Height: number(e.say("Resolution", "Height")),
			FPS: number(e.say("RateControl", "FrameRateLimit")), Kbit: number(e.say("RateControl", "BitrateLimit"))}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, phrase.E("video-onvif.profiles", "camera", c.o.Name, "host", c.host)
	}
	slices.SortStableFunc(out, func(a, b Profile) int { return b.Width*b.Height - a.Width*a.Height })
	return out, nil
}

func number(s string) int {
	if i := strings.IndexByte(s, '.'); i > 0 { // frame rates are floats in some
		s = s[:i]
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<20 {
		return 0
	}
	return n
}

// StreamURL gives the RTSP address of a profile, without user and password.
func (c *Camera) StreamURL(ctx context.Context, profile string) (string, error) {
	return c.uri(ctx, "GetStreamUri", `<trt:GetStreamUri><trt:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>RTSP</tt:Protocol></tt:Transport></trt:StreamSetup><trt:ProfileToken>`+escape(profile)+`</trt:ProfileToken></trt:GetStreamUri>`, "rtsp", "rtsps")
}

// SnapshotURL gives the address of a profile's JPEG.
func (c *Camera) SnapshotURL(ctx context.Context, profile string) (string, error) {
	return c.uri(ctx, "GetSnapshotUri", `<trt:GetSnapshotUri><trt:ProfileToken>`+escape(profile)+`</trt:ProfileToken></trt:GetSnapshotUri>`, "http", "https")
}

// AskKey asks for a key picture of a profile (SetSynchronizationPoint).
func (c *Camera) AskKey(ctx context.Context, profile string) error {
	if err := c.find(ctx); err != nil {
		return err
	}
	_, err := c.call(ctx, c.service(), "SetSynchronizationPoint", `<trt:SetSynchronizationPoint><trt:ProfileToken>`+escape(profile)+`</trt:ProfileToken></trt:SetSynchronizationPoint>`)
	return err
}

func (c *Camera) uri(ctx context.Context, op, body string, schemes ...string) (string, error) {
	if err := c.find(ctx); err != nil {
		return "", err
	}
	b, err := c.call(ctx, c.service(), op, body)
	if err != nil {
		return "", err
	}
	u, ok := c.ours(b.say(op+"Response", "MediaUri", "Uri"), schemes...)
	if !ok {
		return "", phrase.E("video-onvif.answer", "camera", c.o.Name, "host", c.host, "call", op)
	}
	return u, nil
}

// ours takes an address that a camera told: its host becomes the one that answered,
// its port stays.
func (c *Camera) ours(said string, schemes ...string) (string, bool) {
	u, err := url.Parse(said)
	if err != nil || u.Hostname() == "" || len(said) > 1024 || u.Opaque != "" || !slices.Contains(schemes, u.Scheme) {
		return "", false
	}
	host, _, err := net.SplitHostPort(c.host)
	if err != nil {
		host = strings.Trim(c.host, "[]")
	}
	if p := u.Port(); p != "" {
		u.Host = net.JoinHostPort(host, p)
	} else if u.Host = host; strings.Contains(host, ":") {
		u.Host = "[" + host + "]"
	}
	u.User = nil
	return u.String(), true
}

func (c *Camera) service() string { c.mu.Lock(); defer c.mu.Unlock(); return c.media }

// find asks once where the media service is; a camera that does not say is taken to
// have it where most have.
func (c *Camera) find(ctx context.Context) error {
	if c.service() != "" {
		return nil
	}
	b, err := c.call(ctx, c.device, "GetCapabilities", `<tds:GetCapabilities><tds:Category>Media</tds:Category></tds:GetCapabilities>`)
	if err != nil {
		return err
	}
	at, ok := c.ours(b.say("GetCapabilitiesResponse", "Capabilities", "Media", "XAddr"), "http", "https")
	if !ok {
		at = c.device
	}
	c.mu.Lock()
	c.media = at
	c.mu.Unlock()
	return nil
}

// call makes one call and gives the body of its answer. Where the camera refuses the token,
// its own time is asked for, once, and the call is made anew with that.
func (c *Camera) call(ctx context.Context, to, op, body string) (*node, error) {
	b, err := c.once(ctx, to, op, body)
	c.mu.Lock()
	ask := errors.Is(err, errPassword) && !c.asked && c.o.User != ""
	c.asked = c.asked || ask
	c.mu.Unlock()
	if ask && c.time(ctx) {
		b, err = c.once(ctx, to, op, body)
	}
	return b, err
}

const namespaces = `xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema"`

func (c *Camera) once(ctx context.Context, to, op, body string) (*node, error) {
	header := ""
	if c.o.User != "" && op != "GetSystemDateAndTime" {
		header = c.token()
	}
	message := []byte(`<?xml version="1.0" encoding="UTF-8"?><s:Envelope ` + namespaces + `><s:Header>` + header + `</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`)
	status, _, b, err := c.send(ctx, http.MethodPost, to, message, maxAnswer, false)
	if err != nil {
		return nil, phrase.Wrap(err, "video-onvif.unreachable", "camera", c.o.Name, "host", c.host)
	}
	n, bad := read(b)
	if f := n.one("Body", "Fault"); f != nil || status == http.StatusUnauthorized || status == http.StatusForbidden {
		code := strings.ToLower(f.say("Code", "Subcode", "Value") + f.say("Code", "Value") + f.say("faultcode") + f.say("Reason", "Text"))
		if status == http.StatusUnauthorized || status == http.StatusForbidden || strings.Contains(code, "notauthorized") || strings.Contains(code, "not authorized") || strings.Contains(code, "failedauthentication") {
			return nil, phrase.Wrap(errPassword, "video-onvif.password", "camera", c.o.Name, "host", c.host)
		}
		return nil, phrase.Wrap(errNo, "video-onvif.fault", "camera", c.o.Name, "host", c.host, "call", op, "says", shorten(f.say("Reason", "Text")+f.say("faultstring")))
	}
	if status != http.StatusOK {
		return nil, phrase.E("video-onvif.status", "camera", c.o.Name, "host", c.host, "status", status)
	}
	if bad != nil {
		return nil, phrase.Wrap(bad, "video-onvif.answer", "camera", c.o.Name, "host", c.host, "call", op)
	}
	body0 := n.one("Body")
	if n.name != "Envelope" || body0 == nil {
		return nil, phrase.E("video-onvif.answer", "camera", c.o.Name, "host", c.host, "call", op)
	}
	return body0, nil
}

func shorten(s string) string {
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}

// token is a WS-UsernameToken with PasswordDigest: base64(SHA-1(nonce + time +
// password)).
func (c *Camera) token() string {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	c.mu.Lock()
	at := c.o.Now().Add(c.ahead).UTC().Format("2006-01-02T15:04:05.000Z")
	c.mu.Unlock()
	h := sha1.Sum(slices.Concat(nonce, []byte(at), []byte(c.o.Password)))
	const wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
	return `<Security s:mustUnderstand="1" xmlns="` + wsse + `wssecurity-secext-1.0.xsd"><UsernameToken><Username>` + escape(c.o.User) + `</Username><Password Type="` + wsse + `username-token-profile-1.0#PasswordDigest">` +
		base64.StdEncoding.EncodeToString(h[:]) + `</Password><Nonce EncodingType="` + wsse + `soap-message-security-1.0#Base64Binary">` + base64.StdEncoding.EncodeToString(nonce) + `</Nonce><Created xmlns="` + wsse + `wssecurity-utility-1.0.xsd">` + at + `</Created></UsernameToken></Security>`
}

// time asks the camera for its clock; false where that is ours.
func (c *Camera) time(ctx context.Context) bool {
	b, err := c.once(ctx, c.device, "GetSystemDateAndTime", `<tds:GetSystemDateAndTime/>`)
	if err != nil {
		return false
	}
	t := b.one("GetSystemDateAndTimeResponse", "SystemDateAndTime", "UTCDateTime")
	n := func(path ...string) int { return number(t.say(path...)) }
	at := time.Date(n("Date", "Year"), time.Month(n("Date", "Month")), n("Date", "Day"), n("Time", "Hour"), n("Time", "Minute"), n("Time", "Second"), 0, time.UTC)
	if t == nil || at.Year() < 1970 || at.Year() > 2200 {
		return false
	}
	ahead := at.Sub(c.o.Now())
	if ahead.Abs() < 2*time.Second {
		return false
	}
	c.mu.Lock()
	c.ahead = ahead
	c.mu.Unlock()
	return true
}

// Snapshot fetches a profile's JPEG from its address, which SnapshotURL gave; more
// than most bytes, or what is no JPEG, is an error.
func (c *Camera) Snapshot(ctx context.Context, address string, most int) ([]byte, error) {
	at, ok := c.ours(address, "http", "https")
	if !ok {
		return nil, phrase.E("video-onvif.address", "camera", c.o.Name)
	}
	status, _, b, err := c.send(ctx, http.MethodGet, at, nil, most, true)
	switch {
	case errors.Is(err, errLong):
		return nil, phrase.E("video-onvif.long", "camera", c.o.Name, "host", c.host, "most", most)
	case err != nil:
		return nil, phrase.Wrap(err, "video-onvif.unreachable", "camera", c.o.Name, "host", c.host)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return nil, phrase.Wrap(errPassword, "video-onvif.password", "camera", c.o.Name, "host", c.host)
	case status != http.StatusOK:
		return nil, phrase.E("video-onvif.status", "camera", c.o.Name, "host", c.host, "status", status)
	case !bytes.HasPrefix(b, []byte{0xff, 0xd8, 0xff}):
		return nil, phrase.E("video-onvif.jpeg", "camera", c.o.Name, "host", c.host)
	}
	return b, nil
}

var errLong = errors.New("more than is taken")

// send makes an HTTP request, again with digest (or basic, where basic may be) if the camera asks
// for it.
func (c *Camera) send(ctx context.Context, method, to string, body []byte, most int, basic bool) (int, http.Header, []byte, error) {
	u, err := url.Parse(to)
	if err != nil {
		return 0, nil, nil, err
	}
	for try := 0; ; try++ {
		r, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
		if err != nil {
			return 0, nil, nil, err
		}
		if body != nil {
			r.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
		}
		c.mu.Lock()
		auth := c.login.answer(method, u.RequestURI(), c.o.User, c.o.Password, basic)
		c.mu.Unlock()
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		a, err := c.http.Do(r)
		if err != nil {
			return 0, nil, nil, cause(err)
		}
		b, err := io.ReadAll(io.LimitReader(a.Body, int64(most)+1))
		a.Body.Close()
		if err != nil {
			return 0, nil, nil, cause(err)
		}
		if len(b) > most {
			return 0, nil, nil, errLong
		}
		if a.StatusCode == http.StatusUnauthorized && try == 0 && c.o.User != "" {
			if k, ok := challenged(a.Header.Values("WWW-Authenticate"), basic); ok {
				c.mu.Lock()
				again := auth == "" || k.nonce != c.login.nonce || k.realm != c.login.realm // a wrong password is not tried twice
				c.login = k
				c.mu.Unlock()
				if again {
					continue
				}
			}
		}
		return a.StatusCode, a.Header, b, nil
	}
}

// cause leaves out the address, which net/http puts before each error.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
