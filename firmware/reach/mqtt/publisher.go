package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/eclipse/paho.golang/paho"

	"tocsin/firmware/phrase"
)

// The waits of a thin link: long enough for two satellite hops and repeats at 64 kbit/s.
const (
	dialIn     = 20 * time.Second
	shakeIn    = 30 * time.Second
	ackIn      = 30 * time.Second
	writeIn    = 30 * time.Second
	endIn      = 5 * time.Second
	keepAlive  = 60 // seconds
	firstAgain = 2 * time.Second
	lastAgain  = time.Minute
	// lanes is how many messages are under way at once.
	lanes = 4
	// statusTopic, and what it says.
	statusTopic = "status"
	online      = "online"
	offline     = "offline"
)

// Opts are one platform's.
type Opts struct {
	// Server is host:port, TLS how it is proved to be the right one; nil for plain text.
	Server string
	TLS    *tls.Config
	// ClientID is the box's name at the broker, unique there.
	ClientID string
	User     string
	Password []byte
	// Base is what all topics begin with, without a / at its end.
	Base string
	// Hello gives the retained messages that the broker is told at each connection.
	Hello func() []Message
	// Most and Bytes bound what waits.
	Most, Bytes int
	// Dial opens the connection; nil for the system's dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Start starts a goroutine under the caller's guard.
	Start func(name string, run func())
	// Fault is told why nothing is told, and with the zero message that it is again.
	Fault func(why phrase.Message)
	// Pause waits; nil waits for real.
	Pause func(ctx context.Context, d time.Duration)
	Log   *slog.Logger
}

// State is how the platform is told.
type State struct {
	Up    bool
	Since time.Time
	// Waiting messages, and how many were acknowledged, dropped for want of room, and refused by the broker.
	Waiting              int
	Told, Dropped, Wrong uint64
	// Why it is not told.
	Why phrase.Message
}

// Publisher tells one platform. Use New, then Run; Offer from anywhere.
type Publisher struct {
	o Opts
	q *queue

	mu sync.Mutex
	st State
}

// New makes one.
func New(o Opts) *Publisher {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Pause == nil {
		o.Pause = func(ctx context.Context, d time.Duration) {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-ctx.Done():
			case <-t.C:
			}
		}
	}
	return &Publisher{o: o, q: newQueue(o.Most, o.Bytes)}
}

// Offer takes a message and never waits. Its topic is below Base.
func (p *Publisher) Offer(m Message) {
	if !topic(m.Topic) {
		p.o.Log.Error("mqtt: no topic", "topic", m.Topic)
		return
	}
	m.Topic = p.o.Base + "/" + m.Topic
	p.q.put(m)
}

// OfferAt takes a message whose topic is whole, such as one of discovery.
func (p *Publisher) OfferAt(m Message) {
	if topic(m.Topic) {
		p.q.put(m)
	}
}

// topic tells whether a name may be published to (MQTT 5.0 section 4.7).
func topic(s string) bool {
	return s != "" && len(s) <= 1024 && utf8.ValidString(s) && !strings.ContainsAny(s, "+#\x00")
}

// State gives how it stands.
func (p *Publisher) State() State {
	p.mu.Lock()
	st := p.st
	p.mu.Unlock()
	st.Waiting, st.Dropped = p.q.count()
	return st
}

