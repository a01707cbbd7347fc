package line

import "time"

// Traced is one frame as it was on the wire, or the failure in place of one, without its
// meaning.
type Traced struct {
	At    time.Time
	Kind  string // as Frame has it
	Fault string
	Unit  uint8
	Bytes []byte
}

// Trace gives what came after a number that an earlier Trace gave (0 for all that is kept),
// the number to go on from, and how many frames in between nobody has any more.
func (l *Line) Trace(after uint64) (frames []Traced, next uint64, lost int) {
	first, slots := l.frames.copied()
	next = first + uint64(len(slots)) - 1
	if after > next {
		after = 0 // of another run of the line
	}
	if after > 0 && first > after+1 {
		lost = int(first - after - 1)
	}
	for i, s := range slots {
		if first+uint64(i) <= after {
			continue
		}
		f := Traced{At: s.at, Kind: s.kind.String(), Unit: s.unit, Bytes: s.b[:s.wire:s.wire]}
		if s.kind == 0 {
			f.Kind, f.Fault = "fault", s.fault.String()
		}
		frames = append(frames, f)
	}
	return frames, next, lost
}
