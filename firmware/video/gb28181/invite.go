package gb28181

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/phrase"
)

// ackWithin is 64 times T1 (RFC 3261 13.3.1.4).
const ackWithin = 32 * time.Second

// onInvite takes an INVITE through to its ACK.
func (a *attachment) onInvite(r *sip.Request, tx sip.ServerTransaction) {
	d := a.l.d
	refuse := func(code int, reason string, why error) {
		d.log().Info("a platform's wish for pictures is refused", "name", a.l.p.Name, "code", code, "why", why)
		reply(r, tx, code, reason)
	}
	if !a.signedIn() {
		refuse(sip.StatusForbidden, "Not Registered", nil)
		return
	}
	if tag, ok := r.To().Params.Get("tag"); ok && tag != "" { // a session does not change
		refuse(sip.StatusNotAcceptableHere, "Not Acceptable Here", nil)
		return
	}
	o, err := readOffer(r.Body())
	if err != nil {
		refuse(sip.StatusNotAcceptableHere, "Not Acceptable Here", err)
		return
	}
	if err := a.mayGo(o.to.Addr()); err != nil {
		refuse(sip.StatusForbidden, "Media Address", err)
		return
	}
	ch := a.l.p.channel(r.Recipient.User)
	if ch == nil { // some platforms address the device and name the channel in Subject
		if h := r.GetHeader("Subject"); h != nil {
			id, _, _ := strings.Cut(strings.TrimSpace(h.Value()), ":")
			ch = a.l.p.channel(id)
		}
	}
	if ch == nil {
		refuse(sip.StatusNotFound, "No Such Channel", nil)
		return
	}
	if r.Contact() == nil {
		refuse(sip.StatusBadRequest, "No Contact", nil)
		return
	}
	if o.ssrc == "" {
		o.ssrc = a.ownSSRC(o.kind)
	}
	s := newSession(a, ch, o, r)
	st := ch.Stream.State()
	bits := max(st.Bitrate, 256_000)
	if o.kind == "Play" {
		if st.From == "" || !st.Picture.Codec.Picture() {
			refuse(sip.StatusTemporarilyUnavailable, "No Pictures", phrase.E("gb28181.no_pictures", "channel", ch.Name))
			return
		}
	} else if a.l.p.Records == nil {
		refuse(sip.StatusNotFound, "No Records", nil)
		return
	}
	if o.kind == "Download" {
		bits = int(float64(bits) * o.speed)
	}
	a.mu.Lock()
	_, again := a.sessions[r.CallID().Value()]
	if !again {
		a.sessions[r.CallID().Value()] = s
	}
	a.mu.Unlock()
	if again {
		refuse(sip.StatusLoopDetected, "Call-ID In Use", nil)
		return
	}
	if err := d.admit(s, bits); err != nil {
		a.forget(s)
		close(s.finished)
		refuse(sip.StatusBusyHere, "Busy Here", err)
		return
	}
	done := func() { a.forget(s); d.release(s); close(s.finished) }
	if err := s.open(); err != nil {
		done()
		refuse(sip.StatusInternalServerError, "No Media", err)
		return
	}
	res := sip.NewResponseFromRequest(r, sip.StatusOK, "OK", o.answer(ch.ID, s.local, o.ssrc, form(st)))
	if o.kind != "Play" {
		res.SetBody(o.answer(ch.ID, s.local, o.ssrc, "v/////a///"))
	}
	if to := res.To(); to != nil {
		to.Params.Remove("tag")
		to.Params.Add("tag", s.tag)
	}
	res.AppendHeader(&sip.ContactHeader{Address: a.reach()})
	res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	if err := a.acked(tx, s, res); err != nil {
		s.close()
		done()
		d.log().Info("a session did not begin", "name", a.l.p.Name, "channel", ch.ID, "why", err)
		return
	}
	d.o.Go("gb28181 session", func(own context.Context) error {
		defer done()
		ctx, stop := both(s.ctx, own)
		defer stop()
		s.run(ctx)
		return nil
	})
}

var errCancelled = errors.New("the platform took its INVITE back")

