// Package relay is the hub's TURN server (RFC 8656), for stations and viewers whose
// network lets pictures pass in no other way: UDP, TCP, and TLS on a port that firewalls
// leave open.
//
// It is no open proxy. A packet leaves it only to the hub's own media port and to networks
// that the county's file names; never to loopback, link-local or multicast addresses, whatever
// the file says, unless the hub's own media is there. What comes back from elsewhere is
// dropped. User names hold the time until which they may begin, passwords are their HMAC
// under a key that lives as long as the hub runs (the way of “A REST API for access to TURN
// services”, draft-uberti-behave-turn-rest-00): nothing is kept and nothing can leak from a
// file. A relaying that was begun in time may go on for up to half a day. Each user has
// bounds: how many relayings at once, and how much a second.
//
// Check walks every leg from the hub itself and says which one fails, and at which step.
// What stands between a viewer and the hub only the viewer's page can tell.
//
// The server is pion/turn's.
package relay
