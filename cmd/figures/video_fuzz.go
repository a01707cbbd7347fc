package main

import (
	"fmt"
	"time"
)

// videoFuzz counts the targets of live pictures that crash; it tells of the parsers
// there that no target reaches.
func videoFuzz(b *bench) error {
	root, err := moduleRoot(b)
	if err != nil {
		return err
	}
	each := choose(b.long, 10*time.Minute, 3*time.Second)
	targets, bare, failed, err := b.fuzzRooms(root, videoRooms, each)
	if err != nil {
		return err
	}
	b.tellWhy("video.fuzz_crashes", float64(failed), targets, fmt.Sprintf("each target for %v; %d parsers without one", each, bare))
	return nil
}
