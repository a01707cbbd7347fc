package station

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
)

const (
	// linksEnd is how long a reload waits for links that it ends.
	linksEnd = 5 * time.Second
	// linkAgain is how soon a link that could not be opened is tried again: a secret may be
	// put there, a disk come back.
	linkAgain = 15 * time.Second
	// linksLook is how often the links' states become faults.
	linksLook = 2 * time.Second
)

// reports is who this box is to its county: what envelopes and short messages are made with.
type reports struct {
	Station letter.Station
	Number  uint16
	// Keys seal what goes up; All are those of the epochs that may be in use, newest first.
	Keys *wire.Keys
	All  []*wire.Keys
}

// linkSet is the links of a site, from the goroutine that starts and reloads.
type linkSet struct {
	config linksConfig
	run    *linkRun
}

type linksConfig struct {
	county  *config.County
	links   map[string]config.Link
	rows    *courier.Rules
	secrets string
}

// secretsOf is a digest of the files that links are made from: a new key must take effect
// with the next reload.
func secretsOf(bp *Blueprint) string {
	sum := sha256.New()
	read := func(name string) {
		if name == "" {
			return
		}
		b, err := readSecret(beside(bp.Doc.File, name))
		if err != nil {
			b, _ = readCA(beside(bp.Doc.File, name))
		}
		fmt.Fprintf(sum, "%s %d ", name, len(b))
		sum.Write(b)
	}
	if c := bp.Doc.Site.County; c != nil {
		read(c.Root)
	}
	for _, name := range slices.Sorted(maps.Keys(bp.Doc.Site.Links)) {
		l := bp.Doc.Site.Links[name]
		for _, f := range []string{l.CA, l.Certificate, l.CertificateKey, l.Seed, l.Token, l.PSK} {
			read(f)
		}
	}
	return string(sum.Sum(nil))
}

// linkRun is one run of all links, which ends as one: the courier's outbox lies in the
// journal, where the next finds it.
type linkRun struct {
	h      *House
	bp     *Blueprint
	guard  *guard.Guard
	end    context.CancelFunc
	ledger *ledger

	mu       sync.Mutex
	county   *reports
	narrow   *narrow.Counters
	counters map[[sha256.Size]byte]func() (uint64, error)
	faulty   map[string]bool // links that are called now
}

// startLinks starts the links of a site, or leaves those that run where nothing of them
// changed.
func (h *House) startLinks(ctx context.Context, bp *Blueprint) {
	want := linksConfig{bp.Doc.Site.County, bp.Doc.Site.Links, bp.Rows, secretsOf(bp)}
	if h.links.run != nil && reflect.DeepEqual(want, h.links.config) {
		return
	}
	h.endLinks(bp.Rows)
	h.links.config = want
	ctx, end := context.WithCancel(ctx)
	s := &linkRun{h: h, bp: bp, end: end, ledger: newLedger(), counters: map[[sha256.Size]byte]func() (uint64, error){}, faulty: map[string]bool{}}
	s.guard = guard.New(ctx, h.log, h.roomFailed)
	s.guard.Govern(bp.Guard.Restarts)
	h.links.run = s
	s.guard.Go("reach", "links", guard.Once, s.openAll)
}

// endLinks ends the links that run; what is posted meanwhile waits in the journal where rows
// say that there will be others.
func (h *House) endLinks(rows *courier.Rules) {
	h.post.close(rows)
	s := h.links.run
	if s == nil {
		return
	}
	s.end()
	if left := s.guard.Wait(linksEnd); left != nil {
		h.log.Error("links do not end; others are begun beside them", "running", left)
	}
	for name := range s.bp.Doc.Site.Links {
		for _, of := range []string{"link ", "terminal ", "sealed ", "small "} {
			h.clearFault(of + name)
		}
	}
	h.clearFault("county")
	h.links.run = nil
}

func (s *linkRun) beside(file string) string { return beside(s.bp.Doc.File, file) }

