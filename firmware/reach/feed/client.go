package feed

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// client asks servers within the bounds of one feed.
type client struct {
	http  *http.Client
	roots *x509.CertPool // nil: the system's
	hosts map[string]bool
	clock clock.Clock
	l     Limits
}

func newClient(roots *x509.CertPool, hosts map[string]bool, c clock.Clock, l Limits) *client {
	k := &client{roots: roots, hosts: hosts, clock: c, l: l}
	k.http = &http.Client{
		Transport: &http.Transport{
			// No proxy of the environment, and no HTTP/2: less to be attacked.
			DialTLSContext:         k.dial,
			DialContext:            func(context.Context, string, string) (net.Conn, error) { return nil, phrase.E("feed.not_https") },
			DisableCompression:     true, // ours is bounded on both sides
			ResponseHeaderTimeout:  l.Step,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    1,
			MaxIdleConns:           4,
			IdleConnTimeout:        90 * time.Second,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > l.Redirects {
				return phrase.E("feed.redirects", "most", l.Redirects)
			}
			return k.allowed(r.URL)
		},
	}
	return k
}

// hostPort gives the host with its port, in one spelling.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// allowed says why a link or redirect may not be followed.
func (k *client) allowed(u *url.URL) error {
	switch {
	case u.Scheme != "https":
		return phrase.E("feed.link_scheme", "scheme", cut(u.Scheme, 20))
	case u.User != nil:
		return phrase.E("feed.link_credentials")
	case !k.hosts[hostPort(u)]:
		return phrase.E("feed.link_host", "host", cut(u.Host, 100))
	}
	return nil
}

// dial connects and shakes hands, each within its time. The certificate is
// verified here and not by the library because of the clock, see verify.
func (k *client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: k.l.Step}
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: true, // verify does it, for every connection
		VerifyConnection:   func(cs tls.ConnectionState) error { return k.verify(host, cs) },
	})
	ctx, cancel := context.WithTimeout(ctx, k.l.Step)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// verify does what crypto/tls does, at the time of the box's clock. A clock that
// nothing has set yet starts at the build, so a certificate that was issued since
// looks as if it were not valid yet: then its own first instant counts, because
// a box without a clock must hear alerts too. One that has ended stays refused;
// the clock never reads below what is certainly past.
func (k *client) verify(host string, cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	leaf, now := cs.PeerCertificates[0], k.clock.Now()
	o := x509.VerifyOptions{DNSName: host, Roots: k.roots, Intermediates: x509.NewCertPool(), CurrentTime: now.Wall}
	if now.Trust == clock.Free && now.Wall.Before(leaf.NotBefore) {
		o.CurrentTime = leaf.NotBefore
	}
	for _, c := range cs.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	return nil
}

// answer is a server's, its body bounded in bytes and time.
type answer struct {
	status         int
	url            *url.URL // after redirects
	etag, modified string
	retry          time.Duration // Retry-After, 0 where there is none
	body           io.Reader
	close          func()
}

// errStalled is the cause of an answer that stood still too long.
var errStalled = errors.New("the answer stands still")

