package main

import (
	"fmt"
	"time"
)

// videoRooms are the rooms that take pictures apart or speak with whoever sends or
// watches them; a test holds videoTargets to their fuzz targets.
var videoRooms = []string{"firmware/video/source/rtmp", "firmware/video/gb28181/ps", "firmware/video/gb28181", "firmware/video/stream", "firmware/video/whep"}

var videoTargets = []fuzzTarget{
	{"firmware/video/source/rtmp", "FuzzChunks"},
	{"firmware/video/source/rtmp", "FuzzAMF"},
	{"firmware/video/source/rtmp", "FuzzTags"},
	{"firmware/video/source/rtmp", "FuzzSession"},
	{"firmware/video/gb28181/ps", "FuzzDemuxer"},
	{"firmware/video/gb28181/ps", "FuzzReceiver"},
	{"firmware/video/gb28181", "FuzzOffer"},
	{"firmware/video/gb28181", "FuzzWish"},
	{"firmware/video/gb28181", "FuzzChallenge"},
	{"firmware/video/gb28181", "FuzzSIP"},
	{"firmware/video/stream", "FuzzPicture"},
	{"firmware/video/whep", "FuzzOffer"},
}

// videoFuzz counts the targets of live pictures that crash.
func videoFuzz(b *bench) error {
	root, err := moduleRoot(b)
	if err != nil {
		return err
	}
	each := choose(b.long, 10*time.Minute, 3*time.Second)
	failed, err := b.fuzzEach(root, videoTargets, each)
	if err != nil {
		return err
	}
	b.tellWhy("video.fuzz_crashes", float64(failed), len(videoTargets), fmt.Sprintf("each target for %v", each))
	return nil
}
