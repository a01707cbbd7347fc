// Package pps reads a receiver's pulse from the kernel (/dev/pps0), which takes its time in the
// interrupt: good to microseconds, where a sentence on a serial line is good to half a second.
//
// It tells only when a second began, never which. The pulse is enabled in the board's device tree
// (dtoverlay=pps-gpio) and is the rising edge.
//
// Sources: linux/pps.h and Documentation/driver-api/pps.rst; RFC 2783.
package pps
