package courier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
)

// fake is a link whose far end is the test.
type fake struct {
	name   string
	mu     sync.Mutex
	limits Limits
	fail   error
	mute   bool // it delivers and the receipt is lost
	hang   bool
	panics bool
	had    map[string]int
	acks   chan []Ack
}

func newFake(name string) *fake {
	return &fake{name: name, limits: Limits{May: true}, had: map[string]int{}, acks: make(chan []Ack, 64)}
}

func (f *fake) Name() string       { return f.name }
func (f *fake) Acks() <-chan []Ack { return f.acks }
func (f *fake) Limits() Limits     { f.mu.Lock(); defer f.mu.Unlock(); return f.limits }
func (f *fake) Probe(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail
}

func (f *fake) Send(ctx context.Context, p Parcel) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("a driver's fault")
	}
	if f.hang {
		f.mu.Unlock()
		<-ctx.Done()
		f.mu.Lock()
		return ctx.Err()
	}
	if f.fail != nil {
		return f.fail
	}
	var acks []Ack
	for _, part := range p.Parts {
		f.had[part.ID]++
		acks = append(acks, Ack{ID: part.ID, Short: part.Short})
	}
	if !f.mute {
		f.acks <- acks
	}
	return nil
}

func (f *fake) got(id string) int { f.mu.Lock(); defer f.mu.Unlock(); return f.had[id] }

// house is a journal and a courier over it.
type house struct {
	t   *testing.T
	dir string
	j   *journal.Journal
	c   *Courier
	end func()
}

func settle(t *testing.T, dir string, rules *Rules, links ...Link) *house {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := guard.New(ctx, slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	ck := clock.NewSystem(time.Time{}, clock.Set)
	j, err := journal.Open(dir, journal.Opts{Guard: g, Clock: ck, Retry: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond, Start: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(Opts{Guard: g, Clock: ck, Keep: j, Rules: rules, Links: links, Rand: newRand(1)})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: dir, j: j, c: c}
	h.end = sync.OnceFunc(func() {
		cancel()
		j.Close()
		if left := g.Wait(60 * time.Second); left != nil {
			t.Errorf("goroutines left: %v", left)
		}
	})
	t.Cleanup(h.end)
	return h
}

func (h *house) sync() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := h.j.Sync(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 60 s: %s", what)
		}
	}
}

func TestAMessageCommitsWithItsRecordAndIsDeliveredOverARestart(t *testing.T) {
	dir := t.TempDir()
	h := settle(t, dir, shipped(t)) // no link at all
	err := h.c.Post(Message{ID: "red", Class: Warning, Payload: []byte("x")}, journal.Batch{
		Records: []journal.Record{{Kind: "alarm.raised", Cause: "c1"}}, State: map[string][]byte{"level": []byte("red")}})
	if err != nil {
		t.Fatal(err)
	}
	h.sync()
	h.end()
	f := newFake("fibre")
	h = settle(t, dir, shipped(t), f)
	until(t, "the warning is there", func() bool { return f.got("red") > 0 })
	until(t, "its row is done", func() bool { return len(h.j.Letters()) == 0 })
	h.sync()
	recs, err := h.j.Read(context.Background(), 0, 100)
	kinds := ""
	for _, r := range recs {
		kinds += r.Kind + " "
	}
	if err != nil || !strings.Contains(kinds, "alarm.raised ") || !strings.Contains(kinds, "receipt.county ") {
		t.Errorf("%v %s", err, kinds)
	}
	if v, _ := h.j.Get("level"); string(v) != "red" {
		t.Errorf("level %q", v)
	}
}

func TestWhatIsRefusedKeepsNothing(t *testing.T) {
	h := settle(t, t.TempDir(), shipped(t))
	if err := h.c.Post(Message{ID: "x", Class: 9, Payload: []byte("x")}, journal.Batch{State: map[string][]byte{"level": []byte("red")}}); err == nil {
		t.Fatal("taken")
	}
	if _, ok := h.j.Get("level"); ok || len(h.j.Letters()) != 0 {
		t.Error("it was kept all the same")
	}
}

