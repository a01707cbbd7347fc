package gb28181

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mpeg2 "github.com/yapingcat/gomedia/go-mpeg2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/ps"
	"tocsin/firmware/video/stream"
	"tocsin/hwtest/platform"
)

const (
	platformID = "34020000002000000001"
	realm      = "3402000000"
	deviceID   = "34020000001110000001"
	channelID  = "34020000001310000001"
	otherID    = "34020000001310000002"
)

// picture is one of the clips'.
type picture struct {
	nals [][]byte
	key  bool
}

// clip is fifty pictures at 25 in a second, a key picture every ten.
func clip(t testing.TB, c stream.Codec) (out []picture) {
	t.Helper()
	name := "testdata/clip.h264"
	if c == stream.H265 {
		name = "testdata/clip.h265"
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ps.Split(b) {
		switch typ := n[0] & 0x1F; {
		case c == stream.H264 && typ == 9, c == stream.H265 && n[0]>>1&0x3F == 35:
			out = append(out, picture{})
			continue
		case c == stream.H264 && typ == 5, c == stream.H265 && n[0]>>1&0x3F >= 16 && n[0]>>1&0x3F <= 21:
			out[len(out)-1].key = true
		}
		p := &out[len(out)-1]
		p.nals = append(p.nals, n)
	}
	if len(out) != 50 {
		t.Fatalf("%d pictures in %s", len(out), name)
	}
	return out
}

// A bench is a box with two channels, of which one has pictures, and a platform.
type bench struct {
	t        *testing.T
	p        *platform.Platform
	d        *Device
	stream   *stream.Stream
	w        *stream.Writer
	pictures []picture
	n        int // pictures written
	asked    chan struct{}
	ctx      context.Context
	stop     context.CancelFunc
	start    time.Time
	later    atomic.Int64 // what the clock is moved on by
}

func newBench(t *testing.T, codec stream.Codec, ways func(*platform.Ways), opts func(*Opts)) *bench {
	t.Helper()
	w := platform.Ways{ID: platformID, Realm: realm, Passwords: map[string]string{deviceID: "Xq-71"}}
	if ways != nil {
		ways(&w)
	}
	p, err := platform.Start("127.0.0.1", w)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, p: p, pictures: clip(t, codec), asked: make(chan struct{}, 100), start: time.Now()}
	now := func() time.Duration { return time.Since(b.start) + time.Duration(b.later.Load()) }
	b.stream = stream.New(stream.Opts{Name: "north", Now: now})
	other := stream.New(stream.Opts{Name: "south", Now: now})
	b.ctx, b.stop = context.WithTimeout(context.Background(), 60*time.Second)
	var wg sync.WaitGroup
	o := Opts{
		Log: slog.New(slog.DiscardHandler), Now: now, Wall: time.Now,
		Go: func(_ string, run func(context.Context) error) {
			wg.Add(1)
			go func() { defer wg.Done(); _ = run(b.ctx) }()
		},
		About: About{Name: "河口预警站", Maker: "Tocsin", Model: "edged", Firmware: "1"},
		Platforms: []Platform{{Name: "县平台", ID: platformID, Realm: realm, Host: "127.0.0.1", Port: p.Port(), Device: deviceID, Password: "Xq-71", Keepalive: 50 * time.Millisecond,
			Channels: []Channel{{ID: channelID, Name: "河口北<岸>", Stream: b.stream}, {ID: otherID, Name: "河口南", Stream: other}}}},
	}
	if opts != nil {
		opts(&o)
	}
	if b.d, err = New(o); err != nil {
		t.Fatal(err)
	}
	if b.w, err = b.stream.Open("test"); err != nil {
		t.Fatal(err)
	}
	b.w.OnKey(func() { b.asked <- struct{}{} })
	b.write(codec, 10)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.d.Run(b.ctx) }()
	t.Cleanup(func() {
		b.stop()
		<-ended
		wg.Wait()
		p.Close()
		if f := p.Faults(); len(f) > 0 {
			t.Errorf("against the standard: %q", f)
		}
	})
	return b
}

