package rtmp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/firmware/video/stream"
)

// bubble runs a test in virtual time with a server.
func bubble(t *testing.T, o Limits, run func(*house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h, end := newHouse(t, o)
		defer end()
		run(h)
	})
}

func TestADronePublishesAndItsPicturesAreInTheStream(t *testing.T) {
	for name, c := range map[string]struct {
		config, key, inter []byte
		codec              stream.Codec
		sets               int
	}{
		"H.264": {
			old(1, 7, 0, 0, avcC(4, sps, pps)), old(1, 7, 1, 0, lengths(4, idr)), old(2, 7, 1, 0, lengths(4, inter)), stream.H264, 2},
		"H.264, lengths of 2": {
			old(1, 7, 0, 0, avcC(2, sps, pps)), old(1, 7, 1, 0, lengths(2, idr)), old(2, 7, 1, 0, lengths(2, inter)), stream.H264, 2},
		"H.264, lengths of 1": {
			old(1, 7, 0, 0, avcC(1, sps, pps)), old(1, 7, 1, 0, lengths(1, idr)), old(2, 7, 1, 0, lengths(1, inter)), stream.H264, 2},
		"H.264 by fourcc": {
			enhanced(1, 0, "avc1", avcC(4, sps, pps)), enhanced(1, 1, "avc1", append([]byte{0, 0, 0}, lengths(4, idr)...)), enhanced(2, 3, "avc1", lengths(4, inter)), stream.H264, 2},
		"H.265 by code 12": {
			old(1, 12, 0, 0, hvcC(4, vpsH, spsH, ppsH)), old(1, 12, 1, 0, lengths(4, idrH)), old(2, 12, 1, 0, lengths(4, intH)), stream.H265, 3},
		"H.265 by fourcc": {
			enhanced(1, 0, "hvc1", hvcC(4, vpsH, spsH, ppsH)), enhanced(1, 3, "hvc1", lengths(4, idrH)), enhanced(2, 1, "hvc1", append([]byte{0, 0, 0}, lengths(4, intH)...)), stream.H265, 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Limits{}, func(h *house) {
				e := h.connect("192.0.2.1:5000").shake().live()
				w := h.watch()
				e.video(1000, c.config)
				e.video(1000, c.key)
				e.video(1040, c.inter)
				k := w.next()
				if !k.Key || k.Codec != c.codec || len(k.NALs) != c.sets+1 {
					t.Fatalf("first: key %v, %v, %d NAL units", k.Key, k.Codec, len(k.NALs))
				}
				i := w.next()
				if i.Key || i.Time-k.Time != 40*90 {
					t.Fatalf("second: key %v, %d ticks later", i.Key, i.Time-k.Time)
				}
				if p := h.d.s.Parameters(); p.Width != 64 || p.Height != 48 {
					t.Fatalf("%d×%d", p.Width, p.Height)
				}
				e.c.Close()
				synctest.Wait()
				if from := h.d.s.State().From; from != "" {
					t.Fatalf("%q still publishes", from)
				}
			})
		})
	}
}

func TestCompositionTimeIsAddedToWhatIsShown(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		e.video(0, old(1, 7, 1, 80, lengths(4, idr)))
		e.video(40, old(2, 7, 1, 120, lengths(4, inter)))
		a, b := w.next(), w.next()
		if b.Time-a.Time != 80*90 {
			t.Fatalf("shown %d ticks later, want %d", b.Time-a.Time, 80*90)
		}
	})
}

