// Package pack is what a release travels in: one file that a thin link, a phone or a USB
// stick brings, and that a box believes chunk by chunk.
//
//	mark      8 bytes, unlike any text, so that a changed line end is seen at once
//	length    4 bytes, big endian, of
//	header    a DSSE envelope (several signatures, Ed25519 and SM2) over the manifest
//	chunks    one after the other, each as many bytes as the manifest says
//
// The manifest says what the release is (version, a number that only rises, the boards
// that it is for) and what the slot's image is: its size, its SHA-256, and the same of
// each chunk of 1 MiB. A chunk comes in one of five forms: zero (nothing travels), same
// (the base has it at the same place; nothing travels), zstd (RFC 8878), a64 (the same, of
// code whose calls were made alike before), or patch, which is made from what is there
// already: a base image that the manifest names by its SHA-256, and the image's own chunks
// before it, since the programs of one release share much of their code. Each chunk is held
// to its own sum before anybody writes it, so that a transfer that broke off goes on where
// it broke, and what is wrong is asked for again alone.
//
// A patch is copies with differences: compiled code that moved has the same instructions
// with other addresses, whose differences are mostly zero and compress to little. The idea
// is C. Percival's (Naive Differences of Executable Code, 2003); the matching here is our
// own, by a table of eight-byte seeds in place of a suffix array, and the form is bound to
// chunks, so that a box needs some 5 MiB for any release.
//
// Reading never trusts a length: all bounds are checked before anything is allocated.
package pack
