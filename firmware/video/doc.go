// Package video relays pictures: drones and cameras in, browsers, the county and
// Chinese platforms out, on whatever link is left. It runs as a child of the box's
// daemon (cmd/edged-video), with memory and CPU of its own, and holds no box key, no
// line and no siren: when it dies, people are warned as if it had never been.
//
// A picture's way, each room once:
//
//	source (rtmp, rtsp, srt, ts, whip, gb28181)  container off, access units out
//	stream     one writer, units put right once, a ring, a cursor for every reader
//	ladder     how much of a stream a link can bear, and why
//	whep       browsers and the county, by WebRTC
//	recorder   a ring of fragments that a power cut cannot spoil
//	gb28181    platforms of GB/T 28181-2022
//	squeeze    a box and a county in one process, for who measures the link between them
//
// Nothing is ever decoded or encoded here.
package video
