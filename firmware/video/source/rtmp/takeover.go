package rtmp

import "time"

// A drone that lost its link comes back before anybody here knows that it was gone: the old
// connection gives no sign of it for half a minute. Who comes with the stream's key takes the
// stream over from a publisher that is silent; from one that is not, never.
const (
	// silent is how long a publisher says nothing until its stream can be taken over: longer
	// than a link's hiccup, and shorter than an encoder waits for an answer.
	silent = 3 * time.Second
	// ceasing is how long its end may take.
	ceasing = 2 * time.Second
)

func (s *Server) begin(e *session) {
	s.mu.Lock()
	s.live[e.name] = e
	s.mu.Unlock()
}

func (s *Server) cease(e *session) {
	s.mu.Lock()
	if s.live[e.name] == e {
		delete(s.live, e.name)
	}
	s.mu.Unlock()
	close(e.over)
}

// takeOver ends a stream's publisher, if it is one of ours and silent. It looks for as long as it takes
// to know.
func (s *Server) takeOver(name string) bool {
	s.mu.Lock()
	old := s.live[name]
	s.mu.Unlock()
	if old == nil {
		return false
	}
	heard := old.heard.Load()
	wait := time.NewTimer(time.Until(time.UnixMilli(heard).Add(silent)))
	defer wait.Stop()
	select {
	case <-old.over:
		return true
	case <-wait.C:
	}
	if old.heard.Load() != heard {
		return false
	}
	old.conn.Close()
	wait.Reset(ceasing)
	select {
	case <-old.over:
		return true
	case <-wait.C:
		return false
	}
}
