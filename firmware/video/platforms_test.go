package video

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	mpeg2 "github.com/yapingcat/gomedia/go-mpeg2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/terms"
	"tocsin/hwtest/platform"
)

const (
	platformCode = "44188200002000000001"
	boxCode      = "44188200001180000017"
	droneCode    = "44188200001310000171"
	damCode      = "44188200001310000172"
	domain       = "4418820000"
)

// police is a platform of another's make.
func police(t *testing.T) *platform.Platform {
	p, err := platform.Start("127.0.0.1", platform.Ways{ID: platformCode, Realm: domain, Passwords: map[string]string{boxCode: "Xq-71"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if f := p.Faults(); len(f) > 0 {
			t.Errorf("against the standard: %q", f)
		}
	})
	return p
}

// planned is a box of two streams that signs in there.
func planned(t *testing.T, p *platform.Platform) terms.Plan {
	return terms.Plan{
		Streams: []terms.Source{{Name: "drone", Key: "k", Record: true}, {Name: "dam", Key: "k"}},
		Record:  &terms.Record{Dir: memory(t), Quota: 64 << 20, ClipQuota: 64 << 20},
		About:   terms.About{Name: "黄渡村", Maker: "Tocsin", Model: "edged", Firmware: "1"}, Sessions: 4,
		Platforms: []terms.Platform{{
			Name: "county", Title: "县视频平台", ID: platformCode, Host: "127.0.0.1", Port: p.Port(), Device: boxCode, Password: "Xq-71", Expires: time.Hour, Keepalive: 50 * time.Millisecond, Misses: 2, Records: true,
			Channels: []terms.Channel{{ID: droneCode, Stream: "drone", Title: "无人机"}, {ID: damCode, Stream: "dam", Title: "大坝"}},
		}},
	}
}

// memory is a folder in memory, where there is one: a recorder leaves a part of the disk
// free, and the machine of a test may be fuller than that.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "video-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// soon waits no longer than a test may.
func soon(r *Relay) {
	r.pause = func(ctx context.Context, d time.Duration) error {
		t := time.NewTimer(min(d, 20*time.Millisecond))
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pictures counts what another's reader finds in a program stream.
func pictures(t *testing.T, m platform.Media) (n int) {
	t.Helper()
	if len(m.Faults) > 0 {
		t.Errorf("against the standard: %q", m.Faults)
	}
	d := mpeg2.NewPSDemuxer()
	d.OnFrame = func(f []byte, kind mpeg2.PS_STREAM_TYPE, _, _ uint64) {
		nal := bytes.TrimLeft(f, "\x00")[1:]
		if kind != mpeg2.PS_STREAM_H264 {
			t.Errorf("a unit of %v", kind)
		} else if nal[0]&31 == 1 || nal[0]&31 == 5 {
			n++
		}
	}
	if err := d.Input(m.PS); err != nil {
		t.Errorf("gomedia: %v", err)
	}
	d.Flush()
	return n
}

func TestAPlatformSeesLivePicturesByDatagramsAndByTCP(t *testing.T) {
	p := police(t)
	c := run(t, planned(t, p))
	c.feed("drone", "k", 3000)
	c.until("signed in, with pictures", func(s terms.State) bool {
		return len(s.Platforms) == 1 && s.Platforms[0].Online && s.Platforms[0].Answered >= 0 && s.Streams[0].Codec == "H.264"
	})
	if err := p.Await(t.Context(), "keepalive", 2); err != nil {
		t.Fatal(err)
	}
	out, err := p.Ask(t.Context(), boxCode, "Query", "Catalog", boxCode, "")
	if all := strings.Join(out, ""); err != nil || !strings.Contains(all, droneCode) || !strings.Contains(all, damCode) || strings.Count(all, "<Status>ON<") != 1 {
		t.Errorf("the catalog: %s (%v)", all, err)
	}
	for i, way := range []string{"udp", "passive", "active"} {
		call, err := p.Invite(t.Context(), platform.Wish{Device: boxCode, Channel: droneCode, Way: way, SSRC: "020000432" + string(rune('1'+i))})
		if err != nil {
			t.Fatal(way, err)
		}
		m, err := call.AwaitUnits(t.Context(), 15)
		if err != nil {
			t.Fatal(way, err)
		}
		if n := pictures(t, m); n < 10 {
			t.Errorf("%s: %d pictures in 15 units", way, n)
		}
		s := c.until("told", func(s terms.State) bool { return len(s.Platforms[0].Sessions) > 0 }).Platforms[0].Sessions[0]
		if s.Stream != "drone" || s.Kind != "Play" || s.To == "" || s.Bytes == 0 {
			t.Errorf("%s: told %+v", way, s)
		}
		if code, err := call.Bye(t.Context()); code != 200 {
			t.Errorf("BYE: %d %v", code, err)
		}
		c.until("over", func(s terms.State) bool { return len(s.Platforms[0].Sessions) == 0 })
	}
	var shown []terms.Shown
	c.do("GET", "/shown", "", nil, &shown)
	if len(shown) != 3 || shown[0].Platform != "county" || shown[0].Stream != "drone" || shown[0].Kind != "Play" {
		t.Errorf("for the journal: %+v", shown)
	}
	// A camera that sends nothing has nothing to show.
	var r platform.Refused
	if _, err := p.Invite(t.Context(), platform.Wish{Device: boxCode, Channel: damCode}); !errors.As(err, &r) || r.Code != 480 {
		t.Errorf("the dam: %v", err)
	}
}

func TestAPlatformFindsRecordsAndPlaysThem(t *testing.T) {
	p := police(t)
	began := time.Now()
	c := run(t, planned(t, p))
	c.feed("drone", "k", 3000)
	c.until("signed in, and two seconds are kept", func(s terms.State) bool {
		r := s.Streams[0].Record
		return s.Platforms[0].Online && r != nil && r.Bytes > 150_000
	})
	beijing := time.FixedZone("CST", 8*3600)
	stamp := func(t time.Time) string { return t.In(beijing).Format("2006-01-02T15:04:05") }
	ask := func(channel string, from, until time.Time) string {
		t.Helper()
		out, err := p.Ask(t.Context(), boxCode, "Query", "RecordInfo", channel, "<StartTime>"+stamp(from)+"</StartTime><EndTime>"+stamp(until)+"</EndTime><Type>all</Type>")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(out, "")
	}
	all := ask(droneCode, began.Add(-time.Hour), began.Add(time.Hour))
	if !strings.Contains(all, "<SumNum>1</SumNum>") || !strings.Contains(all, "<StartTime>"+began.In(beijing).Format("2006-01-02T15:")) {
		t.Errorf("records: %s", all)
	}
	for name, none := range map[string]string{"yesterday": ask(droneCode, began.Add(-25*time.Hour), began.Add(-time.Hour)), "a stream that is not recorded": ask(damCode, began.Add(-time.Hour), began.Add(time.Hour))} {
		if !strings.Contains(none, "<SumNum>0</SumNum>") {
			t.Errorf("records of %s: %s", name, none)
		}
	}
	wish := func(kind, way, ssrc string) platform.Wish {
		return platform.Wish{Device: boxCode, Channel: droneCode, Kind: kind, Way: way, SSRC: ssrc, From: began.Add(-time.Minute).Truncate(time.Second), Until: time.Now().Add(-500 * time.Millisecond).Truncate(time.Second), Speed: 8}
	}
	for i, way := range []string{"udp", "passive"} {
		call, err := p.Invite(t.Context(), wish("Download", way, "120000432"+string(rune('1'+i))))
		if err != nil {
			t.Fatal(way, err)
		}
		if err := p.Await(t.Context(), "record ended", i+1); err != nil {
			t.Fatal(way, err)
		}
		m, err := call.AwaitUnits(t.Context(), 10)
		if err != nil {
			t.Fatal(way, err)
		}
		if n := pictures(t, m); n < 10 || n != m.Units {
			t.Errorf("%s: %d pictures in %d units", way, n, m.Units)
		}
		for k := 1; k < len(m.Times); k++ {
			if m.Times[k]-m.Times[k-1] > 90000 {
				t.Errorf("%s: a step of %d ticks", way, m.Times[k]-m.Times[k-1])
			}
		}
		if code, err := call.Bye(t.Context()); code != 200 {
			t.Errorf("BYE: %d %v", code, err)
		}
	}
	// Its own pace, a pause, a seek to the begin, and the end.
	call, err := p.Invite(t.Context(), wish("Playback", "udp", "1200004329"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.AwaitUnits(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	info := func(body string) {
		t.Helper()
		if code, answer, err := call.Info(t.Context(), body); code != 200 || err != nil {
			t.Fatal(code, answer, err)
		}
	}
	info("PAUSE MANSRTSP/1.0\r\nCSeq: 1\r\nPauseTime: now\r\n\r\n")
	c.until("paused", func(s terms.State) bool {
		return len(s.Platforms[0].Sessions) == 1 && s.Platforms[0].Sessions[0].Paused && s.Platforms[0].Sessions[0].Kind == "Playback"
	})
	n, first := call.Media().Units, call.Media().Times[0]
	info("PLAY MANSRTSP/1.0\r\nCSeq: 2\r\nScale: 2.0\r\nRange: npt=0-\r\n\r\n")
	m, err := call.AwaitUnits(t.Context(), n+2)
	if err != nil {
		t.Fatal(err)
	}
	if m.Times[n] > first+90000 {
		t.Errorf("after the seek it goes on %d ticks from the begin", m.Times[n]-first)
	}
	if err := p.Await(t.Context(), "record ended", 3); err != nil {
		t.Fatal(err)
	}
	// What was recorded while no hour was known has no place in a span of time.
	var e *phrase.Error
	if _, err := (records{r: c.relay, streams: map[string]string{damCode: "dam"}}).Open(t.Context(), damCode, began, time.Now()); !errors.As(err, &e) || e.Code != "video.no_record" {
		t.Errorf("a stream that is not recorded: %v", err)
	}
}

func TestAPlatformThatRefusesOrFallsSilentIsAFaultUntilItIsBack(t *testing.T) {
	p := police(t)
	p.Set(func(w *platform.Ways) { w.Passwords = map[string]string{boxCode: "another"} })
	c := runWith(t, planned(t, p), soon)
	wrong := func(code string) func(s terms.State) bool {
		return func(s terms.State) bool {
			f, told := s.Faults["platform county"]
			return told && f.Code == code && s.Platforms[0].Why != nil && !s.Platforms[0].Online
		}
	}
	s := c.until("refused", wrong("gb28181.wrong_password"))
	if text := s.Faults["platform county"].In(phrase.ZH); !strings.Contains(text, "县视频平台") || strings.Contains(text, "Xq-71") {
		t.Error(text)
	}
	well := func(s terms.State) bool {
		return s.Platforms[0].Online && len(s.Faults) == 0 && s.Platforms[0].Why == nil
	}
	p.Set(func(w *platform.Ways) { w.Passwords = map[string]string{boxCode: "Xq-71"} })
	c.until("taken in", well)
	in := p.Count("signed in")
	p.Set(func(w *platform.Ways) { w.Forgets = true })
	c.until("forgotten", wrong("gb28181.forgotten"))
	p.Set(func(w *platform.Ways) { w.Forgets = false })
	if err := p.Await(t.Context(), "signed in", in+1); err != nil {
		t.Fatal(err)
	}
	c.until("back", well)
}

func TestWhatAPlanHasWrongThereStopsNothingElse(t *testing.T) {
	p := police(t)
	plan := planned(t, p)
	plan.Platforms[0].Device = "17"
	plan.Upper = &terms.Upper{ID: "18", Listen: netip.MustParseAddrPort("127.0.0.1:0")}
	c := run(t, plan)
	c.feed("drone", "k", 1000)
	s := c.until("pictures come", func(s terms.State) bool { return s.Streams[0].Codec == "H.264" && len(s.Faults) == 2 })
	if s.Faults["platforms"].Code != "gb28181.id" || s.Faults["upper"].Code != "gb28181_in.id" {
		t.Errorf("%v", s.Faults)
	}
}
