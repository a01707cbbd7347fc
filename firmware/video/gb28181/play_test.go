package gb28181

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
	"tocsin/hwtest/platform"
)

// kept is a box's records of one channel: the clip, again and again.
type kept struct {
	pictures []picture
	list     []Record
	length   int // pictures of a record
	hole     int // before which picture an hour is missing
	opened   chan Record
	seeks    chan time.Duration
}

func (k *kept) List(_ context.Context, channel string, from, until time.Time, most int) (out []Record, _ error) {
	if channel != channelID {
		return nil, errors.New("not kept")
	}
	for _, r := range k.list {
		if r.From.Before(until) && r.Until.After(from) && len(out) < most {
			out = append(out, r)
		}
	}
	return out, nil
}

func (k *kept) Open(_ context.Context, _ string, from, until time.Time) (Player, error) {
	k.opened <- Record{from, until}
	return &playing{k: k}, nil
}

type playing struct {
	k *kept
	n int
}

func (p *playing) Next(ctx context.Context) (*stream.Unit, error) {
	if p.n >= p.k.length {
		return nil, io.EOF
	}
	c := p.k.pictures[p.n%len(p.k.pictures)]
	at, gap := int64(p.n)*3600, p.n > 0 && p.n == p.k.hole
	if p.k.hole > 0 && p.n >= p.k.hole {
		at += 3600 * 90000
	}
	p.n++
	return &stream.Unit{Codec: stream.H264, NALs: c.nals, Key: c.key, Time: at, Decode: at, Gap: gap}, ctx.Err()
}

func (p *playing) Seek(to time.Duration) error {
	p.k.seeks <- to
	p.n = int(to/(40*time.Millisecond)) / 10 * 10
	return nil
}

func (p *playing) Close() {}

func keeping(t *testing.T, length int) (*kept, func(*Opts)) {
	day := time.Date(2026, 11, 27, 0, 0, 0, 0, beijing)
	k := &kept{pictures: clip(t, stream.H264), length: length, opened: make(chan Record, 10), seeks: make(chan time.Duration, 10)}
	for h := range 5 {
		k.list = append(k.list, Record{day.Add(time.Duration(h) * time.Hour), day.Add(time.Duration(h)*time.Hour + 20*time.Minute)})
	}
	return k, func(o *Opts) { o.Platforms[0].Records = k }
}

func TestRecordsAreListedWithinTheSpan(t *testing.T) {
	_, opts := keeping(t, 50)
	b := newBench(t, stream.H264, nil, opts)
	b.await("signed in", 1)
	out, err := b.p.Ask(b.ctx, deviceID, "Query", "RecordInfo", channelID, "<StartTime>2026-11-27T00:10:00</StartTime><EndTime>2026-11-27T03:10:00</EndTime><Type>all</Type>")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(out, "")
	for h := range 4 {
		if want := fmt.Sprintf("<StartTime>2026-11-27T0%d:00:00</StartTime>", h); !strings.Contains(all, want) {
			t.Errorf("no %s", want)
		}
	}
	if len(out) != 2 || strings.Count(all, "<SumNum>4</SumNum>") != 2 || strings.Contains(all, "T04:00:00") {
		t.Errorf("%d messages: %s", len(out), all)
	}
}

func playback(kind string, speed int) platform.Wish {
	from := time.Date(2026, 11, 27, 1, 0, 0, 0, beijing)
	return platform.Wish{Device: deviceID, Channel: channelID, Kind: kind, SSRC: "1200004321", From: from, Until: from.Add(20 * time.Minute), Speed: speed}
}

func TestADownloadComesWholeFasterThanItWasAndItsEndIsTold(t *testing.T) {
	for _, way := range []string{"udp", "passive", "active"} {
		t.Run(way, func(t *testing.T) {
			k, opts := keeping(t, 100)
			b := newBench(t, stream.H264, nil, opts)
			b.await("signed in", 1)
			w := playback("Download", 8)
			w.Way = way
			c, err := b.p.Invite(b.ctx, w)
			if err != nil {
				t.Fatal(err)
			}
			m, err := c.AwaitUnits(b.ctx, 100)
			if err != nil {
				t.Fatal(err)
			}
			b.await("record ended", 1)
			if r := <-k.opened; !r.From.Equal(w.From) || !r.Until.Equal(w.Until) {
				t.Errorf("opened %v", r)
			}
			if n, _ := b.decoded(m, stream.H264); n != 100 {
				t.Errorf("%d of 100 pictures", n)
			}
			if code, err := c.Bye(b.ctx); err != nil || code != 200 {
				t.Errorf("BYE: %d %v", code, err)
			}
		})
	}
}

