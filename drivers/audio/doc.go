// Package audio plays sound: on an ALSA card by its kernel interface, without
// cgo (Card), and into files that the bench and the status page listen to
// (File).
//
// It starts no goroutine. It never mixes and never keeps a card open between
// soundings. What a card cannot play as it is asked (one channel, 16 kHz) is
// converted here, since no library stands between.
//
// Source: the kernel's user interface include/uapi/sound/asound.h, protocol
// 2.0.x (PCM) and 2.0.x (control); struct sizes are held in layout_*.go.
package audio
