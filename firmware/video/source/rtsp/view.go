package rtsp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtp"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// Payload types of what is given again (RFC 3551 for G.711; the others are ours).
const (
	typePicture = 96
	typeOpus    = 97
	typePCMU    = 0
	typePCMA    = 8
)

// pacing: a key picture goes out over some milliseconds. 8 packets of 1200 bytes a
// millisecond are 77 Mbit/s; the 120 packets of a key picture at 1080p take 15 ms.
const (
	burst = 8
	tick  = time.Millisecond
)

// view is one reader.
type view struct {
	s       *stream.Stream
	name    string
	picture stream.Parameters
	sound   stream.Codec
	own     *gortsplib.ServerStream
	ready   atomic.Bool // PLAY was taken and is being answered

	mu     sync.Mutex
	cancel context.CancelFunc
	ended  chan struct{}
}

// newView looks at what a stream has now.
func newView(s *stream.Stream, name string) (*view, error) {
	st := s.State()
	if st.Picture.Codec == stream.None || st.Picture.SPS == nil {
		return nil, phrase.E("video-rtsp.nothing", "stream", name)
	}
	return &view{s: s, name: name, picture: st.Picture, sound: st.Sound}, nil
}

// description is what a reader is told.
func (v *view) description() *description.Session {
	p := v.picture
	var f format.Format = &format.H264{PayloadTyp: typePicture, SPS: p.SPS, PPS: p.PPS, PacketizationMode: 1}
	if p.Codec == stream.H265 {
		f = &format.H265{PayloadTyp: typePicture, VPS: p.VPS, SPS: p.SPS, PPS: p.PPS}
	}
	d := &description.Session{Title: v.name, Medias: []*description.Media{{Type: description.MediaTypeVideo, Formats: []format.Format{f}}}}
	var s format.Format
	switch v.sound {
	case stream.PCMA:
		s = &format.G711{PayloadTyp: typePCMA, SampleRate: 8000, ChannelCount: 1}
	case stream.PCMU:
		s = &format.G711{PayloadTyp: typePCMU, MULaw: true, SampleRate: 8000, ChannelCount: 1}
	case stream.Opus:
		s = &format.Opus{PayloadTyp: typeOpus, ChannelCount: 2} // always 2 (RFC 7587 section 7)
	default:
		return d
	}
	d.Medias = append(d.Medias, &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{s}})
	return d
}

// start sends to the session until stop.
func (v *view) start(s *Server, ss *gortsplib.ServerSession, to netip.AddrPort) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	v.cancel, v.ended = cancel, ended
	s.o.Go("rtsp reader "+to.String(), func(guard context.Context) error {
		defer close(ended)
		stop := context.AfterFunc(guard, cancel)
		defer stop()
		sound, pictures := false, false
		for _, m := range ss.Medias() {
			sound = sound || m.Type == description.MediaTypeAudio
			pictures = pictures || m.Type == description.MediaTypeVideo
		}
		r := v.s.Reader(stream.ReaderOpts{Name: "rtsp " + to.String(), Sound: sound})
		defer r.Close()
		p := pump{s: s, ss: ss, v: v, pictures: pictures, udp: ss.Transport().Protocol != gortsplib.ProtocolTCP}
		if err := p.run(ctx, r); err != nil && ctx.Err() == nil {
			s.o.Log.Info("RTSP: a reader is let go", "stream", v.name, "to", to, "why", err)
			ss.Close()
		}
		return nil
	})
}

// stop ends the sending and waits for its end.
func (v *view) stop() {
	v.ready.Store(false)
	v.mu.Lock()
	cancel, ended := v.cancel, v.ended
	v.cancel = nil
	v.mu.Unlock()
	if cancel != nil {
		cancel()
		<-ended
	}
}

// pump sends a reader's units.
type pump struct {
	s        *Server
	ss       *gortsplib.ServerSession
	v        *view
	pictures bool
	udp      bool
	sent     int // in this tick
}

var errCodec = errors.New("the stream is of another codec now; ask again")

// line numbers the packets of a track; where it begins is random (RFC 3550 5.1).
type line struct {
	media *description.Media
	pt    uint8
	seq   uint16
	ts    uint32
}

func newLine(m *description.Media) *line {
	var b [6]byte
	rand.Read(b[:])
	return &line{media: m, pt: m.Formats[0].PayloadType(), seq: binary.BigEndian.Uint16(b[:]), ts: binary.BigEndian.Uint32(b[2:])}
}

func (p *pump) run(ctx context.Context, r *stream.Reader) error {
	medias := p.v.own.Desc.Medias
	picture := newLine(medias[0])
	var sound *line
	if len(medias) > 1 {
		sound = newLine(medias[1])
	}
	for {
		u, err := r.Next(ctx)
		if err != nil {
			return err
		}
		// When it came, on the wall clock as the library has it: what binds sound to
		// pictures in sender reports.
		at := time.Now().Add(u.Arrived - p.s.o.Now())
		l := picture
		switch {
		case u.Codec.Picture() && u.Codec != p.v.picture.Codec, !u.Codec.Picture() && u.Codec != p.v.sound:
			return errCodec
		case !u.Codec.Picture():
			l = sound
		case !p.pictures:
			continue
		}
		payloads := u.Payloads()
		for i, b := range payloads {
			pkt := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: l.pt, SequenceNumber: l.seq, Timestamp: l.ts + uint32(u.Time), Marker: u.Codec.Picture() && i == len(payloads)-1}, Payload: b}
			l.seq++
			if err := p.write(ctx, l.media, pkt, at); err != nil {
				return err
			}
		}
	}
}

// write hands a packet to the session's queue. While that is full it waits: the
// cursor falls behind, and what is skipped are whole groups.
func (p *pump) write(ctx context.Context, m *description.Media, pkt *rtp.Packet, at time.Time) error {
	wait := time.Duration(0)
	if p.udp {
		if p.sent++; p.sent >= burst {
			p.sent, wait = 0, tick
		}
	}
	for {
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err := p.ss.WritePacketRTPWithNTP(m, pkt, at)
		if !errors.As(err, &liberrors.ErrServerWriteQueueFull{}) {
			return err
		}
		wait = 5 * time.Millisecond
	}
}
