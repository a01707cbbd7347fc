package narrow

import (
	"maps"
	"slices"

	"tocsin/firmware/reach/wire"
)

// ledger knows which of the peer's messages were kept, and of which it was not told yet.
type ledger struct {
	kept []uint64 // rising
	due  map[uint64]bool
	// came are the seals of the messages: a peer that lost what it kept may use a counter for another message.
	came map[uint64][sealSize]byte
}

// sealSize is that of a message's MAC, its last bytes. It is over the whole message and its counter.
const sealSize = 8

func sealOf(message []byte) (s [sealSize]byte) {
	copy(s[:], message[max(0, len(message)-sealSize):])
	return s
}

// note remembers a message that came, kept or not.
func (l *ledger) note(n uint64, message []byte) {
	if l.came == nil {
		l.came = map[uint64][sealSize]byte{}
	}
	l.came[n] = sealOf(message)
	if len(l.came) > 2*keptMost {
		maps.DeleteFunc(l.came, func(n uint64, _ [sealSize]byte) bool { return !l.has(n) })
	}
}

// same tells whether this very message was kept with its counter.
func (l *ledger) same(n uint64, message []byte) bool {
	s, there := l.came[n]
	return there && s == sealOf(message) && l.has(n)
}

const keptMost = wire.WindowSize

// keep notes that a message's content is kept; once more where the peer sent it again.
func (l *ledger) keep(n uint64) {
	if i, there := slices.BinarySearch(l.kept, n); !there {
		l.kept = slices.Insert(l.kept, i, n)
	}
	if l.due == nil {
		l.due = map[uint64]bool{}
	}
	l.due[n] = true
	for len(l.kept) > keptMost {
		delete(l.due, l.kept[0])
		l.kept = l.kept[1:]
	}
}

func (l *ledger) has(n uint64) bool { _, there := slices.BinarySearch(l.kept, n); return there }

// acks gives at most so many acknowledgements, the newest first, which cover all that is due as far as they reach, and
// what was told before where that costs nothing.
func (l *ledger) acks(most int) (all []wire.Ack) {
	due := make([]uint64, 0, len(l.due))
	for n := range l.due {
		due = append(due, n)
	}
	slices.Sort(due)
	for len(due) > 0 && len(all) < most {
		h := due[len(due)-1]
		i, _ := slices.BinarySearch(l.kept, h-min(h, 32))
		a := wire.Ack{Base: l.kept[i]}
		for _, n := range l.kept[i+1:] {
			if n > h {
				break
			}
			a.More |= 1 << (n - a.Base - 1)
		}
		all = append(all, a)
		i, _ = slices.BinarySearch(due, a.Base)
		due = due[:i]
	}
	return all
}

// told notes that the peer was told.
func (l *ledger) told(all []wire.Ack) {
	for _, a := range all {
		for n := range l.due {
			if a.Covers(n) {
				delete(l.due, n)
			}
		}
	}
}
