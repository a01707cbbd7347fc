// Package engine is the hub's store: NATS JetStream, embedded or a cluster that
// exists, with the three streams of reach/letter, and SEEN where there are pictures.
//
// The embedded server writes through to the disk before it acknowledges
// (sync always): at its own default of two minutes all of what was acknowledged
// may be gone after a power cut. A full UP refuses what is new, so that a station
// keeps it, and never drops what was acknowledged. Each station may publish its own
// letters and receipts, pull its own DOWN and ask for its own receipts, and nothing
// else; a stranger is refused before it can say anything.
//
// After a write that failed, as on a full disk, the embedded server answers nobody until it is started
// again: Watch says so, and the hub starts again by itself until there is room.
//
// It knows no alert and no envelope.
//
// Sources: NATS documentation, “JetStream, sync_interval” and “Authorization”;
// docs of the $JS.API subjects (CONSUMER.INFO, CONSUMER.MSG.NEXT, DIRECT.GET).
package engine
