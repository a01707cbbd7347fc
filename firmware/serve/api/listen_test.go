package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

// running serves on both listeners until the test ends.
type running struct {
	*api.Server
	socket, url string
	cancel      func()

	mu      sync.Mutex
	reports []phrase.Message
}

func start(t *testing.T, box api.Box, o api.Opts) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "api") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{socket: filepath.Join(dir, "s"), cancel: cancel}
	g := guard.New(ctx, nil, nil)
	o.Guard = g
	o.Report = func(_ string, m phrase.Message) { r.mu.Lock(); r.reports = append(r.reports, m); r.mu.Unlock() }
	r.Server = newServer(t, box, o)
	if err := r.ServeUnix(ctx, r.socket); err != nil {
		t.Fatal(err)
	}
	if err := r.ServeLAN(ctx, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + r.LANAddr()
	t.Cleanup(func() {
		cancel()
		if left := g.Wait(10 * time.Second); left != nil {
			t.Errorf("still running after the end: %v", left)
		}
		os.RemoveAll(dir)
	})
	return r
}

func (r *running) unix() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.socket)
	}}}
}

func TestOneHandlerServesTheSocketWithEveryRightAndTheNetworkWithFew(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	r := start(t, box, api.Opts{Token: verifier("GOOD")})
	post := func(c *http.Client, url string) int {
		resp, err := c.Post(url+"/api/v1/raise", "application/json", strings.NewReader(bodies["raise"]))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if n := post(r.unix(), "http://edged"); n != 200 {
		t.Errorf("on the socket: %d", n)
	}
	if n := post(http.DefaultClient, r.url); n != 403 {
		t.Errorf("on the network: %d", n)
	}
	if acts := box.Acts(); len(acts) != 1 || acts[0].Who != (api.Who{Name: "李雷", Via: "socket"}) || acts[0].Reason != "塘坝渗水" {
		t.Errorf("acts: %+v", acts)
	}
}

func TestALiveSocketIsNotTakenOverAndAStaleOneIs(t *testing.T) {
	r := start(t, apitest.New(apitest.Calm), api.Opts{})
	ctx, cancel := context.WithCancel(t.Context())
	g := guard.New(ctx, nil, nil)
	defer g.Wait(5 * time.Second)
	defer cancel()
	second := newServer(t, apitest.New(apitest.Calm), api.Opts{Guard: g})
	var pe *phrase.Error
	if err := second.ServeUnix(ctx, r.socket); !errors.As(err, &pe) || pe.Code != "serve.socket_in_use" || !strings.Contains(err.Error(), r.socket) {
		t.Errorf("a live socket: %v", err)
	}
	if resp, err := r.unix().Get("http://edged/api/v1/status"); err != nil || resp.StatusCode != 200 {
		t.Errorf("the first one was disturbed: %v", err)
	}

	dir := filepath.Dir(r.socket)
	stale := filepath.Join(dir, "stale")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if err := second.ServeUnix(ctx, stale); err != nil {
		t.Errorf("a stale socket: %v", err)
	}
	if st, err := os.Stat(stale); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("socket's mode: %v %v", st, err)
	}

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := second.ServeUnix(ctx, file); !errors.As(err, &pe) || pe.Code != "serve.socket_not_ours" {
		t.Errorf("a file in the place: %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "mine" {
		t.Error("the file was replaced")
	}
}

func TestABusyPortIsReportedAndTakenWhenItIsFree(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := guard.New(ctx, nil, nil)
	defer g.Wait(5 * time.Second)
	defer cancel()
	reports := make(chan phrase.Message, 10)
	s := newServer(t, apitest.New(apitest.Calm), api.Opts{Guard: g, Limits: api.Limits{Retry: 10 * time.Millisecond},
		Report: func(_ string, m phrase.Message) { reports <- m }})
	if err := s.ServeLAN(ctx, l.Addr().String()); err != nil {
		t.Fatalf("a busy port is fatal: %v", err)
	}
	if m := <-reports; m.Code != "serve.port_busy" || s.LANAddr() != "" {
		t.Errorf("reported %v", m)
	}
	l.Close()
	if m := <-reports; !m.IsZero() {
		t.Errorf("then %v", m)
	}
	for s.LANAddr() == "" {
		time.Sleep(time.Millisecond)
	}
	if resp, err := http.Get("http://" + s.LANAddr() + "/api/v1/status"); err != nil || resp.StatusCode != 200 {
		t.Errorf("not served: %v", err)
	}
	var pe *phrase.Error
	if err := s.ServeLAN(ctx, "nonsense"); !errors.As(err, &pe) || pe.Code != "serve.bad_address" {
		t.Errorf("an unreadable address: %v", err)
	}
}

func TestAStreamOutlivesTheLimitsOfARequestAndEndsWithTheServer(t *testing.T) {
	for _, socket := range []bool{true, false} {
		box := apitest.New(apitest.Calm)
		r := start(t, box, api.Opts{Limits: api.Limits{Read: 100 * time.Millisecond, Write: 10 * time.Second}})
		client, url := http.DefaultClient, r.url
		if socket {
			client, url = r.unix(), "http://edged"
		}
		resp, err := client.Get(url + "/api/v1/readings/stream")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		d := json.NewDecoder(resp.Body)
		var s api.Sample
		for range 4 {
			if err := d.Decode(&s); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(400 * time.Millisecond) // four times the limit of a request
		select {
		case box.Feed <- api.Reading{Point: "late.one", Quality: point.Good, At: apitest.At}:
		case <-time.After(10 * time.Second):
			t.Fatal("the stream ended although its follower did not")
		}
		if err := d.Decode(&s); err != nil || s.Point != "late.one" {
			t.Fatalf("%s: %v %v", url, s, err)
		}
		began := time.Now()
		r.cancel()
		io.Copy(io.Discard, resp.Body)
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("the stream went on for %v after the end", d)
		}
	}
}

func TestAFollowerThatLeavesGivesItsPlaceBack(t *testing.T) {
	box := apitest.New(apitest.Calm)
	r := start(t, box, api.Opts{Limits: api.Limits{Streams: 2}})
	var open []*http.Response
	for range 2 {
		resp, err := http.Get(r.url + "/api/v1/journal/stream?after=3")
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		open = append(open, resp)
	}
	resp, err := http.Get(r.url + "/api/v1/readings/stream")
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatal("a third stream: ", resp.StatusCode, err)
	}
	b, _ := io.ReadAll(resp.Body)
	if !bytes.Contains(b, []byte("serve.too_many_streams")) {
		t.Errorf("%s", b)
	}
	// The socket has places of its own.
	if s, err := r.unix().Get("http://edged/api/v1/journal/stream"); err != nil || s.StatusCode != 200 {
		t.Error("the socket's stream: ", err)
	} else {
		s.Body.Close()
	}
	open[0].Body.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get(r.url + "/api/v1/journal/stream?after=3")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place never came back")
		}
	}
	open[1].Body.Close()
}

