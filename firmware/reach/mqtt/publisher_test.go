package mqtt

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
)

// broker is one whose bytes were written by hand from the standard, so that an error of the library does not cancel
// itself out. It does as the test bids.
type broker struct {
	t    *testing.T
	ln   net.Listener
	addr string

	mu       sync.Mutex
	connack  byte   // the reason it answers CONNECT with
	mute     bool   // acknowledges nothing
	barred   string // a topic that it refuses
	blurt    []byte // what it sends once after CONNACK
	retained map[string]string
	order    []string
	connects int
	will     string
	subs     int
	conns    []net.Conn
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{t: t, retained: map[string]string{}}
	b.listen("127.0.0.1:0")
	t.Cleanup(b.die)
	return b
}

func (b *broker) listen(at string) {
	b.t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		b.t.Fatal(err)
	}
	b.ln, b.addr = ln, ln.Addr().String()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns = append(b.conns, c)
			b.mu.Unlock()
			go b.serve(c)
		}
	}()
}

// die ends it with all connections.
func (b *broker) die() {
	b.ln.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
}

func (b *broker) set(f func()) { b.mu.Lock(); defer b.mu.Unlock(); f() }

func (b *broker) serve(c net.Conn) {
	defer c.Close()
	for {
		var head [1]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		length, shift := 0, 0
		for {
			var x [1]byte
			if _, err := io.ReadFull(c, x[:]); err != nil {
				return
			}
			length |= int(x[0]&0x7f) << shift
			if shift += 7; x[0]&0x80 == 0 {
				break
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		b.mu.Lock()
		switch head[0] >> 4 {
		case 1: // CONNECT
			b.connects++
			b.will = willOf(body)
			c.Write([]byte{0x20, 3, 0, b.connack, 0})
			c.Write(b.blurt)
			b.blurt = nil
			if b.connack != 0 {
				b.mu.Unlock()
				return
			}
		case 3: // PUBLISH with QoS 1
			n := int(binary.BigEndian.Uint16(body))
			name, id, rest := string(body[2:2+n]), body[2+n:4+n], body[4+n:]
			payload := string(rest[1+int(rest[0]):])
			reason := byte(0)
			switch {
			case head[0]&0x07 != 0x03:
				b.t.Errorf("%s: not QoS 1 and retained: %02x", name, head[0])
			case name == b.barred:
				reason = 0x87
			case !b.mute:
				b.retained[name] = payload
				b.order = append(b.order, name+"="+payload)
			}
			if !b.mute {
				c.Write([]byte{0x40, 4, id[0], id[1], reason, 0})
			}
		case 8: // SUBSCRIBE
			b.subs++
		case 12:
			c.Write([]byte{0xD0, 0})
		}
		b.mu.Unlock()
	}
}

// willOf gives topic and payload of the will in a CONNECT (MQTT 5.0 section 3.1).
func willOf(b []byte) string {
	if b[7]&0x04 == 0 {
		return ""
	}
	b = b[10:]
	b = b[1+int(b[0]):] // properties
	cut := func() string {
		n := int(binary.BigEndian.Uint16(b))
		s := string(b[2 : 2+n])
		b = b[2+n:]
		return s
	}
	cut() // client id
	b = b[1+int(b[0]):]
	return cut() + "=" + cut()
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
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.retained[topic] == payload
	}
}

func TestWhatIsOfferedIsRetainedAtTheBrokerWithAWill(t *testing.T) {
	b := newBroker(t)
	r := tell(t, b.addr, nil)
	r.Offer(msg("points/river/level", `{"value":1.2}`, false))
	r.Offer(msg("no/+/topic", "x", false))
	until(t, "the point", b.has("tocsin/441882103201/points/river/level", `{"value":1.2}`))
	until(t, "the status", b.has("tocsin/441882103201/status", "online"))
	until(t, "the hello", b.has("homeassistant/sensor/x/config", "{}"))
	until(t, "the count", func() bool { return r.State().Told == 3 && r.State().Waiting == 0 })
	b.set(func() {
		if b.will != "tocsin/441882103201/status=offline" {
			t.Errorf("will %q", b.will)
		}
	})
	r.end()
	until(t, "offline at an orderly end", b.has("tocsin/441882103201/status", "offline"))
	b.set(func() {
		if b.subs != 0 || len(b.retained) != 3 {
			t.Errorf("%d subscriptions, %v", b.subs, b.retained)
		}
	})
}

func TestABrokerThatDiesIsToldTheNewestWhenItComesBack(t *testing.T) {
	b := newBroker(t)
	r := tell(t, b.addr, nil)
	until(t, "up", func() bool { return r.State().Up })
	b.die()
	until(t, "down", func() bool { return !r.State().Up && r.why().Code == "mqtt.down" })
	for i := range 1000 {
		r.Offer(msg("points/river/level", fmt.Sprint(i), false))
		r.Offer(msg(fmt.Sprint("alarms/", i%3), fmt.Sprint(i), true))
	}
	b.set(func() { b.retained, b.order = map[string]string{}, nil })
	b.listen(b.addr)
	until(t, "the newest", b.has("tocsin/441882103201/points/river/level", "999"))
	until(t, "the alarms", b.has("tocsin/441882103201/alarms/2", "998"))
	until(t, "hello again", b.has("homeassistant/sensor/x/config", "{}"))
	until(t, "no fault", func() bool { return r.why().IsZero() })
	b.set(func() {
		for i, o := range b.order {
			if strings.Contains(o, "points/river") && i < 3 {
				t.Errorf("a reading went before the alarms: %v", b.order)
			}
		}
	})
}

func TestABrokerThatAcknowledgesNothingHoldsNobodyUp(t *testing.T) {
	b := newBroker(t)
	b.set(func() { b.mute = true })
	r := tell(t, b.addr, nil)
	until(t, "up", func() bool { return r.State().Up })
	began := time.Now()
	for i := range 20_000 {
		r.Offer(msg(fmt.Sprint("points/a/", i), "1", false))
	}
	if took := time.Since(began); took > 3*time.Second {
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
	b.set(func() { b.blurt = order })
	r := tell(t, b.addr, nil)
	r.Offer(msg("state", "1", false))
	until(t, "it goes on", b.has("tocsin/441882103201/state", "1"))
	b.set(func() {
		b.blurt = []byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F} // 256 MiB are coming
		for _, c := range b.conns {
			c.Close()
		}
	})
	until(t, "the connection ended and came again", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.connects >= 3
	})
}

func TestABrokerThatRefusesIsCalledByItsReason(t *testing.T) {
	b := newBroker(t)
	b.set(func() { b.connack = 0x86 })
	r := tell(t, b.addr, nil)
	until(t, "the refusal", func() bool { return strings.Contains(r.why().In(phrase.EN), "0x86") })
	b.set(func() { b.connack, b.barred = 0, "tocsin/441882103201/state" })
	r.Offer(msg("state", "1", false))
	until(t, "the topic", func() bool { return r.why().Code == "mqtt.topic" })
	until(t, "it is not sent again", func() bool { st := r.State(); return st.Up && st.Waiting == 0 && st.Wrong == 1 })
}
