package station

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/uplink"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
)

// dialIn is how long a link may take to be opened: a satellite's round trip, several
// times.
const dialIn = 20 * time.Second

// ledgerAfter is how long after a letter was kept the hub's receipt is waited for before it
// is asked for, and ledgerFor how long it is asked for at the most: then the courier
// sends it again.
const (
	ledgerAfter = 3 * time.Second
	ledgerFor   = 2 * time.Minute
	ledgerMost  = 4096
)

// durable is the journal where a value counts only once it is on the disk.
type durable struct{ j *journal.Journal }

// Get gives a value as last set.
func (d durable) Get(key string) ([]byte, bool) { return d.j.Get(key) }

// Put sets a value; nil: it is on the disk.
func (d durable) Put(ctx context.Context, key string, value []byte) error {
	d.j.Put(key, value)
	return d.j.Sync(ctx)
}

// ledger knows which letters are at the hub and have no receipt of its ledger yet. All
// links share it: the receipt may come by another than the letter left by.
type ledger struct {
	mu    sync.Mutex
	waits map[string]*entry
}

type entry struct {
	class letter.Class
	sum   string
	part  courier.Part
	at    time.Time
	ask   time.Time
}

func newLedger() *ledger { return &ledger{waits: map[string]*entry{}} }

// sent notes that a letter goes to the hub now.
func (l *ledger) sent(x letter.Letter, p courier.Part, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waits) >= ledgerMost {
		clear(l.waits) // what is lost here is asked for when it was sent again
	}
	l.waits[x.ID] = &entry{class: x.Class, sum: letter.Sum(x.Body), part: courier.Part{ID: p.ID, Short: p.Short}, at: now, ask: now.Add(ledgerAfter)}
}

// took takes a receipt; false where it is for nothing that was sent.
func (l *ledger) took(r uplink.Receipt) (courier.Ack, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.waits[r.ID]
	if e == nil || e.class != r.Class || e.sum != r.Sum {
		return courier.Ack{}, false
	}
	delete(l.waits, r.ID)
	return courier.Ack{ID: e.part.ID, Short: e.part.Short, Via: r.Link}, true
}

// due gives the letters whose receipt is to be asked for now.
func (l *ledger) due(now time.Time, most int) (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, e := range l.waits {
		switch {
		case now.Sub(e.at) > ledgerFor:
			delete(l.waits, id)
		case !e.ask.After(now) && len(ids) < most:
			e.ask = now.Add(2 * now.Sub(e.at))
			ids = append(ids, id)
		}
	}
	return ids
}

// letterOf writes a part as a letter. The short form of a message has a name of its own.
func letterOf(p courier.Part) letter.Letter {
	l := letter.Letter{ID: p.ID, Class: letter.Class(p.Class), Body: p.Bytes}
	if p.Short {
		l.ID += "s"
	}
	return l
}

// natsWay is a NATS link as the courier sees it.
type natsWay struct {
	name   string
	link   *uplink.NATS
	ledger *ledger
	acks   chan []courier.Ack
}

// Name is courier.Link.
func (w *natsWay) Name() string { return w.name }

// Limits is courier.Link: whether the hub answers is for the probes to say.
func (w *natsWay) Limits() courier.Limits { return courier.Limits{May: true} }

// Acks is courier.Link.
func (w *natsWay) Acks() <-chan []courier.Ack { return w.acks }

// Probe is courier.Prober.
func (w *natsWay) Probe(ctx context.Context) error {
	_, err := w.link.Probe(ctx)
	return err
}

// Send is courier.Link.
func (w *natsWay) Send(ctx context.Context, p courier.Parcel) error {
	all, now := make([]letter.Letter, len(p.Parts)), time.Now()
	for i, part := range p.Parts {
		all[i] = letterOf(part)
		w.ledger.sent(all[i], part, now)
	}
	return faultOf(w.link.SendAll(ctx, all))
}

// faultOf tells the courier what became of a parcel.
func faultOf(errs []error) error {
	gone, refused, failed := 0, 0, error(nil)
	for _, err := range errs {
		switch {
		case errors.Is(err, uplink.ErrDown):
			gone++
		case errors.Is(err, uplink.ErrRefused):
			refused++
		}
		if err != nil {
			failed = err
		}
	}
	switch len(errs) {
	case gone:
		return &courier.Fault{Kind: courier.FaultGone, Err: failed}
	case refused:
		return &courier.Fault{Kind: courier.FaultRefused, Wait: time.Minute, Err: failed}
	}
	return failed
}

