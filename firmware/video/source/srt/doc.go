// Package srt is where encoders push pictures to by SRT, in an MPEG transport stream (package ts). It only
// takes: it listens, and calls nobody.
//
// # Addresses
//
// An encoder is the caller, in live mode; its stream id tells stream and key in one of two forms:
//
//	srt://HOST:PORT?streamid=publish:STREAM:KEY
//	srt://HOST:PORT?streamid=#!::r=STREAM,m=publish,s=KEY      (# as %23 in a URL)
//
// Keys are the desk's to check (package source). Why nothing is taken is told by SRT's codes: 1400 for a
// stream id that says nothing, 1401 for what the desk refuses, 1402 where too many knock, 1405 for who wants to
// watch, 1407 where the stream has a publisher, 1010 and 1011 for a wrong and a missing or unexpected passphrase. Without a passphrase the key
// goes over the air in plain: set one outside of a network of one's own.
//
// # Bounds
//
// A caller has shown by a cookie that it gets what is sent to its address before anything is kept of it. How many
// are judged at once, of one address and in all, and how many publish is bounded, and so is what waits for
// its time in a connection: a caller may ask for a latency of 65 s. Who sends no picture is
// sent away.
//
// The protocol is github.com/datarhei/gosrt's. Its goroutines are its own and not under the guard: what would make it panic ends the child
// that relays pictures, and nothing else of the box. What strangers can reach of it is fuzzed here.
//
// Sources: draft-sharabayko-srt-01 (2021), 3.2.1 and 4.3 (handshake), 4.5 (latency), 6 (encryption); Haivision,
// "SRT Access Control (Stream ID) Guidelines".
package srt
