package rtsp

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"

	"tocsin/firmware/video/stream"
)

// feed takes the packets of one connection's tracks and writes what they make, as long
// as open lets it. Tracks that come by UDP come in goroutines of their own.
type feed struct {
	picture, sound *track

	// open gives the writer where this feed may write; key says that a key picture is
	// being offered. Nil is no.
	open func(key bool) *stream.Writer

	mu       sync.Mutex
	put      pictures
	clock    unwrap
	told     bool // the parameter sets of the description are with the stream
	pictured atomic.Uint64
	lost     atomic.Uint64
	last     func() // a picture came
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
	w := f.open(key)
	if w == nil {
		return
	}
	if !f.told && f.picture.sets != nil {
		// Some never say their parameter sets in the stream. What it says itself comes later
		// and has the last word.
		nals = append(append([][]byte{}, f.picture.sets...), nals...)
	}
	f.told = true
	if w.Picture(f.picture.codec, pts, pts, nals) != nil {
		return
	}
	f.pictured.Add(1)
	if f.last != nil {
		f.last()
	}
}

// gone asks for a key picture where the source can be asked: what follows a picture
// that is not whole shows its damage.
func (f *feed) gone() {
	f.lost.Add(1)
	if w := f.open(false); w != nil {
		w.Stream().AskKey()
	}
}

// audio takes a packet of the sound's track.
func (f *feed) audio(p *rtp.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(p.Payload) == 0 {
		return
	}
	if w := f.open(false); w != nil {
		_ = w.Sound(f.sound.codec, f.clock.next(p.Timestamp), bytes.Clone(p.Payload))
	}
}
