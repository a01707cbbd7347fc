package rtsp

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"

	"tocsin/firmware/video/stream"
)

// push is a session that publishes.
type push struct {
	w     *stream.Writer
	f     *feed
	heard atomic.Int64  // when its last picture or sound came, on the box's clock
	over  chan struct{} // closed when it has given its stream back
}

func newPush(w *stream.Writer, picture, sound *track, notes []stream.Note, now func() time.Duration) *push {
	p := &push{w: w, f: newFeed(picture, sound), over: make(chan struct{})}
	p.heard.Store(int64(now()))
	p.f.write = func(_ bool, do func(*stream.Writer)) {
		p.heard.Store(int64(now()))
		do(w)
	}
	for _, n := range notes {
		w.Note(n)
	}
	return p
}

// begin takes what the pusher set up; false where that is no picture.
func (p *push) begin(ss *gortsplib.ServerSession) bool {
	set := ss.Medias()
	if !slices.Contains(set, p.f.picture.media) {
		return false
	}
	ss.OnPacketRTP(p.f.picture.media, p.f.picture.format, p.f.video)
	if s := p.f.sound; s != nil {
		if slices.Contains(set, s.media) {
			ss.OnPacketRTP(s.media, s.format, p.f.audio)
		} else {
			p.w.Note(stream.SoundAbsent)
		}
	}
	return true
}

func (p *push) close(why error) {
	p.w.Close(why)
	close(p.over)
}
