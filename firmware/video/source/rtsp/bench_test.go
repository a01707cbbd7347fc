package rtsp

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Parameter sets of 320×180 as x264 and x265 write them.
var (
	sps264 = unhex("6764000cacb202833f3e0220000003002000000641e28549")
	pps264 = unhex("68ebc3cb22c0")
)

// frame264 is a picture with so many bytes of slice; the number can be found again.
func frame264(i, size int, key bool) [][]byte {
	head := []byte{0x41, 0x9a}
	if key {
		head = []byte{0x65, 0x88}
	}
	n := append(head, []byte(strconv.Itoa(1000000+i))...)
	n = append(n, bytes.Repeat([]byte{0x5a}, size)...)
	if key {
		return [][]byte{sps264, pps264, n}
	}
	return [][]byte{n}
}

// numberOf finds which picture a unit is.
func numberOf(nals [][]byte) int {
	n := nals[len(nals)-1]
	if len(n) < 9 {
		return -1
	}
	i, err := strconv.Atoi(string(n[2:9]))
	if err != nil {
		return -1
	}
	return i - 1000000
}

// desk knows one stream, its key and its view key.
type desk struct {
	s         *stream.Stream
	key, view string
	mu        sync.Mutex
	guesses   int
}

func (d *desk) Publish(a source.Asker) (*stream.Writer, error) {
	if a.Stream != d.s.Name() || a.Key != d.key {
		d.mu.Lock()
		d.guesses++
		d.mu.Unlock()
		return nil, errors.New("wrong key")
	}
	return d.s.Open("rtsp " + a.Remote.String())
}

func (d *desk) View(a source.Asker) (*stream.Stream, error) {
	if a.Stream != d.s.Name() || a.Key != d.view {
		return nil, errors.New("wrong key")
	}
	return d.s, nil
}

type bench struct {
	*testing.T
	ctx    context.Context
	now    func() time.Duration
	desk   *desk
	server *Server
	addr   string
	udp    int
}

// serve runs a server for the length of the test.
func serve(t *testing.T, change func(*Opts)) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	began := time.Now()
	b := &bench{T: t, ctx: ctx, now: func() time.Duration { return time.Since(began) }}
	b.desk = &desk{s: stream.New(stream.Opts{Name: "mast", Now: b.now}), key: "push-key", view: "view-key"}
	var wg sync.WaitGroup
	o := Opts{Listen: "127.0.0.1:0", Desk: b.desk, View: b.desk.View, Now: b.now, UDP: ports(t), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Key: func(name string, view bool) string {
			switch {
			case name != "mast":
				return ""
			case view:
				return b.desk.view
			}
			return b.desk.key
		},
		Go: func(_ string, run func(context.Context) error) { wg.Go(func() { _ = run(ctx) }) }}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.server, b.udp = s, o.UDP
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
			cancel()
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	a, err := s.Address(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.addr = a.String()
	return b
}

// ports finds two free ports, the first of them even.
func ports(t *testing.T) int {
	t.Helper()
	for range 100 {
		a, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := a.LocalAddr().(*net.UDPAddr).Port
		a.Close()
		if p%2 != 0 || p > 65000 {
			continue
		}
		c, err := net.ListenPacket("udp4", "127.0.0.1:"+strconv.Itoa(p+1))
		if err == nil {
			c.Close()
			return p
		}
	}
	t.Fatal("no two free ports")
	return 0
}

// until waits for an event that is told nowhere.
func (b *bench) until(what string, ok func() bool) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("%s: not within 30 s", what)
		}
	}
}

func client(p gortsplib.Protocol) *gortsplib.Client {
	return &gortsplib.Client{Protocol: &p, OnPacketsLost: func(uint64) {}, OnDecodeError: func(error) {}, OnTransportSwitch: func(error) {}}
}

// pusher is an encoder: pictures of H.264 and G.711 by the library's client.
type pusher struct {
	c       *gortsplib.Client
	picture *description.Media
	sound   *description.Media
	enc     interface {
		Encode([][]byte) ([]*rtp.Packet, error)
	}
	audio uint16
}

func (b *bench) push(p gortsplib.Protocol, url string) (*pusher, error) {
	f := &format.H264{PayloadTyp: 96, SPS: sps264, PPS: pps264, PacketizationMode: 1}
	u := &pusher{c: client(p)}
	u.picture = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{f}}
	u.sound = &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{&format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}}}
	e, err := f.CreateEncoder()
	if err != nil {
		b.Fatal(err)
	}
	u.enc = e
	if err := u.c.StartRecording(url, &description.Session{Medias: []*description.Media{u.picture, u.sound}}); err != nil {
		return nil, err
	}
	b.Cleanup(u.c.Close)
	return u, nil
}

func (u *pusher) frame(i int, nals [][]byte) error {
	ps, err := u.enc.Encode(nals)
	if err != nil {
		return err
	}
	for _, p := range ps {
		p.Timestamp = uint32(i) * 3600
		for u.c.WritePacketRTP(u.picture, p) != nil {
			time.Sleep(time.Millisecond)
		}
	}
	u.audio++
	return u.c.WritePacketRTP(u.sound, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: u.audio, Timestamp: uint32(i) * 320}, Payload: bytes.Repeat([]byte{byte(i)}, 320)})
}

// watch reads a stream again and tells the pictures' numbers.
func (b *bench) watch(p gortsplib.Protocol, url string) (numbers <-chan int, sounds <-chan int, err error) {
	c := client(p)
	u, err := base.ParseURL(url)
	if err != nil {
		b.Fatal(err)
	}
	c.Scheme, c.Host = u.Scheme, u.Host
	if err := c.Start(); err != nil {
		return nil, nil, err
	}
	b.Cleanup(c.Close)
	d, _, err := c.Describe(u)
	if err != nil {
		return nil, nil, err
	}
	if err := c.SetupAll(d.BaseURL, d.Medias); err != nil {
		return nil, nil, err
	}
	pics, snds := make(chan int, 4096), make(chan int, 4096)
	picture, sound, _ := choose(d)
	f := newFeed(picture, sound)
	f.put.done = func(_ int64, nals [][]byte, _ bool) {
		select {
		case pics <- numberOf(nals):
		default:
		}
	}
	c.OnPacketRTP(picture.media, picture.format, f.video)
	if sound != nil {
		c.OnPacketRTP(sound.media, sound.format, func(p *rtp.Packet) {
			select {
			case snds <- int(p.Payload[0]):
			default:
			}
		})
	}
	if _, err := c.Play(nil); err != nil {
		return nil, nil, err
	}
	return pics, snds, nil
}
