package rtmp

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"

	"tocsin/firmware/video/stream"
)

// The quirks of drones, as the field tells of them (threads are named with each), as messages.

// An SEI comes alone, then the picture with the same times (mediamtx, pull request 6051).
func TestAnSEIAloneBelongsToThePictureThatFollows(t *testing.T) {
	for _, frame := range []byte{1, 2} { // marked as a key picture or not
		bubble(t, Limits{}, func(h *house) {
			e := h.connect("192.0.2.1:5000").shake().live()
			w := h.watch()
			e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
			e.video(100, old(frame, 7, 1, 0, lengths(4, sei)))
			e.video(100, old(1, 7, 1, 0, lengths(4, idr)))
			e.video(133, old(2, 7, 1, 0, lengths(4, sei)))
			e.video(133, old(2, 7, 1, 0, lengths(4, inter)))
			a, b := w.next(), w.next()
			if !a.Key || len(a.NALs) != 4 || len(b.NALs) != 2 {
				t.Fatalf("%d and %d NAL units, want SPS, PPS, SEI, IDR and SEI, picture", len(a.NALs), len(b.NALs))
			}
		})
	}
}

// One picture comes in several messages (OvenMediaEngine, issue 1740): two slices here.
func TestAPictureInSeveralMessagesIsOne(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		second := slices.Clone(inter)
		second[1] = 0x20 // first_mb_in_slice is not 0: ue(v) of 0b00100…
		e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		e.video(0, old(1, 7, 1, 0, lengths(4, idr)))
		for i := uint32(1); i < 6; i++ {
			e.video(i*40, old(2, 7, 1, 0, lengths(4, inter)))
			e.video(i*40, old(2, 7, 1, 0, lengths(4, second)))
		}
		e.video(400, old(1, 7, 1, 0, lengths(4, idr)))
		e.video(440, old(1, 7, 1, 0, lengths(4, idr)))
		w.next()
		whole := 0
		for {
			u := w.next()
			if u.Key {
				break
			}
			if len(u.NALs) == 2 {
				whole++
			}
		}
		// The first is out before it is known that the source does so.
		if whole < 4 {
			t.Fatalf("%d of 5 pictures are whole", whole)
		}
		if !slices.Contains(h.d.s.State().Notes, stream.Split) {
			t.Fatal("nobody is told")
		}
	})
}

// Times run back and jump (go2rtc, issue 1969).
func TestTimesThatJumpDoNotEndTheStream(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		e.video(5000, old(1, 7, 0, 0, avcC(4, sps, pps)))
		last := int64(-1)
		times := []uint32{5000, 5040, 5020, 5080, 90, 130, 4_000_000_000, 4_000_000_040, 0xffffffff, 10}
		for i, at := range times {
			e.video(at, old(1, 7, 1, 0, lengths(4, idr)))
			u := w.next()
			if u.Decode <= last {
				t.Fatalf("picture %d: %d is not after %d", i, u.Decode, last)
			}
			last = u.Decode
		}
	})
}

// 32 bits of milliseconds are at their end after 49.7 days; pictures go on.
func TestTheWrapOfTimeIsNoJump(t *testing.T) {
	var c clock
	a, b := c.tell(0xfffffff0), c.tell(0x18)
	if b-a != 40 {
		t.Fatalf("%d ms, want 40", b-a)
	}
	if d := c.tell(0x10); d != b-8 {
		t.Fatalf("a step back gives %d after %d", d, b)
	}
}

// An AAC track is announced and never comes (go2rtc, issue 1969); or it comes.
func TestSoundThatNeverComesIsNotWaitedFor(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		e.send(4, message{kind: kindData, stream: 1, body: appendAMF(nil, "@setDataFrame", "onMetaData",
			object{{"width", 1920}, {"videocodecid", 7}, {"audiocodecid", 10}, {"audiosamplerate", 44100}})})
		e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		for i := range uint32(80) {
			e.video(i*40, old(1, 7, 1, 0, lengths(4, idr)))
		}
		w.next()
		synctest.Wait()
		n := h.d.s.State().Notes
		if !slices.Contains(n, stream.AACDropped) || !slices.Contains(n, stream.SoundAbsent) {
			t.Fatalf("notes %v", n)
		}
	})
}

func TestAACIsNotedAndDropped(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		e.audio(0, []byte{0xaf, 0, 0x12, 0x10})
		e.audio(0, []byte{0xaf, 1, 0x21, 0x22})
		e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		e.video(0, old(1, 7, 1, 0, lengths(4, idr)))
		if u := w.next(); !u.Codec.Picture() {
			t.Fatalf("%v came", u.Codec)
		}
		if n := h.d.s.State().Notes; !slices.Contains(n, stream.AACDropped) {
			t.Fatalf("notes %v", n)
		}
	})
}