// openAll opens the links and the courier over them, and calls what is wrong with them.
func (s *linkRun) openAll(ctx context.Context) error {
	var links []courier.Link
	for _, name := range slices.Sorted(maps.Keys(s.bp.Doc.Site.Links)) {
		l := s.bp.Doc.Site.Links[name]
		var late *lateLink
		if s.bp.Rows != nil {
			if r, ok := s.bp.Rows.Links[name]; ok && r.Wide == overIP(l) && (overIP(l) || overSealed(l)) {
				late = newLate(name)
				links = append(links, late)
				s.guard.Go("reach", "link "+name+" receipts of", guard.Restart, late.forward)
			}
		}
		switch {
		case !overIP(l):
			s.guard.Go("reach", "link "+name, guard.Restart, s.listener(name, l, late))
		case late != nil:
			s.guard.Go("reach", "link "+name+" opening", guard.Restart, func(ctx context.Context) error { return s.openIP(ctx, name, l, late) })
		}
	}
	if len(links) > 0 {
		o := courier.Opts{Guard: s.guard, Clock: s.h.clock, Keep: s.h.journal, Rules: s.bp.Rows, Links: links, Log: s.h.log, Arrived: s.h.post.arrive}
		if err := s.h.post.open(o); err != nil {
			return err
		}
	} else {
		s.h.post.close(nil)
	}
	look := time.NewTicker(linksLook)
	defer look.Stop()
	var again time.Time
	for {
		if s.bp.Doc.Site.County != nil && s.as() == nil && !time.Now().Before(again) {
			s.introduce()
			again = time.Now().Add(linkAgain)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
			s.look()
		}
	}
}

// introduce reads the secret that box and county share.
func (s *linkRun) introduce() {
	r, err := s.reports()
	if err != nil {
		s.h.setFault("county", phrase.M("station.county_failed", "detail", phrase.Of(err)))
		return
	}
	s.h.clearFault("county")
	s.mu.Lock()
	s.county = r
	s.mu.Unlock()
	s.h.post.known(r)
}

// as gives who this box is to its county; nil before its secret was read.
func (s *linkRun) as() *reports {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.county
}

// ready tells whether the secret was read and the journal knows which counters were used:
// before, none may be.
func (s *linkRun) ready() bool {
	select {
	case <-s.h.journal.Loaded():
	default:
		return false
	}
	ok, _ := s.h.journal.State()
	return ok && s.as() != nil
}

// reports makes what seals this box's messages. Keys of the epochs around its own are tried, too,
// so that whichever end rolls over first is understood: see cmd/hubd/hubfile, which does the same.
func (s *linkRun) reports() (*reports, error) {
	site := s.bp.Doc.Site
	root, err := readKey(s.beside(site.County.Root))
	if err != nil {
		return nil, err
	}
	r := &reports{Station: countyName(site), Number: uint16(site.County.Number)}
	epoch := uint32(max(1, site.County.Epoch))
	for _, e := range []uint32{epoch + 1, epoch, epoch - 1} {
		if e == 0 {
			continue
		}
		k, err := wire.NewKeys(root, string(r.Station), e)
		if err != nil {
			return nil, err
		}
		if r.All = append(r.All, k); e == epoch {
			r.Keys = k
		}
	}
	return r, nil
}

// look makes faults of links that are down or may not send though they were meant to.
func (s *linkRun) look() {
	st, ok := s.h.post.status()
	if !ok {
		return
	}
	for _, l := range st.Links {
		thing := "link " + l.Link
		var why phrase.Message
		switch {
		case l.State == courier.Down:
			why = phrase.M("station.link_down", "link", l.Link, "why", l.State.Say(l.Why))
		case l.State == courier.Off && l.For > offFor && !slices.Contains(noFault, l.Why.Code):
			why = phrase.M("station.link_off", "link", l.Link, "why", l.Why)
		}
		if why.IsZero() {
			if s.faulty[thing] {
				delete(s.faulty, thing)
				s.h.clearFault(thing)
			}
			continue
		}
		s.faulty[thing] = true
		s.h.setFault(thing, why)
	}
	thing := "outbox kept"
	switch {
	case !st.Kept && !st.Why.IsZero():
		s.faulty[thing] = true
		s.h.setFault(thing, st.Why)
	case s.faulty[thing]:
		delete(s.faulty, thing)
		s.h.clearFault(thing)
	}
}

