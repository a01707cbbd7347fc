package output

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"tocsin/drivers"
)

// horn is a sound card with a buffer of 100 ms.
type horn struct {
	mu       sync.Mutex
	open     bool
	openErr  error
	writeErr error
	hang     bool
	heard    time.Duration // how much was played in all
	until    time.Time     // when the buffer runs out
	opens    int
}

const buffer = 100 * time.Millisecond

func (h *horn) String() string { return "horn" }

func (h *horn) Open(ctx context.Context, f drivers.Format) (drivers.Stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opens++
	if h.openErr != nil {
		return nil, h.openErr
	}
	if h.open {
		return nil, errors.New("opened twice")
	}
	h.open, h.until = true, time.Now()
	return &hornStream{h, f}, nil
}

func (h *horn) sounds() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open && time.Now().Before(h.until)
}

type hornStream struct {
	*horn
	f drivers.Format
}

func (s *hornStream) Write(ctx context.Context, pcm []int16) error {
	s.mu.Lock()
	err, hang := s.writeErr, s.hang
	d := time.Duration(len(pcm)/s.f.Channels) * time.Second / time.Duration(s.f.Rate)
	if s.until.Before(time.Now()) {
		s.until = time.Now()
	}
	s.until = s.until.Add(d)
	s.horn.heard += d
	full := time.Until(s.until) - buffer
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(max(0, full)):
	}
	return nil
}

func (s *hornStream) Delay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, time.Until(s.until)) + 30*time.Millisecond
}

func (s *hornStream) Drain(ctx context.Context) error {
	s.mu.Lock()
	left := time.Until(s.until)
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(max(0, left)):
	}
	return s.Drop()
}

func (s *hornStream) Drop() error {
	s.mu.Lock()
	s.open, s.until = false, time.Now()
	s.mu.Unlock()
	return nil
}

// talk is a programme of a length; 0 repeats for ever.
type talk time.Duration

func (t talk) Cadence(Kind) Cadence { return nil }
func (t talk) Samples(f drivers.Format) Reader {
	return &talkReader{left: int(time.Duration(t).Seconds() * float64(f.Rate*f.Channels)), endless: t == 0}
}

type talkReader struct {
	left    int
	endless bool
}

func (r *talkReader) Read(buf []int16) (int, bool) {
	if r.endless {
		return len(buf), false
	}
	n := min(len(buf), r.left)
	r.left -= n
	return n, r.left == 0
}

func hornSpec(name string, h *horn) Spec {
	return Spec{Name: name, Kind: Loudspeaker, Player: h, Format: drivers.Format{Rate: 16000, Channels: 1}}
}

func TestALoudspeakerPlaysAndSaysWhenTheFirstSampleWasHeard(t *testing.T) {
	run(t, func(t *testing.T) {
		h := &horn{}
		w := newWorld(t, hornSpec("horn", h))
		r := w.sound(3, time.Minute, talk(5*time.Second), "horn")
		began := time.Now()
		wait(r)
		took := time.Since(began)
		w.want(took >= 5*time.Second && took < 5*time.Second+ms(300), "done after %v", took)
		_, heard := h.count()
		w.want(heard == 5*time.Second, "played %v", heard)
		w.wantStates("horn", Ordered, Started, Finished)
		at := r.Receipts()[1].At.Wall.Sub(began)
		w.want(at == ms(30), "first sample heard after %v", at)
		w.want(!w.lastEvent("horn").Why.IsZero() && w.lastEvent("horn").Measured == Unmeasured, "claims what nobody measured: %+v", w.lastEvent("horn"))
	})
}

func TestALoudspeakerFallsSilentAtOnceAndEndsWithItsOrder(t *testing.T) {
	run(t, func(t *testing.T) {
		h := &horn{}
		w := newWorld(t, hornSpec("horn", h))
		w.sound(3, time.Minute, talk(0), "horn")
		pause(3*time.Second + ms(7))
		w.want(h.sounds(), "does not sound")
		w.silence()
		pause(ms(50))
		w.want(!h.sounds(), "sounds 50 ms after STOP")
		w.sound(3, 2*time.Second, talk(0), "horn")
		pause(ms(2050))
		w.want(!h.sounds() && w.lastEvent("horn").State == Finished, "after its time: %v", w.lastEvent("horn").State)
		w.sound(2, time.Minute, talk(0), "horn")
		pause(time.Second)
		w.sound(4, time.Minute, talk(0), "horn")
		pause(ms(50))
		opens, _ := h.count()
		w.want(h.sounds() && opens == 4, "not pre-empted within 50 ms")
	})
}

