package gb28181

import (
	"context"
	"strconv"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/video/gb28181/mans"
)

// beijing is the zone of every time without one in MANSCDP.
var beijing = time.FixedZone("CST", 8*3600)

const (
	timeForm    = "2006-01-02T15:04:05"
	mostRecords = 500
)

// serve says who answers what.
func (a *attachment) serve(s *sipgo.Server) {
	guarded := func(h func(*sip.Request, sip.ServerTransaction)) sipgo.RequestHandler {
		return func(r *sip.Request, tx sip.ServerTransaction) {
			defer func() { // sipgo starts these: a fault in one must not end the child
				if e := recover(); e != nil {
					a.l.d.log().Error("a handler of SIP failed", "method", r.Method, "panic", e)
					reply(r, tx, sip.StatusInternalServerError, "Internal Error")
				}
			}()
			if f := r.From(); f == nil || f.Address.User != a.l.p.ID || r.CallID() == nil || r.CSeq() == nil || r.To() == nil || r.Via() == nil {
				reply(r, tx, sip.StatusForbidden, "Forbidden")
				return
			}
			h(r, tx)
		}
	}
	// Those that are done at once, a few at a time; INVITE waits and is bounded by
	// the sessions.
	short := func(h func(*sip.Request, sip.ServerTransaction)) sipgo.RequestHandler {
		return guarded(func(r *sip.Request, tx sip.ServerTransaction) {
			select {
			case a.handling <- struct{}{}:
				defer func() { <-a.handling }()
				h(r, tx)
			default:
				reply(r, tx, sip.StatusServiceUnavailable, "Busy")
			}
		})
	}
	s.OnMessage(short(a.onMessage))
	s.OnInvite(guarded(a.onInvite))
	s.OnAck(guarded(a.onAck))
	s.OnBye(short(a.onBye))
	s.OnInfo(short(a.onInfo))
	s.OnCancel(short(func(r *sip.Request, tx sip.ServerTransaction) {
		reply(r, tx, sip.StatusCallTransactionDoesNotExists, "No Such Call")
	}))
	s.OnOptions(short(func(r *sip.Request, tx sip.ServerTransaction) { reply(r, tx, sip.StatusOK, "OK") }))
	s.OnNoRoute(short(func(r *sip.Request, tx sip.ServerTransaction) {
		reply(r, tx, sip.StatusMethodNotAllowed, "Method Not Allowed")
	}))
}

func reply(r *sip.Request, tx sip.ServerTransaction, code int, reason string) {
	if r.IsAck() || tx == nil {
		return
	}
	_ = tx.Respond(sip.NewResponseFromRequest(r, code, reason, nil))
}

// onMessage takes a query or a command of Annex A. The message is answered first; what
// it asks for goes in messages of our own.
func (a *attachment) onMessage(r *sip.Request, tx sip.ServerTransaction) {
	if !a.signedIn() {
		reply(r, tx, sip.StatusForbidden, "Not Registered")
		return
	}
	m, err := mans.Read(r.Body())
	if err != nil {
		reply(r, tx, sip.StatusBadRequest, "Bad MANSCDP")
		return
	}
	own := m.Device == a.l.p.Device
	ch := a.l.p.channel(m.Device)
	if !own && ch == nil {
		reply(r, tx, sip.StatusNotFound, "No Such Device")
		return
	}
	reply(r, tx, sip.StatusOK, "OK")
	switch {
	case m.Kind == "Query":
		a.query(m, ch)
	case m.Kind == "Control":
		a.control(m, ch)
	case m.Kind == "Notify" && m.Command == "Broadcast":
		// Its target is asked to open its loudspeaker. A siren's sounds by signed
		// orders alone.
		a.answer(m, mans.El("Result", "ERROR"))
	}
}

func (a *attachment) query(m mans.Message, ch *Channel) {
	d := a.l.d
	switch m.Command {
	case "Catalog":
		a.catalog(m)
	case "DeviceInfo":
		about := d.o.About
		name, channels := about.Name, strconv.Itoa(len(a.l.p.Channels))
		if ch != nil {
			name, channels = ch.Name, "1"
		}
		a.answer(m, mans.El("DeviceName", name), mans.El("Result", "OK"), mans.El("Manufacturer", about.Maker), mans.El("Model", about.Model), mans.El("Firmware", about.Firmware), mans.El("Channel", channels))
	case "DeviceStatus":
		encode := "OFF"
		for _, c := range a.l.p.Channels {
			if (ch == nil || c.ID == ch.ID) && c.Stream.State().From != "" {
				encode = "ON"
			}
		}
		record := "OFF"
		if a.l.p.Records != nil {
			record = "ON"
		}
		a.answer(m, mans.El("Result", "OK"), mans.El("Online", "ONLINE"), mans.El("Status", "OK"), mans.El("Encode", encode), mans.El("Record", record), mans.El("DeviceTime", d.o.Wall().In(beijing).Format(timeForm)))
	case "RecordInfo":
		a.records(m, ch)
	default:
		a.answer(m, mans.El("Result", "ERROR"))
	}
}

