package ts

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
)

// BenchmarkSecond is what a second of 4 Mbit/s at 25 pictures a second costs to take.
func BenchmarkSecond(b *testing.B) {
	var m muxer
	for i := range int64(25) {
		m.program(0, video)
		nal := inter
		if i == 0 {
			nal = idr
		}
		m.pes(0x100, i*3600, i*3600, false, annexB(sps, pps, big(nal, 20_000)))
	}
	s := stream.New(stream.Opts{Name: "drone", Now: func() time.Duration { return 0 }})
	w, err := s.Open("bench")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(m.out)))
	b.ReportAllocs()
	for b.Loop() {
		d := NewDemuxer(w, slog.New(slog.DiscardHandler))
		for p := range slices.Chunk(m.out, 7*packetSize) {
			if _, err := d.Write(p); err != nil {
				b.Fatal(err)
			}
		}
		if d.Pictures() != 25 || d.Lost() != 0 {
			b.Fatalf("%d pictures, %d lost", d.Pictures(), d.Lost())
		}
	}
}
