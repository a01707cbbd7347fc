package deadman

import (
	"math/rand/v2"
	"testing"
	"time"
)

const ms = time.Millisecond

// reach simulates a finger that lets go at release over a network whose way takes
// delay in each direction, and gives when the hold was over.
func reach(h *Hold, release, delay, limit time.Duration) (over time.Duration, sounded bool) {
	type said struct {
		at   time.Duration
		beat uint64
	}
	var up, down []said
	know, next := uint64(0), time.Duration(0)
	down = append(down, said{delay, h.Last()})
	for now := time.Duration(0); now < limit; now += ms {
		for len(down) > 0 && down[0].at <= now {
			know, down = down[0].beat, down[1:]
		}
		if know > 0 && now >= next && now < release { // one at a time, each after the answer to the last
			up, know, next = append(up, said{now + delay, know}), 0, now+Beat
		}
		for len(up) > 0 && up[0].at <= now {
			down, up = append(down, said{now + delay, h.Say(now, up[0].beat)}), up[1:]
		}
		sounded = sounded || h.Proved() && h.Look(now) == Held
		if now%Look == 0 && h.Look(now) != Held {
			return now, sounded
		}
	}
	return limit, sounded
}

func TestItIsOverWithinItsGraceOfTheFingersLastMomentWhateverTheNetwork(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * ms, 50 * ms, 100 * ms, 150 * ms} {
		over, sounded := reach(New(0, time.Minute), 5*time.Second, delay, 20*time.Second)
		if !sounded || over < 5*time.Second-Grace || over > 5*time.Second+Grace+Look {
			t.Errorf("a way of %v: over at %v, sounded %v", delay, over, sounded)
		}
	}
	for _, delay := range []time.Duration{400 * ms, 2 * time.Second} {
		if over, sounded := reach(New(0, time.Minute), 5*time.Second, delay, 20*time.Second); sounded || over > Grace+Look {
			t.Errorf("a way of %v is too long to hold by: over at %v, sounded %v", delay, over, sounded)
		}
	}
}

func TestAPressOfAFingerThatHasGoneSoundsNothing(t *testing.T) {
	if _, sounded := reach(New(0, time.Minute), 0, 20*ms, 10*time.Second); sounded {
		t.Error("it sounded")
	}
}

func TestWhatTheNetworkHeldBackHoldsNothing(t *testing.T) {
	h := New(0, time.Minute)
	b := h.Say(100*ms, h.Last())
	// Twenty holds wait in a buffer for two seconds and come at once.
	for i := range 20 {
		h.Say(2*time.Second+time.Duration(i)*ms, b)
	}
	if h.Look(2100*ms) != Released {
		t.Error("it was held by what came late")
	}
	h = New(0, time.Minute)
	for now := 100 * ms; now < time.Second; now += 100 * ms {
		h.Say(now, b) // always the same old one
	}
	if h.Look(time.Second) != Released {
		t.Error("it was held by an old beat")
	}
}

func TestABeatThatWasNeverToldProvesNothing(t *testing.T) {
	for _, beat := range []uint64{0, 2, 1 << 40, ^uint64(0)} {
		h := New(0, time.Minute)
		h.Say(10*ms, beat)
		if h.Proved() {
			t.Errorf("%d was taken", beat)
		}
	}
}

func TestWhatIsOverStaysOver(t *testing.T) {
	h := New(0, time.Minute)
	h.Say(10*ms, 1)
	h.Release()
	h.Say(20*ms, 2)
	if h.Look(20*ms) != Released || h.Left(20*ms) != 0 {
		t.Error("it came back")
	}
	h = New(0, time.Second)
	for now := time.Duration(0); now < 2*time.Second; now += 100 * ms {
		h.Say(now, h.Last())
	}
	if h.Look(3*time.Second) != TimeUp {
		t.Error("its time was not up")
	}
}

func TestHoldingAtRandomNeverOutlastsTheProof(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 2000 {
		h, now, newest := New(0, 10*time.Second), time.Duration(0), time.Duration(0)
		issued := map[uint64]time.Duration{h.Last(): 0}
		for range 60 {
			now += time.Duration(r.IntN(300)) * ms
			beat := uint64(r.IntN(int(h.Last()) + 3))
			held := h.Look(now) == Held
			before := h.Last()
			if got := h.Say(now, beat); got > before {
				issued[got] = now
				newest = max(newest, issued[beat])
			}
			if held && now-newest >= Grace && h.Look(now) == Held {
				t.Fatalf("held at %v by a proof of %v", now, newest)
			}
		}
	}
}
