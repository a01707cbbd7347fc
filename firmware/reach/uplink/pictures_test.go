package uplink

import (
	"context"
	"testing"

	"tocsin/firmware/reach/letter"
)

// pusher counts what the hub got a station to do.
type pusher struct {
	t     *testing.T
	calls int
}

func (p *pusher) Push(ctx context.Context, a letter.Push) error {
	p.calls++
	if _, ok := ctx.Deadline(); !ok {
		p.t.Fatal("a push without an end")
	}
	if !letter.IsStream(a.Stream) || a.Link != "fibre" {
		p.t.Fatalf("pushes %q by %q", a.Stream, a.Link)
	}
	return nil
}

func (p *pusher) Bring(ctx context.Context, b letter.Bring) error {
	p.calls++
	if _, ok := ctx.Deadline(); !ok || b.Link != "fibre" || b.Token == "" {
		p.t.Fatalf("brings %+v", b)
	}
	return nil
}

func (p *pusher) Stop(stream string) error {
	p.calls++
	if !letter.IsStream(stream) {
		p.t.Fatalf("stops %q", stream)
	}
	return nil
}

func (p *pusher) Catalogue() letter.Catalogue { return letter.Catalogue{} }

// FuzzAsk brings what a hub, or what calls itself one, asks about pictures: what reads
// as a question is done once, and nothing else is done.
func FuzzAsk(f *testing.F) {
	f.Add([]byte(`{"version":1,"push":{"stream":"gate","url":"https://hub.example/whip/gate","token":"0123456789abcdef0123456789abcdef","until":"2026-07-01T22:40:00Z"}}`))
	f.Add([]byte(`{"version":1,"stop":"gate"}`))
	f.Add([]byte(`{"version":1,"stop":"../gate"}`))
	f.Add([]byte(`{"version":1,"bring":{"url":"https://hub.example/clips/gate","token":"0123456789abcdef0123456789abcdef","until":"2026-07-01T22:40:00Z"}}`))
	f.Add([]byte(`[]`))
	if b, err := (letter.Ask{Stop: "gate"}).Bytes(); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &pusher{t: t}
		n := &NATS{o: NATSOpts{Name: "fibre", Pictures: p}}
		err := n.ask(t.Context(), b)
		if want := map[bool]int{true: 1}[err == nil]; p.calls != want {
			t.Fatalf("%q: done %d times, and said %v", b, p.calls, err)
		}
	})
}