func TestSoundThatBrowsersPlayGoesThrough(t *testing.T) {
	for codec, head := range map[stream.Codec][]byte{
		stream.PCMA: {0x72}, stream.PCMU: {0x82}, stream.Opus: append([]byte{0x91}, "Opus"...),
	} {
		bubble(t, Limits{}, func(h *house) {
			e := h.connect("192.0.2.1:5000").shake().live()
			w := h.watch()
			// A reader begins at a key picture.
			e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
			e.video(0, old(1, 7, 1, 0, lengths(4, idr)))
			w.next()
			e.audio(100, append(slices.Clone(head), 1, 2, 3))
			e.audio(120, append(slices.Clone(head), 4, 5, 6))
			a, b := w.next(), w.next()
			if a.Codec != codec || string(a.Sound) != "\x01\x02\x03" || b.Time-a.Time != codec.Rate()/50 {
				t.Fatalf("%v: %v, % x, %d ticks", codec, a.Codec, a.Sound, b.Time-a.Time)
			}
		})
	}
}

// DJI changes its size in flight when another quality is asked for: new parameter sets.
func TestNewParameterSetsStandBeforeTheNextKeyPicture(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		other := append(slices.Clone(pps), 0x80)
		e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		e.video(0, old(1, 7, 1, 0, lengths(4, idr)))
		e.video(40, old(1, 7, 0, 0, avcC(4, sps, other)))
		e.video(40, old(1, 7, 1, 0, lengths(4, idr)))
		a, b := w.next(), w.next()
		if !slices.Equal(a.NALs[1], pps) || !slices.Equal(b.NALs[1], other) {
			t.Fatalf("% x, then % x", a.NALs[1], b.NALs[1])
		}
	})
}

// Some encoders have the parameter sets in the pictures and no configuration record.
func TestParameterSetsInThePicturesAreEnough(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		e.video(0, old(1, 12, 1, 0, lengths(4, vpsH, spsH, ppsH, idrH)))
		if u := w.next(); !u.Key || len(u.NALs) != 4 {
			t.Fatalf("key %v, %d NAL units", u.Key, len(u.NALs))
		}
	})
}

func TestABrokenMessageDoesNotEndTheStream(t *testing.T) {
	bubble(t, Limits{}, func(h *house) {
		e := h.connect("192.0.2.1:5000").shake().live()
		w := h.watch()
		for _, b := range [][]byte{nil, {0x17}, {0x17, 0, 0, 0, 0, 9}, {0x17, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1}, {0x90}, {0x9c, 'h'}, {0x27, 1, 0, 0, 0, 0, 0}} {
			e.video(0, b)
			e.audio(0, b)
		}
		e.video(0, old(1, 7, 0, 0, avcC(4, sps, pps)))
		e.video(0, old(1, 7, 1, 0, lengths(4, idr)))
		for !w.next().Key {
		}
	})
}

// Start codes where lengths belong (srs, issue 184), and within one length (RootEncoder, issue 2086).
func TestStartCodesInsteadOfLengthsAreUnderstood(t *testing.T) {
	code := func(nals ...[]byte) (b []byte) {
		for _, n := range nals {
			b = append(append(b, 0, 0, 0, 1), n...)
		}
		return b
	}
	for name, body := range map[string][]byte{
		"start codes":              code(sei, idr),
		"short start codes":        slices.Concat([]byte{0, 0, 1}, sei, []byte{0, 0, 1}, idr, []byte{0, 0}),
		"start codes in a length":  lengths(4, slices.Concat(sei, code(idr))),
		"one before, in a length":  lengths(4, code(sei, idr)),
		"lengths, as they ought":   lengths(4, sei, idr),
		"a length that looks so":   lengths(4, sei, append(slices.Clone(idr), bytes.Repeat([]byte{7}, 290-len(idr))...)), // 00 00 01 22
		"padding of length 0 also": slices.Concat(lengths(4, sei), []byte{0, 0, 0, 0}, lengths(4, idr)),
	} {
		nals, err := split(body, 4)
		if err != nil || len(nals) != 2 || !bytes.Equal(nals[0], sei) || !bytes.HasPrefix(nals[1], idr) {
			t.Errorf("%s: %x, %v", name, nals, err)
		}
	}
	if nals, err := split([]byte{0, 0, 0, 9, 1, 2, 3}, 4); err != errNALs || len(nals) != 0 {
		t.Errorf("broken lengths: %x, %v", nals, err)
	}
}
