// Package uplink is the station's end of the links to its county's hub that speak
// IP: NATS over TLS for fibre and 4G, sealed datagrams for satellite.
//
// Both send a letter and say that it is kept only when the hub has it on its disk;
// both bring what the hub sends down, and tell the hub that it was taken only when
// whoever takes it has answered. Neither keeps anything, tries twice what failed to
// be kept, or chooses between links: that is the courier's. A send on a link that is
// down fails at once.
//
// A talk is carried over NATS alone, at once or not at all: a datagram link has no room for
// fifty frames a second beside its letters.
//
// The hub is believed for what was kept, by TLS or the datagram's key, and for
// nothing else: what it brings is judged by its own signature.
//
// Over NATS every wait is long enough for a satellite: 20 s to dial, 30 s for TLS
// and the server's first line; a dead connection is seen in half a minute. The
// dialer may be the caller's, bound to an interface.
//
// Over NATS the hub may ask for pictures (see.…ask): Pictures says whether they are pushed,
// and Announce tells the hub which there are.
//
// Datagrams are sent again after a pause that grows, until the hub answers or the
// caller's context ends; copies are the hub's to tell. Their counters come from the
// caller, who must never give one twice, also not after a power cut.
package uplink
