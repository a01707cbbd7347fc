// Package modbus asks units on a line for numbered registers: Modbus RTU over
// a serial port or a serial server, Modbus ASCII, and Modbus TCP. It is a
// drivers.Registers.
//
// Sources: MODBUS Application Protocol Specification V1.1b3 (functions,
// exceptions), MODBUS over Serial Line Specification and Implementation Guide
// V1.02 (frames, silences, CRC), MODBUS Messaging on TCP/IP Implementation
// Guide V1.0b (header). The application layer (request building, answer
// decoding) is goburrow/modbus, of which only the packagers and the Client are
// used; both transports are ours.
//
// # Late answers
//
// An RTU answer says which unit it comes from, which function it answers and
// how long it is, but not which registers it holds. A master that asks again
// after a timeout may therefore take the late answer for that of the new
// request, and each answer after it for that of the next: a lasting run of
// false values that pass every check. This package never lets that happen: a
// unit that did not answer in time *owes* that answer, for six timeouts, and
// is not asked anything that the owed answer could be taken for (FaultOwed).
// Whatever is heard, at any time, is searched for owed answers before it is
// dropped, so that the unit is asked again as soon as its late answer came. An
// answer that follows a debt nobody paid is marked Answer.Doubt. This covers
// every answer, and every copy of one, that comes within five timeouts; what
// comes later than six can be told only by that mark.
//
// # Ports without a wire
//
// What comes before a request's last bit can have left is no answer to it. A
// port on which bytes take no time, and which does not say so, is found out by
// its first answers (early.go).
//
// It never retries, never sleeps for bytes, and never gives a value whose
// belonging it is not sure of without saying so.
package modbus
