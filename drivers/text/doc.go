// Package text hears lines of text on a serial port: a drivers.Fields. It cuts
// the stream into lines and lines into fields, and checks their checksums.
//
// It never gives half a line, a line with a byte that is no printable ASCII, or
// one whose checksum is wrong: those are FaultGarbled, and are counted. It holds
// no more than one line of the longest kind in memory, whatever comes.
//
// The checksum "xor" is that of NMEA 0183: two hex digits after a star, the XOR
// of all between the first character and the star.
package text