// answer sends a Response with the query's number.
func (a *attachment) answer(m mans.Message, parts ...mans.Element) bool {
	root := mans.Element{Name: "Response", Parts: append([]mans.Element{mans.El("CmdType", m.Command), mans.El("SN", m.SN), mans.El("DeviceID", m.Device)}, parts...)}
	code, err := a.message(a.ctx, root)
	if err != nil || code >= 300 {
		a.l.d.log().Warn("a platform did not take an answer", "name", a.l.p.Name, "command", m.Command, "code", code, "err", err)
		return false
	}
	return true
}

// catalog tells the channels, one in a message: two may not fit a datagram.
func (a *attachment) catalog(m mans.Message) {
	d := a.l.d
	sum := strconv.Itoa(len(a.l.p.Channels))
	if len(a.l.p.Channels) == 0 {
		a.answer(m, mans.El("SumNum", "0"), mans.Element{Name: "DeviceList", Num: "0"})
	}
	for _, c := range a.l.p.Channels {
		status := "OFF"
		if c.Stream.State().From != "" {
			status = "ON"
		}
		item := mans.Element{Name: "Item", Parts: []mans.Element{
			mans.El("DeviceID", c.ID), mans.El("Name", c.Name), mans.El("Manufacturer", d.o.About.Maker), mans.El("Model", d.o.About.Model),
			mans.El("Owner", "0"), mans.El("CivilCode", c.ID[:6]), mans.El("Address", d.o.About.Name), mans.El("Parental", "0"),
			mans.El("ParentID", a.l.p.Device), mans.El("SafetyWay", "0"), mans.El("RegisterWay", "1"), mans.El("Secrecy", "0"), mans.El("Status", status),
		}}
		if !a.answer(m, mans.El("SumNum", sum), mans.Element{Name: "DeviceList", Num: "1", Parts: []mans.Element{item}}) {
			return
		}
	}
}

func (a *attachment) records(m mans.Message, ch *Channel) {
	d := a.l.d
	from, err1 := time.ParseInLocation(timeForm, m.Body.Get("StartTime"), beijing)
	until, err2 := time.ParseInLocation(timeForm, m.Body.Get("EndTime"), beijing)
	var list []Record
	if err1 == nil && err2 == nil && ch != nil && a.l.p.Records != nil && until.After(from) {
		ctx, cancel := context.WithTimeout(a.ctx, answerWithin)
		defer cancel()
		var err error
		if list, err = a.l.p.Records.List(ctx, ch.ID, from, until, mostRecords); err != nil {
			d.log().Warn("records cannot be listed", "channel", ch.ID, "err", err)
			list = nil
		}
		list = list[:min(len(list), mostRecords)]
	}
	name := ""
	if ch != nil {
		name = ch.Name
	}
	sum := strconv.Itoa(len(list))
	if len(list) == 0 {
		a.answer(m, mans.El("Name", name), mans.El("SumNum", "0"), mans.Element{Name: "RecordList", Num: "0"})
		return
	}
	for len(list) > 0 {
		n := min(2, len(list)) // what a datagram holds for sure
		var items []mans.Element
		for _, r := range list[:n] {
			items = append(items, mans.Element{Name: "Item", Parts: []mans.Element{
				mans.El("DeviceID", m.Device), mans.El("Name", name), mans.El("StartTime", r.From.In(beijing).Format(timeForm)), mans.El("EndTime", r.Until.In(beijing).Format(timeForm)),
				mans.El("Secrecy", "0"), mans.El("Type", "time"),
			}})
		}
		if !a.answer(m, mans.El("Name", name), mans.El("SumNum", sum), mans.Element{Name: "RecordList", Num: strconv.Itoa(n), Parts: items}) {
			return
		}
		list = list[n:]
	}
}

// control takes a command. A key picture is the one thing that may be had.
func (a *attachment) control(m mans.Message, ch *Channel) {
	// The standard spells it IFameCmd; platforms spell it as it is meant as well.
	key := m.Body.Get("IFameCmd") == "Send" || m.Body.Get("IFrameCmd") == "Send"
	if m.Command == "DeviceControl" && key && ch != nil {
		ch.Stream.AskKey()
		return // the standard knows no answer to it
	}
	a.answer(m, mans.El("Result", "ERROR"))
}
