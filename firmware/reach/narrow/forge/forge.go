package forge

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// Count is what came of one link.
type Count struct {
	Link string
	// Forged messages were tried, of which Accepted were taken for something.
	Forged, Accepted int
	// Genuine ones were brought, of which Refused were not taken.
	Genuine, Refused int
	// Kinds tells how many of each kind of forgery were tried; First is the first that was accepted.
	Kinds map[string]int
	First string
}

// receiver is one kind of link end.
type receiver struct {
	name string
	// genuine makes the next message for it.
	genuine func() ([]byte, error)
	// others make false messages, each in its own way.
	others map[string]func() ([]byte, error)
	// take brings it a message; true where it took it for something new.
	take func([]byte) bool
	// noise begins what is random.
	noise []byte
}

const (
	genuineEach = 12 // one genuine message among so many false ones
	pastMost    = 2000
)

// All tries n false messages on each kind of link end. The same seed gives the same ones.
func All(seed uint64, n int) ([]Count, error) {
	r := rand.New(rand.NewPCG(seed, 0xF0))
	var all []Count
	for _, open := range []func(*rand.Rand) (*receiver, error){narrowUp, narrowDown, datagrams, letters, envelopes, warnings} {
		x, err := open(r)
		if err != nil {
			return nil, err
		}
		c, err := x.try(r, n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// try brings n false messages, and genuine ones between them.
func (x *receiver) try(r *rand.Rand, n int) (Count, error) {
	c := Count{Link: x.name, Kinds: map[string]int{}}
	var past [][]byte // what was taken
	next, err := x.genuine()
	if err != nil {
		return c, err
	}
	names := append(slices.Sorted(maps.Keys(changes)), slices.Sorted(maps.Keys(x.others))...)
	for c.Forged < n {
		if c.Forged%genuineEach == genuineEach-1 || len(past) == 0 {
			c.Genuine++
			if !x.take(next) {
				c.Refused++
			}
			if past = append(past, next); len(past) > pastMost {
				past = slices.Delete(past, pastMost/2, pastMost/2+1) // so that old ones stay, and new ones
			}
			if next, err = x.genuine(); err != nil {
				return c, err
			}
		}
		kind := names[r.IntN(len(names))]
		var b []byte
		if other := x.others[kind]; other != nil {
			if b, err = other(); err != nil {
				return c, err
			}
		} else {
			of := next // it is tried before the true one comes
			if r.IntN(2) == 0 {
				of = past[r.IntN(len(past))]
			}
			b = changes[kind](r, bytes.Clone(of), past)
			if kind != replay && (bytes.Equal(b, next) || slices.ContainsFunc(past, func(p []byte) bool { return bytes.Equal(p, b) })) {
				continue
			}
		}
		if kind == noisy {
			b = append(bytes.Clone(x.noise), b...)
		}
		c.Forged++
		c.Kinds[kind]++
		if x.take(b) {
			if c.Accepted++; c.First == "" {
				c.First = fmt.Sprintf("%s: %x", kind, b)
			}
		}
	}
	return c, nil
}

const (
	replay = "replay"
	noisy  = "noise"
)

// changes make a false message of a genuine one.
var changes = map[string]func(r *rand.Rand, b []byte, past [][]byte) []byte{
	replay: func(r *rand.Rand, _ []byte, past [][]byte) []byte {
		if r.IntN(2) == 0 { // one of the last
			return past[len(past)-1-r.IntN(min(len(past), 20))]
		}
		return past[r.IntN(len(past))]
	},
	"cut":    func(r *rand.Rand, b []byte, _ [][]byte) []byte { return b[:r.IntN(len(b))] },
	"behead": func(r *rand.Rand, b []byte, _ [][]byte) []byte { return b[1+r.IntN(len(b)-1):] },
	"longer": func(r *rand.Rand, b []byte, _ [][]byte) []byte {
		for range 1 + r.IntN(12) {
			b = append(b, byte(r.Uint32()))
		}
		return b
	},
	"flip": func(r *rand.Rand, b []byte, _ [][]byte) []byte {
		for range 1 + r.IntN(3) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		return b
	},
	"splice": func(r *rand.Rand, b []byte, past [][]byte) []byte {
		o := past[r.IntN(len(past))]
		at := 1 + r.IntN(min(len(b), len(o))-1)
		if r.IntN(2) == 0 { // the head of one and the seal of the other
			return append(b[:len(b)-min(8, at)], o[len(o)-min(8, at):]...)
		}
		return append(b[:at], o[at:]...)
	},
	noisy: func(r *rand.Rand, b []byte, _ [][]byte) []byte {
		b = b[:r.IntN(len(b))]
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	},
}
