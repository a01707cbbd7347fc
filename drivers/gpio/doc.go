// Package gpio is single lines of the board: inputs as drivers.Edges, outputs
// as drivers.Output.
//
// The lines are periph.io's gpioioctl driver (Linux GPIO character device,
// Documentation/userspace-api/gpio/chardev.rst), never its sysfs one, whose
// edges fail on newer kernels and whose Halt does not end a wait. An edge is
// never relied on: every wait ends after a time and the level is read again.
//
// A contact that bounces is taken for changed only when it kept its new level
// for the debounce time.
package gpio
