package station

import (
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/video/ladder"
	"tocsin/firmware/video/terms"
)

// courierSays is a courier's word: links by state, and what waits of alarms and of telemetry.
func courierSays(links map[string]courier.State, alarms, telemetry int, posted int64) courier.Status {
	st := courier.Status{Classes: make([]courier.ClassStatus, courier.Bulk+1)}
	st.Classes[courier.Alarm] = courier.ClassStatus{Waiting: alarms, Posted: posted}
	st.Classes[courier.Telemetry] = courier.ClassStatus{Waiting: telemetry, Posted: 1000}
	for name, s := range links {
		st.Links = append(st.Links, courier.LinkStatus{Link: name, State: s})
	}
	return st
}

func TestLivePicturesTakeWhatMessagesLeave(t *testing.T) {
	rows, err := courier.LoadRules(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	video, err := ladder.LoadRules(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	urgent, cellular, satellite := int(video.Uplink.Urgent), rows.Links["cellular"].Live, rows.Links["satellite"].Live
	if urgent == 0 || cellular <= satellite || satellite == 0 {
		t.Fatalf("%d %d %d", urgent, cellular, satellite)
	}
	type links = map[string]courier.State
	for name, c := range map[string]struct {
		links             links
		alarms, telemetry int
		after             time.Duration // since the last was posted
		want              int
	}{
		"fibre":                             {links{"fibre": courier.Up, "cellular": courier.Up}, 0, 0, 0, 0},
		"fibre is down":                     {links{"fibre": courier.Down, "cellular": courier.Up, "satellite": courier.Up}, 0, 0, 0, cellular},
		"the satellite alone":               {links{"cellular": courier.Down, "satellite": courier.Suspect}, 0, 0, 0, satellite},
		"none is up":                        {links{"cellular": courier.Down, "satellite": courier.Off}, 0, 0, 0, satellite},
		"a narrow link is none":             {links{"beidou": courier.Up, "cellular": courier.Up}, 0, 0, 0, cellular},
		"an alarm waits":                    {links{"fibre": courier.Up}, 1, 0, time.Second, urgent},
		"an alarm waits on 4G":              {links{"cellular": courier.Up}, 1, 0, time.Second, urgent},
		"telemetry waits":                   {links{"fibre": courier.Up}, 0, 9, 0, 0},
		"an alarm that nobody takes":        {links{"fibre": courier.Up}, 1, 0, video.Uplink.For.D(), 0},
		"an alarm, and no link to carry it": {links{"cellular": courier.Down}, 1, 0, time.Second, cellular},
	} {
		u := &uplinkShare{rules: video.Uplink}
		st := courierSays(c.links, c.alarms, c.telemetry, int64(c.alarms))
		u.bits(time.Hour, st, rows)
		if got := u.bits(time.Hour+c.after, st, rows); got != c.want {
			t.Errorf("%s: %d bit/s, not %d", name, got, c.want)
		}
	}
	// Another alarm begins it anew.
	u := &uplinkShare{rules: video.Uplink}
	u.bits(time.Hour, courierSays(links{"fibre": courier.Up}, 1, 0, 1), rows)
	if got := u.bits(3*time.Hour, courierSays(links{"fibre": courier.Up}, 2, 0, 2), rows); got != urgent {
		t.Errorf("a new alarm beside an old one: %d", got)
	}
}

func TestTheChildIsToldWhereItDoesNotKnow(t *testing.T) {
	c := &recordedChild{}
	p, end := bare(t, t.TempDir(), nil, c)
	defer end()
	p.tell(t.Context(), 64_000, terms.State{Budget: 64_000})
	p.tell(t.Context(), 0, terms.State{})
	for _, bits := range []int{64_000, 0} {
		p.tell(t.Context(), bits, terms.State{Budget: 1})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asked) != 2 || c.asked[0] != "/budget?bits=64000" || c.asked[1] != "/budget?bits=0" {
		t.Errorf("%q", c.asked)
	}
}