// noFault are reasons not to send that are as they should be, or are called elsewhere: a
// terminal without an approval only listens, and one that does not speak is deaf.
var noFault = []string{"narrow.bar_receive_only", "narrow.bar_starting"}

// offFor is how long a link may be off before that is called: it is opened, its card read.
const offFor = 20 * time.Second

// lateLink is a link that is opened when it can be: its secret is there, and the journal
// knows which counters were used.
type lateLink struct {
	name  string
	acks  chan []courier.Ack
	ready chan struct{}
	link  atomic.Pointer[courier.Link]
	why   atomic.Pointer[phrase.Message]
}

func newLate(name string) *lateLink {
	x := &lateLink{name: name, acks: make(chan []courier.Ack, 64), ready: make(chan struct{})}
	why := phrase.M("station.link_opening")
	x.why.Store(&why)
	return x
}

// set tells the link once it is open.
func (x *lateLink) set(l courier.Link) {
	if x.link.CompareAndSwap(nil, &l) {
		close(x.ready)
		return
	}
	x.link.Store(&l)
}

// says tells why it is not open; a nil link has nobody to tell.
func (x *lateLink) says(err error) {
	if x == nil {
		return
	}
	why := phrase.M("station.link_unopened", "detail", phrase.Of(err))
	x.why.Store(&why)
}

// forward hands on the receipts of the link that is open.
func (x *lateLink) forward(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-x.ready:
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-(*x.link.Load()).Acks():
			select {
			case x.acks <- a:
			case <-ctx.Done():
			}
		}
	}
}

// openIP opens a link over IP as soon as that can be, and tries again until then.
func (s *linkRun) openIP(ctx context.Context, name string, l config.Link, late *lateLink) error {
	for {
		err := error(phrase.E("station.link_opening"))
		pause := 100 * time.Millisecond
		if s.ready() || l.Kind == kindNATS && s.as() != nil { // NATS has no counters: it needs no disk
			var link courier.Link
			if l.Kind == kindNATS {
				link, err = s.openNATS(name, l)
			} else {
				link, err = s.openDatagrams(name, l)
			}
			if err == nil {
				late.set(link)
				<-ctx.Done()
				return ctx.Err()
			}
			pause = linkAgain
		} else if ok, why := s.h.journal.State(); !ok {
			err = &phrase.Error{Message: why}
		}
		late.says(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Name is courier.Link.
func (x *lateLink) Name() string { return x.name }

// Limits is courier.Link.
func (x *lateLink) Limits() courier.Limits {
	if l := x.link.Load(); l != nil {
		return (*l).Limits()
	}
	return courier.Limits{Why: *x.why.Load()}
}

// Acks is courier.Link.
func (x *lateLink) Acks() <-chan []courier.Ack { return x.acks }

// Send is courier.Link.
func (x *lateLink) Send(ctx context.Context, p courier.Parcel) error {
	if l := x.link.Load(); l != nil {
		return (*l).Send(ctx, p)
	}
	return &courier.Fault{Kind: courier.FaultGone, Err: fmt.Errorf("the link %s is not open", x.name)}
}

// Probe is courier.Prober.
func (x *lateLink) Probe(ctx context.Context) error {
	l := x.link.Load()
	if l == nil {
		return fmt.Errorf("the link %s is not open", x.name)
	}
	if p, can := (*l).(courier.Prober); can {
		return p.Probe(ctx)
	}
	return nil
}

var _ courier.Prober = (*lateLink)(nil)