// Run keeps the connection until ctx ends.
func (p *Publisher) Run(ctx context.Context) error {
	for again := firstAgain; ; again = min(2*again, lastAgain) {
		began := time.Now()
		err := p.session(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.down(err)
		if time.Since(began) > lastAgain {
			again = firstAgain
		}
		p.o.Pause(ctx, again)
	}
}

func (p *Publisher) down(err error) {
	why := phrase.M("mqtt.down", "server", p.o.Server, "why", said(err))
	p.mu.Lock()
	p.st.Up, p.st.Since, p.st.Why = false, time.Time{}, why
	p.mu.Unlock()
	p.o.Log.Warn("mqtt down", "server", p.o.Server, "err", err)
	p.o.Fault(why)
}

// said gives an error's words for people.
func said(err error) any {
	var cert *tls.CertificateVerificationError
	var refused *refusal
	switch {
	case errors.As(err, &cert):
		return phrase.M("mqtt.certificate", "detail", cert.Err.Error())
	case errors.As(err, &refused):
		return phrase.M("mqtt.refused", "code", fmt.Sprintf("0x%02X", refused.code), "reason", refused.reason)
	}
	return fmt.Sprint(err)
}

// refusal is a broker's no (MQTT 5.0 section 2.4).
type refusal struct {
	code   byte
	reason string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the broker refuses: 0x%02X %s", r.code, r.reason)
}

// session connects once and publishes until the connection ends.
func (p *Publisher) session(ctx context.Context) error {
	c, err := p.dial(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error, 8)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	client := paho.NewClient(paho.ClientConfig{
		Conn: c, PacketTimeout: ackIn, OnClientError: fail,
		OnServerDisconnect: func(d *paho.Disconnect) {
			fail(&refusal{d.ReasonCode, ""})
		},
		// Whatever a broker sends is dropped: nothing was asked for.
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(paho.PublishReceived) (bool, error) { return true, nil }},
	})
	most, few := uint32(packetMost), uint16(1)
	ack, err := client.Connect(ctx, &paho.Connect{
		ClientID: p.o.ClientID, CleanStart: true, KeepAlive: keepAlive,
		Username: p.o.User, UsernameFlag: p.o.User != "", Password: p.o.Password, PasswordFlag: len(p.o.Password) > 0,
		WillMessage: &paho.WillMessage{Topic: p.o.Base + "/" + statusTopic, Payload: []byte(offline), QoS: 1, Retain: true},
		Properties:  &paho.ConnectProperties{MaximumPacketSize: &most, ReceiveMaximum: &few, RequestProblemInfo: true},
	})
	if err != nil {
		c.Close()
		if ack != nil && ack.ReasonCode >= 0x80 {
			r := &refusal{code: ack.ReasonCode}
			if ack.Properties != nil {
				r.reason = ack.Properties.ReasonString
			}
			return r
		}
		return err
	}
	p.mu.Lock()
	p.st.Up, p.st.Since, p.st.Why = true, time.Now(), phrase.Message{}
	p.mu.Unlock()
	p.o.Fault(phrase.Message{})
	p.o.Log.Info("mqtt up", "server", p.o.Server)
	p.q.put(Message{Topic: p.o.Base + "/" + statusTopic, Payload: []byte(online), Urgent: true})
	for _, m := range p.o.Hello() {
		p.OfferAt(m)
	}
	in, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for n := range lanes {
		wg.Add(1)
		p.o.Start(fmt.Sprintf("lane %d", n+1), func() {
			defer wg.Done()
			p.lane(in, client, fail)
		})
	}
	select {
	case <-ctx.Done():
		end()
		wg.Wait()
		p.goodbye(client)
		err = ctx.Err()
	case err = <-failed:
	case <-client.Done():
		err = net.ErrClosed
	}
	end()
	c.Close()
	wg.Wait()
	t := time.NewTimer(endIn)
	defer t.Stop()
	select {
	case <-client.Done():
	case <-t.C: // its goroutines end with the connection
	}
	return err
}

// dial opens the connection and proves who is at its end.
func (p *Publisher) dial(ctx context.Context) (*conn, error) {
	in, end := context.WithTimeout(ctx, dialIn)
	defer end()
	raw, err := p.o.Dial(in, "tcp", p.o.Server)
	if err != nil {
		return nil, err
	}
	if p.o.TLS != nil {
		in, end := context.WithTimeout(ctx, shakeIn)
		defer end()
		t := tls.Client(raw, p.o.TLS)
		if err := t.HandshakeContext(in); err != nil {
			raw.Close()
			return nil, err
		}
		raw = t
	}
	return &conn{Conn: raw, write: writeIn}, nil
}

// goodbye says offline itself: an orderly end takes the will back.
func (p *Publisher) goodbye(client *paho.Client) {
	ctx, end := context.WithTimeout(context.Background(), time.Second)
	defer end()
	_, _ = client.Publish(ctx, &paho.Publish{Topic: p.o.Base + "/" + statusTopic, Payload: []byte(offline), QoS: 1, Retain: true})
	_ = client.Disconnect(&paho.Disconnect{})
}

// lane publishes one message after the other.
func (p *Publisher) lane(ctx context.Context, client *paho.Client, fail func(error)) {
	for {
		m, ok := p.q.take()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-p.q.wake:
				continue
			}
		}
		p.q.tell() // the next lane looks too
		r, err := client.Publish(ctx, &paho.Publish{Topic: m.Topic, Payload: m.Payload, QoS: 1, Retain: true})
		switch {
		case r != nil && r.ReasonCode >= 0x80: // not allowed, or too long: again would be the same
			p.q.done(m, true)
			p.mu.Lock()
			p.st.Wrong++
			p.mu.Unlock()
			p.o.Fault(phrase.M("mqtt.topic", "server", p.o.Server, "topic", m.Topic, "code", fmt.Sprintf("0x%02X", r.ReasonCode)))
		case err != nil && errors.Is(err, paho.ErrInvalidArguments):
			p.q.done(m, true)
			p.mu.Lock()
			p.st.Wrong++
			p.mu.Unlock()
			p.o.Fault(phrase.M("mqtt.broker", "server", p.o.Server, "detail", err.Error()))
		case err != nil:
			p.q.done(m, false)
			if ctx.Err() == nil {
				fail(err)
			}
			return
		default:
			p.q.done(m, true)
			p.mu.Lock()
			p.st.Told++
			p.mu.Unlock()
		}
		if ctx.Err() != nil {
			return
		}
	}
}
