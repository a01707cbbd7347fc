// Package rtmp is where drones and encoders push pictures to: an RTMP server that only
// takes. It plays nothing to anybody, relays nothing and stores nothing.
//
// # Addresses
//
// All of these name the stream and its key; DJI and OBS have the last segment as a field of
// its own ("stream key"):
//
//	rtmp://HOST/live/STREAM?key=KEY
//	rtmp://HOST/live/STREAM/KEY
//	rtmp://HOST/live?key=KEY        with the stream key STREAM
//
// Keys are the desk's to check (package source). A wrong one, an unknown stream or one that
// has a publisher is answered by NetStream.Publish.BadName with the reason in words, and the
// connection ends. A publisher that was silent for 3 s is taken over from by who comes with the
// same key: a drone that lost its link is back before its old connection is known to be dead.
//
// # What it takes
//
// H.264 (FLV codec 7, or the fourcc avc1), H.265 (codec 12 as Chinese encoders have it, or
// the fourcc hvc1), G.711 (7 and 8) and Opus (fourcc). AAC is noted and dropped; sound that
// was announced and never comes is not waited for. Several tracks in one message are
// refused with the reason. A picture may be split over messages, an SEI may come alone, times may
// jump: that is put right by package stream.
//
// # Bounds
//
// Before a key was shown: time, size of a message, and places at the gate, of which one address
// has few. After that: size of a message, number of chunk streams, bytes of unfinished messages,
// time without a picture or a sound. Nothing is put aside for bytes that only were announced.
// Encrypted RTMP (RTMPE, RTMPS) is not spoken, and a try is told so.
//
// Sources: Adobe, "RTMP Specification 1.0" (2012), sections 5.2 (handshake), 5.3 (chunks), 5.4
// (control messages), 7 (commands); Adobe, "AMF 0" (2007); Adobe, "Video File Format
// Specification 10.1" (2010), annex E; Veovera, "Enhanced RTMP" v1 (2023) and v2 (2024);
// ISO/IEC 14496-15:2019, 5.3.3 and 8.3.3 (configuration records).
package rtmp
