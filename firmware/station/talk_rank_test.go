package station

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/live"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

// hornOf is a loudspeaker in virtual time with a buffer of 100 ms, which tells what it gives now.
type hornOf struct {
	mu    sync.Mutex
	gives string // of the programme that is open
	until time.Time
}

func (h *hornOf) String() string { return "horn" }

func (h *hornOf) Open(context.Context, drivers.Format) (drivers.Stream, error) {
	return &hornStream{h: h}, nil
}

// now is what is heard.
func (h *hornOf) now() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Now().After(h.until) {
		return ""
	}
	return h.gives
}

type hornStream struct{ h *hornOf }

func (s *hornStream) Write(ctx context.Context, pcm []int16) error {
	s.h.mu.Lock()
	now := time.Now()
	if s.h.until.Before(now) {
		s.h.until = now
	}
	switch top := loudest(pcm); {
	case top == 111:
		s.h.gives = "alarm"
	case top > 0:
		s.h.gives = "voice"
	}
	s.h.until = s.h.until.Add(time.Duration(len(pcm)) * time.Second / 48000)
	wait := s.h.until.Sub(now) - 100*time.Millisecond
	s.h.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(max(0, wait)):
		return nil
	}
}

func loudest(s []int16) (top int16) {
	for _, x := range s {
		top = max(top, x, -x)
	}
	return top
}

func (s *hornStream) Delay() time.Duration { return 100 * time.Millisecond }
func (s *hornStream) Drain(context.Context) error {
	return s.Drop()
}
func (s *hornStream) Drop() error {
	s.h.mu.Lock()
	s.h.until = time.Time{}
	s.h.mu.Unlock()
	return nil
}

// drone is an alarm that the horn can tell: every sample is 111.
type drone struct{}

func (drone) Cadence(output.Kind) output.Cadence { return nil }
func (drone) Samples(drivers.Format) output.Reader {
	return drone{}
}
func (drone) Read(buf []int16) (int, bool) {
	for i := range buf {
		buf[i] = 111
	}
	return len(buf), false
}

// stage is a desk, a house and an announcer as the station has them, with a voice, in virtual time.
type stage struct {
	horn  *hornOf
	a     *announce.Announcer
	desk  *order.Desk
	voice *live.Voice
}

