package video

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync"
	"time"
	"tocsin/firmware/video/terms"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

// Guessing is slowed down: after a few wrong keys an address waits.
const (
	guesses    = 5
	guessWait  = 10 * time.Second
	guessKnown = 256 // addresses that are remembered
)

// desk decides who may publish and who may read. Keys are compared by their digests
// and in constant time.
type desk struct {
	now     func() time.Duration
	streams map[string]*entry

	mu     sync.Mutex
	missed map[netip.Addr]*misses
}

type misses struct {
	n    int
	last time.Duration
}

func newDesk(now func() time.Duration, streams map[string]*entry) *desk {
	return &desk{now: now, streams: streams, missed: map[netip.Addr]*misses{}}
}

func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Publish lets a publisher in.
func (d *desk) Publish(a source.Asker) (*stream.Writer, error) {
	e := d.streams[a.Stream]
	if a.Way != wayTS || e == nil || e.plan.TS == "" { // UDP has no key: its listener knows who may send
		var err error
		if e, err = d.show(a, func(s terms.Source) string { return keyOf(s, a.Way) }); err != nil {
			return nil, err
		}
	}
	w, err := e.stream.Open(a.Way + " " + a.Remote.String())
	if err != nil {
		return nil, phrase.Wrap(err, "video.taken", "stream", a.Stream)
	}
	return w, nil
}

// keyOf is what lets one publish a stream that way: a device that signs in has its
// password, and nobody else publishes its stream.
func keyOf(s terms.Source, way string) string {
	if way == wayNational && s.Device != nil {
		return s.Password
	}
	return s.Key
}

// View lets a reader in.
func (d *desk) View(a source.Asker) (*stream.Stream, error) {
	e, err := d.show(a, func(s terms.Source) string { return s.View })
	if err != nil {
		return nil, err
	}
	return e.stream, nil
}

func (d *desk) show(a source.Asker, key func(terms.Source) string) (*entry, error) {
	who := a.Remote.Addr().Unmap()
	if !d.may(who) {
		return nil, phrase.E("video.guessing", "wait", guessWait)
	}
	e := d.streams[a.Stream]
	want := ""
	if e != nil {
		want = key(e.plan)
	}
	// An unknown name and a wrong key take the same way and get the same answer.
	if !same(a.Key, want) || want == "" {
		d.miss(who)
		return nil, phrase.E("video.key")
	}
	d.mu.Lock()
	delete(d.missed, who)
	d.mu.Unlock()
	return e, nil
}

func (d *desk) may(who netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.missed[who]
	return m == nil || m.n < guesses || d.now()-m.last > guessWait
}

func (d *desk) miss(who netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	m := d.missed[who]
	if m == nil {
		if len(d.missed) >= guessKnown {
			var oldest netip.Addr
			at := now + 1
			for a, o := range d.missed {
				if o.last < at {
					oldest, at = a, o.last
				}
			}
			delete(d.missed, oldest)
		}
		m = &misses{}
		d.missed[who] = m
	}
	m.n, m.last = m.n+1, now
}

// key gives a stream's key for RTSP's digest.
func (d *desk) key(name string, view bool) string {
	e := d.streams[name]
	switch {
	case e == nil:
		return ""
	case view:
		return e.plan.View
	}
	return e.plan.Key
}

// wayTS is the way of transport streams by UDP, wayNational that of GB/T 28181.
const (
	wayTS       = "ts"
	wayNational = "gb28181"
)