// A path that is a file stands for a disk that is dead.
func TestWithTheDiskDeadTheOutboxWorksFromRAMAndSaysSo(t *testing.T) {
	f := newFake("fibre")
	h := settle(t, "/dev/null/journal", shipped(t), f)
	if err := h.c.Post(Message{ID: "red", Class: Warning, Payload: []byte("x")}, journal.Batch{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the warning is there", func() bool { return f.got("red") > 0 })
	until(t, "it is done", func() bool { return h.c.Status().Rows == 0 })
	s := h.c.Status()
	if s.Kept || s.Why.IsZero() || strings.Contains(s.Why.In(phrase.ZH), "{") {
		t.Errorf("%v %s", s.Kept, s.Why.In(phrase.ZH))
	}
}

func TestALinkThatPanicsHangsOrFailsHoldsUpNobodyElse(t *testing.T) {
	bad, hangs, gone, good := newFake("cellular"), newFake("satellite"), newFake("mesh"), newFake("fibre")
	bad.panics, hangs.hang = true, true
	gone.fail = &Fault{Kind: FaultGone, Err: errors.New("unplugged")}
	h := settle(t, t.TempDir(), shipped(t), bad, hangs, gone, good)
	for i := range 20 {
		if err := h.c.Post(Message{ID: fmt.Sprint(i), Class: Warning, Payload: []byte("x")}, journal.Batch{}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all are there", func() bool { return h.c.Status().Rows == 0 })
	for i := range 20 {
		if good.got(fmt.Sprint(i)) == 0 {
			t.Errorf("%d is missing", i)
		}
	}
	until(t, "the faults are counted", func() bool {
		n := 0
		for _, l := range h.c.Status().Links {
			if l.Faults > 0 {
				n++
			}
		}
		return n >= 2
	})
}

func TestMoneyIsKeptOverARestart(t *testing.T) {
	dir := t.TempDir()
	f := newFake("sms")
	h := settle(t, dir, shipped(t), f)
	if err := h.c.Post(Message{ID: "c", Class: Command, Payload: []byte("x")}, journal.Batch{}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is there", func() bool { return h.c.Status().Rows == 0 })
	was := h.c.Status().Links[0]
	h.sync()
	h.end()
	h = settle(t, dir, shipped(t), f)
	if is := h.c.Status().Links[0]; is.Balance > was.Full-0.099 || is.Balance < was.Balance-1e-6 {
		t.Errorf("%v of %v, was %v", is.Balance, is.Full, was.Balance)
	}
}

func TestStatusShowsEverythingInBothLanguages(t *testing.T) {
	off, up := newFake("beidou"), newFake("fibre")
	off.limits = Limits{Why: phrase.M("courier.unprobed")}
	up.mute = true
	h := settle(t, t.TempDir(), shipped(t), off, up)
	if err := h.c.Post(Message{ID: "a", Class: Alarm, Payload: []byte("x")}, journal.Batch{}); err != nil {
		t.Fatal(err)
	}
	until(t, "it was sent", func() bool { return up.got("a") > 0 })
	s := h.c.Status()
	if s.Rows != 1 || s.Classes[Alarm].Waiting != 1 || len(s.Links) != 2 || s.Links[0].State != Off {
		t.Errorf("%+v", s)
	}
	for _, l := range s.Links {
		for _, lang := range phrase.Languages {
			if w := l.Why.In(lang); w == "" || strings.ContainsAny(w, "{") {
				t.Errorf("%s: %q", l.Link, w)
			}
		}
	}
	h.c.Taken("fibre", []Ack{{ID: "a"}, {ID: "nothing"}})
	if s := h.c.Status(); s.Rows != 0 || s.Classes[Alarm].Delivered != 1 || s.Stray != 1 {
		t.Errorf("%+v", s)
	}
}

func TestOpenRefusesALinkWithoutARow(t *testing.T) {
	h := settle(t, t.TempDir(), shipped(t))
	for _, links := range [][]Link{{newFake("pigeon")}, {newFake("fibre"), newFake("fibre")}} {
		if _, err := Open(Opts{Guard: h.c.o.Guard, Clock: h.c.o.Clock, Keep: h.j, Rules: shipped(t), Links: links}); err == nil {
			t.Errorf("%v taken", links[0].Name())
		}
	}
}

// A board without a battery wakes in any year; what waits goes all the same, and is not
// thought expired.
func TestAClockTenYearsOffLosesNothing(t *testing.T) {
	began := time.Now()
	rules := shipped(t)
	fibre := rules.Links["fibre"]
	fibre.Spread = 0 // no random wait in real time
	rules.Links["fibre"] = fibre
	for _, years := range []int{-10, 10} {
		dir := t.TempDir()
		h := settle(t, dir, shipped(t))
		for _, c := range []Class{Warning, Bulk} {
			if err := h.c.Post(Message{ID: c.String(), Class: c, Payload: []byte("x")}, journal.Batch{}); err != nil {
				t.Fatal(err)
			}
		}
		h.sync()
		h.end()
		f := newFake("fibre")
		h = settle(t, dir, shipped(t))
		off := clock.Func(func() clock.Stamp {
			return clock.Stamp{Mono: time.Second + time.Since(began), Wall: time.Now().AddDate(years, 0, 0), Boot: "next", Trust: clock.Free}
		})
		c, err := Open(Opts{Guard: h.c.o.Guard, Clock: off, Keep: h.j, Rules: rules, Links: []Link{f}, Rand: newRand(1)})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "both are there", func() bool { return f.got("warning") > 0 && f.got("bulk") > 0 && c.Status().Rows == 0 })
		h.end()
	}
}
