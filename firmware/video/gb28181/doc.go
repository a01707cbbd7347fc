// Package gb28181 shows a box's pictures to platforms of GB/T 28181-2022, as the
// lower device that the standard describes: it signs in at each platform (REGISTER
// with digest), says that it lives (keepalive messages), tells what it has (catalog,
// device, state, records) and, asked by INVITE, sends a program stream over RTP, by
// datagrams or by TCP that either side opens. It also plays records where the box has
// some and the platform may (gb28181.Records), at the speed and from the place that the platform asks.
//
// What a platform may do is little. It is heard only from its own address, only as
// the one that is configured, and only while the box is signed in there. Pictures go
// where its INVITE says, never to a group, to the box itself or out of the prefixes
// that the configuration may name. It may ask for a key picture. Moving a camera,
// restarting the box, guarding and speaking through its siren are refused with an
// answer: a siren sounds by signed orders alone. How many sessions there are and how
// many bits they have is bounded by the configuration; where the link has less left
// than the pictures need, key pictures alone go out.
//
// GB/T 28181 authenticates devices, not platforms: who can forge the platform's
// address can ask for a picture. That is why sessions are few, why media addresses
// are checked, and why a VPN belongs around it where the net is not the platform's.
//
// Each platform has a SIP user agent and a socket of its own, made anew at each
// signing-in: a new uplink is a new signing-in and nothing else. sipgo reads and
// writes SIP; it starts goroutines of its own.
//
// Sources: GB/T 28181-2022, chapter 9 (signing in, live, control, queries, keepalive,
// records, playback, download) and its annexes on MANSCDP (A), MANSRTSP (B), program
// streams over RTP (C), codes of devices, SDP with y= and f=, and the mark of the
// version; RFC 3261, 3264, 4145, 4566, 4571, 7616, 8760.
package gb28181
