package rtmp

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"tocsin/hwtest/flight"
	"tocsin/hwtest/relay"
)

// TestTheBenchsDronePublishes has another hand's publisher at a real socket: it imports nothing of ours.
func TestTheBenchsDronePublishes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithTimeout(context.Background(), time.Minute)
	defer end()
	d := newDesk()
	s := New(Opts{Log: slog.New(slog.DiscardHandler), Desk: d, Go: func(_ string, run func(context.Context) error) { go run(ctx) }})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	film, err := relay.NewFilm(flight.H264)
	if err != nil {
		t.Fatal(err)
	}
	if len(film.Pictures) != flight.PerSecond*flight.Seconds {
		t.Errorf("the flight has %d pictures", len(film.Pictures))
	}
	at := "rtmp://" + l.Addr().String() + "/live/drone"
	if err := film.PublishRTMP(ctx, at+"?key=wrong", flight.PerSecond); err == nil || !strings.Contains(err.Error(), "BadName") {
		t.Errorf("a wrong key: %v", err)
	}
	u := (&house{t: t, d: d}).watch()
	flying, land := context.WithCancel(ctx)
	landed := make(chan error, 1)
	go func() { landed <- film.PublishRTMP(flying, at+"?key=geheim", 200) }()
	keys := 0
	for range 40 {
		if u.next().Key {
			keys++
		}
	}
	if st := d.s.State(); keys != 2 || st.Picture.Width != flight.Width || st.Picture.Height != flight.Height {
		t.Errorf("%d key pictures of 40, %+v", keys, st.Picture)
	}
	land()
	if err := <-landed; err != nil {
		t.Error(err)
	}
	end()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
