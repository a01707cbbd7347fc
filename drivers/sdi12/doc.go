// Package sdi12 is probes on an SDI-12 bus behind a serial adapter: water level
// and quality probes, soil moisture, weather instruments.
//
// The adapter is a transparent one: it takes a command as ASCII up to its "!",
// makes the break and the 1200 baud 7E1 of the wire by itself, and gives the
// answer as it came (common at 9600 8N1; some pass 1200 7E1 through). An adapter
// that repeats the command before the answer is understood.
//
// A measurement is M, MC, C or CC with its D commands, or R. After M the bus
// waits for the service request; after C for the time that the probe named. A
// value is given only where the answer has the address, the form and, for the
// commands with CRC, the checksum that the standard asks for, and where all
// announced values came. The package never asks a probe to change its address
// or settings.
//
// Source: SDI-12 Support Group, "SDI-12, A Serial-Digital Interface Standard for
// Microprocessor-Based Sensors", version 1.4: sections 4.3 (answers), 4.4
// (commands), 4.4.12 (CRC), 4.4.7 (concurrent), 7 (timing and retries).
package sdi12
