package wire

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"tocsin/firmware/phrase"
)

// RootSize is the size of the secret that a station and its county share.
const RootSize = 32

// Direction is which way a message goes. Each has its own keys and its own counter.
type Direction uint8

// The directions.
const (
	Up    Direction = iota // from a station to its county
	Down                   // from the county to a station
	Aside                  // from a station to the stations that share a root with it
	directions
)

// Keys are what one epoch's messages between two ends are sealed with.
type Keys struct {
	Epoch uint32
	// Pair names the root and the station, in all epochs alike, and tells nothing of the root: what counters and windows are
	// kept under, since a new root begins anew.
	Pair string
	ways [directions]wayKeys
}

type wayKeys struct{ mac, hide, whole, data []byte }

// NewKeys derives the keys of an epoch by HKDF-SHA-256 (RFC 5869, without salt) from the root that the pair shares. station is
// the station's name, so that one root that serves several makes other keys for each.
func NewKeys(root []byte, station string, epoch uint32) (*Keys, error) {
	if len(root) != RootSize {
		return nil, phrase.E("wire.root", "bytes", len(root), "want", RootSize)
	}
	if len(station) == 0 || len(station) > nameMost {
		return nil, phrase.E("wire.name", "bytes", len(station), "most", nameMost)
	}
	pair, err := hkdf.Expand(sha256.New, prk(root), "tocsin wire 1i"+station, 6)
	if err != nil {
		return nil, err
	}
	k := &Keys{Epoch: epoch, Pair: hex.EncodeToString(pair)}
	for d := range directions {
		w := &k.ways[d]
		for _, one := range []struct {
			to    *[]byte
			label byte
			size  int
		}{{&w.mac, 'm', 32}, {&w.hide, 'h', 16}, {&w.whole, 'w', 32}, {&w.data, 'd', 32}} {
			info := append([]byte("tocsin wire 1"), one.label, byte(d))
			info = binary.BigEndian.AppendUint32(info, epoch)
			info = append(info, station...)
			b, err := hkdf.Expand(sha256.New, prk(root), string(info), one.size)
			if err != nil {
				return nil, err
			}
			*one.to = b
		}
	}
	return k, nil
}

func prk(root []byte) []byte {
	b, err := hkdf.Extract(sha256.New, root, nil)
	if err != nil {
		panic(err) // only where SHA-256 is not allowed
	}
	return b
}
