package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

const capHead = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">`

func capDoc(id string) string { return capHead + "<identifier>" + id + "</identifier></alert>" }

// county is a real TLS server and what the box is told and given.
type county struct {
	t   *testing.T
	srv *httptest.Server

	mu     sync.Mutex
	pages  map[string]http.HandlerFunc
	asked  map[string]int
	now    clock.Stamp
	took   []string
	answer func(raw string) error
	faults map[string]string
	told   []string
	mem    memory
}

type memory map[string][]byte

func (m memory) Get(k string) ([]byte, bool) { b, ok := m[k]; return b, ok }
func (m memory) Put(k string, v []byte)      { m[k] = v }

func newCounty(t *testing.T) *county {
	c := &county{t: t, pages: map[string]http.HandlerFunc{}, asked: map[string]int{}, faults: map[string]string{}, mem: memory{},
		now: clock.Stamp{Mono: time.Hour, Wall: time.Date(2026, 7, 1, 22, 40, 0, 0, time.UTC), Boot: "b", Trust: clock.Set}}
	c.srv = httptest.NewUnstartedServer(c)
	c.srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.srv.StartTLS()
	t.Cleanup(c.srv.Close)
	return c
}

func (c *county) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	h := c.pages[r.URL.Path]
	c.asked[r.URL.RequestURI()]++
	c.mu.Unlock()
	if h == nil {
		http.NotFound(w, r)
		return
	}
	h(w, r)
}

func (c *county) page(path, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages[path] = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }
}

func (c *county) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.srv.Certificate().Raw})
}

func (c *county) opts() Opts {
	return Opts{Name: "county", URL: c.srv.URL + "/feed", CA: c.ca(), Every: time.Minute, SilentAfter: 10 * time.Minute,
		Memory: c.mem, Log: slog.New(slog.DiscardHandler),
		Clock: clock.Func(func() clock.Stamp { c.mu.Lock(); defer c.mu.Unlock(); return c.now }),
		Start: func(_ string, run func()) { go run() },
		Take: func(_ context.Context, raw []byte, way string) error {
			if way != "feed county" {
				c.t.Errorf("way %q", way)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.answer != nil {
				if err := c.answer(string(raw)); err != nil {
					return err
				}
			}
			c.took = append(c.took, string(raw))
			return nil
		},
		Fault: func(thing string, why phrase.Message) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.faults[thing] = why.In(phrase.EN); why.IsZero() {
				delete(c.faults, thing)
			}
			c.told = append(c.told, thing)
		},
		Limits: Limits{Step: 20 * time.Second, Whole: time.Minute},
	}
}

func (c *county) feed(change ...func(*Opts)) *Feed {
	c.t.Helper()
	o := c.opts()
	for _, f := range change {
		f(&o)
	}
	f, err := New(o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(f.client.http.CloseIdleConnections)
	return f
}

func (c *county) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// taken gives what Take got since the last call, sorted.
func (c *county) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.took
	c.took = nil
	slices.Sort(s)
	return s
}

func (c *county) wants(want ...string) {
	c.t.Helper()
	if got := c.taken(); !slices.Equal(got, want) {
		c.t.Errorf("took %q, want %q", got, want)
	}
}