func TestAPlaybackObeysTheOneWhoWatches(t *testing.T) {
	k, opts := keeping(t, 25*1000)
	b := newBench(t, stream.H264, nil, opts)
	b.await("signed in", 1)
	c, err := b.p.Invite(b.ctx, playback("Playback", 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AwaitUnits(b.ctx, 5); err != nil {
		t.Fatal(err)
	}
	info := func(body string) {
		t.Helper()
		code, answer, err := c.Info(b.ctx, body)
		if err != nil || code != 200 || !strings.HasPrefix(answer, "MANSRTSP/1.0 200 OK\r\nCSeq: ") {
			t.Fatalf("%d %q %v", code, answer, err)
		}
	}
	session := func() SessionStatus {
		for _, s := range b.d.Status().Platforms[0].Sessions {
			return s
		}
		return SessionStatus{}
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for !holds() {
			if b.ctx.Err() != nil {
				t.Fatal(what)
			}
			time.Sleep(time.Millisecond)
		}
	}
	info("PAUSE MANSRTSP/1.0\r\nCSeq: 2\r\nPauseTime: now\r\n\r\n")
	until("it did not pause", func() bool { return session().Paused })
	n := c.Media().Units
	// 16 times as fast, from the five hundredth second on: key pictures alone.
	info("PLAY MANSRTSP/1.0\r\nCSeq: 3\r\nScale: 16.0\r\nRange: npt=500-\r\n\r\n")
	if to := <-k.seeks; to != 500*time.Second {
		t.Errorf("sought %v", to)
	}
	m, err := c.AwaitUnits(b.ctx, n+8)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(m.Times) - 5; i < len(m.Times); i++ {
		if step := m.Times[i] - m.Times[i-1]; step != 36000 {
			t.Errorf("a step of %d ticks: not key picture to key picture", step)
		}
	}
	if at := m.Times[len(m.Times)-1] / 90000; at < 500 || at > 520 {
		t.Errorf("it goes on at second %d", at)
	}
	for _, body := range []string{"DANCE MANSRTSP/1.0\r\n\r\n", "PLAY MANSRTSP/1.0\r\nScale: -1\r\n\r\n", "PLAY MANSRTSP/1.0\r\nScale: NaN\r\n\r\n", "", "PLAY MANSRTSP/1.0\r\nRange: npt=1e99-\r\n\r\n"} {
		if code, _, err := c.Info(b.ctx, body); err != nil || code != 400 {
			t.Errorf("%q: %d %v", body, code, err)
		}
	}
	info("TEARDOWN MANSRTSP/1.0\r\nCSeq: 9\r\n\r\n")
	select {
	case <-c.Ended:
	case <-b.ctx.Done():
		t.Error("no BYE after TEARDOWN")
	}
}

func TestNobodyWaitsAsLongAsNothingWasRecorded(t *testing.T) {
	k, opts := keeping(t, 20)
	k.hole = 10
	b := newBench(t, stream.H264, nil, opts)
	b.await("signed in", 1)
	c, err := b.p.Invite(b.ctx, playback("Playback", 0))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.AwaitUnits(b.ctx, 20)
	if err != nil {
		t.Fatal(err)
	}
	// The times tell how long it was.
	if step := m.Times[10] - m.Times[9]; step != 3600*90000+3600 {
		t.Errorf("a step of %d ticks over the hole", step)
	}
}

func TestThePacerKeepsTheRecordsPace(t *testing.T) {
	for _, scale := range []float64{0.25, 1, 2, 8} {
		p := pacer{scale: scale}
		now := 7 * time.Second
		for at := 100 * time.Second; at < 110*time.Second; at += 40 * time.Millisecond {
			wait := p.due(now, at)
			if at > 100*time.Second && wait <= 0 {
				t.Fatalf("scale %v: nothing to wait for at %v", scale, at)
			}
			now += wait
		}
		want := time.Duration(9.96 / scale * float64(time.Second))
		if took := now - 7*time.Second; took < want-time.Millisecond || took > want+time.Millisecond {
			t.Errorf("scale %v: ten seconds took %v", scale, took)
		}
	}
}