// write gives the stream its next pictures, with sound.
func (b *bench) write(codec stream.Codec, n int) {
	for range n {
		p := b.pictures[b.n%len(b.pictures)]
		at := int64(b.n) * 3600
		if err := b.w.Picture(codec, at, at, slices.Clone(p.nals)); err != nil {
			b.t.Fatal(err)
		}
		if err := b.w.Sound(stream.PCMA, int64(b.n)*320, bytes.Repeat([]byte{0xD5}, 320)); err != nil {
			b.t.Fatal(err)
		}
		b.n++
	}
}

// feed writes pictures until the context ends.
func (b *bench) feed(codec stream.Codec) (stop func()) {
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			b.write(codec, 1)
			time.Sleep(2 * time.Millisecond)
		}
	}()
	return func() { cancel(); <-done }
}

func (b *bench) await(what string, n int) {
	b.t.Helper()
	if err := b.p.Await(b.ctx, what, n); err != nil {
		b.t.Fatalf("%s: %v; %v", what, err, b.d.Status())
	}
}

// phase waits until the platform's state has that code.
func (b *bench) phase(code string) PlatformStatus {
	b.t.Helper()
	for {
		st := b.d.Status().Platforms[0]
		if st.Phase.Code == code {
			return st
		}
		if b.ctx.Err() != nil {
			b.t.Fatalf("state %v, want %s", st.Phase, code)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTheBoxSignsInAndSaysThatItLives(t *testing.T) {
	for _, tc := range []struct {
		name string
		ways func(*platform.Ways)
		opts func(*Opts)
	}{
		{"MD5 over datagrams", nil, nil},
		{"MD5 over TCP", nil, func(o *Opts) { o.Platforms[0].Transport = "tcp" }},
		{"SHA-256", func(w *platform.Ways) { w.Algorithm = "SHA-256" }, nil},
		{"SM3 offered first", func(w *platform.Ways) {
			w.Challenges = []string{`Digest realm="3402000000",nonce="1",algorithm=SM3`}
		}, nil},
		{"a nonce that is too old", func(w *platform.Ways) { w.Stale = true }, nil},
		{"UTF-8", nil, func(o *Opts) { o.Platforms[0].Charset = "UTF-8" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, stream.H264, tc.ways, tc.opts)
			b.await("keepalive", 3)
			st := b.phase("gb28181.signed_in")
			if !st.Online || st.Answered == 0 {
				t.Errorf("%+v", st)
			}
			if st.Clock > time.Minute || st.Clock < -time.Minute {
				t.Errorf("the platform's clock is told to be off by %v", st.Clock)
			}
			b.stop()
			if err := b.p.Await(context.Background(), "signed out", 1); err != nil {
				t.Error(err)
			}
		})
	}
}

// Both clocks are moved to just after what the box holds to, two thirds of what it was
// granted; a machine that stands still for seconds is no stranger.
func TestTheBoxSignsInAgainBeforeTheEnd(t *testing.T) {
	var later atomic.Int64
	start := time.Now()
	b := newBench(t, stream.H264, func(w *platform.Ways) {
		w.Expires, w.Now = 60, func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}, func(o *Opts) {
		o.Now = func() time.Duration { return time.Since(start) + time.Duration(later.Load()) }
	})
	for n := 1; n <= 4; n++ {
		b.await("signed in", n)
		b.await("keepalive", b.p.Count("keepalive")+1) // it has read what it was granted
		later.Add(int64(41 * time.Second))
	}
	if n := b.p.Count("stranger"); n > 0 {
		t.Errorf("%d keepalives after the end", n)
	}
}

func TestWhatIsWrongIsTold(t *testing.T) {
	for _, tc := range []struct {
		name, code string
		ways       func(*platform.Ways)
		opts       func(*Opts)
	}{
		{"a wrong password", "gb28181.wrong_password", nil, func(o *Opts) { o.Platforms[0].Password = "wrong" }},
		{"a code that is not known there", "gb28181.unknown_there", func(w *platform.Ways) { w.Passwords = nil }, nil},
		{"another's domain", "gb28181.realm", nil, func(o *Opts) { o.Platforms[0].Realm = "3402000001" }},
		{"an algorithm that is not there", "gb28181.algorithm", func(w *platform.Ways) { w.Algorithm = "SM3" }, nil},
		{"nobody there", "gb28181.silent", nil, func(o *Opts) { o.Platforms[0].Transport, o.Platforms[0].Port = "tcp", 1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, stream.H264, tc.ways, tc.opts)
			if st := b.phase(tc.code); st.Online || st.Phase.In(phrase.ZH) == tc.code || strings.Contains(st.Phase.In(phrase.EN), "Xq-71") {
				t.Errorf("%v: %s", st.Online, st.Phase.In(phrase.ZH))
			}
			if tc.code == "gb28181.realm" && b.p.Count("wrong") > 0 {
				t.Error("the password was answered all the same")
			}
		})
	}
}

// soon makes the box try again at once.
func soon(o *Opts) {
	o.Pause = func(ctx context.Context, d time.Duration) error { return pause(ctx, min(d, 20*time.Millisecond)) }
}

func TestKeepalivesThatGoUnansweredEndInSigningInAgain(t *testing.T) {
	b := newBench(t, stream.H264, nil, func(o *Opts) { o.Platforms[0].Misses = 2; soon(o) })
	b.await("keepalive", 1)
	b.p.Set(func(w *platform.Ways) { w.Deaf = true })
	b.await("signed in", 2)
	b.p.Set(func(w *platform.Ways) { w.Deaf = false })
	n := b.p.Count("keepalive")
	b.await("keepalive", n+2)
	b.phase("gb28181.signed_in")
}

func TestAPlatformThatForgotTheBoxHasItBackAtOnce(t *testing.T) {
	b := newBench(t, stream.H264, nil, soon)
	b.await("keepalive", 1)
	b.p.Forget(deviceID)
	b.await("signed in", 2)
	if b.p.Count("stranger") != 1 {
		t.Errorf("%d keepalives before it noticed", b.p.Count("stranger"))
	}
}

func TestAConnectionThatBrokeIsMadeAnewAndSignedInAgain(t *testing.T) {
	b := newBench(t, stream.H264, nil, func(o *Opts) { o.Platforms[0].Transport = "tcp"; soon(o) })
	b.await("keepalive", 1)
	before := b.p.Source(deviceID)
	if err := b.p.Cut(deviceID); err != nil {
		t.Fatal(err)
	}
	b.await("signed in", 2)
	if after := b.p.Source(deviceID); after == before {
		t.Errorf("still known at %s", after)
	}
	if _, err := b.p.Ask(b.ctx, deviceID, "Query", "Catalog", deviceID, ""); err != nil {
		t.Errorf("it is not asked by the new connection: %v", err)
	}
}

func TestTheCatalogIsToldWholeAndReadable(t *testing.T) {
	for charset, name := range map[string]string{"GB2312": "\xba\xd3\xbf\xda\xb1\xb1&lt;\xb0\xb6&gt;", "UTF-8": "河口北&lt;岸&gt;"} {
		t.Run(charset, func(t *testing.T) {
			b := newBench(t, stream.H264, nil, func(o *Opts) { o.Platforms[0].Charset = charset })
			b.await("signed in", 1)
			out, err := b.p.Ask(b.ctx, deviceID, "Query", "Catalog", deviceID, "")
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(out, "")
			for _, want := range []string{"<DeviceID>" + channelID, "<DeviceID>" + otherID, "<Name>" + name, `<DeviceList Num="1">`, "<SumNum>2<", "<Status>ON<", "<Status>OFF<", "<ParentID>" + deviceID, `encoding="` + charset + `"`} {
				if !strings.Contains(all, want) {
					t.Errorf("%q is missing in %s", want, all)
				}
			}
		})
	}
}

func TestQuestionsAreAnswered(t *testing.T) {
	b := newBench(t, stream.H264, nil, nil)
	b.await("signed in", 1)
	for _, tc := range []struct{ kind, command, of, more, want string }{
		{"Query", "DeviceInfo", deviceID, "", "<Manufacturer>Tocsin</Manufacturer>"},
		{"Query", "DeviceInfo", deviceID, "", "<Channel>2</Channel>"},
		{"Query", "DeviceStatus", deviceID, "", "<Online>ONLINE</Online>"},
		{"Query", "DeviceStatus", channelID, "", "<Encode>ON</Encode>"},
		{"Query", "DeviceStatus", otherID, "", "<Encode>OFF</Encode>"},
		{"Query", "RecordInfo", channelID, "<StartTime>2026-11-27T00:00:00</StartTime><EndTime>2026-11-28T00:00:00</EndTime>", "<SumNum>0</SumNum>"},
		{"Query", "PresetQuery", channelID, "", "<Result>ERROR</Result>"},
		{"Control", "DeviceControl", channelID, "<PTZCmd>A50F01021F0000D6</PTZCmd>", "<Result>ERROR</Result>"},
		{"Control", "DeviceControl", deviceID, "<TeleBoot>Boot</TeleBoot>", "<Result>ERROR</Result>"},
		{"Notify", "Broadcast", deviceID, "<SourceID>" + platformID + "</SourceID><TargetID>" + channelID + "</TargetID>", "<Result>ERROR</Result>"},
	} {
		out, err := b.p.Ask(b.ctx, deviceID, tc.kind, tc.command, tc.of, tc.more)
		if err != nil {
			t.Errorf("%s: %v", tc.command, err)
		} else if all := strings.Join(out, ""); !strings.Contains(all, tc.want) {
			t.Errorf("%s %s: no %s in %s", tc.command, tc.of, tc.want, all)
		}
	}
}

func TestAKeyPictureCanBeAskedForInBothSpellings(t *testing.T) {
	b := newBench(t, stream.H264, nil, nil)
	b.await("signed in", 1)
	for i, spelling := range []string{"IFameCmd", "IFrameCmd"} {
		if i > 0 {
			b.later.Add(int64(2 * time.Second)) // the stream asks once in a second
		}
		code, err := b.p.Send(b.ctx, deviceID, `<?xml version="1.0"?><Control><CmdType>DeviceControl</CmdType><SN>7</SN><DeviceID>`+channelID+`</DeviceID><`+spelling+`>Send</`+spelling+`></Control>`)
		if err != nil || code != 200 {
			t.Fatal(code, err)
		}
		select {
		case <-b.asked:
		case <-b.ctx.Done():
			t.Errorf("%s asked for nothing", spelling)
		}
	}
}

// decoded lets gomedia take the program stream apart and holds its NAL units against
// the clip's.
func (b *bench) decoded(m platform.Media, codec stream.Codec) (pictures, sounds int) {
	b.t.Helper()
	if len(m.Faults) > 0 {
		b.t.Errorf("against the standard: %q", m.Faults)
	}
	known := map[string]int{}
	for _, p := range b.pictures {
		known[string(p.nals[len(p.nals)-1])]++
	}
	d := mpeg2.NewPSDemuxer()
	first := true
	d.OnFrame = func(f []byte, cid mpeg2.PS_STREAM_TYPE, _, _ uint64) {
		switch cid {
		case mpeg2.PS_STREAM_G711A:
			sounds++
			if !bytes.Equal(f, bytes.Repeat([]byte{0xD5}, 320)) {
				b.t.Errorf("%d bytes of sound that were not sent", len(f))
			}
			return
		case mpeg2.PS_STREAM_H264, mpeg2.PS_STREAM_H265:
		default:
			b.t.Errorf("a unit of %v", cid)
			return
		}
		n := bytes.TrimLeft(f, "\x00")[1:]
		typ := int(n[0] & 0x1F)
		if codec == stream.H265 {
			typ = int(n[0] >> 1 & 0x3F)
		}
		if first && !slices.Contains([]int{7, 32}, typ) {
			b.t.Errorf("it begins with a NAL unit of type %d", typ)
		}
		first = false
		if known[string(n)] > 0 {
			pictures++
		}
	}
	if err := d.Input(m.PS); err != nil {
		b.t.Errorf("gomedia: %v", err)
	}
	d.Flush()
	return pictures, sounds
}

func TestPicturesGoToThePlatformByEveryWay(t *testing.T) {
	for _, sipBy := range []string{"udp", "tcp"} {
		for _, way := range []string{"udp", "passive", "active"} {
			for _, codec := range []stream.Codec{stream.H264, stream.H265} {
				if codec == stream.H265 && sipBy == "tcp" {
					continue
				}
				t.Run(fmt.Sprint(sipBy, " ", way, " ", codec), func(t *testing.T) {
					b := newBench(t, codec, nil, func(o *Opts) { o.Platforms[0].Transport = sipBy })
					b.await("signed in", 1)
					stop := b.feed(codec)
					defer stop()
					c, err := b.p.Invite(b.ctx, platform.Wish{Device: deviceID, Channel: channelID, Way: way, SSRC: "0200004321"})
					if err != nil {
						t.Fatal(err)
					}
					m, err := c.AwaitUnits(b.ctx, 80)
					if err != nil {
						t.Fatal(err)
					}
					st := b.d.Status().Platforms[0]
					if len(st.Sessions) != 1 || st.Sessions[0].Packets == 0 || st.Sessions[0].Channel != channelID {
						t.Errorf("told sessions %+v", st.Sessions)
					}
					if code, err := c.Bye(b.ctx); err != nil || code != 200 {
						t.Errorf("BYE: %d %v", code, err)
					}
					pictures, sounds := b.decoded(m, codec)
					if pictures < 30 || sounds < 30 {
						t.Errorf("%d pictures and %d packets of sound of 80 units", pictures, sounds)
					}
					for len(b.d.Status().Platforms[0].Sessions) > 0 && b.ctx.Err() == nil {
						time.Sleep(time.Millisecond)
					}
					if code, err := c.Bye(b.ctx); err != nil || code != 481 {
						t.Errorf("a second BYE: %d %v", code, err)
					}
				})
			}
		}
	}
}

func TestWhatCannotBeServedIsRefused(t *testing.T) {
	b := newBench(t, stream.H264, nil, func(o *Opts) {
		o.Platforms[0].MediaTo = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	b.await("signed in", 1)
	good := func() platform.Wish { return platform.Wish{Device: deviceID, Channel: channelID} }
	now := time.Now()
	for _, tc := range []struct {
		name   string
		change func(*platform.Wish)
		code   int
	}{
		{"a channel that is not there", func(w *platform.Wish) { w.Channel = "34020000001310000009" }, 404},
		{"a channel without pictures", func(w *platform.Wish) { w.Channel = otherID }, 480},
		{"media to a group", func(w *platform.Wish) { w.To = "239.0.0.1" }, 403},
		{"media to everybody", func(w *platform.Wish) { w.To = "255.255.255.255" }, 403},
		{"media to nobody", func(w *platform.Wish) { w.To = "0.0.0.0" }, 403},
		{"media out of the prefixes", func(w *platform.Wish) { w.To = "192.0.2.7" }, 403},
		{"media to a name", func(w *platform.Wish) { w.To = "example.org" }, 488},
		{"nonsense", func(w *platform.Wish) { w.SDP = "hello" }, 488},
		{"an empty offer", func(w *platform.Wish) { w.SDP = "v=0\r\n" }, 488},
		{"speech to the box", func(w *platform.Wish) { w.Kind = "Talk" }, 488},
		{"playback without a time", func(w *platform.Wish) { w.Kind = "Playback" }, 488},
		{"playback where nothing is kept", func(w *platform.Wish) {
			w.Kind, w.From, w.Until, w.SSRC = "Playback", now.Add(-time.Hour), now, "1200004321"
		}, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := good()
			tc.change(&w)
			_, err := b.p.Invite(b.ctx, w)
			var r platform.Refused
			if !errors.As(err, &r) || r.Code != tc.code {
				t.Errorf("%v, want %d", err, tc.code)
			}
		})
	}
	if n := len(b.d.Status().Platforms[0].Sessions); n > 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestNoMoreSessionsThanPermittedAndNoneBeyondTheBudget(t *testing.T) {
	left := 300_000
	var mu sync.Mutex
	b := newBench(t, stream.H264, nil, func(o *Opts) {
		o.MostSessions = 1
		o.Budget = func() int { mu.Lock(); defer mu.Unlock(); return left }
	})
	b.await("signed in", 1)
	set := func(n int) { mu.Lock(); left = n; mu.Unlock() }
	w := platform.Wish{Device: deviceID, Channel: channelID}
	set(1000)
	var r platform.Refused
	if _, err := b.p.Invite(b.ctx, w); !errors.As(err, &r) || r.Code != 486 {
		t.Errorf("beyond the budget: %v", err)
	}
	set(10_000_000)
	c, err := b.p.Invite(b.ctx, w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.p.Invite(b.ctx, w); !errors.As(err, &r) || r.Code != 486 {
		t.Errorf("a second session: %v", err)
	}
	// The link narrows: key pictures alone go on.
	set(1)
	stop := b.feed(stream.H264)
	for ss := b.d.Status().Platforms[0].Sessions; len(ss) != 1 || !ss[0].KeysOnly; ss = b.d.Status().Platforms[0].Sessions {
		if b.ctx.Err() != nil {
			t.Fatal("it went on with all pictures")
		}
		time.Sleep(time.Millisecond)
	}
	set(10_000_000)
	for ss := b.d.Status().Platforms[0].Sessions; len(ss) != 1 || ss[0].KeysOnly; ss = b.d.Status().Platforms[0].Sessions {
		if b.ctx.Err() != nil {
			t.Fatal("it did not come back")
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	if _, err := c.Bye(b.ctx); err != nil {
		t.Error(err)
	}
}

func TestASessionEndsWithItsStreamAndIsSaidToHave(t *testing.T) {
	b := newBench(t, stream.H264, nil, nil)
	b.await("signed in", 1)
	c, err := b.p.Invite(b.ctx, platform.Wish{Device: deviceID, Channel: channelID})
	if err != nil {
		t.Fatal(err)
	}
	b.stream.End()
	select {
	case <-c.Ended:
	case <-b.ctx.Done():
		t.Error("no BYE came")
	}
}

func TestSeveralPlatformsAreServedByThemselves(t *testing.T) {
	const secondID = "34020000002000000002"
	second, err := platform.Start("127.0.0.1", platform.Ways{ID: secondID, Realm: realm, Passwords: map[string]string{deviceID: "other"}, Algorithm: "SHA-256"})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, stream.H264, nil, func(o *Opts) {
		p := o.Platforms[0]
		p.Name, p.ID, p.Port, p.Password, p.Transport = "市平台", secondID, second.Port(), "other", "tcp"
		o.Platforms = append(o.Platforms, p)
	})
	t.Cleanup(second.Close)
	b.await("signed in", 1)
	if err := second.Await(b.ctx, "signed in", 1); err != nil {
		t.Fatal(err)
	}
	stop := b.feed(stream.H264)
	defer stop()
	one, err := b.p.Invite(b.ctx, platform.Wish{Device: deviceID, Channel: channelID, SSRC: "0200000001"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := second.Invite(b.ctx, platform.Wish{Device: deviceID, Channel: channelID, Way: "passive", SSRC: "0200000002"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*platform.Call{one, two} {
		m, err := c.AwaitUnits(b.ctx, 40)
		if err != nil {
			t.Fatal(err)
		}
		b.decoded(m, stream.H264)
	}
	if code, err := one.Bye(b.ctx); err != nil || code != 200 {
		t.Fatal(code, err)
	}
	n := two.Media().Units
	if _, err := two.AwaitUnits(b.ctx, n+40); err != nil {
		t.Errorf("the second ended with the first: %v", err)
	}
	st := b.d.Status()
	if len(st.Platforms) != 2 || len(st.Platforms[1].Sessions) != 1 || st.Platforms[1].Sessions[0].Way != "tcp-active" {
		t.Errorf("%+v", st)
	}
}

func TestAPlatformSeesItsOwnChannelsAndNoOthers(t *testing.T) {
	const secondID, theirs = "34020000002000000002", "34020000001320000077"
	second, err := platform.Start("127.0.0.1", platform.Ways{ID: secondID, Realm: realm, Passwords: map[string]string{deviceID: "other"}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, stream.H264, nil, func(o *Opts) {
		p := o.Platforms[0]
		p.Name, p.ID, p.Port, p.Password, p.Records = "市平台", secondID, second.Port(), "other", nil
		p.Channels = []Channel{{ID: theirs, Name: "河口", Stream: p.Channels[0].Stream}}
		o.Platforms[0].Records = &kept{}
		o.Platforms = append(o.Platforms, p)
	})
	t.Cleanup(second.Close)
	if err := second.Await(b.ctx, "signed in", 1); err != nil {
		t.Fatal(err)
	}
	out, err := second.Ask(b.ctx, deviceID, "Query", "Catalog", deviceID, "")
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(out, ""); !strings.Contains(all, theirs) || strings.Contains(all, channelID) || !strings.Contains(all, "<SumNum>1</SumNum>") {
		t.Errorf("the catalog: %s", all)
	}
	var r platform.Refused
	if _, err := second.Invite(b.ctx, platform.Wish{Device: deviceID, Channel: channelID}); !errors.As(err, &r) || r.Code != 404 {
		t.Errorf("another's channel: %v", err)
	}
	now := time.Now()
	if _, err := second.Invite(b.ctx, platform.Wish{Device: deviceID, Channel: theirs, Kind: "Playback", SSRC: "1200000001", From: now.Add(-time.Hour), Until: now}); !errors.As(err, &r) || r.Code != 404 {
		t.Errorf("records that it may not see: %v", err)
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	good := Platform{Name: "p", ID: platformID, Host: "10.0.0.1", Device: deviceID}
	for code, change := range map[string]func(*Opts){
		"gb28181.id":        func(o *Opts) { o.Platforms[0].Device = "3402" },
		"gb28181.twice":     func(o *Opts) { o.Platforms[0].Channels = []Channel{{ID: channelID}, {ID: channelID}} },
		"gb28181.address":   func(o *Opts) { o.Platforms[0].Host = "" },
		"gb28181.transport": func(o *Opts) { o.Platforms[0].Transport = "sctp" },
		"gb28181.charset":   func(o *Opts) { o.Platforms[0].Charset = "BIG5" },
	} {
		o := Opts{Platforms: []Platform{good}}
		change(&o)
		_, err := New(o)
		var e *phrase.Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
	if _, err := New(Opts{Platforms: []Platform{good}}); err != nil {
		t.Errorf("a good one: %v", err)
	}
}
