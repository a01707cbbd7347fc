// Package whep shows streams to browsers by WebRTC (WHEP), takes them from drones and
// docks (WHIP, RFC 9725), and pushes one to the county (WHIP as client).
//
// Nothing is encoded: payloads are a stream's own, shared by all viewers, and what a
// viewer lost is sent again from what its stream still holds, without a copy of its
// own. A viewer begins with the key picture that is kept, then follows faster than
// real time until it is live; how old its pictures are is told, never hidden. Key
// pictures are spread over 20 ms, so that they fit the receive buffer of an ordinary
// system. All sessions share one UDP port, and one TCP port of the same number where
// UDP is shut.
//
// Pictures that are shown in another order than they came (B-frames) are left out
// where no other needs them; otherwise browsers are refused with the reason, and the
// stream is recorded and served by RTSP all the same.
//
// Sources: RFC 9725 (WHIP); draft-ietf-wish-whep-03; RFC 8834, 8835; RFC 3550 6.4.1;
// RFC 4585 6.2.1 (NACK), 6.3.1 (PLI); draft-holmer-rmcat-transport-wide-cc-extensions-01.
package whep
