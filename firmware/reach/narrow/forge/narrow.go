package forge

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"

	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
)

const (
	station = "4207733"
	county  = "179773"
	site    = "441881102"
	room    = 78
)

// memory is a Keep that forgets with the process.
type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (k *memory) Get(key string) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, ok := k.m[key]
	return b, ok
}

func (k *memory) Put(_ context.Context, key string, v []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.m[key] = v
	return nil
}

func keys(n byte) (*wire.Keys, error) {
	return wire.NewKeys(bytes.Repeat([]byte{n}, wire.RootSize), site, 1)
}

func narrowUp(r *rand.Rand) (*receiver, error)   { return ends(r, "narrow-up", wire.Up) }
func narrowDown(r *rand.Rand) (*receiver, error) { return ends(r, "narrow-down", wire.Down) }

// ends is a pair of ends, of which the one that is sent to is tried.
func ends(r *rand.Rand, name string, d wire.Direction) (*receiver, error) {
	self, peer, back := station, county, wire.Down
	if d == wire.Down {
		self, peer, back = county, station, wire.Up
	}
	end := func(root byte, d wire.Direction, self, peer string) (*narrow.End, error) {
		k, err := keys(root)
		if err != nil {
			return nil, err
		}
		return narrow.New(narrow.Opts{Link: name, Direction: d, Keys: []*wire.Keys{k}, Self: self, Peer: peer, Keep: &memory{m: map[string][]byte{}}})
	}
	from, err := end(1, d, self, peer)
	if err != nil {
		return nil, err
	}
	to, err := end(1, back, peer, self)
	if err != nil {
		return nil, err
	}
	other, err := end(2, d, self, peer) // another root
	if err != nil {
		return nil, err
	}
	own, err := end(1, back, self, peer) // what the receiver's own direction has, from the sender's card
	if err != nil {
		return nil, err
	}
	else_, err := end(1, d, "4207734", peer) // the right root on another card
	if err != nil {
		return nil, err
	}
	posted := map[string]bool{}
	var waiting []narrow.Frame
	next := func(e *narrow.End, queue *[]narrow.Frame, note bool) ([]byte, error) {
		for len(*queue) == 0 {
			n := 1 + r.IntN(60)
			if r.IntN(20) == 0 {
				n = 80 + r.IntN(200) // fragments
			}
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			if note {
				posted[string(b)] = true
			}
			frames, err := e.Pack(context.Background(), room, []narrow.Part{{ID: "x", Class: wire.Class(r.IntN(6)), Item: wire.Item{Type: wire.ItemText, Bytes: b}}})
			if err != nil {
				return nil, err
			}
			*queue = append(*queue, frames...)
		}
		f := (*queue)[0]
		*queue = (*queue)[1:]
		return f.Bytes, nil
	}
	var ofOther, ofOwn, ofElse []narrow.Frame
	return &receiver{name: name, noise: []byte{0x80 | byte(r.IntN(6))<<2},
		genuine: func() ([]byte, error) { return next(from, &waiting, true) },
		others: map[string]func() ([]byte, error){
			"other root": func() ([]byte, error) { return next(other, &ofOther, false) },
			"own way":    func() ([]byte, error) { return next(own, &ofOwn, false) },
			"other card": func() ([]byte, error) { return next(else_, &ofElse, false) },
		},
		take: func(b []byte) bool {
			h, err := to.Hear(context.Background(), b, self, 0)
			for _, x := range h.Heard {
				to.Kept(x.Counter)
				for _, i := range x.Items {
					if !posted[string(i.Bytes)] {
						panic("forge: a content that nobody packed was given")
					}
				}
			}
			return err == nil
		}}, nil
}
