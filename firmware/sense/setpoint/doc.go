// Package setpoint is the desk for what a person may set on a device: a gate's
// opening, a dose, a lamp, a controller's limit. It holds the profile's range,
// remembers who asked for what, restores the fail-safe value where nobody asks
// again in time, and calls a value that did not take as a fault until one does.
//
// It never makes a noise: what an output of the site names, and every register
// of a device that an output is on, is refused here (the composition root says
// which). It never decides by itself what to set but the fail-safe value, which
// the profile names. It talks to a device only by Opts.Write, which is the
// line's owner and reads back.
//
// A value whose device could not be asked is held as if it had been taken: an
// answer may be lost while the value was not, and a fail-safe that is restored
// once too often harms nobody.
package setpoint
