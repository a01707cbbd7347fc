// Package ps is the MPEG program stream as GB/T 28181 carries it: a Muxer that makes
// one of a stream's units, a Demuxer that takes one apart again, and the RTP packets
// between them (payload type 96, 90 kHz, the marker at a unit's end), by datagrams or
// with two bytes of length before each packet on TCP.
//
// Every unit is a pack of its own; a key picture's pack has the system header and the
// program stream map as well, so that a platform can begin there. A picture that does
// not fit one PES packet goes on in further ones, of which only the first tells times.
// Access unit delimiters, which ISO/IEC 13818-1 2.14.1 asks for, are left out: no
// device in the field sends them, and players that look at the first NAL for its type
// would take a key picture for none.
//
// The Demuxer takes what devices send rather than what they should: PES packets
// without a length, maps with a wrong check sum or none at all, private streams,
// pictures in many PES packets with equal times, markers in wrong places. What it
// cannot follow it leaves out up to the next start code, and says so; its memory is
// bounded by MostUnit whatever comes. It is no player of discs: a PES packet with a
// time begins a picture, where discs' packets hold the end of the one before too.
//
// Sources: ISO/IEC 13818-1 (2.4.3.6 PES, 2.5.3 packs, 2.5.4 program stream map, Annex A
// check sum); GB/T 28181-2022 Annex C (RTP), C.2.1 (stream types); RFC 3550 5.1;
// RFC 4571 2.
package ps