func TestAPlayerThatFailsOrHangsIsCalledAndTheNextTakesOver(t *testing.T) {
	for name, c := range map[string]struct{ break_, mend func(h *horn) }{
		"open":  {func(h *horn) { h.openErr = errors.New("no such card") }, func(h *horn) { h.openErr = nil }},
		"write": {func(h *horn) { h.writeErr = errors.New("unplugged") }, func(h *horn) { h.writeErr = nil }},
		"hang":  {func(h *horn) { h.hang = true }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				a, b := &horn{}, &horn{}
				c.break_(a)
				sa := hornSpec("a", a)
				sa.Next = "b"
				w := newWorld(t, sa, hornSpec("b", b))
				r := w.sound(3, 10*time.Second, talk(0), "a")
				pause(ms(2500))
				w.want(b.sounds() && w.stands("a", Mute), "nobody took over")
				if c.mend != nil {
					a.mu.Lock()
					c.mend(a)
					a.mu.Unlock()
					pause(2 * time.Second)
					w.want(a.sounds() && !w.stands("a", Mute), "it is not tried again")
				}
				wait(r)
				pause(ms(50))
				w.want(!a.sounds() && !b.sounds(), "sounds after its time")
				w.wantStates("b", Ordered, Started, Finished)
			})
		})
	}
}

func TestALoudspeakerWithNothingToPlayFailsAndTheSirenStillSounds(t *testing.T) {
	run(t, func(t *testing.T) {
		h, s := &horn{}, &siren{lag: ms(10)}
		w := newWorld(t, hornSpec("horn", h), sirenSpec("siren", s))
		r := w.sound(3, 5*time.Second, nil, "horn", "siren")
		pause(2 * time.Second)
		w.want(s.sounds(), "silent")
		wait(r)
		w.wantStates("horn", Ordered, Failed)
	})
}

func TestAnAmplifierIsSwitchedOnBeforeAndOffAfterAndItsCurrentMeasured(t *testing.T) {
	run(t, func(t *testing.T) {
		h, amp := &horn{}, &siren{lag: ms(20)}
		spec := hornSpec("horn", h)
		spec.Relay, spec.Sensed, spec.SensedBy = coil{amp}, probe{amp}, Current
		w := newWorld(t, spec)
		r := w.sound(3, time.Minute, talk(3*time.Second), "horn")
		pause(ms(10))
		opens, _ := h.count()
		w.want(opens == 0, "plays into a dead amplifier")
		wait(r)
		w.want(!amp.sounds(), "the amplifier stays on")
		w.wantStates("horn", Ordered, Started, Heard, Finished)
	})
}

func TestWiringThatCannotWorkIsRefusedByName(t *testing.T) {
	s := &siren{}
	for want, specs := range map[string][]Spec{
		"sound.spec_name":          {{Kind: Motor, Relay: coil{s}}},
		"sound.spec_relay":         {{Name: "a", Kind: Motor}},
		"sound.spec_kind":          {{Name: "a", Kind: "bell", Relay: coil{s}}},
		"sound.spec_player":        {{Name: "a", Kind: Loudspeaker}},
		"sound.spec_player_unused": {{Name: "a", Kind: Strobe, Relay: coil{s}, Player: &horn{}}},
		"sound.spec_format":        {{Name: "a", Kind: Loudspeaker, Player: &horn{}}},
		"sound.spec_sensed_by":     {{Name: "a", Kind: Strobe, Relay: coil{s}, Sensed: probe{s}}},
		"sound.spec_minimum_kind":  {{Name: "a", Kind: Electronic, Relay: coil{s}, MinOn: 1}},
		"sound.spec_minimum":       {{Name: "a", Kind: Motor, Relay: coil{s}, MinOff: time.Hour}},
		"sound.spec_times":         {{Name: "a", Kind: Motor, Relay: coil{s}, SettleOff: time.Minute}},
		"sound.spec_fail_safe":     {{Name: "a", Kind: Motor, Relay: coil{s}, FailSafe: 1}},
		"sound.spec_next":          {{Name: "a", Kind: Motor, Relay: coil{s}, Next: "b"}},
		"sound.spec_twice":         {sirenSpec("a", s), sirenSpec("a", s)},
	} {
		_, err := New(specs, Opts{})
		if c := codeOf(err); c != want {
			t.Errorf("got %s (%v), want %s", c, err, want)
		}
	}
}

func (h *horn) count() (opens int, heard time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opens, h.heard
}
