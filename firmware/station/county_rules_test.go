package station

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/decide/intake"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
)

func townBlueprint(t *testing.T) *Blueprint {
	t.Helper()
	w := newTown(t)
	newOffice(t, w)
	bp, ps := Load(filepath.Join(w.dir, "site.yaml"))
	if config.Fatal(ps) {
		t.Fatal(ps[0].In(phrase.EN))
	}
	return bp
}

func TestAWarningIsLiftedOnlyByTheCancelThatEndedIt(t *testing.T) {
	c := &county{bp: townBlueprint(t)}
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	entry := func(id string, s book.State, by string, at int) book.Entry {
		return book.Entry{ID: id, Chain: "chain", State: s, By: by, MsgType: "Alert", Issuer: "county", Note: "of " + id, Ref: alert.Ref{Sent: noon.Add(time.Duration(at) * time.Minute)}}
	}
	cancel := entry("cancel", book.Noted, "", 9)
	cancel.Chain, cancel.MsgType, cancel.Issuer = "cancel", "Cancel", "province"
	for name, x := range map[string]struct {
		list []book.Entry // as Book.List orders them: the newest of what has ended first
		want string
	}{
		"what was cancelled":                       {[]book.Entry{entry("a", book.Cancelled, "cancel", 1), cancel}, "province: of cancel"},
		"what ran out after a first was cancelled": {[]book.Entry{entry("b", book.Expired, "", 2), entry("a", book.Cancelled, "cancel", 1), cancel}, ""},
		"an update that was cancelled":             {[]book.Entry{entry("b", book.Cancelled, "cancel", 2), entry("a", book.Superseded, "b", 1), cancel}, "province: of cancel"},
		"a cancel that was forgotten":              {[]book.Entry{entry("a", book.Cancelled, "cancel", 1)}, "县局: "},
	} {
		lifted := c.liftedBy(x.list, nil)
		got := ""
		for _, l := range lifted {
			got = l.who.Name + ": " + l.reason
		}
		if got != x.want {
			t.Errorf("%s is lifted by %q, not %q", name, got, x.want)
		}
	}
}

func TestAnswersThatWaitHoldNoAlert(t *testing.T) {
	h := &House{}
	h.shown.bp = townBlueprint(t)
	x := newHerald(h)
	o := &alert.Opened{Alert: &alert.Alert{Identifier: "1", Sender: "county@example", Note: strings.Repeat("x", 1<<20)}}
	w := weak.Make(o.Alert)
	x.answer(o, book.Change{Kind: book.Held})
	if len(x.queue) != 1 {
		t.Fatalf("%d answers", len(x.queue))
	}
	o = nil
	runtime.GC()
	if w.Value() != nil {
		t.Error("an answer that waits holds the whole alert")
	}
	runtime.KeepAlive(x)
}

func TestWhoeverBroughtAMessageIsAnsweredThoughThatPanics(t *testing.T) {
	c := &county{queue: intake.New(queueOpts, clock.NewSystem(time.Time{}, clock.Set))} // no reader: judging panics
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- c.bring(ctx, []byte("<alert/>"), wayFeed, &job{way: "feed"}) }()
	<-c.queue.Wake()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the guard is not told")
			}
		}()
		c.judge(c.queue.TryNext())
	}()
	if err := <-answer; err == nil || ctx.Err() != nil {
		t.Errorf("answered with %v", err)
	}
}
