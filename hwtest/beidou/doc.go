// Package beidou is the BeiDou short message service as its users meet it:
// terminals with cards on serial ports, and between them a sky that delays, loses
// and doubles. It is written from the public descriptions of the sentences of
// protocol 2.1 (BeiDou-2) and of RSMC (BeiDou-3) and enforces what the real thing
// enforces: the card's frequency, with the seconds left; the level's bits; no
// sending without a beam or a card; the exact fields of a sentence. After it said
// Y a message may still be lost, and nobody is told.
//
// Everything random comes from one seed. It imports nothing of firmware or
// drivers, so that an error in a codec cannot cancel itself out.
package beidou
