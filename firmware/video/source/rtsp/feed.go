package rtsp

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"

	"tocsin/firmware/video/stream"
)

// feed takes the packets of one connection's tracks and writes what they make, where
// write lets it. Tracks that come by UDP come in goroutines of their own.
type feed struct {
	picture, sound *track

	// write calls do with the writer if this feed is the one that writes now; key says
	// that a key picture is offered.
	write func(key bool, do func(*stream.Writer))

	mu       sync.Mutex
	put      pictures
	clock    unwrap
	told     bool // the parameter sets of the description are with the stream
	pictured atomic.Uint64
	lost     atomic.Uint64
}

func newFeed(picture, sound *track) *feed {
	f := &feed{picture: picture, sound: sound}
	f.put = pictures{codec: picture.codec, done: f.done, lost: f.gone}
	return f
}

// video takes a packet of the picture's track.
func (f *feed) video(p *rtp.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put.take(p)
}

func (f *feed) done(pts int64, nals [][]byte, key bool) {
	f.pictured.Add(1)
	f.write(key, func(w *stream.Writer) {
		if !f.told && f.picture.sets != nil {
			// Some never say their parameter sets in the stream. What it says itself comes
			// later and has the last word.
			nals = append(append([][]byte{}, f.picture.sets...), nals...)
		}
		f.told = true
		_ = w.Picture(f.picture.codec, pts, pts, nals)
	})
}

// gone asks for a key picture where the source can be asked: what follows a picture
// that is not whole shows its damage.
func (f *feed) gone() {
	f.lost.Add(1)
	f.write(false, func(w *stream.Writer) { w.Stream().AskKey() })
}

// audio takes a packet of the sound's track.
func (f *feed) audio(p *rtp.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(p.Payload) == 0 {
		return
	}
	pts := f.clock.next(p.Timestamp)
	f.write(false, func(w *stream.Writer) { _ = w.Sound(f.sound.codec, pts, bytes.Clone(p.Payload)) })
}
