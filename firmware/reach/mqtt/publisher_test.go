package mqtt

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	simbroker "tocsin/hwtest/broker"
)

// broker is the bench's, with what this room's tests ask of it.
type broker struct {
	*simbroker.Broker
	t *testing.T
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	b, err := simbroker.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Die()
		for _, w := range b.Wrong() {
			t.Error(w)
		}
	})
	return &broker{b, t}
}

type rig struct {
	*Publisher
	mu     sync.Mutex
	faults []phrase.Message
	end    func()
}

func (r *rig) why() phrase.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.faults) == 0 {
		return phrase.Message{}
	}
	return r.faults[len(r.faults)-1]
}

func tell(t *testing.T, at string, change func(*Opts)) *rig {
	t.Helper()
	r := &rig{}
	o := Opts{
		Server: at, ClientID: "box", Base: "tocsin/441882103201", Most: 100, Bytes: 64 << 10,
		Hello: func() []Message { return []Message{msg("homeassistant/sensor/x/config", "{}", false)} },
		Start: func(_ string, run func()) { go run() },
		Fault: func(why phrase.Message) { r.mu.Lock(); r.faults = append(r.faults, why); r.mu.Unlock() },
		Pause: func(ctx context.Context, _ time.Duration) { time.Sleep(10 * time.Millisecond) },
	}
	if change != nil {
		change(&o)
	}
	r.Publisher = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	var once sync.Once
	r.end = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(r.end)
	return r
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func (b *broker) has(topic, payload string) func() bool {
	return func() bool { return b.Retained()[topic] == payload }
}

func TestWhatIsOfferedIsRetainedAtTheBrokerWithAWill(t *testing.T) {
	b := newBroker(t)
	r := tell(t, b.Addr, nil)
	r.Offer(msg("points/river/level", `{"value":1.2}`, false))
	r.Offer(msg("no/+/topic", "x", false))
	until(t, "the point", b.has("tocsin/441882103201/points/river/level", `{"value":1.2}`))
	until(t, "the status", b.has("tocsin/441882103201/status", "online"))
	until(t, "the hello", b.has("homeassistant/sensor/x/config", "{}"))
	until(t, "the count", func() bool { return r.State().Told == 3 && r.State().Waiting == 0 })
	if w := b.Will(); w != "tocsin/441882103201/status=offline" {
		t.Errorf("will %q", w)
	}
	r.end()
	until(t, "offline at an orderly end", b.has("tocsin/441882103201/status", "offline"))
	if b.Subscriptions() != 0 || len(b.Retained()) != 3 {
		t.Errorf("%d subscriptions, %v", b.Subscriptions(), b.Retained())
	}
}

func TestABrokerThatDiesIsToldTheNewestWhenItComesBack(t *testing.T) {
	b := newBroker(t)
	r := tell(t, b.Addr, nil)
	until(t, "up", func() bool { return r.State().Up })
	b.Die()
	until(t, "down", func() bool { return !r.State().Up && r.why().Code == "mqtt.down" })
	for i := range 1000 {
		r.Offer(msg("points/river/level", fmt.Sprint(i), false))
		r.Offer(msg(fmt.Sprint("alarms/", i%3), fmt.Sprint(i), true))
	}
	b.Forget()
	// Someone else may hold the port for a moment.
	until(t, "it listens again", func() bool { return b.Listen(b.Addr) == nil })
	until(t, "the newest", b.has("tocsin/441882103201/points/river/level", "999"))
	until(t, "the alarms", b.has("tocsin/441882103201/alarms/2", "998"))
	until(t, "hello again", b.has("homeassistant/sensor/x/config", "{}"))
	until(t, "no fault", func() bool { return r.why().IsZero() })
	for i, o := range b.Order() {
		if strings.Contains(o, "points/river") && i < 3 {
			t.Errorf("a reading went before the alarms: %v", b.Order())
		}
	}
}

func TestABrokerThatAcknowledgesNothingHoldsNobodyUp(t *testing.T) {
	b := newBroker(t)
	b.Behave(simbroker.Manner{Mute: true})
	r := tell(t, b.Addr, nil)
	until(t, "up", func() bool { return r.State().Up })
	began := time.Now()
	for i := range 20_000 {
		r.Offer(msg(fmt.Sprint("points/a/", i), "1", false))
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("offering took %v", took)
	}
	if st := r.State(); st.Waiting > 100+lanes || st.Dropped < 19_000 {
		t.Errorf("%+v", st)
	}
}

func TestWhatABrokerSendsUnaskedIsDroppedAndTooLongEndsIt(t *testing.T) {
	b := newBroker(t)
	order := []byte{0x30, 20, 0, 9}
	order = append(order, "edged/cmd"...)
	order = append(order, 0)
	order = append(order, "sound al"...)
	b.Behave(simbroker.Manner{Blurt: order})
	r := tell(t, b.Addr, nil)
	r.Offer(msg("state", "1", false))
	until(t, "it goes on", b.has("tocsin/441882103201/state", "1"))
	b.Behave(simbroker.Manner{Blurt: []byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}}) // 256 MiB are coming
	b.Drop()
	until(t, "the connection ended and came again", func() bool { return b.Connects() >= 3 })
}

func TestABrokerThatRefusesIsCalledByItsReason(t *testing.T) {
	b := newBroker(t)
	b.Behave(simbroker.Manner{Connack: 0x86})
	r := tell(t, b.Addr, nil)
	until(t, "the refusal", func() bool { return strings.Contains(r.why().In(phrase.EN), "0x86") })
	b.Behave(simbroker.Manner{Barred: "tocsin/441882103201/state"})
	r.Offer(msg("state", "1", false))
	until(t, "the topic", func() bool { return r.why().Code == "mqtt.topic" })
	until(t, "it is not sent again", func() bool { st := r.State(); return st.Up && st.Waiting == 0 && st.Wrong == 1 })
}
