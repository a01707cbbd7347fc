package recorder

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

var hour2240 = time.Date(2026, 7, 20, 22, 40, 0, 0, time.UTC)

// drain gives all that a tape has.
func drain(t *testing.T, x *Tape) (us []*stream.Unit) {
	t.Helper()
	for {
		u, err := x.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return us
		}
		if err != nil {
			t.Fatal(err)
		}
		us = append(us, u)
	}
}

func open(t *testing.T, r *rec, from, to time.Time) *Tape {
	t.Helper()
	x, err := r.Tape(from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

// headed are a picture's units with each parameter set once, before all else.
func headed(u *stream.Unit) (nals [][]byte) {
	f := &format{picture: u.Codec}
	var rest [][]byte
	for _, n := range u.NALs {
		if f.set(n) == nil {
			rest = append(rest, n)
		} else if !slices.ContainsFunc(nals, func(o []byte) bool { return bytes.Equal(o, n) }) {
			nals = append(nals, n)
		}
	}
	return append(nals, rest...)
}

// counted is the number in a picture of numbered.
func counted(t *testing.T, u *stream.Unit) int {
	t.Helper()
	n := u.NALs[len(u.NALs)-1]
	return int(binary.BigEndian.Uint64(n[1:]))
}

func TestATapeGivesEveryUnitAsItWasRecorded(t *testing.T) {
	for _, c := range []stream.Codec{stream.H264, stream.H265} {
		t.Run(c.String(), func(t *testing.T) {
			w := newWorld()
			w.trust(hour2240)
			began := w.Now()
			r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment = 2 * time.Second })
			var us []*stream.Unit
			for i, u := range film25(t, c, 150, w.now.Mono) {
				us = append(us, u, &stream.Unit{Codec: stream.PCMA, Sound: bytes.Repeat([]byte{byte(i)}, 320), Time: int64(i) * 320, Decode: int64(i) * 320, Arrived: u.Arrived})
			}
			r.play(us)
			r.house()
			from := began.Wall.Add(us[0].Arrived - began.Mono)
			got := drain(t, open(t, r, from, from.Add(time.Hour)))
			var pictures, sounds []*stream.Unit
			last := int64(-1)
			for _, u := range got {
				if at := u.Decode * 1000 / u.Codec.Rate(); at < last-1 {
					t.Fatalf("%d ms after %d ms", at, last)
				} else {
					last = at
				}
				if u.Codec.Picture() {
					pictures = append(pictures, u)
				} else {
					sounds = append(sounds, u)
				}
			}
			if len(pictures) != 150 || len(sounds) < 100 {
				t.Fatalf("%d pictures and %d sounds", len(pictures), len(sounds))
			}
			for i, u := range pictures {
				want := us[2*i]
				if u.Codec != c || u.Key != want.Key || u.Decode != want.Decode || u.Time != want.Time || !slices.EqualFunc(u.NALs, headed(want), bytes.Equal) || u.Gap != (i == 0) {
					t.Fatalf("picture %d: %d %d key %v gap %v, want %d %d key %v", i, u.Decode, u.Time, u.Key, u.Gap, want.Decode, want.Time, want.Key)
				}
			}
			for _, u := range sounds {
				if len(u.Sound) != 320 || u.Codec != stream.PCMA {
					t.Fatalf("sound of %d bytes in %v", len(u.Sound), u.Codec)
				}
			}
		})
	}
}

func TestATapeBeginsAtTheKeyPictureBeforeWhereItIsAskedTo(t *testing.T) {
	w := newWorld()
	w.trust(hour2240)
	began := w.Now()
	r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment = 3 * time.Second })
	us := numbered(t, 500, 25, 200, w.now.Mono) // 20 s
	r.play(us)
	r.house()
	first := began.Wall.Add(us[0].Arrived - began.Mono)
	x := open(t, r, first.Add(5500*time.Millisecond), first.Add(10*time.Second))
	got := drain(t, x)
	if a, b := counted(t, got[0]), counted(t, got[len(got)-1]); a != 125 || b < 249 || b > 265 || !got[0].Key || got[0].Decode != 0 {
		t.Errorf("from picture %d (at %d) to %d, want 125 to 249", a, got[0].Decode, b)
	}
	if err := x.Seek(2 * time.Second); err != nil { // to 7.5 s
		t.Fatal(err)
	}
	got = drain(t, x)
	// Its times go on counting from the tape's begin, half a second before what was asked.
	if n := counted(t, got[0]); n != 175 || got[0].Decode != 2*90000 || !got[0].Gap {
		t.Errorf("after a seek: picture %d at %d", n, got[0].Decode)
	}
	if err := x.Seek(time.Hour); err != nil {
		t.Fatal(err)
	}
	if got = drain(t, x); len(got) != 0 {
		t.Errorf("%d pictures behind the end", len(got))
	}
}