// receive hands on the hub's receipts, and asks for those that do not come.
func (w *natsWay) receive(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	tell := func(r uplink.Receipt) {
		a, ok := w.ledger.took(r)
		if !ok {
			return
		}
		select {
		case w.acks <- []courier.Ack{a}:
		case <-ctx.Done():
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-w.link.Receipts():
			tell(r)
		case <-tick.C:
			if !w.link.Up() {
				continue
			}
			for _, id := range w.ledger.due(time.Now(), 16) {
				in, cancel := context.WithTimeout(ctx, 5*time.Second)
				r, there, err := w.link.Ask(in, id)
				cancel()
				if err != nil {
					break
				}
				if there {
					tell(r)
				}
			}
		}
	}
}

// datagramWay is a link by sealed datagrams as the courier sees it.
type datagramWay struct {
	name  string
	link  *uplink.Datagrams
	acks  chan []courier.Ack
	start func(name string, run func())
}

// Name is courier.Link.
func (w *datagramWay) Name() string { return w.name }

// Limits is courier.Link. A socket that is not open yet is no sign that the hub is away.
func (w *datagramWay) Limits() courier.Limits {
	if !w.link.Open() {
		return courier.Limits{Why: phrase.M("station.link_opening")}
	}
	return courier.Limits{May: true}
}

// Acks is courier.Link.
func (w *datagramWay) Acks() <-chan []courier.Ack { return w.acks }

// Probe is courier.Prober.
func (w *datagramWay) Probe(ctx context.Context) error {
	_, err := w.link.Probe(ctx)
	return err
}

// Send is courier.Link. Each part is a datagram, and the hub's word that it has it on its
// disk is the receipt.
func (w *datagramWay) Send(ctx context.Context, p courier.Parcel) error {
	for _, part := range p.Parts {
		if l := letterOf(part); len(l.Body)+len(l.ID)+2+letter.Overhead > letter.DatagramMost {
			return &courier.Fault{Kind: courier.FaultTooLong, Err: fmt.Errorf("%s has %d bytes", l.ID, len(l.Body))}
		}
	}
	results := make(chan error, len(p.Parts))
	one := func(part courier.Part) {
		err := errors.New("the send did not end well")
		defer func() { results <- err }()
		l := letterOf(part)
		if err = w.link.Send(ctx, l.ID, l.Class, l.Body); err != nil {
			return
		}
		select {
		case w.acks <- []courier.Ack{{ID: part.ID, Short: part.Short, Via: w.name}}:
		case <-ctx.Done():
		}
	}
	for _, part := range p.Parts[1:] {
		w.start("send "+w.name, func() { one(part) })
	}
	one(p.Parts[0])
	var errs []error
	for range p.Parts {
		errs = append(errs, <-results)
	}
	return faultOf(errs)
}

const (
	year2020 = 1_577_836_800 // in seconds since 1970
	freeBits = 34            // of chance where the clock may not be believed
)

// countersFrom is where the numbers of datagrams begin at a time.
func countersFrom(t time.Time) uint64 { return uint64(max(0, t.Unix()-year2020)) << 16 }

