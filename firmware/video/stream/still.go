package stream

import "time"

// mostStill is the biggest still that is kept, in bytes.
const mostStill = 512 << 10

// Still is one picture as JPEG, for links that bear no video.
type Still struct {
	JPEG []byte
	// At is when it came, on the box's monotonic clock.
	At time.Duration
	// Number counts them from 1.
	Number uint64
}

// Show keeps the latest still; what is no JPEG or beyond 512 KiB is refused.
func (s *Stream) Show(jpeg []byte) error {
	if len(jpeg) < 4 || len(jpeg) > mostStill || jpeg[0] != 0xff || jpeg[1] != 0xd8 {
		return ErrUnit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.still = Still{JPEG: jpeg, At: s.o.Now(), Number: s.still.Number + 1}
	return nil
}

// Still is the latest; Number is 0 where there was none.
func (s *Stream) Still() Still {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.still
}

// Key is the last key picture that is kept, nil where none is.
func (s *Stream) Key() *Unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept()
}