func TestATapeGoesOnOverHolesBootsAndOtherCodecs(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.trust(hour2240)
	began := w.Now()
	r := recordIn(t, w, dir, nil)
	r.play(film25(t, stream.H264, 50, w.now.Mono))
	r.play(film25(t, stream.H265, 50, w.Now().Mono+40*time.Millisecond))
	r.play(film25(t, stream.H264, 50, w.Now().Mono+10*time.Second))
	r.house()
	ended := w.Now()
	r.stop()
	w.boot("cccc")
	w.trust(ended.Wall.Add(30 * time.Second))
	r = recordIn(t, w, dir, nil)
	r.play(film25(t, stream.H264, 50, w.Now().Mono))
	r.house()
	got := drain(t, open(t, r, began.Wall.Add(-time.Hour), began.Wall.Add(time.Hour)))
	var gaps []int
	for i, u := range got {
		if u.Gap {
			gaps = append(gaps, i)
		}
		if i > 0 && u.Decode <= got[i-1].Decode {
			t.Fatalf("picture %d runs back: %d after %d", i, u.Decode, got[i-1].Decode)
		}
	}
	if len(got) != 200 || got[60].Codec != stream.H265 || got[160].Codec != stream.H264 {
		t.Fatalf("%d pictures", len(got))
	}
	if !slices.Equal(gaps, []int{0, 100, 150}) {
		t.Errorf("gaps at %v", gaps)
	}
	if d := time.Duration(got[150].Decode-got[149].Decode) * time.Second / 90000; d < 25*time.Second || d > 35*time.Second {
		t.Errorf("the boot lies %v behind", d)
	}
}

func TestATapePlaysWhatIsRecordedMeanwhile(t *testing.T) {
	w := newWorld()
	w.trust(hour2240)
	began := w.Now()
	r := recordIn(t, w, t.TempDir(), nil)
	us := numbered(t, 200, 25, 200, w.now.Mono)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	more := make(chan struct{})
	part := &paused{tape: tape{w: w, units: us}, at: 100, more: more}
	go func() { done <- r.Run(ctx, part) }()
	await := func(n int) (got []*stream.Unit) {
		t.Helper()
		x := open(t, r, began.Wall.Add(-time.Minute), began.Wall.Add(time.Hour))
		defer x.Close()
		for len(got) < n {
			u, err := x.Next(ctx)
			if errors.Is(err, io.EOF) { // the disk may not have it yet
				time.Sleep(time.Millisecond)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, u)
		}
		return got
	}
	for r.State().Segments == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := await(75); counted(t, got[74]) != 74 {
		t.Error("not the pictures that came")
	}
	x := open(t, r, began.Wall.Add(-time.Minute), began.Wall.Add(time.Hour))
	n := 0
	for ; n < 50; n++ {
		if _, err := x.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	close(more)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.settle()
	if rest := drain(t, x); len(rest) != 150 || counted(t, rest[149]) != 199 {
		t.Errorf("%d pictures came of what was recorded meanwhile", len(rest))
	}
}

// paused waits before one of its pictures.
type paused struct {
	tape
	at   int
	more chan struct{}
}

func (p *paused) Next(ctx context.Context) (*stream.Unit, error) {
	if p.at--; p.at == 0 {
		select {
		case <-p.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return p.tape.Next(ctx)
}

func TestATapeLeavesOutWhatIsGoneOrDamaged(t *testing.T) {
	w := newWorld()
	w.trust(hour2240)
	began := w.Now()
	r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment = 2 * time.Second })
	r.play(numbered(t, 300, 25, 200, w.now.Mono)) // 12 s
	r.house()
	files := segments(t, r.dir)
	if len(files) < 5 {
		t.Fatal(len(files))
	}
	x := open(t, r, began.Wall.Add(-time.Minute), began.Wall.Add(time.Hour))
	if _, err := x.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files[2]); err != nil {
		t.Fatal(err)
	}
	b := readFile(t, files[3])
	i := bytes.Index(b, []byte("trun"))
	copy(b[i:], "trup")
	if err := os.WriteFile(files[3], b, 0o600); err != nil {
		t.Fatal(err)
	}
	got := drain(t, x)
	last, holes := 0, 0
	for _, u := range got {
		n := counted(t, u)
		if n != last+1 {
			holes++
			if !u.Gap || !u.Key {
				t.Errorf("picture %d follows %d: gap %v, key %v", n, last, u.Gap, u.Key)
			}
		}
		last = n
	}
	if last != 299 || holes != 1 || len(got) < 200 || len(got) > 240 {
		t.Errorf("%d pictures with %d holes, the last is %d", len(got), holes, last)
	}
}

func TestWhatHasNoHourIsOnNoTape(t *testing.T) {
	w := newWorld()
	r := recordIn(t, w, t.TempDir(), nil)
	r.play(numbered(t, 50, 25, 200, w.now.Mono))
	r.house()
	_, err := r.Tape(time.Unix(0, 0), time.Now().Add(time.Hour))
	var e *phrase.Error
	if !errors.As(err, &e) || e.Code != "recorder.film_none" {
		t.Errorf("%v", err)
	}
	w.trust(hour2240)
	r.house()
	if got := drain(t, open(t, r, hour2240.Add(-time.Minute), hour2240.Add(time.Minute))); len(got) != 50 {
		t.Errorf("%d pictures once the hour is known", len(got))
	}
}
