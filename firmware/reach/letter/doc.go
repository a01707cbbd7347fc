// Package letter is what a station and its county's hub agree on about the
// outside of a message: which station, which class, which id, where it goes over
// NATS, and how it is sealed in a datagram. What is inside is opaque here.
//
// It is bytes and names only: it opens no connection, keeps nothing on a disk and
// judges nobody. It never shortens what does not fit and never reads past its
// bounds. An id names one body for ever: a hub that gets the same id again takes
// it for a copy, and the same id with other bytes for a fault.
//
// # Over NATS
//
//	up.<pp>.<cccccc>.<station>.<class>           a station's letters, stream UP
//	down.<pp>.<cccccc>.<station>.<class>         letters to a station, stream DOWN
//	rcpt.<pp>.<cccccc>.<station>.up.<id>         the hub has kept it, stream RCPT
//	rcpt.<pp>.<cccccc>.<station>.down.<id>       the station has taken it, stream RCPT
//	rcpt.<pp>.<cccccc>.<station>.also.<id>       it came to the hub by one more link, stream RCPT
//
// pp and cccccc are the province and the county of the station's division code
// (GB/T 2260). Headers: Tocsin-Id, Tocsin-Link (the name of the link it left by)
// and Nats-Msg-Id, which is made of the station, the id and the digest of the
// body, so that a copy is dropped and a different body is not.
//
// Pictures are asked for over the same connection, kept by nobody (letters to nobody who
// is away would ask for what nobody waits for any more):
//
//	see.<pp>.<cccccc>.<station>.ask              the hub asks: push this stream, stop, or bring the clips; answered once
//	see.<pp>.<cccccc>.<station>.told             the station tells which pictures it has
//
// A voice from the county goes there too, sealed (reach/talk), kept by nobody:
//
//	talk.<pp>.<cccccc>.<station>.down            a talker's order and frames
//	talk.<pp>.<cccccc>.<station>.up              the box's answer and reports
//
// Software is asked for and fetched part by part, by the station (release.go):
//
//	rel.<pp>.<cccccc>.<station>.ask              what runs here; answered by what the hub offers
//	rel.<pp>.<cccccc>.<station>.part             one part of a package; answered by its bytes
//
// Who may publish and read there is the hub's own by ask, the station's own by told: the
// account of each says so. A push names the hub's address for WHIP and a bearer's token for
// that station and stream, good once and for five minutes (TokenFor).
//
// # In a datagram
//
//	0        1            5                  11
//	+--------+------------+------------------+----------------------+-----------+
//	| v:4 k:4|  key id 32 |   counter 48     |  ciphertext          | tag 128   |
//	+--------+------------+------------------+----------------------+-----------+
//
// v is 1, k the kind. One root key of 32 bytes is shared by a station and its hub;
// key id and one key for each direction come from it by HKDF-SHA-256 (RFC 5869).
// The AEAD is XChaCha20-Poly1305 (RFC 8439, extended nonce); the nonce is the
// direction, 17 zero bytes and the counter, the first eleven bytes are the
// associated data. A counter is used once in the life of a key: whoever seals
// brings counters that a power cut cannot bring back.
//
//	kind 0  letter   class 8, length of the id 8, id, body
//	kind 1  answer   counter 48 of the letter, word 8: 0 kept, 1 later, 2 refused
//	kind 2  probe    nothing
//	kind 3  echo     low 16 bits of the probe's counter
//
// What is received is opened by its key id, held against a window of the last
// 256 counters (the way of RFC 4303, 3.4.3) and only then believed.
package letter
