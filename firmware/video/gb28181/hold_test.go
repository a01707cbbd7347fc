package gb28181

import (
	"context"
	"net"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
)

func TestAKeptGroupGoesOutSpreadAndLivePicturesAreNotHeld(t *testing.T) {
	var now, paused time.Duration
	d := &Device{o: Opts{
		Now:   func() time.Duration { return now },
		Pause: func(_ context.Context, d time.Duration) error { now += d; paused += d; return nil },
	}}
	s := &session{line: &line{d: d}, udp: &net.UDPConn{}}
	p := pacer{scale: catchUp}
	send := func(n int) time.Duration {
		paused = 0
		u := &stream.Unit{Codec: stream.H264, Decode: int64(n) * 3600}
		if err := s.hold(t.Context(), &p, u); err != nil {
			t.Fatal(err)
		}
		return paused
	}
	// Two seconds are kept and were made before: their pictures are there at once.
	for n := range 50 {
		if got := send(n); got > 11*time.Millisecond {
			t.Fatalf("picture %d was held %v", n, got)
		}
	}
	if want := 490 * time.Millisecond; now != want {
		t.Errorf("the group took %v, want %v", now, want)
	}
	// From here on one comes each 40 ms. What was made meanwhile is caught up with.
	for n := 50; n < 1000; n++ {
		now = max(now, time.Duration(n-50)*40*time.Millisecond)
		if got := send(n); n > 70 && got > 0 {
			t.Fatalf("live picture %d was held %v", n, got)
		}
	}
	// The source begins anew, an hour on: nothing waits an hour.
	if got := send(100000); got > 0 {
		t.Errorf("after a jump it was held %v", got)
	}
}
