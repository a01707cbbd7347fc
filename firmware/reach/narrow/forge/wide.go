package forge

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

func content(r *rand.Rand) []byte {
	b := make([]byte, 1+r.IntN(200))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func free(uint64) error { return nil }

// datagrams are reach/wire's.
func datagrams(r *rand.Rand) (*receiver, error) {
	k, err := keys(1)
	if err != nil {
		return nil, err
	}
	foreign, err := keys(2)
	if err != nil {
		return nil, err
	}
	const index = 77
	sealed := func(k *wire.Keys, d wire.Direction) func() ([]byte, error) {
		c := wire.NewCounter(0, free)
		return func() ([]byte, error) { return wire.SealDatagram(content(r), index, k, d, c) }
	}
	w := &wire.Window{}
	return &receiver{name: "datagram", noise: []byte{0xC2, 1, 0, 0, 0, index},
		genuine: sealed(k, wire.Up),
		others:  map[string]func() ([]byte, error){"other root": sealed(foreign, wire.Up), "own way": sealed(k, wire.Down)},
		take: func(b []byte) bool {
			_, _, err := wire.OpenDatagram(b, []*wire.Keys{k}, wire.Up, w)
			return err == nil
		}}, nil
}

// letters are reach/letter's datagrams.
func letters(r *rand.Rand) (*receiver, error) {
	k, err := letter.NewKey(bytes.Repeat([]byte{1}, letter.KeySize))
	if err != nil {
		return nil, err
	}
	foreign, err := letter.NewKey(bytes.Repeat([]byte{2}, letter.KeySize))
	if err != nil {
		return nil, err
	}
	sealed := func(k *letter.Key, d letter.Direction) func() ([]byte, error) {
		n := uint64(0)
		return func() ([]byte, error) {
			n++
			return k.Seal(d, &letter.Datagram{Counter: n, Letter: letter.Letter{ID: fmt.Sprint("a-", n), Class: letter.Class(r.IntN(6)), Body: content(r)}})
		}
	}
	w := &letter.Window{}
	return &receiver{name: "letter", noise: append([]byte{0x10}, k.ID[:]...),
		genuine: sealed(k, letter.FromStation),
		others:  map[string]func() ([]byte, error){"other root": sealed(foreign, letter.FromStation), "own way": sealed(k, letter.FromHub)},
		take: func(b []byte) bool {
			g, err := k.Open(letter.FromStation, b)
			return err == nil && w.Accept(g.Counter)
		}}, nil
}

// envelopes are sealed ones over IP.
func envelopes(r *rand.Rand) (*receiver, error) {
	k, err := keys(1)
	if err != nil {
		return nil, err
	}
	foreign, err := keys(2)
	if err != nil {
		return nil, err
	}
	sealed := func(k *wire.Keys, d wire.Direction) func() ([]byte, error) {
		n := uint64(0)
		return func() ([]byte, error) {
			n++
			e := wire.Envelope{ID: wire.ID{Station: site, Boot: 0xA1B2C3, Sequence: n}, Class: wire.Class(r.IntN(6)), Created: 1_790_000_000_000, Type: wire.TypeCAP, Content: content(r)}
			if r.IntN(2) == 0 {
				e.Slot, e.Extensions = "slot", []wire.Extension{{Type: 3, Bytes: []byte{1}}}
			}
			return e.Append(nil, k, d)
		}
	}
	seen := map[wire.ID]bool{}
	return &receiver{name: "envelope", noise: []byte{0xC1, 0x61},
		genuine: sealed(k, wire.Up),
		others: map[string]func() ([]byte, error){
			"other root": sealed(foreign, wire.Up), "own way": sealed(k, wire.Down), "no seal": sealed(nil, wire.Up),
		},
		take: func(b []byte) bool {
			o, err := wire.OpenEnvelope(b, 4096, []*wire.Keys{k}, wire.Up)
			if err != nil || !o.Sealed || o.Unknown || seen[o.ID] {
				return false
			}
			seen[o.ID] = true
			return true
		}}, nil
}