func onStage(t *testing.T, f func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		c := clock.Func(func() clock.Stamp {
			return clock.Stamp{Mono: time.Since(begun) + time.Hour, Wall: time.Now(), Boot: "test"}
		})
		raw, err := configs.FS.ReadFile("order-bounds.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Bounds order.Bounds `yaml:"bounds"`
		}
		if err := yaml.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		for k, s := range doc.Bounds.Sources {
			if s.Most == 0 {
				s.Most = 4
				doc.Bounds.Sources[k] = s
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		g := guard.New(ctx, slog.New(slog.NewTextHandler(io.Discard, nil)), func(e guard.Event) { t.Errorf("failed: %v %s", e.Err, e.Stack) })
		s := &stage{horn: &hornOf{}, desk: order.NewDesk(doc.Bounds, c, nil)}
		b := doc.Bounds.Live
		s.voice = live.New(live.Opts{Rate: 8000, Now: func() time.Duration { return c.Now().Mono }, Bounds: live.Bounds{Hold: b.Hold.Duration(), Most: b.Most.Duration(),
			Quiet: b.Quiet.Duration(), Lost: b.Lost.Duration(), RMS: b.RMS, Peak: b.Peak, Gain: b.Gain, Floor: b.Floor}})
		h, err := output.New([]output.Spec{{Name: "horn", Kind: output.Loudspeaker, Player: s.horn, Format: soundFormat}}, output.Opts{Clock: c, Guard: g})
		if err != nil {
			t.Fatal(err)
		}
		s.a = announce.New(announce.Opts{Desk: s.desk, House: h, Clock: c, Compose: func(c order.Content) (output.Programme, error) {
			if c.Live != "" {
				return spokenBy{voice: s.voice}, nil
			}
			return drone{}, nil
		}})
		g.Go("sound", "house", guard.Once, h.Run)
		g.Go("sound", "announcer", guard.Restart, s.a.Run)
		g.Go("bench", "talker", guard.Once, func(ctx context.Context) error {
			said := speech8k(time.Minute)
			for n := 0; ; n++ {
				s.voice.Put(int64(2*n), said[n%3000*160:][:160])
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
		f(s)
		cancel()
		if left := g.Wait(time.Minute); left != nil {
			t.Errorf("goroutines left: %v", left)
		}
	})
}

func (s *stage) speak(level point.Level) {
	s.a.Announce(announce.Request{Cause: "talk", Kind: order.Real, Source: order.Operator, Level: level, Rank: talkRank, Outputs: []string{"horn"}, Content: order.Content{Live: "x"},
		For: time.Minute, Lower: announce.Drop, Equal: announce.Queue, Who: order.Who{Name: "陈会计"}})
}

func (s *stage) alarm(level point.Level) {
	s.a.Announce(announce.Request{Cause: "flood", Kind: order.Real, Source: order.Rule, Level: level, Outputs: []string{"horn"}, Duty: announce.Duty{On: 20 * time.Second, Off: 10 * time.Second}})
}

// heardWithin tells after how long the horn first gives something, looked at each millisecond.
func (s *stage) heardWithin(what string, most time.Duration) (time.Duration, bool) {
	for began := time.Now(); time.Since(began) <= most; time.Sleep(time.Millisecond) {
		if s.horn.now() == what {
			return time.Since(began), true
		}
	}
	return most, false
}

func TestAnAlarmOfNoLowerLevelTakesTheLoudspeakerWithin200ms(t *testing.T) {
	for _, voice := range []point.Level{0, 2, 3} {
		onStage(t, func(s *stage) {
			s.speak(voice)
			if d, ok := s.heardWithin("voice", time.Second); !ok || d > 300*time.Millisecond {
				t.Fatalf("level %d: the voice is heard after %v: %v", voice, d, ok)
			}
			time.Sleep(3 * time.Second)
			s.alarm(3)
			d, ok := s.heardWithin("alarm", time.Second)
			if !ok || d > 200*time.Millisecond {
				t.Errorf("level %d: the alarm is heard after %v: %v", voice, d, ok)
			}
			time.Sleep(time.Minute + 30*time.Second)
			if s.horn.now() == "voice" {
				t.Error("the voice came back by itself")
			}
		})
	}
}

func TestAVoiceInterruptsNoAlarmOfItsLevelAndSpeaksInItsPauses(t *testing.T) {
	onStage(t, func(s *stage) {
		s.alarm(3)
		if _, ok := s.heardWithin("alarm", time.Second); !ok {
			t.Fatal("no alarm")
		}
		s.speak(3)
		if d, heard := s.heardWithin("voice", 5*time.Second); heard {
			t.Errorf("the voice was heard after %v", d)
		}
		for s.horn.now() == "alarm" {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond) // the pause
		s.speak(3)
		if d, heard := s.heardWithin("voice", time.Second); !heard {
			t.Errorf("nothing was heard in the pause, %v", d)
		}
		if d, ok := s.heardWithin("alarm", 11*time.Second); !ok {
			t.Errorf("the alarm's next turn did not come: %v", d)
		}
	})
}

func TestStopSilencesAVoiceWithin200ms(t *testing.T) {
	onStage(t, func(s *stage) {
		s.speak(0)
		if _, ok := s.heardWithin("voice", time.Second); !ok {
			t.Fatal("no voice")
		}
		time.Sleep(2 * time.Second)
		s.a.Stop(order.Who{Name: "王建国"})
		if d, ok := s.heardWithin("", time.Second); !ok || d > 200*time.Millisecond {
			t.Errorf("it was silent after %v: %v", d, ok)
		}
		if _, again := s.heardWithin("voice", time.Minute); again {
			t.Error("it came back")
		}
	})
}
