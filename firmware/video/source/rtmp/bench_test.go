package rtmp

import (
	"bytes"
	"log/slog"
	"testing"
)

// BenchmarkSecond is what a second of 4 Mbit/s at 25 pictures a second costs to take.
func BenchmarkSecond(b *testing.B) {
	picture := append(bytes.Clone(inter), bytes.Repeat([]byte{0x5a}, 20_000-len(inter))...)
	second := begin()
	second = appendMessage(second, 6, message{kind: kindVideo, stream: 1, body: old(1, 7, 0, 0, avcC(4, sps, pps))}, 4096)
	second = appendMessage(second, 6, message{kind: kindVideo, stream: 1, body: old(1, 7, 1, 0, lengths(4, idr, bytes.Repeat(idr, 700)))}, 4096)
	for i := range uint32(24) {
		second = appendMessage(second, 6, message{kind: kindVideo, time: i*40 + 40, stream: 1, body: old(2, 7, 1, 0, lengths(4, picture))}, 4096)
	}
	d := newDesk()
	s := New(Opts{Desk: d, Log: slog.New(slog.DiscardHandler)})
	b.SetBytes(int64(len(second)))
	b.ReportAllocs()
	for b.Loop() {
		s.attend(&deafConn{Reader: bytes.NewReader(second)})
	}
	if d.s.State().From != "" {
		b.Fatal("it still publishes")
	}
}
