package impair

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// sdpMost bounds a session description.
const sdpMost = 256 << 10

// WHIP opens an address on loopback behind which a WHIP or WHEP server of plain HTTP (target: host:port) answers
// through the link, and has its media go by the link as well: the answer names a port of the link in place of each
// UDP candidate of IPv4, and neither side is told any other way to the other. Up is from the client to the server.
//
// It gives http://host:port. Both sides must be programs of this machine, and neither may trickle its candidates.
func (l *Link) WHIP(target string) (string, error) {
	way, err := l.TCP(target)
	if err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	to, err := url.Parse("http://" + way)
	if err != nil {
		return "", err
	}
	m := &media{l: l, ports: map[string]string{}}
	proxy := &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0), // a link that is cut fails calls: that is what it is for
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Del("Accept-Encoding") // answers are read here
		},
		Transport:      &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		ModifyResponse: m.answer,
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isSDP(r.Header) {
			b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, sdpMost))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			b, _ = candidates(b, func(string) (string, error) { return "", nil })
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		}
		proxy.ServeHTTP(w, r)
	})}
	if !l.owns(ln) || !l.owns(s) {
		return "", net.ErrClosed
	}
	l.goes(func() { s.Serve(ln) })
	return "http://" + ln.Addr().String(), nil
}

// media are a link's ports for what an answer names.
type media struct {
	l     *Link
	mu    sync.Mutex
	ports map[string]string // by the server's own
}

// answer puts the link's ports into an answer.
func (m *media) answer(res *http.Response) error {
	if !isSDP(res.Header) {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, sdpMost))
	res.Body.Close()
	if err != nil {
		return err
	}
	if b, err = candidates(b, m.port); err != nil {
		return err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	res.Header.Set("Content-Length", strconv.Itoa(len(b)))
	return nil
}

// port is the link's in place of one of the server's.
func (m *media) port(of string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := m.ports[of]; at != "" {
		return at, nil
	}
	a, err := netip.ParseAddrPort(of)
	if err != nil {
		return "", err
	}
	// At the server's own address, which the client can reach as well as it could the server.
	at, err := m.l.udp(net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.Addr(), 0)), of)
	if err == nil {
		m.ports[of] = at
	}
	return at, err
}

// candidates rewrites a description's host candidates of UDP over IPv4 by what in gives for address:port, and leaves
// all others out (RFC 8839, 5.1); those for which it gives "" too.
func candidates(sdp []byte, in func(string) (string, error)) ([]byte, error) {
	var out bytes.Buffer
	for line := range bytes.Lines(sdp) {
		c, is := strings.CutPrefix(strings.TrimRight(string(line), "\r\n"), "a=candidate:")
		if !is {
			out.Write(line)
			continue
		}
		f := strings.Fields(c) // foundation, component, transport, priority, address, port, "typ", kind
		if len(f) < 8 || !strings.EqualFold(f[2], "udp") || f[7] != "host" {
			continue
		}
		if a, err := netip.ParseAddr(f[4]); err != nil || !a.Is4() {
			continue
		}
		at, err := in(net.JoinHostPort(f[4], f[5]))
		if err != nil {
			return nil, fmt.Errorf("candidate %s: %w", c, err)
		}
		if at == "" {
			continue
		}
		if f[4], f[5], err = net.SplitHostPort(at); err != nil {
			return nil, err
		}
		out.WriteString("a=candidate:" + strings.Join(f, " ") + "\r\n")
	}
	return out.Bytes(), nil
}

func isSDP(h http.Header) bool { return strings.HasPrefix(h.Get("Content-Type"), "application/sdp") }