func atomFeed(entries ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><id>f</id>` + strings.Join(entries, "") + `</feed>`
}

func linked(id, updated, href string) string {
	return fmt.Sprintf(`<entry><id>%s</id><updated>%s</updated><link rel="alternate" type="text/html" href="https://elsewhere.example/page"/><link type="application/cap+xml" href="%s"/></entry>`, id, updated, href)
}

const t1, t2 = "2026-07-01T22:00:00+08:00", "2026-07-01T22:30:00+08:00"

func TestAnEntryIsFetchedOnceAndAgainWhenItChanges(t *testing.T) {
	c := newCounty(t)
	c.page("/a.xml", capDoc("a"))
	c.page("/feed", atomFeed(linked("1", t1, "/a.xml"), linked("1", t1, "/a.xml")))
	f := c.feed()
	f.poll(t.Context())
	c.wants(capDoc("a"))
	f.poll(t.Context())
	c.wants()
	c.page("/feed", atomFeed(linked("1", t2, "/a.xml")))
	c.page("/a.xml", capDoc("a2"))
	f.poll(t.Context())
	c.wants(capDoc("a2"))
	if c.asked["/a.xml"] != 2 {
		t.Errorf("fetched %d times, want 2", c.asked["/a.xml"])
	}
	// Over a restart too.
	c.feed().poll(t.Context())
	c.wants()
	if s := f.Status(); s.Fetched != 2 || s.Entries != 1 || !s.Fault.IsZero() || s.LastGood.IsZero() {
		t.Errorf("status %+v", s)
	}
}

func TestEveryFormOfAnEntryGivesItsAlert(t *testing.T) {
	esc := strings.NewReplacer("<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(capDoc("x"))
	for name, tc := range map[string]struct{ feed, want string }{
		"relative link":              {atomFeed(linked("1", t1, "docs/../x.xml")), capDoc("x")},
		"xml:base":                   {`<feed xmlns="http://www.w3.org/2005/Atom" xml:base="/deep/"><entry><id>1</id><link href="x.xml" type="application/cap+xml"/></entry></feed>`, capDoc("deep")},
		"link without a type":        {atomFeed(`<entry><id>1</id><link href="/x.xml"/></entry>`), capDoc("x")},
		"content with src":           {atomFeed(`<entry><id>1</id><content src="/x.xml" type="application/cap+xml"/></entry>`), capDoc("x")},
		"inline element":             {atomFeed(`<entry><id>1</id><content type="application/cap+xml">` + capDoc("x") + `</content></entry>`), capDoc("x")},
		"inline within another root": {atomFeed(`<entry><id>1</id><content type="text/xml"><wrap xmlns="urn:w">` + capDoc("x") + `</wrap></content></entry>`), capDoc("x")},
		"inline, prefix declared above": {`<feed xmlns="http://www.w3.org/2005/Atom" xmlns:c="urn:oasis:names:tc:emergency:cap:1.2" xmlns:no="urn:no"><entry><id>1</id><content type="text/xml"><c:alert a="1"><c:note/></c:alert></content></entry></feed>`,
			`<c:alert xmlns:c="urn:oasis:names:tc:emergency:cap:1.2" a="1"><c:note/></c:alert>`},
		"inline, own bytes kept": {atomFeed(`<entry><id>1</id><content type="text/xml">` + capHead + "<a  b='1' ><!-- c --><![CDATA[<x>]]>&amp;\r\n</a></alert></content></entry>"),
			capHead + "<a  b='1' ><!-- c --><![CDATA[<x>]]>&amp;\r\n</a></alert>"},
		"escaped text":     {atomFeed(`<entry><id>1</id><content type="html">` + esc + `</content></entry>`), capDoc("x")},
		"byte order mark":  {"\xef\xbb\xbf" + atomFeed(linked("1", t1, "/x.xml")), capDoc("x")},
		"prefixed atom":    {`<a:feed xmlns:a="http://www.w3.org/2005/Atom"><a:entry><a:id>1</a:id><a:link href="/x.xml"/></a:entry></a:feed>`, capDoc("x")},
		"rss link":         {`<rss version="2.0"><channel><item><guid isPermaLink="false">1</guid><pubDate>Wed, 01 Jul 2026 22:00:00 +0800</pubDate><link>/x.xml</link></item></channel></rss>`, capDoc("x")},
		"rss enclosure":    {`<rss version="2.0"><channel><item><link>/page.html</link><enclosure url="/x.xml" length="1" type="application/cap+xml"/></item></channel></rss>`, capDoc("x")},
		"rss in CDATA":     {`<rss version="2.0"><channel><item><description><![CDATA[` + capDoc("x") + `]]></description></item></channel></rss>`, capDoc("x")},
		"rss inline alert": {`<rss version="2.0"><channel><item>` + capDoc("x") + `</item></channel></rss>`, capDoc("x")},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounty(t)
			c.page("/x.xml", capDoc("x"))
			c.page("/deep/x.xml", capDoc("deep"))
			c.page("/feed", tc.feed)
			f := c.feed()
			f.poll(t.Context())
			c.wants(tc.want)
			f.poll(t.Context())
			c.wants()
			if len(c.faults) > 0 {
				t.Error(c.faults)
			}
		})
	}
}

func TestAnAlertThatTheFeedSpoiltIsFetchedByItsLink(t *testing.T) {
	c := newCounty(t)
	c.page("/x.xml", capDoc("signed"))
	c.page("/feed", atomFeed(`<entry><id>1</id><content type="text/xml">`+capDoc("spoilt")+`</content><link href="/x.xml" type="application/cap+xml"/></entry>`))
	c.answer = func(raw string) error {
		if strings.Contains(raw, "spoilt") {
			return errors.New("signature")
		}
		return nil
	}
	c.feed().poll(t.Context())
	c.wants(capDoc("signed"))
}

func TestABusyVerifierGetsTheEntryAgainAlsoWhenTheFeedIsUnchanged(t *testing.T) {
	c := newCounty(t)
	c.page("/x.xml", capDoc("x"))
	validated(c, atomFeed(linked("1", t1, "/x.xml")))
	busy := true
	c.answer = func(string) error {
		if busy {
			return fmt.Errorf("full: %w", ErrLater)
		}
		return nil
	}
	f := c.feed()
	f.poll(t.Context())
	if s := f.Status(); s.Pending != 1 {
		t.Errorf("pending %d, want 1", s.Pending)
	}
	busy = false
	f.poll(t.Context())
	c.wants(capDoc("x"))
	if s := f.Status(); s.Pending != 0 || len(c.faults) > 0 {
		t.Errorf("pending %d, faults %v", s.Pending, c.faults)
	}
}

func TestWhatMayBeJudgedOtherwiseLaterComesAgainAndIsTold(t *testing.T) {
	c := newCounty(t)
	c.page("/x.xml", capDoc("x"))
	c.page("/feed", atomFeed(linked("1", t1, "/x.xml")))
	ahead := true
	c.answer = func(string) error {
		if ahead {
			return fmt.Errorf("%w: %w", ErrAgain, phrase.E("feed.empty"))
		}
		return nil
	}
	f := c.feed()
	for range 4 {
		f.poll(t.Context())
	}
	if s := f.Status(); s.Pending != 1 || c.faults["feed county alerts"] == "" {
		t.Errorf("pending %d, faults %v", s.Pending, c.faults)
	}
	ahead = false
	for range 8 {
		f.poll(t.Context())
	}
	c.wants(capDoc("x"))
	if s := f.Status(); s.Pending != 0 || len(c.faults) > 0 {
		t.Errorf("pending %d, faults %v", s.Pending, c.faults)
	}
}

func TestAnotherJudgeJudgesAnewAlsoAfterARestart(t *testing.T) {
	c := newCounty(t)
	c.page("/x.xml", capDoc("x"))
	c.page("/feed", atomFeed(linked("1", t1, "/x.xml")))
	o := c.opts()
	for _, judge := range []string{"old", "old", "new", "new"} {
		o.Judge = judge
		f, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		f.poll(t.Context())
		f.poll(t.Context())
	}
	c.wants(capDoc("x"), capDoc("x"))
}

func TestAJudgedRefusalIsNotFetchedAgain(t *testing.T) {
	c := newCounty(t)
	c.page("/x.xml", "no alert at all")
	c.page("/feed", atomFeed(linked("1", t1, "/x.xml")))
	c.answer = func(string) error { return errors.New("malformed") }
	f := c.feed()
	f.poll(t.Context())
	f.poll(t.Context())
	if c.asked["/x.xml"] != 1 {
		t.Errorf("fetched %d times, want 1", c.asked["/x.xml"])
	}
}

// validated serves a feed with an ETag and a date and counts the 304s.
func validated(c *county, body string) *int {
	n := new(int)
	c.pages["/feed"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Wed, 01 Jul 2026 14:00:00 GMT")
		if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") != "" {
			*n++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, body)
	}
	return n
}

func TestAnUnchangedFeedIsAGoodAnswer(t *testing.T) {
	c := newCounty(t)
	n := validated(c, atomFeed())
	f := c.feed()
	for range 3 {
		f.poll(t.Context())
		c.pass(9 * time.Minute)
		f.watch()
	}
	if *n != 2 || len(c.faults) > 0 {
		t.Errorf("%d answers of 304, want 2; faults %v", *n, c.faults)
	}
	c.pages["/feed"] = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) }
	g := c.feed()
	g.poll(t.Context())
	if g.Status().Last.IsZero() {
		t.Error("a 304 that nobody asked for counted as good")
	}
}

func TestSilenceIsToldOnceAndCleared(t *testing.T) {
	c := newCounty(t)
	c.page("/feed", atomFeed())
	f := c.feed()
	f.poll(t.Context())
	for _, status := range []int{500, 404} {
		c.pages["/feed"] = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }
		for range 4 {
			c.pass(3 * time.Minute)
			f.poll(t.Context())
		}
		if s := c.faults["feed county"]; !strings.Contains(s, fmt.Sprint(status)) || !strings.Contains(s, "10 minutes") {
			t.Errorf("fault %q", s)
		}
	}
	if len(c.told) != 2 {
		t.Errorf("told %v, want once for each reason", c.told)
	}
	if f.Status().Fault.IsZero() {
		t.Error("the status does not show the fault")
	}
	c.page("/feed", atomFeed())
	f.poll(t.Context())
	if len(c.faults) > 0 || !f.Status().Fault.IsZero() {
		t.Errorf("still %v", c.faults)
	}
}

func TestWhatIsNoGoodAnswerIsSaid(t *testing.T) {
	zipped := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(b)
		}
	}
	var bomb, cutZip bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write([]byte("<feed xmlns='http://www.w3.org/2005/Atom'>"))
	for range 64 {
		z.Write(bytes.Repeat([]byte("<a></a>"), 1<<15))
	}
	z.Close()
	z = gzip.NewWriter(&cutZip)
	z.Write([]byte(atomFeed(linked("1", t1, "/x.xml"))))
	z.Close()
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, s) }
	}
	for name, tc := range map[string]struct {
		h    http.HandlerFunc
		want string
		took bool
	}{
		"huge": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "<feed xmlns='http://www.w3.org/2005/Atom'>")
			for range 2 << 20 / 8 {
				if _, err := io.WriteString(w, "<b></b>\n"); err != nil {
					return
				}
			}
		}, "feed.too_large", false},
		"gzip bomb":      {zipped(bomb.Bytes()), "feed.too_large", false},
		"gzip cut off":   {zipped(cutZip.Bytes()[:cutZip.Len()-4]), "feed.cut_off", true},
		"gzip broken":    {zipped([]byte("not gzip at all")), "feed.unpack", false},
		"other encoding": {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Encoding", "br"); w.Write(nil) }, "feed.encoding", false},
		"silent":         {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "feed.timeout", false},
		"stands still": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "<feed")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "feed.timeout", false},
		"drips": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, atomFeed()[:100])
			for range 100 {
				io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}, "feed.timeout", false},
		"cut off by the net": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5000")
			io.WriteString(w, strings.TrimSuffix(atomFeed(linked("1", t1, "/x.xml")), "</feed>"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "feed.cut_off", true},
		"cut off in the file":    {text(strings.TrimSuffix(atomFeed(linked("1", t1, "/x.xml")), "</feed>")), "feed.cut_off", true},
		"DTD":                    {text(`<!DOCTYPE feed [<!ENTITY a "b">]>` + atomFeed()), "feed.dtd", false},
		"entity":                 {text(`<feed xmlns="http://www.w3.org/2005/Atom"><id>&a;</id></feed>`), "feed.malformed", false},
		"too deep":               {text(`<feed xmlns="http://www.w3.org/2005/Atom">` + strings.Repeat("<a>", 100)), "feed.depth", false},
		"a huge tag":             {text(`<feed xmlns="http://www.w3.org/2005/Atom" a="` + strings.Repeat("x", 20<<10) + `">`), "feed.token", false},
		"crossed tags":           {text(`<feed xmlns="http://www.w3.org/2005/Atom"><a></b></feed>`), "feed.nesting", false},
		"two documents":          {text(atomFeed() + atomFeed()), "feed.behind", false},
		"a page":                 {text("<html><body>Log in</body></html>"), "feed.not_feed", false},
		"not XML":                {text("hello"), "feed.no_xml", false},
		"nothing":                {text(""), "feed.empty", false},
		"other encoding of text": {text(`<?xml version="1.0" encoding="GBK"?>` + atomFeed()[38:]), "feed.malformed", false},
		"500":                    {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, "feed.status", false},
		"redirect loop":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/feed", http.StatusFound) }, "feed.redirects", false},
		"foreign redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/feed", http.StatusFound)
		}, "feed.link_host", false},
		"plain redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/feed", http.StatusFound)
		}, "feed.link_scheme", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounty(t)
			c.page("/x.xml", capDoc("x"))
			c.pages["/feed"] = tc.h
			f := c.feed(func(o *Opts) {
				o.Limits.Body = 1 << 20
				if tc.want == "feed.timeout" {
					o.Limits.Step, o.Limits.Whole = 400*time.Millisecond, time.Second
				}
			})
			f.poll(t.Context())
			if s := f.Status(); s.Last.Code != tc.want || !s.LastGood.IsZero() {
				t.Errorf("%s (%s), want %s", s.Last.Code, s.Last.In(phrase.EN), tc.want)
			}
			// What came whole before the break is judged all the same.
			if got := c.taken(); (len(got) == 1) != tc.took {
				t.Errorf("took %q", got)
			}
			c.page("/feed", atomFeed(linked("1", t1, "/x.xml")))
			for range 20 { // a busy machine may miss the short times of this test
				if f.poll(t.Context()); f.Status().Last.IsZero() {
					break
				}
			}
			if s := f.Status(); !s.Last.IsZero() || s.LastGood.IsZero() || s.Fetched != 1 {
				t.Errorf("it did not recover: %+v", s)
			}
		})
	}
}

func TestLinksLeadOnlyWhereTheConfigurationSays(t *testing.T) {
	other := newCounty(t)
	other.page("/x.xml", capDoc("other"))
	for name, tc := range map[string]struct{ href, want string }{
		"other host":  {other.srv.URL + "/x.xml", "not listed"},
		"plain":       {"http://127.0.0.1/x.xml", "not https"},
		"file":        {"file:///etc/passwd", "not https"},
		"credentials": {"https://a:b@127.0.0.1/x.xml", "name or password"},
		"malformed":   {"https://[::1/x.xml", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounty(t)
			c.page("/feed", atomFeed(linked("1", t1, tc.href)))
			f := c.feed()
			f.poll(t.Context())
			if s := c.faults["feed county alerts"]; !strings.Contains(s, tc.want) {
				t.Errorf("fault %q", s)
			}
			c.page("/feed", atomFeed())
			f.poll(t.Context())
			if len(c.faults) > 0 {
				t.Errorf("still %v", c.faults)
			}
		})
	}
	if len(other.asked) > 0 {
		t.Errorf("the other host was asked: %v", other.asked)
	}
	c := newCounty(t)
	c.page("/feed", atomFeed(linked("1", t1, other.srv.URL+"/x.xml")))
	c.feed(func(o *Opts) {
		o.Hosts = []string{strings.TrimPrefix(other.srv.URL, "https://")}
		o.CA = append(o.CA, other.ca()...)
	}).poll(t.Context())
	c.wants(capDoc("other"))
}

func TestADocumentThatCannotBeHadIsTriedAgainToldAndCleared(t *testing.T) {
	c := newCounty(t)
	c.page("/y.xml", capDoc("y"))
	n304 := validated(c, atomFeed(linked("1", t2, "/x.xml"), linked("2", t1, "/y.xml")))
	f := c.feed()
	f.poll(t.Context())
	c.wants(capDoc("y"))
	if len(c.faults) > 0 {
		t.Errorf("told after one failure: %v", c.faults)
	}
	for range 20 {
		f.poll(t.Context())
	}
	if s := c.faults["feed county alerts"]; !strings.Contains(s, "404") || !strings.Contains(s, "/x.xml") {
		t.Errorf("fault %q", s)
	}
	if n := c.asked["/x.xml"]; n < 4 || n > 6 || *n304 != 20 {
		t.Errorf("asked %d times in 21 polls (%d unchanged), want about 5", n, *n304)
	}
	c.page("/x.xml", capDoc("x"))
	for range 32 {
		f.poll(t.Context())
	}
	c.wants(capDoc("x"))
	if len(c.faults) > 0 {
		t.Errorf("still %v", c.faults)
	}
}

func TestADocumentThatIsTooLargeIsNotTaken(t *testing.T) {
	c := newCounty(t)
	c.page("/x.xml", capHead+strings.Repeat(" ", 2<<20)+"</alert>")
	inline := `<entry><id>2</id><content type="text/xml">` + capHead + strings.Repeat("<a>"+strings.Repeat(" ", 1000)+"</a>", 1200) + `</alert></content></entry>`
	c.page("/feed", atomFeed(linked("1", t1, "/x.xml"), inline, linked("3", t1, "/y.xml")))
	c.page("/y.xml", capDoc("y"))
	f := c.feed()
	for range 4 {
		f.poll(t.Context())
	}
	c.wants(capDoc("y"))
	if s := c.faults["feed county alerts"]; !strings.Contains(s, "2 alerts") || !strings.Contains(s, "1024 KiB") {
		t.Errorf("fault %q", s)
	}
}

func TestAFeedOfTenThousandEntriesIsReadNewestFirstOverSeveralPolls(t *testing.T) {
	c := newCounty(t)
	var e []string
	at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10_001 {
		e = append(e, fmt.Sprintf(`<entry><id>%d</id><updated>%s</updated><content type="text/xml">%s</content></entry>`, i, at.Add(time.Duration(i)*time.Second).Format(time.RFC3339), capDoc(fmt.Sprint(i))))
	}
	validated(c, atomFeed(e...))
	f := c.feed(func(o *Opts) { o.Limits.Documents = 4000 })
	f.poll(t.Context())
	if got := c.took[0]; got != capDoc("9999") {
		t.Errorf("first %s", got)
	}
	if s := c.faults["feed county alerts"]; !strings.Contains(s, "more than 10000") {
		t.Errorf("fault %q", s)
	}
	f.poll(t.Context())
	f.poll(t.Context())
	if n := len(c.taken()); n != 10_000 {
		t.Errorf("took %d", n)
	}
	g := c.feed()
	g.poll(t.Context())
	c.wants()
	if n := len(c.mem["feed/county"]); n != 1+16*10_000 {
		t.Errorf("remembers %d bytes", n)
	}
	c.page("/feed", atomFeed(e[0]))
	g.poll(t.Context())
	if n := len(c.mem["feed/county"]); n != 1+16*513 {
		t.Errorf("remembers %d bytes when they are gone", n)
	}
	c.wants()
}

func TestTheMemoryStaysBoundedWhenNoAnswerEverIsWhole(t *testing.T) {
	c := newCounty(t)
	f := c.feed(func(o *Opts) { o.Limits.Entries, o.Limits.Absent = 10, 5 })
	for i := range 20 {
		var e []string
		for k := range 8 {
			e = append(e, `<entry><id>`+fmt.Sprint(i, k)+`</id><content type="text/xml">`+capDoc(fmt.Sprint(i, k))+`</content></entry>`)
		}
		c.page("/feed", strings.TrimSuffix(atomFeed(e...), "</feed>"))
		f.poll(t.Context())
	}
	if n := len(c.taken()); n != 160 {
		t.Errorf("took %d", n)
	}
	if n := len(c.mem["feed/county"]); n != 1+16*15 {
		t.Errorf("remembers %d bytes", n)
	}
}

func TestAMemoryThatCannotBeReadIsDropped(t *testing.T) {
	for _, b := range []string{"", "\x02", "\x01short", "\x09" + strings.Repeat("x", 32)} {
		if j := loadJudged(memory{"feed/a": []byte(b)}, "feed/a", ""); len(j.seen) != 0 {
			t.Errorf("%q gave %d", b, len(j.seen))
		}
	}
}

// signed makes a server certificate for 127.0.0.1.
func signed(t *testing.T, from, until time.Time, ip net.IP) (tls.Certificate, []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "county"}, NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{ip}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestTheServersCertificateIsHeldToThePinTheNameAndTheClock(t *testing.T) {
	day := 24 * time.Hour
	here, now := net.IPv4(127, 0, 0, 1), time.Date(2026, 7, 1, 22, 40, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		from, until time.Time
		ip          net.IP
		trust       clock.Trust
		pin         string
		most        uint16
		want        string
	}{
		"pinned":                              {now.Add(-day), now.Add(day), here, clock.Set, "own", 0, ""},
		"another CA pinned":                   {now.Add(-day), now.Add(day), here, clock.Set, "other", 0, "feed.certificate"},
		"none pinned, system roots":           {now.Add(-day), now.Add(day), here, clock.Set, "", 0, "feed.certificate"},
		"another name":                        {now.Add(-day), now.Add(day), net.IPv4(10, 0, 0, 1), clock.Set, "own", 0, "feed.certificate"},
		"ended":                               {now.Add(-2 * day), now.Add(-day), here, clock.Set, "own", 0, "feed.certificate"},
		"ended, clock free":                   {now.Add(-2 * day), now.Add(-day), here, clock.Free, "own", 0, "feed.certificate"},
		"not yet valid":                       {now.Add(day), now.Add(2 * day), here, clock.Set, "own", 0, "feed.certificate"},
		"not yet valid, clock free":           {now.Add(day), now.Add(2 * day), here, clock.Free, "own", 0, ""},
		"another name, clock free":            {now.Add(day), now.Add(2 * day), net.IPv4(10, 0, 0, 1), clock.Free, "own", 0, "feed.certificate"},
		"another CA pinned, clock free":       {now.Add(day), now.Add(2 * day), here, clock.Free, "other", 0, "feed.certificate"},
		"a server that knows TLS 1.1 at most": {now.Add(-day), now.Add(day), here, clock.Set, "own", tls.VersionTLS11, "feed.unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounty(t)
			cert, ca := signed(t, tc.from, tc.until, tc.ip)
			srv := httptest.NewUnstartedServer(c)
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tc.most}
			srv.StartTLS()
			defer srv.Close()
			c.page("/feed", atomFeed())
			c.now.Trust = tc.trust
			f := c.feed(func(o *Opts) {
				o.URL = srv.URL + "/feed"
				switch tc.pin {
				case "own":
					o.CA = ca
				case "":
					o.CA = nil
				}
			})
			defer f.client.http.CloseIdleConnections()
			f.poll(t.Context())
			if got := f.Status().Last; got.Code != tc.want {
				t.Errorf("%s (%s), want %q", got.Code, got.In(phrase.EN), tc.want)
			}
		})
	}
}

func TestOptionsThatWouldLeakOrStrayAreRefused(t *testing.T) {
	c := newCounty(t)
	for want, change := range map[string]func(*Opts){
		"feed.url_scheme":      func(o *Opts) { o.URL = "http://a.example/f" },
		"feed.url_credentials": func(o *Opts) { o.URL = "https://u:p@a.example/f" },
		"feed.url_bad":         func(o *Opts) { o.URL = "https:///f" },
		"feed.host_bad":        func(o *Opts) { o.Hosts = []string{"https://a.example"} },
		"feed.ca_bad":          func(o *Opts) { o.CA = []byte("no PEM") },
	} {
		o := c.opts()
		change(&o)
		_, err := New(o)
		var said *phrase.Error
		if !errors.As(err, &said) || said.Code != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestThePauseGrowsWithFailuresIsSpreadAndObeysRetryAfter(t *testing.T) {
	c := newCounty(t)
	c.page("/feed", atomFeed())
	r := 0.0
	f := c.feed(func(o *Opts) { o.Rand = func() float64 { return r } })
	seconds := func() float64 { return f.poll(t.Context()).Seconds() }
	if s := seconds(); s != 54 {
		t.Errorf("%v s, want 54", s)
	}
	r = 0.5
	if s := seconds(); s != 60 {
		t.Errorf("%v s, want 60", s)
	}
	c.pages["/feed"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	var got []float64
	for range 5 {
		got = append(got, seconds())
	}
	if !slices.Equal(got, []float64{45, 90, 180, 225, 225}) {
		t.Errorf("pauses %v", got)
	}
	c.pages["/feed"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(503)
	}
	if s := seconds(); s != 600 {
		t.Errorf("%v s, want 600", s)
	}
}

func TestRunPollsTellsSilenceWhileAPollHangsAndEnds(t *testing.T) {
	c := newCounty(t)
	c.page("/feed", atomFeed(`<entry><id>1</id><content type="text/xml">`+capDoc("x")+`</content></entry>`))
	tick, in, told := make(chan time.Time), make(chan bool), make(chan string, 4)
	f := c.feed(func(o *Opts) {
		o.After = func(time.Duration) <-chan time.Time { return tick }
		o.Take = func(ctx context.Context, raw []byte, way string) error { in <- true; <-ctx.Done(); return ctx.Err() }
		o.Fault = func(thing string, why phrase.Message) { told <- thing }
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	<-in
	c.pass(time.Hour)
	tick <- time.Time{} // the only one who waits is the watch
	if s := <-told; s != "feed county" {
		t.Errorf("told %s", s)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if f.judged.has(keyOf("none")) || len(f.pending) != 1 {
		t.Error("an alert whose judging was cut short counts as judged")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(atomFeed(linked("1", t1, "/x.xml"), `<entry><id>1</id><content type="text/xml">`+capDoc("x")+`</content></entry>`)))
	f.Add([]byte(`<rss version="2.0"><channel><item><guid>https://a.example/1</guid><description><![CDATA[` + capDoc("x") + `]]></description></item></channel></rss>`))
	f.Add([]byte(`<feed xmlns="http://www.w3.org/2005/Atom" xmlns:c="urn:c"><entry><content><c:alert><c:a d:x=""/></c:alert></content></entry></feed>`))
	f.Add([]byte(`<!DOCTYPE a><feed/>`))
	l := Limits{Entries: 8, Document: 4 << 10, Tag: 1 << 10, Depth: 16}.withDefaults()
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parse(bytes.NewReader(b), mustURL("https://county.example/d/feed"), l, func(key) bool { return true })
		if len(p.shown) > l.Entries+linkMost || len(p.entries) > len(p.shown) {
			t.Fatalf("%d entries of %d", len(p.entries), len(p.shown))
		}
		for _, e := range p.entries {
			if e.link == nil && e.inline == nil && e.why == nil {
				t.Fatal("an entry with nothing")
			}
			// What is cut out stands alone: it parses as one element.
			if e.inline != nil && e.inline[0] == '<' && len(e.inline) > 6 && !isAlert(e.inline) {
				t.Fatalf("no alert: %q", e.inline)
			}
		}
		var said *phrase.Error
		if err != nil && !errors.As(err, &said) {
			t.Fatalf("not in a person's words: %v", err)
		}
	})
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}