// acked answers and waits for the ACK, with the answer again where it may be lost.
func (a *attachment) acked(tx sip.ServerTransaction, s *session, res *sip.Response) error {
	cancelled := make(chan struct{})
	if !tx.OnCancel(func(*sip.Request) { close(cancelled) }) {
		return errCancelled
	}
	if err := tx.Respond(res); err != nil {
		return err
	}
	wait := sip.T1
	end := time.NewTimer(ackWithin)
	defer end.Stop()
	for {
		again := time.NewTimer(wait)
		select {
		case <-s.acked:
		case <-tx.Acks(): // with the INVITE's own branch, as some platforms do
		case <-cancelled:
			again.Stop()
			return errCancelled
		case <-s.ctx.Done():
			again.Stop()
			return context.Cause(s.ctx)
		case <-end.C:
			again.Stop()
			s.bye() // RFC 3261 13.3.1.4
			return fmt.Errorf("no ACK")
		case <-again.C:
			if a.l.p.Transport == "udp" {
				_ = tx.Respond(res)
			}
			wait = min(2*wait, sip.T2)
			continue
		}
		again.Stop()
		return nil
	}
}

// mayGo says whether pictures may go to that address.
func (a *attachment) mayGo(to netip.Addr) error {
	bad := !to.IsValid() || to.IsUnspecified() || to.IsMulticast() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255})
	// To the box itself only where the platform is on it.
	if (to.IsLoopback() || to == a.local) && to != a.platform.Addr() {
		bad = true
	}
	if len(a.l.p.MediaTo) > 0 {
		in := false
		for _, p := range a.l.p.MediaTo {
			in = in || p.Contains(to)
		}
		bad = bad || !in
	}
	if bad {
		return phrase.E("gb28181.media_address", "name", a.l.p.Name, "address", to.String())
	}
	return nil
}

// ownSSRC is for platforms that tell none: 0 for live or 1 for records, five digits of
// the domain, four of our own.
func (a *attachment) ownSSRC(kind string) string {
	first := "0"
	if kind != "Play" {
		first = "1"
	}
	return first + a.l.p.Realm[3:8] + strconv.Itoa(1000+rand.IntN(9000))
}

func (a *attachment) forget(s *session) {
	a.mu.Lock()
	delete(a.sessions, s.invite.CallID().Value())
	a.mu.Unlock()
}

// find is the session of a request within one: Call-ID and both tags must be its own.
func (a *attachment) find(r *sip.Request) *session {
	a.mu.Lock()
	s := a.sessions[r.CallID().Value()]
	a.mu.Unlock()
	if s == nil {
		return nil
	}
	ours, _ := r.To().Params.Get("tag")
	theirs, _ := r.From().Params.Get("tag")
	was, _ := s.invite.From().Params.Get("tag")
	if ours != s.tag || theirs != was {
		return nil
	}
	return s
}

func (a *attachment) onAck(r *sip.Request, _ sip.ServerTransaction) {
	if s := a.find(r); s != nil {
		s.once.Do(func() { close(s.acked) })
	}
}

func (a *attachment) onBye(r *sip.Request, tx sip.ServerTransaction) {
	s := a.find(r)
	if s == nil {
		reply(r, tx, sip.StatusCallTransactionDoesNotExists, "No Such Call")
		return
	}
	reply(r, tx, sip.StatusOK, "OK")
	s.end(errBye)
}

// onInfo takes what a platform asks of a record that plays.
func (a *attachment) onInfo(r *sip.Request, tx sip.ServerTransaction) {
	s := a.find(r)
	if s == nil {
		reply(r, tx, sip.StatusCallTransactionDoesNotExists, "No Such Call")
		return
	}
	w, err := readWish(r.Body())
	if err != nil || s.offer.kind == "Play" {
		reply(r, tx, sip.StatusBadRequest, "Bad MANSRTSP")
		return
	}
	select {
	case s.wishes <- w:
	default:
		reply(r, tx, sip.StatusServiceUnavailable, "Busy")
		return
	}
	res := sip.NewResponseFromRequest(r, sip.StatusOK, "OK", []byte("MANSRTSP/1.0 200 OK\r\nCSeq: "+w.cseq+"\r\n\r\n"))
	res.AppendHeader(sip.NewHeader("Content-Type", "Application/MANSRTSP"))
	_ = tx.Respond(res)
}

// endSessions ends all of this attachment's and waits for them.
func (a *attachment) endSessions() {
	a.mu.Lock()
	var all []*session
	for _, s := range a.sessions {
		all = append(all, s)
	}
	a.mu.Unlock()
	for _, s := range all {
		s.end(errGone)
		<-s.finished
	}
}
