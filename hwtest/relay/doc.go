// Package relay measures a relay of live pictures from the outside: RTSP in, WHEP out.
// It knows a server's publish address, its WHEP address and its process, nothing else, so
// that ours and a peer are measured alike. It imports nothing of firmware.
//
// A Film is one loop of H.264. PublishRTMP sends it by RTMP, as a drone does. Publish sends it
// by RTSP over TCP, each picture as one burst at its due instant, as a camera does, and notes
// that instant in a Table which another process may share. A Viewer is a WHEP player that takes
// RTP apart but decodes nothing; it knows a picture again by the CRC-32C of its first slice, so
// that no stamp need be put into the bitstream and a server that drops SEI is measured alike.
//
// The time to the first picture runs from the WHEP request to the first complete IDR
// picture. A server that keeps the last group of pictures shows an old one at once: the time
// until a picture is younger than LiveAge stands beside it.
//
// Sources: RFC 6184 (5.7, 5.8: aggregated and fragmented NAL units), RFC 9725 (WHIP) and
// draft-ietf-wish-whep; Adobe, RTMP 1.0, AMF 0 and Video File Format 10.1; clock_getcpuclockid(3) for a process's own clock.
package relay