func TestEveryWayToWriteTheAddressIsUnderstood(t *testing.T) {
	for _, c := range []struct{ app, url, name, stream, key string }{
		{"live", "", "drone?key=k1", "drone", "k1"},
		{"live/", "", "/drone?key=k1", "drone", "k1"},
		{"live", "rtmp://box/live", "drone/k1", "drone", "k1"},
		{"live/drone", "rtmp://box/live/drone", "k1", "drone", "k1"},
		{"live/drone/", "", "k1", "drone", "k1"},
		{"live?key=k1", "rtmp://box/live?key=k1", "drone", "drone", "k1"},
		{"live", "rtmp://box/live?key=k1", "drone", "drone", "k1"},
		{"live/drone?key=k1", "", "", "drone", "k1"},
		{"live", "", "drone?x=1&key=k%2B1&y", "drone", "k+1"},
		{"live?key=other", "", "drone?key=k1", "drone", "k1"},
	} {
		s, k, err := address(c.app, c.url, c.name)
		if s != c.stream || k != c.key || err != nil {
			t.Errorf("%q %q %q: stream %q, key %q, %v", c.app, c.url, c.name, s, k, err)
		}
	}
	for _, c := range [][2]string{
		{"live", "drone"}, {"live", ""}, {"", "drone?key=k"}, {"other", "drone?key=k"}, {"live", "a/b/c"}, {"live", "a/b?key=k"},
		{"live", strings.Repeat("x", 65) + "?key=k"}, {"live", "drone?key=" + strings.Repeat("k", 257)}, {"live", "drone?key="}, {"live", strings.Repeat("/", 5000)},
	} {
		if s, k, err := address(c[0], "", c[1]); err == nil {
			t.Errorf("%q %.40q is taken for stream %q, key %q", c[0], c[1], s, k)
		}
	}
}

func TestAWrongKeyIsToldAndEndsTheConnection(t *testing.T) {
	for _, name := range []string{"drone?key=falsch", "drone", "stranger?key=geheim", "a/b/c/d"} {
		bubble(t, Limits{}, func(h *house) {
			e := h.connect("192.0.2.1:5000").shake()
			v := e.publish("live", name)
			if code(v) != "NetStream.Publish.BadName" {
				t.Fatalf("%s: answered by %v", name, v)
			}
			if d := v[3].(object).text("description"); !strings.Contains(d, " / ") {
				t.Errorf("%s: the reason is %q", name, d)
			}
			if v := e.hear("onStatus"); v != nil {
				t.Fatalf("it goes on: %v", v)
			}
		})
	}
}

func TestAStreamIsFreeWhenItsPublisherHasEnded(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		first := h.connect("192.0.2.1:5000").shake().live()
		first.command("FCUnpublish", 6, nil, "drone")
		first.hear("onFCUnpublish")
		begun := time.Now()
		h.connect("192.0.2.1:5002").shake().live()
		if time.Since(begun) != 0 {
			t.Fatalf("taken after %v", time.Since(begun))
		}
	})
}

func TestPlayIsRefusedWithTheReason(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake()
		e.command("connect", 1, object{{"app", "live"}})
		e.command("createStream", 2, nil)
		e.command("play", 3, nil, "drone")
		if c := code(e.hear("onStatus")); c != "NetStream.Play.Failed" {
			t.Fatalf("answered by %q", c)
		}
	})
}

func TestWhatIsNotCarriedIsToldToThePublisher(t *testing.T) {
	for name, body := range map[string][]byte{
		"VP6":                      {0x14, 1, 2, 3},
		"AV1 by fourcc":            enhanced(1, 0, "av01", []byte{1, 2, 3}),
		"several tracks":           enhanced(1, 6, "hvc1", []byte{0, 0}),
		"tracks behind a modifier": append([]byte{0x97, 0, 0, 0x06}, "hvc1"...),
	} {
		bubble(t, Limits{}, func(h *house) {
			e := h.connect("192.0.2.1:5000").shake().live()
			e.video(0, body)
			if c := code(e.hear("onStatus")); c != "NetStream.Publish.Failed" {
				t.Errorf("%s: answered by %q", name, c)
			}
			if e.hear("onStatus") != nil {
				t.Errorf("%s: it goes on", name)
			}
		})
	}
}