// counterOf numbers the datagrams of a key: each number once in its life, over all links
// that use it. Where the disk does not keep a reservation it is not tried again at once, so
// that what can still go out is not held up.
//
// Where nothing is kept, though datagrams may have gone out before a disk was lost, numbers
// begin where no earlier ones can be: 65,536 for each second since the year 2020. A clock that nobody set may say the
// same second in two lives, or an earlier one. By such a clock they begin at random in the three days that follow, so that
// none comes twice, and go on from the right time as soon as it is known, where the hub takes them whatever was before.
func counterOf(keep narrow.Keep, psk []byte, now func() clock.Stamp) func() (uint64, error) {
	sum := sha256.Sum256(psk)
	key := "datagrams/" + hex.EncodeToString(sum[:8]) + "/sent"
	var mu sync.Mutex
	var tried time.Time
	var failed error
	begun := now()
	reserved, free := countersFrom(begun.Wall), begun.Trust == clock.Free
	switch b, ok := keep.Get(key); {
	case ok:
		n, err := strconv.ParseUint(string(b), 10, 48)
		if err != nil { // never a beginning at zero: a number that came twice would lay the key open
			return func() (uint64, error) { return 0, phrase.Wrap(err, "station.counter_unread", "key", key) }
		}
		reserved = n
	case free:
		var r [8]byte
		rand.Read(r[:]) // never fails (crypto/rand, Go 1.24)
		reserved += binary.BigEndian.Uint64(r[:]) >> (64 - freeBits)
	}
	asked := reserved
	reserve := func(upTo uint64) error {
		asked = max(asked, upTo)
		if failed != nil && time.Since(tried) < 30*time.Second {
			return failed
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		failed = keep.Put(ctx, key, strconv.AppendUint(nil, upTo, 10))
		tried = time.Now()
		return failed
	}
	c := wire.NewCounter(reserved, reserve)
	return func() (uint64, error) {
		mu.Lock()
		defer mu.Unlock()
		if t := now(); free && t.Trust > clock.Free {
			right := wire.NewCounter(max(asked, countersFrom(t.Wall)), reserve)
			if n, err := right.Next(); err == nil {
				c, free = right, false
				return n, nil
			} // what is reserved of the old ones still goes out
		}
		return c.Next()
	}
}

// takes judges what the hub sends down by a link: nil where it was judged, whatever came
// of it.
func (h *House) takes(name string, l config.Link) func(context.Context, letter.Letter) error {
	return func(ctx context.Context, x letter.Letter) error {
		j := &job{way: "link " + name, only: l.Issuers}
		switch text := bytes.TrimLeft(x.Body, "\ufeff \t\r\n"); {
		case compact.Is(x.Body):
			j.compact = true
		case !bytes.HasPrefix(text, []byte("<")):
			j.command = true
		}
		err := h.county.bring(ctx, x.Body, wayNet, j)
		if errors.Is(err, api.ErrBusy) || ctx.Err() != nil {
			return fmt.Errorf("%w: %w", uplink.ErrLater, errors.Join(err, ctx.Err()))
		}
		return err
	}
}

// openNATS makes a NATS link of a site.
func (s *linkRun) openNATS(name string, l config.Link) (courier.Link, error) {
	o := uplink.NATSOpts{Name: name, Station: s.as().Station, Servers: l.Servers, Take: s.h.takes(name, l), Talk: s.h.talkBy(name, l), Log: s.h.log, Dial: courier.Dialer(l.Device, dialIn).DialContext,
		Now: func() (time.Time, time.Time, bool) {
			now := s.h.clock.Now()
			return now.Wall, s.h.clock.Floor(), now.Trust > clock.Free
		}}
	var err error
	read := func(to *[]byte, file string, f func(string) ([]byte, error)) {
		if file != "" && err == nil {
			*to, err = f(s.beside(file))
		}
	}
	var token []byte
	read(&o.CA, l.CA, readCA)
	read(&o.Certificate, l.Certificate, readCA)
	read(&o.Key, l.CertificateKey, readSecret)
	read(&o.Seed, l.Seed, readSeed)
	read(&token, l.Token, readToken)
	if err != nil {
		return nil, err
	}
	o.Token = string(token)
	if s.h.seen().bp.Doc.Site.Video != nil {
		o.Pictures = s.h.video
	}
	link, err := uplink.NewNATS(o)
	if err != nil {
		return nil, err
	}
	s.h.updates.shops.Store(name, link)
	w := &natsWay{name: name, link: link, ledger: s.ledger, acks: make(chan []courier.Ack, 64)}
	s.guard.Go("reach", "link "+name, guard.Restart, link.Run)
	s.guard.Go("reach", "link "+name+" receipts", guard.Restart, w.receive)
	s.guard.Go("reach", "link "+name+" talk", guard.Restart, link.TalkBack)
	if o.Pictures != nil {
		s.guard.Go("reach", "link "+name+" pictures", guard.Restart, link.Announce)
	}
	return w, nil
}

// openDatagrams makes a link by datagrams.
func (s *linkRun) openDatagrams(name string, l config.Link) (courier.Link, error) {
	psk, err := readKey(s.beside(l.PSK))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(psk)
	s.mu.Lock()
	next := s.counters[sum]
	if next == nil {
		next = counterOf(durable{s.h.journal}, psk, s.h.clock.Now)
		s.counters[sum] = next
	}
	s.mu.Unlock()
	key := "datagrams/" + hex.EncodeToString(sum[:8]) + "/heard/" + name
	window, _ := s.h.journal.Get(key)
	start := s.guard.Starter("reach")
	link, err := uplink.NewDatagrams(uplink.DatagramOpts{Name: name, Station: s.as().Station, Server: l.Servers[0], Root: psk, Counter: next,
		Window: window, Keep: func(b []byte) { s.h.journal.Put(key, b) }, Dial: courier.Dialer(l.Device, dialIn).DialContext,
		Take: s.h.takes(name, l), Start: start, Log: s.h.log})
	if err != nil {
		return nil, err
	}
	s.guard.Go("reach", "link "+name, guard.Restart, link.Run)
	return &datagramWay{name: name, link: link, acks: make(chan []courier.Ack, 64), start: start}, nil
}

var (
	_ courier.Prober = (*natsWay)(nil)
	_ courier.Prober = (*datagramWay)(nil)
)
