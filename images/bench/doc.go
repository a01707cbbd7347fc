// Package bench is an emulated board as somebody stands before it: a disk, a power switch,
// a console, a cable, an RS-485 line, a loudspeaker and a button, under qemu-system-aarch64
// with the boot loader that boards have. It knows nothing of what runs on the board but what
// comes out of it.
package bench