func TestWhoDoesNotKnockInTimeIsSentAway(t *testing.T) {
	for name, begin := range map[string]func(h *house) *encoder{
		"says nothing":      func(h *house) *encoder { return h.connect("192.0.2.1:5000") },
		"shakes hands only": func(h *house) *encoder { return h.connect("192.0.2.1:5000").shake() },
		"has published and not": func(h *house) *encoder {
			e := h.connect("192.0.2.1:5000").shake().live()
			e.command("deleteStream", 9, nil, 1)
			return e
		},
		"pings all the time": func(h *house) *encoder {
			e := h.connect("192.0.2.1:5000").shake()
			go func() {
				for range 100 {
					time.Sleep(time.Second)
					if _, err := e.c.Write(appendMessage(nil, 2, message{kind: kindUserControl, body: []byte{0, 6, 0, 0, 0, 1}}, 128)); err != nil {
						return
					}
				}
			}()
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Limits{Knock: 10 * time.Second}, func(h *house) {
				begun := time.Now()
				e := begin(h)
				if name == "says nothing" {
					io.Copy(io.Discard, e.c)
				} else {
					for range e.got {
					}
				}
				if d := time.Since(begun); d < 9*time.Second || d > 12*time.Second {
					t.Fatalf("sent away after %v", d)
				}
				time.Sleep(2 * time.Second) // who pings has noticed
			})
		})
	}
}

func TestAPublisherThatFallsSilentGivesTheStreamBack(t *testing.T) {
	bubble(t, Limits{Idle: 30 * time.Second}, func(h *house) {
		begun := time.Now()
		e := h.connect("192.0.2.1:5000").shake().live()
		time.Sleep(20 * time.Second)
		e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		for range e.got {
		}
		if d := time.Since(begun); d < 49*time.Second || d > 52*time.Second {
			t.Fatalf("ended after %v", d)
		}
		if from := h.d.s.State().From; from != "" {
			t.Fatalf("%q still publishes", from)
		}
	})
}

func TestStrangersCannotShutADroneOut(t *testing.T) {
	bubble(t, Limits{Address: 2, All: 6}, func(h *house) {
		for i := range 40 {
			h.connect([]string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1"}[i%4])
		}
		e := h.connect("198.51.100.7:9").shake()
		for range 40 {
			h.connect("192.0.2.1:1")
		}
		e.live()
		synctest.Wait()
		if n := h.s.gate.Waiting(); n > 6 {
			t.Fatalf("%d wait at the gate", n)
		}
	})
}

func TestAStrangersMessageIsBounded(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake()
		e.write([]byte{3, 0, 0, 0, 1, 0, 1, kindCommand, 0, 0, 0, 0}) // 64 KiB and one
		if e.hear("_result") != nil {
			t.Fatal("it goes on")
		}
	})
}

func TestBytesReadAreAcknowledgedToWhoNeverAsked(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		e.video(0, append([]byte{0x57, 0}, make([]byte, window)...))
		for m := range e.got {
			if m.kind == kindAck {
				return
			}
		}
		t.Fatal("nothing is acknowledged")
	})
}

func TestBytesReadAreAcknowledged(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		e.send(2, message{kind: kindWindow, body: binary.BigEndian.AppendUint32(nil, 100_000)})
		for i := range 6 {
			e.video(uint32(i), append([]byte{0x57, 0}, make([]byte, 50_000)...)) // a command frame: nothing
		}
		n := 0
		e.command("unheard", 7, nil)
		for m := range e.got {
			if m.kind == kindAck {
				n++
			}
			if m.kind == kindCommand && bytes.Contains(m.body, []byte("_error")) {
				break
			}
		}
		if n < 2 || n > 3 {
			t.Fatalf("%d acknowledgements of 300 kB by a window of 100 kB", n)
		}
	})
}

func TestAPingIsAnswered(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		e.send(2, message{kind: kindUserControl, body: []byte{0, 6, 1, 2, 3, 4}})
		for m := range e.got {
			if m.kind == kindUserControl && bytes.Equal(m.body, []byte{0, 7, 1, 2, 3, 4}) {
				return
			}
		}
		t.Fatal("no answer")
	})
}

func TestWhatIsNotRTMPIsToldApart(t *testing.T) {
	for hello, want := range map[string]string{"GET / HTTP/1.1\r\n": "rtmp.not_rtmp", "\x16\x03\x01": "rtmp.tls", "\x06": "rtmp.encrypted"} {
		err := handshakeOf(hello)
		if err == nil || !strings.Contains(err.Error(), "rtmp") && !strings.Contains(err.Error(), "RTMP") {
			t.Errorf("%q: %v, want %s", hello, err, want)
		}
	}
}

