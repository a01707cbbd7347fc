package line

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// fakeFields is a device that sends what comes on its channel.
type fakeFields struct {
	lines chan any // drivers.Record or error
	asked atomic.Int32
}

func (f *fakeFields) Next(ctx context.Context) (drivers.Record, error) {
	f.asked.Add(1)
	select {
	case <-ctx.Done():
		return drivers.Record{}, &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	case x := <-f.lines:
		if err, ok := x.(error); ok {
			return drivers.Record{}, err
		}
		return x.(drivers.Record), nil
	}
}

func (f *fakeFields) Close() error   { return nil }
func (f *fakeFields) String() string { return "fake text" }

const textYAML = `version: 1
profile: text
name: {zh: 文, en: text}
manual: none
via: text
record: {start: $R, checksum: none, fields: 2}
points:
  - {id: total, name: {zh: 雨, en: rain}, read: field 1, unit: mm, every: 10s, range: [0, 1000], rate: 8/min, counter: {resets: true, tip: 0.2 mm}}
  - {id: tips, name: {zh: 次, en: tips}, read: field 2, unit: "1", every: 10s}
proof:
  - {heard: "$R,1.5,7", gives: {total: 1.5, tips: 7}}
`

func startText(t *testing.T) (*Text, *fakeFields, *sink, *guard.Watchdog) {
	f, s, w := &fakeFields{lines: make(chan any, 8)}, &sink{}, &guard.Watchdog{}
	o := opts(s)
	o.Proof = w.Proof("line rain", 3*time.Second)
	x := NewText(TextConfig{Name: "rain", Device: "rain", Profile: parse(t, "text", textYAML)}, f, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return x, f, s, w
}

func record(fields ...string) drivers.Record { return drivers.Record{Fields: fields, At: time.Now()} }

func TestALineOfTextBecomesReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, f, s, _ := startText(t)
		f.lines <- record("12.4", "62")
		<-x.FirstRound()
		synctest.Wait()
		if r := s.last(t, "rain.total"); !r.IsGood() || r.Value != 12.4 || r.Unit != "mm" {
			t.Errorf("got %+v", r)
		}
		f.lines <- record("55.0", "62")
		synctest.Wait()
		if r := s.last(t, "rain.total"); r.Quality != point.Suspect {
			t.Errorf("42 mm at once: %v", r.Quality)
		}
		f.lines <- record("12.6")
		f.lines <- record("x", "63")
		synctest.Wait()
		if r := s.last(t, "rain.total"); r.Quality != point.SensorFault {
			t.Errorf("no number: %v", r.Quality)
		}
		if got := x.Snapshot(); got.Units[0].Good != 3 || got.Units[0].Faults["garbled"] != 1 || !got.Up {
			t.Errorf("snapshot %+v", got)
		}
	})
}

func TestATextDeviceThatFallsSilentIsStaleAndThenAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, f, s, w := startText(t)
		f.lines <- record("12.4", "62")
		<-x.FirstRound()
		stale := false
		for range 60 {
			time.Sleep(time.Second)
			f.lines <- &drivers.Fault{Kind: drivers.FaultGarbled}
			synctest.Wait()
			stale = stale || s.last(t, "rain.total").Quality == point.Stale || s.last(t, "rain.tips").Quality == point.CommFault
			if hung := w.Hung(); len(hung) > 0 {
				t.Fatalf("hung: %v", hung)
			}
		}
		if r := s.last(t, "rain.total"); !stale || r.Quality != point.CommFault || !strings.Contains(r.Why.In(phrase.EN), "has sent nothing") {
			t.Errorf("got %v %v", r.Quality, r.Why)
		}
		if _, ok := s.fault("device rain"); !ok {
			t.Error("no fault was raised")
		}
		f.lines <- record("12.6", "63")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if _, ok := s.fault("device rain"); ok || !s.last(t, "rain.total").IsGood() {
			t.Error("it did not come back")
		}
	})
}

func TestATextPortThatIsGoneIsTriedAgainWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, f, s, w := startText(t)
		for range 5 {
			f.lines <- &drivers.Fault{Kind: drivers.FaultGone, Err: errors.New("no such device")}
		}
		time.Sleep(100 * time.Millisecond)
		<-x.FirstRound()
		synctest.Wait()
		if r := s.last(t, "rain.total"); r.Quality != point.CommFault || r.Why.Code != "line.gone" || f.asked.Load() != 1 {
			t.Errorf("got %v %v, asked %d times", r.Quality, r.Why, f.asked.Load())
		}
		for range 20 {
			time.Sleep(time.Second)
			if hung := w.Hung(); len(hung) > 0 {
				t.Fatalf("hung: %v", hung)
			}
		}
		f.lines <- record("1", "5")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if _, ok := s.fault("line rain"); ok || s.raised != 1 {
			t.Errorf("raised %d times, stands %v", s.raised, ok)
		}
	})
}
