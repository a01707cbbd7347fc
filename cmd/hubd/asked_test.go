package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// camera is a station's side of pictures that only notes what it was asked.
type camera struct {
	pushed chan letter.Push
	ended  chan string
	refuse error
}

func newCamera() *camera {
	return &camera{pushed: make(chan letter.Push, 16), ended: make(chan string, 16)}
}

func (c *camera) Push(_ context.Context, p letter.Push) error {
	c.pushed <- p
	return c.refuse
}

func (c *camera) Bring(context.Context, letter.Bring) error { return c.refuse }

func (c *camera) Stop(stream string) error { c.ended <- stream; return nil }

func (c *camera) Catalogue() letter.Catalogue {
	return letter.Catalogue{Streams: []letter.StreamOf{{Name: "dock-1", Title: phrase.Text{ZH: "机场一", EN: "dock one"}, State: letter.StreamLive}}}
}

func TestTheHubAsksAStationForPicturesOverItsOwnLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	told := make(chan *nats.Msg, 16)
	if _, err := h.engine.Conn.ChanSubscribe(letter.ToldAll, told); err != nil {
		t.Fatal(err)
	}
	cam := newCamera()
	o := w.natsOpts(upper, h.engine.Addr().String())
	o.Pictures = cam
	n := w.link(o)
	o.Name = "4g" // the second link of the same box
	second := w.link(o)
	run(t, n.Announce)
	run(t, second.Announce)
	m := <-told
	if s, ok := letter.ParseTold(m.Subject); !ok || s != upper {
		t.Fatalf("%q told", m.Subject)
	}
	if c, err := letter.ParseCatalogue(m.Data); err != nil || len(c.Streams) != 1 || c.Streams[0].Name != "dock-1" {
		t.Errorf("%+v, %v", c, err)
	}
	ask := func(s letter.Station, a letter.Ask) error {
		t.Helper()
		b, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		m, err := h.engine.Conn.RequestWithContext(within(10*time.Second), s.Ask(), b)
		if err != nil {
			return err
		}
		return letter.ParseAnswer(m.Data)
	}
	p := letter.Push{Stream: "dock-1", URL: "https://hub.example/whip", Token: strings.Repeat("a", 43)}
	for range 4 {
		if err := ask(upper, letter.Ask{Push: &p}); err != nil {
			t.Fatal(err)
		}
	}
	if len(cam.pushed) != 4 {
		t.Errorf("four requests were taken %d times by two links", len(cam.pushed))
	}
	if got := <-cam.pushed; got.Link != "fibre" && got.Link != "4g" || got.Token != p.Token {
		t.Errorf("%+v", got)
	}
	if err := ask(upper, letter.Ask{Stop: "dock-1"}); err != nil || <-cam.ended != "dock-1" {
		t.Error(err)
	}
	cam.refuse = phrase.E("uplink.no_pictures")
	if err := ask(upper, letter.Ask{Push: &p}); phrase.Of(err).Code != "uplink.no_pictures" {
		t.Errorf("refused with %v", err)
	}
	if err := ask(lower, letter.Ask{Push: &p}); err == nil {
		t.Error("a station that is not there answered")
	}

	// Whoever took a station's keys hears and says nothing of another's pictures.
	denied := make(chan string, 32)
	nc := rawConn(t, w, w.natsOpts(upper, h.engine.Addr().String()), denied)
	for _, subject := range []string{lower.Told(), lower.Ask(), upper.Ask(), lower.TalkUp(), lower.TalkDown(), upper.TalkDown()} {
		if err := nc.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if got := <-denied; !strings.Contains(got, subject) {
			t.Errorf("%s: %s", subject, got)
		}
	}
	for _, subject := range []string{lower.Ask(), lower.Told(), letter.ToldAll, lower.TalkDown(), lower.TalkUp(), upper.TalkUp()} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		if got := <-denied; !strings.Contains(got, subject) {
			t.Errorf("%s: %s", subject, got)
		}
	}
}
