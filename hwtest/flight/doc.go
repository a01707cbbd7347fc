// Package flight is what a simulated drone films: six seconds along a valley with a river in flood, a road and a
// village, which join on to themselves. H.264 constrained baseline, 640 x 360, 15 pictures a second, a key picture
// each two seconds, no B-frames: what a drone's encoder sends at its low setting.
//
// The land is drawn by make.go, from arithmetic alone; ffmpeg encodes it. Nobody's picture is in it.
//
// It imports nothing of firmware.
package flight

import _ "embed"

//go:generate go run make.go

// H264 is the film as an Annex B stream.
//
//go:embed flight.h264
var H264 []byte

// PerSecond is how many pictures go in a second, Seconds how long the film is.
const (
	PerSecond = 15
	Seconds   = 6
	Width     = 640
	Height    = 360
)
