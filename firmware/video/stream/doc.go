// Package stream is the one place where pictures of one camera meet those who want
// them. Whatever container they came in, a Writer takes access units and puts them
// right once: units told in several messages are joined, parameter sets stand before
// every key picture, times run forward, reordered pictures (B-frames) are noticed.
// Units are immutable from then on and shared by all; a Reader is a cursor. A reader
// that is too slow loses whole groups of pictures and holds up nobody.
//
// The last group is kept, so that a new viewer sees at once; how old what he sees is
// can be told from Unit.Arrived. It is bounded in bytes and in time.
//
// Sources: ITU-T H.264 (08/2021) 7.3, 7.4.1.2; H.265 (08/2021) 7.3, 7.4.2.4; RFC 6184;
// RFC 7798. Quirks of drones that it puts right are fixtures of its tests.
package stream
