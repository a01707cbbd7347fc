package station

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/serve/api"
)

// feeding counts what a house tells its service manager.
type feeding struct {
	mu        sync.Mutex
	fed       int
	last      time.Time
	triggered bool
}

func (f *feeding) take(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s {
	case "WATCHDOG=1":
		f.fed, f.last = f.fed+1, time.Now()
	case "WATCHDOG=trigger":
		f.triggered = true
	}
}

func (f *feeding) seen() (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fed, f.triggered
}

func TestAHungRuleLoopStarvesTheWatchdogAndAHungPageDoesNot(t *testing.T) {
	t.Parallel()
	w, f := newTown(t), &feeding{}
	w.notify, w.watchdog, w.proof = f.take, 500*time.Millisecond, 3*time.Second
	w.start()
	h := w.house.Load()
	before, _ := f.seen()
	w.until("it is fed", func() bool { n, _ := f.seen(); return n > before+5 })

	// What hangs beside the alarm path starves nobody.
	beside, free := make(chan struct{}), make(chan struct{})
	h.noteSoon(func() { close(beside); <-free })
	<-beside
	time.Sleep(2 * w.proof)
	before, _ = f.seen()
	w.until("it is fed although the notes hang", func() bool { n, _ := f.seen(); return n > before+5 })
	close(free)
	if _, trigger := f.seen(); trigger {
		t.Fatal("it asks to be begun anew although what warns lives")
	}

	// The rule loop hangs, the process and its page do not.
	hangs, goes := make(chan struct{}), make(chan struct{})
	h.acts <- func() { close(hangs); <-goes }
	<-hangs
	w.until("it asks to be begun anew", func() bool { _, trigger := f.seen(); return trigger })
	before, _ = f.seen()
	time.Sleep(w.proof)
	if n, _ := f.seen(); n != before {
		t.Errorf("fed %d times while the rule loop hangs", n-before)
	}
	var s api.Status
	if err := w.get("/status", &s); err != nil {
		t.Errorf("the process lives, and its page does not answer: %v", err)
	}
	if hung := h.dog.Hung(); !slices.Contains(hung, "decide") {
		t.Errorf("hung: %v", hung)
	}
	close(goes)
	w.until("it is fed again", func() bool { n, _ := f.seen(); return n > before })
	w.crosses()
}

func TestEveryPartOfTheAlarmPathProvesItsLife(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.proof = time.Nanosecond // all hang, and so all are named
	w.start()
	w.until("all are named", func() bool {
		hung := w.house.Load().dog.Hung()
		for _, part := range []string{"announcer", "decide", "line field", "line gate", "line out", "line text", "output siren"} {
			if !slices.Contains(hung, part) {
				return false
			}
		}
		return true
	})
}

func TestAPartThatDiesAgainAndAgainIsToldAndTheAlarmPathIsBegunAnew(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	b := h.bp.Guard.Restarts.Of("decide", "rules")
	spent := guard.Event{Owner: "decide", Name: "rules", Err: errors.New("panic: boom"), Spent: true, Budget: b}
	told := func() string {
		select {
		case f := <-h.noted:
			f()
		case <-time.After(patience):
			t.Fatal("nothing is told")
		}
		for _, f := range h.Faults() {
			if f.Thing == "room decide/rules" {
				return f.Why.ZH
			}
		}
		return ""
	}
	h.show()
	// One that died young would only do so again.
	h.started = time.Now()
	h.roomFailed(spent)
	if s := told(); !strings.Contains(s, "仍不断重启") || !strings.Contains(s, "boom") {
		t.Errorf("told: %s", s)
	}
	if hung := h.dog.Hung(); len(hung) != 0 {
		t.Errorf("starved: %v", hung)
	}
	h.started = time.Now().Add(-b.For)
	h.roomFailed(spent)
	if s := told(); !strings.Contains(s, "程序将重新启动") {
		t.Errorf("told: %s", s)
	}
	if hung := h.dog.Hung(); !slices.Equal(hung, []string{"decide/rules"}) {
		t.Errorf("starved: %v", hung)
	}
	h.roomFailed(guard.Event{Owner: "decide", Name: "rules", Well: true})
	if s := told(); s != "" {
		t.Errorf("still told: %s", s)
	}
	if hung := h.dog.Hung(); len(hung) != 0 {
		t.Errorf("starved: %v", hung)
	}
	// What rests starves nobody.
	h.roomFailed(guard.Event{Owner: "update", Name: "installer", Err: errors.New("x"), Spent: true, Budget: h.bp.Guard.Restarts.Of("update", "installer")})
	if hung := h.dog.Hung(); len(hung) != 0 {
		t.Errorf("starved: %v", hung)
	}
}

func TestAPanicInTheRuleLoopIsToldAndCostsNoAlarm(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	h := w.house.Load()
	for range 3 {
		h.acts <- func() { panic("boom") }
	}
	w.faulty("room decide/rules", []string{"boom"}, []string{"boom"})
	w.crosses()
}