// hose gives readings as fast as they are taken, and counts.
type hose struct {
	*apitest.Box
	ended chan error
}

func (h hose) FollowReadings(ctx context.Context, f func(api.Reading, int) error) error {
	long := api.Text{ZH: strings.Repeat("很长的原因", 2000)}
	for ctx.Err() == nil {
		if err := f(api.Reading{Point: "a.b", Why: &long}, 0); err != nil {
			h.ended <- err
			return err
		}
	}
	h.ended <- ctx.Err()
	return ctx.Err()
}

func TestAFollowerThatDoesNotReadIsCutAndHoldsNobodyUp(t *testing.T) {
	h := hose{apitest.New(apitest.Calm), make(chan error, 1)}
	r := start(t, h, api.Opts{Limits: api.Limits{Write: 300 * time.Millisecond}})
	c, err := net.Dial("unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /api/v1/readings/stream HTTP/1.1\r\nHost: edged\r\n\r\n")
	if _, err := bufio.NewReaderSize(c, 16).ReadByte(); err != nil {
		t.Fatal(err)
	}
	if resp, err := r.unix().Get("http://edged/api/v1/readings"); err != nil || resp.StatusCode != 200 {
		t.Errorf("others are held up: %v", err)
	}
	select {
	case err := <-h.ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("cut by %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the follower that does not read is still served")
	}
}

func TestOneAddressCannotTakeEveryConnection(t *testing.T) {
	r := start(t, apitest.New(apitest.Calm), api.Opts{Limits: api.Limits{ConnsPerAddr: 3}})
	addr := strings.TrimPrefix(r.url, "http://")
	var held []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the fourth connection is kept: %v", err)
	}
	// Another address of this machine still gets in.
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	other := &http.Client{Transport: &http.Transport{DialContext: d.DialContext}}
	if resp, err := other.Get(r.url + "/api/v1/status"); err != nil || resp.StatusCode != 200 {
		t.Errorf("from elsewhere: %v", err)
	}
	for _, c := range held {
		c.Close()
	}
}

func TestASlowRequestIsGivenUp(t *testing.T) {
	r := start(t, apitest.New(apitest.Calm), api.Opts{Limits: api.Limits{Read: 200 * time.Millisecond}})
	for _, start := range []string{"GET /api/v1/status HT", "POST /api/v1/stop HTTP/1.1\r\nHost: edged\r\nContent-Length: 20\r\n\r\n{"} {
		c, err := net.Dial("unix", r.socket)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, start)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if b, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.20q is still waited for: %s", start, b)
		}
		c.Close()
	}
}

func TestTheLastSoundCanBeSeeked(t *testing.T) {
	r := start(t, apitest.New(apitest.Alarm), api.Opts{})
	req, _ := http.NewRequest("GET", r.url+"/api/v1/soundings/last.wav", nil)
	req.Header.Set("Range", "bytes=0-43")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusPartialContent || len(b) != 44 || string(b[:4]) != "RIFF" || resp.Header.Get("Content-Type") != "audio/wav" {
		t.Errorf("%d, %d bytes, %s", resp.StatusCode, len(b), resp.Header.Get("Content-Type"))
	}
}

func TestFiguresAreFiguresOfTheBox(t *testing.T) {
	r := start(t, apitest.New(apitest.Alarm), api.Opts{})
	resp, err := http.Get(r.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	for _, want := range []string{
		"tocsin_armed 1", `tocsin_level_standing{level="evacuate"} 1`, `tocsin_point_value{point="river.level",unit="m"} 102.46`,
		`tocsin_point_quality{point="kiln.gas",quality="suspect"} 1`, `tocsin_unit_failures_total{device="rain",kind="timeout",line="west",unit="1"} 2`,
		`tocsin_soundings{kind="real"} 1`, "go_goroutines",
	} {
		if !strings.Contains(string(b), want+"\n") && !strings.Contains(string(b), want+" ") {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(string(b), `tocsin_point_value{point="kiln.gas"`) {
		t.Error("a suspect value is given as a figure")
	}
}
