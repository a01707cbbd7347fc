package feed

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// ErrLater is what Take answers when it cannot judge just now: the entry stays
// and is offered again with the next poll.
var ErrLater = errors.New("feed: judge it later")

// ErrAgain is what Take answers when it judged, and would judge otherwise once a clock
// is set or there is room: the entry is offered again, ever more seldom, and told.
var ErrAgain = errors.New("feed: judged, and may come again")

// Memory keeps values over a restart; keep/journal is one.
type Memory interface {
	Get(key string) ([]byte, bool)
	Put(key string, value []byte)
}

// Limits bound what a server can make the box do. A zero field takes its
// default.
type Limits struct {
	// Body is the most bytes of a feed, counted after decompression (8 MiB).
	Body int64
	// Document is the most bytes of one CAP document, linked or inline (1 MiB:
	// what the reader of alerts takes).
	Document int64
	// Entries is the most entries that are read of one answer (10 000).
	Entries int
	// Depth is how deep elements may nest (64), Tag the most bytes of one tag
	// with its attributes (16 KiB).
	Depth, Tag int
	// Documents is the most documents that are fetched in one poll (256).
	Documents int
	// Redirects is how many are followed (4).
	Redirects int
	// Step is the most time of one step: name and connection, handshake, head of
	// the answer, and a body that stands still (15 s).
	Step time.Duration
	// Whole is the most time of one answer with its body (2 min).
	Whole time.Duration
	// Judge is the most time that Take has (30 s).
	Judge time.Duration
	// Absent is how many entries that the feed no longer shows are still
	// remembered (512).
	Absent int
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.Body <= 0 {
		l.Body = 8 << 20
	}
	if l.Document <= 0 {
		l.Document = 1 << 20
	}
	set(&l.Entries, 10_000)
	set(&l.Depth, 64)
	set(&l.Tag, 16<<10)
	set(&l.Documents, 256)
	set(&l.Redirects, 4)
	set(&l.Absent, 512)
	if l.Step <= 0 {
		l.Step = 15 * time.Second
	}
	if l.Whole <= 0 {
		l.Whole = 2 * time.Minute
	}
	if l.Judge <= 0 {
		l.Judge = 30 * time.Second
	}
	return l
}

// Opts are one feed's.
type Opts struct {
	// Name is the feed's in the site file.
	Name string
	// URL is where it lies: https, without a name and a password in it.
	URL string
	// Every is the time between two polls (1 min; at least 5 s).
	Every time.Duration
	// SilentAfter is the time without a good answer after which that is a fault
	// (15 min).
	SilentAfter time.Duration
	// CA holds the certificates (PEM) that alone vouch for the servers of this
	// feed; empty takes the system's.
	CA []byte
	// Hosts names further hosts ("host" or "host:port") that links and redirects
	// may lead to.
	Hosts []string
	// Take judges one CAP document. ErrLater leaves the entry for the next poll,
	// ErrAgain for a later one; any other answer means that it was judged, and it is
	// not fetched again.
	Take func(ctx context.Context, raw []byte, way string) error
	// Judge names who judges: what was judged under another name is judged anew.
	Judge string
	// Memory keeps which entries were judged; nil forgets them at a restart.
	Memory Memory
	Clock  clock.Clock
	// Rand gives a number in [0, 1), which spreads the polls of many boxes.
	Rand func() float64
	// After gives a channel that fires once d has passed; nil takes time.After.
	After func(d time.Duration) <-chan time.Time
	// Fault is told what is wrong with a thing, and the zero Message when it is
	// well again. It must not block.
	Fault func(thing string, why phrase.Message)
	Log   *slog.Logger
	// Start runs a goroutine under the caller's guard.
	Start  func(name string, run func())
	Limits Limits
}

// New proves the options and makes a feed; nothing is asked before Run.
func New(o Opts) (*Feed, error) {
	if o.Name == "" || o.Take == nil || o.Clock == nil || o.Start == nil {
		return nil, errors.New("feed: Name, Take, Clock and Start are needed")
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, phrase.E("feed.url_bad", "name", o.Name)
	case u.Scheme != "https":
		return nil, phrase.E("feed.url_scheme", "name", o.Name)
	case u.User != nil:
		return nil, phrase.E("feed.url_credentials", "name", o.Name)
	}
	u.Fragment = ""
	hosts := map[string]bool{hostPort(u): true}
	for _, h := range o.Hosts {
		hu, err := url.Parse("https://" + h)
		if err != nil || hu.Hostname() == "" || hu.User != nil || hu.Path != "" || hu.RawQuery != "" || hu.Fragment != "" || strings.ContainsAny(h, "*/ ") {
			return nil, phrase.E("feed.host_bad", "name", o.Name, "host", h)
		}
		hosts[hostPort(hu)] = true
	}
	var roots *x509.CertPool
	if len(o.CA) > 0 {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(o.CA) {
			return nil, phrase.E("feed.ca_bad", "name", o.Name)
		}
	}
	if o.Every <= 0 {
		o.Every = time.Minute
	}
	o.Every = max(o.Every, 5*time.Second)
	if o.SilentAfter <= 0 {
		o.SilentAfter = 15 * time.Minute
	}
	if o.Rand == nil {
		o.Rand = func() float64 { return 0.5 }
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Fault == nil {
		o.Fault = func(string, phrase.Message) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Limits = o.Limits.withDefaults()
	f := &Feed{
		o:       o,
		url:     u,
		client:  newClient(roots, hosts, o.Clock, o.Limits),
		judged:  loadJudged(o.Memory, "feed/"+o.Name, o.Judge),
		told:    map[string]phrase.Message{},
		started: o.Clock.Now(),
	}
	return f, nil
}
