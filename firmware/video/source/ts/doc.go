// Package ts takes MPEG transport streams apart: what encoders send by UDP, and what comes in
// SRT (package srt). It carries H.264, H.265 and Opus; AAC is noted and dropped, and sound that
// was announced and does not come is not waited for.
//
// A Demuxer takes bytes however they are cut and writes pictures to a stream.Writer. A picture is
// given when it is whole, and not only when the next begins: by the length that a packet told,
// or by the padding that muxers put where a picture ends; of a source that pads elsewhere that is
// noticed, and the next one's begin is waited for. A picture of which a packet was lost is dropped and
// noted. When the tables of the stream change, they are followed. One program and its
// first video are taken; PES packets begin with a start code, as encoders make them
// (broadcasters need not). Scrambled packets are dropped.
//
// A Listener takes a stream by UDP, bare or in RTP (payload type 33). UDP has no key: who may send is
// told by an address prefix, which must be set, and one address at a time is heard. An address can be
// forged by who is on the way: the port belongs on a wire or a VPN of one's own.
//
// # Bounds
//
// 4 MiB of a picture, two tables of 1 KiB, two PIDs; nothing is kept of others.
//
// Sources: ITU-T H.222.0 (08/2023) = ISO/IEC 13818-1: 2.4.3.2 (packets), 2.4.3.6 (PES), 2.4.4.4 (PAT), 2.4.4.9
// (PMT), annex A (CRC), table 2-34 (stream types); RFC 2250, 2 (RTP); ETSI TS 103 491 annex E (Opus).
//
// mediacommon's reader was looked at and not taken: it keeps all that came until every track has shown
// itself, an announced AAC track too, has no bound for a PES packet, and does not follow a changed table.
package ts
