// Package nmea is an instrument that sends NMEA 0183 sentences by itself: a
// weather station, an echo sounder, a GNSS receiver. It is a drivers.Fields
// whose fields are the sentence's address and its fields; what they mean is the
// profile's.
//
// Only sentences with a right checksum are given: one without is refused, since
// the serial line has no other protection. The package never makes a value of a
// field, and in particular no zero of an empty one.
//
// A GNSS receiver also gives the time (Opts.Tell): only while it says that it
// has a fix, and only after several sentences agreed with each other.
//
// Sources: the public descriptions of NMEA 0183 in gpsd's "NMEA Revealed"
// (release 2.23) and IEC 61162-1 as far as they quote it: sentence form,
// checksum, RMC, ZDA, GGA and their status and mode fields.
package nmea
