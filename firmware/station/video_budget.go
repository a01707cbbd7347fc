package station

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"tocsin/firmware/reach/courier"
	"tocsin/firmware/video/ladder"
	"tocsin/firmware/video/terms"
)

// uplinkShare says what live pictures may take of the way to the county. Messages come first: where one
// of the classes warning to alarm waits for its receipt, pictures take what is left beside it.
type uplinkShare struct {
	rules ladder.UplinkRules

	posted int64         // of those classes, ever
	since  time.Duration // when one of them was posted last
}

// bits is bit/s for all live pictures together; 0 is no bound.
func (u *uplinkShare) bits(now time.Duration, st courier.Status, rows *courier.Rules) int {
	way, up := widest(st, rows)
	bits := way
	posted, waiting := int64(0), 0
	for i, c := range st.Classes {
		if courier.Class(i) < courier.Telemetry {
			posted, waiting = posted+c.Posted, waiting+c.Waiting
		}
	}
	if posted != u.posted {
		u.posted, u.since = posted, now
	}
	// What the county does not take for long holds nobody up for ever.
	if waiting > 0 && up && now-u.since < u.rules.For.D() {
		if urgent := int(u.rules.Urgent); bits == 0 || urgent < bits {
			bits = urgent
		}
	}
	return bits
}

// widest is what live pictures may take of the link that carries the most of those that are up, or of the thinnest
// where none is: which of them the box's own routes take is theirs to say.
func widest(st courier.Status, rows *courier.Rules) (live int, up bool) {
	least := 0
	for _, l := range st.Links {
		r, ok := rows.Links[l.Link]
		if !ok || !r.Wide {
			continue
		}
		if r.Live > 0 && (least == 0 || r.Live < least) {
			least = r.Live
		}
		if l.State == courier.Off || l.State == courier.Down {
			continue
		}
		if r.Live == 0 {
			return 0, true
		}
		live, up = max(live, r.Live), true
	}
	if !up {
		return least, false
	}
	return live, true
}

// budget asks the courier, and tells the child where what pictures may take is not what it knows.
func (p *pictures) budget(ctx context.Context, u *uplinkShare, s terms.State) {
	rows := p.h.seen().bp.Rows
	if rows == nil {
		return
	}
	st, ok := p.h.post.status()
	if !ok {
		return
	}
	p.tell(ctx, u.bits(p.h.clock.Now().Mono, st, rows), s)
}

func (p *pictures) tell(ctx context.Context, bits int, s terms.State) {
	if bits != s.Budget {
		if err := p.ask(ctx, http.MethodPut, "/budget?bits="+strconv.Itoa(bits), nil, nil); err != nil {
			p.h.log.Debug("the video process was not told its budget", "err", err)
		}
	}
}

// share is made of the rules that hold now.
func (p *pictures) share() *uplinkShare {
	r, err := ladder.LoadRules(p.h.seen().bp.FS)
	if err != nil { // the child had the same, and did not begin
		return &uplinkShare{}
	}
	return &uplinkShare{rules: r.Uplink}
}