func TestAMessageOfMessagesIsTakenApart(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		var b []byte
		for _, m := range []message{
			{kind: kindVideo, time: 500, body: old(1, 7, 0, 0, avcC(4, sps, pps))},
			{kind: kindVideo, time: 500, body: old(1, 7, 1, 0, lengths(4, idr))},
			{kind: kindVideo, time: 540, body: old(2, 7, 1, 0, lengths(4, inter))},
		} {
			b = append(append24(append24(append(b, m.kind), uint32(len(m.body))), m.time), 0, 0, 0, 0)
			b = append(b, m.body...)
			b = binary.BigEndian.AppendUint32(b, uint32(len(m.body)+11))
		}
		e.send(6, message{kind: kindAggregate, time: 9000, stream: 1, body: b})
		if a, c := w.next(), w.next(); !a.Key || c.Time-a.Time != 40*90 {
			t.Fatalf("key %v, %d ticks apart", a.Key, c.Time-a.Time)
		}
	})
}

func handshakeOf(hello string) error {
	return handshake(bufio.NewReader(strings.NewReader(hello)), io.Discard)
}

func TestOnlyWhoAsksIsToldOfTheEnhancedProtocol(t *testing.T) {
	for _, asks := range []bool{false, true} {
		bubble(t, Limits{}, func(h *house) {
			e := h.connect("192.0.2.1:5000").shake()
			o := object{{"app", "live"}}
			if asks {
				o = append(o, field{"fourCcList", []any{"hvc1"}})
			}
			e.command("connect", 1, o)
			about, _ := e.hear("_result")[2].(object)
			list, _ := about.value("fourCcList").([]any)
			if told := slices.Contains(list, any("hvc1")); told != asks {
				t.Fatalf("asked %v, told %v", asks, about)
			}
		})
	}
}

// A drone's link breaks and it comes back on another connection; nothing was told of the first.
func TestADroneThatComesBackTakesItsStreamOver(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		gone := h.connect("192.0.2.1:5000").shake().live()
		gone.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		time.Sleep(time.Second)
		begun := time.Now()
		back := h.connect("198.51.100.1:6000").shake().live()
		if d := time.Since(begun); d > 3*time.Second {
			t.Fatalf("taken after %v", d)
		}
		w := h.watch()
		back.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		back.video(0, old(1, 7, 1, 0, lengths(4, idr)))
		w.next()
		if gone.hear("onStatus") != nil {
			t.Fatal("the old one goes on")
		}
	})
}

func TestNobodyTakesOverFromAPublisherThatIsHeard(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		first := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			first.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
			for i := uint32(0); ; i++ {
				select {
				case <-stop:
					close(done)
					return
				case <-time.After(time.Second):
					first.video(i*1000, old(1, 7, 1, 0, lengths(4, idr)))
				}
			}
		}()
		if c := code(h.connect("192.0.2.1:5001").shake().publish("live", "drone?key=geheim")); c != "NetStream.Publish.BadName" {
			t.Fatalf("answered by %q", c)
		}
		// With a wrong key nobody waits or is taken over from.
		begun := time.Now()
		h.connect("192.0.2.1:5002").shake().publish("live", "drone?key=falsch")
		if time.Since(begun) != 0 {
			t.Fatalf("a wrong key was answered after %v", time.Since(begun))
		}
		close(stop)
		<-done
		w.next()
		if h.d.s.State().From == "" {
			t.Fatal("it was taken over from")
		}
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { panic("a fault of ours") }

// What goes wrong in a connection must not hold its stream for ever.
func TestAFaultOfOursGivesTheStreamBack(t *testing.T) {
	d := newDesk()
	s := New(Opts{Desk: d, Log: slog.New(slog.DiscardHandler)})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nothing went wrong")
			}
		}()
		s.attend(&deafConn{Reader: io.MultiReader(bytes.NewReader(begin()), failing{})})
	}()
	if s.publishers != 0 || s.gate.Waiting() != 0 || len(s.live) != 0 || d.s.State().From != "" {
		t.Fatal("it is still held")
	}
}