// get asks; the caller closes the answer. most bounds the body.
func (k *client) get(ctx context.Context, u *url.URL, accept, etag, modified string, most int64) (*answer, error) {
	if err := k.allowed(u); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.l.Whole)
	ctx, stop := context.WithCancelCause(ctx)
	end := func() { stop(nil); cancel() }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		end()
		return nil, phrase.E("feed.link_bad")
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", "tocsin")
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	if modified != "" {
		r.Header.Set("If-Modified-Since", modified)
	}
	w, err := k.http.Do(r)
	if err != nil {
		end()
		return nil, k.explain(ctx, err)
	}
	a := &answer{status: w.StatusCode, url: w.Request.URL, etag: cutNone(w.Header.Get("ETag")), modified: cutNone(w.Header.Get("Last-Modified"))}
	a.retry = retryAfter(w.Header.Get("Retry-After"), k.clock.Now().Wall)
	timer := time.AfterFunc(k.l.Step, func() { stop(errStalled) })
	a.close = func() { timer.Stop(); end(); w.Body.Close() }
	net := func(err error) error {
		// A connection that our own deadline closed may end like any other.
		if err == io.EOF && ctx.Err() == nil {
			return err
		}
		return k.explain(ctx, err)
	}
	body := &bounded{r: w.Body, most: most, timer: timer, step: k.l.Step, fault: net}
	a.body = body
	switch enc := strings.ToLower(strings.TrimSpace(w.Header.Get("Content-Encoding"))); enc {
	case "", "identity":
	case "gzip", "x-gzip":
		if w.StatusCode != http.StatusOK {
			break
		}
		z, err := gzip.NewReader(body)
		if err != nil {
			a.close()
			return nil, readFault(err)
		}
		a.body = &bounded{r: z, most: most, timer: timer, step: k.l.Step, fault: unpacked}
	default:
		a.close()
		return nil, phrase.E("feed.encoding", "encoding", cut(enc, 40))
	}
	return a, nil
}

// bounded reads at most so many bytes, and no longer than a step without any.
type bounded struct {
	r     io.Reader
	most  int64
	n     int64
	timer *time.Timer
	step  time.Duration
	fault func(error) error
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 {
		b.timer.Reset(b.step)
	}
	if b.n += int64(n); b.n > b.most {
		return 0, phrase.E("feed.too_large", "kib", b.most>>10)
	}
	if err != nil {
		return n, b.fault(err)
	}
	return n, nil
}

// document fetches one whole CAP document.
func (k *client) document(ctx context.Context, u *url.URL) ([]byte, error) {
	a, err := k.get(ctx, u, "application/cap+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1", "", "", k.l.Document)
	if err != nil {
		return nil, err
	}
	defer a.close()
	if a.status != http.StatusOK {
		return nil, phrase.E("feed.status", "status", a.status)
	}
	b, err := io.ReadAll(a.body)
	if err != nil {
		return nil, readFault(err)
	}
	if len(b) == 0 {
		return nil, phrase.E("feed.empty")
	}
	return b, nil
}

// explain says in a person's words why a server gave no answer.
func (k *client) explain(ctx context.Context, err error) error {
	var said *phrase.Error
	var cert *tls.CertificateVerificationError
	var hang net.Error
	switch {
	case errors.As(err, &said):
		return said
	case errors.As(err, &cert):
		return phrase.E("feed.certificate", "err", cert.Err.Error())
	case errors.Is(context.Cause(ctx), errStalled), errors.Is(context.Cause(ctx), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &hang) && hang.Timeout():
		return phrase.E("feed.timeout")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return phrase.E("feed.cut_off")
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // the address may hold a token
	}
	return phrase.E("feed.unreachable", "err", cut(err.Error(), 200))
}

// readFault says why a body could not be read to its end.
func readFault(err error) error {
	var said *phrase.Error
	switch {
	case errors.As(err, &said):
		return said
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return phrase.E("feed.cut_off")
	}
	return phrase.E("feed.unpack", "err", cut(err.Error(), 200))
}

// unpacked is readFault for what gzip gives, whose end is an end.
func unpacked(err error) error {
	if err == io.EOF {
		return err
	}
	return readFault(err)
}

// retryAfter reads RFC 9110 section 10.2.3: seconds or a date, at most 15 min.
func retryAfter(s string, now time.Time) time.Duration {
	const most = 15 * time.Minute
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		return time.Duration(min(max(n, 0), int(most/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return min(max(t.Sub(now), 0), most)
	}
	return 0
}

// cut keeps the first n bytes of foreign text, whole characters only.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// cutNone drops a validator that is too long to keep: half of one is worth less
// than none.
func cutNone(s string) string {
	if len(s) > 512 {
		return ""
	}
	return s
}
