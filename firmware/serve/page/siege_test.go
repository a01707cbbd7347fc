package page_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/tls"

	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
)

// siege is a stranger with all addresses of a network, who holds whatever connection the box
// gives, by every means, and takes back what is lost, until the test ends. It returns once
// every place is taken.
func (h *house) siege(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	says := []string{
		"",             // nothing
		"GET /live HT", // half a request
		"POST /stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20\r\n\r\nto", // half a body
		"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",                 // a stream
		"GET /api/v1/readings/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
	}
	taken := make(chan struct{}, 4096)
	for i := range 2 * 254 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%254))}, Timeout: 2 * time.Second}
		all.Go(func() {
			for ctx.Err() == nil {
				c, err := d.DialContext(ctx, "tcp", h.LANAddr())
				if err != nil {
					continue
				}
				io.WriteString(c, says[i%len(says)])
				select {
				case taken <- struct{}{}:
				default:
				}
				gone := make(chan struct{})
				stop := context.AfterFunc(ctx, func() { c.Close() })
				go func() { io.Copy(io.Discard, c); close(gone) }()
				<-gone
				stop()
				c.Close()
				select {
				case <-ctx.Done():
				case <-time.After(500 * time.Millisecond):
				}
			}
		})
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	for range api.DefaultLimits.Conns {
		<-taken
	}
}

// from is a browser at an address of this machine.
func (h *house) from(ip string) *http.Client {
	c := h.browser()
	c.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.pool}, DisableKeepAlives: true,
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext}
	return c
}

func TestStopGetsInWhileAStrangerHoldsEveryConnection(t *testing.T) {
	h := serveHouse(t, "127.0.0.1", access.Viewer)
	if _, err := h.door.Add(t.Context(), "", "chen", "", access.Cadre, password); err != nil {
		t.Fatal(err)
	}
	chen := h.from("127.0.9.7")
	if resp, _ := do(t, chen, http.MethodPost, h.https+api.SignInPath, url.Values{"account": {"chen"}, "password": {password}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.Status)
	}
	go func() {
		for range h.kept { // nobody reads what is kept here
		}
	}()
	h.siege(t)
	for i, scheme := range []string{h.https, h.http, h.https, h.http} {
		c := h.from(fmt.Sprintf("127.0.9.%d", 10+i))
		began := time.Now()
		resp, body := do(t, c, http.MethodGet, scheme+"/stop", nil)
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, `name="token"`) {
			t.Fatalf("the page of STOP, %s: %s", scheme, resp.Status)
		}
		if resp, body := do(t, c, http.MethodPost, scheme+"/stop", url.Values{"token": {"GOOD"}}, "Accept", "application/json"); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"done":true`) {
			t.Fatalf("STOP, %s: %s %s", scheme, resp.Status, body)
		}
		t.Logf("STOP by %s after %v", scheme, time.Since(began))
	}
	if n := len(h.box.Acts()); n != 4 {
		t.Errorf("the box was stopped %d times", n)
	}
	// Who is signed in works on.
	if resp, _ := do(t, chen, http.MethodPost, h.https+"/cadre/stop", url.Values{}); resp.StatusCode != http.StatusOK {
		t.Errorf("who is signed in: %s", resp.Status)
	}
	if resp, _ := do(t, chen, http.MethodGet, h.https+"/api/v1/session", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("who is signed in: %s", resp.Status)
	}
}
