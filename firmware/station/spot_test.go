package station

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/point"
)

func spotHouse(t *testing.T, points ...point.ID) *House {
	t.Helper()
	src := map[point.ID]rule.Source{}
	bp := &Blueprint{Sources: src}
	for _, id := range points {
		src[id] = rule.Source{}
		bp.Points = append(bp.Points, PointInfo{ID: id})
	}
	e, err := rule.New(nil, src, clock.Stamp{})
	if err != nil {
		t.Fatal(err)
	}
	return &House{bp: bp, engine: e, latest: map[point.ID]*spot{}, badAt: map[string]time.Duration{}}
}

// An answer's room is used again as soon as it was taken. Nobody who was handed
// a reading, however slow, may see it change.
func TestRoomIsUsedAgainAndNothingHandedOnChanges(t *testing.T) {
	const points, rounds = 8, 100
	var ids []point.ID
	for i := range points {
		ids = append(ids, point.ID(fmt.Sprintf("a.p%d", i)))
	}
	h := spotHouse(t, ids...)
	h.readings = make(chan []point.Reading, 4)
	ctx, stop := context.WithCancel(t.Context())
	var slow []point.Reading // looked at only when all is over
	var all sync.WaitGroup
	all.Go(func() {
		h.follow.run(ctx, func(r point.Reading, lost int) error {
			if slow = append(slow, r); lost > 0 {
				t.Errorf("%d lost", lost)
			}
			return nil
		})
	})
	for !h.follow.any() {
		time.Sleep(time.Millisecond)
	}
	made := map[*point.Reading]bool{}
	all.Go(func() { // as a line does
		defer close(h.readings)
		for n := range rounds {
			rs := h.shelf.take(points)
			for _, id := range ids {
				rs = append(rs, point.Reading{Point: id, Value: float64(n), Quality: point.Good})
			}
			made[&rs[0]] = true
			h.sink(rs)
		}
	})
	n := 0
	for rs := range h.readings {
		h.takeAll(rs)
		h.shelf.put(rs)
		for _, id := range ids {
			if got := h.latest[id].last; got.Point != id || got.Value != float64(n) {
				t.Fatalf("round %d: %s has %+v", n, id, got)
			}
		}
		n++
	}
	for len(h.follow.all) > 0 { // until the follower has all
		full := false
		for x := range h.follow.all {
			full = len(x.ch) > 0
		}
		if !full {
			break
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	all.Wait()
	if len(slow) < points*(rounds-1) {
		t.Fatalf("the follower has %d readings", len(slow))
	}
	for i, r := range slow {
		if r.Point != ids[i%points] || r.Value != float64(i/points) {
			t.Fatalf("reading %d became %+v", i, r)
		}
	}
	if len(made) > rounds/4 {
		t.Errorf("%d rooms were made for %d answers", len(made), rounds)
	}
}

func TestAReloadLeavesNoWayToASpotThatIsGone(t *testing.T) {
	h := spotHouse(t, "a.x", "b.x", "c.x")
	answer := func(v float64) []point.Reading {
		return []point.Reading{{Point: "a.x", Value: v, Quality: point.Good}, {Point: "b.x", Value: v, Quality: point.Good}, {Point: "c.x", Value: v, Quality: point.Good}}
	}
	h.takeAll(answer(1))
	h.takeAll(answer(2))
	without := spotHouse(t, "a.x", "c.x")
	h.bp = without.bp
	h.forget(h.bp)
	h.takeAll(answer(3)) // the last word of what went
	if h.latest["b.x"] != nil || h.latest["a.x"].last.Value != 3 || h.latest["c.x"].last.Value != 3 {
		t.Fatalf("after it went: %+v", h.latest)
	}
	h.bp = spotHouse(t, "a.x", "b.x", "c.x").bp
	h.forget(h.bp)
	h.takeAll(answer(4))
	if s := h.latest["b.x"]; s == nil || s.last.Value != 4 {
		t.Errorf("after it came back: %+v", s)
	}
}

func TestReadingsInAnyOrderFindTheirSpots(t *testing.T) {
	h := spotHouse(t, "a.x", "b.x", "c.x")
	for n, order := range [][]point.ID{{"a.x", "b.x", "c.x"}, {"a.x", "b.x", "c.x"}, {"c.x", "a.x"}, {"a.x", "c.x", "b.x"}, {"a.x", "nobody.x", "b.x"}, {"b.x", "b.x"}} {
		var rs []point.Reading
		for _, id := range order {
			rs = append(rs, point.Reading{Point: id, Value: float64(n), Quality: point.Good})
		}
		h.takeAll(rs)
		for _, id := range order {
			if s := h.latest[id]; id != "nobody.x" && s.last.Value != float64(n) {
				t.Errorf("order %d: %s has %v", n, id, s.last.Value)
			}
		}
	}
	if h.latest["nobody.x"] != nil {
		t.Error("a point that the site has not was taken")
	}
	if got := h.latest["b.x"].counts[point.Good]; got != 6 || math.IsNaN(h.latest["b.x"].last.Value) {
		t.Errorf("b.x was counted %d times", got)
	}
}
