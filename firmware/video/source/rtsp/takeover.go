package rtsp

import (
	"errors"
	"time"

	"github.com/bluenviron/gortsplib/v5"

	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

// ceasing is how long the end of a pusher may take.
const ceasing = 2 * time.Second

// publish asks the desk. A drone that lost its link comes back before anybody here knows
// that it was gone: who has the key takes the stream over from a pusher of ours that is
// silent, and never from one that is heard.
func (s *Server) publish(a source.Asker) (*stream.Writer, error) {
	w, err := s.o.Desk.Publish(a)
	if !errors.Is(err, stream.ErrTaken) {
		return w, err
	}
	ss, old := s.pusher(a.Stream)
	if old == nil {
		return nil, err
	}
	heard := old.heard.Load()
	wait := time.NewTimer(time.Duration(heard) + s.o.Silent - s.o.Now())
	defer wait.Stop()
	select {
	case <-old.over:
		return s.o.Desk.Publish(a)
	case <-wait.C:
	}
	if old.heard.Load() != heard {
		return nil, err
	}
	ss.Close()
	wait.Reset(ceasing)
	select {
	case <-old.over:
		return s.o.Desk.Publish(a)
	case <-wait.C:
		return nil, err
	}
}

func (s *Server) pusher(name string) (*gortsplib.ServerSession, *push) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ss, e := range s.sessions {
		if e.name == name && e.push != nil {
			return ss, e.push
		}
	}
	return nil, nil
}
