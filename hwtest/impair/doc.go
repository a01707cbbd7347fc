// Package impair is a bad IP link of the bench: rate, delay, jitter, loss in runs, duplicates, packets that
// overtake each other, a full queue, blackouts, and the meter for bytes on the wire.
//
// A Way is one direction of it as arithmetic over given instants: no clock, no goroutine, the same every time
// from the same seed. A Link puts two of them around real sockets, in four ways:
//
//   - UDP: a proxy on loopback, no rights needed. Each datagram goes through the way.
//   - TCP: a proxy on loopback, no rights needed. The kernel's own TCP ends at the proxy, so its stream is cut
//     into segments that are lost, sent again after a time that doubles, acknowledged and held in order
//     behind what is missing. That is near, not the same: the client is connected before the far end is
//     asked, there is no fast retransmission and no congestion window.
//   - WHIP: a proxy on loopback of a WHIP or WHEP server, no rights needed. Signalling and media both go through
//     the link, and share its rate: the answer names ports of the link, the offer none.
//   - Pair: two network namespaces with a TUN device each and the kernel's real TCP and UDP between them.
//     Needs root.
//
// What is lost still takes its time on the sender's wire; a packet is lost to a blackout that it meets
// anywhere from its first bit to its arrival.
//
// To squeeze a station's picture, let the county's url: be WHIP's address of its listen:, then Set and Cut as the
// link changes:
//
//	l := impair.New(impair.Setting{Rate: 8e6}, impair.Fibre, 1)
//	url, err := l.WHIP("127.0.0.1:8472")
//	l.Set(impair.Setting{Rate: 64e3}, impair.Fibre)
//
// It imports nothing of firmware or drivers. Sources: E. N. Gilbert, Capacity of a burst-noise channel (1960);
// RFC 6298 (the retransmission time-out and its doubling);
// RFC 8839 (candidates in a description); linux/if_tun.h.
package impair
