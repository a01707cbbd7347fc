package gb28181

import (
	"context"
	"errors"
	"io"
	"time"
)

const (
	glance    = 100 * time.Millisecond // how often a wish is looked for while waiting
	mostPause = 30 * time.Minute
	keysFrom  = 4 // times real speed from which key pictures alone go out
)

var errTornDown = errors.New("the platform tore the playback down")

// pacer says when a unit of a record is due. The zero pacer begins with the first.
type pacer struct {
	scale float64
	begun bool
	start time.Duration // on the monotonic clock
	first time.Duration // of the record's time
}

// due is how long to wait for what stands at that place of the record.
func (p *pacer) due(now, at time.Duration) time.Duration {
	if !p.begun {
		p.begun, p.start, p.first = true, now, at
	}
	return p.start + time.Duration(float64(at-p.first)/p.scale) - now
}

// play sends a record at the pace that the platform asks.
func (s *session) play(ctx context.Context) error {
	pl, err := s.line.p.Records.Open(ctx, s.channel.ID, s.offer.from, s.offer.until)
	if err != nil {
		return err
	}
	defer pl.Close()
	p := pacer{scale: 1}
	if s.offer.kind == "Download" {
		p.scale = s.offer.speed
	}
	for {
		u, err := pl.Next(ctx)
		if errors.Is(err, io.EOF) {
			return s.over(ctx)
		}
		if err != nil {
			return err
		}
		if u.Gap { // nobody waits as long as nothing was recorded
			p.begun = false
		}
		fast := p.scale >= keysFrom && s.offer.kind == "Playback"
		if fast && !(u.Key && u.Codec.Picture()) {
			continue
		}
		moved, err := s.await(ctx, &p, pl, at(u))
		if err != nil {
			return err
		}
		if moved {
			continue
		}
		s.measure()
		if err := s.send(ctx, u); err != nil {
			return err
		}
	}
}

// await waits until a unit is due and does what the platform wishes meanwhile. moved
// says that the record goes on elsewhere.
func (s *session) await(ctx context.Context, p *pacer, pl Player, at time.Duration) (moved bool, err error) {
	d := s.line.d
	var since time.Duration // of the pause
	for {
		select {
		case w := <-s.wishes:
			switch w.method {
			case "TEARDOWN":
				return false, errTornDown
			case "PAUSE":
				s.paused.Store(true)
				since = d.o.Now()
			case "PLAY":
				s.paused.Store(false)
				if w.scale > 0 {
					p.scale = w.scale
				}
				p.begun = false
				if w.seeks {
					return true, pl.Seek(w.at)
				}
			}
			continue
		default:
		}
		wait := glance
		if s.paused.Load() {
			if d.o.Now()-since > mostPause {
				return false, errDeaf
			}
		} else if wait = min(glance, p.due(d.o.Now(), at)); wait <= 0 {
			return false, nil
		}
		if err := d.o.Pause(ctx, wait); err != nil {
			return false, err
		}
	}
}
