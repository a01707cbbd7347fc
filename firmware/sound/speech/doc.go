// Package speech makes what a sounding plays: an attention tone, then recorded
// words in each language of the site, repeated; and the cadence by which a
// relay gives the same tone to a siren of its own.
//
// Clips live in RAM (Bank), packed as they come (adpcm.go): after arming, no disk is needed to speak. Tones are
// data (Tones, configs/tones.yaml) and are synthesised block by block. Compose
// puts both together; a Programme never changes and is cheap to keep.
//
// It never makes silence of a real warning: a missing clip is replaced by the
// words that its tone means, or by the tone alone, and the Programme says so
// (Problems). It refuses one thing only: a drill or a test whose words "this
// is a drill" are missing, since nobody could tell it from a warning. It never
// decides who speaks, touches no output and starts no goroutine.
//
// Civil-defence patterns are reserved: they are in the data, locked, and no
// open tone may come near them (see check.go).
//
// Sources: attention signal of 4 to 10 s before the first message, repeated
// until changed or silenced: EN 50849:2017 (as EN 60849). Reserved patterns:
// the Chinese civil air-defence signals (36 s on and 24 s off three times, 6 s
// on and 6 s off fifteen times, 3 min steady) and the disaster signal of 15 s
// on and 15 s off six times, as published by city offices.
package speech
