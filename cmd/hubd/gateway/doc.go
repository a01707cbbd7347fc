// Package gateway brings letters between stations and the post office by links
// other than NATS. One kind of link is one Gateway; datagrams, for satellite IP,
// are here, and terminals for short messages plug in beside them.
//
// A gateway answers a station that a letter is kept only after the post has said so,
// and notes that a station took a letter only after the station has said so. It keeps
// no letter itself: what is not answered comes again, from either side.
//
// Datagrams: whoever does not have a station's key gets no answer, and nothing is
// said about why. The window of counters is on the disk before a datagram is acted
// on, and the hub's own counters are reserved in blocks, so that neither a power cut
// nor kill -9 lets a counter count twice. Only classes 0 to 2 go down by datagrams,
// as metered bytes are for those; what does not fit in one waits for NATS, and is
// called.
package gateway
