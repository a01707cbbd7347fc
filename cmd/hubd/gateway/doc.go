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
// nor kill -9 lets a counter count twice. A station whose window is damaged is left out, called and
// shown, and all others are served. No station may have more than its share of the disk and of
// what is being kept. Only classes 0 to 2 go down by datagrams,
// as metered bytes are for those; what does not fit in one waits for NATS, and is
// called.
//
// Short messages: each station on a terminal has an End of reach/narrow. Its window is on
// the disk before a message is acted on; all ends of a station share one counter, whatever the terminal. What
// came is put into an envelope of its station, kept as a letter by the post, and only then
// acknowledged: together with others, at a bounded rate, those of alarms and receipts first, those of telemetry
// when ten have gathered. Down go, in this order: warnings of 78 bytes, signed by an issuer of the hub's
// file, to each station once or by one broadcast, and again with growing pauses until a receipt is in or the warning
// ends; commands, sealed, until the station has kept them; acknowledgements; requests for
// fragments that lack. A terminal without transmit in the hub's file only listens. From whom
// a message came by the network's word proves nothing; where it says none (Iridium), all stations' keys
// are tried.
package gateway
