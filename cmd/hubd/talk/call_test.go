package talk

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/talk"
	"tocsin/firmware/trust"
)

const station = letter.Station("330483105203")

// box answers as a box does, by a line that may lose and add what the test likes.
type box struct {
	t      *testing.T
	key    *trust.PrivateKey
	refuse string
	deaf   int // orders that it does not hear
	forge  bool

	mu     sync.Mutex
	ear    *talk.Ear
	answer []byte
	orders int
	voice  []byte
	times  []time.Time
	ended  bool
	up     chan []byte
	closed bool
}

func newBox(t *testing.T) *box {
	k, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	return &box{t: t, key: k, up: make(chan []byte, 64)}
}

func (b *box) id() trust.KeyID { id, _ := trust.IDOf(b.key.Public()); return id }

func (b *box) Receive() <-chan []byte { return b.up }

func (b *box) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.up)
	}
}

// Send is what the hub sends to it.
func (b *box) Send(m []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	if m[0] != '{' {
		f, err := b.ear.Open(m, 160)
		switch {
		case err != nil:
			b.t.Errorf("a frame: %v", err)
		case f.Kind == talk.KindEnd && !b.ended:
			b.ended = true
			b.report(talk.Report{State: talk.Ended, Why: phrase.Text{ZH: "讲完了", EN: "the talker let go"}})
		case f.Kind == talk.KindVoice:
			b.voice, b.times = append(b.voice, f.Voice...), append(b.times, time.Now())
		}
		return nil
	}
	if b.orders++; b.orders <= b.deaf {
		return nil
	}
	e, err := trust.OpenDSSE(m, command.PayloadType, trust.DefaultEnvelopeLimits)
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := command.Show(m)
	if err != nil || p.Scope != command.Talk || p.Person != "王芳" || p.Group != string(station) {
		b.t.Errorf("%+v %v", p, err)
	}
	key, err := talk.ReadKey(p.Talk.Key)
	if err != nil {
		b.t.Fatal(err)
	}
	o := talk.Order{Digest: sha256.Sum256(e.Payload), Box: string(station), Talker: key}
	if b.forge {
		o.Box = "330483105204"
	}
	if b.refuse != "" {
		a, err := talk.Refuse(o, phrase.Text{ZH: b.refuse, EN: b.refuse}, b.key)
		if err != nil {
			b.t.Fatal(err)
		}
		b.up <- a
		return nil
	}
	if b.ear == nil {
		if b.answer, b.ear, err = talk.Accept(o, phrase.Text{ZH: "请讲", EN: "speak"}, b.key); err != nil {
			b.t.Fatal(err)
		}
	}
	b.up <- []byte("{}") // what is of nobody's
	b.up <- b.answer
	b.report(talk.Report{State: talk.Ready})
	return nil
}

func (b *box) report(r talk.Report) {
	m, err := b.ear.Report(r)
	if err != nil {
		b.t.Error(err)
		return
	}
	b.up <- m
}

// call opens one to a box.
func call(t *testing.T, b *box, box trust.KeyID) (*Call, error) {
	k, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); b.Close(); wg.Wait() })
	return Open(ctx, b, Ask{Station: station, Box: box, Person: "王芳", Longest: time.Minute, Signers: []trust.Signer{k}, Counter: 1}, Opts{Now: time.Now, Go: func(_ string, run func(context.Context) error) {
		wg.Add(1)
		go func() { defer wg.Done(); _ = run(ctx) }()
	}})
}

func TestAnOfficersPiecesGoOutAsFramesAndInOrder(t *testing.T) {
	b := newBox(t)
	b.deaf = 1 // the first order is lost on the way
	c, err := call(t, b, b.id())
	if err != nil {
		t.Fatal(err)
	}
	if c.Says.ZH != "请讲" || b.orders != 2 {
		t.Errorf("%+v after %d orders", c.Says, b.orders)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var said []byte
	began := time.Now()
	for i := range 5 {
		piece := make([]byte, 1600)
		for j := range piece {
			piece[j] = byte(i*7 + j)
		}
		said = append(said, piece...)
		if _, err := c.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write([]byte("short")); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c.Report().State != talk.Ended {
		t.Errorf("%+v", c.Report())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := string(b.voice); !strings.HasPrefix(got, string(said[5:])) && !strings.HasPrefix(got, string(said)) || len(got)%160 != 0 {
		t.Errorf("%d bytes of %d", len(got), len(said))
	}
	// The first may be read late; the last never comes before its time.
	if d := b.times[len(b.times)-1].Sub(began); d < 900*time.Millisecond {
		t.Errorf("a second was sent in %v", d)
	}
}

func TestATalkThatTheBoxRefusesOrEndsIsSaid(t *testing.T) {
	b := newBox(t)
	b.refuse = "busy"
	if _, err := call(t, b, b.id()); phrase.Of(err).Code != "hubd.talk_refused" || !strings.Contains(phrase.In(err, phrase.EN), "busy") {
		t.Error(err)
	}
	b = newBox(t)
	if _, err := call(t, b, newBox(t).id()); phrase.Of(err).Code != "talk.stranger" {
		t.Errorf("a stranger answered: %v", err)
	}
	b = newBox(t)
	b.forge = true
	if _, err := call(t, b, b.id()); phrase.Of(err).Code != "talk.other" {
		t.Errorf("another box answered: %v", err)
	}
	b = newBox(t)
	c, err := call(t, b, b.id())
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.report(talk.Report{State: talk.Ended, Why: phrase.Text{ZH: "被静音", EN: "silenced"}})
	b.mu.Unlock()
	<-c.Over()
	if _, err := c.Write(make([]byte, 160)); phrase.Of(err).Code != "hubd.talk_ended" || !strings.Contains(phrase.In(err, phrase.EN), "silenced") {
		t.Error(err)
	}
	if err := c.Close(); phrase.Of(err).Code != "hubd.talk_ended" {
		t.Error(err)
	}
}

func TestNumbersOnlyRise(t *testing.T) {
	var n Numbers
	now := time.Unix(1e6, 0)
	if a, b, c := n.Next(now), n.Next(now), n.Next(now.Add(-time.Hour)); a != 1e6 || b != 1e6+1 || c != 1e6+2 {
		t.Error(a, b, c)
	}
}
